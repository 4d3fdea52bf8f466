"""Supplementary Figure 7: Figure 4b and c for the other heads, data and attribution methods.

Every target of every data set by DeepSHAP and by saliency, but for the combinations that Figure 4
shows: root mean squared error of each model's maps to the ensemble's mean map, standard deviation
over initialisations of each sequence's map, and on simulated data how well maps tell motif
positions from others. Trained models are shared with Figure 5, maps with Figure 4.
"""

import pandas as pd

from degu_tf.paper.fig4_attribution import claims, figure, study
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS


def networks(context: Context) -> None:
    """Teachers and students of the other panels' data."""
    study.networks(context, in_figure_four=False)


def compute(context: Context) -> pd.DataFrame:
    """Similarity, consistency and motif AUROCs of the panels that Figure 4 does not show."""
    return study.compare_maps(context, in_figure_four=False)


draw = figure.comparison
CLAIMS = claims.comparison_claims("Supplementary Fig. 7")
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
