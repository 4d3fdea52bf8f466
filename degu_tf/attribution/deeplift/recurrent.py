"""The rescale rule of LSTMs, step by step back through time.

At each step gates follow the secants of their activations, and the products of a gate with what it
lets through the symmetric rule, so that an LSTM loses nothing. Of the forward pass only what enters
the gates and the cells is kept; gates are computed again from it.
"""

import numpy as np
import tensorflow as tf

from degu_tf.attribution.deeplift.compiled import compiled
from degu_tf.attribution.deeplift.elementwise import Activation
from degu_tf.attribution.deeplift.pairs import (
    Rule,
    Saved,
    flat,
    unflat,
)


class LSTM:
    """A long short-term memory over values `(N, L, C)`, from zero states.

    Parameters
    ----------
    kernel, recurrent_kernel
        `(C, 4 * units)` and `(units, 4 * units)`, gates in Keras' order: input, forget, cell,
        output.
    bias
        `(4 * units,)`, or None.
    activation, gate
        Rules of the activations of cells and gates.
    return_sequences
        Whether the value is every step's, `(N, L, units)`, or the last one's, `(N, units)`.
    go_backwards
        Whether the last position comes first; the steps of the value are then in that order.
    """

    def __init__(
        self,
        kernel: np.ndarray,
        recurrent_kernel: np.ndarray,
        bias: np.ndarray | None,
        activation: Activation,
        gate: Activation,
        return_sequences: bool,
        go_backwards: bool,
    ) -> None:
        self.kernel, self.recurrent_kernel = kernel, recurrent_kernel
        self.bias = np.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias
        self.activation, self.gate = activation, gate
        self.return_sequences, self.go_backwards = return_sequences, go_backwards
        self.units = recurrent_kernel.shape[0]
        self.length = 0

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The value; kept are what enters the gates, `(N, L, 4 * units)`, and the cells."""
        self.length = x.shape[1]
        n, dtype = tf.shape(x)[0], x.dtype
        if self.go_backwards:
            x = tf.reverse(x, [1])
        entering = tf.matmul(tf.reshape(x, (-1, x.shape[2])), self.kernel) + self.bias
        entering = tf.reshape(entering, (n, self.length, 4 * self.units))

        def step(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, *kept: tf.TensorArray) -> tuple:
            z = entering[:, t] + tf.matmul(h, self.recurrent_kernel)
            i, f, g, o = tf.split(z, 4, 1)
            activate, open_ = self.activation.function, self.gate.function
            c = open_(f) * c + open_(i) * activate(g)
            h = open_(o) * activate(c)
            values = zip(kept, (z, c, h), strict=True)
            return t + 1, h, c, *(array.write(t, value) for array, value in values)

        zeros = tf.zeros((n, self.units), dtype)
        arrays = [tf.TensorArray(dtype, self.length) for _ in range(3)]
        _, last, _, *arrays = tf.while_loop(
            lambda t, *_: t < self.length, step, (0, zeros, zeros, *arrays)
        )
        z, c, h = (tf.transpose(array.stack(), (1, 0, 2)) for array in arrays)
        z = tf.ensure_shape(z, (None, self.length, 4 * self.units))
        c = tf.ensure_shape(c, (None, self.length, self.units))
        h = tf.ensure_shape(h, (None, self.length, self.units))
        return (h if self.return_sequences else last), (z, c)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """Back through time, multipliers of the input as they come."""
        channels = self.kernel.shape[0]
        transposed = np.concatenate([self.recurrent_kernel.T, self.kernel.T], axis=1)
        zeros = tf.zeros((tf.shape(multiplier)[0], self.units), multiplier.dtype)
        own = tf.TensorArray(multiplier.dtype, self.length)

        def step(t: tf.Tensor, m_h: tf.Tensor, m_c: tf.Tensor, own: tf.TensorArray) -> tuple:
            if self.return_sequences:
                m_h += multiplier[:, t]
            states = [*self._at(t, x), *self._at(t, r)]
            like = states[0], states[3]
            m_z, m_c = _through_cell(
                unflat(m_h, *like),
                unflat(m_c, *like),
                *states,
                activation=self.activation,
                gate=self.gate,
            )
            handed = tf.matmul(flat(m_z), transposed)
            own = own.write(t, handed[:, self.units :])
            return t - 1, handed[:, : self.units], flat(m_c), own

        m_h = zeros if self.return_sequences else multiplier
        *_, own = tf.while_loop(lambda t, *_: t >= 0, step, (self.length - 1, m_h, zeros, own))
        handed = tf.transpose(own.stack(), (1, 0, 2))
        handed = tf.ensure_shape(handed, (None, self.length, channels))
        return (tf.reverse(handed, [1]) if self.go_backwards else handed,)

    def _at(self, t: tf.Tensor, kept: Saved) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What enters the gates at a step, the cells after it and before it."""
        z, c = kept
        before = c[:, :, tf.maximum(t - 1, 0)] * tf.cast(t > 0, c.dtype)
        return z[:, :, t], c[:, :, t], before


