import gzip
import os
import pickle
import re
import struct
import sys
import warnings

import numpy as np
import pysam
import pytest

from degu_tf.sequences.genomes.open import open_genome, using_genome
from degu_tf.utils.errors import InputError

CHR1 = "ACGTNNNNacgtRYTTGCANCG"
CHR1_READ = "ACGTNNNNACGTNNTTGCANCG"
CHRM = "GGTC"
ELEMENT = "ACGTTGCAACGGttna"


def twobit(contigs):
    """A 2bit file, as its format's description has it."""
    index, records = b"", b""
    place = 16 + sum(5 + len(name) for name in contigs)
    for name, bases in contigs.items():
        index += bytes([len(name)]) + name.encode() + struct.pack("<I", place + len(records))
        spans = [[m.span() for m in re.finditer(p, bases)] for p in ("[Nn]+", "[a-z]+")]
        records += struct.pack("<I", len(bases))
        for found in spans:
            starts, sizes = [a for a, _ in found], [b - a for a, b in found]
            records += struct.pack(f"<I{2 * len(found)}I", len(found), *starts, *sizes)
        records += struct.pack("<I", 0)
        codes = ["TCAG".find(base) % 4 for base in bases.upper() + "T" * (-len(bases) % 4)]
        records += bytes(
            64 * a + 16 * b + 4 * c + d
            for a, b, c, d in zip(*(codes[i::4] for i in range(4)), strict=True)
        )
    return struct.pack("<4I", 0x1A412743, 0, len(contigs), 0) + index + records


@pytest.fixture(params=["plain", "bgzip", "2bit"])
def genome(request, tmp_path):
    """The same two contigs in each form; the file's name says nothing."""
    path = tmp_path / "genome"
    if request.param == "2bit":
        pytest.importorskip("py2bit")
        path.write_bytes(twobit({"chr1": CHR1.replace("R", "N").replace("Y", "N"), "chrM": CHRM}))
    else:
        lines = [CHR1[start : start + 7] for start in range(0, len(CHR1), 7)]
        text = "\n".join([">chr1 the first", *lines, ">chrM", CHRM, ""])
        path.write_text(text)
        if request.param == "bgzip":
            pysam.tabix_compress(str(path), str(tmp_path / "zipped"))
            path = tmp_path / "zipped"
    with open_genome(path) as opened:
        yield opened


@pytest.fixture
def written(tmp_path):
    def write(content, name="some.fa"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# whole genomes


def test_contigs_have_their_names_and_lengths(genome):
    assert dict(genome.contigs) == {"chr1": 22, "chrM": 4}


def test_every_span_is_what_plain_slicing_gives(genome):
    padded = {"chr1": "N" * 9 + CHR1_READ + "N" * 9, "chrM": "N" * 9 + CHRM + "N" * 9}
    rng = np.random.default_rng(0)
    for _ in range(300):
        contig = ("chr1", "chrM")[rng.integers(2)]
        length = genome.contigs[contig]
        start, end = np.sort(rng.integers(-8, length + 9, size=2)).tolist()
        touches = start < length and end > 0
        assert genome.covers(contig, start, end) == touches
        if touches:
            assert genome.fetch(contig, start, end) == padded[contig][start + 9 : end + 9]
        else:
            with pytest.raises(InputError, match=rf"touch {contig}, which has {length} bases"):
                genome.fetch(contig, start, end)


def test_windows_may_run_over_the_ends_of_contigs(genome):
    assert genome.bounds("chr1", 0) is genome.bounds("1", 21) is None
    for position in (-1, 22):
        with pytest.raises(InputError, match="positions that touch chr1"):
            genome.bounds("chr1", position)


def test_names_of_another_convention_are_translated(genome):
    assert [genome.contig(name) for name in ("chr1", "1", "MT", "M", "chrMT", "chrM")] == (
        ["chr1"] * 2 + ["chrM"] * 4
    )
    assert genome.contig("chr2") is genome.contig("chr") is genome.contig("") is None
    assert genome.fetch("MT", 1, 3) == "GT"
    assert not genome.covers("2", 0, 1)
    for ask in (lambda: genome.fetch("2", 0, 1), lambda: genome.bounds("2", 0)):
        with pytest.raises(InputError, match=r"no contig '2'\. Received: .* with chr1, chrM$"):
            ask()


def test_names_without_chr_are_translated_too(written):
    with open_genome(written(">1\nAC\n>MT\nGG\n>chr2\nT\n>2\nA\n")) as genome:
        assert [genome.contig(name) for name in ("chr1", "chrM", "2", "chr2")] == [
            *("1", "MT", "2", "chr2")
        ]


def test_a_pickled_genome_opens_its_file_again(genome):
    copy = pickle.loads(pickle.dumps(genome))
    genome.close()
    with copy:
        assert copy.fetch("chr1", -1, 5) == "NACGTN"
        assert (copy.path, dict(copy.contigs)) == (genome.path, dict(genome.contigs))


def test_windows_from_all_over_a_long_contig(written):
    bases = "".join(np.random.default_rng(1).choice(list("ACGTn"), 60_000))
    lines = [bases[start : start + 60] for start in range(0, len(bases), 60)]
    rng = np.random.default_rng(2)
    starts = np.concatenate([np.arange(0, 59_000, 97), rng.integers(0, 59_000, 200)]).tolist()
    with open_genome(written("\n".join([">chr1", *lines, ">chr2", "GATTACA" * 9000]))) as genome:
        for start in starts:
            assert genome.fetch("chr1", start, start + 230) == bases[start : start + 230].upper()
            assert genome.fetch("chr2", start, start + 3) == ("GATTACA" * 9000)[start : start + 3]
        assert genome.fetch("chr1", 0, 60_000) == bases.upper()


def test_the_index_is_made_once_and_its_age_is_noticed(written):
    path = written(">chr1\nACGT\n")
    open_genome(path).close()
    index = path.with_name("some.fa.fai")
    assert index.is_file()
    os.utime(index, (1, 1))
    with pytest.warns(UserWarning, match="the index .* is older than the genome") as caught:
        genome = open_genome(path)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(genome)).close()
    genome.close()


