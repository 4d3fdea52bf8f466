"""Where a trained model is kept, the seed it is made from, and what is recorded beside it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.locks import LOCK, alone
from degu_tf.utils.run_folder import RunFolder
from degu_tf.utils.whole_numbers import is_whole

if TYPE_CHECKING:
    from keras.callbacks import Callback

Callbacks: TypeAlias = "Sequence[Callback] | Callable[[Run], Sequence[Callback]]"
"""Keras callbacks, or a function that makes them for a run."""

_ATTEMPTS = 1
"""Branch of the seeds of attempts; those of members are on the root."""


@dataclass(frozen=True)
class Run:
    """The circumstances of a training, as opposed to what is trained and how.

    Attributes
    ----------
    folder
        Where to keep the run; None keeps it in memory alone. A folder that holds the same run
        finished is loaded, the same run unfinished resumes at the epoch it had reached, another run
        is refused.
    seed
        Decides initial weights, the order of the data, dropout and augmentation.
    provenance
        More plain values that say what made the run: part of its identity, in `settings.json`.
    notes
        Plain values for the manifest, such as where files lay: not part of the identity.
    progress
        Show bars; None where standard error is a terminal, and elsewhere a line an epoch.
    member
        Place of the model in its ensemble, which chooses its weights where `ModelSpec.init` is an
        ensemble's run.
    name
        What is trained, in reports: ``"member 3"``.
    log
        File to which a line of JSON is added for each epoch.
    callbacks
        Keras callbacks that watch each training, such as TensorBoard's. Members train one after
        another with the same ones; a function of the member's `Run` makes new ones for each. They
        are no part of the identity: one that changes the training makes a run that its settings do
        not describe. A training that resumes calls them from the first epoch that is left on; what
        they counted before is not kept.
    devices
        How many devices of this machine train each model, each on its part of every batch
        (`degu_tf.training.parallel`). Weights agree with those of one device to rounding, dropout
        aside, so it is no part of the identity; the manifest notes it.
    retries
        Attempts from derived seeds (`of_attempt`) after a training that diverged, ran out of memory
        or did not learn (`degu_tf.distillation.failures.attempts`).

    Raises
    ------
    InputError
        If seed, devices or retries are out of range or no whole numbers, or what is given are no
        callbacks.

    Examples
    --------
    >>> run = Run("runs/teachers", seed=7)
    >>> run.of_member(3).folder.as_posix()
    'runs/teachers/member_03'
    """

    folder: Path | None = None
    seed: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    progress: bool | None = None
    member: int = 0
    name: str = "model"
    log: Path | None = None
    callbacks: Callbacks = ()
    devices: int = 1
    retries: int = 0

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        seed: int = 0,
        provenance: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        progress: bool | None = None,
        member: int = 0,
        name: str = "model",
        log: str | os.PathLike | None = None,
        callbacks: Callbacks = (),
        devices: int = 1,
        retries: int = 0,
    ) -> None:
        for what, number, least in (
            ("seed", seed, 0),
            ("devices", devices, 1),
            ("retries", retries, 0),
        ):
            if not is_whole(number, least):
                raise InputError(
                    f"{what} must be a whole number from {least}. Received: {what}={number!r}"
                )
        for attribute, value in (
            ("folder", None if folder is None else Path(folder)),
            ("seed", int(seed)),
            ("provenance", dict(provenance or {})),
            ("notes", dict(notes or {})),
            ("progress", progress),
            ("member", member),
            ("name", name),
            ("log", None if log is None else Path(log)),
            ("callbacks", callbacks if callable(callbacks) else _checked(callbacks)),
            ("devices", int(devices)),
            ("retries", int(retries)),
        ):
            object.__setattr__(self, attribute, value)

    @contextmanager
    def alone(self, complete: Callable[[RunFolder], bool] | None = None) -> Iterator[None]:
        """Lock the folder, if there is one and the run in it is not complete.

        Another process that trains in it is waited for, and named on standard error. A lock that
        one left which was killed once the run was finished is taken, and so removed.

        Parameters
        ----------
        complete
            Whether nothing is left to do in a folder; whether the run is finished by default.
        """
        if self.folder is None:
            yield
            return
        left = (self.folder / LOCK).exists()
        folder = RunFolder(self.folder)
        if not left and (folder.finished if complete is None else complete(folder)):
            yield
            return
        with alone(self.folder, progress=self.progress):
            yield

    def of_member(self, member: int) -> "Run":
        """The run of one member of an ensemble: its own folder, and a seed of its own."""
        return replace(
            self,
            folder=None if self.folder is None else member_folder(self.folder, member),
            seed=member_seed(self.seed, member),
            notes={},
            member=member,
            name=f"member {member}",
        )

    def of_attempt(self, attempt: int) -> "Run":
        """The run of one attempt, counted from 0: the later ones have seeds derived from the first.

        Their settings say so, so that they are no run of that seed.

        Examples
        --------
        >>> again = Run(seed=7, retries=1).of_attempt(1)
        >>> again.seed == attempt_seed(7, 1), again.provenance
        (True, {'attempt': 1, 'first_seed': 7})
        """
        if attempt == 0:
            return replace(self, retries=0)
        return replace(
            self,
            seed=attempt_seed(self.seed, attempt),
            provenance={**self.provenance, "attempt": attempt, "first_seed": self.seed},
            name=f"{self.name}, attempt {attempt + 1}",
            retries=0,
        )

    def absolute(self) -> "Run":
        """The same run by paths that mean the same in every process that sees the files."""
        return replace(
            self,
            folder=None if self.folder is None else self.folder.absolute(),
            log=None if self.log is None else self.log.absolute(),
        )

    def keras_callbacks(self) -> "list[Callback]":
        """The callbacks of one model's training.

        Examples
        --------
        >>> from keras.callbacks import CSVLogger
        >>> run = Run("runs/x", callbacks=lambda run: [CSVLogger(f"{run.folder}.csv")])
        >>> run.of_member(3).keras_callbacks()[0].filename
        'runs/x/member_03.csv'
        """
        return _checked(self.callbacks(self)) if callable(self.callbacks) else list(self.callbacks)

    def recording(self, provenance: Mapping[str, Any], notes: Mapping[str, Any]) -> "Run":
        """The same run with more provenance and notes; those it has already take precedence."""
        return replace(
            self,
            provenance={**provenance, **self.provenance},
            notes={**notes, **self.notes},
        )


def _checked(callbacks: Any) -> "list[Callback]":
    found = list(callbacks) if isinstance(callbacks, Sequence) else [callbacks]
    if not found:
        return []
    from keras.callbacks import Callback

    for each in found:
        if not isinstance(each, Callback):
            raise InputError(
                "callbacks must be a list of Keras callbacks, or a function of the run that makes "
                f"one. Received: {callbacks!r}"
            )
    return found


def member_seed(seed: int, member: int) -> int:
    """The seed of a member: the same whatever the ensemble's size.

    Raises
    ------
    InputError
        If the ensemble's seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed must not be negative. Received: seed={seed}")
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0] & 0x7FFFFFFF)


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of a later attempt, counted from 1: unrelated to those of members.

    Examples
    --------
    >>> attempt_seed(7, 1) not in (7, member_seed(7, 1), attempt_seed(7, 2), attempt_seed(8, 1))
    True
    """
    drawn = np.random.SeedSequence([seed, attempt], spawn_key=(_ATTEMPTS,)).generate_state(1)[0]
    return int(drawn & 0x7FFFFFFF)


def member_folder(folder: str | os.PathLike, member: int) -> Path:
    """Where a member of an ensemble's run is kept."""
    return Path(folder) / f"member_{member:02d}"
