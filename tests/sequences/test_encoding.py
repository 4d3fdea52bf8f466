import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from degu_tf.sequences.alphabet import ALPHABET, UNKNOWN
from degu_tf.sequences.encoding import (
    as_float,
    as_tokens,
    check_sequences,
    decode,
    encode,
    from_one_hot,
    mutate,
    one_hot,
    reverse_complement,
    shuffle_dinucleotides,
    shuffle_positions,
)
from degu_tf.utils.errors import InputError

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def random_tokens(n_sequences=50, length=31, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n_sequences, length), dtype=np.uint8)


def dinucleotides(text):
    return Counter(itertools.pairwise(text))


# encode and decode


def test_every_iupac_letter_has_its_token_in_either_case():
    expected = {"A": 0, "C": 1, "G": 2, "T": 3, "U": 3} | dict.fromkeys("NRYSWKMBDHV", UNKNOWN)
    for letter, token in expected.items():
        assert encode([letter, letter.lower()]).tolist() == [[token], [token]]


def test_every_other_ascii_character_is_refused():
    accepted = set("ACGTUNRYSWKMBDHV") | set("acgtunryswkmbdhv")
    for character in map(chr, range(128)):
        if character not in accepted:
            with pytest.raises(InputError, match=r"invalid character .* at position 1 of "):
                encode(f"A{character}")


def test_decode_returns_what_was_encoded():
    tokens = random_tokens()
    texts = decode(tokens)
    assert texts[0] == "".join((ALPHABET + "N")[token] for token in tokens[0])
    np.testing.assert_array_equal(encode(texts), tokens)
    assert encode(texts).dtype == np.uint8


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, pd.Categorical])
def test_strings_come_in_any_collection(kind):
    assert encode(kind(["ACG", "TTN"])).tolist() == [[0, 1, 2], [3, 3, 4]]
    assert as_tokens(kind(["ACG", "TTN"])).tolist() == [[0, 1, 2], [3, 3, 4]]


def test_a_series_is_read_by_place_not_by_label():
    assert encode(pd.Series(["AC", "GT"], index=[7, 0])).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(InputError, match=r"'X' at position \d+ of record 1 "):
        encode(pd.Series(["AC", "GX"], index=[7, 0]))


def test_one_string_is_one_sequence():
    assert encode("ACGT").shape == (1, 4)


@pytest.mark.parametrize("letter", ["X", "-", ".", "*", " ", "\n", "é", "Ж", "🧬"])
def test_a_strange_letter_is_named_with_record_and_position(letter):
    sequences = ["ACGTA", "ACG" + letter + "-"]
    with pytest.raises(InputError) as caught:
        encode(sequences, names=["good", "bad one"])
    message = str(caught.value)
    where = "at position 3 of record 'bad one' (counted from 0)"
    assert message.endswith(f"Received: invalid character {letter!r} {where}")
    with pytest.raises(InputError, match=r"at position 3 of record 1 "):
        encode(sequences)


def test_a_strange_letter_far_down_is_found():
    sequences = ["ACGT" * 60] * 12_000
    sequences[9_876] = "ACGT" * 59 + "ACGX"
    with pytest.raises(InputError, match=r"'X' at position 239 of record 9876 "):
        encode(sequences)


def test_unequal_lengths_name_the_first_that_differs():
    with pytest.raises(
        InputError, match=r"of one length, 3 bases.*Received: 2 bases in record 'c'$"
    ):
        encode(["AAA", "CCC", "GG", "T"], names=["a", "b", "c", "d"])


@pytest.mark.parametrize("empty", [[], (), np.array([], dtype="U3"), pd.Series([], dtype=str)])
def test_no_sequence_is_refused(empty):
    with pytest.raises(InputError, match="at least one sequence"):
        encode(empty)
    with pytest.raises(InputError, match="at least one sequence"):
        as_tokens(empty)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, 3, b"ACG", "", ["A", "C", "G"]])
