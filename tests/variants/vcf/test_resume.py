"""Interrupted scoring: resumed from what is intact, and from nothing else."""

import shutil
import warnings
from dataclasses import replace

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.variants.scorer import VariantScorer
from degu_tf.variants.vcf import score
from degu_tf.variants.vcf.parts import (
    PartWriter,
    part_file,
)
from degu_tf.variants.vcf.score import score_vcf


def test_what_was_interrupted_goes_on(work, scoring, tmp_path, monkeypatch):
    whole = tmp_path / "whole.tsv"
    n_scored = []
    score = VariantScorer.score

    def counted(self, variants):
        n_scored.append(len(variants))
        if len(n_scored) == stop:
            raise KeyboardInterrupt
        return score(self, variants)

    monkeypatch.setattr(VariantScorer, "score", counted)
    stop = 0
    settings = {"chunk": 32, "block": 32, "progress": False}
    score_vcf(scoring, work / "v.vcf", whole, **settings)
    expected, n_scored[:] = list(n_scored), []
    stop = 6
    with pytest.raises(KeyboardInterrupt):
        score_vcf(scoring, work / "v.vcf", tmp_path / "o.tsv", **settings)
    assert not (tmp_path / "o.tsv").exists()
    kept = sorted(path.name for path in (tmp_path / "o.tsv.parts").glob("part_*.tsv"))
    assert len(kept) == 5
    stop, n_scored[:] = 0, []
    score_vcf(scoring, work / "v.vcf", tmp_path / "o.tsv", **{**settings, "chunk": 1000})
    assert n_scored == expected[5:]
    assert (tmp_path / "o.tsv").read_bytes() == whole.read_bytes()
    assert not (tmp_path / "o.tsv.parts").exists()


SMALL = {"chunk": 32, "block": 32, "progress": False}


@pytest.fixture(scope="module")
def whole(work, scoring, tmp_path_factory):
    """The table, the list of skipped alleles, and the warning of a scoring in many parts."""
    out = tmp_path_factory.mktemp("whole") / "o.tsv"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score_vcf(scoring, work / "v.vcf", out, **SMALL)
    (said,) = (str(each.message) for each in caught if "were below" in str(each.message))
    return out.read_bytes(), (out.parent / "o.tsv.skipped.tsv").read_bytes(), said


@pytest.fixture(scope="module")
def scored(work, scoring, tmp_path_factory):
    """The folder of a scoring that was interrupted before its parts were joined."""
    out = tmp_path_factory.mktemp("scored") / "o.tsv"

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "join_table", stop)
        with pytest.raises(KeyboardInterrupt):
            score_vcf(scoring, work / "v.vcf", out, **SMALL)
    assert not out.exists()
    return out.with_name("o.tsv.parts")


@pytest.fixture
def parts(scored, tmp_path):
    """Its parts, for the output `o.tsv` of a folder of this test's own."""
    shutil.copytree(scored, tmp_path / "o.tsv.parts")
    return sorted((tmp_path / "o.tsv.parts").glob("part_*.tsv"))


@pytest.fixture
def blocks_scored(monkeypatch):
    """A list that grows with each block that is scored."""
    blocks = []
    plain = VariantScorer.score
    monkeypatch.setattr(
        VariantScorer, "score", lambda self, some: blocks.append(1) or plain(self, some)
    )
    return blocks


def test_damaged_parts_are_scored_anew(work, scoring, tmp_path, whole, parts, blocks_scored):
    assert len(parts) > 8
    contents = [part.read_bytes() for part in parts]
    parts[0].write_bytes(b"")
    parts[1].write_bytes(contents[1][: contents[1].index(b"\n") + 1])
    parts[2].write_bytes(contents[2].replace(b"0.", b"1.", 1))
    parts[3].write_bytes(contents[3] + contents[3])
    parts[4].unlink()
    parts[5].with_name(f"{parts[5].name}.sum").unlink()
    for ending in ("", ".sum"):
        one, other = (part.with_name(part.name + ending) for part in parts[6:8])
        other.write_bytes(one.read_bytes())
    out = tmp_path / "o.tsv"
    score_vcf(scoring, work / "v.vcf", out, **SMALL)
    assert len(blocks_scored) == 7
    assert out.read_bytes() == whole[0]
    assert not out.with_name("o.tsv.parts").exists()


@pytest.mark.parametrize("name", ["survey.json", "skipped.tsv"])
def test_a_damaged_survey_is_made_anew_and_parts_are_kept(
    work, scoring, tmp_path, whole, parts, blocks_scored, name
):
    damaged = parts[0].with_name(name)
    damaged.write_bytes(damaged.read_bytes().replace(b"1", b"2", 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score_vcf(scoring, work / "v.vcf", tmp_path / "o.tsv", **SMALL)
    assert blocks_scored == []
    assert (tmp_path / "o.tsv").read_bytes() == whole[0]
    assert (tmp_path / "o.tsv.skipped.tsv").read_bytes() == whole[1]
    assert [str(each.message) for each in caught if "were below" in str(each.message)] == [whole[2]]


@pytest.mark.parametrize(("name", "join"), [("o.tsv", "join_table"), ("o.vcf.gz", "join_vcf")])
def test_a_part_that_is_damaged_as_it_is_joined_stops_the_command(
    work, scoring, tmp_path, whole, scored, monkeypatch, name, join
):
    folder = tmp_path / f"{name}.parts"
    shutil.copytree(scored, folder)
    plain = getattr(score, join)

    def damaging(*arguments, **options):
        part = sorted(folder.glob("part_*.tsv"))[-1]
        part.write_bytes(part.read_bytes().replace(b"0.", b"1.", 1))
        return plain(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(score, join, damaging)
        with pytest.raises(InputError, match="a part was changed"):
            score_vcf(scoring, work / "v.vcf", tmp_path / name, **SMALL)
    assert not (tmp_path / name).exists()
    score_vcf(scoring, work / "v.vcf", tmp_path / name, **SMALL)
    assert name != "o.tsv" or (tmp_path / "o.tsv").read_bytes() == whole[0]
    assert not folder.exists()


def test_a_disk_that_damages_what_is_written_is_noticed(work, scoring, tmp_path, monkeypatch):
    write = PartWriter.write

    def damaging(self, index, *arguments):
        write(self, index, *arguments)
        part_file(self.folder, index).write_bytes(b"")

    monkeypatch.setattr(PartWriter, "write", damaging)
    with pytest.raises(InputError, match=r"check the disk.*damaged parts, such as .*part_000000"):
        score_vcf(scoring, work / "v.vcf", tmp_path / "o.tsv", progress=False)
    assert not (tmp_path / "o.tsv").exists()


def test_other_settings_do_not_go_on_with_what_was_begun(work, scoring, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    out = tmp_path / "o.tsv"
    with monkeypatch.context() as patch:
        patch.setattr(VariantScorer, "score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            score_vcf(scoring, work / "v.vcf", out, progress=False)
    other = replace(scoring, average_strands=True)
    with pytest.raises(InputError, match="average_strands: holds False, requested True"):
        score_vcf(other, work / "v.vcf", out, progress=False)
    longer = tmp_path / "longer.vcf"
    longer.write_text((work / "v.vcf").read_text() + "unplaced\t2\t.\tA\tC\t.\t.\t.\tGT\t.\t.\n")
    with pytest.raises(InputError, match=r"no other scoring was begun.*o\.tsv\.parts \(vcf: holds"):
        score_vcf(scoring, longer, out, progress=False)
