"""Numbered scripts as modules."""

import functools
import importlib.util
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@functools.cache
def load(name):
    """A script as a module, from its path."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
