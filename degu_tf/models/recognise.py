"""Which architecture a file's layers are, told from their kinds and shapes alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from degu_tf.errors import InputError
from degu_tf.models import registry
from degu_tf.models.cnn_task_base import POOLS
from degu_tf.models.deepstarr import POOL
from degu_tf.models.dream_rnn import VARIANTS
from degu_tf.models.layers import scale
from degu_tf.models.stored import (
    CONV,
    DENSE,
    EVIDENTIAL,
    LSTM,
    MEAN,
    NORMALISATION,
    StoredLayer,
    describe,
    of_kind,
)

LENGTHS = (249, 230, 2048)
"""The paper's input lengths, of which one is taken where a file fits several lengths."""

Sizes = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Plan:
    """What to build for a file.

    Attributes
    ----------
    architecture, options
        Arguments of `registry.build`.
    layers
        The file's layers in the order of the model's, within each kind.
    head
        How the output is made: ``"linear"`` (one dense layer), ``"mean_std"`` (dense layers of
        mean and, through softplus, deviation), ``"dense_normal"`` (the same with an offset),
        ``"evidential"`` or ``"tasks"``.
    n_columns
        Columns of the output.
    lengths
        Shortest and longest input that the arrays fit; None where they fit any.
    """

    architecture: str
    options: dict[str, Any]
    layers: list[StoredLayer]
    head: str
    n_columns: int
    lengths: tuple[int, int] | None

    def input_length(self, given: int | None, held: int | None) -> int | None:
        """The length to build for: the one given, the file's, or the one that the arrays fit.

        Raises
        ------
        InputError
            If the arrays do not fit it, or fit several of which none is the paper's.
        """
        wanted = held if given is None else given
        if self.lengths is None:
            return wanted
        low, high = self.lengths
        if wanted is None:
            known = [length for length in LENGTHS if low <= length <= high]
            if low < high and len(known) != 1:
                raise InputError(
                    f"the file fits {self.architecture} of any length from {low} to {high}: give "
                    "input_length. Received: input_length=None"
                )
            return known[0] if known else low
        if not low <= wanted <= high:
            raise InputError(
                f"the file's arrays fit lengths from {low} to {high}. "
                f"Received: input_length={wanted!r}"
            )
        return wanted


class _Misfit(Exception):
    """Why layers are not those of an architecture."""


@dataclass(frozen=True)
class _Found:
    """What an architecture's own look at the layers gives."""

    sizes: Sizes
    kernels: Sizes
    head: str
    n_columns: int
    lengths: tuple[int, int] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)


def recognise(
    orders: Sequence[Sequence[StoredLayer]], architecture: str | None = None
) -> list[Plan]:
    """What the layers can be, for each order that makes sense.

    Parameters
    ----------
    orders
        Orders in which the layers may come (`Stored.orders`).
    architecture
        The only one to consider; None for all.

    Raises
    ------
    InputError
        If they are no architecture known here; the message says what was found, and of each
        architecture what it lacks.
    """
    if architecture is not None:
        registry.options(architecture)
    names = tuple(_ARCHITECTURES) if architecture is None else (architecture,)
    plans, reasons = [], {}
    for layers in orders:
        for name in names:
            try:
                plans.append(_plan(name, list(layers)))
            except _Misfit as misfit:
                reasons.setdefault(name, str(misfit))
    if not plans:
        missing = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise InputError(
            f"the file's layers are of no known architecture (what would fit: {missing}). "
            f"Received: {describe(orders[0])}"
        )
    return plans


def _plan(name: str, layers: list[StoredLayer]) -> Plan:
    found = _ARCHITECTURES[name](layers)
    defaults = registry.options(name) | _variant_defaults(found.fixed)
    options = dict(found.fixed)
    options |= {key: value for key, value in found.kernels.items() if value != defaults[key]}
    expected = {key: defaults[key] for key in found.sizes}
    width = fitting_width(_flat(expected), _flat(found.sizes))
    if width is None:
        options |= {key: value for key, value in found.sizes.items() if value != expected[key]}
    elif width != 1.0:
        options["width"] = width
    return Plan(name, options, layers, found.head, found.n_columns, found.lengths)


def _variant_defaults(fixed: Mapping[str, Any]) -> dict[str, Any]:
    variant = fixed.get("variant")
    return {} if variant is None else {"conv_filters": VARIANTS[variant].conv_filters}


def _flat(sizes: Sizes) -> tuple[int, ...] | None:
    values: list[int] = []
    for value in sizes.values():
        values += value if isinstance(value, tuple) else (value,)
    return tuple(values)


