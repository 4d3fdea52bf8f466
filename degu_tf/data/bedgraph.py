"""bedGraph files: one value for each of many intervals."""

import os
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write


def write_bedgraph(
    path: str | os.PathLike, intervals: Iterable[tuple[str, int, int]], values: np.ndarray
) -> None:
    r"""Write values by interval, sorted by contig (as `sort` does) and position.

    Parameters
    ----------
    path
        The file, written whole or not at all.
    intervals
        Contig, start and end, 0-based and half-open. Empty ones have no line.
    values
        One for each; NaN has no line.

    Raises
    ------
    InputError
        As `check_intervals` does.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.bedGraph"
    >>> write_bedgraph(path, [("chr1", 5, 9), ("chr1", 0, 5)], np.array([0.25, 1.0]))
    >>> path.read_text()
    'chr1\t0\t5\t1\nchr1\t5\t9\t0.25\n'
    """
    spans = list(intervals)
    check_intervals(spans)
    lines = sorted((*each, value) for each, value in zip(spans, values, strict=True))
    with atomic_write(path) as temporary, open(temporary, "w", newline="\n") as file:
        file.writelines(
            f"{contig}\t{start}\t{end}\t{value:.6g}\n"
            for contig, start, end, value in lines
            if start < end and not np.isnan(value)
        )


def check_intervals(intervals: Iterable[tuple[str, int, int]]) -> None:
    """Refuse intervals that a bedGraph cannot hold.

    Raises
    ------
    InputError
        If some overlap, since a bedGraph holds one value a base, or a contig's name is empty or
        holds white space.
    """
    spans = sorted(each for each in intervals if each[1] < each[2])
    for before, each in pairwise(spans):
        if before[0] == each[0] and each[1] < before[2]:
            raise InputError(
                "a bedGraph holds one value a base, so intervals must not overlap; merge them "
                "(`bedtools merge`), or write a table of the windows. Received: "
                f"{each[0]}:{before[1]}-{before[2]} and {each[1]}-{each[2]}"
            )
    for contig in {each[0] for each in spans}:
        if contig.split() != [contig]:
            raise InputError(
                "expected names without white space, which separates columns of a bedGraph; rename "
                f"the sequence. Received: {contig!r}"
            )
