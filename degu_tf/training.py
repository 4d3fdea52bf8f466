"""Train one model: the paper's settings, the best validation epoch, its run folder."""

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any

import keras
import numpy as np
import pandas as pd
from evoaug_tf.augment import AugmentBase

from degu_tf.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from degu_tf.data.splits import Splits
from degu_tf.errors import InputError
from degu_tf.files import atomic_write
from degu_tf.folder import HISTORY, METRICS, MODEL, RunFolder
from degu_tf.heads import HeadLayout
from degu_tf.metrics import score
from degu_tf.models import registry
from degu_tf.predictor import ModelPredictor
from degu_tf.progress import bar
from degu_tf.schemes import augmented, describe
from degu_tf.weights import load_initial_weights, weights_hash

EVALUATION_BATCH = 512

_BUILDING = threading.Lock()
"""Held while a model is built, because Keras draws initial weights by global seeds."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained; the defaults are the paper's (Methods, "Training models").

    Attributes
    ----------
    epochs
        Passes over the training data.
    batch_size
        Sequences a step.
    learning_rate
        Adam's first learning rate; its other parameters are Keras' defaults.
    loss
        Any Keras loss by name: ``"mse"``, ``"poisson"`` for profiles.
    lr_factor, lr_patience
        The rate is multiplied by the factor after so many epochs without a validation loss lower
        by 1e-4 (Keras' tolerance, as in the released code).
    patience
        Training stops after so many epochs without a lower validation loss (10 in the released
        configurations); None never stops early.
    steps_per_epoch
        Steps that count as an epoch; None for one pass over the data.

    Examples
    --------
    >>> TrainingSettings(epochs=30).batch_size
    100
    """

    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    loss: str = "mse"
    lr_factor: float = 0.1
    lr_patience: int = 5
    patience: int | None = 10
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr_patience", "patience", "steps_per_epoch"):
            value = getattr(self, name)
            if value is None and name in ("patience", "steps_per_epoch"):
                continue
            if not isinstance(value, Integral) or value < 1:
                raise InputError(f"{name} must be a whole number from 1. Received: {value!r}")
        if not 0.0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate must be positive. Received: {self.learning_rate}")
        if not 0.0 < self.lr_factor < 1.0:
            raise InputError(f"lr_factor must lie between 0 and 1. Received: {self.lr_factor}")
        try:
            keras.losses.get(self.loss)
        except ValueError:
            raise InputError(
                f"loss must be the name of a Keras loss, such as 'mse'. Received: {self.loss!r}"
            ) from None


@dataclass(frozen=True)
class ModelSpec:
    """An architecture by name, its options, and weights to start from.

    Attributes
    ----------
    name
        A name of the registry, such as ``"deepstarr"``.
    options
        Keyword arguments of its builder, such as ``{"width": 0.5}``.
    init
        A `.keras` or `.weights.h5` file, or a run, whose weights training starts from; None for a
        random start.

    Examples
    --------
    >>> ModelSpec("residualbind", {"width": 0.25}).name
    'residualbind'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None

    def build(
        self, input_shape: tuple[int | None, int], heads: HeadLayout, seed: int, member: int = 0
    ) -> keras.Model:
        """Build the model from its seed: equal seeds, equal weights; other seeds, others.

        `member` chooses among the members when `init` is an ensemble's run. Building sets
        TensorFlow's global seed; those of Python and numpy are put back as they were.

        Raises
        ------
        InputError
            If the seed is not a whole number of 32 bits, the architecture refuses what it is
            given, or the weights of `init` do not fit.
        """
        if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
            raise InputError(
                f"seed must be a whole number from 0 to 2**32 - 1. Received: seed={seed!r}"
            )
        with _seeded(int(seed)):
            model = registry.build(self.name, input_shape, heads, **self.options)
        if self.init is not None:
            load_initial_weights(model, self.init, member)
        return model

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain values for JSON."""
        return {"name": self.name, "options": dict(self.options), "init": self.init}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with _BUILDING:
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        keras.utils.set_random_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


