"""Predictions of windows that come in blocks: whole batches, each window once, few held."""

import numpy as np
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.models.inference.windows import predict_blocks
from degu_tf.sequences.fitting import FittedSequences

HEADS = HeadLayout(("A",), epistemic="std")


class Counting:
    """Predicts a window's own number, and the number of windows that it saw at once."""

    def __init__(self):
        self.sizes = []

    def __call__(self, windows):
        self.sizes.append(len(windows))
        columns = np.stack([windows[:, 0], np.full(len(windows), len(windows))], axis=1)
        return HEADS.prediction(columns.astype(np.float32))


def blocks_of(sizes):
    start = 0
    for number, size in enumerate(sizes):
        windows = np.arange(start, start + size)[:, np.newaxis]
        yield FittedSequences([f"s{number}"], windows, np.zeros(size, int))
        start += size


@pytest.mark.parametrize("sizes", [[10], [3, 3, 3, 1], [1] * 10, [9, 1], [4, 4], [2, 7], []])
def test_batches_are_those_of_all_windows_at_once(sizes):
    predict, n = Counting(), sum(sizes)
    found = list(predict_blocks(blocks_of(sizes), predict, 4))
    assert [len(block.rows) for block, _ in found] == sizes
    assert predict.sizes == [4] * (n // 4) + [n % 4] * (n % 4 > 0)
    if n:
        numbers = np.concatenate([prediction.mean[:, 0] for _, prediction in found])
        assert numbers.tolist() == list(range(n))
        batches = np.concatenate([prediction.epistemic[:, 0] for _, prediction in found])
        assert batches.tolist() == [4] * (n // 4 * 4) + [n % 4] * (n % 4)


def test_blocks_are_read_as_they_are_predicted():
    """No more of them are read than the next prediction needs."""
    read = []

    def blocks():
        for block in blocks_of([3] * 20):
            read.append(block)
            yield block

    predict = Counting()
    for number, _ in enumerate(predict_blocks(blocks(), predict, 4), 1):
        assert len(read) <= number + 2
