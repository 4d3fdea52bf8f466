"""`degu prepare`: sequences and measurements of any source, as one HDF5 file."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degu_tf.cli.options import (
    FORCE,
    activity_only_option,
    choice,
    flag,
    not_negative,
    option,
    per_split,
    several,
    share,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out, describe, say
from degu_tf.cli.shared.inputs import check_exists, check_files
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb and its sources."""
    prepare = verb(
        verbs,
        "prepare",
        "read sequences and measurements from a source and write them to one HDF5 file",
        "SOURCE ... --out FILE [options]",
        "degu prepare simulate --out d.h5",
    )
    sources = prepare.add_subparsers(
        dest="source", required=True, metavar="SOURCE", title="sources", prog="degu prepare"
    )
    for declare in (_add_table, _add_lentimpra, _add_starrseq, _add_atac, _add_simulate):
        declare(sources)
    return prepare


def _add_table(sources: argparse._SubParsersAction) -> None:
    table = verb(
        sources,
        "table",
        "any TSV, CSV or parquet table with a column of sequences",
        "TABLE (--targets ... | --replicates ...) --out FILE [options]",
        "degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group "
        "--out d.h5",
        "degu prepare table T.tsv --replicates activity=rep1,rep2,rep3 --out d.h5",
    )
    table.set_defaults(read=_read_table)
    table.add_argument("table", metavar="TABLE", help="the table, plain or gzipped")
    _hdf5_options(table)
    columns = table.add_argument_group("columns")
    what = "what targets are: numbers, or binary: 0 and 1, of which models predict the probability"
    choice(columns, "--task", what, ("regression", "binary"))
    option(columns, "--sequence", "COLUMN", "column of sequences", default="seq")
    measured = columns.add_mutually_exclusive_group(required=True)
    several(measured, "--targets", "COLUMN", "columns of measured values, one per target")
    several(
        measured,
        "--replicates",
        "TARGET=COLUMN,...",
        "columns of the replicates of each target: a model learns their mean and standard "
        "deviation",
    )
    option(
        columns, "--name", "COLUMN", "column of sequence names (default: name or id, if it exists)"
    )
    _normalisation_options(table)
    rows = table.add_argument_group("rows")
    option(
        rows,
        "--min-replicates",
        "N",
        "minimum number of measured replicates of a row (default: 2, or 1 with --activity-only)",
        whole_number(1),
    )
    _row_options(rows)
    activity_only_option(rows)
    splitting = _splitting_options(table)
    option(splitting, "--split", "COLUMN", "column with the split of each row")
    option(
        splitting,
        "--similar",
        "BASES",
        "rows that share a subsequence of this length, on either strand, stay in one split",
        whole_number(1),
    )


def _normalisation_options(table: argparse.ArgumentParser) -> None:
    values = table.add_argument_group("values (in this order; replicates before their mean)")
    what = "take the binary logarithm of the values of these targets, or of all if none are named"
    values.add_argument("--log2", nargs="*", metavar="TARGET", help=what)
    what = "number to add to each value before its logarithm is taken"
    option(values, "--pseudocount", "NUMBER", what, not_negative, 0)
    what = "column of batches: subtract the mean of each batch's training rows, kept in the file"
    option(values, "--centre-by", "COLUMN", what)


def _missing_options(to: argparse._ActionsContainer) -> None:
    """What is done with rows that lack values."""
    flag(
        to,
        "--drop-missing",
        "drop rows with missing values; with --missing-targets keep, rows without any value",
    )
    choice(
        to,
        "--missing-targets",
        "rows of which some targets are missing (empty cell or NA): keep learns from the values "
        "present, and evaluates them",
        ("refuse", "keep"),
    )


def _row_options(rows: argparse._ActionsContainer) -> None:
    """What is done with missing values, and how much each row counts."""
    _missing_options(rows)
    weights = rows.add_mutually_exclusive_group()
    option(
        weights,
        "--weight-column",
        "COLUMN",
        "column of weights above 0, such as barcode counts: how much a row counts in the loss of "
        "teachers; metrics are unweighted",
    )
    what = "weigh each value by the number of replicates it is the mean of, where some are missing"
    flag(weights, "--weight-by-replicates", what)


def _add_lentimpra(sources: argparse._SubParsersAction) -> None:
    lentimpra = verb(
        sources,
        "lentimpra",
        "lentiMPRA measurements; an element and its reverse complement stay in one split",
        "TABLE --out FILE [options]",
        "degu prepare lentimpra HepG2.tsv --sequences library.fa --target HepG2 --out d.h5",
    )
    lentimpra.set_defaults(read=_read_lentimpra)
    lentimpra.add_argument(
        "table", metavar="TABLE", help="measurements, one row per element and orientation"
    )
    _hdf5_options(lentimpra)
    columns = lentimpra.add_argument_group("columns")
    option(columns, "--sequences", "FILE", "table or FASTA of the oligos, joined by name")
    option(columns, "--sequence", "COLUMN", "column of sequences (default: found by its name)")
    measured = columns.add_mutually_exclusive_group()
    replicates = "columns of the replicates (default: those of the published tables)"
    several(measured, "--replicates", "COLUMN", replicates)
    activity = "one column of activity instead of replicates, without standard deviation"
    option(measured, "--activity", "COLUMN", activity)
    option(columns, "--name", "COLUMN", "column of sequence names", default="name")
    option(columns, "--target", "NAME", "name of the target", default="activity")
    activity_only_option(columns)
    _splitting_options(lentimpra)


