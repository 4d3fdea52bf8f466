"""What each verb of the `degu` command does: parsed options in, one public function called."""

import argparse
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from degu_tf.utils import quiet

quiet.tensorflow()

from degu_tf.cli.inference import missing_components, prediction_table  # noqa: E402
from degu_tf.cli.prepare_sources import read_source, write_atac  # noqa: E402
from degu_tf.cli.training_options import (  # noqa: E402
    asked_augmentation,
    asked_finetuning,
    asked_settings,
    asked_spec,
    default_settings,
    settings_as_taught,
    subset_of,
    training_data,
)
from degu_tf.data.hdf5.splits_file import read_splits, write_splits  # noqa: E402
from degu_tf.data.sources.sequences import NamedSequences, read_bed, read_sequences  # noqa: E402
from degu_tf.data.splits import Splits  # noqa: E402
from degu_tf.distillation.distill import DistillationSettings, distill  # noqa: E402
from degu_tf.distillation.ensemble import Ensemble, train_ensemble  # noqa: E402
from degu_tf.distillation.evaluation import evaluate_run  # noqa: E402
from degu_tf.distillation.runs import open_run  # noqa: E402
from degu_tf.heads import HeadLayout, gaussian_factor  # noqa: E402
from degu_tf.metrics.activity import wide  # noqa: E402
from degu_tf.metrics.profiles import BY_BIN, COUNTS  # noqa: E402
from degu_tf.models.inference.folding import fold  # noqa: E402
from degu_tf.models.predictor import StrandAveraged  # noqa: E402
from degu_tf.training.augmentation.schemes import scheme  # noqa: E402
from degu_tf.training.model_spec import ModelSpec  # noqa: E402
from degu_tf.training.released_config import ReleasedConfig, read_config  # noqa: E402
from degu_tf.training.run import Run  # noqa: E402
from degu_tf.training.settings import TrainingSettings, settings_for  # noqa: E402
from degu_tf.training.train import write_table  # noqa: E402
from degu_tf.uncertainty.calibration import JUDGED_ON, compare_intervals, find_calibration  # noqa: E402
from degu_tf.uncertainty.calibration import calibrate as calibrate_run  # noqa: E402
from degu_tf.uncertainty.noise_models import with_noise_model  # noqa: E402
from degu_tf.utils.errors import InputError  # noqa: E402
from degu_tf.utils.files import atomic_write, file_hash  # noqa: E402
from degu_tf.utils.processes import workers  # noqa: E402
from degu_tf.utils.run_folder import CALIBRATION, RunFolder  # noqa: E402


def run(options: argparse.Namespace) -> None:
    """Carry out the verb that was parsed."""
    with warnings.catch_warnings():
        quiet.one_line_warnings("degu")
        _VERBS[options.verb](options)


def prepare(options: argparse.Namespace) -> None:
    """Read a source and write it in the package's HDF5 layout."""
    _check_output(options.out, options.force)
    if options.source == "atac":
        say(f"Wrote {options.out}: {write_atac(options)}")
        return
    splits = read_source(options)
    write_splits(options.out, splits, one_hot=options.one_hot)
    say(f"Wrote {options.out}: {_describe(splits)}")


def train(options: argparse.Namespace) -> None:
    """Train an ensemble of teachers."""
    config = _config(options.config)
    fraction = options.fraction
    if fraction is None and options.n_train is None and config.fraction < 1:
        fraction = config.fraction
    subset = subset_of(fraction, options.n_train)
    splits = training_data(options, subset)
    if options.activity_only:
        splits = splits.without_uncertainty()
    usual = "cnn_task_base" if splits.train.targets.ndim == 3 else "deepstarr"
    spec = asked_spec(config.spec or ModelSpec(usual), options)
    settings = asked_settings(options, default_settings(config, splits))
    if options.uncertainty is not None:
        spec, settings = with_noise_model(options.uncertainty, spec, settings)
    say(_describe(splits))
    with workers(options.workers) as executor:
        ensemble = train_ensemble(
            splits,
            spec,
            options.members,
            replace(
                settings,
                augment=None if options.augment is None else scheme("evoaug_one"),
                finetune=asked_finetuning(options, settings_for(splits.train.targets)),
            ),
            _run(options, subset),
            executor=executor,
        )
    say(f"{ensemble.n_members} members in {options.out}")
    _report(options.out, splits)


