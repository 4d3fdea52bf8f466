"""Architectures by name: what a command line or a settings file can ask for."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from degu_tf.heads import HeadLayout
from degu_tf.models.cnn_task_base import cnn_task_base
from degu_tf.models.deepstarr import deepstarr
from degu_tf.models.dream_rnn import dream_rnn
from degu_tf.models.memory import check_memory
from degu_tf.models.mprann import mprann
from degu_tf.models.own.builders import build_own
from degu_tf.models.own.sources import Builder
from degu_tf.models.residualbind import residualbind
from degu_tf.utils.errors import InputError, did_you_mean

ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "cnn_task_base": cnn_task_base,
    "deepstarr": deepstarr,
    "dream_rnn": dream_rnn,
    "mprann": mprann,
    "residualbind": residualbind,
}
"""Builder by name: a function of `input_shape`, `heads` and options that are keyword-only."""


def names() -> tuple[str, ...]:
    """The names that `build` takes."""
    return tuple(sorted(ARCHITECTURES))


def options(name: str) -> dict[str, Any]:
    """The options of an architecture with their defaults.

    Raises
    ------
    InputError
        If there is no such architecture.

    Examples
    --------
    >>> options("deepstarr")["conv_kernels"]
    (7, 3, 5, 3)
    """
    parameters = inspect.signature(_builder(name)).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def build(
    name: str | Builder, input_shape: tuple[int | None, int], heads: HeadLayout, **choices: Any
) -> keras.Model:
    """A new, randomly initialised model of a named architecture.

    Initial weights follow `keras.utils.set_random_seed`, which the caller sets.

    Parameters
    ----------
    name
        One of `names()`, or a function of yours (`degu_tf.models.own.builders.build_own`).
    input_shape
        `(L, 4)`, L in bases.
    heads
        What the output columns mean.
    **choices
        Options of that architecture, of which `options(name)` has the defaults; all have `width`.

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, n_columns)`, or `(N, L, n_columns)` for profiles; not
        compiled.

    Raises
    ------
    InputError
        If the name or an option is unknown, the architecture refuses what it is given, or its
        weights would exceed this machine's memory.

    Examples
    --------
    >>> model = build("deepstarr", (230, 4), HeadLayout(("HepG2", "K562")), width=0.5)
    >>> model.output_shape
    (None, 2)
    """
    if callable(name):
        return build_own(name, input_shape, heads, choices)
    known = options(name)
    unknown = [option for option in choices if option not in known]
    if unknown:
        raise InputError(
            f"{name} has the options {', '.join(known)}.{did_you_mean(unknown[0], known)} "
            f"Received: {unknown[0]}={choices[unknown[0]]!r}"
        )
    builder = _builder(name)

    def of_width(width: float) -> keras.Model:
        return builder(input_shape, heads, **{**choices, "width": width})

    check_memory(name, of_width, {**known, **choices}, choices)
    return builder(input_shape, heads, **choices)


def _builder(name: str) -> Callable[..., keras.Model]:
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise InputError(
            f"expected one of the architectures {', '.join(names())}."
            f"{did_you_mean(str(name), names())} Received: name={name!r}"
        )
    return ARCHITECTURES[name]
