"""How well probabilities tell 1 from 0."""

import warnings

import numpy as np

CLASSIFICATION = ("auroc", "average_precision")


class OneClassWarning(UserWarning):
    """A metric is undefined because all measured values are the same."""


def classification(predicted: np.ndarray, measured: np.ndarray, name: str = "") -> dict[str, float]:
    """Area under the ROC curve and average precision, of the larger values as 1 (scikit-learn).

    Parameters
    ----------
    predicted
        Probabilities or other scores `(N,)`.
    measured
        0 or 1 `(N,)`. Where they are something else, such as teachers' probabilities, there is no
        metric.
    name
        What the values are of, for the warning where all are of one class and both are NaN.

    Examples
    --------
    >>> classification(np.array([0.1, 0.4, 0.3, 0.9]), np.array([0, 0, 1, 1]))
    {'auroc': 0.75, 'average_precision': 0.8333333333333333}
    >>> classification(np.array([0.1, 0.4]), np.array([0.2, 0.7]))
    {}
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not np.isin(measured, (0, 1)).all():
        return {}
    if len(np.unique(measured)) < 2 or not np.isfinite(predicted).all():
        warnings.warn(
            f"the measured values{f' of {name}' if name else ''} are all of one class "
            f"(n={len(measured)}); AUROC and average precision are NaN",
            OneClassWarning,
            stacklevel=3,
        )
        return dict.fromkeys(CLASSIFICATION, float("nan"))
    values = (roc_auc_score, average_precision_score)
    return {
        metric: float(function(measured, predicted))
        for metric, function in zip(CLASSIFICATION, values, strict=True)
    }
