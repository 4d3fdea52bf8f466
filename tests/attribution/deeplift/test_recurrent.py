"""LSTMs: the rule written out in numpy for one pair, and nothing lost in any arrangement."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import one_in
from keras import layers

from degu_tf.attribution.shap_values import deepshap
from degu_tf.sequences.encoding import one_hot
from degu_tf.utils.errors import InputError

LENGTH = 5


def draw(n, seed):
    return np.random.default_rng(seed).integers(0, 4, (n, LENGTH)).astype(np.uint8)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


class OneLSTM:
    """Every number of an LSTM's run over one sequence."""

    def __init__(self, x, kernel, recurrent, bias):
        self.z, self.c, self.h = [], [np.zeros(len(recurrent))], [np.zeros(len(recurrent))]
        self.gates = []
        for base in x:
            z = base @ kernel + self.h[-1] @ recurrent + bias
            i, f, g, o = np.split(z, 4)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            self.z.append(np.split(z, 4))
            self.gates.append((i, f, g, o))
            self.c.append(f * self.c[-1] + i * g)
            self.h.append(o * np.tanh(self.c[-1]))


def literal_scores(x, r, kernel, recurrent, bias, m_last):
    """The rule for the last hidden value weighed by `m_last`, one pair, one position a time."""
    a, b = (OneLSTM(each, kernel, recurrent, bias) for each in (x, r))
    m_h, m_c = np.array(m_last, float), np.zeros(len(recurrent))
    scores = np.zeros_like(x)
    for t in reversed(range(len(x))):
        i, f, g, o = (0.5 * (u + v) for u, v in zip(a.gates[t], b.gates[t], strict=True))
        slopes = [
            (u - v) / (p - q)
            for u, v, p, q in zip(a.gates[t], b.gates[t], a.z[t], b.z[t], strict=True)
        ]
        tanh_a, tanh_b = np.tanh(a.c[t + 1]), np.tanh(b.c[t + 1])
        m_o = m_h * 0.5 * (tanh_a + tanh_b)
        m_c = m_c + m_h * o * (tanh_a - tanh_b) / (a.c[t + 1] - b.c[t + 1])
        gates = [m_c * g, m_c * 0.5 * (a.c[t] + b.c[t]), m_c * i, m_o]
        m_z = np.concatenate([m * slope for m, slope in zip(gates, slopes, strict=True)])
        scores[t] = (m_z @ kernel.T) * (x[t] - r[t])
        m_h, m_c = m_z @ recurrent.T, m_c * f
    return scores


def test_an_lstm_follows_the_rule_written_out(stir):
    sequence = keras.Input((LENGTH, 4))
    lstm, dense = layers.LSTM(3), layers.Dense(1)
    model = stir(keras.Model(sequence, dense(lstm(sequence))))
    # noise makes every input of every step differ, so that every secant has a slope
    rng = np.random.default_rng(0)
    x, r = (one_hot(draw(n, n)) + rng.normal(0, 0.3, (n, LENGTH, 4)) for n in (2, 3))
    result = deepshap(model, x, r, dtype="float64")
    weights = [each.astype(float) for each in lstm.get_weights()]
    m_last = dense.get_weights()[0][:, 0]
    expected = [
        np.mean([literal_scores(one, other, *weights, m_last) for other in r], axis=0) for one in x
    ]
    np.testing.assert_allclose(result.scores, expected, rtol=1e-6, atol=1e-9)
    assert np.abs(result.scores).max() > 0.01


def lstm(**options):
    return layers.LSTM(4, **options)


ARRANGEMENTS = {
    "last value": lambda: [lstm()],
    "sequences": lambda: [lstm(return_sequences=True)],
    "backwards": lambda: [lstm(go_backwards=True)],
    "sequences backwards": lambda: [lstm(return_sequences=True, go_backwards=True)],
    "without bias, other activations": lambda: [
        lstm(use_bias=False, activation="silu", recurrent_activation="hard_sigmoid")
    ],
    "linear": lambda: [lstm(activation=None)],
    "two": lambda: [lstm(return_sequences=True), layers.Dropout(0.5), lstm()],
    **{
        f"both directions, {mode}{', last' if last else ''}": lambda mode=mode, last=last: [
            layers.Bidirectional(lstm(return_sequences=not last), merge_mode=mode)
        ]
        for mode in ("concat", "sum", "ave", "mul")
        for last in (False, True)
    },
    "both directions, the second its own": lambda: [
        layers.Bidirectional(lstm(), backward_layer=lstm(activation="elu", go_backwards=True))
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("parts", one_in(2, ARRANGEMENTS.values()), ids=ARRANGEMENTS)
def test_lstms_lose_nothing(stir, parts):
    tf.config.run_functions_eagerly(True)
    try:
        sequence = x = keras.Input((LENGTH, 4))
        for part in parts():
            x = part(x)
        if len(x.shape) == 3:
            x = layers.Flatten()(x)
        model = stir(keras.Model(sequence, layers.Dense(1)(x)))
        result = deepshap(model, draw(3, 0), draw(2, 1), dtype="float64")
    finally:
        tf.config.run_functions_eagerly(False)
    assert np.abs(result.delta).max() < 1e-12
    expected = model(one_hot(draw(3, 0)), training=False).numpy()[:, 0]
    np.testing.assert_allclose(result.prediction, expected, atol=1e-5)
    assert np.abs(result.scores).max() > 1e-3


def test_a_compiled_cell_gives_the_same(stir, monkeypatch):
    sequence = keras.Input((LENGTH, 4))
    x = layers.Bidirectional(layers.LSTM(128))(sequence)
    model = stir(keras.Model(sequence, layers.Dense(1)(x)))
    fused = deepshap(model, draw(3, 0), draw(2, 1), dtype="float64")
    assert np.abs(fused.delta).max() < 1e-12
    monkeypatch.setattr("degu_tf.attribution.deeplift.compiled.can_compile", lambda: False)
    plain = deepshap(model, draw(3, 0), draw(2, 1), dtype="float64")
    np.testing.assert_allclose(fused.scores, plain.scores, atol=1e-13)


ODD = {
    "stateful": (lambda: layers.LSTM(2, stateful=True), "a stateful layer"),
    "both directions of a GRU": (
        lambda: layers.Bidirectional(layers.GRU(2)),
        "a GRU in both directions",
    ),
    "softmax": (lambda: layers.LSTM(2, activation="softmax"), "'softmax' in a recurrent layer"),
}


@pytest.mark.parametrize(("make", "message"), ODD.values(), ids=ODD)
def test_what_has_no_rule_is_named(make, message):
    sequence = keras.Input((LENGTH, 4), batch_size=2)
    with pytest.raises(InputError, match=message):
        deepshap(keras.Model(sequence, layers.Dense(1)(make()(sequence))), draw(2, 0), draw(2, 1))
