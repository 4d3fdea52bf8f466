"""File types detected from content, and files opened whether gzipped or not.

A byte-order mark at the start of a text, as Windows programs write it, is never part of the text.
"""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, TextIO, cast

from degu_tf.utils.errors import InputError

FileType = Literal[
    "gzip", "bgzip", "bzip2", "xz", "zip", "HDF5", "2bit", "bigWig", "parquet", "unknown"
]
"""Types that `file_type` detects; text is ``"unknown"``."""

_SIGNATURES: tuple[tuple[bytes, FileType], ...] = (
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"\x89HDF", "HDF5"),
    (b"\x1a\x41\x27\x43", "2bit"),
    (b"\x43\x27\x41\x1a", "2bit"),
    (b"\x26\xfc\x8f\x88", "bigWig"),
    (b"\x88\x8f\xfc\x26", "bigWig"),
    (b"PAR1", "parquet"),
)
_GZIP, _BGZIP_FIELD = b"\x1f\x8b", b"BC\x02\x00"


def file_type(path: str | os.PathLike) -> FileType:
    """Detect the type of a file from its first bytes.

    bgzip (gzip in blocks with random access) is distinguished from plain gzip.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table"
    >>> _ = path.write_bytes(gzip.compress(b"name"))
    >>> file_type(path)
    'gzip'
    """
    with open(path, "rb") as handle:
        start = handle.read(18)
    if start.startswith(_GZIP):
        return "bgzip" if start[12:16] == _BGZIP_FIELD else "gzip"
    return next((kind for magic, kind in _SIGNATURES if start.startswith(magic)), "unknown")


def is_gzipped(path: str | os.PathLike) -> bool:
    """Whether a file is compressed with gzip or bgzip."""
    return file_type(path) in ("gzip", "bgzip")


def open_bytes(path: str | os.PathLike) -> BinaryIO:
    r"""Open a file for reading bytes: decompressed if gzipped, without a byte-order mark.

    Damage shows when it is read; `readable` turns that into an `InputError`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.gz"
    >>> _ = path.write_bytes(gzip.compress(b"\xef\xbb\xbfname"))
    >>> with open_bytes(path) as handle:
    ...     handle.read()
    b'name'
    """
    handle = _opened(path)
    try:
        if handle.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
            handle.read(len(codecs.BOM_UTF8))
    except BaseException:
        handle.close()
        raise
    return cast(BinaryIO, handle)


def has_byte_order_mark(path: str | os.PathLike) -> bool:
    """Whether a file, not decompressed, begins with the byte-order mark of UTF-8."""
    with open(path, "rb") as handle:
        return handle.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def _opened(path: str | os.PathLike) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if is_gzipped(path) else open(path, "rb")


@contextmanager
def open_text(
    path: str | os.PathLike, what: str, *, errors: str = "strict", newline: str | None = None
) -> Iterator[TextIO]:
    r"""Open a file of UTF-8 text, gzipped or not, without a byte-order mark.

    Parameters
    ----------
    path
        The file.
    what
        Kind of file expected, for messages: ``"table"``.
    errors, newline
        As for `open`.

    Raises
    ------
    InputError
        Inside the `with` block, if the file is damaged or not UTF-8.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table"
    >>> _ = path.write_bytes(b"\xef\xbb\xbfname\n")
    >>> with open_text(path, "table") as handle:
    ...     handle.readlines()
    ['name\n']
    """
    with (
        readable(path, what),
        open_bytes(path) as handle,
        io.TextIOWrapper(handle, encoding="utf-8", errors=errors, newline=newline) as text,
    ):
        yield text


@contextmanager
def readable(path: str | os.PathLike, what: str) -> Iterator[None]:
    """Turn the errors of reading a damaged file into an `InputError` that names it.

    Examples
    --------
    >>> with readable("table.gz", "table"):
    ...     raise EOFError("ends early")
    Traceback (most recent call last):
    degu_tf.utils.errors.InputError: expected a whole table (ends early). Received: table.gz
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"expected a whole {what} in UTF-8 ({error}). Received: {path}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"expected a whole {what} ({error}). Received: {path}") from error


def first_bytes(path: str | os.PathLike, what: str, size: int = 64) -> bytes:
    """The first bytes of a file's content: decompressed if gzipped, without a byte-order mark.

    Raises
    ------
    InputError
        If it is damaged.
    """
    with readable(path, what), open_bytes(path) as handle:
        return handle.read(size)


def is_fasta(path: str | os.PathLike) -> bool:
    """Whether a file, gzipped or not, begins as FASTA does; False where it cannot be read."""
    try:
        return first_bytes(path, "FASTA file").lstrip().startswith(b">")
    except InputError:
        return False
