"""`degu distill`: the teachers of a run into one student."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from degu_tf.cli.options import (
    ARCHITECTURES,
    AUGMENTATIONS,
    FORMS,
    augmentations,
    below_one,
    choice,
    custom_layers_option,
    dropout_rate,
    flag,
    in_memory_option,
    missing_targets_option,
    not_negative,
    option,
    positive,
    positive_share,
    several,
    verb,
    whole_number,
)
from degu_tf.cli.output import describe, report, say
from degu_tf.cli.shared.inputs import check_exists, check_files, check_model, check_run
from degu_tf.cli.shared.students import (
    check_students,
    folders_of,
    say_unlearned,
    students_options,
    train,
)
from degu_tf.cli.shared.training_options import (
    INIT,
    OWN_MODEL,
    begin,
    check_outputs,
    finetuning_options,
    finetuning_settings,
    model_spec,
    positive_uncertainty_option,
    recipe_of,
    recipe_option,
    run_folder_options,
    settings_options,
    subset_of,
    subset_options,
    training_data,
    training_settings,
)
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from degu_tf.data.splits import Splits
    from degu_tf.distillation.distill import Augmentation, DistillationSettings
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.distillation.recipes import Recipe
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.settings import TrainingSettings

STARTS = ("random", "best-teacher")
"""Values of `--init` that are no file."""


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    distill = verb(
        verbs,
        "distill",
        "distil an ensemble into one student with uncertainty; run the same command again to "
        "resume",
        "TEACHERS [TEACHERS ...] DATA --out FOLDER [options]",
        "degu distill runs/x d.h5 --out runs/y",
        "degu distill runs/x d.h5 --model deepstarr --width 0.5 --out runs/small",
        "degu distill runs/x d.h5 --model network.py:build --out runs/own",
        "degu distill runs/x d.h5 --recipe paper --augment evoaug --out runs/dynamic",
        "degu distill runs/x d.h5 --extra other_library.fa --out runs/y",
        "degu distill released/*_DeepSTARR.h5 d.h5 --out runs/y",
        "degu distill runs/x d.h5 --seeds 1 2 3 --workers 2 --out runs/students",
    )
    what = "run folder of `degu train`; or a folder of models that were trained elsewhere (files "
    what += "that `degu convert` reads or writes, .keras or .h5 of any network, or a run for "
    what += "each); or each of the models"
    distill.add_argument("teachers", metavar="TEACHERS", nargs="+", help=what)
    what = "HDF5 file the teachers were trained on, or one of labels with a student's columns"
    distill.add_argument("data", metavar="DATA", help=what)
    custom_layers_option(distill)
    run_folder_options(distill)
    model = distill.add_argument_group("student")
    option(model, "--model", "NAME", f"{ARCHITECTURES}; {OWN_MODEL} (default: the teachers')")
    width = "multiplies the number of filters and units (default: the teachers', or 1 for another "
    width += "architecture, times the recipe's factor; with --init the teachers')"
    option(model, "--width", "FACTOR", width, positive)
    init = f"{INIT}; best-teacher: the weights of the member with the lowest validation error; "
    option(model, "--init", "FILE", f"{init}random (default: the recipe's)")
    positive_uncertainty_option(model, "the recipe's")
    dropout = "dropout rate of every dropout layer (default: the recipe's)"
    option(model, "--student-dropout", "RATE", dropout, dropout_rate)
    labels = distill.add_argument_group("labels and loss")
    what = "form of the columns of aleatoric uncertainty of models whose file does not say it"
    labels.add_argument("--teachers-aleatoric", choices=FORMS[:2], help=what)
    option(labels, "--members", "N", "use the first N teachers (default: all)", whole_number(2))
    choice(labels, "--epistemic-form", "form of the epistemic column", FORMS[:2])
    for name, letter in (("epistemic", "lambda"), ("aleatoric", "gamma")):
        what = f"weight of the {name} term in the loss, {letter} in the paper"
        option(labels, f"--{name}-weight", "WEIGHT", what, not_negative, 1.0)
    validation = "labels that choose the best epoch: measured, as in the paper, or the ensemble's"
    validation += " (default: the recipe's)"
    labels.add_argument("--validate-on", choices=("measured", "ensemble"), help=validation)
    share_of = "weight of the measured activity beside the teachers' in the labels of the training "
    share_of += "sequences as they are, which are one in K + 1 of a pool of K copies "
    option(labels, "--measured-share", "SHARE", f"{share_of}(default: the recipe's)", below_one)
    extra = "FASTA, table (column seq) or HDF5 (all its splits) of more sequences for the teachers "
    option(labels, "--extra", "FILE", f"{extra}to label and the student to learn from")
    shuffles = "add dinucleotide shuffles of this share of the training sequences, labelled alike"
    option(labels, "--extra-shuffles", "SHARE", shuffles, positive_share)
    _augmentation_options(distill)
    what = "target names, for an HDF5 file or for models that do not say what their columns mean "
    what += "(default for models: those of the data)"
    data = subset_options(distill, "the teachers' subset")
    several(data, "--targets", "NAME", what)
    missing_targets_option(data)
    in_memory_option(data)
    recipe_option(distill)
    students_options(settings_options(distill))
    return distill


def _augmentation_options(distill: argparse.ArgumentParser) -> None:
    augmentation = distill.add_argument_group("augmentation")
    what = "augmentation of each minibatch. evoaug: 0 to 2 EvoAug augmentations (exactly one "
    what += "with --labels static); mutagenesis: 5 %% random mutations; shuffle: shuffled bases; "
    what += "recombine: the head of one sequence and the tail of another; mosaic: up to four "
    what += "segments of others, on either strand; or a mixture by shares, such as "
    what += "mosaic:0.85,mutagenesis=0.04:0.15. none: no augmentation, but teachers label "
    what += "each minibatch as it is drawn, for profiles a random crop and strand. off: no "
    what += "augmentation, labels made once (default: the recipe's)"
    kind = augmentations(AUGMENTATIONS, "none", "off")
    option(augmentation, "--augment", "SCHEME", what, kind)
    pool = "augmented copies of the training sequences, labelled once and kept with the teachers "
    pool += "for other students; 0: label each minibatch as it is drawn (default: the recipe's)"
    option(augmentation, "--pool", "COPIES", pool, whole_number(0))
    labels = "labels of augmented sequences. teachers: predicted by the teachers during training; "
    labels += "static: those of the original sequence"
    choice(augmentation, "--labels", labels, ("teachers", "static"))
    append = "train on the original sequences too, appended to each minibatch"
    flag(augmentation, "--append", append)
    dtype = "precision of teachers that label each minibatch; bfloat16 is faster where "
    dtype += "processors have it; auto: bfloat16 on GPUs that have it, else float32. Labels made "
    dtype += "once, as of a pool, are in float32"
    choice(augmentation, "--teacher-dtype", dtype, ("auto", "float32", "bfloat16"))
    finetuning_options(augmentation)


def run(options: argparse.Namespace) -> None:
    """Distil the teachers of a run into a student."""
    check_outputs(options)
    _check_teachers(options.teachers)
    check_files("an HDF5 file", options.data)
    check_files("a file of sequences", options.extra)
    check_model(options.model)
    if options.init not in STARTS:
        check_exists("a file of weights or the folder of a run", options.init)
    check_students(options)
    begin(options)
    from dataclasses import replace

    recorded = _recorded(options.teachers)
    subset = subset_of(options.fraction, options.n_train)
    if options.fraction is None and options.n_train is None:
        subset = recorded.get("subset", subset)
    splits = training_data(options, subset)
    teachers = _teachers(options, splits)
    if not (teachers.heads.aleatoric or splits.heads.epistemic):
        splits = splits.without_uncertainty()
    plain = teachers.spec is None or teachers.spec.head in ("linear", "positive")
    chosen = recipe_of(options, splits, None if plain else "paper")
    say(describe(splits))
    say(f"Recipe: {chosen.name}")
    if splits.heads.epistemic:
        say("These data are labels already; the teachers do not label them")
    elif recorded and splits.fingerprint != recorded["data"]["fingerprint"]:
        say("These are not the data that the teachers were trained on")
    spec, n_train = _student_spec(options, teachers, chosen), len(splits.train)
    base = default_settings(teachers, chosen, splits, spec)
    settings = training_settings(options, base, n_train)
    extra = _extra(options, splits)
    labels = chosen.student_labels(splits, settings, 0 if extra is None else len(extra))
    students = train(
        options,
        teachers,
        splits,
        spec,
        replace(settings, finetune=finetuning_settings(options, base, n_train)),
        subset=subset,
        recipe=chosen,
        distillation=distillation_settings(options, labels),
        extra=extra,
    )
    for student, folder in zip(students, folders_of(options), strict=True):
        say(f"Student of {teachers.n_members} teachers in {folder}")
        say_unlearned(student, splits, folder)
        report(folder, splits)


def _check_teachers(teachers: list[str]) -> None:
    """Refuse, before TensorFlow is loaded, what cannot be teachers."""
    if len(teachers) == 1 and os.path.isfile(teachers[0]):
        raise InputError(
            "expected the folder of a run, or several models: an ensemble has two or more "
            f"members. Received: {teachers[0]}, one file"
        )
    for path in teachers:
        check_run(path)  # files, which can be teachers too, only have to be there


def _recorded(teachers: list[str]) -> dict[str, Any]:
    """The settings of the teachers' run; nothing is known of how other models were trained."""
    from degu_tf.distillation.teacher_files import is_run, member_paths
    from degu_tf.utils.run_folder import RunFolder

    paths = member_paths(teachers)
    return RunFolder(paths[0]).settings() if len(paths) == 1 and is_run(paths[0]) else {}


