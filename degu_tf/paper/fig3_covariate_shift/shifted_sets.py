"""Shifted test sets, and how far a predictor is from an oracle on each (Figure 3).

Nobody measured the shifted sequences, so an ensemble trained with EvoAug stands in for the
experiment: the oracle, whose mean activity is taken for the truth (paper, Methods, "OOD
generalization analysis").
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from degu_tf.data.pipeline import one_hot_batch
from degu_tf.heads import Prediction
from degu_tf.models.predictor import Predictor
from degu_tf.sequences.alphabet import brief
from degu_tf.sequences.encoding import (
    as_tokens,
    from_one_hot,
    shuffle_positions,
)
from degu_tf.training.augmentation import names, operations, schemes
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

_SHORTEST = 21


def shifted_sets(
    sequences: Any, seed: int, batch_size: int = 100, *, released: bool = False
) -> dict[str, np.ndarray]:
    """Make the three shifted forms of the test sequences, and put the sequences beside them.

    ``"small"``: 5 % of positions mutated. ``"intermediate"``: exactly two augmentations of the
    EvoAug list, chosen for each batch. ``"large"``: the positions of each sequence shuffled. Rows
    keep their order, and unknown bases stay unknown.

    Parameters
    ----------
    sequences
        Tokens `(N, L)`, strings, or exact one-hot `(N, L, 4)`.
    seed
        Decides all draws.
    batch_size
        Consecutive sequences that share the choice of augmentations, and a deletion or
        translocation if it is drawn for the batch.
    released
        Draw deletion and translocation for each sequence, as for the released sets.

    Returns
    -------
    dict
        In the order ``"none"``, ``"small"``, ``"intermediate"``, ``"large"``: uint8 tokens
        `(N, L)`, but float32 `(N, L, 4)` for ``"intermediate"``, whose noise no token can hold.

    Raises
    ------
    InputError
        If the sequences are not DNA or exactly one-hot, or shorter than 21 bases, or a number is
        out of range.

    Examples
    --------
    >>> sets = shifted_sets(["ACGTN" * 6] * 3, seed=1)
    >>> [f"{shift} {each.dtype} {each.shape}" for shift, each in sets.items()][1:3]
    ['small uint8 (3, 30)', 'intermediate float32 (3, 30, 4)']
    """
    tokens = as_tokens(sequences)
    if tokens.shape[1] < _SHORTEST:
        raise InputError(
            f"EvoAug needs sequences of {_SHORTEST} bases or more. Received: {brief(tokens)}"
        )
    if not is_whole(batch_size, 1):
        raise InputError(f"batch_size must be a whole number from 1. Received: {batch_size!r}")
    augmentations = schemes.paper_augmentations()
    if released:
        augmentations[:2] = [
            operations.RandomDeletion(0, 20),
            operations.RandomTranslocation(0, 20),
        ]
    evoaug = schemes.EvoAug(augmentations, fewest=2, most=2)

    small = np.empty_like(tokens)
    for rows, batch in _augmented(tokens, names.scheme("mutagenesis"), "small", seed, batch_size):
        small[rows] = from_one_hot(batch)
    intermediate = np.empty((*tokens.shape, 4), np.float32)
    for rows, batch in _augmented(tokens, evoaug, "intermediate", seed, batch_size):
        intermediate[rows] = batch
    rng = np.random.default_rng([zlib.crc32(b"shift large"), seed])
    large = shuffle_positions(tokens, rng)
    return {"none": tokens, "small": small, "intermediate": intermediate, "large": large}


def _augmented(
    tokens: np.ndarray, scheme: schemes.AugmentBase, shift: str, seed: int, batch_size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    for index, start in enumerate(range(0, len(tokens), batch_size)):
        rows = slice(start, start + batch_size)
        key = schemes.draw_key(f"shift {shift}", seed, index)
        yield rows, schemes.apply(scheme, one_hot_batch(tf.constant(tokens[rows])), key).numpy()


def oracle_activity(oracle: Predictor, sets: Mapping[str, np.ndarray]) -> dict[str, Prediction]:
    """The oracle's predictions of every set, to compare several predictors with.

    Parameters
    ----------
    oracle
        Any predictor; the paper's is the mean of ten DeepSTARR trained with EvoAug.
    sets
        Sequences by shift.
    """
    return {shift: oracle.predict(sequences) for shift, sequences in sets.items()}


def distance_to_oracle(
    predictor: Predictor,
    oracle: Predictor | Mapping[str, Prediction],
    sets: Mapping[str, np.ndarray],
    **labels: Any,
) -> pd.DataFrame:
    """Mean squared difference of predicted activity to the oracle's, on every set (Fig. 3b, c).

    Parameters
    ----------
    predictor
        Predictor to evaluate.
    oracle
        The oracle, or its predictions of `sets` from `oracle_activity`.
    sets
        Sequences by shift.
    **labels
        Constant columns for the table, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `shift`, `target`, `metric` (``"mse"``), `value` in the target's unit
        squared, `n` values compared.

    Raises
    ------
    InputError
        If the oracle's predictions lack a set or are of other sequences, or the two have
        different targets.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> class Constant:
    ...     def __init__(self, value):
    ...         self.value = value
    ...     def predict(self, sequences):
    ...         return HeadLayout(("Dev",)).prediction(np.full((len(sequences), 1), self.value))
    >>> table = distance_to_oracle(Constant(1.0), Constant(3.0), {"none": ["ACGT"]}, seed=0)
    >>> table.to_dict("records")[0]["value"]
    4.0
    """
    truths = oracle if isinstance(oracle, Mapping) else oracle_activity(oracle, sets)
    if not {*sets} <= {*truths}:
        raise InputError(
            f"expected the oracle's predictions of the sets {', '.join(sets)}. "
            f"Received: {', '.join(truths) or 'none'}"
        )
    rows = []
    for shift, sequences in sets.items():
        truth = truths[shift]
        predicted = predictor.predict(sequences)
        if predicted.targets != truth.targets or predicted.mean.shape != truth.mean.shape:
            raise InputError(
                f"expected predictions of the oracle's targets {truth.targets}, shape "
                f"{truth.mean.shape}, on the set {shift!r}. "
                f"Received: {predicted.targets}, shape {predicted.mean.shape}"
            )
        squared = np.square(predicted.mean.astype(np.float64) - truth.mean)
        for index, target in enumerate(truth.targets):
            values = squared[..., index]
            rows.append(
                {
                    **labels,
                    "shift": shift,
                    "target": target,
                    "metric": "mse",
                    "value": float(values.mean()),
                    "n": values.size,
                }
            )
    return pd.DataFrame(rows)


def activity_levels(oracle_predictions: Mapping[str, Prediction]) -> pd.DataFrame:
    """The oracle's activities on every set (Supplementary Fig. 5).

    Parameters
    ----------
    oracle_predictions
        From `oracle_activity`.

    Returns
    -------
    pandas.DataFrame
        Columns `shift`, `target`, `row` (number of the sequence), and `value` in the target's unit.

    Raises
    ------
    InputError
        If predictions are profiles.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> predictions = {"none": HeadLayout(("Dev",)).prediction(np.array([[1.0], [3.0]]))}
    >>> activity_levels(predictions)["value"].tolist()
    [1.0, 3.0]
    """
    parts = []
    for shift, prediction in oracle_predictions.items():
        if prediction.mean.ndim != 2:
            raise InputError(
                "expected one activity for each sequence and target. "
                f"Received: profiles of shape {prediction.mean.shape} on the set {shift!r}"
            )
        for index, target in enumerate(prediction.targets):
            values = prediction.mean[:, index]
            columns = {"row": np.arange(len(values)), "value": values}
            parts.append(pd.DataFrame({"shift": shift, "target": target, **columns}))
    return pd.concat(parts, ignore_index=True)
