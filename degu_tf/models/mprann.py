"""MPRAnn: four unpadded convolutions with softmax over filters, the baseline on lentiMPRA."""

from collections.abc import Sequence

import keras
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models.layers import (
    check_input,
    check_rate,
    check_sizes,
    output_head,
    scale,
)

ACTIVATIONS = ("relu", "softmax", "softmax", "softmax")

POOLS = (None, 2, None, 1)
"""Pool size after each convolution, with dropout; None where neither follows."""


def mprann(
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    *,
    width: float = 1.0,
    conv_filters: Sequence[int] = (250, 250, 250, 100),
    conv_kernels: Sequence[int] = (7, 8, 3, 2),
    dense_units: Sequence[int] = (300, 200),
    conv_dropout: float = 0.1,
    dense_dropout: float = 0.3,
) -> keras.Model:
    """MPRAnn (Agarwal et al. 2025), the dashed baseline of the paper's Fig. 2c, d.

    Convolutions are unpadded, each with its activation (ReLU, then softmax over filters) before
    batch normalisation; max-pooling and dropout follow the second and the fourth. Dense layers are
    sigmoid, with dropout after the first.

    Parameters
    ----------
    input_shape
        `(L, 4)`, L in bases, at least 21 with the default kernels. The paper has 230.
    heads
        What the output columns mean.
    width
        Factor on all filters and units, those given below included; each is rounded, at least 1.
        A single filter under a softmax is constant, so widths near 0.01 and below learn nothing.
    conv_filters, conv_kernels
        Filters and kernel sizes, in positions, of the four convolutions.
    dense_units
        Units of the two dense layers.
    conv_dropout, dense_dropout
        Dropout rates: after pooling, and between the dense layers.

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, n_columns)`.

    Raises
    ------
    InputError
        If the length is unknown or too short, or an option is out of range.

    Examples
    --------
    >>> mprann((230, 4), HeadLayout(("activity",))).count_params()
    3959451
    """
    filters = scale(check_sizes("conv_filters", conv_filters, count=4), width)
    kernels = check_sizes("conv_kernels", conv_kernels, count=4)
    units = scale(check_sizes("dense_units", dense_units, count=2), width)
    conv_dropout = check_rate("conv_dropout", conv_dropout)
    dense_dropout = check_rate("dense_dropout", dense_dropout)
    shape = check_input("mprann", input_shape, heads, shortest=_shortest(kernels))

    sequence = x = keras.Input(shape, name="sequence")
    blocks = zip(filters, kernels, ACTIVATIONS, POOLS, strict=True)
    for i, (size, kernel, activation, pool) in enumerate(blocks, start=1):
        x = layers.Conv1D(size, kernel, activation=activation, name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"conv{i}_bn")(x)
        if pool is not None:
            x = layers.MaxPooling1D(pool, name=f"conv{i}_pool")(x)
            x = layers.Dropout(conv_dropout, name=f"conv{i}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units[0], activation="sigmoid", name="dense1")(x)
    x = layers.Dropout(dense_dropout, name="dense1_dropout")(x)
    x = layers.Dense(units[1], activation="sigmoid", name="dense2")(x)
    return keras.Model(sequence, output_head(x, heads), name="mprann")


def _shortest(kernels: Sequence[int]) -> int:
    """The input length of which one position is left after all convolutions and pooling."""
    length = 1
    for kernel, pool in zip(reversed(kernels), reversed(POOLS), strict=True):
        length = length * (pool or 1) + kernel - 1
    return length
