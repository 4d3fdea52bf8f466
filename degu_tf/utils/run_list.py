"""The runs below a folder, as far as their small files tell; no model and no data are opened."""

import csv
import datetime
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import read_json
from degu_tf.utils.run_folder import CALIBRATION, KINDS, MANIFEST, METRICS, SETTINGS, RunFolder


@dataclass(frozen=True)
class ListedRun:
    """One run, in words.

    Attributes
    ----------
    path
        Its folder.
    kind
        ``"ensemble"``, ``"student"`` or ``"model"``.
    data
        Its data file where the run recorded one, else the beginning of the data's fingerprint.
    n_train
        Training sequences.
    model
        Architecture and options.
    pearson
        Pearson's r of each target's activity, of a finished run, on its test set or what stood in.
    age
        Seconds since it was finished, or begun.
    size
        Bytes of its files.
    state
        ``"finished"``, ``"calibrated"``, what an unfinished one has so far, or what is damaged.
    """

    path: Path
    kind: str
    data: str
    n_train: int | None
    model: str
    age: float
    size: int
    state: str
    pearson: dict[str, float] = field(default_factory=dict)


def list_runs(folder: str | os.PathLike) -> list[ListedRun]:
    """The runs in a folder and in those below it, by path; members belong to their ensemble.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not Path(folder).is_dir():
        raise InputError(f"expected a folder. Received: {folder}")
    return sorted(_below(Path(folder)), key=lambda run: run.path)


def _below(folder: Path) -> Iterator[ListedRun]:
    for place, folders, files in os.walk(folder):
        if SETTINGS not in files:
            continue
        run = _listed(Path(place))
        if run is not None:
            folders.clear()
            yield run


def _listed(path: Path) -> ListedRun | None:
    """The run in a folder; None for settings of something else, such as a figure."""
    try:
        settings = read_json(path / SETTINGS)
    except (InputError, OSError):
        return None
    if not isinstance(settings, dict) or settings.get("kind") not in KINDS:
        return None
    described, data = settings.get("model") or {}, settings.get("data") or {}
    state, manifest = _state(path)
    return ListedRun(
        path=path,
        kind=settings["kind"],
        data=_data(path, manifest, data),
        n_train=data.get("n_train"),
        model=_model(described),
        age=time.time() - _time(path, manifest),
        size=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        state=state,
        pearson=_pearson(path / METRICS) if manifest else {},
    )


def _state(path: Path) -> tuple[str, dict[str, Any]]:
    """How far a run is, and the manifest of a finished one."""
    run = RunFolder(path)
    if not run.finished:
        members = len(list(path.glob(f"member_*/{MANIFEST}")))
        return f"unfinished, {members} members so far" if members else "unfinished", {}
    try:
        run.settings()
        manifest = run.manifest()
    except InputError as error:
        return f"damaged: {str(error).split(';')[0].split('. ')[0]}", {}
    state = "calibrated" if (path / CALIBRATION).is_file() else "finished"
    if "n_members" in manifest:
        missing = f", {len(manifest['failed'])} missing" if manifest.get("failed") else ""
        state = f"{state}, {manifest['n_members']} members{missing}"
    return state, manifest


def _data(path: Path, manifest: dict[str, Any], data: dict[str, Any]) -> str:
    file = manifest.get("data_file")
    if isinstance(file, str):
        return os.path.relpath(os.path.normpath(path.resolve() / file))
    return str(data.get("fingerprint", ""))[:8]


def _model(described: dict[str, Any]) -> str:
    options = [f"{name}={value}" for name, value in (described.get("options") or {}).items()]
    return " ".join([str(described.get("name", "")), *options])


def _time(path: Path, manifest: dict[str, Any]) -> float:
    try:
        return datetime.datetime.fromisoformat(manifest["created"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return (path / SETTINGS).stat().st_mtime


def _pearson(path: Path) -> dict[str, float]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["metric"] == "pearson"]
        return {row["target"]: float(row["value"]) for row in rows if row["head"] == "activity"}
    except (OSError, KeyError, ValueError):
        return {}
