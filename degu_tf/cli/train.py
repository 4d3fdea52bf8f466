"""`degu train`: an ensemble of teachers."""

import argparse
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    ARCHITECTURES,
    TEACHERS_AUGMENTATIONS,
    activity_only_option,
    augmentations,
    in_memory_option,
    missing_targets_option,
    option,
    positive,
    target_names_option,
    verb,
    whole_number,
)
from degu_tf.cli.output import describe, report, say
from degu_tf.cli.shared.engine_options import engine_of, engine_options
from degu_tf.cli.shared.inputs import check_exists, check_files, check_model
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
    run_of,
    settings_options,
    subset_of,
    subset_options,
    training_data,
    training_settings,
)
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.distillation.recipes import Recipe
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.released_config import ReleasedConfig
    from degu_tf.training.run import Run
    from degu_tf.training.settings import TrainingSettings

NOISE_MODELS = (
    "heteroscedastic",
    "heteroscedastic_released",
    "evidential_released",
    "deep_evidential",
)
"""Values of `--uncertainty`: `degu_tf.uncertainty.noise_models.NOISE_MODELS`."""


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    train = verb(
        verbs,
        "train",
        "train an ensemble of teachers; run the same command again to resume",
        "DATA --out FOLDER [options]",
        "degu train d.h5 --out runs/x",
        "degu train d.h5 --model deepstarr --members 5 --fraction 0.25 --width 0.5 --out runs/x",
        "degu train d.h5 --model network.py:build --out runs/x",
        "degu train d.h5 --recipe paper --epochs 100 --out runs/paper",
    )
    train.add_argument(
        "data", metavar="DATA", help="HDF5 file of `degu prepare`, or of any released layout"
    )
    run_folder_options(train)
    model = train.add_argument_group("model")
    name = f"{ARCHITECTURES}; {OWN_MODEL} (default: deepstarr, or cnn_task_base for profiles)"
    option(model, "--model", "NAME", name)
    width = "multiplies the number of filters and units (default: 1)"
    option(model, "--width", "FACTOR", width, positive)
    option(model, "--members", "N", "number of teachers", whole_number(2), 10)
    unlearned = "teachers that predict no target of the validation set better than its mean, even "
    unlearned += "after --retries. leave-out: leave them out of the ensemble where two or more "
    unlearned += "others learnt; keep: keep them, as in the paper (default: the recipe's)"
    model.add_argument("--unlearned", choices=("keep", "leave-out"), help=unlearned)
    option(model, "--init", "FILE", INIT)
    noise = "learn the uncertainty from the activity alone, not from the replicates' deviation"
    model.add_argument("--uncertainty", choices=NOISE_MODELS, help=noise)
    positive_uncertainty_option(model, "the recipe's")
    data = subset_options(train, "all")
    activity_only_option(data)
    target_names_option(data)
    missing_targets_option(data)
    in_memory_option(data)
    augmentation = train.add_argument_group("augmentation")
    what = (
        "augmentation of each minibatch, whose labels stay unchanged: evoaug (exactly one of the "
    )
    what += "paper's list), or a mixture such as mutagenesis=0.05:0.3,translocation=20:0.3; none "
    kind = augmentations(TEACHERS_AUGMENTATIONS, "none")
    option(augmentation, "--augment", "SCHEME", f"{what}(default: the recipe's)", kind)
    strands = "both: half of each minibatch as reverse complements, whose labels stay unchanged; "
    strands += "one: as given, for activity that depends on the orientation, such as that of "
    strands += "promoters or transcripts (default: the recipe's)"
    augmentation.add_argument("--strands", choices=("both", "one"), help=strands)
    finetuning_options(augmentation)
    recipe_option(train)
    training = settings_options(train)
    engine_options(training, "members trained in parallel")
    member = "train this member alone, from 0, as each job of an array does; the last of --members "
    option(training, "--member", "K", f"{member}to finish completes the run", whole_number(0))
    config = "yaml file of the paper's authors: settings for options that are not given"
    option(training, "--config", "FILE", config)
    return train


