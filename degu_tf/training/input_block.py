"""A network's first convolution with its batch normalisation, as one matrix product.

On a processor the first block of a genomic network takes most of a training step: it has the
longest output, and four input channels leave little arithmetic to hide the memory traffic. What
batch normalisation needs of that output, a mean and a variance for each filter, also follows from
the mean and the covariance of the short windows of the input, which are much smaller; so the
output need not be written, read and differentiated before it is normalised.
"""

import tensorflow as tf
from keras import activations, layers

FEW_TERMS = 128
"""Windows of so many values or fewer: of wider ones the covariance takes as long as it saves."""


def is_input_block(convolution: layers.Layer, normalisation: layers.Layer) -> bool:
    """Whether these layers can be computed together here, the input being the network's."""
    return (
        type(convolution) is layers.Conv1D
        and type(normalisation) is layers.BatchNormalization
        and convolution.data_format == "channels_last"
        and convolution.padding in ("same", "valid")
        and (convolution.strides[0], convolution.dilation_rate[0], convolution.groups) == (1, 1, 1)
        and convolution.activation is activations.linear
        and convolution.activity_regularizer is None
        and normalisation.activity_regularizer is None
        and convolution.kernel.shape[0] * convolution.kernel.shape[1] <= FEW_TERMS
        and normalisation.axis in (-1, 2)
        and normalisation.trainable
        and not normalisation.synchronized
        and {convolution.compute_dtype, normalisation.compute_dtype} == {"float32"}
    )


def normalised_convolution(
    convolution: layers.Conv1D, normalisation: layers.BatchNormalization, x: tf.Tensor
) -> tf.Tensor:
    """The normalised output `(B, L, filters)` of a batch `(B, L, channels)`, in training.

    As the two layers compute it, to the rounding of float32; the moving mean and variance move on.
    """
    window = _windows(x, convolution, every=1)[0]
    kernel, shift = _scaled(convolution, normalisation, [window])
    return tf.matmul(window, kernel) + shift


def larger_of_pairs(
    convolution: layers.Conv1D, normalisation: layers.BatchNormalization, x: tf.Tensor
) -> tf.Tensor:
    """`normalised_convolution` and max-pooling by 2, `(B, L // 2, filters)`.

    The whole output is never made: even and odd positions are two products, and a shift of both
    can wait until the larger one is known.
    """
    even, odd = _windows(x, convolution, every=2)
    kernel, shift = _scaled(convolution, normalisation, [even, odd])
    n_pairs = tf.shape(odd)[1]
    return tf.maximum(tf.matmul(even[:, :n_pairs], kernel), tf.matmul(odd, kernel)) + shift


def _windows(x: tf.Tensor, convolution: layers.Conv1D, every: int) -> list[tf.Tensor]:
    """The windows of the convolution, `(B, positions, size * channels)`, for each residue."""
    size = convolution.kernel_size[0]
    if convolution.padding == "same":
        x = tf.pad(x, ((0, 0), ((size - 1) // 2, size // 2), (0, 0)))
    last = x.shape[1] - size if x.shape[1] is not None else tf.shape(x)[1] - size
    return [
        tf.concat([x[:, i + first : last + i + 1 : every] for i in range(size)], axis=2)
        for first in range(every)
    ]


def _scaled(
    convolution: layers.Conv1D,
    normalisation: layers.BatchNormalization,
    windows: list[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """The kernel `(size * channels, filters)` and the shift `(filters,)` that normalise."""
    kernel = tf.convert_to_tensor(convolution.kernel)
    terms = kernel.shape[0] * kernel.shape[1]
    kernel = tf.reshape(kernel, (terms, kernel.shape[2]))
    rows = [tf.reshape(each, (-1, terms)) for each in windows]
    n = tf.cast(tf.add_n([tf.shape(each)[0] for each in rows]), kernel.dtype)
    centre = tf.add_n([tf.reduce_sum(each, 0) for each in rows]) / n
    products = tf.add_n([tf.matmul(each, each, transpose_a=True) for each in rows])
    covariance = products / n - centre[:, tf.newaxis] * centre
    mean = tf.linalg.matvec(kernel, centre, transpose_a=True)
    variance = tf.reduce_sum(kernel * tf.matmul(covariance, kernel), 0)
    bias = tf.convert_to_tensor(convolution.bias) if convolution.use_bias else 0.0
    mean += bias
    _move(normalisation.moving_mean, mean, normalisation.momentum)
    _move(normalisation.moving_variance, variance, normalisation.momentum)
    factor = tf.math.rsqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        factor *= normalisation.gamma
    shift = (bias - mean) * factor
    return kernel * factor, shift + normalisation.beta if normalisation.center else shift


def _move(average: tf.Variable, value: tf.Tensor, momentum: float) -> None:
    average.assign(average * momentum + tf.stop_gradient(value) * (1.0 - momentum))
