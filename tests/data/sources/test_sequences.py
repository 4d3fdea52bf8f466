import gzip
import os

import numpy as np
import pandas as pd
import pysam
import pytest

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.sources.sequences import read_bed, read_sequences
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import decode
from degu_tf.utils.errors import InputError

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
CHR1, CHR2 = "ACGTTGCANNACGGTTACCA", "ttggca"


def turned(text):
    return "".join(COMPLEMENT[base] for base in reversed(text))


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    named = read_sequences(path, **options)
    return named.names, decode(named.sequences)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    lines = [CHR1[start : start + 7] for start in range(0, len(CHR1), 7)]
    path.write_text("\n".join([">chr1 the first", *lines, ">chr2", CHR2, ""]))
    return path


@pytest.fixture
def bed(tmp_path, genome):
    """A function that reads intervals, given as text or bytes, from the genome."""

    def ask(content, length=None, genome=genome):
        path = tmp_path / "some.bed"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        named = read_bed(path, genome, length)
        return named.names, decode(named.sequences)

    return ask


# files of sequences, told apart by content


@pytest.mark.parametrize(
    "content",
    [
        ">a\nACG\n>b x\nTTN\n",
        ">a\r\nACG\r\n>b\r\nTTN\r\n",
        "\n>a\nA\nCG\n>b\nttn\n",
        gzip.compress(b">a\nACG\n>b\nTTN\n", mtime=0),
        "name\tseq\na\tACG\nb\tTTN\n",
        "seq,other,name\r\nACG,1,a\r\nttn,2,b\r\n",
        gzip.compress(b"name;seq\na;acg\nb;TTN\n", mtime=0),
        "seq\tID\nACG\ta\nTTN\tb\n",
    ],
)
@pytest.mark.parametrize("name", ["s.fa", "s.txt", "s.h5"])
def test_fasta_and_tables_are_told_by_content_not_by_name(tmp_path, content, name):
    assert read(tmp_path / name, content) == (["a", "b"], ["ACG", "TTN"])


def test_columns_of_a_table_can_be_named(tmp_path):
    content = "name\tid\tseq\toligo\nx\tp\tAC\tGG\ny\tq\tAC\tGT\n"
    asked = read(tmp_path / "t.tsv", content, sequence="oligo", name="id")
    assert asked == (["p", "q"], ["GG", "GT"])
    assert read(tmp_path / "t.tsv", content) == (["x", "y"], ["AC", "AC"])


def test_rows_without_names_are_numbered(tmp_path):
    assert read(tmp_path / "t.tsv", "seq\nAC\nGT\n") == (["record 0", "record 1"], ["AC", "GT"])


def test_names_stay_as_they_are_written(tmp_path):
    content = ">é_日本\nAC\n>001\nGT\n>001\nGG\n"
    assert read(tmp_path / "s.fa", content)[0] == ["é_日本", "001", "001"]
    assert read(tmp_path / "t.tsv", "name\tseq\n001\tAC\nNA\tGT\n")[0] == ["001", "NA"]


def test_parquet_is_read(tmp_path):
    frame = pd.DataFrame({"seq": ["AC", "GT"], "name": ["a", "b"]})
    frame.to_parquet(tmp_path / "t.tsv")
    named = read_sequences(tmp_path / "t.tsv", length=2)
    assert (named.names, decode(named.sequences)) == (["a", "b"], ["AC", "GT"])
    frame["seq"] = ["AC", None]
    frame.to_parquet(tmp_path / "t.tsv")
    with pytest.raises(InputError, match="Received: nan for record 'b'"):
        read_sequences(tmp_path / "t.tsv", length=2)


def splits_of(sequences, names):
    split = Split(sequences, np.zeros((len(sequences), 3)), names)
    other = Split(sequences[:1], np.zeros((1, 3)), names[:1])
    return Splits(other, other, split, HeadLayout(("a", "b", "c")))


def test_hdf5_gives_the_split_that_is_asked_for(tmp_path):
    tokens = np.array([[0, 1, 4], [3, 2, 0]])
    write_splits(tmp_path / "d.h5", splits_of(tokens, np.array(["x", "y"])))
    named = read_sequences(tmp_path / "d.h5")
    assert (named.names, named.sequences.tolist()) == (["x", "y"], tokens.tolist())
    assert read_sequences(tmp_path / "d.h5", split="train").names == ["x"]
    with pytest.raises(InputError, match=r"split must be one of .*Received: 'val'"):
        read_sequences(tmp_path / "d.h5", split="val")


