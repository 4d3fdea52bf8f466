"""Supplementary Figure 14: effects of variants in every element.

Pearson r and Spearman rho of predicted with measured effects, a column an experiment: standard
models, students, and students with dynamic augmentations; a dot is a model from its own seed, the
line their teachers' ensemble. Models are those of Figure 6.
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
    draw=figure.methods,
    claims=claims.PERFORMANCE_CLAIMS,
    data_help=study.DATA_HELP,
    conclude=claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
