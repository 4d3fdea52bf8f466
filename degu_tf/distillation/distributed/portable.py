"""Ensembles in other processes: sent as files, opened once in each, asked for chunks and students.

Keras models cannot be pickled, so a task carries the files of an ensemble's run, or where it has
none the bytes of its `.keras` files.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import DistillationSettings, attempt_student
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import Form, HeadLayout
from degu_tf.heads.pooling import pool_members
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.guarded_loading import load_keras_model
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.run import Run, member_folder
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar, in_lines, told
from degu_tf.utils.run_folder import MODEL

_opened: dict[str, Ensemble] = {}
"""The ensemble that this process was asked for last, by its fingerprint."""


@dataclass(frozen=True)
class PortableEnsemble:
    """An ensemble that can be sent to other processes.

    Attributes
    ----------
    fingerprint
        Of the ensemble.
    models
        The members' `.keras` files, as paths or bytes.
    heads
        Their layout.
    batch_sizes
        Their numbers of sequences predicted at once.
    spec, folder, sources, numbers
        Those of the ensemble.
    """

    fingerprint: str
    models: tuple[Path | bytes, ...]
    heads: HeadLayout
    batch_sizes: tuple[int | None, ...]
    spec: ModelSpec | None
    folder: Path | None
    sources: tuple[Path, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, ensemble: Ensemble) -> "PortableEnsemble":
        """The files of an ensemble; of one without a run, their bytes."""
        folder = ensemble.folder
        models = tuple(
            _bytes(member) if folder is None else member_folder(folder, number).resolve() / MODEL
            for number, member in zip(ensemble.numbers, ensemble.members, strict=True)
        )
        sizes = tuple(member.batch_size for member in ensemble.members)
        return cls(
            ensemble.fingerprint(),
            models,
            ensemble.heads,
            sizes,
            ensemble.spec,
            folder,
            ensemble.sources,
            ensemble.numbers,
        )

    def open(self) -> Ensemble:
        """The ensemble, which this process keeps until it is asked for another one.

        Raises
        ------
        InputError
            If its files are not those that were sent.
        """
        if self.fingerprint not in _opened:
            members = [
                ModelPredictor(_model(model), self.heads, size)
                for model, size in zip(self.models, self.batch_sizes, strict=True)
            ]
            ensemble = Ensemble(members, self.spec, self.folder, self.sources, self.numbers)
            if ensemble.fingerprint() != self.fingerprint:
                raise InputError(
                    "expected the members that were sent here: all machines must see the same "
                    f"files. Received: others in {self.folder}"
                )
            _opened.clear()
            _opened[self.fingerprint] = ensemble
        return _opened[self.fingerprint]


def columns_elsewhere(
    ensemble: Ensemble,
    chunks: Sequence[np.ndarray],
    epistemic: Form,
    executor: Executor,
    progress: bool | None = False,
) -> list[np.ndarray]:
    """What `Ensemble.columns` computes of each chunk of sequences, by an executor's workers."""
    portable = PortableEnsemble.of(ensemble)
    futures = [executor.submit(_columns, portable, chunk, epistemic) for chunk in chunks]
    try:
        return [future.result() for future in bar(futures, "ensemble", progress)]
    finally:
        for future in futures:
            future.cancel()


def _columns(portable: PortableEnsemble, sequences: np.ndarray, epistemic: Form) -> np.ndarray:
    ensemble = portable.open()
    return pool_members(ensemble.member_columns(sequences), ensemble.heads, epistemic)


def train_students(
    teachers: Ensemble,
    labelled: Splits,
    runs: Sequence[Run],
    spec: Architecture | None = None,
    settings: TrainingSettings | None = None,
    *,
    distillation: DistillationSettings | None = None,
    executor: Executor | None = None,
) -> list[ModelPredictor]:
    """Train several students on one labelling, each with a folder and seed of its own.

    Parameters
    ----------
    teachers, labelled, spec, settings, distillation
        As for `train_student`.
    runs
        One for each student, trained again from derived seeds as its `retries` say.
    executor
        Any `concurrent.futures` executor; students then train in its workers and need folders.
        Without one they train one after another.

    Raises
    ------
    InputError
        If an executor is given and a run has no folder, or as `distill` does.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = ModelSpec("deepstarr", small), TrainingSettings(epochs=1)
    >>> members = [
    ...     ModelPredictor(spec.build((40, 4), splits.heads, seed), splits.heads) for seed in (1, 2)
    ... ]
    >>> teachers = Ensemble(members, spec)
    >>> runs = [Run(seed=seed, progress=False) for seed in (1, 2)]
    >>> labelled = degu.student_splits(teachers, splits)
    >>> len(train_students(teachers, labelled, runs, settings=quick))
    2
    """
    spec = None if spec is None else as_spec(spec)
    if executor is None:
        return [
            attempt_student(teachers, labelled, spec, settings, run, distillation=distillation)
            for run in runs
        ]
    folders = [run.folder for run in runs if run.folder is not None]
    if len(folders) < len(runs):
        raise InputError(
            "students trained by an executor are loaded from their folders: name one in each run. "
            f"Received: {len(runs) - len(folders)} runs without a folder"
        )
    portable = PortableEnsemble.of(teachers)
    own = None if spec is teachers.spec else spec  # identity does not travel; None means theirs
    futures = [
        executor.submit(_student, portable, labelled, own, settings, run.absolute(), distillation)
        for run in runs
    ]
    try:
        done = as_completed(futures)
        for future in told(done, "students trained", runs[0].progress, total=len(runs)):
            future.result()
    finally:
        for future in futures:
            future.cancel()
    return [load_model(folder) for folder in folders]


def _student(
    portable: PortableEnsemble,
    labelled: Splits,
    spec: ModelSpec | None,
    settings: TrainingSettings | None,
    run: Run,
    distillation: DistillationSettings | None,
) -> None:
    run = replace(run, progress=None if in_lines(run.progress) else False)
    teachers = portable.open()
    attempt_student(teachers, labelled, spec, settings, run, distillation=distillation)


def _bytes(member: ModelPredictor) -> bytes:
    with tempfile.TemporaryDirectory(prefix="degu-") as folder:
        file = Path(folder) / MODEL
        member.model.save(file)
        return file.read_bytes()


def _model(source: Path | bytes) -> keras.Model:
    if isinstance(source, Path):
        return load_keras_model(source)
    with tempfile.TemporaryDirectory(prefix="degu-") as folder:
        file = Path(folder) / MODEL
        file.write_bytes(source)
        return load_keras_model(file)
