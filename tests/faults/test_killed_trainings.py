"""Trainings that are killed at random moments and begun again end as ones that never were.

Run with ``pytest -n 0 -m slow -s tests/faults/test_killed_trainings.py`` to see the counts.
"""

import signal

import numpy as np
import pytest
from cases import one_in
from faults.kills import Job

pytestmark = pytest.mark.slow

EVERY_EPOCH = {"degu_tf.training.epochs.checkpoint.INTERVAL": 0}
LONG = "--epochs 15 --batch-size 20 --patience 15"
COMMANDS = {
    "train": f"train d.h5 --width 0.03 --members 2 --seed 0 --out o/t {LONG}",
    "second stage": f"train d.h5 --width 0.03 --members 2 --seed 0 --out o/t {LONG} "
    "--augment evoaug --finetune-epochs 15",
    "distill": f"distill t d.h5 --recipe paper --augment evoaug --seed 1 --out o/s {LONG}",
    "pool": f"distill t d.h5 --augment mutagenesis --pool 2 --seed 1 --out o/s {LONG}",
}
KILLS = {"train": 6, "second stage": 4, "distill": 6, "pool": 6}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Data, and two teachers of them."""
    folder = tmp_path_factory.mktemp("work")
    Job(folder, "prepare simulate --sizes 120 40 40 --length 60 --seed 0 --out d.h5").finish()
    Job(folder, "train d.h5 --width 0.03 --members 2 --epochs 2 --seed 0 --out t").finish()
    return folder


@pytest.mark.parametrize("name", one_in(2, COMMANDS))
def test_killed_trainings_end_as_others(name, work):
    """Signals follow one another on one folder; finished, it is compared and begun anew."""
    rng = np.random.default_rng(len(name))
    job = Job(work, COMMANDS[name], ("o", "t/pools"), EVERY_EPOCH)
    signals = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    chosen = [signal.Signals(each) for each in rng.choice(signals, KILLS[name])]
    job.survive(*job.whole(), chosen, rng)
    assert not job.tally.report(name)
