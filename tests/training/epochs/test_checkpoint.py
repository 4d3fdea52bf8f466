"""A training that is stopped anywhere and begun again ends as one that was never stopped."""

import io
import json
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from cases import one_in
from evoaug_tf.augment import RandomRC
from faults.damage import DETECTED, HARMLESS, SILENT, Counts, damages, write

from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.epochs import checkpoint
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import STATES

PAPER = TrainingSettings(
    epochs=9, batch_size=50, learning_rate=0.1, lr_patience=1, patience=2, lr_factor=0.5
)
COSINE = replace(PAPER, epochs=6, schedule="cosine", warmup=5, learning_rate=0.02, patience=None)


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    """States are written however short epochs are, and batches can be told from epochs."""
    monkeypatch.setattr("degu_tf.training.fit.STEPS_AT_ONCE", 4)
    monkeypatch.setattr(checkpoint, "INTERVAL", 0)


class Stop(keras.callbacks.Callback):
    """Stops a training as an interrupt does, where an epoch ends, or at one of its batches."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at, self.batch, self.epoch = epoch, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at and self.batch is not None and batch >= self.batch:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at and self.batch is None:
            raise KeyboardInterrupt


def weights(model):
    return [variable.numpy().tobytes() for variable in model.variables]


def history(folder):
    return pd.read_csv(folder / "history.csv").drop(columns="seconds")


def check(begin, folder, stops=((3, 3), (5, None))):
    """Runs that `begin(run)` begins end alike, whether they are stopped at these places or not."""
    whole = begin(Run(folder / "whole", 3, progress=False))
    run = Run(folder / "stopped", 3, progress=False)
    for epoch, batch in stops:
        with pytest.raises(KeyboardInterrupt):
            begin(replace(run, callbacks=[Stop(epoch, batch)]))
        assert (folder / "stopped" / STATES[0]).is_file()
    resumed = begin(run)
    assert weights(resumed.model) == weights(whole.model)
    pd.testing.assert_frame_equal(history(run.folder), history(folder / "whole"))
    names = [{file.name for file in (folder / each).iterdir()} for each in ("whole", "stopped")]
    assert names[0] == names[1]
    assert names[0].isdisjoint(STATES)


TEACHERS = {
    "plateau and early stopping": PAPER,
    "EvoAug, then a second stage": replace(
        COSINE, augment=scheme("evoaug_one"), finetune=replace(PAPER, epochs=4)
    ),
    "moving average of the weights": replace(COSINE, ema=0.9),
    "moving average and early stopping": replace(PAPER, ema=0.9),
    "epochs of other steps than a pass": replace(COSINE, steps_per_epoch=5),
    "likelihood": replace(PAPER, loss="gaussian_nll", learning_rate=0.02),
    "standardised": replace(PAPER, standardise=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", one_in(3, TEACHERS))
def test_teachers_resume(name, splits, spec, tmp_path):
    settings = TEACHERS[name]
    if settings.likelihood is not None:
        splits = splits.without_uncertainty()
    check(lambda run: train(splits, spec, settings, run), tmp_path)


@pytest.mark.slow
def test_the_cases_are_what_their_names_say(splits, spec, tmp_path):
    """The rate falls and training stops early in the one; dropout draws in all."""
    train(splits, spec, PAPER, Run(tmp_path / "x", 3, progress=False))
    table = history(tmp_path / "x")
    assert table["learning_rate"].nunique() > 1
    assert 6 < len(table) < PAPER.epochs
    assert spec.options["dropout"] > 0


STUDENTS = {
    "labels on the fly": DistillationSettings(augmentation=Augmentation(scheme("evoaug"))),
    "a pool": DistillationSettings(augmentation=Augmentation(scheme("mutagenesis")), pool=2),
    "static labels": DistillationSettings(),
    "originals kept": DistillationSettings(
        augmentation=Augmentation(scheme("evoaug"), labels="static", append=True)
    ),
    "from the best teacher": DistillationSettings(init="best-teacher"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", one_in(2, STUDENTS))
def test_students_resume(name, teachers, splits, tmp_path):
    chosen = STUDENTS[name]
    settings = replace(COSINE, ema=0.9, standardise=name == "from the best teacher")
    check(
        lambda run: distill(teachers, splits, settings=settings, run=run, distillation=chosen),
        tmp_path,
    )


@pytest.mark.slow
def test_second_stages_resume_without_the_first(splits, spec, tmp_path):
    settings = replace(COSINE, epochs=2, finetune=replace(PAPER, epochs=5))
    seen = []
    begun = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    check(
        lambda run: train(splits, spec, settings, replace(run, callbacks=[*run.callbacks, begun])),
        tmp_path,
        stops=((2, None), (3, 3)),
    )
    assert seen[:5] == [0, 1, 0, 1, 2]
    assert seen.count(0) == 4


@pytest.mark.slow
def test_members_resume_at_the_epoch_they_had_reached(splits, spec, tmp_path, capsys):
    settings = replace(COSINE, epochs=3)
    whole = train_ensemble(splits, spec, 2, settings, Run(tmp_path / "a", progress=False))
    stops = {"member 0": [], "member 1": [Stop(2)]}
    run = Run(tmp_path / "b", callbacks=lambda run: stops[run.name])
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(splits, spec, 2, settings, run)
    resumed = train_ensemble(splits, spec, 2, settings, replace(run, callbacks=()))
    assert "member 1: resumed at epoch 3 of 3\n" in capsys.readouterr().err
    assert resumed.fingerprint() == whole.fingerprint()


@pytest.mark.slow
def test_what_was_trained_is_not_trained_again_if_only_files_are_missing(
    splits, spec, tmp_path, monkeypatch
):
    """The state outlives the epochs until all files of the run are written."""
    whole = train(splits, spec, PAPER, Run(tmp_path / "a", progress=False))

    def full(*_, **__):
        raise OSError("no space left on device")

    run = Run(tmp_path / "b", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr("degu_tf.training.train.score", full)
        with pytest.raises(OSError, match="no space left"):
            train(splits, spec, PAPER, run)
    again = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: pytest.fail("trained again"))
    resumed = train(splits, spec, PAPER, replace(run, callbacks=[again]))
    assert weights(resumed.model) == weights(whole.model)


def test_states_of_finished_runs_are_removed(splits, spec, tmp_path):
    """A process may be killed between the manifest and the removal."""
    run = Run(tmp_path / "x", progress=False)
    settings = replace(COSINE, epochs=1)
    train(splits, spec, settings, run)
    before = {file.name for file in run.folder.iterdir()}
    for name in (STATES[0], f".writing-0123456789ab-{STATES[1]}"):
        (run.folder / name).write_bytes(b"")
    train(splits, spec, settings, run)
    assert {file.name for file in run.folder.iterdir()} == before


def test_runs_without_a_folder_and_short_runs_write_no_state(splits, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL", 1e9)
    monkeypatch.setattr(checkpoint.Checkpoint, "write", lambda *_: pytest.fail("written"))
    train(splits, spec, replace(COSINE, epochs=2), Run(tmp_path / "x", progress=False))
    monkeypatch.setattr(checkpoint, "INTERVAL", 0)
    train(splits, spec, replace(COSINE, epochs=2), Run(progress=False))


def test_states_are_written_where_that_takes_a_fiftieth_of_the_time(tmp_path, monkeypatch):
    """Of a clock that moves by a writing's ten milliseconds, and 0.12 seconds an epoch."""
    clock, written = [0.0], []
    monkeypatch.setattr(checkpoint, "INTERVAL", 50)
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: clock[0])

    def write(*_):
        written.append(round(clock[0], 2))
        clock[0] += 0.01

    state = checkpoint.TrainingState(checkpoint.Checkpoint(tmp_path, {}), [], 100)
    monkeypatch.setattr(checkpoint.Checkpoint, "write", write)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile()
    state.set_model(model)
    state.on_train_begin()
    for epoch in range(100):
        clock[0] += 0.12
        state.on_epoch_end(epoch, {})
    gaps = np.diff(written)
    assert written[0] == 2.52
    assert (gaps >= 0.5).all()
    assert (gaps <= 0.5 + 0.12 + 0.02).all()


