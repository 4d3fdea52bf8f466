"""Predictions of windows that come in blocks, the same numbers as of all windows at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from degu_tf.heads import Prediction
from degu_tf.models.predictor import combined
from degu_tf.sequences.fitting import FittedSequences


def predict_blocks(
    blocks: Iterable[FittedSequences],
    predict: Callable[[np.ndarray], Prediction],
    at_once: int,
) -> Iterator[tuple[FittedSequences, Prediction]]:
    """Predict the windows of blocks, and give each block with what is predicted of its windows.

    Windows are gathered over blocks, so that those that one batch holds are those that it would
    hold of all windows: the last digits of a prediction depend on the batch's size.

    Parameters
    ----------
    blocks
        Windows of one length, or none.
    predict
        Predicts windows `(N, L)` or `(N, L, 4)`.
    at_once
        Number of windows that are predicted at once: a multiple of the predictor's batch.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> def first_base(tokens):
    ...     return HeadLayout(("A",)).prediction(tokens[:, :1].astype(np.float32))
    >>> tokens = np.arange(4, dtype=np.uint8)[:, np.newaxis]
    >>> blocks = [FittedSequences(["x"], tokens[:3], np.zeros(3, int)),
    ...           FittedSequences(["y"], tokens[3:], np.zeros(1, int))]
    >>> found = predict_blocks(blocks, first_base, 2)
    >>> [(block.names, prediction.mean[:, 0].tolist()) for block, prediction in found]
    [(['x'], [0.0, 1.0, 2.0]), (['y'], [3.0])]
    """
    waiting: deque[FittedSequences] = deque()
    windows: list[np.ndarray] = []
    made = _Made()
    for block in blocks:
        waiting.append(block)
        windows.append(block.sequences)
        if sum(map(len, windows)) < at_once:
            continue
        gathered = np.concatenate(windows)
        n = len(gathered) // at_once * at_once
        for start in range(0, n, at_once):
            made.add(predict(gathered[start : start + at_once]))
        windows = [gathered[n:]]
        yield from made.complete(waiting)
    left = np.concatenate(windows) if windows else np.empty(0)
    if len(left):
        made.add(predict(left))
    yield from made.complete(waiting)


class _Made:
    """Predictions that were made and not yet handed out."""

    def __init__(self) -> None:
        self.predictions: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)

    def complete(
        self, waiting: deque[FittedSequences]
    ) -> Iterator[tuple[FittedSequences, Prediction]]:
        """The blocks of whose windows all are predicted, which wait no longer."""
        if not self.predictions:
            return
        whole = combined(self.predictions, np.concatenate)
        start = 0
        while waiting and start + len(waiting[0].rows) <= len(whole.mean):
            end = start + len(waiting[0].rows)
            yield waiting.popleft(), whole.select(slice(start, end))
            start = end
        self.predictions = [whole.select(slice(start, None))] if start < len(whole.mean) else []
