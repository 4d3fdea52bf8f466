"""Pools of fresh processes, which end when the process that began them ends, however it does.

A new process imports this module first, which keeps TensorFlow's import quiet.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import Queue, current_process, get_context, parent_process
from queue import Empty
from typing import Any

from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.termination import TERMINATED, ends_cleanly

GRACE = 10.0
"""Seconds that processes have to put their work away, once they are told to end."""


@contextmanager
def workers(n: int, devices: tuple[str, ...] = ()) -> Iterator[ProcessPoolExecutor | None]:
    """Processes to train members in; None, for this process, where `n` is 1 and there are no GPUs.

    Parameters
    ----------
    n
        Number of processes.
    devices
        Names of GPUs as `CUDA_VISIBLE_DEVICES` takes them, one for each process, in turn.

    Raises
    ------
    InputError
        If a process dies.
    """
    if n == 1 and not devices:
        yield None
        return
    with pool(n, "before its member was trained", devices=devices) as executor:
        yield executor


class _Pool(ProcessPoolExecutor):
    """A pool whose processes end where their task is told to."""

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future:
        return super().submit(_run, task, *arguments, **named)

    def end(self) -> None:
        """Tell the processes to put their work away; kill those that do not in time."""
        processes = list((self._processes or {}).values())
        for process in processes:
            process.terminate()
        until = time.monotonic() + GRACE
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
        for process in processes:
            process.kill()


@contextmanager
def pool(
    n: int,
    when: str,
    start: Callable[..., object] | None = None,
    arguments: tuple[Any, ...] = (),
    *,
    devices: tuple[str, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """Spawn `n` processes; they are ended where the block ends early.

    While the block runs, SIGTERM ends this process as `SystemExit` does, with exit code 143. If
    this process is killed, the others notice and end at once.

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
    devices
        Names of GPUs, of which each process sees one, in turn.

    Raises
    ------
    InputError
        If a process dies.
    """
    context = get_context("spawn")
    places = context.Queue()
    for place in range(n if devices else 0):
        places.put(devices[place % len(devices)])
    executor = _Pool(
        n,
        mp_context=context,
        initializer=_start,
        initargs=(places if devices else None, start, arguments),
    )
    try:
        with ends_cleanly():
            yield executor
    except BrokenProcessPool:
        raise InputError(
            f"a worker process died {when}, perhaps for lack of memory; run the same command with "
            f"fewer --workers to resume. Received: --workers {n}"
        ) from None
    except BaseException:
        executor.end()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _start(
    places: "Queue[str] | None", start: Callable[..., object] | None, arguments: tuple[Any, ...]
) -> None:
    """Keep a process quiet while it loads TensorFlow, and let an interrupt end it."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if places is not None:
        try:
            os.environ["CUDA_VISIBLE_DEVICES"] = places.get(timeout=60)
        except Empty:
            raise RuntimeError(f"no device is left for {current_process().name}") from None
    quiet.tensorflow()
    quiet.one_line_warnings("degu")
    if start is not None:
        start(*arguments)
    signal.signal(signal.SIGTERM, _end)


def end_with_parent() -> None:
    """End this process at once when the one that began it is gone.

    A process that waits for its next task, or trains, would not notice: its queues stay open, for
    it holds both ends of them.
    """
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(TERMINATED)

    threading.Thread(target=wait, name="end with parent", daemon=True).start()


class _Ended(SystemExit):
    """A process was told to end."""


def _end(*_: Any) -> None:
    raise _Ended(TERMINATED)


def _run(task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """A task; told to end, the process ends after the task has put its files away."""
    try:
        return task(*arguments, **named)
    except SystemExit:
        os._exit(TERMINATED)
