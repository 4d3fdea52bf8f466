"""Ranks of conformal quantiles, computed without rounding errors."""

import math
from fractions import Fraction

from degu_tf.utils.errors import InputError

_FINEST = 10**9


def rank(n: int, level: float) -> int:
    """ceil((n + 1) level), counted from 1; over n where the points do not suffice.

    Examples
    --------
    >>> rank(19, 0.95), rank(20, 0.95), rank(99, 0.55), math.ceil(100 * 0.55)
    (19, 20, 55, 56)
    """
    return math.ceil((n + 1) * exact(level))


def points_needed(level: float) -> int:
    """The fewest points of which one is high enough: level / (1 - level), rounded up.

    Raises
    ------
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> points_needed(0.95), points_needed(0.99)
    (19, 99)
    """
    share = exact(level)
    return math.ceil(share / (1 - share))


def exact(level: float) -> Fraction:
    """The simple fraction that a level stands for, such as 19/20 for 0.95.

    A float lies a little beside the decimal it was written as, and `ceil` can make a whole rank of
    that: in floats ``100 * 0.55`` is 55.00000000000001. Levels are read to nine digits.

    Raises
    ------
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> exact(0.95), exact(0.1 + 0.2)
    (Fraction(19, 20), Fraction(3, 10))
    """
    share = Fraction(0)
    if math.isfinite(level):
        share = Fraction(float(level)).limit_denominator(_FINEST)
    if not 0 < share < 1:
        raise InputError(f"level must lie between 0 and 1. Received: level={level}")
    return share
