"""Train one model: the paper's settings, the best validation epoch, its run folder."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
from evoaug_tf.augment import AugmentBase

from degu_tf.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.models.predictor import ModelPredictor, batch_size_of
from degu_tf.training.augmentation.schemes import augmented, describe
from degu_tf.training.initial_weights import weights_hash
from degu_tf.training.losses import Likelihood
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings, predicted_heads
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar
from degu_tf.utils.run_folder import (
    HISTORY,
    METRICS,
    MODEL,
    RunFolder,
)


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
        A functional model whose output columns are those of `splits.heads`, or for a likelihood
        those of its `heads`.
    splits
        Training and validation data; a likelihood learns from the means alone.
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
        ``degu_tf.training.augmentation.schemes.scheme("evoaug_one")`` for teachers; its labels stay
        as they are.

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
    if loss is None and settings.likelihood is not None:
        loss = settings.likelihood(predicted_heads(settings, splits.heads))
    if isinstance(loss, Likelihood):
        splits = splits.without_uncertainty()
    validation = splits.validation.centred(settings.crop)
    check_fits(model, validation, getattr(loss, "heads", None) or splits.heads)
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
    batches = training_batches(
        splits.train,
        settings.batch_size,
        seed,
        crop=settings.crop,
        reverse_complement=settings.reverse_complement,
    )
    if augment is not None:
        batches = augmented(batches, augment, seed, steps)
    history = model.fit(
        batches,
        epochs=settings.epochs,
        steps_per_epoch=steps,
        validation_data=evaluation_batches(
            validation, batch_size_of(validation.sequences.shape[1])
        ),
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
        The data; `splits.heads` is what the model will predict, unless a likelihood trains it
        (`predicted_heads`).
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
    check_augmentable(splits, augment)
    heads = predicted_heads(settings, splits.heads, spec.head)
    if loss is None and settings.likelihood is not None:
        loss = settings.likelihood(heads)
    run = None if folder is None else RunFolder(folder)
    model = None
    if run is None or not run.finished:
        model = spec.build(settings.input_shape(splits.input_shape), heads, seed, member)
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
    predictor = ModelPredictor(model, heads)
    if run is not None:
        _write_model(run, predictor, splits, history, notes or {})
    return predictor


def check_augmentable(splits: Splits, augment: AugmentBase | None) -> None:
    """Refuse to augment sequences whose profiles would stay as they were.

    Raises
    ------
    InputError
        If the targets are profiles and there is an augmentation.
    """
    if augment is not None and splits.train.targets.ndim == 3:
        raise InputError(
            "augmentations move bases, and the profile would stay behind; profiles are augmented "
            "by TrainingSettings.crop and reverse_complement. Received: an augmentation"
        )


def stages(
    augment: AugmentBase | None = None, finetune: TrainingSettings | None = None
) -> dict[str, Any]:
    """Augmentation and fine-tuning as plain values for a run's identity; nothing for neither."""
    described: dict[str, Any] = {}
    if augment is not None:
        described["augment"] = describe(augment)
    if finetune is not None:
        described["finetune"] = finetune.to_dict()
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
        "heads": predicted_heads(settings, splits.heads, spec.head).to_dict(),
        "input_shape": list(settings.input_shape(splits.input_shape)),
        "training": settings.to_dict(),
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
    test = splits.test.centred(predictor.input_length)
    prediction = predictor.predict(test.sequences)
    write_table(run / METRICS, score(prediction, test.targets, splits.heads, split="test"))
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
