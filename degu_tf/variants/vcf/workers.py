"""Processes that score parts of a VCF.

What a new process loads first is this module, so TensorFlow comes in quietly.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError

_writer: Any = None
_stopping = False


def score_parts(
    n_workers: int, arguments: tuple[Any, ...], todo: list[int], scored: Callable[[int], object]
) -> dict[str, int]:
    """Score parts in processes, each with a scorer of its own.

    Parameters
    ----------
    n_workers
        Number of processes.
    arguments
        The fields of a `degu_tf.variants.vcf.parts.Scoring` as a dict, which unlike itself can be
        read before TensorFlow is loaded; then the other arguments of `PartWriter`.
    todo
        Which parts.
    scored
        Is told how many variants after each part.

    Returns
    -------
    dict
        What `VariantScorer.floored` of all of them sums up to.

    Raises
    ------
    InputError
        If a process ended before its time, or as `PartWriter` does.
    """
    floored: dict[str, int] = {}
    with _pool(n_workers, arguments) as pool:
        futures = [pool.submit(_score, index) for index in todo]
        for future in as_completed(futures):
            n, counts = future.result()
            scored(n)
            for name, count in counts.items():
                floored[name] = floored.get(name, 0) + count
    return floored


@contextmanager
def _pool(n_workers: int, arguments: tuple[Any, ...]) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=_start, initargs=arguments
    )
    try:
        yield pool
    except BrokenProcessPool:
        raise InputError(
            "a worker ended before its variants were scored, for want of memory perhaps; the same "
            f"command with fewer --workers goes on where it stopped. Received: {n_workers} workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(scoring: dict[str, Any], *arguments: Any) -> None:
    global _writer
    signal.signal(signal.SIGINT, _stop)
    quiet.tensorflow()
    quiet.one_line_warnings("degu")
    from degu_tf.variants.vcf.parts import PartWriter, Scoring

    _writer = PartWriter(Scoring(**scoring).open(), *arguments)


def _stop(*_: Any) -> None:
    """Note an interrupt, which ends the part at its next block, so nothing unfinished stays."""
    global _stopping
    _stopping = True


def _go_on(_: int = 0) -> None:
    if _stopping:
        raise KeyboardInterrupt


def _score(index: int) -> tuple[int, dict[str, int]]:
    _go_on()
    _writer.scorer.floored = {}
    _writer.write(index, _go_on)
    return _writer.parts[index].size, _writer.scorer.floored
