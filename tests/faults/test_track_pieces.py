"""Damaged tracks along a genome: stretches and finished tracks are right or predicted anew."""

import shutil
import warnings

import numpy as np
import pytest
from faults.damage import DETECTED, HARMLESS, SILENT, Counts, damages, write

from degu_tf.heads import HeadLayout
from degu_tf.models import genome_tracks
from degu_tf.models.genome_tracks import predict_tracks
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.slow

HEADS = HeadLayout(("ATAC",), epistemic="std")
WINDOW = 16


class Genome:
    """Contigs in memory."""

    contigs = {"chr1": 203, "chr2": 90}  # noqa: RUF012

    def __init__(self):
        rng = np.random.default_rng(0)
        self.bases = {
            name: rng.integers(4, size=n).astype(np.uint8) for name, n in self.contigs.items()
        }

    def fetch(self, contig, start, end):
        return self.bases[contig][start:end]


class Bases:
    """Numbers of the bases themselves."""

    calls = 0

    def predict(self, sequences):
        self.calls += 1
        values = np.asarray(sequences).astype(float) + 0.5
        return HEADS.prediction(np.stack([values, 2 * values], axis=2))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(genome_tracks, "WINDOWS", 4)


def predict(folder, predictor=None):
    files = predict_tracks(predictor or Bases(), Genome(), folder, window=WINDOW, progress=False)
    return {name: file.read_bytes() for name, file in files.items()}


def outcome(folder, expected):
    """What a command does with a folder in which something was damaged."""
    predictor = Bases()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = predict(folder, predictor)
        except InputError:
            return DETECTED
    if found != expected:
        return SILENT
    return DETECTED if said or predictor.calls > 1 else HARMLESS


def corrupt(folder, names, one, counts, expected):
    """Damage each of some files of a folder in each way."""
    rng = np.random.default_rng(1)
    for name in names:
        file = folder / name
        alike = sorted(each for each in file.parent.glob(f"*{file.suffix}") if each != file)
        for what, damage in damages(rng, (alike or [file])[0].read_bytes()):
            shutil.rmtree(one, ignore_errors=True)
            shutil.copytree(folder, one)
            write(one / name, damage(file.read_bytes()))
            counts.add(outcome(one, expected), f"{name}: {what}")


def test_damaged_stretches(tmp_path, monkeypatch):
    expected = predict(tmp_path / "whole")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(genome_tracks, "write_bigwig", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(tmp_path / "out")
    pieces = sorted((tmp_path / "out" / "pieces").glob("*.npy"))
    names = [
        f"pieces/{piece.name}{end}" for piece in (pieces[1], pieces[-1]) for end in ("", ".sum")
    ]
    counts = Counts()
    corrupt(tmp_path / "out", [*names, "tracks.json"], tmp_path / "one", counts, expected)
    counts.check(least=70)


def test_damaged_finished_tracks(tmp_path):
    expected = predict(tmp_path / "out")
    counts = Counts()
    names = ["ATAC.bw", "ATAC_epistemic.bw", "tracks.json"]
    corrupt(tmp_path / "out", names, tmp_path / "one", counts, expected)
    counts.check(least=42)
