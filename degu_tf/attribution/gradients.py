"""Gradients of one output with respect to the bases, and what follows from them.

All maps are `(N, L, 4)` in the output's unit, channels A C G T, for all four bases of each
position, not only the observed one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from degu_tf.attribution.convergence import (
    AttributionResult,
    convergence_delta,
    warn_of_delta,
)
from degu_tf.attribution.scalar_output import Scalar, check_positive, floats
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.models.predictor import ModelPredictor, as_array
from degu_tf.sequences.alphabet import brief
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar

BATCH_SIZE = 64
"""Batch size of gradients; it bounds memory and does not change the numbers."""

CONVERGENCE = 0.05
"""Integrated gradients that miss more than this share of the largest difference are warned of."""


def saliency(
    model: keras.Model | ModelPredictor | Ensemble,
    sequences: Any,
    output: int | str = 0,
    *,
    batch_size: int = BATCH_SIZE,
    progress: bool | None = False,
) -> np.ndarray:
    """Gradient of one output with respect to every base (Simonyan et al. 2013).

    Parameters
    ----------
    model
        A functional or sequential Keras model `(N, L, 4)` to `(N, n_columns)` or
        `(N, length, n_columns)`, a `ModelPredictor`, or an `Ensemble`, which gives the mean over
        its members' maps, one member after another. Profiles are averaged over their length.
    sequences
        Strings, tokens `(N, L)` or floats `(N, L, 4)` that need not be one-hot. Unknown bases are
        all-zero, and have gradients like any others.
    output
        The raw column by its index; with a predictor also by its name, such as
        ``"Dev_epistemic"``.
    batch_size
        Batch size.
    progress
        True shows a progress bar, None on a terminal only.

    Returns
    -------
    numpy.ndarray
        `(N, L, 4)`, not yet corrected: see `gradient_correction`.

    Raises
    ------
    InputError
        If the model is of another kind, the column does not exist, or lengths differ.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("Dev", "Hk"))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> saliency(ModelPredictor(model, heads), ["ACGT" * 8], "Hk").shape
    (1, 32, 4)
    """
    array = as_array(sequences)
    check_positive("batch_size", batch_size)
    if isinstance(model, Ensemble):
        total = np.zeros((*array.shape[:2], 4))
        for member in bar(model.members, "members", progress):
            total += saliency(member, array, output, batch_size=batch_size)
        return (total / model.n_members).astype(np.float32)
    scalar = Scalar(model, output)
    x = floats(scalar.check(array), scalar)
    starts = range(0, len(x), batch_size)
    return np.concatenate(
        [
            scalar.gradients(x[start : start + batch_size])[0]
            for start in bar(starts, "saliency", progress)
        ]
    )


def gradient_correction(scores: np.ndarray) -> np.ndarray:
    """Subtract the mean over the four channels at each position.

    One-hot sequences have no direction in which all four channels rise, so what a map says of that
    direction is noise (Majdandzic et al., Genome Biol. 24:109, 2023; paper, Methods, "Attribution
    analysis", where all maps are so corrected).

    Parameters
    ----------
    scores
        `(..., L, 4)`.

    Raises
    ------
    InputError
        If the last axis is not four channels.

    Examples
    --------
    >>> gradient_correction(np.array([[4.0, 0.0, 0.0, 0.0]])).tolist()
    [[3.0, -1.0, -1.0, -1.0]]
    """
    scores = np.asarray(scores)
    if scores.ndim < 2 or scores.shape[-1] != 4:
        raise InputError(f"expected maps (..., L, 4). Received: shape {scores.shape}")
    return scores - scores.mean(axis=-1, keepdims=True)


def integrated_gradients(
    model: keras.Model | ModelPredictor | Ensemble,
    sequences: Any,
    output: int | str = 0,
    *,
    baseline: Any = None,
    steps: int = 50,
    batch_size: int = BATCH_SIZE,
    progress: bool | None = False,
) -> AttributionResult:
    """Gradients on the straight way from a baseline, averaged, times the way.

    Sundararajan et al. 2017; the integral is a Gauss-Legendre sum. The scores of a sequence sum to
    the difference between its output and its baseline's, up to `delta`.

    Parameters
    ----------
    model, sequences, output, batch_size, progress
        As for `saliency`.
    baseline
        Floats `(L, 4)` for all sequences or `(N, L, 4)` for individual ones; all-zero by default,
        that is, unknown bases only.
    steps
        Points on the way. Kinks of ReLU networks leave errors that fall as one over `steps`.

    Returns
    -------
    AttributionResult

    Raises
    ------
    InputError
        As `saliency` does, or if the baseline has another shape.

    Warns
    -----
    ConvergenceWarning
        Where `delta` exceeds 5 % of the largest difference of outputs among the sequences.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> model = registry.build("deepstarr", (32, 4), HeadLayout(("Dev",)), width=0.05)
    >>> result = integrated_gradients(model, ["ACGT" * 8], steps=200)
    >>> result.scores.shape, result.delta.shape
    ((1, 32, 4), (1,))
    """
    array = as_array(sequences)
    check_positive("batch_size", batch_size)
    check_positive("steps", steps)
    start = _baseline(baseline, array)
    members = model.members if isinstance(model, Ensemble) else [model]
    made = [
        _integrate(Scalar(member, output), array, start, steps, batch_size, progress)
        for member in members
    ]
    scores, prediction, expected, hypothetical = (_mean(parts) for parts in zip(*made, strict=True))
    delta = convergence_delta(scores, prediction, expected)
    dtype = made[0][0].dtype
    _warn(delta, prediction, expected, dtype)
    return AttributionResult(
        scores=scores.astype(dtype),
        delta=delta.astype(dtype),
        prediction=prediction.astype(dtype),
        expected=expected.astype(dtype),
        hypothetical=hypothetical.astype(dtype),
        output=output,
    )


def _mean(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over members in float64; a single member's array unchanged."""
    return parts[0] if len(parts) == 1 else np.asarray(np.mean(parts, axis=0, dtype=np.float64))


def _integrate(
    scalar: Scalar,
    sequences: np.ndarray,
    baseline: np.ndarray,
    steps: int,
    batch_size: int,
    progress: bool | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, outputs of the sequences, outputs of their baselines, hypothetical scores."""
    x = floats(scalar.check(sequences), scalar)
    start = np.broadcast_to(baseline.astype(x.dtype), x.shape)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = (0.5 * (nodes + 1.0)).astype(x.dtype), (0.5 * weights).astype(x.dtype)
    mean = np.zeros_like(x)
    for rows, points in bar(list(_pairs(len(x), steps, batch_size)), "integrating", progress):
        way = places[points, np.newaxis, np.newaxis] * (x[rows] - start[rows])
        gradients = scalar.gradients(start[rows] + way)[0]
        gradients *= weights[points, np.newaxis, np.newaxis]
        first = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        mean[rows[first]] += np.add.reduceat(gradients, first, axis=0)
    outputs = (
        np.concatenate(
            [scalar.gradients(each[at : at + batch_size])[1] for at in range(0, len(x), batch_size)]
        )
        for each in (x, start)
    )
    hypothetical = mean - (mean * start).sum(axis=2, keepdims=True)
    return mean * (x - start), *outputs, hypothetical


def _pairs(n: int, steps: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and points of all `n * steps` pairs, a batch at a time, sorted by row."""
    for start in range(0, n * steps, batch_size):
        pairs = np.arange(start, min(start + batch_size, n * steps))
        yield np.divmod(pairs, steps)


def _baseline(baseline: Any, sequences: np.ndarray) -> np.ndarray:
    shape = (*sequences.shape[:2], 4)
    if baseline is None:
        return np.zeros(shape[1:], np.float32)
    array = np.asarray(baseline)
    if array.dtype.kind not in "biuf" or array.shape not in (shape, shape[1:]):
        raise InputError(
            f"expected a baseline of numbers, shape {shape[1:]} or {shape}. "
            f"Received: {brief(array)}"
        )
    return array


def _warn(delta: np.ndarray, prediction: np.ndarray, expected: np.ndarray, dtype: np.dtype) -> None:
    largest = np.abs(prediction - expected).max()
    rounding = 64.0 * np.finfo(dtype).eps * np.abs([prediction, expected]).max()
    warn_of_delta(
        delta,
        max(CONVERGENCE * largest, rounding),
        largest,
        method="integrated gradients",
        share=CONVERGENCE,
        advice="Take more steps",
    )
