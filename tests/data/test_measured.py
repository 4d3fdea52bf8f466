"""Missing values and weights of rows, from arrays to `Splits`."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.measured import value_weights
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

X = np.arange(24, dtype=np.uint8).reshape(6, 4) % 4
GAPS = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, 1.0], [0.5, np.nan], [1.0, 1.0], [2.0, 2.0]])


def gapped(**given):
    return Splits.from_arrays(
        X, GAPS, X[:3], GAPS[:3], X[2:], GAPS[2:], targets=["a", "b"], missing_targets="keep",
        **given,
    )  # fmt: skip


def test_gaps_are_kept_where_that_is_asked_and_counted_by_target():
    splits = gapped()
    np.testing.assert_array_equal(splits.train.targets, GAPS.astype(np.float32))
    assert splits.n_values("train") == {"a": 5, "b": 4}
    assert repr(splits) == (
        "Splits(6 train, 3 validation, 4 test; 4 bp; columns a, b; "
        "values of a 5, 2, 3, of b 4, 2, 3)"
    )
    assert "1.3 ± 0.6" in splits._repr_html_()
    assert splits.train.take([2, 0]).missing_targets == "keep"


def test_gaps_are_refused_where_nobody_asked_to_keep_them():
    with pytest.raises(InputError, match=r"train: .*3 rows are not.*missing_targets='keep' keeps"):
        Splits.from_arrays(X, GAPS, X, GAPS)
    with pytest.raises(InputError, match=r"fill them in. Received: \[nan\]"):
        Split(X, GAPS[:, :1])
    with pytest.raises(
        InputError, match=r"one of .'refuse', 'keep'.* Received: missing_targets='x'"
    ):
        Split(X, GAPS, missing_targets="x")


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_stay_refused(value):
    y = GAPS.copy()
    y[4, 1] = value
    with pytest.raises(InputError, match=r"finite or missing; 1 rows are not.*in row 4 "):
        Split(X, y, missing_targets="keep")


def test_rows_and_targets_without_any_value_are_refused_with_their_number():
    y = GAPS.copy()
    y[[1, 3]] = np.nan
    with pytest.raises(InputError, match=r"leave out the 2 rows without any.*row 1 \(record 1\)"):
        Split(X, y, missing_targets="keep")
    heads = HeadLayout(("a", "b"), aleatoric="std")
    columns = np.concatenate([y, np.ones((6, 2))], axis=1)
    part = Split(X, columns, missing_targets="keep")
    with pytest.raises(InputError, match=r"train: .*Received: 2 such, the first in row 1"):
        Splits(part, part, part, heads)
    lacking = np.stack([np.ones(3), np.full(3, np.nan)], axis=1)
    with pytest.raises(InputError, match=r"validation: .*leave b out.*3 rows without a value of b"):
        Splits.from_arrays(X, GAPS, X[:3], lacking, targets=["a", "b"], missing_targets="keep")


def test_profiles_have_no_gaps():
    y = np.zeros((6, 4, 1))
    y[2, 3] = np.nan
    with pytest.raises(InputError, match=r"targets must be finite.*row 2 .record 2., position 3"):
        Split(X, y, missing_targets="keep")


def test_replicates_give_the_mean_of_what_there_is_and_a_deviation_of_two_or_more():
    y = np.array([[[1.0, 3.0]], [[2.0, np.nan]], [[4.0, 4.0]]])
    with pytest.raises(InputError, match="at least 2"):
        Splits.from_arrays(X[:3], y, X[:3], y)
    kept = Splits.from_arrays(X[:3], y, X[:3], y, missing_targets="keep")
    np.testing.assert_array_equal(kept.train.targets, [[2, 1], [2, np.nan], [4, 0]])
    y[0, 0, 0] = np.inf
    with pytest.raises(InputError, match=r"finite replicates.*in row 0"):
        Splits.from_arrays(X[:3], y, X[:3], y, missing_targets="keep")


def test_fingerprints_depend_on_gaps_and_weights_and_not_on_how_they_might_be():
    complete = np.nan_to_num(GAPS)
    plain = Splits.from_arrays(X, complete, X, complete)
    kept = Splits.from_arrays(X, complete, X, complete, missing_targets="keep")
    weighted = Splits.from_arrays(X, complete, X, complete, weights=np.ones(6))
    # what data of this content had before there were gaps and weights
    assert plain.fingerprint.startswith("89bb962ab8c4")
    assert kept.fingerprint == plain.fingerprint != weighted.fingerprint
    other = -GAPS * -1.0  # the same numbers; NaN of other bits
    other[np.isnan(GAPS)] = -np.float64("nan")
    again = replace(gapped(), train=Split(X, other, missing_targets="keep"))
    assert again.fingerprint == gapped().fingerprint != plain.fingerprint
    assert pickle.loads(pickle.dumps(gapped())).fingerprint == gapped().fingerprint


def test_weights_belong_to_their_rows():
    splits = gapped(weights=pd.Series([1, 2, 3, 4, 5, 6]), weights_val=[3.0, 1.0, 2.0])
    assert splits.train.take([5, 0]).weights.tolist() == [6, 1]
    assert splits.subset(4).train.weights.shape == (4,)
    assert splits.without_uncertainty().train.weights is not None
    assert splits.test.weights is None
    assert repr(splits).endswith("; weighted rows)")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 0, 1, 1, 1], r"above 0; leave out rows.*Received: 0 in row 2 \(record 2\), 1 such"),
        ([1, 2, -3, 1, 1, np.nan], "Received: -3 in row 2 .*, 2 such"),
        ([1, 2, np.inf, 1, 1, 1], "finite.*Received: inf in row 2"),
        ([1, 2], "one row of weights for each of the 6 sequences"),
        (np.ones((6, 3)), r"\(N, targets\).*Received: shape \(6, 3\) .* of shape \(6, 2\)"),
        (np.ones((6, 2, 1)), r"\(N, targets\).*Received: shape \(6, 2, 1\)"),
        ([[1, 1], [1, 0], *[[1, 1]] * 4], r"Received: 0 in row 1 \(record 1\), 1 such"),
        (["many"] * 6, "array of numbers"),
    ],
)
def test_weights_are_positive_numbers_one_a_row(weights, message):
    with pytest.raises(InputError, match=message):
        Split(X, GAPS, weights=weights, missing_targets="keep")


def test_weights_of_values_have_the_mean_1_in_every_column_whatever_their_unit():
    weights = np.array([10.0, 20, 30, 40, 50, 60])
    found = value_weights(GAPS, weights)
    np.testing.assert_allclose(found.mean(axis=0), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(found == 0, np.isnan(GAPS))
    np.testing.assert_allclose(found[5] / found[1], [3.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(value_weights(GAPS, 0.01 * weights), found, rtol=1e-6)
    assert value_weights(np.zeros((3, 2)), None) is None


def test_weights_of_targets_are_those_of_all_their_columns():
    weights = np.array([[1.0, 3.0], [3.0, 1.0]])
    found = value_weights(np.zeros((2, 4)), weights)
    np.testing.assert_array_equal(found, [[0.5, 1.5, 0.5, 1.5], [1.5, 0.5, 1.5, 0.5]])
    gaps = np.array([[1.0, np.nan], [2.0, 2.0]])
    np.testing.assert_array_equal(value_weights(gaps, weights), [[0.5, 0.0], [1.5, 2.0]])


def test_weights_of_values_belong_to_the_targets():
    splits = gapped(weights=np.arange(1.0, 13.0).reshape(6, 2))
    assert splits.train.take([5, 0]).weights.tolist() == [[11, 12], [1, 2]]
    assert repr(splits).endswith("; weighted values)")
    heads = HeadLayout(("a", "b"), aleatoric="std")
    part = Split(X, np.ones((6, 4)), weights=np.ones((6, 4)))
    with pytest.raises(InputError, match=r"train: .*\(N, 2\).* targets a, b. .* shape \(6, 4\)"):
        Splits(part, part, part, heads)
    with pytest.raises(InputError, match="without profiles"):
        Split(X, np.ones((6, 4, 1)), weights=np.ones((6, 1)))


def test_negative_values_are_found_beside_gaps():
    gapped().refuse_negative(["a", "b"], "counts")
    y = GAPS.copy()
    y[3, 0] = -1.0
    splits = replace(gapped(), train=Split(X, y, missing_targets="keep"))
    with pytest.raises(InputError, match=r"16.7% of a below zero, first -1 at row 3"):
        splits.refuse_negative(["a"], "no counts")
