"""Sequences of any length against slices of Python strings."""

import numpy as np
import pytest

from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fitting import Fitting, Span, fit_sequences
from degu_tf.sequences.genomes.windows import Variant, Windows
from degu_tf.utils.errors import InputError

TEXT = "ACGTTGCAACCTGATTCAGT"


def fit(text, **options):
    """Windows of one sequence as strings, and their spans."""
    fitted = fit_sequences(["x"], [text], Fitting(**options))
    return decode(fitted.sequences), fitted.spans


def test_sequences_of_the_models_length_are_taken_as_they_are():
    windows, spans = fit(TEXT, length=20, resize=True, pad="N", stride=3)
    assert (windows, spans) == ([TEXT], [Span("x", 0, 20, ".", 0, 20)])


@pytest.mark.parametrize(
    ("bases", "start"), [(20, 0), (19, 0), (18, 1), (17, 1), (4, 8), (3, 8), (1, 9)]
)
def test_the_middle_leaves_the_smaller_half_on_the_left(bases, start):
    windows, spans = fit(TEXT, length=bases, resize=True)
    assert windows == [TEXT[start : start + bases]]
    assert spans == [Span("x", start, start + bases, ".", start, start + bases)]


@pytest.mark.parametrize("length", [20, 21, 22, 27])
def test_unknown_bases_fill_both_sides(length):
    left = (length - len(TEXT)) // 2
    windows, ((_, start, end, _, *spoken),) = fit(TEXT, length=length, pad="N")
    assert windows == ["N" * left + TEXT + "N" * (length - 20 - left)]
    assert (start, end, spoken) == (-left, length - left, [0, 20])


@pytest.mark.parametrize("length", [21, 24, 25])
def test_flanks_give_their_nearest_bases(length):
    before, behind = "AAACG", "CGTTT"
    left = (length - len(TEXT)) // 2
    right = length - len(TEXT) - left
    (window,), _ = fit(TEXT, length=length, pad="flanks", flanks=(before, behind))
    assert window == (before + TEXT + behind)[5 - left : 25 + right]


def test_flanks_that_are_too_short_are_refused():
    with pytest.raises(InputError, match=r"needs 2 bases at the 5' and 3 at the 3' side of record"):
        fit(TEXT, length=25, pad="flanks", flanks=("AAAAA", "CC"))


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 8])
def test_windows_begin_a_stride_apart_and_the_last_ends_where_the_sequence_does(stride):
    windows, spans = fit(TEXT, length=8, stride=stride)
    starts = [*range(0, 12, stride), 12]
    assert windows == [TEXT[start : start + 8] for start in starts]
    assert [(span.start, span.end) for span in spans] == [(start, start + 8) for start in starts]
    spoken = [place for span in spans for place in range(span.first, span.last)]
    assert spoken == list(range(20))
    middles = np.array(starts) + 3.5
    for span, middle in zip(spans, middles, strict=True):
        for place in range(span.first, span.last):
            assert abs(place - middle) == np.abs(place - middles).min()


def test_resizing_comes_before_windows_and_padding():
    windows, spans = fit(TEXT, length=4, resize=9, stride=4)
    assert windows == [TEXT[5:9], TEXT[9:13], TEXT[10:14]]
    assert (spans[0].first, spans[-1].last) == (5, 14)
    windows, _ = fit(TEXT, length=8, resize=4, pad="N")
    assert windows == ["NN" + TEXT[8:12] + "NN"]
    windows, spans = fit("ACGT", length=4, resize=8, pad="N", stride=3)
    assert windows == ["NNAC", "CGTN", "GTNN"]
    assert [span[1:3] for span in spans] == [(-2, 2), (1, 5), (2, 6)]


def test_a_single_base_lies_where_variants_lie_in_their_windows():
    class Contig:
        of_elements = False
        contigs = {"c": 1000}  # noqa: RUF012

        def contig(self, name):
            return name

        def covers(self, *_):
            return True

        def bounds(self, *_):
            return None

        def fetch(self, _contig, start, end):
            self.asked = start
            return ("ACGT" * 300)[start % 4 :][: end - start]

    for length in (7, 8, 229, 230):
        genome = Contig()
        Windows(genome, length).cut(Variant("c", 501, "A", "C"))
        assert Fitting(length, resize=True).resized(500, 501) == (
            genome.asked,
            genome.asked + length,
        )


def test_names_and_rows_of_several_sequences():
    fitted = fit_sequences(["a", "b"], [TEXT, "acgtr"], Fitting(8, pad="N", stride=8))
    assert fitted.rows.tolist() == [0, 0, 0, 1]
    assert fitted.labels == ["a:0-8", "a:8-16", "a:12-20", "b:-1-7"]
    assert fitted.first_windows.tolist() == [0, 3]
    assert fitted.unknown.tolist() == [0, 0, 0, 4]
    assert decode(fitted.sequences[3:]) == ["NACGTNNN"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 8}, "of 8 bases; .*resize=True.*stride=.*Received: 20 bases in record 'x'"),
        ({"length": 30}, "of 30 bases; .*pad='N' or pad='flanks'. Received: 20 bases in"),
        ({"length": 8, "resize": 30, "stride": 2}, "30 bases or more to resize"),
        ({"length": 8, "stride": 9}, "at most 8, .*Received: stride=9"),
        ({"length": 8, "stride": 0}, "Received: stride=0"),
        ({"length": 8, "resize": 2.5}, "Received: resize=2.5"),
        ({"length": 8, "pad": "n"}, "Received: pad='n'"),
        ({"length": 0}, "Received: 0 bases"),
        ({"length": 8, "flanks": ("AX", "")}, "'X' at position 1 of record 'the 5' flank'"),
        ({"length": 8, "resize": 60, "pad": "N", "stride": 8}, "window -20--12 lies beyond"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_what_to_do(options, message):
    with pytest.raises(InputError, match=message):
        fit(TEXT, **options)


def test_letters_are_refused_where_they_are_in_the_record():
    with pytest.raises(InputError, match="'X' at position 10 of record 'x'"):
        fit(TEXT[:10] + "X" + TEXT[11:], length=4, stride=4)
    with pytest.raises(InputError, match="Received: nan for record 'x'"):
        fit_sequences(["x"], [float("nan")], Fitting(4, pad="N"))
