"""How well attribution maps find the motifs that are known to be there.

Made for simulated data, whose truth says where the motifs lie
(`degu_tf.data.simulation.mpra.Truth`). What counts is a position's importance: the corrected score
of the observed base.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from degu_tf.attribution.gradients import gradient_correction
from degu_tf.data.simulation.grammar import (
    GAINS,
    INTERACTION,
    SPACING,
    TARGETS,
)
from degu_tf.models.predictor import as_array
from degu_tf.sequences.encoding import as_float
from degu_tf.utils.errors import InputError

AUROC = "motif_auroc"
"""Metric of `motif_auroc`: mean over sequences."""

POOLED = "motif_auroc_pooled"
"""Metric of `motif_auroc`: all positions of all sequences together."""

_COLUMNS = ("sequence", "motif", "start", "end")


def importance(scores: np.ndarray, sequences: Any) -> np.ndarray:
    """Corrected score of the observed base at each position, as a logo shows it.

    It should not move when all four channels of a position gain one constant in the model, which
    changes no prediction of a one-hot sequence. That holds for gradients, mutagenesis and all
    hypothetical scores, but not for the scores of DeepSHAP: they hold products with what the
    references have there, which the correction cannot undo: use the hypothetical scores.

    Parameters
    ----------
    scores
        Maps `(N, L, 4)` of any method, such as `Explanation.hypothetical`.
    sequences
        Strings, tokens `(N, L)` or one-hot `(N, L, 4)`.

    Returns
    -------
    numpy.ndarray
        `(N, L)` in the maps' unit; NaN at unknown bases.

    Raises
    ------
    InputError
        If shapes do not match.

    Examples
    --------
    >>> importance(np.array([[[3.0, -1.0, -1.0, -1.0], [0.0, 4.0, 0.0, 0.0]]]), ["AG"]).tolist()
    [[3.0, -1.0]]
    """
    one_hot = as_float(as_array(sequences))
    if np.shape(scores) != one_hot.shape:
        raise InputError(
            f"expected maps of shape {one_hot.shape}, as the sequences. "
            f"Received: {np.shape(scores)}"
        )
    values = (gradient_correction(scores) * one_hot).sum(axis=2)
    return np.where(one_hot.any(axis=2), values, np.nan)


def relevant_sites(sites: pd.DataFrame, target: str) -> pd.DataFrame:
    """Sites of the simulated grammar that make a difference to one of its targets.

    Sites of motifs without a gain at that promoter are left out, and those of motifs that act only
    together where the partner is missing.

    Parameters
    ----------
    sites
        Rows of `find_motifs`, or of `Truth.motifs` of one split: columns `sequence`, `motif`,
        `start`, `end` and any others.
    target
        ``"Dev"`` or ``"Hk"``.

    Raises
    ------
    InputError
        If a column is missing, there is more than one split, or the target is another.

    Examples
    --------
    >>> from degu_tf.data.simulation.grammar import find_motifs
    >>> sites = find_motifs("ACCGGAAGTCCCCCTGACTCACCCC")
    >>> sites["motif"].tolist(), relevant_sites(sites, "Dev")["motif"].tolist()
    (['ETS', 'AP-1'], ['AP-1'])
    """
    _check_sites(sites)
    if target not in TARGETS:
        raise InputError(f"target must be one of {TARGETS}. Received: {target!r}")
    index = TARGETS.index(target)
    acting = {name for name, gain in GAINS.items() if gain[index]}
    acting |= {*SPACING[:2]} if SPACING[2][index] else set()
    kept = sites["motif"].isin(acting)
    if INTERACTION[2][index]:
        first, second = (
            set(sites.loc[sites["motif"] == name, "sequence"]) for name in INTERACTION[:2]
        )
        kept |= sites["motif"].isin(INTERACTION[:2]) & sites["sequence"].isin(first & second)
    return sites[kept]


def motif_positions(sites: pd.DataFrame, n_sequences: int, length: int) -> np.ndarray:
    """Which positions lie in a site.

    Parameters
    ----------
    sites
        Columns `sequence` (row), `motif`, `start`, `end` (excluded), 0-based.
    n_sequences, length
        Shape of the sequences.

    Returns
    -------
    numpy.ndarray
        bool `(N, L)`.

    Raises
    ------
    InputError
        If a column is missing or a site lies outside the sequences.

    Examples
    --------
    >>> sites = pd.DataFrame({"sequence": [0], "motif": ["GATA"], "start": [1], "end": [3]})
    >>> motif_positions(sites, 1, 4).tolist()
    [[False, True, True, False]]
    """
    _check_sites(sites)
    row, start, end = (sites[name].to_numpy() for name in ("sequence", "start", "end"))
    outside = (row < 0) | (row >= n_sequences) | (start < 0) | (end > length) | (start >= end)
    if outside.any():
        first = int(np.argmax(outside))
        raise InputError(
            f"expected sites within {n_sequences} sequences of {length} bases. Received: sequence "
            f"{row[first]}, {start[first]} to {end[first]}"
        )
    steps = np.zeros((n_sequences, length + 1), np.int64)
    np.add.at(steps, (row, start), 1)
    np.add.at(steps, (row, end), -1)
    return np.cumsum(steps, axis=1)[:, :-1] > 0


def auroc(scores: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each row: how well its scores tell inside from outside.

    The share of pairs of a position inside and one outside in which the one inside scores higher,
    ties counting half.

    Parameters
    ----------
    scores
        `(N, L)`; NaN where a position is not counted.
    inside
        bool `(N, L)`.

    Returns
    -------
    numpy.ndarray
        `(N,)`, NaN where all positions are of one kind.

    Raises
    ------
    InputError
        If shapes differ.

    Examples
    --------
    >>> auroc(np.array([[3.0, 1.0, 2.0, 0.0]]), np.array([[True, True, False, False]])).tolist()
    [0.75]
    """
    scores, inside = np.asarray(scores, np.float64), np.asarray(inside, bool)
    if scores.shape != inside.shape or scores.ndim != 2:
        raise InputError(
            f"expected two arrays (N, L). Received: shapes {scores.shape} and {inside.shape}"
        )
    counted = ~np.isnan(scores)
    ranks = stats.rankdata(scores, axis=1, nan_policy="omit")
    n_inside = (inside & counted).sum(axis=1)
    n_outside = (~inside & counted).sum(axis=1)
    above = np.where(inside & counted, ranks, 0.0).sum(axis=1) - n_inside * (n_inside + 1) / 2
    pairs = n_inside * n_outside
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)