def test_what_is_not_a_string_is_refused_by_record(missing):
    with pytest.raises(InputError, match=r"expected a non-empty string.* for record 1$"):
        encode(["ACG", missing])
    with pytest.raises(InputError, match=r"expected a non-empty string.* for record 'y'$"):
        as_tokens([missing, "ACG"], names=["y", "z"])


def test_a_missing_value_in_a_series_is_refused_by_record():
    with pytest.raises(InputError, match=r"(nan|None|NA\S*) for record 1$"):
        as_tokens(pd.Series(["ACG", None], dtype=str))


@pytest.mark.parametrize(
    "other", [None, 7, b"ACG", {"a": "ACG"}, {"ACG"}, random_tokens(), np.array("ACG")]
)
def test_what_is_no_collection_of_strings_is_refused(other):
    with pytest.raises(InputError, match="expected a string or a list"):
        encode(other)


def test_names_must_match_in_number():
    with pytest.raises(InputError, match="3 names, 2 records"):
        encode(["A", "C"], names=["x", "y", "z"])
    with pytest.raises(InputError, match="1 names, 2 records"):
        as_tokens(np.zeros((2, 3), int), names=["x"])


# one-hot


def test_one_hot_puts_a_one_in_the_column_of_the_base():
    array = one_hot(encode("ACGTN"))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[0], np.vstack([np.eye(4), np.zeros(4)]))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float16, np.float64])
def test_one_hot_of_any_type_returns_the_tokens(dtype):
    tokens = random_tokens()
    back = from_one_hot(one_hot(tokens).astype(dtype))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, tokens)
    np.testing.assert_array_equal(as_tokens(one_hot(tokens).astype(dtype)), tokens)


def test_one_hot_in_any_memory_order_returns_the_tokens():
    tokens = random_tokens()
    fortran = np.asfortranarray(one_hot(tokens))
    np.testing.assert_array_equal(from_one_hot(fortran), tokens)
    np.testing.assert_array_equal(from_one_hot(one_hot(tokens)[::2, ::-3]), tokens[::2, ::-3])


@pytest.mark.parametrize(
    "row",
    [
        [0.9, 0, 0, 0],
        [1, 1e-7, 0, 0],
        [1, 1, 0, 0],
        [0.25] * 4,
        [2, 0, 0, 0],
        [-1, 0, 0, 0],
        [1, -1, 1, 0],
        [np.nan, 0, 0, 0],
        [1, 0, np.inf, 0],
        [1, 1, 1, 1],
    ],
)
def test_what_is_not_one_hot_does_not_become_tokens(row):
    array = one_hot(random_tokens(3, 5))
    array[1, 4] = row
    with pytest.raises(InputError, match=r"at position 4 of record 1 "):
        from_one_hot(array)
    with pytest.raises(InputError, match=r"as_float.* at position 4 of record 'b' "):
        as_tokens(array.astype(np.float64), names=["a", "b", "c"])


def test_an_error_beyond_the_first_block_names_the_right_record():
    array = one_hot(np.zeros((700, 2000), np.uint8))
    array[601, 1999, 2] = 1
    with pytest.raises(InputError, match=r"at position 1999 of record 601 "):
        from_one_hot(array)
    array[601, 1999, 2] = np.nan
    with pytest.raises(InputError, match=r"at position 1999 of record 601 "):
        as_float(array)


def test_one_hot_is_read_in_blocks_of_rows():
    class OnDisk:
        """Stands for an HDF5 dataset: a shape, a type and slices."""

        shape, dtype, rows_at_once = (3000, 1000, 4), np.dtype(np.float64), 0

        def __getitem__(self, rows):
            n_rows = rows.stop - rows.start
            self.rows_at_once = max(self.rows_at_once, n_rows)
            return np.tile([0.0, 0.0, 1.0, 0.0], (n_rows, 1000, 1))

    dataset = OnDisk()
    assert (from_one_hot(dataset) == 2).all()
    assert dataset.rows_at_once < 1500


