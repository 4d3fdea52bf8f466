import dataclasses
import pickle

import numpy as np
import pytest

from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("a", "b"))


def part(n=20, length=8, columns=2, seed=0, **extra):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 5, (n, length), dtype=np.uint8)
    return Split(tokens, rng.normal(size=(n, columns)), **extra)


def three(n=20, **extra):
    return Splits(part(n, **extra), part(7, seed=1), part(9, seed=2), HEADS)


def numbered(n):
    rows = np.arange(n)
    split = Split(
        np.zeros((n, 4), np.uint8),
        np.stack([rows, -rows], axis=1),
        names=np.array([f"s{row}" for row in rows]),
        ensemble_mean=np.stack([rows + 0.5] * 2, axis=1),
        ensemble_std=np.stack([rows + 0.25] * 2, axis=1),
    )
    return Splits(split, part(5, 4), part(5, 4), HEADS)


@pytest.mark.parametrize("n", [1000, 997])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.75])
def test_fractions_are_the_released_subsets_in_their_order(n, fraction):
    splits = numbered(n)
    drawn = splits.fraction(fraction)
    rows = np.random.default_rng(1234).choice(
        n, size=round(n * fraction), replace=False, shuffle=False
    )
    assert drawn.train.targets[:, 0].tolist() == rows.tolist()
    assert drawn.train.targets[:, 1].tolist() == (-rows).tolist()
    assert drawn.train.names.tolist() == [f"s{row}" for row in rows]
    assert np.array_equal(drawn.train.ensemble_mean[:, 0], rows + 0.5)
    assert np.array_equal(drawn.train.ensemble_std[:, 1], rows + 0.25)
    assert drawn.validation is splits.validation
    assert drawn.test is splits.test


def test_subsets():
    splits = numbered(30)
    assert splits.fraction(1.0) is splits
    assert splits.subset(30) is splits
    assert np.array_equal(splits.subset(15).train.targets, splits.fraction(0.5).train.targets)
    other = splits.subset(15, seed=7).train.targets
    assert not np.array_equal(other, splits.subset(15).train.targets)
    assert np.array_equal(other, splits.subset(15, seed=7).train.targets)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan")])
def test_bad_fractions(fraction):
    with pytest.raises(InputError, match=r"fraction must lie in \(0, 1\]. Received"):
        three().fraction(fraction)


def test_subsets_that_cannot_be_drawn():
    with pytest.raises(InputError, match=r"fraction=0.01 of 20 training sequences leaves none"):
        three().fraction(0.01)
    for size in (0, 21):
        with pytest.raises(InputError, match=f"1 to 20 training .*Received: n_train={size}"):
            three().subset(size)


def test_take_keeps_the_order_given():
    split = numbered(10).train
    assert split.take(np.array([4, 0, 9])).targets[:, 0].tolist() == [4, 0, 9]
    assert split.take(slice(2, 4)).names.tolist() == ["s2", "s3"]
    assert len(split.take(slice(2, 4))) == 2


def test_targets_that_are_not_finite_name_the_record():
    targets = np.zeros((4, 2))
    targets[2, 1], targets[3, 0] = np.nan, np.inf
    tokens = np.zeros((4, 8), np.uint8)
    with pytest.raises(
        InputError, match=r"2 rows are not.*Received: \[0.0, nan\] in row 2 \(record 2\)"
    ):
        Split(tokens, targets)
    with pytest.raises(InputError, match=r"in row 2 \(chr3\)"):
        Split(tokens, targets, names=np.array(["chr1", "chr2", "chr3", "chr4"]))
    with pytest.raises(InputError, match="in row 1"):
        Split(np.zeros((2, 8), np.uint8), np.array([np.zeros((8, 1)), np.full((8, 1), np.inf)]))


def test_a_profile_with_a_gap_is_named_by_its_position():
    targets = np.zeros((3, 8, 2))
    targets[1, 5] = np.nan, 1.0
    names = np.array(["chr1:0-8", "chr1:8-16", "chr1:16-24"])
    message = r"1 rows are not.*Received: \[nan, 1.0\] in row 1 \(chr1:8-16\), position 5$"
    with pytest.raises(InputError, match=message):
        Split(np.zeros((3, 8), np.uint8), targets, names)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("targets", 3), ("names", 5), ("ensemble_mean", 3), ("ensemble_std", 1)],
)
def test_rows_that_do_not_match(name, rows):
    given = {"targets": np.zeros((4, 1)), name: np.zeros((rows, 1))}
    with pytest.raises(
        InputError, match=f"one row of {name} for each of the 4 sequences.*shape .{rows}, 1"
    ):
        Split(np.zeros((4, 8), np.uint8), **given)


