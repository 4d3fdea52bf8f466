"""Sequences and peaks of any width on the command line, against windows predicted by hand."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from command_line import COLUMNS, degu, done, table

from degu_tf.attribution.map_files import read_maps
from degu_tf.distillation.runs import open_run
from degu_tf.sequences.encoding import reverse_complement
from degu_tf.uncertainty.calibration import calibrate

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")

L = 32
PLACED = ["name", "chrom", "start", "end", "strand", "windows", "unknown", *COLUMNS[1:]]
GENOME = "".join(np.random.default_rng(5).choice(list("ACGT"), 600))
PEAKS = [(100, 104, "+", 2), (200, 232, "-", 0), (300, 420, ".", 77), (450, 497, "-", 46)]
TURNED = str.maketrans("ACGTN", "TGCAN")


def cut(start, end, strand="+", text=GENOME):
    window = "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, end))
    return window.translate(TURNED)[::-1] if strand == "-" else window


@pytest.fixture
def peaks(tmp_path):
    """A narrowPeak file and its genome, as arguments."""
    (tmp_path / "g.fa").write_text(f">chr7\n{GENOME}\n")
    lines = [
        f"chr7\t{start}\t{end}\tp{i}\t0\t{strand}\t1\t-1\t-1\t{peak}\n"
        for i, (start, end, strand, peak) in enumerate(PEAKS)
    ]
    (tmp_path / "p.narrowPeak").write_text("".join(lines))
    return ["--bed", tmp_path / "p.narrowPeak", "--fasta", tmp_path / "g.fa"]


def middle(start, end, length=L):
    width = end - start
    return start + (width - length) // 2 if width > length else start - (length - width) // 2


def check(written, prediction, suffix=""):
    """Rows of a table against predictions of windows cut by hand."""
    for part, name in (("mean", ""), ("aleatoric", "_aleatoric"), ("epistemic", "_epistemic")):
        shown = written[[f"Dev{name}{suffix}", f"Hk{name}{suffix}"]]
        np.testing.assert_allclose(shown, getattr(prediction, part), rtol=1e-4, atol=1e-6)


def test_peaks_are_resized(work, peaks, tmp_path):
    done("predict", work.y, *peaks, "--resize", "--out", tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    assert written.columns.tolist() == PLACED
    starts = [middle(start, end) for start, end, *_ in PEAKS]
    windows = [cut(s, s + L, peak[2]) for s, peak in zip(starts, PEAKS, strict=True)]
    check(written, open_run(work.y).predict(windows))
    assert written["start"].tolist() == starts
    assert written["end"].tolist() == [start + L for start in starts]
    assert written["strand"].tolist() == ["+", "-", ".", "-"]
    assert set(written["chrom"]) == {"chr7"}


def test_summits_are_centred(work, peaks, tmp_path):
    done("predict", work.y, *peaks, "--summit", "--average-strands", "--out", tmp_path / "p.tsv")
    starts = [start + peak - (L - 1) // 2 for start, _, _, peak in PEAKS]
    windows = [cut(s, s + L, peak[2]) for s, peak in zip(starts, PEAKS, strict=True)]
    model = open_run(work.y)
    backward = [window.translate(TURNED)[::-1] for window in windows]
    mean = (model.predict(windows).mean + model.predict(backward).mean) / 2
    written = table(tmp_path / "p.tsv")
    np.testing.assert_allclose(written[["Dev", "Hk"]], mean, rtol=1e-4, atol=1e-6)
    assert written["start"].tolist() == starts


def stepped(start, end, stride):
    return [*range(start, end - L, stride), end - L]


@pytest.mark.parametrize("how", ["mean", "maximum", "none"])
def test_peaks_are_cut_into_windows(work, peaks, tmp_path, how):
    out = ("--out", tmp_path / "p.tsv", "--bedgraph", tmp_path / "tracks")
    command = ("predict", work.y, *peaks, "--pad", "flanks", "--stride", 20, "--aggregate", how)
    shown = done(*command, *out)
    written = table(tmp_path / "p.tsv")
    model = open_run(work.y)
    rows, lines = 0, []
    for (start, end, strand, _), name in zip(PEAKS, ["p0", "p1", "p2", "p3"], strict=True):
        wide = end - start >= L
        starts = stepped(start, end, 20) if wide else [middle(start, end)]
        by_hand = model.predict([cut(s, s + L, strand) for s in starts])
        ours = written[written["name"] == name]
        borders = [(a + L + b) / 2 for a, b in pairwise(starts)]
        borders = [start, *(int(border + 0.5) for border in borders), end]
        lines += [(*span, v) for span, v in zip(pairwise(borders),
                                                by_hand.mean[:, 0], strict=True)]  # fmt: skip
        rows += len(starts)
        if how == "none":
            check(ours, by_hand)
            assert ours["start"].tolist() == starts
            assert ours["windows"].tolist() == [1] * len(starts)
            continue
        assert ours["windows"].tolist() == [len(starts)]
        assert (ours["start"].item(), ours["end"].item()) == (starts[0], starts[-1] + L)
        for target, column in enumerate(("Dev", "Hk")):
            best = by_hand.mean[:, target].argmax()
            for part, ending in (("mean", ""), ("epistemic", "_epistemic")):
                values = getattr(by_hand, part)[:, target]
                expected = values.mean() if how == "mean" else values[best]
                assert ours[f"{column}{ending}"].item() == pytest.approx(expected, rel=1e-4)
            if how == "maximum":
                assert ours[f"{column}_start"].item() == starts[best]
    assert f"{len(written)} predictions of {rows} windows, interval: gaussian" in shown.out
    track = pd.read_csv(tmp_path / "tracks" / "Dev.bedGraph", sep="\t", header=None)
    assert track[[1, 2]].to_numpy().tolist() == [[a, b] for a, b, _ in lines]
    np.testing.assert_allclose(track[3], [value for *_, value in lines], rtol=1e-4, atol=1e-6)
    names = {file.name for file in (tmp_path / "tracks").iterdir()}
    assert {"Hk.bedGraph", "Dev_aleatoric.bedGraph", "Hk_epistemic.bedGraph"} <= names
    refused = degu(*command, "--out", tmp_path / "q.tsv", "--bedgraph", tmp_path / "tracks")
    assert (refused.code, "already exists" in refused.err) == (2, True)


def test_sequences_of_any_length_between_adapters(work, tmp_path):
    texts = {"a": GENOME[:28], "b": GENOME[:60], "c": GENOME[:10]}
    (tmp_path / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    command = ("predict", work.y, tmp_path / "s.fa", "--flanks", "AC", "GT", "--pad", "N")
    done(*command, "--resize", "--out", tmp_path / "p.tsv")
    windows = [GENOME[:28], GENOME[16:44], "N" * 9 + GENOME[:10] + "N" * 9]
    by_hand = open_run(work.y).predict([f"AC{window}GT" for window in windows])
    written = table(tmp_path / "p.tsv")
    check(written, by_hand)
    assert written["chrom"].tolist() == list(texts)
    assert written["start"].tolist() == [0, 16, -9]
    assert written["unknown"].tolist() == [0, 0, 18]
    flanks = ("--pad", "flanks", "--flanks", "ACACACACACA", "GTGTGTGTGTG")
    done("predict", work.y, tmp_path / "s.fa", *flanks, "--resize", "--out", tmp_path / "q.tsv")
    windows = ["CA" + GENOME[:28] + "GT", GENOME[14:46], "ACACACACACA" + GENOME[:10]]
    windows[2] += "GTGTGTGTGTG"
    check(table(tmp_path / "q.tsv"), open_run(work.y).predict(windows))


def test_the_edge_of_a_chromosome_is_refused_or_filled(work, peaks, tmp_path):
    (tmp_path / "p.narrowPeak").write_text("chr7\t2\t8\tedge\t0\t-\n")
    refused = degu("predict", work.y, *peaks, "--resize", "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert "fill it up with --pad N, or leave the interval out" in refused.err
    done("predict", work.y, *peaks, "--resize", "--pad", "N", "--out", tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    check(written, open_run(work.y).predict([cut(-11, 21, "-")]))
    assert written[["start", "end", "unknown"]].to_numpy().tolist() == [[-11, 21, 11]]


def test_a_calibration_is_of_windows_not_of_their_mean(work, uncalibrated, peaks, tmp_path):
    from degu_tf.data.hdf5.splits_file import read_splits

    calibrate(uncalibrated, read_splits(work.data), level=0.8)
    command = ("predict", uncalibrated, *peaks, "--pad", "flanks", "--stride", 20, "--level", 0.8)
    refused = degu(*command, "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert "a calibration is of single windows" in refused.err
    shown = done(*command, "--aggregate", "none", "--out", tmp_path / "p.tsv")
    assert "interval: conformal" in shown.out
    shown = done(*command, "--gaussian", "--out", tmp_path / "q.tsv")
    assert "interval: gaussian" in shown.out


def test_maps_of_peaks_say_where_they_were_cut(work, peaks, tmp_path):
    command = ("explain", work.y, *peaks, "--method", "saliency", "--head", "Dev", "--logos", 0)
    refused = degu(*command, "--out", tmp_path / "m")
    assert (refused.code, "--pad N or --pad flanks" in refused.err) == (2, True)
    done(*command, "--pad", "flanks", "--stride", 30, "--out", tmp_path / "m")
    maps = read_maps(tmp_path / "m" / "Dev" / "maps.h5")
    names = [maps.names[row] for row in np.argsort(maps.rows)]
    assert names == [
        "p0 chr7:86-118", "p1 chr7:200-232(-)", "p2 chr7:300-332", "p2 chr7:330-362",
        "p2 chr7:360-392", "p2 chr7:388-420", "p3 chr7:450-482(-)", "p3 chr7:465-497(-)",
    ]  # fmt: skip
    row = names.index("p3 chr7:450-482(-)")
    by_hand = open_run(work.y).predict([cut(450, 482, "-")]).mean[0, 0]
    assert maps.value[maps.rows.tolist().index(row)] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("s.fa --summit", "expected --bed with --summit"),
        ("s.fa --pad flanks", "expected --flanks 5' 3'"),
        ("s.fa --aggregate mean", "expected --stride with --aggregate"),
        ("s.fa --stride 99", "at most 32.*Received: --stride 99"),
        ("s.fa --stride 8 --bedgraph s.fa", "expected an output folder"),
        ("s.fa --resize s.fa", "argument --resize: expected a whole number"),
        ("--bed s.fa --fasta s.fa --pad flanks --flanks A C", "with adapters .* use --resize"),
        ("--bigwig --fasta s.fa --stride 8 --pad N", "leave out --pad and --stride"),
        ("s.fa --flanks ACGTACGTACGTACGT ACGTACGTACGTACGT", "leave no room in 32 bases"),
    ],
)
def test_options_that_do_not_go_together(work, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.fa").write_text(f">a\n{GENOME[:40]}\n")
    refused = degu("predict", work.y, *options.split(), "--out", "p.tsv")
    assert refused.code == 2
    assert re.search(message, refused.err), refused.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.fa"]


def test_windows_of_peaks_that_overlap_are_no_bedgraph(work, peaks, tmp_path):
    (tmp_path / "p.narrowPeak").write_text("chr7\t100\t150\nchr7\t140\t190\n")
    arguments = ("--stride", 9, "--bedgraph", tmp_path / "t", "--out", tmp_path / "p.tsv")
    refused = degu("predict", work.y, *peaks, *arguments)
    assert (refused.code, "bedtools merge" in refused.err) == (2, True)
    assert not (tmp_path / "p.tsv").exists()


def test_reverse_complements_are_those_of_the_package():
    from degu_tf.sequences.encoding import decode, encode

    assert decode(reverse_complement(encode([GENOME]))) == [cut(0, 600, "-")]
