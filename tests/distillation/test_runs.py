import dataclasses
import os

import numpy as np
import pytest

from degu_tf.distillation.distill import DistillationSettings
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.evaluation import evaluate_run
from degu_tf.distillation.runs import open_run, teachers_of
from degu_tf.metrics.activity import rmse
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.store import Store
from degu_tf.training.model_spec import ModelSpec
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


class Began(Exception):
    """A training that was about to begin."""


@pytest.fixture
def no_training(monkeypatch):
    """Trainings raise `Began`."""

    def fail(*_, **__):
        raise Began

    monkeypatch.setattr("degu_tf.training.train.fit", fail)


@pytest.fixture
def folder_of(monkeypatch):
    """A function that tells the folder a store would use, without training."""

    def ask(method, *arguments, **options):
        taken = []

        def note(self, kind, *rest):
            taken.append(kept(self, kind, *rest))
            raise Began

        kept = Store._folder
        with monkeypatch.context() as patch:
            patch.setattr(Store, "_folder", note)
            with pytest.raises(Began):
                method(*arguments, **options)
        return taken[0].name

    return ask


@pytest.fixture
def student_folder(folder_of, store, teachers, splits, quick, student):
    return store.root / folder_of(store.student, teachers, splits, settings=quick, seed=3)


def times(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*")}


@pytest.mark.usefixtures("no_training")
def test_what_exists_is_not_trained_again(
    store, teachers, student, splits, spec, quick, student_folder, monkeypatch
):
    monkeypatch.setattr("degu_tf.paper.networks.store.student_splits", None)
    before = times(store.root)
    again = Store(store.root, progress=False)
    assert again.teachers(splits, spec, 2, quick, seed=5).fingerprint() == teachers.fingerprint()
    same = again.student(teachers, splits, settings=quick, seed=3)
    assert same.fingerprint() == student.fingerprint()
    assert times(store.root) == before
    assert student_folder.is_dir()


@pytest.mark.usefixtures("no_training", "student")
def test_more_members_share_the_folder_of_fewer(store, splits, spec, quick, teachers, folder_of):
    folders = {folder_of(store.teachers, splits, spec, n, quick, seed=5) for n in (2, 3, 10)}
    assert folders == {teachers.folder.name}


def test_whatever_makes_a_run_changes_its_folder(
    store, teachers, splits, spec, quick, folder_of, make_splits, student
):
    def teaching(data=splits, model=spec, settings=quick, seed=5):
        return folder_of(store.teachers, data, model, 2, settings, seed)

    wider = ModelSpec(spec.name, {**spec.options, "width": 2.0})
    folders = [
        teaching(),
        teaching(data=make_splits(("Dev", "Hk"), aleatoric="std", seed=1)),
        teaching(data=splits.without_uncertainty()),
        teaching(data=splits.fraction(0.5)),
        teaching(model=wider),
        teaching(model=ModelSpec("residualbind", {"width": 0.1})),
        teaching(settings=dataclasses.replace(quick, learning_rate=0.01)),
        teaching(seed=6),
    ]
    assert len(set(folders)) == len(folders)
    assert teaching() == folders[0]
    assert folders[0].startswith("teachers-deepstarr-")

    def studying(ensemble=teachers, data=splits, **changes):
        given = {"spec": spec, "settings": quick, "seed": 3, **changes}
        options = {name: given.pop(name) for name in ("spec", "settings", "seed")}
        distillation = DistillationSettings(**given)
        return folder_of(store.student, ensemble, data, **options, distillation=distillation)

    other = Ensemble(teachers.members[::-1], spec)
    students = [
        studying(),
        studying(ensemble=other),
        studying(data=splits.fraction(0.5)),
        studying(spec=wider),
        studying(settings=dataclasses.replace(quick, epochs=5)),
        studying(seed=4),
        studying(epistemic="log_variance"),
        studying(epistemic_weight=2.0),
        studying(aleatoric_weight=2.0),
        studying(aleatoric_weight={"Dev": 1.0, "Hk": 2.0}),
    ]
    assert len(set(students)) == len(students)
    assert studying(spec=None) == students[0]
    assert students[0].startswith("student-deepstarr-")
    single = folder_of(store.model, splits, spec, quick, 5)
    assert single.startswith("model-deepstarr-")


def test_students_of_the_same_teachers_share_the_labels(
    store, teachers, splits, quick, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        "degu_tf.paper.networks.store.train_student", lambda _, labelled, *__, **___: labelled
    )
    fresh = Store(tmp_path, progress=False)
    first, second = (fresh.student(teachers, splits, seed=seed) for seed in (10, 11))
    assert first is second
    logged = fresh.student(teachers, splits, distillation=DistillationSettings("log_variance"))
    assert logged.heads.epistemic == "log_variance"
    half = fresh.student(teachers, splits.fraction(0.5))
    assert len(half.train) == 200
    assert not any(tmp_path.iterdir())


def test_a_student_needs_an_architecture(store, teachers, splits):
    with pytest.raises(InputError, match="architecture is not known"):
        store.student(Ensemble(teachers.members), splits)


@pytest.mark.usefixtures("no_training")
def test_an_unfinished_student_goes_on(store, teachers, splits, quick):
    for _ in range(2):
        with pytest.raises(Began):
            store.student(teachers, splits, settings=quick, seed=99)


def test_a_run_opens_as_what_it_is(teachers, student, student_folder, tmp_path):
    ensemble = open_run(teachers.folder)
    assert isinstance(ensemble, Ensemble)
    assert ensemble.fingerprint() == teachers.fingerprint()
    opened = open_run(student_folder)
    assert isinstance(opened, ModelPredictor)
    assert opened.fingerprint() == student.fingerprint()
    assert isinstance(open_run(teachers.folder / "member_00"), ModelPredictor)
    with pytest.raises(InputError, match="expected the folder of a run"):
        open_run(tmp_path)


def test_a_store_can_be_moved_as_a_whole(store, student_folder, teachers):
    where = RunFolder(student_folder).manifest()["teachers"]
    assert where == os.path.join("..", teachers.folder.name)
    assert teachers_of(student_folder).fingerprint() == teachers.fingerprint()


def test_evaluation_of_a_student_beside_its_teachers(student_folder, student, teachers, splits):
    table = evaluate_run(student_folder, splits.test, splits.heads)
    assert table["method"].unique().tolist() == ["student", "single", "ensemble"]
    assert sorted(table["member"].dropna().unique()) == [0, 1]
    keyed = table.set_index(["method", "member", "target", "head", "metric"])["value"].sort_index()
    assert keyed.index.is_unique
    sequences, index = splits.test.sequences, 1
    predicted, pooled = student.predict(sequences), teachers.predict(sequences)

    def value(method, head, metric, member=np.nan):
        return keyed.loc[(method, member, "Hk", head, metric)]

    def r(x, y):
        return pytest.approx(np.corrcoef(x[:, index], y[:, index])[0, 1], abs=1e-6)

    measured = splits.test.targets
    assert value("student", "activity", "pearson") == r(predicted.mean, measured)
    assert value("student", "aleatoric", "pearson") == r(predicted.aleatoric, measured[:, 2:])
    assert value("student", "epistemic", "pearson") == r(predicted.epistemic, pooled.epistemic)
    assert value("student", "activity", "rmse_to_ensemble") == pytest.approx(
        rmse(predicted.mean, pooled.mean)[index], abs=1e-6
    )
    assert value("ensemble", "activity", "pearson") == r(pooled.mean, measured)
    single = teachers.members[1].predict(sequences)
    assert value("single", "activity", "pearson", 1) == r(single.mean, measured)
    assert value("single", "activity", "rmse_to_ensemble", 1) == pytest.approx(
        rmse(single.mean, pooled.mean)[index], abs=1e-6
    )
    assert ("ensemble", "epistemic") not in set(zip(table["method"], table["head"], strict=True))


def test_evaluation_of_other_runs(teachers, splits):
    table = evaluate_run(teachers.folder, splits.validation, splits.heads)
    assert table["method"].unique().tolist() == ["single", "ensemble"]
    alone = evaluate_run(teachers.folder / "member_00", splits.validation, splits.heads)
    assert alone["method"].unique().tolist() == ["model"]
