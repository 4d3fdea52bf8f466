"""Augmented students and teachers through `distill`, `train` and the store."""

import dataclasses
import json
import pickle
import re
import shutil
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from evoaug_tf.augment import AugmentBase

from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill, train_student
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.teacher import Bfloat16Warning
from degu_tf.paper.networks.store import Store
from degu_tf.training.augmentation.names import SCHEMES, scheme
from degu_tf.training.augmentation.operations import RandomMutation
from degu_tf.training.augmentation.schemes import describe
from degu_tf.training.losses import DistillationLoss
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run, member_seed
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import fit, load_model, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning"),
    pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning"),
]

MUTAGENESIS = scheme("mutagenesis")
SHORT = TrainingSettings(epochs=2, batch_size=100, learning_rate=0.01)
FINE = TrainingSettings(epochs=3, batch_size=100, learning_rate=1e-3)
BOTH = dataclasses.replace(SHORT, finetune=FINE)


class Began(Exception):
    """A training that was about to begin."""


@pytest.fixture(scope="module")
def labelled(teachers, splits):
    return student_splits(teachers, splits)


@pytest.fixture
def fits(monkeypatch):
    """What is asked of `fit` in place of training: its arguments, call by call."""
    asked = []

    def note(model, splits, settings, *, objective, seed, **_):
        asked.append((model, splits, settings, seed, objective.loss))
        return pd.DataFrame({"epoch": range(1, settings.epochs + 1)})

    monkeypatch.setattr("degu_tf.training.train.fit", note)
    return asked


@pytest.fixture
def no_training(monkeypatch):
    """Trainings raise `Began`."""

    def fail(*_, **__):
        raise Began

    monkeypatch.setattr("degu_tf.training.train.fit", fail)


@pytest.fixture
def bfloat16(monkeypatch):
    """A machine that has arithmetic for bfloat16."""
    monkeypatch.setattr("degu_tf.distillation.teacher.has_bfloat16", lambda: True)


# what a student is trained with


@pytest.mark.slow
def test_teachers_go_along_where_they_label(teachers, labelled, fits):
    shuffle = scheme("shuffle")
    dynamic = DistillationSettings(augmentation=Augmentation(shuffle, append=True))
    train_student(teachers, labelled, settings=SHORT, run=Run(seed=4), distillation=dynamic)
    ((model, splits, settings, seed, loss),) = fits
    assert isinstance(model, DistillationModel)
    assert model.teacher.ensemble is teachers
    assert (model.teacher.epistemic, model.teacher.dtype) == ("std", "float32")
    assert model.scheme is shuffle
    assert (model.append, model.seed, seed) == (True, 4, 4)
    assert (splits, settings) == (labelled, SHORT)
    assert isinstance(loss, DistillationLoss)


def test_static_labels_are_those_of_the_unaugmented_sequences(teachers, labelled, splits, fits):
    augmentation = Augmentation(scheme("evoaug_one"), labels="static")
    train_student(teachers, labelled, distillation=DistillationSettings(augmentation=augmentation))
    ((model, given, *_),) = fits
    assert model.teacher is None
    assert model.scheme is augmentation.scheme
    np.testing.assert_allclose(given.train.targets, teachers.columns(splits.train.sequences))


def test_without_augmentation_there_is_neither_teacher_nor_scheme(teachers, labelled, fits):
    train_student(teachers, labelled)
    ((model, *_),) = fits
    assert (model.teacher, model.scheme, model.append) == (None, None, False)


def test_the_epistemic_form_is_the_teachers_too(teachers, splits, fits):
    logged = DistillationSettings("log_variance", augmentation=Augmentation(scheme("shuffle")))
    distill(teachers, splits, run=Run(progress=False), distillation=logged)
    ((model, *_),) = fits
    assert model.teacher.epistemic == "log_variance"
    assert model.heads.epistemic == "log_variance"


@pytest.mark.usefixtures("bfloat16")
def test_the_teachers_type_is_what_was_asked_for(teachers, labelled, fits):
    augmentation = Augmentation(scheme("shuffle"), teacher_dtype="bfloat16")
    train_student(teachers, labelled, distillation=DistillationSettings(augmentation=augmentation))
    ((model, *_),) = fits
    assert model.teacher.dtype == "bfloat16"


