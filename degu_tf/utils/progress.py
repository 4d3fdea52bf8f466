"""Progress bars with the time left, on terminals only."""

from collections.abc import Iterable
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
