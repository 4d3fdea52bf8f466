"""Masked training equals training on the rows present, and weights equal repeated rows."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from degu_tf.data.pipeline import evaluation_batches, training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.models import registry
from degu_tf.training.forward import Learner, TrainingForward
from degu_tf.training.losses import DistillationLoss, GaussianNLL
from degu_tf.training.objective import Objective, measured_objective
from degu_tf.training.present_values import PresentValues, fitting_loss
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import StandardisedLoss
from degu_tf.training.train import fit, train
from degu_tf.utils.errors import InputError

N, LENGTH = 40, 6
LONGER = 32
TWO = HeadLayout(("a", "b"))
NOISY = HeadLayout(("a", "b"), aleatoric="std")
QUIET = {"verbose": 0, "shuffle": False}
ONE_BATCH = TrainingSettings(epochs=5, batch_size=1000, learning_rate=0.05, patience=None)


def split(columns=2, seed=0, missing=0.4, n=N, length=LENGTH, **given):
    """Random sequences, of whose values a share is missing, a different one in each column."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, columns))
    for column in range(1, columns):
        y[rng.random(n) < missing, column] = np.nan
    keep = "keep" if missing else "refuse"
    return Split(rng.integers(0, 4, (n, length), np.uint8), y, missing_targets=keep, **given)


def splits_of(train, validation, heads):
    return Splits(train, validation, validation, heads, has_test=False)


