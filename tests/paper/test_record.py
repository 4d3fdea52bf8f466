"""The record of a script: what its models cost, now and before."""

import json

from degu_tf.paper.record import Ledger


def train(ledger, folder, *members):
    """Open a model of a store, and finish some of its runs."""
    with ledger.entry(folder):
        for member in members:
            (folder / member).mkdir(parents=True)
            (folder / member / "manifest.json").write_text("{}")


def seconds(tmp_path):
    return json.loads((tmp_path / "processor_seconds" / "t.json").read_text())["seconds"]


def test_models_that_were_there_cost_what_they_had_cost(tmp_path):
    first = Ledger(tmp_path)
    train(first, tmp_path / "t", "0", "1")
    assert (first.trained, first.reused) == ({"t"}, set())
    assert (first.reused_seconds, first.unknown) == (0.0, 0)
    (tmp_path / "processor_seconds" / "t.json").write_text('{"seconds": 90.0}')
    second = Ledger(tmp_path)
    train(second, tmp_path / "t")
    assert (second.trained, second.reused) == (set(), {"t"})
    assert (second.reused_seconds, second.unknown) == (90.0, 0)
    train(second, tmp_path / "t", "2")
    assert second.trained == {"t"}
    assert second.reused_seconds == 90.0
    assert seconds(tmp_path) >= 90.0


def test_models_that_nobody_timed_are_counted(tmp_path):
    (tmp_path / "t" / "0").mkdir(parents=True)
    (tmp_path / "t" / "0" / "manifest.json").write_text("{}")
    ledger = Ledger(tmp_path)
    train(ledger, tmp_path / "t", "1")
    assert (ledger.reused_seconds, ledger.unknown) == (0.0, 1)
    assert not (tmp_path / "processor_seconds").exists()
