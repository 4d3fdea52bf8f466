"""Data that stay in their file: the same rows, read as they are needed."""

import pickle

import h5py
import numpy as np
import pytest

from degu_tf.data.hdf5 import stored_rows, stored_splits
from degu_tf.data.hdf5.rows import Rows
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.hdf5.stored_rows import StoredFile, StoredRows
from degu_tf.data.hdf5.stored_splits import StoredSplit, evaluated
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

N, LENGTH = 57, 12
HEADS = HeadLayout(("a",), aleatoric="std")


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(stored_rows, "HELD", 0)


def split(n, seed=0, profile=False):
    rng = np.random.default_rng(seed)
    shape = (n, LENGTH, 2) if profile else (n, 2)
    names = np.array([f"s{row}" for row in range(n)])
    return Split(rng.integers(0, 5, (n, LENGTH), np.uint8), rng.uniform(size=shape), names)


def pair(path, **options):
    """The same data in memory and in a file."""
    splits = Splits(split(N, **options), split(9, 1, **options), split(8, 2, **options), HEADS)
    write_splits(path, splits)
    return read_splits(path, in_memory="always"), read_splits(path, in_memory="never")


@pytest.mark.parametrize("profile", [False, True])
def test_rows_are_those_of_the_file(tmp_path, profile):
    held, stored = pair(tmp_path / "d.h5", profile=profile)
    assert isinstance(stored.train, StoredSplit)
    assert len(stored.train) == N
    assert repr(stored) == repr(held)
    for name in ("sequences", "targets", "names"):
        expected, rows = getattr(held.train, name), getattr(stored.train, name)
        assert isinstance(rows, StoredRows)
        assert (rows.shape, rows.ndim, len(rows)) == (expected.shape, expected.ndim, N)
        for key in (slice(None), slice(3, 20), slice(20, 3), [5, 1, 5], np.arange(N) > 50, 7, -1):
            assert np.array_equal(rows[key], expected[key]), key
    for name in ("sequences", "targets"):
        assert getattr(stored.train, name).dtype == getattr(held.train, name).dtype


def test_the_fingerprint_is_that_of_the_data_wherever_they_are(tmp_path):
    held, stored = pair(tmp_path / "d.h5")
    assert stored.fingerprint == held.fingerprint
    assert stored.without_uncertainty().fingerprint == held.without_uncertainty().fingerprint


def test_parts_of_rows(tmp_path):
    held, stored = pair(tmp_path / "d.h5", profile=True)
    middle, expected = stored.train.centred(6), held.train.centred(6)
    assert isinstance(middle, StoredSplit)
    assert np.array_equal(middle.sequences[:], expected.sequences)
    assert np.array_equal(middle.targets[4:9], expected.targets[4:9])
    again = middle.targets[:, 1:4][..., 1:]
    assert np.array_equal(again[:], expected.targets[:, 1:4, 1:])
    with pytest.raises(InputError, match="expected rows, or one stretch"):
        middle.targets[:, ::2]


def test_a_subset_is_read_in_the_order_of_memory(tmp_path):
    held, stored = pair(tmp_path / "d.h5")
    assert stored.fraction(0.5).fingerprint == held.fraction(0.5).fingerprint
    assert not isinstance(stored.fraction(0.5).train, StoredSplit)


def test_rows_go_to_other_processes_as_a_path(tmp_path):
    _, stored = pair(tmp_path / "d.h5")
    first = stored.train.sequences[:5]
    sent = pickle.dumps(stored)
    assert len(sent) < 4000
    assert np.array_equal(pickle.loads(sent).train.sequences[:5], first)


def test_one_hot_files_of_other_programs(tmp_path):
    tokens = split(N).sequences
    hot = np.vstack([np.eye(4), np.zeros(4)])[tokens]
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name in ("Train", "Val", "Test"):
            file[f"X_{name}"] = hot.transpose(0, 2, 1)
            file[f"y_{name}"] = np.arange(N, dtype=float)
    stored = read_splits(tmp_path / "d.h5", ["a"], in_memory="never")
    assert np.array_equal(stored.train.sequences[:], tokens)
    assert stored.train.targets.shape == (N, 1)
    whole = read_splits(tmp_path / "d.h5", ["a"])
    assert stored.fingerprint == whole.fingerprint


