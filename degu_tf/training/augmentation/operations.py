"""Augmentations of a batch of sequences, each a pure function of the batch and a random key.

They are those of `evoaug_tf.augment` (Yu et al., Bioinformatics 40:btae092, 2024) under the same
names and parameters, and `RandomShuffle`. Each is its namesake's subclass, so it runs in any
evoaug-tf loop; `apply(x, key)` besides draws everything from the key. All work on whole batches
without a loop over sequences, keep length, dtype and static shape, and leave unknown bases
(all-zero rows) unknown. Where evoaug-tf 1.0.3 departs from EvoAug (Lee et al., Genome Biol. 24:105,
2023), they follow EvoAug.
"""

import math
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import tensorflow as tf
from evoaug_tf import augment as evoaug

from degu_tf.utils.errors import InputError

SILENT = 0.25
"""Share of uniformly drawn bases that equal the one they replace."""


class Keyed(evoaug.AugmentBase):
    """An augmentation whose draws are decided by a key.

    A subclass defines `apply`. Called without a key, as evoaug-tf does, it draws one from
    TensorFlow's global generator.

    Examples
    --------
    >>> x = tf.one_hot([[0, 1, 2, 3]], 4)
    >>> key = tf.constant([7, 0], tf.int64)
    >>> bool(tf.reduce_all(RandomNoise().apply(x, key) == RandomNoise().apply(x, key)))
    True
    >>> RandomNoise()(x).shape
    TensorShape([1, 4, 4])
    """

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch.

        Parameters
        ----------
        x
            Floating-point `(N, L, 4)`.
        key
            Integers `(2,)` as for `tf.random.stateless_uniform`: equal keys, equal draws.

        Returns
        -------
        tf.Tensor
            A batch of the same shape and dtype.

        Raises
        ------
        InputError
            If `x` is not such a batch, or its sequences are too short for the parameters. Lengths
            that a graph does not know are checked when it runs
            (`tf.errors.InvalidArgumentError`).
        """
        raise NotImplementedError

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Augment a batch by a key drawn from TensorFlow's global generator."""
        low, high = tf.int64.min, tf.int64.max
        return self.apply(x, tf.random.uniform((2,), minval=low, maxval=high, dtype=tf.int64))


class _Deletion(Keyed):
    together: ClassVar[bool]

    def __init__(self, delete_min: int = 0, delete_max: int = 20) -> None:
        self.delete_min, self.delete_max = _whole_range("delete", delete_min, delete_max)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        x, n, length = _batch(x, self.delete_max, f"deletions of up to {self.delete_max} bases")
        if self.delete_max == 0:
            return x
        draws = (1,) if self.together else (n, 1)
        for_size, for_start, for_dna = tf.unstack(tf.random.split(key, 3))
        size = random_integers(draws, for_size, self.delete_min, self.delete_max + 1)
        start = random_integers(draws, for_start, 0, length - self.delete_max + 1)
        before, place = size // 2, tf.range(length)
        source = place - before
        source += tf.where(source >= start, size, 0)
        source = tf.where(place < before, length + place, source)
        source = tf.where(place >= length - (size - before), self.delete_max + place, source)
        dna = _random_dna((n, self.delete_max), for_dna, x.dtype)
        return _rows(tf.concat([x, dna], axis=1), source)


class RandomDeletion(_Deletion, evoaug.RandomDeletion):
    """Delete a stretch of each sequence, of its own length at its own place.

    The sequence closes up and random DNA fills half of the lost length at each end, the odd base
    at the right. The stretch starts at 0 to L - `delete_max`, as in EvoAug.

    Parameters
    ----------
    delete_min, delete_max
        Lengths between which, both included, one is drawn uniformly.

    Raises
    ------
    InputError
        If they are not whole numbers with 0 <= `delete_min` <= `delete_max`.

    Notes
    -----
    evoaug-tf's form of this fails on any dtype but float32 and on `delete_max=0`, and its result
    has no static length in a graph.

    Examples
    --------
    >>> RandomDeletion(2, 2)(tf.zeros((3, 9, 4))).numpy().sum(axis=(1, 2)).tolist()
    [2.0, 2.0, 2.0]
    """

    together = False


class RandomDeletionBatch(_Deletion, evoaug.RandomDeletionBatch):
    """Delete a stretch of one length at one place from every sequence of the batch.

    The random DNA that fills the ends is each sequence's own. See `RandomDeletion`.

    Notes
    -----
    evoaug-tf's form of this always fails: it joins the pieces along the batch.
    """

    together = True