# arrays of either kind


def test_as_tokens_takes_any_integer_type():
    tokens = random_tokens()
    for dtype in (np.int8, np.int32, np.int64, np.uint16):
        assert as_tokens(tokens.astype(dtype)).dtype == np.uint8
        np.testing.assert_array_equal(as_tokens(tokens.astype(dtype)), tokens)
    np.testing.assert_array_equal(as_tokens(tokens.tolist()), tokens)


@pytest.mark.parametrize("value", [-1, 5, 256, 260])
def test_token_values_are_checked_before_they_are_narrowed(value):
    tokens = random_tokens(3, 5).astype(np.int64)
    tokens[2, 1] = value
    with pytest.raises(
        InputError, match=rf"tokens 0 to 4. Received: {value} at position 1 of record 2 "
    ):
        as_tokens(tokens)
    with pytest.raises(InputError, match="record 'c'"):
        as_tokens(tokens, names=["a", "b", "c"])


def test_as_float_lets_floats_pass_unchanged():
    noisy = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert as_float(noisy).dtype == np.float32
    np.testing.assert_array_equal(as_float(noisy), noisy.astype(np.float32))
    single = noisy.astype(np.float32)
    assert as_float(single) is single


def test_as_float_encodes_strings_and_tokens():
    tokens = random_tokens()
    for form in (tokens, decode(tokens), tokens.astype(int), one_hot(tokens).astype(bool)):
        assert as_float(form).dtype == np.float32
        np.testing.assert_array_equal(as_float(form), one_hot(tokens))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_as_float_refuses_what_float32_cannot_hold(value):
    array = np.zeros((3, 5, 4))
    array[1, 2, 3] = value
    with pytest.raises(InputError, match=r"finite in float32.* at position 2 of record 1 "):
        as_float(array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 9)), r"transpose.*shape=\(3, 4, 9\), dtype=float64$"),
        (np.zeros((3, 9, 5)), r"last axis holds A C G T.*shape=\(3, 9, 5\)"),
        (np.zeros(9, int), r"array\[np.newaxis\].*shape=\(9,\)"),
        (np.zeros((9, 4)), r"single \(L, 4\) sequence as array\[np.newaxis\]"),
        (np.zeros((9, 4), bool), r"tokens are integers"),
        (np.int64(3), r"shape=\(\)"),
        (np.zeros((2, 3, 4, 1)), "other ranks"),
        (np.zeros((2, 3, 4), complex), "other types.*complex128"),
        (np.zeros((0, 3), int), "empty array"),
        (np.zeros((2, 0, 4)), "empty array"),
        ([[0, 1], [2]], "rows have one length"),
    ],
)
def test_wrong_arrays_are_refused_by_every_reader(array, message):
    for reader in (check_sequences, as_tokens, as_float, reverse_complement):
        with pytest.raises(InputError, match=message):
            reader(array)


def test_check_sequences_refuses_strings():
    with pytest.raises(InputError, match="with encode"):
        check_sequences(["ACG"])


def test_functions_of_tokens_refuse_floats():
    rng = np.random.default_rng(0)
    array = one_hot(random_tokens())
    for call in (decode, one_hot, lambda x: shuffle_dinucleotides(x, rng)):
        with pytest.raises(InputError, match=r"expected tokens \(N, L\)"):
            call(array)
    with pytest.raises(InputError, match="one-hot sequences"):
        from_one_hot(random_tokens())


# reverse complement


def test_reverse_complement_agrees_with_plain_python():
    tokens = random_tokens()
    expected = ["".join(COMPLEMENT[base] for base in reversed(text)) for text in decode(tokens)]
    flipped = reverse_complement(tokens)
    assert flipped.dtype == np.uint8
    assert decode(flipped) == expected
    assert reverse_complement(decode(tokens)) == expected
    assert reverse_complement(decode(tokens)[0]) == expected[0]
    np.testing.assert_array_equal(reverse_complement(one_hot(tokens)), one_hot(flipped))


