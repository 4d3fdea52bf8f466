"""A run, a genome and a VCF of all kinds of alleles, and the table that is made of them."""

import shutil
import warnings

import pytest
from variant_files import HEADER, write_variants

from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf


@pytest.fixture(scope="session")
def work(tmp_path_factory, student_run):
    """A folder with a student's run, a genome, and a VCF of all kinds of alleles."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(student_run, folder / "run")
    write_variants(folder)
    return folder


@pytest.fixture(scope="session")
def header():
    """The header of a VCF of that genome."""
    return HEADER


@pytest.fixture(scope="session")
def scoring(work):
    return Scoring(str(work / "run"), str(work / "g.fa"))


@pytest.fixture(scope="session")
def table(work, scoring, tmp_path_factory):
    """The TSV of all variants, scored at once with one block a contig."""
    out = tmp_path_factory.mktemp("table") / "o.tsv"
    score_vcf(scoring, work / "v.vcf", out, progress=False)
    return out


@pytest.fixture(autouse=True)
def _expected_floors():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*standard deviations were below.*")
        yield
