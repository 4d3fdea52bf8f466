"""DREAM-RNN: two parallel convolutions, a bidirectional LSTM, two more, and an average."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

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
from degu_tf.utils.errors import InputError

TORCH_EPSILON = 1e-5
"""What batch normalisation adds to the variance in PyTorch, where the released network is from."""

TORCH_MOMENTUM = 0.9
"""PyTorch's momentum of 0.1 in the sense of Keras: the share of the old running mean."""


class _Variant(NamedTuple):
    conv_filters: tuple[int, int]
    final_dropout: float


VARIANTS = {"paper": _Variant((256, 256), 0.2), "released": _Variant((160, 160), 0.5)}
"""Defaults that depend on the variant."""


def dream_rnn(
    input_shape: tuple[int | None, int],
    heads: HeadLayout,
    *,
    width: float = 1.0,
    variant: str = "paper",
    conv_filters: Sequence[int] | None = None,
    conv_kernels: Sequence[int] = (9, 15),
    lstm_units: int = 320,
    pointwise_filters: int = 256,
    conv_dropout: float = 0.2,
    final_dropout: float | None = None,
    epsilon: float | None = None,
    momentum: float | None = None,
) -> keras.Model:
    """DREAM-RNN (Rafi et al. 2024), which the paper trains in Supplementary Fig. 2.

    Two blocks of two parallel convolutions, concatenated, with a bidirectional LSTM between them;
    then a convolution of one position, the average over positions, the output. The two variants
    are the paper's text (`"paper"`) and the PyTorch code of the released weights (`"released"`):

    - paper: convolutions with ReLU and dropout, dropout after the LSTM, ReLU and dropout after the
      last convolution;
    - released: batch normalisation before each ReLU, dropout before the last convolution, which
      has no activation, and none after the LSTM.

    The weights do not depend on the length.

    Parameters
    ----------
    input_shape
        `(L, 4)`, L in bases, or `(None, 4)` for a model that takes any length. The paper has 249.
    heads
        What the output columns mean.
    width
        Factor on all filters and units, those given below included; each is rounded, at least 1.
    variant
        ``"paper"`` or ``"released"``.
    conv_filters
        Filters of each convolution of the first and of the second block; None for the variant's
        (256, 256) or (160, 160).
    conv_kernels
        Kernel sizes, in positions, of the two parallel convolutions, in the order of their
        concatenation.
    lstm_units
        Units of the LSTM in each direction.
    pointwise_filters
        Filters of the last convolution.
    conv_dropout
        Dropout rate after the parallel convolutions, and in the paper's variant after the LSTM.
    final_dropout
        Dropout rate after (released: before) the last convolution; None for the variant's 0.2
        (released: 0.5).
    epsilon, momentum
        Of batch normalisation, which only the released variant has; None for PyTorch's, `1e-5`
        and 0.9.

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, n_columns)`.

    Raises
    ------
    InputError
        If the variant is unknown, an option is out of range, or batch normalisation is set for
        the variant that has none.

    Examples
    --------
    >>> dream_rnn((249, 4), HeadLayout(("Dev", "Hk"))).count_params()
    6222082
    >>> dream_rnn((None, 4), HeadLayout(("Dev", "Hk")), variant="released").count_params()
    4199810
    """
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise InputError(
            f"variant must be {' or '.join(map(repr, VARIANTS))}. Received: variant={variant!r}"
        )
    defaults = VARIANTS[variant]
    released = variant == "released"
    sizes = defaults.conv_filters if conv_filters is None else conv_filters
    filters = scale(check_sizes("conv_filters", sizes, count=2), width)
    kernels = check_sizes("conv_kernels", conv_kernels, count=2)
    (units,) = scale(check_sizes("lstm_units", (lstm_units,), count=1), width)
    (last,) = scale(check_sizes("pointwise_filters", (pointwise_filters,), count=1), width)
    conv_dropout = check_rate("conv_dropout", conv_dropout)
    final_dropout = check_rate(
        "final_dropout", defaults.final_dropout if final_dropout is None else final_dropout
    )
    normalisation = _normalisation(released, epsilon, momentum)
    shape = check_any_input("dream_rnn", input_shape, heads, shortest=1)

    sequence = keras.Input(shape, name="sequence")
    x = _block(sequence, filters[0], kernels, conv_dropout, normalisation, "first")
    lstm = layers.LSTM(units, return_sequences=True, name="lstm")
    x = layers.Bidirectional(lstm, name="lstm")(x)
    if not released:
        x = layers.Dropout(conv_dropout, name="lstm_dropout")(x)
    x = _block(x, filters[1], kernels, conv_dropout, normalisation, "second")
    if released:
        x = layers.Dropout(final_dropout, name="final_dropout")(x)
    x = layers.Conv1D(last, 1, padding="same", name="pointwise")(x)
    if not released:
        x = layers.Activation("relu", name="pointwise_relu")(x)
        x = layers.Dropout(final_dropout, name="final_dropout")(x)
    x = layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(sequence, output_head(x, heads), name="dream_rnn")


def _block(
    x: Any,
    filters: int,
    kernels: Sequence[int],
    dropout: float,
    normalisation: dict[str, float] | None,
    name: str,
) -> Any:
    """Parallel convolutions of one input, concatenated in the order of `kernels`."""
    branches = []
    for i, kernel in enumerate(kernels, start=1):
        y = layers.Conv1D(filters, kernel, padding="same", name=f"{name}_conv{i}")(x)
        if normalisation is not None:
            y = layers.BatchNormalization(name=f"{name}_conv{i}_bn", **normalisation)(y)
        y = layers.Activation("relu", name=f"{name}_conv{i}_relu")(y)
        branches.append(layers.Dropout(dropout, name=f"{name}_conv{i}_dropout")(y))
    return layers.Concatenate(name=f"{name}_concatenate")(branches)


def _normalisation(
    released: bool, epsilon: float | None, momentum: float | None
) -> dict[str, float] | None:
    """Arguments of batch normalisation, or None for the variant without it."""
    given = {"epsilon": epsilon, "momentum": momentum}
    if not released:
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"the paper's variant has no batch normalisation: leave {name} out, or give "
                    f"variant='released'. Received: {name}={value!r}"
                )
        return None
    defaults = {"epsilon": TORCH_EPSILON, "momentum": TORCH_MOMENTUM}
    checked: dict[str, float] = {}
    for name, value in given.items():
        value = defaults[name] if value is None else value
        if not isinstance(value, Real) or isinstance(value, bool) or not 0.0 < value < 1.0:
            raise InputError(f"{name} must lie between 0 and 1. Received: {name}={value!r}")
        checked[name] = float(value)
    return checked
