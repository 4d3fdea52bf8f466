"""Notebooks run `degu reproduce`, show how far it is, and fail where it does."""

import stat
import sys

import pytest

from degu_tf.paper.results.running import reproduce


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Writes a program that stands for Python, and notes what it is called with."""

    def write(*lines):
        file = tmp_path / "python"
        calls = f'echo "$@" >> {tmp_path}/calls'
        file.write_text("\n".join(["#!/bin/sh", calls, *lines, ""]))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(file))
        return tmp_path / "calls"

    return write


def test_progress_is_shown_and_what_scripts_print_is_not(interpreter, tmp_path, capsys):
    shown = ["1 of 2: fig5 (04_fig5_uncertainty) ...", "members trained: 1 of 5, 00:07 left"]
    other = [
        "member 0: epoch 1 of 1, loss 2.4, validation 1.7, 00:00 left",
        "Wrote /a/place in 2 s",
    ]
    calls = interpreter(*(f'echo "{line}"' for line in [*shown, *other]))
    reproduce("fig5", "s1*", preset="quick", out=tmp_path / "out")
    assert capsys.readouterr().out.splitlines() == shown
    called = f"-m degu_tf reproduce fig5 s1* --preset quick --out {tmp_path / 'out'}"
    assert calls.read_text().strip() == called


def test_a_failure_says_what_was_said_last(interpreter, tmp_path):
    interpreter("echo 'no room left' >&2", "exit 1")
    with pytest.raises(RuntimeError, match="reproduce fig5 failed:\nno room left"):
        reproduce("fig5", preset="quick", out=tmp_path)


def test_a_name_that_is_none_is_refused_in_the_words_of_the_command(tmp_path):
    with pytest.raises(RuntimeError, match="expected names of figures"):
        reproduce("fig9", preset="smoke", out=tmp_path / "out")
