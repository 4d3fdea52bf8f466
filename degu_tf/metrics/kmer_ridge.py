"""Ridge regression on k-mer counts: the baseline that every model of activity should exceed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from degu_tf.sequences.alphabet import ALPHABET, UNKNOWN, blocks
from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

K = 5
"""Length of the k-mers by default."""

PENALTIES = tuple(float(value) for value in np.logspace(-1, 6, 15))
"""Penalties to choose from by default, on raw counts."""

LARGEST_K = 6
"""From 7 on, the eigenvectors of all k-mers take gigabytes and minutes."""


def kmer_counts(sequences: str | Sequence[str] | np.ndarray | pd.Series, k: int = K) -> np.ndarray:
    """How often each k-mer occurs in each sequence, on the strand that is given.

    Parameters
    ----------
    sequences
        Strings, tokens `(N, L)` or exact one-hot `(N, L, 4)`. Windows with an unknown base (N) are
        not counted.
    k
        Length of the k-mers, 1 to 6.

    Returns
    -------
    numpy.ndarray
        Counts `(N, 4**k)` int64, k-mers in alphabetical order.

    Raises
    ------
    InputError
        If sequences are shorter than `k`, or no sequences.

    Examples
    --------
    >>> kmer_counts("AACNAC", k=2)[0, :4].tolist()  # AA, AC, AG, AT
    [1, 2, 0, 0]
    """
    k = _checked_k(k)
    return _counts(_checked_tokens(sequences, k), k)


class KmerRidge:
    """Ridge regression of activity on counts of k-mers, with an intercept.

    Each target has a penalty of its own: the one with the smallest squared leave-one-out error over
    the training sequences, so that neither validation nor test sequences are needed. Counts are not
    standardised. Memory does not depend on the number of sequences.

    Parameters
    ----------
    k
        Length of the k-mers, 1 to 6.
    penalties
        Penalties to choose from, each above 0.

    Attributes
    ----------
    weights
        Change of each target with one more of each k-mer, `(4**k, n_targets)`; None before `fit`.
    intercept
        Value of each target without any k-mer, `(n_targets,)`.
    penalty
        The penalty of each target, `(n_targets,)`.

    Raises
    ------
    InputError
        If `k` or a penalty is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sequences = rng.integers(0, 4, (200, 50))
    >>> activity = kmer_counts(sequences, k=2)[:, [6]]  # CG
    >>> ridge = KmerRidge(k=2).fit(sequences[:150], activity[:150])
    >>> predicted = ridge.predict(sequences[150:])
    >>> predicted.shape, bool(np.abs(predicted - activity[150:]).max() < 0.1)
    ((50, 1), True)
    """

    def __init__(self, k: int = K, penalties: Sequence[float] = PENALTIES) -> None:
        self.k = _checked_k(k)
        self.penalties = np.asarray(penalties, np.float64)
        if self.penalties.ndim != 1 or not len(self.penalties) or not (self.penalties > 0).all():
            raise InputError(f"expected penalties above 0. Received: penalties={penalties}")
        self.weights: np.ndarray | None = None
        self.intercept = self.penalty = np.zeros(0)

    def fit(
        self, sequences: str | Sequence[str] | np.ndarray | pd.Series, targets: np.ndarray
    ) -> Self:
        """Fit the weights to training sequences.

        Parameters
        ----------
        sequences
            Strings, tokens `(N, L)` or exact one-hot `(N, L, 4)`, two or more.
        targets
            Measured activity `(N, n_targets)`, without columns of uncertainty. Each target is
            fitted to the rows that have a value: others are missing (NaN).

        Raises
        ------
        InputError
            If there are fewer than two sequences, they are shorter than k or not one-hot, or
            targets are not finite numbers of one row a sequence, two or more of each target.
        """
        tokens = _checked_tokens(sequences, self.k)
        measured = _checked_targets(targets, len(tokens))
        present, which = np.unique(~np.isnan(measured), axis=1, return_inverse=True)
        parts = [np.flatnonzero(which.ravel() == part) for part in range(present.shape[1])]
        weights = np.empty((len(ALPHABET) ** self.k, measured.shape[1]))
        intercept, penalty = np.empty((2, measured.shape[1]))
        for rows, columns in zip(present.T, parts, strict=True):
            fitted = self._fitted(tokens[rows], measured[rows][:, columns])
            weights[:, columns], intercept[columns], penalty[columns] = fitted
        self.weights, self.intercept, self.penalty = weights, intercept, penalty
        return self

    def _fitted(
        self, tokens: np.ndarray, measured: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, intercepts and penalties of targets that were measured in the same rows."""
        mean, offset = self._mean_counts(tokens), measured.mean(axis=0)
        eigenvalues, axes, products = self._axes(tokens, mean, measured - offset)
        shrunk = eigenvalues[:, np.newaxis] + self.penalties
        coefficients = products[:, np.newaxis] / shrunk[..., np.newaxis]
        errors = np.zeros((len(self.penalties), measured.shape[1]))
        for rows, counts in self._counted(tokens):
            scores = (counts - mean) @ axes
            leverage = np.square(scores) @ (1.0 / shrunk) + 1.0 / len(tokens)
            fitted = np.tensordot(scores, coefficients, axes=1)
            residuals = (measured[rows] - offset)[:, np.newaxis] - fitted
            errors += np.square(residuals / (1.0 - leverage[..., np.newaxis])).sum(axis=0)
        best, each = errors.argmin(axis=0), np.arange(measured.shape[1])
        weights = axes @ coefficients[:, best, each]
        return weights, offset - mean @ weights, self.penalties[best]

    def predict(self, sequences: str | Sequence[str] | np.ndarray | pd.Series) -> np.ndarray:
        """Predicted activity `(N, n_targets)` float64, in the targets' units.

        Raises
        ------
        InputError
            If nothing was fitted, or sequences are shorter than k or not one-hot.
        """
        if self.weights is None:
            raise InputError("expected a fitted ridge: call fit first. Received: no weights")
        tokens = _checked_tokens(sequences, self.k)
        parts = [counts @ self.weights for _, counts in self._counted(tokens)]
        return np.concatenate(parts) + self.intercept

    def to_dict(self) -> dict[str, Any]:
        """What was fitted, as plain values."""
        weights = [] if self.weights is None else self.weights.tolist()
        return {
            "k": self.k,
            "penalties": self.penalties.tolist(),
            "weights": weights,
            "intercept": self.intercept.tolist(),
            "penalty": self.penalty.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The ridge whose `to_dict` gave the values.

        Raises
        ------
        InputError
            If they are not those of a ridge.
        """
        try:
            ridge = cls(values["k"], values["penalties"])
            weights, intercept, penalty = (
                np.asarray(values[name], np.float64) for name in ("weights", "intercept", "penalty")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"expected the values of a k-mer ridge. Received: {error}") from error
        ridge.intercept, ridge.penalty = intercept, penalty
        if len(weights):
            expected = (len(ALPHABET) ** ridge.k, len(intercept))
            if weights.shape != expected or penalty.shape != intercept.shape:
                raise InputError(f"expected weights {expected}. Received: shape {weights.shape}")
            ridge.weights = weights
        return ridge

    def _counted(self, tokens: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows and their counts `(rows, 4**k)` float64, block by block."""
        for rows in blocks(len(tokens), max(len(ALPHABET) ** self.k, tokens.shape[1])):
            yield rows, _counts(tokens[rows], self.k).astype(np.float64)

    def _mean_counts(self, tokens: np.ndarray) -> np.ndarray:
        return sum(counts.sum(axis=0) for _, counts in self._counted(tokens)) / len(tokens)

    def _axes(
        self, tokens: np.ndarray, mean: np.ndarray, centred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues `(m,)`, principal axes `(4**k, m)`, and the targets on them `(m, T)`.

        With fewer sequences than k-mers there are only as many axes as sequences, and they come
        from the counts themselves; else from the products of k-mers, summed over the sequences.
        """
        if len(tokens) <= len(mean):
            counts = _counts(tokens, self.k) - mean
            _, singular, axes = np.linalg.svd(counts, full_matrices=False)
            return np.square(singular), axes.T, axes @ (counts.T @ centred)
        gram = np.zeros((len(mean), len(mean)))
        products = np.zeros((len(mean), centred.shape[1]))
        for rows, counts in self._counted(tokens):
            counts -= mean
            gram += counts.T @ counts
            products += counts.T @ centred[rows]
        eigenvalues, axes = np.linalg.eigh(gram)
        return np.maximum(eigenvalues, 0.0), axes, axes.T @ products


def _counts(tokens: np.ndarray, k: int) -> np.ndarray:
    """`kmer_counts` of checked tokens: a window is a number in base 4, its row the first digit."""
    n_kmers, n_windows = len(ALPHABET) ** k, tokens.shape[1] - k + 1
    codes = np.repeat(np.arange(len(tokens))[:, np.newaxis], n_windows, axis=1)
    known = np.ones(codes.shape, bool)
    for offset in range(k):
        bases = tokens[:, offset : offset + n_windows]
        codes = codes * len(ALPHABET) + bases
        known &= bases != UNKNOWN
    counts = np.bincount(codes[known], minlength=len(tokens) * n_kmers)
    return counts.reshape(len(tokens), n_kmers)


def _checked_k(k: int) -> int:
    if not is_whole(k, 1, LARGEST_K):
        raise InputError(f"expected a whole number from 1 to {LARGEST_K}. Received: k={k!r}")
    return int(k)


def _checked_tokens(sequences: str | Sequence[str] | np.ndarray | pd.Series, k: int) -> np.ndarray:
    tokens = as_tokens(sequences)
    if tokens.shape[1] < k:
        raise InputError(
            f"expected sequences of at least k={k} bases. Received: {tokens.shape[1]} bases"
        )
    return tokens


def _checked_targets(targets: np.ndarray, n_sequences: int) -> np.ndarray:
    measured = np.asarray(targets, np.float64)
    if n_sequences < 2:
        raise InputError(f"expected two sequences or more to fit. Received: {n_sequences}")
    if measured.ndim != 2 or len(measured) != n_sequences:
        raise InputError(
            f"expected targets ({n_sequences}, n_targets), one row a sequence. "
            f"Received: shape {measured.shape}"
        )
    infinite = np.isinf(measured).any(axis=1)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise InputError(
            f"expected finite targets. Received: {measured[row].tolist()} in row {row}"
        )
    counts = (~np.isnan(measured)).sum(axis=0)
    if (counts < 2).any():
        raise InputError(
            "expected two values of each target or more to fit. "
            f"Received: {counts.min()} in column {int(counts.argmin())}"
        )
    return measured
