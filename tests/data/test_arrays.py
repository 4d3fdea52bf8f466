"""Arrays, lists and DataFrames as `Splits`."""

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.arrays import measured_columns, sequence_array
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.sources.table import read_table
from degu_tf.data.splits import Splits
from degu_tf.sequences.encoding import encode, one_hot
from degu_tf.utils.errors import InputError

STRINGS = ["ACGTN", "AAAAA", "CCCCC"]
TOKENS = encode(STRINGS)
FORMS = {
    "strings": STRINGS,
    "a Series": pd.Series(STRINGS, index=[7, 8, 9]),
    "tokens": TOKENS,
    "tokens of another type": TOKENS.astype(int),
    "one-hot": one_hot(TOKENS),
    "one-hot of bytes": one_hot(TOKENS).astype(np.uint8),
    "one-hot of booleans": one_hot(TOKENS).astype(bool),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_sequences_is_held_as_the_same_tokens(form):
    splits = Splits.from_arrays(FORMS[form], [1.0, 2.0, 3.0], FORMS[form], [1.0, 2.0, 3.0])
    assert splits.train.sequences.dtype == np.uint8
    assert splits.train.sequences.tolist() == TOKENS.tolist()
    strings = Splits.from_arrays(STRINGS, [1.0, 2.0, 3.0], STRINGS, [1.0, 2.0, 3.0])
    assert splits.fingerprint == strings.fingerprint


def test_numbers_that_are_not_one_hot_stay():
    noisy = one_hot(TOKENS) + 0.25
    assert sequence_array(noisy).tolist() == noisy.tolist()


@pytest.mark.parametrize(
    "wrong", [np.full((1, 5, 4), 255, np.uint8), np.ones((1, 5, 4)), np.zeros((1, 4, 5))]
)
def test_what_is_no_sequence_is_refused(wrong):
    with pytest.raises(InputError, match=r"^train: expected"):
        Splits.from_arrays(wrong, [1.0], STRINGS[:1], [1.0])


def test_replicates_are_a_third_axis():
    y = np.array([[[1.0, 2.0, 6.0], [0.0, 0.0, np.nan]], [[3.0, 3.0, 3.0], [1.0, np.nan, 3.0]]])
    columns, heads = measured_columns(y, ["Dev", "Hk"])
    assert heads.columns == ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric")
    assert columns[:, :2].tolist() == [[3.0, 0.0], [3.0, 2.0]]
    assert np.allclose(columns[:, 2:], [[np.std([1, 2, 6]), 0.0], [0.0, 1.0]])
    columns, heads = measured_columns(y, aleatoric=False)
    assert heads.columns == ("target_0", "target_1")
    assert columns.tolist() == [[3.0, 0.0], [3.0, 2.0]]


def test_replicates_give_what_a_table_gives():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(6, 1, 3))
    y[2, 0, 1] = np.nan
    sequences = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(6)]
    frame = pd.DataFrame(y[:, 0], columns=["r1", "r2", "r3"])
    frame = frame.assign(seq=sequences, part=["train"] * 2 + ["val"] * 2 + ["test"] * 2)
    table = read_table(frame, replicates={"activity": ["r1", "r2", "r3"]}, split="part")
    arrays = Splits.from_arrays(
        sequences[:2], y[:2], sequences[2:4], y[2:4], sequences[4:], y[4:], targets="activity"
    )
    assert arrays.fingerprint == table.fingerprint


def test_targets_are_named_by_data_frames_and_series():
    frame = pd.DataFrame({"HepG2": [1.0, 2.0], "K562": [3.0, 4.0]})
    assert measured_columns(frame)[1].targets == ("HepG2", "K562")
    assert measured_columns(frame["K562"])[1].targets == ("K562",)
    assert measured_columns(frame.to_numpy())[1].targets == ("target_0", "target_1")
    assert measured_columns([1.0, 2.0])[1].targets == ("activity",)


REFUSED = {
    "names": (dict(y=[1.0], targets=["a", "b"]), "expected 1 names in targets"),
    "text": (dict(y=["high"]), "y must be an array of numbers"),
    "axes": (dict(y=np.zeros((1, 2, 3, 4))), r"Received: shape \(1, 2, 3, 4\)"),
    "one replicate": (dict(y=[[[1.0]]]), "at least 2 of each target"),
    "few": (dict(y=[[[1.0, 2.0]], [[1.0, np.nan]]]), r"leave the 1 .* \[\[1.0, nan\]\] in row 1"),
    "infinite": (dict(y=[[[1.0, np.inf, 2.0]]]), "finite replicates"),
    "none": (dict(y=[[[np.nan, np.nan]]], aleatoric=False), "at least 1 of each"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_measurements_that_cannot_be_used_are_refused(case):
    arguments, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        measured_columns(**arguments)


def test_splits_must_agree():
    with pytest.raises(InputError, match="validation: expected the columns of train"):
        Splits.from_arrays(STRINGS, [1, 2, 3], STRINGS, np.ones((3, 2)))
    with pytest.raises(InputError, match="expected sequences of 5 bases"):
        Splits.from_arrays(STRINGS, [1, 2, 3], ["ACG"], [1])
    with pytest.raises(InputError, match="one row of targets for each of the 3 sequences"):
        Splits.from_arrays(STRINGS, [1, 2], STRINGS, [1, 2, 3])
    with pytest.raises(InputError, match="x_test and y_test together"):
        Splits.from_arrays(STRINGS, [1, 2, 3], STRINGS, [1, 2, 3], STRINGS)


def test_without_test_data_the_validation_set_stands_in_and_is_called_so(tmp_path):
    splits = Splits.from_arrays(STRINGS, [1, 2, 3], STRINGS[:2], [1, 2])
    assert splits.test is splits.validation
    assert splits.test_name == "validation"
    assert splits.without_uncertainty().test_name == "validation"
    assert splits.subset(2).test_name == "validation"
    with pytest.raises(InputError, match="give x_test and y_test"):
        write_splits(tmp_path / "d.h5", splits)
    assert list(tmp_path.iterdir()) == []


def test_splits_are_readable(splits):
    columns = "Dev, Hk, Dev_aleatoric, Hk_aleatoric"
    shown = f"Splits(400 train, 40 validation, 40 test; 32 bp; columns {columns})"
    assert repr(splits) == shown
    assert repr(splits.test) == "Split(40 sequences, 32 bp; targets 4)"
    html = splits._repr_html_()
    assert shown in html
    assert f"{splits.test.targets[:, 1].mean():.3g} ± {splits.test.targets[:, 1].std():.3g}" in html
    alone = Splits.from_arrays(STRINGS, [1, 2, 3], STRINGS[:2], [1, 2])
    assert repr(alone) == "Splits(3 train, 2 validation, no test; 5 bp; columns activity)"
    assert "<th>test</th>" not in alone._repr_html_()
