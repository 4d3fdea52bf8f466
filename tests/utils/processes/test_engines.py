"""Engines: members are the same bits whichever trained them."""

import os

import pytest

from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.training.run import Run
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.engines import THREADS, engine, threads


def test_threads_are_those_set_or_a_processor_each(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    assert set(threads().values()) == {str(len(os.sched_getaffinity(0)))}
    monkeypatch.setenv(THREADS[0], "3")
    assert threads()[THREADS[0]] == "3"


def test_a_cluster_that_is_not_there():
    pytest.importorskip("distributed")
    for wrong in ("local:none", "local:0", "cluster"):
        refused = pytest.raises(InputError, match=f"scheduler that answers.*dask='{wrong}'")
        with refused, engine(dask=wrong):
            pass


@pytest.mark.slow
def test_each_process_of_a_pool_sees_one_gpu_in_turn():
    with engine(3, devices=("0", "GPU-b")) as executor:
        names = ["CUDA_VISIBLE_DEVICES"] * 3
        seen = {executor.submit(_seen, name).result() for name in names}
    assert {device for _, device in seen} <= {"0", "GPU-b"}
    with engine(1, devices=("5",)) as executor:
        assert executor.submit(_seen, names[0]).result()[1] == "5"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_members_are_the_same_on_a_pool_and_on_dask(tmp_path, splits, spec, quick, teachers):
    pytest.importorskip("distributed")
    for name, chosen in {"pool": {"workers": 2}, "dask": {"dask": "local:2"}}.items():
        run = Run(tmp_path / name, 5, progress=False)
        with engine(**chosen) as executor:
            made = train_ensemble(splits, spec, 2, quick, run, executor=executor)
        assert made.fingerprint() == teachers.fingerprint(), name


def _seen(name):
    return os.getpid(), os.environ[name]
