"""Files written before the package was laid out in folders still load and give the same numbers.

`fixtures/before_move` was written by that code: an ensemble, a calibrated student of it, its data,
what the commands printed of them (six digits), and models saved by `export` and by Keras.
"""

import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from degu_tf import cli
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.runs import open_run, teachers_of
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.sequences.encoding import as_float
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings

OLD = Path(__file__).parent / "fixtures" / "before_move"
SETTINGS = TrainingSettings(epochs=12, batch_size=20, learning_rate=0.02)
SPEC = ModelSpec(
    "deepstarr", {"conv_filters": (4,), "conv_kernels": (5,), "dense_units": (4,), "dropout": 0.1}
)


@pytest.fixture(scope="module")
def splits():
    return read_splits(OLD / "data.h5")


@pytest.fixture
def old(tmp_path):
    """A copy that a test may write to."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def agree(table, expected, tolerance=2e-5):
    """Equal columns and names, numbers within what another processor's rounding makes of them."""
    assert list(table) == list(expected)
    for column in table:
        if table[column].dtype == float:
            np.testing.assert_allclose(
                table[column], expected[column], rtol=tolerance, atol=tolerance
            )
        else:
            assert list(table[column]) == list(expected[column])


@pytest.mark.parametrize("run", ["student", "teachers"])
def test_predictions_are_those_of_then(run, tmp_path):
    out = tmp_path / "p.tsv"
    assert cli.main(["predict", str(OLD / run), str(OLD / "data.h5"), "--out", str(out)]) == 0
    then = pd.read_csv(OLD / f"{run}.tsv", sep="\t")
    now = pd.read_csv(out, sep="\t")
    agree(now.drop(columns=[name for name in now if name.endswith("_floored")]), then)
    assert set(then["interval"]) == {"conformal" if run == "student" else "gaussian"}


def test_metrics_are_those_of_then(old, tmp_path, capsys):
    out = tmp_path / "metrics.csv"
    command = ["evaluate", str(old / "student"), str(old / "data.h5"), "--out", str(out)]
    assert cli.main(command) == 0
    table = pd.read_csv(out)
    agree(table[table["method"] != "kmer_ridge"], pd.read_csv(OLD / "evaluation.csv"), 1e-4)
    assert "fitted to the run's 300 training sequences" in capsys.readouterr().out


def test_saved_models_are_those_of_then(splits):
    tokens = splits.test.sequences
    expected = open_run(OLD / "student").columns(tokens)
    exported = keras.models.load_model(OLD / "exported.keras")
    np.testing.assert_allclose(exported.predict(as_float(tokens), verbose=0), expected, atol=1e-5)
    model = keras.models.load_model(OLD / "distillation_model.keras", compile=False)
    assert isinstance(model, DistillationModel)
    then = np.load(OLD / "distillation_model.npy")
    np.testing.assert_allclose(model.predict(as_float(tokens[:10]), verbose=0), then, atol=1e-5)


def test_a_student_finds_its_teachers():
    assert teachers_of(OLD / "student").n_members == 2


def test_finished_runs_are_taken_as_finished(old, splits, monkeypatch):
    """The same settings give the same identity, so nothing is trained again."""
    monkeypatch.setattr("degu_tf.training.train.fit", None)
    teachers = train_ensemble(splits, SPEC, 2, SETTINGS, Run(old / "teachers", 5))
    student = distill(
        teachers,
        splits,
        settings=SETTINGS,
        run=Run(old / "student", 3),
        distillation=DistillationSettings(augmentation=Augmentation(scheme("mutagenesis"))),
    )
    assert student.fingerprint() == open_run(OLD / "student").fingerprint()
