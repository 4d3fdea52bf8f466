import gzip

import numpy as np
import pytest

from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import read_fasta, write_fasta
from degu_tf.utils.errors import InputError


def random_tokens(n_sequences=50, length=31, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n_sequences, length), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.fa", "a.fa.gz"])
def test_fasta_returns_what_was_written(tmp_path, name):
    names, sequences = ["s1", "chr1:5-9(+)", "é"], ["ACGTN", "acg", "RYK" * 500]
    write_fasta(tmp_path / name, names, sequences)
    assert read_fasta(tmp_path / name) == (names, sequences)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith("gz")


def test_gzipped_fasta_has_the_same_bytes_each_time(tmp_path):
    for name in ("a.fa.gz", "b.fa.gz"):
        write_fasta(tmp_path / name, ["s"], ["ACGT"])
    assert (tmp_path / "a.fa.gz").read_bytes() == (tmp_path / "b.fa.gz").read_bytes()


def test_fasta_lines_names_and_line_ends(tmp_path):
    path = tmp_path / "a.fa"
    path.write_bytes(b"\n>s1 first one\nACG\nT\n\n>s2\tx\r\nGG\r\nCC\r\n")
    assert read_fasta(path) == (["s1", "s2"], ["ACGT", "GGCC"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at least one FASTA record.*empty file"),
        (b" \n\n", "at least one FASTA record"),
        (gzip.compress(b"", mtime=0), "at least one FASTA record"),
        (b"name\tsequence\ns1\tACGT\n", r"starts with '>'.*b'name\\tsequence"),
        (b"@s1\nACGT\n+\nIIII\n", "starts with '>'; convert FASTQ"),
        (b">a\nAC\n>b\n>c\nGT\n", "an empty sequence in record 'b'"),
        (b">a\nAC\n>b\n", "an empty sequence in record 'b'"),
        (b">a\nAC\n+\nII\n", r"qualities \(FASTQ\) in record 'a'"),
        (b">a\nAC\n> b\nGT\n", "record 1 without a name"),
        (b">a\nAC\xe9\n", "reading stopped after 0 records"),
        (b"\x1f\x8b\x08\x00", "whole FASTA"),
    ],
)
def test_broken_fasta_is_refused(tmp_path, content, message):
    path = tmp_path / "a.fa"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_fasta(path)
    assert str(path) in str(caught.value)


def test_truncated_gzip_is_refused(tmp_path):
    path = tmp_path / "a.fa.gz"
    texts = decode(random_tokens(4000, 60))
    write_fasta(path, [f"s{index}" for index in range(4000)], texts)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match="whole FASTA file, but reading stopped"):
        read_fasta(path)


def test_missing_fasta_is_refused(tmp_path):
    for path in (tmp_path / "none.fa", tmp_path):
        with pytest.raises(InputError, match=r"expected a FASTA file.*no file at"):
            read_fasta(path)


@pytest.mark.parametrize(
    ("names", "sequences", "message"),
    [
        (["a"], ["AC", "GT"], "1 names, 2 records"),
        (["a", "b c"], ["AC", "GT"], "without white space.*'b c' for record 1"),
        (["a", ""], ["AC", "GT"], "'' for record 1"),
        (["a", None], ["AC", "GT"], "None for record 1"),
        (["a", "b"], ["AC", "G>T"], "'>' at position 1 of record 'b'"),
        (["a", "b"], ["AC", ""], "'' for record 'b'"),
        ([], [], "at least one sequence"),
    ],
)
def test_write_fasta_leaves_nothing_behind_when_refused(tmp_path, names, sequences, message):
    with pytest.raises(InputError, match=message):
        write_fasta(tmp_path / "a.fa", names, sequences)
    assert list(tmp_path.iterdir()) == []
