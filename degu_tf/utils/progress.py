"""Progress: bars with the time left on terminals, lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from tqdm import tqdm


def bar(
    items: Iterable | None,
    what: str,
    progress: bool | None = None,
    *,
    total: int | None = None,
    keep: bool = False,
) -> Any:
    """Wrap an iterable in a progress bar, or make one to be updated by hand when it is None.

    Parameters
    ----------
    items
        The items of the loop.
    what
        A word or two before the bar.
    progress
        True shows the bar, False hides it, None shows it where standard error is a terminal.
    total
        Number of items where `items` does not know it.
    keep
        Leave the finished bar on the screen.
    """
    return tqdm(
        items,
        desc=what,
        total=total,
        leave=keep,
        dynamic_ncols=True,
        disable=None if progress is None else not progress,
    )


def in_lines(progress: bool | None) -> bool:
    """Whether progress is told in lines: not decided, and standard error is no terminal."""
    return progress is None and not sys.stderr.isatty()


def line(text: str) -> None:
    """Write a line on standard error at once.

    Text and line end go in one piece: `print` writes them one after the other, and lines of
    processes that share the stream would run into each other.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def told(
    items: Iterable, what: str, progress: bool | None = None, *, total: int | None = None
) -> Iterator:
    """Long steps in a bar that stays, or where there is no terminal a line after each of them.

    Parameters are those of `bar`.
    """
    if not in_lines(progress):
        yield from bar(items, what, progress, total=total, keep=True)
        return
    total = len(items) if total is None and isinstance(items, Sized) else total
    started = time.perf_counter()
    for done, item in enumerate(items, start=1):
        yield item
        left = "" if total is None else f" of {total}, {time_left(started, done, total)} left"
        line(f"{what}: {done}{left}")


def time_left(started: float, done: int, total: int) -> str:
    """Time for the other steps if they are as long as those since `started` (`perf_counter`).

    Examples
    --------
    >>> time_left(time.perf_counter() - 60, done=2, total=4)
    '01:00'
    """
    seconds = (time.perf_counter() - started) / done * (total - done)
    return tqdm.format_interval(seconds)
