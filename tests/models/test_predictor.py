import copy

import keras
import numpy as np
import pytest

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.models.predictor import (
    DescribedPredictor,
    ModelPredictor,
    Predictor,
    StrandAveraged,
    window_of,
)
from degu_tf.models.tiling import Tiled
from degu_tf.sequences.encoding import decode, one_hot, reverse_complement
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("Dev", "Hk"), aleatoric="log_variance")


@pytest.fixture(scope="module")
def predictor(spec):
    return ModelPredictor(spec.build((32, 4), HEADS, seed=0), HEADS)


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(0, 4, (21, 32), dtype=np.uint8)


class CountsA:
    """Signal 1 wherever there is an A: a profile known in closed form."""

    def predict(self, sequences):
        is_a = (sequences == 0).astype(float)[:, :, np.newaxis]
        return Prediction(("signal",), is_a, aleatoric=is_a + 1.0)


@pytest.mark.parametrize("batch_size", [1, 5, 20, 21])
def test_the_batch_size_does_not_change_the_numbers(predictor, tokens, batch_size):
    other = ModelPredictor(predictor.model, HEADS, batch_size)
    assert np.allclose(other.columns(tokens), predictor.columns(tokens), atol=1e-6)


def test_columns_are_the_models_output_at_inference(predictor, tokens):
    expected = predictor.model(one_hot(tokens), training=False)
    assert np.allclose(predictor.columns(tokens), expected, atol=1e-6)
    prediction = predictor.predict(tokens)
    assert np.array_equal(prediction.columns, predictor.columns(tokens))
    assert np.allclose(prediction.aleatoric, np.exp(prediction.columns[:, 2:] / 2), rtol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        decode,
        lambda tokens: np.array(decode(tokens)),
        lambda tokens: tokens.astype(np.int64),
        one_hot,
        lambda tokens: one_hot(tokens).astype(np.uint8),
        lambda tokens: one_hot(tokens).astype(np.float64),
    ],
    ids=["strings", "array of strings", "integers", "one-hot", "uint8 one-hot", "float64"],
)
def test_every_form_of_a_sequence_gives_the_same(predictor, tokens, convert):
    assert np.array_equal(predictor.columns(convert(tokens)), predictor.columns(tokens))


def test_sequences_that_are_not_one_hot_are_taken_as_they_are(predictor, tokens):
    noisy = one_hot(tokens) + np.random.default_rng(1).normal(0, 0.2, (21, 32, 4))
    noisy = noisy.astype(np.float32)
    assert np.allclose(predictor.columns(noisy), predictor.model(noisy), atol=1e-6)
    assert not np.allclose(predictor.columns(noisy), predictor.columns(tokens), atol=1e-3)


def test_another_length_is_refused(predictor):
    with pytest.raises(InputError, match=r"takes sequences of 32 bases.*30 bases in each of 2"):
        predictor.predict(["A" * 30] * 2)
    with pytest.raises(InputError, match=r"'X' at position 0 of record 1"):
        predictor.predict(["A" * 32, "X" * 32])


def test_a_predictor_says_what_it_predicts():
    sequence = keras.Input((None, 4))
    x = keras.layers.GlobalMaxPooling1D()(keras.layers.Conv1D(300, 1)(sequence))
    model = keras.Model(sequence, keras.layers.Dense(2)(x))
    shown = repr(ModelPredictor(model, HeadLayout(("Dev",), epistemic="std")))
    assert shown == "ModelPredictor(any length; columns Dev, Dev_epistemic; 2,102 parameters)"


def test_a_layout_of_other_columns_is_refused(predictor):
    with pytest.raises(InputError, match="emits 4 columns, the layout has 2"):
        ModelPredictor(predictor.model, HeadLayout(("Dev", "Hk")))


def test_a_fingerprint_follows_the_weights(spec, predictor):
    same = ModelPredictor(spec.build((32, 4), HEADS, seed=0), HEADS)
    other = ModelPredictor(spec.build((32, 4), HEADS, seed=1), HEADS)
    assert same.fingerprint() == predictor.fingerprint()
    assert other.fingerprint() != predictor.fingerprint()
    bias = same.model.layers[-1].bias
    bias.assign(bias + 1e-3)
    assert same.fingerprint() != predictor.fingerprint()


