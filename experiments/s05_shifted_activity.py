"""Supplementary Figure 5: what activity the oracle sees in shifted test sequences.

Distribution of the activity that the ensemble trained with EvoAug predicts for the test sequences
and for the three sets shifted away from them. It says why the largest shift need not give the
largest errors in Figure 3, from which the oracle is taken.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper import data_sets
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
)
from degu_tf.paper.fig3_covariate_shift import study
from degu_tf.paper.fig3_covariate_shift.shifted_sets import activity_levels, oracle_activity
from degu_tf.paper.fig3_covariate_shift.study import (
    SHIFTS,
    Study,
)
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP


def networks(context: Context) -> None:
    """The oracle."""
    _ = Study(context).oracle


def compute(context: Context) -> pd.DataFrame:
    """One row a shift, target and sequence."""
    fig3 = Study(context)
    predictions = oracle_activity(fig3.oracle, fig3.shifted)
    return activity_levels(predictions).assign(dataset=fig3.name)


def lower(large: pd.Series, other: pd.Series) -> Verdict:
    """Paired test over sequences of their activity before and after shuffling."""
    return greater(other, large, "activity, other set - shuffled", paired=True)


def less_varied(large: pd.Series, other: pd.Series) -> Verdict:
    """Paired test over sequences of their distance to their set's median (Brown and Forsythe)."""
    spread, other_spread = (np.abs(each - each.median()) for each in (large, other))
    what = "distance to the median activity, other set - shuffled"
    return greater(other_spread, spread, what, paired=True)


def claim(text: str, decide: Callable[[pd.Series, pd.Series], Verdict]) -> Claim:
    """A claim about the shuffled sequences against each other set, for every target."""

    def decide_all(table: pd.DataFrame) -> Verdict:
        place = ["dataset", "target"]
        by_row = table[table["shift"] == "large"].set_index([*place, "row"])["value"]

        def decide_part(part: pd.DataFrame) -> Verdict:
            other = part.set_index([*place, "row"])["value"]
            return decide(by_row.reindex(other.index), other)

        return in_every(table[table["shift"] != "large"], [*place, "shift"], decide_part)

    where = 'Supplementary Fig. 5; Results, "DEGU improves generalization under covariate shifts"'
    return Claim(text, where, decide_all)


CLAIMS = (
    claim("Shuffled sequences are less active than those of every other set (each target).", lower),
    claim(
        "Their activity varies less than that of every other set (each target).",
        less_varied,
    ),
)


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each target."""
    label = "Activity, by the oracle"
    unit = data_sets.unit_of(table)
    return degu.plots.distributions(table, "shift", SHIFTS, label=label, unit=unit)


def conclude(table: pd.DataFrame) -> str:
    """Mean and standard deviation of each set."""
    columns = table.pivot_table(
        index="shift", columns="target", values="value", aggfunc=["mean", "std"], sort=False
    )
    return "Activity by the oracle:\n" + columns.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
