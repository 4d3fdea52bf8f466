"""What raises a student's epistemic and aleatoric uncertainty (future work of the paper).

DeepSHAP maps of every head of the students, for random test sequences and the first target of each
data set. a, logos of one sequence, that with most bases in motifs, by the first student, with boxes
round motifs. b, mean over sites of each motif of the score summed over the site, a dot a student;
bars are the true change of activity and of the replicates' standard deviation when the site is
replaced by random bases (simulated data). Trained models are shared with Figures 2, 4 and 5.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd
from matplotlib.figure import Figure

from degu_tf.paper.fig4_attribution import figure, study, uncertainty_heads


def compute(context: Context) -> pd.DataFrame:
    """Scores at motifs, correlations and logos of each head."""
    return uncertainty_heads.compare_heads(context)


def draw(table: pd.DataFrame) -> Figure:
    """Logos above, what motifs do below."""
    return figure.heads(table)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=draw,
    claims=uncertainty_heads.CLAIMS,
    data_help=study.DATA_HELP,
    conclude=uncertainty_heads.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
