"""Ensembles of which members fail: who is left, what is said, and how the run is finished."""

import json
import re
import shutil
import warnings
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
import pytest
from failing_networks import diverging, idle, seed_where

from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run, unlearned_members
from degu_tf.distillation.failures.members import FailedMembersWarning, in_manifest
from degu_tf.distillation.runs import teachers_of
from degu_tf.distillation.teacher import Teacher
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run, attempt_seed, member_seed
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder
from degu_tf.utils.run_list import list_runs

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")

N = 4


@contextmanager
def lacking(pattern=""):
    """Expects the warning; `pytest.warns` would raise those of Keras that are ignored."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    said = [str(each.message) for each in caught if each.category is FailedMembersWarning]
    assert len(said) == 1
    assert re.search(pattern, said[0]), said


@pytest.fixture
def ask(make_splits, tmp_path):
    """A function that asks for an ensemble of failing networks in a folder."""
    splits = make_splits(("Dev", "Hk"))
    settings = TrainingSettings(epochs=4, batch_size=40, learning_rate=0.1)

    def ask(network, seed, retries=0, n_members=N, folder="run", **options):
        where = None if folder is None else tmp_path / folder
        run = Run(where, seed, retries=retries, progress=False)
        return train_ensemble(splits, ModelSpec(network), n_members, settings, run, **options)

    ask.splits, ask.settings, ask.folder = splits, settings, tmp_path / "run"
    return ask


def contents(folder):
    """Every file, without what tells the time of day or how long something took."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "history.csv":
            text = file.read_bytes()
            if file.name == "model.keras":  # a zip with the date in it
                text = load_model(file.parent).fingerprint().encode()
            if file.name == "manifest.json":
                manifest = json.loads(text)
                del manifest["created"], manifest["files"]
                text = json.dumps(manifest).encode()
            found[str(file.relative_to(folder))] = text
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("network", "reason"), [(diverging, "diverged"), (idle, "did not learn")])
def test_the_ensemble_of_the_others_is_usable_and_says_who_is_missing(ask, network, reason):
    seed = seed_where(1)
    with lacking(rf"lacks member 1 \(seed \d+: {reason}\)"):
        ensemble = ask(network, seed, unlearned="leave-out")
    assert ensemble.numbers == (0, 2, 3)
    missing = f"member 1 (seed {member_seed(seed, 1)}: {reason})"
    assert f"Ensemble(3 members of {ensemble.spec.name};" in repr(ensemble)
    assert f"lacks {missing}" in repr(ensemble)
    manifest = RunFolder(ask.folder).manifest()
    assert manifest["n_members"] == 3
    failed = {"reason": reason, "seed": member_seed(seed, 1), "attempts": 1}
    assert manifest["failed"] == {"1": failed}
    loaded = Ensemble.load(ask.folder)
    assert (loaded.fingerprint(), loaded.numbers) == (ensemble.fingerprint(), (0, 2, 3))
    assert repr(loaded) == repr(ensemble)
    assert Ensemble.load(ask.folder, 2).numbers == (0, 2)
    with pytest.raises(InputError, match=r"the run has 3 members. Received: n_members=4"):
        Ensemble.load(ask.folder, 4)
    assert unlearned_members(loaded, ask.splits.validation, ask.splits.heads) == []
    table = evaluate_run(ask.folder, ask.splits.test, ask.splits.heads)
    assert sorted(table.loc[table["method"] == "single", "member"].unique()) == [0, 2, 3]
    (listed,) = list_runs(ask.folder.parent)
    assert listed.state == "finished, 3 members, 1 missing"


