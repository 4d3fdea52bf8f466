"""What a training leaves in the process: no graph, and no gradient that TensorFlow keeps by name.

Graphs are counted, not bytes: of a member's 5 to 10 MiB all were held by its graph.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops
from tensorflow.python.framework.func_graph import FuncGraph

from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.training.epochs.graph_gradients import released_with_their_graphs
from degu_tf.training.fit import fit
from degu_tf.training.settings import TrainingSettings

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT / "experiments" / "benchmarks" / "ensemble_memory.py"
ROWS = np.random.default_rng(0)


@pytest.fixture(scope="module")
def data():
    """Sequences without anything to learn."""
    parts = [
        Split(ROWS.integers(0, 4, (12, 20), np.uint8), ROWS.normal(size=(12, 1)).astype("f"))
        for _ in range(3)
    ]
    return Splits(*parts, HeadLayout(("Dev",)))


def left_behind():
    """Graphs, gradients and functions that live when all garbage is gone."""
    gc.collect()
    return (
        # of its type: to ask some other objects for their class is to hear a warning
        sum(issubclass(type(each), FuncGraph) for each in gc.get_objects()),
        len(ops.gradient_registry.list()),
        len(context.context().list_function_names()),
    )


def train_one(data):
    """A network with SiLU, which has a gradient of its own, is trained and forgotten."""
    layers = [keras.Input((20, 4)), keras.layers.Flatten(), keras.layers.Dense(2, "silu")]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    fit(model, data, TrainingSettings(epochs=2, batch_size=6), progress=False)


@pytest.mark.slow
def test_a_training_leaves_nothing_behind(data):
    train_one(data)  # the first one compiles what all others use
    before = left_behind()
    for _ in range(3):
        train_one(data)
    assert left_behind() == before


def test_gradients_serve_as_long_as_their_graph():
    """A function traced within, without its gradient, is differentiated afterwards."""
    silu = tf.function(lambda x: tf.nn.silu(x))
    x = tf.constant([0.5, -1.0])
    with released_with_their_graphs():
        silu(x)
    gc.collect()
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = silu(x)
    sigmoid = tf.sigmoid(x)
    expected = sigmoid * (1 + x * (1 - sigmoid))
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-6)


def test_gradients_of_a_training_that_fails_go_too():
    def fails():
        tf.function(lambda x: tf.nn.silu(x)).get_concrete_function(tf.TensorSpec(3))
        raise FloatingPointError

    before = left_behind()
    with pytest.raises(FloatingPointError):
        released_with_their_graphs()(fails)()
    assert left_behind() == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_ensembles_trained():
    """Each took 14 MiB for good before; what is left is TensorFlow's, some tenths."""
    size = ["--ensembles", "5", "--members", "2", "--sequences", "200"]
    python = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "check": True}
    told = subprocess.run(
        [sys.executable, BENCHMARK, *size], capture_output=True, text=True, **python
    ).stdout
    resident = [float(line.split()[1]) for line in told.splitlines()[1:]]
    assert len(resident) == 5
    assert resident[4] - resident[1] < 12
