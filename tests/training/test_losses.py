import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from degu_tf.heads import MIN_STD, HeadLayout
from degu_tf.training.losses import DistillationLoss, EvidentialLoss, GaussianNLL
from degu_tf.utils.errors import InputError

PAIR = {"Dev": 0.5, "Hk": 3.0}
LAYOUTS = [
    HeadLayout(("Dev", "Hk"), None, "std"),
    HeadLayout(("Dev", "Hk"), "std", "std"),
    HeadLayout(("Dev", "Hk"), "std", "log_variance"),
    HeadLayout(("Dev", "Hk")),
]


def by_hand(layout, true, predicted, epistemic, aleatoric, error):
    """The loss in plain loops: the mean of each block, weighted, summed."""
    total = 0.0
    for role in layout.roles:
        weight = {"mean": 1.0, "epistemic": epistemic, "aleatoric": aleatoric}[role]
        terms = []
        for target in layout.targets:
            name = target if role == "mean" else f"{target}_{role}"
            y, p = (array[..., layout.column(name)].ravel() for array in (true, predicted))
            each = (y - p) ** 2 if error == "mse" else p - y * np.log(p + 1e-7)
            terms += [value * (weight[target] if isinstance(weight, dict) else weight)
                      for value in each]  # fmt: skip
        total += sum(terms) / len(terms)
    return total


@pytest.mark.parametrize("shape", [(7,), (4, 5)])
@pytest.mark.parametrize("error", ["mse", "poisson"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_loss_is_the_weighted_sum_of_its_blocks(layout, error, shape):
    rng = np.random.default_rng(0)
    true, predicted = rng.uniform(0.1, 3.0, (2, *shape, layout.n_columns)).astype(np.float32)
    for epistemic, aleatoric in itertools.product([1.0, 0.0, 2.5, PAIR], [1.0, 0.7, PAIR]):
        loss = DistillationLoss(layout, epistemic, aleatoric, error=error)
        expected = by_hand(
            layout, true.astype(float), predicted.astype(float), epistemic, aleatoric, error
        )
        assert float(loss(true, predicted)) == pytest.approx(expected, rel=1e-5)


def test_without_uncertainty_columns_it_is_keras_own_loss():
    rng = np.random.default_rng(1)
    true, predicted = rng.uniform(0.1, 2.0, (2, 9, 2)).astype(np.float32)
    for error in ("mse", "poisson"):
        ours = DistillationLoss(HeadLayout(("a", "b")), error=error)(true, predicted)
        theirs = keras.losses.get(error)(true, predicted)
        assert float(ours) == pytest.approx(float(np.mean(theirs)), rel=1e-6)


def test_a_weight_of_zero_leaves_a_block_without_gradient():
    layout = HeadLayout(("Dev", "Hk"), "std", "std")
    rng = np.random.default_rng(2)
    true, start = rng.normal(size=(2, 5, 6)).astype(np.float32)
    for loss, zero in (
        (DistillationLoss(layout, epistemic_weight=0.0), [4, 5]),
        (DistillationLoss(layout, aleatoric_weight=0.0), [2, 3]),
        (DistillationLoss(layout, epistemic_weight={"Dev": 0.0, "Hk": 1.0}), [4]),
    ):
        predicted = tf.Variable(start)
        with tf.GradientTape() as tape:
            value = loss(true, predicted)
        gradient = np.abs(tape.gradient(value, predicted).numpy())
        assert np.flatnonzero(gradient.sum(axis=0) == 0.0).tolist() == zero
        assert (np.delete(gradient, zero, axis=1) > 0.0).all()


def test_sample_weights_are_keras():
    layout = HeadLayout(("a",), epistemic="std")
    true, predicted = np.zeros((2, 2), np.float32), np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    assert float(DistillationLoss(layout)(true, predicted, sample_weight=[1.0, 0.0])) == 0.5


@pytest.mark.parametrize("weight", [2.0, PAIR])
def test_serialisation(weight):
    layout = HeadLayout(("Dev", "Hk"), "std", "log_variance")
    loss = DistillationLoss(layout, weight, 0.25, error="poisson", name="degu")
    again = DistillationLoss.from_config(loss.get_config())
    through_keras = keras.losses.deserialize(keras.losses.serialize(loss))
    rng = np.random.default_rng(3)
    true, predicted = rng.uniform(0.1, 2.0, (2, 4, 6)).astype(np.float32)
    for other in (again, through_keras):
        assert isinstance(other, DistillationLoss)
        assert other.get_config() == loss.get_config()
        assert other.heads == layout
        assert float(other(true, predicted)) == float(loss(true, predicted))


def test_a_compiled_model_is_saved_and_loaded_with_its_loss(tmp_path):
    layout = HeadLayout(("a",), epistemic="std")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer="sgd", loss=DistillationLoss(layout, epistemic_weight=3.0))
    x, y = np.random.default_rng(4).normal(size=(2, 6, 3)).astype(np.float32)
    model.train_on_batch(x, y[:, :2])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert isinstance(loaded.loss, DistillationLoss)
    assert loaded.loss.get_config() == model.loss.get_config()
    assert np.array_equal(loaded(x), model(x))
    assert float(loaded.loss(y[:, :2], loaded(x))) == float(model.loss(y[:, :2], model(x)))


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ((5,), (5, 1), r"labels must have shape \(N, 1\).*Received: shape \(5,\)"),
        ((5, 1), (5,), r"predictions must have shape"),
        ((5, 1), (5, 2), r"predictions must have shape"),
        ((5, 1), (1, 1), r"same shape. Received: labels \(5, 1\), predictions \(1, 1\)"),
        ((5, 1), (5, 3, 1), "the same shape"),
        ((5, 3, 1), (5, 1, 1), "the same shape"),
    ],
)
def test_shapes_are_never_broadcast(true, predicted, message):
    with pytest.raises(InputError, match=message):
        DistillationLoss(HeadLayout(("a",)))(np.zeros(true), np.zeros(predicted))


