"""Which cases of slow tests `.ci/run` takes where there are many alike."""

import pytest


def one_in(n, cases):
    """The same cases, of which every n-th is taken; `pytest -m exhaustive` takes the others."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[pytest.mark.exhaustive] if place % n else [],
        )
        for place, case in enumerate(cases)
    ]
