import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from degu_tf.errors import InputError
from degu_tf.heads import HeadLayout
from degu_tf.losses import DistillationLoss

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
        ({"epistemic_weight": -1.0}, "must not be negative. Received: epistemic weight -1.0"),
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
