"""Detection of a file's architecture from the kinds and shapes of its layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from degu_tf.models import registry
from degu_tf.models.dream_rnn import VARIANTS
from degu_tf.models.layers import scale
from degu_tf.models.released.signatures import SIGNATURES, Misfit, Output, Sizes
from degu_tf.models.released.stored_weights import StoredLayer, describe
from degu_tf.utils.errors import InputError

LENGTHS = (249, 230, 2048)
"""The paper's input lengths, of which one is taken where a file fits several lengths."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What to build for a file.

    Attributes
    ----------
    architecture, options
        Arguments of `registry.build`.
    layers
        The file's layers in the order of the model's, within each kind.
    output
        How the output is made.
    lengths
        Shortest and longest input that the arrays fit; None where they fit any.
    """

    architecture: str
    options: dict[str, Any]
    layers: list[StoredLayer]
    output: Output
    lengths: tuple[int, int] | None

    def input_length(self, given: int | None, held: int | None) -> int | None:
        """The length to build for: the one given, the file's, or the one that the arrays fit.

        Raises
        ------
        InputError
            If the arrays do not fit it, or fit several of which none is the paper's.
        """
        wanted = held if given is None else given
        if self.lengths is None:
            return wanted
        low, high = self.lengths
        if wanted is None:
            known = [length for length in LENGTHS if low <= length <= high]
            if low < high and len(known) != 1:
                open_length = (
                    f"the file fits {self.architecture} of any length from {low} to {high}"
                )
                raise InputError(
                    f"{open_length}: give input_length. Received: input_length=None",
                    f"{open_length}: give `degu convert` --length. Received: no --length",
                )
            return known[0] if known else low
        if not low <= wanted <= high:
            raise InputError(
                f"expected an input length from {low} to {high}, which the file's arrays fit. "
                f"Received: {wanted} bases"
            )
        return wanted


def recognise(
    orders: Sequence[Sequence[StoredLayer]], architecture: str | None = None
) -> list[Plan]:
    """What the layers can be, for each order that makes sense.

    Parameters
    ----------
    orders
        Orders in which the layers may come (`Stored.orders`).
    architecture
        The only one to consider; None for all.

    Raises
    ------
    InputError
        If they are no architecture known here; the message says what was found, and of each
        architecture what it lacks.
    """
    if architecture is not None:
        registry.options(architecture)
    names = tuple(SIGNATURES) if architecture is None else (architecture,)
    plans: list[Plan] = []
    reasons: dict[str, str] = {}
    for layers in orders:
        for name in names:
            try:
                plans.append(_plan(name, list(layers)))
            except Misfit as misfit:
                reasons.setdefault(name, str(misfit))
    if not plans:
        missing = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise InputError(
            f"the file's layers are of no known architecture (what would fit: {missing}). "
            f"Received: {describe(orders[0])}"
        )
    return plans


def _plan(name: str, layers: list[StoredLayer]) -> Plan:
    found = SIGNATURES[name](layers)
    defaults = registry.options(name) | _variant_defaults(found.fixed)
    options = dict(found.fixed)
    options |= {key: value for key, value in found.kernels.items() if value != defaults[key]}
    expected = {key: defaults[key] for key in found.sizes}
    width = fitting_width(_flat(expected), _flat(found.sizes))
    if width is None:
        options |= {key: value for key, value in found.sizes.items() if value != expected[key]}
    elif width != 1.0:
        options["width"] = width
    return Plan(name, options, layers, found.output, found.lengths)


def _variant_defaults(fixed: Mapping[str, Any]) -> dict[str, Any]:
    variant = fixed.get("variant")
    return {} if variant is None else {"conv_filters": VARIANTS[variant].conv_filters}


def _flat(sizes: Sizes) -> tuple[int, ...]:
    values: list[int] = []
    for value in sizes.values():
        values += value if isinstance(value, tuple) else (value,)
    return tuple(values)


def fitting_width(whole: Sequence[int], found: Sequence[int]) -> float | None:
    """The roundest factor that turns all sizes into those found; None if there is none.

    Examples
    --------
    >>> fitting_width((256, 60, 120), (64, 15, 30)), fitting_width((256, 60), (256, 61))
    (0.25, None)
    """
    if len(whole) != len(found):
        return None
    low = max(
        0.0 if size == 1 else (size - 0.5) / all_ for all_, size in zip(whole, found, strict=True)
    )
    high = min((size + 0.5) / all_ for all_, size in zip(whole, found, strict=True))
    for digits in range(9):
        step = 10.0**-digits
        for number in range(math.floor(low / step), math.ceil(high / step) + 1)[:100]:
            width = round(number * step, digits)
            if width > 0 and scale(whole, width) == tuple(found):
                return width
    return None