def test_reverse_complement_twice_is_the_same_again():
    noisy = np.random.default_rng(0).normal(size=(3, 7, 4)).astype(np.float32)
    once = reverse_complement(noisy)
    assert once.dtype == np.float32
    assert not np.shares_memory(once, noisy)
    np.testing.assert_array_equal(reverse_complement(once), noisy)
    tokens = random_tokens()
    np.testing.assert_array_equal(reverse_complement(reverse_complement(tokens)), tokens)


def test_reverse_complement_of_strings_keeps_case_codes_and_lengths():
    bases = {
        **dict(zip("ACGT", "ACGT", strict=True)),
        **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
        **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
    }
    for code, meaning in bases.items():
        flipped = reverse_complement(code)
        assert set(bases[flipped]) == {COMPLEMENT[base] for base in meaning}
        assert reverse_complement(code.lower()) == flipped.lower()
    assert reverse_complement(["aCG", "U"]) == ["CGt", "A"]
    with pytest.raises(InputError, match=r"'-' at position 2 of record 1 "):
        reverse_complement(["A", "CC-"])


# shuffles


def test_position_shuffle_keeps_each_sequences_bases():
    tokens = random_tokens(200, 40)
    before = tokens.copy()
    shuffled = shuffle_positions(tokens, np.random.default_rng(1))
    np.testing.assert_array_equal(tokens, before)
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), np.sort(tokens, axis=1))
    assert (shuffled != tokens).any(axis=1).all()


def test_position_shuffle_moves_tokens_and_channels_alike():
    tokens = random_tokens()
    shuffled = shuffle_positions(tokens, np.random.default_rng(1))
    channels = shuffle_positions(one_hot(tokens), np.random.default_rng(1))
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels, one_hot(shuffled))
    noisy = np.random.default_rng(0).normal(size=(1, 6, 4))
    rows = {tuple(row) for row in noisy[0]}
    assert {tuple(row) for row in shuffle_positions(noisy, np.random.default_rng(2))[0]} == rows


def test_position_shuffle_is_uniform_and_independent():
    shuffled = shuffle_positions(np.tile([0, 1, 2, 3], (24_000, 1)), np.random.default_rng(3))
    drawn = Counter(decode(shuffled))
    assert len(drawn) == 24
    assert chisquare(list(drawn.values())).pvalue > 1e-3
    pairs = Counter(zip(decode(shuffled[::2]), decode(shuffled[1::2]), strict=True))
    table = list(pairs.values()) + [0] * (24 * 24 - len(pairs))
    assert chisquare(table).pvalue > 1e-3


def test_shuffles_repeat_by_seed():
    tokens = random_tokens()
    for shuffle in (shuffle_positions, shuffle_dinucleotides):
        first, again, other = (
            shuffle(tokens, np.random.default_rng(seed)).tobytes() for seed in (5, 5, 6)
        )
        assert first == again
        assert first != other


def arrangements(text):
    """All sequences with the dinucleotide counts and the first base of `text`."""
    complete, unfinished = [], [(text[0], dinucleotides(text))]
    while unfinished:
        start, left = unfinished.pop()
        if len(start) == len(text):
            complete.append(start)
        for pair in left:
            if pair[0] == start[-1] and left[pair]:
                unfinished.append((start + pair[1], left - Counter([pair])))
    return complete


