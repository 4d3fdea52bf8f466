"""What each verb of the `degu` command does: parsed options in, one public function called."""

import argparse
import dataclasses
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist
from typing import Any

from degu_tf import quiet

quiet.tensorflow()

from degu_tf.calibrated import (  # noqa: E402
    JUDGED_ON,
    compare_intervals,
    find_calibration,
)
from degu_tf.calibrated import calibrate as calibrate_run  # noqa: E402
from degu_tf.configs import ReleasedConfig, read_config  # noqa: E402
from degu_tf.data.hdf5 import read_splits, write_splits  # noqa: E402
from degu_tf.data.inputs import NamedSequences, read_bed, read_sequences  # noqa: E402
from degu_tf.data.splits import FRACTION_SEED, Splits  # noqa: E402
from degu_tf.distillation import Augmentation, distill  # noqa: E402
from degu_tf.ensemble import Ensemble, train_ensemble  # noqa: E402
from degu_tf.errors import InputError  # noqa: E402
from degu_tf.files import atomic_write  # noqa: E402
from degu_tf.folder import CALIBRATION, RunFolder  # noqa: E402
from degu_tf.heads import HeadLayout  # noqa: E402
from degu_tf.inference import missing_components, prediction_table  # noqa: E402
from degu_tf.metrics import wide  # noqa: E402
from degu_tf.models.folding import fold  # noqa: E402
from degu_tf.predictor import StrandAveraged  # noqa: E402
from degu_tf.prepare_sources import read_source  # noqa: E402
from degu_tf.runs import evaluate_run, open_run  # noqa: E402
from degu_tf.schemes import scheme  # noqa: E402
from degu_tf.training import ModelSpec, TrainingSettings, write_table  # noqa: E402
from degu_tf.uncertainty.methods import with_noise_model  # noqa: E402


def run(options: argparse.Namespace) -> None:
    """Carry out the verb that was parsed."""
    with warnings.catch_warnings():
        quiet.one_line_warnings("degu")
        _VERBS[options.verb](options)


def prepare(options: argparse.Namespace) -> None:
    """Read a source and write it in the package's HDF5 layout."""
    _check_output(options.out, options.force)
    splits = read_source(options)
    write_splits(options.out, splits, one_hot=options.one_hot)
    say(f"Wrote {options.out}: {_describe(splits)}")


def train(options: argparse.Namespace) -> None:
    """Train an ensemble of teachers."""
    config = _config(options.config)
    fraction = options.fraction
    if fraction is None and options.n_train is None and config.fraction < 1:
        fraction = config.fraction
    subset = _subset(fraction, options.n_train)
    splits = _training_data(options, subset)
    if options.activity_only:
        splits = splits.without_uncertainty()
    spec = _spec(config.spec or ModelSpec("deepstarr"), options)
    settings = _settings(options, config.settings)
    if options.uncertainty is not None:
        spec, settings = with_noise_model(options.uncertainty, spec, settings)
    say(_describe(splits))
    with _workers(options.workers) as executor:
        ensemble = train_ensemble(
            splits,
            spec,
            options.members,
            settings,
            options.seed,
            options.out,
            augment=None if options.augment is None else scheme("evoaug_one"),
            finetune=_finetuning(options),
            executor=executor,
            provenance={"subset": subset},
            notes={"data_file": _relative(options.data, options.out)},
            progress=_progress(options),
        )
    say(f"{ensemble.n_members} members in {options.out}")
    _report(options.out, splits)


def distill_teachers(options: argparse.Namespace) -> None:
    """Distil the teachers of a run into a student."""
    teachers = Ensemble.load(options.teachers, options.members)
    settings = RunFolder(options.teachers).settings()
    subset = _subset(options.fraction, options.n_train)
    if options.fraction is None and options.n_train is None:
        subset = settings.get("subset", subset)
    splits = _training_data(options, subset)
    if not teachers.heads.aleatoric:
        splits = splits.without_uncertainty()
    say(_describe(splits))
    if splits.fingerprint != settings["data"]["fingerprint"]:
        say("The teachers were trained on other data than these; their labels are used as they are")
    distill(
        teachers,
        splits,
        spec=_spec(teachers.spec, options),
        settings=_settings(options),
        seed=options.seed,
        folder=options.out,
        epistemic=options.epistemic_form,
        epistemic_weight=options.epistemic_weight,
        aleatoric_weight=options.aleatoric_weight,
        augmentation=_augmentation(options),
        finetune=_finetuning(options),
        provenance={"subset": subset},
        notes={"data_file": _relative(options.data, options.out)},
        progress=_progress(options),
    )
    say(f"A student of {teachers.n_members} teachers in {options.out}")
    _report(options.out, splits)


