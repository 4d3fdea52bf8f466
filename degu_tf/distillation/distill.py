"""Distil an ensemble into one student: the teachers' mean and spread are its labels."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
from evoaug_tf.augment import AugmentBase

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.teacher import Teacher, usable_dtype
from degu_tf.heads import Form, HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.augmentation.schemes import describe
from degu_tf.training.losses import DistillationLoss, Weight
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """How a student's minibatches are augmented, and who labels them.

    Attributes
    ----------
    scheme
        One of `degu_tf.training.augmentation.schemes.SCHEMES`, or any `AugmentBase`. None for
        minibatches as they come: teachers then label the very parts of profiles that are drawn
        (`TrainingSettings.crop`).
    labels
        ``"teachers"``: the teachers label each augmented minibatch inside the training step
        (dynamic distillation). ``"static"``: the label stays that of the unaugmented sequence, as
        in Supplementary Fig. 3.
    append
        Keep the originals in the minibatch beside the augmented ones.
    teacher_dtype
        ``"float32"``, or ``"bfloat16"`` for faster labels where the processor has arithmetic for
        it.

    Raises
    ------
    InputError
        If the labels are something else, or static or appended to where nothing is augmented.

    Examples
    --------
    >>> from degu_tf.training.augmentation.schemes import scheme
    >>> Augmentation(scheme("evoaug")).labels
    'teachers'
    """

    scheme: AugmentBase | None
    labels: Literal["teachers", "static"] = "teachers"
    append: bool = False
    teacher_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.labels not in ("teachers", "static"):
            raise InputError(
                f"labels are made by the 'teachers' or 'static'. Received: labels={self.labels!r}"
            )
        if self.scheme is None and (self.labels == "static" or self.append):
            raise InputError(
                "without a scheme there is nothing but the teachers' labels of each minibatch. "
                f"Received: labels={self.labels!r}, append={self.append}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for a run's identity."""
        described = {
            "scheme": None if self.scheme is None else describe(self.scheme),
            "labels": self.labels,
            "append": self.append,
        }
        if self.labels == "teachers":
            described["teacher_dtype"] = usable_dtype(self.teacher_dtype)
        return described


def distill(
    teachers: Ensemble,
    splits: Splits,
    *,
    spec: ModelSpec | None = None,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    epistemic: Form = "std",
    epistemic_weight: Weight = 1.0,
    aleatoric_weight: Weight = 1.0,
    augmentation: Augmentation | None = None,
    finetune: TrainingSettings | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> ModelPredictor:
    """Train a student on an ensemble's labels: static ones, or made for each augmented minibatch.

    Parameters
    ----------
    teachers
        The ensemble.
    splits
        Experimental data in the teachers' layout; its training sequences are labelled by the
        teachers.
    spec
        The student's architecture; the teachers' own by default.
    settings, seed, folder, progress
        As for `degu_tf.training.train.train`.
    epistemic
        Form of the student's epistemic column: ``"std"`` or ``"log_variance"``.
    epistemic_weight, aleatoric_weight
        Lambda and gamma of the loss, one number or one a target (paper: 1).
    augmentation
        How minibatches are augmented and labelled; None for the data as they are, labelled once.
    finetune
        Settings of a second stage on the unaugmented training data with the teachers' labels, as
        the released scripts have it; None, as in the paper, for none.
    provenance, notes
        More plain values for `settings.json` (part of the run's identity) and for the manifest.

    Returns
    -------
    ModelPredictor
        The student; its predictions carry epistemic and, if the teachers do, aleatoric
        uncertainty.

    Raises
    ------
    InputError
        If targets differ, or no architecture is known.
    """
    return train_student(
        student_splits(teachers, splits, epistemic, progress),
        teachers,
        spec=spec,
        settings=settings,
        seed=seed,
        folder=folder,
        epistemic_weight=epistemic_weight,
        aleatoric_weight=aleatoric_weight,
        augmentation=augmentation,
        finetune=finetune,
        provenance=provenance,
        notes=notes,
        progress=progress,
    )


def train_student(
    labelled: Splits,
    teachers: Ensemble,
    *,
    spec: ModelSpec | None = None,
    settings: TrainingSettings | None = None,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    epistemic_weight: Weight = 1.0,
    aleatoric_weight: Weight = 1.0,
    augmentation: Augmentation | None = None,
    finetune: TrainingSettings | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> ModelPredictor:
    """Train a student on data from `student_splits`, so that several share one labelling.

    Parameters are those of `distill`.
    """
    spec = spec or teachers.spec
    if spec is None:
        raise InputError("the teachers' architecture is not known: name the student's (spec=...)")
    settings = settings or TrainingSettings()
    _check_profiles(labelled, teachers, settings, augmentation)
    if settings.likelihood is not None:
        raise InputError(
            "a student learns its teachers' labels, by loss='mse' or 'poisson'. "
            f"Received: loss={settings.loss!r}"
        )
    loss = DistillationLoss(
        labelled.heads,
        epistemic_weight,
        aleatoric_weight,
        error="poisson" if settings.loss == "poisson" else "mse",
    )
    weights = {"epistemic": epistemic_weight, "aleatoric": aleatoric_weight}
    described = {} if augmentation is None else {"augmentation": augmentation.to_dict()}

    def learner(student: keras.Model) -> DistillationModel:
        return _learner(student, labelled.heads, teachers, augmentation, seed)

    return train(
        labelled,
        replace(spec, init=None, head="linear") if spec is teachers.spec else spec,
        settings,
        seed,
        folder,
        loss=loss,
        finetune=finetune,
        learner=learner,
        provenance={
            "kind": "student",
            "loss_weights": weights,
            **described,
            "teachers": {"fingerprint": teachers.fingerprint(), "n_members": teachers.n_members},
            **(provenance or {}),
        },
        notes={"teachers": _relative(teachers.folder, folder), **(notes or {})},
        progress=progress,
    )


def _check_profiles(
    labelled: Splits,
    teachers: Ensemble,
    settings: TrainingSettings,
    augmentation: Augmentation | None,
) -> None:
    """Refuse what suits numbers but not profiles."""
    if labelled.train.targets.ndim != 3:
        return
    if augmentation is not None and augmentation.labels == "static":
        raise InputError(
            "augmentations move bases, and the labels of a profile would stay behind: let the "
            "teachers label what was augmented. Received: labels='static'"
        )
    seen = settings.input_shape(labelled.input_shape)[0]
    if teachers.input_length not in (None, seen):
        raise InputError(
            f"a student of profiles sees as much as its teachers, {teachers.input_length} bases, "
            f"so that they can be compared. Received: {seen} (crop={settings.crop})"
        )


def _learner(
    student: keras.Model,
    heads: HeadLayout,
    teachers: Ensemble,
    augmentation: Augmentation | None,
    seed: int,
) -> DistillationModel:
    if augmentation is None:
        return DistillationModel(student, heads)
    teacher = None
    if augmentation.labels == "teachers":
        teacher = Teacher(teachers, heads.epistemic, augmentation.teacher_dtype)
    return DistillationModel(
        student, heads, teacher, augmentation.scheme, augmentation.append, seed
    )


def _relative(teachers: Path | None, folder: str | os.PathLike | None) -> str | None:
    return None if None in (teachers, folder) else os.path.relpath(teachers, folder)
