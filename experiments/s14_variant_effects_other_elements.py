"""Supplementary Figure 14: effects of variants in every element.

Pearson r and Spearman rho of predicted with measured effects, a column an experiment: standard
models, students, and students with dynamic augmentations; a dot is a model from its own seed, the
line their teachers' ensemble. Models are those of Figure 6.
"""

from degu_tf.experiment import Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
from degu_tf import variant_claims, variant_figures, variant_study

SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=variant_study.PRESETS,
    compute=variant_study.study,
    draw=variant_figures.methods,
    claims=variant_claims.PERFORMANCE_CLAIMS,
    data_help=variant_study.DATA_HELP,
    conclude=variant_claims.conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
