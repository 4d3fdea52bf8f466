"""Distil an ensemble into one student: the teachers' mean and spread are its labels."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
from evoaug_tf.augment import AugmentBase

from degu_tf.data.hdf5.stored_splits import evaluated
from degu_tf.data.pipeline import steps_per_epoch
from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.attempts import learned_anything, with_retries
from degu_tf.distillation.label_pool import with_label_pool
from degu_tf.distillation.labels import Validation, check_labels, student_splits
from degu_tf.distillation.runs import whereabouts
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.teacher import Teacher, usable_dtype
from degu_tf.heads import Form, HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.augmentation.mixtures import recombines
from degu_tf.training.augmentation.schemes import describe
from degu_tf.training.initial_weights import copy_weights
from degu_tf.training.losses import DistillationLoss, Weight, check_weight
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.objective import Objective
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

STUDENT_LOSSES = ("mse", "poisson")
"""What a student's activity is compared with its labels by."""


@dataclass(frozen=True)
class Augmentation:
    """How a student's minibatches are augmented, and who labels them.

    Attributes
    ----------
    scheme
        One of `degu_tf.training.augmentation.names.SCHEMES`, or any `AugmentBase`. None for
        unaugmented minibatches: teachers then label the random parts of profiles
        (`TrainingSettings.crop`).
    labels
        ``"teachers"``: the teachers label each augmented minibatch inside the training step
        (dynamic distillation). ``"static"``: the label stays that of the unaugmented sequence, as
        in Supplementary Fig. 3.
    append
        Keep the originals in the minibatch beside the augmented ones.
    teacher_dtype
        ``"float32"``, or ``"bfloat16"`` for faster labels where the processor has arithmetic for
        it; ``"auto"`` is bfloat16 on GPUs that have it (compute capability 8.0), else float32.
        Labels that are made once, for a pool or static ones, are in float32.

    Raises
    ------
    InputError
        If the labels are something else, or static or appended to where nothing is augmented.

    Examples
    --------
    >>> from degu_tf.training.augmentation.names import scheme
    >>> Augmentation(scheme("evoaug")).labels
    'teachers'
    """

    scheme: AugmentBase | None
    labels: Literal["teachers", "static"] = "teachers"
    append: bool = False
    teacher_dtype: str = "auto"

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
        if self.labels == "static" and recombines(self.scheme):
            raise InputError(
                "a recombined sequence has no label but its teachers'. Received: labels='static'"
            )

    def to_dict(self, in_pool: bool = False) -> dict[str, Any]:
        """The settings as plain values, for a run's identity; a pool's labels are in float32."""
        described: dict[str, Any] = {
            "scheme": None if self.scheme is None else describe(self.scheme),
            "labels": self.labels,
            "append": self.append,
        }
        if self.labels == "teachers":
            dtype = "float32" if in_pool else usable_dtype(self.teacher_dtype)
            described["teacher_dtype"] = dtype
        return described


