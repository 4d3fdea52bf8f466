"""Store of trained models: each is identified by its data, architecture and settings."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import DistillationSettings, train_student
from degu_tf.distillation.distributed.portable import train_students
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.failures.members import Unlearned
from degu_tf.distillation.labels import student_splits
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.record import Ledger
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.objective import measured_objective
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model, run_settings, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.run_folder import RunFolder

KEY_LENGTH = 12


class Store:
    """A folder of runs, each identified by its data, architecture and settings.

    Parameters
    ----------
    root
        Folder of the runs; created when the first one is trained.
    executor
        Any `concurrent.futures` executor for ensembles' members and for students.
    progress
        Whether to show progress bars; by default where standard error is a terminal.

    Attributes
    ----------
    ledger
        What its models cost.

    Examples
    --------
    >>> Store("runs").root.name
    'runs'
    """

    def __init__(
        self,
        root: str | os.PathLike,
        executor: Executor | None = None,
        progress: bool | None = None,
    ) -> None:
        self.root = Path(root)
        self.executor = executor
        self.progress = progress
        self.ledger = Ledger(self.root, timed=executor is None)
        self._labelled: dict[tuple, Splits] = {}

    def teachers(
        self,
        splits: Splits,
        spec: ModelSpec,
        n_members: int = 10,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        unlearned: Unlearned = "keep",
    ) -> Ensemble:
        """The ensemble these arguments describe; missing members are trained.

        Ensembles of different size share their members. Those that did not learn stay, as in the
        paper, or are left out (`train_ensemble`).
        """
        settings = settings or TrainingSettings()
        folder = self.teachers_folder(splits, spec, settings, seed)
        run = Run(folder, seed, progress=self.progress)
        with self.ledger.entry(folder):
            return train_ensemble(
                splits,
                spec,
                n_members,
                settings,
                run,
                executor=self.executor,
                unlearned=unlearned,
            )

    def model(
        self,
        splits: Splits,
        spec: ModelSpec,
        settings: TrainingSettings | None = None,
        seed: int = 0,
    ) -> ModelPredictor:
        """One model trained on measured targets, such as the MPRAnn baseline of Fig. 2."""
        settings = settings or TrainingSettings()
        folder = self.model_folder(splits, spec, settings, seed)
        run = Run(folder, seed, progress=self.progress)
        with self.ledger.entry(folder):
            return train(splits, spec, settings, run)

    def student(
        self,
        teachers: Ensemble,
        splits: Splits,
        spec: ModelSpec | None = None,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        *,
        distillation: DistillationSettings | None = None,
    ) -> ModelPredictor:
        """The student these arguments describe; students of the same teachers share the labels."""
        return next(
            self.students(teachers, splits, [seed], spec, settings, distillation=distillation)
        )

    def students(
        self,
        teachers: Ensemble,
        splits: Splits,
        seeds: Sequence[int],
        spec: ModelSpec | None = None,
        settings: TrainingSettings | None = None,
        *,
        distillation: DistillationSettings | None = None,
    ) -> Iterator[ModelPredictor]:
        """Students that differ in their seeds; several missing ones are trained by the executor."""
        spec, settings = student_spec(teachers, spec), settings or TrainingSettings()
        distillation = distillation or DistillationSettings()
        folders = [
            self._student_folder(teachers, splits, spec, settings, seed, distillation)
            for seed in seeds
        ]
        runs = {
            folder: Run(folder, seed, progress=self.progress)
            for folder, seed in zip(folders, seeds, strict=True)
        }
        missing = [folder for folder in runs if not RunFolder(folder).finished]
        if len(missing) > 1 and self.executor is not None:
            with ExitStack() as entries:
                for folder in missing:
                    entries.enter_context(self.ledger.entry(folder))
                train_students(
                    teachers,
                    self._labels(teachers, splits, distillation),
                    [runs[folder] for folder in missing],
                    spec,
                    settings,
                    distillation=distillation,
                    executor=self.executor,
                )
        for folder in folders:
            with self.ledger.entry(folder):
                if RunFolder(folder).finished:
                    student = load_model(folder)
                else:
                    labelled = self._labels(teachers, splits, distillation)
                    student = train_student(
                        teachers, labelled, spec, settings, runs[folder], distillation=distillation
                    )
            yield student

    def teachers_folder(
        self, splits: Splits, spec: ModelSpec, settings: TrainingSettings, seed: int
    ) -> Path:
        """Folder of the ensembles, of any size, that these arguments describe."""
        return self._folder("teachers", spec, _identity("ensemble", splits, spec, settings, seed))

    def model_folder(
        self, splits: Splits, spec: ModelSpec, settings: TrainingSettings, seed: int
    ) -> Path:
        """Folder of the single model that these arguments describe."""
        return self._folder("model", spec, _identity("model", splits, spec, settings, seed))

    def _student_folder(
        self,
        teachers: Ensemble,
        splits: Splits,
        spec: ModelSpec,
        settings: TrainingSettings,
        seed: int,
        distillation: DistillationSettings,
    ) -> Path:
        described = distillation.to_dict()
        weights = described.pop("loss_weights")
        identity = {
            "kind": "student",
            "teachers": teachers.fingerprint(),
            "epistemic": distillation.epistemic,
            "loss_weights": [weights["epistemic"], weights["aleatoric"]],
            "run": {**_identity("student", splits, spec, settings, seed), **described},
        }
        return self._folder("student", spec, identity)

    def _labels(
        self, teachers: Ensemble, splits: Splits, distillation: DistillationSettings
    ) -> Splits:
        how = (distillation.epistemic, distillation.validation, distillation.measured_share)
        key = (teachers.fingerprint(), splits.fingerprint, *how)
        if key not in self._labelled:
            labelled = student_splits(
                teachers,
                splits,
                distillation.epistemic,
                self.progress,
                validation=distillation.validation,
                measured_share=distillation.measured_share,
            )
            self._labelled = {key: labelled}
        return self._labelled[key]

    def _folder(self, kind: str, spec: ModelSpec, identity: dict[str, Any]) -> Path:
        return self.root / f"{kind}-{spec.name}-{content_hash(identity)[:KEY_LENGTH]}"


def student_spec(teachers: Ensemble, spec: ModelSpec | None) -> ModelSpec:
    """The architecture of a student: the one that is named, or its teachers'.

    Raises
    ------
    InputError
        If none is named and the teachers' is not known.
    """
    chosen = spec or teachers.spec
    if chosen is None:
        raise InputError("the teachers' architecture is not known: name the student's (spec)")
    return chosen


def _identity(
    kind: str, splits: Splits, spec: ModelSpec, settings: TrainingSettings, seed: int
) -> dict[str, Any]:
    heads = measured_objective(settings, splits.heads, spec.head).heads
    return run_settings(kind, splits, spec, settings, heads, Run(seed=seed))
