"""Gradients, integrated gradients and mutagenesis against hand-made maps and plain loops."""

import keras
import numpy as np
import pytest
from keras import layers
from weight_files import MODELS, randomise

from degu_tf.attribution.convergence import ConvergenceWarning
from degu_tf.attribution.gradients import (
    gradient_correction,
    integrated_gradients,
    saliency,
)
from degu_tf.attribution.single_bases import mutagenesis
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.predictor import ModelPredictor, StrandAveraged
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.sequences.encoding import one_hot
from degu_tf.utils.errors import InputError

LENGTH = 6
HEADS = HeadLayout(("Dev", "Hk"))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def tokens(rng):
    made = rng.integers(0, 4, (5, LENGTH)).astype(np.uint8)
    made[0, 2] = 4
    return made


def toy(kernel, bias=0.0, activation=None, dtype="float32"):
    """One output: an activation of a linear function with the given weights `(L, 4)`."""
    inputs = keras.Input((LENGTH, 4), dtype=dtype)
    flat = layers.Flatten(dtype=dtype)(inputs)
    dense = layers.Dense(1, activation=activation, dtype=dtype)
    model = keras.Model(inputs, dense(flat))
    dense.set_weights([kernel.reshape(-1, 1), np.array([bias])])
    return model


def product(first, second):
    """The product of two linear functions."""
    inputs = keras.Input((LENGTH, 4))
    flat = layers.Flatten()(inputs)
    sides = [layers.Dense(1, use_bias=False) for _ in range(2)]
    model = keras.Model(inputs, layers.Multiply()([side(flat) for side in sides]))
    for side, kernel in zip(sides, (first, second), strict=True):
        side.set_weights([kernel.reshape(-1, 1)])
    return model


def smooth(dtype="float64"):
    """A profile of two columns, without kinks."""
    inputs = keras.Input((LENGTH, 4), dtype=dtype)
    x = layers.Conv1D(5, 3, padding="same", activation="silu", dtype=dtype)(inputs)
    x = layers.Conv1D(2, 3, padding="same", activation="tanh", dtype=dtype)(x)
    return keras.Model(inputs, x)


@pytest.fixture
def ensemble():
    """Three small members of two columns."""
    members = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((LENGTH, 4))
        x = layers.Flatten()(layers.Conv1D(4, 3, activation="relu")(inputs))
        members.append(ModelPredictor(keras.Model(inputs, layers.Dense(2)(x)), HEADS))
    return Ensemble(members)


def test_a_linear_model_has_its_weights_for_a_map(rng, tokens):
    kernel = rng.normal(size=(LENGTH, 4)).astype(np.float32)
    model = toy(kernel, bias=0.7)
    maps = saliency(model, tokens)
    assert maps.shape == (5, LENGTH, 4)
    np.testing.assert_array_equal(maps, np.broadcast_to(kernel, maps.shape))
    baseline = np.full((LENGTH, 4), 0.25)
    result = integrated_gradients(model, tokens, baseline=baseline, steps=3)
    np.testing.assert_allclose(result.scores, kernel * (one_hot(tokens) - 0.25), atol=1e-6)
    here = (kernel * one_hot(tokens)).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(mutagenesis(model, tokens), kernel - here, atol=1e-5)


def test_a_relu_passes_its_weights_only_where_it_is_on(rng, tokens):
    kernel = rng.normal(size=(LENGTH, 4)).astype(np.float32)
    sums = (kernel * one_hot(tokens)).sum(axis=(1, 2))
    bias = -float(np.median(sums)) + 1e-3
    model = toy(kernel, bias, "relu")
    on = sums + bias > 0.0
    assert 0 < on.sum() < 5
    np.testing.assert_array_equal(saliency(model, tokens), on[:, None, None] * kernel)
    start = np.maximum(bias, 0.0)
    result = integrated_gradients(model, tokens, steps=300)
    share = (np.maximum(sums + bias, 0.0) - start) / sums
    expected = share[:, None, None] * kernel * one_hot(tokens)
    np.testing.assert_allclose(result.scores, expected, atol=1e-2)
    np.testing.assert_allclose(result.expected, start, atol=1e-6)


def test_a_product_has_each_side_times_the_other(rng, tokens):
    first, second = rng.normal(size=(2, LENGTH, 4)).astype(np.float32)
    x = one_hot(tokens)
    a, b = (np.einsum("nlc,lc->n", x, side)[:, None, None] for side in (first, second))
    model = product(first, second)
    np.testing.assert_allclose(saliency(model, tokens), a * second + b * first, atol=1e-5)
    result = integrated_gradients(model, tokens, steps=1)
    np.testing.assert_allclose(result.scores, 0.5 * (a * second + b * first) * x, atol=1e-5)
    np.testing.assert_allclose(result.prediction, (a * b)[:, 0, 0], atol=1e-5)