@pytest.mark.parametrize(
    ("sequences", "targets", "message"),
    [
        (np.full((1, 8), 5, np.uint8), np.zeros((1, 1)), "tokens 0 to 4"),
        (np.zeros((0, 8), np.uint8), np.zeros((0, 1)), "an empty array holds no sequence"),
        (np.zeros((2, 4, 8)), np.zeros((2, 1)), "transpose"),
        (np.zeros((1, 8), np.uint8), [["high"]], "targets must be an array of numbers"),
        (np.zeros((1, 8), np.uint8), 3.0, "one row of targets"),
    ],
)
def test_arrays_that_are_no_split(sequences, targets, message):
    with pytest.raises(InputError, match=message):
        Split(sequences, targets)


def test_splits_that_do_not_go_together():
    with pytest.raises(InputError, match=r"8 bases, as in train. Received: 9 bases in test"):
        Splits(part(), part(), part(length=9), HEADS)
    with pytest.raises(InputError, match=r"targets of validation must .*shape \(20, 3\)"):
        Splits(part(), part(columns=3), part(), HEADS)
    flat = Split(np.zeros((3, 8), np.uint8), np.zeros(3))
    with pytest.raises(InputError, match=r"targets of train must .*shape \(3,\)"):
        Splits(flat, flat, flat, HeadLayout(("a",)))


def test_shapes():
    splits = three()
    assert splits.input_shape == (8, 4)
    assert [(name, len(split)) for name, split in splits.items()] == [
        ("train", 20),
        ("validation", 7),
        ("test", 9),
    ]
    floats = Split(np.zeros((3, 8, 4)), np.zeros((3, 2)))
    assert Splits(floats, floats, floats, HEADS).input_shape == (8, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, bool, np.int64])
def test_sequences_of_three_axes_are_float32_whatever_they_came_as(dtype):
    array = np.eye(4)[np.random.default_rng(0).integers(0, 4, (5, 8))].astype(dtype)
    split = Split(array, np.zeros((5, 1)))
    assert split.sequences.dtype == np.float32
    assert np.array_equal(split.sequences, array)


def test_a_fingerprint_follows_every_byte():
    base = three()
    assert three().fingerprint == base.fingerprint
    seen = {base.fingerprint}
    for name, split in base.items():
        for attribute in ("sequences", "targets"):
            array = getattr(split, attribute).copy()
            array.flat[-1] = (array.flat[-1] + 1) % 4 if attribute == "sequences" else 0.123
            changed = dataclasses.replace(split, **{attribute: array})
            seen.add(dataclasses.replace(base, **{name: changed}).fingerprint)
    assert len(seen) == 7
    swapped = Splits(base.train, base.test, base.validation, HEADS)
    renamed = Splits(base.train, base.validation, base.test, HeadLayout(("a", "c")))
    shorter = base.subset(19)
    assert len(seen | {each.fingerprint for each in (swapped, renamed, shorter)}) == 10


def test_a_fingerprint_does_not_follow_names_or_memory_layout():
    base = three()
    named = three(names=np.array([f"s{row}" for row in range(20)]))
    assert named.fingerprint == base.fingerprint
    columns = Split(np.asfortranarray(base.train.sequences), np.asfortranarray(base.train.targets))
    assert dataclasses.replace(base, train=columns).fingerprint == base.fingerprint
    assert pickle.loads(pickle.dumps(base)).fingerprint == base.fingerprint


def test_data_cannot_be_changed_under_a_fingerprint():
    tokens, targets = np.zeros((3, 8), np.uint8), np.zeros((3, 2), np.float32)
    split = Split(tokens, targets)
    for array in (split.sequences, split.targets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.targets = targets
    with pytest.raises(dataclasses.FrozenInstanceError):
        three().train = split
    assert tokens.flags.writeable
    assert targets.flags.writeable


def test_without_uncertainty_keeps_the_means():
    heads = HeadLayout(("a", "b"), aleatoric="std")
    splits = Splits(part(columns=4), part(columns=4), part(columns=4), heads)
    plain = splits.without_uncertainty()
    assert plain.heads == HeadLayout(("a", "b"))
    for name, split in plain.items():
        assert np.array_equal(split.targets, getattr(splits, name).targets[:, :2])
        assert np.array_equal(split.sequences, getattr(splits, name).sequences)
