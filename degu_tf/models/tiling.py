"""Profiles longer than a model's input, joined from the middles of overlapping windows.

A model knows less of what is around a base near the end of its input, so of two windows that hold a
base the one counts in which it lies farther from an end.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from degu_tf.heads import Prediction
from degu_tf.models.predictor import (
    Described,
    DescribedPredictor,
    Predictor,
    as_array,
    combined,
    window_of,
)
from degu_tf.sequences.tiles import Tile, tiles
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash


def tiled(
    columns: Callable[[np.ndarray], np.ndarray],
    sequences: np.ndarray,
    window: int,
    step: int | None = None,
) -> np.ndarray:
    """Columns `(N, length, n_columns)` of sequences longer than what `columns` takes.

    Parameters
    ----------
    columns
        From sequences of `window` bases to `(N, window, n_columns)`.
    sequences
        Tokens `(N, length)` or float `(N, length, 4)`.
    window, step
        As for `tiles`.

    Raises
    ------
    InputError
        As `tiles` does, or if `columns` gives no profiles of base resolution.
    """
    parts = []
    for tile in tiles(sequences.shape[1], window, step):
        part = columns(sequences[:, tile.start : tile.start + window])
        parts.append(_kept(part, tile, window))
    return np.concatenate(parts, axis=1)


class Tiled:
    """A predictor of profiles for sequences that are longer than its input.

    Parameters
    ----------
    predictor
        Any predictor of profiles of base resolution.
    window
        Bases it takes; its `input_length` by default.
    step
        From one window to the next; half a window by default.

    Raises
    ------
    InputError
        If the predictor's input length is unknown and no window is given.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> class Adenines:
    ...     def predict(self, tokens):
    ...         columns = (np.asarray(tokens) == 0)[..., np.newaxis].astype(np.float32)
    ...         return HeadLayout(("A",)).prediction(columns)
    >>> Tiled(Adenines(), window=4).predict(["ACGTACA"]).mean[0, :, 0].tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    """

    def __new__(
        cls,
        predictor: Predictor | None = None,
        window: int | None = None,
        step: int | None = None,
    ) -> "Tiled":
        """Around a `DescribedPredictor` it is one, too."""
        described = cls is Tiled and isinstance(predictor, DescribedPredictor)
        return super().__new__(_DescribedTiled if described else cls)

    def __init__(
        self, predictor: Predictor, window: int | None = None, step: int | None = None
    ) -> None:
        self.predictor = predictor
        self.window = window_of(predictor, window)
        self.step = step

    def predict(self, sequences: Any) -> Prediction:
        """Predict sequences of one length, as long as a window or longer."""
        array = as_array(sequences)
        whole = list(tiles(array.shape[1], self.window, self.step))
        predictions = [
            self.predictor.predict(array[:, tile.start : tile.start + self.window])
            for tile in whole
        ]

        def join(parts: Sequence[np.ndarray]) -> np.ndarray:
            kept = zip(parts, whole, strict=True)
            return np.concatenate([_kept(part, tile, self.window) for part, tile in kept], axis=1)

        return combined(predictions, join)


class _DescribedTiled(Described, Tiled):
    predictor: DescribedPredictor

    @property
    def input_length(self) -> None:
        """Any length from a window on."""
        return None

    def fingerprint(self) -> str:
        """SHA-256 of the windows and of what is wrapped."""
        return content_hash(["tiled", self.window, self.step, self.predictor.fingerprint()])


def _kept(part: np.ndarray, tile: Tile, window: int) -> np.ndarray:
    if part.ndim != 3 or part.shape[1] != window:
        raise InputError(
            f"only profiles with a value for each of {window} bases can be joined. "
            f"Received: an output of shape {part.shape}"
        )
    return part[:, tile.first - tile.start : tile.last - tile.start]
