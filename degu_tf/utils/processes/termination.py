"""SIGTERM, with which batch systems end a job, and SIGINT: work is put away, then all ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM has ended: 143."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that an interrupt has ended: 130."""


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """Let SIGTERM end the block as `SystemExit` does, so that no temporary file or process stays.

    A handler that is there already is left in place, and so is everything outside the main
    thread, which alone can handle signals.

    Examples
    --------
    >>> import os, signal
    >>> try:
    ...     with ends_cleanly():
    ...         os.kill(os.getpid(), signal.SIGTERM)
    ... except SystemExit as end:
    ...     print(end.code)
    143
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(*_: Any) -> None:
    raise SystemExit(TERMINATED)


@contextmanager
def ends_as_told() -> Iterator[None]:
    """Let the block end as SIGINT or SIGTERM told it to, whatever error it made of that.

    Libraries make errors of their own of an exception that reaches them within a callback, as
    TensorFlow does while it traces a graph. Where a signal came first, such an error leaves the
    block as `KeyboardInterrupt` or as `SystemExit` with exit code 143.

    Examples
    --------
    >>> import os, signal
    >>> try:
    ...     with ends_as_told():
    ...         try:
    ...             os.kill(os.getpid(), signal.SIGINT)
    ...         except KeyboardInterrupt:
    ...             raise ValueError("an error of a library")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    interrupted
    """
    received: list[int] = []
    with ends_cleanly(), _noting(signal.SIGINT, received), _noting(signal.SIGTERM, received):
        try:
            yield
        except Exception as error:
            if not received:
                raise
            if received[0] == signal.SIGTERM:
                raise SystemExit(TERMINATED) from error
            raise KeyboardInterrupt from error


@contextmanager
def _noting(which: signal.Signals, received: list[int]) -> Iterator[None]:
    """Note a signal before its handler handles it; where Python has none, nothing is changed."""
    handler = signal.getsignal(which)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    known: Callable[[int, FrameType | None], Any] = handler

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        known(number, frame)

    signal.signal(which, note)
    try:
        yield
    finally:
        signal.signal(which, handler)
