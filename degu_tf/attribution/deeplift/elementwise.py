"""Rescale rules of activations, of softmax and of products.

An activation's multiplier is the slope of the secant between sequence and reference. Where the two
inputs nearly agree their difference is rounding, and the mean of the slopes at both ends stands in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import keras
import tensorflow as tf

from degu_tf.attribution.deeplift.compiled import compiled
from degu_tf.attribution.deeplift.pairs import (
    Saved,
    flat,
    sum_to_shape,
    unflat,
)

Function = Callable[[tf.Tensor], tf.Tensor]

Kind = Literal["smooth", "pieces", "kinked"]

activations = keras.activations

ACTIVATIONS: dict[Function, Kind] = {
    activations.celu: "pieces",
    activations.elu: "pieces",
    activations.exponential: "smooth",
    activations.gelu: "smooth",
    activations.hard_sigmoid: "kinked",
    activations.hard_silu: "kinked",
    activations.leaky_relu: "kinked",
    activations.log_sigmoid: "smooth",
    activations.mish: "smooth",
    activations.relu: "kinked",
    activations.relu6: "kinked",
    activations.selu: "pieces",
    activations.sigmoid: "smooth",
    activations.silu: "smooth",
    activations.softplus: "smooth",
    activations.softsign: "pieces",
    activations.tanh: "smooth",
}
"""Activations of single numbers, and what kind of function each is (see `Activation`)."""


def closeness(dtype: tf.DType) -> float:
    """The difference of two inputs below which their slopes say more than their secant.

    A secant over a difference d is wrong by about the rounding error divided by d, the mean slope
    of a smooth function by about d squared; they meet at the cube root of the rounding error
    (0.005 in float32, 6e-6 in float64). What either adds to the convergence delta is then rounding.
    """
    return (2.0**-53 if dtype == tf.float64 else 2.0**-24) ** (1.0 / 3.0)


@dataclass(frozen=True)
class Activation:
    """A function of each number: the slope of its secant.

    Parameters
    ----------
    function
        The function.
    kind
        ``"smooth"``; ``"pieces"`` for a smooth piece on either side of zero, whose slopes say
        nothing of a secant across it; ``"kinked"`` for functions made of straight lines, of which
        a secant is exact however close its ends are.
    """

    function: Function
    kind: Kind

    def forward(self, z: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The activation; its input, itself and for smooth ones its slope are kept."""
        if self.kind == "kinked":
            y = self.function(z)
            return y, (z, y)
        y, slope = self._with_slope(z)
        return y, (z, y, slope)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """Times the slope of the secant."""
        return (flat(self.times_slope(unflat(multiplier, x[0], r[0]), x, r)),)

    def times_slope(self, m: tf.Tensor, x: Saved, r: Saved) -> tf.Tensor:
        """Multipliers `(S, R, ...)` times the slope of the secant."""
        if self.kind == "kinked":
            return _times_secant(m, x[0], r[0], x[1], r[1], self._with_slope(x[0])[1])
        pieces = self.kind == "pieces"
        return _times_smooth_secant(m, x[0], r[0], x[1], r[1], x[2], r[2], pieces=pieces)

    def _with_slope(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            y = self.function(z)
        return y, tape.gradient(y, z)


def is_relu(rule: object) -> bool:
    """Whether a rule is that of a plain ReLU."""
    return isinstance(rule, Activation) and rule.function is keras.activations.relu


@compiled()
def _times_secant(
    m: tf.Tensor, x: tf.Tensor, r: tf.Tensor, f_x: tf.Tensor, f_r: tf.Tensor, slope: tf.Tensor
) -> tf.Tensor:
    """`m (f_x - f_r) / (x - r)`, or `m slope` where x equals r."""
    step = x - r
    return m * tf.where(tf.equal(step, 0.0), slope, tf.math.divide_no_nan(f_x - f_r, step))


@compiled()
def _times_smooth_secant(
    m: tf.Tensor,
    x: tf.Tensor,
    r: tf.Tensor,
    f_x: tf.Tensor,
    f_r: tf.Tensor,
    slope_x: tf.Tensor,
    slope_r: tf.Tensor,
    pieces: bool,
) -> tf.Tensor:
    """`m (f_x - f_r) / (x - r)`, or `m` times the mean slope where x is close to r."""
    step = x - r
    close = tf.abs(step) < closeness(step.dtype)
    if pieces:
        close &= tf.equal(x > 0.0, r > 0.0)
    secant = tf.math.divide_no_nan(f_x - f_r, step)
    return m * tf.where(close, 0.5 * (slope_x + slope_r), secant)


class Softmax:
    """Softmax over an axis, as exponentials times the inverse of their sum.

    The exponentials follow their secant, the inverse of the sum its own, and the product of the two
    the symmetric rule, so that nothing is lost. In probabilities p and the logarithm of the sum,
    and with g = exp of half the difference of the two sums' logarithms, that is

        m_j = u_j / 2 * (n_j (g + 1/g) - sum_k n_k (p_xk g + p_rk / g)),
        u_j = (p_xj g - p_rj / g) / (z_xj - z_rj),

    which no common shift of the inputs changes.

    Parameters
    ----------
    axis
        The axis summed over.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, z: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The softmax; its input, itself and the logarithm of the sum are kept."""
        total = tf.reduce_logsumexp(z, self.axis, keepdims=True)
        y = tf.exp(z - total)
        return y, (z, y, total)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """By the formula above."""
        m = unflat(multiplier, x[0], r[0])
        axis = self.axis if self.axis < 0 else self.axis + 1
        return (flat(_through_softmax(m, *x, *r, axis=axis)),)


@compiled()
def _through_softmax(
    m: tf.Tensor,
    x: tf.Tensor,
    p_x: tf.Tensor,
    total_x: tf.Tensor,
    r: tf.Tensor,
    p_r: tf.Tensor,
    total_r: tf.Tensor,
    axis: int,
) -> tf.Tensor:
    limit = 80.0 if m.dtype == tf.float32 else 600.0
    half = tf.clip_by_value(0.5 * (total_x - total_r), -limit, limit)
    up, down = tf.exp(half), tf.exp(-half)
    step = x - r
    ours, theirs = p_x * up, p_r * down
    close = tf.abs(step) < closeness(step.dtype)
    secant = tf.math.divide_no_nan(ours - theirs, step)
    slope = tf.where(close, 0.5 * (ours + theirs), secant)
    common = tf.reduce_sum(m * (ours + theirs), axis, keepdims=True)
    return 0.5 * slope * (m * (up + down) - common)


class Product:
    """The product of several varying terms by the symmetric rule.

    Of two terms each gets the mean of the other at sequence and reference (the Shapley value of
    the two). More are multiplied one after another.
    """

    def forward(self, *terms: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The product; all terms are kept."""
        return math.prod(terms[1:], start=terms[0]), terms

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor, ...]:
        """Times the mean of the other factor."""
        multipliers = []
        for last in range(len(x) - 1, 0, -1):
            rest = [math.prod(each[1:last], start=each[0]) for each in (x, r)]
            own = multiplier * flat(0.5 * (rest[0] + rest[1]))
            multipliers.append(_own(own, x[last]))
            multiplier = multiplier * flat(0.5 * (x[last] + r[last]))
            multiplier = _own(multiplier, rest[0])
        return (multiplier, *reversed(multipliers))


def _own(multiplier: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    return sum_to_shape(multiplier, tf.TensorShape([None, *kept.shape[2:]]))
