"""Supplementary Figure 16: variants that models are confident of, in every element.

Pearson r and Spearman rho of predicted with measured effects on the variants below the 25th, 50th
and 75th percentile of total uncertainty and on all of them, a column an experiment: students with
random mutagenesis, a dot a model; the line is the ensemble on all variants. Models are those of
Figure 6.
"""

from degu_tf.experiment import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd

from degu_tf import variant_claims, variant_compare, variant_figures, variant_study


def compute(context: Context) -> pd.DataFrame:
    """Effects by the students of Figure 6c, static ones, and the ensemble."""
    methods = (variant_compare.REPRESENTATIVE, variant_claims.BEST, "ensemble")
    return variant_study.study(context, methods)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=variant_study.PRESETS,
    compute=compute,
    draw=variant_figures.strata,
    claims=variant_claims.STRATIFIED_CLAIMS,
    data_help=variant_study.DATA_HELP,
    conclude=variant_claims.conclude_strata,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
