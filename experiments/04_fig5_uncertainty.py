"""Figure 5: how well uncertainty is predicted, and whether intervals hold what they promise.

a, b, Pearson r of epistemic heads with the ensemble's standard deviation, and of aleatoric heads
with the replicates', against the share of the training data: the first target of data with several
targets (STARR-seq in the paper), and data with one (lentiMPRA). c, share of measurements inside
95 % intervals against their mean size, before and after conformal prediction, and d, Pearson r of
the activity against that share, for every method on the data with one target: epistemic, aleatoric
and total uncertainty; a dot is a model from its own seed. Trained models are shared with Figure 2
and Supplementary Figures 9 to 13.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig5_uncertainty import claims, figure, study

FIRST_TARGET = 0


def compute(context: Context) -> pd.DataFrame:
    """Heads at each share of the data, and intervals of each method."""
    return study.figure_five(context)


def draw(table: pd.DataFrame) -> Figure:
    """Panels a and b above, c and d below."""
    return figure.figure_five(table, FIRST_TARGET)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=draw,
    claims=claims.FIGURE_FIVE,
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
