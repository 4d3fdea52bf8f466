"""Trainings that are killed at random moments and begun again end as ones that never were.

Run with ``pytest -n 0 -m slow -s tests/faults/test_killed_trainings.py`` to see the counts.
"""

import hashlib
import json
import os
import shutil
import signal
import time
from collections import Counter

import numpy as np
import pytest
from faults.processes import loaded_processes, run_command

from degu_tf.distillation.runs import open_run
from degu_tf.utils.run_folder import STATES

pytestmark = pytest.mark.slow

LOADED = loaded_processes(
    ["degu_tf.cli", "degu_tf.distillation.distill", "degu_tf.distillation.evaluation", "keras"]
)
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
    finish(folder, "prepare simulate --sizes 120 40 40 --length 60 --seed 0 --out d.h5")
    finish(folder, "train d.h5 --width 0.03 --members 2 --epochs 2 --seed 0 --out t")
    return folder


def start(work, command):
    process = LOADED.Process(target=run_command, args=(work, command.split(), True))
    process.start()
    return process


def finish(work, command):
    """Run a command to its end; how many seconds it took."""
    begun = time.perf_counter()
    process = start(work, command)
    process.join()
    assert process.exitcode == 0, (work / "errors.txt").read_text()
    return time.perf_counter() - begun


def ended(work, command, after, how):
    """Send a signal so many seconds after the beginning; whether it came in time, and what it took.

    SIGTERM may end a process at once or as an interrupt does. Of an interrupt while it traces a
    graph, TensorFlow may make an error of its own (exit code 1).
    """
    process = start(work, command)
    process.join(after)
    sent = time.perf_counter()
    if process.exitcode is None:
        os.kill(process.pid, how)
        process.join()
    codes = {signal.SIGINT: (130, 1), signal.SIGTERM: (143, -signal.SIGTERM)}
    assert process.exitcode in (0, *codes.get(how, (-how,))), (work / "errors.txt").read_text()
    return process.exitcode != 0, time.perf_counter() - sent


def outputs(folder):
    """Names of all files; hashes of those of numbers, histories but for the seconds, and models."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "model.keras":
            found[name] = open_run(path.parent).fingerprint()
        elif path.name == "history.csv":
            lines = [line.split(",") for line in path.read_text().splitlines()]
            place = lines[0].index("seconds")
            found[name] = [line[:place] + line[place + 1 :] for line in lines]
        elif path.name in ("settings.json", "metrics.csv"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_file():
            found[name] = None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_trainings_end_as_others(name, work):
    """Signals follow one another on one folder; finished, it is compared and begun anew."""
    command, rng = COMMANDS[name], np.random.default_rng(len(name))
    shutil.rmtree(work / "o", ignore_errors=True)
    shutil.rmtree(work / "t" / "pools", ignore_errors=True)
    seconds = finish(work, command)
    whole = outputs(work / "o")
    assert not any(STATES[0] in each for each in whole)
    counts, compared, from_state = Counter(), 0, 0
    shutil.rmtree(work / "o")
    while counts.total() < KILLS[name]:
        how = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        was, taken = ended(work, command, rng.uniform(0.05, 0.8) * seconds, signal.Signals(how))
        if was:
            counts[signal.Signals(how).name] += 1
            from_state += any((work / "o").rglob(STATES[0]))
            print(name, signal.Signals(how).name, f"ended in {taken:.1f} s", flush=True)
        else:
            assert outputs(work / "o") == whole
            compared += 1
            shutil.rmtree(work / "o")
            shutil.rmtree(work / "t" / "pools", ignore_errors=True)
    finish(work, command)
    assert outputs(work / "o") == whole
    print(json.dumps({name: counts, "compared": compared + 1, "resumed from states": from_state}))
