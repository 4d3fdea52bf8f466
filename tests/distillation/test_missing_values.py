"""Teachers and students of data with missing values and weights."""

from dataclasses import replace

import numpy as np
import pytest

from degu_tf.distillation.baseline import baseline_of
from degu_tf.distillation.distill import DistillationSettings, distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run, unlearned_members
from degu_tf.distillation.labels import student_splits
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings

SHORT = TrainingSettings(epochs=2, batch_size=40, learning_rate=0.02)


def with_gaps(splits, seed=0):
    """Hk is missing in about 40 % of the rows, and the deviation of Dev in others."""
    parts = {}
    for name, split in splits.items():
        rng = np.random.default_rng([seed, len(split)])
        targets = split.targets.copy()
        targets[rng.random(len(split)) < 0.4, 1::2] = np.nan
        targets[rng.random(len(split)) < 0.3, 2] = np.nan
        parts[name] = replace(split, targets=targets, missing_targets="keep")
    return replace(splits, **parts)


@pytest.fixture(scope="module")
def gapped(splits):
    return with_gaps(splits)


@pytest.fixture(scope="module")
def weights(splits):
    return np.random.default_rng(8).uniform(1, 50, len(splits.train))


def test_training_labels_are_complete_and_validation_has_the_gaps(teachers, splits, gapped):
    complete, labelled = student_splits(teachers, splits), student_splits(teachers, gapped)
    np.testing.assert_array_equal(labelled.train.targets, complete.train.targets)
    for name in ("validation", "test"):
        targets, measured = getattr(labelled, name).targets, getattr(gapped, name).targets
        np.testing.assert_array_equal(targets[:, :4], measured)
        assert np.isfinite(targets[:, 4:]).all()
    assert labelled.train.value_weights is None
    assert labelled.validation.value_weights is not None
    ensembles = student_splits(teachers, gapped, validation="ensemble")
    assert ensembles.validation.value_weights is None
    assert labelled.fingerprint != complete.fingerprint


def test_a_share_of_what_was_measured_goes_where_it_was_measured(teachers, gapped):
    teachers_own = student_splits(teachers, gapped).train.targets[:, :2]
    found = student_splits(teachers, gapped, measured_share=0.3).train.targets[:, :2]
    measured = gapped.train.targets[:, :2]
    expected = np.where(np.isnan(measured), teachers_own, 0.7 * teachers_own + 0.3 * measured)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_weights_are_shares_of_what_was_measured_and_no_weights_of_labels(
    teachers, splits, gapped, weights
):
    weighted = replace(gapped, train=replace(gapped.train, weights=weights))
    plain, labelled = student_splits(teachers, gapped), student_splits(teachers, weighted)
    assert labelled.train.weights is None
    np.testing.assert_array_equal(labelled.train.targets, plain.train.targets)
    assert labelled.fingerprint != plain.fingerprint
    found = student_splits(teachers, weighted, measured_share=0.3).train.targets[:, 0]
    w = weights / weights.mean()
    shares = 0.3 * w / (0.7 + 0.3 * w)
    expected = (1 - shares) * plain.train.targets[:, 0] + shares * gapped.train.targets[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    validation = replace(splits.validation, weights=np.arange(1, 41))
    measured = student_splits(teachers, replace(splits, validation=validation))
    np.testing.assert_array_equal(measured.validation.weights, validation.weights)
    ensembles = student_splits(
        teachers, replace(splits, validation=validation), validation="ensemble"
    )
    assert ensembles.validation.weights is None


@pytest.fixture(scope="module")
def runs(gapped, spec, weights, tmp_path_factory):
    """Two teachers and their student of data with gaps and weights."""
    folder = tmp_path_factory.mktemp("gaps")
    data = replace(gapped, train=replace(gapped.train, weights=weights))
    teachers = train_ensemble(data, spec, 2, SHORT, Run(folder / "t", progress=False))
    student = distill(
        teachers, data, settings=SHORT, run=Run(folder / "s", progress=False),
        distillation=DistillationSettings(validation="measured"),
    )  # fmt: skip
    return folder, data, teachers, student


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_what_is_evaluated_is_what_was_measured(runs):
    folder, data, teachers, _ = runs
    table = evaluate_run(folder / "s", data.test, data.heads)
    assert np.isfinite(table["value"]).all()
    counts = table[table["metric"] == "pearson"].groupby(["head", "target"])["n"].unique()
    n = data.n_values("test")
    assert counts["activity", "Dev"] == [40] == [n["Dev"]]
    assert counts["activity", "Hk"] == [n["Hk"]] != [40]
    assert counts["aleatoric", "Dev"] == [np.isfinite(data.test.targets[:, 2]).sum()]
    row = table.query(
        "method == 'ensemble' and metric == 'mse' and target == 'Hk' and head == 'activity'"
    )
    rows = ~np.isnan(data.test.targets[:, 1])
    error = teachers.predict(data.test.sequences).mean[rows, 1] - data.test.targets[rows, 1]
    np.testing.assert_allclose(row["value"], np.mean(error**2), rtol=1e-5)
    assert {target for _, target in unlearned_members(teachers, data.test, data.heads)} <= {
        "Dev", "Hk",
    }  # fmt: skip
    baseline = baseline_of(folder / "s", data)
    assert baseline.is_runs_data
    assert baseline.evaluate(data.test, data.heads)["n"].tolist() == [40] * 3 + [n["Hk"]] * 3


def test_a_run_with_gaps_is_found_again_and_other_data_are_refused(runs, spec, splits):
    folder, data, teachers, _ = runs
    run = Run(folder / "t", progress=False)
    again = train_ensemble(data, spec, 2, SHORT, run)
    assert again.fingerprint() == teachers.fingerprint()
    others = [
        splits,
        with_gaps(splits, seed=1),
        replace(data, train=replace(data.train, weights=None)),
        replace(data, train=replace(data.train, weights=data.train.weights[::-1])),
    ]
    for other in others:
        with pytest.raises(Exception, match="another run"):
            train_ensemble(other, spec, 2, SHORT, run)


@pytest.mark.slow
def test_teachers_of_a_likelihood_and_students_of_a_pool_learn_beside_gaps(gapped, spec):
    from degu_tf.distillation.distill import Augmentation
    from degu_tf.training.augmentation.names import scheme

    settings = replace(SHORT, loss="gaussian_nll", augment=scheme("evoaug_one"))
    teachers = train_ensemble(gapped, spec, 2, settings, Run(progress=False))
    student = distill(
        teachers, gapped, settings=SHORT, run=Run(progress=False),
        distillation=DistillationSettings(
            augmentation=Augmentation(scheme("mutagenesis")), pool=1, init="best-teacher"
        ),
    )  # fmt: skip
    assert np.isfinite(student.columns(gapped.test.sequences)).all()
    on_the_fly = DistillationSettings(augmentation=Augmentation(scheme("mutagenesis")))
    student = distill(
        teachers, gapped, settings=SHORT, run=Run(progress=False), distillation=on_the_fly
    )
    assert np.isfinite(student.columns(gapped.test.sequences)).all()
