"""Damaged and killed `degu variants`: whatever happens to its parts, the output is right or none.

Run with ``pytest -n 0 -m slow -s tests/faults`` to see the counts.
"""

import shutil
import signal
import time
import warnings

import numpy as np
import pytest
from faults.damage import DETECTED, HARMLESS, SILENT, Counts, damages, write
from faults.processes import begin
from variant_files import write_variants

from degu_tf.utils.errors import InputError
from degu_tf.variants.scorer import VariantScorer
from degu_tf.variants.vcf import score
from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf

pytestmark = pytest.mark.slow

SMALL = {"chunk": 32, "block": 32, "progress": False}


@pytest.fixture(scope="module")
def work(tmp_path_factory, student_run):
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(student_run, folder / "run")
    write_variants(folder)
    return folder


@pytest.fixture(scope="module")
def scoring(work):
    return Scoring(str(work / "run"), str(work / "g.fa"))


@pytest.fixture(autouse=True)
def _expected_floors():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*standard deviations were below.*")
        yield


@pytest.fixture(scope="module")
def scored(work, scoring, tmp_path_factory):
    """The parts of a scoring that stopped before they were joined."""
    out = tmp_path_factory.mktemp("scored") / "o.tsv"

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(score, "join_table", stop)
        with pytest.raises(KeyboardInterrupt):
            score_vcf(scoring, work / "v.vcf", out, **SMALL)
    return out.with_name("o.tsv.parts")


def contents(folder, name):
    """The output, its list of skipped alleles, and its index."""
    return {path.name: path.read_bytes() for path in folder.glob(f"{name}*") if path.is_file()}


@pytest.mark.parametrize(("name", "least"), [("o.tsv", 126), ("o.vcf.gz", 28)])
def test_damaged_files_of_a_scoring(work, scoring, scored, tmp_path, monkeypatch, name, least):
    (tmp_path / "whole").mkdir()
    score_vcf(scoring, work / "v.vcf", tmp_path / "whole" / name, **SMALL)
    expected = contents(tmp_path / "whole", name)
    made = []
    predictor = scoring.open_predictor()
    monkeypatch.setattr(Scoring, "open_predictor", lambda self: predictor)
    plain, survey = VariantScorer.score, score.survey
    monkeypatch.setattr(VariantScorer, "score", lambda *some: made.append(1) or plain(*some))
    monkeypatch.setattr(score, "survey", lambda *some: made.append(1) or survey(*some))
    rng, counts = np.random.default_rng(0), Counts()
    parts = sorted(scored.glob("part_*.tsv"))
    files = [parts[0], parts[-1]]
    if name == "o.tsv":
        files += [part.with_name(f"{part.name}.sum") for part in files]
        files += [scored / file for file in ("survey.json", "skipped.tsv", "settings.json")]
        files += [scored / f"{file}.sum" for file in ("survey.json", "skipped.tsv")]
    for file in files:
        ending = ".tsv.sum" if file.suffix == ".sum" else ".tsv"
        neighbour = parts[1].with_name(parts[1].name.removesuffix(".tsv") + ending).read_bytes()
        for what, damage in damages(rng, neighbour):
            folder = tmp_path / "one"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(scored, folder / f"{name}.parts")
            write(folder / f"{name}.parts" / file.name, damage(file.read_bytes()))
            made.clear()
            try:
                score_vcf(scoring, work / "v.vcf", folder / name, **SMALL)
            except InputError:
                outcome = SILENT if (folder / name).exists() else DETECTED
            else:
                outcome = DETECTED if made else HARMLESS
                if contents(folder, name) != expected:
                    outcome = SILENT
            counts.add(outcome, f"{file.name}: {what}")
    counts.check(least)


SCRIPT = """
import warnings
warnings.simplefilter("ignore")
from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf
score_vcf(Scoring("run", "g.fa"), "v.vcf", {out!r}, chunk=1, block=8, progress=False)
"""


def killed(work, out, n_files):
    """Kill a scoring once its folder holds so many files; whether it was still running."""
    process = begin(work, "-c", SCRIPT.format(out=str(out)))
    folder = out.with_name(f"{out.name}.parts")
    while process.poll() is None:
        if folder.is_dir() and len(list(folder.iterdir())) >= n_files:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    _, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


@pytest.mark.exhaustive  # of test_killed_commands, with processes of their own
def test_killed_scorings_are_resumed(work, scoring, tmp_path):
    score_vcf(scoring, work / "v.vcf", tmp_path / "whole.tsv", progress=False, chunk=1, block=8)
    out = tmp_path / "o.tsv"
    n_killed = sum(killed(work, out, n_files) for n_files in (1, 2, 3, 6, 15, 30, 45, 60, 90))
    assert n_killed >= 7
    process = begin(work, "-c", SCRIPT.format(out=str(out)))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert out.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    skipped = [tmp_path / f"{name}.skipped.tsv" for name in ("o.tsv", "whole.tsv")]
    assert skipped[0].read_bytes() == skipped[1].read_bytes()
    assert not (tmp_path / "o.tsv.parts").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "o.tsv", "o.tsv.skipped.tsv", "whole.tsv", "whole.tsv.skipped.tsv",
    }  # fmt: skip
