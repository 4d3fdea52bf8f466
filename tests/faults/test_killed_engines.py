"""A pool and a Dask cluster whose parent or worker is killed: no orphan, and the same weights.

Run with ``pytest -n 0 -m slow -s tests/faults/test_killed_engines.py`` to see the counts.
"""

import json
import os
import signal
import time

import numpy as np
import pytest
from cases import one_in
from faults.commands import NETWORKS, PREPARE, TRAIN
from faults.kills import Job
from faults.processes import begun_under

from degu_tf.utils.run_folder import STATES

pytestmark = pytest.mark.slow

RUN = f"{TRAIN} --epochs 20 --patience 20 --quiet --out o"
LONG = 300
"""Epochs of a training that takes longer than a state waits to be written first."""

ENGINES = {"pool": "--workers 2", "dask": "--dask local:2"}
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Data, and the source of a network."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "net.py").write_text(NETWORKS)
    Job(folder, PREPARE).finish()
    return folder


@pytest.fixture(scope="module")
def whole(work):
    """What members trained one after another are."""
    return Job(work, RUN).whole()[0]


@pytest.fixture(params=one_in(2, ENGINES))
def job(request, work):
    if request.param == "dask":
        pytest.importorskip("distributed")
    return Job(work, f"{RUN} {ENGINES[request.param]}")


def test_an_engine_whose_parent_is_killed(job, whole):
    """Of a first run it is known how long it takes, and that it does what one process does."""
    seconds = job.finish()
    job.compare(whole)
    job.clear()
    job.survive(whole, seconds, SIGNALS, np.random.default_rng(1), earliest=0.4)
    assert job.tally["workers of the killed"] >= len(SIGNALS)
    assert not job.tally.report(" ".join(job.arguments[-2:]))


def test_a_pool_whose_worker_is_killed_names_the_members_under_way(work, whole):
    """Each of the two is killed in turn; a cluster would begin another worker instead."""
    job = Job(work, f"{RUN} --workers 2")
    for number in range(2):
        process = job.start()
        while len(found := at_work(job)) < 2 and process.exitcode is None:
            time.sleep(0.01)
        os.kill(sorted(found)[number], signal.SIGKILL)
        process.join()
        assert process.exitcode == 2
        assert "a worker process died with member" in job.errors()
        assert "(seed " in job.errors()
        job.count_orphans()
        job.tally["SIGKILL of a worker"] += 1
    job.finish()
    job.compare(whole)
    assert not job.tally.report("--workers 2, a worker")


def test_a_cluster_that_is_killed_resumes_from_the_states_of_its_members(work):
    """Members whose state was written go on from it: their first epochs are not trained again."""
    pytest.importorskip("distributed")
    training = f"{TRAIN} --epochs {LONG} --patience {LONG} --quiet --out o"
    whole = Job(work, training).whole()[0]
    job = Job(work, f"{training} --dask local:2 --log log.jsonl")
    process = job.start()
    while not job.has_states() and process.exitcode is None:
        time.sleep(0.01)
    assert job.end(process, signal.SIGKILL)
    kept = {path.parent.name for path in (work / "o").rglob(STATES[0])}
    assert kept
    (work / "log.jsonl").unlink()
    job.finish()
    lines = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    for number in sorted(int(name.removeprefix("member_")) for name in kept):
        mine = [line for line in lines if line["name"] == f"member {number}"]
        assert mine[0]["event"] == "resumed"
        assert mine[0]["epoch"] > 1
        trained = [line["epoch"] for line in mine[1:]]
        assert trained == list(range(mine[0]["epoch"], LONG + 1))
        job.tally["from states"] += 1
    job.compare(whole)
    assert job.tally["from states"] == len(kept)
    assert not job.tally.report("--dask local:2, from states")


def at_work(job):
    """Workers of a job, once both members were begun and are not finished."""
    begun = [job.folder / "o" / f"member_{number:02d}" for number in range(2)]
    if not all((member / "settings.json").is_file() for member in begun):
        return []
    return begun_under(job.mark)