def test_automatic_is_by_the_memory_of_the_machine(tmp_path, monkeypatch):
    held, _ = pair(tmp_path / "d.h5")
    assert not isinstance(read_splits(tmp_path / "d.h5").train, StoredSplit)
    monkeypatch.setattr(stored_splits, "memory", lambda: 1000)
    assert isinstance(read_splits(tmp_path / "d.h5").train, StoredSplit)
    monkeypatch.setattr(stored_rows, "HELD", 10**6)
    small = read_splits(tmp_path / "d.h5").train
    assert type(small) is Split
    assert np.array_equal(small.targets, held.train.targets)


def test_values_are_checked_as_they_are_read(tmp_path):
    pair(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        file["train/sequences"][40, 3] = 9
    stored = read_splits(tmp_path / "d.h5", in_memory="never")
    with pytest.raises(InputError, match=r"tokens 0 to 4. Received: 9 at position 3 of .*'40'"):
        _ = stored.fingerprint


def test_targets_that_are_missing(tmp_path):
    pair(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        file["train/targets"][41, 0] = np.nan
    with pytest.raises(InputError, match=r"train/targets in .*d.h5: .* be finite.*row 41"):
        read_splits(tmp_path / "d.h5", in_memory="never")


def test_negative_deviations_are_refused_by_their_row(tmp_path):
    pair(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "r+") as file:
        file["train/targets"][33, 1] = -1.0
    with pytest.raises(InputError, match=r"1.8% of a_aleatoric below zero, first -1 at row 33"):
        read_splits(tmp_path / "d.h5", in_memory="never")


def test_a_file_that_changed_is_refused(tmp_path):
    _, stored = pair(tmp_path / "d.h5")
    sent = pickle.dumps(stored.train.sequences)
    write_splits(tmp_path / "d.h5", Splits(split(3), split(9), split(8), HEADS))
    with pytest.raises(InputError, match="which was changed or removed"):
        pickle.loads(sent)[:2]


def test_what_takes_all_rows_says_so(tmp_path):
    _, stored = pair(tmp_path / "d.h5")
    with pytest.raises(InputError, match=r"expected data in memory for this.*in_memory='always'"):
        np.asarray(stored.train.sequences)


def test_what_cannot_stay_in_a_file(tmp_path):
    splits = Splits(split(N), split(9), split(8), HEADS)
    weighted = Split(splits.train.sequences, splits.train.targets, weights=np.ones(N))
    write_splits(tmp_path / "d.h5", Splits(weighted, splits.validation, splits.test, HEADS))
    with pytest.raises(InputError, match=r"no weights.*in_memory='always'"):
        read_splits(tmp_path / "d.h5", in_memory="never")
    with pytest.raises(InputError, match=r"must be one of .*Received: in_memory='no'"):
        read_splits(tmp_path / "d.h5", in_memory="no")


def test_metrics_are_of_as_many_rows_as_may_be_held(tmp_path, monkeypatch):
    held, stored = pair(tmp_path / "d.h5")
    monkeypatch.setattr(stored_rows, "HELD", 20 * (LENGTH + 8))
    with pytest.warns(UserWarning, match="test is larger .*: 20 of its 57 rows"):
        part = evaluated(stored.train, "test")
    assert len(part) == 20
    assert len(set(part.names) & set(held.train.names)) == 20
    assert evaluated(held.train, "test") is held.train


def test_blocks_are_whole_chunks(tmp_path):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("x", (5000, 300), "u1", chunks=(700, 300), compression="gzip")[:] = 1
        rows = Rows(file["x"], (0, 1))
        stored = StoredRows(StoredFile(tmp_path / "d.h5"), rows.name, rows.axes, "tokens")
        assert stored.block_rows == 1400
        assert [len(block) for _, block in stored.blocks()] == [1400, 1400, 1400, 800]
