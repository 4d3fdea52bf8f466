"""`degu train`: an ensemble of teachers."""

import argparse
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    ARCHITECTURES,
    activity_only_option,
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
    from degu_tf.training.released_config import ReleasedConfig
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
        "degu train d.h5 --model deepstarr --members 10 --epochs 100 --fraction 0.25 --seed 0 "
        "--out runs/x",
    )
    train.add_argument(
        "data", metavar="DATA", help="HDF5 file of `degu prepare`, or of any released layout"
    )
    run_folder_options(train)
    model = train.add_argument_group("model")
    name = f"{ARCHITECTURES} (default: deepstarr, or cnn_task_base for profiles)"
    option(model, "--model", "NAME", name)
    width = "multiplies the number of filters and units (default: 1)"
    option(model, "--width", "FACTOR", width, positive)
    option(model, "--members", "N", "number of teachers", whole_number(2), 10)
    option(model, "--init", "FILE", INIT)
    noise = "learn the uncertainty from the activity alone, not from the replicates' deviation"
    model.add_argument("--uncertainty", choices=NOISE_MODELS, help=noise)
    positive_uncertainty_option(model)
    data = subset_options(train, "all")
    activity_only_option(data)
    target_names_option(data)
    augmentation = train.add_argument_group("augmentation")
    what = "evoaug: exactly one EvoAug augmentation per minibatch; labels stay unchanged"
    augmentation.add_argument("--augment", choices=("evoaug",), help=what)
    finetuning_options(augmentation)
    training = settings_options(train)
    option(training, "--workers", "N", "members trained in parallel", whole_number(1), 1)
    config = "yaml file of the paper's authors: settings for options that are not given"
    option(training, "--config", "FILE", config)
    return train


def run(options: argparse.Namespace) -> None:
    """Train an ensemble of teachers."""
    check_out_folder(options.out)
    if options.positive_uncertainty and options.uncertainty is not None:
        raise InputError(
            "expected --positive-uncertainty without --uncertainty, whose models have an output of "
            f"their own. Received: --uncertainty {options.uncertainty}"
        )
    quiet.tensorflow()
    from dataclasses import replace

    from degu_tf.distillation.ensemble import train_ensemble
    from degu_tf.training.augmentation.schemes import scheme
    from degu_tf.training.model_spec import ModelSpec
    from degu_tf.training.settings import settings_for
    from degu_tf.uncertainty.noise_models import with_noise_model
    from degu_tf.utils.processes import workers

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
    settings = training_settings(options, default_settings(config, splits))
    if options.uncertainty is not None:
        spec, settings = with_noise_model(options.uncertainty, spec, settings)
    settings = replace(
        settings,
        augment=None if options.augment is None else scheme("evoaug_one"),
        finetune=finetuning_settings(options, settings_for(splits.train.targets)),
    )
    say(describe(splits))
    with workers(options.workers) as executor:
        ensemble = train_ensemble(
            splits, spec, options.members, settings, run_of(options, subset), executor=executor
        )
    say(f"{ensemble.n_members} members in {options.out}")
    report(options.out, splits)


def default_settings(config: "ReleasedConfig", splits: "Splits") -> "TrainingSettings":
    """A configuration's settings; without one, the paper's for scalar activity or for profiles."""
    from degu_tf.training.settings import TrainingSettings, settings_for

    if config.settings != TrainingSettings():
        return config.settings
    return settings_for(splits.train.targets)


def _config(path: str | None) -> "ReleasedConfig":
    from degu_tf.training.released_config import ReleasedConfig, read_config
    from degu_tf.training.settings import TrainingSettings

    if path is None:
        return ReleasedConfig(TrainingSettings())
    config = read_config(path)
    if noted := [f"{name}={value}" for name, value in config.run.items() if value]:
        say(f"Entries of {path} that describe its run and have no effect: {', '.join(noted)}")
    return config
