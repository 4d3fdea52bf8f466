"""The DeepSTARR tables of enhancer activity in fly cells, in the split they were published in."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from degu_tf.data.measured import MissingTargets
from degu_tf.data.sources.table import read_table
from degu_tf.data.sources.text_tables import pick_columns, read_frame
from degu_tf.data.splits import Splits
from degu_tf.sequences.fasta import read_fasta
from degu_tf.utils.errors import InputError

TARGETS = {"Dev": "Dev_log2_enrichment", "Hk": "Hk_log2_enrichment"}
"""Activity with a developmental and a housekeeping promoter, log2 enrichment."""

_SETS = ("Train", "Val", "Test")


def read_starrseq(
    path: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    drop_missing: bool = False,
    missing_targets: MissingTargets = "refuse",
) -> Splits:
    r"""Read the STARR-seq data of de Almeida et al. 2022 (heads Dev and Hk, 249 bp, N allowed).

    Parameters
    ----------
    path
        One of:

        - a tab-separated table with the columns `ID`, `set` (Train, Val, Test), `Sequence`,
          `Dev_log2_enrichment` and `Hk_log2_enrichment`, others being ignored, gzipped or not;
        - several such tables, together holding all sets;
        - a folder with `Sequences_activity_{Train,Val,Test}.txt`, or their paths.

        A table without `set` is of the set that its file name ends in. A table without `Sequence`
        takes the sequences of the FASTA file beside it, named without `activity_`
        (`Sequences_Train.fa`, gzipped or not), whose records are in the rows' order.
    drop_missing
        Drop rows without a value of either target, and say so in a `TableWarning`; with
        ``missing_targets="keep"``, those without any value.
    missing_targets
        ``"keep"`` keeps rows that have a value of one target.

    Returns
    -------
    Splits
        The published split. Duplicates and reverse complements that it divides are counted in a
        `degu_tf.data.sources.table.TableWarning`.

    Raises
    ------
    InputError
        As `degu_tf.data.sources.table.read_table` does; if a set cannot be told or a FASTA file
        does not match its table.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "all.txt"
    >>> rows = [("Train", "ACCA"), ("Val", "GGGA"), ("Test", "TNAC")]
    >>> header = ["set", "Sequence", *TARGETS.values()]
    >>> lines = [header, *([*row, "1.5", "-0.25"] for row in rows)]
    >>> _ = path.write_text("\n".join("\t".join(line) for line in lines))
    >>> read_starrseq(path).test.targets.tolist()
    [[1.5, -0.25]]
    """
    tables = [_read_part(part) for part in _parts(path)]
    if not tables:
        raise InputError(f"expected the path of at least one table. Received: {path!r}")
    frame = pd.concat(tables, ignore_index=True)
    name = "ID" if all("ID" in table for table in tables) else None
    return read_table(
        frame,
        "Sequence",
        targets=TARGETS,
        split="set",
        name=name,
        drop_missing=drop_missing,
        missing_targets=missing_targets,
    )


def _parts(path: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Path]:
    if not isinstance(path, str | os.PathLike):
        return [Path(part) for part in path]
    path = Path(path)
    if not path.is_dir():
        return [path]
    return [_existing(path / f"Sequences_activity_{kind}.txt") for kind in _SETS]


def _existing(path: Path) -> Path:
    """Give the file of this path or its gzipped form."""
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    raise InputError(f"expected the file {path} or {path.name}.gz. Received: neither exists")


def _read_part(path: Path) -> pd.DataFrame:
    frame = read_frame(path)
    if "set" not in frame:
        frame["set"] = _set_of(path)
    if "Sequence" not in frame:
        _add_sequences(frame, path)
    identity = [column for column in ("ID",) if column in frame]
    return pick_columns(frame, ["set", "Sequence", *TARGETS.values(), *identity], path)


def _set_of(path: Path) -> str:
    found = re.search(r"_(Train|Val|Test)(?=\.|$)", path.name, re.IGNORECASE)
    if not found:
        raise InputError(
            "expected a column 'set' with Train, Val and Test, or a file name that ends in "
            f"_Train, _Val or _Test. Received: {path}"
        )
    return found[1]


def _add_sequences(frame: pd.DataFrame, path: Path) -> None:
    if "activity_" not in path.name:
        raise InputError(
            "expected a column 'Sequence', or a file name such as Sequences_activity_Train.txt "
            f"with Sequences_Train.fa beside it. Received: {path} with the columns "
            f"{list(frame.columns)}"
        )
    stem = path.name.replace("activity_", "").removesuffix(".gz")
    fasta = _existing(path.with_name(stem).with_suffix(".fa"))
    names, sequences = read_fasta(fasta)
    if len(names) != len(frame):
        raise InputError(
            f"expected one record in {fasta} for each of the {len(frame)} rows of {path}. "
            f"Received: {len(names)} records"
        )
    if "ID" in frame:
        for row, (identity, record) in enumerate(zip(frame["ID"], names, strict=True), 1):
            if identity != record:
                raise InputError(
                    f"expected the records of {fasta} in the order of the rows of {path}. "
                    f"Received: record {record!r} for row {row} ({identity})"
                )
    frame["Sequence"], frame["ID"] = sequences, names
