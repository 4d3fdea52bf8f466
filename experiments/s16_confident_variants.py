"""Supplementary Figure 16: variants that models are confident of, in every element.

Pearson r and Spearman rho of predicted with measured effects on the variants below the 25th, 50th
and 75th percentile of total uncertainty (the epistemic one where the training data have no
aleatoric column) and on all of them, a column an experiment: students with random mutagenesis, a
dot a model; the line is the ensemble on all variants. Models are those of Figure 6.
"""

import pandas as pd

from degu_tf.paper.fig6_variants import claims, compare, figure, study
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = Needs((claims.BEST,), (compare.REPRESENTATIVE, "ensemble"))


METHODS = (compare.REPRESENTATIVE, claims.BEST, "ensemble")


def networks(context: Context) -> None:
    """Teachers and both kinds of students."""
    study.networks(context, METHODS)


def compute(context: Context) -> pd.DataFrame:
    """Effects by the students of Figure 6c, static ones, and the ensemble."""
    return study.study(context, METHODS)


draw = figure.strata
CLAIMS = claims.STRATIFIED_CLAIMS
conclude = claims.conclude_strata

if __name__ == "__main__":
    raise SystemExit(main(globals()))
