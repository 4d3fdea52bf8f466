"""Threads that TensorFlow computes with, which change the last digits of trained weights."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from degu_tf.utils.run_folder import RunFolder


class ThreadCountWarning(UserWarning):
    """Members of one ensemble were trained with different numbers of threads."""


def thread_counts() -> dict[str, int]:
    """Threads within an operation and between operations, as set or as TensorFlow chooses them.

    Sums of many numbers are cut into pieces by threads, and rounded accordingly.

    Examples
    --------
    >>> sorted(thread_counts())
    ['inter_op', 'intra_op']
    """
    asked = {
        "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
    }
    return {name: n or _default(name) for name, n in asked.items()}


def _default(name: str) -> int:
    """The environment's number, or one thread for each core that the process may use."""
    number = os.environ.get(f"TF_NUM_{name.replace('_', '').upper()}_THREADS", "")
    if number.isdecimal() and int(number) > 0:
        return int(number)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def warn_where_threads_differ(folders: Iterable[Path]) -> None:
    """Warn if finished runs, members of one ensemble, were trained with other numbers of threads.

    Runs of earlier versions, which did not record it, are passed over.
    """
    found: dict[tuple[int, int], list[str]] = {}
    for folder in folders:
        threads = RunFolder(folder).manifest().get("threads")
        if isinstance(threads, dict):
            counts = (threads.get("intra_op", 0), threads.get("inter_op", 0))
            found.setdefault(counts, []).append(folder.name)
    if len(found) > 1:
        said = "; ".join(
            f"{within} and {between}: {', '.join(names)}"
            for (within, between), names in sorted(found.items())
        )
        warnings.warn(
            "members were trained with different numbers of threads (within and between "
            f"operations: {said}), so that training them again in one way gives other weights",
            ThreadCountWarning,
            stacklevel=3,
        )