def _teachers(options: argparse.Namespace, splits: "Splits") -> "Ensemble":
    """The teachers; the targets of models that name none are those of the data."""
    from degu_tf.distillation.members import Columns
    from degu_tf.distillation.teacher_files import open_teachers

    names = splits.heads.targets
    task = splits.heads.task if splits.heads.task == "binary" else None
    columns = Columns(options.targets and names, names, options.teachers_aleatoric, task)
    teachers = open_teachers(options.teachers, options.members, columns=columns)
    if teachers.sources and teachers.heads.targets != names:
        raise InputError(
            f"the teachers predict {', '.join(teachers.heads.targets)}, the data have "
            f"{', '.join(names)}; if these are other names for the same, give them: --targets "
            f"{' '.join(names)}. Received: no --targets"
        )
    return teachers


def _extra(options: argparse.Namespace, splits: "Splits") -> "np.ndarray | None":
    """Sequences of `--extra` and `--extra-shuffles`, as tokens; None without them."""
    import numpy as np

    from degu_tf.sequences.encoding import as_tokens, shuffle_dinucleotides

    found = []
    if options.extra is not None:
        found.append(_tokens_of(options, splits.input_shape[0]))
        say(f"{len(found[0]):,} extra sequences from {options.extra}")
    if options.extra_shuffles is not None:
        rng = np.random.default_rng(options.seed)
        tokens = as_tokens(splits.train.sequences)
        rows = rng.permutation(len(tokens))[: round(options.extra_shuffles * len(tokens))]
        found.append(shuffle_dinucleotides(tokens[rows], rng))
    return np.concatenate(found) if found else None