class _EpochBar(keras.callbacks.Callback):
    """A bar over epochs with the time left, and the losses beside it."""

    def __init__(self, epochs: int, progress: bool | None) -> None:
        super().__init__()
        self._bar = bar(None, "epochs", progress, total=epochs)
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", val_loss=f"{logs['val_loss']:.4f}")
        self._bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._bar.close()


def fit(
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    loss: keras.losses.Loss | None = None,
    progress: bool | None = None,
    augment: AugmentBase | None = None,
) -> pd.DataFrame:
    """Train a model; afterwards it holds the weights of the epoch with the lowest validation loss.

    Parameters
    ----------
    model
        A functional model whose output columns are those of `splits.heads`.
    splits
        Training and validation data.
    settings
        How to train; the paper's by default.
    seed
        Decides the order of the training data.
    loss
        A loss object in place of the one `settings` names.
    progress
        Show a bar over epochs; None where standard error is a terminal.
    augment
        How each training minibatch is augmented, such as
        ``degu_tf.schemes.scheme("evoaug_one")`` for teachers; its labels stay as they are.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: `epoch` (from 1), `loss`, `val_loss`, `learning_rate`, `seconds`, and
        any metric the model was given, for training and validation.

    Raises
    ------
    InputError
        If the model's output does not match the data's columns or its input their length.
    FloatingPointError
        If no epoch's validation loss was finite, or not the first one.
    """
    settings = settings or TrainingSettings()
    check_fits(model, splits)
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=loss or settings.loss,
        jit_compile=False,
    )
    epoch_bar = _EpochBar(settings.epochs, progress)
    best_epoch = keras.callbacks.EarlyStopping(
        monitor="val_loss",
        patience=settings.patience or settings.epochs,
        restore_best_weights=True,
    )
    steps = settings.steps_per_epoch or steps_per_epoch(splits.train, settings.batch_size)
    batches = training_batches(splits.train, settings.batch_size, seed)
    if augment is not None:
        batches = augmented(batches, augment, seed, steps)
    history = model.fit(
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        validation_data=evaluation_batches(splits.validation, EVALUATION_BATCH),
        callbacks=[
            best_epoch,
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", factor=settings.lr_factor, patience=settings.lr_patience
            ),
            epoch_bar,
        ],
        shuffle=False,
        verbose=0,
    ).history
    if not np.isfinite(best_epoch.best):
        raise FloatingPointError(
            "the validation loss was not finite: training diverged. Lower the learning rate "
            f"(it was {settings.learning_rate})"
        )
    columns = {
        "epoch": range(1, len(history["loss"]) + 1),
        **{name: history.pop(name) for name in ("loss", "val_loss", "learning_rate")},
        "seconds": epoch_bar.seconds,
    }
    return pd.DataFrame({**columns, **history})


def check_fits(model: keras.Model, splits: Splits) -> None:
    """Refuse a model whose input or output is not that of the data.

    Raises
    ------
    InputError
        If lengths or numbers of columns differ, or one has a value for each position of a profile
        and the other one for each sequence.
    """
    length, n_columns = model.input_shape[1], model.output_shape[-1]
    if length not in (None, splits.input_shape[0]):
        raise InputError(
            f"the model takes {length} bases. Received: sequences of {splits.input_shape[0]} bases"
        )
    if n_columns != splits.heads.n_columns:
        raise InputError(
            f"the model emits {n_columns} columns. Received: data with "
            f"{splits.heads.n_columns}: {splits.heads.columns}"
        )
    positions, measured = model.output_shape[1:-1], splits.train.targets.shape[1:-1]
    if positions != measured:
        what = f"a profile of {positions[0]} positions" if positions else "no profile"
        raise InputError(
            f"{model.name} emits {what} for each sequence: choose an architecture that suits the "
            f"data. Received: targets of shape {splits.train.targets.shape}"
        )


