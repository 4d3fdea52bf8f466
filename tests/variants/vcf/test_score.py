"""A VCF in, a table or a VCF of effects out: whatever is asked for, and whatever comes between."""

import io
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pysam
import pysam.bcftools
import pytest

from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.errors import InputError
from degu_tf.variants.scorer import NORMALISED, score_variants
from degu_tf.variants.vcf.outputs import (
    info_keys,
    join_vcf,
    output_kind,
    table_lines,
)
from degu_tf.variants.vcf.parts import (
    PartWriter,
    blocks,
    part_file,
)
from degu_tf.variants.vcf.reader import VcfReader, alternatives
from degu_tf.variants.vcf.score import alone, score_vcf
from degu_tf.variants.vcf.survey import Parts, survey

NUMBERS = (
    *("SHIFT", "UNKNOWN", "EFFECT", "ALEATORIC", "EPISTEMIC"),
    *("TOTAL", "LOWER", "UPPER", "_REF", "_ALT"),
)
"""How the names of fields end that hold numbers."""


def alleles(vcf):
    with VcfReader(vcf) as reader:
        return [pair for record in reader for pair in alternatives(record)]


def test_the_table_holds_each_variant_in_order_with_its_effects(work, student, table):
    variants = [variant for variant, reason in alleles(work / "v.vcf") if reason is None]
    with open_genome(work / "g.fa") as genome:
        expected, skipped = score_variants(student, variants, genome, 32, progress=False)
    found = pd.read_csv(table, sep="\t", dtype={"contig": str})
    assert found.columns.tolist() == expected.columns.tolist()
    assert len(found) > 400
    for name in [*found.columns[:7], *NORMALISED]:
        assert found[name].tolist() == expected[name].tolist(), name
    flags = ["Dev_floored", "Hk_floored"]
    assert found[flags].equals(expected[flags].astype(found[flags].dtypes))
    effects = [name for name in found.columns[7:-3] if name not in flags]
    np.testing.assert_allclose(found[effects], expected[effects], rtol=1e-5, atol=2e-6)
    assert skipped["reason"].unique().tolist() == ["contig not in the genome"]


def test_effects_are_those_of_the_vcf_that_bcftools_normalises(work, scoring, table, tmp_path):
    normalised = tmp_path / "n.vcf"
    renamed = tmp_path / "renamed.vcf"
    (tmp_path / "names").write_text("1 chr1\n2 chr2\nMT chrM\n")
    source = str(work / "v.vcf")
    names = str(tmp_path / "names")
    pysam.bcftools.annotate("--rename-chrs", names, "-o", str(renamed), source, catch_stdout=False)
    kept = pysam.bcftools.view("-e", 'ALT~"\\*" || ALT~"<" || CHROM="unplaced"', str(renamed))
    renamed.write_text(kept)
    genome = str(work / "g.fa")
    options = ("-m", "-any", "-f", genome, "-o", str(normalised), str(renamed))
    pysam.bcftools.norm(*options, catch_stdout=False)
    score_vcf(scoring, normalised, tmp_path / "n.tsv", progress=False)
    aligned = pd.read_csv(tmp_path / "n.tsv", sep="\t", dtype={"contig": str})
    for column in NORMALISED:
        own = aligned[column.removesuffix("_normalised")].astype(str).str.upper()
        assert aligned[column].astype(str).tolist() == own.tolist()
    key = ["contig", *NORMALISED]
    whole = pd.read_csv(table, sep="\t", dtype={"contig": str})
    whole["contig"] = whole["contig"].map({"1": "chr1", "2": "chr2", "MT": "chrM"})
    moved = whole["position"] != whole["position_normalised"]
    assert moved.sum() > 10
    effects = [
        name
        for name in whole.columns
        if name.startswith(("Dev", "Hk")) and not name.endswith("_floored")
    ]
    one, other = (
        each.drop_duplicates(key).set_index(key)[effects].sort_index() for each in (aligned, whole)
    )
    other = other.loc[one.index]
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)


def test_alleles_that_are_not_scored_are_listed_with_the_reason(work, table):
    listed = pd.read_csv(f"{table}.skipped.tsv", sep="\t", dtype=str)
    expected = [(v.contig, str(v.position), v.id, v.ref, v.alt, reason)
                for v, reason in alleles(work / "v.vcf") if reason]  # fmt: skip
    expected.append(("unplaced", "1", ".", "A", "C", "contig not in the genome"))
    assert [tuple(row) for row in listed.to_numpy()] == expected
    assert not table.with_name("o.tsv.parts").exists()


