"""Processes of the package that a test begins, to kill them."""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

MARK = "DEGU_FAULTS"
"""Variable by which a process and all that it begins are known."""


def begin(folder, *arguments):
    """A Python process in a folder, with its errors kept and its output not."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def loaded_processes(modules):
    """A context of processes that have these modules loaded, in which TensorFlow has not begun.

    They begin in milliseconds, so that a test can kill many.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


def run_command(folder, arguments, mark, patches, before=None):
    """Run `degu`, or a script of `experiments`, in this process and folder.

    `patches` are values by the dotted names they get; `before` is called first.
    """
    os.environ[MARK] = mark
    os.chdir(folder)
    from degu_tf.cli import main
    from degu_tf.utils import files

    files._STARTED = time.time()  # as in a process that loads the module itself
    for name, value in patches.items():
        module, attribute = name.rsplit(".", 1)
        setattr(import_module(module), attribute, value)
    script = Path(arguments[0])
    with (
        open("errors.txt", "w") as errors,
        open("said.txt", "w") as said,
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(said),
    ):
        if before is not None:
            before()
        if script.suffix != ".py":
            sys.exit(main(arguments))
        sys.argv = list(arguments)
        runpy.run_path(str(script), run_name="__main__")


def alive(pid):
    """Whether a process is there and has not ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def begun_under(mark):
    """Processes that live and were begun, at whatever remove, by one that runs under a mark."""
    found, entry = [], f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (folder / "environ").read_bytes().split(b"\0") and alive(folder.name):
                found.append(int(folder.name))
    return found
