"""Profiles longer than a model's input: windows overlap, and each base is taken where it lies deep.

A model knows less of what is around a base near the end of its input, so of two windows that hold a
base the one counts in which it lies farther from an end.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from degu_tf.heads import MIN_STD, Prediction
from degu_tf.models.predictor import Predictor, as_array
from degu_tf.utils.errors import InputError


class Tile(NamedTuple):
    """A window and what is kept of it, in positions of the whole: `[first, last)`."""

    start: int
    first: int
    last: int


def tiles(length: int, window: int, step: int | None = None) -> Iterator[Tile]:
    """Windows that cover a sequence, each base kept in one of them.

    Windows begin every `step` bases; the last one ends where the sequence does. Neighbours meet in
    the middle of what they share.

    Parameters
    ----------
    length
        Bases of the whole, at least one window.
    window
        Bases a model takes.
    step
        From one window to the next; half a window by default.

    Raises
    ------
    InputError
        If the sequence is shorter than a window, or the step leaves gaps.

    Examples
    --------
    >>> [tuple(tile) for tile in tiles(3072, 2048)]
    [(0, 0, 1536), (1024, 1536, 3072)]
    """
    step = max(1, window // 2) if step is None else step
    if not 1 <= step <= window or length < window:
        raise InputError(
            "expected a step from 1 to the window's length, and sequences as long as a window or "
            f"longer. Received: window={window}, step={step}, sequences of {length} bases"
        )
    start = first = 0
    while start + window < length:
        following = min(start + step, length - window)
        last = (following + start + window + 1) // 2
        yield Tile(start, first, last)
        start, first = following, last
    yield Tile(start, first, length)


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
        If the window is not known.

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

    def __init__(
        self, predictor: Predictor, window: int | None = None, step: int | None = None
    ) -> None:
        window = window or getattr(predictor, "input_length", None)
        if window is None:
            raise InputError("name the bases this predictor takes (window=...)")
        self.predictor = predictor
        self.window = window
        self.step = step

    def predict(self, sequences: Any) -> Prediction:
        """Predict sequences of one length, as long as a window or longer."""
        array = as_array(sequences)
        pieces = [
            (tile, self.predictor.predict(array[:, tile.start : tile.start + self.window]))
            for tile in tiles(array.shape[1], self.window, self.step)
        ]

        def join(name: str) -> np.ndarray | None:
            if getattr(pieces[0][1], name) is None:
                return None
            kept = [_kept(getattr(piece, name), tile, self.window) for tile, piece in pieces]
            return np.concatenate(kept, axis=1)

        parts = {name: join(name) for name in ("mean", "aleatoric", "epistemic", "columns")}
        floored = {name: int(np.sum(parts[name] <= MIN_STD)) for name in pieces[0][1].floored}
        return Prediction(pieces[0][1].targets, floored=floored, **parts)


def _kept(part: np.ndarray, tile: Tile, window: int) -> np.ndarray:
    if part.ndim != 3 or part.shape[1] != window:
        raise InputError(
            f"only profiles with a value for each of {window} bases can be joined. "
            f"Received: an output of shape {part.shape}"
        )
    return part[:, tile.first - tile.start : tile.last - tile.start]