def test_finetuning_is_on_the_data_as_they_are(teachers, labelled, fits):
    student = train_student(
        teachers,
        labelled,
        settings=TrainingSettings(finetune=FINE),
        run=Run(seed=4),
        distillation=DistillationSettings(augmentation=Augmentation(scheme("evoaug"))),
    )
    (first, *_), (second, splits, settings, seed, loss) = fits
    assert second is first.student is student.model
    assert (splits, settings, seed) == (labelled, FINE, 4)
    assert isinstance(loss, DistillationLoss)


def test_labels_are_of_two_kinds():
    with pytest.raises(InputError, match=r"'teachers' or 'static'. Received: labels='dynamic'"):
        Augmentation(scheme("evoaug"), labels="dynamic")


# a whole run


@pytest.fixture(scope="module")
def run(teachers, splits, tmp_path_factory):
    """A dynamic student's folder and predictor, fine-tuned."""
    folder = tmp_path_factory.mktemp("runs") / "dynamic"
    return folder, make(teachers, splits, folder)


def make(teachers, splits, folder):
    return distill(
        teachers,
        splits,
        settings=BOTH,
        run=Run(folder, 3, progress=False),
        distillation=DistillationSettings(augmentation=Augmentation(MUTAGENESIS)),
    )


def test_the_run_says_what_made_it(run, teachers):
    settings = RunFolder(run[0]).settings()
    assert settings["augmentation"] == {
        "scheme": {"name": "RandomMutation", "mutate_frac": 0.05},
        "labels": "teachers",
        "append": False,
        "teacher_dtype": "float32",
    }
    assert settings["finetune"] == FINE.to_dict()
    assert settings["training"] == SHORT.to_dict()
    assert settings["teachers"]["fingerprint"] == teachers.fingerprint()


