import pytest

from degu_tf.utils.readable import aligned, readable_age


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (-5, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"),
     (7199, "1 hour"), (86400 * 364, "364 days"), (86400 * 800, "2 years")],
)  # fmt: skip
def test_ages(seconds, text):
    assert readable_age(seconds) == text


def test_columns_lie_below_one_another():
    assert aligned([["a", "bb", "c"], ["long", "", "d"]]) == "a     bb  c\nlong      d"
