"""What a command prints, and where it may write."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import check_output, is_stream

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits

_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

_INDEXES = ("", ".fai", ".gzi", ".tbi", ".csi")
"""Endings of an input file and of the indexes beside it."""


def say(text: str) -> None:
    """Print a line for the user, on standard output."""
    print(text, flush=True)


@contextmanager
def messages_apart(out: str | None) -> Iterator[None]:
    """Print messages on standard error where standard output receives the result itself.

    So ``degu predict RUN s.fa --out /dev/stdout`` writes the table and nothing else.
    """
    if out is not None and _is_standard_output(out):
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def _is_standard_output(path: str) -> bool:
    if os.path.abspath(path) in _STANDARD_OUTPUT:
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))
    except (OSError, ValueError):
        return False


def progress(options: argparse.Namespace) -> bool | None:
    """Whether to show progress bars: never with `--quiet`, else on a terminal."""
    return False if options.quiet else None


def check_out(
    path: str | os.PathLike, *, force: bool, inputs: Iterable[str | os.PathLike | None] = ()
) -> None:
    """Check an output file before the work: it can be written, and is none of the inputs.

    Parameters
    ----------
    path
        The output file.
    force
        Accept a file that already exists.
    inputs
        Files and folders that the command reads; None stands for an option that was not given.

    Raises
    ------
    InputError
        If the file is an input, the index of one or inside an input folder, or if
        `degu_tf.utils.files.check_output` refuses it.
    """
    out = Path(path)
    if out.exists() and not is_stream(out):
        for source in inputs:
            if source is not None and _belongs_to(out, source):
                raise InputError(
                    "expected an output file other than the inputs; choose another name. "
                    f"Received: {path}, which belongs to the input {source}"
                )
    check_output(path, overwrite=force)


def check_out_folder(path: str | os.PathLike) -> None:
    """Check an output folder before the work: it can be made and written to.

    Raises
    ------
    InputError
        If it is a file, or no file can be written to it.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected an output folder. Received: {path}, a file")
    with blaming(f"--out {path}"):
        check_output(folder / "settings.json", overwrite=True)


def _belongs_to(out: Path, source: str | os.PathLike) -> bool:
    if os.path.isdir(source):
        return Path(os.path.realpath(source)) in Path(os.path.realpath(out)).parents
    for ending in _INDEXES:
        with suppress(OSError):
            if os.path.samefile(out, f"{os.fspath(source)}{ending}"):
                return True
    return False


def describe(splits: "Splits") -> str:
    """Sizes, sequence length and columns of data, in one line."""
    sizes = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    return f"{sizes}; {splits.input_shape[0]} bp; columns {', '.join(splits.heads.columns)}"


def report(run: str, splits: "Splits", split: str = "test", out: str | None = None) -> None:
    """Print a run's metrics on a split, and write all of them to a CSV file if one is named."""
    from degu_tf.distillation.evaluation import evaluate_run
    from degu_tf.metrics.activity import wide
    from degu_tf.metrics.profiles import BY_BIN, COUNTS
    from degu_tf.training.train import write_table

    table = evaluate_run(run, getattr(splits, split), splits.heads)
    if out is not None:
        write_table(out, table)
    say(f"Pearson r on {split} (single: mean over members)")
    say(wide(table).to_string(float_format=lambda value: f"{value:.3f}", na_rep="-"))
    for metric, what in ((BY_BIN, "mean over bins"), (COUNTS, "log counts of bins")):
        if metric in set(table["metric"]):
            say(f"Pearson r, {what}")
            say(wide(table, metric).to_string(float_format="{:.3f}".format, na_rep="-"))
    distances = wide(table, "rmse_to_ensemble")
    if len(distances):
        say("RMSE between the activity of student and ensemble")
        say(distances.to_string(float_format=lambda value: f"{value:.3f}"))
    if set(table["method"]) == {"student"}:
        say("The student's teachers were not found where its run recorded them; not evaluated")
