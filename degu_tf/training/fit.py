"""Fit one model to data: batches, rate, best validation epoch, state to resume from."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from degu_tf.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import batch_size_of
from degu_tf.training.adam import OneOperationAdam, build_optimizer
from degu_tf.training.augmentation.schemes import augmented
from degu_tf.training.epochs.checkpoint import Checkpoint, TrainingState
from degu_tf.training.epochs.graph_gradients import released_with_their_graphs
from degu_tf.training.epochs.learning_rate import learning_rate, rate_callback
from degu_tf.training.epochs.reports import EpochBar
from degu_tf.training.forward import Learner, trains_itself
from degu_tf.training.objective import Objective, measured_objective
from degu_tf.training.parallel import devices
from degu_tf.training.parallel.steps import where_model_lies
from degu_tf.training.precision.mixed import scaled_for
from degu_tf.training.present_values import fitting_loss
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

STEPS_AT_ONCE = 20
"""Training steps that TensorFlow may take before Python is asked again, which costs milliseconds.
An interruption waits for them, so they are fewer where each takes long."""

WORK_AT_ONCE = 3e10
"""Weights times positions of the batches in those steps: some tenths of a second on a core."""

_COUNTS = (
    "targets of 0 or more for the Poisson loss; negate the values of minus-strand tracks, or "
    "choose another loss"
)


@where_model_lies
@released_with_their_graphs()
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
    devices.check_batches(len(splits.train), settings.batch_size)
    steps = settings.steps_per_epoch or steps_per_epoch(splits.train, settings.batch_size)
    learner = model if trains_itself(model) else Learner(model)
    learner.compile(
        optimizer=_optimizer(settings, steps),
        loss=fitting_loss(objective.compiled_loss(splits.heads), splits),
        steps_per_execution=_steps_at_once(
            steps, model.count_params() * settings.batch_size * validation.sequences.shape[1]
        ),
        jit_compile=settings.jit_compile,
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
        validation_data=_validation_batches(validation),
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


def _optimizer(settings: TrainingSettings, steps: int) -> keras.optimizers.Optimizer:
    """Adam for so many steps an epoch."""
    adam = OneOperationAdam(
        learning_rate(settings, steps * settings.epochs),
        use_ema=settings.ema is not None,
        ema_momentum=settings.ema or 0.99,
    )
    return scaled_for(settings.precision, adam)


def _validation_batches(split: Split) -> tf.data.Dataset:
    usual = batch_size_of(split.sequences.shape[1])
    return evaluation_batches(split, devices.evaluation_batch_size(len(split), usual))


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
    if devices.n_replicas() > 1:
        return 1  # TensorFlow loses what devices add up in a loop of its own
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
