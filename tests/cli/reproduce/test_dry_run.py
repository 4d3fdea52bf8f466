"""What scripts would train together: shared networks once, refusals named, nothing written."""

from types import SimpleNamespace

import pytest

from degu_tf import cli
from degu_tf.cli.reproduce.catalogue import chosen, in_running_order
from degu_tf.cli.reproduce.dry_run import dry_run
from degu_tf.cli.reproduce.running import Request


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Steps are not timed."""
    monkeypatch.setattr("degu_tf.paper.networks.step_times.StepTimes.step", lambda *_: 3600.0)


def test_networks_that_figures_share_are_counted_once(tmp_path):
    said = []
    entries = in_running_order(chosen(["fig4", "fig5", "s10", "table_s1"]))
    assert dry_run(entries, Request("smoke", tmp_path), said.append) == {}
    heads = [text.partition(" ")[0] for text in said]
    assert heads == ["fig5", "fig4", "s10", "table_s1", "Together"]
    sums = [text.splitlines()[-1] for text in said[:3]]
    # two teachers, a student, of each data set; two of each of three noise models
    assert sums[0].startswith("12 networks: 0 in the store, 12 to train in at most 24 hours")
    assert sums[1].startswith("6 networks")  # a third teacher, and two students of all three
    assert sums[2].startswith("0 networks")
    assert said[3].endswith("trains no networks")
    assert said[4].startswith("Together 18 networks")
    assert not list(tmp_path.iterdir())


def test_scripts_that_cannot_run_so_are_named_and_the_others_listed(tmp_path, capsys):
    said = []
    entries = chosen(["fig5", "table_s1"])
    failed = dry_run(entries, Request("paper", tmp_path), said.append)
    assert list(failed) == ["fig5"]
    assert "the paper preset needs the data" in failed["fig5"]
    assert said[1].startswith("table_s1")
    asked = ["reproduce", "fig5", "table_s1", "--preset", "paper", "--dry-run"]
    assert cli.main([*asked, "--out", str(tmp_path / "out")]) == 1
    assert "1 of 2 scripts cannot be run so" in capsys.readouterr().err


def test_a_script_without_networks_is_named(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("PRESETS = {'smoke': None}\nCLAIMS = ()\ncompute = draw = print\n__doc__ = 'x'")
    entry = SimpleNamespace(name="own", script="own", file=file)
    failed = dry_run([entry], Request("smoke", tmp_path / "out"), lambda _: None)
    assert "a function `networks`" in failed["own"]


def test_weights_reach_the_scripts(tmp_path):
    request = Request("smoke", tmp_path, weights=(tmp_path / "w",))
    arguments = request.arguments(chosen(["fig5"])[0])
    assert arguments[arguments.index("--weights") + 1] == str(tmp_path / "w")


def test_a_recipe_reaches_the_scripts_and_one_of_one_way_says_so(tmp_path):
    entries, said = chosen(["fig3", "s10"]), []
    failed = dry_run(entries, Request("smoke", tmp_path, recipe="best"), said.append)
    assert list(failed) == ["fig3"]
    assert "expected no --recipe" in failed["fig3"]
    assert any("student" in line for line in said if line.startswith("s10"))
