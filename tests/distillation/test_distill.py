import dataclasses
import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from degu_tf.distillation.distill import (
    Augmentation,
    DistillationSettings,
    distill,
    train_student,
)
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.runs import teachers_of
from degu_tf.distillation.teacher import Teacher
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.sequences.encoding import as_float
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.losses import DistillationLoss
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


@pytest.fixture(scope="module")
def labelled(teachers, splits):
    return student_splits(teachers, splits)


@pytest.fixture(scope="module")
def small_student(teachers, splits, spec, tmp_path_factory):
    """A smaller student with log-variance labels and weighted loss, in a folder of its own."""
    folder = tmp_path_factory.mktemp("students") / "small"
    return folder, distill(
        teachers,
        splits,
        ModelSpec("deepstarr", {**spec.options, "width": 0.5}),
        TrainingSettings(epochs=1, batch_size=40),
        Run(folder, 1, notes={"data_file": "d.h5"}, progress=False),
        distillation=DistillationSettings("log_variance", {"Dev": 1.0, "Hk": 0.5}, 0.25),
    )


def test_training_labels_are_the_teachers(labelled, teachers, splits):
    assert labelled.heads.columns == (
        "Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric", "Dev_epistemic", "Hk_epistemic",
    )  # fmt: skip
    outputs = np.stack([member.columns(splits.train.sequences) for member in teachers.members])
    expected = np.concatenate([outputs.mean(axis=0), outputs[..., :2].std(axis=0)], axis=1)
    assert np.allclose(labelled.train.targets, expected, atol=1e-6)
    assert np.array_equal(labelled.train.sequences, splits.train.sequences)


def test_validation_and_test_keep_the_experiment_beside_the_teachers_spread(
    labelled, teachers, splits
):
    for name in ("validation", "test"):
        measured, split = getattr(splits, name), getattr(labelled, name)
        assert np.array_equal(split.targets[:, :4], measured.targets)
        spread = teachers.predict(measured.sequences).epistemic
        assert np.allclose(split.targets[:, 4:], spread, atol=1e-6)


def test_log_variance_labels(teachers, splits, labelled):
    logged = student_splits(teachers, splits, "log_variance")
    assert logged.heads == HeadLayout(("Dev", "Hk"), "std", "log_variance")
    for name, split in logged.items():
        std = getattr(labelled, name).targets
        assert np.array_equal(split.targets[:, :4], std[:, :4])
        assert np.allclose(split.targets[:, 4:], 2 * np.log(std[:, 4:]), atol=1e-4)


def test_data_without_replicates_take_the_teachers_aleatoric_everywhere(teachers, splits):
    activity_only = student_splits(teachers, splits.without_uncertainty())
    assert activity_only.heads == teachers.heads.student()
    taught = teachers.columns(splits.test.sequences)
    assert np.array_equal(activity_only.test.targets[:, :2], splits.test.targets[:, :2])
    assert np.allclose(activity_only.test.targets[:, 2:], taught[:, 2:], atol=1e-6)


def test_teachers_without_aleatoric_make_students_without(splits, spec):
    plain = splits.without_uncertainty()
    members = [
        ModelPredictor(spec.build((32, 4), plain.heads, seed), plain.heads) for seed in (0, 1)
    ]
    labelled = student_splits(Ensemble(members), splits)
    assert labelled.heads == HeadLayout(("Dev", "Hk"), None, "std")
    assert np.array_equal(labelled.test.targets[:, :2], splits.test.targets[:, :2])
    with pytest.raises(InputError, match="architecture is not known"):
        train_student(Ensemble(members), labelled)


def test_data_that_do_not_go_with_the_teachers(teachers, splits, make_splits):
    with pytest.raises(InputError, match=r"predict \('Dev', 'Hk'\). Received: .*\('a', 'b'\)"):
        student_splits(teachers, make_splits(("a", "b")))
    with pytest.raises(InputError, match="takes sequences of 32 bases"):
        student_splits(teachers, make_splits(("Dev", "Hk"), length=40))
    labels = student_splits(teachers, splits)
    with pytest.raises(InputError, match=r"measured columns, without epistemic.*Dev_epistemic"):
        student_splits(teachers, labels, "log_variance")


def test_labels_in_the_students_columns_are_used_as_they_are(teachers, splits):
    labels = student_splits(teachers, splits)
    assert student_splits(teachers, labels) is labels
    with pytest.raises(InputError, match="labels for a student"):
        train_ensemble(labels, ModelSpec("deepstarr", {"width": 0.05}), 2)


def test_a_student_gives_every_uncertainty(student, splits, teachers):
    assert student.heads == HeadLayout(("Dev", "Hk"), "std", "std")
    prediction = student.predict(splits.test.sequences)
    assert prediction.mean.shape == prediction.aleatoric.shape == (40, 2)
    assert prediction.epistemic.shape == prediction.total.shape == (40, 2)
    lower, upper = prediction.interval()
    assert (lower < upper).all()
    assert student.model.count_params() > teachers.members[0].model.count_params()