def _tokens_of(options: argparse.Namespace, length: int) -> "np.ndarray":
    """Tokens of all sequences of `--extra`, of every split of HDF5."""
    import numpy as np

    from degu_tf.data.hdf5.splits_file import read_splits
    from degu_tf.data.sources.sequences import read_sequences
    from degu_tf.sequences.encoding import as_tokens
    from degu_tf.utils.file_types import file_type

    if file_type(options.extra) != "HDF5":
        return as_tokens(read_sequences(options.extra, length=length).sequences)
    stored = read_splits(options.extra, options.targets, missing_targets="keep")
    if stored.input_shape[0] != length:
        raise InputError(
            f"expected sequences of {length} bases, as the data have. "
            f"Received: {stored.input_shape[0]} bases in --extra {options.extra}"
        )
    parts = [stored.train, stored.validation, *([stored.test] if stored.has_test else [])]
    return np.concatenate([as_tokens(part.sequences) for part in parts])


def _student_spec(
    options: argparse.Namespace, teachers: "Ensemble", chosen: "Recipe"
) -> "ModelSpec":
    """The student's architecture: the teachers' or the one named, with the recipe's dropout."""
    from dataclasses import replace

    from degu_tf.distillation.recipes import with_dropout

    spec = model_spec(options, teachers.spec)
    spec = replace(spec, init=None if options.init in STARTS else options.init)
    head = options.positive_uncertainty
    if options.width is not None or options.init not in (None, "random"):
        chosen = replace(chosen, student_width=1.0)  # weights to start from have a width
    usual = replace(chosen.student_spec(spec), init=spec.init)
    if head is not None:
        usual = replace(usual, head=spec.head)
    if options.student_dropout is None:
        return usual
    if not any("dropout" in name for name in spec.choices()):
        raise InputError(
            f"expected no --student-dropout with {spec.name}, which has no dropout layers. "
            f"Received: --student-dropout {options.student_dropout:g}"
        )
    return with_dropout(usual, options.student_dropout)