def run(options: argparse.Namespace) -> None:
    """Train an ensemble of teachers."""
    check_outputs(options)
    check_model(options.model)
    check_exists("a file of weights or the folder of a run", options.init)
    check_files("an HDF5 file", options.data)
    check_files("a yaml file", options.config)
    _check_member(options)
    if options.positive_uncertainty and options.uncertainty is not None:
        raise InputError(
            "expected --positive-uncertainty without --uncertainty, whose models have an output of "
            f"their own. Received: --uncertainty {options.uncertainty}"
        )
    begin(options)
    from degu_tf.distillation.evaluation import unlearned_members
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.uncertainty.noise_models import with_noise_model

    config = _config(options.config)
    fraction = options.fraction
    if fraction is None and options.n_train is None and config.fraction < 1:
        fraction = config.fraction
    subset = subset_of(fraction, options.n_train)
    splits = training_data(options, subset)
    if options.activity_only:
        splits = splits.without_uncertainty()
    usual = "cnn_task_base" if splits.train.targets.ndim == 3 else "deepstarr"
    spec = model_spec(options, config.spec or ModelSpec(usual))
    usual_recipe = None if options.config is None and options.uncertainty is None else "paper"
    chosen = recipe_of(options, splits, usual_recipe)
    settings = _settings(options, config, chosen, splits)
    if options.positive_uncertainty is None:
        spec = chosen.teacher_spec(spec, splits.heads)
    if options.uncertainty is not None:
        spec, settings = with_noise_model(options.uncertainty, spec, settings)
    say(describe(splits))
    say(f"Recipe: {chosen.name}")
    if settings.reverse_complement and splits.train.targets.ndim == 2 and options.strands is None:
        say(
            "Trained on both strands: half of each minibatch are reverse complements. If activity "
            "depends on the orientation: --strands one"
        )
    ensemble = _trained(options, splits, spec, settings, run_of(options, subset, chosen), chosen)
    if ensemble is None:
        say(f"Member {options.member} in {options.out}; others are not finished yet")
        return
    say(f"{ensemble.n_members} members in {options.out}")
    if splits.validation.targets.ndim == 2:
        for member, target in unlearned_members(ensemble, splits.validation, splits.heads):
            say(
                f"Member {member} did not learn {target}: on the validation set its error is not "
                "below that of the mean"
            )
    report(options.out, splits)


def _trained(
    options: argparse.Namespace,
    splits: "Splits",
    spec: "ModelSpec",
    settings: "TrainingSettings",
    run: "Run",
    recipe: "Recipe",
) -> "Ensemble | None":
    """The ensemble, or None if one member was asked for and others are not finished."""
    from degu_tf.distillation.distributed.one_member import train_member
    from degu_tf.distillation.ensemble_training import train_ensemble

    n_members, unlearned = options.members, options.unlearned or recipe.unlearned
    if options.member is not None:
        member = options.member
        return train_member(splits, spec, n_members, member, settings, run, unlearned=unlearned)
    with engine_of(options) as executor:
        return train_ensemble(
            splits, spec, n_members, settings, run, executor=executor, unlearned=unlearned
        )


def _check_member(options: argparse.Namespace) -> None:
    if options.member is not None and options.member >= options.members:
        raise InputError(
            f"expected --member from 0 to {options.members - 1}, one of --members "
            f"{options.members}. Received: --member {options.member}"
        )


def _settings(
    options: argparse.Namespace, config: "ReleasedConfig", chosen: "Recipe", splits: "Splits"
) -> "TrainingSettings":
    """The recipe's settings, or a configuration's, changed by the options that were given."""
    from dataclasses import replace

    from degu_tf.training.augmentation.names import scheme

    base = default_settings(config, chosen, splits)
    if options.strands is not None:
        base = replace(base, reverse_complement=options.strands == "both")
    settings = training_settings(options, base, len(splits.train))
    if options.augment == "none":
        settings = replace(settings, augment=None)
    elif options.augment is not None:
        name = "evoaug_one" if options.augment == "evoaug" else options.augment
        settings = replace(settings, augment=scheme(name))
    finetune = finetuning_settings(options, base, len(splits.train))
    return replace(settings, finetune=finetune)


def default_settings(
    config: "ReleasedConfig", chosen: "Recipe", splits: "Splits"
) -> "TrainingSettings":
    """A configuration's settings, or the recipe's."""
    from degu_tf.training.settings import TrainingSettings

    if config.settings != TrainingSettings():
        return config.settings
    return chosen.teacher_settings(splits)


def _config(path: str | None) -> "ReleasedConfig":
    from degu_tf.training.released_config import ReleasedConfig, read_config
    from degu_tf.training.settings import TrainingSettings

    if path is None:
        return ReleasedConfig(TrainingSettings())
    config = read_config(path)
    if noted := [f"{name}={value}" for name, value in config.run.items() if value]:
        say(f"Entries of {path} that describe its run and have no effect: {', '.join(noted)}")
    return config
