"""Models too wide for this machine: refused before they are built."""

import random
import re

import pytest
from cases import one_in

from degu_tf.heads import HeadLayout
from degu_tf.models import memory, registry
from degu_tf.models.memory import check_memory
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("a", "b"), aleatoric="std")


@pytest.mark.slow
@pytest.mark.parametrize("width", one_in(2, [1e3, 1e6, 1e200, 1e9]))
@pytest.mark.parametrize("name", registry.names())
def test_absurd_widths_are_one_line(name, width):
    with pytest.raises(
        InputError, match=rf"{name} of this width .* GB.*: {re.escape(f'width={width!r}')}"
    ):
        registry.build(name, (256, 4), HEADS, width=width)


def test_sizes_count_like_widths():
    with pytest.raises(InputError, match=r"dense_units=\(1000000, 1000000\)"):
        registry.build("deepstarr", (249, 4), HEADS, dense_units=(10**6, 10**6))


@pytest.mark.parametrize("name", registry.names())
def test_the_estimate_is_the_number_of_weights(name, monkeypatch):
    """Probed at some 64 and 128 units, of a model four to eight times wider."""

    def build(width):
        return registry._builder(name)((256, 4), HEADS, width=width)

    n = build(2.0).count_params()
    options = {**registry.options(name), "width": 2.0}
    monkeypatch.setattr(memory, "MANY_UNITS", 100)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4.0 * n * 1.15)
    check_memory(name, build, options, {})
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4.0 * n * 0.85)
    with pytest.raises(InputError, match="more than the"):
        check_memory(name, build, options, {})


def test_an_estimate_does_not_change_the_weights_that_follow(monkeypatch):
    def seeds():
        random.seed(3)
        registry.build("deepstarr", (64, 4), HEADS, width=0.5)
        return random.random()

    expected = seeds()
    monkeypatch.setattr(memory, "MANY_UNITS", 8)
    assert seeds() == expected


@pytest.mark.parametrize("options", [{"width": "wide"}, {"width": -1.0}, {"dense_units": (1.5,)}])
def test_wrong_types_are_left_to_the_builder(options):
    with pytest.raises(InputError, match="must be"):
        registry.build("deepstarr", (249, 4), HEADS, **options)
