"""The words and help of `degu mutagenize`."""

import argparse

from degu_tf.cli.options import (
    choice,
    flag,
    option,
    probability,
    several,
    verb,
    whole,
)
from degu_tf.cli.variant_options import add_window_options


def add_mutagenize(verbs: argparse._SubParsersAction) -> None:
    """Declare `degu mutagenize`."""
    mutagenize = verb(
        verbs,
        "mutagenize",
        "every single-nucleotide variant of sequences: a table of effects, and heat maps",
        "RUN SEQUENCES --out FOLDER [options]",
        "degu mutagenize runs/y elements.fa --out saturated",
        "degu mutagenize runs/y oligos.tsv --heat-maps 3 --out saturated",
    )
    mutagenize.add_argument(
        "run",
        metavar="RUN",
        help="run of `degu train` or `degu distill`, or a file that `degu convert` wrote or reads",
    )
    mutagenize.add_argument(
        "sequences",
        metavar="SEQUENCES",
        help="FASTA, TSV/CSV/parquet or HDF5 file; sequences as long as the model's input, or "
        "longer: then windows are centred on the variant and moved to stay inside",
    )
    mutagenize.add_argument("--out", required=True, metavar="FOLDER", help="folder to write")
    flag(mutagenize, "--force", "replace the folder's table and heat maps if they are there")
    flag(mutagenize, "--quiet", "no progress bars")
    how = mutagenize.add_argument_group("what is predicted")
    add_window_options(how)
    flag(how, "--average-strands", "average with the reverse complement")
    uncertainty = "of an effect. independent: the root of both alleles' squared standard "
    uncertainty += "deviations; alternative: the alternative allele's, as maps in the paper; "
    uncertainty += "members: the standard deviation of an ensemble's effects"
    choice(how, "--uncertainty", uncertainty, ("independent", "alternative", "members"))
    option(how, "--level", "P", "probability in the interval", probability, 0.95)
    flag(how, "--gaussian", "Gaussian intervals, calibrated or not")
    maps = mutagenize.add_argument_group("heat maps")
    option(maps, "--heat-maps", "N", "draw the first so many sequences", whole(0), 10)
    several(maps, "--head", "NAME", "draw these targets (default: all)")
    table = mutagenize.add_argument_group("a table")
    option(table, "--sequence", "COLUMN", "the sequences", default="seq")
    option(table, "--name", "COLUMN", "their names (default: name, if there is such a column)")
    hdf5 = mutagenize.add_argument_group("an HDF5 file")
    choice(hdf5, "--split", "which sequences", ("train", "validation", "test"), "test")
    several(hdf5, "--targets", "NAME", "names of its target columns, if it leaves them open")
