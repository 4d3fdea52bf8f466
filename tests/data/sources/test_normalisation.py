import json

import h5py
import numpy as np
import pandas as pd
import pytest

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.sources.normalisation import Normalisation, batch_centres
from degu_tf.data.sources.table import TableWarning, read_table
from degu_tf.utils.errors import InputError


def table(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "seq": ["".join(rng.choice(list("ACGT"), 12)) for _ in range(n_rows)],
            "part": ["train"] * (n_rows - 8) + ["val"] * 4 + ["test"] * 4,
            "batch": ["a", "b"] * (n_rows // 2),
            "r1": rng.gamma(2.0, size=n_rows),
            "r2": rng.gamma(2.0, size=n_rows) + 3.0,
        }
    )


def test_the_logarithm_is_taken_of_every_replicate_before_their_mean_and_deviation():
    frame = table()
    frame.loc[0, "r2"] = 0.0
    splits = read_table(
        frame, replicates={"y": ["r1", "r2"]}, split="part", log2=True, pseudocount=0.5
    )
    logs = np.log2(frame[["r1", "r2"]].to_numpy()[:52] + 0.5)
    expected = np.stack([logs.mean(axis=1), logs.std(axis=1)], axis=1)
    np.testing.assert_allclose(splits.train.targets, expected, rtol=1e-5)


def test_only_the_targets_named_are_logarithms():
    frame = table()
    splits = read_table(frame, targets={"a": "r1", "b": "r2"}, split="part", log2=["b"])
    expected = np.stack([frame["r1"], np.log2(frame["r2"])], axis=1)[:52]
    np.testing.assert_allclose(splits.train.targets, expected, rtol=1e-6)
    with pytest.raises(InputError, match=r"log2 names targets, which are a, b.*Received: 'r2'"):
        read_table(frame, targets={"a": "r1", "b": "r2"}, split="part", log2=["r2"])


def test_values_without_a_logarithm_are_counted_by_column_with_a_way_out():
    frame = table()
    frame.loc[[3, 4], "r1"] = [0.0, -2.0]
    frame.loc[9, "r2"] = 0.0
    message = r"pseudocount=1.*2 of 60 in 'r1', 1 of 60 in 'r2' at or below 0, first 0 in row 4"
    with pytest.raises(InputError, match=message):
        read_table(frame, targets=["r1", "r2"], split="part", log2=True)
    with pytest.raises(InputError, match=r"values \+ 1 above 0.*1 of 60 in 'r1'"):
        read_table(frame, targets=["r1", "r2"], split="part", log2=True, pseudocount=1.0)


def test_a_missing_replicate_stays_missing():
    frame = table().astype({"r1": object})
    frame.loc[0, "r1"] = "NA"
    with pytest.warns(TableWarning, match="1 of 60 rows have fewer than 2"):
        splits = read_table(frame, replicates={"y": ["r1", "r2"]}, split="part", log2=True)
    assert len(splits.train) == 51


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"pseudocount": 1.0}, "log2=True"), ({"log2": True, "pseudocount": -1.0}, "from 0")],
)
def test_a_pseudocount_needs_a_logarithm_and_is_not_negative(arguments, message):
    with pytest.raises(InputError, match=message):
        Normalisation(**arguments)


def test_centres_are_means_of_the_training_rows_of_each_batch_after_the_logarithm():
    frame = table()
    held_out = frame["part"] != "train"
    frame.loc[held_out, "r1"] *= 1000.0  # would move the centres if it had a part in them
    splits = read_table(frame, targets=["r1"], split="part", log2=True, centre_by="batch")
    logs = np.log2(frame["r1"])
    centres = logs[~held_out].groupby(frame["batch"]).mean()
    expected = (logs - frame["batch"].map(centres)).to_numpy()
    np.testing.assert_allclose(splits.train.targets[:, 0], expected[:52], atol=1e-6)
    np.testing.assert_allclose(splits.test.targets[:, 0], expected[56:], atol=1e-5)
    assert splits.normalisation["centres"]["r1"] == pytest.approx(centres.to_dict())


def test_replicates_are_centred_each_by_itself():
    frame = table()
    frame["r2"] = frame["r1"] + np.where(frame["batch"] == "a", 5.0, -1.0)
    splits = read_table(frame, replicates={"y": ["r1", "r2"]}, split="part", centre_by="batch")
    np.testing.assert_allclose(splits.train.targets[:, 1], 0.0, atol=1e-6)


def test_a_batch_without_training_rows_is_refused():
    frame = table()
    frame.loc[frame["part"] == "test", "batch"] = "c"
    with pytest.raises(InputError, match=r"Received: 4 rows of the batch 'c', none in train"):
        read_table(frame, targets=["r1"], split="part", centre_by="batch")


def test_a_row_without_batch_is_refused():
    frame = table()
    frame.loc[7, "batch"] = " "
    with pytest.raises(InputError, match=r"'batch'\. Received: none in 1 rows, first row 8"):
        read_table(frame, targets=["r1"], split="part", centre_by="batch")


def test_few_training_rows_are_warned_of():
    values, batches = np.ones((20, 1)), ["a"] * 15 + ["b"] * 5
    _, _, messages = batch_centres(values, batches, np.ones(20, bool), ["y"])
    assert messages == [
        "1 of 2 batches have fewer than 10 measured training rows, whose mean is an uncertain "
        "centre (first 'b')"
    ]


def test_the_file_keeps_what_was_done_and_is_otherwise_as_before(tmp_path):
    plain = read_table(table(), targets=["r1"], split="part")
    made = read_table(
        table(), targets=["r1"], split="part", log2=True, pseudocount=1.0, centre_by="batch"
    )
    write_splits(tmp_path / "plain.h5", plain)
    write_splits(tmp_path / "made.h5", made)
    assert read_splits(tmp_path / "plain.h5").normalisation is None
    read = read_splits(tmp_path / "made.h5")
    assert read.normalisation == made.normalisation
    assert set(read.normalisation["centres"]["r1"]) == {"a", "b"}
    assert (read.normalisation["log2"], read.normalisation["pseudocount"]) == (["r1"], 1.0)
    assert read.fraction(0.5).normalisation == made.normalisation
    with h5py.File(tmp_path / "made.h5") as file:
        assert json.loads(file.attrs["normalisation"])["centre_by"] == "batch"
    with h5py.File(tmp_path / "plain.h5") as file:
        assert set(file.attrs) == {"format", "version", "heads", "columns"}


def test_gaps_and_weights_go_with_logarithms_and_centres():
    """What is missing stays missing, and is no part of a batch's centre."""
    frame = table().assign(count=np.arange(60) + 1.0)
    frame.loc[::5, "r1"] = np.nan
    splits = read_table(
        frame, targets=["r1", "r2"], split="part", log2=["r1"], centre_by="batch",
        missing_targets="keep", weight="count",
    )  # fmt: skip
    train = frame["part"] == "train"
    values = frame[["r1", "r2"]].astype(float)
    values["r1"] = np.log2(values["r1"])
    expected = values - values[train].groupby(frame["batch"]).mean().loc[frame["batch"]].to_numpy()
    np.testing.assert_allclose(splits.train.targets, expected[train], rtol=1e-5, atol=1e-6)
    assert splits.n_values("train") == {"r1": expected[train]["r1"].count(), "r2": train.sum()}
    np.testing.assert_array_equal(splits.train.weights, frame["count"][train])
