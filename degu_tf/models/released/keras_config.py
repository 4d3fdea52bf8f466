"""A Keras model's configuration, read as text into a graph: nothing is imported, built or called.

What leaves a prediction as it is (dropout, a flattening of what is flat, a permutation that
permutes nothing) becomes no node, so that models that compute the same in other words are equal.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from degu_tf.models.released.graph import Edge, Graph, Node
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

MAX_LAYERS = 200
"""More layers than any architecture here has; a file with more is refused."""

NORMAL_OFFSET = 1e-6
"""What `DenseNormal` of the package evidential-deep-learning adds to its softplus."""

_JOINED = "/outputs"
"""The node that joins several outputs; no layer has a name with this first letter."""

_MODELS = {"Functional", "Model", "Sequential"}
_CODE = {"Lambda", "__lambda__"}
_OWN_MODULES = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.|$)")


def read_graph(content: Any) -> Graph:
    """The graph of a model's configuration as JSON gave it.

    Raises
    ------
    InputError
        If the configuration holds code (a Lambda layer), is of a model class of its author's own,
        or has not one input.
    """
    refuse_code(content)
    if not isinstance(content, dict) or content.get("class_name") not in _MODELS:
        found = content.get("class_name") if isinstance(content, dict) else content
        raise InputError(
            "expected a model made of layers (Functional or Sequential); a file does not hold what "
            f"a custom class computes. Received: class {found!r}"
        )
    return _Reader(content).graph()


def refuse_code(content: Any) -> None:
    """Refuse a configuration that holds a Lambda layer or a serialised lambda function.

    Raises
    ------
    InputError
        If it does; the layer is named. Nothing was run.
    """
    for item in nested_dicts(content):
        if item.get("class_name") in _CODE:
            config = item.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            raise InputError(
                "the model holds a Lambda layer, which is code of its author; it was not run. "
                f"Received: {item['class_name']} {name or ''}".rstrip()
            )


class _Reader:
    """Walks from the output to the input and makes a node of each layer that computes."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        config: Any = content.get("config")
        layers = config.get("layers") if isinstance(config, dict) else config
        if not isinstance(layers, list) or not layers or len(layers) > MAX_LAYERS:
            number = len(layers) if isinstance(layers, list) else None
            raise InputError(f"expected a model of 1 to {MAX_LAYERS} layers. Received: {number}")
        self.layers = {str(_name(layer)): layer for layer in layers}
        if len(self.layers) != len(layers):
            raise InputError("expected layers of different names. Received: a name used twice")
        self.names = list(self.layers)
        self.sequential = content["class_name"] == "Sequential"
        self.outputs = None if self.sequential else config.get("output_layers")
        self.nodes: dict[str, Node] = {}
        self.ranks: dict[str, int] = {}
        self.edges: dict[str, Edge] = {}
        self.length: int | None = None
        self.open: set[str] = set()

    def graph(self) -> Graph:
        outputs = [self.names[-1]] if self.sequential else _tensors(self.outputs)
        if not outputs or len(set(outputs)) < len(outputs):
            raise InputError(f"expected a model of one or more outputs. Received: {outputs}")
        edges = tuple(self.edge(name) for name in outputs)
        output = edges[0]
        if len(edges) > 1:
            ranks = sorted({self.ranks[edge.source] for edge in edges})
            if len(ranks) > 1:
                raise InputError(f"expected outputs of one kind. Received: {outputs}")
            output = self._add(_JOINED, "concatenate", {"axis": -1}, edges)
        inputs = [name for name, node in self.nodes.items() if node.op == "input"]
        if len(inputs) != 1:
            raise InputError(f"expected a model of one input. Received: {inputs}")
        layers = tuple((name, str(layer.get("class_name"))) for name, layer in self.layers.items())
        several = tuple(outputs) if len(outputs) > 1 else ()
        return Graph(self.nodes, output, self.length, layers, several)

    def edge(self, name: str) -> Edge:
        """The output of a layer, through whatever leaves it as it is."""
        if name not in self.edges:
            if name in self.open or name not in self.layers:
                raise InputError(f"the model's layers are not connected rightly. Received: {name}")
            self.open.add(name)
            self.edges[name] = self._read(name, self.layers[name])
        return self.edges[name]

    def _read(self, name: str, layer: Mapping[str, Any]) -> Edge:
        held = layer.get("config")
        config = held if isinstance(held, dict) else {}
        kind = _class(layer)
        inputs = tuple(self.edge(source) for source in self._inputs(name, layer))
        rank = max((self.ranks[edge.source] for edge in inputs), default=3)
        if kind == "InputLayer" or not inputs:
            return self._input(name, layer, config, inputs)
        calls = _call_arguments(layer)
        if len(inputs) == 1 and not calls:
            (edge,) = inputs
            if kind == "Dropout":
                return Edge(edge.source, (*edge.dropouts, (name, float(config.get("rate", 0.0)))))
            if _changes_nothing(kind, config, rank):
                return edge
        if kind == "DenseNormal":
            return self._dense_normal(name, inputs, rank)
        op, params = _operation(kind, config, rank, calls)
        if op != "concatenate":
            params.update(calls)
        edge = self._add(name, op, params, inputs, _rank_after(op, params, rank))
        activation = _activation(config.get("activation"))
        if op in ("conv", "dense") and activation != "linear":
            edge = self._add(f"{name}/activation", "activation", {"function": activation}, (edge,))
        return edge

    def _inputs(self, name: str, layer: Mapping[str, Any]) -> list[str]:
        if not self.sequential:
            return _tensors(layer.get("inbound_nodes", []))
        place = self.names.index(name)
        return self.names[place - 1 : place] if place else []

    def _input(
        self, name: str, layer: Mapping[str, Any], config: Mapping, inputs: tuple[Edge, ...]
    ) -> Edge:
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if inputs or not isinstance(shape, list) or len(shape) != 3 or shape[2] != 4:
            raise InputError(
                "expected a model whose input is (length, 4), channels A C G T. "
                f"Received: {name} of shape {shape}"
            )
        length = shape[1]
        if length is not None and not is_whole(length, 1):
            raise InputError(f"expected an input length in bases. Received: {length!r}")
        self.length = length
        edge = self._add(name, "input", {}, (), 3)
        if layer.get("class_name") == "InputLayer":
            return edge
        raise InputError(f"expected the model to begin with an input layer. Received: {name}")

    def _add(
        self,
        name: str,
        op: str,
        params: Mapping[str, Any],
        inputs: tuple[Edge, ...],
        rank: int | None = None,
    ) -> Edge:
        self.nodes[name] = Node(name, op, params, inputs)
        self.ranks[name] = self.ranks[inputs[0].source] if rank is None else rank
        return Edge(name)

    def _dense_normal(self, name: str, inputs: tuple[Edge, ...], rank: int) -> Edge:
        """The released evidential layer: mean, and softplus plus an offset, side by side."""
        mean = self._add(f"{name}:mean", "dense", {"use_bias": True}, inputs, rank)
        std = self._add(f"{name}:std", "dense", {"use_bias": True}, inputs, rank)
        std = self._add(f"{name}/softplus", "activation", {"function": "softplus"}, (std,))
        params = {"scale": 1.0, "offset": NORMAL_OFFSET}
        std = self._add(f"{name}/offset", "rescaling", params, (std,))
        return self._add(name, "concatenate", {"axis": -1}, (mean, std))


