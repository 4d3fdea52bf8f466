"""DeepSHAP as it is called: maps known by hand, every architecture, references, what is refused."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from weight_files import MODELS

from degu_tf.attribution.background import dinucleotide_background, random_background
from degu_tf.attribution.convergence import ConvergenceWarning
from degu_tf.attribution.shap_values import deepshap
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.sequences.encoding import decode, one_hot
from degu_tf.utils.errors import InputError


@pytest.fixture
def eager():
    """Run without tracing, which takes longer than small models."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def traced_at_first():
    """Let a test that turns to running without tracing not do so for others."""
    yield
    tf.config.run_functions_eagerly(False)


def draw(n, length, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def dense_model(weights, activation=None, bias=0.0):
    """One unit that sees every base of a short sequence; weights `(L, 4)`."""
    weights = np.asarray(weights, np.float32)
    sequence = keras.Input(weights.shape)
    unit = layers.Dense(1, activation)
    model = keras.Model(sequence, unit(layers.Flatten()(sequence)))
    unit.set_weights([weights.reshape(-1, 1), np.array([bias], np.float32)])
    return model


WEIGHTS = [[1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.0, -4.0]]


@pytest.mark.usefixtures("eager")
def test_a_linear_model_gives_weights_times_differences():
    result = deepshap(dense_model(WEIGHTS), ["AC"], ["GA", "TA"], hypothetical=True)
    # A is there and in no reference; C is there, A in both references
    np.testing.assert_allclose(result.scores[0], [[1.0, 0.0, -1.5, -2.0], [1.0, -2.0, 0.0, 0.0]])
    # a base's weight minus the mean of the references'
    np.testing.assert_allclose(
        result.hypothetical[0], [[-2.5, -1.5, -0.5, 0.5], [0.0, -1.0, -2.0, -3.0]]
    )
    np.testing.assert_allclose(result.prediction, [-1.0])
    assert deepshap(dense_model(WEIGHTS), ["AC"], ["GA"]).hypothetical is None
    np.testing.assert_allclose(result.expected, [2.5])
    np.testing.assert_allclose(result.delta, [0.0], atol=1e-6)


@pytest.mark.usefixtures("eager")
def test_a_relu_scales_by_the_slope_between_the_two():
    # 1 - 2 + 0.5 = -0.5 at the sequence, 4 - 1 + 0.5 = 3.5 at the reference
    result = deepshap(dense_model(WEIGHTS, "relu", bias=0.5), ["AC"], ["TA"])
    slope = 3.5 / 4.0
    expected = slope * np.array([[1.0, 0.0, 0.0, -4.0], [1.0, -2.0, 0.0, 0.0]])
    np.testing.assert_allclose(result.scores[0], expected)


@pytest.mark.usefixtures("eager")
def test_silu_scales_by_the_slope_of_its_secant():
    def silu(z):
        return z / (1.0 + np.exp(-z))

    result = deepshap(dense_model(WEIGHTS, "silu"), ["AC", "GG"], ["TA"])
    for scores, z in zip(result.scores, [-1.0, 0.0], strict=True):
        slope = (silu(3.0) - silu(z)) / (3.0 - z)
        assert scores[0, 3] == pytest.approx(-4.0 * slope, rel=1e-6)
        assert scores.sum() == pytest.approx(slope * (z - 3.0), rel=1e-6)


@pytest.mark.usefixtures("eager")
def test_equal_sequence_and_reference_score_zero():
    result = deepshap(dense_model(WEIGHTS, "silu"), ["AC"], ["AC"])
    np.testing.assert_array_equal(result.scores, np.zeros((1, 2, 4)))
    np.testing.assert_array_equal(result.delta, [0.0])


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_is_complete_in_float64(stir, name):
    length, n_columns, options = MODELS[name]
    model = stir(build(name.split()[0], (length, 4), columns_layout(n_columns), **options))
    x, references = draw(4, length), draw(3, length, seed=1)
    result = deepshap(model, x, references, n_columns - 1, dtype="float64")
    largest = np.abs(result.prediction - result.expected).max()
    assert np.abs(result.delta).max() < 1e-9 * largest
    column = model(one_hot(x), training=False).numpy()[..., n_columns - 1]
    np.testing.assert_allclose(result.prediction, column.reshape(4, -1).mean(1), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepstarr", "residualbind", "dream_rnn"])
@pytest.mark.usefixtures("traced_at_first")
def test_float32_is_float64_but_for_rounding(stir, name):
    length, _, options = MODELS[name]
    model = stir(build(name, (length, 4), HeadLayout(("a", "b")), **options))
    x, references = draw(20, length), draw(10, length, seed=1)
    single = deepshap(model, x, references, 1)
    tf.config.run_functions_eagerly(True)
    double = deepshap(model, x, references, 1, dtype="float64")
    assert (single.scores.dtype, double.scores.dtype) == (np.float32, np.float64)
    largest = np.abs(single.prediction - single.expected).max()
    assert np.quantile(np.abs(single.delta), 0.99) < 1e-3 * largest
    assert np.quantile(np.abs(single.scores - double.scores), 0.99) < 1e-4 * np.ptp(double.scores)


def test_it_equals_shap_on_deepstarr(stir):
    heads = HeadLayout(("Dev", "Hk"), epistemic="std")
    model = stir(build("deepstarr", (249, 4), heads, width=0.2))
    x, references = draw(6, 249), draw(10, 249, seed=1)
    predictor = ModelPredictor(model, heads)
    ours = deepshap(predictor, x, references, "Hk_epistemic")
    theirs = deepshap(predictor, x, references, "Hk_epistemic", method="shap")
    assert np.abs(ours.scores - theirs.scores).max() < 1e-4 * np.ptp(theirs.scores)
    np.testing.assert_allclose(ours.prediction, theirs.prediction, atol=1e-5)
    np.testing.assert_allclose(ours.expected, theirs.expected, atol=1e-5)
    np.testing.assert_allclose(theirs.delta, np.zeros(6), atol=1e-5)
    assert ours.output == "Hk_epistemic"


def test_shap_explains_the_mean_of_a_profile_and_each_sequence_by_its_own_references(stir):
    sequence = keras.Input((20, 4))
    x = layers.ReLU()(layers.Conv1D(4, 3, padding="same")(sequence))
    x = layers.Concatenate()([x, layers.Conv1D(3, 3, padding="same", activation="tanh")(x)])
    x = layers.AveragePooling1D(2)(x)
    model = stir(keras.Model(sequence, layers.Dense(2, "sigmoid")(x)))
    x, own = one_hot(draw(3, 20)), one_hot(draw(12, 20, seed=1)).reshape(3, 4, 20, 4)
    ours = deepshap(model, x, own, 1)
    theirs = deepshap(model, x, own, 1, method="shap")
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-6)
    np.testing.assert_allclose(ours.expected, theirs.expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("residualbind", "the activation 'silu'"),
        ("mprann", "the activation 'softmax': layer 'conv2'"),
        ("dream_rnn", "this type of layer: layer 'lstm' of type Bidirectional"),
    ],
)
def test_shap_is_refused_where_it_is_not_exact(models, name, message):
    model = models[name]
    x = draw(1, model.input_shape[1])
    with pytest.raises(InputError, match=f"not exact on {message}"):
        deepshap(model, x, x, method="shap")


