"""What a script would train: the networks that it does train, counted once, and none made."""

import dataclasses
from pathlib import Path

import pytest
from numbered_scripts import EXPERIMENTS, load

from degu_tf.distillation.distill import Augmentation, DistillationSettings
from degu_tf.paper.networks.planned_store import PlannedStore
from degu_tf.paper.networks.step_times import StepTimes, plan_text
from degu_tf.paper.networks.store import Store
from degu_tf.paper.script import Script
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.settings import TrainingSettings

SCRIPTS = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))
SHORT = TrainingSettings(epochs=1, batch_size=32, steps_per_epoch=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_lists_its_networks_and_makes_no_files(name, tmp_path, capsys):
    script = Script.of(vars(load(name)))
    options = script.options(["--preset", "smoke", "--out", str(tmp_path / "out")])
    store = PlannedStore(tmp_path / "runs")
    plan = script.plan(options, store)
    assert bool(plan) == (name != "table_s1_cost")
    assert all(each.there == 0 for each in plan)
    assert not (tmp_path / "out").exists()
    assert {path.name[:9] for path in tmp_path.glob("runs/*")} <= {"simulated"}
    again = script.plan(options, store)
    assert sum(each.missing for each in again) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_what_is_listed_is_what_is_trained_and_then_there(tmp_path):
    """Teachers, static and dynamic students: the script asks for no network it did not list."""
    script = Script.of(vars(load("05_fig6_variant_effects")))
    options = script.options(["--preset", "smoke", "--out", str(tmp_path / "out")])
    before = script.plan(options, PlannedStore(tmp_path / "runs"))
    assert {each.kind for each in before} == {"teachers", "student"}
    script.run(options)
    folders = [path for path in Path(tmp_path / "runs").iterdir() if path.name[0] in "ts"]
    assert sum(each.missing for each in before) == 2 + (len(folders) - 1)
    after = script.plan(options, PlannedStore(tmp_path / "runs"))
    assert [each.missing for each in after] == [0] * len(after)
    assert sum(each.there for each in after) == sum(each.missing for each in before)


@pytest.mark.filterwarnings("default::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_an_ensemble_of_more_members_lacks_the_others(tmp_path, splits, spec):
    Store(tmp_path).teachers(splits, spec, 2, SHORT)
    store = PlannedStore(tmp_path)
    store.teachers(splits, spec, 5, SHORT)
    store.teachers(splits, spec, 6, SHORT)
    store.teachers(splits, spec, 2, SHORT, seed=1)
    numbers = [(each.there, each.planned, each.missing) for each in store.plan]
    assert numbers == [(2, 0, 3), (0, 5, 1), (0, 0, 2)]


def test_steps_and_hours_are_those_of_the_settings(tmp_path, splits, spec):
    store, times = PlannedStore(tmp_path), StepTimes()
    teachers = store.teachers(splits, spec, 4, TrainingSettings(epochs=5, batch_size=64))
    finetuned = dataclasses.replace(SHORT, finetune=SHORT)
    dynamic = DistillationSettings(augmentation=Augmentation(scheme("shuffle")))
    list(store.students(teachers, splits, [7, 8], settings=finetuned, distillation=dynamic))
    list(store.students(teachers, splits, [9], settings=SHORT))
    assert [each.steps for each in store.plan] == [35, 4, 2]  # 400 sequences in batches of 64
    labelling = store.plan[1]
    assert labelling.labellers == (spec, splits.heads, 4)
    assert labelling.heads == splits.heads.student()
    times._measured = lambda what, *_: {"step": 0.5, "labels": 0.1}[what]
    assert times.step(labelling) == pytest.approx(0.5 + 4 * 0.1)
    assert times.hours(store.plan[0]) == pytest.approx(4 * 35 * 0.5 / 3600)
    text = plan_text(store.plan, times)
    assert "7 networks: 0 in the store, 7 to train" in text
    assert text.splitlines()[2].split()[:2] == ["student", spec.name]


def test_steps_are_timed_once_for_each_kind_of_network(tmp_path, splits, spec, monkeypatch):
    monkeypatch.setattr("degu_tf.paper.networks.step_times.SECONDS", 0.0)
    store, times = PlannedStore(tmp_path), StepTimes()
    for seed in (0, 1):
        store.teachers(splits, spec, 2, SHORT, seed=seed)
    assert times.step(store.plan[0]) == times.step(store.plan[1]) > 0
    assert len(times.known) == 1


def test_only_chooses_parts_and_is_part_of_the_identity(tmp_path, capsys):
    script = Script.of(vars(load("s02_dream_rnn")))
    out = ["--preset", "smoke", "--out", str(tmp_path / "out")]
    plans = [
        script.plan(script.options([*out, *only]), PlannedStore(tmp_path / "runs"))
        for only in ([], ["--only", "paper"])
    ]
    assert len(plans[0]) == 2 * len(plans[1])
    assert {each.spec.options["variant"] for each in plans[1]} == {"paper"}
    assert script.main([*out, "--only", "third"]) == 2
    assert "expected some of the variants paper, released. Received: --only third" in (
        capsys.readouterr().err
    )
    without = Script.of(vars(load("05_fig6_variant_effects")))
    assert without.main([*out, "--only", "paper"]) == 2
    assert "expected no --only" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_says_how_its_hours_were_reckoned(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("degu_tf.paper.networks.step_times.SECONDS", 0.0)
    script = Script.of(vars(load("s15_effect_and_uncertainty")))
    assert script.main(["--preset", "smoke", "--dry-run", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "3 networks: 0 in the store, 3 to train" in said
    assert "steps timed just now on this machine" in said
    assert not list(tmp_path.iterdir())


def test_a_script_that_does_not_say_what_it_trains_is_refused(tmp_path, capsys):
    names = {key: value for key, value in vars(load("s15_effect_and_uncertainty")).items()}
    del names["networks"]
    script = Script.of(names)
    assert script.main(["--dry-run", "--out", str(tmp_path / "out")]) == 2
    assert "a function `networks`" in capsys.readouterr().err
