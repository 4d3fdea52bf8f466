"""Every numbered script and notebook runs, and the README's commands are those that CI runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_at_smoke(script, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, str(script), "--preset", "smoke", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert {"figure.png", "figure.pdf", "table.csv", "claims.csv", "settings.json"} <= {
        file.name for file in out.iterdir()
    }
    assert len(pd.read_csv(out / "table.csv"))
    claims = pd.read_csv(out / "claims.csv")
    verdicts = {"holds", "does not hold", "cannot be told at this size"}
    assert len(claims)
    assert set(claims["verdict"]) <= verdicts
    assert json.loads((out / "settings.json").read_text())["preset"] == "smoke"
    assert not re.search("cuda|oneDNN|absl", done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(content, timeout=600, kernel_name="python3", resources=resources).execute()
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    stored = nbformat.read(notebook, as_version=4)
    assert all(cell.outputs for cell in stored.cells if cell.cell_type == "code" and cell.outputs)
    assert sum(len(cell.get("outputs", ())) for cell in stored.cells) == len(outputs)


def test_the_readme_has_the_two_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    lines = [line for line in readme.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert lines[0].endswith(".venv/bin/python experiments/00_quickstart.py")
    assert lines[1].endswith(".venv/bin/python -m pytest")


def test_every_script_is_listed():
    listed = (ROOT / "experiments" / "README.md").read_text()
    assert SCRIPTS
    assert all(f"`{script.name}`" in listed for script in SCRIPTS)


def test_links_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", readme)
    assert links
    assert all((ROOT / link).exists() for link in links)
