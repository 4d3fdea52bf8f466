"""The folder of a run: settings first, results next, a manifest last.

`settings.json` says what made the run and is written before training; `manifest.json` lists the
finished files with their hashes and is written when all is done. A folder without a manifest is
unfinished, a folder with other settings belongs to another run, and neither is ever overwritten.
"""

import datetime
import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import (
    UNFINISHED,
    file_hash,
    read_json,
    write_json,
)
from degu_tf.utils.processes.locks import LOCK

SETTINGS = "settings.json"
MANIFEST = "manifest.json"
MODEL = "model.keras"
HISTORY = "history.csv"
METRICS = "metrics.csv"
FAILED_ATTEMPTS = "failed_attempts.json"
"""Attempts to train the run that failed, with their seeds; only where there were any."""

CALIBRATION = "conformal.npz"
"""A calibration, which may come and go after the run was finished."""

BASELINE = "kmer_ridge.json"
"""A baseline that was fitted to the run's training sequences, likewise."""
POOLS = "pools"
"""Folder of the label pools of an ensemble, which come and go like a calibration."""

STATES = ("training_state.npz", "training_state_2.npz")
"""States from which the stages of an unfinished training resume; gone once it is finished."""

_APART = (MANIFEST, CALIBRATION, BASELINE, *STATES)

FORMAT = 1
KINDS = ("model", "student", "ensemble")

_PACKAGES = ("degu_tf", "tensorflow", "keras", "numpy")


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path
        The folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.path / MANIFEST).is_file()

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Claim the folder for a run of these settings, or resume one that was begun with them.

        Raises
        ------
        InputError
            If the folder holds a run of other settings (the differing ones are named), or files
            that are no run.
        """
        settings = json.loads(json.dumps(settings))
        if (self.path / SETTINGS).is_file():
            self._compare(settings)
            return
        if self.path.is_dir() and any(map(_foreign, self.path.iterdir())):
            raise InputError(
                "the output folder holds files that do not belong to a run; name a new or empty "
                "folder. "
                f"Received: {self.path}"
            )
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"the output folder is a file. Received: {self.path}")
        write_json(self.path / SETTINGS, settings)

    def _compare(self, settings: Mapping[str, Any]) -> None:
        held, requested = _flat(self.settings()), _flat(settings)
        differing = sorted(
            (
                name
                for name in held.keys() | requested.keys()
                if held.get(name) != requested.get(name)
            ),
            key=lambda name: (name != "kind", name.endswith("fingerprint"), name),
        )
        if "model.source" in differing and held.get("model.name") == requested.get("model.name"):
            raise InputError(
                f"the source of {held['model.name']}, which builds the model, has changed since "
                "the run was begun; restore it, or name another folder for the changed one. "
                f"Received: {self.path}"
            )
        if differing:
            first = ", ".join(
                f"{name}: holds {_brief(held.get(name))}, requested {_brief(requested.get(name))}"
                for name in differing[:4]
            )
            raise InputError(
                "the output folder already holds another run; name another folder or remove it. "
                f"Received: {self.path} ({first})"
            )

    def finish(self, **extra: Any) -> None:
        """Write the manifest: every file of the run with its hash, versions, and `extra`."""
        files = sorted(
            file
            for file in self.path.rglob("*")
            if file.is_file()
            and _whole(file)
            and file.name not in _APART
            and file.relative_to(self.path).parts[0] != POOLS
        )
        write_json(
            self.path / MANIFEST,
            {
                "format": FORMAT,
                **extra,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "versions": {name: _version(name) for name in _PACKAGES},
                "files": {str(file.relative_to(self.path)): file_hash(file) for file in files},
            },
        )

    def settings(self) -> dict[str, Any]:
        """What made the run; of a finished run held against the manifest.

        Raises
        ------
        InputError
            If the folder holds no run, or a finished run's settings were changed since: they say
            which column is which, so numbers would change in silence.
        """
        if not (self.path / SETTINGS).is_file():
            raise InputError(f"expected the folder of a run. Received: {self.path}")
        if self.finished:
            self.check_file(SETTINGS)
        return self._object(SETTINGS)

    @property
    def kind(self) -> str:
        """What the run trained: one of `KINDS`.

        Raises
        ------
        InputError
            If the folder holds no run, or another program's settings.
        """
        kind = self.settings().get("kind")
        if kind not in KINDS:
            raise InputError(
                f"expected the folder of a run, one of {KINDS}. Received: {self.path}, whose "
                f"{SETTINGS} is of another kind ({kind!r})"
            )
        return kind

    def _object(self, name: str) -> dict[str, Any]:
        content = read_json(self.path / name)
        if not isinstance(content, dict):
            raise InputError(f"expected the settings of a run. Received: {self.path / name}")
        return content

    def manifest(self) -> dict[str, Any]:
        """The finished run's manifest.

        Raises
        ------
        InputError
            If there is no run in the folder, or it is unfinished.
        """
        if not (self.path / SETTINGS).is_file():
            raise InputError(f"expected the folder of a run. Received: {self.path}")
        if not self.finished:
            raise InputError(
                "the run is unfinished; run the command that began it again to resume. "
                f"Received: {self.path}"
            )
        manifest = self._object(MANIFEST)
        if not isinstance(manifest.get("files"), dict):
            raise InputError(
                f"expected the manifest of a run, with its files. Received: {self.path / MANIFEST}"
            )
        return manifest

    def check_file(self, name: str) -> Path:
        """Path of a file of the run, after its bytes were held against the manifest.

        Raises
        ------
        InputError
            If the file is gone or its bytes have changed.
        """
        path, expected = self.path / name, self.manifest()["files"].get(name)
        if expected is None or not path.is_file():
            raise InputError(f"the run has no file {name}. Received: {self.path}")
        if file_hash(path) != expected:
            raise InputError(
                "the file differs from what the run wrote; restore the original, or train again. "
                f"Received: {path}"
            )
        return path


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:12]}...{text[-5:]}"


def _whole(file: Path) -> bool:
    return not file.name.startswith((UNFINISHED, LOCK))


def _foreign(file: Path) -> bool:
    """Whether a file says that a folder without settings is not that of a run."""
    return _whole(file) and file.name != FAILED_ATTEMPTS


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, Mapping):
        return {prefix: content}
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat
