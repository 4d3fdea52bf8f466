"""The loss of distillation: one term for each block of a student's columns."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from degu_tf.errors import InputError
from degu_tf.heads import HeadLayout

Weight = float | Mapping[str, float]


def _squared_error(y_true: Any, y_pred: Any) -> Any:
    return ops.square(y_true - y_pred)


def _poisson(y_true: Any, y_pred: Any) -> Any:
    return y_pred - y_true * ops.log(y_pred + keras.config.epsilon())


ERRORS = {"mse": _squared_error, "poisson": _poisson}


@keras.saving.register_keras_serializable("degu_tf")
class DistillationLoss(keras.losses.Loss):
    """MSE(mean) + lambda MSE(epistemic) + gamma MSE(aleatoric), as in the paper's Methods.

    Each term averages over the batch, over positions where the output is a profile, and over its
    own columns. Takes `(N, n_columns)` or `(N, length, n_columns)`; shapes must agree exactly.

    Parameters
    ----------
    heads
        The student's layout, or its `to_dict`.
    epistemic_weight, aleatoric_weight
        Lambda and gamma (paper: 1): one number, or a number for each target by name.
    error
        ``"mse"``, or ``"poisson"`` as for the paper's profile students.

    Raises
    ------
    InputError
        On a weight for an unknown target or a negative one, an unknown error, or shapes that
        differ.

    Examples
    --------
    >>> import numpy as np
    >>> heads = HeadLayout(("activity",), epistemic="std")
    >>> loss = DistillationLoss(heads, epistemic_weight=2.0)
    >>> float(loss(np.array([[1.0, 0.5]]), np.array([[2.0, 1.0]])))
    1.5
    """

    def __init__(
        self,
        heads: HeadLayout | Mapping[str, Any],
        epistemic_weight: Weight = 1.0,
        aleatoric_weight: Weight = 1.0,
        error: str = "mse",
        name: str = "distillation_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.heads = heads if isinstance(heads, HeadLayout) else HeadLayout.from_dict(heads)
        if error not in ERRORS:
            raise InputError(f"error must be one of {sorted(ERRORS)}. Received: {error!r}")
        self.error = error
        self.epistemic_weight = epistemic_weight
        self.aleatoric_weight = aleatoric_weight
        by_role = {"mean": 1.0, "epistemic": epistemic_weight, "aleatoric": aleatoric_weight}
        unknown = [role for role in self.heads.roles if role not in by_role]
        if unknown:
            raise InputError(f"distillation has no labels for the columns {unknown}")
        self._weights = {
            role: _by_target(by_role[role], role, self.heads.targets) for role in self.heads.roles
        }

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss for each sequence (and position), before the mean over the batch."""
        _check_shapes(self.heads, y_true, y_pred)
        errors = ERRORS[self.error](ops.cast(y_true, y_pred.dtype), y_pred)
        return sum(
            ops.mean(
                self.heads.take(errors, role) * ops.convert_to_tensor(weights, errors.dtype),
                axis=-1,
            )
            for role, weights in self._weights.items()
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss anew."""
        return {
            **super().get_config(),
            "heads": self.heads.to_dict(),
            "epistemic_weight": self.epistemic_weight,
            "aleatoric_weight": self.aleatoric_weight,
            "error": self.error,
        }


def _by_target(weight: Weight, role: str, targets: tuple[str, ...]) -> list[float]:
    if isinstance(weight, Mapping):
        if set(weight) != set(targets):
            raise InputError(
                f"the {role} weights must name each of {targets} once. Received: {dict(weight)}"
            )
        weights = [float(weight[target]) for target in targets]
    else:
        weights = [float(weight)] * len(targets)
    if min(weights) < 0.0:
        raise InputError(f"loss weights must not be negative. Received: {role} weight {weight}")
    return weights


def _check_shapes(heads: HeadLayout, y_true: Any, y_pred: Any) -> None:
    heads.check(y_true, "labels")
    heads.check(y_pred, "predictions")
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    clash = len(true_shape) != len(pred_shape) or any(
        a != b for a, b in zip(true_shape, pred_shape, strict=True) if None not in (a, b)
    )
    if clash:
        raise InputError(
            "labels and predictions must have the same shape. "
            f"Received: labels {true_shape}, predictions {pred_shape}"
        )
