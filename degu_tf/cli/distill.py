"""`degu distill`: the teachers of a run into one student."""

import argparse
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    ARCHITECTURES,
    FORMS,
    choice,
    dropout_rate,
    flag,
    not_negative,
    option,
    positive,
    target_names_option,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out_folder, describe, report, say
from degu_tf.cli.training_options import (
    INIT,
    finetuning_options,
    finetuning_settings,
    model_spec,
    positive_uncertainty_option,
    run_folder_options,
    run_of,
    settings_options,
    subset_of,
    subset_options,
    training_data,
    training_settings,
)
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits
    from degu_tf.distillation.distill import Augmentation
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.settings import TrainingSettings


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    distill = verb(
        verbs,
        "distill",
        "distil an ensemble into one student with uncertainty; run the same command again to "
        "resume",
        "TEACHERS DATA --out FOLDER [options]",
        "degu distill runs/x d.h5 --epochs 100 --out runs/y",
        "degu distill runs/x d.h5 --model deepstarr --width 0.5 --out runs/small",
        "degu distill runs/x d.h5 --augment evoaug --out runs/dynamic",
    )
    distill.add_argument("teachers", metavar="TEACHERS", help="run folder of `degu train`")
    what = "HDF5 file the teachers were trained on, or one of labels with a student's columns"
    distill.add_argument("data", metavar="DATA", help=what)
    run_folder_options(distill)
    model = distill.add_argument_group("student")
    option(model, "--model", "NAME", f"{ARCHITECTURES} (default: the teachers')")
    width = "multiplies the number of filters and units (default: the teachers', or 1 for another "
    option(model, "--width", "FACTOR", f"{width}architecture)", positive)
    option(model, "--init", "FILE", INIT)
    positive_uncertainty_option(model)
    dropout = "dropout rate of every dropout layer (default: the architecture's)"
    option(model, "--student-dropout", "RATE", dropout, dropout_rate)
    labels = distill.add_argument_group("labels and loss")
    option(labels, "--members", "N", "use the first N teachers (default: all)", whole_number(2))
    choice(labels, "--epistemic-form", "form of the epistemic column", FORMS[:2])
    for name, letter in (("epistemic", "lambda"), ("aleatoric", "gamma")):
        what = f"weight of the {name} term in the loss, {letter} in the paper"
        option(labels, f"--{name}-weight", "WEIGHT", what, not_negative, 1.0)
    validation = "labels that choose the best epoch: measured, as in the paper, or the ensemble's"
    choice(labels, "--validate-on", validation, ("measured", "ensemble"))
    _augmentation_options(distill)
    target_names_option(subset_options(distill, "the teachers' subset"))
    settings_options(distill)
    return distill


def _augmentation_options(distill: argparse.ArgumentParser) -> None:
    augmentation = distill.add_argument_group("augmentation")
    augmentation.add_argument(
        "--augment",
        choices=("evoaug", "mutagenesis", "shuffle", "recombine", "mutate_recombine", "none"),
        help="augmentation of each minibatch. evoaug: 0 to 2 EvoAug augmentations (exactly one "
        "with --labels static); mutagenesis: 5 %% random mutations; shuffle: shuffled bases; "
        "recombine: the head of one sequence and the tail of another; mutate_recombine: half of "
        "the sequences with 4 %% mutations, half recombined; none: no augmentation, but teachers "
        "label each minibatch as it is drawn, for profiles a random crop and strand",
    )
    labels = "labels of augmented sequences. teachers: predicted by the teachers during training; "
    labels += "static: those of the original sequence"
    choice(augmentation, "--labels", labels, ("teachers", "static"))
    append = "train on the original sequences too, appended to each minibatch"
    flag(augmentation, "--append", append)
    dtype = "precision of the teachers' predictions; bfloat16 is faster on processors that have it"
    choice(augmentation, "--teacher-dtype", dtype, ("float32", "bfloat16"))
    finetuning_options(augmentation)


def run(options: argparse.Namespace) -> None:
    """Distil the teachers of a run into a student."""
    check_out_folder(options.out)
    quiet.tensorflow()
    from dataclasses import replace

    from degu_tf.distillation.distill import DistillationSettings, distill
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.utils.run_folder import RunFolder

    teachers = Ensemble.load(options.teachers, options.members)
    recorded = RunFolder(options.teachers).settings()
    subset = subset_of(options.fraction, options.n_train)
    if options.fraction is None and options.n_train is None:
        subset = recorded.get("subset", subset)
    splits = training_data(options, subset)
    if not (teachers.heads.aleatoric or splits.heads.epistemic):
        splits = splits.without_uncertainty()
    say(describe(splits))
    if splits.heads.epistemic:
        say("These data are labels already; the teachers do not label them")
    elif splits.fingerprint != recorded["data"]["fingerprint"]:
        say("These are not the data that the teachers were trained on")
    base = default_settings(teachers, splits)
    distill(
        teachers,
        splits,
        _student_spec(options, teachers),
        replace(training_settings(options, base), finetune=finetuning_settings(options, base)),
        run_of(options, subset),
        distillation=DistillationSettings(
            options.epistemic_form,
            options.epistemic_weight,
            options.aleatoric_weight,
            augmentation(options),
            options.validate_on,
        ),
    )
    say(f"Student of {teachers.n_members} teachers in {options.out}")
    report(options.out, splits)


def _student_spec(options: argparse.Namespace, teachers: "Ensemble") -> "ModelSpec":
    """The student's architecture, with one rate for all its dropout layers if one was given."""
    from dataclasses import replace

    from degu_tf.models import registry

    spec = model_spec(options, teachers.spec)
    if options.student_dropout is None:
        return spec
    names = [name for name in registry.options(spec.name) if "dropout" in name]
    if not names:
        raise InputError(
            f"expected no --student-dropout with {spec.name}, which has no dropout layers. "
            f"Received: --student-dropout {options.student_dropout:g}"
        )
    return replace(spec, options={**spec.options, **dict.fromkeys(names, options.student_dropout)})


def default_settings(teachers: "Ensemble", splits: "Splits") -> "TrainingSettings":
    """The paper's settings; profiles are cropped to the teachers' input length."""
    from dataclasses import replace

    from degu_tf.training.settings import settings_for

    settings = settings_for(splits.train.targets)
    if settings.loss == "mse" or teachers.input_length is None:
        return settings
    longer = splits.input_shape[0] > teachers.input_length
    return replace(settings, crop=teachers.input_length if longer else None)


def augmentation(options: argparse.Namespace) -> "Augmentation | None":
    """The augmentation of a student's minibatches; None without `--augment`.

    Raises
    ------
    InputError
        If options of an augmentation were given without `--augment`.
    """
    from degu_tf.distillation.distill import Augmentation
    from degu_tf.training.augmentation.schemes import scheme

    if options.augment is None:
        defaults = {"append": False, "labels": "teachers", "teacher_dtype": "float32"}
        for name, default in defaults.items():
            if getattr(options, name) != default:
                raise InputError(
                    f"expected --augment with --{name.replace('_', '-')}. Received: no --augment"
                )
        return None
    name = options.augment
    if name == "evoaug" and options.labels == "static":
        name = "evoaug_one"
    return Augmentation(
        None if name == "none" else scheme(name),
        options.labels,
        options.append,
        options.teacher_dtype,
    )
