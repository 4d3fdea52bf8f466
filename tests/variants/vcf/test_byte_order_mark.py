"""A byte-order mark before a VCF, as Windows programs write it, changes nothing."""

import codecs
import gzip
import os
import tempfile

import pysam
import pytest
from variant_files import HEADER

from degu_tf.utils.errors import InputError
from degu_tf.variants.vcf.reader import VcfReader
from degu_tf.variants.vcf.score import score_vcf

MARK = codecs.BOM_UTF8


def bgzip(path, content):
    with pysam.BGZFile(str(path), "wb", None) as file:
        file.write(content)
    return path


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    """Temporary copies go to a known folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture(params=["plain", "bgzip"])
def marked(request, work, tmp_path):
    """The VCF of all kinds of alleles with a mark."""
    content = MARK + (work / "v.vcf").read_bytes()
    if request.param == "bgzip":
        return bgzip(tmp_path / "marked.vcf.gz", content)
    (tmp_path / "marked.vcf").write_bytes(content)
    return tmp_path / "marked.vcf"


def test_records_and_places_are_those_of_the_file_without_it(work, marked):
    with VcfReader(work / "v.vcf", whole=True) as reader:
        header, expected = reader.header, list(reader)
    with VcfReader(marked, whole=True) as reader:
        assert reader.header == header
        records = list(reader)
        assert [(r.position, r.text) for r in records] == [(r.position, r.text) for r in expected]
        for first in (200, 0, len(records) - 1, 1):
            reader.seek(records[first].place)
            assert list(reader) == records[first:]
    assert os.listdir(tempfile.tempdir) == []


def test_outputs_have_the_same_bytes(work, scoring, table, marked, tmp_path):
    score_vcf(scoring, marked, tmp_path / "o.tsv", progress=False)
    assert (tmp_path / "o.tsv").read_bytes() == table.read_bytes()
    for name, vcf in (("marked", marked), ("plain", work / "v.vcf")):
        score_vcf(scoring, vcf, tmp_path / f"{name}.out.vcf.gz", progress=False)
    written = [(tmp_path / f"{name}.out.vcf.gz").read_bytes() for name in ("marked", "plain")]
    assert written[0] == written[1]


def test_a_block_that_holds_only_the_mark_is_skipped(work, tmp_path):
    mark, rest = (bgzip(tmp_path / n, c) for n, c in (("m", MARK), ("r", HEADER.encode())))
    (tmp_path / "v.vcf.gz").write_bytes(mark.read_bytes()[:-28] + rest.read_bytes())
    with VcfReader(tmp_path / "v.vcf.gz") as reader:
        assert reader.header.endswith("a\tb\n")
        assert list(reader) == []


@pytest.mark.parametrize("keep", [-28, 600, 100])
def test_files_cut_short_are_refused_by_their_own_name(work, tmp_path, keep):
    path = bgzip(tmp_path / "v.vcf.gz", MARK + (work / "v.vcf").read_bytes())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError) as caught:
        VcfReader(path)
    assert str(path) in str(caught.value)
    assert tempfile.tempdir not in str(caught.value)
    assert os.listdir(tempfile.tempdir) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MARK, "expected a whole VCF or BCF with its header"),
        (MARK + b">chr1\nACGT\n", "expected a whole VCF or BCF with its header"),
        (gzip.compress(MARK + HEADER.encode(), mtime=0), "bgzip, not gzip.*gunzip, then bgzip"),
    ],
)
def test_other_files_are_refused_as_without_it(tmp_path, content, message):
    path = tmp_path / "v.vcf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        VcfReader(path)
