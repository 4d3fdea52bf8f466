"""The paper's claims about variant effects, decided on the table of `study.py` beside this.

Tests were fixed before any run. Two have since become stricter, because their values were not
independent: methods taken together count as one value a seed, and one test, of whether the gain of
confident variants differs between experiments, is gone. Where a claim is general, values are means
over experiments; models are the independent values, so verdicts are of these variants.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from degu_tf.metrics.correlation import KINDS
from degu_tf.metrics.effects import ALL, PERCENTILES
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    greater,
    in_every,
    seed_means,
)
from degu_tf.paper.fig6_variants.compare import (
    ALL_WINDOWS,
    CENTRED,
    PANEL,
    PERFORMANCE,
    REPRESENTATIVE,
    TEXTURE,
    UNCERTAIN,
)
from degu_tf.paper.fig6_variants.experiments import MEASURED, TRUTH
from degu_tf.paper.networks.trained_models import DYNAMIC

SECTION = 'Results, "Uncertainty-aware zero-shot variant effect generalization"'
BEST = "dynamic_mutagenesis"
"""The method whose variants are stratified, the paper's best."""

WORDS = {"pearson": "Pearson r", "spearman": "Spearman rho"}


def performance(
    table: pd.DataFrame,
    below: int = ALL,
    against: str = MEASURED,
    windows: str = ALL_WINDOWS,
) -> pd.DataFrame:
    """Rows with correlations over the variants below a percentile of the total uncertainty."""
    rows = table[(table["what"] == PERFORMANCE) & (table["against"] == against)]
    return rows[(rows["windows"] == windows) & (rows["below"] == below)]


def by_seed(rows: pd.DataFrame, *methods: str) -> np.ndarray:
    """Values by seed: the mean over experiments, and over methods taken together.

    None where one of the methods is missing.
    """
    if not set(methods) <= set(rows["method"]):
        return np.array([])
    return seed_means(rows[rows["method"].isin(methods)], [*PANEL, "method"])


def better(larger: tuple[str, ...], smaller: tuple[str, ...], what: str) -> Callable:
    """Test of methods against others: in each correlation, on all variants."""

    def decide(table: pd.DataFrame) -> Verdict:
        return in_every(
            performance(table),
            ["metric"],
            lambda rows: greater(
                by_seed(rows, *larger),
                by_seed(rows, *smaller),
                f"correlation with measured effects, {what}",
            ),
        )

    return decide


def _gains(table: pd.DataFrame, method: str = BEST) -> pd.DataFrame:
    """What the most confident quarter gains over all variants, a row a model and experiment."""
    keys = [*PANEL, "metric", "method", "seed"]
    few, all_of_them = (
        performance(table, below).set_index(keys)["value"] for below in (PERCENTILES[0], ALL)
    )
    gains = (few - all_of_them).dropna().rename("value").reset_index()
    return gains[gains["method"] == method]


def confident_is_better(table: pd.DataFrame) -> Verdict:
    """Correlation below the 25th percentile of total uncertainty, less that on all variants."""
    what = f"correlation below the {PERCENTILES[0]}th percentile - on all variants"
    return in_every(_gains(table), ["metric"], lambda rows: above(by_seed(rows, BEST), 0.0, what))


def confident_is_better_everywhere(table: pd.DataFrame) -> Verdict:
    """The same in each experiment."""
    what = f"correlation below the {PERCENTILES[0]}th percentile - on all variants"
    return in_every(_gains(table), [*PANEL, "metric"], lambda rows: above(rows["value"], 0.0, what))


def _components(table: pd.DataFrame, what: str, metric: str) -> pd.DataFrame:
    """Values of students by model and component, means over experiments."""
    rows = table[
        (table["what"] == what)
        & (table["metric"] == metric)
        & (table["method"] == REPRESENTATIVE)
        & table["component"].isin(["aleatoric", "epistemic"])
    ]
    parts = rows.pivot_table(index="seed", columns=["component", *PANEL], values="value").dropna()
    wide = parts.T.groupby(level="component").mean().T
    return wide if {"aleatoric", "epistemic"} <= {*wide} else wide.iloc[:0]


def larger_component(metric: str, larger: str, smaller: str, what: str) -> Callable:
    """Paired test of one component's texture against the other's."""

    def decide(table: pd.DataFrame) -> Verdict:
        wide = _components(table, TEXTURE, metric)
        if not len(wide):
            return above([], 0.0, "no such result in this run")
        return greater(wide[larger], wide[smaller], f"{what}, {larger} - {smaller}", paired=True)

    return decide


def goes_with(component: str, size: str, sign: int) -> Callable:
    """Test of the sign of rho between an uncertainty and a distance from zero."""

    def decide(table: pd.DataFrame) -> Verdict:
        rows = table[(table["what"] == UNCERTAIN) & (table["method"] == REPRESENTATIVE)]
        rows = rows[(rows["component"] == component) & (rows["against"] == size)]
        values = sign * seed_means(rows, PANEL)
        word = "" if sign > 0 else "-"
        return above(values, 0.0, f"{word}rho of {component} uncertainty with |{size}|")

    return decide