def test_batches_of_unknown_size_are_taken():
    loss = DistillationLoss(HeadLayout(("a",)))
    spec = tf.TensorSpec((None, 1), tf.float32)
    assert float(tf.function(loss, [spec, spec])(np.ones((3, 1)), np.zeros((3, 1)))) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"error": "mae"}, "one of .*'mse', 'poisson'.*Received: 'mae'"),
        (
            {"epistemic_weight": -1.0},
            "must be finite numbers from 0. Received: epistemic weight -1.0",
        ),
        ({"aleatoric_weight": {"Dev": 1.0}}, "aleatoric weights must name each of"),
        ({"epistemic_weight": {**PAIR, "x": 1.0}}, "epistemic weights must name each of"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(InputError, match=message):
        DistillationLoss(HeadLayout(("Dev", "Hk"), "std", "std"), **arguments)


def test_evidential_columns_have_no_labels():
    with pytest.raises(InputError, match=r"no labels for the columns \['nu', 'alpha', 'beta'\]"):
        DistillationLoss(HeadLayout(("a",), "evidential", "evidential"))


# Likelihoods.

NORMAL = HeadLayout(("Dev", "Hk"), aleatoric="log_variance")
STD = HeadLayout(("Dev", "Hk"), aleatoric="std")
EVIDENTIAL = HeadLayout(("Dev", "Hk"), "evidential", "evidential")


def evidential_columns(rng, n):
    """Columns gamma, nu, alpha, beta of two targets, float32 `(n, 8)`."""
    gamma = rng.normal(size=(n, 2))
    nu, alpha, beta = rng.gamma(2.0, 1.0, (3, n, 2)) + 0.05
    return np.concatenate([gamma, nu, alpha + 1.0, beta], axis=1).astype(np.float32)


@pytest.mark.parametrize("heads", [NORMAL, STD])
def test_gaussian_nll_is_scipys_density(heads):
    rng = np.random.default_rng(2)
    y, mean = rng.normal(size=(2, 50, 2)).astype(np.float32)
    std = rng.uniform(0.05, 3.0, (50, 2))
    columns = np.concatenate([mean, std if heads is STD else 2.0 * np.log(std)], axis=1)
    expected = -stats.norm.logpdf(y, mean, std).mean()
    assert float(GaussianNLL(heads)(y, columns.astype(np.float32))) == pytest.approx(
        expected, rel=1e-5
    )


def test_evidential_loss_is_scipys_student_t_and_the_regulariser():
    rng = np.random.default_rng(3)
    y = rng.normal(size=(40, 2)).astype(np.float32)
    columns = evidential_columns(rng, 40)
    gamma, nu, alpha, beta = np.split(columns.astype(float), 4, axis=1)
    scale = np.sqrt(beta * (1.0 + nu) / (nu * alpha))
    likelihood = -stats.t.logpdf(y, 2.0 * alpha, gamma, scale)
    wrong = np.abs(y - gamma) * (2.0 * nu + alpha)
    for weight in (0.0, 0.01, 1.0):
        loss = EvidentialLoss(EVIDENTIAL, weight)
        expected = (likelihood + weight * wrong).mean()
        assert float(loss(y, columns)) == pytest.approx(expected, rel=1e-5)


def test_evidential_uncertainties_are_the_moments_of_scipys_distributions():
    rng = np.random.default_rng(4)
    columns = evidential_columns(rng, 30)
    prediction = EVIDENTIAL.prediction(columns)
    gamma, nu, alpha, beta = np.split(columns.astype(float), 4, axis=1)
    variance = stats.invgamma.mean(alpha, scale=beta)
    assert prediction.aleatoric**2 == pytest.approx(variance, rel=1e-4)
    assert prediction.epistemic**2 == pytest.approx(variance / nu, rel=1e-4)
    value = stats.t(2.0 * alpha, gamma, np.sqrt(beta * (1.0 + nu) / (nu * alpha)))
    assert prediction.total == pytest.approx(value.std(), rel=1e-4)


def test_likelihoods_of_profiles_average_over_positions():
    rng = np.random.default_rng(5)
    y = rng.normal(size=(3, 7, 2)).astype(np.float32)
    columns = rng.normal(size=(3, 7, 4)).astype(np.float32)
    flat = GaussianNLL(NORMAL)(y.reshape(-1, 2), columns.reshape(-1, 4))
    assert float(GaussianNLL(NORMAL)(y, columns)) == pytest.approx(float(flat), rel=1e-6)


def gradient(loss, y, columns):
    columns = tf.constant(columns, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(columns)
        value = loss(tf.constant(y, tf.float32), columns)
    return value.numpy(), tape.gradient(value, columns).numpy()


@pytest.mark.parametrize("target", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("spread", [-20.0, 0.0, 20.0])
def test_no_log_variance_makes_the_loss_or_its_gradient_infinite(spread, target):
    columns = np.array([[0.5, -0.5, spread, spread]])
    value, slope = gradient(GaussianNLL(NORMAL), [[target, target]], columns)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    exact = -stats.norm.logpdf(target, columns[0, :2], np.exp(spread / 2.0)).mean()
    assert value == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("std", [0.0, -3.0, 1e-30, 1e-6, 1e6])
@pytest.mark.parametrize("target", [0.0, 1e4])
def test_no_deviation_makes_the_loss_or_its_gradient_infinite(std, target):
    value, slope = gradient(GaussianNLL(STD), [[target, 0.0]], np.array([[0.0, 0.0, std, std]]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert value == pytest.approx(
        -stats.norm.logpdf([target, 0.0], 0.0, max(std, MIN_STD)).mean(), rel=1e-4
    )


@pytest.mark.parametrize("nu", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("alpha", [1.0 + 1e-6, 3.0, 1e6])
@pytest.mark.parametrize("beta", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("target", [0.0, 1e4])
def test_no_evidence_makes_the_loss_or_its_gradient_infinite(nu, alpha, beta, target):
    heads = HeadLayout(("activity",), "evidential", "evidential")
    columns = np.array([[0.5, nu, alpha, beta]], np.float32)
    value, slope = gradient(EvidentialLoss(heads, 0.0), [[target]], columns)
    assert np.isfinite(slope).all()
    gamma, nu, alpha, beta = columns[0].astype(float)
    scale = np.sqrt(beta * (1.0 + nu) / (nu * alpha))
    expected = -stats.t.logpdf(target, 2.0 * alpha, gamma, scale)
    assert value == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ((5,), (5, 2), r"labels must have shape \(N, 1\).*Received: shape \(5,\)"),
        ((5, 1), (5,), r"predictions must have shape \(N, 2\).*Received: shape \(5,\)"),
        ((5, 1), (5, 1), r"predictions must have shape \(N, 2\)"),
        ((5, 2), (5, 2), r"labels must have shape \(N, 1\)"),
        ((5, 1), (4, 2), r"same shape.*labels \(5, 1\), predictions \(4, 2\)"),
        ((5, 3, 1), (5, 2), "same shape"),
        ((5, 3, 1), (5, 1, 2), "same shape"),
    ],
)
def test_a_likelihood_broadcasts_nothing(true, predicted, message):
    loss = GaussianNLL(HeadLayout(("activity",), aleatoric="log_variance"))
    with pytest.raises(InputError, match=message):
        loss(np.zeros(true, np.float32), np.zeros(predicted, np.float32))


@pytest.mark.parametrize(
    "loss", [GaussianNLL(NORMAL), GaussianNLL(STD), EvidentialLoss(EVIDENTIAL, 0.5)]
)
def test_likelihoods_come_back_from_their_configuration(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    rng = np.random.default_rng(6)
    y, columns = rng.normal(size=(9, 2)).astype(np.float32), evidential_columns(rng, 9)
    columns = columns[:, : loss.heads.n_columns]
    assert type(again) is type(loss)
    assert float(again(y, columns)) == float(loss(y, columns))


@pytest.mark.parametrize(
    "heads",
    [
        HeadLayout(("a",)),
        HeadLayout(("a",), epistemic="std"),
        HeadLayout(("a",), "std", "std"),
        HeadLayout(("a",), "evidential", "evidential"),
    ],
)
def test_gaussian_nll_of_other_columns(heads):
    with pytest.raises(InputError, match="gaussian_nll needs columns of means and one aleatoric"):
        GaussianNLL(heads)


def test_evidential_loss_of_other_columns_or_weights():
    with pytest.raises(InputError, match="deep_evidential needs columns of evidential"):
        EvidentialLoss(NORMAL)
    with pytest.raises(InputError, match="weight must be a finite number from 0"):
        EvidentialLoss(EVIDENTIAL, -1)
