import itertools

import numpy as np
import pytest
import tensorflow as tf

from degu_tf.data.pipeline import (
    epoch_order,
    evaluation_batches,
    one_hot_batch,
    steps_per_epoch,
    training_batches,
)
from degu_tf.data.splits import Split
from degu_tf.sequences.encoding import one_hot
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.augmentation.schemes import augmented
from degu_tf.utils.errors import InputError

N, LENGTH, BATCH = 23, 6, 5


@pytest.fixture(scope="module")
def split():
    """Each row's target is its number."""
    tokens = np.random.default_rng(0).integers(0, 5, (N, LENGTH), dtype=np.uint8)
    return Split(tokens, np.arange(N)[:, np.newaxis])


def epochs(dataset, count, steps=5):
    batches = list(itertools.islice(dataset.as_numpy_iterator(), count * steps))
    return [batches[i * steps : (i + 1) * steps] for i in range(count)]


def rows_of(batches):
    return np.concatenate([targets[:, 0] for _, targets in batches]).astype(int).tolist()


def test_every_epoch_visits_each_row_once_with_its_own_sequence(split):
    for batches in epochs(training_batches(split, BATCH, seed=3), 4):
        assert [len(targets) for _, targets in batches] == [5, 5, 5, 5, 3]
        assert sorted(rows_of(batches)) == list(range(N))
        for sequences, targets in batches:
            rows = targets[:, 0].astype(int)
            assert sequences.dtype == np.float32
            assert np.array_equal(sequences, one_hot(split.sequences[rows]))


def test_no_pipeline_has_the_thread_that_tunes_it(split):
    """The end of a training would wait for that thread, up to a minute."""
    training = training_batches(split, BATCH, seed=3)
    for batches in (
        training,
        evaluation_batches(split, BATCH),
        augmented(training, scheme("mutagenesis"), 0, 5),
        augmented(tf.data.Dataset.from_tensors(tf.zeros((2, 40, 4))), scheme("mutagenesis"), 0, 5),
    ):
        assert batches.options().autotune.enabled is False
    assert training.options().experimental_distribute.auto_shard_policy.name == "DATA"


def test_orders_differ_by_epoch_and_seed_and_repeat_by_seed(split):
    first = [rows_of(each) for each in epochs(training_batches(split, BATCH, seed=3), 4)]
    again = [rows_of(each) for each in epochs(training_batches(split, BATCH, seed=3), 4)]
    other = [rows_of(each) for each in epochs(training_batches(split, BATCH, seed=4), 4)]
    assert first == again
    orders = {tuple(order) for order in first + other}
    assert len(orders) == 8
    assert tuple(range(N)) not in orders


def test_any_epoch_can_come_first(split):
    played = [rows_of(each) for each in epochs(training_batches(split, BATCH, seed=3), 4)]
    later = epochs(training_batches(split, BATCH, seed=3, first_epoch=2), 2)
    assert [rows_of(each) for each in later] == played[2:]


def test_any_batch_of_an_epoch_can_come_first(split):
    """With its own part and strand; the epochs after it are whole."""
    whole = list(training_batches(split, BATCH, 3, 1, reverse_complement=True).take(8))
    some = training_batches(split, BATCH, 3, 1, first_batch=3, reverse_complement=True)
    for one, other in zip(whole[3:], some, strict=False):
        for values, expected in zip(other, one, strict=True):
            np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(20, 5, 4), (21, 5, 5), (3, 5, 1)])
def test_steps_per_epoch(n, batch_size, steps):
    split = Split(np.zeros((n, 4), np.uint8), np.zeros((n, 1)))
    assert steps_per_epoch(split, batch_size) == steps
    batches = epochs(training_batches(split, batch_size, 0), 1, steps)[0]
    assert sum(len(targets) for _, targets in batches) == n


def test_every_order_is_about_as_likely():
    orders = [tuple(epoch_order(3, 0, epoch).numpy()) for epoch in range(120)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 120
    assert min(counts) >= 8


def test_sequences_that_are_not_one_hot_pass_unchanged():
    rng = np.random.default_rng(1)
    floats = rng.normal(size=(N, LENGTH, 4)).astype(np.float32)
    split = Split(floats, np.arange(N)[:, np.newaxis])
    for sequences, targets in epochs(training_batches(split, BATCH, seed=0), 1)[0]:
        assert np.array_equal(sequences, floats[targets[:, 0].astype(int)])
    given = np.concatenate([x for x, _ in evaluation_batches(split, 4).as_numpy_iterator()])
    assert np.array_equal(given, floats)


def test_integer_one_hot_is_not_taken_for_tokens(split):
    exact = Split(one_hot(split.sequences).astype(np.uint8), split.targets)
    (sequences, targets), *_ = epochs(training_batches(exact, BATCH, seed=0), 1)[0]
    assert sequences.shape == (BATCH, LENGTH, 4)
    assert np.array_equal(sequences, one_hot(split.sequences[targets[:, 0].astype(int)]))


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_evaluation_keeps_the_order(split, batch_size):
    batches = list(evaluation_batches(split, batch_size).as_numpy_iterator())
    assert len(batches) == -(-N // batch_size)
    assert rows_of(batches) == list(range(N))
    sequences = np.concatenate([sequences for sequences, _ in batches])
    assert np.array_equal(sequences, one_hot(split.sequences))


def test_profile_targets_keep_their_axes():
    targets = np.random.default_rng(2).normal(size=(N, LENGTH, 2)).astype(np.float32)
    split = Split(np.zeros((N, LENGTH), np.uint8), targets)
    (_, batch), *_ = evaluation_batches(split, BATCH).as_numpy_iterator()
    assert np.array_equal(batch, targets[:BATCH])
    assert epochs(training_batches(split, BATCH, 0), 1)[0][0][1].shape == (BATCH, LENGTH, 2)


def test_one_hot_batch_agrees_with_numpy(split):
    assert np.array_equal(one_hot_batch(_tensor(split.sequences)), one_hot(split.sequences))
    assert one_hot_batch(_tensor(np.zeros((2, 3, 4)))).dtype == "float32"


def _tensor(array):
    import tensorflow as tf

    return tf.constant(array)


def test_batch_sizes_below_one(split):
    with pytest.raises(InputError, match=r"at least 1. Received: batch_size=0"):
        training_batches(split, 0, seed=0)