def _run(options: argparse.Namespace, subset: Mapping[str, Any]) -> Run:
    return Run(
        options.out,
        options.seed,
        provenance={"subset": dict(subset)},
        notes={"data_file": _relative(options.data, options.out)},
        progress=_progress(options),
    )


def distill_teachers(options: argparse.Namespace) -> None:
    """Distil the teachers of a run into a student."""
    teachers = Ensemble.load(options.teachers, options.members)
    settings = RunFolder(options.teachers).settings()
    subset = subset_of(options.fraction, options.n_train)
    if options.fraction is None and options.n_train is None:
        subset = settings.get("subset", subset)
    splits = training_data(options, subset)
    if not (teachers.heads.aleatoric or splits.heads.epistemic):
        splits = splits.without_uncertainty()
    say(_describe(splits))
    if splits.heads.epistemic:
        say("These data are labels already; the teachers label none of them")
    elif splits.fingerprint != settings["data"]["fingerprint"]:
        say("The teachers were trained on other data than these; their labels are used as they are")
    distill(
        teachers,
        splits,
        asked_spec(teachers.spec, options),
        replace(
            asked_settings(options, settings_as_taught(teachers, splits)),
            finetune=asked_finetuning(options, settings_as_taught(teachers, splits)),
        ),
        _run(options, subset),
        distillation=DistillationSettings(
            options.epistemic_form,
            options.epistemic_weight,
            options.aleatoric_weight,
            asked_augmentation(options),
        ),
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
    gaussian = gaussian_factor(options.level)
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
    """Predict sequences and write the table, or contigs and write tracks."""
    if options.bigwig:
        _predict_tracks(options)
        return
    if options.contigs or options.step:
        raise InputError("--contigs and --step go with --bigwig. Received: no --bigwig")
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


def _predict_tracks(options: argparse.Namespace) -> None:
    from degu_tf.models.genome_tracks import predict_tracks
    from degu_tf.sequences.genomes.stream import GenomeStream

    if options.fasta is None or options.sequences is not None or options.bed is not None:
        raise InputError("tracks are made of a genome: --bigwig --fasta GENOME, and no sequences")
    predictor = open_run(options.run)
    files = predict_tracks(
        StrandAveraged(predictor) if options.average_strands else predictor,
        GenomeStream(options.fasta),
        options.out,
        contigs=options.contigs,
        window=predictor.input_length,
        step=options.step,
        identity={
            "predictor": predictor.fingerprint(),
            "average_strands": options.average_strands,
            "genome": file_hash(options.fasta),
        },
    )
    say(f"Wrote {', '.join(str(file) for file in files.values())}")


def explain(options: argparse.Namespace) -> None:
    """Write maps of the sequences a run finds largest."""
    from degu_tf.cli.explain_run import explain

    explain(options, say)


def variants(options: argparse.Namespace) -> None:
    """Score the variants of a VCF."""
    from degu_tf.cli.variant_command import variants

    _check_output(options.out, options.force)
    variants(options, say)


def mutagenize(options: argparse.Namespace) -> None:
    """Score every single-nucleotide variant of sequences."""
    from degu_tf.cli.mutagenize_run import mutagenize

    mutagenize(options, say)


def fetch(options: argparse.Namespace) -> None:
    """List a record's files, or fetch some and unpack them."""
    from degu_tf.data.zenodo import archives
    from degu_tf.data.zenodo import record as zenodo

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
    from degu_tf.models.released import card

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


def _config(path: str | None) -> ReleasedConfig:
    """What a configuration says; without one, that the paper's DeepSTARR is meant."""
    if path is None:
        return ReleasedConfig(TrainingSettings())
    config = read_config(path)
    if noted := [f"{name}={value}" for name, value in config.run.items() if value]:
        say(f"{path} notes of its run, which has no effect here: {', '.join(noted)}")
    return config


def _report(run: str, splits: Splits, split: str = "test", out: str | None = None) -> None:
    table = evaluate_run(run, getattr(splits, split), splits.heads)
    if out is not None:
        write_table(out, table)
    say(f"Pearson r on {split} (single: mean over members)")
    say(wide(table).to_string(float_format=lambda value: f"{value:.3f}", na_rep="-"))
    for metric, what in ((BY_BIN, "mean over bins"), (COUNTS, "log counts of bins")):
        if metric in set(table["metric"]):
            say(f"Pearson r, {what}")
            say(wide(table, metric).to_string(float_format="{:.3f}".format, na_rep="-"))
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
