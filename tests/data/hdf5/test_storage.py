"""Files from elsewhere: what they declare is checked before memory is allocated for it."""

import io
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from degu_tf.data.hdf5 import rows
from degu_tf.data.hdf5.labels_file import read_ensemble_labels
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.utils.errors import InputError

HUGE = 10**9
ROLES = {"sequences": ((20,), np.uint8), "targets": ((2,), np.float32)}


@pytest.fixture
def small():
    """No more memory than a few megabytes is allocated meanwhile."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def write(path, odd=None):
    """A file of splits; a function makes the datasets whose path begins as `odd` says."""
    with h5py.File(path, "w") as file:
        for split in ("Train", "Val", "Test"):
            group = file.create_group(split)
            for role, (shape, dtype) in ROLES.items():
                values = np.ones((30, *shape), dtype)
                name, make = odd or (None, None)
                if name and f"{split}/{role}".startswith(name):
                    make(group, role, values)
                else:
                    group[role] = values
    return path


def external(group, name, values):
    other = group.file.filename + ".raw"
    values.tofile(other)
    group.create_dataset(name, values.shape, values.dtype, external=[(other, 0, values.nbytes)])


def virtual(group, name, values):
    other = group.file.filename + ".other"
    with h5py.File(other, "w") as file:
        file["values"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(other, "values", values.shape)
    group.create_virtual_dataset(name, layout)


def unwritten(**how):
    def make(group, name, values):
        group.create_dataset(name, (HUGE, *values.shape[1:]), values.dtype, **how)

    return make


def partly_written(group, name, values):
    dataset = group.create_dataset(
        name, values.shape, values.dtype, chunks=(10, *values.shape[1:]), compression="gzip"
    )
    dataset[:20] = values[:20]


def test_a_plain_file_is_read(tmp_path, small):
    assert len(read_splits(write(tmp_path / "d.h5"), ["a", "b"]).train) == 30


@pytest.mark.parametrize("where", ["Train", "Val/targets", "Test/sequences"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (external, "external storage, which reads other files"),
        (virtual, "a virtual data set, which reads other files"),
        (partly_written, r"3 chunks;.*Received: shape \(30, .*, of which 2 chunks are stored"),
    ],
)
def test_values_outside_the_file_are_refused(tmp_path, small, where, make, message):
    path = write(tmp_path / "d.h5", (where, make))
    with pytest.raises(InputError, match=message):
        read_splits(path, ["a", "b"])


@pytest.mark.parametrize("split", ["Train", "Test"])
@pytest.mark.parametrize(
    ("how", "unit"),
    [
        ({}, "bytes"),
        ({"chunks": True}, "chunks"),
        ({"chunks": True, "compression": "gzip"}, "chunks"),
        ({"chunks": True, "fillvalue": 1}, "chunks"),
    ],
)
def test_rows_that_are_declared_and_not_stored_are_refused(tmp_path, small, split, how, unit):
    path = write(tmp_path / "d.h5", (split, unwritten(**how)))
    message = rf"{split}/.*Received: shape \(1000000000, \d+\), of which 0 {unit} are stored"
    with pytest.raises(InputError, match=message):
        read_splits(path, ["a", "b"])


def test_names_that_are_not_stored_are_refused(tmp_path, small):
    path = write(tmp_path / "d.h5")
    with h5py.File(path, "a") as file:
        file["Train"].create_dataset("names", (HUGE,), "S100", chunks=True)
    with pytest.raises(InputError, match=r"names.*of which 0 chunks are stored"):
        read_splits(path, ["a", "b"])


def test_contiguous_values_past_the_end_of_the_file_are_refused(tmp_path, small):
    path = write(tmp_path / "d.h5")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut off, damaged"):
        read_splits(path, ["a", "b"])


def test_what_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "d.h5")
    monkeypatch.setattr(rows, "memory", lambda: 600)
    read_splits(path, ["a", "b"], in_memory="always")
    monkeypatch.setattr(rows, "memory", lambda: 599)
    with pytest.raises(InputError, match=r"fit into memory.*Received: .*/sequences of shape \(30"):
        read_splits(path, ["a", "b"], in_memory="always")


@pytest.mark.parametrize(
    ("shape", "dtype", "n_bytes"),
    [
        ((10, 8, 4), "f8", 80),
        ((10, 8), "u1", 80),
        ((10, 8), "f8", 320),
        ((10,), "S20", 200),
    ],
)
def test_bytes_in_memory(tmp_path, shape, dtype, n_bytes):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert rows.loaded_bytes(file.create_dataset("a", shape, dtype)) == n_bytes


def npy(shape, content, version=1):
    """An array's file that declares a shape and holds some bytes."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    write = np.lib.format.write_array_header_1_0
    (write if version == 1 else np.lib.format.write_array_header_2_0)(buffer, header)
    return buffer.getvalue() + content


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shape", [(HUGE, 2), (2**62, 2**62), (3, 3)])
def test_labels_that_are_not_stored_are_refused(tmp_path, small, shape, version):
    names = [f"{split}_{role}" for split in ("train", "val", "test") for role in ("mean", "std")]
    good = npy((3, 2), np.ones((3, 2), "<f4").tobytes(), version)
    for bad in (None, names[3]):
        with zipfile.ZipFile(tmp_path / "l.npz", "w") as archive:
            for name in names:
                content = npy(shape, good[-24:], version) if name == bad else good
                archive.writestr(f"{name}.npy", content)
        if bad is None:
            assert read_ensemble_labels(tmp_path / "l.npz")["train"]["mean"].shape == (3, 2)
        else:
            with pytest.raises(InputError, match=r"val_std\.npy.*of which 24 bytes are stored"):
                read_ensemble_labels(tmp_path / "l.npz")


def test_labels_in_hdf5_that_are_not_stored_are_refused(tmp_path, small):
    names = [f"{split}_{role}" for split in ("train", "val", "test") for role in ("mean", "std")]
    with h5py.File(tmp_path / "l.h5", "w") as file:
        for name in names[:-1]:
            file[name] = np.ones((3, 2), np.float32)
        file.create_dataset(names[-1], (HUGE, 2), np.float32, chunks=True)
    with pytest.raises(InputError, match=r"test_std.*of which 0 chunks are stored"):
        read_ensemble_labels(tmp_path / "l.h5")