@dataclass(frozen=True)
class DistillationSettings:
    """How a student learns from its teachers; the defaults are the paper's static distillation.

    Attributes
    ----------
    epistemic
        Form of the student's epistemic column: ``"std"``, or ``"log_variance"`` as in
        Supplementary Fig. 11.
    epistemic_weight, aleatoric_weight
        Lambda and gamma of the loss, one number or one a target (paper: 1).
    augmentation
        How minibatches are augmented and labelled; None for unaugmented data, labelled once.
    validation
        Labels that choose the best epoch, ``"measured"`` or the ``"ensemble"``'s
        (`degu_tf.distillation.labels.student_splits`).
    measured_share
        Weight of the measured activity in the labels of the training sequences as they are, as in
        `student_splits`: of what a pool of K copies holds they are one in K + 1.
    pool
        Augmented copies of the training sequences that the teachers label once for all students
        (`degu_tf.distillation.label_pool.with_label_pool`); an epoch then is as many steps as one
        pass over the original sequences takes. None to label each minibatch on the fly.
    init
        Where the student starts: ``"random"``, or ``"best-teacher"``, the weights of the member
        with the lowest validation error, in all layers but the last one.

    Raises
    ------
    InputError
        If a value is none of these, or there is a pool without an augmentation, or labels in it
        that are not the teachers'.

    Examples
    --------
    >>> DistillationSettings(epistemic_weight=2.0).epistemic
    'std'
    """

    epistemic: Form = "std"
    epistemic_weight: Weight = 1.0
    aleatoric_weight: Weight = 1.0
    augmentation: Augmentation | None = None
    validation: Validation = "measured"
    measured_share: float = 0.0
    pool: int | None = None
    init: Literal["random", "best-teacher"] = "random"

    def __post_init__(self) -> None:
        if self.epistemic not in ("std", "log_variance"):
            raise InputError(
                f"epistemic is 'std' or 'log_variance'. Received: epistemic={self.epistemic!r}"
            )
        check_weight(self.epistemic_weight, "epistemic")
        check_weight(self.aleatoric_weight, "aleatoric")
        check_labels(self.validation, self.measured_share)
        if self.init not in ("random", "best-teacher"):
            raise InputError(
                f"a student starts from 'random' or 'best-teacher'. Received: init={self.init!r}"
            )
        chosen = self.augmentation
        if self.pool is None:
            if self.measured_share and chosen and chosen.labels == "teachers" and not chosen.append:
                raise InputError(
                    "where teachers label each minibatch no label is measured: add the originals "
                    "(append=True), or take static labels or a pool. "
                    f"Received: measured_share={self.measured_share:g}",
                    "where teachers label each minibatch no label is measured: add the originals "
                    "(--append), or take --labels static or --pool 1. "
                    f"Received: --measured-share {self.measured_share:g}",
                )
            return
        if not is_whole(self.pool, 1):
            raise InputError(f"pool must be a whole number from 1. Received: {self.pool!r}")
        if chosen is None or chosen.scheme is None or chosen.labels != "teachers" or chosen.append:
            raise InputError(
                "a pool holds augmented sequences with the teachers' labels, and the originals: "
                "name an Augmentation with a scheme, labels='teachers', append=False. "
                f"Received: {chosen!r}"
            )
        if chosen.teacher_dtype == "bfloat16":
            raise InputError(
                "labels of a pool are made once, in float32. Received: teacher_dtype='bfloat16'",
                "labels of a pool are made once, in float32; --pool 0 makes them for each "
                "minibatch. Received: --teacher-dtype bfloat16",
            )

    def to_dict(self) -> dict[str, Any]:
        """Weights, labels and start as plain values; the form is in the heads."""
        weights = {"epistemic": self.epistemic_weight, "aleatoric": self.aleatoric_weight}
        described: dict[str, Any] = {"loss_weights": weights}
        if self.augmentation is not None:
            described["augmentation"] = self.augmentation.to_dict(self.pool is not None)
        if self.validation != "measured":
            described["validation"] = self.validation
        if self.measured_share:
            described["measured_share"] = self.measured_share
        if self.pool is not None:
            described["pool"] = self.pool
        if self.init != "random":
            described["start"] = self.init
        return described


def distill(
    teachers: Ensemble,
    splits: Splits,
    spec: Architecture | None = None,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    distillation: DistillationSettings | None = None,
    extra: Any = None,
) -> ModelPredictor:
    """Train a student on an ensemble's labels: static ones, or made for each augmented minibatch.

    Parameters
    ----------
    teachers
        The ensemble; one that was trained elsewhere is made by `Ensemble.from_models`.
    splits
        Experimental data in the teachers' layout; its training sequences are labelled by the
        teachers.
    spec
        The student's architecture, as for `train`; the teachers' own by default.
    settings
        How it is trained, with a second stage if it has one; the paper's by default.
    run
        Folder, seed, what is recorded, and how often a student that diverges, runs out of memory
        or does not learn is trained again from a seed derived from the run's (`retries`).
    distillation
        Labels, loss weights and augmentation; the paper's static distillation by default.
    extra
        More training sequences, without measurements, that the teachers label: tokens or strings.

    Returns
    -------
    ModelPredictor
        The student; its predictions carry epistemic and, if the teachers do, aleatoric
        uncertainty.

    Raises
    ------
    InputError
        If targets differ, no architecture is known, the folder holds another run, or no attempt
        gave a student: then with the seeds.

    Examples
    --------
    >>> from degu_tf.data.simulation.mpra import simulate
    >>> splits = simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = ModelSpec("deepstarr", small), TrainingSettings(epochs=1)
    >>> models = [spec.build((40, 4), splits.heads, seed) for seed in (1, 2)]
    >>> teachers = Ensemble([ModelPredictor(model, splits.heads) for model in models], spec)
    >>> student = distill(teachers, splits, settings=quick, run=Run(progress=False))
    >>> student.heads.epistemic
    'std'
    """
    distillation, run = distillation or DistillationSettings(), run or Run()
    labelled = student_splits(
        teachers,
        splits,
        distillation.epistemic,
        run.progress,
        validation=distillation.validation,
        measured_share=distillation.measured_share,
        extra=extra,
    )
    return attempt_student(teachers, labelled, spec, settings, run, distillation=distillation)


def attempt_student(
    teachers: Ensemble,
    labelled: Splits,
    spec: Architecture | None,
    settings: TrainingSettings | None,
    run: Run,
    *,
    distillation: DistillationSettings | None = None,
) -> ModelPredictor:
    """`train_student`, and where that fails or nothing is learnt, as often again as `run` says."""

    def train_once(attempt: Run) -> ModelPredictor:
        return train_student(teachers, labelled, spec, settings, attempt, distillation=distillation)

    def learned(student: ModelPredictor) -> bool:
        split = labelled.validation.centred(student.input_length)
        return learned_anything(student, split, labelled.heads)

    return with_retries(train_once, _of_student_run(run), learned)


