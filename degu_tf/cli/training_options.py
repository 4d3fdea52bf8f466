"""What the options of `degu train` and `degu distill` ask for: data, architecture and settings."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.splits import FRACTION_SEED, Splits
from degu_tf.distillation.distill import Augmentation
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.training.augmentation.schemes import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.released_config import ReleasedConfig
from degu_tf.training.settings import TrainingSettings, settings_for
from degu_tf.utils.errors import InputError


def training_data(options: argparse.Namespace, subset: Mapping[str, Any]) -> Splits:
    """The data of a file, with as much of its training split as a subset asks for."""
    splits = read_splits(options.data, options.targets)
    if subset["fraction"] is not None:
        return splits.fraction(subset["fraction"], subset["seed"])
    if subset["n_train"] is not None:
        return splits.subset(subset["n_train"], subset["seed"])
    return splits


def subset_of(fraction: float | None, n_train: int | None) -> dict[str, Any]:
    """What settles a subset of the training data."""
    return {"fraction": fraction, "n_train": n_train, "seed": FRACTION_SEED}


def asked_spec(base: ModelSpec, options: argparse.Namespace) -> ModelSpec:
    """The architecture asked for; its options are those of `base` where that is the same one."""
    name = options.model or base.name
    kept = base.options if name == base.name else {}
    return ModelSpec(name, {**kept, **_given(width=options.width)}, options.init)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def asked_settings(
    options: argparse.Namespace, base: TrainingSettings | None = None
) -> TrainingSettings:
    """The settings of `base`, or the paper's, with those that were given as options."""
    names = ("epochs", "batch_size", "learning_rate", "patience", "steps_per_epoch", "crop")
    given = _given(**{name: getattr(options, name) for name in names})
    for name in {"patience", "crop"} & given.keys():
        given[name] = given[name] or None
    return replace(base or TrainingSettings(), **given)


def default_settings(config: ReleasedConfig, splits: Splits) -> TrainingSettings:
    """A configuration's settings; without one, the paper's for numbers or for profiles."""
    if config.settings != TrainingSettings():
        return config.settings
    return settings_for(splits.train.targets)


def settings_as_taught(teachers: Ensemble, splits: Splits) -> TrainingSettings:
    """The paper's settings, with profiles cut to what the teachers take."""
    settings = settings_for(splits.train.targets)
    if settings.loss == "mse" or teachers.input_length is None:
        return settings
    longer = splits.input_shape[0] > teachers.input_length
    return replace(settings, crop=teachers.input_length if longer else None)


def asked_augmentation(options: argparse.Namespace) -> Augmentation | None:
    """The augmentation of a student's minibatches, None where none was asked for.

    Raises
    ------
    InputError
        If options that go with one were given without.
    """
    if options.augment is None:
        asked = [
            name
            for name in ("append", "labels", "teacher_dtype")
            if getattr(options, name) not in (False, "teachers", "float32")
        ]
        if asked:
            raise InputError(
                f"--{asked[0].replace('_', '-')} goes with --augment. Received: no --augment"
            )
        return None
    name = options.augment
    if name == "evoaug" and options.labels == "static":
        name = "evoaug_one"
    augment = None if name == "none" else scheme(name)
    return Augmentation(augment, options.labels, options.append, options.teacher_dtype)


def asked_finetuning(
    options: argparse.Namespace, base: TrainingSettings
) -> TrainingSettings | None:
    """Settings of the stage without augmentation, None where none was asked for."""
    if options.finetune_epochs is None:
        return None
    return replace(
        asked_settings(options, base),
        epochs=options.finetune_epochs,
        learning_rate=options.finetune_rate,
    )
