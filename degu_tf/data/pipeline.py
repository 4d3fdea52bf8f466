"""The tf.data pipeline: tokens in memory, one-hot encoding by batch, and order by seed.

The order of an epoch is drawn statelessly from `(seed, epoch)`, so epochs differ, a run repeats
whatever the parallelism, and any epoch can be reached without playing those before it. So are the
part and the strand of each sequence that a model of profiles sees.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from degu_tf.data.hdf5.stored_splits import StoredSplit
from degu_tf.data.mixed_blocks import BlockOrder, MixedBlocks
from degu_tf.data.splits import Split
from degu_tf.sequences.alphabet import UNKNOWN
from degu_tf.utils.errors import InputError
from degu_tf.utils.random_keys import draw_key

_Reader = Callable[[tf.Tensor], list[tf.Tensor]]

PREFETCHED = 2
"""Batches made ahead. TensorFlow's own number grows with bursts of steps, whatever their size."""

COPIED = 2**28
"""Bytes up to which an array is copied into TensorFlow; of larger ones each batch is read."""


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
    """Number of batches in one pass over the split, a last smaller one included.

    Examples
    --------
    >>> steps_per_epoch(Split(np.zeros((250, 8), np.uint8), np.zeros((250, 1))), 100)
    3
    """
    return -(-len(split) // batch_size)


def epoch_order(n: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """The order `(n,)` int32 in which an epoch visits the rows: a permutation by seed and epoch."""
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.experimental.stateless_shuffle(tf.range(n, dtype=tf.int32), seed=key)


def training_batches(
    split: Split,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    *,
    first_batch: int = 0,
    crop: int | None = None,
    reverse_complement: bool = False,
) -> tf.data.Dataset:
    """Endless shuffled batches `(sequences (B, L, 4) float32, targets)`, epoch after epoch.

    Every epoch visits each row once; its last batch may be smaller. Use with
    `steps_per_epoch(split, batch_size)`. Of data with missing values or weights, batches have
    `Split.value_weights` as a third part.

    Parameters
    ----------
    split
        The data; held in memory as tokens, one byte a base. Arrays of more than `COPIED` bytes, a
        `numpy.memmap` among them, are not copied. Of one that lies in a file
        (`read_splits(in_memory=...)`) blocks are shuffled and mixed, see
        `degu_tf.data.mixed_blocks`.
    batch_size
        Sequences a batch (paper: 100).
    seed
        Decides every epoch's order, and parts and strands.
    first_epoch
        The epoch to begin with, for a run that resumes.
    first_batch
        The batch of that epoch to begin with.
    crop
        Bases of a random crop of each sequence and its profile (paper: 2048 of 3072), drawn again
        each time; None for whole sequences.
    reverse_complement
        Replace half of each batch by reverse complements, with reversed profiles (paper, Methods,
        "Standard training of CNN-task-base"). Of an odd number, the middle one every other time.

    Raises
    ------
    InputError
        If the batch size is not positive, or sequences are shorter than the crop or have no target
        for each base.

    Examples
    --------
    >>> split = Split(np.zeros((5, 8), np.uint8), np.zeros((5, 1)))
    >>> sequences, targets = next(iter(training_batches(split, batch_size=2, seed=0)))
    >>> sequences.shape, targets.shape
    (TensorShape([2, 8, 4]), TensorShape([2, 1]))
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if crop is not None:
        _check_crop(split, crop)
    n, steps = len(split), steps_per_epoch(split, batch_size)
    stored = isinstance(split, StoredSplit)
    read = _stored_reader(split, batch_size, seed) if stored else _reader(split)

    def rows_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        first = tf.where(epoch == first_epoch, tf.constant(first_batch, tf.int64), 0)
        order = None if stored else epoch_order(n, seed, epoch)

        def rows(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            place = (
                tf.stack([epoch, step])
                if order is None
                else order[step * batch_size : (step + 1) * batch_size]
            )
            return place, draw_key("shift and strand", seed, epoch, step)

        return tf.data.Dataset.range(first, steps).map(rows)

    def batch(rows: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x, y, *weights = read(rows)
        for_shift, for_strand = tf.unstack(tf.random.split(key, 2))
        if crop is not None:
            x, y = _cropped(x, y, crop, for_shift)
        if reverse_complement:
            x, y = _half_turned(x, y, for_strand)
        return one_hot_batch(x), y, *weights

    # `Dataset.counter` leaves a graph behind in the process for each one made.
    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    return without_tuning(
        epochs.flat_map(rows_of_epoch)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(PREFETCHED)
        .with_options(_divided_by_rows())
    )


def evaluation_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """The split once, in its own order, as batches like those of `training_batches`."""
    stored = isinstance(split, StoredSplit)
    read = _stored_reader(split, batch_size, None) if stored else _reader(split)

    def batch(start: tf.Tensor) -> tuple[tf.Tensor, ...]:
        if stored:
            x, y, *weights = read(tf.stack([tf.zeros_like(start), start // batch_size]))
        else:
            x, y, *weights = read(tf.range(start, tf.minimum(start + batch_size, len(split))))
        return one_hot_batch(x), y, *weights

    return without_tuning(
        tf.data.Dataset.range(0, len(split), batch_size)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(PREFETCHED)
        .with_options(_divided_by_rows())
    )


def without_tuning(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, in a pipeline that TensorFlow does not tune while it runs.

    Tuning gives these pipelines nothing, and costs time: its thread sleeps longer and longer, up to
    a minute, and the end of a training waits until it wakes (TensorFlow 2.21: 13 s after a training
    of half a minute, 38 s after one of two).

    Examples
    --------
    >>> batches = without_tuning(tf.data.Dataset.range(4).batch(2).repeat())
    >>> batches.options().autotune.enabled
    False
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _divided_by_rows() -> tf.data.Options:
    """On several machines each takes its part of every batch, for there are no files to divide."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def _reader(split: Split) -> _Reader:
    """Gives the rows of sequences and targets, and of the weights of values if there are any."""
    arrays = [split.sequences, split.targets]
    if split.value_weights is not None:
        arrays.append(split.value_weights)
    parts = [_rows(array) for array in arrays]
    return lambda rows: [part(rows) for part in parts]


def _stored_reader(split: Split, batch_size: int, seed: int | None) -> _Reader:
    """Gives sequences and targets of `[epoch, step]`, of a split in a file."""
    arrays = [split.sequences, split.targets]
    batches = MixedBlocks(arrays, BlockOrder.of(arrays, seed), batch_size)

    def read(place: tf.Tensor) -> list[tf.Tensor]:
        taken = tf.numpy_function(
            lambda place: batches.batch(*place.tolist()),
            [place],
            [array.dtype for array in arrays],
            stateful=False,
        )
        shapes = [(None, *array.shape[1:]) for array in arrays]
        return [tf.ensure_shape(each, shape) for each, shape in zip(taken, shapes, strict=True)]

    return read


def _rows(array: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function that gives the rows of an array by their numbers."""
    if array.nbytes <= COPIED:
        with tf.device("CPU"):
            held = tf.constant(array)
        return lambda rows: tf.gather(held, rows)

    def read(rows: tf.Tensor) -> tf.Tensor:
        taken = tf.numpy_function(array.__getitem__, [rows], array.dtype, stateful=False)
        return tf.ensure_shape(taken, (None, *array.shape[1:]))

    return read


def _check_crop(split: Split, crop: int) -> None:
    length = split.sequences.shape[1]
    if not 1 <= crop <= length or split.targets.ndim != 3 or split.targets.shape[1] != length:
        raise InputError(
            "expected sequences of at least the crop's length, with a target for each base. "
            f"Received: crop={crop}, sequences of {length} bases, targets of shape "
            f"{split.targets.shape}"
        )


def _cropped(
    x: tf.Tensor, y: tf.Tensor, length: int, key: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A stretch of every sequence, each at its own place, and the same stretch of its targets."""
    places = x.shape[1] - length + 1
    start = tf.random.stateless_uniform((tf.shape(x)[0], 1), key, 0, places, tf.int32)
    positions = start + tf.range(length)
    return tuple(tf.gather(each, positions, axis=1, batch_dims=1) for each in (x, y))


def _half_turned(x: tf.Tensor, y: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Half of the sequences, chosen at random, as their reverse complements; profiles follow."""
    for_choice, for_odd = tf.unstack(tf.random.split(key, 2))
    n = tf.shape(x)[0]
    odd = tf.random.stateless_uniform((), for_odd, 0, 2, tf.int32)
    turned = tf.random.experimental.stateless_shuffle(tf.range(n), for_choice) < (n + odd) // 2

    def choose(values: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        which = tf.reshape(turned, (-1,) + (1,) * (len(values.shape) - 1))
        return tf.where(which, values, others)

    if x.dtype == tf.uint8:
        back = tf.reverse(x, [1])
        back = tf.where(back == UNKNOWN, back, 3 - back)
    else:
        back = tf.reverse(x, [1, 2])
    return choose(back, x), choose(tf.reverse(y, [1]), y) if len(y.shape) == 3 else y
