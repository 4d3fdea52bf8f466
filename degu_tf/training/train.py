"""Train one model: the paper's settings, the best validation epoch, its run folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from degu_tf.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.models.predictor import ModelPredictor, batch_size_of
from degu_tf.models.released.guarded_loading import load_keras_model
from degu_tf.training.adam import OneOperationAdam, build_optimizer
from degu_tf.training.augmentation.mixtures import recombines
from degu_tf.training.augmentation.schemes import augmented, is_stateless
from degu_tf.training.epochs.checkpoint import Checkpoint, TrainingState, remove_states
from degu_tf.training.epochs.learning_rate import learning_rate, rate_callback
from degu_tf.training.epochs.reports import EpochBar, epoch_lines
from degu_tf.training.forward import Learner, trains_itself
from degu_tf.training.initial_weights import initial_model, weights_hash
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.objective import Objective, measured_objective, settings_for_task
from degu_tf.training.present_values import fitting_loss
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.run_folder import (
    HISTORY,
    METRICS,
    MODEL,
    RunFolder,
)

STEPS_AT_ONCE = 20
"""Training steps that TensorFlow may take before Python is asked again, which costs milliseconds.
An interruption waits for them, so they are fewer where each takes long."""

WORK_AT_ONCE = 3e10
"""Weights times positions of the batches in those steps: some tenths of a second on a core."""

_COUNTS = (
    "targets of 0 or more for the Poisson loss; negate the values of minus-strand tracks, or "
    "choose another loss"
)


def fit(
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings | None = None,
    *,
    objective: Objective | None = None,
    seed: int = 0,
    progress: bool | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train a model; afterwards it holds the weights of the epoch with the lowest validation loss.

    One stage: `settings.finetune` is left to `train`.

    Parameters
    ----------
    model
        A functional model whose output columns are those of `objective.heads`.
    splits
        Training and validation data; a likelihood learns from the means alone. Of missing values
        and weights, see `degu_tf.training.present_values`.
    settings
        How to train; the paper's by default.
    objective
        Columns and loss; those that `settings` name for the data's columns by default.
    seed
        Decides the order of the training data and the augmentation.
    progress
        Show a bar over epochs; None where standard error is a terminal.
    callbacks
        More Keras callbacks; they come after those used here, and see the rate they log. Those of
        batches are called where Python is returned to, every `STEPS_AT_ONCE` steps or sooner. A
        training that resumes begins with the first epoch that is left; what they counted before it
        is theirs to keep.
    checkpoint
        Where the training's state is kept as epochs end, and resumed from if there is one; None for
        nowhere.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: `epoch` (from 1), `loss`, `val_loss`, `learning_rate`, `seconds`, and
        any metric the model was given, for training and validation.

    Raises
    ------
    InputError
        If the model's output does not match the data's columns or its input their length, or the
        state in `checkpoint` is damaged or another training's.
    FloatingPointError
        If no epoch's validation loss was finite, or not the first one.
    """
    settings = settings or TrainingSettings()
    objective = objective or measured_objective(settings, splits.heads)
    splits = objective.data(splits)
    if settings.standardise and objective.units is None:
        raise InputError("expected `train`, which undoes standardise=True. Received: `fit`")
    if settings.loss == "poisson":
        splits.refuse_negative(splits.heads.targets, _COUNTS)
    validation = splits.validation.centred(settings.crop)
    check_fits(model, validation, objective.heads)
    steps = settings.steps_per_epoch or steps_per_epoch(splits.train, settings.batch_size)
    learner = model if trains_itself(model) else Learner(model)
    learner.compile(
        optimizer=OneOperationAdam(
            learning_rate(settings, steps * settings.epochs),
            use_ema=settings.ema is not None,
            ema_momentum=settings.ema or 0.99,
        ),
        loss=fitting_loss(objective.compiled_loss(splits.heads), splits),
        steps_per_execution=_steps_at_once(
            steps, model.count_params() * settings.batch_size * validation.sequences.shape[1]
        ),
        jit_compile=False,
    )
    build_optimizer(learner)
    epoch_bar = EpochBar(settings.epochs, progress)
    best_epoch = keras.callbacks.EarlyStopping(
        monitor="val_loss",
        patience=settings.patience or settings.epochs,
        restore_best_weights=True,
    )
    mine = [*_averaging(settings), best_epoch, rate_callback(settings), epoch_bar]
    state = TrainingState(checkpoint, mine, settings.epochs)
    state.restore(learner)
    learner.fit(
        _batches(splits, settings, seed, steps, state.first_epoch),
        epochs=settings.epochs,
        initial_epoch=state.first_epoch,
        steps_per_epoch=steps,
        validation_data=evaluation_batches(
            validation, batch_size_of(validation.sequences.shape[1])
        ),
        callbacks=[*mine, *callbacks, state],
        shuffle=False,
        verbose=0,
    )
    if not np.isfinite(best_epoch.best):
        raise FloatingPointError(
            "the validation loss was not finite: training diverged. Lower the learning rate "
            f"(it was {settings.learning_rate})"
        )
    return _history(state.rows, epoch_bar.seconds)


