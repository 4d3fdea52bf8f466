"""Text tables (TSV, CSV) and parquet files."""

import csv
import difflib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

import pandas as pd

from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import file_type, open_text

NAME_COLUMNS = ("name", "id")
"""Columns that names are taken from where none is given, in either case; the first one wins."""

_NOT_TEXT = {
    "zip": "an Excel or zip file; save the sheet as TSV or CSV",
    "HDF5": "an HDF5 file; it needs no preparing",
    "bzip2": "a bzip2 file; decompress it",
    "xz": "an xz file; decompress it",
}


def read_frame(
    path: str | os.PathLike | pd.DataFrame, columns: Iterable[str] | None = None
) -> pd.DataFrame:
    r"""Read a table; its type is detected from file content, and text columns stay text.

    Parameters
    ----------
    path
        Text table with a header (separated by tab, comma or semicolon, gzipped or not), parquet
        file, or a DataFrame, from which columns are picked.
    columns
        Columns to read; all by default.

    Raises
    ------
    InputError
        If the file is missing, of another kind or broken, or a column is missing (the message lists
        those there are).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("seq;activity\nACGT;0.50\n")
    >>> read_frame(path).iloc[0].tolist()
    ['ACGT', '0.50']
    """
    columns = None if columns is None else list(dict.fromkeys(columns))
    frame = _read(path, columns)
    if not len(frame):
        raise InputError(f"expected rows below the header. Received: none in {_source(path)}")
    return frame


