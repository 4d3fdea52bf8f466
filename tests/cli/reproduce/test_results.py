"""Published results: small pictures, every claim, and a page that nobody wrote by hand."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import degu
from PIL import Image

from degu_tf.cli import reproduce
from degu_tf.cli.reproduce import running
from degu_tf.cli.reproduce.catalogue import CATALOGUE, chosen
from degu_tf.cli.reproduce.results import publish, published
from degu_tf.cli.reproduce.results_page import BEGIN, END, NOT_RUN, headlines, page
from degu_tf.paper.results.pictures import LARGEST

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def finish(out, name, preset="quick", data=(), verdict="holds", recipe=None):
    """Results of a script as it would leave them."""
    (entry,) = chosen([name])
    folder = out / entry.script
    folder.mkdir(parents=True)
    Image.new("RGB", (1600, 800), "white").save(folder / "figure.png")
    claim = {
        "claim": "Students | gain.", "where": "Fig. 9", "over": "each of 2",
        "statistic": "r, a - b", "value": 0.12345,
        "low": 0.1, "high": 0.2, "p": 0.01, "n": 4, "threshold": -0.01, "verdict": verdict,
    }  # fmt: skip
    unknown = {
        **claim,
        "claim": "Second.",
        "over": "",
        "low": np.nan,
        "high": np.nan,
        "threshold": 0.0,
    }
    pd.DataFrame([claim, unknown]).to_csv(folder / "claims.csv", index=False)
    record = {
        "script": entry.script, "preset": preset, "seed": 0, "data": list(data),
        "processor_minutes": 2.5, "models_trained": 2, "models_reused": 1,
        "processor_minutes_of_reused": 4.25, "models_of_unknown_cost": 1, "date": "2026-01-02",
        "commit": "abc1234567", "versions": {"python": "3.11.7", "keras": "3.0"},
    }  # fmt: skip
    if recipe is not None:
        record["recipe"] = recipe
    (folder / "record.json").write_text(json.dumps(record))


@pytest.fixture
def place(tmp_path):
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nstale\n{END}\nafter\n")
    (tmp_path / "experiments").mkdir()
    return tmp_path / "experiments"


def test_a_row_holds_all_that_is_behind_it(tmp_path, place):
    finish(tmp_path / "out", "fig3")
    assert publish(chosen(["all"]), tmp_path / "out", place) == ["fig3"]
    text = (place / "RESULTS.md").read_text()
    row = "| Fig. 9 | each of 2 | r, a - b; threshold -0.01 | 0.123 | 0.1 to 0.2 | 4 | *holds* |"
    assert f"| Students \\| gain. {row}" in text
    assert "| Second. | Fig. 9 |  | r, a - b | 0.123 | none | 4 | *holds* |" in text
    for words in (
        "`degu reproduce fig3 --preset quick`", "data: simulated", "2.5 processor minutes",
        "4.2 + of reused models", "2026-01-02", "`abc1234567`", "python 3.11.7, keras 3.0",
        "(results/02_fig3_covariate_shift/quick/figure.png)",
    ):  # fmt: skip
        assert words in text
    assert text.count(f"{NOT_RUN}: `degu") == len(CATALOGUE) - 1


def test_real_data_stand_beside_simulated_ones_and_a_new_run_replaces_the_old(tmp_path, place):
    finish(tmp_path / "a", "fig3")
    finish(tmp_path / "b", "fig3", data=["/somewhere/else/k562.h5"], verdict="does not hold")
    finish(tmp_path / "c", "fig3", verdict="cannot be told at this size")
    for out in "abc":
        publish(chosen(["fig3"]), tmp_path / out, place)
    verdicts = {each.command: each.claims["verdict"][0] for each in published(place)}
    assert verdicts == {
        "degu reproduce fig3 --preset quick": "cannot be told at this size",
        "degu reproduce fig3 --preset quick --data k562.h5": "does not hold",
    }
    assert "somewhere" not in (place / "RESULTS.md").read_text()


def test_recipes_stand_beside_each_other(tmp_path, place):
    finish(tmp_path / "a", "fig4", data=["k562.h5"])
    finish(tmp_path / "b", "fig4", data=["k562.h5"], recipe="best")
    for out in "ab":
        publish(chosen(["fig4"]), tmp_path / out, place)
    commands = [each.command for each in published(place)]
    plain = "degu reproduce fig4 --preset quick --data k562.h5"
    assert sorted(commands) == [plain, f"{plain} --recipe best"]
    text = (place / "RESULTS.md").read_text()
    assert "| k562.h5 | quick |" in text
    assert "| k562.h5 | quick, recipe best |" in text
    assert "(results/03_fig4_attribution/quick-k562-best/figure.png)" in text
    assert "| fig4 | k562.h5, recipe best |" in (tmp_path / "README.md").read_text()


def test_tables_whose_names_begin_alike_stand_beside_each_other(tmp_path, place):
    for out, name in (("a", "mpra_one.tsv"), ("b", "mpra_two.tsv"), ("c", "mpra_two.tsv")):
        finish(tmp_path / out, "fig3", data=[name], verdict=f"that of {out}")
        publish(chosen(["fig3"]), tmp_path / out, place)
    verdicts = {each.folder.name: each.claims["verdict"][0] for each in published(place)}
    assert verdicts == {"quick-mpra": "that of a", "quick-mpra_two": "that of c"}


def test_the_readme_gets_the_headlines_and_keeps_the_rest(tmp_path, place):
    finish(tmp_path / "out", "fig3")
    finish(tmp_path / "out", "s13")
    publish(chosen(["all"]), tmp_path / "out", place)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n| figure |")
    assert text.endswith(f"{END}\nafter\n")
    assert "| fig3 | simulated | Second. | *holds* |" in text  # the first is of a toy
    assert f"| fig2 |  |  | {NOT_RUN} |" in text
    assert "stale" not in text
    assert "s13" not in text


def test_only_what_was_asked_for_is_published(tmp_path, place, monkeypatch):
    """Not what lies in the folder of results from another command."""
    finish(tmp_path / "out", "fig3")
    finish(tmp_path / "out", "s5")
    monkeypatch.setattr(reproduce, "_reproduce", lambda entries, request, dry: {})
    monkeypatch.setattr(running, "is_finished", lambda entry, request: entry.name == "s5")
    command = ("reproduce", "fig3", "s5", "--preset", "quick", "--out", tmp_path / "out")
    done = degu(*command, "--publish", place)
    assert (done.code, "Published 1 of 2" in done.out) == (0, True), done.err
    assert [each.entry.name for each in published(place)] == ["s5"]


def test_test_runs_and_unfinished_ones_are_not_published(tmp_path, place):
    finish(tmp_path / "out", "fig3", preset="smoke")
    finish(tmp_path / "out", "s13")
    (tmp_path / "out" / "s13_conformal" / "record.json").unlink()
    assert publish(chosen(["all"]), tmp_path / "out", place) == []
    assert published(place) == []


class TestCommitted:
    def test_every_script_has_its_rows(self):
        text = (EXPERIMENTS / "RESULTS.md").read_text()
        sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
        by_script = {re.search(r"`(\w+)\.py`", each)[1]: each for each in sections}
        assert set(by_script) == {file.stem for file in EXPERIMENTS.glob("*.py")}
        for section in by_script.values():
            assert "| claim | where |" in section or NOT_RUN in section

    def test_nobody_wrote_it_by_hand(self):
        results = published(EXPERIMENTS)
        assert (EXPERIMENTS / "RESULTS.md").read_text() == page(results, EXPERIMENTS)
        assert headlines(results) in (EXPERIMENTS.parent / "README.md").read_text()

    def test_pictures_are_small_and_say_what_they_came_from(self):
        results = published(EXPERIMENTS)
        assert results
        for each in results:
            assert (each.folder / "figure.png").stat().st_size <= LARGEST
            assert not each.record["commit"].endswith("-dirty")
