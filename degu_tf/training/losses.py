"""Losses: distillation's, a term for each block of columns; and likelihoods, which learn the noise.

A likelihood compares measured values with the parameters of a distribution; the columns are the
model's `HeadLayout`, not the data's.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from degu_tf.heads import MIN_STD, HeadLayout
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_between

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
        self.heads = _layout(heads)
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
        _check_shapes(self.heads, y_true, self.heads, y_pred)
        errors = ERRORS[self.error](ops.cast(y_true, y_pred.dtype), y_pred)
        return sum(
            ops.mean(
                self.heads.take(errors, role) * ops.convert_to_tensor(weights, errors.dtype),
                axis=-1,
            )
            for role, weights in self._weights.items()
        )

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """The terms of every column, `(..., n_columns)`; their sum over columns is the loss."""
        _check_shapes(self.heads, y_true, self.heads, y_pred)
        errors = ERRORS[self.error](ops.cast(y_true, y_pred.dtype), y_pred)
        weights = [weight for role in self.heads.roles for weight in self._weights[role]]
        return errors * ops.convert_to_tensor(weights, errors.dtype) / self.heads.n_targets

    def get_config(self) -> dict[str, Any]:
        """The arguments of this loss, for saving it."""
        return {
            **super().get_config(),
            "heads": self.heads.to_dict(),
            "epistemic_weight": self.epistemic_weight,
            "aleatoric_weight": self.aleatoric_weight,
            "error": self.error,
        }


class Likelihood(keras.losses.Loss):
    """Negative log-likelihood of measured values under what a model predicts for them.

    Takes values `(N, n_targets)` or `(N, length, n_targets)` and predicted columns
    `(N, n_columns)` or `(N, length, n_columns)`, and averages over batch, positions and targets.

    Parameters
    ----------
    heads
        The model's layout, or its `to_dict`.

    Raises
    ------
    InputError
        If the layout has not the columns that the distribution needs, or shapes are others than
        these: `(N,)` in place of `(N, 1)` is refused.
    """

    needs = ""

    def __init__(self, heads: HeadLayout | Mapping[str, Any], name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.heads = _layout(heads)
        if not self._suits(self.heads):
            raise InputError(
                f"{name} needs columns of {self.needs}. Received: {self.heads.columns}, "
                f"aleatoric={self.heads.aleatoric!r}, epistemic={self.heads.epistemic!r}"
            )

    def _suits(self, heads: HeadLayout) -> bool:
        raise NotImplementedError

    def _negative_log_likelihood(self, y_true: Any, y_pred: Any) -> Any:
        """For each value, `(..., n_targets)`."""
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss for each sequence (and position), before the mean over the batch."""
        _check_shapes(self.heads.without_uncertainty(), y_true, self.heads, y_pred)
        return ops.mean(self._negative_log_likelihood(y_true, y_pred), axis=-1)

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """The terms of every target, `(..., n_targets)`; their sum over targets is the loss."""
        _check_shapes(self.heads.without_uncertainty(), y_true, self.heads, y_pred)
        return self._negative_log_likelihood(y_true, y_pred) / self.heads.n_targets

    def get_config(self) -> dict[str, Any]:
        """The arguments of this loss, for saving it."""
        return {**super().get_config(), "heads": self.heads.to_dict()}


