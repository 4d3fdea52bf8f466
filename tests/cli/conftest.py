"""Fixtures for tests of the command line: runs of a tiny architecture, and inputs of each kind.

Runs are trained once and shared: tests do not write to their folders.
"""

import shutil
from types import SimpleNamespace

import keras
import pandas as pd
import pytest
from command_line import PAPER, TRAIN, done

from degu_tf.cli import options
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.models import registry
from degu_tf.sequences.encoding import decode


def tiny(input_shape, heads, *, width=1.0):
    """An architecture that trains in a second."""
    sequence = keras.Input(input_shape)
    x = keras.layers.Conv1D(round(8 * width), 5, activation="relu", name="conv")(sequence)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(sequence, keras.layers.Dense(heads.n_columns, name="output")(x))


def add_tiny(patch):
    patch.setitem(registry.ARCHITECTURES, "tiny", tiny)
    patch.setattr(options, "MODEL_NAMES", (*registry.names(),))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    add_tiny(monkeypatch)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Data, teachers of half of them, their student, and what the commands said."""
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        shown = {
            "prepare": done(
                *("prepare", "simulate", "--sizes", 80, 20, 30, "--length", 32, "--seed", 1),
                *("--out", work / "d.h5"),
            ),
            "train": done(
                *("train", work / "d.h5", *TRAIN, "--width", 0.5, "--fraction", 0.5, "--quiet"),
                *("--out", work / "x"),
                terminal=True,
            ),
            "distill": done(
                *("distill", work / "x", work / "d.h5", *PAPER, "--epochs", 2, "--out", work / "y"),
                terminal=True,
            ),
        }
    return SimpleNamespace(folder=work, data=work / "d.h5", x=work / "x", y=work / "y", shown=shown)


@pytest.fixture
def inputs(work, tmp_path):
    """The test sequences as FASTA, table, HDF5 and intervals, in the arguments of `predict`."""
    test = read_splits(work.data).test
    strings, names = decode(test.sequences), [str(name) for name in test.names]
    records = zip(names, strings, strict=True)
    (tmp_path / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in records))
    pd.DataFrame({"name": names, "seq": strings}).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    length, genome = len(strings[0]), "".join(strings)
    (tmp_path / "genome.fa").write_text(f">chr1\n{genome}\n")
    starts = [row * length for row in range(len(names))]
    lines = (f"chr1\t{s}\t{s + length}\t{n}\n" for s, n in zip(starts, names, strict=True))
    (tmp_path / "s.bed").write_text("".join(lines))
    return {
        "fasta": [tmp_path / "s.fa"],
        "table": [tmp_path / "s.tsv"],
        "hdf5": [work.data],
        "bed": ["--bed", tmp_path / "s.bed", "--fasta", tmp_path / "genome.fa"],
    }


@pytest.fixture
def uncalibrated(work, tmp_path):
    """A copy of the teachers' run."""
    return shutil.copytree(work.x, tmp_path / "run")
