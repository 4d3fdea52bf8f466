"""Windows that cover a sequence, and which part of it each of them speaks for."""

from collections.abc import Iterator
from typing import NamedTuple

from degu_tf.utils.errors import InputError


class Tile(NamedTuple):
    """A window and what is kept of it, in positions of the whole: `[first, last)`."""

    start: int
    first: int
    last: int


def tiles(length: int, window: int, step: int | None = None) -> Iterator[Tile]:
    """Windows that cover a sequence, each base kept in one of them.

    Windows begin every `step` bases; the last one ends where the sequence does. Neighbours meet in
    the middle of what they share.

    Parameters
    ----------
    length
        Bases of the whole, at least one window.
    window
        Bases a model takes.
    step
        From one window to the next; half a window by default.

    Raises
    ------
    InputError
        If the sequence is shorter than a window, or the step leaves gaps.

    Examples
    --------
    >>> [tuple(tile) for tile in tiles(3072, 2048)]
    [(0, 0, 1536), (1024, 1536, 3072)]
    """
    step = max(1, window // 2) if step is None else step
    if not 1 <= step <= window or length < window:
        raise InputError(
            "expected a step from 1 to the window's length, and sequences as long as a window or "
            f"longer. Received: window={window}, step={step}, sequences of {length} bases"
        )
    start = first = 0
    while start + window < length:
        following = min(start + step, length - window)
        last = (following + start + window + 1) // 2
        yield Tile(start, first, last)
        start, first = following, last
    yield Tile(start, first, length)
