"""Recombined sequences and mixtures of schemes, against what can be counted."""

import numpy as np
import pytest
import tensorflow as tf
from evoaug_tf.augment import RandomNoise as Foreign

from degu_tf.distillation.distill import Augmentation
from degu_tf.training.augmentation.mixtures import Mixture, RandomMosaic, RandomRecombination
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.augmentation.operations import Keyed, RandomMutation
from degu_tf.training.augmentation.schemes import describe, from_description, is_stateless
from degu_tf.utils.errors import InputError

KEY = tf.constant([3, 4], tf.int64)


def letters(x):
    return np.asarray(x).argmax(axis=-1)


def rows(n, length):
    """Sequence i is one letter for each position that no other sequence has there: its number."""
    return tf.one_hot(np.repeat(np.arange(n)[:, np.newaxis], length, axis=1), n)


class Fill(Keyed):
    """Writes a number everywhere."""

    def __init__(self, value):
        self.value = value

    def apply(self, x, key):
        return tf.fill(tf.shape(x), tf.cast(self.value, x.dtype))


def test_each_head_is_joined_to_one_other_tail_at_one_breakpoint():
    made = letters(RandomRecombination().apply(rows(50, 12), KEY))
    tails = []
    for number, sequence in enumerate(made):
        places = np.flatnonzero(np.diff(sequence))
        assert len(places) == 1, "a head and a tail"
        assert sequence[0] == number
        tails.append(sequence[-1])
    assert sorted(tails) == list(range(50)), "each sequence gives one tail, to another"


def test_breakpoints_are_uniform_from_the_second_base_to_the_last():
    x = rows(500, 5)
    first = []
    for seed in range(8):
        made = letters(RandomRecombination().apply(x, tf.constant([seed, 0], tf.int64)))
        first.extend((made == np.arange(500)[:, np.newaxis]).sum(axis=1))
    counts = np.bincount(first, minlength=6)
    assert counts[0] == counts[5] == 0
    sd = np.sqrt(4000 * 0.25 * 0.75)
    assert np.abs(counts[1:5] - 1000).max() < 4 * sd


def test_a_batch_of_one_stays_as_it_is():
    x = tf.one_hot([[0, 1, 2, 3]], 4)
    np.testing.assert_array_equal(RandomRecombination().apply(x, KEY), x)


def test_shares_are_the_probabilities_and_the_rest_is_not_augmented():
    mixture = Mixture([Fill(2.0), Fill(3.0)], [0.5, 0.3])
    made = mixture.apply(tf.zeros((4000, 1, 4)), KEY).numpy()[:, 0, 0]
    for value, share in ((2.0, 0.5), (3.0, 0.3), (0.0, 0.2)):
        sd = np.sqrt(4000 * share * (1 - share))
        assert abs((made == value).sum() - 4000 * share) < 4 * sd


@pytest.mark.parametrize("made", [RandomRecombination(), scheme("mutate_recombine")])
def test_the_key_decides_and_descriptions_make_it_again(made):
    x = tf.one_hot(np.random.default_rng(0).integers(0, 4, (16, 30)), 4)
    other = tf.constant([3, 5], tf.int64)
    np.testing.assert_array_equal(made.apply(x, KEY), made.apply(x, KEY))
    assert (made.apply(x, KEY).numpy() != made.apply(x, other).numpy()).any()
    again = from_description(describe(made))
    np.testing.assert_array_equal(again.apply(x, KEY), made.apply(x, KEY))
    assert is_stateless(made)
    traced = tf.function(
        made.apply, input_signature=[tf.TensorSpec((None, 30, 4)), tf.TensorSpec((2,), tf.int64)]
    )
    np.testing.assert_array_equal(traced(x, KEY), made.apply(x, KEY))


