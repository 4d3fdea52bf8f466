"""Predictions along a genome: exact by a known model, resumed, read by another library."""

import os

import numpy as np
import pyBigWig
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.models import genome_tracks
from degu_tf.models.genome_tracks import predict_tracks
from degu_tf.sequences.encoding import encode
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("ATAC", "DNase"), aleatoric="std", epistemic="std")
WINDOW = 16


class Genome:
    """Contigs in memory; `chrS` is shorter than a window, `chrN` ends unknown."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.bases = {
            name: "".join(rng.choice(list("ACGT"), n))
            for name, n in (("chr1", 203), ("chrS", 9), ("chrN", 60))
        }
        self.bases["chrN"] = self.bases["chrN"][:20] + "N" * 40
        self.contigs = {name: len(bases) for name, bases in self.bases.items()}

    def fetch(self, contig, start, end):
        assert 0 <= start <= end <= self.contigs[contig]
        return self.bases[contig][start:end]


class Neighbours:
    """Columns of known form: adenines within one base, and multiples."""

    heads = HEADS
    input_length = WINDOW

    def __init__(self):
        self.calls = 0
        self.stop_at = None

    def fingerprint(self):
        return "neighbours"

    def predict(self, sequences):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return HEADS.prediction(columns(sequences))


def columns(tokens):
    at = np.pad(tokens == 0, ((0, 0), (1, 1))).astype(np.float32)
    count = at[:, :-2] + at[:, 1:-1] + at[:, 2:]
    return np.stack([count * factor + 0.5 for factor in (1, 2, 3, 4, 5, 6)], axis=2)


@pytest.fixture
def genome():
    return Genome()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(genome_tracks, "WINDOWS", 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Bytes of each track of the whole genome, and how often the predictor was called."""
    predictor = Neighbours()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genome_tracks, "WINDOWS", 4)
        folder = tmp_path_factory.mktemp("whole")
        files = predict_tracks(predictor, Genome(), folder, progress=False)
    return {name: file.read_bytes() for name, file in files.items()}, predictor.calls


def contents(files):
    return {name: file.read_bytes() for name, file in files.items()}


def values(path, contig, length):
    with pyBigWig.open(str(path)) as file:
        return np.array(file.values(contig, 0, length))


def test_tracks_are_the_models_answer_along_each_contig(genome, tmp_path):
    files = predict_tracks(Neighbours(), genome, tmp_path / "out", progress=False)
    assert list(files) == list(HEADS.columns)
    for column, file in enumerate(files.values()):
        assert file.name == f"{HEADS.columns[column]}.bw"
        for contig, length in genome.contigs.items():
            expected = columns(encode([genome.bases[contig]]))[0, :, column]
            found = values(file, contig, length)
            known = np.ones(length, bool)
            if contig == "chrN":
                known[:] = ~np.isnan(found)
                assert known[:20].all()
                assert not known[20 + WINDOW :].any()
            np.testing.assert_array_equal(found[known], expected[known])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*(file.name for file in files.values()), "tracks.json"]
    )


def test_an_interrupted_prediction_goes_on_where_it_stopped(genome, tmp_path):
    whole = Neighbours()
    expected = predict_tracks(whole, genome, tmp_path / "whole", progress=False)
    first, second, third = Neighbours(), Neighbours(), Neighbours()
    first.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        predict_tracks(first, genome, tmp_path / "out", progress=False)
    assert not list((tmp_path / "out").glob("*.bw"))
    files = predict_tracks(second, genome, tmp_path / "out", progress=False)
    assert second.calls == whole.calls - 5 + 2
    for name, file in files.items():
        assert file.read_bytes() == expected[name].read_bytes()
    predict_tracks(third, genome, tmp_path / "out", progress=False)
    assert third.calls == 1


def test_a_prediction_that_was_killed_at_its_first_file_goes_on(genome, tmp_path, whole):
    half = tmp_path / ".writing-000000abcdef-tracks.json"
    half.write_text("{")
    os.utime(half, (1, 1))
    files = predict_tracks(Neighbours(), genome, tmp_path, progress=False)
    assert contents(files) == whole[0]
    assert not list(tmp_path.glob(".*"))


def _empty(content):
    return b""