def test_bytes_do_not_depend_on_the_chunk_nor_on_the_form_of_the_vcf(work, scoring, tmp_path):
    whole = tmp_path / "whole.tsv"
    score_vcf(scoring, work / "v.vcf", whole, progress=False, block=16)
    for chunk in (1, 40):
        out = tmp_path / f"{chunk}.tsv.gz"
        score_vcf(scoring, work / "v.vcf.gz", out, chunk=chunk, progress=False, block=16)
        with pysam.BGZFile(str(out)) as file:
            assert file.read() == whole.read_bytes()
        skipped = [path.with_name(f"{path.name}.skipped.tsv").read_bytes() for path in (whole, out)]
        assert skipped[0] == skipped[1]


def test_parts_are_the_same_files_whoever_writes_them_and_in_whatever_order(
    work, scoring, tmp_path
):
    with VcfReader(work / "v.vcf.gz") as reader, open_genome(work / "g.fa") as genome:
        scorer = scoring.open(genome)
        found = survey(reader, scorer.why_not, genome, io.StringIO(), Parts(1, 32), False)
    parts = found.parts
    one, two, three = (
        PartWriter(scoring.open(), work / "v.vcf.gz", tmp_path / name, parts, 32)
        for name in ("one", "several", "several")
    )
    for index in range(len(parts)):
        one.write(index)
        (two, three)[index % 2].write(len(parts) - 1 - index)
    for writer in (one, two, three):
        writer.close()
    assert len(parts) > 10
    for index in range(len(parts)):
        files = [part_file(tmp_path / name, index).read_bytes() for name in ("one", "several")]
        assert files[0] == files[1]


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_workers(work, scoring, tmp_path, capfd):
    outs = [tmp_path / f"{workers}.tsv" for workers in (1, 2)]
    for workers, out in enumerate(outs, start=1):
        done = score_vcf(
            scoring, work / "v.vcf.gz", out, chunk=1, workers=workers, progress=False, block=64
        )
        assert len(done.survey.parts) > 5
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert capfd.readouterr().err == ""


def test_a_vcf_keeps_its_records_and_gains_fields(work, scoring, table, tmp_path):
    out = tmp_path / "o.vcf.gz"
    done = score_vcf(scoring, work / "v.vcf.gz", out, chunk=1, progress=False, block=64)
    assert done.index == tmp_path / "o.vcf.gz.tbi"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "o.vcf.gz", "o.vcf.gz.skipped.tsv", "o.vcf.gz.tbi",
    ]  # fmt: skip
    keys = info_keys(["Dev", "Hk"])
    removed = pysam.bcftools.annotate("-x", ",".join(f"INFO/{key}" for key in keys), str(out))
    original = pysam.bcftools.view(str(work / "v.vcf.gz"))
    assert _records(removed) == _records(original)
    rows = pd.read_csv(table, sep="\t", dtype=str).itertuples(index=False)
    with pysam.VariantFile(str(out)) as file:
        assert all(file.header.info[key].number == "A" for key in keys)
        for record in file:
            values = [record.info.get(key, (None,) * len(record.alts)) for key in keys]
            for alt, scored in zip(record.alts, zip(*values, strict=True), strict=True):
                if scored[0] is None:
                    assert set(scored) <= {None, "."}
                    continue
                row = next(rows)
                assert row[:5] == (
                    record.contig, str(record.pos), record.id, record.ref, alt,
                )  # fmt: skip
                numbers = [key.endswith(NUMBERS) for key in keys]
                for shown, written, number in zip(scored, row[5:], numbers, strict=True):
                    if number:
                        np.testing.assert_allclose(shown, float(written), rtol=2e-6)
                    else:
                        assert str(shown) == written
        assert next(rows, None) is None
    region = pysam.bcftools.query("-r", "2:30-31", "-f", "%POS %INFO/DEGU_Dev_EFFECT\n", str(out))
    found = {line.split()[0] for line in region.splitlines()}
    assert found
    assert found <= {"30", "31", "27", "28", "29"}
    norm = pysam.bcftools.norm("-m", "-any", str(out))
    split = [line for line in _records(norm) if "DEGU_Dev_EFFECT" in line]
    assert split
    assert all(line.split("DEGU_Dev_EFFECT=")[1].split(";")[0].count(",") == 0 for line in split)


