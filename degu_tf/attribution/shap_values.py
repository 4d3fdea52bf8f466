"""DeepSHAP: how much each base of a sequence raises an output above that of reference sequences.

DeepLIFT's rescale rule (Shrikumar et al. 2017), averaged over references (Lundberg and Lee 2017).
The scores of a sequence sum to the difference between its output and the mean of its references'.
"""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from degu_tf.attribution.background import as_background
from degu_tf.attribution.contributions import Contributions, contributions
from degu_tf.attribution.convergence import (
    AttributionResult,
    convergence_delta,
    warn_of_delta,
)
from degu_tf.attribution.deeplift.rescale import Rescale
from degu_tf.attribution.scalar_output import model_and_column
from degu_tf.attribution.shap_deep_explainer import shap_contributions
from degu_tf.models.predictor import (
    ModelPredictor,
    as_array,
    check_length,
    check_long_enough,
)
from degu_tf.utils.errors import InputError

CONVERGENCE = 1e-3
"""Convergence deltas above this share of the largest output difference are warned of."""


def deepshap(
    model: keras.Model | ModelPredictor,
    sequences: Any,
    background: Any,
    output: int | str = 0,
    *,
    method: Literal["rescale", "shap"] = "rescale",
    hypothetical: bool = False,
    n_references: int = 100,
    seed: int = 1234,
    dtype: Literal["float32", "float64"] = "float32",
    progress: bool | None = False,
) -> AttributionResult:
    """DeepSHAP scores of sequences for one output of a model.

    Rules: linear layers hand multipliers on exactly; an activation by the slope of its secant
    between sequence and reference; max-pooling as `shap` does; products of two varying terms, such
    as the gates of an LSTM, by the symmetric rule; softmax as exponentials times the inverse of
    their sum. All of them lose nothing, so `delta` is rounding. References go forward once for the
    whole call, every sequence once, and multipliers go back for many pairs at a time.

    Parameters
    ----------
    model
        A functional or sequential Keras model `(N, L, 4)` to `(N, n_columns)` or
        `(N, length, n_columns)`, or a `ModelPredictor`. Profiles are averaged over their length.
    sequences
        Strings, tokens `(N, L)` or floats `(N, L, 4)` that need not be one-hot.
    background
        References: strings, tokens `(R, L)` or floats `(R, L, 4)` for all sequences (see
        `random_background` for the paper's); floats `(N, R, L, 4)` for individual ones; or
        ``"dinucleotide"`` for dinucleotide shuffles of each sequence.
    output
        The column by its index; with a `ModelPredictor` also by its name, such as
        ``"Dev_epistemic"``.
    method
        ``"rescale"``, or ``"shap"`` for `shap.DeepExplainer`, which is slower and is refused where
        it is not exact (Swish, softmax, LSTM, dilation and others).
    hypothetical
        Whether to give hypothetical scores as well.
    n_references, seed
        Shuffles of each sequence and their seed, for ``"dinucleotide"``.
    dtype
        ``"float64"`` computes everything in double precision.
    progress
        True shows a progress bar, None on a terminal only.

    Returns
    -------
    AttributionResult

    Raises
    ------
    InputError
        If the model cannot be taken apart, a layer has no rule (it is named), the output does not
        exist, or lengths differ.

    Warns
    -----
    ConvergenceWarning
        Where `delta` exceeds 1e-3 of the largest output difference among the sequences.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("Dev", "Hk"))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> predictor = ModelPredictor(model, heads)
    >>> result = deepshap(predictor, ["ACGT" * 8], ["TTGA" * 8, "CAGG" * 8], "Hk")
    >>> result.scores.shape, bool(abs(result.delta[0]) < 1e-5)
    ((1, 32, 4), True)
    """
    keras_model, column = model_and_column(model, output)
    sequences = check_length(as_array(sequences), keras_model.input_shape[1])
    check_long_enough(keras_model, sequences.shape[1])
    references = as_background(background, sequences, n_references, seed)
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype must be 'float32' or 'float64'. Received: dtype={dtype!r}")
    if method == "rescale":
        engine = Rescale(keras_model, sequences.shape[1], column, tf.as_dtype(dtype))
        made = contributions(engine, sequences, references, progress)
    elif method == "shap":
        if hypothetical or dtype != "float32":
            raise InputError(
                "method='shap' gives no hypothetical scores and computes in float32. Received: "
                f"hypothetical={hypothetical}, dtype={dtype!r}"
            )
        made = shap_contributions(keras_model, column, sequences, references, progress)
    else:
        raise InputError(f"method must be 'rescale' or 'shap'. Received: method={method!r}")
    delta = convergence_delta(made.scores, made.prediction, made.expected)
    delta = delta.astype(made.scores.dtype)
    _warn(delta, made)
    return AttributionResult(
        scores=made.scores,
        delta=delta,
        prediction=made.prediction,
        expected=made.expected,
        hypothetical=made.hypothetical if hypothetical else None,
        output=output,
    )


def _warn(delta: np.ndarray, made: Contributions) -> None:
    largest = np.abs(made.prediction - made.expected).max()
    size = np.abs([made.prediction, made.expected]).max()
    if largest <= 4.0 * np.finfo(delta.dtype).eps * size:
        return  # all outputs agree to the last digits: their differences are rounding
    warn_of_delta(
        delta,
        CONVERGENCE * largest,
        largest,
        method="DeepSHAP",
        share=CONVERGENCE,
        advice="Compute with dtype='float64' for less rounding error",
    )