def test_shap_is_refused_dilation():
    sequence = keras.Input((20, 4))
    x = layers.Conv1D(2, 3, dilation_rate=2, name="wide")(sequence)
    model = keras.Model(sequence, layers.Dense(1)(layers.Flatten()(x)))
    with pytest.raises(InputError, match="not exact on dilation: layer 'wide' of type Conv1D"):
        deepshap(model, draw(1, 20), draw(1, 20), method="shap")
    with pytest.raises(InputError, match="no hypothetical scores"):
        deepshap(model, draw(1, 20), draw(1, 20), method="shap", hypothetical=True)


@pytest.mark.usefixtures("eager")
def test_profiles_are_averaged_over_their_length(models):
    model = models["cnn_task_base"]
    x, references = draw(2, 130), draw(3, 130, seed=1)
    pooled = keras.Model(model.input, layers.GlobalAveragePooling1D()(model.output))
    for column in range(3):
        profile = deepshap(model, x, references, column, dtype="float64")
        mean = deepshap(pooled, x, references, column, dtype="float64")
        np.testing.assert_allclose(profile.scores, mean.scores, atol=1e-12)


@pytest.mark.usefixtures("eager")
def test_hypothetical_scores_are_what_tf_modisco_asks_for(models):
    x, references = draw(3, 230), draw(4, 230, seed=1)
    result = deepshap(models["residualbind"], x, references, 1, hypothetical=True, dtype="float64")
    own = np.take_along_axis(result.hypothetical, x[..., np.newaxis].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(own, result.scores.sum(axis=2), atol=1e-12)


@pytest.mark.usefixtures("eager")
def test_a_column_is_called_by_its_name_with_a_predictor(stir):
    heads = HeadLayout(("Dev", "Hk"), epistemic="std")
    model = stir(build("deepstarr", (32, 4), heads, width=0.05))
    x, references = draw(2, 32), draw(3, 32, seed=1)
    named = deepshap(ModelPredictor(model, heads), x, references, "Dev_epistemic")
    np.testing.assert_array_equal(named.scores, deepshap(model, x, references, 2).scores)
    with pytest.raises(InputError, match=r"expected one of the columns .* Received: 'dev'"):
        deepshap(ModelPredictor(model, heads), x, references, "dev")


@pytest.mark.usefixtures("eager")
def test_a_model_of_any_length_takes_the_sequences_length(stir):
    model = stir(build("residualbind", (None, 4), HeadLayout(("activity",)), width=0.05))
    for length in (60, 41):
        result = deepshap(model, draw(2, length), draw(2, length, seed=1), dtype="float64")
        assert result.scores.shape == (2, length, 4)
        assert np.abs(result.delta).max() < 1e-12
    with pytest.raises(InputError, match=r"too short for the model .* Received: 3 bases"):
        deepshap(model, draw(2, 3), draw(2, 3))


@pytest.mark.usefixtures("eager")
def test_tokens_strings_and_floats_are_explained_alike(models):
    model, x, references = models["deepstarr"], draw(2, 249), draw(3, 249, seed=1)
    expected = deepshap(model, x, references).scores
    for given, others in (
        (decode(x), decode(references)),
        (one_hot(x), references),
        (one_hot(x).astype(int), one_hot(references).astype(np.float64)),
    ):
        np.testing.assert_allclose(deepshap(model, given, others).scores, expected, atol=1e-7)


@pytest.mark.usefixtures("eager")
def test_sequences_need_not_be_one_hot(models):
    noisy = one_hot(draw(3, 249)) + np.random.default_rng(0).normal(0, 0.1, (3, 249, 4))
    result = deepshap(models["residualbind"], noisy[:, :230], noisy[1:, :230], dtype="float64")
    assert np.abs(result.delta).max() < 1e-12
    assert np.abs(result.scores).max() > 0.0


@pytest.mark.usefixtures("eager")
def test_references_of_each_sequence(models):
    model = models["residualbind"]
    x, own = draw(3, 230), draw(6, 230, seed=1).reshape(3, 2, 230)
    floats = one_hot(own.reshape(6, 230)).reshape(3, 2, 230, 4)
    result = deepshap(model, x, floats, 1, dtype="float64", hypothetical=True)
    for row in range(3):
        one = deepshap(model, x[[row]], own[row], 1, dtype="float64", hypothetical=True)
        np.testing.assert_allclose(result.scores[[row]], one.scores, atol=1e-14)
        np.testing.assert_allclose(result.hypothetical[[row]], one.hypothetical, atol=1e-14)
        np.testing.assert_allclose(result.expected[row], one.expected[0], rtol=1e-12)


@pytest.mark.usefixtures("eager")
def test_dinucleotide_shuffles_are_references_of_each_sequence(models):
    model, x = models["residualbind"], draw(3, 230)
    options = {"n_references": 4, "seed": 5, "dtype": "float64"}
    result = deepshap(model, x, "dinucleotide", 1, **options)
    shuffles = dinucleotide_background(x, 4, seed=5)
    assert shuffles.shape == (3, 4, 230)
    for row in range(3):
        for each in shuffles[row]:
            pairs = [np.sort(4 * bases[:-1] + bases[1:]) for bases in (x[row], each)]
            np.testing.assert_array_equal(*pairs)
    floats = one_hot(shuffles.reshape(12, 230)).reshape(3, 4, 230, 4)
    expected = deepshap(model, x, floats, 1, dtype="float64")
    np.testing.assert_array_equal(result.scores, expected.scores)
    # a sequence's references do not depend on its company
    alone = deepshap(model, x[[2]], "dinucleotide", 1, **options)
    np.testing.assert_allclose(alone.scores[0], result.scores[2], atol=1e-14)


def test_random_references_are_those_of_the_released_code():
    tokens = draw(300, 10)
    rows = np.random.default_rng(1234).choice(300, 100, replace=False, shuffle=False)
    np.testing.assert_array_equal(random_background(tokens), tokens[rows])
    np.testing.assert_array_equal(random_background(one_hot(tokens)), one_hot(tokens)[rows])
    with pytest.raises(InputError, match=r"draw 300 or fewer.*: 300 sequences, 301 ref") as refused:
        random_background(tokens, n=301)
    assert "300 or fewer by --references." in refused.value.command_line


@pytest.mark.usefixtures("eager")
def test_scores_that_miss_the_difference_are_warned_of():
    # in float32 a large constant swallows the differences of the outputs
    weights = np.random.default_rng(0).normal(size=(6, 4))
    model = dense_model(weights * 1e-3, "softplus", bias=3000.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        result = deepshap(model, draw(9, 6), draw(3, 6, seed=1))
    (message,) = [str(each.message) for each in caught if each.category is ConvergenceWarning]
    largest = np.abs(result.prediction - result.expected).max()
    wrong = np.abs(result.delta) > 1e-3 * largest
    assert f"for {wrong.sum()} of 9 sequences" in message
    assert f"for sequence {np.abs(result.delta).argmax()}." in message
    assert wrong.any()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        deepshap(model, draw(9, 6), draw(3, 6, seed=1), dtype="float64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": 2}, "column from 0 to 1. Received: output=2"),
        ({"output": -1}, "column from 0 to 1"),
        ({"output": True}, "column from 0 to 1"),
        ({"output": "Dev"}, "names only with a predictor"),
        ({"sequences": draw(2, 31)}, "takes sequences of 32 bases; .*Received: 31"),
        ({"background": draw(2, 31)}, "references of 31 bases, sequences of 32"),
        ({"background": np.zeros((1, 3, 32, 4))}, r"\(2, references, 32, 4\)"),
        (
            {"background": "dinucleotide", "n_references": 0},
            "n must be a whole number from 1. Received: n=0",
        ),
        ({"method": "gradient"}, "'rescale' or 'shap'"),
        ({"dtype": "float16"}, "'float32' or 'float64'"),
        ({"model": None}, "Keras model or a ModelPredictor"),
    ],
)
def test_what_is_refused(stir, arguments, message):
    model = build("deepstarr", (32, 4), HeadLayout(("Dev", "Hk")), width=0.05)
    given = {"model": model, "sequences": draw(2, 32), "background": draw(2, 32)}
    with pytest.raises(InputError, match=message):
        deepshap(**given | arguments)
