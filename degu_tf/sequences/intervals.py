"""Names of genomic intervals, such as `chr8:0-3072`: 0-based, half-open."""

from collections.abc import Iterable

from degu_tf.utils.errors import InputError


def bin_name(contig: str, start: int, end: int) -> str:
    """Name of an interval.

    Examples
    --------
    >>> bin_name("chr8", 3072, 6144)
    'chr8:3072-6144'
    """
    return f"{contig}:{start}-{end}"


def bin_place(name: str) -> tuple[str, int, int]:
    """Contig, start and end of an interval from its name.

    Raises
    ------
    InputError
        If it is no such name.

    Examples
    --------
    >>> bin_place("chr8:3072-6144")
    ('chr8', 3072, 6144)
    """
    contig, _, span = name.rpartition(":")
    start, _, end = span.partition("-")
    if not (contig and start.isdecimal() and end.isdecimal()):
        raise InputError(f"expected names of bins such as chr8:0-3072. Received: {name!r}")
    return contig, int(start), int(end)


def middle_names(names: Iterable[object], bases: int, length: int) -> list[str]:
    """Names of the central `length` bases of intervals of `bases`; other names are kept.

    Examples
    --------
    >>> middle_names(["chr8:3072-6144", "peak1"], 3072, 2048)
    ['chr8:3584-5632', 'peak1']
    """
    return [_middle(str(name), bases, length) for name in names]


def _middle(name: str, bases: int, length: int) -> str:
    try:
        contig, start, end = bin_place(name)
    except InputError:
        return name
    first = start + (bases - length) // 2
    return bin_name(contig, first, first + length) if end - start == bases else name
