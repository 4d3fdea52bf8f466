"""What is packed comes out of the filters of HDF5 as what it was."""

import zlib

import h5py
import numpy as np
import pytest

from degu_tf.data.hdf5.packing import pack_runs, pack_tokens
from degu_tf.utils.errors import InputError


def unpacked(packed, shape, folder):
    with h5py.File(folder / "packed.h5", "w") as file:
        how = {"chunks": shape, "compression": "lzf"}
        dataset = file.create_dataset("rows", shape, np.float32, **how)
        dataset.id.write_direct_chunk((0, 0), packed.tobytes())
    with h5py.File(folder / "packed.h5") as file:
        return file["rows"][()]


@pytest.mark.parametrize("n_columns", range(1, 9))
def test_every_length_of_run(tmp_path, n_columns):
    rng = np.random.default_rng(n_columns)
    lengths = np.concatenate([np.arange(1, 150), rng.integers(1, 4, 500), [3000, 1, 20_000, 1]])
    rows = rng.normal(size=(len(lengths), n_columns)).astype(np.float32)
    whole = np.repeat(rows, lengths, axis=0)
    packed = pack_runs(rows, lengths)
    np.testing.assert_array_equal(unpacked(packed, whole.shape, tmp_path), whole)
    assert len(packed) < whole.nbytes


@pytest.mark.parametrize("length", [1, 2, 3, 33, 34, 35, 66, 67, 68])
def test_single_runs(tmp_path, length):
    rows = np.float32([[0.0, np.pi]])
    packed = pack_runs(rows, np.array([length]))
    np.testing.assert_array_equal(
        unpacked(packed, (length, 2), tmp_path), np.repeat(rows, length, axis=0)
    )
    references = -(-(length - 1) // 33)
    short = length % 33 == 2
    assert len(packed) == 9 + 3 * references - short


def test_too_many_columns_are_refused():
    with pytest.raises(InputError, match=r"one to eight columns. Received: 9"):
        pack_runs(np.zeros((1, 9), np.float32), np.array([1]))


@pytest.mark.parametrize("n", [8, 64, 98_304])
def test_tokens_are_unpacked_by_zlib(n):
    tokens = np.random.default_rng(n).integers(0, 5, n, dtype=np.uint8)
    packed = pack_tokens(tokens)
    assert zlib.decompress(packed) == tokens.tobytes()
    assert len(packed) == 14 + 3 * n // 8 + 1 + 4


def test_tokens_are_unpacked_by_hdf5(tmp_path):
    tokens = np.random.default_rng(0).integers(0, 5, (16, 50), dtype=np.uint8)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        how = {"chunks": (8, 50), "compression": "gzip"}
        dataset = file.create_dataset("tokens", (16, 50), np.uint8, **how)
        for start in (0, 8):
            dataset.id.write_direct_chunk((start, 0), pack_tokens(tokens[start : start + 8]))
    with h5py.File(tmp_path / "packed.h5") as file:
        np.testing.assert_array_equal(file["tokens"][()], tokens)


def test_tokens_that_leave_a_byte_half_full_are_refused():
    with pytest.raises(InputError, match=r"multiple of eight tokens. Received: 9"):
        pack_tokens(np.zeros(9, np.uint8))
