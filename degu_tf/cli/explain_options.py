"""The words and help of `degu explain`."""

import argparse

from degu_tf.cli.options import (
    choice,
    flag,
    option,
    several,
    verb,
    whole,
)

_METHODS = ("deepshap", "saliency", "input_x_gradient", "integrated_gradients", "ism")


def add_explain(verbs: argparse._SubParsersAction) -> None:
    """Declare `degu explain`."""
    explain = verb(
        verbs,
        "explain",
        "which bases make a prediction what it is; the same command goes on if interrupted",
        "RUN SEQUENCES --out FOLDER [options]",
        "degu explain runs/y d.h5 --head Dev Dev_epistemic --top 200 --out maps",
        "degu explain runs/y seqs.fa --method ism --out maps",
    )
    explain.add_argument(
        "run",
        metavar="RUN",
        help="run of `degu train` or `degu distill`, or a file that `degu convert` wrote or reads",
    )
    explain.add_argument(
        "sequences", metavar="SEQUENCES", help="FASTA, TSV/CSV/parquet or HDF5 file"
    )
    explain.add_argument("--out", required=True, metavar="FOLDER", help="folder of the maps")
    flag(explain, "--quiet", "no progress bars")
    what = explain.add_argument_group("what is explained")
    several(what, "--head", "NAME", "columns of the model (default: its targets)")
    option(what, "--top", "N", "so many sequences for each head, the largest", whole(1), 1000)
    by = "largest by the model or, for an HDF5 file with measured values, by the experiment"
    choice(what, "--rank-by", by, ("predicted", "measured"))
    how = explain.add_argument_group("how")
    choice(how, "--method", "ism: in silico mutagenesis", _METHODS)
    option(
        how,
        "--background",
        "FILE",
        "deepshap: draw references from this file instead; or the word dinucleotide, for shuffles "
        "of each sequence (default: the test sequences of the run's data; shuffles without)",
    )
    option(how, "--references", "N", "deepshap: references of each sequence", whole(1), 100)
    option(how, "--seed", "N", "deepshap: seed of the references", whole(0), 1234)
    option(how, "--steps", "N", "integrated_gradients: points on the way", whole(1), 50)
    logos = explain.add_argument_group("logos")
    option(logos, "--logos", "N", "draw the first so many sequences of each head", whole(0), 10)
    table = explain.add_argument_group("a table")
    option(table, "--sequence", "COLUMN", "the sequences", default="seq")
    option(table, "--name", "COLUMN", "their names (default: name, if there is such a column)")
    hdf5 = explain.add_argument_group("an HDF5 file")
    choice(hdf5, "--split", "which sequences", ("train", "validation", "test"), "test")
    several(hdf5, "--targets", "NAME", "names of its target columns, if it leaves them open")
