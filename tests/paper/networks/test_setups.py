"""Setups of figures: their own training, and the package's recipes in its place."""

from dataclasses import dataclass

import pytest

import degu_tf as degu
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.distillation.recipes import BEST, PAPER
from degu_tf.paper.networks.setups import (
    SEVERAL_TARGETS,
    Setup,
    best_setup,
    by_recipe,
    small_setup,
)
from degu_tf.paper.networks.trained_models import distillation_of

SMALL = small_setup("deepstarr", {"width": 0.05}, 3, 4, (80, 32, 64))


@pytest.fixture(scope="module")
def splits():
    return degu.simulate((200, 20, 20), length=40).splits


def test_without_a_recipe_both_are_trained_alike(splits):
    student = SMALL.student(splits, SMALL.spec, DistillationSettings(epistemic="log_variance"))
    assert SMALL.teacher_settings(splits) == student["settings"] == SMALL.training
    assert SMALL.teacher_spec(splits) == SMALL.spec
    assert student["distillation"] == DistillationSettings(epistemic="log_variance")


def test_best_takes_the_steps_of_the_preset(splits):
    setup = SMALL.by("best")
    teachers, student = setup.teacher_settings(splits), setup.student(splits, SMALL.spec)
    for settings in (teachers, student["settings"]):
        assert settings.epochs * settings.steps_per_epoch == 12
        assert settings.schedule == "cosine"
    assert setup.teacher_spec(splits).head == student["spec"].head == "positive"
    assert student["spec"].options["width"] == 0.1
    assert student["distillation"].augmentation == BEST.distillation.augmentation


def test_a_setup_of_a_recipe_keeps_its_steps(splits):
    setup = best_setup("deepstarr", {}, 50, (80, 32, 64))
    assert setup.by("best") == setup


def test_paper_is_to_the_letter(splits):
    setup = SMALL.by("paper")
    assert setup.recipe is PAPER
    assert setup.teacher_settings(splits) == degu.TrainingSettings()
    assert setup.student(splits, SMALL.spec)["settings"] == degu.TrainingSettings()


def test_methods_of_a_recipe_label_their_own_sequences(splits):
    dynamic = distillation_of("dynamic_shuffle")
    made = SMALL.by("best").student(splits, SMALL.spec, dynamic)["distillation"]
    assert made.augmentation == dynamic.augmentation
    assert made.pool is None
    log = SMALL.by("best").student(splits, SMALL.spec, distillation_of("student_log_variance"))
    assert log["distillation"].epistemic == "log_variance"
    assert log["distillation"].augmentation == BEST.distillation.augmentation


@dataclass(frozen=True)
class Two:
    n_members: int
    several: Setup
    none: Setup | None


def test_every_setup_among_settings_is_trained_by_it():
    settings = by_recipe(Two(3, SMALL, None), "best")
    assert settings.several == SMALL.by("best")
    assert (settings.n_members, settings.none) == (3, None)


def test_settings_without_a_setup_have_no_recipe():
    settings = small_setup("deepstarr", {}, 1, 1, (8, 8, 8)).training
    with pytest.raises(degu.InputError, match=r"expected no --recipe.*--recipe best"):
        by_recipe(settings, "best")


def test_quick_takes_3000_steps(splits):
    recipe = SEVERAL_TARGETS["quick"].by("best").recipe
    assert (recipe.teacher_steps, recipe.student_steps) == (3000, 3000)
