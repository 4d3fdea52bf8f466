"""What each verb of the `degu` command does: parsed options in, one public function called."""

import argparse
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from degu_tf import quiet

quiet.tensorflow()

import pandas as pd  # noqa: E402

from degu_tf.data.hdf5 import read_splits, write_splits  # noqa: E402
from degu_tf.data.inputs import NamedSequences, read_bed, read_sequences  # noqa: E402
from degu_tf.data.splits import FRACTION_SEED, Splits  # noqa: E402
from degu_tf.distillation import distill  # noqa: E402
from degu_tf.ensemble import Ensemble, train_ensemble  # noqa: E402
from degu_tf.errors import InputError  # noqa: E402
from degu_tf.files import atomic_write  # noqa: E402
from degu_tf.folder import RunFolder  # noqa: E402
from degu_tf.inference import missing_components, prediction_table  # noqa: E402
from degu_tf.metrics import wide  # noqa: E402
from degu_tf.predictor import StrandAveraged  # noqa: E402
from degu_tf.runs import evaluate_run, open_run  # noqa: E402
from degu_tf.training import ModelSpec, TrainingSettings, write_table  # noqa: E402


def run(options: argparse.Namespace) -> None:
    """Carry out the verb that was parsed."""
    quiet.one_line_warnings("degu")
    logging.getLogger("degu_tf").setLevel(logging.INFO)
    _VERBS[options.verb](options)


def prepare(options: argparse.Namespace) -> None:
    """Read a source and write it in the package's HDF5 layout."""
    _refuse_existing(options.out, options.force)
    splits = _SOURCES[options.source](options)
    write_splits(options.out, splits, one_hot=options.one_hot)
    say(f"Wrote {options.out}: {_describe(splits)}")


def _table(options: argparse.Namespace) -> Splits:
    from degu_tf.data.table import read_table

    replicates = None
    if options.replicates:
        replicates = dict(_named_columns(text) for text in options.replicates)
    return read_table(
        options.table,
        sequence=options.sequence,
        targets=options.targets,
        replicates=replicates,
        aleatoric=not options.activity_only,
        min_replicates=options.min_replicates,
        drop_missing=options.drop_missing,
        split=options.split,
        group=options.group,
        similar=options.similar,
        name=options.name,
        fractions=options.fractions,
        seed=options.seed,
    )


def _named_columns(text: str) -> tuple[str, list[str]]:
    name, equals, columns = text.partition("=")
    if not (name and equals and columns):
        raise InputError(
            "replicates are named TARGET=COLUMN,COLUMN,... such as activity=rep1,rep2,rep3. "
            f"Received: {text!r}"
        )
    return name, columns.split(",")


def _lentimpra(options: argparse.Namespace) -> Splits:
    from degu_tf.data.lentimpra import REPLICATES, read_lentimpra

    return read_lentimpra(
        options.table,
        options.sequences,
        replicates=options.replicates or REPLICATES,
        activity=options.activity,
        aleatoric=not options.activity_only,
        sequence=options.sequence,
        name=options.name,
        target=options.target,
        group=options.group,
        fractions=options.fractions,
        seed=options.seed,
    )


def _starrseq(options: argparse.Namespace) -> Splits:
    from degu_tf.data.starrseq import read_starrseq

    return read_starrseq(options.tables[0] if len(options.tables) == 1 else options.tables)


def _simulate(options: argparse.Namespace) -> Splits:
    from degu_tf.data.simulated import simulate

    return simulate(tuple(options.sizes), options.length, options.seed).splits


def train(options: argparse.Namespace) -> None:
    """Train an ensemble of teachers."""
    splits = _training_data(options.data, options.fraction, options.n_train)
    if options.activity_only:
        splits = splits.without_uncertainty()
    _say_data(splits)
    with _workers(options.workers) as executor:
        ensemble = train_ensemble(
            splits,
            _spec(options.model, options, options.init),
            options.members,
            _settings(options),
            options.seed,
            options.out,
            executor=executor,
            provenance={"subset": _subset(options.fraction, options.n_train)},
            notes={"data_file": _relative(options.data, options.out)},
            progress=_progress(options),
        )
    say(f"{ensemble.n_members} members in {options.out}")
    _report(options.out, splits)


