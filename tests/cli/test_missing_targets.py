"""A table with gaps and weights, from `degu prepare` to calibrated intervals."""

import h5py
import numpy as np
import pandas as pd
import pytest
from command_line import PAPER, TRAIN, degu, done

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.sequences.encoding import decode

TARGETS = ("--targets", "a", "b", "--split", "part")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """120 sequences; b was not measured in every third of them."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, (160, 32), np.uint8)
    gc = np.isin(tokens, (1, 2)).mean(axis=1)
    frame = pd.DataFrame({
        "seq": decode(tokens), "a": gc + rng.normal(0, 0.1, 160), "b": 1 - gc,
        "barcodes": rng.integers(1, 40, 160), "part": ["train"] * 60 + ["val"] * 60 + ["test"] * 40,
    })  # fmt: skip
    frame.loc[::3, "b"] = np.nan
    path = tmp_path_factory.mktemp("gaps") / "t.tsv"
    frame.to_csv(path, sep="\t", index=False, na_rep="NA")
    return path


def test_gaps_are_refused_with_the_option_that_drops_them(table, tmp_path):
    refused = degu("prepare", "table", table, *TARGETS, "--out", tmp_path / "d.h5")
    assert refused.code == 2
    assert "54 of 160 rows lack a value" in refused.err
    assert "--drop-missing" in refused.err
    assert not (tmp_path / "d.h5").exists()


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
@pytest.mark.slow
def test_a_table_with_gaps_and_weights_is_trained_on(table, tmp_path):
    data, run, student = (tmp_path / name for name in ("d.h5", "t", "s"))
    keep = ("--missing-targets", "keep", "--weight-column", "barcodes")
    shown = done("prepare", "table", table, *TARGETS, *keep, "--out", data).out
    assert "columns a, b; values of a 60, 60, 40, of b 40, 40, 26; weighted rows" in shown
    assert read_splits(data).train.weights.min() >= 1
    trained = done("train", data, *TRAIN, "--quiet", "--out", run).out
    assert "values of a 60, 60, 40, of b 40, 40, 26" in trained
    assert "(single: mean over members); n: a 40, b 26" in trained
    done("distill", run, data, *PAPER, "--epochs", 2, "--quiet", "--out", student)
    evaluated = done("evaluate", student, data, "--out", tmp_path / "m.csv").out
    assert "n: a 40, b 26" in evaluated
    assert "kmer_ridge" in evaluated
    metrics = pd.read_csv(tmp_path / "m.csv").query("head == 'activity' and metric == 'pearson'")
    assert metrics.groupby("target")["n"].unique().to_dict() == {"a": [40], "b": [26]}
    calibrated = done("calibrate", run, data, "--level", 0.8).out
    assert "80 % intervals on test (n=a 40, b 26)" in calibrated


def test_replicates_weigh_values(table, tmp_path):
    frame = pd.read_csv(table, sep="\t").assign(c=lambda frame: frame["a"] + 0.1)
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    prepare = ("prepare", "table", tmp_path / "t.tsv", "--split", "part", "--weight-by-replicates")
    data = ("--missing-targets", "keep", "--out", tmp_path / "d.h5")
    shown = done(*prepare, "--replicates", "x=a,b,c", "y=a,c", *data).out
    assert "weighted values" in shown
    weights = read_splits(tmp_path / "d.h5").train.weights
    assert weights[:4].tolist() == [[2, 2], [3, 2], [3, 2], [2, 2]]
    refused = degu(*prepare, "--targets", "a", "--out", tmp_path / "e.h5")
    assert refused.code == 2
    assert "--weight-by-replicates goes with --replicates" in refused.err


def test_a_file_of_another_layout_is_kept_where_that_is_said(table, tmp_path):
    data, other = tmp_path / "d.h5", tmp_path / "o.h5"
    done("prepare", "table", table, *TARGETS, "--missing-targets", "keep", "--out", data)
    with h5py.File(data) as source, h5py.File(other, "w") as file:
        for ours, theirs in (("train", "Train"), ("validation", "Val"), ("test", "Test")):
            file[f"{theirs}/X"] = source[f"{ours}/sequences"][()]
            file[f"{theirs}/y"] = source[f"{ours}/targets"][()]
    named = ("--targets", "a", "b")
    refused = degu("train", other, *TRAIN, *named, "--out", tmp_path / "t")
    assert refused.code == 2
    assert "--missing-targets keep keeps rows" in refused.err
    kept = done(
        *("train", other, *TRAIN, *named, "--missing-targets", "keep", "--quiet"),
        *("--out", tmp_path / "t"),
    )
    assert "of b 40, 40, 26" in kept.out


@pytest.mark.slow
def test_only_measured_sequences_are_ranked_by_what_was_measured(table, tmp_path):
    data, run = tmp_path / "d.h5", tmp_path / "t"
    done("prepare", "table", table, *TARGETS, "--missing-targets", "keep", "--out", data)
    done("train", data, *TRAIN, "--quiet", "--out", run)
    explain = ("explain", run, data, "--rank-by", "measured", "--method", "saliency")
    refused = degu(*explain, "--head", "b", "--top", 30, "--out", tmp_path / "e")
    assert refused.code == 2
    assert "--top of at most 26, the sequences with a measured b" in refused.err
    done(*explain, "--head", "b", "--top", 20, "--out", tmp_path / "e")
