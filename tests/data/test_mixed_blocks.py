"""The order in which training reads a file: every row once an epoch, and any step on its own."""

import threading

import numpy as np
import pytest

from degu_tf.data.hdf5 import stored_rows
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.hdf5.stored_splits import reading_order
from degu_tf.data.mixed_blocks import BlockOrder, MixedBlocks
from degu_tf.data.pipeline import (
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import one_hot

ORDER = BlockOrder(n_rows=103, block_rows=4, n_mixed=5, seed=3)


def played(epoch, order=ORDER, batch_size=7):
    batches = MixedBlocks([np.arange(order.n_rows)], order, batch_size)
    return [batches.batch(epoch, step)[0] for step in range(-(-order.n_rows // batch_size))]


@pytest.mark.parametrize("batch_size", [1, 7, 50, 200])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_row_once_an_epoch(epoch, batch_size):
    batches = played(epoch, batch_size=batch_size)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert sorted(np.concatenate(batches).tolist()) == list(range(103))


def test_batches_follow_the_order():
    rows = np.concatenate([ORDER.rows(1, group) for group in range(ORDER.n_groups)])
    assert np.array_equal(np.concatenate(played(1)), rows)
    assert ORDER.ends(1)[-1] == 103


def test_any_step_is_reached_without_those_before():
    expected = played(2)
    for step in (14, 3, 9):
        alone = MixedBlocks([np.arange(103)], ORDER, 7).batch(2, step)[0]
        assert np.array_equal(alone, expected[step])


def test_orders_differ_by_epoch_and_seed():
    other = BlockOrder(103, 4, 5, seed=4)
    orders = {tuple(np.concatenate(played(*each))) for each in ((0,), (1,), (0, other))}
    assert len(orders) == 3
    assert tuple(range(103)) not in orders


def test_blocks_are_spread_and_mixed():
    """Neighbours in the file are neighbours in training no more often than chance has it."""
    order = BlockOrder(20_000, 50, 40, seed=0)
    rows = np.concatenate([order.rows(0, group) for group in range(order.n_groups)])
    assert np.mean(np.abs(np.diff(rows)) == 1) < 0.005
    assert abs(np.corrcoef(rows, np.arange(20_000))[0, 1]) < 0.2
    first = rows[:2000] // 50
    assert len(set(first)) == 40


def test_without_a_seed_the_order_is_the_files():
    order = BlockOrder(103, 4, 5, seed=None)
    assert np.array_equal(np.concatenate(played(0, order)), np.arange(103))


def test_threads_get_the_same_batches():
    batches = MixedBlocks([np.arange(103)], ORDER, 7)
    expected, found = played(0), {}

    def take(steps):
        for step in steps:
            found[step] = batches.batch(0, step)[0]

    threads = [threading.Thread(target=take, args=(range(i, 15, 3),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[step], expected[step]) for step in range(15))


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """Each row's target is its number."""
    path = tmp_path_factory.mktemp("data") / "d.h5"
    tokens = np.random.default_rng(0).integers(0, 5, (103, 6), np.uint8)
    part = Split(tokens, np.arange(103)[:, np.newaxis])
    write_splits(path, Splits(part, part, part, HeadLayout(("a",))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_rows, "HELD", 0)
        return read_splits(path, in_memory="always"), read_splits(path, in_memory="never")


def epoch_of(split, first_epoch=0):
    steps = steps_per_epoch(split, 10)
    batches = training_batches(split, 10, 5, first_epoch).take(steps)
    return [(x.numpy(), y.numpy()[:, 0].astype(int)) for x, y in batches]


def test_the_pipeline_of_a_file(splits):
    held, stored = splits
    assert reading_order(held.train) is None
    assert set(reading_order(stored.train).to_dict()) == {"block_rows", "blocks_mixed"}
    for epoch in (0, 2):
        batches = epoch_of(stored.train, epoch)
        assert [len(x) for x, _ in batches] == [10] * 10 + [3]
        assert sorted(np.concatenate([rows for _, rows in batches])) == list(range(103))
        for x, rows in batches:
            assert np.array_equal(x, one_hot(held.train.sequences[rows]))


def test_an_epoch_is_reached_without_those_before(splits):
    _, stored = splits
    steps = steps_per_epoch(stored.train, 10)
    all_of_them = list(training_batches(stored.train, 10, 5).take(3 * steps))
    for (_, rows), (_, expected) in zip(
        epoch_of(stored.train, 2), all_of_them[2 * steps :], strict=True
    ):
        assert np.array_equal(rows, expected[:, 0].numpy().astype(int))


def test_evaluation_of_a_file_keeps_its_order(splits):
    held, stored = splits
    for (x, y), (a, b) in zip(
        evaluation_batches(stored.train, 10), evaluation_batches(held.train, 10), strict=True
    ):
        assert np.array_equal(x, a)
        assert np.array_equal(y, b)
