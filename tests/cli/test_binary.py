"""Binary targets from a table to an evaluated student, on the command line."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from command_line import TRAIN, degu, done, table
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score

from degu_tf.data.simulation.mpra import simulate
from degu_tf.distillation.runs import open_run
from degu_tf.metrics.kmer_ridge import kmer_counts
from degu_tf.sequences.encoding import decode


def write_table(path, sizes, length):
    """Sequences that are active where their simulated activity, without noise, is high."""
    simulation = simulate(sizes, length, seed=0).splits
    threshold = np.quantile(simulation.train.targets[:, 0], 0.6)
    parts = {"train": simulation.train, "val": simulation.validation, "test": simulation.test}
    frames = [
        pd.DataFrame(
            {
                "id": [f"{name}_{row}" for row in range(len(split))],
                "seq": decode(split.sequences),
                "part": name,
                "active": (split.targets[:, 0] > threshold).astype(int),
            }
        )
        for name, split in parts.items()
    ]
    frame = pd.concat(frames)
    frame.to_csv(path, sep="\t", index=False)
    return frame


def prepared(folder, sizes, length):
    frame = write_table(folder / "t.tsv", sizes, length)
    shown = done(
        *("prepare", "table", folder / "t.tsv", "--targets", "active", "--split", "part"),
        *("--task", "binary", "--out", folder / "d.h5"),
    )
    assert "columns active (binary)" in shown.out
    return frame


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    prepared(tmp_path, (80, 40, 40), 32)
    shown = done("train", tmp_path / "d.h5", *TRAIN, "--out", tmp_path / "x")
    assert "AUROC" in shown.out
    shown = done(
        *("distill", tmp_path / "x", tmp_path / "d.h5", "--recipe", "paper", "--epochs", 2),
        *("--out", tmp_path / "y"),
    )
    assert "average precision" in shown.out
    done("evaluate", tmp_path / "y", tmp_path / "d.h5", "--out", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    auroc = metrics[metrics["metric"] == "auroc"]
    assert set(auroc["method"]) == {"student", "single", "ensemble", "kmer_ridge"}
    assert set(metrics[metrics["head"] == "epistemic"]["method"]) == {"student"}
    done("predict", tmp_path / "y", tmp_path / "t.tsv", "--out", tmp_path / "p.tsv")
    predicted = table(tmp_path / "p.tsv")
    assert predicted["active"].between(0, 1).all()
    models = [tmp_path / "x" / f"member_0{number}" / "model.keras" for number in (0, 1)]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for number, model in enumerate(models):
        keras.models.load_model(model, compile=False).save(foreign / f"m_{number}.keras")
    elsewhere = ("distill", foreign, tmp_path / "d.h5", "--recipe", "paper", "--epochs", 2)
    done(*elsewhere, "--model", "deepstarr", "--width", 0.05, "--out", tmp_path / "f")
    assert open_run(tmp_path / "f").heads.task == "binary"
    refused = degu("calibrate", tmp_path / "y", tmp_path / "d.h5")
    assert refused.code == 2
    assert "binary targets" in refused.err
    refused = degu("train", tmp_path / "d.h5", *TRAIN, "--standardise", "--out", tmp_path / "z")
    assert "in no other units. Received: --standardise" in refused.err
    assert not (tmp_path / "z" / "settings.json").exists()


def test_values_other_than_0_and_1_are_refused(tmp_path):
    frame = write_table(tmp_path / "t.tsv", (20, 10, 10), 32)
    frame["active"] = frame["active"] + 1
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    refused = degu(
        *("prepare", "table", tmp_path / "t.tsv", "--targets", "active", "--split", "part"),
        *("--task", "binary", "--out", tmp_path / "d.h5"),
    )
    assert refused.code == 2
    assert "expected binary targets, 0 or 1" in refused.err


@pytest.mark.slow
def test_a_student_is_near_its_ensemble_and_above_a_regression_on_kmers(tmp_path):
    frame = prepared(tmp_path, (1600, 400, 800), 60)
    data = tmp_path / "d.h5"
    done(
        *("train", data, "--model", "deepstarr", "--width", 0.25, "--members", 3),
        *("--steps", 400, "--quiet", "--out", tmp_path / "x"),
    )
    done("distill", tmp_path / "x", data, "--steps", 400, "--pool", 3, "--quiet",
         "--out", tmp_path / "y")  # fmt: skip
    done("evaluate", tmp_path / "y", data, "--out", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    auroc = metrics[metrics["metric"] == "auroc"].groupby("method")["value"].mean()
    train, test = (frame[frame["part"] == part] for part in ("train", "test"))
    with warnings.catch_warnings():  # of what later versions of scikit-learn want to be told
        warnings.simplefilter("ignore", FutureWarning)
        regression = LogisticRegressionCV(scoring="roc_auc", max_iter=2000)
        regression.fit(kmer_counts(train["seq"], 4), train["active"])
    scores = regression.predict_proba(kmer_counts(test["seq"], 4))[:, 1]
    beside = roc_auc_score(test["active"], scores)
    assert abs(auroc["student"] - auroc["ensemble"]) < 0.03
    assert auroc["ensemble"] > auroc["single"]
    assert auroc["student"] > 0.8 > 0.5
    assert auroc["student"] > beside - 0.03
    spread = metrics[(metrics["head"] == "epistemic") & (metrics["metric"] == "pearson")]
    assert spread["value"].item() > 0.4
