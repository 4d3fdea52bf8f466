"""The front door: `import degu_tf as degu` is light, and each public name is explained."""

import ast
import doctest
import importlib
import inspect
import json
import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

import degu_tf as degu

ROOT = Path(degu.__file__).parent
HEAVY = ("tensorflow", "keras", "numpy", "pandas", "scipy", "matplotlib", "h5py", "pysam")


def loaded_by(statement):
    """Which heavy modules a statement loads in a fresh process."""
    code = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "statement",
    [
        "import degu_tf",
        "import degu_tf; dir(degu_tf); degu_tf.__all__; degu_tf.__version__",
        "import degu_tf; degu_tf.InputError",
        "import degu_tf; degu_tf.data.__all__, degu_tf.variants.__all__, degu_tf.plots.__all__",
    ],
)
def test_importing_loads_nothing_heavy(statement):
    assert loaded_by(statement) == []


def test_names_load_what_they_need_and_no_more():
    assert "tensorflow" not in loaded_by("import degu_tf; degu_tf.HeadLayout")
    assert "numpy" in loaded_by("import degu_tf; degu_tf.HeadLayout")


ROOMS = ("attribution", "data", "metrics", "plots", "variants")  # each with public names inside
INNER = [f"{room}.{name}" for room in ROOMS for name in getattr(degu, room).__all__]
NAMES = [*degu.__all__, *INNER]


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_explained_by_an_example(name):
    thing = operator.attrgetter(name)(degu)
    if inspect.ismodule(thing) or (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert inspect.getdoc(thing)
    else:
        text = inspect.getdoc(thing) or ""
        assert doctest.DocTestParser().get_examples(text), f"{name} has no example"


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_editors_and_type_checkers_see_every_name(room):
    module = getattr(degu, room) if room else degu
    stub = ast.parse((ROOT / room / "__init__.pyi").read_text())
    named = {
        alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert named == set(module.__all__) <= set(dir(module))


def test_the_first_page_of_names_stays_short():
    """What is needed by few lies one room further."""
    assert len(set(degu.__all__) - set(ROOMS)) <= 36


def test_a_name_is_the_function_also_once_its_module_is_loaded():
    for room in ROOMS:
        for name in getattr(degu, room).__all__:
            thing = getattr(getattr(degu, room), name)
            importlib.import_module(thing.__module__)
            assert getattr(getattr(degu, room), name) is thing
            assert not inspect.ismodule(thing)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        degu.no_such_name  # noqa: B018


SCRIPTS = sorted((ROOT.parent / "experiments").glob("*.py"))
FRONT = ("degu_tf", "degu")
PAGES = (ROOT.parent / "README.md", *sorted((ROOT.parent / "notebooks").glob("*.*")))


def code_of(file):
    """Python code of a script, a notebook, or the examples of a page."""
    text = file.read_text()
    if file.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
        return "\n".join(line for line in lines if not line.startswith("%"))
    if file.suffix == ".md":
        return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    return text


def other_doors(code):
    """What code takes of the package beyond public names of `degu` and `degu_tf.paper`."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if (each.name, each.asname) != FRONT]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module)
        elif isinstance(node, ast.Attribute):
            public = {f"degu.{room}": getattr(degu, room).__all__ for room in ROOMS}
            public["degu"] = degu.__all__
            if node.attr not in public.get(ast.unparse(node.value), [node.attr]):
                found.append(ast.unparse(node))
    return [name for name in found if re.match(r"degu(_tf(?!\.paper\b))?\b", name)]


@pytest.mark.parametrize("file", [*SCRIPTS, *PAGES], ids=lambda file: file.name)
def test_scripts_and_pages_come_through_the_front_door(file):
    """Benchmarks alone, which measure parts of the package, look inside."""
    assert other_doors(code_of(file)) == []


def test_other_doors_are_seen():
    assert len(SCRIPTS) > 20
    assert {page.suffix for page in PAGES} == {".md", ".ipynb"}
    assert all("degu." in code_of(page) for page in PAGES)
    code = "from degu_tf.plots.style import GREY; import degu_tf.heads, degu_tf as d; import numpy"
    assert other_doors(code) == ["degu_tf.plots.style", "degu_tf.heads", "degu_tf"]
    assert other_doors("degu.nothing; degu.plots.style; x.style") == [
        "degu.nothing", "degu.plots.style",
    ]  # fmt: skip
    code = "import degu_tf as degu; from degu_tf.paper.script import main; degu.plots.boxes(degu.x)"
    assert other_doors(code) == ["degu.x"]
