"""The house: folders import only folders below them, and figures import no other figure."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "degu_tf"
FLOORS = (
    {"utils"},
    {"heads"},
    {"sequences"},
    {"data"},
    {"models"},
    {"metrics"},
    {"training"},
    {"distillation"},
    {"uncertainty", "attribution"},
    {"variants", "plots"},
    {"paper"},
    {"cli"},
)
"""From the ground up; rooms on one floor do not import each other."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(tree):
    """Dotted names of the package's modules that a tree imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for name in node.names:
                yield f"{node.module}.{name.name}"


def rooms(file):
    """Room and sub-room of a module, and those of all that it imports from the package."""
    place = file.relative_to(PACKAGE).with_suffix("").parts
    names = [name.split(".")[1:] for name in imported(ast.parse(file.read_text()))
             if name.split(".")[0] == "degu_tf"]  # fmt: skip
    return place, [tuple(name) for name in names if name]


def upward(place, targets):
    """Imports that lead to the same floor in another room, or to a floor above."""
    room = place[0]
    return [
        target
        for target in targets
        if target[0] in FLOOR and target[0] != room and FLOOR[target[0]] >= FLOOR[room]
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_lead_downwards(file):
    place, targets = rooms(file)
    if place == ("__init__",):
        assert not targets
        return
    if place == ("__main__",):
        assert targets == [("cli", "main")]
        return
    assert place[0] in FLOOR, f"{place[0]} has no floor; see FLOORS"
    assert upward(place, targets) == []


def test_an_import_that_leads_upwards_is_seen():
    assert upward(("data", "splits"), [("models", "layers"), ("utils", "files")]) == [
        ("models", "layers")
    ]
    assert upward(("uncertainty", "mc_dropout"), [("attribution", "saliency")])
    assert not upward(("models", "layers"), [("models", "registry"), ("heads", "HeadLayout")])


def test_the_engine_of_deeplift_imports_nothing_of_its_parent():
    for file in (PACKAGE / "attribution" / "deeplift").glob("*.py"):
        _, targets = rooms(file)
        assert [t for t in targets if t[0] == "attribution" and t[1] != "deeplift"] == []


def test_one_verb_alone_knows_the_figures():
    """`degu reproduce` runs them; scripts, notebooks and tests import them beside."""
    for file in FILES:
        place, targets = rooms(file)
        if place[0] != "paper" and place[:2] != ("cli", "reproduce"):
            assert [target for target in targets if target[0] == "paper"] == [], file


SHARED = {"networks", "results"}
"""Folders beside the figures' own, which all of them may import."""


def test_no_figure_imports_another_figure():
    figures = {path.name for path in (PACKAGE / "paper").iterdir() if path.is_dir()} - SHARED
    for file in (PACKAGE / "paper").rglob("*.py"):
        place, targets = rooms(file)
        wanted = {target[1] for target in targets if target[0] == "paper" and len(target) > 1}
        assert wanted & figures <= set(place), f"{file} imports another figure"


def test_the_house_stays_tidy():
    """Modules of one idea, folders that fit on a screen, functions that fit on a page."""
    for folder in {file.parent for file in FILES}:
        assert len(list(folder.glob("*.py"))) <= 16, folder
    for file in FILES:
        text = file.read_text()
        assert len(text.splitlines()) <= 450, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = node.end_lineno - body[0].lineno + 1 if body else 0
                assert length <= 60, f"{file}:{node.lineno} {node.name} has {length} lines"
