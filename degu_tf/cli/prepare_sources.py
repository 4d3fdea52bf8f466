"""What each source of `degu prepare` reads: parsed options in, data out."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from degu_tf.data.splits import Splits
from degu_tf.utils.errors import InputError


def read_source(options: argparse.Namespace) -> Splits:
    """Read the source that was asked for."""
    return _SOURCES[options.source](options)


def write_atac(options: argparse.Namespace) -> str:
    """Cut a genome and its tracks into bins, write them in streams, and say what was written."""
    from degu_tf.data.sources.atac import write_profiles
    from degu_tf.data.sources.chromosomes import Chromosomes
    from degu_tf.data.tracks import (
        Tracks,
        label_columns,
        replicate_columns,
        shared_contigs,
        write_columns,
    )

    if options.labels:
        columns = label_columns(_named_tracks(options.labels))
    else:
        replicates = {options.target: options.replicates}
        columns = replicate_columns(replicates, aleatoric=not options.activity_only)
    if options.tracks is not None:
        _check_tracks(options, columns.heads.columns)
    named = {split: getattr(options, split) for split in ("train", "validation", "test")}
    chromosomes = Chromosomes(**{split: names for split, names in named.items() if names})
    if options.tracks is not None:
        with Tracks(columns) as tracks:
            shared_contigs(tracks)
    summary = write_profiles(
        options.out,
        options.genome,
        columns,
        chromosomes,
        length=options.length,
        max_unknown=options.max_unknown,
    )
    if options.tracks is not None:
        write_columns(columns, options.tracks)
    return str(summary)


def _check_tracks(options: argparse.Namespace, names: Sequence[str]) -> None:
    if options.labels:
        raise InputError("--tracks goes with --replicates, not with --labels")
    paths = [Path(options.tracks) / f"{name}.bw" for name in names]
    there = [path for path in paths if path.exists()]
    if there and not options.force:
        raise InputError(f"the file is there already; --force replaces it. Received: {there[0]}")


def _named_tracks(texts: Sequence[str]) -> dict[str, str]:
    tracks = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path) or name in tracks:
            raise InputError(
                "label tracks are named COLUMN=BIGWIG such as ATAC_epistemic=std.bw, each column "
                f"once. Received: {text!r}"
            )
        tracks[name] = path
    return tracks


def _table(options: argparse.Namespace) -> Splits:
    from degu_tf.data.sources.table import read_table

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
    from degu_tf.data.sources.lentimpra import REPLICATES, read_lentimpra

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
    from degu_tf.data.sources.starrseq import read_starrseq

    return read_starrseq(options.tables[0] if len(options.tables) == 1 else options.tables)


def _simulate(options: argparse.Namespace) -> Splits:
    from degu_tf.data.simulation.mpra import simulate

    return simulate(tuple(options.sizes), options.length, options.seed).splits


_SOURCES = {
    "table": _table,
    "lentimpra": _lentimpra,
    "starrseq": _starrseq,
    "simulate": _simulate,
}
