"""What each architecture's layers look like: kinds, shapes, and the options that follow from them.

Each function takes layers in the order of the model, and either says what they are or why they
cannot be that architecture.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from degu_tf.models.cnn_task_base import POOLS
from degu_tf.models.deepstarr import POOL
from degu_tf.models.released.stored_weights import (
    CONV,
    DENSE,
    EVIDENTIAL,
    LSTM,
    MEAN,
    NORMALISATION,
    OUTPUTS,
    Block,
    StoredLayer,
    of_kind,
)

Sizes = dict[str, Any]


class Misfit(Exception):
    """Why layers are not those of an architecture."""


@dataclass(frozen=True)
class Output:
    """How the last layers make the output.

    Attributes
    ----------
    head
        ``"linear"`` (one dense layer), ``"mean_std"`` (dense layers of the mean and, through
        softplus, of the deviation), ``"dense_normal"`` (the same with an offset),
        ``"evidential"``, ``"tasks"``, or ``"outputs"`` (any other dense layers side by side).
    n_columns
        Columns of the output.
    blocks
        The dense layers, where there are several.
    """

    head: str
    n_columns: int
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Found:
    """What layers are, if they are those of an architecture.

    Attributes
    ----------
    sizes, kernels
        Options of its builder that `width` scales, and those it does not.
    output, lengths
        As in `degu_tf.models.released.recognise.Plan`.
    fixed
        Options that do not depend on sizes, such as the variant.
    """

    sizes: Sizes
    kernels: Sizes
    output: Output
    lengths: tuple[int, int] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise Misfit(reason)


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


def _output(dense: Sequence[StoredLayer], size: int) -> Output:
    """How the last dense layers, all of one input, make the output, as far as names tell."""
    units = dense[0].units if dense else 0
    _need(
        len(dense) > 0 and all(layer.shape == (size, units) for layer in dense),
        f"dense layers of one size from {size} channels to the output",
    )
    _need(all(layer.has_bias for layer in dense), "an output with bias")
    names = tuple(layer.label or layer.name for layer in dense)
    head = "outputs"
    if len(dense) == 1:
        head = "linear"
    elif dense[0].name.endswith(MEAN):
        head = "dense_normal"
    elif names in OUTPUTS:
        head = "evidential" if names == EVIDENTIAL else "mean_std"
    blocks = tuple(Block(name, units) for name in names) if len(dense) > 1 else ()
    return Output(head, units * len(dense), blocks)


def _positions(size: int, channels: int) -> int:
    _need(size % channels == 0, f"a dense layer over all positions of {channels} channels")
    return size // channels


def _deepstarr(layers: Sequence[StoredLayer]) -> Found:
    conv, normal, dense = _sorted_out(layers)
    n_hidden = len(normal) - len(conv)
    _need(len(conv) > 0 and n_hidden > 0, "batch normalisation after convolutions and dense layers")
    hidden = dense[:n_hidden]
    _need(len(hidden) == n_hidden, f"at least {n_hidden} dense layers")
    last = _chain(conv, 4, "convolution")
    positions = _positions(hidden[0].shape[0], last)
    size = _chain(hidden, hidden[0].shape[0], "dense layer")
    _normalised(normal, (*_units(conv), *_units(hidden)))
    output = _output(dense[n_hidden:], size)
    step = POOL ** len(conv)
    return Found(
        {"conv_filters": _units(conv), "dense_units": _units(hidden)},
        {"conv_kernels": _kernels(conv)},
        output,
        (positions * step, positions * step + step - 1),
    )


def _mprann(layers: Sequence[StoredLayer]) -> Found:
    conv, normal, dense = _sorted_out(layers)
    _need(len(conv) == 4 and len(dense) > 2, "4 convolutions, 2 dense layers and the output")
    last = _chain(conv, 4, "convolution")
    _normalised(normal, _units(conv))
    hidden = dense[:2]
    positions = _positions(hidden[0].shape[0], last)
    size = _chain(hidden, hidden[0].shape[0], "dense layer")
    output = _output(dense[2:], size)
    kernels = _kernels(conv)
    pooled = positions + kernels[2] + kernels[3] - 2
    shortest = 2 * pooled + kernels[0] + kernels[1] - 2
    return Found(
        {"conv_filters": _units(conv), "dense_units": _units(hidden)},
        {"conv_kernels": kernels},
        output,
        (shortest, shortest + 1),
    )


def _residualbind(layers: Sequence[StoredLayer]) -> Found:
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
    output = _output(dense[2:], size)
    return Found(
        {"conv_filters": (first.units, last.units), "dense_units": _units(hidden)},
        {
            "conv_kernels": (first.shape[0], last.shape[0]),
            "residual_kernel": block[0].shape[0],
            "dilations": tuple(2**i for i in range(len(block) - 1)),
        },
        output,
    )


def _cnn_task_base(layers: Sequence[StoredLayer]) -> Found:
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
    return Found(
        {
            "conv_filters": _units(trunk),
            "dense_units": (dense[0].units,),
            "bottleneck": bottleneck,
            "profile_filters": profile.units,
            "task_filters": tasks[0].units,
        },
        {"conv_kernels": _kernels(trunk), "profile_kernel": profile.shape[0]},
        Output("tasks", n_tasks),
        (length, length),
    )


def _dream_rnn(layers: Sequence[StoredLayer]) -> Found:
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
    output = _output(dense, size)
    return Found(
        {
            "conv_filters": (first[0].units, second[0].units),
            "lstm_units": lstm.units,
            "pointwise_filters": last.units,
        },
        {"conv_kernels": _kernels(first)},
        output,
        fixed={"variant": "released" if normal else "paper"},
    )


SIGNATURES: dict[str, Callable[[Sequence[StoredLayer]], Found]] = {
    "cnn_task_base": _cnn_task_base,
    "deepstarr": _deepstarr,
    "dream_rnn": _dream_rnn,
    "mprann": _mprann,
    "residualbind": _residualbind,
}
"""By name: from layers to what they are, or `Misfit`."""
