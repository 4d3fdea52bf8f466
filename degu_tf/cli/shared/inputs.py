"""What a command reads, checked before anything heavy is loaded."""

import ast
import os
from collections.abc import Iterable

from degu_tf.cli import options
from degu_tf.utils.errors import InputError, did_you_mean
from degu_tf.utils.run_folder import SETTINGS, RunFolder


def check_files(what: str, *paths: str | None) -> None:
    """Refuse what is no file; None stands for an option that was not given.

    Raises
    ------
    InputError
        With `what` was expected, such as ``"a genome FASTA"``.
    """
    for path in paths:
        if path is not None and not os.path.isfile(path):
            raise InputError(f"expected {what}. Received: {path}, which is no file")


def check_exists(what: str, *paths: str | None) -> None:
    """Refuse what is neither file nor folder; None stands for an option that was not given.

    Raises
    ------
    InputError
        With `what` was expected.
    """
    for path in paths:
        if path is not None and not os.path.exists(path):
            raise InputError(f"expected {what}. Received: {path}, where there is nothing")


def check_run(path: str) -> None:
    """Refuse a run that is missing or unfinished; folders of something else are left to loaders.

    Raises
    ------
    InputError
        If nothing is there, or it is a run that is unfinished or damaged.
    """
    if not os.path.exists(path):
        raise InputError(f"expected the folder of a run. Received: {path}")
    if os.path.isfile(os.path.join(path, SETTINGS)):
        run = RunFolder(path)
        _ = run.kind, run.manifest()


def check_heads(run: str, names: Iterable[str]) -> None:
    """Refuse names that are no column of a run; what a file of a model has its loader knows.

    Raises
    ------
    InputError
        If a name does not begin with one of the run's targets; a similar one is suggested.
    """
    if not os.path.isfile(os.path.join(run, SETTINGS)):
        return
    targets = RunFolder(run).settings().get("heads", {}).get("targets", [])
    for name in names:
        if targets and not any(name == each or name.startswith(f"{each}_") for each in targets):
            raise InputError(
                f"expected columns of the run's targets, {', '.join(targets)}."
                f"{did_you_mean(name, targets)} Received: --head {name}"
            )


def check_model(name: str | None) -> None:
    """Refuse a misspelt name of an architecture, or of a function in a file; modules are not read.

    Raises
    ------
    InputError
        If there is none of that name; a similar one is suggested.
    """
    if name is None or name in options.MODEL_NAMES:
        return
    if set(":.") & set(name):
        file, colon, function = name.rpartition(":")
        if colon and file.endswith(".py"):
            _check_function(file, function)
        return
    hint = did_you_mean(name, options.MODEL_NAMES)
    raise InputError(
        f"expected one of the architectures {', '.join(options.MODEL_NAMES)}.{hint} "
        f"Received: --model {name}"
    )


def _check_function(file: str, name: str) -> None:
    """Refuse a function that a file's text does not name at all; the text is not executed."""
    if not os.path.isfile(file):
        raise InputError(f"expected a file of Python. Received: {file}, which does not exist")
    with open(file, encoding="utf-8", errors="replace") as handle:
        text = handle.read()
    try:
        parsed = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # the import says where
    if name in text or "*" in {
        each.name for each in ast.walk(parsed) if isinstance(each, ast.alias)
    }:
        return
    functions = [each.name for each in parsed.body if isinstance(each, ast.FunctionDef)]
    raise InputError(
        f"expected one of the functions {', '.join(functions) or '(none)'} of {file}."
        f"{did_you_mean(name, functions)} Received: --model {file}:{name}"
    )
