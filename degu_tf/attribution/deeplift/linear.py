"""Linear layers: their multipliers are those of the output through the transposed layer, exactly.

Forward they compute as Keras does, to the last digit where possible: which of two nearly equal
positions a max-pooling takes is decided there. Going back, convolutions and dense layers, which
take nearly all the time, are written out; a convolution with stride 1 is transposed by one with the
reversed kernel, which supports every dilation.
Layers that only move, average or repeat values are transposed by differentiating them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from degu_tf.attribution.deeplift.compiled import compiled
from degu_tf.attribution.deeplift.pairs import Saved, sum_to_shape

FEW_CHANNELS = 8
"""With no more input channels, a convolution is transposed by one matrix product."""


class Convolution:
    """A one-dimensional convolution of values `(N, L, C)`.

    Parameters
    ----------
    kernel
        `(width, channels in a group, filters)`.
    bias
        `(filters,)`, or None.
    stride, dilation, groups, padding
        As Keras has them; padding is ``"valid"``, ``"same"`` or ``"causal"``.
    after
        What scales and shifts the filters afterwards. Going back, the kernel does that too.
    """

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: str = "valid",
        after: "Affine | None" = None,
    ) -> None:
        self.kernel, self.bias, self.after = kernel, bias, after
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = padding
        self.reach = (kernel.shape[0] - 1) * dilation
        self.length = 0
        # tensors of their own, not constants that TensorFlow would merge with what follows
        self._kernels = [tf.constant(each) for each in np.split(kernel, groups, axis=2)]

    def then(self, after: "Affine") -> "Convolution":
        """The convolution and a scaling of its filters as one rule."""
        return Convolution(
            self.kernel, self.bias, self.stride, self.dilation, self.groups, self.padding, after
        )

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The convolution; nothing is kept but the length."""
        self.length = x.shape[1]
        parts = tf.split(x, self.groups, axis=2) if self.groups > 1 else [x]
        y = [
            _convolve(part, kernel, self._pads(), self.stride, self.dilation)
            for part, kernel in zip(parts, self._kernels, strict=True)
        ]
        y = tf.concat(y, 2) if self.groups > 1 else y[0]
        y = y if self.bias is None else tf.nn.bias_add(y, self.bias)
        return (y, ()) if self.after is None else self.after.forward(y)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """The transposed convolution."""
        kernels = np.split(_scaled(self.kernel, self.after), self.groups, axis=2)
        parts = tf.split(multiplier, self.groups, axis=2) if self.groups > 1 else [multiplier]
        transpose = self._turned if self.stride == 1 else self._spread
        own = [transpose(part, kernel) for part, kernel in zip(parts, kernels, strict=True)]
        return (tf.concat(own, 2) if self.groups > 1 else own[0],)

    def _pads(self) -> tuple[int, int]:
        """Zeros before and after the input."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self.reach, 0
        n_out = -(-self.length // self.stride)
        total = max((n_out - 1) * self.stride + self.reach + 1 - self.length, 0)
        return total // 2, total - total // 2

    def _turned(self, multiplier: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
        turned = np.ascontiguousarray(kernel[::-1].transpose(0, 2, 1))
        left, right = (self.reach - pad for pad in self._pads())
        if self.dilation == 1 and kernel.shape[1] <= FEW_CHANNELS:
            return self._overlapped(multiplier, kernel)
        return _convolve(multiplier, turned, (left, right), 1, self.dilation)

    def _overlapped(self, multiplier: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
        """As one product that gives each output's part in its inputs, and their sum."""
        left, _ = self._pads()
        parts = _times(multiplier, kernel.transpose(2, 0, 1).reshape(kernel.shape[2], -1))
        own = _overlap(
            parts[:, tf.newaxis], channels=kernel.shape[1], left=left, length=self.length
        )
        return own[:, 0]

    def _spread(self, multiplier: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
        left, right = self._pads()
        padded = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=[tf.shape(multiplier)[0], 1, self.length + left + right, kernel.shape[1]],
            filter=kernel[np.newaxis],
            out_backprop=multiplier[:, tf.newaxis],
            strides=[1, 1, self.stride, 1],
            padding="VALID",
        )
        own = padded[:, 0, left : left + self.length]
        return tf.ensure_shape(own, (None, self.length, kernel.shape[1]))


@compiled()
def _overlap(parts: tf.Tensor, channels: int, left: int, length: int) -> tf.Tensor:
    """The sum of the parts `(N, 1, n_out, width * channels)` that outputs have in each input.

    The first output's first part lies `left` positions before the inputs, `(N, 1, L, channels)`.
    """
    width = parts.shape[3] // channels
    own: Any = 0.0
    for k in range(width):
        part = parts[:, 0, :, k * channels : (k + 1) * channels]
        own += _cut_or_pad(part, k - left, length - part.shape[1] - k + left)
    return own[:, tf.newaxis]