@pytest.mark.parametrize("column", [0, 1])
def test_gradients_are_finite_differences_in_double_precision(rng, column):
    model = smooth()
    x = rng.random((2, LENGTH, 4))
    maps = saliency(model, x, column)
    assert maps.dtype == np.float64

    def value(batch):
        return model(batch).numpy()[..., column].mean(axis=1)

    step = 1e-6
    for position in range(LENGTH):
        for base in range(4):
            up, down = x.copy(), x.copy()
            up[:, position, base] += step
            down[:, position, base] -= step
            slope = (value(up) - value(down)) / (2.0 * step)
            np.testing.assert_allclose(maps[:, position, base], slope, atol=1e-8)


def test_integrated_gradients_sum_to_the_difference_of_outputs(rng, tokens):
    model = smooth()
    baseline = rng.dirichlet(np.ones(4), (5, LENGTH))
    result = integrated_gradients(model, tokens, 1, baseline=baseline, steps=20)
    outputs = [model(x).numpy()[..., 1].mean(axis=1) for x in (one_hot(tokens), baseline)]
    np.testing.assert_allclose(result.prediction, outputs[0], atol=1e-12)
    np.testing.assert_allclose(result.expected, outputs[1], atol=1e-12)
    np.testing.assert_allclose(result.scores.sum(axis=(1, 2)), outputs[0] - outputs[1], atol=1e-9)
    assert np.abs(result.delta).max() < 1e-9
    own = (result.hypothetical * one_hot(tokens)).sum(axis=2)
    known = tokens < 4
    np.testing.assert_allclose(own[known], result.scores.sum(axis=2)[known], atol=1e-12)


def test_too_few_steps_are_warned_of(rng, tokens):
    model = toy(rng.normal(size=(LENGTH, 4)), -0.4, "relu")
    with pytest.warns(
        ConvergenceWarning,
        match=r"integrated gradients exceeds 0.05 .*sequence \d\. Take more steps",
    ):
        result = integrated_gradients(model, tokens, steps=1)
    summed = result.scores.sum(axis=(1, 2))
    np.testing.assert_allclose(
        result.delta, summed - (result.prediction - result.expected), atol=1e-6
    )


def plain_mutagenesis(values, x):
    scores = np.zeros(x.shape)
    for row in range(len(x)):
        natural = values(x[row : row + 1])[0]
        for position in range(x.shape[1]):
            for base in range(4):
                mutant = x[row : row + 1].copy()
                mutant[0, position] = np.eye(4)[base]
                scores[row, position, base] = values(mutant)[0] - natural
    return scores


def test_mutagenesis_is_what_a_plain_loop_predicts(tokens, rng, ensemble):
    member = ensemble.members[0]
    expected = plain_mutagenesis(lambda x: member.columns(x)[:, 1], one_hot(tokens))
    maps = mutagenesis(member, tokens, "Hk", batch_size=7)
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    assert (maps[one_hot(tokens) == 1.0] == 0.0).all()
    assert (maps[0, 2] != 0.0).all()
    mixed = rng.random((2, LENGTH, 4)).astype(np.float32)
    expected = plain_mutagenesis(lambda x: member.columns(x)[:, 0], mixed)
    np.testing.assert_allclose(mutagenesis(member.model, mixed, 0), expected, atol=1e-6)


def test_mutagenesis_asks_any_predictor_for_any_component(tokens, ensemble):
    def spread(x):
        return ensemble.predict(x).epistemic[:, 1]

    expected = plain_mutagenesis(spread, one_hot(tokens[:2]))
    for name in ("Hk_epistemic", 3):
        np.testing.assert_allclose(mutagenesis(ensemble, tokens[:2], name), expected, atol=1e-6)
    both = StrandAveraged(ensemble)
    maps = mutagenesis(both, tokens[:2], "Dev")
    expected = plain_mutagenesis(lambda x: both.predict(x).mean[:, 0], one_hot(tokens[:2]))
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    with pytest.raises(InputError, match=r"expected one of .*'Hk_total'.*Received: output='None'"):
        mutagenesis(ensemble, tokens, "None")
    with pytest.raises(InputError, match=r"number from 0 to 3. Received: output=4"):
        mutagenesis(ensemble, tokens, 4)


