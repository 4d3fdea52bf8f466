"""Processes that score parts of a VCF, each with a scorer of its own.

A new process imports this module before TensorFlow's notices are silenced, so it imports nothing
that loads TensorFlow.
"""

import secrets
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, as_completed
from typing import Any

from degu_tf.utils.processes.pools import pool

_writer: Any = None
_stopping = False
_made_for: str | None = None
_one_at_a_time = threading.Lock()


def score_parts(
    n_workers: int, arguments: tuple[Any, ...], todo: list[int], scored: Callable[[int], object]
) -> None:
    """Score parts in processes.

    Parameters
    ----------
    n_workers
        Number of processes.
    arguments
        The fields of a `degu_tf.variants.vcf.parts.Scoring` as a dict, which unlike the object can
        be unpickled before TensorFlow is loaded; then the other arguments of `PartWriter`.
    todo
        Indices of the parts.
    scored
        Called with the number of variants after each part.

    Raises
    ------
    InputError
        If a process dies, or as `PartWriter` does.
    """
    with pool(n_workers, "before its variants were scored", _start, arguments) as processes:
        futures = [processes.submit(_score, index) for index in todo]
        for future in as_completed(futures):
            scored(future.result())


def score_parts_on(
    executor: Executor, arguments: tuple[Any, ...], todo: list[int], scored: Callable[[int], object]
) -> None:
    """Score parts on an executor, whose workers see the same files; as `score_parts` otherwise."""
    task = secrets.token_hex(8)
    futures = [executor.submit(_score_one, task, arguments, index) for index in todo]
    try:
        for future in as_completed(futures):
            scored(future.result())
    finally:
        for future in futures:
            future.cancel()


def _score_one(task: str, arguments: tuple[Any, ...], index: int) -> int:
    """Score a part with this process's scorer, which is made for its first part of a task."""
    global _writer, _made_for
    with _one_at_a_time:
        if _made_for != task:
            from degu_tf.variants.vcf.parts import PartWriter, Scoring

            scoring, *rest = arguments
            _writer, _made_for = PartWriter(Scoring(**scoring).open(), *rest), task
        return _score(index)


def _start(scoring: dict[str, Any], *arguments: Any) -> None:
    global _writer
    signal.signal(signal.SIGINT, _stop)
    from degu_tf.variants.vcf.parts import PartWriter, Scoring

    _writer = PartWriter(Scoring(**scoring).open(), *arguments)


def _stop(*_: Any) -> None:
    """Note an interrupt, which ends the part at its next block, so no temporary file stays."""
    global _stopping
    _stopping = True


def _end_if_interrupted(_: int = 0) -> None:
    if _stopping:
        raise KeyboardInterrupt


def _score(index: int) -> int:
    _end_if_interrupted()
    _writer.write(index, _end_if_interrupted)
    return _writer.parts[index].size
