"""Reading VCFs: what bcftools reads, places to come back to, and files that are refused."""

import gzip

import pysam
import pysam.bcftools
import pytest
from pysam.libcutils import get_encoding_error_handler

from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError
from degu_tf.variants.vcf.reader import TEXT, VcfReader, alternatives

HEADER = """\
##fileformat=VCFv4.2
##contig=<ID=1,length=1000>
##contig=<ID=chr2>
##INFO=<ID=AF,Number=A,Type=Float,Description="share">
##INFO=<ID=NOTE,Number=.,Type=String,Description="anything">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb
"""
LINES = [
    "1\t10\trs1;x\ta\tC,T\t29.50\tPASS\tAF=0.10,0.2\tGT\t0/1\t./.",
    f"1\t10\t.\tA\tG\t.\t.\tNOTE={'long,' * 3000}end\tGT\t.\t./1",
    "1\t12\t.\tAC\tA,*\t.\t.\t.\tGT\t./.\t.",
    "1\t13\t.\tA\t<DEL>,A[chr2:3[\t.\tPASS\t.\tGT\t./.\t.",
    "1\t14\t.\tA\t.\t.\t.\t.\tGT\t./.\t.",
    "chr2\t1\t.\tN\t.C,C.,]1:3]A,R,<*>\t.\t.\t.\tGT\t./.\t.",
]


