"""Pearson correlation of single heads as Keras metrics, to monitor a student's training."""

from typing import Any

import keras
from keras import ops

from degu_tf.heads import HeadLayout
from degu_tf.metrics.correlation import SUMS, pearson_of_sums


@keras.saving.register_keras_serializable("degu_tf")
class HeadPearson(keras.metrics.Metric):
    """Pearson's r of one output column over all that was seen since the last reset.

    Exact over batches, not a mean of batches' correlations; profiles are pooled over positions.
    Zero as long as a side does not vary. Sums are kept in float64.

    Parameters
    ----------
    column
        Index of the column on the last axis.
    name
        The metric's name, such as ``"Dev_pearson"``.

    Examples
    --------
    >>> import numpy as np
    >>> metric = HeadPearson(0)
    >>> metric.update_state(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]]))
    >>> round(float(metric.result()), 4)
    0.982
    """

    def __init__(self, column: int, name: str = "pearson", **kwargs: Any) -> None:
        super().__init__(name=name, **{"dtype": "float64", **kwargs})
        self.column = column
        self._sums = self.add_weight(
            name="sums", shape=(len(SUMS),), initializer="zeros", dtype="float64"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions `(N, C)` or `(N, length, C)`.

        Labels may be missing (NaN).
        Weights `(N,)` count a sequence as often as they say.
        """
        y, x = (ops.cast(values, "float64")[..., self.column] for values in (y_true, y_pred))
        # labels that are missing count nowhere
        present = ops.logical_not(ops.isnan(y))
        x, y = (ops.where(present, each, ops.zeros_like(each)) for each in (x, y))
        weight = ops.cast(present, "float64")
        if sample_weight is not None:
            given = ops.cast(sample_weight, "float64")
            weight = weight * ops.reshape(given, (-1,) + (1,) * (len(x.shape) - 1))
        terms = (ops.ones_like(x), x, y, x * x, y * y, x * y)
        self._sums.assign_add(ops.stack([ops.sum(weight * term) for term in terms]))

    def result(self) -> Any:
        """The correlation so far."""
        r = pearson_of_sums(ops.unstack(ops.convert_to_tensor(self._sums)), ops)
        return ops.where(ops.isnan(r), 0.0, r)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "column": self.column}


def head_metrics(heads: HeadLayout) -> list[HeadPearson]:
    """A `HeadPearson` for each column of a student, named ``<column>_pearson``.

    Examples
    --------
    >>> [metric.name for metric in head_metrics(HeadLayout(("Dev",), epistemic="std"))]
    ['Dev_pearson', 'Dev_epistemic_pearson']
    """
    return [HeadPearson(i, f"{column}_pearson") for i, column in enumerate(heads.columns)]