def _records(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_text_in_any_encoding_is_written_back_unchanged(work, scoring, tmp_path):
    with open_genome(work / "g.fa") as genome:
        ref = genome.fetch("chr1", 49, 50)
    head = ["##fileformat=VCFv4.2", "##source=caf\xe9", "##contig=<ID=1>", "##contig=<ID=unplaced>"]
    head.append('##INFO=<ID=NOTE,Number=1,Type=String,Description="\xe9">')
    rows = ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    rows += [
        f"1\t50\trs\xe9\t{ref}\t{ref}G\t.\t.\tNOTE=\xfc",
        "unplaced\t1\tx\xe9\tA\tC\t.\t.\tNOTE=\xe9",
    ]
    (tmp_path / "v.vcf").write_bytes("\n".join([*head, *rows, ""]).encode("latin-1"))
    for name in ("o.tsv", "o.vcf.gz"):
        score_vcf(scoring, tmp_path / "v.vcf", tmp_path / name, progress=False)
        skipped = (tmp_path / f"{name}.skipped.tsv").read_bytes()
        assert b"unplaced\t1\tx\xe9\tA\tC\tcontig not in the genome\n" in skipped
    assert b"\n1\t50\trs\xe9\t" in (tmp_path / "o.tsv").read_bytes()
    with pysam.BGZFile(str(tmp_path / "o.vcf.gz")) as file:
        written = file.read().splitlines()
    assert {line.encode("latin-1") for line in head} <= set(written)
    assert written[-1] == rows[2].encode("latin-1")
    assert written[-2].startswith(rows[1].encode("latin-1") + b";DEGU_SHIFT=0;")


def test_two_commands_do_not_write_one_output(work, scoring, tmp_path):
    out = tmp_path / "effects.tsv"
    with alone(tmp_path / "effects.tsv.parts"), ThreadPoolExecutor(1) as other:
        second = other.submit(score_vcf, scoring, work / "v.vcf", out, progress=False)
        with pytest.raises(InputError, match=r"no other command is writing.*effects.tsv.parts"):
            second.result()
    assert not any(tmp_path.iterdir())


def test_a_vcf_of_which_little_can_be_scored_is_warned_of(work, scoring, header, tmp_path):
    rows = ["unplaced\t1\t.\tA\tC\t.\t.\t.\tGT\t.\t.", "1\t5\t.\tA\t*\t.\t.\t.\tGT\t.\t."]
    (tmp_path / "v.vcf").write_text(header + "\n".join(rows) + "\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        score_vcf(scoring, tmp_path / "v.vcf", tmp_path / "effects.tsv", progress=False)
    assert any("2 of 2 alleles were skipped" in str(each.message) for each in said)
    assert len((tmp_path / "effects.tsv").read_text().splitlines()) == 1


def test_another_genome_is_refused_and_nothing_stays(work, scoring, tmp_path):
    bases = (work / "g.fa").read_text()
    other = tmp_path / "other.fa"
    other.write_text(bases.replace("A", "T", 30))
    out = tmp_path / "o.tsv"
    wrong = replace(scoring, genome=str(other))
    with pytest.raises(InputError, match=r"another build.*Received: [0-9]+ of [0-9]+, such as 1:"):
        score_vcf(wrong, work / "v.vcf", out, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["other.fa", "other.fa.fai"]
    done = score_vcf(wrong, work / "v.vcf", out, progress=False, max_mismatches=0.5)
    assert done.survey.skipped["reference mismatch"] > 30
    other.write_text(bases.replace("chr", "scaffold"))
    (tmp_path / "other.fa.fai").unlink()
    with pytest.raises(InputError, match=r"VCF with contigs of the genome.*scaffold1, scaffold2"):
        score_vcf(wrong, work / "v.vcf", out, progress=False)


def test_parts_begin_with_blocks_and_blocks_with_contigs(work, tmp_path):
    block, everything = 16, lambda variant: None
    for chunk in (1, 16, 17, 40, 1000):
        with VcfReader(work / "v.vcf") as reader, open_genome(work / "g.fa") as genome:
            parts = Parts(chunk, block)
            found = survey(reader, everything, genome, io.StringIO(), parts, False)
        variants = [variant for variant, reason in alleles(work / "v.vcf") if reason is None]
        whole = []
        for n in Counter(variant.contig for variant in variants).values():
            whole += [block] * (n // block) + [n % block] * (n % block > 0)
        start, pieces = 0, []
        for part in found.parts:
            mine = variants[start : start + part.size]
            pieces += [len(each) for each in blocks(iter(mine), block)]
            start += part.size
            others = [variant for variant in mine if variant.contig != mine[-1].contig]
            assert len(others) < block
            assert part.size < max(chunk, block) + block
        assert pieces == whole
        assert start == len(variants) == found.n_scorable


def test_a_vcf_without_variants_gives_a_header(work, scoring, header, tmp_path):
    (tmp_path / "v.vcf").write_text(header)
    for name in ("o.tsv", "o.vcf.gz"):
        score_vcf(scoring, tmp_path / "v.vcf", tmp_path / name, progress=False)
    assert (tmp_path / "o.tsv").read_text().startswith("contig\tposition\tid\tref\talt\tshift")
    assert len((tmp_path / "o.tsv").read_text().splitlines()) == 1
    assert "DEGU_Hk_ALT" in pysam.bcftools.view("-h", str(tmp_path / "o.vcf.gz"))


def test_outputs_that_cannot_be_are_refused(work, scoring, tmp_path):
    score_vcf(scoring, work / "v.vcf", tmp_path / "once.vcf.gz", progress=False)
    with pytest.raises(InputError, match="bcftools annotate -x INFO/DEGU_SHIFT"):
        score_vcf(scoring, tmp_path / "once.vcf.gz", tmp_path / "twice.vcf.gz", progress=False)
    assert not list(tmp_path.glob("twice*"))
    with pytest.raises(InputError, match="an output other than the inputs"):
        score_vcf(scoring, tmp_path / "once.vcf.gz", tmp_path / "once.vcf.gz", progress=False)
    with pytest.raises(InputError, match="workers=0"):
        score_vcf(scoring, work / "v.vcf", tmp_path / "o.tsv", workers=0)
    with pytest.raises(InputError, match=r"K562 a, K562\+a"):
        info_keys(["K562 a", "K562+a"])
    with pytest.raises(InputError, match=r"name it \.vcf\.gz"):
        output_kind("x.vcf")


def test_an_index_is_made_of_contigs_the_header_lacks_and_of_long_ones(tmp_path):
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += ["X\t600000000\t.\tA\tC,G\t.\tq10\tDP=3"]
    (tmp_path / "v.vcf").write_text("\n".join(lines) + "\n")
    effects = ["1", "", "", "", "", "", "0.5", "1.5", "no"]
    row = ["X", "600000000", ".", "A", "G", "0", "7", *effects, "600000000", "A", "G"]
    (tmp_path / "part.tsv").write_text("\t".join(row) + "\n")
    out = tmp_path / "o.vcf.gz"
    index = join_vcf(
        out, tmp_path / "v.vcf", ["Dev"], [tmp_path / "part.tsv"], last=600000000, progress=False
    )
    assert index == tmp_path / "o.vcf.gz.csi"
    with pysam.TabixFile(str(out), index=str(index)) as file:
        (line,) = file.fetch("X", 599999999, 600000000)
    assert line.split("\t")[7] == (
        "DP=3;DEGU_SHIFT=.,0;DEGU_UNKNOWN=.,7;DEGU_Dev_EFFECT=.,1;DEGU_Dev_REF=.,0.5;"
        "DEGU_Dev_ALT=.,1.5;DEGU_Dev_FLOORED=.,no;DEGU_POSITION_NORMALISED=.,600000000;DEGU_REF_NORMALISED=.,A;"
        "DEGU_ALT_NORMALISED=.,G"
    )
    with pytest.raises(InputError, match="expected the VCF that was scored"):
        join_vcf(out, tmp_path / "v.vcf", ["Dev"], [tmp_path / "part.tsv"] * 2, progress=False)


def test_numbers_have_six_significant_digits():
    values = [1 / 3, -0.0, 123456789.0, float("nan"), 1e-9, np.float32(0.1)]
    lines = table_lines(pd.DataFrame({"id": list('a"b;cd'), "value": values}))
    texts = ["0.333333", "0", "1.23457e+08", "", "1e-09", "0.1"]
    expected = zip('a"b;cd', texts, strict=True)
    assert lines == "".join(f"{name}\t{text}\n" for name, text in expected)


@pytest.mark.slow
def test_an_executor_scores_the_same(scoring, work, tmp_path):
    whole, out = tmp_path / "whole.tsv", tmp_path / "o.tsv"
    score_vcf(scoring, work / "v.vcf", whole, chunk=1, progress=False, block=16)
    with ThreadPoolExecutor(2) as executor:
        score_vcf(
            scoring, work / "v.vcf", out, chunk=1, progress=False, block=16, executor=executor
        )
    assert out.read_bytes() == whole.read_bytes()
