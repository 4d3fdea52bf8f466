"""Supplementary Figure 16: variants that models are confident of, in every element.

Pearson r and Spearman rho of predicted with measured effects on the variants below the 25th, 50th
and 75th percentile of total uncertainty and on all of them, a column an experiment: students with
random mutagenesis, a dot a model; the line is the ensemble on all variants. Models are those of
Figure 6.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd

from degu_tf.paper.fig6_variants import claims, compare, figure, study


def compute(context: Context) -> pd.DataFrame:
    """Effects by the students of Figure 6c, static ones, and the ensemble."""
    methods = (compare.REPRESENTATIVE, claims.BEST, "ensemble")
    return study.study(context, methods)


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=figure.strata,
    claims=claims.STRATIFIED_CLAIMS,
    data_help=study.DATA_HELP,
    conclude=claims.conclude_strata,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
