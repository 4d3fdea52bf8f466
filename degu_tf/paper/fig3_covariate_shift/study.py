"""The runs behind Fig. 3 and Supplementary Figs. 3, 5 and 6, named and trained in one place.

The figures ask for the same teachers, oracle and students, so whichever script comes first trains
them and the others find them in the store. `distances` and `scores` make the figures' tables
of any predictors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from degu_tf.data.splits import Split
from degu_tf.distillation.distill import Augmentation, DistillationSettings
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.models.predictor import ModelPredictor, Predictor
from degu_tf.paper.data_sets import activity_data
from degu_tf.paper.fig3_covariate_shift.shifted_sets import (
    distance_to_oracle,
    oracle_activity,
    shifted_sets,
)
from degu_tf.paper.networks.setups import SEVERAL_TARGETS
from degu_tf.paper.networks.trained_models import DYNAMIC, student_seed
from degu_tf.paper.recipes import recipe
from degu_tf.paper.script import Context
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import member_seed
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

METHODS = ("single", "student", *DYNAMIC)
"""Fig. 3's methods in its order: standard training, static and dynamic distillation."""

MATCHING: Mapping[str, str] = {
    "small": "dynamic_mutagenesis",
    "intermediate": "dynamic_evoaug",
    "large": "dynamic_shuffle",
}
"""The dynamic method that trains on the kind of sequences a shift is made of."""

SHIFTS: Mapping[str, str] = {
    "none": "None\n(test set)",
    "small": "Small\n(5 % mutated)",
    "intermediate": "Intermediate\n(EvoAug)",
    "large": "Large\n(shuffled)",
}
"""What figures call the shifts."""

DATA_HELP = (
    "HDF5 file (paper: STARR-seq) made by `degu prepare` or released. Simulated data without"
)

_ORACLE = 2000


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Models of the figure and their training.

    Attributes
    ----------
    n_members
        Number of teachers, and of members of the oracle.
    n_students
        Students of each method.
    spec, training
        Architecture and training of all of them.
    sizes
        Maximum number of sequences for train, validation and test; None for all.
    length
        Bases of simulated sequences; None for STARR-seq's.
    """

    n_members: int
    n_students: int
    spec: ModelSpec
    training: TrainingSettings
    sizes: tuple[int, int, int] | None = None
    length: int | None = None


def _setup(preset: str, n_members: int, n_students: int) -> Setup:
    several = SEVERAL_TARGETS[preset]
    return Setup(
        n_members=n_members,
        n_students=n_students,
        spec=several.spec,
        training=several.training,
        sizes=several.sizes,
        length=several.length,
    )


PRESETS: Mapping[str, Setup] = {
    "smoke": _setup("smoke", 2, 1),
    "quick": _setup("quick", 5, 5),
    "paper": _setup("paper", recipe("starrseq").n_members, recipe("starrseq").n_students),
}
"""Settings of the figures' presets; teachers are those of Fig. 5's data of several targets."""


class Study:
    """Data and models of the figures; a model is trained when first needed.

    Parameters
    ----------
    context
        A script's context whose settings are a `Setup`.

    Raises
    ------
    InputError
        If the preset needs the data and none are given, or more than one file is.
    """

    def __init__(self, context: Context) -> None:
        self.settings: Setup = context.settings
        self.store, self.seed = context.store, context.seed
        self.name, self.splits = activity_data(
            context, context.settings.sizes, context.settings.length
        )

    @cached_property
    def teachers(self) -> Ensemble:
        """The ensemble of standard training: Fig. 3's single models, and all students' teachers."""
        settings = self.settings
        return self.store.teachers(
            self.splits, settings.spec, settings.n_members, settings.training, self.seed
        )

    @cached_property
    def oracle(self) -> Ensemble:
        """The ensemble trained with EvoAug, which judges, from seeds that no teacher has."""
        settings = self.settings
        return self.store.teachers(
            self.splits,
            settings.spec,
            settings.n_members,
            replace(settings.training, augment=scheme("evoaug_one")),
            member_seed(self.seed, _ORACLE),
        )

    @cached_property
    def shifted(self) -> dict[str, np.ndarray]:
        """The test sequences by shift."""
        return shifted_sets(self.splits.test.sequences, seed=self.seed)

    def students(self, method: str = "student") -> list[ModelPredictor]:
        """Students of the teachers: static ones, or those of a dynamic method.

        Raises
        ------
        InputError
            If the method is neither ``"student"`` nor in `DYNAMIC`.
        """
        if method not in ("student", *DYNAMIC):
            raise InputError(f"expected one of student, {', '.join(DYNAMIC)}. Received: {method!r}")
        augmentation = Augmentation(scheme(DYNAMIC[method])) if method in DYNAMIC else None
        return self._students(self.teachers, augmentation)

    def evoaug_students(self) -> list[ModelPredictor]:
        """Students of the EvoAug ensemble, trained with exactly one augmentation a minibatch.

        The label stays that of the unaugmented sequence (Supplementary Fig. 3).
        """
        return self._students(self.oracle, Augmentation(scheme("evoaug_one"), labels="static"))

    def models(self) -> dict[str, list[ModelPredictor]]:
        """All models of Fig. 3 by method."""
        students = {method: self.students(method) for method in METHODS[1:]}
        return {"single": self.teachers.members, **students}

    def _students(
        self, teachers: Ensemble, augmentation: Augmentation | None
    ) -> list[ModelPredictor]:
        students = self.store.students(
            teachers,
            self.splits,
            [student_seed(self.seed, index) for index in range(self.settings.n_students)],
            settings=self.settings.training,
            distillation=DistillationSettings(augmentation=augmentation),
        )
        return list(students)


def distances(
    models: Mapping[str, Sequence[Predictor]], oracle: Predictor, sets: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Mean squared error to the oracle of each model on every shifted set (Fig. 3b, c).

    Parameters
    ----------
    models
        Predictors by method, one a seed.
    oracle
        Predictor whose activity counts as the truth.
    sets
        Sequences by shift, from `degu_tf.paper.fig3_covariate_shift.shifted_sets.shifted_sets`.

    Returns
    -------
    pandas.DataFrame
        Columns `method`, `seed`, `shift`, `target`, `metric` (``"mse"``), `value` in the target's
        unit squared, `n` sequences.

    Raises
    ------
    InputError
        If there are no models, or a model and the oracle have different targets.
    """
    truth = oracle_activity(oracle, sets)
    return _of_each(
        models, lambda model, **labels: distance_to_oracle(model, truth, sets, **labels)
    )


