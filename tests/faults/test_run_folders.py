"""Damaged run folders and data, and killed commands: predictions are right or there are none.

Run with ``pytest -n 0 -m slow -s tests/faults`` to see the counts.
"""

import os
import shutil
import signal
import time
import warnings

import numpy as np
import pytest
from faults.damage import DETECTED, HARMLESS, SILENT, Counts, damages, write
from faults.processes import begin

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.distillation.runs import open_run
from degu_tf.uncertainty.calibration import calibrate, find_calibration
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _expected_floors():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*standard deviations were below.*")
        yield


@pytest.fixture(scope="module")
def work(tmp_path_factory, student_run, teachers, splits):
    """A calibrated student, its teachers, and their data."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(student_run, folder / "student")
    shutil.copytree(teachers.folder, folder / "teachers")
    calibrate(folder / "student", splits, component="aleatoric")
    write_splits(folder / "d.h5", splits)
    return folder


def numbers(folder, splits):
    """All that is computed from the folder's files: predictions, intervals and data."""
    held = read_splits(folder / "d.h5")
    made = [part for split in (held.train, held.test) for part in (split.sequences, split.targets)]
    for name in ("student", "teachers"):
        predictor = open_run(folder / name)
        prediction = predictor.predict(splits.test.sequences)
        made += [predictor.heads.columns, prediction.mean, prediction.aleatoric]
        calibration = find_calibration(folder / name, predictor, False)
        made.append(None if calibration is None else calibration.predict(prediction, 0.9))
    return made


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


DAMAGED = (
    "student/model.keras",
    "student/settings.json",
    "student/manifest.json",
    "student/conformal.npz",
    "teachers/settings.json",
    "teachers/manifest.json",
    "teachers/member_00/model.keras",
    "teachers/member_00/settings.json",
    "teachers/member_01/manifest.json",
    "d.h5",
)
NEIGHBOURS = {
    ".keras": "teachers/member_01/model.keras",
    ".json": "teachers/member_01/settings.json",
    ".npz": "student/model.keras",
    ".h5": "student/model.keras",
}


def test_damaged_runs_and_data(work, splits, tmp_path):
    expected = numbers(work, splits)
    rng, counts = np.random.default_rng(0), Counts()
    for name in DAMAGED:
        neighbour = (work / NEIGHBOURS[os.path.splitext(name)[1]]).read_bytes()
        for what, damage in damages(rng, neighbour):
            folder = tmp_path / "one"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(work, folder)
            write(folder / name, damage((work / name).read_bytes()))
            try:
                outcome = HARMLESS if equal(numbers(folder, splits), expected) else SILENT
            except InputError:
                outcome = DETECTED
            if name.endswith("conformal.npz") and what == "missing":
                outcome = HARMLESS  # a run without calibration has Gaussian intervals, and says so
            counts.add(outcome, f"{name}: {what}")
    counts.check(140)


COMMANDS = {
    "prepare": "prepare simulate --sizes 3000 100 100 --length 60 --seed 0 --out o/d.h5",
    "train": "train d.h5 --width 0.03 --members 2 --epochs 2 --batch-size 20 --seed 0 --out o/t",
    "distill": "distill t d.h5 --epochs 2 --batch-size 20 --seed 1 --out o/s",
}


def killed(work, command, n_files):
    """Kill a command once its output holds so many files; whether it was still running."""
    process = begin(work, "-m", "degu_tf", *command.split())
    while process.poll() is None:
        if sum(path.is_file() for path in (work / "o").rglob("*")) >= n_files:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    _, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


def finished(work, command):
    process = begin(work, "-m", "degu_tf", *command.split())
    _, err = process.communicate()
    assert process.returncode == 0, err


def outputs(folder):
    """What a command made: files of numbers by content, models by their weights."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "model.keras":
            found[path.relative_to(folder)] = open_run(path.parent).fingerprint()
        elif path.name in ("settings.json", "metrics.csv") or path.suffix == ".h5":
            found[path.relative_to(folder)] = path.read_bytes()
        elif path.is_file():
            found[path.relative_to(folder)] = None
    return found


@pytest.mark.exhaustive  # of test_killed_trainings, with processes of their own
@pytest.mark.parametrize(
    ("name", "moments"),
    [("prepare", (1,) * 6), ("train", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), ("distill", range(1, 7))],
)
def test_killed_commands_are_resumed(name, moments, tmp_path):
    """To the files of a command that was never killed, with nothing left beside them."""
    command = COMMANDS[name]
    (tmp_path / "o").mkdir()
    before = {
        "prepare": (),
        "train": (COMMANDS["prepare"],),
        "distill": (COMMANDS["prepare"], COMMANDS["train"]),
    }[name]
    for each in before:
        finished(tmp_path, each.replace("o/", "").replace("3000", "60"))
    finished(tmp_path, command)
    whole = outputs(tmp_path / "o")
    shutil.rmtree(tmp_path / "o")
    (tmp_path / "o").mkdir()
    n_killed = 0
    for n_files in moments:
        n_killed += killed(tmp_path, command, n_files)
        if name == "prepare":  # a finished file is not written again
            shutil.rmtree(tmp_path / "o")
            (tmp_path / "o").mkdir()
    print({"killed": n_killed})
    assert n_killed >= len(moments) - 2
    finished(tmp_path, command)
    assert outputs(tmp_path / "o") == whole