def train(
    splits: Splits,
    spec: ModelSpec,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    *,
    loss: keras.losses.Loss | None = None,
    augment: AugmentBase | None = None,
    finetune: TrainingSettings | None = None,
    learner: Callable[[keras.Model], keras.Model] | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    member: int = 0,
    progress: bool | None = None,
) -> ModelPredictor:
    """Build a model from its seed, train it, and keep it in a run folder if one is named.

    A folder that holds the same run finished is loaded instead; one that holds it unfinished is
    trained anew.

    Parameters
    ----------
    splits
        The data; `splits.heads` is what the model will predict.
    spec
        The architecture.
    settings, seed, loss, augment, progress
        As for `fit`; the seed also decides the initial weights.
    finetune
        Settings of a second stage on the data as they are, without augmentation, as the released
        scripts have it; None, as in the paper, for none.
    learner
        Makes of the built model what is fitted in the first stage, such as a `DistillationModel`
        around it; the model itself by default.
    folder
        Where to keep the run: `model.keras`, `settings.json`, `history.csv`, `metrics.csv` (test
        set) and `manifest.json`.
    provenance
        More plain values for `settings.json` that say what made the run: part of its identity.
    notes
        Plain values for the manifest, such as where files lay: not part of its identity.
    member
        Place of the model in its ensemble, for `ModelSpec.init`.

    Raises
    ------
    InputError
        If the folder holds another run, or the data do not fit the architecture.
    """
    settings = settings or TrainingSettings()
    run = None if folder is None else RunFolder(folder)
    model = None
    if run is None or not run.finished:
        model = spec.build(splits.input_shape, splits.heads, seed, member)
    if run is not None:
        provenance = {**stages(augment, finetune), **(provenance or {})}
        run.begin(run_settings("model", splits, spec, settings, seed, provenance))
        if model is None:
            return load_model(run.path)
    fitted = model if learner is None else learner(model)
    history = fit(fitted, splits, settings, seed, loss, progress, augment)
    if finetune is not None:
        second = fit(model, splits, finetune, seed, loss, progress)
        history = pd.concat([history, second.assign(epoch=second["epoch"] + len(history))])
    predictor = ModelPredictor(model, splits.heads)
    if run is not None:
        _write_model(run, predictor, splits, history, notes or {})
    return predictor


def stages(
    augment: AugmentBase | None = None, finetune: TrainingSettings | None = None
) -> dict[str, Any]:
    """Augmentation and fine-tuning as plain values for a run's identity; nothing for neither."""
    described: dict[str, Any] = {}
    if augment is not None:
        described["augment"] = describe(augment)
    if finetune is not None:
        described["finetune"] = asdict(finetune)
    return described


def run_settings(
    kind: str,
    splits: Splits,
    spec: ModelSpec,
    settings: TrainingSettings,
    seed: int,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What makes a run, as plain values: equal values, equal run."""
    return {
        "kind": kind,
        "model": spec.to_dict(),
        "heads": splits.heads.to_dict(),
        "input_shape": list(splits.input_shape),
        "training": asdict(settings),
        "seed": seed,
        **({} if spec.init is None else {"init_hash": weights_hash(spec.init)}),
        "data": {"fingerprint": splits.fingerprint, "n_train": len(splits.train)},
        **(provenance or {}),
    }


def _write_model(
    run: RunFolder,
    predictor: ModelPredictor,
    splits: Splits,
    history: pd.DataFrame,
    notes: Mapping[str, Any],
) -> None:
    with atomic_write(run / MODEL) as temporary:
        predictor.model.save(temporary)
    write_table(run / HISTORY, history)
    prediction = predictor.predict(splits.test.sequences)
    write_table(run / METRICS, score(prediction, splits.test.targets, splits.heads, split="test"))
    run.finish(**notes)


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
    model = keras.models.load_model(file, compile=False, safe_mode=True)
    return ModelPredictor(model, HeadLayout.from_dict(run.settings()["heads"]))
