"""Options that `degu train` and `degu distill` share, and the data and settings they stand for."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from degu_tf.cli.options import (
    below_one,
    flag,
    option,
    positive,
    positive_share,
    quiet_option,
    whole_number,
)

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits
    from degu_tf.distillation.recipes import Recipe
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.run import Run
    from degu_tf.training.settings import TrainingSettings

INIT = (
    "initial weights: a run, or a file that `degu convert` reads; for a network of your own, a "
    ".keras or .h5 file of it"
)
"""Help of `--init`."""

OWN_MODEL = "or file.py:function or package.module:function of yours, (input_shape, n_columns) or "
OWN_MODEL += "(input_shape, heads) to a Keras model"
"""Help of `--model` for models of users; the file named is executed."""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
"""Values of `degu_tf.training.settings.Precision`, known without loading it."""


def run_folder_options(to: argparse.ArgumentParser) -> None:
    """Where the run is written."""
    what = "run folder; an unfinished run of the same settings is resumed at "
    what += "the epoch it had reached"
    to.add_argument("--out", required=True, metavar="FOLDER", help=what)
    quiet_option(to)
    log = "file to which a line of JSON is added for each epoch, with its losses and metrics"
    option(to, "--log", "FILE.jsonl", log)
    devices = "devices of this machine that train each model, each on its part of every batch: "
    devices += "GPUs, or, to try it out without any, parts of the processor; results agree to "
    devices += "rounding, but for dropout"
    option(to, "--devices", "N", devices, whole_number(1), 1)


def begin(options: argparse.Namespace) -> None:
    """Load TensorFlow for the devices that are to train; too few are refused at once."""
    from degu_tf.utils import quiet

    quiet.tensorflow()
    if options.devices > 1:
        from degu_tf.training.parallel.devices import strategy_of

        strategy_of(options.devices)


def check_outputs(options: argparse.Namespace) -> None:
    """Check before the work that the run folder and the log can be written to."""
    from degu_tf.cli.output import check_out_folder
    from degu_tf.utils.errors import blaming
    from degu_tf.utils.json_log import check_log

    check_out_folder(options.out)
    if options.log is not None:
        with blaming(f"--log {options.log}"):
            check_log(options.log)


def subset_options(to: argparse.ArgumentParser, default: str) -> argparse._ArgumentGroup:
    """How much of the training data is used."""
    data = to.add_argument_group("data")
    size = data.add_mutually_exclusive_group()
    what = f"fraction of the training data to use (default: {default})"
    option(size, "--fraction", "SHARE", what, positive_share)
    option(size, "--n-train", "N", "number of training sequences to use", whole_number(1))
    return data


def finetuning_options(to: argparse._ActionsContainer) -> None:
    """A second stage without augmentation."""
    epochs = "epochs of fine-tuning without augmentation afterwards, as in the released scripts"
    option(to, "--finetune-epochs", "N", f"{epochs} (default: none)", whole_number(1))
    option(to, "--finetune-rate", "RATE", "learning rate of fine-tuning", positive, 1e-4)


def recipe_option(to: argparse.ArgumentParser) -> None:
    """Which recipe the settings are of that no option gives."""
    what = "settings where no option gives them. best: what measurements on a real library led "
    what += "to; paper: those of the paper (default: best, or paper for profiles"
    to.add_argument("--recipe", choices=("best", "paper"), help=f"{what})")


def settings_options(to: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """How a model is trained; what is not given is the recipe's."""
    training = to.add_argument_group("training (defaults: the recipe's)")
    option(training, "--epochs", "N", "maximum number of epochs", whole_number(1))
    steps = "optimiser steps, in place of --epochs"
    option(training, "--steps", "N", steps, whole_number(1))
    option(training, "--batch-size", "N", "sequences per step", whole_number(1))
    option(training, "--learning-rate", "RATE", "initial learning rate of Adam", positive)
    schedule = "how the learning rate falls. plateau: where the validation loss stalls, as in the "
    schedule += "paper; cosine: to zero along half a cosine over all steps; constant: not at all"
    training.add_argument("--schedule", choices=("plateau", "cosine", "constant"), help=schedule)
    warmup = "steps over which the learning rate first rises from zero (cosine and constant)"
    option(training, "--warmup", "STEPS", warmup, whole_number(0))
    ema = "momentum of a moving average of the weights, such as 0.999; 0: no average"
    option(training, "--ema", "MOMENTUM", ema, below_one)
    standardise = "train in units of each target's mean and standard deviation over the training "
    standardise += "set; predictions are in the data's own units"
    flag(training, "--standardise", standardise)
    jit = "compile the training step by XLA, for GPUs; slower on processors"
    flag(training, "--jit-compile", jit)
    precision = "what layers compute in while a model is trained; the trained one is float32. "
    precision += "mixed_bfloat16 and mixed_float16, which Keras scales the loss for, are for GPUs"
    training.add_argument("--precision", choices=PRECISIONS, help=precision)
    patience = "stop after this many epochs without a lower validation loss; 0: never"
    option(training, "--patience", "N", patience, whole_number(0))
    steps = "steps per epoch; 0: one pass over the training data"
    option(training, "--steps-per-epoch", "N", steps, whole_number(0))
    crop = "profiles: bases of each sequence that the model sees, cropped at random in training; "
    crop += "0: all (default: 2048 if sequences are longer, or the teachers' input length)"
    option(training, "--crop", "BASES", crop, whole_number(0))
    seed = "random seed of weights, batches, dropout and augmentation"
    option(training, "--seed", "N", seed, whole_number(0), 0)
    retries = "times that a model which diverges, runs out of memory or does not learn is trained "
    retries += "again, from a seed derived from its own"
    option(training, "--retries", "N", retries, whole_number(0), 0)
    return training


