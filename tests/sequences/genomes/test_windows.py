import numpy as np
import pytest

from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import (
    BEYOND,
    MISMATCH,
    UNKNOWN_BASE,
    Variant,
    Window,
    Windows,
    distinct,
)
from degu_tf.utils.errors import InputError

LENGTH = 20


@pytest.fixture(scope="module")
def bases():
    return "".join(np.random.default_rng(0).choice(list("ACGT"), 300))


@pytest.fixture(scope="module")
def genome(bases, tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{bases[:200]}\n>chr2\n{bases[200:]}\n")
    return open_genome(path)


@pytest.fixture(scope="module")
def element(bases, tmp_path_factory):
    path = tmp_path_factory.mktemp("element") / "element.fa"
    path.write_text(f">PKLR hg19 chr1:51-100 (1-based inclusive)\n{bases[50:100]}\n")
    return open_genome(path)


def other(base):
    return "ACGT"[("ACGT".index(base) + 1) % 4]


@pytest.mark.parametrize(("length", "index"), [(230, 114), (20, 9), (21, 10)])
def test_the_variant_sits_in_the_middle(length, index, genome, bases):
    window = Windows(genome, length).cut(Variant("1", 130, bases[129], other(bases[129])))
    assert len(window.ref) == len(window.alt) == length
    differing = [i for i in range(length) if window.ref[i] != window.alt[i]]
    assert differing == [index]
    assert window.ref[index] == bases[129]


def test_a_substitution_changes_nothing_else(genome, bases):
    variant = Variant("chr1", 101, bases[100].lower(), other(bases[100]).lower())
    window = Windows(genome, LENGTH).cut(variant)
    assert window == Window(
        bases[91:111], bases[91:100] + other(bases[100]) + bases[101:111], shift=0
    )


def test_a_deletion_lets_bases_from_the_right_move_in(genome, bases):
    variant = Variant("chr1", 100, bases[99:103], bases[99])
    assert bases[99] != bases[102], "or it would be moved to the left"
    window = Windows(genome, LENGTH).cut(variant)
    assert window.ref == bases[91:111]
    assert window.alt == bases[91:100] + bases[103:114]


@pytest.mark.parametrize("gap", ["-", ""])
def test_a_gap_deletes_the_reference(gap, genome, bases):
    window = Windows(genome, LENGTH).cut(Variant("chr1", 101, bases[100], gap))
    assert window.alt == bases[91:100] + bases[101:112]


def test_an_insertion_pushes_bases_out_on_the_right(genome, bases):
    added = other(bases[100]) + "GATTAC" + other(bases[100])
    variant = Variant("chr1", 101, bases[100], bases[100] + added)
    assert bases[100] != added[-1], "or it would be moved to the left"
    window = Windows(genome, LENGTH).cut(variant)
    assert window.ref == bases[92:112]
    assert window.alt == (bases[92:101] + added + bases[101:112])[:LENGTH]


@pytest.mark.parametrize("left", [0, 1, 4])
@pytest.mark.parametrize("right", [0, 1, 60])
def test_spelling_out_bases_around_a_variant_changes_nothing(left, right, genome, bases):
    windows = Windows(genome, LENGTH)
    plain = windows.cut(Variant("chr1", 101, bases[100], other(bases[100])))
    before, after = bases[100 - left : 100], bases[101 : 101 + right]
    ref, alt = (before + base + after for base in (bases[100], other(bases[100])))
    assert windows.cut(Variant("chr1", 101 - left, ref, alt)) == plain
    assert bases[99] != bases[100], "or it would not be told which of the two is deleted"
    deletion = Variant("chr1", 100 - left, bases[99 - left : 101], bases[99 - left : 100])
    assert windows.cut(deletion) == windows.cut(Variant("chr1", 101, bases[100], "-"))


def test_windows_go_on_with_n_where_a_contig_ends(genome, bases):
    windows = Windows(genome, LENGTH)
    first = windows.cut(Variant("chr1", 1, bases[0], other(bases[0])))
    assert first.ref == "N" * 9 + bases[:11]
    last = windows.cut(Variant("chr1", 200, bases[199], other(bases[199])))
    assert last.ref == bases[190:200] + "N" * 10
    deleted = windows.cut(Variant("chr1", 196, bases[195:198], "-"))
    assert deleted.alt == bases[186:195] + bases[198:200] + "N" * 9


@pytest.mark.parametrize(
    ("position", "start", "shift"),
    [(51, 50, 9), (60, 50, 0), (61, 51, 0), (89, 79, 0), (90, 80, 0), (91, 80, -1), (100, 80, -10)],
)
def test_windows_are_moved_to_stay_inside_an_element(position, start, shift, element, bases):
    base = bases[position - 1]
    window = Windows(element, LENGTH).cut(Variant("1", position, base, other(base)))
    assert window.ref == bases[start : start + LENGTH]
    assert window.shift == shift
    index = position - 1 - start
    assert window.alt == window.ref[:index] + other(base) + window.ref[index + 1 :]


def test_a_deletion_in_an_element_needs_room_on_the_right(element, bases):
    windows = Windows(element, LENGTH)
    assert windows.why_not(Variant("1", 100, bases[99], "-")) == "deletes the end of its element"
    window = windows.cut(Variant("1", 99, bases[98], "-"))
    assert window == Window(bases[79:99], bases[79:98] + bases[99], shift=-10)


def test_an_offset_moves_the_window(genome, bases):
    variant = Variant("chr1", 101, bases[100], other(bases[100]))
    window = Windows(genome, LENGTH, offset=-4).cut(variant)
    assert window.ref == bases[87:107]
    assert window.alt == bases[87:100] + other(bases[100]) + bases[101:107]
    assert window.shift == 0


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        (Variant("chr3", 10, "A", "C"), "contig not in the genome"),
        (Variant("chr1", 201, "A", "C"), "outside its contig"),
        (Variant("chr1", 0, "A", "C"), "outside its contig"),
        (Variant("chr1", 10, "A", "<DEL>"), "alternative is no sequence of A, C, G, T"),
        (Variant("chr1", 10, "A", "*"), "alternative is no sequence of A, C, G, T"),
        (Variant("chr1", 10, "R", "A"), "reference is no sequence of A, C, G, T"),
        (Variant("chr1", 10, "A", "a"), "alternative is the reference"),
        (Variant("chr1", 10, "", "A"), "no reference allele"),
    ],
)
def test_a_variant_without_a_window_has_a_reason(variant, reason, genome):
    windows = Windows(genome, LENGTH)
    assert windows.why_not(variant) == reason
    with pytest.raises(InputError, match=f"{reason}.*Received: {variant.contig}"):
        windows.cut(variant)


