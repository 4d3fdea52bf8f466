"""Recipes: how teachers and students are trained, by name and as data."""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from degu_tf.data.pipeline import steps_per_epoch
from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings
from degu_tf.distillation.failures.members import Unlearned
from degu_tf.heads import HeadLayout
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.settings import TrainingSettings, settings_for
from degu_tf.utils.errors import InputError

SHORTEST_EPOCH = 200
"""Steps between two validations where a length is given in steps: of small data sets several
passes, whose validations would otherwise take as long as the training."""


@dataclass(frozen=True)
class Recipe:
    """How the teachers and the students of a data set are trained.

    Attributes
    ----------
    name
        The recipe's name, recorded in runs.
    teachers, students
        How each is trained. Where a number of steps is given, it takes the place of the epochs.
    teacher_steps, student_steps
        Optimiser steps, so that small and large data sets both converge; None for the epochs.
    teacher_sequences, student_sequences
        Training sequences up to which these steps suffice: of more, each takes more steps in
        proportion, and students up to twice the label pool. None for as many steps of any data.
    distillation
        What students learn from, but for the size of the label pool.
    pool_size
        Augmented sequences that the teachers label once, about; None for none.
    student_rate_unnormalised
        Learning rate of students without batch normalisation; None for that of `students`.
    student_width
        A student's width as a multiple of its teachers'.
    student_dropout
        Rate of every dropout layer of a student; None for the teachers'.
    positive_uncertainty
        Whether standard deviations are predicted through softplus, by students and teachers.
    unlearned
        What becomes of teachers that did not learn, as in `train_ensemble`: the paper left out
        none.

    Examples
    --------
    >>> RECIPES["paper"].teachers.schedule, RECIPES["best"].teachers.schedule
    ('plateau', 'cosine')
    """

    name: str
    teachers: TrainingSettings
    students: TrainingSettings
    distillation: DistillationSettings
    pool_size: int | None = None
    teacher_steps: int | None = None
    student_steps: int | None = None
    teacher_sequences: int | None = None
    student_sequences: int | None = None
    student_rate_unnormalised: float | None = None
    student_width: float = 1.0
    student_dropout: float | None = None
    positive_uncertainty: bool = False
    unlearned: Unlearned = "keep"

    def teacher_settings(self, splits: Splits) -> TrainingSettings:
        """How the teachers of these data are trained.

        Examples
        --------
        >>> import degu_tf as degu
        >>> splits = degu.simulate((1000, 100, 100), length=40).splits
        >>> settings = RECIPES["best"].teacher_settings(splits)
        >>> settings.epochs * settings.steps_per_epoch == RECIPES["best"].teacher_steps
        True
        """
        n = len(splits.train)
        steps = self.teacher_steps and round(self.teacher_steps * _more(n, self.teacher_sequences))
        return in_steps(self.teachers, steps, n)

    def of_one_strand(self) -> "Recipe":
        """The recipe for activity that depends on the orientation: teachers see no other strand.

        Examples
        --------
        >>> recipe("best").of_one_strand().teachers.reverse_complement
        False
        """
        return replace(self, teachers=replace(self.teachers, reverse_complement=False))

    def student_settings(self, splits: Splits, spec: Architecture) -> TrainingSettings:
        """How a student of these data and of this architecture is trained.

        Examples
        --------
        >>> import degu_tf as degu
        >>> splits = degu.simulate((1000, 100, 100), length=40).splits
        >>> recipe("best").student_settings(splits, "deepstarr").learning_rate
        0.01
        >>> recurrent = ModelSpec("dream_rnn", {"width": 0.05})
        >>> recipe("best").student_settings(splits, recurrent).learning_rate
        0.003
        """
        settings = self._student_settings(len(splits.train))
        rate = self.student_rate_unnormalised
        if rate is None or has_batch_normalisation(spec, splits):
            return settings
        return replace(settings, learning_rate=rate)

    def student_labels(
        self, splits: Splits, settings: TrainingSettings | None = None, n_extra: int = 0
    ) -> DistillationSettings:
        """What a student of these data learns from, with the copies of its label pool.

        Parameters
        ----------
        splits
            The data.
        settings
            How the student is trained, if not in this recipe's steps: the pool holds no more than
            it sees.
        n_extra
            Sequences that nothing was measured of, which `distill` adds to the training data
            (`extra`): the pool holds copies of them too, and is no larger for it.

        Examples
        --------
        >>> import degu_tf as degu
        >>> splits = degu.simulate((1000, 100, 100), length=40).splits
        >>> recipe("best").student_labels(splits).pool * 1000 == recipe("best").pool_size
        True
        """
        if self.pool_size is None:
            return self.distillation
        n = len(splits.train)
        settings = settings or self._student_settings(n)
        steps = settings.steps_per_epoch or steps_per_epoch(splits.train, settings.batch_size)
        seen = settings.epochs * steps * settings.batch_size
        size = self.pool_size * min(2.0, _more(n, self.student_sequences))
        return replace(self.distillation, pool=math.ceil(min(size, seen) / (n + n_extra)))

    def _student_settings(self, n_train: int) -> TrainingSettings:
        """How a student is trained that has batch normalisation."""
        more = _more(n_train, self.student_sequences)
        steps = self.student_steps and round(self.student_steps * more)
        return in_steps(self.students, steps, n_train)

    def teacher_spec(self, spec: Architecture, heads: HeadLayout) -> ModelSpec:
        """The architecture of teachers that predict columns of this layout.

        Examples
        --------
        >>> spec = ModelSpec("deepstarr")
        >>> recipe("best").teacher_spec(spec, HeadLayout(("Dev",), aleatoric="std")).head
        'positive'
        """
        spec = as_spec(spec)
        if self.positive_uncertainty and heads.aleatoric == "std":
            return replace(spec, head="positive")
        return spec

    def student_spec(self, teachers: Architecture) -> ModelSpec:
        """The architecture of a student whose teachers have this one.

        Examples
        --------
        >>> recipe("best").student_spec(ModelSpec("deepstarr", {"width": 0.25})).options
        {'width': 0.5, 'dropout': 0.0}
        """
        spec = replace(as_spec(teachers), init=None)
        if self.student_width != 1.0:
            spec = with_width(spec, self.student_width)
        if self.student_dropout is not None:
            spec = with_dropout(spec, self.student_dropout)
        return replace(spec, head="positive") if self.positive_uncertainty else spec


