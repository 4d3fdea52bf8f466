"""Scripts one after another: one that fails loses no other, and a killed run goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from degu_tf.cli.reproduce import running
from degu_tf.cli.reproduce.catalogue import chosen
from degu_tf.cli.reproduce.running import Request, is_finished, reproduce

TINY = """\
\"\"\"A script of one number.\"\"\"

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.script import main


@dataclass(frozen=True)
class Settings:
    value: float = 1.0


PRESETS = {"smoke": Settings(), "quick": Settings(2.0), "paper": Settings()}
CLAIMS = ()


def compute(context):
    return pd.DataFrame({"value": [context.settings.value + context.seed]})


def draw(table):
    return Figure(figsize=(1, 1))


if __name__ == "__main__":
    raise SystemExit(main(globals()))
"""


def entry(folder, name, code):
    file = folder / f"{name}.py"
    file.write_text(code)
    return SimpleNamespace(name=name, script=name, file=file)


@pytest.mark.slow
def test_one_that_fails_loses_no_other_and_what_is_finished_is_kept(tmp_path, capfd):
    said = []
    entries = [
        entry(tmp_path, "refused", "raise SystemExit(2)"),
        entry(tmp_path, "dead", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
        entry(tmp_path, "good", TINY),
    ]
    request = Request("smoke", tmp_path / "out", seed=3)
    failed = reproduce(entries, request, said.append)
    assert failed == {
        "refused": "exit code 2, its input cannot be used",
        "dead": "ended by signal 9",
    }
    assert said[-1] == "3 of 3: good (good) ..."
    out = tmp_path / "out" / "good"
    assert pd.read_csv(out / "table.csv")["value"].tolist() == [4.0]
    written = (out / "table.csv").stat().st_mtime_ns
    assert reproduce(entries[2:], request, said.append) == {}
    assert said[-1] == "1 of 1: good (good) is finished; not run again"
    assert (out / "table.csv").stat().st_mtime_ns == written
    assert not is_finished(entries[2], Request("smoke", tmp_path / "out", seed=4))
    assert not is_finished(entries[2], Request("quick", tmp_path / "out", seed=3))
    other = reproduce(entries[2:], Request("quick", tmp_path / "out"), said.append)
    assert list(other) == ["good"]
    assert "results of other settings" in capfd.readouterr().err
    (out / "record.json").unlink()
    assert not is_finished(entries[2], request)


def test_the_command_names_what_failed_and_ends_with_one(tmp_path, monkeypatch):
    from command_line import degu

    monkeypatch.setattr(running, "reproduce", lambda entries, *rest: {"s5": "exit code 1"})
    told = degu("reproduce", "s5", "s6", "--out", tmp_path / "out")
    assert told.code == 1
    assert "1 of 2 scripts failed (s5: exit code 1); the others are done" in told.err


def test_a_script_ends_with_the_process_that_started_it(tmp_path):
    file = tmp_path / "waits.py"
    file.write_text("import threading\nprint('begun', flush=True)\nthreading.Event().wait()\n")
    command = [sys.executable, "-m", "degu_tf.cli.reproduce.supervised", str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, process_group=0) as process:
        assert process.stdout.readline() == b"begun\n"
        process.stdin.close()
        assert process.wait(timeout=60) == -signal.SIGKILL


NAMES = ("s5", "s6")
"""The first trains the oracle of Figure 3, the second its teachers and students."""


def command(out):
    return [sys.executable, "-m", "degu_tf", "reproduce", *NAMES, "--preset", "smoke",
            "--out", str(out)]  # fmt: skip


def results(out):
    files = [
        out / each.script / name for each in chosen(NAMES) for name in ("table.csv", "claims.csv")
    ]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def killed_after(words, out):
    """Kill the command once it has said words; returns when its script has ended too."""
    with subprocess.Popen(
        command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(running.__file__).parents[3])},
    ) as process:  # fmt: skip
        said = []
        for line in process.stdout:
            said.append(line)
            if words in line:
                process.kill()
        return "".join(said)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_killed_and_started_again_it_gives_the_same_tables(tmp_path):
    """Once inside a training of the first script, once inside the second, by SIGKILL."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert subprocess.run(command(whole), check=False).returncode == 0
    said = killed_after("members trained: 1 of 2", broken)
    assert "Wrote" not in said
    said = killed_after("2 of 2: s6", broken)
    assert said.count("Wrote") == 1
    done = subprocess.run(command(broken), capture_output=True, text=True, check=True)
    assert "1 of 2: s5 (s05_shifted_activity) is finished; not run again" in done.stdout
    assert results(broken) == results(whole)