@compiled(least=128)
def _through_cell(
    m_h: tf.Tensor,
    m_c: tf.Tensor,
    z_x: tf.Tensor,
    c_x: tf.Tensor,
    before_x: tf.Tensor,
    z_r: tf.Tensor,
    c_r: tf.Tensor,
    before_r: tf.Tensor,
    activation: Activation,
    gate: Activation,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Multipliers of what enters the gates and of the cells before a step.

    From those of the hidden values and the cells after it.
    """
    (i_x, f_x, g_x, o_x), (i_r, f_r, g_r, o_r) = (tf.split(z, 4, 2) for z in (z_x, z_r))

    def both(rule: Activation, x: tf.Tensor, r: tf.Tensor) -> tuple[Saved, Saved, tf.Tensor]:
        (f_of_x, kept_x), (f_of_r, kept_r) = rule.forward(x), rule.forward(r)
        return kept_x, kept_r, 0.5 * (f_of_x + f_of_r)

    cell = both(activation, c_x, c_r)
    i, f, o = both(gate, i_x, i_r), both(gate, f_x, f_r), both(gate, o_x, o_r)
    g = both(activation, g_x, g_r)
    m_c += activation.times_slope(m_h * o[2], *cell[:2])
    m_z = [
        gate.times_slope(m_c * g[2], *i[:2]),
        gate.times_slope(m_c * (0.5 * (before_x + before_r)), *f[:2]),
        activation.times_slope(m_c * i[2], *g[:2]),
        gate.times_slope(m_h * cell[2], *o[:2]),
    ]
    return tf.concat(m_z, 2), m_c * f[2]


class Bidirectional:
    """Two LSTMs in both directions, and how their values become one.

    Parameters
    ----------
    forwards, backwards
        The two LSTMs; steps of the second are reversed where it returns all of them.
    merge
        The rule that joins the two values.
    """

    def __init__(self, forwards: LSTM, backwards: LSTM, merge: Rule) -> None:
        self.forwards, self.backwards, self.merge = forwards, backwards, merge

    def forward(self, x: tf.Tensor) -> tuple[tf.Tensor, Saved]:
        """The joined value; what all three keep is kept."""
        first, kept_first = self.forwards.forward(x)
        second, kept_second = self.backwards.forward(x)
        value, kept = self.merge.forward(first, self._turned(second))
        return value, (kept_first, kept_second, kept)

    def backward(self, multiplier: tf.Tensor, x: Saved, r: Saved) -> tuple[tf.Tensor]:
        """The sum of what both hand on."""
        first, second = self.merge.backward(multiplier, x[2], r[2])
        (first,) = self.forwards.backward(first, x[0], r[0])
        (second,) = self.backwards.backward(self._turned(second), x[1], r[1])
        return (first + second,)

    def _turned(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reverse(values, [1]) if self.backwards.return_sequences else values