def test_the_history_has_both_stages(run):
    history = pd.read_csv(run[0] / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert np.allclose(history["learning_rate"], [0.01] * 2 + [1e-3] * 3)
    assert history[["loss", "val_loss", "seconds"]].notna().all(axis=None)
    assert history["Dev_pearson"][:2].notna().all()


def test_the_student_is_the_best_of_the_second_stage(run, labelled):
    """Validated on the experiment's labels, unaugmented."""
    folder, student = run
    history = pd.read_csv(folder / "history.csv")
    columns = student.columns(labelled.validation.sequences)
    loss = sum(
        np.mean((student.heads.take(columns, role) - student.heads.take(measured, role)) ** 2)
        for measured in [labelled.validation.targets]
        for role in student.heads.roles
    )
    assert history["val_loss"][2:].min() == pytest.approx(loss, rel=1e-3)


def test_the_run_is_a_students_like_any(run, splits, teachers):
    folder, student = run
    loaded = load_model(folder)
    assert loaded.fingerprint() == student.fingerprint()
    assert not isinstance(loaded.model, DistillationModel)
    table = evaluate_run(folder, splits.test, splits.heads)
    assert set(table["method"]) == {"student", "single", "ensemble"}
    assert (folder / "metrics.csv").is_file()


@pytest.mark.usefixtures("no_training")
def test_a_finished_run_is_not_trained_again(run, teachers, splits):
    folder, student = run
    assert make(teachers, splits, folder).fingerprint() == student.fingerprint()


@pytest.mark.slow
def test_an_unfinished_run_is_trained_anew_to_the_same(run, teachers, splits, tmp_path):
    folder, student = run
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "manifest.json").unlink()
    (copy / "model.keras").unlink()
    again = make(teachers, splits, copy)
    for one, other in zip(again.model.get_weights(), student.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


OTHERS = {
    "augmentation.scheme.mutate_frac": {"augmentation": Augmentation(RandomMutation(0.1))},
    "augmentation.scheme.name": {"augmentation": Augmentation(scheme("shuffle"))},
    "augmentation.labels": {"augmentation": Augmentation(MUTAGENESIS, labels="static")},
    "augmentation.append": {"augmentation": Augmentation(MUTAGENESIS, append=True)},
    "augmentation.teacher_dtype": {
        "augmentation": Augmentation(MUTAGENESIS, teacher_dtype="bfloat16")
    },
    "augmentation.": {"augmentation": None},
    "finetune.epochs": {"finetune": dataclasses.replace(FINE, epochs=1)},
    "finetune.batch_size": {"finetune": None},
}


@pytest.mark.usefixtures("no_training", "bfloat16")
@pytest.mark.parametrize("name", OTHERS)
def test_another_student_is_refused_in_its_folder(name, run, teachers, labelled):
    options = {"augmentation": Augmentation(MUTAGENESIS), "finetune": FINE, **OTHERS[name]}
    settings = dataclasses.replace(SHORT, finetune=options.pop("finetune"))
    other = DistillationSettings(**options)
    with pytest.raises(InputError, match=rf"another run.*{re.escape(name)}.*: holds"):
        train_student(teachers, labelled, settings=settings, run=Run(run[0], 3), distillation=other)


@pytest.mark.usefixtures("no_training")
def test_bfloat16_teachers_that_compute_in_float32_make_the_same_run(
    run, teachers, labelled, monkeypatch
):
    monkeypatch.setattr("degu_tf.distillation.teacher.has_bfloat16", lambda: False)
    rough = Augmentation(MUTAGENESIS, teacher_dtype="bfloat16")
    with warnings.catch_warnings(action="ignore", category=Bfloat16Warning):
        student = train_student(
            teachers,
            labelled,
            settings=BOTH,
            run=Run(run[0], 3),
            distillation=DistillationSettings(augmentation=rough),
        )
    assert student.fingerprint() == run[1].fingerprint()


# runs without augmentation, as they were


@pytest.mark.usefixtures("fits")
def test_without_augmentation_nothing_is_added_to_the_settings(
    teachers, splits, labelled, spec, tmp_path
):
    train_student(teachers, labelled, run=Run(tmp_path / "student"))
    train_ensemble(splits, spec, 2, run=Run(tmp_path / "teachers", progress=False))
    common = {"kind", "model", "heads", "input_shape", "training", "seed", "data"}
    held = {
        folder: set(RunFolder(tmp_path / folder).settings())
        for folder in ("student", "teachers", "teachers/member_00")
    }
    assert held == {
        "student": common | {"loss_weights", "teachers"},
        "teachers": common,
        "teachers/member_00": common,
    }


# teachers


class Blank(AugmentBase):
    """A user's augmentation that leaves no base known."""

    def __call__(self, x):
        return tf.zeros_like(x)


def test_training_sees_augmented_sequences_and_validation_does_not(splits):
    """From blank sequences only the bias is learnt, from the labels that were there."""
    rng = np.random.default_rng(0)
    sequence = keras.Input((32, 4))
    output = keras.layers.Dense(4, name="output")(keras.layers.Flatten()(sequence))
    model = keras.Model(sequence, output)
    kernel = rng.normal(0.0, 0.02, (128, 4)).astype("float32")
    model.set_weights([kernel, np.zeros(4, "float32")])
    settings = TrainingSettings(epochs=6, batch_size=40, learning_rate=0.05, augment=Blank())
    history = fit(model, splits, settings, progress=False)
    learnt, bias = model.get_weights()
    assert np.array_equal(learnt, kernel)
    np.testing.assert_allclose(bias, splits.train.targets.mean(axis=0), atol=0.1)
    measured = splits.validation.targets
    predicted = np.eye(4)[splits.validation.sequences].reshape(len(measured), -1) @ kernel + bias
    assert history["val_loss"].min() == pytest.approx(
        np.mean((predicted - measured) ** 2), rel=1e-4
    )


def test_teachers_are_augmented_then_finetuned(splits, spec, fits, tmp_path):
    evoaug = scheme("evoaug_one")
    both = dataclasses.replace(SHORT, augment=evoaug, finetune=FINE)
    train_ensemble(splits, spec, 2, both, Run(tmp_path, progress=False))
    assert [settings for _, _, settings, *_ in fits] == [both, FINE, both, FINE]
    assert fits[0][0] is fits[1][0] is not fits[2][0]
    for folder in (tmp_path, tmp_path / "member_01"):
        settings = RunFolder(folder).settings()
        assert settings["augment"] == json.loads(json.dumps(describe(evoaug)))
        assert settings["finetune"] == FINE.to_dict()
    history = pd.read_csv(tmp_path / "member_01" / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    for changed, name in (
        ({"augment": scheme("shuffle")}, "augment.name"),
        ({"augment": None}, "augment."),
        ({"finetune": None}, "finetune."),
    ):
        other = dataclasses.replace(both, **changed)
        with pytest.raises(InputError, match=rf"another run.*{re.escape(name)}"):
            train_ensemble(splits, spec, 2, other, Run(tmp_path))
        alone = Run(tmp_path / "member_00", member_seed(0, 0))
        with pytest.raises(InputError, match=rf"another run.*{re.escape(name)}"):
            train(splits, spec, other, alone)


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_go_to_workers(name):
    assert describe(pickle.loads(pickle.dumps(scheme(name)))) == describe(scheme(name))


# the store


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A store whose trainings give back the folder and what else they were asked for."""
    monkeypatch.setattr("degu_tf.paper.networks.store.student_splits", lambda *_, **__: None)
    monkeypatch.setattr(
        "degu_tf.paper.networks.store.train_student",
        lambda _, __, ___, settings, run, *, distillation: (run.folder, settings, distillation),
    )
    monkeypatch.setattr(
        "degu_tf.paper.networks.store.train_ensemble",
        lambda _, __, ___, settings, run, **____: (run.folder, settings),
    )
    return Store(tmp_path, progress=False)


@pytest.mark.usefixtures("bfloat16")
def test_whatever_makes_a_student_changes_its_folder(asked, teachers, splits):
    evoaug = Augmentation(scheme("evoaug"))
    variants = [
        {},
        {"finetune": FINE},
        {"augmentation": evoaug},
        {"augmentation": evoaug, "finetune": FINE},
        {"augmentation": evoaug, "finetune": dataclasses.replace(FINE, epochs=9)},
        {"augmentation": dataclasses.replace(evoaug, scheme=scheme("evoaug_one"))},
        {"augmentation": dataclasses.replace(evoaug, scheme=scheme("shuffle"))},
        {"augmentation": dataclasses.replace(evoaug, labels="static")},
        {"augmentation": dataclasses.replace(evoaug, append=True)},
        {"augmentation": dataclasses.replace(evoaug, teacher_dtype="bfloat16")},
    ]
    found = [
        asked.student(
            teachers,
            splits,
            settings=dataclasses.replace(SHORT, finetune=each.get("finetune")),
            distillation=DistillationSettings(augmentation=each.get("augmentation")),
        )
        for each in variants
    ]
    assert len({folder for folder, *_ in found}) == len(variants)
    for (_, settings, distillation), each in zip(found, variants, strict=True):
        assert settings.finetune == each.get("finetune")
        assert distillation.augmentation == each.get("augmentation")
    again = DistillationSettings(augmentation=Augmentation(scheme("evoaug")))
    assert asked.student(teachers, splits, settings=SHORT, distillation=again)[0] == found[2][0]


def test_static_labels_do_not_hang_on_the_teachers_type(asked, teachers, splits):
    folders = {
        asked.student(
            teachers,
            splits,
            distillation=DistillationSettings(
                augmentation=Augmentation(MUTAGENESIS, "static", False, dtype)
            ),
        )[0]
        for dtype in ("float32", "bfloat16")
    }
    assert len(folders) == 1


def test_whatever_makes_teachers_changes_their_folder(asked, splits, spec):
    variants = [
        {},
        {"augment": scheme("evoaug_one")},
        {"augment": scheme("mutagenesis")},
        {"finetune": FINE},
        {"augment": scheme("evoaug_one"), "finetune": FINE},
    ]
    asked_for = [dataclasses.replace(SHORT, **each) for each in variants]
    found = [asked.teachers(splits, spec, 2, each) for each in asked_for]
    assert len({folder for folder, _ in found}) == len(variants)
    assert [settings for _, settings in found] == asked_for


@pytest.mark.usefixtures("no_training")
def test_a_dynamic_student_of_the_store_is_found_again(
    store, teachers, splits, labelled, run, monkeypatch
):
    """It is there, so it is neither labelled nor trained."""
    dynamic = DistillationSettings(augmentation=Augmentation(MUTAGENESIS))
    folders = []
    with monkeypatch.context() as patch:
        patch.setattr("degu_tf.paper.networks.store.student_splits", lambda *_, **__: labelled)
        patch.setattr(
            "degu_tf.paper.networks.store.train_student",
            lambda *given, **_: folders.append(shutil.copytree(run[0], given[4].folder)),
        )
        store.student(teachers, splits, None, BOTH, 3, distillation=dynamic)
    monkeypatch.setattr("degu_tf.paper.networks.store.student_splits", None)
    found = store.student(teachers, splits, None, BOTH, 3, distillation=dynamic)
    assert found.fingerprint() == run[1].fingerprint()
    assert len(folders) == 1


def test_options_of_another_model(teachers, labelled, fits, spec):
    """A student of its own architecture learns dynamically too."""
    wider = ModelSpec("deepstarr", {**spec.options, "width": 2.0})
    dynamic = DistillationSettings(augmentation=Augmentation(scheme("shuffle")))
    train_student(teachers, labelled, wider, distillation=dynamic)
    ((model, *_),) = fits
    assert model.count_params() > teachers.members[0].model.count_params()