@pytest.mark.parametrize(
    ("length", "offset", "reason"), [(1, 0, BEYOND), (3, 1, BEYOND), (3, 0, None)]
)
def test_an_insertion_behind_the_last_base_has_a_window_if_a_base_is_in_it(
    genome, bases, length, offset, reason
):
    last = genome.contigs["chr1"]
    inserted = Variant("chr1", last, bases[last - 1], bases[last - 1] + other(bases[last - 1]))
    assert Windows(genome, length, offset).why_not(inserted) == reason


def test_a_reference_that_the_genome_does_not_have_is_a_mismatch(genome, bases):
    wrong = other(bases[100])
    assert Windows(genome, LENGTH).why_not(Variant("chr1", 101, wrong, bases[100])) == MISMATCH


def test_bases_the_genome_does_not_know_are_no_mismatch(tmp_path):
    (tmp_path / "masked.fa").write_text(">1\nACGTNNNNACGTACGT\n")
    windows = Windows(open_genome(tmp_path / "masked.fa"), 8)
    assert windows.why_not(Variant("1", 6, "C", "G")) == UNKNOWN_BASE
    assert windows.why_not(Variant("1", 4, "TA", "T")) == UNKNOWN_BASE
    assert windows.why_not(Variant("1", 4, "GA", "G")) == MISMATCH
    assert windows.why_not(Variant("1", 3, "G", "T")) is None


