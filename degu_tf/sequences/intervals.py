"""Names of stretches of a genome, such as `chr8:0-3072`: from 0, the end not included."""

from collections.abc import Sequence

from degu_tf.utils.errors import InputError


def bin_name(contig: str, start: int, end: int) -> str:
    """The name of a stretch.

    Examples
    --------
    >>> bin_name("chr8", 3072, 6144)
    'chr8:3072-6144'
    """
    return f"{contig}:{start}-{end}"


def bin_place(name: str) -> tuple[str, int, int]:
    """Contig, first base and end of a bin by its name.

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


def middle_names(names: Sequence[str], bases: int, length: int) -> list[str]:
    """Names of the middle `length` of stretches of `bases`; others are left as they are.

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