def test_an_index_of_another_genome_is_noticed(written):
    path = written(">chr1\nACGT\n")
    path.with_name("some.fa.fai").write_text("chr1\t400\t6\t4\t5\n")
    with (
        open_genome(path) as genome,
        pytest.raises(InputError, match=r"cannot read chr1.* its index belongs"),
    ):
        genome.fetch("chr1", 0, 300)


def test_letters_that_are_no_dna_are_named(written):
    with open_genome(written(">chr1\nACGTACXT\n")) as genome:
        assert genome.fetch("chr1", 0, 6) == "ACGTAC"
        with pytest.raises(InputError, match=r"'X' at position 4 of record 'chr1:2-8'"):
            genome.fetch("chr1", 2, 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a genome FASTA. Received: .*which is no file"),
        (b"", "or that can be indexed"),
        (b">chr1\nAC\nACGT\nA\n", "can be indexed: lines of one length"),
        (
            gzip.compress(b">chr1\nACGTAC\n", mtime=0),
            r"with bgzip, not gzip.*\(gunzip, then bgzip\)",
        ),
        (gzip.compress(b">chr1\nACGTAC\n", mtime=0)[:15], "expected a whole"),
        (struct.pack("<4I", 0x1A412743, 0, 1, 0), "expected a whole 2bit file"),
    ],
)
def test_what_is_no_genome_is_refused_in_one_message(tmp_path, written, capfd, content, message):
    path = tmp_path / "none.fa" if content is None else written(content)
    with pytest.raises(InputError, match=message) as caught:
        open_genome(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_2bit_file_that_was_cut_short_is_refused(written):
    pytest.importorskip("py2bit")
    whole = twobit({"chr1": "ACGT" * 5000, "chr2": "ACGT"})
    for size in (20, 60, 3000, len(whole) - 1):
        with pytest.raises(InputError, match="expected a whole 2bit file"):
            open_genome(written(whole[:size]))


def test_2bit_without_its_reader_names_the_extra(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "py2bit", None)
    with pytest.raises(InputError, match=r'pip install "degu_tf\[twobit\]"'):
        open_genome(written(twobit({"chr1": "ACGT"})))


# elements


@pytest.mark.parametrize(
    "header",
    [
        "chr1:101-116",
        "SORT1 hg19 chr1:101-116 (1-based inclusive)",
        "SORT1 range=chr1:101-116 5'pad=0 3'pad=0 strand=+",
        "SORT1 chr1:1,01-1,16(+)",
        "SORT1::chr1:101-116",
        "SORT1::chr1:100-116",
        "chr1:5-9::chr1:100-116(+)",
        "a=b::chr1:100-116",
    ],
)
@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode(), mtime=0)])
def test_elements_are_known_by_their_headers(written, header, pack):
    path = written(pack(f">{header}\n{ELEMENT[:5]}\r\n{ELEMENT[5:]}\n\n"))
    with open_genome(path) as genome:
        assert dict(genome.contigs) == {"chr1": 116}
        assert genome.bounds("1", 100) == genome.bounds("chr1", 115) == (100, 116)
        assert genome.fetch("1", 100, 116) == ELEMENT.upper()
        assert pickle.loads(pickle.dumps(genome)).fetch("chr1", 102, 104) == ELEMENT[2:4]
        for start, end in ((99, 104), (113, 117), (0, 5), (50, 150)):
            assert not genome.covers("chr1", start, end)
            with pytest.raises(InputError, match=rf"100-116 \(0-based\)\. Received: {start}-{end}"):
                genome.fetch("chr1", start, end)
        for position in (99, 116):
            with pytest.raises(InputError, match="expected positions within one element"):
                genome.bounds("chr1", position)
    assert not path.with_name("some.fa.fai").exists()


