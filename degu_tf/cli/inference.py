"""From a predictor and named sequences to the table that `degu predict` writes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from degu_tf.heads import Prediction
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError

LEVEL = 0.95


def prediction_table(
    prediction: Prediction,
    names: Sequence[str],
    level: float = LEVEL,
    conformal: Conformal | None = None,
) -> pd.DataFrame:
    """One row a sequence: mean, uncertainties and interval of every target.

    Parameters
    ----------
    prediction
        Scalar predictions `(N, n_targets)`.
    names
        A name for each sequence.
    level
        Probability inside the interval.
    conformal
        What makes the intervals; without it they are Gaussian, of the total uncertainty.

    Returns
    -------
    pandas.DataFrame
        `name`; for each target t the columns `t`, `t_aleatoric`, `t_epistemic`, `t_total`,
        `t_lower`, `t_upper`, in the target's unit; and `interval`: ``conformal``, ``gaussian``, or
        ``none`` where the predictor gives no uncertainty. What a predictor lacks is NaN, which CSV
        leaves empty.

    Raises
    ------
    InputError
        If the prediction is a profile, names do not match it, or it has no conformal interval of
        that level.

    Examples
    --------
    >>> import numpy as np
    >>> from degu_tf.heads import HeadLayout
    >>> prediction = HeadLayout(("Dev",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    >>> prediction_table(prediction, ["a"]).columns.tolist()[:4]
    ['name', 'Dev', 'Dev_aleatoric', 'Dev_epistemic']
    """
    if prediction.mean.ndim != 2:
        raise InputError(
            "a table holds one number for each sequence and target; profiles become tracks along a "
            "genome, by `degu predict --bigwig --fasta GENOME`. "
            f"Received: profiles of shape {prediction.mean.shape}"
        )
    if len(names) != len(prediction):
        raise InputError(
            f"expected {len(prediction)} names, one for each sequence. Received: {len(names)}"
        )
    kind, (lower, upper) = "none", (None, None)
    if conformal is not None:
        kind, (lower, upper) = "conformal", conformal.predict(prediction, level)
    elif prediction.total is not None:
        kind, (lower, upper) = "gaussian", prediction.interval(level)
    parts = {
        "": prediction.mean,
        "_aleatoric": prediction.aleatoric,
        "_epistemic": prediction.epistemic,
        "_total": prediction.total,
        "_lower": lower,
        "_upper": upper,
    }
    columns: dict[str, object] = {"name": list(names)}
    for index, target in enumerate(prediction.targets):
        for suffix, values in parts.items():
            columns[target + suffix] = np.nan if values is None else values[:, index]
    columns["interval"] = kind
    return pd.DataFrame(columns)


def missing_components(prediction: Prediction) -> list[str]:
    """Which of aleatoric and epistemic uncertainty the predictor does not give."""
    return [name for name in ("aleatoric", "epistemic") if prediction.component(name) is None]
