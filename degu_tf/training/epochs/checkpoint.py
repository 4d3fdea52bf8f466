"""The state of a training where an epoch ended, from which it resumes as if it had never stopped.

Kept are weights and moving averages, the states of random generators, the optimiser, the counters
and best weights of early stopping and of the plateau rule, and the history: Keras'
`BackupAndRestore` leaves the last three out, and so ends with other weights. The data's order and
augmentations are drawn by epoch and step, so the epoch's number is their whole position.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from degu_tf.training.epochs.reports import EpochBar
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import UNFINISHED, atomic_write, content_hash
from degu_tf.utils.run_folder import STATES

INTERVAL = 50
"""A state is written when this many times its writing's duration have passed: 2 % of the time."""

_FIRST_WRITE = 0.05
"""Seconds a first write is assumed to take."""

_FORMAT = 1

_KEPT: Mapping[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    EpochBar: ("seconds",),
}
"""Attributes in which callbacks count."""

_DAMAGED = "expected the training state as it was written; remove the file to train from the start"
_ERRORS = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, BadZipFile)
"""What a damaged file raises, by the place of the damage."""


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a training is kept, and of which training it is.

    Attributes
    ----------
    folder
        The run's folder.
    identity
        Plain values that make the training what it is; a state of others is refused.
    stage
        1, or 2 for a stage of fine-tuning, which has a file of its own.

    Examples
    --------
    >>> Checkpoint(Path("runs/x"), {"seed": 1}).path.as_posix()
    'runs/x/training_state.npz'
    """

    folder: Path
    identity: Mapping[str, Any]
    stage: int = 1

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / STATES[self.stage - 1]

    def write(self, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a state, whole or not at all, in place of the one before."""
        record = {**record, "format": _FORMAT, "made_of": self._hash()}
        with atomic_write(self.path) as temporary:
            np.savez(temporary, record=np.array(json.dumps(record, default=_plain)), **arrays)  # type: ignore[arg-type]

    def read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The record and arrays of the state, if there is one; nothing in the file is executed.

        Raises
        ------
        InputError
            If the file is damaged, or the state of another training.
        """
        if not self.path.is_file():
            return None
        try:
            with open(self.path, "rb") as whole, np.load(whole, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            record = json.loads(arrays.pop("record").item())
            made_of, version = record["made_of"], record["format"]
        except _ERRORS as error:
            raise InputError(f"{_DAMAGED} ({error}). Received: {self.path}") from error
        if made_of != self._hash() or version != _FORMAT:
            raise InputError(
                "expected the state of this training; remove the file to train from the start. "
                f"Received: {self.path}, the state of another one"
            )
        return record, arrays

    def _hash(self) -> str:
        return content_hash([json.loads(json.dumps(self.identity)), self.stage])


def remove_states(folder: Path) -> None:
    """Remove the states of a training that is finished, and what was left of writing them."""
    for name in STATES:
        for file in (folder / name, *folder.glob(f"{UNFINISHED}*-{name}")):
            file.unlink(missing_ok=True)


class TrainingState(keras.callbacks.Callback):
    """Takes the state where epochs end, and brings it back; the last of a training's callbacks.

    Parameters
    ----------
    checkpoint
        Where the state is kept; None keeps the history alone, in memory.
    callbacks
        Those that count: their counters are part of the state.
    epochs
        Number of epochs of the whole training.

    Attributes
    ----------
    rows
        What each epoch logged.
    first_epoch
        Number of the first epoch that is left to train, from 0; that of all epochs if none is.

    Raises
    ------
    InputError
        If the file is damaged, or the state of another training.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        callbacks: Sequence[keras.callbacks.Callback],
        epochs: int,
    ) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.first_epoch = 0
        self._checkpoint = checkpoint
        self._counting = callbacks
        self._arrays: dict[str, np.ndarray] = {}
        self._counts: dict[str, Any] = {}
        self._cost = _FIRST_WRITE
        found = None if checkpoint is None else checkpoint.read()
        if found is not None:
            record, self._arrays = found
            self.rows, self._counts = record["rows"], record["counts"]
            self.first_epoch = epochs if record["stopped"] else len(self.rows)

    def restore(self, model: keras.Model) -> None:
        """Set the variables of a compiled model and its built optimiser, if there is a state.

        Raises
        ------
        InputError
            If the state's arrays are not those of the model.
        """
        if not self._arrays:
            return
        variables = dict(_variables(model))
        stored = {name: value for name, value in self._arrays.items() if _is_variable(name)}
        if {name: each.shape for name, each in stored.items()} != {
            name: tuple(each.shape) for name, each in variables.items()
        }:
            path = None if self._checkpoint is None else self._checkpoint.path
            raise InputError(f"{_DAMAGED} (arrays of another model). Received: {path}")
        for name, variable in variables.items():
            variable.assign(_as(variable.dtype, stored[name]))

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Bring the counters back, which the callbacks before this one have just reset."""
        self._written = time.perf_counter()
        if not self._counts:
            return
        for callback, names in _kept(self._counting):
            counts = self._counts[type(callback).__name__]
            for name in names:
                setattr(callback, name, counts[name])
            if isinstance(callback, keras.callbacks.EarlyStopping):
                callback.best_weights = self._best_weights()
        self._arrays, self._counts = {}, {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note what was logged, and write the state where that takes little of the time."""
        self.rows.append(dict(logs or {}))
        begun = time.perf_counter()
        if self._checkpoint is None or begun - self._written < INTERVAL * self._cost:
            return
        self._checkpoint.write(*self._taken())
        self._written = time.perf_counter()
        self._cost = self._written - begun

    def _taken(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        arrays = {name: np.asarray(each) for name, each in _variables(self.model)}
        counts: dict[str, Any] = {}
        for callback, names in _kept(self._counting):
            counts[type(callback).__name__] = {name: getattr(callback, name) for name in names}
            if isinstance(callback, keras.callbacks.EarlyStopping):
                for number, weights in enumerate(callback.best_weights or ()):
                    arrays[f"best_{number:05d}"] = np.asarray(weights)
        stopped = bool(self.model.stop_training)
        return {"rows": self.rows, "counts": counts, "stopped": stopped}, arrays

    def _best_weights(self) -> list[np.ndarray] | None:
        names = sorted(name for name in self._arrays if not _is_variable(name))
        if not names:
            return None
        held = zip(self.model.weights, names, strict=True)
        return [_as(each.dtype, self._arrays[name]) for each, name in held]


def _variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """The variables of a model and of its optimiser, states of random generators among them."""
    for kind, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        for number, variable in enumerate(variables):
            yield f"{kind}_{number:05d}", variable


def _plain(value: Any) -> Any:
    """A value that callbacks of the user's logged, for JSON: a number of numpy's, or its text."""
    return value.item() if hasattr(value, "item") else str(value)


def _is_variable(name: str) -> bool:
    return not name.startswith("best_")


def _kept(callbacks: Sequence[keras.callbacks.Callback]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    return ((each, _KEPT[type(each)]) for each in callbacks if type(each) in _KEPT)


def _as(dtype: str, array: np.ndarray) -> np.ndarray:
    """An array with its own type, where the file format knows only how many bytes that has."""
    return array.view(keras.backend.standardize_dtype(dtype)) if array.dtype.kind == "V" else array
