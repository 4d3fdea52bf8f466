"""Predictions of a run's model or ensemble by workers, which open the run themselves."""

import os
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from degu_tf.distillation.ensemble import Ensemble, chunk_rows
from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.models.predictor import ModelPredictor, as_array, batch_size_of
from degu_tf.utils.errors import InputError

BATCHES = 8
"""Batches of one model that a worker predicts at once, as many as in an ensemble's chunk."""

_opened: dict[str, Ensemble | ModelPredictor] = {}
"""What this process was asked for last, by its fingerprint."""


def rows_at_once(predictor: Ensemble | ModelPredictor, length: int) -> int:
    """Sequences that one worker predicts at once: whole batches, so that numbers do not change.

    Parameters
    ----------
    predictor
        What predicts.
    length
        Bases of a sequence.
    """
    if isinstance(predictor, Ensemble):
        return chunk_rows(length)
    return BATCHES * (predictor.batch_size or batch_size_of(length))


@dataclass(frozen=True)
class PortableRun:
    """A run, or file of a model, that other processes open where they are.

    Attributes
    ----------
    path
        Where it lies.
    fingerprint
        Of what it holds.
    """

    path: str
    fingerprint: str

    def open(self) -> Ensemble | ModelPredictor:
        """What it holds, which this process keeps until it is asked for another.

        Raises
        ------
        InputError
            If something else lies there.
        """
        if self.fingerprint not in _opened:
            found = open_run(self.path)
            if found.fingerprint() != self.fingerprint:
                raise InputError(
                    "expected the run that was named: all machines must see the same files. "
                    f"Received: another one in {self.path}"
                )
            _opened.clear()
            _opened[self.fingerprint] = found
        return _opened[self.fingerprint]


class DistributedPredictor:
    """What `open_run` opened, predicting by an executor's workers: the same numbers.

    Parameters
    ----------
    path
        The run, or file, as the workers see it.
    predictor
        What it holds.
    executor
        Any `concurrent.futures` executor.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = degu.ModelSpec("deepstarr", small), degu.TrainingSettings(epochs=1)
    >>> run = degu.Run(f"{tempfile.mkdtemp()}/model", progress=False)
    >>> model = degu.train(splits, spec, quick, run)
    >>> with ThreadPoolExecutor(2) as executor:
    ...     made = DistributedPredictor(run.folder, model, executor).predict(["ACGT" * 10])
    >>> bool((made.mean == model.predict(["ACGT" * 10]).mean).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike,
        predictor: Ensemble | ModelPredictor,
        executor: Executor,
    ) -> None:
        self._run = PortableRun(os.path.abspath(path), predictor.fingerprint())
        self._predictor, self._executor = predictor, executor

    @property
    def heads(self) -> HeadLayout:
        """The predictor's layout."""
        return self._predictor.heads

    @property
    def input_length(self) -> int | None:
        """Bases the predictor takes, or None if it takes any length."""
        return self._predictor.input_length

    def fingerprint(self) -> str:
        """That of the predictor."""
        return self._run.fingerprint

    def predict(self, sequences: Any) -> Prediction:
        """Predict strings, tokens `(N, L)` or float `(N, L, 4)`, a part of them in each worker."""
        sequences = as_array(sequences)
        size = rows_at_once(self._predictor, sequences.shape[1])
        starts = range(0, len(sequences), size)
        futures = [
            self._executor.submit(_columns, self._run, sequences[start : start + size])
            for start in starts
        ]
        try:
            columns = np.concatenate([future.result() for future in futures])
        finally:
            for future in futures:
                future.cancel()
        ensemble = isinstance(self._predictor, Ensemble)
        return (self.heads.student() if ensemble else self.heads).prediction(columns)


def _columns(run: PortableRun, sequences: np.ndarray) -> np.ndarray:
    return run.open().columns(sequences)