def positive_uncertainty_option(to: argparse._ActionsContainer, default: str) -> None:
    """The output layer of uncertainty columns."""
    to.add_argument(
        "--positive-uncertainty",
        action=argparse.BooleanOptionalAction,
        help="predict standard deviations through softplus, so that they cannot come out negative; "
        f"otherwise by a linear layer, as in the paper (default: {default})",
    )


def recipe_of(
    options: argparse.Namespace, splits: "Splits", default: str | None = None
) -> "Recipe":
    """The recipe that `--recipe` names, or the one for these data."""
    from degu_tf.distillation.recipes import default_recipe, recipe

    name = options.recipe or default
    return default_recipe(splits) if name is None else recipe(name)


def run_of(options: argparse.Namespace, subset: Mapping[str, Any], chosen: "Recipe") -> "Run":
    """Folder, seed and records of the run."""
    from degu_tf.cli.output import progress
    from degu_tf.distillation.recipes import provenance_of
    from degu_tf.training.run import Run

    return Run(
        options.out,
        options.seed,
        provenance={"subset": dict(subset), **provenance_of(chosen)},
        notes={"data_file": _relative(options.data, options.out)},
        progress=progress(options),
        log=options.log,
        devices=options.devices,
        retries=options.retries,
    )


def _relative(data: str, run: str) -> str:
    """The data file as seen from the run folder, links followed on both sides."""
    return os.path.relpath(os.path.realpath(data), os.path.realpath(run))


def training_data(options: argparse.Namespace, subset: Mapping[str, Any]) -> "Splits":
    """The data of a file, with its training split reduced to the subset."""
    from degu_tf.data.hdf5.splits_file import read_splits

    splits = read_splits(
        options.data,
        options.targets,
        missing_targets=options.missing_targets,
        in_memory=options.in_memory,
    )
    if subset["fraction"] is not None:
        return splits.fraction(subset["fraction"], subset["seed"])
    if subset["n_train"] is not None:
        return splits.subset(subset["n_train"], subset["seed"])
    return splits


def subset_of(fraction: float | None, n_train: int | None) -> dict[str, Any]:
    """The subset of the training data as a run records it."""
    from degu_tf.data.splits import FRACTION_SEED

    return {"fraction": fraction, "n_train": n_train, "seed": FRACTION_SEED}


def model_spec(options: argparse.Namespace, base: "ModelSpec | None") -> "ModelSpec":
    """The architecture in the options; options of `base` hold where it is the same one.

    Raises
    ------
    InputError
        If neither names an architecture.
    """
    from degu_tf.models.own.sources import load_builder
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.utils.errors import InputError

    own = None if options.model is None or ":" not in options.model else load_builder(options.model)
    if base is None:
        if options.model is None:
            raise InputError(
                "expected --model NAME, since the architecture of the teachers is not known. "
                "Received: no --model"
            )
        base = ModelSpec(own or options.model)
    named = base if options.model is None else ModelSpec(own or options.model)
    named.choices()
    inherited = base.options if named.name == base.name else {}
    chosen = {**inherited, **_given(width=options.width)}
    positive_head = options.positive_uncertainty
    if positive_head is None:
        positive_head = base.head == "positive"
    head = "positive" if positive_head else "linear"
    return replace(named, options=chosen, init=options.init, head=head)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def training_settings(
    options: argparse.Namespace, base: "TrainingSettings", n_train: int
) -> "TrainingSettings":
    """The settings of a recipe, changed by the options that were given.

    Raises
    ------
    InputError
        If both epochs and steps were given.
    """
    from degu_tf.distillation.recipes import in_steps
    from degu_tf.utils.errors import InputError

    names = ("epochs", "batch_size", "learning_rate", "schedule", "warmup", "patience", "crop")
    more = ("steps_per_epoch", "ema", "precision")
    given = _given(**{name: getattr(options, name) for name in (*names, *more)})
    for name in {"patience", "crop", "steps_per_epoch", "ema"} & given.keys():
        given[name] = given[name] or None
    for name in ("standardise", "jit_compile"):
        if getattr(options, name):
            given[name] = True
    if options.schedule == "plateau":
        given.setdefault("warmup", 0)
    if options.epochs is not None and options.steps is not None:
        raise InputError(
            "expected --epochs or --steps, not both. "
            f"Received: --epochs {options.epochs} --steps {options.steps}"
        )
    if options.epochs is not None:
        # epochs are passes over the data unless their length is given too
        given.setdefault("steps_per_epoch", None)
    changed = replace(base, **given)
    return changed if options.steps is None else in_steps(changed, options.steps, n_train)


def finetuning_settings(
    options: argparse.Namespace, base: "TrainingSettings", n_train: int
) -> "TrainingSettings | None":
    """Settings of the stage without augmentation; None without `--finetune-epochs`."""
    if options.finetune_epochs is None:
        return None
    return replace(
        training_settings(options, base, n_train),
        epochs=options.finetune_epochs,
        learning_rate=options.finetune_rate,
        augment=None,
        steps_per_epoch=options.steps_per_epoch or None,
    )
