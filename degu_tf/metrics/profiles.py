"""Accuracy of predicted profiles: over chromosomes, within bins, and of total counts.

Correlations come from sums over each bin, so that their intervals, by resampling bins, cost little:
positions of a bin go together and are no independent measurements.
"""

from typing import Any

import numpy as np
import pandas as pd

from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.activity import paired_heads
from degu_tf.metrics.correlation import pearson_of_sums
from degu_tf.utils.errors import InputError

RESAMPLES = 1000
"""Number of bootstrap draws of bins."""

WHOLE, BY_BIN, COUNTS = "pearson", "pearson_by_bin", "pearson_log_counts"
"""Metrics: of all positions together, the mean over bins of each bin's, of log(1 + sum) of bins."""


def profile_score(
    prediction: Prediction,
    measured: np.ndarray,
    heads: HeadLayout,
    *,
    level: float = 0.95,
    seed: int = 0,
    **labels: object,
) -> pd.DataFrame:
    """Pearson's r of predicted and measured profiles, for activity and uncertainties.

    Parameters
    ----------
    prediction
        What was predicted for N bins, `(N, length, targets)`.
    measured
        Columns `(N, length, C)` in the order of `heads`; uncertainties are compared as standard
        deviations whatever their form.
    heads
        Layout of `measured`.
    level
        Probability in the intervals.
    seed
        Of the draws of bins.
    **labels
        Constant columns for the table, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `head` (activity, aleatoric, epistemic), `metric`, `value`,
        `low` and `high` (bootstrap over bins), `n` (bins). The metrics are `WHOLE` (the paper's
        "across the whole chromosome"), `BY_BIN` (bins in which either side is constant are left
        out) and `COUNTS` (of activity alone; negative sums count as zero).

    Raises
    ------
    InputError
        If targets or shapes differ.

    Examples
    --------
    >>> heads = HeadLayout(("ATAC",))
    >>> measured = np.random.default_rng(0).random((20, 8, 1))
    >>> table = profile_score(heads.prediction(2.0 * measured), measured, heads)
    >>> table["value"].round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    scores = ProfileScore(heads)
    scores.update(prediction, measured)
    return scores.table(level=level, seed=seed, **labels)


class ProfileScore:
    """`profile_score` of bins that come a few at a time; it holds some numbers of each.

    Parameters
    ----------
    heads
        Layout of what is measured.

    Examples
    --------
    >>> heads = HeadLayout(("ATAC",))
    >>> measured = np.random.default_rng(0).random((20, 8, 1))
    >>> scores = ProfileScore(heads)
    >>> for start in range(0, 20, 5):
    ...     part = measured[start : start + 5]
    ...     scores.update(heads.prediction(2.0 * part), part)
    >>> scores.table()["n"].tolist()
    [20, 20, 20]
    """

    def __init__(self, heads: HeadLayout) -> None:
        self.heads = heads
        self._held: dict[tuple[str, str], _Column] = {}

    def update(self, prediction: Prediction, measured: np.ndarray) -> None:
        """Take in bins: their predicted profiles, and measured columns `(N, length, C)`.

        Raises
        ------
        InputError
            If targets or shapes differ.
        """
        heads = self.heads
        heads.check(measured, "measured columns")
        shape = (*measured.shape[:-1], heads.n_targets)
        if prediction.targets != heads.targets or prediction.mean.shape != shape or len(shape) != 3:
            raise InputError(
                f"expected predicted profiles of {heads.targets}, of shape {shape}. "
                f"Received: {prediction.targets}, {prediction.mean.shape}"
            )
        for head, predicted, truth in paired_heads(prediction, measured, heads):
            for index, target in enumerate(heads.targets):
                column = self._held.setdefault((head, target), _Column())
                column.update(predicted[..., index], truth[..., index])

    def table(self, *, level: float = 0.95, seed: int = 0, **labels: object) -> pd.DataFrame:
        """The table of `profile_score`."""
        rows = []
        for (head, target), column in self._held.items():
            for metric, (value, low, high, n) in column.metrics(head, level, seed).items():
                row = {"target": target, "head": head, "metric": metric, "value": value}
                rows.append({**labels, **row, "low": low, "high": high, "n": n})
        return pd.DataFrame(rows)


class _Column:
    """Sums over each bin of one column's predicted and measured profiles."""

    def __init__(self) -> None:
        self._shift: tuple[float, float] | None = None
        self._sums: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []

    def update(self, x: np.ndarray, y: np.ndarray) -> None:
        x, y = x.astype(np.float64), y.astype(np.float64)
        if self._shift is None:
            self._shift = float(x.mean()), float(y.mean())
        self._sums.append(_sums(x - self._shift[0], y - self._shift[1]))
        totals = np.stack([x.sum(axis=1), y.sum(axis=1)], axis=1)
        self._counts.append(np.log1p(np.maximum(totals, 0.0)))

    def metrics(
        self, head: str, level: float, seed: int
    ) -> dict[str, tuple[float, float, float, int]]:
        """Each metric: value, interval, bins."""
        sums, counts = np.concatenate(self._sums), np.concatenate(self._counts)
        n = len(sums)
        draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), RESAMPLES)

        def interval(values: np.ndarray) -> tuple[float, float]:
            finite = values[np.isfinite(values)]
            if n < 2 or not len(finite):
                return float("nan"), float("nan")
            low, high = np.quantile(finite, (0.5 - level / 2, 0.5 + level / 2))
            return float(low), float(high)

        def pooled(sums: np.ndarray) -> tuple[float, float, float, int]:
            return float(_pearson(sums.sum(axis=0))), *interval(_pearson(draws @ sums)), n

        found = {WHOLE: pooled(sums)}
        each = _pearson(sums)
        defined = np.isfinite(each)
        weights = draws[:, defined]
        with np.errstate(invalid="ignore"):
            means = weights @ each[defined] / weights.sum(axis=1)
        mean = float(each[defined].mean()) if defined.any() else float("nan")
        found[BY_BIN] = (mean, *interval(means), int(defined.sum()))
        if head == "activity":
            x, y = (counts - counts.mean(axis=0)).T[:, :, np.newaxis]
            found[COUNTS] = pooled(_sums(x, y))
        return found


def _sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sums of `pearson_of_sums` `(N, 6)` over each row of two arrays `(N, length)`."""
    n = np.full(len(x), x.shape[1], np.float64)
    xx, yy, xy = (np.einsum("nl,nl->n", a, b) for a, b in ((x, x), (y, y), (x, y)))
    return np.stack([n, x.sum(axis=1), y.sum(axis=1), xx, yy, xy], axis=-1)


def _pearson(sums: np.ndarray) -> Any:
    """Pearson correlation of sums `(..., 6)`."""
    return pearson_of_sums(np.moveaxis(sums, -1, 0))