def fitting_width(whole: Sequence[int], found: Sequence[int]) -> float | None:
    """The roundest factor that turns all sizes into those found; None if there is none.

    Examples
    --------
    >>> fitting_width((256, 60, 120), (64, 15, 30)), fitting_width((256, 60), (256, 61))
    (0.25, None)
    """
    if len(whole) != len(found):
        return None
    low = max(
        0.0 if size == 1 else (size - 0.5) / all_ for all_, size in zip(whole, found, strict=True)
    )
    high = min((size + 0.5) / all_ for all_, size in zip(whole, found, strict=True))
    for digits in range(9):
        step = 10.0**-digits
        for number in range(math.floor(low / step), math.ceil(high / step) + 1)[:100]:
            width = round(number * step, digits)
            if width > 0 and scale(whole, width) == tuple(found):
                return width
    return None


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise _Misfit(reason)


def _sorted_out(
    layers: Sequence[StoredLayer], lstm: bool = False
) -> tuple[list[StoredLayer], list[StoredLayer], list[StoredLayer]]:
    found = len(of_kind(layers, LSTM))
    _need(found == int(lstm), "one LSTM" if lstm else "no LSTM")
    return of_kind(layers, CONV), of_kind(layers, NORMALISATION), of_kind(layers, DENSE)


def _chain(layers: Sequence[StoredLayer], size: int, what: str, bias: bool = True) -> int:
    """Follow layers of which each takes what the one before puts out; give the last size."""
    for place, layer in enumerate(layers, start=1):
        _need(
            layer.shape[-2] == size,
            f"{what} {place} takes {size} channels, the file's {layer.shape[-2]}",
        )
        _need(layer.has_bias == bias, f"{what} {place} has {'a' if bias else 'no'} bias")
        size = layer.units
    return size


def _normalised(layers: Sequence[StoredLayer], sizes: Sequence[int]) -> None:
    found = [layer.units for layer in layers]
    _need(
        found == list(sizes),
        f"batch normalisation of {', '.join(map(str, sizes)) or 'nothing'}",
    )


def _units(layers: Sequence[StoredLayer]) -> tuple[int, ...]:
    return tuple(layer.units for layer in layers)


def _kernels(layers: Sequence[StoredLayer]) -> tuple[int, ...]:
    return tuple(layer.shape[0] for layer in layers)


def _head(dense: Sequence[StoredLayer], size: int) -> tuple[str, int]:
    """How the last dense layers, all of one input, make the output, and its columns."""
    units = dense[0].units if dense else 0
    heads = {1: "linear", 2: "mean_std", 4: "evidential"}
    _need(
        len(dense) in heads and all(layer.shape == (size, units) for layer in dense),
        f"1, 2 or 4 dense layers from {size} channels to the output",
    )
    _need(all(layer.has_bias for layer in dense), "an output with bias")
    head = heads[len(dense)]
    _need(
        head != "evidential" or _labels(dense) == set(EVIDENTIAL),
        f"4 dense layers to the output of the names {', '.join(EVIDENTIAL)}",
    )
    if dense[0].name.endswith(MEAN):
        head = "dense_normal"
    return head, units * len(dense)


def _labels(layers: Sequence[StoredLayer]) -> set[str]:
    return {layer.label or layer.name for layer in layers}


def _positions(size: int, channels: int) -> int:
    _need(size % channels == 0, f"a dense layer over all positions of {channels} channels")
    return size // channels


def _deepstarr(layers: Sequence[StoredLayer]) -> _Found:
    conv, normal, dense = _sorted_out(layers)
    n_hidden = len(normal) - len(conv)
    _need(len(conv) > 0 and n_hidden > 0, "batch normalisation after convolutions and dense layers")
    hidden = dense[:n_hidden]
    _need(len(hidden) == n_hidden, f"at least {n_hidden} dense layers")
    last = _chain(conv, 4, "convolution")
    positions = _positions(hidden[0].shape[0], last)
    size = _chain(hidden, hidden[0].shape[0], "dense layer")
    _normalised(normal, (*_units(conv), *_units(hidden)))
    head, n_columns = _head(dense[n_hidden:], size)
    step = POOL ** len(conv)
    return _Found(
        {"conv_filters": _units(conv), "dense_units": _units(hidden)},
        {"conv_kernels": _kernels(conv)},
        head,
        n_columns,
        (positions * step, positions * step + step - 1),
    )


def _mprann(layers: Sequence[StoredLayer]) -> _Found:
    conv, normal, dense = _sorted_out(layers)
    _need(len(conv) == 4 and len(dense) > 2, "4 convolutions, 2 dense layers and the output")
    last = _chain(conv, 4, "convolution")
    _normalised(normal, _units(conv))
    hidden = dense[:2]
    positions = _positions(hidden[0].shape[0], last)
    size = _chain(hidden, hidden[0].shape[0], "dense layer")
    head, n_columns = _head(dense[2:], size)
    kernels = _kernels(conv)
    pooled = positions + kernels[2] + kernels[3] - 2
    shortest = 2 * pooled + kernels[0] + kernels[1] - 2
    return _Found(
        {"conv_filters": _units(conv), "dense_units": _units(hidden)},
        {"conv_kernels": kernels},
        head,
        n_columns,
        (shortest, shortest + 1),
    )


