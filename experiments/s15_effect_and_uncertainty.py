"""Supplementary Figure 15: the uncertainty of variants against their predicted effect.

Aleatoric and epistemic uncertainty that a student predicts for the alternative allele, a dot a
variant, a column an experiment, with the median of bins that hold equally many variants. Students
are those of Figure 6.
"""

from degu_tf.experiment import Context, Script

# TensorFlow's start-up notices are silenced by the line above, so it comes first.
# isort: split
import pandas as pd

from degu_tf import variant_claims, variant_compare, variant_figures, variant_study


def compute(context: Context) -> pd.DataFrame:
    """Effects and uncertainties by students."""
    return variant_study.study(context, (variant_compare.REPRESENTATIVE,))


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=variant_study.PRESETS,
    compute=compute,
    draw=variant_figures.uncertainty,
    claims=variant_claims.UNCERTAINTY_CLAIMS,
    data_help=variant_study.DATA_HELP,
    conclude=variant_claims.conclude_uncertainty,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
