"""What the quickstart's table says of each model."""

import numpy as np
import pandas as pd

from degu_tf.paper.correlations import correlations

_MODEL = ["method", "member", "target"]


def accuracy(table: pd.DataFrame) -> pd.DataFrame:
    """Pearson's r of activity with the measurement, one row a model and target."""
    return correlations(table, _MODEL, "mean")


def beside_ensemble(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows of single models and student with the ensemble's value of `column` for the sequence."""
    ensemble = table[table["method"] == "ensemble"].set_index(["sequence", "target"])[column]
    others = table[table["method"] != "ensemble"]
    return others.join(ensemble.rename("of_ensemble"), on=["sequence", "target"])


def distance(table: pd.DataFrame) -> pd.DataFrame:
    """RMSE of each model's activity to the ensemble's, one row a model and target."""
    rows = beside_ensemble(table, "mean")
    squared = np.square(rows["mean"] - rows["of_ensemble"])
    means = squared.groupby([rows[key] for key in _MODEL], sort=False).mean()
    return np.sqrt(means).rename("value").reset_index()


def spreads(table: pd.DataFrame) -> pd.DataFrame:
    """Students' epistemic uncertainty beside the ensemble's spread, one row a sequence."""
    rows = beside_ensemble(table, "epistemic")
    return rows[rows["method"] == "student"]


def inside(rows: pd.DataFrame, kind: str = "") -> float:
    """Share of measurements that lie in their intervals; NaN where there are none.

    Parameters
    ----------
    rows
        Rows of students.
    kind
        What the columns `lower` and `upper` are called after, such as ``"calibrated_"``.
    """
    known = rows.dropna(subset=[f"{kind}lower", f"{kind}upper"])
    if not len(known):
        return float("nan")
    return float(known["measured"].between(known[f"{kind}lower"], known[f"{kind}upper"]).mean())


def percent(share: float) -> str:
    """A share in words.

    Examples
    --------
    >>> percent(0.948), percent(float("nan"))
    ('95%', 'none')
    """
    return "none" if np.isnan(share) else f"{share:.0%}"
