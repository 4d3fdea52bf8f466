"""A network's forward pass in training, with the same numbers in less time.

Keras calls one layer after the other. Two things are faster together, and change nothing: the
first convolution with its normalisation (`degu_tf.training.input_block`), and ReLU after the
max-pooling it stands before, on half as many values. All else is left to the layers.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import activations, layers

from degu_tf.models.inference.wiring import Key, Node, Wiring
from degu_tf.training.input_block import (
    is_input_block,
    larger_of_pairs,
    normalised_convolution,
)
from degu_tf.training.parallel.devices import n_replicas
from degu_tf.training.parallel.steps import DeviceParallel, replica_step
from degu_tf.training.precision.mixed import is_mixed

Step = Callable[..., tf.Tensor]

_OF_A_LIST = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)


class TrainingForward:
    """A functional model's output in training, `(N, L, 4)` to what the model gives.

    Uses and updates the model's own layers. One whose layers cannot be seen from outside is called
    as it is.

    Parameters
    ----------
    model
        Any Keras model of one input and one output.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> model = registry.build("deepstarr", (32, 4), HeadLayout(("Dev",)), width=0.05, dropout=0.0)
    >>> x = tf.one_hot(tf.random.stateless_uniform((8, 32), (1, 2), 0, 4, tf.int32), 4)
    >>> difference = TrainingForward(model)(x) - model(x, training=True)
    >>> bool(tf.reduce_max(tf.abs(difference)) < 1e-5)
    True
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._steps: dict[Key, tuple[tuple[Key, ...], Step]] = {}
        if is_mixed(model):
            return  # what is faster here computes in float32
        try:
            self._wiring = Wiring(model)
            self._plan()
        except ValueError:
            self._steps = {}

    @property
    def is_plain(self) -> bool:
        """Whether the model is called as Keras would call it."""
        return not self._steps

    def __call__(self, batch: tf.Tensor) -> tf.Tensor:
        """Outputs of a batch; moving averages of the layers move on."""
        if self.is_plain or n_replicas() > 1:
            return self._model(batch, training=True)
        values = {self._wiring.input: batch}
        for key, (sources, step) in self._steps.items():
            values[key] = step(*(values[source] for source in sources))
        return values[self._wiring.output]

    def _plan(self) -> None:
        done = {self._wiring.input}
        faster = False
        for key, node in self._wiring.nodes.items():
            if key in done:
                continue
            nodes, step = self._input_block(node) or self._pooling_first(node) or _as_keras(node)
            faster = faster or len(nodes) > 1
            done.update(each.key for each in nodes)
            self._steps[nodes[-1].key] = (node.inputs, step)
        if not faster:
            self._steps = {}

    def _chain(self, node: Node, length: int) -> list[Node]:
        """The node and those that alone take the one before's output, at most so many."""
        chain = [node]
        while len(chain) < length:
            after = self._wiring.only_consumer(chain[-1].key)
            if after is None or not self._wiring.called_once(after.layer.name):
                break
            chain.append(after)
        return chain

    def _input_block(self, node: Node) -> tuple[list[Node], Step] | None:
        if node.inputs != (self._wiring.input,) or not self._wiring.called_once(node.layer.name):
            return None
        chain = self._chain(node, 4)
        if len(chain) < 2 or not is_input_block(chain[0].layer, chain[1].layer):
            return None
        pair = chain[0].layer, chain[1].layer
        if len(chain) == 4 and _is_relu(chain[2].layer) and _halves(chain[3].layer):
            return chain, lambda x: tf.nn.relu(larger_of_pairs(*pair, x))
        return chain[:2], lambda x: normalised_convolution(*pair, x)

    def _pooling_first(self, node: Node) -> tuple[list[Node], Step] | None:
        chain = self._chain(node, 2)
        if len(chain) < 2 or not _is_relu(node.layer):
            return None
        pooling = chain[1].layer
        if type(pooling) is not layers.MaxPooling1D:
            return None
        return chain, lambda x: tf.nn.relu(pooling(x))


def _is_relu(layer: keras.layers.Layer) -> bool:
    if layer.activity_regularizer is not None:
        return False
    if type(layer) is layers.ReLU:
        config = layer.get_config()
        return (config["max_value"], config["negative_slope"], config["threshold"]) == (None, 0, 0)
    return type(layer) is layers.Activation and layer.activation is activations.relu


def _halves(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is layers.MaxPooling1D
        and layer.data_format == "channels_last"
        and (layer.pool_size[0], layer.strides[0], layer.padding) == (2, 2, "valid")
    )


def _as_keras(node: Node) -> tuple[list[Node], Step]:
    layer = node.layer
    if len(node.inputs) == 1:
        return [node], lambda x: layer(x, training=True)
    if type(layer) not in _OF_A_LIST:
        raise ValueError(f"no way to call {layer.name} with several inputs")
    return [node], lambda *parts: layer(list(parts), training=True)


class Learner(DeviceParallel):
    """A network while it is fitted: Keras' `fit`, with `TrainingForward` in each step.

    Its variables are the network's. The network itself is not compiled, so that its files hold no
    optimiser and open in any Keras.

    Parameters
    ----------
    network
        A model of one input and one output.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__(name=network.name)
        self.network = network
        self._forward: Any = TrainingForward(network)
        self.built = True

    def call(self, sequences: Any, training: bool = False) -> Any:
        """The network's output."""
        return self._forward(sequences) if training else self.network(sequences, training=False)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras' step; on several devices one in which all rows of a batch count alike."""
        return super().train_step(data) if n_replicas() == 1 else replica_step(self, data)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Save the network, as a checkpoint of Keras asks."""
        self.network.save(filepath, *args, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Save the network's weights."""
        self.network.save_weights(filepath, *args, **kwargs)


def trains_itself(model: keras.Model) -> bool:
    """Whether a model has a training step of its own, which a `Learner` would leave out."""
    return type(model).train_step is not keras.Model.train_step
