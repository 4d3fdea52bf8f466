import numpy as np
import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.random_keys import draw_key
from degu_tf.utils.whole_numbers import is_whole
from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf


@pytest.mark.parametrize("value", [0, 7, -3, 2**70, np.int8(3), np.uint64(2**63)])
def test_integers_are_whole(value):
    assert is_whole(value)
    assert is_whole(value, int(value), int(value))
    assert not is_whole(value, int(value) + 1)
    assert not is_whole(value, None, int(value) - 1)


@pytest.mark.parametrize(
    "value", [True, np.True_, 3.0, np.float64(3), float("nan"), "3", None, [3], np.array([3])]
)
def test_nothing_else_is(value):
    assert not is_whole(value)
    assert not is_whole(value, 0, 10)


def test_checks_that_took_fractions_and_booleans_refuse_them(tmp_path):
    with pytest.raises(InputError, match=r"chunk must be a whole number from 1.*chunk=2.5"):
        score_vcf(Scoring("run", "g.fa"), "v.vcf", tmp_path / "o.tsv", chunk=2.5)
    with pytest.raises(InputError, match=r"seed must be a whole number from 0 .*Received: True"):
        draw_key("a", True)
