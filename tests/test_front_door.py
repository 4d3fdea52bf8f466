"""The front door: `import degu_tf as degu` is light, and each public name is explained."""

import ast
import doctest
import inspect
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
    ],
)
def test_importing_loads_nothing_heavy(statement):
    assert loaded_by(statement) == []


def test_names_load_what_they_need_and_no_more():
    assert "tensorflow" not in loaded_by("import degu_tf; degu_tf.HeadLayout")
    assert "numpy" in loaded_by("import degu_tf; degu_tf.HeadLayout")


@pytest.mark.parametrize("name", degu.__all__)
def test_each_name_is_explained_by_an_example(name):
    thing = getattr(degu, name)
    if inspect.ismodule(thing) or (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert inspect.getdoc(thing)
    else:
        text = inspect.getdoc(thing) or ""
        assert doctest.DocTestParser().get_examples(text), f"{name} has no example"


def test_editors_and_type_checkers_see_every_name():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    named = {
        alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert named == set(degu.__all__) <= set(dir(degu))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        degu.no_such_name  # noqa: B018
