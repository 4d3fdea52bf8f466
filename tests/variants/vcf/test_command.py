"""`degu variants`: what it prints, its exit codes, and its options."""

import contextlib
import io
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from degu_tf import cli
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.uncertainty.calibration import calibrate
from degu_tf.variants.scorer import BLOCK, NORMALISED, VariantScorer
from degu_tf.variants.vcf import score
from degu_tf.variants.vcf.outputs import info_keys
from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import CHUNK, score_vcf


def degu(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="default"),
    ):
        try:
            code = cli.main(["variants", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def test_the_command_says_what_it_did(work, table, tmp_path):
    out = tmp_path / "o.tsv"
    command = (work / "run", "--vcf", work / "v.vcf.gz", "--fasta", work / "g.fa", "--out", out)
    done = degu(*command, "--quiet")
    assert done.code == 0, done.err
    assert out.read_bytes() == table.read_bytes()
    reasons = pd.read_csv(f"{table}.skipped.tsv", sep="\t")["reason"].value_counts()
    for reason, count in reasons.items():
        assert f"{count:10d} {reason}\n" in done.out
    n = len(out.read_text().splitlines()) - 1
    assert f"Wrote {out}: {n} variants on 3 contigs, interval: gaussian\n" in done.out
    again = degu(*command, "--quiet")
    assert again.code == 2
    assert "already exists, overwrite it with --force" in again.err
    shown = degu(*command, "--force", "--flanks", "ACGT", "gg", "--shifts", "0", "-3", "3",
                 "--average-strands", "--level", "0.9", "--uncertainty", "alternative")  # fmt: skip
    assert shown.code == 0, shown.err
    other = pd.read_csv(out, sep="\t")
    assert len(other) == n
    assert not np.allclose(other["Dev_effect"], pd.read_csv(table, sep="\t")["Dev_effect"])


def test_elements_shorter_than_the_model_are_padded_if_asked(work, student, tmp_path):
    bases = "ACGTTGCAACCTGATTCAGTGGAT"
    (tmp_path / "e.fa").write_text(f">e chr1:101-124\n{bases}\n")
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t103\t.\tG\tC\t.\t.\t.\n"
    )
    command = (work / "run", "--vcf", tmp_path / "v.vcf", "--fasta", tmp_path / "e.fa", "--quiet")
    out = tmp_path / "o.tsv"
    refused = degu(*command, "--out", out)
    assert refused.code == 3
    assert "its element is shorter than the window (--pad fills them up)\n" in refused.out
    done = degu(*command, "--out", out, "--pad", "N", "--force")
    assert done.code == 0, done.err
    row = pd.read_csv(out, sep="\t").iloc[0]
    by_hand = student.predict(["NNNN" + bases + "NNNN", "NNNNACC" + bases[3:] + "NNNN"]).mean
    np.testing.assert_allclose([row["Dev_ref"], row["Dev_alt"]], by_hand[:, 0], rtol=1e-4)
    assert row["unknown"] == 8
    for genome, message in (("g.fa", "FASTA of elements to pad"), ("e.fa", "expected --flanks")):
        fasta = (work if genome == "g.fa" else tmp_path) / genome
        pad = "N" if genome == "g.fa" else "flanks"
        refused = degu(work / "run", "--vcf", tmp_path / "v.vcf", "--fasta", fasta, "--pad", pad,
                       "--out", tmp_path / "p.tsv")  # fmt: skip
        assert (refused.code, message in refused.err) == (2, True), refused.err


def test_padding_is_part_of_what_made_the_numbers_only_where_it_is_asked_for(work, student):
    genome = open_genome(work / "g.fa")
    plain = Scoring(str(work / "run"), str(work / "g.fa"))
    assert "pad" not in plain.identity(student, False, genome)
    padded = Scoring(str(work / "run"), str(work / "g.fa"), pad="N")
    assert padded.identity(student, False, genome)["pad"] == "N"


def test_the_help_names_the_columns_of_left_aligned_alleles(table):
    shown = " ".join(degu("--help").out.split())
    assert "alleles are left-aligned against the genome" in shown
    columns = table.read_text().split("\n", 1)[0].split("\t")
    assert columns[-3:] == list(NORMALISED)
    assert all(name in shown for name in NORMALISED)
    (field,) = (word for word in shown.split() if word.startswith("DEGU_"))
    assert field in info_keys(["Dev"])


REASONS = [
    (
        ["1\t5\t.\tA\t*", "1\t6\t.\tA\t<DEL>", "1\t7\t.\tA\t<INS>,."],
        "4 alleles, 2 of",
        "symbolic allele",
    ),
    (["unplaced\t1\t.\tA\tC", "1\t5\t.\tA\tA"], "2 alleles, 1 of", "contig not in the genome"),
]


@pytest.mark.parametrize(("rows", "counts", "reason"), REASONS)
@pytest.mark.parametrize("name", ["o.tsv", "o.vcf.gz"])
def test_nothing_scored_is_no_success(work, header, tmp_path, rows, counts, reason, name):
    (tmp_path / "v.vcf").write_text(header + "".join(f"{row}\t.\t.\t.\tGT\t.\t.\n" for row in rows))
    command = (work / "run", "--vcf", tmp_path / "v.vcf", "--fasta", work / "g.fa", "--quiet")
    done = degu(*command, "--out", tmp_path / name)
    assert done.code == 3
    assert f"degu: error: no variant was scored. Received: {counts} them skipped with" in done.err
    assert f"the reason {reason!r}; all are listed in {tmp_path / name}.skipped.tsv\n" in done.err
    listed = (tmp_path / f"{name}.skipped.tsv").read_text().splitlines()
    assert len(listed) == 1 + int(counts[0])
    assert (tmp_path / name).is_file()


def test_a_vcf_without_records_is_no_success(work, header, tmp_path):
    (tmp_path / "v.vcf").write_text(header)
    command = (work / "run", "--vcf", tmp_path / "v.vcf", "--fasta", work / "g.fa", "--quiet")
    done = degu(*command, "--out", tmp_path / "o.tsv")
    assert done.code == 3
    assert "no variant was scored. Received: a VCF without records" in done.err


def test_one_variant_that_is_scored_is_a_success(work, header, tmp_path):
    with open_genome(work / "g.fa") as genome:
        ref = genome.fetch("chr1", 49, 50)
    rows = [f"1\t50\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t.\t.\n" for alt in ("*", "<DEL>", ref + "G")]
    (tmp_path / "v.vcf").write_text(header + "".join(rows))
    command = (work / "run", "--vcf", tmp_path / "v.vcf", "--fasta", work / "g.fa", "--quiet")
    done = degu(*command, "--out", tmp_path / "o.tsv")
    assert done.code == 0, done.err
    assert "warning: 2 of 3 alleles were skipped" in done.err
    streamed = degu(*command, "--out", "/dev/stdout")
    assert streamed.code == 2
    assert "expected an output file, beside which" in streamed.err


def test_a_command_that_stops_after_its_output_was_written_is_finished_by_the_next(
    work, table, tmp_path, monkeypatch
):
    def stop(*_):
        if out.exists():
            raise KeyboardInterrupt

    out = tmp_path / "o.tsv"
    command = (work / "run", "--vcf", work / "v.vcf", "--fasta", work / "g.fa", "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr(score._Task, "clear", stop)
        assert degu(*command, "--quiet").code == 130
    assert out.is_file()
    monkeypatch.setattr(VariantScorer, "score", stop)
    done = degu(*command, "--quiet")
    assert done.code == 0, done.err
    assert out.read_bytes() == table.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.tsv", "o.tsv.skipped.tsv"]
    assert degu(*command, "--quiet").code == 2


def test_a_calibrated_run_gives_conformal_intervals(work, splits, table, tmp_path):
    shutil.copytree(work / "run", tmp_path / "run")
    calibrate(tmp_path / "run", splits)
    command = (tmp_path / "run", "--vcf", work / "v.vcf", "--fasta", work / "g.fa", "--quiet")
    done = degu(*command, "--out", tmp_path / "c.tsv")
    assert "interval: conformal" in done.out, done.err
    degu(*command, "--out", tmp_path / "g.tsv", "--gaussian")
    assert (tmp_path / "g.tsv").read_bytes() == table.read_bytes()
    conformal = pd.read_csv(tmp_path / "c.tsv", sep="\t")
    gaussian = pd.read_csv(table, sep="\t")
    np.testing.assert_array_equal(conformal["Hk_effect"], gaussian["Hk_effect"])
    assert (conformal["Hk_upper"] != gaussian["Hk_upper"]).all()


def test_the_options_defaults_are_those_of_the_functions():
    options = cli.parser().parse_args(
        ["variants", "run", "--vcf", "v", "--fasta", "g", "--out", "o"]
    )
    defaults = score_vcf.__kwdefaults__
    assert options.chunk == defaults["chunk"] == CHUNK
    assert options.chunk % BLOCK == 0
    assert options.workers == defaults["workers"]
    assert options.max_mismatches == defaults["max_mismatches"]
    assert (options.shifts, options.level) == (Scoring.shifts, Scoring.level)
    assert options.uncertainty == Scoring.uncertainty
