"""Hashes of sequences: one for all forms of a sequence, another for every other sequence."""

import numpy as np
import pytest

from degu_tf.sequences.encoding import (
    decode,
    encode,
    one_hot,
    reverse_complement,
)
from degu_tf.sequences.hashing import sequence_hashes
from degu_tf.utils.errors import InputError

MASK = 2**64 - 1


def plain_hash(tokens):
    """The same in whole numbers of Python."""
    tokens = list(tokens)
    value = (0x9E3779B97F4A7C15 + len(tokens)) & MASK
    tokens += [0] * (-len(tokens) % 8)
    for start in range(0, len(tokens), 8):
        value ^= sum(token << (8 * i) for i, token in enumerate(tokens[start : start + 8]))
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        value ^= value >> 31
    return value


@pytest.fixture
def tokens():
    return np.random.default_rng(0).integers(0, 5, (50, 23), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 23, 64])
def test_equals_plain_arithmetic(length):
    tokens = np.random.default_rng(length).integers(0, 5, (5, length), dtype=np.uint8)
    hashes = sequence_hashes(tokens)
    assert hashes.dtype == np.uint64
    assert [int(value) for value in hashes] == [plain_hash(row) for row in tokens.tolist()]


def test_every_form_of_a_sequence_has_one_hash(tokens):
    expected = sequence_hashes(tokens)
    texts = decode(tokens)
    forms = (
        texts,
        [text.lower().replace("t", "u") for text in texts],
        [text.replace("N", "R") for text in texts],
        np.array(texts),
        tokens.astype(np.int64),
        np.asfortranarray(tokens),
        one_hot(tokens),
        one_hot(tokens).astype(bool),
    )
    for form in forms:
        np.testing.assert_array_equal(sequence_hashes(form), expected)


def test_rows_are_hashed_each_for_itself():
    """Across the blocks in which rows are taken."""
    tokens = np.random.default_rng(1).integers(0, 5, (10_000, 9), dtype=np.uint8)
    rows = [0, 4095, 4096, 8191, 8192, 9999]
    np.testing.assert_array_equal(sequence_hashes(tokens)[rows], sequence_hashes(tokens[rows]))


def test_other_sequences_have_other_hashes(tokens):
    hashes = set(sequence_hashes(tokens).tolist())
    assert not hashes & set(sequence_hashes(reverse_complement(tokens)).tolist())
    assert not hashes & set(sequence_hashes(tokens[:, ::-1]).tolist())
    assert len({int(sequence_hashes("A" * length)[0]) for length in range(1, 40)}) == 39
    assert len({int(sequence_hashes("A" * length + "N")[0]) for length in range(40)}) == 40


def test_designed_libraries_do_not_collide():
    """All pairs of mutations of one sequence, which differ in a base or two of different words."""
    base = np.random.default_rng(2).integers(0, 4, 64, dtype=np.uint8)
    singles = [(position, shift) for position in range(64) for shift in (1, 2, 3)]
    first, second = np.triu_indices(len(singles))
    mutants = np.repeat(base[np.newaxis], len(first), axis=0)
    for chosen in (first, second):
        positions, shifts = np.array(singles, np.uint8)[chosen].T
        rows = np.arange(len(chosen))
        mutants[rows, positions] = (base[positions] + shifts) % 4
    assert len(np.unique(sequence_hashes(mutants))) == len(np.unique(mutants, axis=0))


def test_bits_are_even():
    """Each bit is set in half of the hashes, however alike the sequences are."""
    tokens = np.zeros((4096, 12), np.uint8)
    tokens[:, -6:] = np.stack(np.unravel_index(np.arange(4096), (4,) * 6), axis=1)
    hashes = sequence_hashes(tokens)
    shares = [(hashes >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)]
    assert np.abs(np.array(shares) - 0.5).max() < 5 * 0.5 / 64


def test_what_has_no_bases_is_refused():
    with pytest.raises(InputError, match="at position 0 of record 0"):
        sequence_hashes(np.full((1, 3, 4), 0.25))
    with pytest.raises(InputError, match="one length"):
        sequence_hashes(["ACGT", "ACG"])
    assert sequence_hashes(encode("ACGT")).shape == (1,)
