"""Runs `degu` inside a test, and reads what it wrote."""

import contextlib
import io
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from degu_tf import cli
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.augmentation.schemes import describe

SUFFIXES = ("", "_aleatoric", "_epistemic", "_total", "_lower", "_upper")
COLUMNS = [
    "name",
    *(f"{t}{s}" for t in ("Dev", "Hk") for s in (*SUFFIXES, "_floored")),
    "interval",
]
PAPER = ("--recipe", "paper")
TRAIN = (*PAPER, "--model", "tiny", "--members", 2, "--epochs", 2, "--learning-rate", 0.01)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def degu(*arguments, terminal=False):
    """Run a command in this process; its exit code, standard output and standard error."""
    out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="default"),
    ):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def done(*arguments, terminal=False):
    """Run a command that has to succeed."""
    result = degu(*arguments, terminal=terminal)
    assert result.code == 0, result.err
    return result


def state(folder):
    """Every file of a folder with the time it was written."""
    return {file: file.stat().st_mtime_ns for file in Path(folder).rglob("*")}


def settings(folder):
    return json.loads((folder / "settings.json").read_text())


def table(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])


def described(name):
    """An augmentation scheme as `settings.json` has it."""
    return json.loads(json.dumps(describe(scheme(name))))
