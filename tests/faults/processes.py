"""Processes of the package that a test begins, to kill them."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time


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


def run_command(folder, arguments, every_epoch):
    """Run `degu` in this process and folder; with a training state an epoch, however short."""
    os.chdir(folder)
    from degu_tf.cli import main
    from degu_tf.training.epochs import checkpoint
    from degu_tf.utils import files

    files._STARTED = time.time()  # as in a process that loads the module itself
    if every_epoch:
        checkpoint.INTERVAL = 0
    with open("errors.txt", "w") as errors, contextlib.redirect_stderr(errors):
        code = main(arguments)
    sys.exit(code)
