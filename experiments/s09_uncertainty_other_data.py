"""Supplementary Figure 9: Figure 5 on the other promoter and the other cell type.

Panels as in Figure 5, for the second target of data with several targets (housekeeping in the
paper) and other data with one (lentiMPRA HepG2 in the paper). Trained models are shared with
Figure 5, at `paper` with Figure 2 too.
"""

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig5_uncertainty import claims, figure, study
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS

SECOND_TARGET = 1


PARTS = "fractions"


def networks(context: Context) -> None:
    """Networks of each share of the data, and of each method."""
    study.networks(context, target="Dev")


def compute(context: Context) -> pd.DataFrame:
    """Heads at each share of the data, and intervals of each method."""
    return study.figure_five(context, target="Dev")


def draw(table: pd.DataFrame) -> Figure:
    """Panels a and b above, c and d below."""
    return figure.figure_five(table, SECOND_TARGET)


CLAIMS = claims.FIGURE_FIVE
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
