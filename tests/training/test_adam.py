"""The update of one operation is that of Keras' Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from degu_tf.training.adam import OneOperationAdam

SCHEDULE = keras.optimizers.schedules.CosineDecay(0.05, 20)


def trajectory(kind, sparse=False, **arguments):
    """Weights after each of 20 updates with the same gradients."""
    rng = np.random.default_rng(0)
    weights = [keras.Variable(rng.normal(size=shape).astype("f")) for shape in ((5, 3), (4,))]
    optimizer = kind(**arguments)
    seen = []
    for _ in range(20):
        gradients = [tf.constant(rng.normal(size=each.shape).astype("f")) for each in weights]
        if sparse:
            gradients[0] = tf.IndexedSlices(gradients[0][:2], tf.constant([1, 3]), (5, 3))
        optimizer.apply(gradients, weights)
        seen.append(np.concatenate([each.numpy().ravel() for each in weights]))
    return np.array(seen)


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 0.01},
        {"learning_rate": SCHEDULE, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.5},
        {"learning_rate": 0.01, "clipnorm": 0.1, "weight_decay": 0.1},
        {"learning_rate": 0.01, "amsgrad": True},
        {"learning_rate": 0.01, "sparse": True},
    ],
)
def test_weights_are_those_of_keras(arguments):
    ours = trajectory(OneOperationAdam, **arguments)
    keras_own = trajectory(keras.optimizers.Adam, **arguments)
    assert np.abs(ours[-1] - ours[0]).max() > 0.01
    np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-6)


def test_each_array_takes_one_operation():
    weight = keras.Variable(np.zeros(3, "f"))
    optimizer = OneOperationAdam(0.1)
    optimizer.build([weight])
    update = tf.function(lambda gradient: optimizer.apply([gradient], [weight]))
    graph = update.get_concrete_function(tf.TensorSpec(3)).graph
    assert [each.type for each in graph.get_operations()].count("ResourceApplyAdam") == 1
