"""Setups: the architecture and training of a data set's networks, and how much of it is taken."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.distillation.failures.members import Unlearned
from degu_tf.distillation.recipes import BEST, Recipe
from degu_tf.distillation.recipes import recipe as training_recipe
from degu_tf.paper.networks.weights import DataWeights
from degu_tf.paper.recipes import recipe
from degu_tf.training.model_spec import Architecture, ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

QUICK_LENGTH = 120
"""Bases of simulated sequences at the preset `quick`."""


@dataclass(frozen=True)
class Setup:
    """An architecture, how it is trained, and how much data there is.

    Attributes
    ----------
    spec
        Architecture of teachers and, but for what a recipe changes, students.
    training
        How both are trained where there is no recipe.
    sizes
        Most training, validation and test sequences; None for all.
    recipe
        How teachers and students are trained instead.
    length
        Bases of simulated sequences; None for the assay's.
    """

    spec: ModelSpec
    training: TrainingSettings = field(default_factory=TrainingSettings)
    sizes: tuple[int, int, int] | None = None
    recipe: Recipe | None = None
    length: int | None = None

    def teacher_settings(self, splits: Splits) -> TrainingSettings:
        """How teachers of these data are trained."""
        return self.training if self.recipe is None else self.recipe.teacher_settings(splits)

    @property
    def unlearned(self) -> Unlearned:
        """What becomes of teachers that did not learn: they stay, but for what a recipe says."""
        return "keep" if self.recipe is None else self.recipe.unlearned

    def teacher_spec(self, splits: Splits) -> ModelSpec:
        """Architecture of teachers of these data."""
        if self.recipe is None:
            return self.spec
        return self.recipe.teacher_spec(self.spec, splits.heads)

    def student(
        self, splits: Splits, teachers: Architecture, method: DistillationSettings | None = None
    ) -> dict[str, Any]:
        """Arguments of `Store.students` for students of these data, but for their seeds.

        Parameters
        ----------
        splits
            The data.
        teachers
            Architecture of their teachers.
        method
            How they are distilled; a recipe's own way by default. Of a method with an augmentation
            minibatches are labelled on the fly, by every recipe.
        """
        if self.recipe is None:
            return {"settings": self.training, "distillation": method or DistillationSettings()}
        spec = self.recipe.student_spec(teachers)
        labels = self.recipe.student_labels(splits)
        if method is not None:
            labels = dataclasses.replace(labels, epistemic=method.epistemic)
            if method.augmentation is not None:
                labels = dataclasses.replace(labels, augmentation=method.augmentation, pool=None)
        settings = self.recipe.student_settings(splits, spec)
        return {"spec": spec, "settings": settings, "distillation": labels}

    def by(self, name: str) -> "Setup":
        """The setup trained by the recipe of that name.

        In as many steps as the setup's own training takes, where both count in steps.
        """
        return dataclasses.replace(self, recipe=in_steps_of(training_recipe(name), self._steps))

    @property
    def _steps(self) -> int | None:
        """Optimiser steps of a teacher; None where they follow from the data."""
        if self.recipe is not None:
            return self.recipe.teacher_steps
        per_epoch = self.training.steps_per_epoch
        return None if per_epoch is None else self.training.epochs * per_epoch

    def at(self, fraction: float) -> "Setup":
        """The setup of a share of the training data: the same."""
        return self

    def shares(self, fractions: tuple[float, ...]) -> tuple[float, ...]:
        """Of shares of the training data those that there are models of: all."""
        return fractions


@dataclass(frozen=True)
class OpenedSetup(Setup):
    """A setup whose models are opened from weights; nothing is trained.

    Attributes
    ----------
    weights
        Those of its data set.
    """

    weights: DataWeights = field(kw_only=True)

    def at(self, fraction: float) -> "OpenedSetup":
        """The weights of that share of the training data."""
        return dataclasses.replace(self, weights=self.weights.at(fraction))

    def shares(self, fractions: tuple[float, ...]) -> tuple[float, ...]:
        """Shares of which there are teachers, whatever a preset's are."""
        return self.weights.fractions


def small_setup(
    name: str,
    options: dict,
    epochs: int,
    steps: int,
    sizes: tuple[int, int, int],
    learning_rate: float = 2e-3,
    length: int | None = None,
) -> Setup:
    """Little data and time: a higher rate, and the same number of steps at every share."""
    training = TrainingSettings(
        epochs=epochs, batch_size=32, steps_per_epoch=steps, learning_rate=learning_rate
    )
    return Setup(ModelSpec(name, options), training, sizes, length=length)


def quick_setup(sizes: tuple[int, int, int]) -> Setup:
    """The paper's training in 3,000 steps, at a higher rate that falls along half a cosine.

    Chosen on teachers alone, before any student was trained: with 12,000 simulated sequences of
    120 bases all single models learn (r .80 to .83 and .85 on two targets, where a ridge on counts
    of 5-mers has .81 and .85), and three of them together gain .02 and .01. So short a sequence
    takes half the time of an assay's.
    """
    training = TrainingSettings(
        epochs=20,
        batch_size=32,
        steps_per_epoch=150,
        learning_rate=4e-3,
        schedule="cosine",
        patience=None,
    )
    spec = ModelSpec("deepstarr", {"width": 0.25, "dropout": 0.2})
    return Setup(spec, training, sizes, length=QUICK_LENGTH)


def best_setup(
    name: str,
    options: dict,
    steps: int,
    sizes: tuple[int, int, int],
    length: int | None = None,
) -> Setup:
    """The recipe `best` in so many steps, of teachers and of students each."""
    recipe = in_steps_of(BEST, steps)
    return Setup(ModelSpec(name, options), sizes=sizes, recipe=recipe, length=length)


def in_steps_of(recipe: Recipe, steps: int | None) -> Recipe:
    """A recipe whose teachers and whose students each take so many steps.

    As it is for None, and where the recipe counts in epochs, as the paper's does.
    """
    if steps is None or recipe.teacher_steps is None:
        return recipe
    return dataclasses.replace(recipe, teacher_steps=steps, student_steps=steps)


def by_recipe(settings: Any, name: str) -> Any:
    """A preset's settings with every setup among them trained by the recipe of that name.

    Raises
    ------
    InputError
        If there is no setup among them.
    """
    fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    setups = {key: value.by(name) for key, value in fields.items() if isinstance(value, Setup)}
    if not setups:
        raise InputError(
            "expected no --recipe, for this figure's networks are trained in one way. "
            f"Received: --recipe {name}"
        )
    return dataclasses.replace(settings, **setups)


def published_setup(name: str) -> Setup:
    """Architecture and training of a recipe, on all data."""
    return Setup(recipe(name).spec, recipe(name).settings)


SEVERAL_TARGETS: Mapping[str, Setup] = {
    "smoke": small_setup("deepstarr", {"width": 0.05}, 1, 2, (80, 32, 64)),
    "quick": quick_setup((12_000, 500, 1000)),
    "paper": published_setup("starrseq"),
}
"""For each preset, how data with several targets are trained: models that Figs. 3 to 6 share."""

ONE_TARGET: Mapping[str, Setup] = {
    "smoke": small_setup("deepstarr", {"width": 0.05}, 1, 2, (80, 40, 64)),
    "quick": quick_setup((12_000, 1000, 2000)),
    "paper": published_setup("lentimpra_k562"),
}
"""The same for data with one target.

At `quick` they have a DeepSTARR too, which learns from a few thousand sequences where ResidualBind
does not.
"""
