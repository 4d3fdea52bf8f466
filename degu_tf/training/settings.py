"""How a model is trained, as data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import keras
import numpy as np
from evoaug_tf.augment import AugmentBase

from degu_tf.heads import HeadLayout
from degu_tf.training.augmentation.schemes import describe
from degu_tf.training.losses import LIKELIHOODS, Likelihood
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_between, is_whole

Schedule = Literal["plateau", "cosine", "constant"]
"""How the learning rate changes."""

SCHEDULES = ("plateau", "cosine", "constant")

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
"""What layers compute in while a model is trained: a policy of Keras."""

ERRORS = ("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh", "logcosh")
"""Losses of Keras whose labels may have any unit, as standardised ones do."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained; the defaults are the paper's (Methods, "Training models").

    Attributes
    ----------
    epochs
        Passes over the training data.
    batch_size
        Sequences a step.
    learning_rate
        Adam's first learning rate; its other parameters are Keras' defaults.
    loss
        Any Keras loss by name: ``"mse"``, ``"poisson"`` for profiles. Or a likelihood,
        ``"gaussian_nll"`` or ``"deep_evidential"`` (`degu_tf.training.losses.LIKELIHOODS`): the
        model then learns from the means alone and predicts their uncertainty
        (`degu_tf.training.objective.measured_objective`). Models of binary targets learn by the
        cross-entropy where this is the default.
    schedule
        ``"plateau"``, as in the paper: the rate falls where the validation loss stalls.
        ``"cosine"``: it falls to zero along half a cosine over all steps, whatever the validation
        loss does. ``"constant"``: it does not fall.
    warmup
        Steps over which the rate rises from zero first.
    lr_factor, lr_patience
        The rate is multiplied by `lr_factor` after `lr_patience` epochs without a validation loss
        lower by 1e-4 (Keras' tolerance, as in the released code).
    patience
        Training stops after `patience` epochs without a lower validation loss (10 in the released
        configurations); None never stops early.
    ema
        Momentum of an exponential moving average of the weights, such as 0.999; validation and the
        trained model then use the average. None for the weights themselves.
    steps_per_epoch
        Steps that count as an epoch; None for one pass over the data.
    crop
        Of profiles: bases of each sequence that the model sees, in training at a random place for
        each batch, in validation and test the middle ones (paper: 2048 of 3072); None for all.
    reverse_complement
        Turn half of each training batch to the reverse complement, profiles with their sequences;
        activity is then taken to be that of both strands, as that of most enhancers is.
    augment
        How each training minibatch is augmented, such as
        ``degu_tf.training.augmentation.names.scheme("evoaug_one")``, as the paper's EvoAug
        teachers are; labels stay as they are. None for none.
    standardise
        Train in units of each target's mean and standard deviation over the training set, of a
        student those of its labels. The trained model predicts in the data's own units, as its
        metrics are; losses are in standardised units. For outputs of linear dense layers, and
        positive or evidential uncertainties (`degu_tf.training.output_units`).
    jit_compile
        Compile the training step by XLA. On processors that made it 1.5 to 2.5 times slower; meant
        for GPUs, where it was not measured. Results agree to rounding.
    precision
        ``"mixed_bfloat16"`` or ``"mixed_float16"``: layers compute in 16 bits in training, but for
        the last; weights, outputs, loss and the trained model are float32
        (`degu_tf.training.precision.mixed`). Meant for GPUs, where it was not measured.
    finetune
        Settings of a second stage on the data without augmentation, as the released scripts have
        it; None, as in the paper, for none.

    Raises
    ------
    InputError
        If a value is out of its range, or the second stage has an augmentation or a stage after it.

    Examples
    --------
    >>> TrainingSettings(epochs=30).batch_size
    100
    """

    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    loss: str = "mse"
    lr_factor: float = 0.1
    lr_patience: int = 5
    patience: int | None = 10
    steps_per_epoch: int | None = None
    crop: int | None = None
    reverse_complement: bool = False
    schedule: Schedule = "plateau"
    warmup: int = 0
    ema: float | None = None
    augment: AugmentBase | None = None
    standardise: bool = False
    jit_compile: bool = False
    precision: Precision = "float32"
    finetune: "TrainingSettings | None" = None

    def __post_init__(self) -> None:
        may_be_none = ("patience", "steps_per_epoch", "crop")
        for name in ("epochs", "batch_size", "lr_patience", *may_be_none):
            value = getattr(self, name)
            if value is None and name in may_be_none:
                continue
            if not is_whole(value, 1):
                raise InputError(f"{name} must be a whole number from 1. Received: {value!r}")
        if not is_between(self.learning_rate, 0, math.inf):
            raise InputError(f"learning_rate must be positive. Received: {self.learning_rate!r}")
        if not is_between(self.lr_factor, 0, 1):
            raise InputError(f"lr_factor must lie between 0 and 1. Received: {self.lr_factor!r}")
        if self.schedule not in SCHEDULES:
            raise InputError(f"schedule must be one of {SCHEDULES}. Received: {self.schedule!r}")
        if not is_whole(self.warmup, 0):
            raise InputError(f"warmup must be a whole number from 0. Received: {self.warmup!r}")
        if self.warmup and self.schedule == "plateau":
            raise InputError(
                "a warm-up goes with schedule='cosine' or 'constant'; the plateau rule sets the "
                f"rate itself. Received: warmup={self.warmup}"
            )
        if self.ema is not None and not is_between(self.ema, 0, 1):
            raise InputError(f"ema must lie between 0 and 1. Received: {self.ema!r}")
        if self.precision not in get_args(Precision):
            raise InputError(
                f"precision must be one of {get_args(Precision)}. Received: {self.precision!r}"
            )
        if self.finetune is not None and (self.finetune.augment or self.finetune.finetune):
            raise InputError(
                "fine-tuning is one stage without augmentation. "
                f"Received: finetune={self.finetune!r}"
            )
        if not isinstance(self.loss, str):
            raise InputError(f"loss must be the name of a loss. Received: {self.loss!r}")
        if self.standardise and self.likelihood is None and self.loss not in ERRORS:
            raise InputError(
                "standardised targets may be negative and need a loss of errors, one of "
                f"{', '.join(ERRORS)}, or one of {sorted(LIKELIHOODS)}. "
                f"Received: standardise=True, loss={self.loss!r}"
            )
        alike = (("standardise", "units"), ("precision", "precision"), ("loss", "way"))
        for name, what in alike:
            value = getattr(self, name)
            if self.finetune is not None and getattr(self.finetune, name) != value:
                raise InputError(
                    f"both stages are trained in the same {what}: give {name} to both or to none. "
                    f"Received: {name}={value}, finetune={self.finetune!r}"
                )
        if self.likelihood is None:
            try:
                keras.losses.get(self.loss)
            except ValueError:
                raise InputError(
                    "loss must be the name of a Keras loss, such as 'mse', or one of "
                    f"{sorted(LIKELIHOODS)}. Received: {self.loss!r}"
                ) from None

    @property
    def likelihood(self) -> Callable[[HeadLayout], Likelihood] | None:
        """The likelihood that `loss` names, or None where it names a loss of Keras."""
        return LIKELIHOODS.get(self.loss)

    def input_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """`(length, 4)` of a model for data of this `shape`: theirs, or the part it sees."""
        return shape if self.crop is None else (self.crop, *shape[1:])

    def to_dict(self) -> dict[str, Any]:
        """The first stage as plain values without its augmentation; see `stages` for the rest.

        Settings of profiles appear only where they are used, so that the identity of other runs
        does not depend on them.
        """
        described = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in ("augment", "finetune")
        }
        if self.crop is None:
            del described["crop"]
        if self.ema is None:
            del described["ema"]
        if not self.reverse_complement:
            del described["reverse_complement"]
        if not self.standardise:
            del described["standardise"]
        if not self.jit_compile:
            del described["jit_compile"]
        if self.precision == "float32":
            del described["precision"]
        if self.schedule == "plateau":
            del described["schedule"], described["warmup"]
        return described

    def stages(self) -> dict[str, Any]:
        """Augmentation and second stage, where there are any, as values of a run's identity."""
        described: dict[str, Any] = {}
        if self.augment is not None:
            described["augment"] = describe(self.augment)
        if self.finetune is not None:
            described["finetune"] = self.finetune.to_dict()
        return described


PROFILE_SETTINGS = TrainingSettings(
    loss="poisson", lr_factor=0.3, crop=2048, reverse_complement=True
)
"""The paper's training of CNN-task-base on bins of 3072 bases; the epochs are an assumption."""


def settings_for(targets: np.ndarray) -> TrainingSettings:
    """The paper's settings for targets `(N, C)`, or for profiles `(N, length, C)`.

    Examples
    --------
    >>> settings_for(np.zeros((1, 3072, 2))).crop, settings_for(np.zeros((1, 1000, 2))).crop
    (2048, None)
    >>> settings_for(np.zeros((1, 2))) == TrainingSettings()
    True
    """
    if targets.ndim != 3:
        return TrainingSettings()
    longer = targets.shape[1] > PROFILE_SETTINGS.crop
    return PROFILE_SETTINGS if longer else replace(PROFILE_SETTINGS, crop=None)
