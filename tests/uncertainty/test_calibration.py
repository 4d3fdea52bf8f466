"""A calibration kept with a run: for its weights and its way of predicting only."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.splits import Split
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run
from degu_tf.distillation.runs import open_run
from degu_tf.models.predictor import DescribedPredictor, StrandAveraged
from degu_tf.training.run import Run
from degu_tf.uncertainty.calibration import (
    Calibrated,
    calibrate,
    compare_intervals,
    find_calibration,
    load_calibration,
)
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import CALIBRATION, RunFolder

COLUMNS = ["interval", "target", "component", "level", "metric", "value", "n", "floored"]


@pytest.fixture
def run(teachers, tmp_path):
    """A copy of the run of two teachers."""
    return shutil.copytree(teachers.folder, tmp_path / "run")


def test_what_is_kept_is_what_was_fitted(run, teachers, splits):
    calibrated = calibrate(run, splits, level=0.9)
    validation, test = splits.validation, splits.test
    prediction = teachers.predict(validation.sequences)
    expected = Conformal().fit(prediction, validation.targets, splits.heads)
    new = teachers.predict(test.sequences)
    loaded = load_calibration(run)
    for each in (calibrated, loaded):
        assert isinstance(each, Calibrated)
        assert isinstance(each, DescribedPredictor)
        assert each.fingerprint() == teachers.fingerprint()
        np.testing.assert_array_equal(each.predict(test.sequences).mean, new.mean)
        for level in (0.5, 0.95):
            ends = each.interval(new, level)
            np.testing.assert_allclose(ends, expected.predict(new, level), rtol=1e-6)
        with pytest.raises(InputError, match="40 of 40 sequences used for calibration"):
            each.conformal.check_unseen(validation.sequences)
    assert loaded.conformal.notes == {
        "fingerprint": teachers.fingerprint(),
        "average_strands": False,
        "split": "validation",
        "data": splits.fingerprint,
    }


def test_every_option_reaches_the_calibration(run, splits):
    calibrated = calibrate(
        *(run, splits),
        split="test",
        component="aleatoric",
        quantile="plain",
        n_bins=2,
        level=0.8,
    )
    conformal = calibrated.conformal
    assert (conformal.component, conformal.quantile, conformal.n_bins) == ("aleatoric", "plain", 2)
    assert conformal.notes["split"] == "test"
    with pytest.raises(InputError, match="40 of 40"):
        conformal.check_unseen(splits.test.sequences)
    conformal.check_unseen(splits.validation.sequences)
    with pytest.raises(InputError, match="needs 99"):
        calibrate(run, splits, level=0.99, force=True)


def test_strands_are_averaged_in_fitting_and_predicting_alike(run, teachers, splits):
    calibrate(run, splits, average_strands=True)
    averaged = StrandAveraged(teachers)
    expected = Conformal().fit(
        averaged.predict(splits.validation.sequences), splits.validation.targets, splits.heads
    )
    loaded = load_calibration(run)
    prediction = loaded.predict(splits.test.sequences)
    np.testing.assert_allclose(
        prediction.mean, averaged.predict(splits.test.sequences).mean, rtol=1e-6
    )
    np.testing.assert_allclose(loaded.interval(prediction), expected.predict(prediction), rtol=1e-6)
    assert find_calibration(run, teachers, average_strands=True) is not None
    with pytest.raises(InputError, match="calibrated with strand averaging: give --average-str"):
        find_calibration(run, teachers)
    calibrate(run, splits, force=True)
    with pytest.raises(InputError, match=r"without strand averaging: leave out .*--gaussian"):
        find_calibration(run, teachers, average_strands=True)


def test_a_calibration_is_replaced_only_if_asked(run, splits):
    calibrate(run, splits)
    before = (run / CALIBRATION).read_bytes()
    with pytest.raises(InputError, match=r"already exists.*force=True.*conformal\.npz") as caught:
        calibrate(run, splits, quantile="plain")
    assert "--force" in caught.value.command_line
    for options in ({"component": "sigma"}, {"level": 0.999}):
        with pytest.raises(InputError):
            calibrate(run, splits, force=True, **options)
    assert (run / CALIBRATION).read_bytes() == before
    calibrate(run, splits, quantile="plain", force=True)
    assert load_calibration(run).conformal.quantile == "plain"


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_other_weights_are_not_calibrated_by_it(run, splits, spec, quick, monkeypatch):
    """An ensemble that was given another member since; begun and finished as without the file."""
    calibrate(run, splits)
    with monkeypatch.context() as patch:
        patch.setattr("degu_tf.training.train.fit", lambda *_, **__: pd.DataFrame({"epoch": [0]}))
        same = train_ensemble(splits, spec, 2, quick, Run(run, 5))
        assert find_calibration(run, same) is not None
        larger = train_ensemble(splits, spec, 3, quick, Run(run, 5))
    for use in (lambda: load_calibration(run), lambda: find_calibration(run, larger)):
        with pytest.raises(InputError, match=r"fitted to other weights.*--force, or .*--gaussian"):
            use()
    calibrate(run, splits, force=True)
    assert load_calibration(run).predictor.n_members == 3
    assert len(evaluate_run(run, splits.test, splits.heads))


def test_a_calibrated_run_is_a_run_like_any_other(run, teachers, splits):
    before = RunFolder(run).manifest()
    calibrate(run, splits)
    RunFolder(run).begin(RunFolder(run).settings())
    assert RunFolder(run).manifest() == before
    assert open_run(run).fingerprint() == teachers.fingerprint()
    member = calibrate(run / "member_00", splits)
    assert load_calibration(run / "member_00").predictor.heads == member.predictor.heads


def test_splits_that_share_sequences(run, splits):
    validation, test = splits.validation, splits.test
    mixed = Split(
        np.concatenate([test.sequences, validation.sequences[:3]]),
        np.concatenate([test.targets, validation.targets[:3]]),
    )
    with pytest.raises(InputError, match="3 of 43 sequences used for calibration"):
        calibrate(run, replace(splits, test=mixed))
    assert not (run / CALIBRATION).exists()
    calibrated = calibrate(run, splits)
    with pytest.raises(InputError, match="3 of 43 sequences used for calibration"):
        compare_intervals(calibrated, mixed, splits.heads)


def test_intervals_before_and_after(run, teachers, splits):
    table = compare_intervals(calibrate(run, splits), splits.test, splits.heads, 0.9)
    assert table.columns.tolist() == COLUMNS
    assert set(table["component"]) == {"total"}
    prediction = teachers.predict(splits.test.sequences)
    measured = splits.heads.take(splits.test.targets, "mean")
    conformal = load_calibration(run).conformal
    for kind, (lower, upper) in (
        ("gaussian", prediction.interval(0.9)),
        ("conformal", conformal.predict(prediction, 0.9)),
    ):
        rows = table[table["interval"] == kind].set_index(["target", "metric"])["value"]
        for t, target in enumerate(splits.heads.targets):
            inside = (lower <= measured) & (measured <= upper)
            assert rows[target, "coverage"] == pytest.approx(inside[:, t].mean())
            assert rows[target, "size"] == pytest.approx((upper - lower)[:, t].mean(), rel=1e-5)
    assert set(table["n"]) == {40}


def test_what_is_no_run_or_not_calibrated(run, teachers, splits, tmp_path):
    with pytest.raises(InputError, match="calibrate it with `degu calibrate`"):
        load_calibration(run)
    assert find_calibration(run, teachers) is None
    file = run / "member_00" / "model.keras"
    assert find_calibration(file, open_run(run / "member_00")) is None
    for other in (file, tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="expected the folder of a run"):
            calibrate(other, splits)
    with pytest.raises(InputError, match=r"one of \('validation', 'test'\).*'train'"):
        calibrate(run, splits, split="train")
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="unfinished"):
        calibrate(run, splits)


def test_data_of_other_targets(run, splits, make_splits):
    other = make_splits(("Hk", "Dev"), aleatoric="std")
    with pytest.raises(InputError, match=r"expected a prediction of \('Hk', 'Dev'\)"):
        calibrate(run, other)
    assert not (run / CALIBRATION).exists()


def test_files_that_are_not_this_runs(run, splits, teachers):
    prediction = teachers.predict(splits.test.sequences)
    Conformal().fit(prediction, splits.test.targets, splits.heads).save(run / CALIBRATION)
    with pytest.raises(InputError, match="a calibration that names its run"):
        load_calibration(run)
    (run / CALIBRATION).write_bytes(b"text")
    with pytest.raises(InputError, match="not a calibration, or a damaged one"):
        find_calibration(run, teachers)
    with pytest.raises(InputError, match="already exists"):
        calibrate(run, splits)
    calibrate(run, splits, force=True)
    assert find_calibration(run, teachers) is not None


def test_a_model_without_uncertainty(run, splits, spec, quick, tmp_path, monkeypatch):
    monkeypatch.setattr("degu_tf.training.train.fit", lambda *_, **__: pd.DataFrame({"epoch": [0]}))
    bare = splits.without_uncertainty()
    train_ensemble(bare, spec, 2, quick, Run(tmp_path / "bare"))
    with pytest.raises(InputError, match="gives no total uncertainty to scale"):
        calibrate(tmp_path / "bare" / "member_00", bare)


def test_a_calibration_is_not_part_of_what_the_run_vouches_for(teachers, splits, tmp_path):
    run = RunFolder(shutil.copytree(teachers.folder, tmp_path / "run"))
    (run / CALIBRATION).write_bytes(b"of an earlier size of the ensemble")
    run.finish(n_members=2)
    assert CALIBRATION not in run.manifest()["files"]
    assert "settings.json" in run.manifest()["files"]
