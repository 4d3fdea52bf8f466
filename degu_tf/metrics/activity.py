"""Accuracy of predictions as tidy tables: one row for each head, target and metric."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.classification import classification
from degu_tf.metrics.correlation import correlation
from degu_tf.utils.errors import InputError

METRICS = ("mse", "pearson", "spearman")


def score(
    prediction: Prediction, measured: np.ndarray, heads: HeadLayout, **labels: object
) -> pd.DataFrame:
    """MSE, Pearson and Spearman of every head that both the prediction and the data have.

    Of binary targets the MSE is the Brier score, and there are AUROC and average precision too.

    Parameters
    ----------
    prediction
        What was predicted for N sequences.
    measured
        Columns `(N, C)` or `(N, length, C)` in the order of `heads`; profiles are pooled over
        positions. Uncertainties are compared as standard deviations whatever their form. Values
        that are missing (NaN) are left out.
    heads
        Layout of `measured`.
    **labels
        Constant columns for the table, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `head` (activity, aleatoric, epistemic), `metric`, `value`,
        `n` values compared.

    Raises
    ------
    InputError
        If rows or targets differ.

    Examples
    --------
    >>> heads = HeadLayout(("activity",))
    >>> measured = np.array([[0.0], [1.0], [2.0]])
    >>> table = score(heads.prediction(measured + 0.5), measured, heads, method="shifted")
    >>> table[["method", "metric", "value"]].round(2).to_numpy().tolist()
    [['shifted', 'mse', 0.25], ['shifted', 'pearson', 1.0], ['shifted', 'spearman', 1.0]]
    """
    heads.check(measured, "measured columns")
    if prediction.targets != heads.targets or len(prediction) != len(measured):
        raise InputError(
            f"expected a prediction of {heads.targets} for {len(measured)} sequences. "
            f"Received: {prediction.targets} for {len(prediction)}"
        )
    rows = []
    for head, predicted, truth in paired_heads(prediction, measured, heads):
        for index, target in enumerate(heads.targets):
            x, y = predicted[..., index].ravel(), truth[..., index].ravel()
            present = ~np.isnan(y)
            if present.any():
                x, y = x[present], y[present]
            name = f"{target} {head}"
            values = {
                "mse": float(np.mean(np.square(x.astype(np.float64) - y))),
                "pearson": correlation(x, y, name=name),
                "spearman": correlation(x, y, "spearman", name),
            }
            if heads.task == "binary" and head == "activity":
                values |= classification(x, y, name)
            rows += [
                {
                    **labels,
                    "target": target,
                    "head": head,
                    "metric": name,
                    "value": value,
                    "n": int(present.sum()),
                }
                for name, value in values.items()
            ]
    return pd.DataFrame(rows)


def paired_heads(
    prediction: Prediction, measured: np.ndarray, heads: HeadLayout
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, predicted and measured values of every head that the prediction and the data have.

    Parameters
    ----------
    prediction
        What was predicted for N sequences.
    measured
        Columns `(N, C)` or `(N, length, C)` in the order of `heads`.
    heads
        Layout of `measured`.

    Yields
    ------
    tuple
        ``"activity"``, ``"aleatoric"`` or ``"epistemic"``, and two arrays `(N, ..., targets)`;
        uncertainties are standard deviations.
    """
    yield "activity", prediction.mean, heads.take(measured, "mean")
    for component in ("aleatoric", "epistemic"):
        predicted, truth = prediction.component(component), heads.std(measured, component)
        if predicted is not None and truth is not None:
            yield component, predicted, truth


def rmse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Root mean squared difference for each target, over everything but the last axis.

    Raises
    ------
    InputError
        If shapes differ.
    """
    if np.shape(a) != np.shape(b):
        raise InputError(
            f"expected arrays of one shape. Received: shapes {np.shape(a)} and {np.shape(b)}"
        )
    squared = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    return np.sqrt(squared.reshape(-1, squared.shape[-1]).mean(axis=0))


def distance(prediction: Prediction, reference: Prediction, **labels: object) -> pd.DataFrame:
    """RMSE of predicted activity to another predictor's, such as a student's to its teachers'.

    Raises
    ------
    InputError
        If targets or numbers of sequences differ.

    Examples
    --------
    >>> heads = HeadLayout(("activity",))
    >>> one, other = (heads.prediction(np.full((4, 1), value)) for value in (1.0, 3.0))
    >>> distance(one, other)["value"].tolist()
    [2.0]
    """
    if prediction.targets != reference.targets:
        raise InputError(
            f"expected predictions of {reference.targets}. Received: {prediction.targets}"
        )
    values = rmse(prediction.mean, reference.mean)
    return pd.DataFrame(
        [
            {
                **labels,
                "target": target,
                "head": "activity",
                "metric": "rmse_to_ensemble",
                "value": float(value),
                "n": len(prediction),
            }
            for target, value in zip(prediction.targets, values, strict=True)
        ]
    )


def wide(table: pd.DataFrame, metric: str = "pearson") -> pd.DataFrame:
    """One metric as a small table to read: a row a method, a column a head and target.

    Examples
    --------
    >>> heads = HeadLayout(("Dev", "Hk"))
    >>> measured = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]])
    >>> table = wide(score(heads.prediction(measured), measured, heads, method="perfect"))
    >>> table.round(2).to_dict("index")
    {'perfect': {'Dev': 1.0, 'Hk': 1.0}}
    """
    chosen = table[table["metric"] == metric]
    labels: Mapping[str, pd.Series] = {
        "column": chosen["target"]
        + chosen["head"].map(lambda head: "" if head == "activity" else f" {head}")
    }
    return (
        chosen.assign(**labels)
        .pivot_table(index="method", columns="column", values="value", sort=False, dropna=False)
        .rename_axis(index=None, columns=None)
    )
