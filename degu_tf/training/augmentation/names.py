"""Schemes and mixtures of them by name, as settings and the command line write them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from evoaug_tf.augment import AugmentBase

from degu_tf.training.augmentation import operations
from degu_tf.training.augmentation.mixtures import Mixture, RandomMosaic, RandomRecombination
from degu_tf.training.augmentation.schemes import EvoAug, paper_augmentations
from degu_tf.utils.errors import InputError


def _released() -> EvoAug:
    augmentations = paper_augmentations()
    augmentations[0] = operations.RandomDeletion(0, 20)
    return EvoAug(augmentations, fewest=1, most=2)


def _mutate_recombine() -> Mixture:
    return Mixture([operations.RandomMutation(0.04), RandomRecombination()], [0.5, 0.5])


def _mosaic(segments: float = 4) -> EvoAug:
    """Mosaics with 2 % mutations, always both."""
    parts = [RandomMosaic(_whole(segments)), operations.RandomMutation(0.02)]
    return EvoAug(parts, fewest=2, most=2)


SCHEMES: Mapping[str, Callable[[], AugmentBase]] = {
    "evoaug": EvoAug,
    "evoaug_one": partial(EvoAug, fewest=1, most=1),
    "evoaug_released": _released,
    "mutagenesis": partial(operations.RandomMutation, 0.05),
    "shuffle": operations.RandomShuffle,
    "deletion": partial(operations.RandomDeletion, 0, 20),
    "translocation": partial(operations.RandomTranslocation, 0, 20),
    "noise": operations.RandomNoise,
    "recombine": RandomRecombination,
    "mosaic": _mosaic,
    "mutate_recombine": _mutate_recombine,
}
"""Schemes by name. For students: `evoaug` (0 to 2 of the list for each minibatch), `mutagenesis`
(5 %), `shuffle`; for teachers `evoaug_one` (exactly one). `evoaug_released` is what the released
scripts ran for students instead of `evoaug`: 1 or 2, and deletions drawn for each sequence.
`recombine` joins the head of one sequence to the tail of another; `mutate_recombine` has half of
the sequences mutated at 4 %, half recombined. `mosaic` makes sequences of up to four segments, on
either strand, with 2 % mutations: the students of the recipe `best` see mostly these."""

STRENGTHS: Mapping[str, Callable[[float], AugmentBase]] = {
    "mutagenesis": operations.RandomMutation,
    "noise": partial(operations.RandomNoise, 0.0),
    "deletion": lambda longest: operations.RandomDeletion(0, _whole(longest)),
    "mosaic": _mosaic,
    "translocation": lambda longest: operations.RandomTranslocation(0, _whole(longest)),
}
"""Augmentations that are named with a strength: the share of bases that is mutated, the standard
deviation of the noise, the most segments of a mosaic, and the most bases that are deleted or that a
sequence is moved by."""


def _whole(value: float) -> int:
    if not float(value).is_integer():
        raise InputError(f"expected a whole number. Received: {value}")
    return int(value)


def scheme(name: str) -> AugmentBase:
    """Make the scheme of a name in `SCHEMES`, or a mixture of them by shares.

    Parameters
    ----------
    name
        A name; or several with the share of the sequences that each augments, such as
        ``"mutagenesis:0.5,recombine:0.5"``. A name of `STRENGTHS` may be followed by its strength,
        ``"mutagenesis=0.04"``. What the shares leave of one is not augmented.

    Raises
    ------
    InputError
        If a name is unknown, or a share or strength is missing, no number or out of range.

    Examples
    --------
    >>> scheme("evoaug_one").most
    1
    >>> scheme("mutagenesis=0.04:0.5,recombine:0.5").shares
    [0.5, 0.5]
    """
    if "," not in name and ":" not in name:
        return _one_scheme(name)
    parts = [part.strip().rpartition(":") for part in name.split(",")]
    if not all(before and after for before, _, after in parts):
        raise InputError(
            "in a mixture every scheme has its share, such as mutagenesis:0.5,recombine:0.5. "
            f"Received: {name!r}"
        )
    return Mixture(
        [_one_scheme(before) for before, _, _ in parts],
        [_number(after, name) for _, _, after in parts],
    )


def _one_scheme(text: str) -> Any:
    name, has_strength, strength = text.partition("=")
    if has_strength and name in STRENGTHS:
        return STRENGTHS[name](_number(strength, text))
    if has_strength:
        raise InputError(f"a strength goes with one of {', '.join(STRENGTHS)}. Received: {text!r}")
    if name not in SCHEMES:
        raise InputError(f"expected one of the schemes {', '.join(SCHEMES)}. Received: {text!r}")
    return SCHEMES[name]()


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected a number, not {text!r}. Received: {where!r}") from None