PERFORMANCE_CLAIMS = (
    Claim(
        "Students predict measured effects better than standard models (Pearson's r and "
        "Spearman's rho, mean over experiments).",
        f"Fig. 6a, Supplementary Fig. 14; {SECTION}",
        better(("student",), ("single",), "students - standard models"),
    ),
    Claim(
        "Dynamic augmentations add to that: dynamic students, all three kinds together, predict "
        "better than static ones.",
        f"Fig. 6a, Supplementary Fig. 14; {SECTION}",
        better(tuple(DYNAMIC), ("student",), "dynamic - static students"),
    ),
    Claim(
        "Of the dynamic students those of random mutagenesis predict best.",
        f"Supplementary Fig. 14; {SECTION}",
        better(
            (BEST,), tuple(m for m in DYNAMIC if m != BEST), "mutagenesis - other dynamic students"
        ),
    ),
)

CONFIDENT = Claim(
    "Variants of which students (random mutagenesis) are confident are predicted better: "
    "correlations are higher below the 25th percentile of total uncertainty than on all variants "
    "(mean over experiments).",
    f"Fig. 6c; {SECTION}",
    confident_is_better,
)

STRATIFIED_CLAIMS = (
    CONFIDENT,
    Claim(
        "So they are in every experiment (the paper: the trends vary across loci).",
        f"Supplementary Fig. 16; {SECTION}",
        confident_is_better_everywhere,
    ),
)

TEXTURE_CLAIMS = (
    Claim(
        "Aleatoric uncertainty is the larger of the two (students).",
        f"Fig. 6b; {SECTION}",
        larger_component("mean", "aleatoric", "epistemic", "mean uncertainty"),
    ),
    Claim(
        "Epistemic uncertainty varies more among the bases of a position, relative to its mean.",
        f"Fig. 6b; {SECTION}",
        larger_component("nucleotides", "epistemic", "aleatoric", "variation over bases"),
    ),
    Claim(
        "It varies more over positions, too.",
        f"Fig. 6b; {SECTION}",
        larger_component("positions", "epistemic", "aleatoric", "variation over positions"),
    ),
)

UNCERTAINTY_CLAIMS = (
    Claim(
        "Aleatoric uncertainty is higher for effects near zero (students).",
        f"Supplementary Fig. 15; {SECTION}",
        goes_with("aleatoric", "effect", -1),
    ),
    Claim(
        "Epistemic uncertainty rises with the distance of effects from zero.",
        f"Supplementary Fig. 15; {SECTION}",
        goes_with("epistemic", "effect", 1),
    ),
    Claim(
        "Epistemic uncertainty rises with the distance of activity from zero (the paper's words "
        "allow both).",
        f"Supplementary Fig. 15; {SECTION}",
        goes_with("epistemic", "activity", 1),
    ),
)

FIGURE_SIX = (*PERFORMANCE_CLAIMS, *TEXTURE_CLAIMS, CONFIDENT)


def conclude(table: pd.DataFrame) -> str:
    """Correlations of each method with measured and true effects, mean over seeds."""
    columns = {}
    for against, windows in ((MEASURED, ALL_WINDOWS), (MEASURED, CENTRED), (TRUTH, ALL_WINDOWS)):
        rows = performance(table, ALL, against, windows)
        for kind in KINDS:
            part = rows[rows["metric"] == kind]
            if len(part):
                name = against if windows == ALL_WINDOWS else f"{against}, centred"
                means = part.groupby(["experiment", "method"], sort=False)["value"].mean()
                columns[f"{kind} {name}"] = means
    wide = pd.DataFrame(columns).round(3)
    return "Correlations of effects, mean over seeds:\n" + wide.to_string()


def conclude_strata(table: pd.DataFrame) -> str:
    """Correlations below each percentile of total uncertainty, mean over seeds."""
    rows = pd.concat([performance(table, below) for below in (*PERCENTILES, ALL)])
    rows = rows[rows["method"].isin([REPRESENTATIVE, BEST, "ensemble"])]
    wide = rows.pivot_table(
        index=["experiment", "method"], columns=["metric", "below"], values="value", sort=False
    ).round(3)
    return "Correlations below percentiles of total uncertainty:\n" + wide.to_string()


def conclude_uncertainty(table: pd.DataFrame) -> str:
    """Rho of each uncertainty with the distance of effects and activity from zero."""
    rows = table[(table["what"] == UNCERTAIN) & (table["method"] == REPRESENTATIVE)]
    wide = rows.pivot_table(
        index=["experiment"], columns=["against", "component"], values="value", sort=False
    ).round(3)
    return "Spearman's rho of students' uncertainty with the distance from zero:\n" + (
        wide.to_string()
    )
