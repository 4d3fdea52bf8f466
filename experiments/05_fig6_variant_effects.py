"""Figure 6: effects of single-nucleotide variants, predicted without having seen any.

Models trained on regulatory sequences predict saturation mutagenesis of an element (PKLR in the
paper): the prediction with the alternative base minus that with the reference. a, correlation with
measured effects of standard models, students and students with dynamic augmentations; the line is
their teachers' ensemble. b, the bases with the largest effects: measured and predicted effects,
aleatoric and epistemic uncertainty of a student. c, students of random mutagenesis on the variants
below percentiles of their total uncertainty. Without data, saturation mutagenesis of simulated
elements, whose true effects are known. Trained models are shared with Figure 5.
"""

from degu_tf.paper.script import Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
from degu_tf.paper.fig6_variants import claims, figure, study

SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=study.study,
    draw=figure.figure_six,
    claims=claims.FIGURE_SIX,
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