def test_augmentations_that_cannot_be_drawn_again_start_anew(splits, spec, tmp_path):
    settings = replace(COSINE, epochs=3, augment=RandomRC())
    run = Run(tmp_path / "x", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(splits, spec, settings, replace(run, callbacks=[Stop(2)]))
    assert not (run.folder / STATES[0]).exists()


@pytest.fixture
def stopped(splits, spec, tmp_path):
    """A run that was stopped, and a function that resumes it."""
    run = Run(tmp_path / "x", progress=False)
    settings = replace(COSINE, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        train(splits, spec, settings, replace(run, callbacks=[Stop(2)]))
    return run, lambda: train(splits, spec, settings, run)


@pytest.mark.slow
def test_states_of_other_trainings_are_refused(stopped, splits, spec, tmp_path):
    run, resume = stopped
    other = replace(run, folder=tmp_path / "y", seed=9)
    with pytest.raises(KeyboardInterrupt):
        train(splits, spec, replace(COSINE, epochs=3), replace(other, callbacks=[Stop(2)]))
    (other.folder / STATES[0]).replace(run.folder / STATES[0])
    with pytest.raises(InputError, match="the state of another one"):
        resume()


def test_damaged_states_are_refused_with_what_to_do(stopped, monkeypatch):
    """Every damage but those that change nothing that is read."""
    run, _ = stopped
    file = run.folder / STATES[0]
    content = file.read_bytes()
    identity = {}
    monkeypatch.setattr(checkpoint.Checkpoint, "_hash", lambda self: _made_of(content))
    kept = checkpoint.Checkpoint(run.folder, identity)
    record, arrays = kept.read()
    rng, counts = np.random.default_rng(0), Counts()
    everything = list(damages(rng, b"PK")) + [
        each for _ in range(40) for each in damages(rng, b"PK") if each[0].startswith("bit")
    ]
    for what, damage in everything:
        if what == "missing":
            continue
        write(file, damage(content))
        try:
            found = kept.read()
        except InputError as error:
            counts.add(DETECTED if "remove the file" in str(error) else SILENT, what)
        else:
            same = found[0] == record and found[1].keys() == arrays.keys()
            same = same and all(np.array_equal(arrays[name], found[1][name]) for name in arrays)
            counts.add(HARMLESS if same else SILENT, what)
    counts.check(170)


def _made_of(content):
    return json.loads(np.load(io.BytesIO(content))["record"].item())["made_of"]


@pytest.mark.slow
def test_runs_begun_before_there_were_states_train_from_the_start(stopped, splits, spec):
    run, resume = stopped
    (run.folder / STATES[0]).unlink()
    whole = train(splits, spec, replace(COSINE, epochs=3), Run(progress=False))
    assert weights(resume().model) == weights(whole.model)
    assert history(run.folder)["epoch"].tolist() == [1, 2, 3]