def train_student(
    teachers: Ensemble,
    labelled: Splits,
    spec: Architecture | None = None,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    distillation: DistillationSettings | None = None,
) -> ModelPredictor:
    """Train a student on data from `student_splits`, so that several share one labelling.

    Parameters are those of `distill`; the form of the epistemic column is that of the labels.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = ModelSpec("deepstarr", small), TrainingSettings(epochs=1)
    >>> members = [
    ...     degu.ModelPredictor(spec.build((40, 4), splits.heads, seed), splits.heads)
    ...     for seed in (1, 2)
    ... ]
    >>> teachers = Ensemble(members, spec)
    >>> labelled = student_splits(teachers, splits)
    >>> train_student(teachers, labelled, settings=quick, run=Run(progress=False)).heads.n_columns
    6
    """
    spec = teachers.spec if spec is None else as_spec(spec)
    if spec is None:
        raise InputError("the teachers' architecture is not known: name the student's (spec=...)")
    settings, run = settings or TrainingSettings(), run or Run()
    distillation = distillation or DistillationSettings()
    _check_student(labelled, teachers, settings, distillation.augmentation)
    loss = DistillationLoss(
        labelled.heads,
        distillation.epistemic_weight,
        distillation.aleatoric_weight,
        error="poisson" if settings.loss == "poisson" else "mse",
    )
    start = _start(distillation, teachers, labelled, settings)
    if distillation.pool is not None and settings.steps_per_epoch is None:
        a_pass = steps_per_epoch(labelled.train, settings.batch_size)
        settings = replace(settings, steps_per_epoch=a_pass)

    def prepare(data: Splits) -> Splits:
        if distillation.pool is None or distillation.augmentation is None:
            return data
        scheme = distillation.augmentation.scheme
        return with_label_pool(teachers, data, scheme, distillation.pool, progress=run.progress)

    def learner(student: keras.Model) -> DistillationModel:
        if start is not None:
            copy_weights(start, student, labelled.heads.n_targets)
            if settings.standardise:  # what was copied predicts in the data's units
                Standardisation.of(labelled).means_to_standard(student, labelled.heads)
        on_the_fly = None if distillation.pool else distillation.augmentation
        return _learner(student, labelled.heads, teachers, on_the_fly, run.seed)

    provenance = {
        "kind": "student",
        **distillation.to_dict(),
        "teachers": teachers.record(),
    }
    return train(
        labelled,
        _of_student(spec) if spec is teachers.spec else spec,
        settings,
        _of_student_run(run).recording(provenance, whereabouts(teachers, run.folder)),
        objective=Objective(labelled.heads, loss),
        learner=learner,
        prepare=prepare,
    )


def _start(
    distillation: DistillationSettings,
    teachers: Ensemble,
    labelled: Splits,
    settings: TrainingSettings,
) -> keras.Model | None:
    """The member a student starts from: the one nearest to the validation set's activity."""
    if distillation.init == "random":
        return None
    split, heads = labelled.validation.centred(teachers.input_length), labelled.heads
    split = evaluated(split, "validation")
    activity = heads.take(split.targets, "mean")
    unit = np.array(Standardisation.of(labelled).std if settings.standardise else 1.0)
    errors = [
        float(np.nanmean(((member.predict(split.sequences).mean - activity) / unit) ** 2))
        for member in teachers.members
    ]
    return teachers.members[int(np.argmin(errors))].model


def _of_student(spec: ModelSpec) -> ModelSpec:
    """The teachers' architecture from a random start, with an output for all a student predicts."""
    return replace(spec, init=None, head="positive" if spec.head == "positive" else "linear")


def _of_student_run(run: Run) -> Run:
    """The run under the name of a student, unless it has a name of its own, as attempts do."""
    return replace(run, name="student") if run.name == Run.name else run


def _check_student(
    labelled: Splits,
    teachers: Ensemble,
    settings: TrainingSettings,
    augmentation: Augmentation | None,
) -> None:
    """Refuse settings of teachers, and what suits numbers but not profiles."""
    if settings.loss not in STUDENT_LOSSES:
        raise InputError(
            "a student learns its teachers' labels, by loss='mse' or 'poisson'. "
            f"Received: loss={settings.loss!r}"
        )
    if settings.augment is not None:
        raise InputError(
            "a student's minibatches are augmented by DistillationSettings.augmentation, which "
            "says who labels them. Received: TrainingSettings.augment"
        )
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
        teacher = Teacher(teachers, heads.epistemic or "std", augmentation.teacher_dtype)
    return DistillationModel(
        student, heads, teacher, augmentation.scheme, augmentation.append, seed
    )
