"""The paper's claims about attribution, decided on the table of `study.py` beside this.

Tests were fixed before any run; that with one teacher left out has since become stricter, students
being compared with means of as few teachers as standard models are.
"""

from collections.abc import Callable

import pandas as pd

from degu_tf.attribution.consistency import LARGEST, NONE, RMSE, STD
from degu_tf.attribution.motifs import AUROC
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.fig4_attribution.study import ALL, OTHERS

PANEL = ["dataset", "target", "explainer"]
SECTION = 'Results, "DEGU improves attribution analysis"'
MEANS = {
    "RMSE": (RMSE, NONE, ALL),
    "RMSE, one left out": (RMSE, NONE, OTHERS),
    "RMSE, scaled": (RMSE, LARGEST, ALL),
    "std": (STD, NONE, None),
    "std, scaled": (STD, LARGEST, None),
    "AUROC": (AUROC, None, None),
}
"""What `conclude` writes: metric, scaling and reference of each column."""


def rows_of(
    table: pd.DataFrame, metric: str, scaling: str | None = None, reference: str | None = None
) -> pd.DataFrame:
    """Rows of a metric, with one scaling and reference where they are named."""
    chosen = table["metric"] == metric
    for column, wanted in (("scaling", scaling), ("reference", reference)):
        if wanted is not None:
            chosen &= table[column] == wanted if column in table else False
    return table[chosen]


def _values(part: pd.DataFrame, method: str, by: str) -> pd.Series:
    return part[part["method"] == method].set_index(by)["value"].sort_index()


def closer(part: pd.DataFrame) -> Verdict:
    """Welch's test of models' mean RMSE to the ensemble's map."""
    single, student = (_values(part, method, "seed") for method in ("single", "student"))
    return greater(single, student, "RMSE to the ensemble's map, standard - students")


def more_alike(part: pd.DataFrame) -> Verdict:
    """Paired test of the spread of each sequence's maps over initialisations."""
    single, student = (_values(part, method, "sequence") for method in ("single", "student"))
    return greater(single, student, "std of maps, standard - students", paired=True)


def finds_motifs(method: str) -> Callable[[pd.DataFrame], Verdict]:
    """Test of one method's motif AUROC against that of standard models."""

    def decide(part: pd.DataFrame) -> Verdict:
        own, single = (_values(part, each, "seed") for each in (method, "single"))
        return greater(own, single, f"AUROC of motif positions, {method} - standard")

    return decide


def in_every_panel(
    decide: Callable[[pd.DataFrame], Verdict],
    metric: str,
    scaling: str | None = None,
    reference: str | None = None,
) -> Callable[[pd.DataFrame], Verdict]:
    """Decision of a claim about every data set, target and explainer."""
    return lambda table: in_every(rows_of(table, metric, scaling, reference), PANEL, decide)


def comparison_claims(where: str) -> tuple[Claim, ...]:
    """Fig. 4's claims, with the figures they are made of."""
    return (
        Claim(
            "Students' maps are nearer to the ensemble's mean map than those of standard models "
            "(each panel; the standard models are themselves part of the mean, which brings them "
            "nearer).",
            f"{where}; {SECTION}",
            in_every_panel(closer, RMSE, NONE, ALL),
        ),
        Claim(
            "So they are where no model is compared with itself: one teacher left out of the mean "
            "(each panel; not in the paper).",
            where,
            in_every_panel(closer, RMSE, NONE, OTHERS),
        ),
        Claim(
            "Students' maps are more alike across initialisations than those of standard models "
            "(each panel; a paired test over sequences, for these models).",
            f"{where.replace('4b', '4c')}; {SECTION}",
            in_every_panel(more_alike, STD, NONE),
        ),
        Claim(
            "Students' maps tell motif positions from others better than those of standard models "
            "(each panel of simulated data).",
            f"Fig. 4a (more identifiable motifs); {SECTION}",
            in_every_panel(finds_motifs("student"), AUROC),
        ),
        Claim(
            "So does the ensemble's mean map.",
            f"Premise of Fig. 4b; {SECTION}",
            in_every_panel(finds_motifs("ensemble"), AUROC),
        ),
    )


CONTROL = (
    Claim(
        "Students' maps are more alike across initialisations than those of standard models when "
        "each map is divided by its largest absolute score (each panel).",
        f"Supplementary Fig. 8; {SECTION}",
        in_every_panel(more_alike, STD, LARGEST),
    ),
    Claim(
        "Maps so divided are also nearer to the ensemble's mean map (each panel; not in the "
        "paper).",
        "Supplementary Fig. 8",
        in_every_panel(closer, RMSE, LARGEST, ALL),
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Mean of every measure by panel and method."""
    columns = {
        name: rows_of(table, *which).groupby([*PANEL, "method"], sort=False)["value"].mean()
        for name, which in MEANS.items()
    }
    wide = pd.DataFrame({name: column for name, column in columns.items() if len(column)})
    return "Means over models or sequences:\n" + wide.to_string(float_format="{:.4g}".format)
