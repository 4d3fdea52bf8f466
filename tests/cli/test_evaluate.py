"""`degu evaluate`."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from command_line import degu, done

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.distillation.runs import open_run


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_evaluate_writes_what_it_shows(work, tmp_path):
    shown = done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    assert set(metrics["method"]) == {"student", "single", "ensemble"}
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
