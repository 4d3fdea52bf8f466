"""Figure 4: maps of standard models and of students, and how near both are to the ensemble's.

a, logos of one test sequence, that with the largest target, for the first standard model, the first
student and the ensemble, with boxes round motifs: on simulated data those that are there (dashed
where the affinity is below a half), otherwise matches of known consensus sequences. b, root mean
squared error of each model's maps to the mean map of all teachers, and to that with one teacher
left out (of a standard model itself), with two-sided t-tests. c, standard deviation over
initialisations of each sequence's map. d, on simulated data, how well maps tell motif positions
from others. The first target of data with several is explained by DeepSHAP, data with one target by
saliency, both with gradient correction; a and d show DeepSHAP's hypothetical scores. Supplementary
Figure 7 has the other combinations. Trained models are shared with Figures 2 and 5, maps with
Supplementary Figures 7 and 8.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig4_attribution import claims, figure, study


def compute(context: Context) -> pd.DataFrame:
    """Similarity, consistency, motif AUROCs and logos of Figure 4's panels."""
    return study.compare_maps(context, in_figure_four=True)


def draw(table: pd.DataFrame) -> Figure:
    """Logos above, a column for each panel below."""
    return figure.figure_four(table)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=draw,
    claims=claims.comparison_claims("Fig. 4b"),
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
