"""Simulated replicates, whose noise is known: what students make of it, and their intervals."""

import numpy as np
import pytest

from degu_tf.data.simulation.mpra import simulate
from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.metrics.correlation import correlation
from degu_tf.metrics.intervals import reliability_curve
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.uncertainty.conformal.conformal import Conformal

pytestmark = pytest.mark.slow

STANDARD_ERROR = 0.013
"""Of a correlation of 6,000 pairs."""


@pytest.fixture(scope="module")
def simulated():
    return simulate((20_000, 3000, 6000), length=100, seed=0)


SETTINGS = TrainingSettings(epochs=15, learning_rate=2e-3)


@pytest.fixture(scope="module")
def teachers(simulated):
    """Two models that learn from the deviation of three replicates."""
    spec = ModelSpec("deepstarr", {"width": 0.25, "dropout": 0.2})
    return train_ensemble(simulated.splits, spec, 2, SETTINGS, Run(progress=False))


@pytest.fixture(scope="module")
def student(simulated, teachers):
    return distill(teachers, simulated.splits, settings=SETTINGS, run=Run(seed=1, progress=False))


def test_aleatoric_heads_know_the_noise_better_than_the_replicates_they_learnt_from(
    simulated, teachers
):
    splits, noise = simulated.splits, simulated.truth.noise["test"]
    prediction = teachers.predict(splits.test.sequences)
    measured = splits.heads.std(splits.test.targets, "aleatoric")
    for index in range(2):
        learnt = correlation(prediction.aleatoric[:, index], noise[:, index])
        replicates = correlation(measured[:, index], noise[:, index])
        assert learnt > replicates + STANDARD_ERROR


@pytest.mark.parametrize("component", ["aleatoric", "epistemic", "total"])
def test_conformal_intervals_are_reliable_at_every_level(simulated, student, component):
    splits = simulated.splits
    held, new = (student.predict(part.sequences) for part in (splits.validation, splits.test))
    given = (new, splits.test.targets, splits.heads)
    conformal = Conformal(component).fit(
        held, splits.validation.targets, splits.heads, splits.validation.sequences
    )
    conformal.check_unseen(splits.test.sequences)
    after = reliability_curve(*given, components=(component,), interval=conformal.interval)
    after = after[after["metric"] == "coverage"]
    assert after["n"].min() >= 5000
    assert np.abs(after["value"] - after["level"]).max() < 0.03
