"""The store of trained models: found again by what made them, trained where missing."""

import os
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from evoaug_tf.augment import AugmentBase

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import Augmentation, train_student
from degu_tf.distillation.ensemble import Ensemble, train_ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.heads import Form
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.losses import Weight
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model, run_settings, stages, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.run_folder import RunFolder

KEY_LENGTH = 12


class Store:
    """A folder of runs, found again by what made them.

    Parameters
    ----------
    root
        Where the runs are kept; made when the first one is trained.
    executor
        Any `concurrent.futures` executor for ensembles' members.
    progress
        Show bars; None where standard error is a terminal.

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
        self._labelled: dict[tuple, Splits] = {}

    def teachers(
        self,
        splits: Splits,
        spec: ModelSpec,
        n_members: int = 10,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        *,
        augment: AugmentBase | None = None,
        finetune: TrainingSettings | None = None,
    ) -> Ensemble:
        """The ensemble these arguments describe, trained as far as it is missing.

        Ensembles of different size share their members.
        """
        settings = settings or TrainingSettings()
        more = stages(augment, finetune)
        identity = run_settings("ensemble", splits, spec, settings, seed, more)
        return train_ensemble(
            splits,
            spec,
            n_members,
            settings,
            seed,
            self._folder("teachers", spec, identity),
            augment=augment,
            finetune=finetune,
            executor=self.executor,
            progress=self.progress,
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
        identity = run_settings("model", splits, spec, settings, seed)
        folder = self._folder("model", spec, identity)
        return train(splits, spec, settings, seed, folder, progress=self.progress)

    def student(
        self,
        teachers: Ensemble,
        splits: Splits,
        spec: ModelSpec | None = None,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        *,
        epistemic: Form = "std",
        epistemic_weight: Weight = 1.0,
        aleatoric_weight: Weight = 1.0,
        augmentation: Augmentation | None = None,
        finetune: TrainingSettings | None = None,
    ) -> ModelPredictor:
        """The student these arguments describe; students of the same teachers share the labels."""
        spec, settings = spec or teachers.spec, settings or TrainingSettings()
        if spec is None:
            raise InputError("the teachers' architecture is not known: name the student's (spec)")
        more = stages(finetune=finetune)
        if augmentation is not None:
            more["augmentation"] = augmentation.to_dict()
        identity = {
            "kind": "student",
            "teachers": teachers.fingerprint(),
            "epistemic": epistemic,
            "loss_weights": [epistemic_weight, aleatoric_weight],
            "run": run_settings("student", splits, spec, settings, seed, more),
        }
        folder = self._folder("student", spec, identity)
        if RunFolder(folder).finished:
            return load_model(folder)
        return train_student(
            self._labels(teachers, splits, epistemic),
            teachers,
            spec=spec,
            settings=settings,
            seed=seed,
            folder=folder,
            epistemic_weight=epistemic_weight,
            aleatoric_weight=aleatoric_weight,
            augmentation=augmentation,
            finetune=finetune,
            progress=self.progress,
        )

    def _labels(self, teachers: Ensemble, splits: Splits, epistemic: Form) -> Splits:
        key = (teachers.fingerprint(), splits.fingerprint, epistemic)
        if key not in self._labelled:
            self._labelled = {key: student_splits(teachers, splits, epistemic, self.progress)}
        return self._labelled[key]

    def _folder(self, kind: str, spec: ModelSpec, identity: dict[str, Any]) -> Path:
        return self.root / f"{kind}-{spec.name}-{content_hash(identity)[:KEY_LENGTH]}"
