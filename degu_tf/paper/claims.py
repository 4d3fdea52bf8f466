"""Claims of the paper and the statistical tests that decide them."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

HOLDS = "holds"


FAILS = "does not hold"


UNDECIDED = "cannot be told at this size"


ABSENT = "no result in this run"
"""Of a claim about what the data or weights do not have, such as replicates or known motifs."""


NOT_JUDGED = "not judged at smoke"
"""Of a test run, whose models have learnt nothing that a claim could be about."""


SIGNIFICANCE = 0.05


FEWEST = 3
"""Number of independent values below which a claim is left undecided."""


@dataclass(frozen=True)
class Verdict:
    """Result of the test of a claim.

    Attributes
    ----------
    statistic
        Name of the statistic.
    value
        Its value; positive speaks for the claim where it is a difference.
    low, high
        Ends of its 95 % interval; NaN where none can be given.
    p
        Two-sided p value; NaN where none can be given.
    n
        Number of independent values behind it; 0 where the run has nothing that it is about.
    threshold
        What the interval must lie above for the claim to hold; `p` is against it too.
    over
        Over what a claim made of several parts was decided, such as ``"each of 8"``.
    average
        The verdict on the mean over the parts, of a claim that is made of each of them.
    """

    statistic: str
    value: float
    low: float
    high: float
    p: float
    n: int
    threshold: float = 0.0
    over: str = ""
    average: "Verdict | None" = None

    @property
    def verdict(self) -> str:
        """*Holds* or *does not hold* if the interval excludes the threshold, else undecided.

        Fewer than `FEWEST` independent values decide nothing; none at all are no result.
        """
        if self.n == 0:
            return ABSENT
        if self.n < FEWEST:
            return UNDECIDED
        if self.low > self.threshold:
            return HOLDS
        if self.high < self.threshold:
            return FAILS
        return UNDECIDED


_NUMBERS = ("statistic", "value", "low", "high", "p", "n", "threshold")


@dataclass(frozen=True)
class Claim:
    """A claim of the paper in our words, where it stands, and the test that decides it here."""

    text: str
    where: str
    decide: Callable[[pd.DataFrame], Verdict]


def greater(
    larger: ArrayLike,
    smaller: ArrayLike,
    what: str,
    *,
    paired: bool = False,
    threshold: float = 0.0,
) -> Verdict:
    """Test that one group's mean lies above another's: Welch's t-test, or a paired one.

    Parameters
    ----------
    larger, smaller
        Values of the group the claim puts higher and of the other, over independent seeds. A
        group of one, such as an ensemble, is taken as a fixed number.
    what
        Words for the statistic, such as ``"Pearson r, students - single models"``.
    paired
        Whether the values go together one by one.
    threshold
        What the difference of means must exceed; below zero for "lower by no more than".

    Examples
    --------
    >>> greater([0.8, 0.82, 0.81], [0.7, 0.71, 0.69], "r, a - b").verdict
    'holds'
    """
    x, y = np.asarray(larger, float), np.asarray(smaller, float)
    difference = float(x.mean() - y.mean()) if len(x) and len(y) else float("nan")
    n = min((len(group) for group in (x, y) if len(group) != 1), default=1)
    raised = y + threshold
    if paired:
        test = stats.ttest_rel(x, raised) if len(x) > 1 else None
    elif len(x) > 1 and len(y) > 1:
        test = stats.ttest_ind(x, raised, equal_var=False)
    elif len(x) > 1 and len(y) == 1:
        test = stats.ttest_1samp(x - raised[0], 0.0)
    elif len(y) > 1 and len(x) == 1:
        test = stats.ttest_1samp(x[0] - raised, 0.0)
    else:
        test = None
    if test is None or not np.isfinite(test.pvalue):
        return undecided(what, difference, n, threshold)
    interval = test.confidence_interval(1.0 - SIGNIFICANCE)
    return Verdict(
        what,
        difference,
        float(interval.low + threshold),
        float(interval.high + threshold),
        float(test.pvalue),
        n,
        threshold,
    )


def above(values: ArrayLike, threshold: float, what: str) -> Verdict:
    """Test that the mean of independent values lies above a number: one-sample t-test.

    Examples
    --------
    >>> above([0.9, 0.92, 0.91], 0.5, "share of the gap closed").verdict
    'holds'
    """
    x = np.asarray(values, float)
    n, mean = len(x), float(x.mean()) if len(x) else float("nan")
    if n < 2:
        return undecided(what, mean, n, threshold)
    test = stats.ttest_1samp(x, threshold)
    interval = test.confidence_interval(1.0 - SIGNIFICANCE)
    return Verdict(
        what, mean, float(interval.low), float(interval.high), float(test.pvalue), n, threshold
    )


def seed_means(rows: pd.DataFrame, over: Sequence[str]) -> np.ndarray:
    """One value a seed: the mean of its rows over the parts that these columns tell apart.

    A seed that lacks one of the parts is left out, for its mean would be one of other parts; the
    verdict's `n` counts those that are left.

    Examples
    --------
    >>> rows = pd.DataFrame({"seed": [0, 0, 1], "cell": ["a", "b", "a"], "value": [1.0, 3.0, 9.0]})
    >>> seed_means(rows, ["cell"])
    array([2.])
    """
    if rows.empty:
        return np.array([])
    wide = rows.pivot_table(index="seed", columns=list(over), values="value")
    return wide.dropna().mean(axis=1).to_numpy()


def in_every(
    table: pd.DataFrame, by: Sequence[str], decide: Callable[[pd.DataFrame], Verdict]
) -> Verdict:
    """Decide a claim made of every part of a table: the part that supports it least decides.

    It holds only where it holds in each part, and does not hold where it fails in one. Of a trend
    that is seen in most parts this asks too much, so the verdict on their mean is beside it.

    Parameters
    ----------
    table
        The result; of a table without rows there is no verdict but `ABSENT`.
    by
        Columns whose values make the parts, such as ``["dataset", "target"]``.
    decide
        The test of one part.

    Examples
    --------
    >>> table = pd.DataFrame({"target": ["Dev"] * 3 + ["Hk"] * 3, "r": [3.0, 4, 5, 1, -1, 1]})
    >>> verdict = in_every(table, ["target"], lambda part: above(part["r"], 0.0, "mean r"))
    >>> verdict.statistic, verdict.verdict
    ('mean r (least of 2: Hk)', 'cannot be told at this size')
    >>> verdict.average.statistic, verdict.average.value
    ('mean r', 2.1666666666666665)
    """
    verdicts = []
    for key, part in table.groupby(list(by), sort=False):
        place = ", ".join(str(word) for word in key)
        verdicts.append((place, decide(part)))
    if not verdicts:
        return undecided("no such result in this run", float("nan"), 0)
    order = (FAILS, ABSENT, UNDECIDED, HOLDS)
    place, least = min(
        verdicts,
        key=lambda each: (
            order.index(each[1].verdict),
            np.nan_to_num(each[1].low - each[1].threshold, nan=-np.inf),
        ),
    )
    statistic = f"{least.statistic} (least of {len(verdicts)}: {place})"
    if len(verdicts) == 1:
        return dataclasses.replace(least, statistic=statistic)
    average = _average([verdict for _, verdict in verdicts])
    over = f"each of {len(verdicts)}"
    return dataclasses.replace(least, statistic=statistic, over=over, average=average)


def _average(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on the mean over parts.

    Parts may share models and data. However they depend on one another, the standard error of
    their mean is at most the mean of theirs, so the mean of their intervals is no narrower than
    the interval of the mean.
    """
    value, low, high, threshold = (
        float(np.mean([getattr(each, name) for each in verdicts]))
        for name in ("value", "low", "high", "threshold")
    )
    fewest = min(each.n for each in verdicts)
    over = f"mean of {len(verdicts)}"
    name = _common_name([each.statistic for each in verdicts])
    return Verdict(name, value, low, high, float("nan"), fewest, threshold, over)


