"""Commands that are killed just before and just after renames of files, and run again.

A file gets its name by a rename, so between two of them nothing that counts happens on disk. Slow
tests take some of the renames; ``pytest -n 0 -m exhaustive -s tests/faults/test_killed_renames.py``
takes all, and shows the counts.
"""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import count, product
from random import Random

import pytest
from cases import one_in
from faults.commands import (
    BIGWIG,
    CALIBRATE,
    DISTILL,
    EVERY_EPOCH,
    MADE,
    SMALL,
    TABLE,
    TRAIN,
    VARIANTS,
    write_inputs,
    write_measurements,
    write_profiles,
)
from faults.kills import Fatal, FatalInWorker, Job, Tally, wait

pytestmark = pytest.mark.slow
EVERY = pytest.mark.exhaustive

COMMANDS = {
    "train": (f"{TRAIN} --epochs 1 --out o", ("o",), EVERY_EPOCH),
    "distill with a pool": (f"{DISTILL} --out o", ("o", "t/pools"), EVERY_EPOCH),
    "calibrate": (CALIBRATE, MADE[CALIBRATE], SMALL[CALIBRATE]),
    "prepare table": (TABLE, MADE[TABLE], SMALL[TABLE]),
    "predict --bigwig": (
        f"{BIGWIG} --contigs chr1",
        MADE[BIGWIG],
        {"degu_tf.models.genome_tracks.WINDOWS": 16},
    ),
    "variants": (VARIANTS, MADE[VARIANTS], {"degu_tf.variants.scorer.BLOCK": 128}),
}
AT_ONCE = 2
"""Processes that run side by side, each in a folder of its own."""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_inputs(folder)
    write_profiles(folder, length=2500)
    write_measurements(folder, 300)
    return folder


SOME = 4
"""Kills of a slow test, drawn from those before and after each rename."""


@pytest.mark.parametrize("name", one_in(2, COMMANDS))
@pytest.mark.parametrize(
    "some", [pytest.param(SOME, id="some"), pytest.param(None, id="every", marks=EVERY)]
)
def test_commands_that_are_killed_at_renames(name, some, work, tmp_path):
    command, outputs, patches = COMMANDS[name]
    job = Job(work, command, outputs, patches)
    whole, _ = job.whole()
    n_renames = renames(job)
    assert n_renames >= len([file for file in whole if whole[file] != "folder"])
    cases = list(product(range(1, n_renames + 1), (False, True)))
    if some is not None:
        cases = Random(0).sample(cases, min(some, len(cases)))

    def case(number, after):
        folder = tmp_path / f"{number}-{after}"
        shutil.copytree(work, folder)
        tally = killed(Job(folder, command, outputs, patches), Fatal(number, after), whole)
        shutil.rmtree(folder)
        return tally

    tally = Tally()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for counts in pool.map(case, *zip(*cases, strict=True)):
            tally.update(counts)
    assert tally["SIGKILL"] == len(cases)
    assert not tally.report(f"{name}, {len(cases)} kills at {n_renames} renames")


@pytest.fixture
def worker_killed(work, tmp_path):
    """A function that kills a worker of a pool of two, and gives counts; and what is to be made."""
    command, outputs, patches = COMMANDS["train"]
    whole, _ = Job(work, command, outputs, patches).whole()

    def case(number, after):
        folder = tmp_path / f"{number}-{after}"
        shutil.copytree(work, folder)
        job = Job(folder, f"{command} --workers 2", outputs, patches)
        tally = killed_worker(job, FatalInWorker(number, after), whole)
        shutil.rmtree(folder)
        return tally

    return case, whole


def test_a_worker_that_is_killed_at_a_rename(worker_killed):
    """The command says so, and run again ends with the members of one process."""
    tally = worker_killed[0](3, True)
    assert tally["SIGKILL of a worker"] == 1
    assert not tally.report("train --workers 2, a rename of a worker")


@EVERY
def test_a_worker_that_is_killed_at_every_rename(worker_killed):
    case, whole = worker_killed
    tally = Tally()
    for number in count(1):
        counts = [case(number, after) for after in (False, True)]
        for each in counts:
            tally.update(each)
        if not any(each["SIGKILL of a worker"] for each in counts):
            break
    files = [name for name in whole if "member_00/" in name]
    assert tally["SIGKILL of a worker"] >= 2 * len(files)
    assert not tally.report("train --workers 2, every rename of a worker")


def killed_worker(job, fatal, whole):
    """Counts of one kill, if a worker has so many renames."""
    process = job.start(fatal)
    wait(process)
    job.count_orphans()
    died = (job.folder / "killed.txt").exists()
    assert process.exitcode == (2 if died else 0), job.errors()
    if died:
        assert "a worker process died with" in job.errors()
        job.tally["SIGKILL of a worker"] += 1
        job.finish()
    job.compare(whole)
    return job.tally


def killed(job, fatal, whole):
    """Counts of one kill."""
    process = job.start(fatal)
    wait(process)
    assert process.exitcode == -signal.SIGKILL, job.errors()
    job.tally["SIGKILL"] += 1
    job.count_orphans()
    job.finish()
    job.compare(whole)
    return job.tally


class Counting:
    """Notes in a file how many renames there were."""

    def __call__(self):
        plain = os.replace

        def replace(*arguments, **named):
            with open("renames.txt", "a") as file:
                file.write("one\n")
            plain(*arguments, **named)

        os.replace = replace


def renames(job):
    """How many renames a command makes."""
    process = job.start(Counting())
    process.join()
    assert process.exitcode == 0, job.errors()
    job.clear()
    file = job.folder / "renames.txt"
    number = len(file.read_text().splitlines())
    file.unlink()
    return number
