"""DeepSTARR: four convolution blocks, then two dense layers over all positions."""

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

POOL = 2


def deepstarr(
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    *,
    width: float = 1.0,
    conv_filters: Sequence[int] = (256, 60, 60, 120),
    conv_kernels: Sequence[int] = (7, 3, 5, 3),
    dense_units: Sequence[int] = (256, 256),
    dropout: float = 0.4,
) -> keras.Model:
    """DeepSTARR (de Almeida et al. 2022), which the paper trains on STARR-seq.

    Each convolution is followed by batch normalisation, ReLU and max-pooling by 2; each dense
    layer by batch normalisation, ReLU and dropout (paper, Methods, "DeepSTARR").

    Parameters
    ----------
    input_shape
        `(L, 4)`, L in bases, at least 2 to the number of convolutions (16). The paper has 249.
    heads
        What the output columns mean.
    width
        Factor on all filters and units, those given below included; each is rounded, at least 1.
    conv_filters, conv_kernels
        Filters and kernel size, in positions, of each convolution, as many of one as of the other.
    dense_units
        Units of each dense layer.
    dropout
        Dropout rate after each dense layer.

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
    >>> deepstarr((249, 4), HeadLayout(("Dev", "Hk"))).count_params()
    624738
    """
    filters = scale(check_sizes("conv_filters", conv_filters), width)
    kernels = check_sizes("conv_kernels", conv_kernels, count=len(filters))
    units = scale(check_sizes("dense_units", dense_units), width)
    dropout = check_rate("dropout", dropout)
    shape = check_input("deepstarr", input_shape, heads, shortest=POOL ** len(filters))

    sequence = x = keras.Input(shape, name="sequence")
    for i, (size, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
        x = layers.Conv1D(size, kernel, padding="same", name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"conv{i}_bn")(x)
        x = layers.Activation("relu", name=f"conv{i}_relu")(x)
        x = layers.MaxPooling1D(POOL, name=f"conv{i}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for i, size in enumerate(units, start=1):
        x = layers.Dense(size, name=f"dense{i}")(x)
        x = layers.BatchNormalization(name=f"dense{i}_bn")(x)
        x = layers.Activation("relu", name=f"dense{i}_relu")(x)
        x = layers.Dropout(dropout, name=f"dense{i}_dropout")(x)
    return keras.Model(sequence, output_head(x, heads), name="deepstarr")
