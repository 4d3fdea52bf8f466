"""Which architecture to build, with which options, heads and initial weights."""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import keras
import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.layers import positive_uncertainty
from degu_tf.models.released.output_heads import with_head
from degu_tf.utils.errors import InputError

HEADS = ("linear", "positive", "mean_std", "dense_normal")
"""Last layers by name; see `ModelSpec.head`."""


_BUILDING = threading.Lock()
"""Held while a model is built, because Keras draws initial weights by global seeds."""


@dataclass(frozen=True)
class ModelSpec:
    """An architecture by name, its options, and weights to start from.

    Attributes
    ----------
    name
        A name of the registry, such as ``"deepstarr"``.
    options
        Keyword arguments of its builder, such as ``{"width": 0.5}``.
    init
        A `.keras` or `.weights.h5` file, or a run, whose weights training starts from; None for a
        random start.
    head
        The last layers: ``"linear"`` as in the paper; ``"positive"``, whose standard deviations
        are positive by softplus (`degu_tf.models.layers.positive_uncertainty`); or one of those
        released files have, ``"mean_std"`` and ``"dense_normal"``
        (`degu_tf.models.released.output_heads.with_head`).

    Raises
    ------
    InputError
        If the head is unknown.

    Examples
    --------
    >>> ModelSpec("residualbind", {"width": 0.25}).name
    'residualbind'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    head: str = "linear"

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise InputError(f"head must be one of {HEADS}. Received: {self.head!r}")

    def build(
        self, input_shape: tuple[int | None, int], heads: HeadLayout, seed: int
    ) -> keras.Model:
        """Build the model from its seed: equal seeds, equal weights; other seeds, others.

        Weights of `init` are not read here (`degu_tf.training.initial_weights`). Building sets
        TensorFlow's global seed; those of Python and numpy are restored.

        Raises
        ------
        InputError
            If the seed is not a whole number of 32 bits, or the architecture refuses what it is
            given.
        """
        if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
            raise InputError(
                f"seed must be a whole number from 0 to 2**32 - 1. Received: seed={seed!r}"
            )
        with _seeded(int(seed)):
            model = registry.build(self.name, input_shape, heads, **self.options)
            if self.head == "positive":
                return positive_uncertainty(model, heads)
            return with_head(model, self.head, heads.n_columns)

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain values for JSON."""
        described = {"name": self.name, "options": dict(self.options), "init": self.init}
        return described if self.head == "linear" else {**described, "head": self.head}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with _BUILDING:
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        keras.utils.set_random_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
