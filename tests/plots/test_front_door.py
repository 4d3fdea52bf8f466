"""`degu_tf.plots` offers its figures by name, and importing it is cheap."""

import inspect
import subprocess
import sys

import pytest

from degu_tf import plots

MODULES = (
    "calibration", "calibration_style", "groups", "palette", "predictions", "profiles",
    "sequence_logos", "style", "variant_maps",
)  # fmt: skip


@pytest.mark.parametrize("name", plots.__all__)
def test_every_name_is_documented_with_an_example(name):
    offered = getattr(plots, name)
    assert callable(offered)
    assert offered.__doc__
    if inspect.isfunction(offered):
        assert ">>> " in offered.__doc__


def test_no_name_is_that_of_a_module():
    """A module of that name would take the function's place once it is imported."""
    assert not {*plots.__all__} & {*MODULES}


def loaded(code):
    """Which heavy packages a fresh process has loaded after some code."""
    heavy = ("tensorflow", "keras", "matplotlib", "pandas", "numpy")
    show = f"import sys; {code}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_it_loads_nothing_heavy():
    assert loaded("from degu_tf import plots") == "[]"


def test_drawing_needs_no_tensorflow():
    code = "; ".join(f"import degu_tf.plots.{name}" for name in MODULES)
    found = loaded(f"{code}; from degu_tf import plots; plots.logos")
    assert "pandas" in found
    assert "tensorflow" not in found
    assert "keras" not in found
