"""DeepLIFT's rescale rule through a whole model, for many pairs of sequence and reference at once.

A model is a list of steps, each with its rule. Sequences and references go forward once; then
multipliers come back from one output column to the input, for every pair.
"""

from collections import Counter
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from degu_tf.attribution.deeplift.elementwise import is_relu
from degu_tf.attribution.deeplift.linear import Affine, Convolution, Dense
from degu_tf.attribution.deeplift.pairs import Rule, Saved, unflat
from degu_tf.attribution.deeplift.pooling import MaxPooling
from degu_tf.attribution.deeplift.rules import OTHER_METHODS, rules_of
from degu_tf.models.inference.wiring import Node, Wiring
from degu_tf.utils.errors import InputError


@dataclass(frozen=True)
class Step:
    """One rule at work: where its inputs come from, by number; the model's input is number 0."""

    name: str
    rule: Rule
    sources: tuple[int, ...]


def steps_of(model: keras.Model, column: int, dtype: tf.DType) -> tuple[list[Step], int]:
    """The steps that one output column depends on, and its place in the last step's value.

    Models within the model are taken apart. Where the output is a concatenation of branches, only
    the branch that holds the column is kept.

    Raises
    ------
    InputError
        If the model's layers cannot be seen, or one has no rule.
    """
    try:
        wiring = Wiring(model)
    except ValueError as error:
        raise InputError(
            "DeepSHAP takes a functional or sequential model with one input and one output, made "
            f"of layers whose inputs are tensors: {error}. {OTHER_METHODS}. Received: {model.name}"
        ) from None
    output = wiring.nodes[wiring.output]
    while _joins_columns(output.layer):
        for source in output.inputs:
            width = wiring.nodes[source].layer.output.shape[-1]
            if column < width:
                break
            column -= width
        output = wiring.nodes[source]
    return _joined(_Plan(dtype).made(wiring, output)), column


def _joins_columns(layer: keras.layers.Layer) -> bool:
    return type(layer) is layers.Concatenate and layer.axis in (-1, len(layer.output.shape) - 1)


class _Plan:
    def __init__(self, dtype: tf.DType) -> None:
        self.dtype = dtype
        self.steps: list[Step] = []

    def made(self, wiring: Wiring, output: Node) -> list[Step]:
        self._add_model(wiring, output, 0, "")
        return self.steps

    def _add_model(self, wiring: Wiring, output: Node, source: int, prefix: str) -> int:
        """Add the steps of a model whose input is a value; the number of its output."""
        numbers = {wiring.input: source}
        needed = _needed(wiring, output)
        for key, node in wiring.nodes.items():
            if key != wiring.input and key in needed:
                sources = tuple(numbers[each] for each in node.inputs)
                numbers[key] = self._add_layer(node.layer, sources, prefix)
        return numbers[output.key]

    def _add_layer(self, layer: keras.layers.Layer, sources: tuple[int, ...], prefix: str) -> int:
        if isinstance(layer, keras.Model):
            try:
                wiring = Wiring(layer)
            except ValueError as error:
                raise InputError(
                    f"DeepSHAP needs access to the layers of the nested model: {error}. "
                    f"{OTHER_METHODS}. Received: {layer.name}"
                ) from None
            output = wiring.nodes[wiring.output]
            return self._add_model(wiring, output, sources[0], f"{prefix}{layer.name}/")
        for rule in rules_of(layer, len(sources), self.dtype):
            self.steps.append(Step(prefix + layer.name, rule, sources))
            sources = (len(self.steps),)
        return sources[0]


def _joined(steps: list[Step]) -> list[Step]:
    """The steps with those pairs made one that are less work together."""
    uses = Counter(source for step in steps for source in step.sources)
    joined: list[Step] = []
    numbers = [0]
    for number, step in enumerate(steps):
        step = replace(step, sources=tuple(numbers[source] for source in step.sources))
        rule = None
        if joined and step.sources == (len(joined),) and uses[number] == 1:
            rule = _as_one(joined[-1].rule, step.rule)
        if rule is None:
            joined.append(step)
        else:
            joined[-1] = Step(step.name, rule, joined[-1].sources)
        numbers.append(len(joined))
    return joined


def _as_one(first: Rule, second: Rule) -> Rule | None:
    if isinstance(second, MaxPooling) and is_relu(first):
        return second.after_relu()
    if isinstance(second, Affine) and isinstance(first, Convolution | Dense):
        plain = first.after is None and second.is_for_channels
        return first.then(second) if plain else None
    return None


