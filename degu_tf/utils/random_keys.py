"""Keys of stateless random draws: purpose, seed, epoch and batch decide every number."""

import zlib

import tensorflow as tf

from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole


def draw_key(purpose: str, seed: int, *numbers: int | tf.Tensor) -> tf.Tensor:
    """A key for `tf.random.stateless_*` that differs by purpose, seed and each of the numbers.

    Parameters
    ----------
    purpose
        Name of the draw; keys of other purposes are unrelated.
    seed
        Whole number from 0.
    *numbers
        Counters of the draw, such as epoch and batch.

    Returns
    -------
    tf.Tensor
        int64 `(2,)`.

    Raises
    ------
    InputError
        If the seed is not a whole number from 0 to 2**63 - 1.
    """
    if not is_whole(seed, 0, 2**63 - 1):
        raise InputError(f"seed must be a whole number from 0 to 2**63 - 1. Received: {seed!r}")
    key = tf.constant([int(seed), zlib.crc32(purpose.encode())], tf.int64)
    for number in numbers:
        key = tf.random.fold_in(key, tf.cast(number, tf.int64))
    return key
