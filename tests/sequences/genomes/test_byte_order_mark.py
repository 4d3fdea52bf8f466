"""A byte-order mark before FASTA and BED, as Windows programs write it, changes nothing."""

import gzip

import numpy as np
import pytest

from degu_tf.data.sources.cagi5 import read_elements
from degu_tf.data.sources.sequences import read_bed, read_sequences
from degu_tf.sequences.fasta import read_fasta
from degu_tf.sequences.genomes.blocks import contig_lengths, token_blocks
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.stream import GenomeStream
from degu_tf.utils.errors import InputError

GENOME = ">chr1\nACGTAC\nGTTA\n>chr2\nGGCA\n"
ELEMENT = ">SORT1 chr1:101-106\nACGTAC\n"


@pytest.fixture(params=[("", False), ("\ufeff", False), ("\ufeff", True)], ids=["", "mark", "gz"])
def write(request, tmp_path):
    mark, zipped = request.param

    def written(name, text):
        content = (mark + text).encode()
        (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if zipped else content)
        return tmp_path / name

    written.zipped = zipped
    return written


def test_fasta(write):
    path = write("g.fa", GENOME)
    assert read_fasta(path) == (["chr1", "chr2"], ["ACGTACGTTA", "GGCA"])
    assert read_sequences(write("s.fa", ">a\nACGT\n")).names == ["a"]


def test_genomes_read_forwards(write):
    path = write("g.fa", GENOME)
    assert contig_lengths(path) == {"chr1": 10, "chr2": 4}
    tokens = [tokens.tolist() for _, _, tokens in token_blocks(path, 100)]
    assert tokens == [[0, 1, 2, 3, 0, 1, 2, 3, 3, 0], [2, 2, 1, 0]]
    assert GenomeStream(path).fetch("chr1", 0, 2).tolist() == [0, 1]


def test_genomes_read_by_index(write):
    path = write("g.fa", GENOME)
    if write.zipped:
        with pytest.raises(InputError, match="plain or compressed with bgzip, not gzip"):
            open_genome(path)
        return
    for _ in range(2):
        with open_genome(path) as genome:
            assert dict(genome.contigs) == {"chr1": 10, "chr2": 4}
            assert genome.fetch("chr1", 4, 9) == "ACGTT"
            assert genome.fetch("chr2", 0, 4) == "GGCA"
    assert contig_lengths(path) == {"chr1": 10, "chr2": 4}


def test_elements_and_tables_of_their_variants(write):
    with open_genome(write("e.fa", ELEMENT)) as genome:
        assert genome.fetch("chr1", 100, 106) == "ACGTAC"
    header = "Element\tChrom\tPos\tRef\tAlt\tCoefficient\n"
    table = write("t.tsv", header + "SORT1.2\t1\t103\tG\tT\t-0.5\n")
    assert read_elements(table, write("e.fa", ELEMENT)).table["position"].tolist() == [103]


def test_bed(write, tmp_path):
    (tmp_path / "plain.fa").write_text(GENOME)
    found = read_bed(write("i.bed", "chr1\t0\t4\nchr2\t0\t4\n"), tmp_path / "plain.fa")
    assert found.names == ["chr1:0-4", "chr2:0-4"]
    assert np.array_equal(found.sequences, [[0, 1, 2, 3], [2, 2, 1, 0]])