def test_hdf5_keeps_sequences_that_are_not_one_hot(tmp_path):
    floats = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    write_splits(tmp_path / "d.h5", splits_of(floats, np.array(["x", "y"])))
    np.testing.assert_array_equal(read_sequences(tmp_path / "d.h5").sequences, floats)


def test_columns_that_an_hdf5_file_leaves_open_can_be_named(tmp_path):
    import h5py

    with h5py.File(tmp_path / "d.h5", "w") as file:
        for split in ("Train", "Val", "Test"):
            file[f"{split}/X"] = np.eye(4)[np.array([[0, 1, 2, 3, 0]] * 3)]
            file[f"{split}/y"] = np.zeros((3, 2))
    with pytest.raises(InputError, match="name each of them"):
        read_sequences(tmp_path / "d.h5")
    named = read_sequences(tmp_path / "d.h5", targets=["HepG2", "K562"])
    assert decode(named.sequences) == ["ACGTA"] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a file of sequences. Received: .*, which is empty"),
        (b"\n \n", "which is empty"),
        (gzip.compress(b"", mtime=0), "which is empty"),
        (gzip.compress(b">a\nACG\n", mtime=0)[:-9], r"expected a whole .*Received: .*s\.txt"),
        (b"\x1f\x8b junk", "expected a whole"),
        (b"\x89HDF\r\n\x1a\n junk", "HDF5 file"),
        (bytes(range(128, 256)), "expected a whole table"),
        (b"ACG\nTTN\n", r"the columns \['seq'\] are not in .*Received: the columns \['ACG'\]"),
        (b"name\tSequence\na\tACG\n", "Closest to 'seq' is 'Sequence'"),
        (b"name\tseq\na\tACG\nb\t\n", "Received: '' for record 'b'"),
        (b"name\tseq\na\tACX\n", "'X' at position 2 of record 'a' "),
        (b">a\nACG\n>b\nAC-\n", "'-' at position 2 of record 'b' "),
        (b">a\nACG\n>b\nAC\n", "one length, 3 bases .*Received: 2 bases in record 'b'"),
        (b"seq\tseq\nACG\tACG\n", r"each column once"),
        (b"name\tseq\n", "expected rows below the header"),
    ],
)
def test_what_is_no_file_of_sequences_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path / "s.txt", content)


@pytest.mark.parametrize("name", [".", "none.fa"])
def test_missing_files_and_folders_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"a file of sequences\. Received: .*, which is no file"):
        read_sequences(tmp_path / name)


@pytest.mark.parametrize("content", [">a\nACGT\n>b\nACG\n", "name,seq\na,ACGT\nb,ACG\n"])
def test_the_record_of_another_length_than_the_model_takes_is_named(tmp_path, content):
    with pytest.raises(InputError, match=r"takes sequences of 4 bases.* 3 bases in record 'b'"):
        read(tmp_path / "s.fa", content, length=4)
    with pytest.raises(InputError, match=r"takes sequences of 3 bases.* 4 bases in record 'a'"):
        read(tmp_path / "s.fa", content, length=3)


# intervals of a genome


def test_intervals_are_cut_from_the_genome(bed):
    content = "chr1\t0\t6\nchr2\t0\t6\tpeak\t0\t-\nchr1\t14\t20\t.\t5\t+\nchr1\t5\t11\tx\t0\t.\n"
    names, strings = bed(content, 6)
    assert names == ["chr1:0-6", "peak", "chr1:14-20", "x"]
    assert strings == [CHR1[:6], turned(CHR2.upper()), CHR1[14:], CHR1[5:11]]


@pytest.mark.parametrize(
    "content",
    [
        "# made by hand\ntrack name=x\nbrowser position chr1:1-2\n\nchr1 2 8 p 0 -\n",
        "chr1\t2\t8\tp\t0\t-\r\n",
        gzip.compress(b"chr1\t2\t8\tp\t0\t-\n", mtime=0),
    ],
)
def test_what_else_a_bed_file_may_hold(bed, content):
    assert bed(content) == (["p"], [turned(CHR1[2:8])])