def test_alleles_must_have_room(genome, bases):
    windows, base = Windows(genome, LENGTH), other(bases[100])
    fits = Variant("chr1", 101, bases[100], base * 11)
    assert windows.why_not(fits) is None
    assert windows.cut(fits).alt[9:] == base * 11
    longer = Variant("chr1", 101, bases[100], base * 12)
    assert windows.why_not(longer) == "longer than the window has room for"
    assert windows.why_not(Variant("chr1", 101, bases[100:111], "-")) is None
    deletion = Variant("chr1", 101, bases[100:112], "-")
    assert windows.why_not(deletion) == "longer than the window has room for"


def test_elements_have_their_own_reasons(element, bases):
    assert Windows(element, 51).why_not(Variant("1", 60, bases[59], other(bases[59]))) == (
        "its element is shorter than the window"
    )
    windows = Windows(element, 20)
    end = element.contigs["chr1"]
    for position in (0, 50, end + 1, 10**6):
        assert windows.why_not(Variant("1", position, "A", "C")) == "outside every element"
    across = Variant("1", end, bases[end - 1 : end + 1], bases[end - 1])
    assert windows.why_not(across) == "outside every element"
    assert windows.why_not(Variant("2", 60, "A", "C")) == "no element on its contig"


def test_sizes_that_hold_no_variant_are_refused(genome):
    with pytest.raises(InputError, match="one base or more"):
        Windows(genome, 0)
    with pytest.raises(InputError, match="does not hold its variant"):
        Windows(genome, 20, offset=10)
    Windows(genome, 20, offset=9)
    Windows(genome, 20, offset=-10)
    with pytest.raises(InputError, match="does not hold its variant"):
        Windows(genome, 20, offset=-11)


def test_three_alternatives_share_a_reference(genome, bases):
    windows = Windows(genome, LENGTH)
    three = [Variant("1", 101, bases[100], base) for base in "ACGT" if base != bases[100]]
    sequences, pairs = distinct([windows.cut(variant) for variant in three])
    assert len(sequences) == 4
    assert [ref for ref, _ in pairs] == [0, 0, 0]


@pytest.mark.parametrize("length", [51, 54, 60])
def test_shorter_elements_stand_in_the_middle_of_padded_windows(element, bases, length):
    left = (length - 50) // 2
    right = length - 50 - left
    windows = Windows(element, length, pad="N")
    for position in (51, 70, 100):
        alt = other(bases[position - 1])
        window = windows.cut(Variant("1", position, bases[position - 1], alt))
        mutated = bases[50 : position - 1] + alt + bases[position:100]
        assert window.ref == "N" * left + bases[50:100] + "N" * right
        assert window.alt == "N" * left + mutated + "N" * right
    before, behind = "ACACACACAC", "GTGTGTGTGT"
    around = Windows(element, length, pad="flanks", flanks=(before, behind))
    deletion = Variant("1", 71, bases[70:73], bases[70])
    window = around.cut(deletion)
    assert window.ref == before[10 - left :] + bases[50:100] + behind[:right]
    deleted = before[10 - left :] + bases[50:71] + bases[73:100] + behind[: right + 2]
    assert window.alt == deleted
    longer = Variant("1", 70, bases[69], bases[69] + "GATC")
    assert windows.why_not(longer) is None
    exact = Windows(element, length, pad="flanks", flanks=(before[:left], behind[:right]))
    assert exact.cut(Variant("1", 70, bases[69], other(bases[69]))).ref == exact.cut(longer).ref
    assert exact.why_not(deletion) == "the flanks are shorter than its window needs"


def test_padding_leaves_windows_of_longer_elements_where_they_are(element, genome, bases):
    for each in (element, genome):
        for position in (51, 70, 100):
            variant = Variant("1", position, bases[position - 1], other(bases[position - 1]))
            assert Windows(each, 20, pad="N").cut(variant) == Windows(each, 20).cut(variant)