def _residualbind(layers: Sequence[StoredLayer]) -> _Found:
    conv, normal, dense = _sorted_out(layers)
    _need(len(conv) > 3 and len(dense) > 2, "4 convolutions or more, 2 dense layers and the output")
    first, *block, last = conv
    size = _chain([first], 4, "convolution")
    _need(
        _chain(block, size, "residual convolution", bias=False) == size
        and len({layer.shape for layer in block}) == 1,
        "a residual block that keeps its number of channels",
    )
    size = _chain([last], size, "last convolution")
    hidden = dense[:2]
    size = _chain(hidden, size, "dense layer")
    _normalised(normal, (*_units(conv), *_units(hidden)))
    head, n_columns = _head(dense[2:], size)
    return _Found(
        {"conv_filters": (first.units, last.units), "dense_units": _units(hidden)},
        {
            "conv_kernels": (first.shape[0], last.shape[0]),
            "residual_kernel": block[0].shape[0],
            "dilations": tuple(2**i for i in range(len(block) - 1)),
        },
        head,
        n_columns,
    )


def _cnn_task_base(layers: Sequence[StoredLayer]) -> _Found:
    conv, normal, dense = _sorted_out(layers)
    n_tasks = len(dense) - 2
    _need(
        n_tasks > 0 and len(conv) == 4 + n_tasks,
        "4 convolutions, 2 dense layers, and one of each for each task",
    )
    trunk, profile, tasks = conv[:3], conv[3], conv[4:]
    last = _chain(trunk, 4, "convolution")
    positions = _positions(dense[0].shape[0], last)
    _chain(dense[:2], dense[0].shape[0], "dense layer")
    bottleneck = profile.shape[1]
    length = _positions(dense[1].units, bottleneck)
    _need(
        length // math.prod(POOLS) == positions,
        f"as many positions after pooling, {positions}, as a length of {length} leaves",
    )
    _need(profile.has_bias, "a profile convolution with bias")
    for task, output in zip(tasks, dense[2:], strict=True):
        _chain([task], profile.units, "task convolution")
        _need(task.shape == tasks[0].shape, "tasks of one size")
        _need(output.shape == (task.units, 1) and output.has_bias, "one output for each task")
    kernels = {profile.shape[0], tasks[0].shape[0]}
    _need(len(kernels) == 1, "one kernel size for the profile and the tasks")
    sizes = (*_units(trunk), *_units(dense[:2]), profile.units, *_units(tasks))
    _normalised(normal, sizes)
    return _Found(
        {
            "conv_filters": _units(trunk),
            "dense_units": (dense[0].units,),
            "bottleneck": bottleneck,
            "profile_filters": profile.units,
            "task_filters": tasks[0].units,
        },
        {"conv_kernels": _kernels(trunk), "profile_kernel": profile.shape[0]},
        "tasks",
        n_tasks,
        (length, length),
    )


def _dream_rnn(layers: Sequence[StoredLayer]) -> _Found:
    conv, normal, dense = _sorted_out(layers, lstm=True)
    (lstm,) = of_kind(layers, LSTM)
    _need(len(conv) == 5 and len(dense) > 0, "5 convolutions and the output")
    first, second, last = conv[:2], conv[2:4], conv[4]
    for block, size in ((first, 4), (second, 2 * lstm.units)):
        for layer in block:
            _chain([layer], size, "parallel convolution")
        _need(block[0].units == block[1].units, "parallel convolutions of one number of filters")
    _need(lstm.shape[0] == 2 * first[0].units, "an LSTM over both convolutions of the first block")
    _need(_kernels(first) == _kernels(second), "the same kernel sizes in both blocks")
    size = _chain([last], 2 * second[0].units, "last convolution")
    _need(last.shape[0] == 1, "a last convolution of one position")
    if normal:
        _normalised(normal, _units(conv[:4]))
    head, n_columns = _head(dense, size)
    return _Found(
        {
            "conv_filters": (first[0].units, second[0].units),
            "lstm_units": lstm.units,
            "pointwise_filters": last.units,
        },
        {"conv_kernels": _kernels(first)},
        head,
        n_columns,
        fixed={"variant": "released" if normal else "paper"},
    )


_ARCHITECTURES: dict[str, Callable[[Sequence[StoredLayer]], _Found]] = {
    "cnn_task_base": _cnn_task_base,
    "deepstarr": _deepstarr,
    "dream_rnn": _dream_rnn,
    "mprann": _mprann,
    "residualbind": _residualbind,
}