@pytest.fixture
def vcf(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text(HEADER + "\n".join(LINES) + "\n")
    return path


def other_forms(vcf):
    """The same file as bcftools compresses it, and with a carriage return in each line."""
    for flag, name in (("-Oz", "z.vcf.gz"), ("-Ob", "b.bcf")):
        path = vcf.with_name(name)
        pysam.bcftools.view(flag, "-o", str(path), str(vcf), catch_stdout=False)
        yield path
    path = vcf.with_name("crlf.vcf")
    path.write_bytes(vcf.read_bytes().replace(b"\n", b"\r\n"))
    yield path


def test_records_are_those_of_bcftools(vcf):
    asked = pysam.bcftools.query("-f", "%CHROM %POS %ID %REF %ALT\n", str(vcf)).splitlines()
    lines = [x for x in pysam.bcftools.view(str(vcf)).splitlines() if not x.startswith("#")]
    assert len(asked) == len(LINES)
    for path in (vcf, *other_forms(vcf)):
        with VcfReader(path) as reader:
            records = list(reader)
        read = [(r.contig, r.position, r.id, r.ref, ",".join(r.alts) or ".") for r in records]
        assert [" ".join(map(str, values)) for values in read] == asked
        assert {record.text for record in records} == {None}
        with VcfReader(path, whole=True) as reader:
            assert [record.text for record in reader] == lines
            assert reader.header.splitlines()[-1].endswith("FORMAT\ta\tb")


def test_alternatives_come_with_the_reason_why_they_are_no_sequence(vcf):
    with VcfReader(vcf) as reader:
        found = [alternatives(record) for record in reader]
    assert found[0] == [
        (Variant("1", 10, "a", "C", "rs1;x"), None),
        (Variant("1", 10, "a", "T", "rs1;x"), None),
    ]
    reasons = [[reason for _, reason in alleles] for alleles in found]
    assert reasons[1:] == [
        [None],
        [None, "spanning deletion"],
        ["symbolic allele", "breakend"],
        ["no alternative allele"],
        ["breakend", "breakend", "breakend", None, "symbolic allele"],
    ]


def test_reading_goes_on_from_any_place(vcf):
    for path in (vcf, *other_forms(vcf)):
        with VcfReader(path) as reader:
            records = list(reader)
            for first in (3, 0, 5, 1):
                reader.seek(records[first].place)
                assert list(reader) == records[first:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a whole VCF or BCF with its header"),
        (">chr1\nACGT\n", "expected a whole VCF or BCF with its header"),
        ("1\t2\t.\tA\tC\t.\t.\t.\n", "expected a whole VCF or BCF with its header"),
        (HEADER + "1\tx\t.\tA\tC\t.\t.\t.\n", "record 1 of .*none was read before"),
        (HEADER + LINES[0] + "\n1\t11\t.\tA\n", "record 2 of .*last one read is at 1:10"),
        (HEADER + LINES[2] + "\n" + LINES[0] + "\n", "bcftools sort.*1:10 after 1:12, record 2"),
        (
            HEADER + "\n".join((LINES[0], LINES[5], LINES[2])) + "\n",
            "those of a contig together.*1:12 after chr2 had begun, record 3",
        ),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path, text, message, capfd):
    path = tmp_path / "v.vcf"
    path.write_text(text)
    with pytest.raises(InputError, match=f"(?s){message}") as caught, VcfReader(path) as reader:
        list(reader)
    assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


def test_files_that_are_gzipped_cut_short_or_missing_are_refused(vcf):
    with pytest.raises(InputError, match="which is no file"):
        VcfReader(vcf.with_name("none.vcf"))
    gzipped = vcf.with_name("g.vcf.gz")
    gzipped.write_bytes(gzip.compress(vcf.read_bytes(), mtime=0))
    with pytest.raises(InputError, match=r"with bgzip, not gzip.*gunzip, then bgzip"):
        VcfReader(gzipped)
    bgzipped, _, _ = other_forms(vcf)
    bgzipped.write_bytes(bgzipped.read_bytes()[:-28])
    with pytest.raises(InputError, match="may be truncated"):
        VcfReader(bgzipped)


LATIN = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##source=caf\xe9
##FILTER=<ID=f\xe9,Description="\xfc">
##INFO=<ID=NOTE,Number=1,Type=String,Description="\xe9">
##FORMAT=<ID=FT,Number=1,Type=String,Description="\xe9">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\xe9
1\t5\trs\xe9\tA\tC\t.\tf\xe9\tNOTE=\xff\tFT\t\xe9
1\t6\t\u20ac\tA\t<\xe9>,C\xe9\t.\tPASS\tNOTE=\xe9;XX\xe9\tFT\t\xe9
ch\xe9\t5\t.\tA\tG\t.\tPASS\t.\tFT\t.
"""


def as_bytes(text):
    """Latin-1, but for the euro sign, which is UTF-8."""
    return b"\xe2\x82\xac".join(part.encode("latin-1") for part in text.split("\u20ac"))


def test_text_in_any_encoding_is_read_and_comes_back_unchanged(tmp_path, capfd):
    path = tmp_path / "v.vcf"
    path.write_bytes(as_bytes(LATIN))
    handler = get_encoding_error_handler()
    with VcfReader(path, whole=True) as reader, VcfReader(path) as other:
        assert get_encoding_error_handler() == "surrogateescape"
        other.close()
        records = list(reader)
        header = reader.header.encode(TEXT["encoding"], TEXT["errors"])
    assert get_encoding_error_handler() == handler
    lines = LATIN.splitlines()
    assert [record.text.encode(TEXT["encoding"], TEXT["errors"]) for record in records] == [
        as_bytes(line) for line in lines[-3:]
    ]
    assert all(as_bytes(line) in header.splitlines() for line in lines[:7])
    written = tmp_path / "written"
    with open(written, "w", **TEXT) as file:
        file.writelines(f"{record.contig},{record.id}\n" for record in records)
    assert written.read_bytes() == b"1,rs\xe9\n1,\xe2\x82\xac\nch\xe9,.\n"
    assert [reason for _, reason in alternatives(records[1])] == [
        "symbolic allele",
        "alternative is no sequence of A, C, G, T",
    ]
    assert capfd.readouterr().err == ""


def test_contigs_and_fields_that_the_header_lacks_are_read(tmp_path, capfd):
    path = tmp_path / "v.vcf"
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(head + "X\t5\t.\tA\tC\t.\tq10\tDP=3\nY\t1\t.\tA\tC\t.\t.\tNEW\n")
    with VcfReader(path, whole=True) as reader:
        assert reader.header == "##fileformat=VCFv4.2\n" + (
            '##FILTER=<ID=PASS,Description="All filters passed">\n' + head.splitlines()[1] + "\n"
        )
        assert [record.text.split("\t")[6:] for record in reader] == [["q10", "DP=3"], [".", "NEW"]]
    assert capfd.readouterr().err == ""
