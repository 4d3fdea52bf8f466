"""Short runs that repeat exactly, unless a profile of hypothesis is asked for."""

import faults.any_input  # noqa: F401  # registers the profiles
from hypothesis import settings


def pytest_configure(config):
    """Take the short profile where no other one is named."""
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("short")
