"""`degu calibrate`."""

import numpy as np
import pytest
from command_line import COLUMNS, degu, done, table

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.uncertainty.calibration import compare_intervals, load_calibration


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_calibrated_runs_give_conformal_intervals(work, inputs, uncalibrated, tmp_path):
    run, out = uncalibrated, tmp_path / "p.tsv"
    done("predict", run, *inputs["fasta"], "--out", tmp_path / "before.tsv")
    shown = done("calibrate", run, work.data).out
    splits, calibrated = read_splits(work.data), load_calibration(run)
    table_shown = compare_intervals(calibrated, splits.test, splits.heads)
    factors = calibrated.conformal.factors()["factor"]
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["Wrote", str(run / "conformal.npz")]
    assert "Factor on the total uncertainty (Gaussian: 1.960)" in shown
    for target, factor in zip(("Dev", "Hk"), factors, strict=True):
        assert [target, "all", "20", f"{factor:.3f}"] in lines
        rows = table_shown[table_shown["target"] == target].set_index(["metric", "interval"])
        numbers = [
            f"{rows.loc[(metric, kind), 'value']:.3f}"
            for metric in ("coverage", "size")
            for kind in ("gaussian", "conformal")
        ]
        assert [target, *numbers] in lines
    assert "95 % intervals on test (n=30)" in shown

    again = degu("calibrate", run, work.data)
    assert (again.code, again.out) == (2, "")
    assert "already exists, overwrite it with --force" in again.err

    shown = done("predict", run, *inputs["fasta"], "--level", 0.9, "--out", out).out
    assert (
        "Conformal 90 % intervals, calibrated on validation (Gaussian ones with --gaussian)"
        in shown
    )
    assert f"Wrote {out}: 30 predictions, interval: conformal" in shown
    written = table(out)
    assert written.columns.tolist() == COLUMNS
    assert set(written["interval"]) == {"conformal"}
    prediction = calibrated.predict(splits.test.sequences)
    lower, upper = calibrated.interval(prediction, 0.9)
    np.testing.assert_allclose(written[["Dev_lower", "Hk_lower"]], lower, rtol=1e-4)
    np.testing.assert_allclose(written[["Dev_upper", "Hk_upper"]], upper, rtol=1e-4)

    shown = done("predict", run, *inputs["fasta"], "--gaussian", "--out", out, "--force").out
    assert "interval: gaussian" in shown
    assert "onformal" not in shown
    assert table(out).equals(table(tmp_path / "before.tsv"))
    assert "Pearson r on test" in done("evaluate", run, work.data).out


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_calibrations_that_do_not_fit_the_prediction(work, inputs, uncalibrated, tmp_path):
    run, out = uncalibrated, tmp_path / "p.tsv"
    strands = ("--average-strands", "--split", "test", "--quantile", "plain", "--bins", 2)
    shown = done("calibrate", run, work.data, *strands, "--level", 0.8).out
    assert "80 % intervals on validation (n=20)" in shown
    assert shown.count(" 15 ") == 4
    assert load_calibration(run).conformal.quantile == "plain"
    refused = degu("predict", run, *inputs["fasta"], "--out", out)
    assert refused.code == 2
    assert "give --average-strands here" in refused.err
    averaged = ("predict", run, *inputs["fasta"], "--average-strands")
    refused = degu(*averaged, "--out", out)
    assert refused.code == 2
    assert "level 0.95 needs 19 calibration points or more in each bin" in refused.err
    assert not out.exists()
    assert "calibrated on test" in done(*averaged, "--level", 0.8, "--out", out).out
    done("predict", run, *inputs["fasta"], "--gaussian", "--out", out, "--force")
    done("calibrate", run, work.data, "--force")
    done("predict", run, *inputs["fasta"], "--out", out, "--force")


@pytest.mark.usefixtures("untrained")
def test_a_floored_uncertainty_names_the_ways_out(work, monkeypatch):
    """In options, since that is the door it came through."""
    monkeypatch.setattr("degu_tf.uncertainty.conformal.conformal.MAX_FLOORED", -1.0)
    refused = degu("calibrate", work.y, work.data, "--force")
    assert refused.code == 2
    assert "--positive-uncertainty" in refused.err
    assert "--component" in refused.err
