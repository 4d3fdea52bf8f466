"""Supplementary Figure 12: students of teachers that learn their own noise.

Teachers trained by heteroscedastic regression are distilled; their students' aleatoric labels are
sqrt(exp(mean log-variance)). Accuracy, coverage and size of 95 % intervals, beside heteroscedastic
regression itself and students of replicate-trained teachers, on data with one target (lentiMPRA in
the paper). Trained models are shared with Figure 5.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig5_uncertainty import claims, figure, study
from degu_tf.paper.fig5_uncertainty.claims import more_accurate

METHODS = ("single", "student", "heteroscedastic", "student_of_heteroscedastic")


def compute(context: Context) -> pd.DataFrame:
    """Intervals of the four methods."""
    return study.compare_on_one_target(context, METHODS)


def draw(table: pd.DataFrame) -> Figure:
    """Coverage against size, and accuracy against coverage."""
    return figure.intervals_and_accuracy(table)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=draw,
    claims=(
        more_accurate("student_of_heteroscedastic", "heteroscedastic"),
        more_accurate("student", "student_of_heteroscedastic"),
    ),
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
