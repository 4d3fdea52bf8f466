"""Whatever an HDF5 file or a table holds: data are read whole, or a named error says why not."""

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from faults.any_input import file_of, only_named_errors, plain_text
from hypothesis import given
from hypothesis import strategies as some

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.sources.table import read_table
from degu_tf.data.splits import Splits

pytestmark = pytest.mark.slow

_PATHS = [
    "X_Train",
    "y_Train",
    "X_train",
    "y_train",
    "x_train",
    "Train/X",
    "Train/y",
    "train/sequences",
    "train/targets",
    "X_Val",
    "y_Val",
    "y_valid",
    "x_valid",
    "y_val",
    "Val/X",
    "validation/sequences",
    "validation/targets",
    "X_Test",
    "y_Test",
    "x_test",
    "y_test",
    "test/X",
    "Test/y",
    "test/sequences",
    "test/targets",
    "labels",
    "a/b/c",
]
_PARTS = [("X_Train", "y_Train"), ("X_Val", "y_Val"), ("X_Test", "y_Test")]
_KINDS = ["one-hot", "tokens", "floats", "integers", "text", "empty", "nan", "channels first"]


def _content(kind, n, width, rng):
    tokens = rng.integers(0, 4, (n, 8))
    return {
        "one-hot": lambda: np.eye(4, dtype=np.int8)[tokens],
        "channels first": lambda: np.eye(4, dtype=np.float32)[tokens].transpose(0, 2, 1),
        "tokens": lambda: tokens.astype(np.uint8),
        "floats": lambda: rng.normal(size=(n, width)),
        "integers": lambda: rng.integers(-9, 9, (n, width)),
        "text": lambda: np.array([b"ACGTACGT"] * n),
        "empty": lambda: np.zeros((0, width)),
        "nan": lambda: np.full((n, width), np.nan),
    }[kind]()


_size = some.integers(0, 5)
_dataset = some.tuples(some.sampled_from(_PATHS), some.sampled_from(_KINDS), _size, _size)


def _write(path, datasets, attributes, rng):
    with h5py.File(path, "w") as file:
        for name, kind, n, width in datasets:
            try:
                file[name] = _content(kind, n, width, rng)
            except (OSError, ValueError, KeyError):  # a group of this name, or within a dataset
                continue
        for name, value in attributes.items():
            file.attrs[name] = value


_names = ["targets", "aleatoric", "epistemic", "format", "missing_targets", "task", "normalisation"]
_attributes = some.dictionaries(
    some.sampled_from(_names),
    some.one_of(some.integers(0, 9), plain_text, some.just(np.array([b"a", b"b"]))),
    max_size=3,
)


@given(some.lists(_dataset, max_size=8), _attributes, some.integers(0, 99))
def test_hdf5_files_of_anything(datasets, attributes, seed):
    _read(datasets, attributes, seed)


_part = some.tuples(
    some.sampled_from(["one-hot", "one-hot", "tokens", "channels first", "floats", "text"]),
    some.sampled_from(["floats", "floats", "integers", "nan", "empty", "one-hot"]),
    some.integers(0, 5),
    some.sampled_from([0, 0, 0, 1]),
)


@given(some.tuples(_part, _part, _part), some.integers(1, 4), _attributes)
def test_hdf5_files_that_nearly_are_data(parts, width, attributes):
    """Three splits under released names, sometimes of the wrong kind, or with a row too many."""
    datasets = []
    for (x, y), (sequences, targets, n, more) in zip(_PARTS, parts, strict=True):
        datasets += [(x, sequences, n, width), (y, targets, n + more, width)]
    _read(datasets, attributes, 0)


def _read(datasets, attributes, seed):
    """Read such a file; what is read is written and read again unchanged."""
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "some.h5", Path(folder) / "again.h5"
        _write(path, datasets, attributes, np.random.default_rng(seed))
        with only_named_errors():
            splits = read_splits(path, progress=False)
            write_splits(again, splits)
            assert read_splits(again, progress=False).fingerprint == splits.fingerprint


_cell = some.one_of(
    some.text("ACGT", min_size=8, max_size=8),
    some.sampled_from(
        [
            "",
            "NA",
            "nan",
            "1",
            "0.5",
            "-2",
            "inf",
            "1e400",
            "train",
            "val",
            "test",
            "x",
            "ACGN",
            "é",
            '"',
        ]
    ),
)


@given(
    some.sampled_from(["\t", ",", ";"]),
    some.lists(some.lists(_cell, min_size=4, max_size=4), max_size=12),
    some.booleans(),
    some.sampled_from(["refuse", "keep"]),
    some.sampled_from([None, "split"]),
    some.sampled_from([None, "w"]),
)
def test_tables_of_anything(separator, rows, drop, missing, split, weight):
    lines = [["seq", "activity", "split", "w"], *rows]
    content = "\n".join(separator.join(line) for line in lines) + "\n"
    with file_of(content, "some.tsv") as path, only_named_errors():
        splits = read_table(
            path,
            targets=["activity"],
            drop_missing=drop,
            missing_targets=missing,
            split=split,
            weight=weight,
        )
        assert 0 < sum(len(part) for _, part in splits.items()) <= len(rows)


@given(
    some.lists(
        some.tuples(
            some.text("ACGT", min_size=8, max_size=8),
            *[some.one_of(some.floats(width=32), some.none())] * 3,
        ),
        max_size=14,
    ),
    some.booleans(),
    some.sampled_from([False, True, ["activity"]]),
    some.floats(0, 10),
    some.sampled_from(["refuse", "keep"]),
)
def test_replicates_of_anything(rows, drop, log2, pseudocount, missing):
    frame = pd.DataFrame(rows, columns=["seq", "r1", "r2", "r3"])
    with only_named_errors():
        splits = read_table(
            frame,
            replicates={"activity": ["r1", "r2", "r3"]},
            drop_missing=drop,
            log2=log2,
            pseudocount=pseudocount,
            missing_targets=missing,
        )
        assert sum(len(part) for _, part in splits.items()) <= len(rows)


_numbers = some.one_of(some.floats(-9, 9), some.just(np.nan), some.just(np.inf))


@given(
    some.lists(
        some.lists(some.text("ACGT", min_size=8, max_size=8), max_size=5), min_size=3, max_size=3
    ),
    some.lists(some.lists(_numbers, max_size=5), min_size=3, max_size=3),
    some.sampled_from([None, ["a"], ["a", "b"], "a", []]),
    some.sampled_from(["refuse", "keep"]),
)
def test_arrays_of_anything(sequences, values, targets, missing):
    arrays = [each for pair in zip(sequences, map(np.array, values), strict=True) for each in pair]
    with only_named_errors():
        splits = Splits.from_arrays(*arrays, targets=targets, missing_targets=missing)
        assert [len(part) for _, part in splits.items()] == [len(each) for each in sequences]
