"""The paper's claims about uncertainty, decided on the table of `study.py` beside this.

Margins and thresholds were fixed before any run.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    greater,
    in_every,
    seed_means,
)
from degu_tf.paper.fig5_uncertainty.study import AFTER, BEFORE, LEVEL

STRONG = 0.5
"""Pearson r from which two uncertainties count as strongly correlated."""

SEVERE = 0.9
"""Coverage of 95 % intervals below which they are called severely under-calibrated."""

MARGIN = 0.02
"""Distance of coverage from the level that counts as nearly perfect."""

ALEATORIC = (("student", "aleatoric"), ("heteroscedastic", "aleatoric"))
EPISTEMIC = (("student", "epistemic"), ("mc_dropout", "epistemic"))
HETEROSCEDASTIC = ("heteroscedastic", "aleatoric")
ONE_NETWORK = (
    HETEROSCEDASTIC,
    ("mc_dropout", "epistemic"),
    ("evidential_released", "aleatoric"),
    ("deep_evidential", "total"),
)
"""Methods that are one network too, each with all the uncertainty that it knows of."""

PANEL = ["dataset", "target"]
SECTION = 'Results, "DEGU provides calibrated estimates of total uncertainty"'


def heads(table: pd.DataFrame, head: str, method: str | None = None) -> pd.DataFrame:
    """Rows with Pearson r of a head at shares of the data, of one method where it is named."""
    rows = table[(table["head"] == head) & (table["metric"] == "pearson")]
    return rows if method is None else rows[rows["method"] == method]


def judged(table: pd.DataFrame, metric: str, conformal: str | None = None) -> pd.DataFrame:
    """Rows of a metric of intervals, or of activity where `conformal` is None."""
    rows = table[(table["metric"] == metric) & table["head"].isna()]
    return rows[rows["conformal"].isna() if conformal is None else rows["conformal"] == conformal]


def of(rows: pd.DataFrame, *groups: tuple[str, str]) -> np.ndarray:
    """Values by seed, a mean over groups of method and component; none where a group is missing."""
    pairs = pd.MultiIndex.from_frame(rows[["method", "component"]])
    if not set(groups) <= set(pairs):
        return np.array([])
    return seed_means(rows[pairs.isin(groups)], ["method", "component"])


def off(rows: pd.DataFrame) -> pd.DataFrame:
    """Distance of coverage from the nominal level."""
    return rows.assign(value=(rows["value"] - LEVEL).abs())


def epistemic_follows(method: str) -> Claim:
    """Students' epistemic heads against the ensemble's spread."""

    def decide(table: pd.DataFrame) -> Verdict:
        return in_every(
            heads(table, "epistemic", method),
            [*PANEL, "fraction"],
            lambda part: above(part["value"], STRONG, "r, epistemic head with the ensemble's std"),
        )

    return Claim(
        "Students' epistemic uncertainty follows the ensemble's standard deviation: Pearson r "
        f"above {STRONG} (each target, at every share of the data).",
        f"Fig. 5a, Supplementary Figs. 9a, 10, 11; {SECTION}",
        decide,
    )


def aleatoric_is_harder(table: pd.DataFrame) -> Verdict:
    """Activity against aleatoric heads, of single models and students on all data."""
    rows = table[table["method"].isin(["single", "student"]) & (table["fraction"] == 1.0)]
    rows = rows[rows["head"].isin(["activity", "aleatoric"]) & (rows["metric"] == "pearson")]
    both = rows.groupby("dataset")["head"].transform("nunique") == 2

    def decide(part: pd.DataFrame) -> Verdict:
        by_head = part.pivot(index="seed", columns="head", values="value")
        what = "r, activity - aleatoric"
        return greater(by_head["activity"], by_head["aleatoric"], what, paired=True)

    return in_every(rows[both], [*PANEL, "method"], decide)


def aleatoric_covers_better(part: pd.DataFrame) -> Verdict:
    """Distance of coverage from the level: epistemic-only methods against aleatoric ones."""
    rows = off(judged(part, "coverage", BEFORE))
    what = f"|coverage - {LEVEL}|, epistemic - aleatoric"
    return greater(of(rows, *EPISTEMIC), of(rows, *ALEATORIC), what)


def aleatoric_is_smaller(part: pd.DataFrame) -> Verdict:
    """Size of intervals that cover alike: epistemic-only methods against aleatoric ones."""
    rows = judged(part, "size", AFTER)
    what = "size after conformal prediction, epistemic - aleatoric"
    return greater(of(rows, *EPISTEMIC), of(rows, *ALEATORIC), what)


def epistemic_undercovers(part: pd.DataFrame) -> Verdict:
    """Coverage of one epistemic-only method against what counts as severe."""
    return greater([SEVERE], part["value"], f"{SEVERE} - coverage")


def only(rows: pd.DataFrame, groups: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Rows of some pairs of method and component."""
    return rows[pd.MultiIndex.from_frame(rows[["method", "component"]]).isin(groups)]


def more_accurate(better: str, worse: str) -> Claim:
    """One method's activity against another's."""

    def decide(part: pd.DataFrame) -> Verdict:
        rows = judged(part, "pearson")
        first, second = (rows[rows["method"] == method]["value"] for method in (better, worse))
        return greater(first, second, f"r of the activity, {better} - {worse}")

    return Claim(
        f"Activity is predicted better by {better} than by {worse} (each data set).",
        f"Fig. 5d, Supplementary Fig. 12; {SECTION}",
        lambda table: in_every(judged(table, "pearson"), PANEL, decide),
    )


