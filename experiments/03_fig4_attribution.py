"""Figure 4: maps of standard models and of students, and how near both are to the ensemble's.

a, logos of one test sequence, that with the largest target, for the first standard model, the first
student and the ensemble, with boxes round motifs: on simulated data those that are there (dashed
where the affinity is below a half), otherwise matches of known consensus sequences. b, root mean
squared error of each model's maps to the mean map of all teachers, and to that with one teacher
left out (of a standard model itself), with two-sided t-tests. c, standard deviation over
initialisations of each sequence's map. d, on simulated data, how well maps tell motif positions
from others. The first target of data with several is explained by DeepSHAP, data with one target by
saliency, both with gradient correction; a and d show DeepSHAP's hypothetical scores. Supplementary
Figure 7 has the other combinations. Trained models are shared with Figure 5, at `paper` with
Figure 2 too, maps with Supplementary Figures 7 and 8.
"""

import pandas as pd

from degu_tf.paper.fig4_attribution import claims, figure, study
from degu_tf.paper.script import Context, main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS


def networks(context: Context) -> None:
    """Teachers and students of Figure 4's data."""
    study.networks(context, in_figure_four=True)


def compute(context: Context) -> pd.DataFrame:
    """Similarity, consistency, motif AUROCs and logos of Figure 4's panels."""
    return study.compare_maps(context, in_figure_four=True)


draw = figure.figure_four
CLAIMS = claims.comparison_claims("Fig. 4b")
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
