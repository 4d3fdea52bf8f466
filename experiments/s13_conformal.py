"""Supplementary Figure 13: conformal prediction gives every method its nominal coverage.

Observed coverage against the nominal level, before and after normalised split conformal
prediction on the validation set, for each method and kind of uncertainty on the test sets of data
with one target (lentiMPRA in the paper). Trained models are Figure 5's.
"""

import dataclasses

import pandas as pd
from matplotlib.figure import Figure

import degu_tf as degu
from degu_tf.paper.fig5_uncertainty import claims, study
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = dataclasses.replace(study.WEIGHTS, one_target=True)


def networks(context: Context) -> None:
    """Networks of Figure 5's methods."""
    study.networks_on_one_target(context, study.PAPER_METHODS)


def compute(context: Context) -> pd.DataFrame:
    """Intervals of Figure 5's methods, before and after."""
    return study.compare_on_one_target(context, study.PAPER_METHODS)


def draw(table: pd.DataFrame) -> Figure:
    """Reliability curves, before above and after below."""
    return degu.plots.reliability(table, metric="curve")


CLAIMS = (claims.CONFORMAL,)
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
