"""Shifted test sets, and how far a predictor is from an oracle on each (Figure 3).

Nobody measured the shifted sequences, so an ensemble trained with EvoAug stands in for the
experiment: the oracle, whose mean activity is taken for the truth (paper, Methods, "OOD
generalization analysis").
"""

import hashlib
import os
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import h5py
import numpy as np
import pandas as pd
import tensorflow as tf

from degu_tf import augment, schemes
from degu_tf.alphabet import brief
from degu_tf.data.layouts import is_channels_first
from degu_tf.data.pipeline import one_hot_batch
from degu_tf.data.rows import Rows, blaming, datasets_of, opened
from degu_tf.errors import InputError
from degu_tf.files import atomic_write
from degu_tf.heads import Prediction
from degu_tf.predictor import Predictor
from degu_tf.sequence import as_tokens, check_sequences, from_one_hot, one_hot, shuffle_positions

DATASETS = {
    "none": "none",
    "small": "mutagenesis",
    "intermediate": "evoaug",
    "large": "random",
}
"""The shifts in the figure's order, each with its dataset's name in a file; released files have the
last three."""

FORMAT = "degu_tf shifted sets"
"""What the root attribute `format` of a written file says."""

VERSION = 1
"""What its root attribute `version` says."""

_SHORTEST = 21
_CHUNK_BYTES = 2**18
_GZIP_LEVEL = 4


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
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise InputError(f"batch_size must be a whole number from 1. Received: {batch_size!r}")
    augmentations = schemes.paper_augmentations()
    if released:
        augmentations[:2] = [augment.RandomDeletion(0, 20), augment.RandomTranslocation(0, 20)]
    evoaug = schemes.EvoAug(augmentations, fewest=2, most=2)

    small = np.empty_like(tokens)
    for rows, batch in _augmented(tokens, schemes.scheme("mutagenesis"), "small", seed, batch_size):
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


