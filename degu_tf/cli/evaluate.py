"""`degu evaluate`: metrics of a run."""

import argparse

from degu_tf.cli.options import (
    FORCE,
    SPLITS,
    choice,
    flag,
    in_memory_option,
    missing_targets_option,
    option,
    run_argument,
    target_names_option,
    verb,
)
from degu_tf.cli.output import check_out, report
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.utils import quiet


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    evaluate = verb(
        verbs,
        "evaluate",
        "metrics of a run: a student and its teachers, or an ensemble and its members, beside a "
        "k-mer ridge",
        "RUN DATA [options]",
        "degu evaluate runs/y d.h5 --out metrics.csv",
        "degu evaluate deepstarr.keras d.h5 --split validation",
    )
    run_argument(evaluate)
    evaluate.add_argument("data", metavar="DATA", help="HDF5 file with measured values")
    option(evaluate, "--out", "FILE", "CSV file to write, with all metrics of all heads")
    flag(evaluate, "--force", FORCE)
    choice(evaluate, "--split", "split to evaluate", SPLITS, "test")
    what = (
        "leave out kmer_ridge, a ridge regression on counts of 5-mers that is fitted to the run's "
    )
    what += "training sequences and kept in its folder (scalar activity only)"
    flag(evaluate, "--no-baseline", what)
    target_names_option(evaluate)
    missing_targets_option(evaluate)
    in_memory_option(evaluate)
    return evaluate


def run(options: argparse.Namespace) -> None:
    """Print a run's metrics on a split, and write all of them if a file is named."""
    if options.out is not None:
        check_out(options.out, force=options.force, inputs=[options.run, options.data])
    check_run(options.run)
    check_files("an HDF5 file", options.data)
    quiet.tensorflow()
    from degu_tf.data.hdf5.splits_file import read_splits

    splits = read_splits(
        options.data,
        options.targets,
        missing_targets=options.missing_targets,
        in_memory=options.in_memory,
    )
    beside = not options.no_baseline
    report(options.run, splits, options.split, options.out, with_baseline=beside, drawn=False)
