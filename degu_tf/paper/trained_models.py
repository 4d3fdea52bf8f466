"""Teachers and students of one data set, trained when first needed.

Figures that train or compute more add it in a subclass.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.data_sets import Setup
from degu_tf.paper.script import Context
from degu_tf.paper.store import Store
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
        Architecture and training of all of them.
    """

    def __init__(self, context: Context, splits: Splits, setup: Setup) -> None:
        self.splits = splits
        self._settings: Any = context.settings
        self._store: Store = context.store
        self._seed = context.seed
        self._setup = setup

    @cached_property
    def teachers(self) -> Ensemble:
        """The standard ensemble, whose members are the models of standard training."""
        return self._store.teachers(
            self.splits,
            self._setup.spec,
            self._settings.n_members,
            self._setup.training,
            self._seed,
        )

    def students_of(
        self, teachers: Ensemble, distillation: DistillationSettings | None = None
    ) -> Iterator[ModelPredictor]:
        """Students, each from its own seed."""
        yield from self._store.students(
            teachers,
            self.splits,
            [student_seed(self._seed, index) for index in range(self._settings.n_students)],
            settings=self._setup.training,
            distillation=distillation,
        )


DYNAMIC: Mapping[str, str] = {
    "dynamic_evoaug": "evoaug",
    "dynamic_mutagenesis": "mutagenesis",
    "dynamic_shuffle": "shuffle",
}
"""Methods whose students' minibatches are augmented and then labelled, with their schemes."""


_STUDENTS = 1000


def student_seed(seed: int, index: int) -> int:
    """Seed of a student: never that of one of its teachers, so it does not start as one did."""
    return member_seed(seed, _STUDENTS + index)
