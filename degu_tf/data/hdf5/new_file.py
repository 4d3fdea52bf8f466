"""New HDF5 files, whose writing ends in an error that can be caught where the disk is full.

A write that fails leaves HDF5 in a state in which closing the file, or ending the process, is a
segmentation fault. Where the disk may become full, HDF5 therefore writes through a Python file that
keeps the failure to itself, and the writer asks for it.
"""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

_SPARE = 2**26


class _Output(io.FileIO):
    """A file that never fails: after the first failure, what is written stays in memory."""

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None
        self._later: list[tuple[int, bytes]] = []

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size, start = left.nbytes, self.tell()
        try:
            while left and self.failure is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        if left:
            self._later.append((start + size - left.nbytes, bytes(left)))
            self.seek(start + size)
        return size

    def readinto(self, buffer: Any) -> int:
        start, wanted = self.tell(), memoryview(buffer).cast("B")
        n_read = super().readinto(wanted) or 0
        if self.failure is None:
            return n_read
        wanted[n_read:] = bytes(wanted.nbytes - n_read)
        for first, content in self._later:
            low, high = max(start, first), min(start + wanted.nbytes, first + len(content))
            if low < high:
                wanted[low - start : high - start] = content[low - first : high - first]
        self.seek(start + wanted.nbytes)
        return wanted.nbytes

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.failure is None:
                return super().truncate(size)
        except OSError as error:
            self.failure = error
        return self.tell() if size is None else size


@contextmanager
def new_file(
    path: str | os.PathLike, n_bytes: int, *, checksums: bool = False
) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Create an HDF5 file, and close it at the end of the `with` block.

    Gives the file, and a function to be called now and then while it is written, which raises the
    OSError that ended the writing, if one did.

    Parameters
    ----------
    path
        The file; it is overwritten.
    n_bytes
        Size of the data before compression. On a disk with less room, failures are caught.
    checksums
        Give all metadata checksums, for readers of HDF5 1.10 or later, and date nothing.

    Raises
    ------
    OSError
        If the file cannot be written completely, for example because the disk is full.
    """
    with _Output(path) as output:

        def check() -> None:
            if output.failure is not None:
                failure = output.failure
                raise OSError(failure.errno, failure.strerror, os.fspath(path))

        tight = shutil.disk_usage(Path(path).parent).free < n_bytes + _SPARE
        with h5py.File(_created(path, output if tight else None, checksums)) as file:
            yield file, check
        check()


def _created(path: str | os.PathLike, output: _Output | None, checksums: bool) -> h5py.h5f.FileID:
    """Create the file; a property list that names `output` must not outlive the interpreter."""
    created, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    if checksums:
        created.set_obj_track_times(False)
        access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    if output is not None:
        access.set_fileobj_driver(h5py.h5fd.fileobj_driver, output)
    return h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, created, access)
