"""Results of attribution methods whose scores add up to a difference of outputs."""

import warnings
from dataclasses import dataclass

import numpy as np


class ConvergenceWarning(UserWarning):
    """Scores do not sum to the difference of outputs that they should explain."""


@dataclass(frozen=True, eq=False)
class AttributionResult:
    """Scores of N sequences for one output, by DeepSHAP or integrated gradients.

    Attributes
    ----------
    scores
        `(N, L, 4)`, in the output's unit: multiplier (DeepSHAP) or mean gradient (integrated
        gradients) times the difference between sequence and reference or baseline, averaged over
        references. Bases that only a reference has get scores too.
    delta
        `(N,)`, the convergence delta: the sum of the scores minus the difference between
        `prediction` and `expected`. Of DeepSHAP it is rounding, of integrated gradients the error
        of the sum over steps.
    prediction, expected
        `(N,)`, the output for each sequence, and for its baseline or, as mean, its references.
    hypothetical
        `(N, L, 4)`, what each base would contribute at that position with the same multipliers or
        gradients (TF-MoDISco's hypothetical contributions), or None if they were not requested. At
        the sequence's own base they are the sum of `scores` over the four channels.
    output
        The requested column.
    """

    scores: np.ndarray
    delta: np.ndarray
    prediction: np.ndarray
    expected: np.ndarray
    hypothetical: np.ndarray | None
    output: int | str


def convergence_delta(
    scores: np.ndarray, prediction: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """Sum of the scores `(N, L, 4)` minus the difference of outputs, float64 `(N,)`."""
    return scores.sum(axis=(1, 2), dtype=np.float64) - (prediction.astype(np.float64) - expected)


def warn_of_delta(
    delta: np.ndarray, limit: float, largest: float, *, method: str, share: float, advice: str
) -> None:
    """Warn of convergence deltas above a limit, naming the largest.

    Parameters
    ----------
    delta
        Convergence deltas `(N,)`.
    limit
        Largest absolute value without a warning; NaN always warns.
    largest
        Largest difference of outputs among the sequences, for the message.
    method, share, advice
        Name of the method, the share of `largest` that is tolerated, and what to do.
    """
    wrong = np.flatnonzero(~(np.abs(delta) <= limit))
    if wrong.size:
        worst = wrong[np.argmax(np.abs(delta[wrong]))]
        warnings.warn(
            f"the convergence delta of {method} exceeds {share:g} of the largest difference of "
            f"outputs, {largest:.3g}, for {wrong.size} of {len(delta)} sequences; it is largest, "
            f"{delta[worst]:.3g}, for sequence {worst}. {advice}",
            ConvergenceWarning,
            stacklevel=4,
        )
