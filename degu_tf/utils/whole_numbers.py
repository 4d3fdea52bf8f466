"""Numbers among values of any type."""

from numbers import Integral, Real
from typing import TypeGuard


def is_whole(value: object, least: int | None = None, most: int | None = None) -> TypeGuard[int]:
    """Whether a value is an integer, Python's or numpy's, between two limits; booleans are none.

    Parameters
    ----------
    value
        Anything.
    least, most
        The smallest and the largest that will do; None for any.

    Examples
    --------
    >>> import numpy as np
    >>> is_whole(np.int64(3), 1), is_whole(3, 1, 2), is_whole(3.0), is_whole(True)
    (True, False, False, False)
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        return False
    number = int(value)
    return (least is None or number >= least) and (most is None or number <= most)


def is_between(value: object, low: float, high: float) -> TypeGuard[float]:
    """Whether a value is a number, Python's or numpy's, above `low` and below `high`.

    Examples
    --------
    >>> is_between(0.5, 0, 1), is_between(1, 0, 1), is_between("0.5", 0, 1), is_between(None, 0, 1)
    (True, False, False, False)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return low < value < high
