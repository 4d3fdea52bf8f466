"""What a command prints, in the words of the command line, and where it may write."""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import check_output, is_stream

if TYPE_CHECKING:
    from pandas import DataFrame

    from degu_tf.data.splits import Split, Splits
    from degu_tf.distillation.baseline import Baseline

_STANDARD_OUTPUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")

_INDEXES = ("", ".fai", ".gzi", ".tbi", ".csi")
"""Endings of an input file and of the indexes beside it."""


_ALIASES = {
    "architecture": "model",
    "name": "model",
    "spec": "model",
    "input_length": "length",
    "heads": "targets",
    "n_members": "members",
    "n_bins": "bins",
    "n_references": "references",
    "overwrite": "force",
}
"""Arguments of the library that options have another name for."""

_INVERTED = {"aleatoric": "activity_only"}
"""Arguments that an option switches off."""

_VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^][]*\]|\.\.\.|[^\s,;()\[\]]*[^\s,;()\[\].]"
_ASSIGNED = re.compile(rf"(?<![\w.'\"/-])([a-z][a-z_]*)=({_VALUE})?")
_SNAKE = re.compile(r"(?<![\w.'\"/-])([a-z]+(?:_[a-z]+)+)(?![\w.'\"/=(])")


def say(text: str) -> None:
    """Print a line for the user, on standard output."""
    print(text, flush=True)


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> counted(1, "contig"), counted(2, "contig")
    ('1 contig', '2 contigs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    """Whether to show progress: never with `--quiet`, else bars on a terminal, lines elsewhere."""
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


def check_out_model(out: Path, source: Path, *, force: bool) -> None:
    """Check a `.keras` file to write and the card beside it, before the work.

    Parameters
    ----------
    out
        The file to write.
    source
        The run or file that the model comes from; a card or configuration may lie beside it.
    force
        Accept files that already exist.

    Raises
    ------
    InputError
        If the name does not end in `.keras`, or `check_out` refuses one of the files.
    """
    if out.suffix != ".keras":
        raise InputError(f"expected a file name that ends in .keras. Received: {out}")
    inputs = [source]
    if source.is_file():
        stem = source.name.removesuffix(source.suffix).removesuffix(".weights")
        names = (f"{stem}.json", f"{stem}.txt", f"{stem.replace('weights', 'model')}.json")
        inputs += [source.with_name(name) for name in names]
    for file in (out, out.with_suffix(".json"), out.with_suffix(".txt")):
        check_out(file, force=force, inputs=inputs)


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
    """Sizes, sequence length and columns of data, and what is missing, in one line."""
    from degu_tf.data.summaries import summary

    return summary(splits)


def report(
    run: str,
    splits: "Splits",
    split: str = "test",
    out: str | None = None,
    *,
    with_baseline: bool = True,
    drawn: bool = True,
) -> None:
    """Print a run's metrics on a split, and write all of them to a CSV file if one is named.

    Scalar activity is reported beside a k-mer ridge of the run's training sequences: those of
    `splits`, or, where they are not `drawn` yet, the subset that the run records.
    """
    from pandas import concat

    from degu_tf.distillation.baseline import METHOD
    from degu_tf.distillation.evaluation import evaluate_run
    from degu_tf.metrics.activity import wide
    from degu_tf.metrics.classification import CLASSIFICATION
    from degu_tf.metrics.profiles import BY_BIN, COUNTS
    from degu_tf.training.train import write_table

    judged = getattr(splits, split)
    table = evaluate_run(run, judged, splits.heads)
    _say_missing(run)
    baseline = None
    if with_baseline and judged.targets.ndim == 2:
        baseline, rows = _baseline(run, splits, judged, drawn)
        table = concat([table, *rows], ignore_index=True)
    if out is not None:
        write_table(out, table)
    say(f"Pearson r on {split} (single: mean over members){_numbers(splits, split)}")
    say(wide(table).to_string(float_format=lambda value: f"{value:.3f}", na_rep="-"))
    others = {
        BY_BIN: "Pearson r, mean over bins",
        COUNTS: "Pearson r, log counts of bins",
        **{metric: metric.replace("_", " ").replace("auroc", "AUROC") for metric in CLASSIFICATION},
    }
    for metric, what in others.items():
        if metric in set(table["metric"]):
            say(what)
            say(wide(table, metric).to_string(float_format="{:.3f}".format, na_rep="-"))
    distances = wide(table, "rmse_to_ensemble")
    if len(distances):
        say("RMSE between the activity of student and ensemble")
        say(distances.to_string(float_format=lambda value: f"{value:.3f}"))
    if set(table["method"]) - {METHOD} == {"student"}:
        say("The student's teachers were not found where its run recorded them; not evaluated")
    if baseline is not None:
        _say_baseline(baseline, table)


def _say_missing(run: str) -> None:
    """Print which members an ensemble lacks."""
    from degu_tf.distillation.failures.members import missing_text, of_manifest
    from degu_tf.utils.run_folder import RunFolder

    failed = of_manifest(RunFolder(run).manifest()) if os.path.isdir(run) else {}
    if failed:
        say(f"Missing: {missing_text(failed)}; `degu train` with a higher --retries trains them")


def _numbers(splits: "Splits", split: str) -> str:
    """The number of values of each target, where they differ."""
    counts = splits.n_values(split)
    if len(set(counts.values())) == 1:
        return ""
    return f"; n: {', '.join(f'{target} {n}' for target, n in counts.items())}"


def _baseline(
    run: str, splits: "Splits", split: "Split", drawn: bool
) -> "tuple[Baseline | None, list[DataFrame]]":
    """The run's k-mer ridge and its metrics; where none can be fitted, the reason is printed."""
    from degu_tf.distillation.baseline import baseline_of

    try:
        baseline = baseline_of(run, splits, drawn=drawn)
        return baseline, [baseline.evaluate(split, splits.heads)]
    except InputError as error:
        say(f"No k-mer ridge beside the run: {error}")
        return None, []


def _say_baseline(baseline: "Baseline", table: "DataFrame") -> None:
    """Print what the ridge is, and which models are below it."""
    from degu_tf.distillation.baseline import METHOD, below_baseline

    k, n = baseline.ridge.k, counted(baseline.n_train, "training sequence")
    whose = f"the run's {n}" if baseline.is_runs_data else f"{n} of these data"
    say(f"{METHOD}: ridge regression on counts of {k}-mers, fitted to {whose}")
    if not baseline.is_runs_data:
        say("These may not be the sequences that the run was trained on")
    for sentence in below_baseline(table, k):
        say(sentence)


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message in which arguments of Python are options of the command line.

    Parameters
    ----------
    message
        A message with parts such as ``n_members=7``, ``targets=('Dev', 'Hk')`` or ``batch_size``.
    flags
        The options of a verb: ``{"members": "--members"}``. Arguments without one stay.

    Examples
    --------
    >>> flags = {"members": "--members", "targets": "--targets", "append": "--append"}
    >>> with_flags("the run has 2 members. Received: n_members=7", flags)
    'the run has 2 members. Received: --members 7'
    >>> with_flags("leave out targets=. Received: targets=('Dev', 'Hk'), append=False", flags)
    'leave out --targets. Received: --targets Dev Hk, no --append'
    """

    def assigned(found: re.Match) -> str:
        name, value = found[1], found[2] or ""
        if name not in flags and _INVERTED.get(name) in flags:
            name, value = _INVERTED[name], {"True": "False", "False": "True"}.get(value, value)
        flag = flags.get(name) or flags.get(_ALIASES.get(name, ""))
        return found[0] if flag is None else _spelt(flag, value)

    message = _ASSIGNED.sub(assigned, message)
    return _SNAKE.sub(lambda found: flags.get(found[1], found[1]), message)


def _spelt(flag: str, value: str) -> str:
    if value in ("None", "False"):
        return f"no {flag}"
    if value in ("", "True", "..."):
        return flag
    if value[0] in "([":
        parts = [part.strip(" '\"") for part in value[1:-1].split(",")]
        return " ".join([flag, *filter(None, parts)])
    return f"{flag} {value.strip(chr(39) + chr(34))}"