@pytest.mark.parametrize(
    "text",
    [
        "AACAAACAA",  # the final base has loops, and returns to itself
        "CAACACAGAC",
        "AAACCCACCGT",  # the final base occurs once
        "ACGTACTGACGA",
        "ANNANCANCCA",  # unknown bases are a fifth symbol
        "GATTACAGAG",
        "AAAACGTA",
        "CGNTCGANCGT",  # all five symbols
    ],
)
def test_dinucleotide_shuffle_is_uniform_over_all_sequences_with_the_same_counts(text):
    possible = arrangements(text)
    n_draws = 150 * len(possible)
    tokens = np.repeat(encode(text), n_draws, axis=0)
    drawn = Counter(decode(shuffle_dinucleotides(tokens, np.random.default_rng(7))))
    assert len(possible) > 3
    assert set(drawn) == set(possible)
    assert chisquare([drawn[sequence] for sequence in possible]).pvalue > 1e-3


def test_dinucleotide_shuffle_is_independent_between_rows_of_a_batch():
    text = "CAACACAGAC"
    possible = arrangements(text)
    tokens = np.repeat(encode(text), 200 * len(possible) ** 2, axis=0)
    texts = decode(shuffle_dinucleotides(tokens, np.random.default_rng(8)))
    pairs = Counter(zip(texts[::2], texts[1::2], strict=True))
    table = [pairs[first, second] for first in possible for second in possible]
    assert chisquare(table).pvalue > 1e-3


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 17, 249])
def test_dinucleotide_shuffle_keeps_counts_and_ends_of_mixed_batches(length):
    rng = np.random.default_rng(length)
    tokens = random_tokens(60, length, seed=length)
    tokens[:10] = rng.choice([0, 3], (10, length))
    tokens[10:15] = rng.integers(0, 5, (5, 1))
    before = tokens.copy()
    shuffled = shuffle_dinucleotides(tokens, rng)
    np.testing.assert_array_equal(tokens, before)
    for old, new in zip(decode(tokens), decode(shuffled), strict=True):
        assert (old[0], old[-1]) == (new[0], new[-1])
        assert dinucleotides(old) == dinucleotides(new)
    if length == 249:
        assert (shuffled[15:] != tokens[15:]).mean() > 0.6


def test_dinucleotide_shuffle_manages_a_single_way_out_of_a_long_repeat():
    text = "AC" * 4000 + "GT" * 4000 + "N"
    shuffled = decode(shuffle_dinucleotides(encode(text), np.random.default_rng(0)))[0]
    assert dinucleotides(shuffled) == dinucleotides(text)
    assert (shuffled[0], shuffled[-1]) == ("A", "N")


def test_dinucleotide_shuffle_crosses_blocks():
    tokens = random_tokens(10_000, 249)
    shuffled = shuffle_dinucleotides(tokens, np.random.default_rng(0))
    pairs, pairs_after = (np.sort(x[:, :-1] * np.uint8(5) + x[:, 1:]) for x in (tokens, shuffled))
    np.testing.assert_array_equal(pairs, pairs_after)


# mutation


def test_mutate_changes_one_base_in_a_copy():
    tokens = random_tokens(6, 9)
    positions = [0, 8, 3, 3, 5, 1]
    mutated = mutate(tokens, positions, "ACGTuc")
    expected = [list(text) for text in decode(tokens)]
    for text, position, base in zip(expected, positions, "ACGTTC", strict=True):
        text[position] = base
    assert decode(mutated) == ["".join(text) for text in expected]
    np.testing.assert_array_equal(tokens, random_tokens(6, 9))
    np.testing.assert_array_equal(mutated, mutate(tokens, positions, [0, 1, 2, 3, 3, 1]))
    columns = pd.DataFrame({"position": positions, "base": list("ACGTTC")}, index=range(6, 0, -1))
    np.testing.assert_array_equal(mutated, mutate(tokens, columns["position"], columns["base"]))


