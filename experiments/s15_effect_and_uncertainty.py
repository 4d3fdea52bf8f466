"""Supplementary Figure 15: the uncertainty of variants against their predicted effect.

Aleatoric and epistemic uncertainty that a student predicts for the alternative allele, a dot a
variant, a column an experiment, with the median of bins that hold equally many variants. Students
are those of Figure 6.
"""

import pandas as pd

from degu_tf.paper.fig6_variants import claims, compare, figure, study
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = Needs((compare.REPRESENTATIVE,))


def networks(context: Context) -> None:
    """Teachers and students."""
    study.networks(context, (compare.REPRESENTATIVE,))


def compute(context: Context) -> pd.DataFrame:
    """Effects and uncertainties by students."""
    return study.study(context, (compare.REPRESENTATIVE,))


draw = figure.uncertainty_against_effect
CLAIMS = claims.UNCERTAINTY_CLAIMS
conclude = claims.conclude_uncertainty

if __name__ == "__main__":
    raise SystemExit(main(globals()))
