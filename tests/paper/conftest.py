"""Numbered scripts as modules, whose `compute`, `draw` and `CLAIMS` tests can reach."""

import functools
import importlib.util
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@functools.cache
def load(name):
    """A script as a module, from its path."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fig2():
    return load("01_fig2_training_size")


@pytest.fixture(scope="session")
def fig3():
    return load("02_fig3_covariate_shift")


@pytest.fixture(scope="session")
def s01():
    return load("s01_atac_profiles")


@pytest.fixture(scope="session")
def s02():
    return load("s02_dream_rnn")


@pytest.fixture(scope="session")
def s03():
    return load("s03_evoaug_teachers")


@pytest.fixture(scope="session")
def s04():
    return load("s04_ensemble_size")


@pytest.fixture(scope="session")
def s05():
    return load("s05_shifted_activity")


@pytest.fixture(scope="session")
def s06():
    return load("s06_dynamic_test_performance")


@pytest.fixture(scope="session")
def s15():
    return load("s15_effect_and_uncertainty")


@pytest.fixture(scope="session")
def s1():
    return load("table_s1_cost")


@pytest.fixture(scope="session")
def x01():
    return load("x01_attribution_of_uncertainty")