def fingerprint(sets: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the sets: equal sequences in equal order, equal fingerprint."""
    digest = hashlib.sha256()
    for shift, sequences in sets.items():
        digest.update(f"{shift} {sequences.dtype} {sequences.shape}".encode())
        digest.update(np.ascontiguousarray(sequences).data)
    return digest.hexdigest()


def write_shifted_sets(
    path: str | os.PathLike, sets: Mapping[str, np.ndarray], seed: int | None = None, **notes: Any
) -> None:
    """Write shifted sets to an HDF5 file, whole or not at all; `read_shifted_sets` reads them.

    The datasets `mutagenesis`, `evoaug` and `random`, as in released files, and `none` are
    one-hot `(N, L, 4)` and compressed: uint8, or float32 for what is not tokens. Root attributes
    hold the format's name and version, the sets' fingerprint, the seed and the notes.

    Parameters
    ----------
    path
        Where the file shall stand.
    sets
        Sequences by shift, as `shifted_sets` gives them; ``"none"`` may be missing.
    seed
        The seed they were made from, if it is known.
    **notes
        More attributes: strings or numbers, such as the batch size.

    Raises
    ------
    InputError
        If a shift is missing or unknown, or the sets differ in number or length of sequences.
    """
    sets = _checked(sets)
    described = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint(sets)}
    described |= {} if seed is None else {"seed": seed}
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update({**notes, **described})
        for shift, sequences in sets.items():
            _write(file, DATASETS[shift], sequences)


def read_shifted_sets(path: str | os.PathLike, seed: int | None = None) -> dict[str, np.ndarray]:
    """Read what `write_shifted_sets` wrote, or a released file of shifted sets.

    A released file holds the datasets `mutagenesis`, `evoaug` and `random`, one-hot `(N, L, 4)` or
    `(N, 4, L)`; it lacks ``"none"``.

    Parameters
    ----------
    path
        The file.
    seed
        The seed that the file must say it was made from; None for any.

    Returns
    -------
    dict
        As from `shifted_sets`. What is exactly one-hot becomes tokens, except
        ``"intermediate"``; what is not stays float32.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or made from another seed.
    """
    with blaming(path), opened(path) as file:
        written = str(file.attrs.get("format")) == FORMAT
        if written and file.attrs.get("version") != VERSION:
            raise InputError(
                f"expected version {VERSION} of the format; a newer version of this package may "
                f"read the file. Received: version {file.attrs.get('version')}"
            )
        if seed is not None and file.attrs.get("seed") != seed:
            raise InputError(
                f"expected shifted sets made from seed {seed}. "
                f"Received: seed {file.attrs.get('seed', 'not in the file')}"
            )
        datasets = datasets_of(file)
        wanted = {shift: name for shift, name in DATASETS.items() if name in datasets}
        if not {*DATASETS} - {"none"} <= {*wanted}:
            raise InputError(
                "expected the datasets mutagenesis, evoaug and random of shifted test sequences. "
                f"Received: {', '.join(datasets) or 'no dataset'}"
            )
        unused = sorted({*datasets} - {*wanted.values()})
        if unused:
            warnings.warn(f"datasets not read: {', '.join(unused)} in {path}", stacklevel=2)
        sets = {
            shift: _read(datasets[name], keep_floats=written or shift == "intermediate")
            for shift, name in wanted.items()
        }
        sets = _checked(sets)
        if written and file.attrs.get("fingerprint") != fingerprint(sets):
            raise InputError(
                "the sequences are not those that were written; the file was changed or damaged, "
                "so make it anew"
            )
        return sets


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
    **labels: object,
) -> pd.DataFrame:
    """Mean squared difference of predicted activity to the oracle's, on every set (Fig. 3b, c).

    Parameters
    ----------
    predictor
        What is judged.
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
    truths = oracle if isinstance(oracle, Mapping) else None
    if truths is not None and not {*sets} <= {*truths}:
        raise InputError(
            f"expected the oracle's predictions of the sets {', '.join(sets)}. "
            f"Received: {', '.join(truths) or 'none'}"
        )
    rows = []
    for shift, sequences in sets.items():
        truth = oracle.predict(sequences) if truths is None else truths[shift]
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


def activity_levels(
    oracle_predictions: Mapping[str, Prediction], quantiles: Sequence[float] | None = None
) -> pd.DataFrame:
    """The oracle's activities on every set (Supplementary Fig. 5).

    Parameters
    ----------
    oracle_predictions
        From `oracle_activity`.
    quantiles
        Give these quantiles, 0 to 1, in place of the activities themselves.

    Returns
    -------
    pandas.DataFrame
        Columns `shift`, `target`, `row` (number of the sequence) or `quantile`, and `value` in
        the target's unit.

    Raises
    ------
    InputError
        If predictions are profiles or a quantile lies outside 0 to 1.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> predictions = {"none": HeadLayout(("Dev",)).prediction(np.array([[1.0], [3.0]]))}
    >>> activity_levels(predictions, quantiles=[0.5])["value"].tolist()
    [2.0]
    """
    if quantiles is not None and not all(0.0 <= level <= 1.0 for level in quantiles):
        raise InputError(f"quantiles must lie between 0 and 1. Received: {list(quantiles)}")
    parts = []
    for shift, prediction in oracle_predictions.items():
        if prediction.mean.ndim != 2:
            raise InputError(
                "expected one activity for each sequence and target. "
                f"Received: profiles of shape {prediction.mean.shape} on the set {shift!r}"
            )
        for index, target in enumerate(prediction.targets):
            values = prediction.mean[:, index]
            if quantiles is None:
                columns = {"row": np.arange(len(values)), "value": values}
            else:
                columns = {"quantile": quantiles, "value": np.quantile(values, quantiles)}
            parts.append(pd.DataFrame({"shift": shift, "target": target, **columns}))
    return pd.concat(parts, ignore_index=True)


def _checked(sets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sets in order, as tokens or float32; refuse what belongs to no shift or to other rows."""
    needed = {*DATASETS} - {"none"}
    if not needed <= {*sets} <= {*DATASETS}:
        raise InputError(
            f"expected sets for the shifts {', '.join(DATASETS)}, of which only none may be "
            f"missing. Received: {', '.join(map(str, sets)) or 'no set'}"
        )
    checked = {}
    for shift in DATASETS:
        if shift in sets:
            with blaming(shift):
                array = check_sequences(sets[shift])
                floats = array.ndim == 3 and array.dtype.kind == "f"
                checked[shift] = array.astype(np.float32) if floats else as_tokens(array)
    sizes = {shift: array.shape[:2] for shift, array in checked.items()}
    if len({*sizes.values()}) > 1:
        raise InputError(f"expected sets of the same sequences. Received: (N, L) of {sizes}")
    return checked


def _write(file: h5py.File, name: str, sequences: np.ndarray) -> None:
    """Write a set one-hot, chunk by chunk."""
    floats = sequences.ndim == 3
    dtype = np.float32 if floats else np.uint8
    n, length = sequences.shape[:2]
    step = min(n, max(1, _CHUNK_BYTES // (4 * length * np.dtype(dtype).itemsize)))
    dataset = file.create_dataset(
        name,
        (n, length, 4),
        dtype,
        chunks=(step, length, 4),
        compression="gzip",
        compression_opts=_GZIP_LEVEL,
        shuffle=floats,
    )
    for start in range(0, n, step):
        block = sequences[start : start + step]
        dataset[start : start + step] = block if floats else one_hot(block)


def _read(dataset: h5py.Dataset, keep_floats: bool) -> np.ndarray:
    if not dataset.shape or not dataset.size:
        raise InputError(
            f"expected rows of sequences. Received: {dataset.name} of shape {dataset.shape}"
        )
    with blaming(dataset.name.lstrip("/")):
        axes = (0, 2, 1) if is_channels_first(dataset.shape) else tuple(range(dataset.ndim))
    return Rows(dataset, axes).sequences(keep_floats=keep_floats)
