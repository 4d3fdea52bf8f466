"""Figure 6: effects of single-nucleotide variants, predicted without having seen any.

Models trained on regulatory sequences predict saturation mutagenesis of an element (PKLR in the
paper): the prediction with the alternative base minus that with the reference. a, correlation with
measured effects of standard models, students and students with dynamic augmentations; the line is
their teachers' ensemble. b, the bases with the largest effects: measured and predicted effects,
aleatoric and epistemic uncertainty of a student. c, students of random mutagenesis on the variants
below percentiles of their total uncertainty, which is the epistemic one where the training data
have no aleatoric column. Without data, saturation mutagenesis of simulated elements, whose true
effects are known. Trained models are shared with Figure 5.
"""

from degu_tf.paper.fig6_variants import claims, figure, study
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS

networks = study.networks
compute = study.study
draw = figure.figure_six
CLAIMS = claims.FIGURE_SIX
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
