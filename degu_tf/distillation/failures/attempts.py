"""Trainings that fail: why, from which seed, and the attempts from derived seeds that follow.

A seed that diverged, or whose model did not learn, does so again: it is recorded in the run's
folder and not tried again. Lack of memory is no fault of the seed: the same one is tried again, as
often as there are retries, and anew when the run goes on.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from degu_tf.data.hdf5.stored_splits import evaluated
from degu_tf.data.splits import Split
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.run import Run
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import read_json, write_json
from degu_tf.utils.processes.locks import LOCK
from degu_tf.utils.progress import line
from degu_tf.utils.run_folder import FAILED_ATTEMPTS, MANIFEST, SETTINGS, RunFolder

Reason: TypeAlias = Literal["diverged", "did not learn", "out of memory"]

UNLEARNED: Reason = "did not learn"

OF_THE_SEED = ("diverged", UNLEARNED)
"""Reasons for which the same seed fails again."""

LEAST_EXPLAINED = 1e-3
"""Share of a target's variance that a model explains which learnt: a correlation of 0.03."""

_FAILURES = (FloatingPointError, MemoryError, tf.errors.ResourceExhaustedError)


@dataclass(frozen=True)
class FailedAttempt:
    """One training that failed.

    Attributes
    ----------
    seed
        What it was made from.
    reason
        Why, in two or three words.
    message
        What the training said.
    """

    seed: int
    reason: Reason
    message: str = ""


class FailedTraining(InputError):
    """A model that no attempt could train.

    Parameters
    ----------
    name
        What was trained: ``"member 3"``.
    attempts
        Those that failed, the last one last.

    Examples
    --------
    >>> print(FailedTraining("member 3", [FailedAttempt(17, "diverged")]))
    member 3 (seed 17) diverged. Run(retries=1) trains it from another seed. Received: retries=0
    """

    def __init__(self, name: str, attempts: Sequence[FailedAttempt]) -> None:
        self.name, self.attempts = name, tuple(attempts)
        said = "; ".join(_told(each) for each in attempts)
        n = len(attempts)
        if attempts[-1].reason in OF_THE_SEED:
            python = f"Run(retries={n}) trains it from another seed"
            command_line = f"--retries {n} trains it from another seed"
        else:
            python = "a smaller batch_size or width takes less; the same call tries again"
            command_line = "a smaller --batch-size or --width takes less; the same command tries "
            command_line += "again"
        super().__init__(
            f"{name} {said}. {python}. Received: retries={n - 1}",
            f"{name} {said}. {command_line}. Received: --retries {n - 1}",
        )

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self.attempts)


def _told(attempt: FailedAttempt) -> str:
    verb = "ran out of memory" if attempt.reason == "out of memory" else attempt.reason
    why = f": {attempt.message.rstrip('.')}" if attempt.message else ""
    return f"(seed {attempt.seed}) {verb}{why}"


def with_retries(
    train_once: Callable[[Run], ModelPredictor],
    run: Run,
    learned: Callable[[ModelPredictor], bool] = lambda model: True,
) -> ModelPredictor:
    """Train a model, and where that fails, again from derived seeds: `run.retries` times.

    Seeds that failed before, as the run's folder says, are not tried again; of a finished or begun
    attempt the folder is loaded or resumed, whatever `retries` is now.

    Parameters
    ----------
    train_once
        Trains in the circumstances of one attempt, which has no retries.
    run
        Folder, first seed and number of retries.
    learned
        Says whether a trained model learnt. It is asked only where a retry is left: a last attempt
        is given back as it is.

    Raises
    ------
    FailedTraining
        If no attempt gave a model.
    """
    with run.alone():
        return _attempts(train_once, run, learned)


