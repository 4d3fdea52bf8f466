"""The rescale rule of max-pooling, which is that of `shap`.

Of a window's largest value at the sequence and at the reference, the larger decides: the whole
difference of the two goes to the position where that larger one lies. Where a position differs by
nothing (in float32 by less than 1e-7, as in `shap`), it gets nothing.
"""

import tensorflow as tf

from degu_tf.attribution.deeplift.compiled import compiled
from degu_tf.attribution.deeplift.pairs import Saved, flat, unflat


class MaxPooling:
    """The largest of each window of positions, of values `(N, L, C)`.

    Parameters
    ----------
    size, stride
        In positions; a size of None is the whole length.
    padding
        ``"valid"`` or ``"same"``.
    keep_axis
        Whether the pooled positions stay an axis; without it there must be one window.
    rectified
        Whether a ReLU comes before. Its multiplier and that of the pooling need no more work
        together than the pooling alone: the ReLU's difference cancels.
    """

    def __init__(
        self,
        size: int | None,
        stride: int | None = None,
        padding: str = "valid",
        keep_axis: bool = True,
        rectified: bool = False,
    ) -> None:
        self.size, self.stride, self.padding, self.keep_axis = size, stride, padding, keep_axis
        self.rectified = rectified
        self.length = 0

    def after_relu(self) -> "MaxPooling":
        """The rule for a ReLU and this pooling after it."""
        return MaxPooling(self.size, self.stride, self.padding, self.keep_axis, rectified=True)

    def forward(self, z: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The largest values; kept are the input, they, and where in its window each lies."""
        self.length = z.shape[1]
        size, stride, left, n_out = self._geometry()
        right = (n_out - 1) * stride + max(size, stride) - left - self.length
        padded = tf.pad(
            z[:, : self.length + min(right, 0)],
            ((0, 0), (left, max(right, 0)), (0, 0)),
            constant_values=z.dtype.min,
        )
        if size <= stride:
            z = tf.reshape(padded, (-1, n_out, stride, z.shape[2]))
            windows = z[:, :, :size]
        else:
            span = (n_out - 1) * stride + 1
            windows = tf.stack([padded[:, k : k + span : stride] for k in range(size)], 2)
        largest = tf.reduce_max(windows, 2)
        if self.rectified:
            largest = tf.nn.relu(largest)
        which = tf.cast(tf.argmax(windows, 2, tf.int32), tf.int8 if size < 128 else tf.int32)
        return (largest if self.keep_axis else largest[:, 0]), (z, largest, which)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """The difference of the largest values, at the position of the larger, by its own."""
        size, stride, left, _ = self._geometry()
        if not self.keep_axis:
            multiplier = multiplier[:, tf.newaxis]
        m = unflat(multiplier, x[1], r[1])
        if size <= stride:
            return (flat(_to_windows(m, *x, *r, left=left, length=self.length)),)
        moved, which = _moved(m, *x[1:], *r[1:])
        placed = self._placed(flat(moved), flat(which))
        return (_divided(placed, flat(x[0] - r[0])),)

    def _placed(self, moved: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
        """Each window's value at its position, `(S * R, L, C)`, added where windows overlap."""
        size, stride, left, n_out = self._geometry()
        placed = 0.0
        for k in range(size):
            part = tf.where(tf.equal(which, k), moved, 0.0)[:, :, tf.newaxis]
            part = tf.pad(part, ((0, 0), (0, 0), (0, stride - 1), (0, 0)))
            part = tf.reshape(part, (-1, n_out * stride, moved.shape[2]))
            placed += tf.pad(part, ((0, 0), (k, size - 1 - k), (0, 0)))
        return _cut(placed, 1, left, self.length)

    def _geometry(self) -> tuple[int, int, int, int]:
        """Size, stride, positions added before the first one, and the number of windows."""
        size = self.size or self.length
        stride = self.stride or size
        if self.padding == "valid":
            return size, stride, 0, (self.length - size) // stride + 1
        n_out = -(-self.length // stride)
        return size, stride, max((n_out - 1) * stride + size - self.length, 0) // 2, n_out


@compiled()
def _to_windows(
    m: tf.Tensor,
    z_x: tf.Tensor,
    largest_x: tf.Tensor,
    which_x: tf.Tensor,
    z_r: tf.Tensor,
    largest_r: tf.Tensor,
    which_r: tf.Tensor,
    left: int,
    length: int,
) -> tf.Tensor:
    """Multipliers `(S, R, L, C)` of an input cut into windows `(S or 1, R or 1, n, stride, C)`."""
    moved, which = _moved(m, largest_x, which_x, largest_r, which_r)
    at = tf.cast(tf.range(z_x.shape[3])[:, tf.newaxis], which.dtype)
    here = tf.equal(which[:, :, :, tf.newaxis], at)
    own = tf.where(here, _divided(moved[:, :, :, tf.newaxis], z_x - z_r), 0.0)
    shape = tf.shape(own)
    own = tf.reshape(own, (shape[0], shape[1], own.shape[2] * own.shape[3], own.shape[4]))
    return _cut(own, 2, left, length)


def _moved(
    m: tf.Tensor,
    largest_x: tf.Tensor,
    which_x: tf.Tensor,
    largest_r: tf.Tensor,
    which_r: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """What each window hands to one of its positions, and to which."""
    rise = largest_x - largest_r
    return m * rise, tf.where(rise > 0.0, which_x, which_r)


def _divided(moved: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    own = tf.math.divide_no_nan(moved, step)
    return own if step.dtype == tf.float64 else tf.where(tf.abs(step) < 1e-7, 0.0, own)


def _cut(values: tf.Tensor, axis: int, left: int, length: int) -> tf.Tensor:
    """`length` positions from `left` on, with zeros where there are no more."""
    end = min(left + length, values.shape[axis])
    before = (slice(None),) * axis
    values = values[(*before, slice(left, end))]
    pads = [(0, 0)] * values.shape.rank
    pads[axis] = (0, length - (end - left))
    return tf.pad(values, pads) if pads[axis][1] else values
