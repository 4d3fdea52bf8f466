"""Supplementary Figure 12: students of teachers that learn their own noise.

Teachers trained by heteroscedastic regression are distilled; their students' aleatoric labels are
sqrt(exp(mean log-variance)). Accuracy, coverage and size of 95 % intervals, beside heteroscedastic
regression itself and students of replicate-trained teachers, on data with one target (lentiMPRA in
the paper). Trained models are shared with Figure 5.
"""

import pandas as pd

from degu_tf.paper.fig5_uncertainty import claims, figure, study
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = Needs(
    ("single", "student_of_heteroscedastic"), ("student", "heteroscedastic"), one_target=True
)

METHODS = ("single", "student", "heteroscedastic", "student_of_heteroscedastic")


def networks(context: Context) -> None:
    """Networks of the four methods."""
    study.networks_on_one_target(context, METHODS)


def compute(context: Context) -> pd.DataFrame:
    """Intervals of the four methods."""
    return study.compare_on_one_target(context, METHODS)


draw = figure.intervals_and_accuracy
CLAIMS = (
    claims.more_accurate("student_of_heteroscedastic", "heteroscedastic"),
    claims.more_accurate("student", "student_of_heteroscedastic"),
)
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
