"""BigWig tracks: what is written is read back by both libraries, and what is wrong is refused."""

import numpy as np
import pybigtools
import pyBigWig
import pytest

from degu_tf.data.bigwig import BigWig, run_starts, write_bigwig
from degu_tf.utils.errors import InputError

CONTIGS = {"chr1": 5000, "chr10": 300, "chr2": 3000}


@pytest.fixture
def track():
    """Two contigs with runs of 1 to 40 bases, a gap without values, and a third contig of none."""
    rng = np.random.default_rng(0)
    made = {}
    for contig in ("chr2", "chr1"):
        lengths = rng.integers(1, 41, 1000)
        values = np.repeat(rng.normal(size=1000).astype(np.float32), lengths)
        made[contig] = values[: CONTIGS[contig]]
        made[contig][1000:1100] = np.nan
    return made


def cut(track, size):
    for contig, values in track.items():
        for start in range(0, len(values), size):
            yield contig, start, values[start : start + size]


@pytest.mark.parametrize("size", [7, 1000, 10**6])
def test_both_libraries_read_what_was_written(tmp_path, track, size):
    path = tmp_path / "track.bigWig"
    write_bigwig(path, CONTIGS, cut(track, size))
    one, other = pyBigWig.open(str(path)), pybigtools.open(str(path))
    for contig, values in track.items():
        length = len(values)
        np.testing.assert_array_equal(one.values(contig, 0, length, numpy=True), values)
        read = other.values(contig, 0, length, fillna=None)
        np.testing.assert_array_equal(read.astype(np.float32), values)
    assert one.header()["nLevels"] >= 1
    assert [file.name for file in tmp_path.iterdir()] == ["track.bigWig"]


def test_reading_in_blocks_gives_the_whole(tmp_path, track):
    path = tmp_path / "track.bw"
    write_bigwig(path, CONTIGS, cut(track, 999))
    with BigWig(path) as opened:
        assert {name: CONTIGS[name] for name in track} == dict(sorted(opened.contigs.items()))
        blocks = list(opened.blocks("chr1", 700))
        whole = opened.read("chr1", 0, 5000)
        assert opened.read("chr1", 9, 9).shape == (0,)
    assert [start for _, start, _ in blocks] == list(range(0, 5000, 700))
    np.testing.assert_array_equal(np.concatenate([values for *_, values in blocks]), track["chr1"])
    assert whole.dtype == np.float32


def test_float64_and_integers_are_rounded_to_float32(tmp_path):
    path = tmp_path / "track.bw"
    write_bigwig(path, {"a": 4}, [("a", 0, np.array([0.1, 1 / 3])), ("a", 2, np.array([7, 8]))])
    with BigWig(path) as opened:
        np.testing.assert_array_equal(opened.read("a", 0, 4), np.float32([0.1, 1 / 3, 7, 8]))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([("chr3", 0, np.ones(2))], r"expected blocks of the contigs chr1 \(5000\).*chr3:0"),
        ([("chr10", 299, np.ones(2))], "chr10, which has 300 bases. Received: 2 values from"),
        ([("chr1", 5, np.ones(2)), ("chr1", 6, np.ones(2))], "chr1:6 after values up to 7"),
        ([("chr1", -1, np.ones(2))], "chr1:-1 after values up to 0"),
        (
            [("chr1", 0, np.ones(2)), ("chr2", 0, np.ones(2)), ("chr1", 9, np.ones(2))],
            "chr1:9 after the end of chr1",
        ),
        ([("chr1", 8, np.array([1.0, np.inf]))], "finite float32 values. Received: inf at chr1:9"),
        ([("chr1", 0, np.array([1e39]))], "inf at chr1:0"),
        ([("chr1", 0, np.ones((2, 1)))], r"\(n,\), one a base. Received: shape \(2, 1\)"),
        ([("chr1", 0, np.array(["a"]))], "Received: shape .* type <U1"),
        ([("chr1", 0, np.full(3, np.nan))], "at least one value"),
        ([], "at least one value"),
    ],
)
def test_wrong_blocks_are_refused_and_leave_nothing(tmp_path, blocks, message, capfd):
    with pytest.raises(InputError, match=message):
        write_bigwig(tmp_path / "track.bw", CONTIGS, blocks)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_an_exception_of_the_stream_comes_out_and_leaves_nothing(tmp_path, kind):
    def blocks():
        yield "chr1", 0, np.ones(10)
        raise kind("stop")

    with pytest.raises(kind, match="stop"):
        write_bigwig(tmp_path / "track.bw", CONTIGS, blocks())
    assert not list(tmp_path.iterdir())


def test_wrong_names_and_contigs_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in .bw or .bigWig. Received: .*track.txt"):
        write_bigwig(tmp_path / "track.txt", CONTIGS, [])
    with pytest.raises(InputError, match=r"lengths of 1 to 4294967295 bases. Received: 'a' of 0"):
        write_bigwig(tmp_path / "track.bw", {"a": 0}, [])


def test_files_that_are_no_bigwigs_are_refused(tmp_path, track):
    with pytest.raises(InputError, match="Received: no file at"):
        BigWig(tmp_path / "none.bw")
    text = tmp_path / "text.bw"
    text.write_text("chr1 0 10 1.0\n")
    with pytest.raises(InputError, match=r"convert bedGraph or wiggle first.*b'chr1'"):
        BigWig(text)
    whole = tmp_path / "whole.bw"
    write_bigwig(whole, CONTIGS, cut(track, 1000))
    half = tmp_path / "half.bw"
    half.write_bytes(whole.read_bytes()[:900])
    with pytest.raises(InputError, match=r"whole bigWig file.*half.bw"):
        BigWig(half)


def test_bases_outside_are_refused(tmp_path, track):
    path = tmp_path / "track.bw"
    write_bigwig(path, CONTIGS, cut(track, 1000))
    with BigWig(path) as opened:
        for contig, start, end in (("chr9", 0, 1), ("chr1", -1, 3), ("chr1", 0, 5001)):
            with pytest.raises(InputError, match=f"Received: {contig}:{start}-{end}"):
                opened.read(contig, start, end)


def test_damaged_bytes_are_refused(tmp_path):
    path = tmp_path / "track.bw"
    values = np.random.default_rng(0).normal(size=4000)
    write_bigwig(path, {"a": 4000}, [("a", 0, values)])
    damaged = bytearray(path.read_bytes())
    damaged[3000:6000] = bytes(3000)
    path.write_bytes(damaged)
    with BigWig(path) as opened, pytest.raises(InputError, match="a:0-4000 cannot be read"):
        opened.read("a", 0, 4000)


def test_runs_of_several_tracks_begin_where_any_changes():
    rng = np.random.default_rng(1)
    tracks = [rng.integers(0, 2, 200).astype(np.float32) for _ in range(3)]
    tracks[0][50:60] = np.nan
    starts = [0]
    for base in range(1, 200):
        if any(str(track[base]) != str(track[base - 1]) for track in tracks):
            starts.append(base)
    assert run_starts(*tracks).tolist() == starts
    assert run_starts(np.empty(0, np.float32)).tolist() == []