@pytest.mark.parametrize(
    ("augmentations", "shares", "message"),
    [
        ([], [], "at least one"),
        ([RandomMutation(0.1)], [0.5, 0.5], "one share for each"),
        ([RandomMutation(0.1)] * 2, [0.7, 0.7], "add up to at most 1"),
        ([RandomMutation(0.1)], [0.0], "above 0"),
        ([RandomMutation(0.1)], [float("nan")], "above 0"),
        ([Foreign()], [0.5], "decided by a key"),
    ],
)
def test_mixtures_that_are_none(augmentations, shares, message):
    with pytest.raises(InputError, match=message):
        Mixture(augmentations, shares)


def test_mixtures_are_written_as_text():
    made = scheme("mutagenesis=0.04:0.5, recombine:0.3")
    assert describe(made) == describe(
        Mixture([RandomMutation(0.04), RandomRecombination()], [0.5, 0.3])
    )
    assert describe(scheme("mutagenesis=0.1")) == describe(RandomMutation(0.1))
    assert describe(scheme("recombine:1")) == describe(Mixture([RandomRecombination()], [1.0]))
    assert describe(scheme("translocation=7"))["shift_max"] == 7
    assert scheme("noise=0.3").noise_std == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mutagenesis,recombine", "every scheme has its share"),
        ("mutagenesis:0.5,recombine", "every scheme has its share"),
        ("mutagenesis:half", "expected a number, not 'half'"),
        ("mutagenesis=much:0.5", "expected a number, not 'much'"),
        ("recombine=0.5:0.5", "a strength goes with one of mutagenesis"),
        ("mutation:0.5", "expected one of the schemes"),
        ("mutagenesis:0.7,recombine:0.7", "add up to at most 1"),
        ("deletion=2.5:1", "whole number"),
        ("mutagenesis:nan", "shares must be"),
    ],
)
def test_texts_that_are_no_mixture(text, message):
    with pytest.raises(InputError, match=message):
        scheme(text)


def turned(text):
    return text.translate(str.maketrans("0123", "3210"))[::-1]


def test_a_segment_is_a_whole_sequence_turned_and_moved_half_the_time():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, (2000, 30))
    made = letters(RandomMosaic(1).apply(tf.one_hot(tokens, 4), KEY))
    given = {"".join(map(str, row)) for row in tokens}
    kept = reverse = in_place = 0
    for row in made:
        text = "".join(map(str, row))
        places = {text[-i:] + text[:-i] for i in range(30)}
        forward, backward = places & given, {turned(each) for each in places} & given
        assert forward or backward
        kept, reverse = kept + bool(forward), reverse + bool(backward)
        in_place += text in given or turned(text) in given
    assert kept / 2000 == pytest.approx(0.5, abs=0.05)  # 4.5 standard errors
    assert reverse / 2000 == pytest.approx(0.5, abs=0.05)
    assert in_place / 2000 == pytest.approx(0.5 + 0.5 / 30, abs=0.05)


def test_mosaics_have_one_to_four_segments():
    x = tf.one_hot(np.repeat(np.arange(4)[:, np.newaxis], 200, axis=1).repeat(1000, axis=0), 4)
    made = letters(RandomMosaic(4).apply(x, KEY))
    changes = (np.diff(made, axis=1) != 0).sum(axis=1)
    assert changes.max() == 3
    # a quarter has one segment; neighbours share their letter by chance one time in four
    one = 1 / 4 * (1 + 1 / 4 + 1 / 16 + 1 / 64)
    assert (changes == 0).mean() == pytest.approx(one, abs=0.035)
    np.testing.assert_allclose(np.bincount(made.ravel()) / made.size, 0.25, atol=0.02)


def test_mosaics_keep_unknown_bases_and_need_a_number():
    x = np.zeros((8, 12, 4), "f")
    assert not RandomMosaic().apply(tf.constant(x), KEY).numpy().any()
    assert describe(from_description(describe(RandomMosaic(3)))) == {
        "name": "RandomMosaic",
        "segments": 3,
    }
    assert is_stateless(scheme("mosaic"))
    assert scheme("mosaic=6").augmentations[0].segments == 6
    for bad in (0, 1.5, True):
        with pytest.raises(InputError, match="one or more segments"):
            RandomMosaic(bad)
    with pytest.raises(InputError, match="recombined sequence has no label"):
        Augmentation(scheme("mosaic"), "static")
