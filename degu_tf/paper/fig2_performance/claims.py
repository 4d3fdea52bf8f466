"""Claims of Figure 2 and its supplements: students against single models and the ensemble."""

import numpy as np
import pandas as pd

from degu_tf.paper.claims import Verdict, greater


def activity(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with Pearson r of activity."""
    return table[(table["metric"] == "pearson") & (table["head"] == "activity")]


def at(table: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Rows of activity at one share of the training data."""
    rows = activity(table)
    return rows[np.isclose(rows["fraction"], fraction)]


def several_targets(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of a data set with several targets, as STARR-seq has."""
    return rows.groupby("dataset")["target"].transform("nunique") > 1


def values(rows: pd.DataFrame, method: str, fraction: float | None = None) -> np.ndarray:
    """Values of a method, one a seed, at one share of the data where one is named."""
    rows = rows[rows["method"] == method]
    if fraction is not None:
        rows = rows[np.isclose(rows["fraction"], fraction)]
    return rows["value"].to_numpy()


def by_seed(rows: pd.DataFrame, method: str) -> pd.Series:
    """Values of a method, a mean over all panels and shares for each seed."""
    means = rows.groupby(["method", "seed"])["value"].mean()
    return means.get(method, pd.Series(dtype=float))


def gains(rows: pd.DataFrame) -> np.ndarray:
    """What students gain over single models, mean over panels and shares, one value a seed."""
    student, single = by_seed(rows, "student"), by_seed(rows, "single")
    n = min(len(student), len(single))
    return student.to_numpy()[:n] - single.to_numpy()[:n]


def students_beat_singles(part: pd.DataFrame) -> Verdict:
    """Welch's test of students against single models."""
    return greater(values(part, "student"), values(part, "single"), "r, students - single models")


def students_match_ensemble(part: pd.DataFrame, margin: float) -> Verdict:
    """Test that students are at most a margin below the ensemble."""
    what = "r, students - ensemble"
    return greater(values(part, "student"), values(part, "ensemble"), what, threshold=-margin)
