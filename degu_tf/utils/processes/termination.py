"""SIGTERM, with which batch systems end a job: work is put away before the process ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM has ended: 143."""


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
