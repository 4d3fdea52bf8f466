"""Students of several seeds: their option, folders and runs, trained here or by workers."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degu_tf.cli.options import several_numbers
from degu_tf.cli.output import progress, say
from degu_tf.cli.shared.engine_options import (
    check_custom_layers,
    engine_of,
    engine_options,
    is_elsewhere,
    received,
)
from degu_tf.cli.shared.training_options import run_of
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import SETTINGS

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits
    from degu_tf.distillation.distill import DistillationSettings
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.distillation.recipes import Recipe
    from degu_tf.models.predictor import ModelPredictor
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.settings import TrainingSettings


def students_options(to: argparse._ActionsContainer) -> None:
    """`--seeds`, and where the students are trained."""
    seeds = "train a student for each of these seeds, in FOLDER/seed_N of --out, on one labelling; "
    several_numbers(to, "--seeds", "N", f"{seeds}each is the one that --seed N trains")
    engine_options(to, "students of --seeds trained in parallel")


def check_students(options: argparse.Namespace) -> None:
    """Check options that go together with several students, or not.

    Raises
    ------
    InputError
        If they do not.
    """
    check_custom_layers(options)
    if options.seeds is None:
        if is_elsewhere(options):
            raise InputError(
                "expected --seeds, of which each worker trains a student; one student is trained "
                f"in one process. Received: {received(options)}"
            )
        return
    if len(set(options.seeds)) < len(options.seeds) or options.seed:
        more = f" --seed {options.seed}" if options.seed else ""
        given = " ".join(map(str, options.seeds))
        raise InputError(
            f"expected different seeds, and no --seed beside them. Received: --seeds {given}{more}"
        )
    if options.extra_shuffles is not None:
        raise InputError(
            "shuffles are drawn by the seed, and students of --seeds share what they learn from: "
            "train one after another (--seed), or write the shuffles to a file (--extra). "
            f"Received: --seeds with --extra-shuffles {options.extra_shuffles:g}"
        )
    if (Path(options.out) / SETTINGS).is_file():
        raise InputError(
            "expected a folder for several runs, one for each of --seeds. "
            f"Received: --out {options.out}, which is a run itself"
        )


def folders_of(options: argparse.Namespace) -> list[str]:
    """The folder of each student: that of `--out`, or one for each seed in it."""
    if options.seeds is None:
        return [options.out]
    return [os.path.join(options.out, f"seed_{seed}") for seed in options.seeds]


def train(
    options: argparse.Namespace,
    teachers: "Ensemble",
    splits: "Splits",
    spec: "ModelSpec",
    settings: "TrainingSettings",
    *,
    subset: Mapping[str, Any],
    recipe: "Recipe",
    distillation: "DistillationSettings",
    extra: Any = None,
) -> "list[ModelPredictor]":
    """The student of the options, or those of their seeds."""
    from dataclasses import replace

    from degu_tf.distillation.distill import distill
    from degu_tf.distillation.distributed.portable import train_students
    from degu_tf.distillation.labels import student_splits

    if options.seeds is None:
        run = run_of(options, subset, recipe)
        how: dict[str, Any] = {"distillation": distillation, "extra": extra}
        return [distill(teachers, splits, spec, settings, run, **how)]
    labelled = student_splits(
        teachers,
        splits,
        distillation.epistemic,
        progress(options),
        validation=distillation.validation,
        measured_share=distillation.measured_share,
        extra=extra,
    )
    runs = []
    for folder, seed in zip(folders_of(options), options.seeds, strict=True):
        one = argparse.Namespace(**{**vars(options), "out": folder, "seed": seed})
        runs.append(replace(run_of(one, subset, recipe), name=f"student {seed}"))
    with engine_of(options) as executor:
        return train_students(
            teachers,
            labelled,
            runs,
            spec,
            settings,
            distillation=distillation,
            executor=executor,
        )


def say_unlearned(student: "ModelPredictor", splits: "Splits", folder: str) -> None:
    """Name the targets that a student predicts no better than their mean, as those of members."""
    from degu_tf.distillation.failures.attempts import unlearned_targets

    split = splits.validation
    if split.targets.ndim != 2:
        return
    for target in unlearned_targets(student, split, splits.heads):
        say(
            f"The student in {folder} did not learn {target}: on the validation set its error is "
            "not below that of the mean"
        )
