"""Assignment of a file's arrays to the layers of a model built here.

Where the file says how its layers are connected, the two graphs are held against each other, and
all that bears on a number must agree. Where it does not, layers of one kind are taken in order, and
shapes must agree. Either way every array of the file is used once, and every layer of the model is
filled.
"""

import json
from collections.abc import Sequence

import keras

from degu_tf.models.released.graph import Difference, Graph, match
from degu_tf.models.released.keras_config import read_graph
from degu_tf.models.released.stored_weights import (
    CONV,
    DENSE,
    KINDS,
    LSTM,
    NORMALISATION,
    Stored,
    StoredLayer,
    describe,
    of_kind,
)
from degu_tf.utils.errors import InputError

_KIND_OF = {
    keras.layers.Conv1D: CONV,
    keras.layers.Dense: DENSE,
    keras.layers.BatchNormalization: NORMALISATION,
    keras.layers.Bidirectional: LSTM,
}


def graph_of(model: keras.Model) -> Graph:
    """The graph of a model of ours."""
    return read_graph(json.loads(model.to_json()))


def fill(model: keras.Model, stored: Stored, layers: Sequence[StoredLayer]) -> dict[str, float]:
    """Set a model's weights from a file's layers.

    Parameters
    ----------
    model
        A model of this package; left as it was if the file does not fit.
    stored
        The file.
    layers
        Its layers in an order in which they may come (`Stored.orders`).

    Returns
    -------
    dict
        The rate that each dropout layer has in the file, by the name of ours; empty where the
        file does not say.

    Raises
    ------
    InputError
        If the file's graph computes something else, or a layer is left over, missing, or of
        another shape; the first one is named.
    """
    pairs, rates = assign(model, stored, layers)
    for name, layer in pairs.items():
        model.get_layer(name).set_weights(layer.arrays)
    return rates


def assign(
    model: keras.Model, stored: Stored, layers: Sequence[StoredLayer]
) -> tuple[dict[str, StoredLayer], dict[str, float]]:
    """Which of the file's layers each of the model's is, and the dropout rates, as for `fill`.

    Raises
    ------
    InputError
        As `fill`.
    """
    ours = graph_of(model)
    rates: dict[str, float] = {}
    if stored.graph is None:
        pairs = _by_order(model, ours, layers)
    else:
        try:
            nodes, rates = match(ours, stored.graph)
        except Difference as difference:
            raise InputError(
                f"the file's model computes something else than {model.name}: {difference}. "
                f"Received: {describe(layers)}"
            ) from None
        by_name = {layer.name: layer for layer in layers}
        pairs = {our: by_name[their] for our, their in nodes.items() if their in by_name}
    unused = [layer.name for layer in layers if layer not in pairs.values()]
    if unused:
        raise InputError(f"the file's layers {unused} have no place in {model.name}")
    for layer in model.layers:
        if layer.weights:
            _check(model, layer, pairs.get(layer.name))
    return pairs, rates


def _by_order(
    model: keras.Model, graph: Graph, layers: Sequence[StoredLayer]
) -> dict[str, StoredLayer]:
    pairs: dict[str, StoredLayer] = {}
    weighted = [model.get_layer(name) for name in graph.nodes if "/" not in name]
    for kind in KINDS:
        names = [each.name for each in weighted if _KIND_OF.get(type(each)) == kind]
        held = of_kind(layers, kind)
        if len(names) != len(held):
            raise InputError(
                f"{model.name} has {len(names)} {kind} layers, the file {len(held)}. "
                f"Received: {describe(layers)}"
            )
        pairs.update(zip(names, held, strict=True))
    return pairs


def _check(model: keras.Model, layer: keras.Layer, stored: StoredLayer | None) -> None:
    wanted = [tuple(weight.shape) for weight in layer.weights]
    if stored is None:
        raise InputError(f"the file has no weights for {layer.name} of {model.name}")
    found = [array.shape for array in stored.arrays]
    if found != wanted:
        raise InputError(
            f"{layer.name} of {model.name} has arrays of shapes {wanted}. "
            f"Received: {stored.name} with {found}"
        )
