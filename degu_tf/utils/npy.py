"""Arrays in NumPy's file format: what their headers declare, before anything is allocated."""

import math
from typing import IO

import numpy as np

from degu_tf.utils.errors import InputError

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_npy(handle: IO[bytes], size: int, name: str) -> None:
    """Refuse an array whose header declares more values than follow it; NumPy would allocate them.

    Parameters
    ----------
    handle
        At the start of a `.npy` file of `size` bytes; afterwards behind its header.
    size
        Bytes of the whole file.
    name
        Of the array, for the message.

    Raises
    ------
    InputError
        If fewer values are stored than declared.
    ValueError
        If it is not NumPy's format, or of an unknown version.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.zeros(3))
    >>> check_npy(io.BytesIO(file.getvalue()), len(file.getvalue()), "zeros")
    """
    version = np.lib.format.read_magic(handle)
    if version not in _READERS:
        raise ValueError(f"version {version} of NumPy's file format")
    shape, _, dtype = _READERS[version](handle)
    declared, stored = math.prod(shape) * dtype.itemsize, size - handle.tell()
    if declared > stored and not dtype.hasobject:
        raise InputError(
            f"expected all values of {name} in the file, {declared:,} bytes. "
            f"Received: shape {shape}, of which {stored:,} bytes are stored"
        )
