"""Members trained one by one, as the jobs of an array do: the run is the one trained whole."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from degu_tf.distillation.distributed.one_member import train_member
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.training.run import Run
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


@pytest.mark.slow
def test_any_order_and_twice(tmp_path, splits, spec, quick, teachers):
    run = Run(tmp_path / "run", 5, progress=False)
    assert train_member(splits, spec, 2, 1, quick, run) is None
    assert not RunFolder(run.folder).finished
    whole = train_member(splits, spec, 2, 0, quick, run)
    assert whole.fingerprint() == teachers.fingerprint()
    assert train_member(splits, spec, 2, 1, quick, run).fingerprint() == whole.fingerprint()
    for name in ("settings.json", "metrics.csv"):
        assert (run.folder / name).read_bytes() == (teachers.folder / name).read_bytes()


def test_the_last_job_was_killed_as_it_completed_the_run(tmp_path, splits, spec, quick, teachers):
    folder = shutil.copytree(teachers.folder, tmp_path / "run")
    (folder / "manifest.json").unlink()
    run = Run(folder, 5, progress=False)
    assert train_member(splits, spec, 2, 0, quick, run).fingerprint() == teachers.fingerprint()
    assert RunFolder(folder).finished


@pytest.mark.slow
def test_a_finished_run_grows_by_its_jobs(tmp_path, splits, spec, quick, teachers):
    folder = shutil.copytree(teachers.folder, tmp_path / "run")
    run = Run(folder, 5, progress=False)
    assert train_member(splits, spec, 4, 3, quick, run) is None
    assert Ensemble.load(folder).n_members == 2
    whole = train_member(splits, spec, 4, 2, quick, run)
    assert whole.n_members == Ensemble.load(folder).n_members == 4
    other = replace(quick, epochs=quick.epochs + 1)
    with pytest.raises(InputError, match="epochs"):
        train_member(splits, spec, 5, 4, other, run)


def test_what_is_refused(tmp_path, splits, spec, quick):
    with pytest.raises(InputError, match=r"from 0 to 1. Received: member=2"):
        train_member(splits, spec, 2, 2, quick, Run(tmp_path / "run"))
    with pytest.raises(InputError, match="name one"):
        train_member(splits, spec, 2, 0, quick)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_three_processes_at_once(tmp_path, splits, spec, quick):
    whole = train_ensemble(splits, spec, 3, quick, Run(tmp_path / "whole", 5, progress=False))
    run = Run(tmp_path / "run", 5, progress=False)
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as jobs:
        tasks = [jobs.submit(_job, splits, spec, k, quick, run) for k in (2, 0, 1)]
        assert any([task.result() for task in tasks])
    assert Ensemble.load(run.folder).fingerprint() == whole.fingerprint()
    names = [
        sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
        for folder in (run.folder, whole.folder)
    ]
    assert names[0] == names[1]


@pytest.mark.slow
def test_two_processes_with_the_same_run(tmp_path, splits, spec, quick, teachers):
    """One trains, the other waits and loads what it trained."""
    run = Run(tmp_path / "run", 5, progress=False)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        tasks = [processes.submit(_whole, splits, spec, quick, run) for _ in range(2)]
        assert {task.result() for task in tasks} == {teachers.fingerprint()}


def _job(splits, spec, member, settings, run):
    return train_member(splits, spec, 3, member, settings, run) is not None


def _whole(splits, spec, settings, run):
    return train_ensemble(splits, spec, 2, settings, run).fingerprint()
