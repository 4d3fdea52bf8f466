"""How the layers of a functional model are wired, read from its configuration."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

Key = tuple[str, int]
"""A layer's name and which of its calls is meant: one node of the graph."""


@dataclass(frozen=True)
class Node:
    """One call of a layer: the layer, and the nodes whose outputs it takes, in order."""

    key: Key
    layer: keras.layers.Layer
    inputs: tuple[Key, ...]


class Wiring:
    """The graph of a model with one input and one output.

    Parameters
    ----------
    model
        A functional or sequential model.

    Raises
    ------
    ValueError
        If the model is neither, has several inputs or outputs, a layer has several outputs, takes
        tensors by name or anything else than tensors, is an operation of `keras.ops`, or cannot
        be described; the layer is named.

    Examples
    --------
    >>> sequence = keras.Input((8, 4))
    >>> model = keras.Model(sequence, keras.layers.Flatten(name="flat")(sequence))
    >>> [node.layer.name for node in Wiring(model).nodes.values()][-1]
    'flat'
    """

    def __init__(self, model: keras.Model) -> None:
        if isinstance(model, keras.Sequential) and model.built:
            model = as_functional(model)
        config = _config(model)
        if not {"layers", "input_layers", "output_layers"} <= config.keys():
            raise ValueError("the model is not a functional one")
        self.input = _one_tensor(config["input_layers"], "input")
        self.output = _one_tensor(config["output_layers"], "output")
        layers = {layer.name: layer for layer in model.layers}
        nodes = {node.key: node for entry in config["layers"] for node in _nodes_of(entry, layers)}
        self.nodes = _in_order(nodes, self.output)
        self._uses = Counter(source for node in self.nodes.values() for source in node.inputs)
        self._calls = Counter(name for name, _ in self.nodes)

    def consumers(self, key: Key) -> list[Node]:
        """The nodes that take this one's output."""
        return [node for node in self.nodes.values() if key in node.inputs]

    def only_consumer(self, key: Key) -> Node | None:
        """The one node that takes this one's output, if it is the only use of it."""
        if key == self.output or self._uses[key] != 1:
            return None
        return self.consumers(key)[0]

    def called_once(self, name: str) -> bool:
        """Whether a layer is used once only."""
        return self._calls[name] == 1


def as_functional(model: keras.Sequential) -> keras.Model:
    """The functional model of a sequential one's layers.

    Raises
    ------
    ValueError
        If its layers were not called on a symbolic input.
    """
    try:
        (sequence,), (output,) = model.inputs, model.outputs
    except AttributeError as error:
        raise ValueError(f"{model.name} has no symbolic input") from error
    return keras.Model(sequence, output, name=model.name)


def _config(model: keras.Model) -> dict[str, Any]:
    """The configuration; any error of a custom layer becomes a `ValueError`."""
    try:
        return model.get_config()
    except Exception as error:
        raise ValueError(f"{model.name} holds a layer without configuration") from error


def _nodes_of(entry: Mapping[str, Any], layers: Mapping[str, keras.layers.Layer]) -> Iterator[Node]:
    """The calls of one layer, as a model's configuration describes them."""
    name, kind = entry["name"], entry["class_name"]
    where = f"layer {name!r} of type {kind}"
    if name not in layers:
        raise ValueError(f"{where} is an operation on tensors, no layer of Keras")
    layer = layers[name]
    if isinstance(layer.output, list | tuple | dict):
        raise ValueError(f"{where} has several outputs")
    for index, call in enumerate(entry["inbound_nodes"] or [{}]):
        try:
            yield Node((name, index), layer, tuple(_sources(call)))
        except ValueError as error:
            raise ValueError(f"{where} {error}") from None


def _one_tensor(tensors: Any, what: str) -> Key:
    if isinstance(tensors, dict):
        raise ValueError(f"the model names its {what}s")
    if len(tensors) == 3 and isinstance(tensors[0], str):
        tensors = [tensors]
    if len(tensors) != 1:
        raise ValueError(f"the model has {len(tensors)} {what}s")
    name, call, _ = tensors[0]
    return name, call


def _sources(call: dict[str, Any]) -> Iterator[Key]:
    """The nodes a call takes its tensors from, where it takes nothing else that matters."""
    named = {name: value for name, value in call.get("kwargs", {}).items() if name != "training"}
    if any(value is not None for value in named.values()):
        raise ValueError(f"takes {', '.join(named)} by name")
    args = call.get("args", ())
    several = len(args) == 1 and isinstance(args[0], list | tuple)
    if several and len(args[0]) == 1:
        raise ValueError("takes a list of one tensor")
    for each in args[0] if several else args:
        sources = tuple(_tensors(each))
        if len(sources) != 1:
            raise ValueError("takes something else than tensors")
        yield sources[0]


def _tensors(value: Any) -> Iterator[Key]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, call, _ = value["config"]["keras_history"]
            yield name, call
            return
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        yield from _tensors(item)


def _in_order(nodes: dict[Key, Node], output: Key) -> dict[Key, Node]:
    """The nodes the output depends on, each after those it takes its inputs from."""
    ordered: dict[Key, Node] = {}
    waiting = [output]
    while waiting:
        node = nodes[waiting[-1]]
        missing = [source for source in node.inputs if source not in ordered]
        if missing:
            waiting += missing
            continue
        ordered.setdefault(waiting.pop(), node)
    return ordered