def export(options: argparse.Namespace) -> None:
    """Write the model of a run, folded, as a Keras file."""
    if not options.out.endswith(".keras"):
        raise InputError(f"expected a file name ending .keras. Received: {options.out}")
    _check_output(options.out, options.force)
    predictor = open_run(options.run)
    if isinstance(predictor, Ensemble):
        raise InputError(
            "an ensemble is exported member by member; name one, such as "
            f"{Path(options.run) / 'member_00'}. Received: {options.run}"
        )
    model = fold(predictor.model)
    with atomic_write(options.out) as temporary:
        model.save(temporary)
    before, after = predictor.model.count_params(), model.count_params()
    say(
        f"Wrote {options.out}: columns {', '.join(predictor.heads.columns)}; {before} -> {after} "
        "parameters"
    )


def evaluate(options: argparse.Namespace) -> None:
    """Print a run's metrics on a split, and write them all if asked to."""
    if options.out is not None:
        _check_output(options.out, options.force)
    splits = read_splits(options.data, options.targets)
    _report(options.run, splits, options.split, options.out)


def calibrate(options: argparse.Namespace) -> None:
    """Fit conformal prediction to a run, and show what it does on sequences that are new to it."""
    splits = read_splits(options.data, options.targets)
    calibrated = calibrate_run(
        options.run,
        splits,
        split=options.split,
        component=options.component,
        quantile=options.quantile.replace("-", "_"),
        n_bins=options.bins,
        level=options.level,
        average_strands=options.average_strands,
        force=options.force,
    )
    others = JUDGED_ON[options.split]
    table = compare_intervals(calibrated, getattr(splits, others), splits.heads, options.level)
    say(f"Wrote {Path(options.run) / CALIBRATION}")
    gaussian = NormalDist().inv_cdf(0.5 + options.level / 2)
    say(f"Factor on the {options.component} uncertainty (Gaussian: {gaussian:.3f})")
    factors = calibrated.conformal.factors(options.level)
    say(factors.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    say(f"Intervals of {100 * options.level:g} % on {others} (n={table['n'][0]})")
    columns = table.assign(column=table["metric"] + " " + table["interval"])
    shown = columns.pivot(index="target", columns="column", values="value")
    shown = shown.loc[list(splits.heads.targets)].rename_axis(index=None, columns=None)
    order = [f"{a} {b}" for a in ("coverage", "size") for b in ("gaussian", "conformal")]
    say(shown[order].to_string(float_format=lambda value: f"{value:.3f}"))


def predict(options: argparse.Namespace) -> None:
    """Predict sequences and write the table."""
    _check_output(options.out, options.force)
    predictor, conformal = open_run(options.run), None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    named = _inputs(options, predictor.input_length)
    if options.average_strands:
        predictor = StrandAveraged(predictor)
    prediction = predictor.predict(named.sequences)
    for component in missing_components(prediction):
        say(f"This model gives no {component} uncertainty; its columns are empty")
    if conformal is not None:
        say(
            f"Conformal intervals of {100 * options.level:g} %, calibrated on "
            f"{conformal.notes['split']}; --gaussian gives Gaussian ones"
        )
    table = prediction_table(prediction, named.names, options.level, conformal)
    with atomic_write(options.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    say(f"Wrote {options.out}: {len(table)} predicted, interval: {table['interval'][0]}")


def explain(options: argparse.Namespace) -> None:
    """Write maps of the sequences a run finds largest."""
    from degu_tf.explain import explain

    explain(options, say)


def variants(options: argparse.Namespace) -> None:
    """Score the variants of a VCF."""
    from degu_tf.variant_command import variants

    _check_output(options.out, options.force)
    variants(options, say)


def mutagenize(options: argparse.Namespace) -> None:
    """Score every single-nucleotide variant of sequences."""
    from degu_tf.mutagenize import mutagenize

    mutagenize(options, say)


def fetch(options: argparse.Namespace) -> None:
    """List a record's files, or fetch some and unpack them."""
    from degu_tf.data import archives, zenodo

    record = zenodo.read_record(options.record or zenodo.DOI)
    if options.list:
        say(zenodo.listing(record))
        return
    files = zenodo.fetch(
        options.names,
        options.match or (),
        options.out,
        record=record,
        progress=_progress(options),
    )
    for file in files:
        say(f"{file}")
        if options.unpack and archives.is_archive(file):
            unpacked = archives.unpack(file, file.parent, progress=_progress(options))
            say(f"  {len(unpacked)} files unpacked into {file.parent}")


def convert(options: argparse.Namespace) -> None:
    """Write a released file as `.keras` with its card, and print the card."""
    from degu_tf.models import card

    heads = None
    if options.targets:
        heads = HeadLayout(tuple(options.targets), options.aleatoric, options.epistemic)
    elif options.aleatoric or options.epistemic:
        raise InputError("--aleatoric and --epistemic go with --targets, which name the columns")
    written = card.convert(
        options.source,
        options.out,
        architecture=options.model,
        input_length=options.length,
        heads=heads,
        overwrite=options.force,
    )
    say(written.text().rstrip())


def _inputs(options: argparse.Namespace, length: int) -> NamedSequences:
    if (options.bed is None) != (options.fasta is None):
        raise InputError("intervals need both: --bed FILE --fasta GENOME")
    if (options.bed is None) == (options.sequences is None):
        raise InputError("name a file of sequences, or --bed with --fasta; one of the two")
    if options.bed is not None:
        return read_bed(options.bed, options.fasta, length)
    return read_sequences(
        options.sequences,
        sequence=options.sequence,
        name=options.name,
        split=options.split,
        targets=options.targets,
        length=length,
    )


def _training_data(options: argparse.Namespace, subset: Mapping[str, Any]) -> Splits:
    splits = read_splits(options.data, options.targets)
    if subset["fraction"] is not None:
        return splits.fraction(subset["fraction"], subset["seed"])
    if subset["n_train"] is not None:
        return splits.subset(subset["n_train"], subset["seed"])
    return splits


def _subset(fraction: float | None, n_train: int | None) -> dict[str, Any]:
    return {"fraction": fraction, "n_train": n_train, "seed": FRACTION_SEED}


def _spec(base: ModelSpec, options: argparse.Namespace) -> ModelSpec:
    """The architecture asked for; its options are those of `base` where that is the same one."""
    name = options.model or base.name
    kept = base.options if name == base.name else {}
    return ModelSpec(name, {**kept, **_given(width=options.width)}, options.init)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _settings(
    options: argparse.Namespace, base: TrainingSettings | None = None
) -> TrainingSettings:
    """The settings of `base`, or the paper's, with those that were given as options."""
    names = ("epochs", "batch_size", "learning_rate", "patience", "steps_per_epoch")
    given = _given(**{name: getattr(options, name) for name in names})
    if "patience" in given:
        given["patience"] = given["patience"] or None
    return dataclasses.replace(base or TrainingSettings(), **given)


def _config(path: str | None) -> ReleasedConfig:
    """What a configuration says; without one, that the paper's DeepSTARR is meant."""
    if path is None:
        return ReleasedConfig(TrainingSettings())
    config = read_config(path)
    if noted := [f"{name}={value}" for name, value in config.run.items() if value]:
        say(f"{path} notes of its run, which has no effect here: {', '.join(noted)}")
    return config


def _augmentation(options: argparse.Namespace) -> Augmentation | None:
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
    return Augmentation(scheme(name), options.labels, options.append, options.teacher_dtype)


def _finetuning(options: argparse.Namespace) -> TrainingSettings | None:
    if options.finetune_epochs is None:
        return None
    return replace(
        _settings(options),
        epochs=options.finetune_epochs,
        learning_rate=options.finetune_rate,
    )


@contextmanager
def _workers(n: int) -> Iterator[ProcessPoolExecutor | None]:
    if n == 1:
        yield None
        return
    context = get_context("spawn")
    try:
        with ProcessPoolExecutor(n, mp_context=context, initializer=_start_worker) as executor:
            yield executor
    except BrokenProcessPool:
        raise InputError(
            "a worker ended before its member was trained, for want of memory perhaps; the same "
            f"command with fewer --workers goes on where it stopped. Received: --workers {n}"
        ) from None


def _start_worker() -> None:
    """Let a worker be as quiet as this process, which importing this module has begun."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    quiet.one_line_warnings("degu")


def _report(run: str, splits: Splits, split: str = "test", out: str | None = None) -> None:
    table = evaluate_run(run, getattr(splits, split), splits.heads)
    if out is not None:
        write_table(out, table)
    say(f"Pearson r on {split} (single: mean over members)")
    say(wide(table).to_string(float_format=lambda value: f"{value:.3f}", na_rep="-"))
    distances = wide(table, "rmse_to_ensemble")
    if len(distances):
        say("RMSE of the activity to the ensemble's")
        say(distances.to_string(float_format=lambda value: f"{value:.3f}"))
    if set(table["method"]) == {"student"}:
        say("Its teachers are not where they were when it was distilled; they are left out")


def _describe(splits: Splits) -> str:
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    return f"{sizes}; {splits.input_shape[0]} bp; columns {', '.join(splits.heads.columns)}"


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder)


def _progress(options: argparse.Namespace) -> bool | None:
    return False if options.quiet else None


def _check_output(path: str, force: bool) -> None:
    """Refuse a file that cannot be written before work is spent on its content."""
    file = Path(path)
    if file.is_dir():
        raise InputError(f"expected a file to write. Received: {path!r}, a folder")
    if file.exists() and not force:
        raise InputError(f"the file is there already; --force replaces it. Received: {path}")
    parent = next(folder for folder in file.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"expected a file in a folder that can be written to. Received: {path}")


def say(text: str) -> None:
    """Print a line for the user, on standard output."""
    print(text, flush=True)


_VERBS = {
    "prepare": prepare,
    "train": train,
    "distill": distill_teachers,
    "export": export,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "predict": predict,
    "explain": explain,
    "variants": variants,
    "mutagenize": mutagenize,
    "fetch": fetch,
    "convert": convert,
}