def _batches(
    splits: Splits, settings: TrainingSettings, seed: int, steps: int, first_epoch: int
) -> tf.data.Dataset:
    """Training batches from an epoch of so many steps on, which may not be a pass over the data."""
    first_pass, first_batch = divmod(
        first_epoch * steps, steps_per_epoch(splits.train, settings.batch_size)
    )
    batches = training_batches(
        splits.train,
        settings.batch_size,
        seed,
        first_pass,
        first_batch=first_batch,
        crop=settings.crop,
        reverse_complement=settings.reverse_complement,
    )
    if settings.augment is None:
        return batches
    return augmented(batches, settings.augment, seed, steps, first_epoch=first_epoch)


def _history(logged: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> pd.DataFrame:
    """A row an epoch of what was logged, losses and learning rate first."""
    table = pd.DataFrame(logged).assign(epoch=range(1, len(logged) + 1), seconds=seconds)
    first = ["epoch", "loss", "val_loss", "learning_rate", "seconds"]
    return table[[*first, *table.columns.difference(first, sort=False)]]


def _steps_at_once(steps: int, work: int) -> int:
    """Steps between two returns to Python, which divide an epoch; `work` is that of one step."""
    most = min(STEPS_AT_ONCE, max(1, int(WORK_AT_ONCE / max(1, work))))
    return max(n for n in range(1, most + 1) if steps % n == 0)


def _averaging(settings: TrainingSettings) -> list[keras.callbacks.Callback]:
    """Puts the averaged weights in place where an epoch ends: for validation and the best epoch."""
    return [] if settings.ema is None else [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]


def check_fits(model: keras.Model, split: Split, heads: HeadLayout) -> None:
    """Refuse a model whose input or output is not that of the data.

    `heads` is what the model's columns mean.

    Raises
    ------
    InputError
        If lengths or numbers of columns differ, or one has a value for each position of a profile
        and the other one for each sequence.
    """
    length, n_columns = model.input_shape[1], model.output_shape[-1]
    bases = split.sequences.shape[1]
    if length not in (None, bases):
        raise InputError(f"the model takes {length} bases. Received: sequences of {bases} bases")
    if n_columns != heads.n_columns:
        raise InputError(
            f"the model emits {n_columns} columns. Received: data with "
            f"{heads.n_columns}: {heads.columns}"
        )
    positions, measured = model.output_shape[1:-1], split.targets.shape[1:-1]
    if positions != measured:
        what = f"a profile of {positions[0]} positions" if positions else "no profile"
        raise InputError(
            f"{model.name} emits {what} for each sequence: choose an architecture that suits the "
            f"data. Received: targets of shape {split.targets.shape}"
        )


def train(
    splits: Splits,
    spec: Architecture,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    objective: Objective | None = None,
    learner: Callable[[keras.Model], keras.Model] | None = None,
    prepare: Callable[[Splits], Splits] | None = None,
) -> ModelPredictor:
    """Build a model from its seed, train it, and keep it in a run folder if one is named.

    A folder that holds the same run finished is loaded instead. One that holds it unfinished
    resumes at the epoch it had reached, and ends with the weights of a run that was never stopped:
    the state of the training is kept in the folder as epochs end. With augmentations that draw from
    TensorFlow's generators (`degu_tf.training.augmentation.schemes.is_stateless`) it starts anew.
    A folder in which another process trains is waited for.

    Parameters
    ----------
    splits
        The data.
    spec
        The architecture: a `ModelSpec`, a name, or a function of yours that builds the model.
    settings
        How to train, with its augmentation and second stage; the paper's by default.
    run
        Folder, seed, and what is recorded. The folder then holds `model.keras`, `settings.json`,
        `history.csv`, `metrics.csv` (test set) and `manifest.json`.
    objective
        Columns and loss; those that `settings` name for the data's columns by default.
    learner
        Makes of the built model what is fitted in the first stage, such as a `DistillationModel`
        around it; the model itself by default.
    prepare
        Makes of the data what the first stage is fitted to, such as a label pool, once the run is
        known to be one that is to be trained. What it does belongs into `run.provenance`.

    Raises
    ------
    InputError
        If the folder holds another run or a damaged state, or the data do not fit the architecture.

    Examples
    --------
    >>> from degu_tf.data.simulation.mpra import simulate
    >>> splits = simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec = ModelSpec("deepstarr", small)
    >>> model = train(splits, spec, TrainingSettings(epochs=1), Run(seed=1, progress=False))
    >>> model.predict(splits.test.sequences).mean.shape
    (10, 2)
    """
    run = run or Run()
    with run.alone():
        settings, spec = settings or TrainingSettings(), as_spec(spec)
        check_augmentable(splits, settings)
        if objective is None:
            settings = settings_for_task(settings, splits.heads)
        objective = objective or measured_objective(settings, splits.heads, spec.head)
        if settings.standardise:
            objective = replace(objective, units=Standardisation.of(splits))
        folder = None if run.folder is None else RunFolder(run.folder)
        identity = run_settings("model", splits, spec, settings, objective.heads, run)
        if folder is not None and folder.finished:
            folder.begin(identity)
            remove_states(folder.path)
            return load_model(folder.path)
        model = initial_model(splits, spec, settings, objective.heads, run)
        fitted = model if learner is None else learner(model)
        if folder is not None:
            folder.begin(identity)
        data = splits if prepare is None else prepare(splits)
        checkpoint = _checkpoint(folder, identity, settings, fitted)
        history = _fitted(fitted, data, settings, objective, run, checkpoint)
        if settings.finetune is not None:
            history = _finetuned(
                history, model, splits, settings.finetune, objective, run, checkpoint
            )
        notes = dict(run.notes)
        if objective.units is not None:
            model = objective.units.to_data(model, objective.heads)
            notes["standardisation"] = objective.units.to_dict()
        predictor = ModelPredictor(model, objective.heads)
        if folder is not None:
            _write_model(folder, predictor, splits, history, notes)
            remove_states(folder.path)
        return predictor


def _checkpoint(
    folder: RunFolder | None,
    identity: Mapping[str, Any],
    settings: TrainingSettings,
    learner: keras.Model,
) -> Checkpoint | None:
    """Where the state is kept: in the folder, if each epoch's augmentation can be drawn again."""
    scheme = settings.augment or getattr(learner, "scheme", None)
    if folder is None or (scheme is not None and not is_stateless(scheme)):
        return None
    return Checkpoint(folder.path, identity)


def _fitted(
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings,
    objective: Objective,
    run: Run,
    checkpoint: Checkpoint | None,
) -> pd.DataFrame:
    return fit(
        model,
        splits,
        settings,
        objective=objective,
        seed=run.seed,
        progress=run.progress,
        callbacks=[*epoch_lines(settings.epochs, run), *run.keras_callbacks()],
        checkpoint=checkpoint,
    )


def _finetuned(
    history: pd.DataFrame,
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings,
    objective: Objective,
    run: Run,
    checkpoint: Checkpoint | None,
) -> pd.DataFrame:
    """The history with that of a second stage on the data as they are, epochs counted through."""
    run = replace(run, name=f"{run.name}, second stage")
    checkpoint = None if checkpoint is None else replace(checkpoint, stage=2)
    second = _fitted(model, splits, settings, objective, run, checkpoint)
    return pd.concat([history, second.assign(epoch=second["epoch"] + len(history))])


def check_augmentable(splits: Splits, settings: TrainingSettings) -> None:
    """Refuse to augment sequences without their profiles, or to give them others' labels.

    Raises
    ------
    InputError
        If the targets are profiles and there is an augmentation, or it recombines sequences.
    """
    if recombines(settings.augment):
        raise InputError(
            "what was measured of a sequence is not the activity of a recombined one; only "
            "students, whose teachers label it, learn from that. Received: an augmentation that "
            "recombines sequences"
        )
    if settings.augment is not None and splits.train.targets.ndim == 3:
        raise InputError(
            "augmentations move bases, and the profile would stay behind; profiles are augmented "
            "by TrainingSettings.crop and reverse_complement. Received: an augmentation"
        )


def run_settings(
    kind: str,
    splits: Splits,
    spec: ModelSpec,
    settings: TrainingSettings,
    heads: HeadLayout,
    run: Run,
) -> dict[str, Any]:
    """What makes a run, as plain values: equal values, equal run."""
    return {
        "kind": kind,
        "model": spec.to_dict(),
        "heads": heads.to_dict(),
        "input_shape": list(settings.input_shape(splits.input_shape)),
        "training": settings.to_dict(),
        "seed": run.seed,
        **({} if spec.init is None else {"init_hash": weights_hash(spec.init)}),
        "data": {"fingerprint": splits.fingerprint, "n_train": len(splits.train)},
        **settings.stages(),
        **run.provenance,
    }


def _write_model(
    folder: RunFolder,
    predictor: ModelPredictor,
    splits: Splits,
    history: pd.DataFrame,
    notes: Mapping[str, Any],
) -> None:
    with atomic_write(folder / MODEL) as temporary:
        predictor.model.save(temporary)
    write_table(folder / HISTORY, history)
    test = splits.test.centred(predictor.input_length)
    prediction = predictor.predict(test.sequences)
    table = score(prediction, test.targets, splits.heads, split=splits.test_name)
    write_table(folder / METRICS, table)
    folder.finish(**notes)


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)


def load_model(folder: str | os.PathLike) -> ModelPredictor:
    """The trained model of a finished run folder.

    Raises
    ------
    InputError
        If there is no finished run, or `model.keras` is not the file the run wrote.
    """
    run = RunFolder(folder)
    file = run.check_file(MODEL)
    model = load_keras_model(file)
    return ModelPredictor(model, HeadLayout.from_dict(run.settings()["heads"]))
