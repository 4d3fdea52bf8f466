"""What a model is trained to predict: the meaning of its columns, and the loss that judges them."""

from dataclasses import dataclass, replace

import keras

from degu_tf.data.splits import Splits
from degu_tf.heads import HeadLayout
from degu_tf.training.losses import Likelihood
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation, refuse_binary
from degu_tf.utils.errors import InputError

CROSS_ENTROPY = "binary_crossentropy"
"""The loss of models of binary targets."""


@dataclass(frozen=True)
class Objective:
    """Columns and loss of a training, settled once where it begins.

    Attributes
    ----------
    heads
        What the model's output columns mean.
    loss
        A Keras loss, or the name of one.
    units
        Units that the network is trained in; None for the data's own.
    """

    heads: HeadLayout
    loss: keras.losses.Loss | str
    units: Standardisation | None = None

    def data(self, splits: Splits) -> Splits:
        """The columns of the data that the loss takes: of a likelihood the means alone."""
        return splits.without_uncertainty() if isinstance(self.loss, Likelihood) else splits

    def compiled_loss(self, labels: HeadLayout) -> keras.losses.Loss | str:
        """The loss between labels of this layout and the network's output, in its units."""
        return self.loss if self.units is None else self.units.loss(self.loss, labels)


_PLAIN = ("linear", "positive")


def settings_for_task(settings: TrainingSettings, measured: HeadLayout) -> TrainingSettings:
    """The settings with the cross-entropy in place of the default loss, if targets are binary.

    Parameters
    ----------
    settings
        How a model is trained on measurements.
    measured
        Layout of the data.

    Raises
    ------
    InputError
        If targets are binary and settings standardise them.

    Examples
    --------
    >>> settings_for_task(TrainingSettings(), HeadLayout(("open",), task="binary")).loss
    'binary_crossentropy'
    """
    if settings.standardise:
        refuse_binary(measured)
    if measured.task != "binary" or settings.loss != "mse":
        return settings
    second = settings.finetune and replace(settings.finetune, loss=CROSS_ENTROPY)
    return replace(settings, loss=CROSS_ENTROPY, finetune=second)


def measured_objective(
    settings: TrainingSettings, measured: HeadLayout, head: str = "linear"
) -> Objective:
    """The objective of a model trained on measurements: their columns, or a likelihood's.

    Parameters
    ----------
    settings
        How it is trained; `loss` names a loss of Keras or a likelihood.
    measured
        Layout of the data.
    head
        As in `ModelSpec`.

    Raises
    ------
    InputError
        If that loss cannot train an output of this form.

    Examples
    --------
    >>> settings = TrainingSettings(loss="gaussian_nll")
    >>> measured_objective(settings, HeadLayout(("K562",), aleatoric="std")).heads.aleatoric
    'log_variance'
    """
    if measured.task == "binary" and (settings.loss != CROSS_ENTROPY or head not in _PLAIN):
        raise InputError(
            f"binary targets are learnt by loss={CROSS_ENTROPY!r}, with an output of "
            f"probabilities. Received: loss={settings.loss!r}, head={head!r}"
        )
    if head not in _PLAIN and settings.loss != "gaussian_nll":
        raise InputError(
            f"an output of the form {head!r} is trained by loss='gaussian_nll'. "
            f"Received: loss={settings.loss!r}"
        )
    likelihood = settings.likelihood
    if likelihood is None:
        return Objective(measured, settings.loss)
    if settings.loss == "deep_evidential":
        heads = HeadLayout(measured.targets, "evidential", "evidential")
    else:
        heads = HeadLayout(measured.targets, "std" if head == "mean_std" else "log_variance")
    return Objective(heads, likelihood(heads))
