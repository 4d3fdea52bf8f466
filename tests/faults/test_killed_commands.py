"""Commands and a script that are killed at random moments and run again make what they would have.

Run with ``pytest -n 0 -m slow -s tests/faults/test_killed_commands.py`` to see the counts.
"""

import signal
from pathlib import Path

import numpy as np
import pytest
from faults.commands import (
    BIGWIG,
    MADE,
    SMALL,
    TABLE,
    VARIANTS,
    write_inputs,
    write_measurements,
    write_profiles,
)
from faults.kills import Job

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "experiments" / "00_quickstart.py"
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGKILL]
KILLS = {TABLE: SIGNALS + SIGNALS, BIGWIG: SIGNALS, VARIANTS: SIGNALS}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_inputs(folder)
    write_profiles(folder)
    write_measurements(folder, 20_000)
    return folder


@pytest.mark.parametrize("command", KILLS)
def test_killed_commands_end_as_others(command, work):
    job = Job(work, command, MADE[command], SMALL[command])
    job.survive(*job.whole(), KILLS[command], np.random.default_rng(2))
    assert not job.tally.report(" ".join(command.split()[:3]))


def test_killed_scoring_by_a_pool(work):
    """Its parts are those of one process."""
    whole = Job(work, VARIANTS, MADE[VARIANTS]).whole()[0]
    job = Job(work, f"{VARIANTS} --workers 2", MADE[VARIANTS])
    seconds = job.finish()
    job.compare(whole)
    job.clear()
    job.survive(whole, seconds, SIGNALS[:2], np.random.default_rng(3), earliest=0.4)
    assert not job.tally.report("variants --workers 2")


def test_killed_script(work):
    """Its table, figure, and claims, and the models beside them."""
    job = Job(work, f"{SCRIPT} --preset smoke --out r/q", ("r",))
    kills = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]
    job.survive(*job.whole(), kills, np.random.default_rng(4))
    assert not job.tally.report(SCRIPT.name)