def _name(layer: Any) -> Any:
    if not isinstance(layer, dict):
        raise InputError(f"expected a layer's configuration. Received: {layer!r:.80}")
    config = layer.get("config")
    return layer.get("name") or (config.get("name") if isinstance(config, dict) else None)


def _class(layer: Mapping[str, Any]) -> str:
    """The class's name; of a class that is not Keras' own, the name it is registered by."""
    name = str(layer.get("class_name"))
    registered, module = layer.get("registered_name"), layer.get("module")
    foreign = registered not in (None, name) or (
        isinstance(module, str) and not _OWN_MODULES.match(module)
    )
    if name == "DenseNormal" or not foreign:
        return name
    return str(registered or f"{module}.{name}")


def _tensors(value: Any) -> list[str]:
    """Names of the layers whose outputs a configuration lists, in order."""
    return [name for name, _ in _references(value)]


def _references(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            value = value["config"]["keras_history"]
        else:
            for item in value.values():
                yield from _references(item)
            return
    if not isinstance(value, list):
        return
    if len(value) in (3, 4) and isinstance(value[0], str) and value[1:3] == [0, 0]:
        yield value[0], value[3] if len(value) == 4 and isinstance(value[3], dict) else {}
        return
    if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
        raise InputError(f"a layer is used more than once. Received: {value[0]}")
    for item in value:
        yield from _references(item)


def _call_arguments(layer: Mapping[str, Any]) -> dict[str, Any]:
    """What a layer is called with besides tensors, such as `training=True`."""
    inbound = layer.get("inbound_nodes", [])
    if layer.get("class_name") != "TFOpLambda" and isinstance(inbound, list) and len(inbound) > 1:
        raise InputError(f"a layer is used more than once. Received: {_name(layer)}")
    arguments: dict[str, Any] = {}
    for _, given in _references(inbound):
        arguments.update(given)
    for node in inbound if isinstance(inbound, list) else []:
        if isinstance(node, dict) and isinstance(node.get("kwargs"), dict):
            arguments.update(node["kwargs"])
    return {
        name: value
        for name, value in arguments.items()
        if value not in (None, False) and not _tensors(value)
    }


def _changes_nothing(kind: str, config: Mapping[str, Any], rank: int) -> bool:
    if kind == "Permute":
        return list(config.get("dims", ())) == list(range(1, rank))
    if kind == "Activation":
        return _activation(config.get("activation")) == "linear"
    return kind == "Identity" or (kind == "Flatten" and rank == 2)


def _activation(value: Any) -> str:
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return {"None": "linear", "swish": "silu"}.get(str(value), str(value))


def _one(value: Any) -> Any:
    """A size that Keras writes as a number or as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _operation(
    kind: str, config: Mapping[str, Any], rank: int, calls: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """A layer's operation and what of it bears on numbers, weights' shapes left out."""
    if kind == "Conv1D":
        return "conv", _convolution(config)
    if kind == "Dense":
        return "dense", {"use_bias": config.get("use_bias", True)}
    if kind == "BatchNormalization":
        axis = _one(config.get("axis", -1))
        return "batch_normalization", {
            "axis": -1 if axis == rank - 1 else axis,
            "epsilon": config.get("epsilon"),
            "center": config.get("center", True),
            "scale": config.get("scale", True),
        }
    if kind == "Activation":
        return "activation", {"function": _activation(config.get("activation"))}
    if kind == "ReLU" and not any(
        config.get(name) for name in ("max_value", "negative_slope", "threshold")
    ):
        return "activation", {"function": "relu"}
    if kind == "Softmax" and _one(config.get("axis", -1)) in (-1, rank - 1):
        return "activation", {"function": "softmax"}
    if kind in ("MaxPooling1D", "MaxPool1D"):
        size = _one(config.get("pool_size"))
        strides = _one(config.get("strides"))
        return "max_pooling", {
            "size": size,
            "strides": size if strides is None else strides,
            "padding": config.get("padding", "valid"),
        }
    if kind in ("GlobalAveragePooling1D", "GlobalAvgPool1D"):
        return "average", {"keepdims": bool(config.get("keepdims", False))}
    if kind == "Flatten":
        return "flatten", {}
    if kind == "Reshape":
        return "reshape", {"shape": list(config.get("target_shape", ()))}
    if kind == "Add":
        return "add", {}
    if kind in ("Concatenate", "TFOpLambda") and config.get("function", "concat") == "concat":
        axis = calls.get("axis", config.get("axis", -1))
        return "concatenate", {"axis": -1 if axis == rank - 1 else axis}
    if kind == "Rescaling":
        return "rescaling", {"scale": config.get("scale"), "offset": config.get("offset")}
    if kind == "Bidirectional":
        return "bidirectional", _recurrent(config)
    return kind if kind != "TFOpLambda" else f"tf.{config.get('function')}", {}


def _convolution(config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("kernel_size", "strides", "dilation_rate", "padding", "use_bias", "data_format")
    params = {name: _one(config.get(name)) for name in names}
    if params["kernel_size"] == 1:
        params |= {"padding": "same", "dilation_rate": 1}
    return params | {"groups": config.get("groups", 1)}


def _recurrent(config: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {"merge_mode": config.get("merge_mode")}
    parts = {"forward": config.get("layer"), "backward": config.get("backward_layer")}
    for direction, layer in parts.items():
        if layer is None:
            continue
        inner = layer.get("config", {})
        found = {
            "class": layer.get("class_name"),
            "activation": _activation(inner.get("activation")),
            "recurrent_activation": _activation(inner.get("recurrent_activation")),
            "use_bias": inner.get("use_bias"),
            "return_sequences": inner.get("return_sequences"),
            "backwards": bool(inner.get("go_backwards", False)) != (direction == "backward"),
        }
        if direction == "forward":
            params.update(found)
        elif found != {name: params[name] for name in found}:
            params["backward_layer"] = found
    return params


def _rank_after(op: str, params: Mapping[str, Any], rank: int) -> int:
    if op in ("average", "flatten"):
        return 2
    return 1 + len(params["shape"]) if op == "reshape" else rank


def nested_dicts(content: Any) -> Iterator[dict[str, Any]]:
    """Every mapping within plain values."""
    pending = [content]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