def distill_teachers(options: argparse.Namespace) -> None:
    """Distil the teachers of a run into a student."""
    teachers = Ensemble.load(options.teachers, options.members)
    settings = RunFolder(options.teachers).settings()
    subset = settings.get("subset", _subset(None, None))
    if options.fraction is not None or options.n_train is not None:
        subset = _subset(options.fraction, options.n_train)
    splits = _training_data(options.data, subset["fraction"], subset["n_train"])
    if not teachers.heads.aleatoric:
        splits = splits.without_uncertainty()
    _say_data(splits)
    if splits.fingerprint != settings["data"]["fingerprint"]:
        say("The teachers were trained on other data than these; their labels are used as they are")
    spec = None
    if options.model is not None or options.width is not None or options.init is not None:
        spec = _spec(options.model or teachers.spec.name, options, options.init)
    distill(
        teachers,
        splits,
        spec=spec,
        settings=_settings(options),
        seed=options.seed,
        folder=options.out,
        epistemic=options.epistemic_form,
        epistemic_weight=options.epistemic_weight,
        aleatoric_weight=options.aleatoric_weight,
        provenance={"subset": subset},
        notes={"data_file": _relative(options.data, options.out)},
        progress=_progress(options),
    )
    say(f"A student of {teachers.n_members} teachers in {options.out}")
    _report(options.out, splits)


def evaluate(options: argparse.Namespace) -> None:
    """Print a run's metrics on a split, and write them all if asked to."""
    splits = read_splits(options.data)
    _report(options.run, splits, options.split, options.out)


def predict(options: argparse.Namespace) -> None:
    """Predict sequences and write the table."""
    _refuse_existing(options.out, options.force)
    predictor = open_run(options.run)
    named = _inputs(options, RunFolder(options.run).settings()["input_shape"][0])
    if options.average_strands:
        predictor = StrandAveraged(predictor)
    prediction = predictor.predict(named.sequences)
    for component in missing_components(prediction):
        say(f"This run gives no {component} uncertainty; its columns are empty")
    table = prediction_table(prediction, named.names, options.level)
    with atomic_write(options.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    say(f"Wrote {options.out}: {len(table)} sequences, interval {table['interval'][0]}")


def _inputs(options: argparse.Namespace, length: int) -> NamedSequences:
    if (options.bed is None) != (options.fasta is None):
        raise InputError("intervals need both: --bed FILE --fasta GENOME")
    if (options.bed is None) == (options.sequences is None):
        raise InputError("name a file of sequences, or --bed with --fasta; one of the two")
    if options.bed is not None:
        return read_bed(options.bed, options.fasta, length)
    return read_sequences(
        options.sequences, sequence=options.sequence, name=options.name, split=options.split
    )


def _training_data(path: str, fraction: float | None, n_train: int | None) -> Splits:
    splits = read_splits(path)
    if fraction is not None and n_train is not None:
        raise InputError("name --fraction or --n-train, not both")
    if fraction is not None:
        return splits.fraction(fraction)
    return splits if n_train is None else splits.subset(n_train)


def _subset(fraction: float | None, n_train: int | None) -> dict[str, Any]:
    return {"fraction": fraction, "n_train": n_train, "seed": FRACTION_SEED}


def _spec(name: str, options: argparse.Namespace, init: str | None) -> ModelSpec:
    return ModelSpec(name, {} if options.width is None else {"width": options.width}, init)


def _settings(options: argparse.Namespace) -> TrainingSettings:
    return TrainingSettings(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        patience=options.patience or None,
        steps_per_epoch=options.steps_per_epoch,
    )


@contextmanager
def _workers(n: int) -> Iterator[ProcessPoolExecutor | None]:
    if n == 1:
        yield None
        return
    with ProcessPoolExecutor(n, mp_context=get_context("spawn")) as executor:
        yield executor


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


def _describe(splits: Splits) -> str:
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    return f"{sizes}; {splits.input_shape[0]} bp; columns {', '.join(splits.heads.columns)}"


def _say_data(splits: Splits) -> None:
    say(_describe(splits))


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder)


def _progress(options: argparse.Namespace) -> bool | None:
    return False if options.quiet else None


def _refuse_existing(path: str, force: bool) -> None:
    if Path(path).exists() and not force:
        raise InputError(f"the file is there already; --force replaces it. Received: {path}")


def say(text: str) -> None:
    """Print a line for the user, on standard output."""
    print(text, flush=True)


pd.set_option("display.width", 200)

_VERBS = {
    "prepare": prepare,
    "train": train,
    "distill": distill_teachers,
    "evaluate": evaluate,
    "predict": predict,
}
_SOURCES = {
    "table": _table,
    "lentimpra": _lentimpra,
    "starrseq": _starrseq,
    "simulate": _simulate,
}