def test_elements_that_overlap_or_touch_are_one(written):
    records = ">a chr1:1-4\nACGT\n>b chr1:3-8\nGTCCAA\n>c chr1:20-20\nA\n"
    records += ">d chr2:11-12\nTT\n>e chr2:1-1\nC\n>f chr2:2-3\nGG\n"
    with open_genome(written(records)) as genome:
        assert dict(genome.contigs) == {"chr1": 20, "chr2": 12}
        assert [genome.bounds("chr1", p) for p in (0, 1, 2, 3, 7, 19)] == [
            *[(0, 8)] * 5,
            (19, 20),
        ]
        assert genome.bounds("chr2", 0) == (0, 3)
        assert genome.fetch("chr1", 0, 8) == "ACGTCCAA"
        assert genome.fetch("chr2", 0, 3) == "CGG"
        assert not genome.covers("chr1", 0, 9)
        assert not genome.covers("chr2", 2, 11)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (">a chr1:1-5\nACGT\n", r"'a': its header says chr1:1-5, which is 5 .*Received: 4 bases"),
        (">chr1:0-4\nACGT\n", r"fits a start counted from 0: add 1\. Received: 4 bases"),
        (">a chr1:8-5\nACGT\n", "its header says chr1:8-5, which is -2 bases"),
        (">a chr1:1-4\nACGT\n>b\nACGT\n", r"in every header or in none.*Received: 'b'"),
        (">a chr1:1-4\nACGT\n>b chr1:3-6\nGACC\n", r"agree where they overlap.*'a'.*chr1:2-4"),
        (">a chr1:1-4\nAC-T\n", "'-' at position 2 of record 'a'"),
        (">chr1:1-4(-)\nACGT\n", r"elements on the \+ strand"),
        (">a::chr1:0-4(-)\nACGT\n", r"elements on the \+ strand"),
        (">a::chr1:0-4\nACGT\n>b::chr1:9-10\nAC\n", r"'a::chr1:0-4': .* counted from 0: add 1\."),
        (">a::chr1:0-4\nACGT\n>b chr1:8-10\nAC\n", r"'a::chr1:0-4': .*which is 5 bases.*add 1"),
        (">a::chr1:0-4\nACG\n", r"which is 5 bases.*Received: 3 bases"),
        (">chr1:1-4/rc\nACGT\n", r"elements on the \+ strand"),
        (">a range=chr1:1-4 strand=-\nACGT\n", r"elements on the \+ strand"),
    ],
)
def test_elements_that_contradict_their_headers_are_refused(written, records, message):
    with pytest.raises(InputError, match=message):
        open_genome(written(records))


def test_headers_that_only_look_like_locations_do_not_make_elements(written):
    text = ">chr1 LN:4\nACGT\n>chrY hm:10001-2781479,56887903-57217415\nACGT\n>c x:1-9\nAC\n"
    with open_genome(written(text)) as genome:
        assert dict(genome.contigs) == {"chr1": 4, "chrY": 4, "c": 2}


@pytest.mark.parametrize(
    "header",
    [
        "chr1  AC:CM000663.2  gi:568336023  LN:8  rl:Chromosome  M5:6aef  AS:GRCh38",
        "chrY  AC:CM000686.2  LN:8  rl:Chromosome  AS:GRCh38  hm:10001-2781479",
        "chr1_KI270762v1_alt  AC:KI270762.1  LN:8  rg:chr1:2448811-2791270  rl:alt-scaffold",
        "chr1\tLN:8\thm:1-2",
    ],
)
def test_headers_of_analysis_sets_are_of_whole_contigs(written, header):
    path = written(f">{header}\nACGTACGT\n")
    with open_genome(path) as genome:
        assert dict(genome.contigs) == {header.split()[0]: 8}
        assert genome.bounds(header.split()[0], 3) is None
        assert genome.fetch(header.split()[0], 2, 10) == "GTACGTNN"


def test_elements_of_bedtools_count_from_0_if_all_do(written):
    records = ">p::chr1:2-6\nACGT\n>q::chr2:0-3(+)\nGGC\n>r::HLA-A*01:01:5-6\nT\n"
    with open_genome(written(records)) as genome:
        assert genome.fetch("1", 2, 6) == "ACGT"
        assert genome.fetch("2", 0, 3) == "GGC"
        assert genome.fetch("HLA-A*01:01", 5, 6) == "T"


def test_a_path_is_closed_after_use_and_an_open_genome_is_not(written):
    path = written(">chr1\nACGT\n")
    with using_genome(path) as genome:
        assert genome.fetch("chr1", 0, 2) == "AC"
    with pytest.raises(InputError, match=r"cannot read chr1:2-4 "):
        genome.fetch("chr1", 2, 4)
    with open_genome(path) as genome:
        with using_genome(genome) as same:
            assert same is genome
        assert genome.fetch("chr1", 2, 4) == "GT"


def test_the_real_elements(real_data):
    for name, span in (("PKLR", (155271185, 155271656)), ("SORT1", (109817272, 109817874))):
        with open_genome(real_data / f"cagi5/{name}_element_hg19.fa") as genome:
            assert genome.bounds("1", span[0]) == span
            assert len(genome.fetch("chr1", *span)) == span[1] - span[0]