def _add_starrseq(sources: argparse._SubParsersAction) -> None:
    starrseq = verb(
        sources,
        "starrseq",
        "STARR-seq tables of de Almeida et al., in their published split",
        "TABLE [TABLE ...] --out FILE [options]",
        "degu prepare starrseq Sequences_activity_all.txt --out starr.h5",
    )
    starrseq.set_defaults(read=_read_starrseq)
    starrseq.add_argument(
        "tables", nargs="+", metavar="TABLE", help="one table, one per split, or their folder"
    )
    _hdf5_options(starrseq)
    _missing_options(starrseq)


def _add_atac(sources: argparse._SubParsersAction) -> None:
    atac = verb(
        sources,
        "atac",
        "base-resolution profiles: a genome and bigWig tracks, cut into bins",
        "GENOME (--replicates ... | --labels ...) --out FILE [options]",
        "degu prepare atac hg38.fa.gz --replicates rep1.bw rep2.bw rep3.bw --out atac.h5",
        "degu prepare atac hg38.fa --labels ATAC=tracks/ATAC.bw "
        "ATAC_epistemic=tracks/ATAC_epistemic.bw --out labels.h5",
    )
    atac.add_argument("genome", metavar="GENOME", help="FASTA, plain or gzipped")
    _out_options(atac)
    columns = atac.add_argument_group("columns")
    measured = columns.add_mutually_exclusive_group(required=True)
    several(
        measured,
        "--replicates",
        "BIGWIG",
        "replicates, usually three: a model learns their mean and standard deviation at each base",
    )
    several(
        measured,
        "--labels",
        "COLUMN=BIGWIG",
        "one track per column: TARGET, TARGET_aleatoric, TARGET_epistemic",
    )
    option(columns, "--target", "NAME", "name of the target", default="ATAC")
    activity_only_option(columns)
    option(columns, "--tracks", "FOLDER", "folder for bigWig tracks of the columns")
    bins = atac.add_argument_group("bins")
    option(bins, "--length", "BASES", "length of a bin", whole_number(1), 3072)
    chosen = "chromosomes of the"
    several(bins, "--test", "NAME", f"{chosen} test split (default: chr8)")
    several(bins, "--validation", "NAME", f"{chosen} validation split (default: chr9)")
    others = "all other autosomes and chrX"
    several(bins, "--train", "NAME", f"{chosen} training split (default: {others})")
    what = "maximum fraction of unknown bases in a bin"
    option(bins, "--max-unknown", "SHARE", what, share, 0.05)


def _add_simulate(sources: argparse._SubParsersAction) -> None:
    simulate = verb(
        sources,
        "simulate",
        "a simulated assay: planted motifs, two promoters, three replicates",
        "--out FILE [options]",
        "degu prepare simulate --sizes 4000 500 1000 --seed 0 --out d.h5",
    )
    simulate.set_defaults(read=_read_simulate)
    _hdf5_options(simulate)
    assay = simulate.add_argument_group("assay")
    per_split(assay, "--sizes", "sequences in each split", whole_number(1), (4000, 500, 1000))
    option(assay, "--length", "BASES", "length of each sequence", whole_number(1), 249)
    option(assay, "--seed", "N", "random seed", whole_number(0), 0)


def _out_options(source: argparse.ArgumentParser) -> None:
    source.add_argument("--out", required=True, metavar="FILE", help="HDF5 file to write")
    flag(source, "--force", FORCE)


def _hdf5_options(source: argparse.ArgumentParser) -> None:
    _out_options(source)
    flag(source, "--one-hot", "store sequences one-hot encoded instead of as tokens")


