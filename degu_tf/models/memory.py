"""Memory that an architecture's weights would take, estimated before any are made."""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import keras

from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

MANY_UNITS = 4096
"""Models whose layers are all narrower are built without an estimate."""

_PROBES = (64, 128)
_SIZES = ("filters", "units", "bottleneck")


def check_memory(
    name: str,
    build: Callable[[float], keras.Model],
    options: Mapping[str, Any],
    given: Mapping[str, Any],
) -> None:
    """Refuse an architecture whose weights alone exceed this machine's memory.

    The number of weights grows with the square of the width, so two narrow models tell that of a
    wide one.

    Parameters
    ----------
    name
        The architecture's name, for the message.
    build
        From a width to the model.
    options
        All of its options, `width` among them. Values of the wrong type are left to the builder.
    given
        Those that were given, for the message.

    Raises
    ------
    InputError
        If the estimate exceeds the memory.
    """
    widest = _widest(options)
    if widest is None or widest <= MANY_UNITS:
        return
    width = float(options["width"])
    state = random.getstate()
    widths = [width * units / widest for units in _PROBES]
    counts = [build(each).count_params() for each in widths]
    random.setstate(state)
    n = _extrapolated(widths, counts, width)
    memory = memory_bytes()
    if 4.0 * n > memory:
        raise InputError(
            f"{name} of this width would have about {n:.2g} weights, {4.0 * n / 1e9:.3g} GB, more "
            f"than the {memory / 1e9:,.0f} GB of memory of this machine: give a smaller width. "
            f"Received: {', '.join(f'{key}={value!r}' for key, value in given.items())}"
        )


def memory_bytes() -> float:
    """Memory of this machine in bytes; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _widest(options: Mapping[str, Any]) -> float | None:
    """Units of the widest layer, or None where options are not numbers."""
    width = options["width"]
    if (
        not isinstance(width, int | float)
        or isinstance(width, bool)
        or not 0.0 < width < float("inf")
    ):
        return None
    sizes: list[Any] = []
    for name, value in options.items():
        if name.endswith(_SIZES) and value is not None:
            sizes += value if isinstance(value, tuple | list) else [value]
    whole = all(is_whole(size, 1) for size in sizes)
    return float(width) * max(sizes) if whole and sizes else None


def _extrapolated(widths: list[float], counts: list[int], width: float) -> float:
    """The value at `width` of the parabola through zero and both points."""
    (x1, x2), (y1, y2) = widths, counts
    square = (y2 / x2 - y1 / x1) / (x2 - x1)
    return square * width * width + (y1 / x1 - square * x1) * width
