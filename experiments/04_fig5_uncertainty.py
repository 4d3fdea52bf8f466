"""Figure 5: how well uncertainty is predicted, and whether intervals have their nominal coverage.

a, b, Pearson r of epistemic heads with the ensemble's standard deviation, and of aleatoric heads
with the replicates', against the share of the training data: the first target of data with several
targets (STARR-seq in the paper), and data with one (lentiMPRA). c, share of measurements inside
95 % intervals against their mean size, before and after conformal prediction, and d, Pearson r of
the activity against that share, for every method on the data with one target: epistemic, aleatoric
and total uncertainty; a dot is a model from its own seed. Trained models are shared with
Supplementary Figures 9 to 13, at `paper` with Figure 2 too.
"""

from degu_tf.paper.fig5_uncertainty import claims, figure, study
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS

PARTS = "fractions"
networks = study.networks
compute = study.figure_five
draw = figure.figure_five
CLAIMS = claims.FIGURE_FIVE
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
