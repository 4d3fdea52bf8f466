import bz2
import gzip
import lzma
import struct
import zipfile

import h5py
import numpy as np
import pandas as pd
import pysam
import pytest

from degu_tf.data.bigwig import write_bigwig
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import (
    file_type,
    first_bytes,
    is_fasta,
    is_gzipped,
    open_bytes,
    open_text,
)

MARK = b"\xef\xbb\xbf"


def _bgzip(path):
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(b">chr1\nACGT\n")


def _hdf5(path):
    h5py.File(path, "w").close()


def _zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


WRITERS = {
    "gzip": lambda path: path.write_bytes(gzip.compress(b">chr1\nACGT\n", mtime=0)),
    "bgzip": _bgzip,
    "bzip2": lambda path: path.write_bytes(bz2.compress(b"text")),
    "xz": lambda path: path.write_bytes(lzma.compress(b"text")),
    "zip": _zip,
    "HDF5": _hdf5,
    "parquet": lambda path: pd.DataFrame({"a": [1]}).to_parquet(path),
    "bigWig": lambda path: write_bigwig(path, {"chr1": 4}, [("chr1", 0, np.ones(2))]),
    "unknown": lambda path: path.write_bytes(b">chr1\nACGT\n"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_types_as_their_own_libraries_write_them(tmp_path, kind):
    WRITERS[kind](tmp_path / "file.bw")
    assert file_type(tmp_path / "file.bw") == kind
    assert is_gzipped(tmp_path / "file.bw") == kind.endswith("gzip")
    assert is_fasta(tmp_path / "file.bw") == (kind in ("gzip", "bgzip", "unknown"))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "kind"), [(0x1A412743, "2bit"), (0x888FFC26, "bigWig")])
def test_binary_types_of_either_byte_order(tmp_path, magic, kind, order):
    (tmp_path / "file").write_bytes(struct.pack(f"{order}4I", magic, 0, 0, 0))
    assert file_type(tmp_path / "file") == kind


@pytest.mark.parametrize("start", [b"", b"\x1f", b"\x89HD", b"PK", b"name\tvalue\n"])
def test_short_files_and_text_have_no_type(tmp_path, start):
    (tmp_path / "file.bw").write_bytes(start)
    assert file_type(tmp_path / "file.bw") == "unknown"
    with open_bytes(tmp_path / "file.bw") as handle:
        assert handle.read() == start


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (MARK + b"a\r\nb", "a\nb"),
        (MARK + MARK, "\ufeff"),
        (b"a" + MARK, "a\ufeff"),
        (MARK, ""),
        (MARK[:2] + b"\xbe", "\ufefe"),
        (b"", ""),
    ],
)
def test_only_a_byte_order_mark_at_the_start_is_passed_over(tmp_path, content, text, zipped):
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    with open_text(path, "text") as handle:
        assert handle.read() == text
    raw = content.removeprefix(MARK)
    with open_bytes(path) as handle:
        assert handle.read() == raw
    assert first_bytes(path, "text", 3) == raw[:3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"some text" * 100, mtime=0)[:-9], "expected a whole table"),
        (gzip.compress(b"some text", mtime=0)[:12] + b"\xff" * 20, "expected a whole table"),
        (b"caf\xe9 \xff", "expected a whole table in UTF-8"),
    ],
)
def test_damage_is_refused_with_the_path(tmp_path, content, message):
    path = tmp_path / "table"
    path.write_bytes(content)

    def read():
        with open_text(path, "table") as handle:
            handle.read()

    with pytest.raises(InputError, match=message + r".*Received: .*table"):
        read()