def _cut_or_pad(x: tf.Tensor, left: int, right: int) -> tf.Tensor:
    """Zeros before and after the positions, or as many positions less where negative."""
    x = x[:, max(-left, 0) : x.shape[1] - max(-right, 0)]
    left, right = max(left, 0), max(right, 0)
    return tf.pad(x, ((0, 0), (left, right), (0, 0))) if left or right else x


def _convolve(
    x: tf.Tensor,
    kernel: np.ndarray | tf.Tensor,
    pads: tuple[int, int],
    stride: int,
    dilation: int,
) -> tf.Tensor:
    if min(pads) < 0:
        x, pads = _cut_or_pad(x, *pads), (0, 0)
    y = tf.nn.conv2d(
        x[:, tf.newaxis],
        kernel[np.newaxis],
        strides=[1, 1, stride, 1],
        padding=[[0, 0], [0, 0], list(pads), [0, 0]] if any(pads) else "VALID",
        dilations=[1, 1, dilation, 1],
    )
    return tf.squeeze(y, 1)


class Dense:
    """A dense layer on the last axis.

    Parameters
    ----------
    kernel
        `(features, units)`.
    bias
        `(units,)`, or None.
    after
        What scales and shifts the units afterwards.
    """

    def __init__(
        self, kernel: np.ndarray, bias: np.ndarray | None, after: "Affine | None" = None
    ) -> None:
        self.kernel, self.bias, self.after = kernel, bias, after

    def then(self, after: "Affine") -> "Dense":
        """The layer and a scaling of its units as one rule."""
        return Dense(self.kernel, self.bias, after)

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The product; nothing is kept."""
        y = _times(x, self.kernel)
        y = y if self.bias is None else y + self.bias
        return (y, ()) if self.after is None else self.after.forward(y)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """Times the transposed kernel."""
        return (_times(multiplier, np.ascontiguousarray(_scaled(self.kernel, self.after).T)),)


def _times(x: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    y = tf.matmul(tf.reshape(x, (-1, kernel.shape[0])), kernel)
    return tf.reshape(y, (-1, *x.shape[1:-1], kernel.shape[1]))


class Affine:
    """Times a constant, plus a constant: batch normalisation at inference, and rescaling.

    Parameters
    ----------
    scale, shift
        Arrays that broadcast against the values without their batch axis.
    """

    def __init__(self, scale: np.ndarray, shift: np.ndarray) -> None:
        self.scale, self.shift = scale, shift
        self._constants = tf.constant(scale), tf.constant(shift)

    @property
    def is_for_channels(self) -> bool:
        """Whether each number of the last axis has its own constants, and nothing else has."""
        return self.scale.ndim > 0 and self.scale.size == self.scale.shape[-1]

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """Scaled and shifted; nothing is kept."""
        scale, shift = self._constants
        return x * scale + shift, ()

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """Scaled."""
        return (multiplier * self.scale,)


def _scaled(kernel: np.ndarray, after: Affine | None) -> np.ndarray:
    return kernel if after is None else kernel * after.scale.reshape(-1)


class Sum:
    """Terms times a constant each, added: addition, subtraction, average.

    Parameters
    ----------
    weights
        One for each term.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = weights
        self.shapes: list[tf.TensorShape] = []

    def forward(self, *terms: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The sum; nothing is kept but the terms' shapes, which may be broadcast."""
        self.shapes = [term.shape for term in terms]
        weighted = zip(self.weights, terms, strict=True)
        return sum(term if weight == 1.0 else weight * term for weight, term in weighted), ()

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor, ...]:
        """Each term's own share."""
        return tuple(
            sum_to_shape(multiplier if weight == 1.0 else weight * multiplier, shape)
            for weight, shape in zip(self.weights, self.shapes, strict=True)
        )


class Concatenation:
    """Values side by side on an axis, which is not the batch's.

    Parameters
    ----------
    axis
        As Keras counts it, with the batch.
    """

    def __init__(self, axis: int) -> None:
        self.axis = axis
        self.sizes: list[int] = []

    def forward(self, *parts: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """Side by side; nothing is kept but the sizes."""
        self.sizes = [part.shape[self.axis] for part in parts]
        return tf.concat(parts, self.axis), ()

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor, ...]:
        """Cut apart again."""
        return tuple(tf.split(multiplier, self.sizes, self.axis))


class Differentiated:
    """A linear function without weights, transposed by differentiating it.

    Parameters
    ----------
    function
        Such as the moving of axes, averages over positions, padding with zeros.
    """

    def __init__(self, function: Callable[[tf.Tensor], tf.Tensor]) -> None:
        self.function = function
        self.shape: tuple[int, ...] = ()

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The function; nothing is kept but the shape of its input."""
        self.shape = tuple(x.shape[1:])
        return self.function(x), ()

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """Its vector-Jacobian product, which is the same at any input."""
        anywhere = tf.zeros((tf.shape(multiplier)[0], *self.shape), multiplier.dtype)
        with tf.GradientTape() as tape:
            tape.watch(anywhere)
            y = self.function(anywhere)
        return (tape.gradient(y, anywhere, output_gradients=multiplier),)
