"""Which augmentations a minibatch gets, and the same ones again from the same seed.

A scheme is any `evoaug_tf.augment.AugmentBase`: one augmentation, or `EvoAug`, which chooses among
several for each minibatch. The paper's are in `SCHEMES` (Methods, "Training DeepSTARR with EvoAug"
and "Distilling models with dynamic augmentations"). In a pipeline, every minibatch's draws follow
from a seed, its epoch and its place in the epoch, so they do not depend on how many are made at
once.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import tensorflow as tf
from evoaug_tf import augment as evoaug
from evoaug_tf.augment import AugmentBase

from degu_tf.data.pipeline import PREFETCHED, without_tuning
from degu_tf.training.augmentation import operations
from degu_tf.training.augmentation.mixtures import Mixture, RandomMosaic, RandomRecombination
from degu_tf.training.augmentation.operations import Keyed
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.random_keys import draw_key


def paper_augmentations() -> list[AugmentBase]:
    """The paper's list: deletion and translocation of 0-20 bases, noise of 0.2, 5 % mutated.

    Deletion and translocation are drawn for the batch, noise and mutation for each sequence.
    """
    return [
        operations.RandomDeletionBatch(0, 20),
        operations.RandomTranslocationBatch(0, 20),
        operations.RandomNoise(0.0, 0.2),
        operations.RandomMutation(0.05),
    ]


class EvoAug(Keyed):
    """For each minibatch a few augmentations of a list, chosen at random, applied in list order.

    Their number is uniform on `fewest` to `most`, and every choice of that many different ones is
    equally likely. Only the chosen ones are computed.

    Parameters
    ----------
    augmentations
        Objects of `degu_tf.training.augmentation.operations`, `evoaug_tf.augment` or a class of
        your own derived from `evoaug_tf.augment.AugmentBase`; `paper_augmentations()` by default.
    fewest, most
        How many are applied. Students see 0 to 2; teachers train with exactly one.

    Raises
    ------
    InputError
        If the list holds something else or an augmentation that lengthens sequences, or not
        0 <= `fewest` <= `most` <= the list's length.

    Examples
    --------
    >>> teachers = EvoAug(fewest=1, most=1)
    >>> teachers(tf.zeros((2, 40, 4))).shape
    TensorShape([2, 40, 4])
    """

    def __init__(
        self, augmentations: Sequence[AugmentBase] | None = None, fewest: int = 0, most: int = 2
    ) -> None:
        chosen = paper_augmentations() if augmentations is None else augmentations
        if not isinstance(chosen, Sequence) or not chosen:
            raise InputError(f"expected a list of augmentations. Received: {augmentations!r}")
        self.augmentations = tuple(_checked(each) for each in chosen)
        whole = isinstance(fewest, Integral) and isinstance(most, Integral)
        if not whole or not 0 <= fewest <= most <= len(self.augmentations):
            raise InputError(
                "expected whole numbers with 0 <= fewest <= most <= the number of augmentations. "
                f"Received: fewest={fewest!r}, most={most!r}, {len(self.augmentations)} "
                "augmentations"
            )
        self.fewest, self.most = int(fewest), int(most)

    def apply(self, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Augment a batch by a key; see `Keyed.apply`."""
        x = tf.convert_to_tensor(x)
        for_number, for_order, for_each = tf.unstack(tf.random.split(key, 3))
        number = tf.random.stateless_uniform(
            (), for_number, self.fewest, self.most + 1, dtype=tf.int32
        )
        order = tf.range(len(self.augmentations))
        order = tf.random.experimental.stateless_shuffle(order, for_order)
        for index, each in enumerate(self.augmentations):
            own_key = tf.random.fold_in(for_each, tf.constant(index, for_each.dtype))
            chosen = partial(apply, each, x, own_key)
            x = tf.cond(order[index] < number, chosen, partial(tf.identity, x))
        return x


_OURS: Mapping[str, type[AugmentBase]] = {
    cls.__name__: cls
    for cls in (
        EvoAug,
        operations.RandomDeletion,
        operations.RandomDeletionBatch,
        operations.RandomTranslocation,
        operations.RandomTranslocationBatch,
        operations.RandomMutation,
        operations.RandomNoise,
        operations.RandomShuffle,
        operations.RandomRC,
        operations.RandomRCBatch,
        RandomRecombination,
        RandomMosaic,
        Mixture,
    )
}


