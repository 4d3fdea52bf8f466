"""The words and help of `degu prepare`, a source each."""

import argparse

from degu_tf.cli.options import (
    FORCE,
    activity_only,
    flag,
    not_negative,
    option,
    several,
    three,
    verb,
    whole,
)


def add_prepare(verbs: argparse._SubParsersAction) -> None:
    """Declare `degu prepare` and its sources."""
    prepare = verb(
        verbs,
        "prepare",
        "read a source of sequences and measurements, write one HDF5 file",
        "SOURCE ... --out FILE [options]",
        "degu prepare simulate --out d.h5",
    )
    sources = prepare.add_subparsers(
        dest="source", required=True, metavar="SOURCE", title="sources", prog="degu prepare"
    )
    _table(sources)
    _lentimpra(sources)
    _starrseq(sources)
    _atac(sources)
    _simulate(sources)


def _table(sources: argparse._SubParsersAction) -> None:
    table = verb(
        sources,
        "table",
        "any TSV, CSV or parquet table with a sequence column",
        "TABLE (--targets ... | --replicates ...) --out FILE [options]",
        "degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group "
        "--out d.h5",
        "degu prepare table T.tsv --replicates activity=rep1,rep2,rep3 --out d.h5",
    )
    table.add_argument("table", metavar="TABLE", help="the table; gzipped is fine")
    _written(table)
    columns = table.add_argument_group("columns")
    option(columns, "--sequence", "COLUMN", "the sequences", default="seq")
    what = columns.add_mutually_exclusive_group(required=True)
    several(what, "--targets", "COLUMN", "measured values, one column a target")
    several(
        what,
        "--replicates",
        "TARGET=COLUMN,...",
        "the replicates of each target: their mean and standard deviation are what is learnt",
    )
    option(columns, "--name", "COLUMN", "the sequences' names")
    rows = table.add_argument_group("rows")
    option(
        rows,
        "--min-replicates",
        "N",
        "rows with fewer measured replicates stay out (default: 2, or 1 with --activity-only)",
        whole(1),
    )
    flag(rows, "--drop-missing", "leave out rows with missing values")
    activity_only(rows)
    splitting = _splitting(table)
    option(splitting, "--split", "COLUMN", "take each row's split from here instead of drawing it")
    option(
        splitting,
        "--similar",
        "BASES",
        "rows that share so many bases in a row, on either strand, stay in one split",
        whole(1),
    )


def _lentimpra(sources: argparse._SubParsersAction) -> None:
    lentimpra = verb(
        sources,
        "lentimpra",
        "lentiMPRA measurements, an element and its reverse complement kept together",
        "TABLE --out FILE [options]",
        "degu prepare lentimpra HepG2.tsv --sequences library.fa --target HepG2 --out d.h5",
    )
    lentimpra.add_argument(
        "table", metavar="TABLE", help="measurements, one row an element and orientation"
    )
    _written(lentimpra)
    columns = lentimpra.add_argument_group("columns")
    option(columns, "--sequences", "FILE", "table or FASTA of the oligos, joined by name")
    option(columns, "--sequence", "COLUMN", "the sequences (default: found by its name)")
    what = columns.add_mutually_exclusive_group()
    replicates = "the replicates (default: those of the published tables)"
    several(what, "--replicates", "COLUMN", replicates)
    option(what, "--activity", "COLUMN", "one column instead of replicates, so no deviation")
    option(columns, "--name", "COLUMN", "the sequences' names", default="name")
    option(columns, "--target", "NAME", "what to call the activity", default="activity")
    activity_only(columns)
    _splitting(lentimpra)


def _starrseq(sources: argparse._SubParsersAction) -> None:
    starrseq = verb(
        sources,
        "starrseq",
        "STARR-seq tables of de Almeida et al., in their published split",
        "TABLE [TABLE ...] --out FILE [options]",
        "degu prepare starrseq Sequences_activity_all.txt --out starr.h5",
    )
    starrseq.add_argument(
        "tables", nargs="+", metavar="TABLE", help="one table, one for each set, or their folder"
    )
    _written(starrseq)


def _atac(sources: argparse._SubParsersAction) -> None:
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
    _out(atac)
    columns = atac.add_argument_group("columns")
    what = columns.add_mutually_exclusive_group(required=True)
    several(
        what,
        "--replicates",
        "BIGWIG",
        "the replicates, three as a rule: their mean and standard deviation at each base are what "
        "is learnt",
    )
    several(
        what,
        "--labels",
        "COLUMN=BIGWIG",
        "a track for each column: TARGET, TARGET_aleatoric, TARGET_epistemic",
    )
    option(columns, "--target", "NAME", "what to call the replicates' mean", default="ATAC")
    activity_only(columns)
    option(columns, "--tracks", "FOLDER", "also write the columns as bigWig tracks into it")
    bins = atac.add_argument_group("bins")
    option(bins, "--length", "BASES", "length of a bin", whole(1), 3072)
    chosen = "chromosomes of the"
    several(bins, "--test", "NAME", f"{chosen} test split (default: chr8)")
    several(bins, "--validation", "NAME", f"{chosen} validation split (default: chr9)")
    others = "the others that have a number or are X"
    several(bins, "--train", "NAME", f"{chosen} training split (default: {others})")
    what = "bins with a larger share of unknown bases are left out"
    option(bins, "--max-unknown", "SHARE", what, not_negative, 0.05)


def _simulate(sources: argparse._SubParsersAction) -> None:
    simulate = verb(
        sources,
        "simulate",
        "a simulated assay with planted motifs, two promoters, three replicates",
        "--out FILE [options]",
        "degu prepare simulate --sizes 4000 500 1000 --seed 0 --out d.h5",
    )
    _written(simulate)
    assay = simulate.add_argument_group("assay")
    three(assay, "--sizes", "sequences in each split", whole(1), (4000, 500, 1000))
    option(assay, "--length", "BASES", "length of each sequence", whole(1), 249)
    option(assay, "--seed", "N", "the same seed gives the same file", whole(0), 0)


def _out(source: argparse.ArgumentParser) -> None:
    source.add_argument("--out", required=True, metavar="FILE", help="HDF5 file to write")
    flag(source, "--force", FORCE)


def _written(source: argparse.ArgumentParser) -> None:
    _out(source)
    flag(source, "--one-hot", "store one-hot instead of tokens")


def _splitting(source: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    splitting = source.add_argument_group("splitting")
    three(splitting, "--fractions", "shares of a random split", float, (0.8, 0.1, 0.1))
    option(splitting, "--seed", "N", "seed of the random split", whole(0), 0)
    several(splitting, "--group", "COLUMN", "rows with equal values stay in one split")
    return splitting
