"""The `degu` command: its words and their help, which answer at once because nothing is loaded."""

import argparse
import sys
from collections.abc import Sequence

from degu_tf import __version__
from degu_tf.errors import InputError

_OVERVIEW = """\
Distil an ensemble of models of DNA activity into one that also says how far to trust it.

the usual order:
  degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group --out d.h5
  degu train d.h5 --model deepstarr --members 10 --epochs 100 --out runs/teachers
  degu distill runs/teachers d.h5 --epochs 100 --out runs/student
  degu evaluate runs/student d.h5
  degu predict runs/student seqs.fa --out p.tsv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 2 where input cannot be used, 130 if interrupted."""
    options = parser().parse_args(arguments)
    try:
        from degu_tf import commands

        commands.run(options)
    except InputError as error:
        print(f"degu: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("degu: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    top = argparse.ArgumentParser(
        prog="degu", description=_OVERVIEW, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"degu {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    _prepare(verbs)
    _train(verbs)
    _distill(verbs)
    _evaluate(verbs)
    _predict(verbs)
    return top


def _verb(verbs: argparse._SubParsersAction, name: str, what: str, example: str):
    return verbs.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _prepare(verbs: argparse._SubParsersAction) -> None:
    prepare = _verb(
        verbs,
        "prepare",
        "read a source of sequences and measurements, write one HDF5 file",
        "degu prepare simulate --out d.h5",
    )
    sources = prepare.add_subparsers(dest="source", required=True, metavar="SOURCE")

    table = _verb(
        sources,
        "table",
        "any TSV, CSV or parquet table with a sequence column",
        "degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group "
        "--out d.h5\n"
        "  degu prepare table T.tsv --replicates activity=rep1,rep2,rep3 --out d.h5",
    )
    table.add_argument("table", help="the table; gzipped is fine")
    table.add_argument("--sequence", default="seq", help="column of the sequences (default: seq)")
    what = table.add_mutually_exclusive_group(required=True)
    what.add_argument("--targets", nargs="+", metavar="COLUMN", help="columns of measured values")
    what.add_argument(
        "--replicates",
        nargs="+",
        metavar="TARGET=COLUMN,...",
        help="replicates of each target: their mean and standard deviation become the targets",
    )
    table.add_argument(
        "--min-replicates",
        type=int,
        help="rows with fewer measured replicates stay out (default: 2)",
    )
    table.add_argument(
        "--drop-missing", action="store_true", help="leave out rows with missing values"
    )
    table.add_argument("--split", metavar="COLUMN", help="column with train, validation or test")
    table.add_argument("--name", metavar="COLUMN", help="column of the sequences' names")
    table.add_argument(
        "--similar",
        type=int,
        metavar="BASES",
        help="rows that share so many bases in a row, on either strand, stay in one split",
    )
    _splitting(table)
    _activity_only(table)
    _written(table)

    lentimpra = _verb(
        sources,
        "lentimpra",
        "lentiMPRA measurements, an element and its reverse complement kept together",
        "degu prepare lentimpra HepG2.tsv --sequences library.fa --target HepG2 --out d.h5",
    )
    lentimpra.add_argument("table", help="measurements, one row an element and orientation")
    lentimpra.add_argument("--sequences", help="table or FASTA of the oligos, joined by name")
    lentimpra.add_argument(
        "--replicates", nargs="+", metavar="COLUMN", help="columns of the replicates"
    )
    lentimpra.add_argument(
        "--activity", metavar="COLUMN", help="one column to take instead; needs --activity-only"
    )
    lentimpra.add_argument("--target", default="activity", help="name of the activity")
    lentimpra.add_argument("--sequence", metavar="COLUMN", help="column of the sequences")
    lentimpra.add_argument("--name", default="name", metavar="COLUMN", help="column of the names")
    _splitting(lentimpra)
    _activity_only(lentimpra)
    _written(lentimpra)

    starrseq = _verb(
        sources,
        "starrseq",
        "STARR-seq tables of de Almeida et al., in their published split",
        "degu prepare starrseq Sequences_activity_all.txt --out starr.h5",
    )
    starrseq.add_argument("tables", nargs="+", help="one table, one for each set, or their folder")
    _written(starrseq)

    simulate = _verb(
        sources,
        "simulate",
        "a simulated assay with planted motifs, two promoters, three replicates",
        "degu prepare simulate --sizes 4000 500 1000 --seed 0 --out d.h5",
    )
    simulate.add_argument(
        "--sizes",
        nargs=3,
        type=int,
        default=(4000, 500, 1000),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="sequences in each split (default: 4000 500 1000)",
    )
    simulate.add_argument("--length", type=int, default=249, help="bases (default: 249)")
    simulate.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default: 0)")
    _written(simulate)


def _train(verbs: argparse._SubParsersAction) -> None:
    train = _verb(
        verbs,
        "train",
        "train an ensemble of teachers; the same command goes on with an interrupted run",
        "degu train d.h5 --model deepstarr --members 10 --epochs 100 --fraction 0.25 --seed 0 "
        "--out runs/x",
    )
    train.add_argument("data", help="HDF5 of `degu prepare`, or any released layout")
    train.add_argument(
        "--model",
        default="deepstarr",
        help="deepstarr, residualbind or mprann (default: deepstarr)",
    )
    train.add_argument("--members", type=int, default=10, help="teachers (default: 10)")
    _activity_only(train)
    train.add_argument(
        "--workers", type=int, default=1, help="members trained at once, in processes (default: 1)"
    )
    _training(train)


def _distill(verbs: argparse._SubParsersAction) -> None:
    distill = _verb(
        verbs,
        "distill",
        "distil the teachers of a run into one student with uncertainty",
        "degu distill runs/x d.h5 --epochs 100 --out runs/y\n"
        "  degu distill runs/x d.h5 --model deepstarr --width 0.5 --out runs/small",
    )
    distill.add_argument("teachers", help="run of `degu train`")
    distill.add_argument(
        "data", help="the data the teachers were trained on; their training subset is taken"
    )
    distill.add_argument("--model", help="the student's architecture (default: the teachers')")
    distill.add_argument("--members", type=int, help="use the first so many teachers")
    distill.add_argument(
        "--epistemic-weight", type=float, default=1.0, help="lambda of the loss (default: 1)"
    )
    distill.add_argument(
        "--aleatoric-weight", type=float, default=1.0, help="gamma of the loss (default: 1)"
    )
    distill.add_argument(
        "--epistemic-form",
        choices=("std", "log_variance"),
        default="std",
        help="what the epistemic column is (default: std)",
    )
    _training(distill)


def _evaluate(verbs: argparse._SubParsersAction) -> None:
    evaluate = _verb(
        verbs,
        "evaluate",
        "metrics of a run: a student beside its teachers, an ensemble beside its members",
        "degu evaluate runs/y d.h5 --out metrics.csv",
    )
    evaluate.add_argument("run", help="run of `degu train` or `degu distill`")
    evaluate.add_argument("data", help="HDF5 file with measured values")
    _split(evaluate)
    evaluate.add_argument("--out", help="write every metric of every head to this CSV file")


def _predict(verbs: argparse._SubParsersAction) -> None:
    predict = _verb(
        verbs,
        "predict",
        "predict sequences with uncertainty and intervals",
        "degu predict runs/y seqs.fa --out p.tsv\n"
        "  degu predict runs/y --bed peaks.bed --fasta genome.fa --average-strands --out p.tsv",
    )
    predict.add_argument("run", help="run of `degu train` or `degu distill`")
    predict.add_argument("sequences", nargs="?", help="FASTA, TSV/CSV/parquet or HDF5 file")
    predict.add_argument("--bed", help="intervals to predict, as long as the model's input")
    predict.add_argument("--fasta", help="genome of the intervals")
    predict.add_argument("--sequence", default="seq", help="sequence column of a table")
    predict.add_argument("--name", metavar="COLUMN", help="name column of a table")
    _split(predict)
    predict.add_argument(
        "--average-strands", action="store_true", help="average with the reverse complement"
    )
    predict.add_argument(
        "--level", type=float, default=0.95, help="probability in the interval (default: 0.95)"
    )
    _written(predict, "TSV file to write", one_hot=False)


def _training(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--width", type=float, help="scale of filters and units (default: 1)")
    verb.add_argument("--init", metavar="FILE", help="start from these weights, or this run's")
    verb.add_argument("--epochs", type=int, default=100, help="at most so many (default: 100)")
    verb.add_argument("--batch-size", type=int, default=100, help="(default: 100)")
    verb.add_argument("--learning-rate", type=float, default=1e-3, help="(default: 0.001)")
    verb.add_argument(
        "--patience",
        type=int,
        default=10,
        help="stop after so many epochs without a lower validation loss; 0 never (default: 10)",
    )
    verb.add_argument("--steps-per-epoch", type=int, help="steps (default: one pass over the data)")
    size = verb.add_mutually_exclusive_group()
    size.add_argument("--fraction", type=float, help="share of the training data to use")
    size.add_argument("--n-train", type=int, help="number of training sequences to use")
    verb.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    verb.add_argument("--quiet", action="store_true", help="no progress bars")
    verb.add_argument("--out", required=True, help="folder of the run")


def _splitting(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--group", nargs="+", metavar="COLUMN", help="rows with equal values stay in one split"
    )
    verb.add_argument(
        "--fractions",
        nargs=3,
        type=float,
        default=(0.8, 0.1, 0.1),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="shares of a random split (default: 0.8 0.1 0.1)",
    )
    verb.add_argument("--seed", type=int, default=0, help="seed of the random split (default: 0)")


def _activity_only(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--activity-only", action="store_true", help="leave the replicates' deviation out"
    )


def _split(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="test",
        help="split of an HDF5 file (default: test)",
    )


def _written(
    verb: argparse.ArgumentParser, what: str = "HDF5 file to write", *, one_hot: bool = True
) -> None:
    if one_hot:
        verb.add_argument("--one-hot", action="store_true", help="store one-hot instead of tokens")
    verb.add_argument("--out", required=True, help=what)
    verb.add_argument("--force", action="store_true", help="replace the file if it is there")


if __name__ == "__main__":
    sys.exit(main())
