"""A run, a genome and a VCF of all kinds of alleles, and the table that is made of them."""

import shutil
import warnings

import numpy as np
import pysam.bcftools
import pytest

from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf

SIZES = {"chr1": 200, "chr2": 90, "chrM": 40}
HEADER = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##contig=<ID=2>
##contig=<ID=MT>
##contig=<ID=unplaced>
##INFO=<ID=AF,Number=A,Type=Float,Description="share">
##INFO=<ID=NOTE,Number=1,Type=String,Description="anything">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb
"""


@pytest.fixture(scope="session")
def work(tmp_path_factory, student_run):
    """A folder with a student's run, a genome, and a VCF of all kinds of alleles."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(student_run, folder / "run")
    rng = np.random.default_rng(4)
    bases = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    (folder / "g.fa").write_text("".join(f">{name}\n{seq}\n" for name, seq in bases.items()))
    lines = []
    for contig, name in (("1", "chr1"), ("2", "chr2"), ("MT", "chrM")):
        seq = bases[name]
        for start, ref in enumerate(seq):
            others = [base for base in "ACGT" if base != ref]
            kind = rng.integers(9)
            alts = {0: ["*", others[0]], 1: ["<DEL>"], 2: [ref + "GG", others[1]]}.get(kind, others)
            if kind == 3 and start + 4 < len(seq):
                ref, alts = seq[start : start + 4], [ref]
            if kind == 4:
                ref, alts = ref.lower(), [others[0].lower()]
            if kind > 7:
                continue
            info = f"AF={','.join(f'{x:.3f}' for x in rng.random(len(alts)))};NOTE={'x' * 900}"
            row = (contig, start + 1, f"v{start}", ref, ",".join(alts), 30, "PASS", info, "GT")
            lines.append("\t".join(map(str, row)) + "\t./.\t0/1")
    lines.append("unplaced\t1\t.\tA\tC\t.\t.\t.\tGT\t./.\t./.")
    (folder / "v.vcf").write_text(HEADER + "\n".join(lines) + "\n")
    pysam.bcftools.view(
        "-Oz", "-o", str(folder / "v.vcf.gz"), str(folder / "v.vcf"), catch_stdout=False
    )
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