def default_settings(
    teachers: "Ensemble", chosen: "Recipe", splits: "Splits", spec: "ModelSpec"
) -> "TrainingSettings":
    """The recipe's settings; profiles are cropped to the teachers' input length."""
    from dataclasses import replace

    settings = chosen.student_settings(splits, spec)
    if splits.train.targets.ndim != 3 or teachers.input_length is None:
        return settings
    longer = splits.input_shape[0] > teachers.input_length
    return replace(settings, crop=teachers.input_length if longer else None)


def distillation_settings(
    options: argparse.Namespace, base: "DistillationSettings"
) -> "DistillationSettings":
    """What a student learns from: the recipe's, changed by the options that were given."""
    from dataclasses import replace

    chosen = augmentation(options, base.augmentation)
    named = {"validation": options.validate_on, "measured_share": options.measured_share}
    if options.init is not None:
        named["init"] = options.init if options.init in STARTS else "random"
    return replace(
        base,
        epistemic=options.epistemic_form,
        epistemic_weight=options.epistemic_weight,
        aleatoric_weight=options.aleatoric_weight,
        augmentation=chosen,
        pool=_pool(options, base.pool, chosen),
        **{name: value for name, value in named.items() if value is not None},
    )


def _pool(
    options: argparse.Namespace, usual: int | None, chosen: "Augmentation | None"
) -> int | None:
    """Copies of the pool: as `--pool` says, else the recipe's where a pool can hold the labels."""
    if options.pool is not None:
        return options.pool or None
    if chosen is None or chosen.scheme is None or chosen.append or chosen.labels == "static":
        return None
    return usual if options.augment is None else None


def augmentation(
    options: argparse.Namespace, usual: "Augmentation | None" = None
) -> "Augmentation | None":
    """The augmentation of a student's minibatches; the recipe's without `--augment`.

    Raises
    ------
    InputError
        If options of an augmentation were given without one.
    """
    from degu_tf.distillation.distill import Augmentation
    from degu_tf.training.augmentation.names import scheme

    name = options.augment
    if name == "off" or (name is None and usual is None):
        defaults = {"append": False, "labels": "teachers", "teacher_dtype": "auto"}
        for option_name, default in defaults.items():
            if getattr(options, option_name) != default:
                raise InputError(
                    f"expected --augment with --{option_name.replace('_', '-')}. "
                    f"Received: {'no --augment' if name is None else '--augment off'}"
                )
        return None
    if name == "evoaug" and options.labels == "static":
        name = "evoaug_one"
    if name is None and usual is not None:
        made = usual.scheme
    else:
        made = None if name == "none" else scheme(str(name))
    return Augmentation(made, options.labels, options.append, options.teacher_dtype)
