"""CNN-task-base: a sequence squeezed to one vector and unfolded to a profile for each task."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models.layers import (
    check_input,
    check_rate,
    check_sizes,
    scale,
)
from degu_tf.utils.errors import InputError

POOLS = (8, 4, 4)


def cnn_task_base(
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    *,
    width: float = 1.0,
    conv_filters: Sequence[int] = (192, 256, 512),
    conv_kernels: Sequence[int] = (19, 7, 7),
    dense_units: Sequence[int] = (256,),
    bottleneck: int = 8,
    profile_filters: int = 256,
    task_filters: int = 64,
    profile_kernel: int = 7,
    conv_dropout: float = 0.1,
    last_conv_dropout: float = 0.2,
    dense_dropout: float = 0.3,
    bottleneck_dropout: float = 0.1,
    profile_dropout: float = 0.2,
    task_dropout: float = 0.1,
) -> keras.Model:
    """CNN-task-base (Toneyan et al. 2022), which the paper trains on ATAC-seq profiles.

    Three convolutions with max-pooling by 8, 4 and 4, a dense layer, a dense layer of
    `length * bottleneck` units unfolded to `(length, bottleneck)`, a convolution over the profile,
    and for each task a convolution and one softplus unit at every position; batch normalisation
    and ReLU after each. Every column of `heads` is a task, in the order of `heads.columns`.

    Parameters
    ----------
    input_shape
        `(L, 4)`, L in bases, at least 128. The paper has 2048.
    heads
        What the output columns mean. They are positive, so uncertainty columns can only be of the
        form ``"std"``.
    width
        Factor on all filters and units and the bottleneck, those given below included; each is
        rounded, at least 1.
    conv_filters, conv_kernels
        Filters and kernel sizes, in positions, of the three convolutions.
    dense_units
        Units of the dense layer between flattening and the profile, a sequence of one.
    bottleneck
        Channels at each position of the unfolded profile.
    profile_filters, task_filters
        Filters of the convolution over the profile, and of each task's.
    profile_kernel
        Kernel size, in positions, of both.
    conv_dropout, last_conv_dropout, dense_dropout, bottleneck_dropout, profile_dropout, \
task_dropout
        Dropout rates: after the first two convolutions, the third, the dense layer, the unfolding,
        the profile's convolution, each task's convolution.

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, L, n_columns)`.

    Raises
    ------
    InputError
        If the length is unknown or too short, an option is out of range, or heads have columns
        that can be negative.

    Examples
    --------
    >>> model = cnn_task_base((2048, 4), HeadLayout(("coverage",), aleatoric="std"))
    >>> model.count_params(), model.output_shape
    (7901378, (None, 2048, 2))
    """
    filters = scale(check_sizes("conv_filters", conv_filters, count=3), width)
    kernels = check_sizes("conv_kernels", conv_kernels, count=3)
    (units,) = scale(check_sizes("dense_units", dense_units, count=1), width)
    (channels,) = scale(check_sizes("bottleneck", (bottleneck,), count=1), width)
    (profile,) = scale(check_sizes("profile_filters", (profile_filters,), count=1), width)
    (task,) = scale(check_sizes("task_filters", (task_filters,), count=1), width)
    (kernel,) = check_sizes("profile_kernel", (profile_kernel,), count=1)
    conv_dropout = check_rate("conv_dropout", conv_dropout)
    last_conv_dropout = check_rate("last_conv_dropout", last_conv_dropout)
    dense_dropout = check_rate("dense_dropout", dense_dropout)
    bottleneck_dropout = check_rate("bottleneck_dropout", bottleneck_dropout)
    profile_dropout = check_rate("profile_dropout", profile_dropout)
    task_dropout = check_rate("task_dropout", task_dropout)
    length, _ = shape = check_input(
        "cnn_task_base", input_shape, heads, shortest=POOLS[0] * POOLS[1] * POOLS[2]
    )
    _check_positive(heads)

    sequence = x = keras.Input(shape, name="sequence")
    rates = (conv_dropout, conv_dropout, last_conv_dropout)
    blocks = zip(filters, kernels, POOLS, rates, strict=True)
    for i, (size, reach, pool, rate) in enumerate(blocks, start=1):
        x = layers.Conv1D(size, reach, padding="same", name=f"conv{i}")(x)
        x = _bn_relu(x, f"conv{i}")
        x = layers.MaxPooling1D(pool, name=f"conv{i}_pool")(x)
        x = layers.Dropout(rate, name=f"conv{i}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = _bn_relu(layers.Dense(units, name="dense1")(x), "dense1")
    x = layers.Dropout(dense_dropout, name="dense1_dropout")(x)
    x = _bn_relu(layers.Dense(length * channels, name="bottleneck")(x), "bottleneck")
    x = layers.Reshape((length, channels), name="unfold")(x)
    x = layers.Dropout(bottleneck_dropout, name="bottleneck_dropout")(x)
    x = _bn_relu(layers.Conv1D(profile, kernel, padding="same", name="profile")(x), "profile")
    x = layers.Dropout(profile_dropout, name="profile_dropout")(x)
    last = "output" if heads.n_columns == 1 else "task{}_output"
    tasks = [
        _task(x, task, kernel, task_dropout, f"task{i}", last.format(i))
        for i in range(1, heads.n_columns + 1)
    ]
    output = layers.Concatenate(name="output")(tasks) if len(tasks) > 1 else tasks[0]
    return keras.Model(sequence, output, name="cnn_task_base")


def _bn_relu(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _task(x: Any, filters: int, kernel: int, rate: float, name: str, last: str) -> Any:
    """One column: a convolution over the profile, then a positive number at each position."""
    x = _bn_relu(layers.Conv1D(filters, kernel, padding="same", name=name)(x), name)
    x = layers.Dropout(rate, name=f"{name}_dropout")(x)
    return layers.Dense(1, activation="softplus", name=last)(x)


def _check_positive(heads: HeadLayout) -> None:
    for component in ("aleatoric", "epistemic"):
        form = getattr(heads, component)
        if form not in (None, "std"):
            raise InputError(
                "the columns of cnn_task_base are positive (softplus), so uncertainty is a "
                f"standard deviation: give the form 'std'. Received: {component}={form!r}"
            )
