"""ResidualBind: a dilated residual block between two convolutions, averaged over positions."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from degu_tf.heads import HeadLayout
from degu_tf.models.layers import (
    check_any_input,
    check_rate,
    check_sizes,
    output_head,
    scale,
)

POOL = 5


def residualbind(
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    *,
    width: float = 1.0,
    conv_filters: Sequence[int] = (196, 256),
    conv_kernels: Sequence[int] = (19, 7),
    residual_kernel: int = 3,
    dilations: Sequence[int] = (1, 2, 4, 8, 16),
    dense_units: Sequence[int] = (256, 256),
    conv_dropout: float = 0.2,
    residual_dropout: float = 0.1,
    dense_dropout: float = 0.5,
) -> keras.Model:
    """ResidualBind as the paper trains it on lentiMPRA (Methods, "ResidualBind for lentiMPRA").

    Convolution, dilated residual block, max-pooling by 5, convolution, max-pooling by 5, a dense
    layer on each position, the average over positions, a dense layer; SiLU after each, ReLU inside
    the block. The weights do not depend on the length.

    Parameters
    ----------
    input_shape
        `(L, 4)`, L in bases, at least 25, or `(None, 4)` for a model that takes any length from 25
        on, where TensorFlow itself refuses a shorter sequence. The paper has 230.
    heads
        What the output columns mean.
    width
        Factor on all filters and units, those given below included; each is rounded, at least 1.
    conv_filters, conv_kernels
        Filters and kernel sizes, in positions, of the first and the second convolution. The
        residual block has as many filters as the first.
    residual_kernel
        Kernel size of the convolutions in the residual block.
    dilations
        Dilation, in positions, of each convolution of the block after its first, undilated one.
    dense_units
        Units of the dense layer on each position and of the one after averaging.
    conv_dropout, residual_dropout, dense_dropout
        Dropout rates: after each convolution and the block, within the block, after dense layers.

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, n_columns)`.

    Raises
    ------
    InputError
        If the length is too short or an option is out of range.

    Examples
    --------
    >>> residualbind((230, 4), HeadLayout(("activity",))).count_params()
    1198469
    """
    filters = scale(check_sizes("conv_filters", conv_filters, count=2), width)
    kernels = check_sizes("conv_kernels", conv_kernels, count=2)
    (residual_kernel,) = check_sizes("residual_kernel", (residual_kernel,), count=1)
    dilations = check_sizes("dilations", dilations)
    units = scale(check_sizes("dense_units", dense_units, count=2), width)
    conv_dropout = check_rate("conv_dropout", conv_dropout)
    residual_dropout = check_rate("residual_dropout", residual_dropout)
    dense_dropout = check_rate("dense_dropout", dense_dropout)
    shape = check_any_input("residualbind", input_shape, heads, shortest=POOL**2)

    sequence = keras.Input(shape, name="sequence")
    x = layers.Conv1D(filters[0], kernels[0], padding="same", name="conv1")(sequence)
    x = _bn_silu_dropout(x, conv_dropout, "conv1")
    x = _residual_block(x, residual_kernel, dilations, residual_dropout)
    x = layers.Activation("silu", name="residual_silu")(x)
    x = layers.Dropout(conv_dropout, name="residual_dropout")(x)
    x = layers.MaxPooling1D(POOL, name="residual_pool")(x)
    x = layers.Conv1D(filters[1], kernels[1], padding="same", name="conv2")(x)
    x = _bn_silu_dropout(x, conv_dropout, "conv2")
    x = layers.MaxPooling1D(POOL, name="conv2_pool")(x)
    x = layers.Dense(units[0], name="dense1")(x)
    x = _bn_silu_dropout(x, dense_dropout, "dense1")
    x = layers.GlobalAveragePooling1D(name="average")(x)
    x = layers.Dense(units[1], name="dense2")(x)
    x = _bn_silu_dropout(x, dense_dropout, "dense2")
    return keras.Model(sequence, output_head(x, heads), name="residualbind")


def _bn_silu_dropout(x: Any, rate: float, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.Activation("silu", name=f"{name}_silu")(x)
    return layers.Dropout(rate, name=f"{name}_dropout")(x)


def _residual_block(x: Any, kernel: int, dilations: Sequence[int], rate: float) -> Any:
    """`x` plus a chain of convolutions without bias, the first undilated; shape is kept."""
    size = x.shape[-1]
    y = layers.Conv1D(size, kernel, padding="same", use_bias=False, name="residual0")(x)
    y = layers.BatchNormalization(name="residual0_bn")(y)
    for i, dilation in enumerate(dilations, start=1):
        y = layers.Activation("relu", name=f"residual{i}_relu")(y)
        y = layers.Dropout(rate, name=f"residual{i}_dropout")(y)
        y = layers.Conv1D(
            size,
            kernel,
            padding="same",
            dilation_rate=dilation,
            use_bias=False,
            name=f"residual{i}",
        )(y)
        y = layers.BatchNormalization(name=f"residual{i}_bn")(y)
    return layers.Add(name="residual_add")([x, y])
