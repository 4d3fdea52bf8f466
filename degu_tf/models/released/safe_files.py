"""Untrusted HDF5, zip and NumPy files: content is listed and measured before it is read.

An HDF5 file can point to other files, call for decoders, and claim sizes that it does not have; a
zip file can unpack to a thousand times its size. All of that is refused by what the files declare,
before a byte of content is read. Nothing is unpacked to disk.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from degu_tf.utils.errors import InputError
from degu_tf.utils.npy import check_npy

MAX_BYTES = 4 << 30
"""More than any model here has in weights."""

MAX_EXPANSION = 50
"""How many times its size on disk content may have, once it exceeds `FREE_BYTES`."""

FREE_BYTES = 16 << 20
"""Content up to this size is harmless however small the file is."""

MAX_OBJECTS = 100_000

DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
"""What reading a damaged or forged file can end in, wherever in it the damage is."""

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def check_expansion(declared: int, on_disk: int, what: str) -> None:
    """Refuse content that is far larger than the file that holds it.

    Raises
    ------
    InputError
        If it is.
    """
    allowed = min(MAX_BYTES, max(FREE_BYTES, MAX_EXPANSION * on_disk))
    if declared > allowed:
        raise InputError(
            f"{what} would unpack to {declared:,} bytes, far more than weights take; it was "
            f"not unpacked. Received: {on_disk:,} bytes"
        )


def check_zip(archive: zipfile.ZipFile, on_disk: int) -> None:
    """Refuse a zip file that would unpack to too much, or holds a name twice.

    Raises
    ------
    InputError
        If it does.
    """
    entries = archive.infolist()
    check_expansion(sum(entry.file_size for entry in entries), on_disk, "the zip file")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or len(names) > MAX_OBJECTS:
        raise InputError(f"expected different names in a zip file. Received: {names[:8]}")


def npz_arrays(path: str | os.PathLike, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a NumPy `.npz` file by name, after their declared sizes were checked.

    Parameters
    ----------
    path
        The file.
    names
        Arrays to read; others are left unread.

    Raises
    ------
    InputError
        If the file would unpack to too much, or an array declares more than the file holds.
    KeyError, ValueError, zipfile.BadZipFile
        If an array is missing, holds Python objects, or the file is damaged.
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        check_zip(archive, os.path.getsize(path))
        for name in names:
            content = archive.read(f"{name}.npy")
            check_npy(io.BytesIO(content), len(content), name)
            arrays[name] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return arrays


def hdf5_arrays(file: h5py.File, on_disk: int) -> dict[str, h5py.Dataset]:
    """Every array of an HDF5 file by its path, after links, storage and sizes were checked.

    Raises
    ------
    InputError
        If the file points outside itself, holds one thing under two names, calls for a decoder
        that is not HDF5's own, or declares more than it can hold.
    """
    arrays: dict[str, h5py.Dataset] = {}
    seen: set[int] = set()
    pending: list[tuple[str, h5py.Group]] = [("", file)]
    while pending:
        prefix, group = pending.pop()
        for name in group:
            path = f"{prefix}{name}"
            _check_link(group, name, path)
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen or len(seen) > MAX_OBJECTS:
                raise InputError(f"expected each item once. Received: {path} is linked again")
            seen.add(address)
            if isinstance(item, h5py.Group):
                pending.append((f"{path}/", item))
            elif isinstance(item, h5py.Dataset):
                _check_storage(item, path)
                arrays[path] = item
    declared = sum(array.size * array.dtype.itemsize for array in arrays.values())
    check_expansion(declared, on_disk, "the HDF5 file")
    return arrays


def _check_link(group: h5py.Group, name: str, path: str) -> None:
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise InputError(
            "the HDF5 file points to another file, which was not opened. "
            f"Received: {path} is a link to {link.path} in {link.filename}"
        )
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"the HDF5 file holds a soft link. Received: {path}")


def _check_storage(array: h5py.Dataset, path: str) -> None:
    if array.is_virtual:
        raise InputError(
            "the HDF5 file takes an array from elsewhere (a virtual data set); nothing was opened. "
            f"Received: {path}"
        )
    if array.external:
        names = [name for name, _, _ in array.external]
        raise InputError(
            "the HDF5 file takes an array from another file, which was not opened. "
            f"Received: {path} from {', '.join(names)}"
        )
    plist = array.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    if filters - _FILTERS:
        raise InputError(
            f"the HDF5 file calls for decoders {sorted(filters - _FILTERS)}. Received: {path}"
        )


def read_array(array: h5py.Dataset, path: str) -> np.ndarray:
    """A float array as float32.

    Raises
    ------
    InputError
        If it is of another kind, has no values in the file, or float32 cannot hold it.
    """
    if array.dtype.kind != "f" or array.shape is None:
        raise InputError(f"expected float weights. Received: {path} of type {array.dtype}")
    if array.size and not array.id.get_storage_size():
        raise InputError(f"the file declares an array and holds none of it. Received: {path}")
    values = array[()]
    return as_float32(values, path)


def as_float32(values: np.ndarray, path: str) -> np.ndarray:
    """The same numbers as float32.

    Raises
    ------
    InputError
        If they are not all float32 numbers.
    """
    single = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.itemsize > 4 and not np.array_equal(single, values, equal_nan=True):
        raise InputError(
            f"weights of double precision would be rounded. Received: {path} of {values.dtype}"
        )
    return single


def text_list(attributes: Mapping[str, Any], name: str) -> list[str] | None:
    """A list of names that Keras keeps in an attribute, or in several where it is long.

    None where there is no such attribute.
    """
    if name in attributes:
        parts = [attributes[name]]
    else:
        parts = []
        while f"{name}{len(parts)}" in attributes:
            parts.append(attributes[f"{name}{len(parts)}"])
    if not parts:
        return None
    return [text(item) for part in parts for item in np.atleast_1d(part)]


def text(value: Any) -> str:
    """An attribute's text, whichever way HDF5 kept it."""
    return value.decode() if isinstance(value, bytes) else str(value)
