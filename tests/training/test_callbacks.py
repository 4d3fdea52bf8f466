"""Callbacks of Keras reach every training of a run."""

import importlib.util
import shutil
from pathlib import Path

import keras
import pandas as pd
import pytest

from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError

SHORT = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.02)


def csv_of(run):
    return [keras.callbacks.CSVLogger(f"{run.folder}.csv")]


@pytest.mark.slow
def test_members_and_students_have_callbacks_of_their_own(splits, spec, tmp_path):
    """They see what the history holds."""
    run = Run(tmp_path / "x", progress=False, callbacks=csv_of)
    teachers = train_ensemble(splits, spec, 2, SHORT, run)
    run = Run(tmp_path / "y", progress=False, callbacks=csv_of)
    distill(teachers, splits, settings=SHORT, run=run)
    logs = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.csv")}
    assert {"x/member_00.csv", "x/member_01.csv", "y.csv"} <= logs
    first, second = (pd.read_csv(tmp_path / f"x/member_0{i}.csv")["loss"] for i in (0, 1))
    assert first[0] != second[0]
    assert "val_activity_loss" not in first
    names = ["loss", "val_loss", "learning_rate"]
    for trained in ("x/member_00", "x/member_01", "y"):
        seen = pd.read_csv(tmp_path / f"{trained}.csv")
        kept = pd.read_csv(tmp_path / trained / "history.csv")
        pd.testing.assert_frame_equal(seen[names], kept[names])


@pytest.mark.slow
def test_one_list_watches_all_members(splits, spec):
    class Count(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(epoch)

    count = Count()
    train_ensemble(splits, spec, 2, SHORT, Run(progress=False, callbacks=[count]))
    assert count.epochs == [0, 1, 0, 1]


def test_callbacks_are_no_part_of_a_runs_identity(teachers, splits, spec, quick, tmp_path):
    run = Path(shutil.copytree(teachers.folder, tmp_path / "x"))
    before = (run / "settings.json").read_bytes()
    again = Run(run, 5, progress=False, callbacks=csv_of)
    train_ensemble(splits, spec, 2, quick, again)
    train(splits, spec, quick, again.of_member(0))
    assert (run / "settings.json").read_bytes() == before
    seen = {"x.csv", "member_00.csv", "member_01.csv"}
    assert seen.isdisjoint(file.name for file in tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("wrong", [["tensorboard"], [print], 3])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(InputError, match="callbacks must be a list of Keras callbacks"):
        Run(callbacks=wrong)
    with pytest.raises(InputError, match="callbacks must be a list of Keras callbacks"):
        Run(callbacks=lambda run: wrong).keras_callbacks()


def test_other_processes_are_not_watched(splits, spec, tmp_path):
    run = Run(tmp_path / "x", callbacks=csv_of)
    with pytest.raises(InputError, match="leave the executor out"):
        train_ensemble(splits, spec, 2, SHORT, run, executor=object())
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
def test_tensorboard_draws_teachers_and_student(splits, spec, tmp_path):
    def boards(run):
        return [keras.callbacks.TensorBoard(str(tmp_path / "boards" / run.name))]

    run = Run(progress=False, callbacks=boards)
    distill(train_ensemble(splits, spec, 2, SHORT, run), splits, settings=SHORT, run=run)
    names = {file.parents[1].name for file in tmp_path.rglob("events.out.tfevents*")}
    assert names == {"member 0", "member 1", "student"}
