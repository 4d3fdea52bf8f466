"""Sizes, ages and tables as people read them."""

from collections.abc import Sequence

_UNITS = ("B", "kB", "MB", "GB", "TB")
_SPANS = (("year", 365 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def readable_size(size: int) -> str:
    """Bytes in the unit that suits them, thousands of the next smaller one.

    Examples
    --------
    >>> readable_size(999), readable_size(1_250_000)
    ('999 B', '1.2 MB')
    """
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def readable_age(seconds: float) -> str:
    """A time in its largest unit, rounded down.

    Examples
    --------
    >>> readable_age(3 * 86400 + 50), readable_age(60), readable_age(0)
    ('3 days', '1 minute', '0 seconds')
    """
    name, length = next(each for each in _SPANS if seconds >= each[1] or each[1] == 1)
    number = max(0, int(seconds // length))
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text with their columns below one another.

    Examples
    --------
    >>> print(aligned([["run", "kind"], ["runs/teachers", "ensemble"]]))
    run            kind
    runs/teachers  ensemble
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