def is_stateless(scheme: AugmentBase) -> bool:
    """Whether all draws of a scheme are decided by the key that it is given.

    That is so of `degu_tf.training.augmentation.operations`, and of your own class if it defines
    `apply(x, key)` as `degu_tf.training.augmentation.operations.Keyed` does. Others draw from
    TensorFlow's generators.

    Raises
    ------
    InputError
        If it is not an augmentation.

    Examples
    --------
    >>> from evoaug_tf.augment import RandomRC
    >>> is_stateless(EvoAug()), is_stateless(EvoAug([operations.RandomNoise(), RandomRC()]))
    (True, False)
    """
    _checked(scheme)
    if isinstance(scheme, EvoAug) and not all(map(is_stateless, scheme.augmentations)):
        return False
    return _takes_key(scheme)


def apply(scheme: AugmentBase, x: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Augment one batch.

    Parameters
    ----------
    scheme
        Any scheme.
    x
        Floating-point `(N, L, 4)`.
    key
        Integers `(2,)`, from which a stateless scheme draws; another is called without it.

    Returns
    -------
    tf.Tensor
        A batch of the same shape and dtype.

    Raises
    ------
    InputError
        If the result has another shape or dtype. Where a graph does not know the result's shape,
        `tf.errors.InvalidArgumentError` says the same when it runs.

    Examples
    --------
    >>> shuffle = operations.RandomShuffle()
    >>> apply(shuffle, tf.zeros((2, 8, 4)), draw_key("example", 0)).shape
    TensorShape([2, 8, 4])
    """
    x = tf.convert_to_tensor(x)
    if type(scheme) in _OURS.values():
        return scheme.apply(x, key)
    if _takes_key(scheme):
        return _alike(scheme.apply(x, key), x, scheme)
    call = scheme if tf.executing_eagerly() else tf.function(scheme)
    return _alike(call(x), x, scheme)


def augmented(
    batches: tf.data.Dataset,
    scheme: AugmentBase,
    seed: int,
    steps_per_epoch: int,
    *,
    append: bool = False,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Augment every batch of a pipeline, by a key of its seed, epoch and place in the epoch.

    A stateless scheme gives the same batches again whatever the parallelism, and differs from
    epoch to epoch. A scheme that draws from TensorFlow's generators is run batch after batch, not
    in parallel, and repeats if `keras.utils.set_random_seed` was called just before the scheme and
    the pipeline were made; `seed` then decides only which members of an `EvoAug` are chosen.

    Parameters
    ----------
    batches
        Endless batches, such as `degu_tf.data.pipeline.training_batches` gives: floating-point
        `(B, L, 4)`, or a tuple of those and whatever belongs to them, such as targets and weights.
        A finite data set starts again at `first_epoch` when it is iterated again.
    scheme
        What is done to the sequences.
    seed
        Decides the draws; it may be the seed of the batches' order, with which they share nothing.
    steps_per_epoch
        Batches in an epoch.
    append
        Keep the originals and put the augmented sequences behind them in the batch; targets and
        weights are repeated.
    first_epoch
        The epoch of the first batch, for resuming a run.

    Returns
    -------
    tf.data.Dataset
        Elements as in `batches`, in the same order and of the same types.

    Raises
    ------
    InputError
        If the sequences are not floating-point `(B, L, 4)`, a number is out of range, or the
        scheme changes shape or dtype (see `apply`).

    Examples
    --------
    >>> batches = tf.data.Dataset.from_tensors((tf.zeros((2, 40, 4)), tf.ones((2, 1)))).repeat()
    >>> x, y = next(iter(augmented(batches, EvoAug(), seed=1, steps_per_epoch=5, append=True)))
    >>> x.shape, y.shape
    (TensorShape([4, 40, 4]), TensorShape([4, 1]))
    """
    for name, value, low in (
        ("steps_per_epoch", steps_per_epoch, 1),
        ("first_epoch", first_epoch, 0),
    ):
        if not isinstance(value, Integral) or value < low:
            raise InputError(f"{name} must be a whole number from {low}. Received: {value!r}")
    _check_elements(batches.element_spec)
    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    parallel = parallel if is_stateless(scheme) else {}
    draw_key("augmentation", seed)

    def twice(values: Any) -> Any:
        return None if values is None else tf.concat([values, values], axis=0)

    @tf.autograph.experimental.do_not_convert
    def augment_batch(position: tf.Tensor, element: Any) -> Any:
        x, *others = element if isinstance(element, tuple) else (element,)
        epoch, index = position // steps_per_epoch, position % steps_per_epoch
        x_new = apply(scheme, x, draw_key("augmentation", seed, epoch, index))
        if append:
            x_new = tf.concat([x, x_new], axis=0)
            others = tf.nest.map_structure(twice, others)
        return (x_new, *others) if isinstance(element, tuple) else x_new

    return without_tuning(
        batches.enumerate(start=first_epoch * steps_per_epoch)
        .map(augment_batch, **parallel)
        .prefetch(PREFETCHED)
    )


def describe(scheme: AugmentBase) -> dict[str, Any]:
    """Plain values that identify a scheme, for JSON: equal schemes, equal description.

    Of your own class it is the qualified name and the attributes; arrays are described by their
    hash and other objects by their class, so keep what matters in plain attributes.

    Raises
    ------
    InputError
        If it is not an augmentation.

    Examples
    --------
    >>> describe(operations.RandomMutation(0.05))
    {'name': 'RandomMutation', 'mutate_frac': 0.05}
    """
    _checked(scheme)
    attributes = {name: _plain(value) for name, value in sorted(vars(scheme).items())}
    if type(scheme) in _OURS.values():
        return {"name": type(scheme).__name__, **attributes}
    return {"class": _qualified(type(scheme)), "attributes": attributes}


def from_description(content: Mapping[str, Any]) -> AugmentBase:
    """Make the scheme that `describe` described, if all its parts are of this package.

    Raises
    ------
    InputError
        If a part is another's class or parameters do not fit.

    Examples
    --------
    >>> from_description(describe(EvoAug(fewest=1, most=1))).most
    1
    """
    name = content.get("name") if isinstance(content, Mapping) else None
    if not isinstance(name, str) or name not in _OURS:
        raise InputError(
            f"only schemes made of {', '.join(_OURS)} are made from a description; make another "
            f"in your own code and pass it. Received: {content!r}"
        )
    parameters = {key: value for key, value in content.items() if key != "name"}
    if isinstance(parameters.get("augmentations"), list):
        parameters["augmentations"] = [
            from_description(each) for each in parameters["augmentations"]
        ]
    try:
        return _OURS[name](**parameters)
    except TypeError as error:
        message = f"parameters of {name} do not fit ({error}). Received: {content!r}"
        raise InputError(message) from error


def _checked(scheme: AugmentBase) -> AugmentBase:
    """Refuse objects that are not augmentations, and those that change the sequences' length."""
    if not isinstance(scheme, AugmentBase):
        hint = "; make an object of the class" if isinstance(scheme, type) else ""
        raise InputError(
            "expected an augmentation, an object of a class derived from "
            f"evoaug_tf.augment.AugmentBase{hint}. Received: {scheme!r}"
        )
    if type(scheme) in (evoaug.RandomInsertion, evoaug.RandomInsertionBatch):
        raise InputError(
            "augmentations must keep the sequences' length; leave out those that insert. "
            f"Received: {_qualified(type(scheme))}"
        )
    return scheme


def _takes_key(scheme: AugmentBase) -> bool:
    """Whether the most derived of `apply` and `__call__` is `apply`."""
    for cls in type(scheme).__mro__:
        if "apply" in vars(cls) or "__call__" in vars(cls):
            return "apply" in vars(cls)
    return False


def _alike(x_new: tf.Tensor, x: tf.Tensor, scheme: AugmentBase) -> tf.Tensor:
    """Refuse a result of another shape or dtype, now or, where it is unknown, in the graph."""
    x_new = tf.convert_to_tensor(x_new)
    expected = f"{_qualified(type(scheme))} must keep the shape and dtype of its batch"
    if x_new.dtype != x.dtype or not x_new.shape.is_compatible_with(x.shape):
        raise InputError(
            f"{expected}. Received: shape {x.shape} and dtype {x.dtype.name}, "
            f"returned shape {x_new.shape} and dtype {x_new.dtype.name}"
        )
    if not x_new.shape.is_fully_defined():
        same = tf.debugging.assert_equal(tf.shape(x_new), tf.shape(x), expected)
        with tf.control_dependencies([same]):
            x_new = tf.identity(x_new)
    return tf.ensure_shape(x_new, x.shape)


def _check_elements(spec: Any) -> None:
    x = spec[0] if isinstance(spec, tuple) and spec else spec
    floating = isinstance(x, tf.TensorSpec) and x.dtype.is_floating
    if not floating or not x.shape.is_compatible_with((None, None, 4)):
        raise InputError(
            "expected batches of floating-point sequences (B, L, 4), alone or first in a tuple; "
            f"tokens go through degu_tf.data.pipeline.one_hot_batch. Received: {spec}"
        )


def _qualified(cls: Any) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _plain(value: Any) -> Any:
    if isinstance(value, AugmentBase):
        return describe(value)
    if isinstance(value, np.ndarray | np.generic | tf.Tensor | tf.Variable):
        array = np.asarray(value)
        if array.ndim == 0:
            return array.item()
        return {"shape": list(array.shape), "sha256": content_hash(array.tolist())}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return _qualified(value if hasattr(value, "__qualname__") else type(value))