@pytest.mark.parametrize(
    ("positions", "bases", "message"),
    [
        ([0, 9, 1], "ACG", "position 0 to 8.* position=9 for record 1$"),
        ([0, 1, -1], "ACG", "position 0 to 8.* position=-1 for record 2$"),
        ([0, 1], "ACG", r"one of positions for each of the 3 .*shape=\(2,\)"),
        (4, "ACG", r"one of positions for each of the 3 .*shape=\(\)"),
        ([0.0, 1.0, 2.0], "ACG", "one of positions .*float64"),
        ([True, False, True], "ACG", "one of positions .*bool"),
        ([0, 1, 2], "AC", "one of bases for each of the 3 sequences, as integers or single"),
        ([0, 1, 2], ["AC", "GT", "AA"], r"one of bases .*shape=\(3, 2\)"),
        ([0, 1, 2], ["A", "C", "GT"], "2 bases in record 2"),
        ([0, 1, 2], ["A", "C", None], "None for record 2"),
        ([0, 1, 2], ["A", "-", "C"], "'-' at position 0 of record 1"),
        ([0, 1, 2], "ANC", r"base 0 to 3 \(A C G T\).*base=4 for record 1$"),
        ([0, 1, 2], [0, 1, -2], r"base 0 to 3 .*base=-2 for record 2$"),
        ([0, 1, 2], [0.0, 1.0, 2.0], "one of bases .*float64"),
    ],
)
def test_mutate_refuses_what_does_not_fit(positions, bases, message):
    with pytest.raises(InputError, match=message):
        mutate(random_tokens(3, 9), positions, bases)


COUNTED = np.random.default_rng(0).integers(1, 5, (10, 60))
"""Tokens of other tools: 1 to 4 for A C G T."""


@pytest.mark.parametrize("read", [as_tokens, check_sequences, as_float, decode, one_hot])
def test_tokens_counted_from_one_are_refused(read):
    tokens = COUNTED.astype(np.uint8)
    tokens[0, :7] = [1, 2, 3, 1, 2, 3, 4]
    share = f"{np.mean(tokens == 4):.1%}"
    message = rf"subtract 1\. Received: no 0, and {share} of 4, first at position 6 of record 0 "
    with pytest.raises(InputError, match=message):
        read(tokens)


def test_tokens_that_only_resemble_them_are_read():
    rare = np.where(COUNTED == 4, 3, COUNTED)
    rare[0, :20] = 4  # a stretch of unknown bases in sequences without A
    masked = np.where(np.arange(60) < 58, 4, 1 + COUNTED % 3)  # too few known bases to miss A
    for tokens in (
        COUNTED - 1, COUNTED[:1, :50], rare, np.full((9, 60), 4), 3 - (COUNTED - 1) % 3, masked,
    ):  # fmt: skip
        np.testing.assert_array_equal(check_sequences(tokens), tokens)
    with_one_a = COUNTED.copy()
    with_one_a[9, 59] = 0
    assert check_sequences(with_one_a)[9, 59] == 0


@pytest.mark.parametrize(
    ("one", "dtype"),
    [(255, "u1"), (2, "u1"), (255, "i8"), (255, "f4"), (255, "f8"), (0.5, "f4"), (1 / 255, "f8")],
)
def test_one_hot_of_another_number_than_one_is_refused(one, dtype):
    scaled = (one_hot(encode(["NACG", "TTTT"])) * one).astype(dtype)
    with pytest.raises(InputError, match=r"for every 1, first at position 1 of record 0 "):
        check_sequences(scaled)
    with pytest.raises(InputError, match="expected one-hot positions"):
        as_tokens(scaled)


def test_arrays_that_are_no_scaled_one_hot_are_kept():
    hot = one_hot(encode(["NACG", "TTTT"]))
    noisy = hot + np.random.default_rng(0).normal(0, 0.1, hot.shape)
    mixed, two = hot * 1.0, hot * 0.5
    mixed[0, 1] *= 2
    two[0, 2] = [0.5, 0.5, 0, 0]
    for array in (hot, hot.astype(np.uint8), hot * 0, noisy, mixed, two, np.full((1, 2, 4), 0.25)):
        assert check_sequences(array) is array or np.array_equal(check_sequences(array), array)
