"""Which architecture to build, with which options, heads and initial weights."""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import keras
import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.layers import positive_uncertainty, with_probabilities
from degu_tf.models.own.builders import build_own, own_options
from degu_tf.models.own.sources import Builder, name_of, portable, restored, source_hash
from degu_tf.models.released.output_heads import with_head
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

HEADS = ("linear", "positive", "mean_std", "dense_normal")
"""Last layers by name; see `ModelSpec.head`."""


_BUILDING = threading.Lock()
"""Held while a model is built, because Keras draws initial weights by global seeds."""


@dataclass(frozen=True)
class ModelSpec:
    """An architecture by name or by a function that builds it, its options, and initial weights.

    Attributes
    ----------
    name
        A name of the registry, such as ``"deepstarr"``. Given as a function `(input_shape,
        n_columns)` or `(input_shape, heads)` with options of its own, it becomes the function's
        name, as runs record it (`degu_tf.models.own.builders.build_own`).
    options
        Keyword arguments of its builder, such as ``{"width": 0.5}``.
    init
        A `.keras` or `.weights.h5` file, or a run, whose weights training starts from; None for a
        random start.
    head
        The last layers: ``"linear"`` as in the paper; ``"positive"``, whose standard deviations
        are positive by softplus (`degu_tf.models.layers.positive_uncertainty`); or one of those
        released files have, ``"mean_std"`` and ``"dense_normal"``
        (`degu_tf.models.released.output_heads.with_head`). The head of a model by a function of
        yours takes the place of its last dense layer; a model that ends in something else keeps
        its output.
    source
        Hash of the function's source; None for a name of the registry.
    builder
        The function; None for a name, and where a run was loaded, which executes nothing.

    Raises
    ------
    InputError
        If the head is unknown.

    Examples
    --------
    >>> ModelSpec("residualbind", {"width": 0.25}).name
    'residualbind'
    >>> def network(input_shape, n_columns, units=8):
    ...     layers = [keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.ReLU()]
    ...     return keras.Sequential([*layers, keras.layers.Dense(n_columns)])
    >>> spec = ModelSpec(network, {"units": 4})
    >>> spec.build((32, 4), HeadLayout(("Dev", "Hk")), seed=0).output_shape
    (None, 2)
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    head: str = "linear"
    source: str | None = None
    builder: Builder | None = field(default=None, repr=False, compare=False)

    def __init__(
        self,
        name: str | Builder,
        options: Mapping[str, Any] | None = None,
        init: str | None = None,
        head: str = "linear",
        source: str | None = None,
        builder: Builder | None = None,
    ) -> None:
        if head not in HEADS:
            raise InputError(f"head must be one of {HEADS}. Received: {head!r}")
        if not isinstance(name, str):
            own_options(name)
            builder, source, name = name, source_hash(name), name_of(name)
        elif builder is not None and name != name_of(builder):  # another name in its place
            source, builder = None, None
        for key, value in (
            ("name", name),
            ("options", {} if options is None else options),
            ("init", init),
            ("head", head),
            ("source", source),
            ("builder", builder),
        ):
            object.__setattr__(self, key, value)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "builder": portable(self.builder)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update({**state, "builder": restored(state["builder"])})

    def choices(self) -> dict[str, Any]:
        """The options that the architecture has, with their defaults.

        Raises
        ------
        InputError
            If there is no such architecture, or it is a function that was not named.
        """
        return registry.options(self.name) if self.source is None else own_options(self._own())

    def _own(self) -> Builder:
        if self.builder is None:
            raise InputError(
                f"the architecture is the function {self.name}, which is not executed unless you "
                "name it: give the function, spec=... Received: spec=None",
                f"the architecture is the function {self.name}, which is not executed unless you "
                f"name it: --model {self.name}. Received: no --model",
            )
        return self.builder

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
        if not is_whole(seed, 0, 2**32 - 1):
            raise InputError(
                f"seed must be a whole number from 0 to 2**32 - 1. Received: seed={seed!r}"
            )
        with _seeded(int(seed)):
            if self.source is None:
                model = registry.build(self.name, input_shape, heads, **self.options)
            else:
                model = build_own(self._own(), input_shape, heads, self.options)
            model = with_probabilities(model, heads)
            if self.head == "positive":
                return positive_uncertainty(model, heads)
            return with_head(model, self.head, heads.n_columns)

    def to_dict(self) -> dict[str, Any]:
        """The specification as plain values for JSON."""
        described = {"name": self.name, "options": dict(self.options), "init": self.init}
        if self.source is not None:
            described["source"] = self.source
        return described if self.head == "linear" else {**described, "head": self.head}


Architecture: TypeAlias = ModelSpec | str | Builder
"""An architecture wherever one is asked for: a specification, a name, or a function of yours."""


def as_spec(architecture: Architecture) -> ModelSpec:
    """The specification of an architecture.

    Examples
    --------
    >>> as_spec("deepstarr") == as_spec(ModelSpec("deepstarr"))
    True
    """
    return architecture if isinstance(architecture, ModelSpec) else ModelSpec(architecture)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with _BUILDING:
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        keras.utils.set_random_seed(seed)
        others, builder = random.randint, threading.get_ident()
        mine = random.Random(seed).randint
        # Keras seeds initial weights by `random.randint`, of which other threads draw too, such as
        # those of a Dask worker: this thread gets a sequence of its own
        random.randint = lambda a, b: (mine if threading.get_ident() == builder else others)(a, b)
        try:
            yield
        finally:
            random.randint = others
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
