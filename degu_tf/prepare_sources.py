"""What each source of `degu prepare` reads: parsed options in, data out."""

import argparse
from collections.abc import Sequence

from degu_tf.data.splits import Splits
from degu_tf.errors import InputError


def read_source(options: argparse.Namespace) -> Splits:
    """Read the source that was asked for."""
    return _SOURCES[options.source](options)


def _table(options: argparse.Namespace) -> Splits:
    from degu_tf.data.table import read_table

    if options.targets and options.min_replicates:
        raise InputError("--min-replicates goes with --replicates, not with --targets")
    replicates = options.replicates and _named_columns(options.replicates)
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


def _named_columns(texts: Sequence[str]) -> dict[str, list[str]]:
    named = {}
    for text in texts:
        name, _, columns = text.partition("=")
        if not (name and columns) or name in named:
            raise InputError(
                "replicates are named TARGET=COLUMN,COLUMN,... such as activity=rep1,rep2,rep3, "
                f"each target once. Received: {text!r}"
            )
        named[name] = columns.split(",")
    return named


def _lentimpra(options: argparse.Namespace) -> Splits:
    from degu_tf.data.lentimpra import REPLICATES, read_lentimpra

    return read_lentimpra(
        options.table,
        options.sequences,
        replicates=options.replicates or REPLICATES,
        activity=options.activity,
        aleatoric=not (options.activity_only or options.activity),
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


_SOURCES = {
    "table": _table,
    "lentimpra": _lentimpra,
    "starrseq": _starrseq,
    "simulate": _simulate,
}