def _flipped(content):
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def _cut(content):
    return content[: len(content) // 2]


def interrupted(genome, folder):
    """The pieces of a prediction that was interrupted after three."""
    predictor = Neighbours()
    predictor.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        predict_tracks(predictor, genome, folder, progress=False)
    return sorted((folder / "pieces").glob("*.npy"))


@pytest.mark.parametrize("damage", [_empty, _flipped, _cut])
@pytest.mark.parametrize("ending", ["", ".sum"])
def test_damaged_pieces_are_predicted_anew(genome, tmp_path, whole, damage, ending):
    pieces, predictor = interrupted(genome, tmp_path), Neighbours()
    assert len(pieces) == 3
    file = pieces[1].with_name(pieces[1].name + ending)
    file.write_bytes(damage(file.read_bytes()))
    files = predict_tracks(predictor, genome, tmp_path, progress=False)
    assert contents(files) == whole[0]
    assert predictor.calls == whole[1] - 3 + 1


def test_exchanged_pieces_are_predicted_anew(genome, tmp_path, whole):
    pieces = interrupted(genome, tmp_path)
    for ending in ("", ".sum"):
        one, other = (piece.with_name(piece.name + ending) for piece in pieces[:2])
        other.write_bytes(one.read_bytes())
    assert contents(predict_tracks(Neighbours(), genome, tmp_path, progress=False)) == whole[0]


def test_a_piece_that_is_damaged_while_tracks_are_written_is_never_joined(
    genome, tmp_path, whole, monkeypatch
):
    write = genome_tracks.write_bigwig

    def damaging(*arguments):
        piece = sorted((tmp_path / "pieces").glob("*.npy"))[-1]
        piece.write_bytes(_flipped(piece.read_bytes()))
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(genome_tracks, "write_bigwig", damaging)
        with pytest.raises(InputError, match="a stretch was changed while"):
            predict_tracks(Neighbours(), genome, tmp_path, progress=False)
    assert contents(predict_tracks(Neighbours(), genome, tmp_path, progress=False)) == whole[0]


def test_damaged_finished_tracks_are_predicted_anew(genome, tmp_path, whole):
    files = predict_tracks(Neighbours(), genome, tmp_path, progress=False)
    (tmp_path / "pieces").mkdir()
    again = Neighbours()
    predict_tracks(again, genome, tmp_path, progress=False)
    assert again.calls == 1
    assert not (tmp_path / "pieces").exists()
    files["ATAC"].unlink()
    for name, damage in zip(list(files)[1:4], (_empty, _flipped, _cut), strict=True):
        files[name].write_bytes(damage(whole[0][name]))
    named = r"DNase\.bw, ATAC_aleatoric\.bw, DNase_aleatoric\.bw$"
    with pytest.warns(UserWarning, match=rf"damaged and are predicted anew: ATAC\.bw, {named}"):
        files = predict_tracks(Neighbours(), genome, tmp_path, progress=False)
    assert contents(files) == whole[0]


def test_some_contigs_and_any_step(genome, tmp_path):
    options = {"contigs": ["chr1"], "progress": False}
    files = predict_tracks(Neighbours(), genome, tmp_path / "out", step=WINDOW - 2, **options)
    with pyBigWig.open(str(files["ATAC"])) as file:
        assert file.chroms() == {"chr1": 203}
        assert (
            file.values("chr1", 0, 203) == columns(encode([genome.bases["chr1"]]))[0, :, 0].tolist()
        )


def test_other_tracks_are_not_written_over(genome, tmp_path):
    options = {"contigs": ["chr1"], "progress": False}
    predict_tracks(Neighbours(), genome, tmp_path / "out", identity={"run": "a"}, **options)
    with pytest.raises(InputError, match=r"made with other settings.*with another run$"):
        predict_tracks(Neighbours(), genome, tmp_path / "out", identity={"run": "b"}, **options)
    with pytest.raises(InputError, match=r"with another step$"):
        predict_tracks(
            Neighbours(), genome, tmp_path / "out", identity={"run": "a"}, step=4, **options
        )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(InputError, match=r"holds other files"):
        predict_tracks(Neighbours(), genome, tmp_path / "full", **options)


class Numbers:
    def predict(self, sequences):
        return HeadLayout(("K562",)).prediction(np.zeros((len(sequences), 1)))


@pytest.mark.parametrize(
    ("predictor", "options", "message"),
    [
        (Neighbours(), {"contigs": ["chr1", "chr9"]}, "which has chr1, chrS, chrN. .*: chr9$"),
        (Neighbours(), {"contigs": []}, "Received: none$"),
        (Numbers(), {}, "expected window="),
        (Numbers(), {"window": 8}, r"each of 8 bases.*shape \(1, 1\)$"),
        (Neighbours(), {"step": 99}, "window=16, step=99"),
    ],
)
def test_what_cannot_be_predicted(genome, tmp_path, predictor, options, message):
    with pytest.raises(InputError, match=message):
        predict_tracks(predictor, genome, tmp_path / "out", progress=False, **options)
