"""Ensembles in other processes: the same numbers, the same students."""

import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from failing_networks import diverging, fails

from degu_tf.distillation.distill import train_student
from degu_tf.distillation.distributed import portable
from degu_tf.distillation.distributed.portable import PortableEnsemble, train_students
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.attempts import FailedTraining
from degu_tf.distillation.labels import student_splits
from degu_tf.training.run import Run, attempt_seed, member_folder
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError


@pytest.fixture
def forgetful(monkeypatch):
    """Nothing is open."""
    monkeypatch.setattr(portable, "_opened", {})


@pytest.mark.parametrize("has_folder", [True, False])
def test_an_executor_changes_no_number(teachers, splits, monkeypatch, forgetful, has_folder):
    monkeypatch.setattr("degu_tf.distillation.ensemble.CHUNK", 150)
    ensemble = teachers if has_folder else Ensemble(teachers.members, teachers.spec)
    expected = ensemble.columns(splits.train.sequences)
    with ThreadPoolExecutor(1) as executor:
        made = ensemble.columns(splits.train.sequences, executor=executor)
        prediction = ensemble.predict(splits.train.sequences, executor=executor)
    assert np.array_equal(made, expected)
    assert np.array_equal(prediction.mean, expected[:, :2])


def test_members_are_sent_by_their_numbers(teachers, tmp_path, forgetful):
    """Of a run that lacks a member, the folder of the next is not taken for its own."""
    for number, name in ((0, "member_00"), (1, "member_02")):
        shutil.copytree(member_folder(teachers.folder, number), tmp_path / name)
    gap = Ensemble(teachers.members, teachers.spec, tmp_path, numbers=(0, 2))
    opened = PortableEnsemble.of(gap).open()
    assert opened.record() == gap.record()


@pytest.mark.slow
def test_a_student_that_diverged_is_trained_from_another_seed(teachers, splits):
    """Of several as of one: what its run says."""
    labelled = student_splits(teachers, splits)
    seed = next(s for s in range(99) if fails(s) and not fails(attempt_seed(s, 1)))
    quick = TrainingSettings(epochs=1)
    runs = [Run(seed=seed, retries=retries, progress=False) for retries in (1, 0)]
    train_students(teachers, labelled, runs[:1], diverging, quick)
    with pytest.raises(FailedTraining, match=rf"student \(seed {seed}\) diverged"):
        train_students(teachers, labelled, runs[1:], diverging, quick)


def test_other_files_than_those_sent_are_refused(teachers, forgetful):
    sent = PortableEnsemble.of(teachers)
    other = PortableEnsemble(**{**vars(sent), "models": sent.models[:1] * 2})
    with pytest.raises(InputError, match="all machines must see the same files"):
        other.open()


@pytest.mark.slow
def test_students_of_a_pool(teachers, splits, quick, tmp_path):
    labelled = student_splits(teachers, splits)
    runs = [Run(tmp_path / f"s{seed}", seed, progress=False) for seed in (3, 4)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        students = train_students(teachers, labelled, runs, settings=quick, executor=executor)
    expected = [
        train_student(teachers, labelled, settings=quick, run=Run(seed=seed, progress=False))
        for seed in (3, 4)
    ]
    assert [s.fingerprint() for s in students] == [s.fingerprint() for s in expected]


def test_students_of_an_executor_need_folders(teachers, splits):
    labelled = student_splits(teachers, splits)
    refused = pytest.raises(InputError, match="Received: 1 runs without a folder")
    with refused, ThreadPoolExecutor(1) as executor:
        train_students(teachers, labelled, [Run()], executor=executor)