def _common_name(statistics: Sequence[str]) -> str:
    """What statistics of several parts are together: the words that differ are left open.

    Examples
    --------
    >>> _common_name(["r, student - single", "r, dynamic - single"])
    'r, … - single'
    """
    words = [each.split(" ") for each in statistics]
    if len({len(each) for each in words}) > 1:
        return "; ".join(dict.fromkeys(statistics))
    return " ".join(each[0] if len(set(each)) == 1 else "…" for each in zip(*words, strict=True))


def undecided(what: str, value: float, n: int, threshold: float = 0.0) -> Verdict:
    """A verdict without an interval, of so many independent values; of none it is `ABSENT`.

    Examples
    --------
    >>> undecided("r, students - ensemble", 0.01, n=1).verdict
    'cannot be told at this size'
    """
    nan = float("nan")
    return Verdict(what, value, nan, nan, nan, n, threshold)


def judge(claims: Sequence[Claim], table: pd.DataFrame) -> pd.DataFrame:
    """Decide every claim on a result: one row a claim, with statistic, interval, p and verdict."""
    return pd.DataFrame([_row(claim, claim.decide(table)) for claim in claims])


def judge_averages_too(claims: Sequence[Claim], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `judge`; a claim of several parts has one on the mean over them before its own.

    Examples
    --------
    >>> rows = pd.DataFrame({"target": ["Dev"] * 3 + ["Hk"] * 3, "r": [3.0, 4, 5, 1, -1, 1]})
    >>> claim = Claim(
    ...     "r is positive", "Fig. 1",
    ...     lambda table: in_every(table, ["target"], lambda part: above(part["r"], 0.0, "mean r")),
    ... )
    >>> judge_averages_too([claim], rows)["over"].tolist()
    ['mean of 2', 'each of 2']
    """
    rows = []
    for claim in claims:
        strict = claim.decide(table)
        rows += [] if strict.average is None else [_row(claim, strict.average)]
        rows.append(_row(claim, strict))
    return pd.DataFrame(rows)


def _row(claim: Claim, verdict: Verdict) -> dict[str, Any]:
    numbers = {name: getattr(verdict, name) for name in _NUMBERS}
    place = {"claim": claim.text, "where": claim.where, "over": verdict.over}
    return {**place, **numbers, "verdict": verdict.verdict}


def not_judged(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table of `judge` with its numbers and without its verdicts, for a test run."""
    return verdicts.assign(verdict=NOT_JUDGED)
