"""Supplementary Figure 8: Figure 4b and c with each map divided by its largest absolute score.

The control that leaves the mechanism and takes away its magnitude: for every target of every data
set, by DeepSHAP and by saliency, root mean squared error of each model's scaled maps to the
ensemble's mean scaled map, and standard deviation over initialisations of each sequence's scaled
map. Trained models are shared with Figures 2 and 5, maps with Figure 4 and Supplementary Figure 7.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd
from matplotlib.figure import Figure

from degu_tf.attribution import consistency
from degu_tf.paper.fig4_attribution import claims, figure, study


def compute(context: Context) -> pd.DataFrame:
    """Similarity and consistency of every panel."""
    return study.compare_maps(context)


def draw(table: pd.DataFrame) -> Figure:
    """A column for each panel."""
    return figure.comparison(table, consistency.LARGEST)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=draw,
    claims=claims.CONTROL,
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