def heteroscedastic_covers_better(part: pd.DataFrame) -> Verdict:
    """Distance of coverage from the level: students' total uncertainty against heteroscedastic."""
    rows = off(judged(part, "coverage", BEFORE))
    what = f"|coverage - {LEVEL}|, total of students - heteroscedastic"
    return greater(of(rows, ("student", "total")), of(rows, HETEROSCEDASTIC), what)


def students_have_smallest_intervals(part: pd.DataFrame) -> Verdict:
    """Size of intervals that cover alike: students' total uncertainty against another method's."""
    other = part["method"].iloc[0]
    what = f"size after conformal prediction, {other} - total of students"
    return greater(part["value"], part["students"], what)


def best_after_conformal(table: pd.DataFrame) -> Verdict:
    """Students against every other method that is one network, where all cover alike."""
    sizes = judged(table, "size", AFTER)
    students = only(sizes, [("student", "total")])
    others = only(sizes, ONE_NETWORK).merge(
        students[[*PANEL, "seed", "value"]].rename(columns={"value": "students"}),
        on=[*PANEL, "seed"],
    )
    return in_every(others, [*PANEL, "method"], students_have_smallest_intervals)


def heteroscedastic_is_less_steady(part: pd.DataFrame) -> Verdict:
    """Levene's test (Brown and Forsythe's form) of how much accuracy differs between seeds."""
    rows = judged(part, "pearson")
    heteroscedastic, single = (
        (values - values.median()).abs()
        for method in ("heteroscedastic", "single")
        for values in [rows[rows["method"] == method]["value"]]
    )
    return greater(heteroscedastic, single, "|r - median r|, heteroscedastic - single")


def nearly_perfect(part: pd.DataFrame) -> Verdict:
    """How far inside the margin the coverage of one method lies."""
    rows = off(part)
    return above(MARGIN - rows["value"], 0.0, f"{MARGIN} - |coverage - {LEVEL}|")


def several_models(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods with more than one model, which a test needs."""
    return rows[rows.groupby([*PANEL, "method"])["seed"].transform("nunique") > 1]


CONFORMAL = Claim(
    f"Conformal prediction gives every method its nominal coverage within {MARGIN} (each data set, "
    "method with several models, and uncertainty).",
    f"Fig. 5c, Supplementary Fig. 13; {SECTION}",
    lambda table: in_every(
        several_models(judged(table, "coverage", AFTER)),
        [*PANEL, "method", "component"],
        nearly_perfect,
    ),
)

FIGURE_FIVE = (
    epistemic_follows("student"),
    Claim(
        "Aleatoric uncertainty is harder to predict than activity (single models and students).",
        f"Fig. 5b, Supplementary Fig. 9b; {SECTION}",
        aleatoric_is_harder,
    ),
    Claim(
        "Methods that account for aleatoric uncertainty (students' aleatoric head, heteroscedastic "
        "regression) come nearer to 95 % coverage than those with epistemic uncertainty alone "
        "(students' epistemic head, MC dropout).",
        f"Fig. 5c, Supplementary Fig. 9c; {SECTION}",
        lambda table: in_every(judged(table, "coverage", BEFORE), PANEL, aleatoric_covers_better),
    ),
    Claim(
        "Their intervals are smaller where all cover alike, after conformal prediction.",
        f"Fig. 5c; {SECTION}",
        lambda table: in_every(judged(table, "size", AFTER), PANEL, aleatoric_is_smaller),
    ),
    Claim(
        f"Epistemic uncertainty alone covers less than {SEVERE:.0%} (students' epistemic head and "
        "MC dropout).",
        f"Fig. 5c, Supplementary Fig. 9c; {SECTION}",
        lambda table: in_every(
            only(judged(table, "coverage", BEFORE), EPISTEMIC),
            [*PANEL, "method"],
            epistemic_undercovers,
        ),
    ),
    Claim(
        "Before conformal prediction heteroscedastic regression comes nearer to 95 % coverage than "
        "students' total uncertainty (each data set).",
        f"Fig. 5c, d; {SECTION}",
        lambda table: in_every(
            judged(table, "coverage", BEFORE), PANEL, heteroscedastic_covers_better
        ),
    ),
    more_accurate("student", "heteroscedastic"),
    Claim(
        "Heteroscedastic regression is harder to train: its models differ more in accuracy than "
        "those of standard training (each data set).",
        'Discussion, "challenging to optimize due to an unstable loss function"',
        lambda table: in_every(judged(table, "pearson"), PANEL, heteroscedastic_is_less_steady),
    ),
    CONFORMAL,
    Claim(
        "Students with total uncertainty have the best balance of accuracy and calibration: where "
        "conformal prediction makes all cover alike, their intervals are smaller than those of any "
        "other method that is one network (each data set and method).",
        'Discussion, "the best balance between calibration and predictive accuracy"',
        best_after_conformal,
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Accuracy, coverage and size of each method, mean over seeds."""
    keys = ["dataset", "method", "component"]
    columns = {}
    for metric in ("coverage", "size"):
        for conformal in (BEFORE, AFTER):
            rows = judged(table, metric, conformal)
            columns[f"{metric} {conformal}"] = rows.groupby(keys, sort=False)["value"].mean()
    wide = pd.DataFrame(columns)
    accuracy = judged(table, "pearson").groupby(keys[:2])["value"].mean()
    wide.insert(0, "r", accuracy.reindex(wide.index.droplevel("component")).to_numpy())
    return f"Intervals of {LEVEL:.0%}, mean over seeds:\n" + wide.round(3).to_string()
