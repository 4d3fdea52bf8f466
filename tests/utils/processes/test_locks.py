"""Locks: one works, the other waits and says for whom, or refuses; the dead hold none."""

import errno
import fcntl
import signal
import subprocess
import sys

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.locks import LOCK, alone, lock_of, locked
from degu_tf.utils.run_folder import RunFolder

HOLD = """
import sys
from degu_tf.utils.processes.locks import alone
with alone(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has locked the folder, until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process


def test_the_second_refuses_and_names_the_first(holder, tmp_path):
    expected = rf"no other command is writing.*run, which is locked by process {holder.pid} on .*"
    refused = pytest.raises(InputError, match=f"{expected}, since 20")
    with refused, alone(tmp_path / "run", wait=False):
        pass


def test_the_second_waits_says_for_whom_and_goes_on(holder, tmp_path):
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with waiting:
        assert f"run: waiting for process {holder.pid} on " in waiting.stderr.readline()
        assert waiting.poll() is None
        holder.stdin.close()
        assert waiting.wait() == 0
    assert list((tmp_path / "run").iterdir()) == []


def test_a_lock_of_a_killed_process_blocks_nobody(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert {file.name for file in (tmp_path / "run").iterdir()} == {LOCK, f"{LOCK}.json"}
    with alone(tmp_path / "run", wait=False):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_a_lock_is_no_part_of_a_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with alone(folder.path), locked(lock_of(folder / "conformal.npz"), "a calibration"):
        folder.begin({"kind": "model"})
        folder.finish()
    assert list(folder.manifest()["files"]) == ["settings.json"]
    assert {file.name for file in folder.path.iterdir()} == {"settings.json", "manifest.json"}


def test_who_holds_a_lock_may_take_it_again(tmp_path):
    with alone(tmp_path / "run") as folder:
        note = (folder / ".lock.json").read_text()
        with alone(tmp_path / "run"):
            pass
        assert (folder / ".lock.json").read_text() == note
        (folder / ".lock").unlink()  # even where its file is gone, it does not wait for itself
        with alone(tmp_path / "run", wait=False):
            pass
    assert not folder.exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    refused = pytest.raises(InputError, match=r"the output folder is a file. Received: .*run")
    with refused, alone(tmp_path / "run"):
        pass


def test_a_file_system_without_locks_is_warned_about(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    expected = r"has no locks .*no second process writes.*Received: it"
    with pytest.warns(UserWarning, match=expected), locked(tmp_path / LOCK, "it"):
        done = True
    assert done
