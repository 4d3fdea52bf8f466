"""Pools of augmented sequences that an ensemble labels once."""

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from degu_tf.distillation import label_pool
from degu_tf.distillation.distill import Augmentation, DistillationSettings, train_student
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.label_pool import augmented_copy, with_label_pool
from degu_tf.distillation.labels import student_splits
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.run import Run
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

MIXED = scheme("mutagenesis=0.04:0.5,recombine:0.5")


@pytest.fixture(scope="module")
def labelled(teachers, splits):
    return student_splits(teachers, splits)


@pytest.fixture
def kept(teachers, tmp_path):
    """The teachers in a folder of their own."""
    return Ensemble.load(shutil.copytree(teachers.folder, tmp_path / "teachers"))


def files(ensemble):
    return sorted(path.name for path in ensemble.folder.glob("pools/*/copy_*.h5"))


def test_originals_come_first_then_copies_with_the_ensembles_labels(kept, labelled):
    pooled = with_label_pool(kept, labelled, MIXED, 2)
    n = len(labelled.train)
    assert len(pooled.train) == 3 * n
    np.testing.assert_array_equal(pooled.train.sequences[:n], labelled.train.sequences)
    np.testing.assert_array_equal(pooled.train.targets[:n], labelled.train.targets)
    copies = pooled.train.sequences[n:]
    np.testing.assert_allclose(pooled.train.targets[n:], kept.columns(copies), atol=2e-5)
    assert not np.array_equal(copies[:n], copies[n:])
    same = (copies[:n] == labelled.train.sequences).all(axis=1)
    assert same.mean() < 0.35  # of 32 bases one is mutated, which may fall on itself
    assert pooled.validation is labelled.validation
    assert pooled.fingerprint != labelled.fingerprint


def test_a_copy_is_decided_by_its_number_and_recombines_across_the_whole_set(labelled):
    sequences = labelled.train.sequences
    first = augmented_copy(sequences, MIXED, 0)
    np.testing.assert_array_equal(first, augmented_copy(sequences, MIXED, 0))
    recombined = augmented_copy(sequences, scheme("recombine"), 0)
    np.testing.assert_array_equal(recombined[:, 0], sequences[:, 0])
    tails = {row[-8:].tobytes() for row in sequences}
    assert all(row[-1:].tobytes() in {tail[-1:] for tail in tails} for row in recombined)
    unknown = sequences.copy()
    unknown[:, 3] = 4
    assert (augmented_copy(unknown, scheme("recombine"), 0)[:, 3] == 4).all()


def test_the_next_student_reads_what_was_labelled_and_more_is_added(kept, labelled, monkeypatch):
    first = with_label_pool(kept, labelled, MIXED, 2)
    assert files(kept) == ["copy_000.h5", "copy_001.h5"]
    with monkeypatch.context() as patch:
        patch.setattr(label_pool, "Teacher", None)  # asking the teachers would fail
        again = with_label_pool(kept, labelled, MIXED, 2)
    np.testing.assert_array_equal(again.train.sequences, first.train.sequences)
    np.testing.assert_array_equal(again.train.targets, first.train.targets)
    assert again.fingerprint == first.fingerprint
    more = with_label_pool(kept, labelled, MIXED, 3)
    assert files(kept) == ["copy_000.h5", "copy_001.h5", "copy_002.h5"]
    size = len(first.train)
    np.testing.assert_array_equal(more.train.targets[:size], first.train.targets)
    with_label_pool(kept, labelled, scheme("mutagenesis"), 1)
    assert len(list((kept.folder / "pools").iterdir())) == 2


@pytest.mark.parametrize("name", ["labels", "sequences"])
def test_a_changed_copy_is_refused(kept, labelled, name):
    with_label_pool(kept, labelled, MIXED, 1)
    (file,) = kept.folder.glob("pools/*/copy_*.h5")
    with h5py.File(file, "r+") as content:
        content[name][3, 1] = content[name][3, 1] + 1
    with pytest.raises(InputError, match=r"copy_000.h5: expected labels as they were .*remove"):
        with_label_pool(kept, labelled, MIXED, 1)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"copy_000.h5"):
        with_label_pool(kept, labelled, MIXED, 1)


def test_teachers_without_a_folder_label_in_memory(teachers, labelled):
    nowhere = Ensemble(teachers.members, teachers.spec)
    assert len(with_label_pool(nowhere, labelled, MIXED, 1).train) == 2 * len(labelled.train)


def test_more_members_can_be_trained_beside_a_pool(kept, labelled, splits, spec, quick):
    with_label_pool(kept, labelled, MIXED, 1)
    run = Run(kept.folder, 5, progress=False)
    kept.folder.joinpath("manifest.json").unlink()
    finished = train_ensemble(splits, spec, 2, quick, run)
    assert finished.fingerprint() == kept.fingerprint()
    listed = RunFolder(kept.folder).manifest()["files"]
    assert not [name for name in listed if name.startswith("pools")]
    shutil.rmtree(kept.folder / "pools")
    assert Ensemble.load(kept.folder).fingerprint() == kept.fingerprint()


def test_what_no_pool_can_hold(teachers, labelled, make_splits):
    with pytest.raises(InputError, match="leave out augmentations that add noise"):
        with_label_pool(Ensemble(teachers.members), labelled, scheme("noise"), 1)
    with pytest.raises(InputError, match="one or more copies"):
        with_label_pool(teachers, labelled, MIXED, 0)
    one_hot = replace(labelled.train, sequences=np.eye(4, dtype="f")[labelled.train.sequences])
    others = {
        name: replace(split, sequences=np.eye(4, dtype="f")[split.sequences])
        for name, split in labelled.items()
    }
    assert one_hot.sequences.ndim == 3
    with pytest.raises(InputError, match="not one-hot"):
        with_label_pool(teachers, replace(labelled, **others), MIXED, 1)
    for bad in (None, Augmentation(scheme("shuffle"), "static"), Augmentation(MIXED, append=True)):
        with pytest.raises(InputError, match="a pool holds augmented sequences"):
            DistillationSettings(augmentation=bad, pool=2)
    with pytest.raises(InputError, match="pool must be"):
        DistillationSettings(augmentation=Augmentation(MIXED), pool=0)


@pytest.mark.slow
def test_a_student_learns_from_a_pool_in_epochs_of_one_pass(kept, labelled, quick, tmp_path):
    settings = DistillationSettings(augmentation=Augmentation(MIXED), pool=2)
    run = Run(tmp_path / "student", 3, progress=False)
    student = train_student(kept, labelled, None, quick, run, distillation=settings)
    activity = student.predict(labelled.test.sequences).mean
    ensemble = kept.predict(labelled.test.sequences).mean
    for target in range(2):
        assert np.corrcoef(activity[:, target], ensemble[:, target])[0, 1] > 0.8
    made = (tmp_path / "student" / "settings.json").read_text()
    assert '"pool": 2' in made
    assert '"steps_per_epoch": 20' in made  # 400 sequences, not 1,200
    assert (
        train_student(kept, labelled, None, quick, run, distillation=settings).fingerprint()
        == student.fingerprint()
    )
