"""The record of a finished script: what its results cost, and which versions made them.

It lies apart from the results, for it differs from run to run where they do not.
"""

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import degu_tf
from degu_tf.utils.files import read_json, write_json

RECORD = "record.json"
"""File of the record; it is written last, so that a folder with one is finished."""

_PACKAGES = ("tensorflow", "keras", "numpy")
_MANIFEST = "manifest.json"
_FOLDER = "processor_seconds"


def processor_seconds() -> float:
    """Processor time of this process so far, and of those it started that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Ledger:
    """Processor seconds of the models of a store, kept beside them.

    Parameters
    ----------
    root
        Folder of the store.
    timed
        Whether models are trained in this process; what worker processes take is known of all of
        them together, once they have ended, and of no single model.

    Attributes
    ----------
    trained
        Names of models that were trained, wholly or in part, since the ledger was opened.
    reused
        Names of models that were there already.
    """

    def __init__(self, root: Path, *, timed: bool = True) -> None:
        self._root, self._timed = root, timed
        self._before: dict[str, float | None] = {}
        self.trained: set[str] = set()
        self.reused: set[str] = set()

    @contextmanager
    def entry(self, folder: Path) -> Iterator[None]:
        """Note what a model, or an ensemble, costs in the block that opens or trains it."""
        file = self._root / _FOLDER / f"{folder.name}.json"
        known = read_json(file)["seconds"] if file.is_file() else None
        finished, started = _finished(folder), processor_seconds()
        self._before.setdefault(folder.name, known if finished else 0.0)
        yield
        if _finished(folder) == finished:
            self.reused.add(folder.name)
            return
        self.trained.add(folder.name)
        if not self._timed:
            file.unlink(missing_ok=True)
        elif known is not None or not finished:
            write_json(file, {"seconds": (known or 0.0) + (processor_seconds() - started)})

    @property
    def reused_seconds(self) -> float:
        """What models cost that had been trained before the ledger was opened, as far as known."""
        return sum(seconds or 0.0 for seconds in self._before.values())

    @property
    def unknown(self) -> int:
        """Number of models that had been trained before and have no record of their cost."""
        return sum(seconds is None for seconds in self._before.values())


def _finished(folder: Path) -> int:
    """Number of finished runs in a folder: an ensemble's members, and the ensemble."""
    return len(list(folder.rglob(_MANIFEST)))


def write_record(out: Path, identity: dict[str, Any], ledger: Ledger, seconds: float) -> None:
    """Write the record of a script that has just finished.

    Parameters
    ----------
    out
        Output folder.
    identity
        What was asked for: names of the script, preset, data, and the seed.
    ledger
        That of the store it used.
    seconds
        Processor seconds of this process.
    """
    write_json(
        out / RECORD,
        {
            **identity,
            "processor_minutes": round(seconds / 60, 2),
            "models_trained": len(ledger.trained),
            "models_reused": len(ledger.reused - ledger.trained),
            "processor_minutes_of_reused": round(ledger.reused_seconds / 60, 2),
            "models_of_unknown_cost": ledger.unknown,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "versions": {
                "python": ".".join(map(str, sys.version_info[:3])),
                "degu_tf": degu_tf.__version__,
                **{name: metadata.version(name) for name in _PACKAGES},
            },
        },
    )


def commit() -> str:
    """The git commit of the checkout that the package is run from; its version elsewhere.

    ``-dirty`` ends it where tracked files differ from the commit.

    Examples
    --------
    >>> bool(commit())
    True
    """
    checkout = Path(degu_tf.__file__).parents[1]
    version = f"degu_tf {degu_tf.__version__}"
    if not (checkout / ".git").exists():
        return version
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=10", "--dirty",
               "--exclude=*"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return version
    return done.stdout.strip()
