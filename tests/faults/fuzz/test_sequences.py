"""Whatever stands where sequences are expected: they are read right, or a named error says why."""

import numpy as np
import pytest
from faults.any_input import LETTERS, any_text, dna, file_of, only_named_errors, small_numbers
from hypothesis import given
from hypothesis import strategies as some

from degu_tf.data.sources.intervals import read_intervals
from degu_tf.models.predictor import as_array
from degu_tf.sequences.encoding import decode, encode, one_hot
from degu_tf.sequences.fasta import read_fasta
from degu_tf.sequences.fitting import Fitting, fit_sequences

pytestmark = pytest.mark.slow

_PLAIN = str.maketrans(
    {letter: "N" for letter in LETTERS.upper() if letter not in "ACGTU"} | {"U": "T"}
)


@given(
    some.integers(1, 40).flatmap(
        lambda n: some.lists(some.text(LETTERS, min_size=n, max_size=n), min_size=1)
    )
)
def test_sequences_of_one_length_come_back(sequences):
    expected = [sequence.upper().translate(_PLAIN) for sequence in sequences]
    assert decode(encode(sequences)) == expected


@given(
    some.lists(some.one_of(dna, any_text, some.none(), some.integers(), some.binary()), max_size=5)
)
def test_lists_of_anything(sequences):
    with only_named_errors():
        tokens = encode(sequences)
        assert tokens.shape == (len(sequences), len(sequences[0]))


@given(
    some.sampled_from([np.uint8, np.int64, np.float32, np.float64, bool, object]),
    some.lists(some.integers(0, 5), max_size=4),
    some.randoms(use_true_random=False),
)
def test_arrays_of_anything(kind, shape, random):
    values = np.array(
        [random.choice([0, 1, 4, 5, -1, 0.5, np.nan, np.inf]) for _ in range(int(np.prod(shape)))]
    )
    with np.errstate(invalid="ignore"):
        array = values.astype(kind).reshape(shape)
    with only_named_errors():
        assert len(as_array(array)) == len(array)
    with only_named_errors():
        assert one_hot(array).shape == (*array.shape, 4)


@given(
    some.one_of(
        some.binary(max_size=200),
        some.lists(
            some.one_of(dna, any_text, some.sampled_from([">", ">a b", "+", "@x", ";"])),
            max_size=12,
        ).map("\n".join),
    )
)
def test_fasta_files_of_anything(content):
    with file_of(content, "some.fa") as path, only_named_errors():
        names, sequences = read_fasta(path)
        assert len(names) == len(sequences) > 0


@given(
    some.lists(dna.filter(bool), min_size=1, max_size=4),
    small_numbers,
    small_numbers,
    some.sampled_from([None, "N", "flanks", "x"]),
    small_numbers,
    some.tuples(dna, dna),
)
def test_sequences_fitted_to_windows(sequences, length, resize, pad, stride, flanks):
    with only_named_errors():
        fitting = Fitting(length, resize, pad, flanks, stride)
        fitted = fit_sequences([f"s{i}" for i in range(len(sequences))], sequences, fitting)
        assert fitted.sequences.shape[1] == fitting.length
        assert set(fitted.rows) == set(range(len(sequences)))


_FIELD = some.one_of(
    some.sampled_from(
        ["chr1", ".", "+", "-", "*", "", "track", "#", "-1", "0", "5", "1e3", "9" * 30]
    ),
    some.text(alphabet=some.characters(codec="utf-8"), max_size=4),
)


@given(some.lists(some.lists(_FIELD, max_size=11).map("\t".join), max_size=5).map("\n".join))
def test_intervals_of_anything(content):
    with file_of(content, "some.bed") as path, only_named_errors():
        for interval in read_intervals(path):
            assert interval.name
