"""`degu evaluate`."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from command_line import degu, done, state

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.distillation.runs import open_run
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.utils.run_folder import BASELINE


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_evaluate_writes_what_it_shows(work, tmp_path):
    shown = done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    assert set(metrics["method"]) == {"student", "single", "ensemble", "kmer_ridge"}
    chosen = metrics.query("method == 'student' and target == 'Hk' and head == 'activity'")
    pearson = chosen.set_index("metric").loc["pearson", "value"]
    measured = read_splits(work.data).test
    predicted = open_run(work.y).predict(measured.sequences).mean[:, 1]
    assert pearson == pytest.approx(np.corrcoef(predicted, measured.targets[:, 1])[0, 1], abs=1e-5)
    assert f"{pearson:.3f}" in re.search(r"^student .*$", shown.out, re.MULTILINE)[0]
    other = done("evaluate", work.y, work.data, "--split", "validation")
    assert "Pearson r on validation" in other.out
    assert other.out != shown.out


def test_evaluate_does_not_overwrite(work, tmp_path):
    (tmp_path / "m.csv").write_text("mine")
    refused = degu("evaluate", work.y, work.data, "--out", tmp_path / "m.csv")
    assert refused.code == 2
    assert "overwrite it with --force" in refused.err
    assert (tmp_path / "m.csv").read_text() == "mine"
    done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv", "--force")
    assert "pearson" in (tmp_path / "m.csv").read_text()


def test_evaluate_says_that_a_students_teachers_are_gone(work, tmp_path):
    run = shutil.copytree(work.y, tmp_path / "somewhere" / "y")
    shown = done("evaluate", run, work.data)
    assert "The student's teachers were not found" in shown.out
    assert "ensemble" not in shown.out
    assert "teachers were not found" not in done("evaluate", work.y, work.data).out


def test_the_baseline_is_beside(work, tmp_path):
    """A ridge of the run's 40 training sequences, not of all 80."""
    part = read_splits(work.data).fraction(0.5)
    ridge = KmerRidge().fit(part.train.sequences, part.train.targets[:, :2])
    predicted = ridge.predict(part.test.sequences)
    for run in (work.x, work.y):
        shown = done("evaluate", run, work.data, "--out", tmp_path / "m.csv", "--force").out
        said = "kmer_ridge: ridge regression on counts of 5-mers, fitted to the run's 40 training "
        assert f"{said}sequences\n" in shown
        assert "may not be" not in shown
        rows = pd.read_csv(tmp_path / "m.csv").query("method == 'kmer_ridge'")
        assert set(rows["head"]) == {"activity"}
        found = rows[rows["metric"] == "pearson"].set_index("target")["value"]
        for index, target in enumerate(("Dev", "Hk")):
            r = np.corrcoef(predicted[:, index], part.test.targets[:, index])[0, 1]
            assert found[target] == pytest.approx(r, abs=1e-5)


def test_models_below_the_baseline_are_named(work, tmp_path):
    """Two epochs of a tiny model learn less than the ridge, of one target at least."""
    shown = done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv").out
    table = pd.read_csv(tmp_path / "m.csv").query("metric == 'pearson' and head == 'activity'")
    means = table.groupby(["method", "target"])["value"].mean().round(3)
    expected = {
        f"{method} {target}"
        for method, target in means.index
        if means[method, target] < means["kmer_ridge", target]
    }
    named = re.findall(r"^(\w+).*: r \S+ on (\w+) is below the 5-mer ridge's", shown, re.MULTILINE)
    assert {" ".join(pair) for pair in named} == expected
    assert expected


def test_the_baseline_is_fitted_once(work, monkeypatch):
    done("evaluate", work.y, work.data)
    before = state(work.folder)
    monkeypatch.setattr(KmerRidge, "fit", None)
    assert "kmer_ridge" in done("evaluate", work.y, work.data, "--split", "validation").out
    assert state(work.folder) == before


def test_the_baseline_is_left_out(work, tmp_path, monkeypatch):
    run = shutil.copytree(work.x, tmp_path / "x")
    (run / BASELINE).unlink()
    monkeypatch.setattr(KmerRidge, "fit", None)
    shown = done("evaluate", run, work.data, "--no-baseline", "--out", tmp_path / "m.csv").out
    assert "ridge" not in shown
    assert "kmer_ridge" not in set(pd.read_csv(tmp_path / "m.csv")["method"])
    assert not (run / BASELINE).exists()


def test_other_data_than_the_runs_are_said_to_be(work, tmp_path):
    run = shutil.copytree(work.x, tmp_path / "x")
    other = tmp_path / "other.h5"
    done("prepare", "simulate", "--sizes", 80, 20, 30, "--length", 32, "--seed", 2, "--out", other)
    shown = done("evaluate", run, other).out
    assert "fitted to 40 training sequences of these data\n" in shown
    assert "These may not be the sequences that the run was trained on" in shown


def test_a_refused_evaluation_fits_nothing(work, tmp_path):
    run = shutil.copytree(work.x, tmp_path / "x")
    before, other = state(run), tmp_path / "other.h5"
    done("prepare", "simulate", "--sizes", 80, 20, 30, "--length", 40, "--seed", 1, "--out", other)
    assert degu("evaluate", run, other).code == 2
    assert state(run) == before


def test_data_without_a_baseline_say_so(work, tmp_path):
    """Training sequences with noise are not one-hot: k-mers cannot be counted."""
    splits = read_splits(work.data)
    soft = np.full((len(splits.train), 32, 4), 0.25, np.float32)
    noisy = replace(splits, train=replace(splits.train, sequences=soft))
    write_splits(tmp_path / "noisy.h5", noisy)
    shown = done("evaluate", work.x, tmp_path / "noisy.h5").out
    assert "No k-mer ridge beside the run: expected" in shown
    assert "Pearson r on test" in shown