def motif_auroc(
    scores: np.ndarray,
    sequences: Any,
    sites: pd.DataFrame,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    **labels: object,
) -> pd.DataFrame:
    """How well absolute importance finds motif positions, with bootstrap intervals.

    Sequences are resampled, not positions, since those of one sequence go together. Sequences
    without a site, or of nothing else, have no AUROC of their own and are left out of both rows.

    Parameters
    ----------
    scores
        Maps `(N, L, 4)`.
    sequences
        Strings, tokens `(N, L)` or one-hot; unknown bases are not counted.
    sites
        Where the motifs lie: columns `sequence` (row), `motif`, `start`, `end`.
    level
        Probability of the percentile interval.
    n_resamples, seed
        Of the bootstrap.
    **labels
        Constant columns for the table, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Two rows, `motif_auroc` (mean over sequences) and `motif_auroc_pooled`: the labels,
        `metric`, `value`, `lower`, `upper`, `n` sequences.

    Raises
    ------
    InputError
        If shapes do not match, no sequence can be used, or a number is out of range.

    Examples
    --------
    >>> from degu_tf.data.simulation.grammar import find_motifs
    >>> sequences = ["CCCCATGACTCATCCCC", "ACTTGACTCAAACGCCA"]
    >>> scores = np.zeros((2, 17, 4))
    >>> scores[0, 5:12] = scores[1, 3:10] = np.eye(4)[[3, 2, 0, 1, 3, 1, 0]]
    >>> motif_auroc(scores, sequences, find_motifs(sequences))["value"].tolist()
    [1.0, 1.0]
    """
    if not 0.0 < level < 1.0 or n_resamples < 1:
        raise InputError(
            "expected a level between 0 and 1 and at least 1 resample. "
            f"Received: level={level}, n_resamples={n_resamples}"
        )
    values = np.abs(importance(scores, sequences))
    inside = motif_positions(sites, *values.shape)
    each = auroc(values, inside)
    used = np.flatnonzero(np.isfinite(each))
    if not used.size:
        raise InputError("no sequence has positions both inside and outside of a motif")
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(used.size, np.full(used.size, 1.0 / used.size), n_resamples)
    pooled = _Pooled(values[used], inside[used])
    found = {
        AUROC: (each[used].mean(), counts @ each[used] / used.size),
        POOLED: (pooled(np.ones(used.size)), np.array([pooled(row) for row in counts])),
    }
    ends = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
    return pd.DataFrame(
        [
            {
                **labels,
                "metric": metric,
                "value": float(value),
                "lower": float(np.quantile(resampled, ends[0])),
                "upper": float(np.quantile(resampled, ends[1])),
                "n": used.size,
            }
            for metric, (value, resampled) in found.items()
        ]
    )


class _Pooled:
    """AUROC over the positions of many sequences, each sequence counted as often as is asked."""

    def __init__(self, scores: np.ndarray, inside: np.ndarray) -> None:
        counted = ~np.isnan(scores)
        row = np.nonzero(counted)[0]
        values, inside = scores[counted], inside[counted]
        order = np.argsort(values, kind="stable")
        self._row, self._inside = row[order], inside[order]
        values = values[order]
        self._first = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])

    def __call__(self, counts: np.ndarray) -> float:
        weights = counts[self._row].astype(np.float64)
        inside = np.add.reduceat(weights * self._inside, self._first)
        outside = np.add.reduceat(weights * ~self._inside, self._first)
        below = np.cumsum(outside) - outside
        return float(inside @ (below + 0.5 * outside) / (inside.sum() * outside.sum()))


def _check_sites(sites: pd.DataFrame) -> None:
    missing = [name for name in _COLUMNS if name not in sites]
    if missing:
        raise InputError(
            f"expected sites with the columns {', '.join(_COLUMNS)}. "
            f"Received: {_listed(sites.columns)}"
        )
    if "split" in sites and sites["split"].nunique() > 1:
        raise InputError(
            f"expected the sites of one split. Received: splits {_listed(sites['split'].unique())}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names)) or "none"
