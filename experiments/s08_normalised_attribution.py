"""Supplementary Figure 8: Figure 4b and c with each map divided by its largest absolute score.

The control that leaves the mechanism and takes away its magnitude: for every target of every data
set, by DeepSHAP and by saliency, root mean squared error of each model's scaled maps to the
ensemble's mean scaled map, and standard deviation over initialisations of each sequence's scaled
map. Trained models are shared with Figure 5, maps with Figure 4 and Supplementary Figure 7.
"""

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig4_attribution import claims, figure, study
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS

networks = study.networks
compute = study.compare_maps


def draw(table: pd.DataFrame) -> Figure:
    """A column for each panel."""
    return figure.comparison(table, study.LARGEST)


CLAIMS = claims.CONTROL
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
