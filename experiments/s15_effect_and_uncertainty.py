"""Supplementary Figure 15: the uncertainty of variants against their predicted effect.

Aleatoric and epistemic uncertainty that a student predicts for the alternative allele, a dot a
variant, a column an experiment, with the median of bins that hold equally many variants. Students
are those of Figure 6.
"""

from degu_tf.paper.script import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd

from degu_tf.paper.fig6_variants import claims, compare, figure, study


def compute(context: Context) -> pd.DataFrame:
    """Effects and uncertainties by students."""
    return study.study(context, (compare.REPRESENTATIVE,))


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=study.PRESETS,
    compute=compute,
    draw=figure.uncertainty,
    claims=claims.UNCERTAINTY_CLAIMS,
    data_help=study.DATA_HELP,
    conclude=claims.conclude_uncertainty,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
