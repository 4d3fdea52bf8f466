import numpy as np
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.metrics.classification import OneClassWarning, classification

BINARY = HeadLayout(("open",), task="binary")


def test_auroc_is_the_share_of_pairs_in_order_with_ties_as_half():
    rng = np.random.default_rng(0)
    measured, predicted = rng.integers(0, 2, 60), rng.integers(0, 8, 60) / 8
    one, zero = predicted[measured == 1], predicted[measured == 0]
    pairs = (one[:, np.newaxis] > zero).mean() + 0.5 * (one[:, np.newaxis] == zero).mean()
    assert classification(predicted, measured)["auroc"] == pytest.approx(pairs)


def test_average_precision_is_the_mean_precision_at_each_positive():
    order = np.array([1, 0, 1, 1, 0])  # measured, the surest first
    expected = (1 / 1 + 2 / 3 + 3 / 4) / 3
    predicted = np.linspace(0.9, 0.1, 5)
    assert classification(predicted, order)["average_precision"] == pytest.approx(expected)


def test_one_class_gives_nan_and_a_warning():
    with pytest.warns(OneClassWarning, match="of open are all of one class"):
        values = classification(np.array([0.1, 0.2]), np.array([1, 1]), "open")
    assert np.isnan(list(values.values())).all()


def test_only_binary_targets_are_scored_as_such():
    measured = np.array([[0.0], [1.0], [1.0]])
    predicted = np.array([[0.1], [0.4], [0.9]])
    table = score(BINARY.prediction(predicted), measured, BINARY)
    assert table["metric"].tolist() == ["mse", "pearson", "spearman", "auroc", "average_precision"]
    plain = HeadLayout(("open",))
    assert "auroc" not in set(score(plain.prediction(predicted), measured, plain)["metric"])


def test_teachers_probabilities_are_no_classes():
    assert classification(np.array([0.1, 0.9]), np.array([0.2, 1.0])) == {}
