"""VCFs that begin with a byte-order mark, as Windows programs write it; htslib reads none.

They are read from a copy without the mark. Of a bgzipped file only the first block is compressed
anew, so whatever is damaged or missing further on is so in the copy.
"""

import codecs
import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from degu_tf.utils.file_types import file_type, is_gzipped, readable

_MARK = codecs.BOM_UTF8
_BLOCK_HEAD = 18
"""Bytes of a bgzipped block up to and with its size."""
_END = 28
"""Bytes of the empty block that ends a bgzipped file."""


@contextmanager
def without_mark(path: str | os.PathLike) -> Iterator[str]:
    """Give a VCF's path, or that of a temporary copy without the mark where the file has one.

    Who opened the copy can read it to its end after the `with` block, when its name is gone.

    Parameters
    ----------
    path
        The file, plain or bgzipped.

    Raises
    ------
    InputError
        If its first block is damaged, or the copy cannot be written.
    """
    with readable(path, "VCF or BCF"):
        marked = _has_mark(path)
    if not marked:
        yield os.fspath(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        with readable(path, "VCF or BCF"), open(path, "rb") as file:
            if file_type(path) == "bgzip":
                _write_first_block(copy, file)
            else:
                file.seek(len(_MARK))
            with open(copy, "ab") as target:
                shutil.copyfileobj(file, target, 2**20)
        yield os.fspath(copy)


def _has_mark(path: str | os.PathLike) -> bool:
    with gzip.open(path) if is_gzipped(path) else open(path, "rb") as file:
        return file.read(len(_MARK)) == _MARK


def _write_first_block(copy: Path, file: BinaryIO) -> None:
    """Read the first block of a bgzipped file, and write it without the mark."""
    import pysam

    head = file.read(_BLOCK_HEAD)
    size = int.from_bytes(head[-2:], "little") + 1
    content = gzip.decompress(head + file.read(size - len(head)))
    with pysam.BGZFile(os.fspath(copy), "wb", None) as target:
        target.write(content[len(_MARK) :])
    os.truncate(copy, copy.stat().st_size - _END)