def test_an_ensemble_has_the_mean_of_its_members_maps(tokens, ensemble):
    each = [saliency(member, tokens, "Hk") for member in ensemble.members]
    np.testing.assert_allclose(saliency(ensemble, tokens, "Hk"), np.mean(each, axis=0), atol=1e-6)
    ensemble = ensemble.subset(2)
    each = [integrated_gradients(member, tokens, 1, steps=200) for member in ensemble.members]
    whole = integrated_gradients(ensemble, tokens, 1, steps=200)
    np.testing.assert_allclose(whole.scores, np.mean([r.scores for r in each], axis=0), atol=1e-6)
    np.testing.assert_allclose(whole.prediction, ensemble.predict(tokens).mean[:, 1], atol=1e-6)
    np.testing.assert_allclose(whole.delta, np.mean([r.delta for r in each], axis=0), atol=1e-6)


def test_batches_do_not_change_the_numbers(tokens, ensemble):
    member = ensemble.members[0]
    for explain in (
        lambda size: saliency(member, tokens, batch_size=size),
        lambda size: integrated_gradients(member, tokens, steps=200, batch_size=size).scores,
        lambda size: mutagenesis(ensemble, tokens, batch_size=size),
    ):
        np.testing.assert_allclose(explain(2), explain(1000), atol=2e-6)


def test_uncertainty_heads_are_explained_by_name(rng, tokens):
    heads = HeadLayout(("Dev",), epistemic="std")
    inputs = keras.Input((LENGTH, 4))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)))
    maps = saliency(ModelPredictor(model, heads), tokens, "Dev_epistemic")
    kernel = model.layers[-1].get_weights()[0][:, 1].reshape(LENGTH, 4)
    np.testing.assert_array_equal(maps[0], kernel)


@pytest.fixture
def double_precision():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_has_maps_that_foretell_small_changes(name, double_precision):
    length, n_columns, options = MODELS[name]
    heads = columns_layout(n_columns)
    model = randomise(build(name.split()[0], (length, 4), heads, **options))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 5, (2, length)).astype(np.uint8)
    column = n_columns - 1
    maps = saliency(model, tokens, column)
    assert maps.shape == (2, length, 4)
    assert maps.dtype == np.float64
    assert np.abs(maps).max() > 0.0
    x, way = one_hot(tokens), 1e-6 * rng.normal(size=maps.shape)
    up, down = (model(x + sign * way, training=False)[..., column] for sign in (1, -1))
    change = (up - down).numpy().reshape(2, -1).mean(axis=1)
    np.testing.assert_allclose((2.0 * maps * way).sum(axis=(1, 2)), change, rtol=1e-4)


def test_correction_leaves_no_mean_over_channels(rng):
    maps = rng.normal(size=(3, LENGTH, 4))
    corrected = gradient_correction(maps)
    np.testing.assert_allclose(corrected.sum(axis=2), 0.0, atol=1e-12)
    shift = maps - corrected
    np.testing.assert_allclose(shift, np.broadcast_to(shift[..., :1], shift.shape))
    with pytest.raises(InputError, match=r"maps \(\.\.\., L, 4\).*\(3, 4, 6\)"):
        gradient_correction(maps.transpose(0, 2, 1))


def test_what_cannot_be_explained_is_refused(tokens, ensemble):
    member = ensemble.members[0]
    for explain in (saliency, integrated_gradients, mutagenesis):
        with pytest.raises(InputError, match="takes sequences of 6 bases"):
            explain(member, np.zeros((2, 5), np.uint8))
        with pytest.raises(InputError, match=r"from 0 to 1. Received: output=2"):
            explain(member, tokens, 2)
        with pytest.raises(InputError, match=r"names only with a predictor.*'Dev'"):
            explain(member.model, tokens, "Dev")
        with pytest.raises(InputError, match=r"columns \('Dev', 'Hk'\).*'Dev_epistemic'"):
            explain(member, tokens, "Dev_epistemic")
        with pytest.raises(InputError, match=r"batch_size must be .* from 1"):
            explain(member, tokens, batch_size=0)
    with pytest.raises(InputError, match=r"a ModelPredictor; .* Received: .*StrandAveraged$"):
        saliency(StrandAveraged(member), tokens)
    with pytest.raises(InputError, match=r"shape \(6, 4\) or \(5, 6, 4\).*shape=\(4, 6\)"):
        integrated_gradients(member, tokens, baseline=np.zeros((4, 6)))
    with pytest.raises(InputError, match="steps must be"):
        integrated_gradients(member, tokens, steps=0)
    inputs = keras.Input((LENGTH, 3))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(inputs)))
    with pytest.raises(InputError, match=r"from \(N, L, 4\).*\(None, 6, 3\)"):
        saliency(model, tokens)
