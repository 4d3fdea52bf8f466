"""Augmentations that combine sequences with each other, and schemes with each other."""

import math
from collections.abc import Sequence

import tensorflow as tf

from degu_tf.training.augmentation.operations import Keyed, random_integers
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole


class RandomRecombination(Keyed):
    """Join the head of each sequence to the tail of another one of its batch.

    The breakpoint is uniform on 1 to L - 1, each sequence's own, and the other sequence is the one
    that follows it in a random order of the batch. New sequences keep the composition and most
    motifs of real ones, which random mutagenesis and shuffling do not. Labels do not carry over:
    for students, whose teachers label what was made. A batch of one stays as it is.

    Examples
    --------
    >>> x = tf.one_hot([[0] * 6, [3] * 6], 4)
    >>> made = RandomRecombination().apply(x, tf.constant([1, 2], tf.int64))
    >>> made[:, 0].numpy().argmax(axis=1).tolist(), made[:, -1].numpy().argmax(axis=1).tolist()
    ([0, 3], [3, 0])
    """

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Recombine a batch `(N, L, 4)`."""
        x = tf.convert_to_tensor(x)
        n, length = tf.shape(x)[0], tf.shape(x)[1]
        for_order, for_break = tf.unstack(tf.random.split(key, 2))
        order = tf.random.experimental.stateless_shuffle(tf.range(n), seed=for_order)
        partner = tf.scatter_nd(order[:, tf.newaxis], tf.roll(order, -1, axis=0), [n])
        breakpoint = tf.random.stateless_uniform(
            (n, 1), for_break, minval=1, maxval=tf.maximum(length, 2), dtype=tf.int32
        )
        head = tf.range(length) < breakpoint
        return tf.ensure_shape(tf.where(head[..., tf.newaxis], x, tf.gather(x, partner)), x.shape)


class RandomMosaic(Keyed):
    """Put each sequence together from segments of others of its batch, on either strand.

    A sequence has 1 to `segments` segments, as many equally likely, cut at random. Each comes from
    a sequence of its own; half of them keep their place, the others come from a random one, round
    the ends; half are reverse complements. New sequences hold motifs of real ones in new
    company, order and orientation. Labels do not carry over: for students, whose teachers label
    what was made.

    Students of EvoAug teachers on 12,000 real oligos kept 76 % of their ensemble's gain on mosaics
    with some mutated sequences, 67 % on half mutated and half recombined ones, in as many steps
    (`notebooks/how_much_a_student_keeps.ipynb`; one seed each).

    Parameters
    ----------
    segments
        The most segments of a sequence.

    Raises
    ------
    InputError
        If there is not at least one.

    Examples
    --------
    >>> x = tf.one_hot([[0, 1, 2, 3, 0, 1], [2, 2, 2, 0, 0, 0]], 4)
    >>> RandomMosaic(2).apply(x, tf.constant([1, 2], tf.int64)).shape
    TensorShape([2, 6, 4])
    """

    def __init__(self, segments: int = 4) -> None:
        if not is_whole(segments) or segments < 1:
            raise InputError(f"a mosaic has one or more segments. Received: segments={segments!r}")
        self.segments = int(segments)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Make as many mosaics as the batch `(N, L, 4)` has sequences."""
        x = tf.convert_to_tensor(x)
        n, length = tf.shape(x)[0], tf.shape(x)[1]
        keys = tf.unstack(tf.random.split(key, 6))
        each, cuts = (n, self.segments), (n, self.segments - 1)
        number = random_integers((n, 1), keys[0], 1, self.segments + 1)
        cut = random_integers(cuts, keys[1], 1, tf.maximum(length, 2))
        cut = tf.where(tf.range(self.segments - 1) < number - 1, cut, length)
        segment = tf.reduce_sum(
            tf.cast(tf.range(length)[:, tf.newaxis] >= cut[:, tf.newaxis], tf.int32), axis=2
        )
        source = random_integers(each, keys[2], 0, n)
        moved = tf.where(
            random_integers(each, keys[3], 0, 2) == 1, 0, random_integers(each, keys[4], 0, length)
        )
        turned = random_integers(each, keys[5], 0, 2)
        source, moved, turned = (
            tf.gather(values, segment, batch_dims=1) for values in (source, moved, turned)
        )
        place = (tf.range(length) + moved) % length
        place = tf.where(turned == 1, length - 1 - place, place)
        made = tf.gather_nd(x, tf.stack([source, place], axis=2))
        made = tf.where(turned[..., tf.newaxis] == 1, tf.reverse(made, [2]), made)
        return tf.ensure_shape(made, x.shape)


class Mixture(Keyed):
    """Give each sequence of a batch to one of several augmentations, by shares.

    Parameters
    ----------
    augmentations
        Augmentations of `degu_tf.training.augmentation`, whose draws are decided by a key.
    shares
        Probability of each; what is left of one keeps its sequences unaugmented.

    Raises
    ------
    InputError
        If shares and augmentations are not as many, a share is not positive, they add up to more
        than one, or an augmentation draws without a key.

    Examples
    --------
    >>> from degu_tf.training.augmentation.operations import RandomMutation
    >>> mixture = Mixture([RandomMutation(0.04), RandomRecombination()], [0.5, 0.5])
    >>> mixture.apply(tf.zeros((6, 20, 4)), tf.constant([1, 2], tf.int64)).shape
    TensorShape([6, 20, 4])
    """

    def __init__(self, augmentations: Sequence[Keyed], shares: Sequence[float]) -> None:
        augmentations, shares = list(augmentations), [float(share) for share in shares]
        if not augmentations or len(augmentations) != len(shares):
            raise InputError(
                "a mixture has one share for each augmentation, and at least one. "
                f"Received: {len(augmentations)} augmentations, shares={shares}"
            )
        if not all(isinstance(each, Keyed) for each in augmentations):
            names = [type(each).__name__ for each in augmentations]
            raise InputError(
                "a mixture is made of augmentations whose draws are decided by a key "
                f"(degu_tf.training.augmentation). Received: {names}"
            )
        total = sum(shares)
        if not all(0.0 < share <= 1.0 for share in shares) or total > 1.0 + 1e-9:
            raise InputError(
                f"shares must be above 0 and add up to at most 1. Received: shares={shares}"
            )
        if not math.isfinite(total):
            raise InputError(f"shares must be numbers. Received: shares={shares}")
        self.augmentations = augmentations
        self.shares = shares

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch `(N, L, 4)`; every augmentation sees all of it, each row keeps one."""
        x = tf.convert_to_tensor(x)
        for_choice, *keys = tf.unstack(tf.random.split(key, 1 + len(self.augmentations)))
        draw = tf.random.stateless_uniform((tf.shape(x)[0], 1, 1), for_choice)
        made, low = x, 0.0
        for augmentation, share, own in zip(self.augmentations, self.shares, keys, strict=True):
            chosen = (draw >= low) & (draw < low + share)
            made = tf.where(chosen, augmentation.apply(x, own), made)
            low += share
        return made


def recombines(augmentation: object) -> bool:
    """Whether an augmentation joins sequences to others, so that their labels do not carry over.

    Examples
    --------
    >>> from degu_tf.training.augmentation.operations import RandomMutation
    >>> recombines(RandomMutation()), recombines(Mixture([RandomRecombination()], [0.5]))
    (False, True)
    """
    parts = getattr(augmentation, "augmentations", ())
    mixed = isinstance(augmentation, RandomRecombination | RandomMosaic)
    return mixed or any(map(recombines, parts))
