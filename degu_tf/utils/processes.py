"""Pools of fresh processes.

A new process imports this module first, which keeps TensorFlow's import quiet.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError


@contextmanager
def workers(n: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes to train members in; None, for this process, where `n` is 1.

    Raises
    ------
    InputError
        If a process dies.
    """
    if n == 1:
        yield None
        return
    with pool(n, "before its member was trained") as executor:
        yield executor


@contextmanager
def pool(
    n: int, when: str, start: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Spawn `n` processes; tasks that have not begun are cancelled where the block ends early.

    Parameters
    ----------
    n
        Number of processes.
    when
        When a process died that did not finish its task, for the message.
    start
        A module-level function that each process calls first. By default an interrupt ends a
        process at once; a function that handles it otherwise sets its own handler of SIGINT.
    arguments
        Arguments of `start`.

    Raises
    ------
    InputError
        If a process dies.
    """
    executor = ProcessPoolExecutor(
        n, mp_context=get_context("spawn"), initializer=_start, initargs=(start, arguments)
    )
    try:
        yield executor
    except BrokenProcessPool:
        raise InputError(
            f"a worker process died {when}, perhaps for lack of memory; run the same command with "
            f"fewer --workers to resume. Received: --workers {n}"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def _start(start: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    """Keep a process quiet while it loads TensorFlow, and let an interrupt end it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    quiet.tensorflow()
    quiet.one_line_warnings("degu")
    if start is not None:
        start(*arguments)
