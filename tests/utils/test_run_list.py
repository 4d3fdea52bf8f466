"""The runs below a folder, from their small files."""

import json
import os
import time

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder
from degu_tf.utils.run_list import list_runs

SETTINGS = {
    "kind": "student",
    "model": {"name": "deepstarr", "options": {"width": 0.5}, "init": None},
    "data": {"fingerprint": "0123456789abcdef", "n_train": 1234},
}


def make(folder, metrics=None, finished=True, notes=None, **settings):
    run = RunFolder(folder)
    run.begin({**SETTINGS, **settings})
    if metrics is not None:
        (folder / "metrics.csv").write_text(metrics)
    if finished:
        run.finish(**(notes or {}))


def test_a_finished_run_is_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = "split,target,head,metric,value,n\n"
    metrics += "test,Dev,activity,mse,0.5,9\ntest,Dev,activity,pearson,0.75,9\n"
    metrics += "test,Dev,epistemic,pearson,0.1,9\n"
    make(tmp_path / "runs/y", metrics, notes={"data_file": "../../d.h5"})
    (found,) = list_runs("runs")
    assert (found.path.as_posix(), found.kind, found.state) == ("runs/y", "student", "finished")
    assert (found.data, found.n_train, found.model) == ("d.h5", 1234, "deepstarr width=0.5")
    assert found.pearson == {"Dev": 0.75}
    assert 0 <= found.age < 60
    assert found.size == sum(file.stat().st_size for file in (tmp_path / "runs/y").iterdir())


def test_members_belong_to_their_ensemble(tmp_path):
    make(tmp_path / "x/member_00", kind="model")
    make(tmp_path / "x/member_01", kind="model", finished=False)
    make(tmp_path / "x2", kind="model", finished=False)
    (tmp_path / "x/settings.json").write_text(json.dumps({**SETTINGS, "kind": "ensemble"}))
    first, second = list_runs(tmp_path)
    assert (first.kind, first.state) == ("ensemble", "unfinished, 1 members so far")
    assert first.data == "01234567"
    assert (second.kind, second.state, second.pearson) == ("model", "unfinished", {})
    RunFolder(tmp_path / "x").finish(n_members=2)
    assert list_runs(tmp_path)[0].state == "finished, 2 members"
    (tmp_path / "x/conformal.npz").touch()
    assert list_runs(tmp_path)[0].state == "calibrated, 2 members"


def test_an_unfinished_run_is_as_old_as_its_settings(tmp_path):
    make(tmp_path / "y", finished=False)
    then = time.time() - 5 * 86400
    os.utime(tmp_path / "y/settings.json", (then, then))
    assert list_runs(tmp_path)[0].age == pytest.approx(5 * 86400, abs=60)


def test_a_damaged_run_is_listed_and_what_is_none_is_not(tmp_path):
    make(tmp_path / "y")
    (tmp_path / "y/settings.json").write_text(json.dumps({**SETTINGS, "seed": 9}))
    make(tmp_path / "z")
    (tmp_path / "z/manifest.json").write_text("[")
    for name, text in {"figure": '{"kind": "figure"}', "list": "[]", "text": "no JSON"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(text)
    damaged = list_runs(tmp_path)
    assert [run.path.name for run in damaged] == ["y", "z"]
    assert all(run.state.startswith("damaged: ") for run in damaged)


def test_there_must_be_a_folder(tmp_path):
    assert list_runs(tmp_path) == []
    with pytest.raises(InputError, match="expected a folder"):
        list_runs(tmp_path / "none")
