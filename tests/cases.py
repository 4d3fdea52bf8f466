"""Which cases of slow tests `.ci/run` takes where there are many alike."""

import pytest


def every_other(cases):
    """The same cases, every second of which is left to `pytest -m exhaustive`."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[pytest.mark.exhaustive] if place % 2 else [],
        )
        for place, case in enumerate(cases)
    ]