@pytest.mark.slow
@pytest.mark.parametrize("network", [diverging, idle])
def test_a_run_is_finished_later_without_training_the_others_again(ask, network):
    seed = seed_where(0, 2)
    with lacking():
        partial = ask(network, seed, unlearned="leave-out")
    before = {i: contents(ask.folder / f"member_0{i}") for i in (1, 3)}
    times = {i: (ask.folder / f"member_0{i}" / "model.keras").stat().st_mtime_ns for i in (1, 3)}
    whole = ask(network, seed, retries=1, unlearned="leave-out")
    assert whole.numbers == (0, 1, 2, 3)
    assert [m.fingerprint() for m in partial.members] == [
        whole.members[i].fingerprint() for i in (1, 3)
    ]
    assert "failed" not in RunFolder(ask.folder).manifest()
    for i in (1, 3):
        assert contents(ask.folder / f"member_0{i}") == before[i]
        assert (ask.folder / f"member_0{i}" / "model.keras").stat().st_mtime_ns == times[i]
    for i in (0, 2):
        settings = RunFolder(ask.folder / f"member_0{i}").settings()
        first = member_seed(seed, i)
        assert settings["seed"] == attempt_seed(first, 1)
        assert (settings["attempt"], settings["first_seed"]) == (1, first)
    at_once = ask(network, seed, retries=1, folder="at_once", unlearned="leave-out")
    assert at_once.fingerprint() == whole.fingerprint()
    again = ask(network, seed, unlearned="leave-out")  # whatever the retries are by then
    assert again.fingerprint() == whole.fingerprint()


@pytest.mark.slow
def test_the_same_call_again_trains_nothing_that_failed_before(ask):
    seed = seed_where(1)
    with lacking():
        first = ask(diverging, seed)
    before = contents(ask.folder)
    with lacking("lacks member 1"):
        second = ask(diverging, seed)
    assert second.fingerprint() == first.fingerprint()
    assert contents(ask.folder) == before


@pytest.mark.slow
def test_an_interrupted_run_leaves_out_the_same(ask):
    seed = seed_where(1)
    with lacking():
        first = ask(idle, seed, unlearned="leave-out")
    (ask.folder / "manifest.json").unlink()
    shutil.rmtree(ask.folder / "member_03")
    with lacking():
        assert ask(idle, seed, unlearned="leave-out").fingerprint() == first.fingerprint()


@pytest.mark.slow
def test_fewer_members_than_two_are_no_ensemble(ask):
    seed = seed_where(0, 1, 3)
    seeds = [member_seed(seed, i) for i in (0, 1, 3)]
    named = ", ".join(
        rf"member {i} \(seed {s}: diverged\)" for i, s in zip((0, 1, 3), seeds, strict=True)
    )
    for _ in range(2):
        with pytest.raises(InputError, match=rf"two or more members, and of 4 failed {named}; "):
            ask(diverging, seed)
    assert not RunFolder(ask.folder).finished
    assert ask(diverging, seed, retries=1).n_members == N


@pytest.mark.slow
def test_the_first_members_of_a_run_may_be_too_few(ask):
    seed = seed_where(1)
    with lacking():
        ask(diverging, seed)
    with pytest.raises(InputError, match="and of 2 failed member 1"):
        ask(diverging, seed, n_members=2)
    with lacking():
        assert ask(diverging, seed, n_members=3).numbers == (0, 2)


@pytest.mark.slow
def test_where_hardly_any_member_learns_all_stay(ask):
    """Then it is the data or the settings, and no member's fault."""
    assert ask(idle, seed_where(0, 1, 3), unlearned="leave-out").numbers == (0, 1, 2, 3)


@pytest.mark.slow
def test_members_that_did_not_learn_stay_by_default_as_in_the_paper(ask):
    seed = seed_where(1)
    ensemble = ask(idle, seed)
    assert ensemble.numbers == (0, 1, 2, 3)
    assert "failed" not in RunFolder(ask.folder).manifest()
    named = unlearned_members(ensemble, ask.splits.validation, ask.splits.heads)
    assert named == [(1, "Dev"), (1, "Hk")]
    with pytest.raises(InputError, match="unlearned='drop'"):
        ask(idle, seed, unlearned="drop")


@pytest.mark.slow
def test_those_left_out_can_be_kept_after_all(ask):
    seed = seed_where(1)
    with lacking():
        ask(idle, seed, unlearned="leave-out")
    assert ask(idle, seed, unlearned="keep").numbers == (0, 1, 2, 3)


@pytest.mark.slow
def test_those_that_did_not_learn_can_be_left_out_after_all(ask):
    seed = seed_where(1)
    assert ask(idle, seed, unlearned="keep").n_members == 4
    with lacking():
        assert ask(idle, seed, unlearned="leave-out").numbers == (0, 2, 3)
    assert Ensemble.load(ask.folder).numbers == (0, 2, 3)