def test_students_and_teachers_learn_what_there_is_to_learn(student, teachers, splits):
    sequences, measured = splits.test.sequences, splits.test.targets
    columns, taught = student.columns(sequences), teachers.columns(sequences)
    for index in range(4):
        for one, other in ((taught, measured), (columns, measured), (columns, taught)):
            assert np.corrcoef(one[:, index], other[:, index])[0, 1] > 0.8


def test_a_students_run_says_what_made_it(small_student, teachers, splits):
    folder, predictor = small_student
    settings, manifest = RunFolder(folder).settings(), RunFolder(folder).manifest()
    assert settings["kind"] == "student"
    assert settings["heads"] == {
        "targets": ["Dev", "Hk"], "aleatoric": "std", "epistemic": "log_variance",
    }  # fmt: skip
    assert settings["loss_weights"] == {
        "epistemic": {"Dev": 1.0, "Hk": 0.5}, "aleatoric": 0.25,
    }  # fmt: skip
    assert settings["teachers"] == {"fingerprint": teachers.fingerprint(), "n_members": 2}
    assert settings["model"]["options"]["width"] == 0.5
    assert manifest["data_file"] == "d.h5"
    assert not os.path.isabs(manifest["teachers"])
    assert (folder / manifest["teachers"]).resolve() == teachers.folder.resolve()
    loaded = load_model(folder)
    assert loaded.heads.epistemic == "log_variance"
    assert loaded.fingerprint() == predictor.fingerprint()
    assert predictor.model.count_params() < teachers.members[0].model.count_params()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epistemic", "evidential", "epistemic is 'std' or 'log_variance'"),
        ("epistemic_weight", b"1", "loss weights must be finite numbers from 0"),
        ("aleatoric_weight", {}, "loss weights must be finite numbers from 0"),
        ("aleatoric_weight", {"Dev": -1.0}, "loss weights must be finite numbers from 0"),
        ("validation", "test", "validated on 'measured' or 'ensemble' labels"),
        ("measured_share", "0.5", r"must lie in \[0, 1\)"),
        ("measured_share", float("nan"), r"must lie in \[0, 1\)"),
    ],
)
def test_settings_that_mean_nothing_are_refused_when_they_are_made(name, value, message):
    with pytest.raises(InputError, match=f"{message}.*Received: .*{re.escape(str(value))}"):
        DistillationSettings(**{name: value})


def test_measured_labels_that_nothing_would_learn_from_are_refused():
    on_the_fly = Augmentation(scheme("mutagenesis"))
    with pytest.raises(InputError, match=r"append=True.*Received: measured_share=0\.3"):
        DistillationSettings(augmentation=on_the_fly, measured_share=0.3)
    for labels in (replace(on_the_fly, append=True), replace(on_the_fly, labels="static"), None):
        DistillationSettings(augmentation=labels, measured_share=0.3)
    DistillationSettings(augmentation=on_the_fly, measured_share=0.3, pool=1)


def test_a_pool_is_labelled_in_float32():
    half = Augmentation(scheme("mutagenesis"), teacher_dtype="bfloat16")
    with pytest.raises(InputError, match=r"float32\. Received: teacher_dtype='bfloat16'"):
        DistillationSettings(augmentation=half, pool=1)
    whole = DistillationSettings(augmentation=Augmentation(scheme("mutagenesis")), pool=1)
    assert whole.to_dict()["augmentation"]["teacher_dtype"] == "float32"


@pytest.mark.parametrize("loss", ["huber", "mae", "gaussian_nll"])
def test_losses_that_no_student_has_are_refused(teachers, labelled, loss):
    with pytest.raises(InputError, match=f"'mse' or 'poisson'. Received: loss='{loss}'"):
        train_student(teachers, labelled, settings=TrainingSettings(loss=loss))


def test_a_student_is_trained_with_the_weighted_loss(teachers, labelled, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "degu_tf.distillation.distill.train", lambda *_, **given: seen.update(given)
    )
    weights = {"epistemic_weight": {"Dev": 1.0, "Hk": 0.5}, "aleatoric_weight": 0.25}
    train_student(teachers, labelled, distillation=DistillationSettings(**weights))
    loss = seen["objective"].loss
    assert isinstance(loss, DistillationLoss)
    assert {name: getattr(loss, name) for name in weights} == weights
    assert loss.error == "mse"


def test_students_of_poisson_teachers_keep_poisson(teachers, labelled, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "degu_tf.distillation.distill.train",
        lambda *_, objective, **__: seen.append(objective.loss),
    )
    for name in ("poisson", "mse"):
        train_student(teachers, labelled, settings=TrainingSettings(loss=name))
    assert [loss.error for loss in seen] == ["poisson", "mse"]


def test_a_student_does_not_start_where_its_teachers_started(teachers, labelled, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "degu_tf.distillation.distill.train", lambda _, spec, *__, **___: seen.append(spec)
    )
    started = dataclasses.replace(teachers.spec, init="pretrained.keras")
    train_student(Ensemble(teachers.members, started), labelled)
    own = dataclasses.replace(teachers.spec, init="mine.keras")
    train_student(Ensemble(teachers.members, started), labelled, own)
    assert [spec.init for spec in seen] == [None, "mine.keras"]