class _Translocation(Keyed):
    together: ClassVar[bool]

    def __init__(self, shift_min: int = 0, shift_max: int = 20) -> None:
        self.shift_min, self.shift_max = _whole_range("shift", shift_min, shift_max)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        x, n, length = _batch(x, self.shift_max + 1, f"shifts of up to {self.shift_max} bases")
        draws = (1,) if self.together else (n, 1)
        for_size, for_sign = tf.unstack(tf.random.split(key, 2))
        size = random_integers(draws, for_size, self.shift_min, self.shift_max + 1)
        sign = 2 * random_integers(draws, for_sign, 0, 2) - 1
        return _rows(x, (tf.range(length) - sign * size) % length)


class RandomTranslocation(_Translocation, evoaug.RandomTranslocation):
    """Roll each sequence by its own number of positions; what leaves one end enters the other.

    Parameters
    ----------
    shift_min, shift_max
        Distances between which, both included, one is drawn uniformly; to the right or to the
        left at equal chance.

    Raises
    ------
    InputError
        If they are not whole numbers with 0 <= `shift_min` <= `shift_max`.

    Notes
    -----
    evoaug-tf's form of this draws from `-shift_max` to `shift_max - 1`: it ignores `shift_min`,
    never reaches `+shift_max`, and leaves the sequence in place half as often. EvoAug draws as
    this one does.

    Examples
    --------
    >>> x = tf.reshape(tf.range(24.0), (1, 6, 4))
    >>> int(RandomTranslocation(2, 2)(x)[0, 0, 0]) in (8, 16)
    True
    """

    together = False


class RandomTranslocationBatch(_Translocation, evoaug.RandomTranslocationBatch):
    """Roll every sequence of the batch by one and the same number of positions.

    See `RandomTranslocation`.
    """

    together = True


class RandomMutation(Keyed, evoaug.RandomMutation):
    """Replace a fixed number of each sequence's positions by bases drawn uniformly.

    round(`mutate_frac` / 0.75 x L) different positions are drawn; a quarter of the bases drawn
    equal those they replace, so about `mutate_frac` of the positions change. Draws that fall on
    an unknown base do nothing.

    Parameters
    ----------
    mutate_frac
        Share of positions that change on average, 0 to 0.75.

    Raises
    ------
    InputError
        If it is outside 0 to 0.75: random DNA at every position changes 0.75 of them.

    Notes
    -----
    evoaug-tf's form of this turns unknown bases into known ones and fails on any dtype but
    float32.

    Examples
    --------
    >>> x = tf.one_hot(tf.zeros((1, 100), tf.int32), 4)
    >>> int(tf.reduce_sum(1.0 - RandomMutation(0.05)(x)[..., 0])) <= 7
    True
    """

    def __init__(self, mutate_frac: float = 0.05) -> None:
        self.mutate_frac = _real("mutate_frac", mutate_frac, 0.0, 1.0 - SILENT)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch by a key; see `Keyed.apply`."""
        x, n, length = _batch(x)
        count = self._count(length)
        for_place, for_base = tf.unstack(tf.random.split(key, 2))
        places = _distinct((n, length), for_place, count)
        sequence = tf.broadcast_to(tf.range(n)[:, tf.newaxis], tf.shape(places))
        replaced = tf.gather(x, places, batch_dims=1)
        bases = _random_dna(tf.shape(places), for_base, x.dtype)
        bases = tf.where(_known(replaced), bases, replaced)
        return tf.tensor_scatter_nd_update(x, tf.stack([sequence, places], axis=-1), bases)

    def _count(self, length: int | tf.Tensor) -> int | tf.Tensor:
        """Positions drawn in a sequence, rounded in float32 as evoaug-tf does."""
        share = np.float32(self.mutate_frac / (1.0 - SILENT))
        if isinstance(length, int):
            return int(np.round(share * np.float32(length)))
        return tf.cast(tf.round(share * tf.cast(length, tf.float32)), tf.int32)


class RandomNoise(Keyed, evoaug.RandomNoise):
    """Add Gaussian noise to the four numbers of every known base.

    Parameters
    ----------
    noise_mean, noise_std
        Mean and standard deviation of the noise.

    Raises
    ------
    InputError
        If they are not finite, or `noise_std` is negative.

    Notes
    -----
    evoaug-tf's form of this adds noise to unknown bases too and fails on any dtype but float32.

    Examples
    --------
    >>> x = tf.one_hot([[0, -1]], 4)
    >>> tf.reduce_any(RandomNoise()(x) != x, axis=-1).numpy().tolist()
    [[True, False]]
    """

    def __init__(self, noise_mean: float = 0.0, noise_std: float = 0.2) -> None:
        self.noise_mean = _real("noise_mean", noise_mean)
        self.noise_std = _real("noise_std", noise_std, 0.0)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch by a key; see `Keyed.apply`."""
        x, n, length = _batch(x)
        noise = tf.random.stateless_normal((n, length, 4), key, self.noise_mean, self.noise_std)
        noise = tf.cast(noise, x.dtype)
        return x + tf.where(_known(x), noise, tf.zeros_like(noise))


