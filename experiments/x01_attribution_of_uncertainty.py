"""Which bases raise a student's epistemic and aleatoric uncertainty (future work of the paper).

DeepSHAP maps of every head of the students, for random test sequences and the first target of each
data set. a, logos of one sequence, that with most bases in motifs, by the first student, with boxes
round motifs. b, mean over sites of each motif of the score summed over the site, a dot a student;
bars are the true change of activity and of the replicates' standard deviation when the site is
replaced by random bases (simulated data). Trained models are shared with Figures 2, 4 and 5.
"""

from degu_tf.paper.fig4_attribution import heads_figure, study, uncertainty_heads
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

networks = study.networks
compute = uncertainty_heads.compare_heads
draw = heads_figure.heads_and_motifs
CLAIMS = uncertainty_heads.CLAIMS
conclude = uncertainty_heads.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
