"""Names of the numbered scripts: all are there, found with and without a checkout, in an order."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import pytest
from command_line import degu, done

from degu_tf.cli.reproduce.catalogue import CATALOGUE, chosen, in_running_order
from degu_tf.utils.errors import InputError

ROOT = Path(__file__).parents[3]
EXPERIMENTS = ROOT / "experiments"


def names(entries):
    return [entry.name for entry in entries]


def test_every_script_has_a_name_and_every_name_a_script():
    assert {entry.script for entry in CATALOGUE} == {f.stem for f in EXPERIMENTS.glob("*.py")}
    assert len(set(names(CATALOGUE))) == len(CATALOGUE)
    figures = [f"fig{n}" for n in range(2, 7)] + [f"s{n}" for n in range(1, 17)]
    assert {"quickstart", "table_s1", "x1", "x2", *figures} == set(names(CATALOGUE))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["fig3"], ["fig3"]),
        (["s13", "fig3", "s13"], ["fig3", "s13"]),
        (["s1*"], ["s1", *(f"s{n}" for n in range(10, 17))]),
        (["02_fig3_covariate_shift"], ["fig3"]),
        (["experiments/02_fig3_covariate_shift.py"], ["fig3"]),
        (["all"], names(CATALOGUE)),
    ],
)
def test_names_file_names_and_patterns(given, expected):
    assert names(chosen(given)) == expected


def test_a_name_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"Did you mean fig3\? Received: fi3"):
        chosen(["fig2", "fi3"])


def test_what_is_reused_runs_first():
    ordered = names(in_running_order(CATALOGUE))
    assert sorted(ordered) == sorted(names(CATALOGUE))
    for entry in CATALOGUE:
        for reused in entry.reuses:
            assert ordered.index(reused) < ordered.index(entry.name)
    assert names(in_running_order(chosen(["s7", "fig5"]))) == ["fig5", "s7"]


def test_the_list_says_what_each_is():
    lines = done("reproduce", "--list").out.splitlines()
    assert lines[0].split() == ["name", "script", "minutes", "reuses", "shows"]
    assert len(lines) == len(CATALOGUE) + 2
    (fig4,) = (line for line in lines if line.startswith("fig4 "))
    assert re.search(r"03_fig4_attribution\.py +\S+ +fig5 +Figure 4: maps of standard", fig4)
    assert len(done("reproduce", "s13", "fig3", "--list").out.splitlines()) == 4


def test_the_readme_states_the_same_minutes():
    """`under 1` there is 1 here."""
    rows = re.findall(r"\| `(\w+)\.py` \| ([^|]+) \|", (EXPERIMENTS / "README.md").read_text())
    stated = {script: minutes.strip() for script, minutes in rows}
    for entry in CATALOGUE:
        words = "*not measured*" if entry.minutes is None else f"{entry.minutes:g}"
        assert stated[entry.script] in ({"1", "under 1"} if words == "1" else {words})


def test_scripts_that_are_nowhere_are_missed_in_words(monkeypatch, tmp_path):
    def none(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("degu_tf.__file__", str(tmp_path / "degu_tf" / "__init__.py"))
    monkeypatch.setattr(metadata, "files", none)
    told = degu("reproduce", "--list")
    assert told.code == 2
    assert "install it again. Received: " in told.err


@pytest.mark.slow
def test_an_installed_package_finds_its_scripts_without_a_checkout(tmp_path):
    """The wheel, in an environment of its own that has this one's packages beside it."""
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "degu_tf", "experiments", "setup.cfg",
         "pyproject.toml", "README.md", "LICENSE"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in tracked:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run([*pip, *wheel], check=True)
    (built,) = tmp_path.glob("degu_tf-*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(built)],
        check=True,
    )
    (site,) = home.glob("lib/python*/site-packages")
    # beside and not before: the installed package comes first, whatever this environment holds
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    here = tmp_path / "here"
    here.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*arguments):
        command = [str(python), "-m", "degu_tf", "reproduce", *arguments]
        return subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert "02_fig3_covariate_shift.py" in run("--list")
    assert "Wrote results/table_s1_cost/" in run("table_s1", "--preset", "smoke")
    record = (here / "results" / "table_s1_cost" / "record.json").read_text()
    assert '"commit": "degu_tf ' in record


def test_options_that_do_not_go_together():
    told = degu("reproduce", "s5", "--preset", "smoke", "--publish", "p")
    assert (told.code, "smoke judges nothing" in told.err) == (2, True)
