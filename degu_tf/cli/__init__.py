"""The `degu` command. Each verb is a module: `add` declares its options, `run` carries it out.

Modules here import nothing heavy, so that help appears at once; `run` imports what it needs.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, Protocol

from degu_tf import __version__
from degu_tf.cli import (
    calibrate,
    convert,
    distill,
    evaluate,
    explain,
    export,
    fetch,
    mutagenize,
    predict,
    prepare,
    reproduce,
    runs,
    train,
    variants,
)
from degu_tf.cli.options import flags_of
from degu_tf.cli.output import messages_apart, with_flags
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.termination import INTERRUPTED, TERMINATED, ends_as_told

_OVERVIEW = """\
Distil an ensemble of models of regulatory activity into one model that predicts the activity of a
DNA sequence and its uncertainty.

the usual order:
  degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group --out d.h5
  degu train d.h5 --members 10 --out runs/teachers
  degu distill runs/teachers d.h5 --out runs/student
  degu evaluate runs/student d.h5
  degu calibrate runs/student d.h5
  degu predict runs/student seqs.fa --out p.tsv
  degu explain runs/student seqs.fa --out maps
  degu variants runs/student --vcf v.vcf.gz --fasta genome.fa --out effects.tsv
  degu mutagenize runs/student elements.fa --out saturated
  degu runs

data and models released by the paper's authors:
  degu fetch --list
  degu convert 1_DeepSTARR.h5 deepstarr.keras

the paper's figures:
  degu reproduce fig3 --preset quick
"""
_EPILOG = """\
`degu VERB --help` shows the options of a verb and an example.

exit codes:
  0    done
  1    an error in the program (with a traceback), or a closed pipe; scripts of `degu reproduce`
       that failed, named at the end
  2    input or options that cannot be used, or output that cannot be written
  3    nothing came out: no variant of a VCF could be scored
  130  interrupted; run the same command again to resume
  143  terminated (SIGTERM, of a batch system); run the same command again to resume
"""


class Verb(Protocol):
    """A module of one verb."""

    def add(self, verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Declare the verb and its options."""
        ...

    def run(self, options: argparse.Namespace) -> None:
        """Carry out the verb."""
        ...


VERBS: tuple[Verb, ...] = (
    prepare,
    train,
    distill,
    export,
    evaluate,
    calibrate,
    predict,
    explain,
    variants,
    mutagenize,
    runs,
    fetch,
    convert,
    reproduce,
)
"""The verbs, in the order of help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 2 where input cannot be used, 130 if interrupted."""
    options = parser().parse_args(arguments)
    try:
        out = getattr(options, "out", None)
        with ends_as_told(), messages_apart(out), warnings.catch_warnings():
            quiet.one_line_warnings("degu")
            _register_layers(getattr(options, "custom_layers", None))
            options.carry_out(options)
    except InputError as error:
        message = with_flags(error.command_line, flags_of(options.parser))
        return _refuse(message, error.exit_code)
    except FloatingPointError as error:
        return _refuse(with_flags(str(error), flags_of(options.parser)))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        where = "" if error.filename is None else f". Received: {error.filename}"
        return _refuse(f"{error.strerror}{where}")
    except KeyboardInterrupt:
        print("degu: interrupted; run the same command again to resume", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:
        if end.code == TERMINATED:
            print("degu: terminated; run the same command again to resume", file=sys.stderr)
        raise
    return 0


def _register_layers(named: str | None) -> None:
    """Execute the file of a user's layers, which the user named."""
    if named is not None:
        quiet.tensorflow()
        from degu_tf.models.own.sources import load_module

        load_module(named)


def _refuse(message: str, exit_code: int = 2) -> int:
    print(f"degu: error: {message}", file=sys.stderr)
    return exit_code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage before it."""

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
    for verb in VERBS:
        verb.add(verbs).set_defaults(carry_out=verb.run)
    return top
