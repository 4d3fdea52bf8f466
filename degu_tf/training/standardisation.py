"""Training in units of each target's mean and standard deviation, undone in the trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from degu_tf.data.row_blocks import row_blocks
from degu_tf.data.splits import Splits
from degu_tf.heads import HeadLayout
from degu_tf.training.output_units import check_output, with_output_units
from degu_tf.utils.errors import InputError


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each training target.

    The network learns `(y - mean) / std`. Standard deviations are divided by `std`; log-variances
    are lowered by `2 log std`; of evidential columns the mean is as a mean, beta as a variance.
    Only the loss knows: it puts labels, the data's or the teachers', into these units. Where
    training ends the output layers take up the inverse.

    Attributes
    ----------
    targets
        Their names.
    mean, std
        Statistics of each target's means over the training rows (and positions).

    Examples
    --------
    >>> units = Standardisation(("a",), (10.0,), (2.0,))
    >>> [each.tolist() for each in units.factors(HeadLayout(("a",), aleatoric="std"))]
    [[2.0, 2.0], [10.0, 0.0]]
    """

    targets: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, splits: Splits) -> "Standardisation":
        """The statistics of a training set, values that are missing left out.

        Raises
        ------
        InputError
            If a target is constant.

        Examples
        --------
        >>> import degu_tf as degu
        >>> splits = degu.Splits.from_arrays(["AC", "GT"], [1.0, 3.0], ["AC"], [0.0])
        >>> Standardisation.of(splits)
        Standardisation(targets=('activity',), mean=(2.0,), std=(1.0,))
        """
        heads = splits.heads
        refuse_binary(heads)
        mean, std = _statistics(heads.take(splits.train.targets, "mean"))
        for target, value in zip(heads.targets, std, strict=True):
            if not value > 0:
                raise InputError(
                    "expected training targets that vary, to divide by their standard deviation "
                    f"(standardise=True). Received: {target} with the standard deviation {value:g}"
                )
        return cls(heads.targets, tuple(mean.tolist()), tuple(std.tolist()))

    def factors(self, heads: HeadLayout) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset `(n_columns,)` from standardised units to the data's, for a layout."""
        mean, std = np.array(self.mean), np.array(self.std)
        one, none = np.ones_like(std), np.zeros_like(std)
        scales, offsets = [], []
        for role in heads.roles:
            form = getattr(heads, role, None)
            if role == "mean":
                scale, offset = std, mean
            elif form == "log_variance":
                scale, offset = one, 2.0 * np.log(std)
            elif form == "std":
                scale, offset = std, none
            else:  # nu and alpha count observations; beta is a variance
                scale, offset = (std**2, none) if role == "beta" else (one, none)
            scales.append(scale)
            offsets.append(offset)
        return np.concatenate(scales), np.concatenate(offsets)

    def check(self, model: keras.Model, heads: HeadLayout) -> None:
        """Refuse, before it is trained, a model whose output `to_data` could not change.

        Raises
        ------
        InputError
            As `with_output_units` does.
        """
        check_output(model, heads, self.factors(heads)[1])

    def to_data(self, model: keras.Model, heads: HeadLayout) -> keras.Model:
        """A model trained in standardised units as one that predicts in the data's.

        Raises
        ------
        InputError
            If its output cannot be put into other units (`with_output_units`).
        """
        return with_output_units(model, heads, *self.factors(heads))

    def to_standard(self, model: keras.Model, heads: HeadLayout) -> keras.Model:
        """A model that predicts in the data's units as one in standardised units."""
        scale, offset = self.factors(heads)
        return with_output_units(model, heads, 1.0 / scale, -offset / scale)

    def means_to_standard(self, model: keras.Model, heads: HeadLayout) -> None:
        """The same in place, of the means alone: what a student takes over from a teacher."""
        scale, offset = self.factors(heads)
        means = np.arange(heads.n_columns) < heads.n_targets
        with_output_units(
            model, heads, np.where(means, 1.0 / scale, 1.0), np.where(means, -offset / scale, 0.0)
        )

    def loss(self, loss: keras.losses.Loss | str, labels: HeadLayout) -> "StandardisedLoss":
        """A loss on labels in the data's units and outputs in standardised ones."""
        scale, offset = self.factors(labels)
        return StandardisedLoss(loss, scale.tolist(), offset.tolist())

    def to_dict(self) -> dict[str, list[float]]:
        """Mean and standard deviation of each target, for a run's manifest."""
        pairs = zip(self.targets, self.mean, self.std, strict=True)
        return {target: [mean, std] for target, mean, std in pairs}


def _statistics(means: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column `(T,)` float64, over rows and positions."""
    if isinstance(means, np.ndarray):
        flat = means.reshape(-1, means.shape[-1])
        mean, std = np.nanmean(flat, 0, np.float64), np.nanstd(flat, 0, np.float64)
        return np.asarray(mean), np.asarray(std)
    n = int(np.prod(means.shape[:-1]))
    axes = tuple(range(means.ndim - 1))
    mean = np.zeros(means.shape[-1])
    for _, block in row_blocks(means):
        mean += block.sum(axes, np.float64) / n
    variance = np.zeros(means.shape[-1])
    for _, block in row_blocks(means):
        variance += np.square(block - mean).sum(axes) / n
    return mean, np.sqrt(variance)


def refuse_binary(heads: HeadLayout) -> None:
    """Refuse to standardise targets that are 0 and 1.

    Raises
    ------
    InputError
        If they are.
    """
    if heads.task == "binary":
        raise InputError(
            "binary targets are learnt as they are, 0 and 1, in no other units. "
            "Received: standardise=True"
        )


@keras.saving.register_keras_serializable("degu_tf")
class StandardisedLoss(keras.losses.Loss):
    """A loss of which the labels are first put into the units of the output.

    Parameters
    ----------
    loss
        The loss in standardised units, or its name.
    scale, offset
        For each column of the labels: they are `(y - offset) / scale`.

    Examples
    --------
    >>> loss = StandardisedLoss("mse", [2.0], [10.0])
    >>> float(loss(np.array([[14.0]]), np.array([[1.0]])))
    1.0
    """

    def __init__(
        self,
        loss: keras.losses.Loss | str | Mapping[str, Any],
        scale: Sequence[float],
        offset: Sequence[float],
        name: str = "standardised_loss",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.inner = keras.losses.get(loss)
        self.scale, self.offset = list(scale), list(offset)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss for each sequence (and position), before the mean over the batch."""
        call = self.inner.call if isinstance(self.inner, keras.losses.Loss) else self.inner
        return call(self.labels(y_true), y_pred)

    def labels(self, y_true: Any) -> Any:
        """Labels in the units of the output."""
        scale, offset = (
            ops.convert_to_tensor(each, "float32") for each in (self.scale, self.offset)
        )
        return (ops.cast(y_true, "float32") - offset) / scale

    def get_config(self) -> dict[str, Any]:
        """The arguments of this loss, for saving it."""
        return {
            **super().get_config(),
            "loss": keras.losses.serialize(self.inner),
            "scale": self.scale,
            "offset": self.offset,
        }