def test_contigs_may_begin_like_header_words(bed, tmp_path):
    path = tmp_path / "odd.fa"
    path.write_text(">track1\nACGTAC\n")
    assert bed("track1\t0\t3\n", genome=path)[1] == ["ACG"]


def test_a_bgzipped_genome_gives_the_same(bed, genome, tmp_path):
    pysam.tabix_compress(str(genome), str(tmp_path / "genome.fa.gz"))
    content = "chr1\t0\t6\nchr2\t0\t6\n"
    assert bed(content, genome=tmp_path / "genome.fa.gz") == bed(content)


def test_the_index_is_made_once_and_its_age_is_noticed(bed, genome):
    index = genome.with_name("genome.fa.fai")
    bed("chr1\t0\t6\n")
    assert index.is_file()
    os.utime(index, (1, 1))
    with pytest.warns(UserWarning, match="the index .* is older than the genome"):
        bed("chr1\t0\t6\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chr1\t0\t5\n", r"line 1 of .*takes 6 bases.*Received: 5 bases, chr1:0-5"),
        ("chr1\t0\t6\nchr1\t6\t0\n", "line 2 of .*Received: -6 bases"),
        ("chr1\t15\t21\n", r"line 1 of .*within chr1, which has 20 bases\. Received: 15-21"),
        ("chr1\t-1\t5\n", "Received: -1-5"),
        ("chr7\t0\t6\n", r"no contig 'chr7'\. Received: .*genome\.fa with chr1, chr2$"),
        ("chrom\tstart\tend\n", r"line 1 of .*chromosome, start and end\. Received: 'chrom"),
        ("chr1\t0\n", "expected chromosome, start and end"),
        ("chr1\t0.0\t6\n", "expected chromosome, start and end"),
        ("chr1\t0\t6\tx\t0\tminus\n", r"the strand, \+ - or \. in column 6. Received: 'minus'"),
        ("", "expected intervals"),
        ("# nothing\n", "expected intervals"),
        (b"chr1\t0\t6\tp\xff\n", "expected a whole BED file in UTF-8"),
        (gzip.compress(b"chr1\t0\t6\n", mtime=0)[:-4], "expected a whole"),
    ],
)
def test_lines_that_are_no_intervals_are_refused(bed, content, message):
    with pytest.raises(InputError, match=message):
        bed(content, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a genome FASTA. Received: .*which is no file"),
        (b"", "or that can be indexed"),
        (b">chr1\nAC\nACGT\nA\n", "can be indexed: lines of one length"),
        (gzip.compress(b">chr1\nACGTAC\n", mtime=0), "compressed with bgzip, not gzip"),
        (b">chr1\nACGXAC\n", "at position 3 of record 'chr1:0-6'"),
    ],
)
def test_what_is_no_genome_is_refused(bed, tmp_path, capfd, content, message):
    path = tmp_path / "other.fa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        bed("chr1\t0\t6\n", genome=path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_bed_file_is_refused(tmp_path, genome):
    with pytest.raises(InputError, match=r"expected a BED file.*which is no file"):
        read_bed(tmp_path / "none.bed", genome)


@pytest.mark.parametrize("bases", [6, 10])
def test_hdf5_of_another_length_is_refused_not_cut(tmp_path, bases):
    """Its middle is another sequence; only models trained on parts of profiles read it."""
    path, names = (
        tmp_path / "d.h5",
        np.array([f"chr1:{bases * row}-{bases * row + bases}" for row in range(2)]),
    )
    sequences = np.random.default_rng(0).integers(0, 4, (2, bases), np.uint8)
    numbers = Split(sequences, np.ones((2, 1)), names)
    profiles = Split(sequences, np.ones((2, bases, 1)), names)
    message = (
        rf"takes sequences of 8 bases. Received: {bases} bases in each of 2 sequences of .*d\.h5"
    )
    for part in (numbers, profiles):
        write_splits(path, Splits(part, part, part, HeadLayout(("a",))))
        for crop in (False, True):
            if crop and part is profiles and bases == 10:
                continue
            with pytest.raises(InputError, match=message):
                read_sequences(path, length=8, crop=crop)
        assert read_sequences(path, length=bases).names == names.tolist()
    if bases == 10:
        middle = read_sequences(path, length=8, crop=True)
        assert middle.sequences.tolist() == sequences[:, 1:9].tolist()
        assert middle.names == ["chr1:1-9", "chr1:11-19"]
