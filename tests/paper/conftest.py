"""Numbered scripts as modules, whose `compute`, `draw` and `CLAIMS` tests can reach."""

import pytest
from numbered_scripts import load


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
