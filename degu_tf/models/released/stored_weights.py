"""Content of a file of weights in any format: layers, with arrays in Keras' layout."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from degu_tf.models.released.graph import Graph
from degu_tf.models.released.keras_config import MAX_LAYERS
from degu_tf.utils.errors import InputError

CONV, DENSE, NORMALISATION, LSTM = "Conv1D", "Dense", "BatchNormalization", "Bidirectional LSTM"
KINDS = (CONV, DENSE, NORMALISATION, LSTM)

OFFSET = "output_std_offset"
"""The layer of `"dense_normal"` that `"mean_std"` lacks."""

MEAN, STD = ":mean", ":std"
"""Ends of the names of the two halves of a `DenseNormal` layer."""


EVIDENTIAL = ("output_mean", "output_nu", "output_alpha", "output_beta")

OUTPUTS = (EVIDENTIAL, ("output_mean", "output_std"), ("mu", "std"))
"""Names of dense layers that make an output together: this package's, and the released files'."""


@dataclass(frozen=True)
class Block:
    """One of several dense layers that make an output together: its name, units and activation."""

    name: str
    units: int
    activation: str = "linear"


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer that has weights.

    Attributes
    ----------
    name
        Its name in the file, by which Keras numbers layers of one class.
    kind
        One of `KINDS`.
    arrays
        As `keras.layers.Layer.set_weights` takes them: kernel `(width, in, out)` and bias of a
        convolution, kernel `(in, out)` and bias of a dense layer, gamma, beta, mean and variance,
        or kernel `(in, 4 units)`, recurrent kernel and bias of an LSTM forwards, then backwards.
    label
        The name that its author gave it, where the file has another one too.
    """

    name: str
    kind: str
    arrays: tuple[np.ndarray, ...]
    label: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first array, which tells the sizes of all."""
        return self.arrays[0].shape

    @property
    def units(self) -> int:
        """What it puts out: filters, units, or units of one direction."""
        return self.shape[-1] // 4 if self.kind == LSTM else self.shape[-1]

    @property
    def has_bias(self) -> bool:
        """Whether a convolution or a dense layer adds a bias."""
        return len(self.arrays) == 2

    def __str__(self) -> str:
        return "x".join(map(str, self.shape)) + ("" if self.kind != CONV or self.has_bias else "*")


@dataclass(frozen=True, eq=False)
class Stored:
    """All layers of a file.

    Attributes
    ----------
    format
        Kind of file, for messages.
    layers
        Layers with weights, by name, in the file's order where it has one.
    graph
        How they are connected, where the file says so.
    in_order
        Whether the order of `layers` is the model's.
    epsilon
        What batch normalisation adds to the variance in who wrote the file, where no graph says.
    names
        Names of all layers that the file lists, those without weights included.
    """

    format: str
    layers: tuple[StoredLayer, ...]
    graph: Graph | None = None
    in_order: bool = True
    epsilon: float = 1e-3
    names: tuple[str, ...] = ()

    def orders(self) -> list[list[StoredLayer]]:
        """Orders in which layers of one kind may follow each other in the model.

        With a graph there is one, the graph's. Without, there is the file's own and the one of the
        numbers that Keras gives to names; where both make sense and differ, neither can be relied
        on, and who asks has to find out.
        """
        if self.graph is not None:
            by_name = {layer.name: layer for layer in self.layers}
            strays = [name for name in by_name if name not in self.graph.nodes]
            if strays:
                raise InputError(
                    f"the file has weights of layers that lead to no output. Received: {strays}"
                )
            return [[by_name[name] for name in self.graph.nodes if name in by_name]]
        orders = [list(self.layers)] if self.in_order else []
        numbered = _numbered(self.layers)
        if numbered is not None:
            orders.append(numbered)
        if not orders:
            raise InputError(
                "neither the file's order nor its names say which layer comes first. "
                f"Received: {[layer.name for layer in self.layers]}"
            )
        return [_by_label(order) for order in orders]


def of_kind(layers: Sequence[StoredLayer], kind: str) -> list[StoredLayer]:
    """The layers of one kind, in order."""
    return [layer for layer in layers if layer.kind == kind]


def describe(layers: Sequence[StoredLayer]) -> str:
    """Numbers and shapes of the layers of each kind, for messages.

    A convolution without bias is starred.
    """
    found = []
    for kind in KINDS:
        shapes = [str(layer) for layer in of_kind(layers, kind)]
        if shapes:
            found.append(f"{len(shapes)} {kind} ({', '.join(shapes)})")
    return "; ".join(found) or "no layers with weights"


def check_arrays(
    name: str, kind: str, arrays: Sequence[np.ndarray], label: str | None = None
) -> StoredLayer:
    """A layer, after its arrays were found to belong together.

    Raises
    ------
    InputError
        If their number, shapes or values cannot be those of a layer of that kind.
    """
    shapes = [array.shape for array in arrays]
    if kind == CONV:
        fits = len(shapes[0]) == 3 and shapes[1:] in ([], [shapes[0][-1:]])
    elif kind == DENSE:
        fits = len(shapes[0]) == 2 and shapes[1:] in ([], [shapes[0][-1:]])
    elif kind == NORMALISATION:
        fits = len(shapes[0]) == 1 and shapes == [shapes[0]] * 4
    else:
        one = shapes[:3]
        fits = (
            shapes == one * 2
            and [len(shape) for shape in one] == [2, 2, 1]
            and one[0][1] == one[1][1] == one[2][0] == 4 * one[1][0]
        )
    if not fits or 0 in shapes[0]:
        raise InputError(f"arrays of {name} are not those of a {kind}. Received: shapes {shapes}")
    for array in arrays:
        if not np.isfinite(array).all():
            raise InputError(f"expected finite weights. Received: NaN or infinity in {name}")
    if kind == NORMALISATION and arrays[3].min() < 0:
        raise InputError(f"a running variance cannot be negative. Received: {name}")
    return StoredLayer(name, kind, tuple(arrays), label)


def split_normal(layer: StoredLayer) -> tuple[StoredLayer, StoredLayer]:
    """The halves of a `DenseNormal` layer: dense layers of the mean and of the deviation.

    Raises
    ------
    InputError
        If it is not one dense layer of an even number of units.
    """
    if layer.kind != DENSE or not layer.has_bias or layer.units % 2:
        raise InputError(
            "expected DenseNormal to be a dense layer with bias and an even number of units. "
            f"Received: {layer.name}, {layer.kind} {layer}"
        )
    halves = zip(*(np.split(array, 2, axis=-1) for array in layer.arrays), strict=True)
    mean, std = (
        replace(layer, name=layer.name + end, arrays=arrays)
        for end, arrays in zip((MEAN, STD), halves, strict=True)
    )
    return mean, std


def number_in(name: str) -> tuple[str, int]:
    """A layer's name without the number that Keras gave it, and the number, 0 for none.

    Examples
    --------
    >>> number_in("conv1d_12"), number_in("conv1d"), number_in("conv3")
    (('conv1d', 12), ('conv1d', 0), ('conv', 3))
    """
    found = re.fullmatch(r"(.+)_(\d+)", name)
    if found is None and not name.endswith("1d"):
        found = re.fullmatch(r"(.*\D)(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _numbered(layers: Sequence[StoredLayer]) -> list[StoredLayer] | None:
    """The layers of each kind by number, or None where names of a kind differ in more than that."""
    ordered = []
    for kind in KINDS:
        keyed = [(*_number_of_half(layer.name), layer) for layer in of_kind(layers, kind)]
        numbers = [number for _, number, _ in keyed]
        if len({base for base, _, _ in keyed}) > 1 or len(set(numbers)) < len(numbers):
            return None
        ordered += [layer for _, _, layer in sorted(keyed, key=lambda item: item[1])]
    return ordered


def _number_of_half(name: str) -> tuple[str, int]:
    """`number_in`, where the halves of a `DenseNormal`, an output, come after all dense layers."""
    for place, end in enumerate((MEAN, STD)):
        if name.endswith(end):
            return "dense", MAX_LAYERS + place
    return number_in(name)


def _by_label(layers: list[StoredLayer]) -> list[StoredLayer]:
    """The layers with those of an output in the order of their names, where they have known ones.

    Keras lists layers by how far they are from the output, so that parallel ones of which only
    some are followed by an offset are not in the order of their columns.
    """
    for names in OUTPUTS:
        found = {
            layer.label or layer.name: place
            for place, layer in enumerate(layers)
            if layer.kind == DENSE and (layer.label or layer.name) in names
        }
        if len(found) == len(names):
            ordered = list(layers)
            for place, name in zip(sorted(found.values()), names, strict=True):
                ordered[place] = layers[found[name]]
            return ordered
    return layers
