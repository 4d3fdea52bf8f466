"""Left alignment: what bcftools norm gives, and one window for all spellings of a change."""

import numpy as np
import pysam.bcftools
import pytest

from degu_tf.sequences.genomes.left_align import left_align
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant, Windows

REPEATS = {
    "chr1": "A" * 30 + "CACACACACAC" + "GTAAT" * 9 + "T" * 200 + "GAGGAGGAGGAGGAG",
    "chr2": "CACACAT" + "N" * 5 + "AAAAAAACGT" * 4,
    "chr3": "".join(np.random.default_rng(1).choice(list("AC"), 400)),
}


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in REPEATS.items()))
    return open_genome(path)


def records(rng, n):
    """Random rows of a VCF: contig, position, reference, one or two alternatives, sorted."""
    rows = set()
    while len(rows) < n:
        contig = rng.choice(list(REPEATS))
        bases = REPEATS[contig]
        start, size = int(rng.integers(len(bases))), int(rng.integers(1, 9))
        ref = bases[start : start + size]
        if "N" in ref:
            continue
        alts = [_alternative(rng, ref) for _ in range(rng.integers(1, 3))]
        if ref not in alts and len(set(alts)) == len(alts):
            rows.add((contig, start + 1, ref, ",".join(alts)))
    return sorted(rows)


def _alternative(rng, ref):
    """The reference shortened, repeated, or with bases put in or exchanged."""
    kind, at = rng.integers(4), int(rng.integers(len(ref)))
    some = "".join(rng.choice(list("ACGT"), rng.integers(1, 5)))
    return (ref[: at + 1], ref + ref[at:], ref[: at + 1] + some + ref[at + 1 :], some)[kind]


def bcftools(path, genome, rows):
    """Position, reference and alternative of each allele as `bcftools norm -m -any` has them."""
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name}>" for name in REPEATS)]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number, (contig, position, ref, alts) in enumerate(rows):
        for allele, alt in enumerate(alts.split(",")):
            name = f"{number}_{allele}"
            lines.append(f"{contig}\t{position}\t{name}\t{ref}\t{alt}\t.\t.\t.")
    path.write_text("\n".join(lines) + "\n")
    normed = pysam.bcftools.norm("-f", str(genome.path), str(path))
    fields = [line.split("\t") for line in normed.splitlines() if not line.startswith("#")]
    return {name: (int(position), ref, alt) for _, position, name, ref, alt, *_ in fields}


def test_alleles_are_spelled_as_bcftools_norm_spells_them(genome, tmp_path):
    rows = records(np.random.default_rng(0), 3000)
    expected = bcftools(tmp_path / "v.vcf", genome, rows)
    windows, moved = Windows(genome, 40), 0
    for number, (contig, position, ref, alts) in enumerate(rows):
        for allele, alt in enumerate(alts.split(",")):
            found = windows.normalised(Variant(contig, position, ref, alt))
            wanted = expected[f"{number}_{allele}"]
            assert (found.position, found.ref, found.alt) == wanted, (contig, position, ref, alt)
            moved += found.position < position
    assert moved > 500


def test_rows_of_several_alternatives_are_aligned_each_by_itself(genome, tmp_path):
    path = tmp_path / "v.vcf"
    head = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    path.write_text(f"{head}\nchr1\t20\t.\tA\tAA,C,AG\t.\t.\t.\n")
    normed = pysam.bcftools.norm("-m", "-any", "-f", str(genome.path), str(path))
    expected = [
        (int(line.split("\t")[1]), *line.split("\t")[3:5])
        for line in normed.splitlines()
        if not line.startswith("#")
    ]
    found = [
        Windows(genome, 40).normalised(Variant("1", 20, "A", alt)) for alt in ("AA", "C", "AG")
    ]
    assert sorted((each.position, each.ref, each.alt) for each in found) == sorted(expected)
    assert found[0] == Variant("1", 1, "A", "AA")


def test_all_spellings_of_a_change_have_one_window(genome):
    windows = Windows(genome, 40)
    bases = REPEATS["chr1"]
    inserted = [Variant("chr1", at, "T", "TT") for at in range(87, 287) if bases[at - 1] == "T"]
    inserted.append(Variant("chr1", 150, bases[149:180], bases[149:180] + "T"))
    assert len(inserted) > 190
    assert len({windows.cut(each) for each in inserted}) == 1
    deleted = [Variant("1", at, bases[at - 1 : at + 2], bases[at - 1]) for at in range(30, 39)]
    assert len({windows.cut(each) for each in deleted}) == 1
    window = windows.cut(deleted[0])
    assert window.ref == bases[10:50]
    assert window.alt == bases[10:29] + bases[31:52]


def test_a_window_makes_the_sequence_that_the_vcf_spells(genome):
    rng = np.random.default_rng(2)
    windows = Windows(genome, 41)
    for contig, position, ref, alts in records(rng, 300):
        bases, start = REPEATS[contig], position - 1
        for alt in alts.split(","):
            window = windows.cut(Variant(contig, position, ref, alt))
            mutated = bases[:start] + alt + bases[start + len(ref) :]
            first, _, _ = left_align(genome, contig, start, ref, alt)
            for sequence, whole in ((window.ref, bases), (window.alt, mutated)):
                assert sequence == ("N" * 20 + whole + "N" * 30)[first : first + 41]


@pytest.mark.parametrize(
    ("variant", "spelled"),
    [
        (Variant("1", 104, "A", "AA"), (101, "A", "AA")),
        (Variant("1", 105, "AAC", "C"), (101, "AAA", "A")),
        (Variant("1", 106, "A", "-"), (101, "AA", "A")),
        (Variant("1", 101, "A", "GA"), (101, "A", "GA")),
        (Variant("1", 110, "T", "TG"), (110, "T", "TG")),
        (Variant("1", 110, "T", ""), (109, "GT", "G")),
    ],
)
def test_elements_are_not_left(variant, spelled, tmp_path):
    path = tmp_path / "e.fa"
    path.write_text(">e chr1:101-110\nAAAAAACTGT\n>far chr1:500-503\nAAAA\n")
    with open_genome(path) as genome:
        found = Windows(genome, 3).normalised(variant)
    assert (found.position, found.ref, found.alt) == spelled


def test_a_whole_element_that_is_deleted_has_no_base_beside_it(tmp_path):
    path = tmp_path / "e.fa"
    path.write_text(">e chr1:101-103\nAAA\n")
    with open_genome(path) as genome:
        found = Windows(genome, 3).normalised(Variant("1", 101, "AAA", "-"))
    assert (found.position, found.ref, found.alt) == (101, "AAA", "")