def _splitting_options(source: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    splitting = source.add_argument_group("splitting")
    per_split(splitting, "--fractions", "fractions of a random split", float, (0.8, 0.1, 0.1))
    option(splitting, "--seed", "N", "seed of the random split", whole_number(0), 0)
    several(splitting, "--group", "COLUMN", "rows with equal values stay in one split")
    return splitting


def run(options: argparse.Namespace) -> None:
    """Read a source and write it in the package's HDF5 layout."""
    if options.source == "atac":
        _write_atac(options)
        return
    check_out(options.out, force=options.force, inputs=_inputs(options))
    check_files("a table file", getattr(options, "table", None))
    check_exists("a table file, or a folder of them", *getattr(options, "tables", ()))
    check_files("a file of sequences", getattr(options, "sequences", None))
    from degu_tf.data.hdf5.splits_file import write_splits

    splits = options.read(options)
    if splits.normalisation is not None:
        say(_normalised(splits.normalisation))
    write_splits(options.out, splits, one_hot=options.one_hot)
    say(f"Wrote {options.out}: {describe(splits)}")


def _normalised(record: Mapping[str, Any]) -> str:
    """What was done to the measured values, in one line."""
    done = []
    if "log2" in record:
        added = f" + {record['pseudocount']:g}" if record["pseudocount"] else ""
        done.append(f"binary logarithm of {', '.join(record['log2'])}{added}")
    if "centres" in record:
        batches = {batch for centres in record["centres"].values() for batch in centres}
        done.append(f"{len(batches)} batches ({record['centre_by']}) centred by training rows")
    return f"Values: {'; '.join(done)}"


def _inputs(options: argparse.Namespace) -> list[str | None]:
    """The files that a source reads."""
    given = [getattr(options, name, None) for name in ("table", "sequences", "genome")]
    return [*given, *getattr(options, "tables", [])]


def _read_table(options: argparse.Namespace) -> "Splits":
    from degu_tf.data.sources.table import read_table

    if options.targets and options.min_replicates:
        raise InputError("--min-replicates goes with --replicates. Received: --targets")
    if options.targets and options.weight_by_replicates:
        raise InputError("--weight-by-replicates goes with --replicates. Received: --targets")
    replicates = options.replicates and _named_columns(options.replicates)
    return read_table(
        options.table,
        sequence=options.sequence,
        targets=options.targets,
        replicates=replicates,
        aleatoric=not options.activity_only,
        min_replicates=options.min_replicates,
        drop_missing=options.drop_missing,
        missing_targets=options.missing_targets,
        weight=options.weight_column,
        weight_by_replicates=options.weight_by_replicates,
        split=options.split,
        group=options.group,
        similar=options.similar,
        name=options.name,
        fractions=options.fractions,
        seed=options.seed,
        log2=options.log2 or options.log2 is not None,
        pseudocount=options.pseudocount,
        centre_by=options.centre_by,
        task=options.task,
    )


def _named_columns(texts: Sequence[str]) -> dict[str, list[str]]:
    named = {}
    for text in texts:
        name, _, columns = text.partition("=")
        if not (name and columns) or name in named:
            raise InputError(
                "expected --replicates TARGET=COLUMN,COLUMN,... such as activity=rep1,rep2,rep3, "
                f"each target once. Received: {text!r}"
            )
        named[name] = columns.split(",")
    return named


def _read_lentimpra(options: argparse.Namespace) -> "Splits":
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


def _read_starrseq(options: argparse.Namespace) -> "Splits":
    from degu_tf.data.sources.starrseq import read_starrseq

    return read_starrseq(
        options.tables[0] if len(options.tables) == 1 else options.tables,
        drop_missing=options.drop_missing,
        missing_targets=options.missing_targets,
    )


def _read_simulate(options: argparse.Namespace) -> "Splits":
    from degu_tf.data.simulation.mpra import simulate

    return simulate(tuple(options.sizes), options.length, options.seed).splits


def _write_atac(options: argparse.Namespace) -> None:
    """Cut a genome and its tracks into bins, and write them as a stream."""
    labels = _named_tracks(options.labels) if options.labels else {}
    inputs = [options.genome, *(options.replicates or ()), *labels.values()]
    check_out(options.out, force=options.force, inputs=inputs)
    check_files("a genome FASTA", options.genome)
    check_files("a bigWig file", *(options.replicates or ()), *labels.values())
    from degu_tf.data.sources.atac import write_profiles
    from degu_tf.data.sources.chromosomes import Chromosomes
    from degu_tf.data.tracks import (
        Tracks,
        label_columns,
        replicate_columns,
        shared_contigs,
        write_columns,
    )

    if labels:
        columns = label_columns(labels)
    else:
        replicates = {options.target: options.replicates}
        columns = replicate_columns(replicates, aleatoric=not options.activity_only)
    if options.tracks is not None:
        if labels:
            raise InputError("--tracks goes with --replicates. Received: --labels")
        for name in columns.heads.columns:
            track = Path(options.tracks) / f"{name}.bw"
            check_out(track, force=options.force, inputs=inputs)
        with Tracks(columns) as tracks:
            shared_contigs(tracks)
    named = {split: getattr(options, split) for split in ("train", "validation", "test")}
    summary = write_profiles(
        options.out,
        options.genome,
        columns,
        Chromosomes(**{split: names for split, names in named.items() if names}),
        length=options.length,
        max_unknown=options.max_unknown,
    )
    if options.tracks is not None:
        write_columns(columns, options.tracks)
    say(f"Wrote {options.out}: {summary}")


def _named_tracks(texts: Sequence[str]) -> dict[str, str]:
    tracks = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path) or name in tracks:
            raise InputError(
                "expected --labels COLUMN=BIGWIG such as ATAC_epistemic=std.bw, each column once. "
                f"Received: {text!r}"
            )
        tracks[name] = path
    return tracks
