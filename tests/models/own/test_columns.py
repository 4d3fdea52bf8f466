"""Any model as one with the columns of a layout."""

import keras
import numpy as np
import pytest
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models.own.columns import as_columns
from degu_tf.models.predictor import ModelPredictor
from degu_tf.utils.errors import InputError

BOTH = HeadLayout(("Dev", "Hk"), aleatoric="std")
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, 16))]


def model(outputs, length=16):
    """A model whose outputs are made by a function of a flat tensor."""
    sequence = keras.Input((length, 4))
    return keras.Model(sequence, outputs(layers.Flatten()(sequence)))


def dense(units, name, **options):
    return layers.Dense(units, name=name, **options)


def test_a_functional_model_of_one_output_is_left_as_it_is():
    one = model(layers.Dense(2))
    assert as_columns(one, HeadLayout(("Dev", "Hk"))) is one
    listed = model(lambda x: [layers.Dense(2)(x)])
    assert as_columns(listed, HeadLayout(("Dev", "Hk"))).output_shape == (None, 2)


@pytest.mark.parametrize(
    ("made", "order"),
    [
        (lambda x: [dense(1, n)(x) for n in "abcd"], "abcd"),
        (lambda x: [dense(2, n)(x) for n in "ab"], "ab"),
        (lambda x: {n: dense(2, n)(x) for n in ("aleatoric", "mean")}, ("mean", "aleatoric")),
        (lambda x: [dense(2, n)(x) for n in ("aleatoric", "mean")], ("mean", "aleatoric")),
        (lambda x: [dense(1, n)(x) for n in BOTH.columns[::-1]], BOTH.columns),
        (lambda x: {n: dense(1, f"{n}_")(x) for n in BOTH.columns[::-1]}, BOTH.columns),
    ],
)
def test_outputs_come_in_the_layouts_order(made, order):
    several = model(made)
    named = several(X)
    if not isinstance(named, dict):
        named = dict(zip(several.output_names, named, strict=True))
    expected = np.concatenate([named[name] for name in order], axis=1)
    np.testing.assert_array_equal(ModelPredictor(several, BOTH).columns(X), expected)


def test_flat_outputs_are_columns():
    flat = model(lambda x: [layers.Reshape(())(dense(1, n)(x)) for n in ("Dev", "Hk")])
    assert as_columns(flat, HeadLayout(("Dev", "Hk"))).output_shape == (None, 2)


def test_sequential_models():
    stack = keras.Sequential([keras.Input((16, 4)), layers.Flatten(), layers.Dense(4)])
    np.testing.assert_array_equal(ModelPredictor(stack, BOTH).columns(X), stack(X))
    with pytest.raises(InputError, match="has been built"):
        as_columns(keras.Sequential([layers.Flatten()]), BOTH)


def test_what_cannot_be_columns():
    refusals = {
        r"emits 3 columns, the layout has 4": lambda x: [dense(1, "a")(x), dense(2, "b")(x)],
        r"order Dev, Hk, Dev_al.*Dev \(None, 2\), Hk": (
            lambda x: [dense(2, n)(x) for n in ("Dev", "Hk")]
        ),
        r"each with columns of one kind": lambda x: [dense(3, "a")(x), dense(1, "b")(x)],
        r"all for each position": (
            lambda x: [dense(2, "a")(x), dense(2, "b")(layers.Reshape((16, 4))(x))]
        ),
    }
    for message, made in refusals.items():
        with pytest.raises(InputError, match=message):
            as_columns(model(made), BOTH)
    with pytest.raises(InputError, match=r"expected a Keras model\. Received: str"):
        as_columns("deepstarr", BOTH)
    ends = [keras.Input((16, 4)), keras.Input((16, 4))]
    with pytest.raises(InputError, match="with 2 inputs"):
        as_columns(keras.Model(ends, layers.Add()(ends)), BOTH)