@keras.saving.register_keras_serializable("degu_tf")
class GaussianNLL(Likelihood):
    """0.5 (log(2 pi sigma^2) + (y - mu)^2 / sigma^2): heteroscedastic regression (paper, Methods).

    The aleatoric columns are log sigma^2, or sigma itself where the layout says ``"std"``, as in
    the released DeepSTARR and MPRAnn. The paper prints the same formula for what it calls deep
    evidential regression.

    The deviation is taken as no smaller than `degu_tf.heads.MIN_STD`, so that the loss is finite
    for whatever a model puts out; below it the loss no longer depends on the deviation.

    Parameters
    ----------
    heads
        The model's layout: means and aleatoric columns, or its `to_dict`.

    Examples
    --------
    >>> import numpy as np
    >>> loss = GaussianNLL(HeadLayout(("activity",), aleatoric="log_variance"))
    >>> round(float(loss(np.array([[1.0]]), np.array([[0.0, 0.0]]))), 4)
    1.4189
    """

    needs = "means and one aleatoric uncertainty, 'std' or 'log_variance', and no others"

    def __init__(
        self, heads: HeadLayout | Mapping[str, Any], name: str = "gaussian_nll", **kwargs: Any
    ) -> None:
        super().__init__(heads, name, **kwargs)

    def _suits(self, heads: HeadLayout) -> bool:
        return heads.aleatoric in ("std", "log_variance") and heads.epistemic is None

    def _negative_log_likelihood(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.cast(y_pred, "float32")
        spread = self.heads.take(y_pred, "aleatoric")
        if self.heads.aleatoric == "std":
            log_variance = 2.0 * ops.log(ops.maximum(spread, MIN_STD))
        else:
            log_variance = ops.maximum(spread, 2.0 * math.log(MIN_STD))
        squared = ops.square(ops.cast(y_true, "float32") - self.heads.take(y_pred, "mean"))
        return 0.5 * (math.log(2.0 * math.pi) + log_variance + squared * ops.exp(-log_variance))


@keras.saving.register_keras_serializable("degu_tf")
class EvidentialLoss(Likelihood):
    """Deep evidential regression (Amini et al. 2020): Student t likelihood and a regulariser.

    The columns gamma, nu > 0, alpha > 1 and beta > 0 are a normal-inverse-gamma distribution of
    mean and variance; the value then has a Student t distribution with 2 alpha degrees of
    freedom around gamma and the squared scale beta (1 + nu) / (nu alpha). Evidence that is wrong
    costs `weight` times |y - gamma| (2 nu + alpha).

    Parameters
    ----------
    heads
        The model's layout, evidential, or its `to_dict`.
    weight
        Of the regulariser: that paper's lambda, which it leaves to be tuned. 1 is the plain sum of
        both terms; the default here is 0.01, so that evidence may grow where errors are noise.

    Examples
    --------
    >>> import numpy as np
    >>> loss = EvidentialLoss(HeadLayout(("activity",), "evidential", "evidential"), weight=0.0)
    >>> round(float(loss(np.array([[1.0]]), np.array([[0.0, 1.0, 2.0, 1.0]]))), 4)
    1.5387
    """

    needs = "evidential regression: gamma, nu, alpha, beta"

    def __init__(
        self,
        heads: HeadLayout | Mapping[str, Any],
        weight: float = 0.01,
        name: str = "deep_evidential",
        **kwargs: Any,
    ) -> None:
        super().__init__(heads, name, **kwargs)
        if not 0.0 <= weight < math.inf:
            raise InputError(f"weight must be a finite number from 0. Received: {weight!r}")
        self.weight = weight

    def _suits(self, heads: HeadLayout) -> bool:
        return heads.aleatoric == "evidential"

    def _negative_log_likelihood(self, y_true: Any, y_pred: Any) -> Any:
        # In float64, because the two gamma functions nearly cancel where alpha is large.
        y_pred = tf.cast(y_pred, tf.float64)
        gamma, nu, alpha, beta = (self.heads.take(y_pred, role) for role in self.heads.roles)
        error = tf.abs(tf.cast(y_true, tf.float64) - gamma)
        omega = 2.0 * beta * (1.0 + nu)
        likelihood = (
            0.5 * tf.math.log(math.pi / nu)
            - alpha * tf.math.log(omega)
            + (alpha + 0.5) * tf.math.log(nu * tf.square(error) + omega)
            + tf.math.lgamma(alpha)
            - tf.math.lgamma(alpha + 0.5)
        )
        return tf.cast(likelihood + self.weight * error * (2.0 * nu + alpha), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """The arguments of this loss, for saving it."""
        return {**super().get_config(), "weight": self.weight}


LIKELIHOODS: dict[str, Callable[[HeadLayout], Likelihood]] = {
    "gaussian_nll": GaussianNLL,
    "deep_evidential": EvidentialLoss,
}
"""Losses by the names that `TrainingSettings.loss` takes beside those of Keras."""


def _layout(heads: HeadLayout | Mapping[str, Any]) -> HeadLayout:
    return heads if isinstance(heads, HeadLayout) else HeadLayout.from_dict(heads)


def _by_target(weight: Weight, role: str, targets: tuple[str, ...]) -> list[float]:
    if isinstance(weight, Mapping):
        if set(weight) != set(targets):
            raise InputError(
                f"the {role} weights must name each of {targets} once. Received: {dict(weight)}"
            )
        weights = [weight[target] for target in targets]
    else:
        weights = [weight] * len(targets)
    check_weight(weight, role)
    return [float(value) for value in weights]


def check_weight(weight: Weight, role: str) -> None:
    """Refuse weights of a term of the loss that are no finite numbers from 0.

    Raises
    ------
    InputError
        If one is not, or there are none.

    Examples
    --------
    >>> check_weight({"Dev": 1.0, "Hk": 0.0}, "epistemic")
    """
    weights = list(weight.values()) if isinstance(weight, Mapping) else [weight]
    finite = (is_between(value, -math.inf, math.inf) and value >= 0 for value in weights)
    if not weights or not all(finite):
        raise InputError(
            f"loss weights must be finite numbers from 0. Received: {role} weight {weight!r}"
        )


def _check_shapes(labels: HeadLayout, y_true: Any, heads: HeadLayout, y_pred: Any) -> None:
    """Refuse labels and predictions whose rows or positions do not belong together."""
    labels.check(y_true, "labels")
    heads.check(y_pred, "predictions")
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    clash = len(true_shape) != len(pred_shape) or any(
        a != b for a, b in zip(true_shape[:-1], pred_shape[:-1], strict=True) if None not in (a, b)
    )
    if clash:
        raise InputError(
            "but for their columns, labels and predictions must have the same shape. "
            f"Received: labels {true_shape}, predictions {pred_shape}"
        )