def halves(columns):
    """Training data, and half of it for validation, so that no epoch is worse than the last."""
    train = split(columns)
    return train, train.take(slice(N // 2))


def of_column(part, column):
    """The rows of a split that have a value in a column, and that column."""
    rows = np.flatnonzero(~np.isnan(part.targets[:, column]))
    weights = None if part.weights is None else part.weights[rows]
    return Split(part.sequences[rows], part.targets[rows][:, [column]], weights=weights)


def linear(columns):
    """Columns that share no weight; all start from zero."""
    sequence = keras.Input((LENGTH, 4))
    flat = keras.layers.Flatten()(sequence)
    out = keras.layers.Dense(columns, kernel_initializer="zeros")(flat)
    return keras.Model(sequence, out)


def by_hand(part, column, rate, steps):
    """Gradient descent on the mean squared error of the rows present."""
    rows = ~np.isnan(part.targets[:, column])
    x = np.eye(4)[part.sequences[rows]].reshape(rows.sum(), -1)
    y, weights, bias = part.targets[rows, column].astype(float), np.zeros(4 * LENGTH), 0.0
    each = np.ones(len(y))
    if part.weights is not None:
        each = part.weights[rows].reshape(len(y), -1).astype(float)
        each = each[:, column if each.shape[1] > 1 else 0]
    each = each / each.sum()
    for _ in range(steps):
        error = 2 * each * (x @ weights + bias - y)
        weights, bias = weights - rate * x.T @ error, bias - rate * error.sum()
    return weights, bias


@pytest.mark.parametrize("weighted", [None, (N,), (N, 3)])
def test_gradient_descent_on_all_rows_is_that_on_the_rows_present_target_by_target(weighted):
    given = {"weights": np.random.default_rng(5).uniform(0.1, 300, weighted)} if weighted else {}
    part = split(3, **given)
    model = linear(3)
    learner = Learner(model)
    loss = fitting_loss("mse", splits_of(part, part, HeadLayout(("a", "b", "c"))))
    learner.compile(keras.optimizers.SGD(0.1 * 3), loss=loss)
    learner.fit(training_batches(part, 1000, seed=0), epochs=7, steps_per_epoch=1, **QUIET)
    kernel, bias = model.get_weights()
    for column in range(3):
        expected, intercept = by_hand(part, column, rate=0.1, steps=7)
        np.testing.assert_allclose(kernel[:, column], expected, atol=2e-6)
        np.testing.assert_allclose(bias[column], intercept, atol=2e-6)


def fitted(model, train, validation, heads, settings=ONE_BATCH, objective=None):
    return fit(
        model, splits_of(train, validation, heads), settings, objective=objective, progress=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "huber", "gaussian_nll", "deep_evidential"])
def test_teachers_learn_each_target_from_the_rows_that_have_it(loss):
    settings = replace(ONE_BATCH, loss=loss)
    train, validation = halves(2)
    objective = measured_objective(settings, TWO)
    roles = len(objective.heads.roles)
    # a positive start, where the evidential distribution is defined
    start = [np.zeros((4 * LENGTH, 2 * roles)), np.full(2 * roles, 1.5)]
    model = linear(2 * roles)
    model.set_weights(start)
    history = fitted(model, train, validation, TWO, settings)
    kernel, alone_losses = model.get_weights()[0], []
    for column in (0, 1):
        alone = linear(roles)
        alone.set_weights([start[0][:, :roles], start[1][:roles]])
        parts = (of_column(train, column), of_column(validation, column))
        alone_history = fitted(alone, *parts, HeadLayout((TWO.targets[column],)), settings)
        alone_losses.append(alone_history[["loss", "val_loss"]])
        # Adam's epsilon is beside gradients half as large
        np.testing.assert_allclose(kernel[:, column::2], alone.get_weights()[0], atol=5e-4)
    mean = (alone_losses[0] + alone_losses[1]) / 2
    np.testing.assert_allclose(history[["loss", "val_loss"]], mean, rtol=1e-3)


@pytest.mark.slow
def test_a_student_learns_from_the_labels_present_with_the_weights_of_its_heads():
    train, validation = halves(4)
    model = linear(4)
    student = DistillationModel(model, NOISY)
    loss = DistillationLoss(NOISY, aleatoric_weight={"a": 0.3, "b": 2.0})
    objective = Objective(NOISY, loss)
    history = fitted(student, train, validation, NOISY, objective=objective)
    assert np.isfinite(history.to_numpy()).all()
    total = 0.0
    for column, weight in enumerate((0.5, 0.5, 0.15, 1.0)):
        alone = linear(1)
        parts = (of_column(train, column), of_column(validation, column))
        alone_history = fitted(alone, *parts, HeadLayout(("x",)))
        total = total + weight * alone_history[["loss", "val_loss"]]
        np.testing.assert_allclose(
            model.get_weights()[0][:, column], alone.get_weights()[0][:, 0], atol=1e-3
        )
    np.testing.assert_allclose(history[["loss", "val_loss"]], total, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_a_weight_of_two_is_the_row_twice(missing):
    rng = np.random.default_rng(3)
    times, times_validation = rng.integers(1, 4, N), rng.integers(1, 4, N)
    train, validation = split(missing=missing), split(seed=1, missing=missing)
    weighted, repeated = linear(2), linear(2)
    history = fitted(
        weighted,
        replace(train, weights=7.0 * times),
        replace(validation, weights=0.1 * times_validation),
        TWO,
    )
    other = fitted(
        repeated,
        train.take(np.repeat(np.arange(N), times)),
        validation.take(np.repeat(np.arange(N), times_validation)),
        TWO,
    )
    columns = ["loss", "val_loss"]
    np.testing.assert_allclose(history[columns], other[columns], rtol=1e-4)
    np.testing.assert_allclose(weighted.get_weights()[0], repeated.get_weights()[0], atol=1e-5)
    plain = linear(2)
    fitted(plain, train, validation, TWO)
    assert np.abs(plain.get_weights()[0] - weighted.get_weights()[0]).max() > 1e-3


@pytest.mark.slow
def test_the_fast_path_gives_what_keras_gives():
    part = replace(split(n=64, missing=0.5, length=LONGER), weights=np.linspace(0.5, 2, 64))
    heads = HeadLayout(("a", "b"))
    build = [
        registry.build("deepstarr", (LONGER, 4), heads, width=0.05, dropout=0.0)
        for _ in range(2)
        if not keras.utils.set_random_seed(1)
    ]
    assert not TrainingForward(build[0]).is_plain
    for learner in (Learner(build[0]), build[1]):
        learner.compile(keras.optimizers.SGD(0.01), loss=PresentValues("mse"))
        learner.fit(training_batches(part, 16, seed=0), epochs=1, steps_per_epoch=4, **QUIET)
        assert np.isfinite(learner.evaluate(evaluation_batches(part, 16), verbose=0))
    for fast, plain in zip(build[0].get_weights(), build[1].get_weights(), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("batch_size", [7, 16, 1000])
def test_the_validation_loss_is_the_mean_over_all_values_present_whatever_the_batches(batch_size):
    part, model = replace(split(3), weights=np.linspace(1, 9, N)), linear(3)
    learner = Learner(model)
    learner.compile(loss=PresentValues("mse"))
    found = learner.evaluate(evaluation_batches(part, batch_size), verbose=0)
    means = [
        np.average(part.targets[rows, c] ** 2, weights=part.weights[rows])
        for c in range(3)
        for rows in [~np.isnan(part.targets[:, c])]
    ]
    np.testing.assert_allclose(found, np.mean(means), rtol=1e-5)


def test_complete_data_without_weights_train_by_the_loss_itself():
    complete = split(missing=0.0)
    loss = GaussianNLL(HeadLayout(("a", "b"), aleatoric="std"))
    assert fitting_loss(loss, splits_of(complete, complete, TWO)) is loss
    kept = replace(complete, missing_targets="keep")
    assert fitting_loss("mse", splits_of(kept, kept, TWO)) == "mse"
    assert len(next(iter(training_batches(kept, 8, 0)))) == 2
    weighted = replace(complete, weights=np.ones(N))
    assert len(next(iter(training_batches(weighted, 8, 0)))) == 3


@pytest.mark.parametrize("name", ["mse", "mae", "poisson", "log_cosh", "binary_crossentropy"])
def test_of_complete_values_it_is_the_loss_itself(name):
    y, p = np.random.default_rng(0).uniform(0.1, 0.9, (2, 6, 3)).astype(np.float32)
    expected = np.mean(keras.losses.get(name)(y, p))
    np.testing.assert_allclose(PresentValues(name)(y, p), expected, rtol=1e-6)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(PresentValues(name))
    )
    np.testing.assert_allclose(again(y, p), expected, rtol=1e-6)


def test_profiles_have_weights_of_rows():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
    part = Split(np.zeros((4, 5), np.uint8), y, weights=[1, 2, 3, 4])
    found = PresentValues("mse")(y, p, part.value_weights)
    by_row = ((y - p) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(found, np.average(by_row, weights=[1, 2, 3, 4]), rtol=1e-5)


@pytest.mark.parametrize("name", ["cosine_similarity", "kl_divergence", "dice"])
def test_a_loss_of_whole_rows_is_refused(name):
    with pytest.raises(InputError, match=r"a mean over columns, such as 'mse'. Received: loss="):
        PresentValues(name)


def test_standardised_losses_are_taken_over_present_values_too():
    y, y_pred = np.array([[12.0, np.nan], [8.0, 0.3]]), np.array([[0.5, 7.0], [0.0, 1.0]])
    loss = PresentValues(StandardisedLoss("mse", [2.0, 0.1], [10.0, 0.2]))
    standard = (y - [10.0, 0.2]) / [2.0, 0.1]
    by_target = np.nanmean((standard - y_pred) ** 2, axis=0)
    assert float(loss(y, y_pred)) == pytest.approx(by_target.mean(), rel=1e-6)


def test_probabilities_are_learnt_from_present_values():
    y, y_pred = np.array([[1.0, np.nan], [0.0, 1.0]]), np.array([[0.9, 0.5], [0.2, 0.6]])
    expected = -np.mean([np.mean(np.log([0.9, 0.8])), np.log(0.6)])
    loss = PresentValues("binary_crossentropy")
    assert float(loss(y, y_pred)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_gaps_go_with_standardised_and_with_binary_targets(task):
    """A target with gaps beside one without: both are learnt, in the data's units."""
    rng = np.random.default_rng(0)
    parts = []
    for size in (300, 60):
        tokens = rng.integers(0, 4, (size, LONGER), np.uint8)
        y = np.stack([(tokens == 0).mean(axis=1), (tokens == 1).mean(axis=1)], axis=1)
        y = (y > 0.25).astype(float) if task == "binary" else y * [1000.0, 1.0]
        y[rng.random(size) < 0.3, 1] = np.nan
        parts.append(Split(tokens, y, missing_targets="keep"))
    splits = splits_of(*parts, HeadLayout(("a", "b"), task=task))
    settings = TrainingSettings(
        epochs=20, batch_size=20, learning_rate=0.01, standardise=task == "regression"
    )
    model = train(splits, "deepstarr", settings, Run(seed=1, progress=False))
    table = score(
        model.predict(splits.validation.sequences), splits.validation.targets, splits.heads
    )
    metric = "auroc" if task == "binary" else "pearson"
    assert (table.loc[table["metric"] == metric, "value"] > 0.6).all()
    assert task == "binary" or model.predict(splits.validation.sequences).mean[:, 0].mean() > 100
