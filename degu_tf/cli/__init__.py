"""The `degu` command: its words and their help, which answer at once because nothing is loaded."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from degu_tf import __version__
from degu_tf.cli.explain_options import add_explain
from degu_tf.cli.mutagenize_options import add_mutagenize
from degu_tf.cli.options import (
    FORCE,
    activity_only,
    choice,
    flag,
    not_negative,
    option,
    positive,
    probability,
    several,
    share,
    verb,
    whole,
)
from degu_tf.cli.prepare_options import add_prepare
from degu_tf.cli.variant_options import add_variants
from degu_tf.utils.errors import InputError

_OVERVIEW = """\
Distil an ensemble of models of DNA activity into one that also says how far to trust it.

the usual order:
  degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group --out d.h5
  degu train d.h5 --model deepstarr --members 10 --epochs 100 --out runs/teachers
  degu distill runs/teachers d.h5 --epochs 100 --out runs/student
  degu evaluate runs/student d.h5
  degu calibrate runs/student d.h5
  degu predict runs/student seqs.fa --out p.tsv
  degu explain runs/student seqs.fa --out maps
  degu variants runs/student --vcf v.vcf.gz --fasta genome.fa --out effects.tsv
  degu mutagenize runs/student elements.fa --out saturated

what the paper's authors released:
  degu fetch --list
  degu convert 1_DeepSTARR.h5 deepstarr.keras
