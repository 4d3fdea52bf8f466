"""Supplementary Figure 14: effects of variants in every element.

Pearson r and Spearman rho of predicted with measured effects, a column an experiment: standard
models, students, and students with dynamic augmentations; a dot is a model from its own seed, the
line their teachers' ensemble. Models are those of Figure 6.
"""

from degu_tf.paper.fig6_variants import claims, figure, study
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP
WEIGHTS = study.WEIGHTS

networks = study.networks
compute = study.study
draw = figure.methods
CLAIMS = claims.PERFORMANCE_CLAIMS
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
