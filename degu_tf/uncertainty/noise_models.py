"""Models that learn the noise themselves, by name: a likelihood and an output that suits it."""

from dataclasses import dataclass, replace

from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError


@dataclass(frozen=True)
class NoiseModel:
    """A way to learn uncertainty from single measurements.

    Attributes
    ----------
    loss
        A name of `degu_tf.training.losses.LIKELIHOODS`.
    head
        As in `ModelSpec`.
    """

    loss: str
    head: str = "linear"


NOISE_MODELS: dict[str, NoiseModel] = {
    "heteroscedastic": NoiseModel("gaussian_nll"),
    "heteroscedastic_released": NoiseModel("gaussian_nll", "mean_std"),
    "evidential_released": NoiseModel("gaussian_nll", "dense_normal"),
    "deep_evidential": NoiseModel("deep_evidential"),
}
"""What the paper and its field have.

``"heteroscedastic"``: mean and log-variance of a Gaussian. What the paper prints of its deep
evidential regression (Methods, "Uncertainty-aware models") is the same output and the same loss,
so this is it as well. ``"heteroscedastic_released"``: mean and, through softplus, standard
deviation, as in the released DeepSTARR and MPRAnn. ``"evidential_released"``: the authors' code
passed the second column through softplus and then took it for a log-variance, so that no predicted
deviation can be below 1. ``"deep_evidential"``: as Amini et al. (2020) define it, with aleatoric
and epistemic uncertainty.
"""


def with_noise_model(
    name: str, spec: ModelSpec, settings: TrainingSettings
) -> tuple[ModelSpec, TrainingSettings]:
    """The architecture and the settings that train a model to predict its own uncertainty.

    Parameters
    ----------
    name
        One of `NOISE_MODELS`.
    spec, settings
        Those of standard training.

    Raises
    ------
    InputError
        If there is no such way.

    Examples
    --------
    >>> spec, settings = with_noise_model(
    ...     "heteroscedastic", ModelSpec("residualbind"), TrainingSettings()
    ... )
    >>> settings.loss
    'gaussian_nll'
    """
    if name not in NOISE_MODELS:
        raise InputError(f"expected one of {', '.join(NOISE_MODELS)}. Received: {name!r}")
    model = NOISE_MODELS[name]
    return replace(spec, head=model.head), replace(settings, loss=model.loss)
