"""Networks whose trainings fail for some seeds: numpy's draws are seeded while a model is built."""

import keras
import numpy as np
from keras import layers

from degu_tf.training.run import attempt_seed, member_seed


def _network(input_shape, n_columns, *, scale=1.0, bias="zeros"):
    sequence = keras.Input(input_shape, name="sequence")
    x = layers.Conv1D(8, 5, activation="relu", name="conv")(sequence)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Rescaling(scale, name="scale")(x)
    columns = layers.Dense(n_columns, bias_initializer=bias, name="columns")(x)
    return keras.Model(sequence, columns, name="network")


def diverging(input_shape, n_columns, share=0.5):
    """Not a number from the first step on, for this share of seeds."""
    fails = np.random.random() < share  # noqa: NPY002
    return _network(
        input_shape, n_columns, bias=keras.initializers.Constant(np.nan if fails else 0)
    )


def idle(input_shape, n_columns, share=0.5):
    """An output that ignores the sequence, for this share of seeds."""
    scale = 0.0 if np.random.random() < share else 1.0  # noqa: NPY002
    return _network(input_shape, n_columns, scale=scale)


def fails(seed, share=0.5):
    """Whether a network of this seed is one of those."""
    return np.random.RandomState(seed).random_sample() < share


def seed_where(*failing, n=4):
    """A seed whose members of these numbers fail, and whose second attempts do not."""
    return next(
        seed for seed in range(10_000)
        if [i for i in range(n) if fails(member_seed(seed, i))] == list(failing)
        and not any(fails(attempt_seed(member_seed(seed, i), 1)) for i in failing)
    )  # fmt: skip