def _attempts(
    train_once: Callable[[Run], ModelPredictor],
    run: Run,
    learned: Callable[[ModelPredictor], bool],
) -> ModelPredictor:
    """Make attempts until one gives a model, while no other process does in this folder."""
    failed = [each for each in failed_attempts(run.folder) if each.reason in OF_THE_SEED]
    tried = False
    while True:
        of_seeds = [each for each in failed if each.reason in OF_THE_SEED]
        attempt = run.of_attempt(len(of_seeds))
        if len(failed) > run.retries and (tried or not _begun(attempt)):
            break
        tried = True
        _record(run.folder, failed)
        _clear(run.folder, {each.seed for each in of_seeds})
        try:
            model = train_once(attempt)
        except _FAILURES as error:
            failure = FailedAttempt(attempt.seed, _reason(error), _first_line(error))
        else:
            if len(failed) >= run.retries or learned(model):
                _record(run.folder, of_seeds)
                return model
            failure = FailedAttempt(attempt.seed, UNLEARNED)
        failed = [*failed, failure]
        _record(run.folder, failed)
        if run.progress is not False:
            line(f"{run.name} {_told(failure)}")
    raise FailedTraining(run.name, failed)


def learned_anything(model: ModelPredictor, split: Split, heads: HeadLayout) -> bool:
    """Whether a model predicts one target or more better than the mean does.

    Of profiles, whose bins are mostly empty, nothing is told: they count as learnt.
    """
    if split.targets.ndim != 2:
        return True
    return len(unlearned_targets(model, split, heads)) < heads.n_targets


def unlearned_targets(model: ModelPredictor, split: Split, heads: HeadLayout) -> list[str]:
    """Targets that a model predicts no better than their mean does.

    The mean is that of the split itself, the best that a constant can do: predicting the mean of
    the training set is no better.

    Parameters
    ----------
    model
        The trained model.
    split
        Sequences that it was not trained on, with one measured value for each target.
    heads
        Layout of the measured columns.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits
    >>> model = degu.build("deepstarr", (40, 4), splits.heads, width=0.05)
    >>> model.set_weights([0 * weights for weights in model.get_weights()])
    >>> zero = degu.ModelPredictor(model, splits.heads)
    >>> unlearned_targets(zero, splits.validation, splits.heads)
    ['Dev', 'Hk']
    """
    split = evaluated(split, "the split")
    measured = heads.take(split.targets, "mean")
    errors = (model.predict(split.sequences).mean - measured) ** 2
    best = (1.0 - LEAST_EXPLAINED) * np.nanvar(measured, axis=0)
    worse = np.nanmean(errors, axis=0) >= best
    return [heads.targets[target] for target in np.flatnonzero(worse)]


def failed_attempts(folder: Path | None) -> list[FailedAttempt]:
    """The failed attempts that a run's folder records; none of a run in memory."""
    if folder is None or not (folder / FAILED_ATTEMPTS).is_file():
        return []
    return [FailedAttempt(**each) for each in read_json(folder / FAILED_ATTEMPTS)["attempts"]]


def _record(folder: Path | None, failed: Sequence[FailedAttempt]) -> None:
    if folder is None or list(failed) == failed_attempts(folder):
        return
    if failed:
        write_json(folder / FAILED_ATTEMPTS, {"attempts": [asdict(each) for each in failed]})
    else:
        (folder / FAILED_ATTEMPTS).unlink()


def _begun(attempt: Run) -> bool:
    """Whether the folder holds this very attempt, finished or not."""
    if attempt.folder is None or not (attempt.folder / SETTINGS).is_file():
        return False
    return RunFolder(attempt.folder).settings().get("seed") == attempt.seed


def _clear(folder: Path | None, failed: set[int]) -> None:
    """Make room for the next attempt where the folder holds one that failed, and nothing else.

    The manifest goes first and the settings last, so that a folder half cleared is an unfinished
    run of a failed seed and is cleared again.
    """
    if folder is None or not (folder / SETTINGS).is_file():
        return
    if read_json(folder / SETTINGS).get("seed") not in failed:
        return
    kept = (MANIFEST, SETTINGS, FAILED_ATTEMPTS)
    others = [
        file
        for file in folder.iterdir()
        if file.name not in kept and not file.name.startswith(LOCK)
    ]
    for file in (folder / MANIFEST, *others, folder / SETTINGS):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)


def _reason(error: BaseException) -> Reason:
    return "diverged" if isinstance(error, FloatingPointError) else "out of memory"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else ""
