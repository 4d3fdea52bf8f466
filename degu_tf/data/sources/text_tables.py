"""Read any text table or parquet file as it is written, with its faults named."""

import csv
import difflib
import gzip
import os
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from degu_tf.utils.errors import InputError

_NOT_TEXT = {
    b"PK\x03\x04": "an Excel or zip file; save the sheet as TSV or CSV",
    b"\x89HDF": "an HDF5 file; it needs no preparing",
    b"BZh": "a bzip2 file; decompress it",
    b"\xfd7zX": "an xz file; decompress it",
}
_UNREADABLE = (ValueError, EOFError, OSError, zlib.error, csv.Error, pd.errors.ParserWarning)


def read_frame(
    path: str | os.PathLike | pd.DataFrame, columns: Iterable[str] | None = None
) -> pd.DataFrame:
    r"""Read a table, recognised by its content, as it is written: text columns stay text.

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
    with open(path, "rb") as handle:
        start = handle.read(4)
    if start == b"PAR1":
        return pick_columns(_read_parquet(path), columns, path)
    for magic, kind in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputError(f"expected a TSV, CSV or parquet table. Received: {path}, {kind}")
    return _read_text(path, columns, gzipped=start.startswith(b"\x1f\x8b"))


def _read_text(path: Path, columns: list[str] | None, gzipped: bool) -> pd.DataFrame:
    options = {"encoding": "utf-8-sig", "newline": ""}
    try:
        with gzip.open(path, "rt", **options) if gzipped else open(path, **options) as handle:
            line = next((line for line in handle if line.strip()), "")
            separator = _separator(line)
            header = next(csv.reader([line], delimiter=separator), [])
            _check_columns(columns, header, path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                compression="gzip" if gzipped else None,
            )
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"expected a whole table whose rows have the header's columns ({str(error).strip()}). "
            f"Received: {path}"
        ) from error
    return (frame if columns is None else frame[columns]).fillna("")


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


def _check_columns(
    columns: Sequence[str] | None, present: list[str], source: str | os.PathLike
) -> None:
    counts = Counter(present)
    repeated = [column for column in columns or filter(None, counts) if counts[column] > 1]
    if repeated:
        raise InputError(f"expected each column once in {source}. Received: {repeated} repeated")
    missing = [column for column in columns or () if not counts[column]]
    if not missing:
        return
    lower = {column.casefold(): column for column in present if column not in columns}
    close = difflib.get_close_matches(str(missing[0]).casefold(), lower, n=1, cutoff=0.5)
    hint = f" Closest to {missing[0]!r} is {lower[close[0]]!r}." if close else ""
    raise InputError(
        f"the columns {missing} are not in {source}.{hint} Received: the columns {present}"
    )
