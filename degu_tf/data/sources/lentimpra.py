"""The lentiMPRA tables of Agarwal et al., with both orientations of an element in one split."""

import os
from collections.abc import Sequence

import pandas as pd

from degu_tf.data.sources.grouping import FRACTIONS
from degu_tf.data.sources.table import read_table
from degu_tf.data.sources.text_tables import pick_columns, read_frame
from degu_tf.data.splits import Splits
from degu_tf.sequences.fasta import read_fasta
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import is_fasta

REPLICATES = tuple(f"replicate {number} [log2(rna/dna)]" for number in (1, 2, 3))
"""Columns of the three replicates in the published summary tables."""

SEQUENCE_COLUMNS = ("seq", "sequence", "230nt sequence")
"""Names of sequence columns, in either case; the last is a prefix."""

_REVERSED = r"(?:_Reversed(?:_\d+)?)?:?$"
_SEQUENCE, _ELEMENT = "sequence of the element", "element in either orientation"


def read_lentimpra(
    path: str | os.PathLike | pd.DataFrame,
    sequences: str | os.PathLike | pd.DataFrame | None = None,
    *,
    replicates: Sequence[str] = REPLICATES,
    activity: str | None = None,
    aleatoric: bool = True,
    sequence: str | None = None,
    name: str = "name",
    target: str = "activity",
    group: str | Sequence[str] | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> Splits:
    """Read lentiMPRA measurements and draw train, validation and test (paper, Methods).

    An element and its reverse complement stay in one split: by name (the reverse one ends in
    `_Reversed`, `_Reversed_0` or, as published, `_Reversed:`) and by sequence, within the
    library's adapters, which are the same for both. With aleatoric labels, rows with fewer than
    two measured replicates are left out; without, one is enough. Both are counted in a
    `degu_tf.data.sources.table.TableWarning`, as are measurements without a sequence.

    Parameters
    ----------
    path
        Table of the measurements (see `degu_tf.data.sources.table.read_table` for its forms), one
        row for each element and orientation, such as a sheet of the published summary tables saved
        as CSV.
    sequences
        Table or FASTA file (plain or gzipped) of the oligo library, joined by name. Not needed if
        the measurements have a sequence column.
    replicates
        Columns of the replicates, log2(RNA/DNA).
    activity
        Column to take as the activity instead of the mean over `replicates`; it has no replicates,
        so it needs ``aleatoric=False``.
    aleatoric
        Whether to make the aleatoric column, the population standard deviation of the replicates.
    sequence
        Sequence column; by default the one that is called as in `SEQUENCE_COLUMNS`.
    name
        Column of the names, in both tables.
    target
        Name of the activity in the result.
    group
        Columns with further groups that stay in one split.
    fractions
        Shares of train, validation and test.
    seed
        Seed of the random split.

    Raises
    ------
    InputError
        As `read_table` does; if no sequence column can be told; if the library has two sequences
        under one name.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "name": ["peak1", "peak1_Reversed:", "peak2", "peak3"],
    ...     "seq": ["ACCCT", "AGGGT", "ATATT", "AATCT"],
    ...     "mean": [0.5, 0.25, -1.0, 2.0],
    ... })
    >>> half = (0.5, 0.25, 0.25)
    >>> splits = read_lentimpra(table, activity="mean", aleatoric=False, fractions=half)
    >>> splits.train.names.tolist()
    ['peak1', 'peak1_Reversed:']
    """
    if activity is not None and aleatoric:
        raise InputError(
            "an activity column has no replicates to make an aleatoric column of; give replicates "
            f"or aleatoric=False. Received: {activity=}, {aleatoric=}"
        )
    group = [group] if isinstance(group, str) else list(group or ())
    columns = list(replicates) if activity is None else [activity]
    source = "the table" if isinstance(path, pd.DataFrame) else path
    table = read_frame(path)
    frame = pick_columns(table, [name, *columns, *group], source).copy()
    if sequences is None:
        frame[_SEQUENCE] = _sequences(table, sequence, source)
    else:
        frame[_SEQUENCE] = frame[name].map(_library(sequences, sequence, name))
    frame[_ELEMENT] = frame[name].astype(str).str.replace(_REVERSED, "", regex=True)
    return read_table(
        frame,
        _SEQUENCE,
        targets=None if activity is None else {target: activity},
        replicates=None if activity is not None else {target: columns},
        aleatoric=aleatoric,
        drop_missing=True,
        group=[*group, _ELEMENT],
        name=name,
        fractions=fractions,
        seed=seed,
    )


def _sequences(frame: pd.DataFrame, column: str | None, source: str | os.PathLike) -> pd.Series:
    if column is not None:
        return pick_columns(frame, [column], source)[column]
    *names, beginning = SEQUENCE_COLUMNS
    lower = [str(name).casefold() for name in frame.columns]
    found = [index for index, key in enumerate(lower) if key in names or key.startswith(beginning)]
    if len(found) != 1:
        raise InputError(
            f"expected one column of {source} called {' or '.join(names)}, or beginning with "
            f"{beginning!r}; name it with sequence=, or give the library of sequences with "
            f"sequences=. Received: a table with the columns {list(frame.columns)}"
        )
    return frame.iloc[:, found[0]]


def _library(
    source: str | os.PathLike | pd.DataFrame, sequence: str | None, name: str
) -> dict[str, str]:
    """Sequences by name, from a table or FASTA file."""
    if not isinstance(source, pd.DataFrame) and is_fasta(source):
        names, sequences = read_fasta(source)
    else:
        frame = read_frame(source)
        label = "the library" if isinstance(source, pd.DataFrame) else source
        names = pick_columns(frame, [name], label)[name].tolist()
        sequences = _sequences(frame, sequence, label).tolist()
    library: dict[str, str] = {}
    for key, text in zip(names, sequences, strict=True):
        if library.setdefault(key, text) != text:
            raise InputError(
                f"expected one sequence for each name. Received: two sequences for {key!r}"
            )
    return library