@pytest.mark.slow
def test_members_beyond_those_asked_for_stay_in_the_run(ask):
    """Also where one of the first is trained again."""
    seed = seed_where(1)
    with lacking():
        ask(diverging, seed)
    before = contents(ask.folder / "member_03")
    assert ask(diverging, seed, n_members=3, retries=1).numbers == (0, 1, 2)
    assert Ensemble.load(ask.folder).numbers == (0, 1, 2, 3)
    assert contents(ask.folder / "member_03") == before


@pytest.mark.slow
def test_without_failures_retries_change_no_file(ask):
    seed = seed_where()
    for folder, options in (("a", {}), ("b", {"retries": 2})):
        ask(idle, seed, folder=folder, **options)
    assert contents(ask.folder.parent / "a") == contents(ask.folder.parent / "b")
    assert in_manifest({}) == {}


@pytest.mark.slow
def test_a_run_grows_past_members_that_failed(ask):
    seed = seed_where(1)
    with lacking():
        ask(diverging, seed, n_members=3)
    with lacking():
        assert ask(diverging, seed, n_members=4).numbers == (0, 2, 3)


@pytest.mark.slow
def test_in_memory(ask):
    seed = seed_where(1)
    with lacking(f"seed {member_seed(seed, 1)}"):
        assert ask(diverging, seed, folder=None).numbers == (0, 2, 3)
    with lacking(f"seed {member_seed(seed, 1)}"):
        assert ask(idle, seed, folder=None, unlearned="leave-out").numbers == (0, 2, 3)
    assert ask(idle, seed, 1, folder=None, unlearned="leave-out").numbers == (0, 1, 2, 3)


@pytest.mark.slow
def test_a_student_finds_its_teachers_after_the_run_was_finished(ask, tmp_path):
    seed = seed_where(1)
    with lacking():
        teachers = ask(diverging, seed)
    run = Run(tmp_path / "student", 1, progress=False)
    distill(teachers, ask.splits, ModelSpec(diverging, {"share": 0.0}), ask.settings, run)
    recorded = RunFolder(run.folder).settings()["teachers"]
    assert (recorded["n_members"], recorded["numbers"]) == (3, [0, 2, 3])
    record = Teacher(teachers).record()
    ask(diverging, seed, retries=1)
    assert teachers_of(run.folder).fingerprint() == teachers.fingerprint()
    assert Teacher.from_record(record).ensemble.fingerprint() == teachers.fingerprint()
    assert "numbers" not in Ensemble.load(ask.folder).record()


@pytest.mark.slow
def test_a_manifest_with_nonsense_is_refused(ask):
    with lacking():
        ask(diverging, seed_where(1))
    manifest = json.loads((ask.folder / "manifest.json").read_text())
    for nonsense in ([], {"one": {}}, {"1": {"why": "not"}}, {"1": 3}):
        changed = json.dumps({**manifest, "failed": nonsense or ["x"]})
        (ask.folder / "manifest.json").write_text(changed)
        with pytest.raises(InputError, match="expected the members that failed, by number"):
            Ensemble.load(ask.folder)


def test_a_dead_worker_names_the_members_under_way(ask):
    class Dies:
        def submit(self, task, splits, spec, settings, run, objective):
            RunFolder(run.folder).begin({"kind": "model", "seed": run.seed})
            raise BrokenExecutor

    seed = seed_where()
    with pytest.raises(InputError, match=rf"member 0 \(seed {member_seed(seed, 0)}\) under way"):
        ask(idle, seed, executor=Dies())


@pytest.mark.slow
def test_process_pools_leave_out_and_retry_the_same_members(ask):
    seed = seed_where(0, 2)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with lacking("member 0 .*, member 2 "):
            pooled = ask(diverging, seed, folder="pool", executor=pool)
        with lacking():
            alone = ask(diverging, seed)
        assert pooled.fingerprint() == alone.fingerprint()
        whole = ask(diverging, seed, 1, folder="pool", executor=pool)
    assert whole.fingerprint() == ask(diverging, seed, 1).fingerprint()
    assert np.isfinite(whole.predict(ask.splits.test.sequences).mean).all()
