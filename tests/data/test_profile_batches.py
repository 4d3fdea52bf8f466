"""Random shifts and strands of profiles: exact, paired, drawn anew, and repeated by seed."""

import itertools

import numpy as np
import pytest

from degu_tf.data import pipeline
from degu_tf.data.pipeline import training_batches
from degu_tf.data.splits import Split
from degu_tf.sequences.encoding import one_hot, reverse_complement
from degu_tf.utils.errors import InputError

N, LENGTH, CROP, BATCH = 11, 30, 20, 4
STEPS = 3


@pytest.fixture(scope="module")
def split():
    """Each target says where it comes from: the first column its row, the second its position."""
    tokens = np.random.default_rng(0).integers(0, 5, (N, LENGTH), dtype=np.uint8)
    rows, positions = np.meshgrid(np.arange(N), np.arange(LENGTH), indexing="ij")
    return Split(tokens, np.stack([rows, positions], axis=2))


def played(split, n_epochs, seed=0, first_epoch=0, **options):
    batches = training_batches(split, BATCH, seed, first_epoch, **options)
    return list(itertools.islice(batches.as_numpy_iterator(), n_epochs * STEPS))


def origin(y):
    """Row, first position and direction of each sequence, read from its targets."""
    rows, positions = y[..., 0].astype(int), y[..., 1].astype(int)
    steps = np.diff(positions, axis=1)
    assert (rows == rows[:, :1]).all()
    assert (np.abs(steps) == 1).all()
    assert (steps == steps[:, :1]).all()
    return rows[:, 0], positions.min(axis=1), steps[:, 0] < 0


@pytest.mark.parametrize("turn", [False, True])
def test_sequence_and_profile_are_shifted_and_turned_together(split, turn):
    seen = set()
    for x, y in played(split, 8, crop=CROP, reverse_complement=turn):
        assert x.shape[1:] == (CROP, 4)
        for row, start, back, sequence in zip(*origin(y), x, strict=True):
            tokens = split.sequences[row : row + 1, start : start + CROP]
            expected = one_hot(reverse_complement(tokens) if back else tokens)[0]
            assert np.array_equal(sequence, expected)
            seen.add((start, back))
    assert {start for start, _ in seen} == set(range(LENGTH - CROP + 1))
    assert {back for _, back in seen} == ({False, True} if turn else {False})


@pytest.mark.parametrize("weighted", [False, True])
def test_activity_stays_with_its_turned_sequence(split, weighted):
    """Targets `(N, C)` say which row they are of, and have no direction."""
    rows = np.arange(N, dtype=float)[:, None]
    activity = Split(split.sequences, rows, weights=rows + 1.0 if weighted else None)
    turned = []
    for x, y, *weights in played(activity, 8, reverse_complement=True):
        forward = one_hot(split.sequences[y[:, 0].astype(int)])
        backward = one_hot(reverse_complement(split.sequences[y[:, 0].astype(int)]))
        same = [(x == each).all(axis=(1, 2)) for each in (forward, backward)]
        assert (same[0] ^ same[1]).all()
        assert same[1].sum() in {len(y) // 2, (len(y) + 1) // 2}
        assert [each.shape for each in weights] == ([y.shape] if weighted else [])
        turned.append(same[1].mean())
    assert 0.4 < np.mean(turned) < 0.6


def test_half_of_each_batch_is_turned(split):
    share = []
    for _, y in played(split, 20, reverse_complement=True):
        back = origin(y)[2]
        assert back.sum() in {len(y) // 2, (len(y) + 1) // 2}
        share.append((len(y), back.mean()))
    odd = [part for size, part in share if size == 3]
    assert set(np.round(odd, 2)) == {0.33, 0.67}


def test_shifts_differ_between_sequences_epochs_and_seeds_and_repeat(split):
    options = {"crop": CROP, "reverse_complement": True}

    def told(*arguments):
        return [tuple(map(tuple, origin(y))) for _, y in played(split, *arguments, **options)]

    first = told(3, 5)
    assert first == told(3, 5)
    assert told(1, 5, 2) == first[2 * STEPS :]
    assert len({*first, *told(3, 6)}) == 6 * STEPS
    assert len({start for _, starts, _ in first for start in starts}) > 6


def test_float_sequences_are_turned_too(split):
    floats = np.random.default_rng(1).normal(size=(N, LENGTH, 4)).astype(np.float32)
    for x, y in played(Split(floats, split.targets), 1, crop=CROP, reverse_complement=True):
        for row, start, back, sequence in zip(*origin(y), x, strict=True):
            part = floats[row, start : start + CROP]
            assert np.array_equal(sequence, part[::-1, ::-1] if back else part)


def test_one_number_a_sequence_stays_when_it_is_turned(split):
    numbers = Split(split.sequences, np.arange(N)[:, np.newaxis])
    turned = 0
    for x, y in played(numbers, 2, reverse_complement=True):
        forward = one_hot(split.sequences[y[:, 0].astype(int)])
        same = (x == forward).all(axis=(1, 2))
        assert np.array_equal(x[~same], forward[~same][:, ::-1, ::-1])
        turned += int((~same).sum())
    assert 2 * STEPS <= turned < 2 * N


def test_large_arrays_are_read_and_not_copied(split, monkeypatch, tmp_path):
    options = {"crop": CROP, "reverse_complement": True}
    expected = played(split, 2, **options)
    np.save(tmp_path / "targets.npy", split.targets)
    held = Split(split.sequences, np.load(tmp_path / "targets.npy", mmap_mode="r"))
    monkeypatch.setattr(pipeline, "COPIED", 0)
    for (x, y), (x_expected, y_expected) in zip(played(held, 2, **options), expected, strict=True):
        assert np.array_equal(x, x_expected)
        assert np.array_equal(y, y_expected)
    batches = pipeline.evaluation_batches(held, 5).as_numpy_iterator()
    assert np.array_equal(np.concatenate([y for _, y in batches]), split.targets)


def test_the_middle_is_given_for_evaluation(split):
    middle = split.centred(CROP)
    assert np.array_equal(middle.sequences, split.sequences[:, 5:25])
    assert origin(middle.targets)[1].tolist() == [5] * N
    assert split.centred(None) is split.centred(LENGTH) is split.centred(99) is split
    names = np.array([f"chr8:{30 * row}-{30 * row + 30}" for row in range(N - 1)] + ["peak"])
    named = Split(split.sequences, split.targets, names).centred(CROP)
    assert [named.name_of(row) for row in (0, 1, N - 1)] == ["chr8:5-25", "chr8:35-55", "peak"]
    numbers = Split(split.sequences, np.arange(N)[:, np.newaxis])
    assert numbers.centred(CROP) is numbers


@pytest.mark.parametrize("crop", [0, LENGTH + 1])
def test_parts_that_cannot_be_taken(split, crop):
    with pytest.raises(InputError, match=rf"Received: crop={crop}, sequences of 30 bases"):
        training_batches(split, BATCH, 0, crop=crop)
    numbers = Split(split.sequences, np.arange(N)[:, np.newaxis])
    with pytest.raises(InputError, match=r"a target for each base.* shape \(11, 1\)$"):
        training_batches(numbers, BATCH, 0, crop=CROP)
