"""Checksums beside intermediate files, so that a resumed command trusts only what is intact."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from degu_tf.utils.files import content_hash, file_hash, write_json

SUFFIX = ".sum"
"""What the name of a checksum adds to that of its file."""


def write_checksum(path: str | os.PathLike, notes: Mapping[str, Any] | None = None) -> None:
    """Write the checksum of a finished file beside it, with notes that it covers too.

    Parameters
    ----------
    path
        The file.
    notes
        Plain values for JSON, such as what the file holds.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "part.tsv"
    >>> _ = path.write_text("a")
    >>> write_checksum(path, {"rows": 1})
    >>> read_checksum(path)
    {'rows': 1}
    >>> _ = path.write_text("b")
    >>> print(read_checksum(path))
    None
    """
    notes = dict(notes or {})
    write_json(checksum_file(path), {"notes": notes, "sha256": _sum(path, notes)})


def read_checksum(path: str | os.PathLike) -> dict[str, Any] | None:
    """Read the notes of a file that is intact; None where it is missing or differs in any byte."""
    try:
        held = json.loads(checksum_file(path).read_text())
        notes = held["notes"]
        intact = isinstance(notes, dict) and held["sha256"] == _sum(path, notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return notes if intact else None


def checksum_file(path: str | os.PathLike) -> Path:
    """Path of a file's checksum."""
    return Path(f"{os.fspath(path)}{SUFFIX}")


def _sum(path: str | os.PathLike, notes: Mapping[str, Any]) -> str:
    return content_hash([file_hash(path), notes])