class PaperRecipe(Recipe):
    """The paper's: its settings of a data set depend on whether the targets are profiles."""

    def teacher_settings(self, splits: Splits) -> TrainingSettings:
        """The paper's settings for activity or for profiles."""
        return settings_for(splits.train.targets)

    def student_settings(self, splits: Splits, spec: Architecture) -> TrainingSettings:
        """Those of the teachers, whatever the architecture."""
        return settings_for(splits.train.targets)


def _more(n_train: int, enough_for: int | None) -> float:
    """How many times the steps that are enough for so many sequences these data take."""
    return 1.0 if enough_for is None else max(1.0, n_train / enough_for)


def in_steps(settings: TrainingSettings, steps: int | None, n_train: int) -> TrainingSettings:
    """The settings with epochs that take about so many steps; None leaves them as they are.

    An epoch is one pass over the data, or `SHORTEST_EPOCH` steps where a pass has fewer.

    Examples
    --------
    >>> settings = in_steps(TrainingSettings(), 8000, n_train=4000)
    >>> settings.epochs, settings.steps_per_epoch
    (40, 200)
    """
    if steps is None:
        return settings
    a_pass = -(-n_train // settings.batch_size)
    epoch = max(a_pass, min(SHORTEST_EPOCH, steps))
    return replace(settings, epochs=max(1, round(steps / epoch)), steps_per_epoch=epoch)


def has_batch_normalisation(spec: Architecture, splits: Splits) -> bool:
    """Whether a network of this architecture for these data has a layer that normalises batches.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((10, 10, 10), length=40).splits
    >>> [has_batch_normalisation(name, splits) for name in ("mprann", "dream_rnn")]
    [True, False]
    """
    model = as_spec(spec).build(splits.input_shape, splits.heads, seed=0)
    return any(
        isinstance(layer, keras.layers.BatchNormalization)
        for layer in model._flatten_layers()  # those of nested models too
    )


def with_dropout(spec: ModelSpec, rate: float) -> ModelSpec:
    """The architecture with one rate for all its dropout layers, or unchanged if it has none.

    Examples
    --------
    >>> with_dropout(ModelSpec("deepstarr"), 0.0).options
    {'dropout': 0.0}
    """
    names = [name for name in spec.choices() if "dropout" in name]
    return replace(spec, options={**spec.options, **dict.fromkeys(names, rate)})


def with_width(spec: ModelSpec, factor: float) -> ModelSpec:
    """The architecture so many times as wide, or unchanged if it has no such number.

    A width that is a whole number by default stays one: it counts filters of a user's network.

    Examples
    --------
    >>> with_width(ModelSpec("deepstarr"), 2.0).options
    {'width': 2.0}
    >>> def network(input_shape, n_columns, width=16): ...
    >>> with_width(ModelSpec(network), 2.0).options
    {'width': 32}
    """
    default = spec.choices().get("width")
    width = spec.options.get("width", default)
    if isinstance(width, bool) or not isinstance(width, int | float):
        return spec
    counts = isinstance(width if default in (None, inspect.Parameter.empty) else default, int)
    wider = round(factor * width) if counts else float(factor * width)
    return replace(spec, options={**spec.options, "width": wider})


PAPER = PaperRecipe("paper", TrainingSettings(), TrainingSettings(), DistillationSettings())
"""The paper's settings: the plateau rule, early stopping, static labels. Profiles have their own
(`degu_tf.training.settings.PROFILE_SETTINGS`)."""

BEST = Recipe(
    "best",
    teachers=TrainingSettings(
        learning_rate=4e-3,
        schedule="cosine",
        patience=None,
        augment=scheme("evoaug_one"),
        reverse_complement=True,
    ),
    teacher_steps=16_000,
    teacher_sequences=24_000,
    students=TrainingSettings(learning_rate=1e-2, schedule="cosine", patience=None),
    student_steps=16_000,
    student_sequences=12_000,
    distillation=DistillationSettings(
        augmentation=Augmentation(scheme("mosaic:0.85,mutagenesis=0.04:0.15")),
        validation="ensemble",
    ),
    pool_size=500_000,
    student_rate_unnormalised=3e-3,
    student_width=2.0,
    student_dropout=0.0,
    positive_uncertainty=True,
    unlearned="leave-out",
)
"""What measurements on a real library led to, with 4,000, 12,000 and 36,000 training oligos; see
`notebooks/how_much_a_student_keeps.ipynb`."""

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (PAPER, BEST)}
"""Recipes by name."""


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> recipe("best").student_dropout
    0.0
    """
    if name not in RECIPES:
        raise InputError(f"expected one of the recipes {', '.join(RECIPES)}. Received: {name!r}")
    return RECIPES[name]


def default_recipe(splits: Splits) -> Recipe:
    """The recipe that is used where none is named: `BEST`, or `PAPER` for profiles."""
    return PAPER if splits.train.targets.ndim == 3 else BEST


def provenance_of(chosen: Recipe) -> dict[str, Any]:
    """What a run records of its recipe: nothing for the paper's, whose settings say it all."""
    return {} if chosen.name == "paper" else {"recipe": chosen.name}
