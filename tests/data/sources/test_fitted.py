"""Intervals of any width against slices of the genome's text."""

import numpy as np
import pytest

from degu_tf.data.sources.fitted import fit_file, fit_intervals
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fitting import Fitting
from degu_tf.utils.errors import InputError

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
RNG = np.random.default_rng(3)
CHROMOSOMES = {"chr1": "".join(RNG.choice(list("ACGTacgtN"), 500)), "chr2": "ACGT" * 5}


def bases(contig, start, end, strand="+"):
    """A slice of the text, N beyond its ends; on the - strand its reverse complement."""
    text = CHROMOSOMES[contig].upper()
    window = "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, end))
    return window.translate(COMPLEMENT)[::-1] if strand == "-" else window


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in CHROMOSOMES.items()))
    return path


@pytest.fixture
def fit(tmp_path, genome):
    """A function that fits intervals, lines of a BED file: windows as strings, and all of it."""

    def ask(lines, length, summit=False, **options):
        (tmp_path / "p.bed").write_text("".join(f"{line}\n" for line in lines))
        fitting = Fitting(length, **options)
        fitted = fit_intervals(tmp_path / "p.bed", genome, fitting, summit=summit)
        return decode(fitted.sequences), fitted

    return ask


@pytest.mark.parametrize("strand", ["+", "-", "."])
def test_peaks_of_many_widths_are_resized_into_the_genome(fit, strand):
    widths = [1, 2, 29, 30, 31, 32, 77, 150]
    lines = [f"chr1\t200\t{200 + w}\tp{w}\t0\t{strand}" for w in widths]
    windows, fitted = fit(lines, 31, resize=True)
    for width, window, span in zip(widths, windows, fitted.spans, strict=True):
        change = abs(width - 31) // 2
        start = 200 + change if width > 31 else 200 - change
        assert window == bases("chr1", start, start + 31, strand)
        assert span[:4] == ("chr1", start, start + 31, strand)
    assert fitted.names == [f"p{w}" for w in widths]


def test_summits_are_centred(fit):
    rows = [(100, 300, 17, "+"), (100, 300, 199, "-"), (250, 251, 0, ".")]
    lines = [f"chr1\t{s}\t{e}\tp\t0\t{strand}\t1\t-1\t-1\t{peak}" for s, e, peak, strand in rows]
    for length in (20, 21):
        windows, _ = fit(lines, length, summit=True)
        for (start, _, peak, strand), window in zip(rows, windows, strict=True):
            left = start + peak - (length - 1) // 2
            assert window == bases("chr1", left, left + length, strand)


def test_padding_with_unknown_bases_or_with_the_genome(fit):
    lines = ["chr1\t100\t105\tp\t0\t-"]
    (window,), fitted = fit(lines, 10, pad="N")
    assert window == "NNN" + bases("chr1", 100, 105, "-") + "NN"
    assert fitted.unknown[0] == window.count("N")
    (window,), _ = fit(lines, 10, pad="flanks")
    assert window == bases("chr1", 98, 108, "-")


def test_windows_of_long_intervals(fit):
    windows, fitted = fit(["chr1\t100\t161\tp\t0\t-", "chr1\t300\t320"], 20, stride=15)
    starts = [100, 115, 130, 141]
    expected = [bases("chr1", start, start + 20, "-") for start in starts]
    assert windows == [*expected, bases("chr1", 300, 320)]
    assert fitted.rows.tolist() == [0, 0, 0, 0, 1]
    assert fitted.labels[0] == "p chr1:100-120(-)"
    assert fitted.labels[4] == "chr1:300-320"
    spoken = [i for span in fitted.spans[:4] for i in range(span.first, span.last)]
    assert spoken == list(range(100, 161))


def test_edges_of_chromosomes_are_refused_or_filled_and_never_moved(fit):
    lines = ["chr1\t2\t8", "chr1\t490\t500\te\t0\t-"]
    for options in ({"resize": True}, {"pad": "flanks"}):
        with pytest.raises(InputError, match=r"line 1 .*end of chr1, which has 500 bases.*pad='N'"):
            fit(lines, 20, **options)
    windows, fitted = fit(lines, 20, resize=True, pad="N")
    assert windows == [bases("chr1", -5, 15), bases("chr1", 485, 505, "-")]
    assert [span[1:3] for span in fitted.spans] == [(-5, 15), (485, 505)]
    assert [(span.first, span.last) for span in fitted.spans] == [(0, 15), (485, 500)]
    assert fitted.unknown.tolist() == [window.count("N") for window in windows]
    assert fit(["chr2\t0\t20"], 30, resize=True, pad="N")[0] == [bases("chr2", -5, 25)]


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ("chr1\t0\t21", {}, r"line 1 of .*of 20 bases; .*resize=True.*Received: 21 bases, chr1:0-"),
        ("chr1\t0\t19", {}, r"pad='N' or pad='flanks'. Received: 19 bases, chr1:0-19"),
        ("chr1\t490\t501", {"resize": True}, "must lie within chr1, which has 500 bases"),
        ("chr9\t0\t20", {"pad": "N"}, "no contig 'chr9'"),
        ("chr1\t50\t60", {"summit": True}, "in column 10, .*Received: no column 10"),
        ("chr1\t50\t60\tp\t0\t.\t1\t1\t1\t-1", {"summit": True}, "Received: '-1'"),
        ("chr1\t50\t60\tp\t0\t.\t1\t1\t1\t10", {"summit": True}, "Received: '10'"),
        ("chr1\t50\t60", {"pad": "flanks", "flanks": ("A", "")}, "leave out flanks="),
    ],
)
def test_intervals_that_cannot_be_fitted_are_named(fit, line, options, message):
    with pytest.raises(InputError, match=message):
        fit([line], 20, **options)


def test_files_of_sequences(tmp_path):
    (tmp_path / "s.fa").write_text(">a\nACGTACGTAC\n>b\nGG\n")
    fitted = fit_file(tmp_path / "s.fa", Fitting(4, resize=True, pad="N"))
    assert decode(fitted.sequences) == ["TACG", "NGGN"]
    assert fitted.names == ["a", "b"]
    (tmp_path / "s.tsv").write_text("id\tseq\nq\tACGT\n")
    fitted = fit_file(tmp_path / "s.tsv", Fitting(4), name="id")
    assert (decode(fitted.sequences), fitted.labels, fitted.spans) == (["ACGT"], ["q"], [])
    assert fit_file(tmp_path / "s.tsv", None).sequences.tolist() == [[0, 1, 2, 3]]
