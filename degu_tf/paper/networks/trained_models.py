"""Teachers and students of one data set, trained when first needed, or opened from weights.

Figures that train or compute more add it in a subclass.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import Form
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.setups import OpenedSetup, Setup
from degu_tf.paper.networks.store import Store
from degu_tf.paper.networks.weights import DataWeights
from degu_tf.paper.script import Context
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.run import member_seed


class TrainedModels:
    """Teachers and students of one data set.

    Parameters
    ----------
    context
        A script's context, whose settings have `n_members` and `n_students`.
    splits
        The data.
    setup
        Architecture and training of all of them, or the weights that they are opened from.

    Attributes
    ----------
    splits
        The data.
    weights
        What they are opened from; None where they are trained.
    """

    def __init__(self, context: Context, splits: Splits, setup: Setup) -> None:
        self.splits = splits
        self._settings: Any = context.settings
        self._store: Store = context.store
        self._seed = context.seed
        self._setup = setup
        self.weights: DataWeights | None = setup.weights if isinstance(setup, OpenedSetup) else None

    @cached_property
    def teachers(self) -> Ensemble:
        """The standard ensemble, whose members are the models of standard training."""
        if self.weights is not None:
            return self.weights.ensemble()
        return self._store.teachers(
            self.splits,
            self._setup.teacher_spec(self.splits),
            self._settings.n_members,
            self._setup.teacher_settings(self.splits),
            self._seed,
            unlearned=self._setup.unlearned,
        )

    def students_of(self, method: str = "student") -> Iterator[ModelPredictor]:
        """Students of a method, one of legends' names such as ``"dynamic_evoaug"``, a seed each."""
        if self.weights is not None:
            yield from self.weights.models(method)
            return
        teachers = self.teachers_of(method)
        distillation = distillation_of(method)
        yield from self._store.students(
            teachers,
            self.splits,
            [student_seed(self._seed, index) for index in range(self._settings.n_students)],
            **self._setup.student(self.splits, teachers.spec or self._setup.spec, distillation),
        )

    def teachers_of(self, method: str) -> Ensemble:
        """The teachers of a method's students."""
        return self.teachers

    def has(self, method: str) -> bool:
        """Whether a method can be shown: always, but where weights are opened that lack it."""
        return self.weights is None or self.weights.has(method)


DYNAMIC: Mapping[str, str] = {
    "dynamic_evoaug": "evoaug",
    "dynamic_mutagenesis": "mutagenesis",
    "dynamic_shuffle": "shuffle",
}
"""Methods whose students' minibatches are augmented and then labelled, with their schemes."""


def distillation_of(method: str) -> DistillationSettings:
    """How students of a method are distilled.

    Examples
    --------
    >>> distillation_of("student_log_variance").epistemic
    'log_variance'
    """
    augmentation = Augmentation(scheme(DYNAMIC[method])) if method in DYNAMIC else None
    epistemic: Form = "log_variance" if method == "student_log_variance" else "std"
    return DistillationSettings(epistemic=epistemic, augmentation=augmentation)


_STUDENTS = 1000


def student_seed(seed: int, index: int) -> int:
    """Seed of a student: never that of one of its teachers, so it does not start as one did."""
    return member_seed(seed, _STUDENTS + index)
