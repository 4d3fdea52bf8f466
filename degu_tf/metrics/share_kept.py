"""How much of what an ensemble gains over its members a student keeps."""

import numpy as np
import pandas as pd

from degu_tf.utils.errors import InputError

MEAN = "mean"
"""The `target` of the row that holds the mean over targets."""


def share_kept(
    student: np.ndarray,
    members: np.ndarray,
    measured: np.ndarray,
    targets: tuple[str, ...],
    *,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of the ensemble's gain in Pearson's r that a student keeps, with bootstrap intervals.

    The share is `(student - single) / (ensemble - single)`, where `single` is the mean r of the
    members and `ensemble` the r of their mean: 0 for a student as good as a single model, 1 for one
    as good as the ensemble; NaN where that is no better than its members. Intervals are percentiles
    over resampled test sequences; that students and teachers of other seeds differ is not in them.

    Parameters
    ----------
    student
        Predicted activity `(N, T)`.
    members
        Each teacher's predicted activity `(M, N, T)`.
    measured
        Measured activity `(N, T)`, NaN where missing.
    targets
        Names of the T targets.
    level
        Of the intervals.
    n_bootstrap
        Resampled test sets.
    seed
        Decides them.

    Returns
    -------
    pandas.DataFrame
        A row a target and one for the mean of their shares: `target`, `single`, `ensemble`,
        `student` (all r), `share`, `low`, `high`.

    Raises
    ------
    InputError
        If shapes do not go together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(200, 1))
    >>> members = truth + rng.normal(size=(4, 200, 1))
    >>> table = share_kept(members.mean(axis=0), members, truth, ("a",))
    >>> table["share"].round(6).tolist()
    [1.0, 1.0]
    """
    if student.shape != measured.shape or members.shape[1:] != measured.shape:
        raise InputError(
            "expected a student's (N, T), members' (M, N, T) and measured (N, T) activity of the "
            f"same sequences. Received: {student.shape}, {members.shape}, {measured.shape}"
        )
    if measured.shape[1] != len(targets):
        raise InputError(f"expected {measured.shape[1]} names of targets. Received: {targets}")
    n = len(measured)
    predicted = np.concatenate([student[np.newaxis], members.mean(axis=0)[np.newaxis], members])
    rng = np.random.default_rng(seed)
    counts = np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), n_bootstrap)])
    parts = [
        _correlations(counts[:, rows], predicted[:, rows, i], measured[rows, i])
        for i, rows in enumerate(~np.isnan(measured.T))
    ]
    r = np.stack(parts, axis=2)  # (1 + resampled, 2 + members, targets), the data as they are first
    single = r[:, 2:].mean(axis=1)
    shares = (r[:, 0] - single) / (r[:, 1] - single)
    shares[:, r[0, 1] <= single[0]] = np.nan  # no gain, of which a share could be kept
    low, high = np.quantile(shares[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    low_mean, high_mean = np.quantile(shares[1:].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return pd.DataFrame(
        {
            "target": [*targets, MEAN],
            "single": [*single[0], single[0].mean()],
            "ensemble": [*r[0, 1], r[0, 1].mean()],
            "student": [*r[0, 0], r[0, 0].mean()],
            "share": [*shares[0], shares[0].mean()],
            "low": [*low, low_mean],
            "high": [*high, high_mean],
        }
    )


def _correlations(counts: np.ndarray, predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson's r `(B, P)` of predictions `(P, N)` with values `(N,)` under weights `(B, N)`."""
    x = (predicted - predicted.mean(axis=1, keepdims=True)).astype(np.float64)
    y = (measured - measured.mean()).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    mean_x, mean_y = counts @ x.T / total, counts @ y[:, np.newaxis] / total
    covariance = counts @ (x * y).T / total - mean_x * mean_y
    var_x = counts @ (x**2).T / total - mean_x**2
    var_y = counts @ (y**2)[:, np.newaxis] / total - mean_y**2
    return covariance / np.sqrt(var_x * var_y)
