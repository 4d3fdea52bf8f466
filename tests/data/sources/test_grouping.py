import numpy as np
import pandas as pd
import pytest

from degu_tf.data.sources.grouping import (
    FRACTIONS,
    count_divided,
    draw_split,
    read_split,
    related_groups,
)
from degu_tf.utils.errors import InputError

ADAPTERS = ("AGGACC", "GTGCAT")
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def turned(text):
    return "".join(COMPLEMENT[base] for base in reversed(text))


def tokens_of(texts):
    return np.array([["ACGTN".index(base) for base in text] for text in texts], np.uint8)


def components(texts, *labels):
    """Sets of related rows, found by comparing all pairs and walking from row to row."""

    def related(i, j):
        same = any(label[i] == label[j] >= 0 for label in labels)
        return same or texts[i] == texts[j] or texts[i] == turned(texts[j])

    left, found = set(range(len(texts))), set()
    while left:
        component, front = set(), [min(left)]
        while front:
            row = front.pop()
            component.add(row)
            front += [other for other in left - component - set(front) if related(row, other)]
        left -= component
        found.add(frozenset(component))
    return found


def as_sets(groups):
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in range(max(groups) + 1)}


def library(seed, n_inserts=50, length=9):
    """Random inserts with planted duplicates, turned copies and N."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACGTN"), length)) for _ in range(n_inserts)]
    texts += [texts[row] for row in rng.integers(0, n_inserts, 12)]
    texts += [turned(texts[row]) for row in rng.integers(0, n_inserts, 12)]
    return [texts[row] for row in rng.permutation(len(texts))]


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_the_connected_components_of_all_relations(seed):
    texts = library(seed)
    rng = np.random.default_rng(seed)
    labels = [rng.integers(-1, 60, len(texts)), rng.integers(-20, 30, len(texts))]
    labels[1][labels[1] < 0] = -1
    assert as_sets(related_groups(tokens_of(texts))) == components(texts)
    assert as_sets(related_groups(tokens_of(texts), *labels)) == components(texts, *labels)


def test_both_orientations_are_found_between_adapters_that_do_not_turn():
    inserts = library(seed=7)
    oligos = [insert.join(ADAPTERS) for insert in inserts]
    assert as_sets(related_groups(tokens_of(oligos))) == components(inserts)


def test_equal_sequences_are_one_group():
    assert related_groups(np.ones((4, 5), np.uint8)).tolist() == [0, 0, 0, 0]


def test_labels_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"each of the 4 sequences.*Received: shape \(3,\)"):
        related_groups(np.ones((4, 5), np.uint8), np.zeros(3, int))


def random_groups(seed, n_groups=300, largest=12):
    sizes = np.random.default_rng(seed).integers(1, largest + 1, n_groups)
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(n_groups), sizes))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fractions", [FRACTIONS, (0.5, 0.2, 0.3)])
def test_groups_stay_whole_and_sizes_come_near_the_fractions(seed, fractions):
    groups = random_groups(seed)
    split = draw_split(groups, fractions, seed)
    for group in range(300):
        assert len(set(split[groups == group].tolist())) == 1
    shares = np.bincount(split, minlength=3) / len(groups)
    np.testing.assert_allclose(shares, fractions, atol=1 / len(groups))


def test_single_rows_give_the_fractions_exactly():
    assert np.bincount(draw_split(np.arange(139877))).tolist() == [111901, 13988, 13988]


def test_split_repeats_by_seed():
    groups = random_groups(0)
    first = draw_split(groups, seed=3)
    np.testing.assert_array_equal(first, draw_split(groups, seed=3))
    assert (first != draw_split(groups, seed=4)).mean() > 0.1


def test_large_groups_come_into_each_split_as_often_as_others():
    groups = np.repeat(np.arange(204), [8, 8, 8, 8] + [1] * 200)
    drawn = np.array([draw_split(groups, seed=seed)[groups < 4][::8] for seed in range(400)])
    n, share = drawn.size, 0.1
    for split in (1, 2):
        assert abs((drawn == split).sum() - n * share) < 4 * np.sqrt(n * share * (1 - share))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([90, 5, 5], [90, 5, 5]), ([60, 30, 10], [60, 10, 30]), ([1, 1, 1], [1, 1, 1])],
)
def test_no_split_is_empty_however_large_a_group(sizes, expected):
    groups = np.repeat(np.arange(3), sizes)
    for seed in range(10):
        counts = np.bincount(draw_split(groups, seed=seed), minlength=3).tolist()
        assert counts[0] == expected[0]
        assert sorted(counts) == sorted(expected)


def test_group_larger_than_train_goes_to_train():
    groups = np.repeat(np.arange(11), [90] + [1] * 10)
    for seed in range(10):
        counts = np.bincount(draw_split(groups, seed=seed))
        assert counts.tolist() == [90, 5, 5]


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2), (0.8, 0.1, 0.2), (1.0, 0.0, 0.0), (np.nan, 0.1, 0.1)]
)
def test_wrong_fractions_are_refused(fractions):
    with pytest.raises(InputError, match="three positive numbers"):
        draw_split(np.arange(10), fractions)


def test_too_few_groups_are_refused():
    with pytest.raises(InputError, match=r"at least three groups.*Received: 2 groups in 8 rows"):
        draw_split(np.repeat([0, 1], 4))


def test_read_split_takes_each_name_in_either_case():
    names = ["Train", "training", "VAL", "valid", "validation ", "test", "Testing"]
    codes = read_split(pd.Series(names, name="set"), names)
    assert codes.tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_read_split_refuses_unknown_names_and_absent_splits():
    with pytest.raises(InputError, match=r"column 'set'. Received: 'dev' in row 2"):
        read_split(pd.Series(["train", "dev"], name="set"), ["row 1", "row 2"])
    with pytest.raises(InputError, match="no rows of validation, test"):
        read_split(pd.Series(["train"], name="set"), ["row 1"])


def test_count_divided_counts_groups_not_rows():
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    split = np.array([0, 1, 2, 0, 0, 2, 1, 2])
    assert count_divided(groups, split) == 2