def test_weights_that_change_later_are_followed(spec, tokens):
    predictor = ModelPredictor(spec.build((32, 4), HEADS, seed=0), HEADS)
    before = predictor.columns(tokens)
    bias = predictor.model.layers[-1].bias
    bias.assign(bias + 1.0)
    assert np.allclose(predictor.columns(tokens), before + 1.0, atol=1e-5)


def test_a_model_of_any_length():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    predictor = ModelPredictor(model, HeadLayout(("signal",)))
    assert predictor.input_length is None
    assert predictor.predict("ACGTACG").mean.shape == (1, 7, 1)
    assert predictor.predict(["ACG", "TTT"]).mean.shape == (2, 3, 1)


def test_averaged_strands_are_symmetric(predictor, tokens):
    averaged = StrandAveraged(predictor)
    forward, reverse = averaged.predict(tokens), averaged.predict(reverse_complement(tokens))
    single = predictor.predict(tokens), predictor.predict(reverse_complement(tokens))
    for name in ("mean", "aleatoric"):
        assert np.allclose(getattr(forward, name), getattr(reverse, name), atol=1e-6)
        expected = (getattr(single[0], name) + getattr(single[1], name)) / 2
        assert np.allclose(getattr(forward, name), expected, atol=1e-6)
    assert not np.allclose(single[0].mean, single[1].mean, atol=1e-4)
    assert forward.epistemic is None
    assert np.allclose(averaged.predict(one_hot(tokens)).mean, forward.mean, atol=1e-6)


def test_profiles_of_the_reverse_strand_are_turned_round(tokens):
    prediction = StrandAveraged(CountsA()).predict(tokens)
    expected = ((tokens == 0) + 0.0 + (tokens == 3)) / 2
    assert np.array_equal(prediction.mean[..., 0], expected)
    assert np.array_equal(prediction.aleatoric[..., 0], expected + 1.0)


@pytest.mark.parametrize("wrap", [StrandAveraged, Tiled], ids=lambda each: each.__name__)
def test_a_wrapper_is_as_described_as_what_it_wraps(predictor, spec, wrap):
    wrapped = wrap(predictor)
    assert isinstance(wrapped, wrap)
    assert isinstance(wrapped, DescribedPredictor)
    assert wrapped.heads == HEADS
    assert wrapped.input_length == (32 if wrap is StrandAveraged else None)
    assert wrapped.fingerprint() == wrap(predictor).fingerprint() != predictor.fingerprint()
    other = ModelPredictor(spec.build((32, 4), HEADS, seed=1), HEADS)
    assert wrap(other).fingerprint() != wrapped.fingerprint()
    assert copy.copy(wrapped).fingerprint() == wrapped.fingerprint()
    both = StrandAveraged(wrapped)
    assert isinstance(both, DescribedPredictor)
    assert both.fingerprint() not in (wrapped.fingerprint(), predictor.fingerprint())


def test_windows_belong_to_a_fingerprint(predictor):
    fingerprints = {Tiled(predictor, step=step).fingerprint() for step in (None, 4, 8)}
    assert len(fingerprints) == 3


def test_a_wrapper_around_a_bare_predictor_claims_no_more(tokens):
    for wrapped in (StrandAveraged(CountsA()), Tiled(CountsA(), window=32)):
        assert isinstance(wrapped, Predictor)
        assert not isinstance(wrapped, DescribedPredictor)
        assert not hasattr(wrapped, "heads")
    with pytest.raises(InputError, match=r"number of bases .*window=None"):
        Tiled(StrandAveraged(CountsA()))
    assert Tiled(StrandAveraged(CountsA()), window=16).predict(tokens).mean.shape == (21, 32, 1)


def test_a_window_is_the_given_one_or_the_input_length(predictor):
    assert window_of(predictor) == 32
    assert window_of(predictor, 16) == 16
    assert window_of(CountsA(), 16) == 16


def test_what_counts_as_a_predictor(predictor):
    assert isinstance(predictor, DescribedPredictor)
    assert not isinstance(CountsA(), DescribedPredictor)
    assert isinstance(predictor, Predictor)
    assert isinstance(StrandAveraged(predictor), Predictor)
    assert isinstance(CountsA(), Predictor)
    assert not isinstance(predictor.model.layers[0], Predictor)