def frame_blocks(
    path: str | os.PathLike, rows: int, columns: Sequence[str], maybe: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    r"""The table that `read_frame` reads, in blocks of rows.

    Parameters
    ----------
    path
        Text table or parquet file.
    rows
        Rows of a block.
    columns, maybe
        What is needed of parquet, and what is where it is there: others may be left out.

    Raises
    ------
    InputError
        As `read_frame` does, at the block where that shows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("seq;activity\nACGT;0.50\nACG;1\nA;2\n")
    >>> [len(block) for block in frame_blocks(path, 2, ["seq"])]
    [2, 1]
    """
    path = Path(path)
    kind = file_type(path) if path.is_file() else None
    if kind == "parquet":
        blocks = _parquet_blocks(path, rows, columns, maybe)
    elif kind is None or kind in _NOT_TEXT:
        blocks = iter([read_frame(path)])  # refuses it
    else:
        blocks = _text_blocks(path, rows)
    n_rows = 0
    for block in blocks:
        n_rows += len(block)
        if len(block):
            yield block
    if not n_rows:
        raise InputError(f"expected rows below the header. Received: none in {path}")


def header_of(path: str | os.PathLike | pd.DataFrame) -> list[str]:
    r"""Names of a table's columns; none where `read_frame` would refuse it.

    Examples
    --------
    >>> header_of(pd.DataFrame({"seq": [], "id": []}))
    ['seq', 'id']
    """
    if isinstance(path, pd.DataFrame):
        return [str(column) for column in path.columns]
    path = Path(path)
    try:
        kind = file_type(path) if path.is_file() else "zip"
        if kind == "parquet":
            return _parquet_columns(path)
        if kind in _NOT_TEXT:
            return []
        with open_text(path, "table", newline="") as handle:
            header = next((line for line in handle if line.strip()), "")
        return _fields(header, _separator(header), str(path))
    except InputError:
        return []


def name_column(present: Sequence[str], taken: set[str]) -> tuple[str | None, list[str]]:
    """The column that names of sequences are taken from by default, and what to say of it.

    Parameters
    ----------
    present
        The table's columns.
    taken
        Those that hold something else.

    Examples
    --------
    >>> name_column(["seq", "ID", "score"], {"seq"})
    ('ID', [])
    """
    found = [
        column
        for called in NAME_COLUMNS
        for column in sorted(present, key=lambda column: column != called)
        if str(column).casefold() == called and present.count(column) == 1 and column not in taken
    ]
    if len(found) < 2:
        return (found[0] if found else None), []
    others = " and ".join(map(repr, found[1:]))
    chosen = f"sequences are named by the column {found[0]!r}, not by {others}"
    return found[0], [f"{chosen}; choose with name= (--name)"]


def pick_columns(
    frame: pd.DataFrame, columns: Sequence[str] | None, source: str | os.PathLike
) -> pd.DataFrame:
    """Give these columns of a table, or all of them if none are named.

    Raises
    ------
    InputError
        If one is missing or repeated; the message names `source`, the closest column and all
        that there are.

    Examples
    --------
    >>> pick_columns(pd.DataFrame({"a": [1], "b": [2]}), ["b"], "t.tsv").columns.tolist()
    ['b']
    """
    _check_columns(columns, [str(column) for column in frame.columns], source)
    return frame if columns is None else frame[list(dict.fromkeys(columns))]


def _source(path: str | os.PathLike | pd.DataFrame) -> str:
    return "the table" if isinstance(path, pd.DataFrame) else str(path)


def _read(path: str | os.PathLike | pd.DataFrame, columns: list[str] | None) -> pd.DataFrame:
    if isinstance(path, pd.DataFrame):
        return pick_columns(path, columns, _source(path)).reset_index(drop=True)
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected a table file. Received: {path}, which is not a file")
    kind = file_type(path)
    if kind == "parquet":
        return pick_columns(_read_parquet(path), columns, path)
    if kind in _NOT_TEXT:
        raise InputError(
            f"expected a TSV, CSV or parquet table. Received: {path}, {_NOT_TEXT[kind]}"
        )
    return _read_text(path, columns)


def _read_text(path: Path, columns: list[str] | None) -> pd.DataFrame:
    blocks = list(_text_blocks(path, None, columns))
    return blocks[0] if columns is None else blocks[0][columns]


def _text_blocks(
    path: Path, rows: int | None, columns: list[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Blocks of so many rows, or one of all; the lines are counted first."""
    with open_text(path, "table", newline="") as handle:
        lines = enumerate(handle, 1)
        number, header = next(((n, line) for n, line in lines if line.strip()), (1, ""))
        separator = _separator(header)
        names = _fields(header, separator, f"line {number} of {path}")
        _check_columns(columns, names, path)
        n_rows = _count_rows(lines, separator, len(names), path)
    n_read = 0
    with open_text(path, "table", newline="") as handle:
        for frame in _parse(handle, separator, path, rows):
            n_read += len(frame)
            yield frame.fillna("")
    if n_read != n_rows:
        raise InputError(
            f"expected a row in each of {n_rows} lines below the header. "
            f"Received: {n_read} rows in {path}"
        )


def _count_rows(
    lines: Iterable[tuple[int, str]], separator: str, n_columns: int, path: Path
) -> int:
    """Count lines that hold a row; refuse quotes that would join columns or lines."""
    blank = " \r\n" if separator == "\t" else " \t\r\n"
    n_rows = 0
    for number, line in lines:
        n_rows += bool(line.strip(blank))
        if '"' not in line:
            continue
        place = f"line {number} of {path}"
        fields = _fields(line, separator, place)
        if len(fields) < n_columns and any(separator in field for field in fields):
            _refuse_quotes(line, place)
    return n_rows


def _fields(line: str, separator: str, place: str) -> list[str]:
    """The fields of one line."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        _refuse_quotes(line, place)


def _refuse_quotes(line: str, place: str) -> NoReturn:
    raise InputError(
        f"{place}: expected quotes around whole fields, opened and closed in one line, or none; "
        f"remove the stray one. Received: {line.strip():.80}"
    )


def _parse(handle: TextIO, separator: str, path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    """Blocks of so many rows, or one of all."""
    try:
        with _no_loose_ends():
            reader = pd.read_csv(
                handle,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                iterator=True,
            )
        while True:
            with _no_loose_ends():
                frame = reader.read(rows)
            yield frame
            if rows is None:
                return
    except StopIteration:
        return
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"expected a whole table whose rows have the header's columns ({str(error).strip()}). "
            f"Received: {path}"
        ) from error


@contextmanager
def _no_loose_ends() -> Iterator[None]:
    """Make pandas' warnings of values that it leaves out errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield


def _separator(header: str) -> str:
    bare = "".join(header.split('"')[::2])
    counts = {separator: bare.count(separator) for separator in "\t;,"}
    return "\t" if counts["\t"] else max(counts, key=counts.__getitem__)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise InputError(
            "reading parquet needs pyarrow (pip install pyarrow); or save the table as TSV. "
            f"Received: {path}"
        ) from error
    except (ValueError, OSError) as error:
        raise InputError(f"expected a whole parquet file ({error}). Received: {path}") from error


def _parquet_blocks(
    path: Path, rows: int, columns: Sequence[str], maybe: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Blocks of these columns; a block of all of it where types need all rows.

    Of whole numbers with gaps pandas makes fractions, and of times it leaves out what no row needs.
    """
    try:
        from pyarrow import types
        from pyarrow.parquet import ParquetFile
    except ImportError:
        yield _read_parquet(path)
        return
    try:
        with ParquetFile(path) as file:
            present = file.schema_arrow.empty_table().to_pandas().columns
            wanted = [*columns, *(name for name in maybe if name in present)]
            kinds = [file.schema_arrow.field(name).type for name in wanted if name in present]
            text = [types.is_string(kind) or types.is_large_string(kind) for kind in kinds]
            if len(text) < len(wanted) or not all(text):  # a missing column is refused by name
                yield _read_parquet(path)
                return
            for batch in file.iter_batches(rows, columns=list(dict.fromkeys(wanted))):
                yield batch.to_pandas()
    except (ValueError, OSError) as error:
        raise InputError(f"expected a whole parquet file ({error}). Received: {path}") from error


def _parquet_columns(path: Path) -> list[str]:
    try:
        from pyarrow.parquet import read_schema

        return list(read_schema(path).names)
    except (ImportError, ValueError, OSError):
        return []


def _check_columns(
    columns: Sequence[str] | None, present: list[str], source: str | os.PathLike
) -> None:
    counts = Counter(present)
    wanted = tuple(columns or ())
    repeated = [column for column in wanted or filter(None, counts) if counts[column] > 1]
    if repeated:
        raise InputError(f"expected each column once in {source}. Received: {repeated} repeated")
    missing = [column for column in wanted if not counts[column]]
    if not missing:
        return
    lower = {column.casefold(): column for column in present if column not in wanted}
    close = difflib.get_close_matches(str(missing[0]).casefold(), lower, n=1, cutoff=0.5)
    hint = f" Closest to {missing[0]!r} is {lower[close[0]]!r}." if close else ""
    raise InputError(
        f"the columns {missing} are not in {source}.{hint} Received: the columns {present}"
    )
