"""Predictions for sequences of any length, against windows predicted by hand."""

import numpy as np
import pytest

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.models.fitted import Fitted, Flanked, aggregated, strongest
from degu_tf.models.predictor import DescribedPredictor, StrandAveraged
from degu_tf.sequences.encoding import as_tokens, decode
from degu_tf.utils.errors import InputError

LENGTH = 8
TEXT = "ACGTTGCAACCTGATTCAGT"


class Shares:
    """Predicts for two targets a number that depends on each base and its position."""

    heads = HeadLayout(("a", "b"), "std", "std")
    input_length = LENGTH

    def __init__(self):
        self.seen = []

    def fingerprint(self):
        return "shares"

    def predict(self, sequences):
        tokens = as_tokens(sequences)
        assert tokens.shape[1] == LENGTH
        self.seen += decode(tokens)
        first = (tokens * np.arange(1, LENGTH + 1)).sum(axis=1).astype(np.float32)
        stds = np.stack([1 + (tokens == 0).sum(axis=1), 1 + (tokens == 3).sum(axis=1)], axis=1)
        return Prediction(
            ("a", "b"), np.stack([first, -first], axis=1), stds.astype(np.float32), stds / 2.0
        )


def windows(text, stride):
    starts = [*range(0, len(text) - LENGTH, stride), len(text) - LENGTH]
    return [text[start : start + LENGTH] for start in starts]


def test_the_mean_of_windows_has_the_mean_of_their_deviations():
    sequences = [TEXT, TEXT[3:11], TEXT[::-1]]
    prediction = Fitted(Shares(), stride=5).predict(sequences)
    for row, text in enumerate(sequences):
        by_hand = Shares().predict(windows(text, 5))
        for part in ("mean", "aleatoric", "epistemic"):
            np.testing.assert_allclose(
                getattr(prediction, part)[row], getattr(by_hand, part).mean(axis=0), rtol=1e-6
            )


def test_the_maximum_keeps_its_windows_uncertainty():
    prediction = Fitted(Shares(), stride=3, aggregate="maximum").predict([TEXT, TEXT[:8]])
    by_hand = Shares().predict(windows(TEXT, 3))
    for target in (0, 1):
        best = by_hand.mean[:, target].argmax()
        assert prediction.mean[0, target] == by_hand.mean[best, target]
        assert prediction.aleatoric[0, target] == by_hand.aleatoric[best, target]
        assert prediction.epistemic[0, target] == by_hand.epistemic[best, target]
    assert by_hand.mean[:, 0].argmax() != by_hand.mean[:, 1].argmax()
    np.testing.assert_array_equal(prediction.mean[1], Shares().predict([TEXT[:8]]).mean[0])


def test_flags_of_windows_are_kept():
    stds = np.array([[0.5], [1e-7], [0.5], [0.5]])
    mean = np.array([[0.0], [1.0], [3.0], [2.0]])
    prediction = Prediction(("y",), mean, None, stds)
    rows = np.array([0, 0, 0, 1])
    assert aggregated(prediction, rows, "mean").flagged()[:, 0].tolist() == [True, False]
    assert aggregated(prediction, rows, "maximum").flagged()[:, 0].tolist() == [False, False]
    assert aggregated(prediction, rows, "mean").aleatoric is None
    assert strongest(prediction, rows).tolist() == [[2], [3]]


def test_of_equal_windows_the_first_is_the_strongest():
    prediction = Prediction(("y",), np.zeros((5, 1)))
    assert strongest(prediction, np.array([0, 0, 1, 1, 1])).tolist() == [[0], [2]]


def test_adapters_stand_at_both_ends_of_every_window():
    model = Shares()
    Fitted(model, flanks=("GG", "CCC"), stride=2, pad="N").predict(["ACGTA", "T", "TTT"])
    assert model.seen == ["GGACGCCC", "GGGTACCC", "GGNTNCCC", "GGTTTCCC"]
    model = Shares()
    Fitted(model, flanks=("AAAGG", "CCCCC"), pad="flanks").predict(["TATA"])
    assert model.seen == ["GGTATACC"]


def test_adapters_are_not_reverse_complemented_with_the_window():
    model = Shares()
    StrandAveraged(Flanked(model, ("GG", "CCC"))).predict(["TTA"])
    assert model.seen == ["GGTTACCC", "GGTAACCC"]


def test_what_was_described_stays_described():
    fitted = Fitted(Shares(), stride=5)
    assert isinstance(fitted, DescribedPredictor)
    assert fitted.heads is Shares.heads
    assert fitted.input_length is None
    prints = {
        Fitted(Shares(), **options).fingerprint()
        for options in ({}, {"stride": 5}, {"stride": 5, "aggregate": "maximum"}, {"pad": "N"})
    }
    assert len(prints) == 4
    flanked = Flanked(Shares(), ("A", "CG"))
    assert isinstance(flanked, DescribedPredictor)
    assert (flanked.input_length, flanked.heads) == (5, Shares.heads)

    class Bare:
        def predict(self, sequences):
            return Shares().predict(sequences)

    assert not isinstance(Fitted(Bare(), stride=5, length=8), DescribedPredictor)
    assert not isinstance(Flanked(Bare(), ("A", ""), 8), DescribedPredictor)


def test_tokens_and_one_hot_are_taken_too():
    tokens = as_tokens([TEXT, TEXT[::-1]])
    by_text = Fitted(Shares(), resize=True).predict([TEXT, TEXT[::-1]]).mean
    np.testing.assert_array_equal(Fitted(Shares(), resize=True).predict(tokens).mean, by_text)
    one_hot = np.eye(4)[tokens]
    np.testing.assert_array_equal(Fitted(Shares(), resize=True).predict(one_hot).mean, by_text)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(InputError, match=r"stride=\.{4} Received: 20 bases in record 'record 0'"):
        Fitted(Shares()).predict([TEXT])
    with pytest.raises(InputError, match="Received: aggregate='median'"):
        Fitted(Shares(), stride=3, aggregate="median")
    with pytest.raises(InputError, match="leave no room in 8 bases"):
        Fitted(Shares(), flanks=("ACGT", "ACGT"))
    with pytest.raises(InputError, match=r"profiles of shape \(2, 3, 1\)"):
        aggregated(Prediction(("y",), np.zeros((2, 3, 1))), np.array([0, 0]), "mean")