"""
_EPILOG = """\
`degu VERB --help` has the options of a verb and an example. Exit codes: 0 done, 2 input that cannot
be used, 130 interrupted.
"""
_ARCHITECTURES = "cnn_task_base, deepstarr, dream_rnn, mprann or residualbind"
_INIT = "start from the weights of a run or of a file that `degu convert` reads"
_FORMS = ("std", "log_variance", "evidential")
_NOISE_MODELS = (
    "heteroscedastic",
    "heteroscedastic_released",
    "evidential_released",
    "deep_evidential",
)
_SPLITS = ("train", "validation", "test")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 2 where input cannot be used, 130 if interrupted."""
    options = parser().parse_args(arguments)
    try:
        from degu_tf.cli import commands

        commands.run(options)
    except (InputError, FloatingPointError) as error:
        return _refuse(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        where = "" if error.filename is None else f". Received: {error.filename}"
        return _refuse(f"{error.strerror}{where}")
    except KeyboardInterrupt:
        print("degu: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return 0


def _refuse(message: str) -> int:
    print(f"degu: error: {message}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, without its usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    top = _Parser(
        prog="degu",
        description=_OVERVIEW,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"degu {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    add_prepare(verbs)
    _train(verbs)
    _distill(verbs)
    _export(verbs)
    _evaluate(verbs)
    _calibrate(verbs)
    _predict(verbs)
    add_explain(verbs)
    add_variants(verbs)
    add_mutagenize(verbs)
    _fetch(verbs)
    _convert(verbs)
    return top


def _train(verbs: argparse._SubParsersAction) -> None:
    train = verb(
        verbs,
        "train",
        "train an ensemble of teachers; the same command goes on with an interrupted run",
        "DATA --out FOLDER [options]",
        "degu train d.h5 --model deepstarr --members 10 --epochs 100 --fraction 0.25 --seed 0 "
        "--out runs/x",
    )
    train.add_argument(
        "data", metavar="DATA", help="HDF5 file of `degu prepare`, or of any released layout"
    )
    _run(train)
    model = train.add_argument_group("model")
    option(
        model,
        "--model",
        "NAME",
        f"{_ARCHITECTURES} (default: deepstarr, cnn_task_base for profiles)",
    )
    option(model, "--width", "FACTOR", "factor on filters and units (default: 1)", positive)
    option(model, "--members", "N", "teachers", whole(2), 10)
    option(model, "--init", "FILE", _INIT)
    noise = "let the model learn the noise from single measurements instead of their deviation"
    model.add_argument("--uncertainty", choices=_NOISE_MODELS, help=noise)
    data = _subset(train, "all")
    activity_only(data)
    _target_names(data)
    augmentation = train.add_argument_group("augmentation")
    what = "evoaug: exactly one of its augmentations for each minibatch; labels stay"
    augmentation.add_argument("--augment", choices=("evoaug",), help=what)
    _finetuning(augmentation)
    training = _training(train)
    option(training, "--workers", "N", "members trained at once, in processes", whole(1), 1)
    config = "yaml file of the paper's authors; its settings hold where no option says otherwise"
    option(training, "--config", "FILE", config)


def _distill(verbs: argparse._SubParsersAction) -> None:
    distill = verb(
        verbs,
        "distill",
        "distil the teachers of a run into one student with uncertainty",
        "TEACHERS DATA --out FOLDER [options]",
        "degu distill runs/x d.h5 --epochs 100 --out runs/y",
        "degu distill runs/x d.h5 --model deepstarr --width 0.5 --out runs/small",
        "degu distill runs/x d.h5 --augment evoaug --out runs/dynamic",
    )
    distill.add_argument("teachers", metavar="TEACHERS", help="run of `degu train`")
    what = "the data the teachers were trained on; or labels, with the columns of a student"
    distill.add_argument("data", metavar="DATA", help=what)
    _run(distill)
    model = distill.add_argument_group("student")
    option(model, "--model", "NAME", f"{_ARCHITECTURES} (default: the teachers')")
    option(
        model,
        "--width",
        "FACTOR",
        "factor on filters and units (default: the teachers', or 1 for another architecture)",
        positive,
    )
    option(model, "--init", "FILE", _INIT)
    labels = distill.add_argument_group("labels and loss")
    option(labels, "--members", "N", "take the first so many teachers (default: all)", whole(2))
    choice(labels, "--epistemic-form", "form of the epistemic column", _FORMS[:2])
    for name, letter in (("epistemic", "lambda"), ("aleatoric", "gamma")):
        what = f"weight of its error in the loss, {letter} in the paper"
        option(labels, f"--{name}-weight", "WEIGHT", what, not_negative, 1.0)
    _augmentation(distill)
    _target_names(_subset(distill, "the teachers' subset"))
    _training(distill)


def _augmentation(distill: argparse.ArgumentParser) -> None:
    augmentation = distill.add_argument_group("augmentation")
    augmentation.add_argument(
        "--augment",
        choices=("evoaug", "mutagenesis", "shuffle", "none"),
        help="augment every minibatch: by 0 to 2 EvoAug augmentations (exactly one with --labels "
        "static), by mutating 5 %% of the bases, or by shuffling them; with none the teachers "
        "label minibatches as they are drawn, which of profiles is a random part and strand",
    )
    who = "who labels augmented sequences: the teachers, as training goes on; or the label stays "
    who += "that of the sequence as it was"
    choice(augmentation, "--labels", who, ("teachers", "static"))
    flag(augmentation, "--append", "keep the originals in the minibatch beside the augmented ones")
    dtype = "what the teachers compute in; bfloat16 is faster where the processor has it"
    choice(augmentation, "--teacher-dtype", dtype, ("float32", "bfloat16"))
    _finetuning(augmentation)


def _finetuning(to: argparse._ActionsContainer) -> None:
    epochs = "then so many epochs without augmentation, as the released scripts have it"
    option(to, "--finetune-epochs", "N", f"{epochs} (default: none)", whole(1))
    option(to, "--finetune-rate", "RATE", "their learning rate", positive, 1e-4)


def _export(verbs: argparse._SubParsersAction) -> None:
    export = verb(
        verbs,
        "export",
        "write a run's model for inference: batch normalisation folded, no dropout",
        "RUN OUT.keras [options]",
        "degu export runs/y y.keras",
    )
    export.add_argument("run", metavar="RUN", help="run of `degu distill`, or a teacher's folder")
    export.add_argument("out", metavar="OUT.keras", help="Keras file to write")
    flag(export, "--force", FORCE)


def _evaluate(verbs: argparse._SubParsersAction) -> None:
    evaluate = verb(
        verbs,
        "evaluate",
        "metrics of a run: a student beside its teachers, an ensemble beside its members",
        "RUN DATA [options]",
        "degu evaluate runs/y d.h5 --out metrics.csv",
    )
    evaluate.add_argument("run", metavar="RUN", help="run of `degu train` or `degu distill`")
    evaluate.add_argument("data", metavar="DATA", help="HDF5 file with measured values")
    option(evaluate, "--out", "FILE", "write every metric of every head to this CSV file")
    flag(evaluate, "--force", FORCE)
    choice(evaluate, "--split", "which sequences", _SPLITS, "test")
    _target_names(evaluate)


def _calibrate(verbs: argparse._SubParsersAction) -> None:
    calibrate = verb(
        verbs,
        "calibrate",
        "make the intervals of a run's predictions hold as many measurements as they say",
        "RUN DATA [options]",
        "degu calibrate runs/y d.h5",
        "degu calibrate runs/y d.h5 --bins 5 --level 0.9",
    )
    calibrate.add_argument("run", metavar="RUN", help="run of `degu train` or `degu distill`")
    calibrate.add_argument("data", metavar="DATA", help="HDF5 file with measured values")
    flag(calibrate, "--force", "replace the run's calibration if it has one")
    which = "sequences to calibrate on; the other of the two are left to judge the intervals on"
    choice(calibrate, "--split", which, _SPLITS[1:])
    components = ("total", "aleatoric", "epistemic")
    choice(calibrate, "--component", "uncertainty that is scaled", components)
    quantile = "finite-sample keeps the promise however few sequences there are; plain is the "
    quantile += "paper's, as numpy has it"
    choice(calibrate, "--quantile", quantile, ("finite-sample", "plain"))
    bins = "a factor for each of so many bins of the predicted value (default: one for all)"
    option(calibrate, "--bins", "N", bins, whole(2))
    level = "probability in the intervals that are judged; `degu predict` may ask for others"
    option(calibrate, "--level", "P", level, probability, 0.95)
    strands = "for predictions averaged with the reverse complement"
    flag(calibrate, "--average-strands", strands)
    _target_names(calibrate)


def _predict(verbs: argparse._SubParsersAction) -> None:
    predict = verb(
        verbs,
        "predict",
        "predict sequences with uncertainty and intervals, conformal ones where RUN is calibrated",
        "RUN (SEQUENCES | --bed FILE --fasta GENOME | --bigwig --fasta GENOME) --out FILE "
        "[options]",
        "degu predict runs/y seqs.fa --out p.tsv",
        "degu predict deepstarr.keras seqs.fa --out p.tsv",
        "degu predict runs/y --bed peaks.bed --fasta genome.fa --average-strands --out p.tsv",
        "degu predict runs/y --bigwig --fasta genome.fa --contigs chr8 --out tracks",
    )
    predict.add_argument(
        "run",
        metavar="RUN",
        help="run of `degu train` or `degu distill`, or a file that `degu convert` wrote or reads",
    )
    predict.add_argument(
        "sequences", nargs="?", metavar="SEQUENCES", help="FASTA, TSV/CSV/parquet or HDF5 file"
    )
    what = "TSV file to write, or with --bigwig a folder"
    predict.add_argument("--out", required=True, metavar="FILE", help=what)
    flag(predict, "--force", FORCE)
    flag(predict, "--average-strands", "average with the reverse complement")
    option(predict, "--level", "P", "probability in the interval", probability, 0.95)
    flag(predict, "--gaussian", "Gaussian intervals, calibrated or not")
    genome = predict.add_argument_group("intervals of a genome")
    option(genome, "--bed", "FILE", "intervals, each as long as the model's input")
    what = "the genome, plain or bgzipped, and a .fai is put beside it; tracks need no .fai"
    option(genome, "--fasta", "GENOME", what)
    tracks = predict.add_argument_group("tracks along a genome, from a model of profiles")
    what = "write a bigWig of each target and uncertainty; called again it goes on where it stopped"
    flag(tracks, "--bigwig", what)
    several(tracks, "--contigs", "NAME", "contigs to predict (default: all)")
    what = "bases from one window to the next (default: half of the model's input)"
    option(tracks, "--step", "BASES", what, whole(1))
    table = predict.add_argument_group("a table")
    option(table, "--sequence", "COLUMN", "the sequences", default="seq")
    option(table, "--name", "COLUMN", "their names (default: name, if there is such a column)")
    hdf5 = predict.add_argument_group("an HDF5 file")
    choice(hdf5, "--split", "which sequences", _SPLITS, "test")
    _target_names(hdf5)


def _fetch(verbs: argparse._SubParsersAction) -> None:
    fetch = verb(
        verbs,
        "fetch",
        "fetch the data and weights that the paper's authors released, or another Zenodo record",
        "[NAME ...] [options]",
        "degu fetch --list",
        "degu fetch --match '*.tar.gz' --out released --unpack",
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="files of the record")
    several(fetch, "--match", "GLOB", "files whose names fit, such as '*.h5'; '*' is every file")
    flag(fetch, "--list", "show the record's files and their sizes, fetch nothing")
    where = "where to put them (default: a folder in $DEGU_CACHE or the user's cache)"
    option(fetch, "--out", "FOLDER", where)
    flag(fetch, "--unpack", "unpack tar and zip archives beside themselves")
    record = "DOI, address or number of the record (default: the authors' newest version)"
    option(fetch, "--record", "ID", record)
    flag(fetch, "--quiet", "no progress bars")


def _convert(verbs: argparse._SubParsersAction) -> None:
    convert = verb(
        verbs,
        "convert",
        "write weights that others trained as a .keras file, and a card of what the model is",
        "IN OUT.keras [options]",
        "degu convert 1_DeepSTARR.h5 deepstarr.keras",
        "degu convert 1_lentiMPRA.h5 k562.keras --targets K562 --aleatoric log_variance",
    )
    convert.add_argument(
        "source", metavar="IN", help=".h5, .weights.h5 or .keras of Keras 2 or 3, or a .pth file"
    )
    convert.add_argument("out", metavar="OUT.keras", help="model to write; the card goes beside it")
    flag(convert, "--force", "replace the model and its card if they are there")
    model = convert.add_argument_group("to overrule what the file says, or say what it leaves open")
    option(model, "--model", "NAME", _ARCHITECTURES)
    option(model, "--length", "BASES", "input length", whole(1))
    several(model, "--targets", "NAME", "the measured quantities that the columns begin with")
    for name in ("aleatoric", "epistemic"):
        what = f"columns of {name} uncertainty follow, in this form"
        model.add_argument(f"--{name}", choices=_FORMS, help=what)


def _run(to: argparse.ArgumentParser) -> None:
    to.add_argument("--out", required=True, metavar="FOLDER", help="folder of the run")
    flag(to, "--quiet", "no progress bars")


def _subset(to: argparse.ArgumentParser, default: str) -> argparse._ArgumentGroup:
    data = to.add_argument_group("data")
    size = data.add_mutually_exclusive_group()
    what = f"share of the training data to use (default: {default})"
    option(size, "--fraction", "SHARE", what, share)
    option(size, "--n-train", "N", "number of training sequences to use", whole(1))
    return data


def _training(to: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    training = to.add_argument_group("training")
    passes = "at most so many passes over the training data (default: 100)"
    option(training, "--epochs", "N", passes, whole(1))
    option(training, "--batch-size", "N", "sequences in each step (default: 100)", whole(1))
    rate = "Adam's rate in the beginning (default: 0.001)"
    option(training, "--learning-rate", "RATE", rate, positive)
    patience = "stop after so many epochs without a lower validation loss; 0: never (default: 10)"
    option(training, "--patience", "N", patience, whole(0))
    steps = "steps that count as an epoch (default: one pass over the data)"
    option(training, "--steps-per-epoch", "N", steps, whole(1))
    crop = "of profiles: bases that the model sees, in training a random part of each sequence; "
    crop += "0: all (default: 2048 where there are more, or what the teachers take)"
    option(training, "--crop", "BASES", crop, whole(0))
    option(training, "--seed", "N", "seed of everything random", whole(0), 0)
    return training


def _target_names(to: argparse._ActionsContainer) -> None:
    what = "names of the target columns, for an HDF5 file that leaves them open"
    several(to, "--targets", "NAME", what)


if __name__ == "__main__":
    sys.exit(main())
