"""Processes to train in; what they load first is this module, so TensorFlow comes in quietly."""

import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError


@contextmanager
def workers(n: int) -> Iterator[ProcessPoolExecutor | None]:
    """So many processes to train members in; None for this one alone.

    Raises
    ------
    InputError
        If a process ends before its time.
    """
    if n == 1:
        yield None
        return
    context = get_context("spawn")
    try:
        with ProcessPoolExecutor(n, mp_context=context, initializer=_start_worker) as executor:
            yield executor
    except BrokenProcessPool:
        raise InputError(
            "a worker ended before its member was trained, for want of memory perhaps; the same "
            f"command with fewer --workers goes on where it stopped. Received: --workers {n}"
        ) from None


def _start_worker() -> None:
    """Let a worker be quiet before it loads TensorFlow, and end with this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    quiet.tensorflow()
    quiet.one_line_warnings("degu")
