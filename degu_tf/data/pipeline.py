"""tf.data: tokens in memory, one-hot made batch by batch, an order that repeats by seed.

The order of an epoch is drawn statelessly from `(seed, epoch)`, so epochs differ, a run repeats
whatever the parallelism, and any epoch can be reached without playing those before it.
"""

import tensorflow as tf

from degu_tf.data.splits import Split
from degu_tf.errors import InputError


def one_hot_batch(sequences: tf.Tensor) -> tf.Tensor:
    """Tokens `(B, L)` as float32 `(B, L, 4)`, unknown bases all-zero; float batches pass unchanged.

    Examples
    --------
    >>> one_hot_batch(tf.constant([[2, 4]], tf.uint8)).numpy().tolist()
    [[[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]
    """
    if sequences.dtype == tf.uint8:
        return tf.one_hot(sequences, 4, dtype=tf.float32)
    return tf.cast(sequences, tf.float32)


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Number of batches in one pass over the split, a last smaller one included."""
    return -(-len(split) // batch_size)


def epoch_order(n: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """The order `(n,)` int32 in which an epoch visits the rows: a permutation by seed and epoch."""
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(n, dtype=tf.int32), seed=key)


def training_batches(
    split: Split, batch_size: int, seed: int, first_epoch: int = 0
) -> tf.data.Dataset:
    """Endless shuffled batches `(sequences (B, L, 4) float32, targets)`, epoch after epoch.

    Every epoch visits each row once; its last batch may be smaller. Use with
    `steps_per_epoch(split, batch_size)`.

    Parameters
    ----------
    split
        The data; held in memory as tokens, one byte a base.
    batch_size
        Sequences a batch (paper: 100).
    seed
        Decides every epoch's order.
    first_epoch
        The epoch whose order comes first, for going on where a run stopped.

    Raises
    ------
    InputError
        If the batch size is not positive.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    with tf.device("CPU"):
        sequences, targets = tf.constant(split.sequences), tf.constant(split.targets)
    n, steps = len(split), steps_per_epoch(split, batch_size)

    def rows_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = epoch_order(n, seed, epoch)
        return tf.data.Dataset.range(steps).map(
            lambda step: order[step * batch_size : (step + 1) * batch_size]
        )

    def batch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return one_hot_batch(tf.gather(sequences, rows)), tf.gather(targets, rows)

    epochs = tf.data.Dataset.counter(first_epoch)
    return (
        epochs.flat_map(rows_of_epoch)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """The split once, in its own order, as batches `(sequences (B, L, 4) float32, targets)`."""
    with tf.device("CPU"):
        arrays = tf.constant(split.sequences), tf.constant(split.targets)
    return (
        tf.data.Dataset.range(0, len(split), batch_size)
        .map(lambda start: tuple(array[start : start + batch_size] for array in arrays))
        .map(
            lambda sequences, targets: (one_hot_batch(sequences), targets),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .prefetch(tf.data.AUTOTUNE)
    )