def test_another_students_folder_is_refused(small_student, teachers, splits):
    folder, _ = small_student
    with pytest.raises(InputError, match=r"another run.*loss_weights\.aleatoric: holds 0\.25"):
        distill(
            teachers,
            splits,
            ModelSpec(**RunFolder(folder).settings()["model"]),
            TrainingSettings(epochs=1, batch_size=40),
            Run(folder, 1),
            distillation=DistillationSettings("log_variance", {"Dev": 1.0, "Hk": 0.5}),
        )


def test_teachers_are_found_from_their_student(small_student, teachers, tmp_path):
    folder, _ = small_student
    assert teachers_of(folder).fingerprint() == teachers.fingerprint()
    assert teachers_of(teachers.folder) is None
    moved = shutil.copytree(folder, tmp_path / "a" / "b" / "student")
    assert teachers_of(moved) is None


@pytest.mark.slow
def test_teachers_are_found_through_links(teachers, splits, spec, quick, tmp_path):
    """A folder reached by a link has another parent than the one that its files lie in."""
    (tmp_path / "disk" / "deep" / "students").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "runs").symlink_to(tmp_path / "disk" / "deep" / "students")
    linked = tmp_path / "project" / "runs" / "student"
    short = dataclasses.replace(quick, epochs=1)
    distill(teachers, splits, settings=short, run=Run(linked, progress=False))
    for place in (linked, linked.resolve()):
        assert teachers_of(place).fingerprint() == teachers.fingerprint()


def test_teachers_named_from_the_root_are_not_opened(small_student, tmp_path):
    copy = shutil.copytree(small_student[0], tmp_path / "student")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "teachers": "/etc"}))
    with pytest.raises(InputError, match="Received: teachers: /etc in the manifest"):
        teachers_of(copy)


def test_other_teachers_in_the_place_of_the_old_are_refused(small_student, teachers, tmp_path):
    folder, _ = small_student
    where = RunFolder(folder).manifest()["teachers"]
    moved = shutil.copytree(folder, tmp_path / "store" / "student")
    other = shutil.copytree(teachers.folder, (moved / where).resolve())
    shutil.rmtree(other / "member_01")
    shutil.copytree(other / "member_00", other / "member_01")
    RunFolder(other).finish(n_members=2)
    with pytest.raises(InputError, match="Received: another ensemble in"):
        teachers_of(moved)


def test_a_students_identity_does_not_hang_on_the_last_bits_of_its_labels(teachers, splits):
    labelled = student_splits(teachers, splits)
    nudged = dataclasses.replace(
        labelled,
        train=dataclasses.replace(
            labelled.train, targets=np.nextafter(labelled.train.targets, np.float32(np.inf))
        ),
    )
    assert nudged.fingerprint == labelled.fingerprint
    swapped = Ensemble(teachers.members[::-1], teachers.spec)
    others = [
        student_splits(swapped, splits),
        student_splits(teachers, splits, "log_variance"),
        student_splits(teachers, splits.subset(len(splits.train) - 1)),
        labelled.subset(len(labelled.train) - 1),
    ]
    fingerprints = {labelled.fingerprint, *(other.fingerprint for other in others)}
    assert len(fingerprints) == 1 + len(others)


@pytest.mark.slow
def test_positive_heads_learn_save_and_distil(splits, spec, quick, tmp_path):
    positive = dataclasses.replace(spec, head="positive")
    short = dataclasses.replace(quick, epochs=2)
    teachers = train_ensemble(splits, positive, 2, short, Run(tmp_path / "t", progress=False))
    run = Run(tmp_path / "s", progress=False)
    student = distill(teachers, splits, settings=short, run=run)
    prediction = load_model(tmp_path / "s").predict(splits.test.sequences)
    assert not prediction.flagged().any()
    assert np.array_equal(prediction.mean, student.predict(splits.test.sequences).mean)
    labels = Teacher(teachers)(as_float(splits.test.sequences)).numpy()
    np.testing.assert_allclose(labels, teachers.columns(splits.test.sequences), atol=1e-5)


def test_validation_labels_are_the_ensembles_where_asked(labelled, teachers, splits):
    own = student_splits(teachers, splits, validation="ensemble")
    expected = teachers.columns(splits.validation.sequences)
    np.testing.assert_allclose(own.validation.targets, expected, atol=1e-6)
    assert np.array_equal(own.train.targets, labelled.train.targets)
    assert np.array_equal(own.test.targets, labelled.test.targets)
    assert own.fingerprint != labelled.fingerprint
    with pytest.raises(InputError, match="Received: validation='test'"):
        student_splits(teachers, splits, validation="test")
    assert DistillationSettings().to_dict().keys() == {"loss_weights"}
    assert DistillationSettings(validation="ensemble").to_dict()["validation"] == "ensemble"