def scores(
    models: Mapping[str, Sequence[Predictor]], split: Split, heads: HeadLayout
) -> pd.DataFrame:
    """Scores of each model on measured sequences (Supplementary Figs. 3 and 6).

    Parameters
    ----------
    models
        Predictors by method, one a seed.
    split
        Sequences with measured columns.
    heads
        Layout of those columns.

    Returns
    -------
    pandas.DataFrame
        Columns `method`, `seed`, `target`, `head`, `metric`, `value`, `n` as of
        `degu_tf.metrics.activity.score`.

    Raises
    ------
    InputError
        If there are no models, or their targets are not those of the data.
    """
    return _of_each(
        models,
        lambda model, **labels: score(
            model.predict(split.sequences), split.targets, heads, **labels
        ),
    )


def beside_static(table: pd.DataFrame) -> pd.DataFrame:
    """Each dynamic method's rows with those of the static students beside them.

    Parameters
    ----------
    table
        With a column `method`.

    Returns
    -------
    pandas.DataFrame
        The same columns and `dynamic`, the dynamic method a row is about or is compared with.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["student", "dynamic_shuffle"], "value": [0.5, 0.6]})
    >>> beside_static(table)["dynamic"].tolist()
    ['dynamic_shuffle', 'dynamic_shuffle']
    """
    parts = [
        table[table["method"].isin(["student", method])].assign(dynamic=method)
        for method in DYNAMIC
        if (table["method"] == method).any()
    ]
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0].assign(dynamic="")


def values(table: pd.DataFrame, method: str) -> np.ndarray:
    """Values of a method in the order of their seeds."""
    return table[table["method"] == method].sort_values("seed")["value"].to_numpy()


def _of_each(
    models: Mapping[str, Sequence[Predictor]], measure: Callable[..., pd.DataFrame]
) -> pd.DataFrame:
    tables = [
        measure(model, method=method, seed=seed)
        for method, group in models.items()
        for seed, model in enumerate(group)
    ]
    if not tables:
        raise InputError(f"expected models by method. Received: {dict(models)}")
    return pd.concat(tables, ignore_index=True)
