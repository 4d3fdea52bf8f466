"""What a training tells where standard error is no terminal, and in its log."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest

from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.training.epochs.reports import EpochBar, epoch_lines
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError
from degu_tf.utils.json_log import append, check_log

SHORT = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.02)
EPOCH = r"epoch (\d+) of 2, loss (\d+\.\d{4}), validation (\d+\.\d{4}), \d\d:\d\d left"


def test_a_line_an_epoch_and_a_line_a_member(splits, spec, tmp_path, capsys):
    """They say what the histories say."""
    train_ensemble(splits, spec, 2, SHORT, Run(tmp_path / "x"))
    lines = capsys.readouterr().err.splitlines()
    expected = [
        f"member 0: {EPOCH}", f"member 0: {EPOCH}", r"members trained: 1 of 2, \d\d:\d\d left",
        f"member 1: {EPOCH}", f"member 1: {EPOCH}", "members trained: 2 of 2, 00:00 left",
    ]  # fmt: skip
    assert len(lines) == 6
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line)
    for member in (0, 1):
        history = pd.read_csv(tmp_path / "x" / f"member_0{member}" / "history.csv")
        found = re.findall(EPOCH, "\n".join(lines[3 * member : 3 * member + 2]))
        rows = zip(history["epoch"], history["loss"], history["val_loss"], strict=True)
        assert found == [(str(e), f"{loss:.4f}", f"{val:.4f}") for e, loss, val in rows]


def test_terminals_have_bars_and_no_lines(splits, spec, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    train(splits, spec, SHORT)
    assert "epochs:   0%" in terminal.getvalue()
    assert "validation" not in terminal.getvalue()


def test_bars_begin_where_a_training_resumes(capsys):
    """And the time left is that of the epochs that are left."""
    bar = EpochBar(10, True)
    for epoch in (6, 7):
        bar.on_epoch_begin(epoch)
        bar.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0})
    bar.on_train_end()
    shown = capsys.readouterr().err
    assert shown.count("resumed at epoch 7 of 10\n") == 1
    assert "6/10" in shown


def test_logs_tell_where_a_training_resumes(tmp_path):
    run = Run(tmp_path / "x", name="member 3", log=tmp_path / "log.jsonl", progress=False)
    (log,) = epoch_lines(10, run)
    log.on_train_begin()
    for epoch in (6, 7):
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {"loss": 1.0})
    rows = [json.loads(line) for line in run.log.read_text().splitlines()]
    told = [(row["event"], row["name"], row["epoch"]) for row in rows]
    assert told == [("resumed", "member 3", 7), ("epoch", "member 3", 7), ("epoch", "member 3", 8)]


@pytest.mark.slow
def test_logs_hold_every_epoch_of_every_stage_and_who_wants_silence_has_it(
    splits, spec, tmp_path, capsys
):
    settings = replace(SHORT, finetune=TrainingSettings(epochs=1))
    log = tmp_path / "logs" / "log.jsonl"
    run = Run(tmp_path / "x", progress=False, log=log)
    with ThreadPoolExecutor(2) as threads:
        train_ensemble(splits, spec, 2, settings, run, executor=threads)
    assert capsys.readouterr().err == ""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    frame = pd.DataFrame(rows)
    for member in (0, 1):
        of_member = frame[frame["folder"] == str(tmp_path / "x" / f"member_0{member}")]
        history = pd.read_csv(tmp_path / "x" / f"member_0{member}" / "history.csv")
        assert of_member["loss"].round(6).tolist() == history["loss"].round(6).tolist()
        assert of_member["name"].unique().tolist() == [
            f"member {member}", f"member {member}, second stage"
        ]  # fmt: skip
        assert of_member["epoch"].tolist() == [1, 2, 1]
        assert of_member["epochs"].tolist() == [2, 2, 1]
    assert {"time", "event", "seconds", "val_loss", "learning_rate"} <= set(frame)


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    append(tmp_path / "log.jsonl", loss=float("nan"), other=float("inf"))
    row = json.loads((tmp_path / "log.jsonl").read_text())
    assert (row["loss"], row["other"]) == (None, None)


def test_a_log_is_added_to_and_nothing_else_is(tmp_path):
    log = tmp_path / "log.jsonl"
    check_log(log)
    append(log, event="a")
    check_log(log)
    append(log, event="b")
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["a", "b"]
    other = tmp_path / "d.h5"
    other.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(InputError, match="expected a new log"):
        check_log(other)
    with pytest.raises(InputError, match="expected an output file"):
        check_log(tmp_path)
