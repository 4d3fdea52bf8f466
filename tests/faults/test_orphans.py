"""Processes of a pool whose parent is killed or told to end: none is left, nor a half file."""

import os
import signal
import subprocess
import sys
import time

import pytest
from faults.processes import alive

from degu_tf.utils.processes.termination import TERMINATED

SCRIPT = """
import os, sys, time
from pathlib import Path
from degu_tf.utils.files import atomic_write
from degu_tf.utils.processes.pools import pool

def work(folder, name):
    with atomic_write(Path(folder) / f"{name}.txt") as temporary:
        temporary.write_text("half")
        (Path(folder) / f"{name}.pid").write_text(str(os.getpid()))
        while True:
            time.sleep(0.01)

if __name__ == "__main__":
    with pool(2, "before it was done") as processes:
        tasks = [processes.submit(work, sys.argv[1], name) for name in "abcdef"]
        tasks[0].result()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def at_work(tmp_path):
    """A process whose two workers are in the midst of their first tasks; numbers of these."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "out").mkdir()
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "out"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    while len(files := list((tmp_path / "out").glob("*.pid"))) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    yield parent, [int(file.read_text()) for file in files]
    parent.kill()
    parent.wait()


def seconds_until_gone(pids):
    started = time.monotonic()
    while any(map(alive, pids)) and time.monotonic() < started + 20:
        time.sleep(0.01)
    return time.monotonic() - started


def test_workers_of_a_killed_process_end(at_work):
    parent, pids = at_work
    parent.kill()
    assert seconds_until_gone(pids) < 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_workers_of_a_process_that_is_told_to_end_put_their_files_away(at_work, tmp_path, how):
    parent, pids = at_work
    parent.send_signal(how)
    assert seconds_until_gone([*pids]) < 5
    parent.wait()
    if how == signal.SIGTERM:
        assert parent.returncode == TERMINATED
    assert {file.suffix for file in (tmp_path / "out").iterdir()} == {".pid"}
    assert len(list((tmp_path / "out").iterdir())) == 2  # no other task was begun


def test_a_command_that_is_told_to_end_says_how_to_resume(tmp_path):
    (tmp_path / "wait.py").write_text(
        "import os, signal, degu_tf.cli as cli\n"
        "cli.runs.run = lambda _: os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise SystemExit(cli.main(['runs', '.']))\n"
    )
    done = subprocess.run([sys.executable, "wait.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == TERMINATED
    assert done.stderr == "degu: terminated; run the same command again to resume\n"