def _needed(wiring: Wiring, output: Node) -> set[tuple[str, int]]:
    needed, waiting = set(), [output.key]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += wiring.nodes[key].inputs
    return needed


class Rescale:
    """Forward activations and backward multipliers of one output column of a model.

    Parameters
    ----------
    model
        A functional or sequential model `(N, L, 4)` to `(N, n_columns)` or
        `(N, length, n_columns)`, of which profiles are averaged over their length.
    length
        L, in bases.
    column
        The output column.
    dtype
        Type to compute in.

    Raises
    ------
    InputError
        As `steps_of` does.
    """

    def __init__(
        self, model: keras.Model, length: int, column: int, dtype: tf.DType = tf.float32
    ) -> None:
        self.steps, self.column = steps_of(model, column, dtype)
        self.dtype = dtype
        self._shapes: list[tuple[int, ...]] = []
        sequences = tf.TensorSpec((None, length, 4), dtype)
        self._forward = tf.function(self._go_forward, [sequences], autograph=False)
        _, self._kept = self._forward(tf.zeros((1, length, 4), dtype))
        kept = tf.nest.map_structure(_with_pair_axis, self._kept)
        pairs = tf.TensorSpec((None, None, length, 4), dtype)
        self._backward = tf.function(self._contribute, [pairs, pairs, kept, kept], autograph=False)

    @property
    def pair_size(self) -> int:
        """Numbers in the largest value of one pair."""
        return max(int(np.prod(shape)) for shape in self._shapes)

    @property
    def kept_bytes(self) -> int:
        """Memory that the kept values of one reference take."""
        kept = tf.nest.flatten(self._kept)
        return sum(each.dtype.size * int(np.prod(each.shape[1:])) for each in kept)

    def forward(self, sequences: np.ndarray | tf.Tensor) -> tuple[tf.Tensor, list[Saved]]:
        """The column's value `(N,)`, and what each step keeps of the sequences `(N, L, 4)`."""
        return self._forward(tf.cast(sequences, self.dtype))

    def contributions(
        self, x: tf.Tensor, r: tf.Tensor, kept_x: list[Saved], kept_r: list[Saved]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores and hypothetical scores `(S, L, 4)`, summed over references.

        Parameters
        ----------
        x, r
            Sequences `(S, 1, L, 4)`, references `(1, R, L, 4)` or `(S, R, L, 4)`.
        kept_x, kept_r
            What `forward` kept of them, with the same two axes in front.
        """
        return self._backward(x, r, kept_x, kept_r)

    def _go_forward(self, sequences: tf.Tensor) -> tuple[tf.Tensor, list[Saved]]:
        values, kept = [sequences], []
        for step in self.steps:
            value, saved = step.rule.forward(*(values[source] for source in step.sources))
            values.append(value)
            kept.append(saved)
        self._shapes = [tuple(value.shape[1:]) for value in values]
        column = values[-1][..., self.column]
        return tf.reduce_mean(tf.reshape(column, (tf.shape(column)[0], -1)), 1), kept

    def _contribute(
        self, x: tf.Tensor, r: tf.Tensor, kept_x: list[Saved], kept_r: list[Saved]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        n_pairs = tf.shape(x)[0] * tf.shape(r)[1]
        multiplier = unflat(self._multipliers(n_pairs, kept_x, kept_r), x, r)
        scores = tf.reduce_sum(multiplier * (x - r), 1)
        at_reference = tf.reduce_sum(multiplier * r, -1, keepdims=True)
        return scores, tf.reduce_sum(multiplier - at_reference, 1)

    def _multipliers(self, n_pairs: tf.Tensor, x: list[Saved], r: list[Saved]) -> tf.Tensor:
        """Multipliers of the input `(S * R, L, 4)`."""
        shape = self._shapes[-1]
        start = np.zeros(shape, self.dtype.as_numpy_dtype)
        start[..., self.column] = 1.0 / np.prod(shape[:-1], dtype=np.float64)
        waiting = {len(self.steps): [tf.tile(start[np.newaxis], [n_pairs] + [1] * len(shape))]}
        for number in range(len(self.steps), 0, -1):
            step = self.steps[number - 1]
            multiplier = _total(waiting.pop(number))
            own = step.rule.backward(multiplier, x[number - 1], r[number - 1])
            for source, each in zip(step.sources, own, strict=True):
                waiting.setdefault(source, []).append(each)
        return _total(waiting[0])


def _total(multipliers: list[tf.Tensor]) -> tf.Tensor:
    return multipliers[0] if len(multipliers) == 1 else tf.add_n(multipliers)


def _with_pair_axis(kept: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, *kept.shape[1:]), kept.dtype)
