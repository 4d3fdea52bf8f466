"""Processes of the package that a test begins, to kill them."""

import os
import subprocess
import sys


def begin(folder, *arguments):
    """A Python process in a folder, with its errors kept and its output not."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
