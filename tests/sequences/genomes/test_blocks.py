"""A genome read in blocks gives the tokens of the whole, and broken files are refused."""

import gzip

import numpy as np
import pysam
import pytest

from degu_tf.sequences.encoding import encode
from degu_tf.sequences.genomes import blocks
from degu_tf.sequences.genomes.blocks import contig_lengths, token_blocks
from degu_tf.utils.errors import InputError

CONTIGS = {"chr1": 1000, "scaffold": 7, "chr2": 333}


@pytest.fixture
def letters():
    rng = np.random.default_rng(0)
    return {name: "".join(rng.choice(list("ACGTacgtNnR"), n)) for name, n in CONTIGS.items()}


def write(path, letters, width, end="\n"):
    text = ""
    for name, contig in letters.items():
        text += f">{name} a > b{end}"
        text += "".join(contig[i : i + width] + end for i in range(0, len(contig), width))
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("chunk", [1, 7, 64, 2**20])
@pytest.mark.parametrize(("width", "end"), [(60, "\n"), (5000, "\n"), (11, "\r\n")])
def test_blocks_are_the_genome(tmp_path, letters, monkeypatch, chunk, width, end):
    monkeypatch.setattr(blocks, "_CHUNK_BYTES", chunk)
    path = write(tmp_path / "genome.fa", letters, width, end)
    assert contig_lengths(path) == CONTIGS
    found = {name: [] for name in letters}
    for contig, start, tokens in token_blocks(path, 96):
        assert start == 96 * len(found[contig])
        assert len(tokens) == min(96, CONTIGS[contig] - start)
        found[contig].append(tokens)
    for name, parts in found.items():
        np.testing.assert_array_equal(np.concatenate(parts), encode(letters[name])[0])


def test_gzip_and_index(tmp_path, letters):
    plain = write(tmp_path / "genome.fa", letters, 60)
    packed = write(tmp_path / "genome.fa.gz", letters, 60)
    assert contig_lengths(packed) == CONTIGS
    for one, other in zip(token_blocks(plain, 50), token_blocks(packed, 50), strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_array_equal(one[2], other[2])
    pysam.faidx(str(plain))
    (tmp_path / "genome.fa.fai").read_text()
    assert contig_lengths(plain) == CONTIGS


def test_unwanted_contigs_are_passed_over(tmp_path, letters):
    path = write(tmp_path / "genome.fa", letters, 60)
    assert {contig for contig, *_ in token_blocks(path, 96, {"scaffold", "chr2"})} == {
        "scaffold",
        "chr2",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected contigs with bases"),
        (b"ACGT\n", "headers begin with '>'.*b'ACGT'"),
        (b">chr1\nACGT>chr2\nAC\n", "headers begin with '>'.*b'ACGT'"),
        (b"> chr1\nACGT\n", "name right after '>'"),
        (b">\nACGT\n", "name right after '>'"),
        (b">chr1\n>chr2\nAC\n", "bases. Received: chr1"),
        (b">chr1\nAC\n>chr1\nAC\n", "chr1 twice"),
        (b">chr1", "expected contigs with bases"),
    ],
)
def test_broken_genomes_are_refused(tmp_path, text, message):
    path = tmp_path / "genome.fa"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message):
        contig_lengths(path)


def test_other_letters_and_cut_off_files_are_refused(tmp_path, letters):
    path = tmp_path / "genome.fa"
    path.write_bytes(b">chr1\nACGT\nACE\n")
    with pytest.raises(InputError, match="an invalid character at chr1:6"):
        list(token_blocks(path, 4))
    packed = write(tmp_path / "genome.fa.gz", letters, 60)
    packed.write_bytes(packed.read_bytes()[:200])
    with pytest.raises(InputError, match="whole FASTA file"):
        contig_lengths(packed)
    with pytest.raises(InputError, match="no file at"):
        contig_lengths(tmp_path / "none.fa")
    (tmp_path / "genome.fa.fai").write_text("chr1\tseven\n")
    with pytest.raises(InputError, match=r"index of `samtools faidx`.*line 1"):
        contig_lengths(path)