class RandomShuffle(Keyed):
    """Permute the positions of each sequence, every sequence by its own uniform permutation.

    The four numbers of a position stay together, so composition and unknown bases are kept.

    Examples
    --------
    >>> x = tf.reshape(tf.range(24.0), (1, 6, 4))
    >>> sorted(RandomShuffle()(x)[0, :, 0].numpy().tolist())
    [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    """

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch by a key; see `Keyed.apply`."""
        x, n, length = _batch(x)
        return _rows(x, _distinct((n, length), key, length))


class _ReverseComplement(Keyed):
    together: ClassVar[bool]

    def __init__(self, rc_prob: float = 0.5) -> None:
        self.rc_prob = _real("rc_prob", rc_prob, 0.0, 1.0)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        x, n, _ = _batch(x)
        draws = (1, 1, 1) if self.together else (n, 1, 1)
        turned = tf.random.stateless_uniform(draws, key) < self.rc_prob
        return tf.where(turned, tf.reverse(x, axis=[1, 2]), x)


class RandomRC(_ReverseComplement, evoaug.RandomRC):
    """Replace each sequence by its reverse complement, or not.

    Parameters
    ----------
    rc_prob
        Chance of being replaced.

    Raises
    ------
    InputError
        If it is outside 0 to 1.

    Examples
    --------
    >>> x = tf.one_hot([[0, 0, 1]], 4)
    >>> tf.argmax(RandomRC(1.0)(x), axis=-1).numpy().tolist()
    [[2, 3, 3]]
    """

    together = False


class RandomRCBatch(_ReverseComplement, evoaug.RandomRCBatch):
    """Replace all sequences of the batch by their reverse complements, or none.

    See `RandomRC`.
    """

    together = True


def _batch(
    x: tf.Tensor, shortest: int = 1, needed_by: str = "augmentation"
) -> tuple[tf.Tensor, int | tf.Tensor, int | tf.Tensor]:
    """The checked batch, its number of sequences and their length, as int where they are static."""
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating or not x.shape.is_compatible_with((None, None, 4)):
        raise InputError(
            "expected floating-point sequences (N, L, 4); tokens go through "
            f"degu_tf.data.pipeline.one_hot_batch. Received: shape {x.shape}, dtype {x.dtype.name}"
        )
    x = tf.ensure_shape(x, (None, None, 4))
    n, length = (
        static if static is not None else tf.shape(x)[axis]
        for axis, static in enumerate(x.shape[:2])
    )
    if isinstance(length, int):
        if length < shortest:
            raise InputError(
                f"{needed_by} need sequences of {shortest} bases or more. Received: {length} bases"
            )
        return x, n, length
    message = f"{needed_by} need sequences of {shortest} bases or more"
    with tf.control_dependencies([tf.debugging.assert_greater_equal(length, shortest, message)]):
        return x, n, tf.identity(length)


def _rows(x: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
    """Rows of each sequence in the order `source`, `(L,)` for all alike or `(N, L)`."""
    return tf.gather(x, source, axis=1, batch_dims=source.shape.rank - 1)


def _known(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(x != 0, axis=-1, keepdims=True)


def random_integers(
    shape: tuple | tf.Tensor, key: tf.Tensor, low: int, high: int | tf.Tensor
) -> tf.Tensor:
    """Uniform whole numbers from `low` to `high - 1`, int32, decided by the key.

    Examples
    --------
    >>> random_integers((3,), tf.constant([1, 2], tf.int64), 5, 6).numpy().tolist()
    [5, 5, 5]
    """
    return tf.random.stateless_uniform(shape, key, low, high, tf.int32)


def _random_dna(shape: tuple | tf.Tensor, key: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.one_hot(random_integers(shape, key, 0, 4), 4, dtype=dtype)


def _distinct(shape: tuple, key: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """In each row, `count` different columns in random order."""
    ranks = tf.random.stateless_uniform(shape, key, minval=None, maxval=None, dtype=tf.int32)
    return tf.math.top_k(ranks, count).indices


def _whole_range(what: str, low: int, high: int) -> tuple[int, int]:
    whole = isinstance(low, Integral) and isinstance(high, Integral)
    if not whole or not 0 <= low <= high:
        raise InputError(
            f"expected whole numbers with 0 <= {what}_min <= {what}_max. "
            f"Received: {what}_min={low!r}, {what}_max={high!r}"
        )
    return int(low), int(high)


def _real(what: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    if not isinstance(value, Real) or not math.isfinite(value) or not low <= value <= high:
        between = "" if math.isinf(low) else f" from {low:g}"
        between += "" if math.isinf(high) else f" to {high:g}"
        raise InputError(f"{what} must be a finite number{between}. Received: {value!r}")
    return float(value)
