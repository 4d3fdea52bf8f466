from dataclasses import replace

import h5py
import numpy as np
import pytest

from degu_tf.data.hdf5.ensemble_labels import student_splits_from_labels, with_ensemble_labels
from degu_tf.data.hdf5.labels_file import read_ensemble_labels
from degu_tf.data.hdf5.layouts import columns_of
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.utils.errors import InputError

SIZES = (300, 20, 30)
NAMES = ("train", "val", "test")


def one_hot(rng, n, length):
    return np.eye(4, dtype=np.float32)[rng.integers(0, 4, (n, length))]


def dream_files(folder, length, n_columns, suffix=".npz", n_train=None, aleatoric=False):
    """The two files of a released DREAM-RNN run: data in groups, and teachers' labels."""
    rng = np.random.default_rng(0)
    labels, y = {}, {}
    with h5py.File(folder / "data.h5", "w") as file:
        for name, n in zip(NAMES, SIZES, strict=True):
            y[name] = rng.random((n, n_columns)).astype(np.float32)
            file[f"{name.title()}/X"] = one_hot(rng, n, length)
            file[f"{name.title()}/y"] = y[name]
            labels[f"{name}_mean"] = y[name] + rng.normal(0, 0.1, y[name].shape)
            labels[f"{name}_std"] = rng.random(y[name].shape)
            if aleatoric:
                labels[f"{name}_aleatoric"] = rng.random((n, 1))
    if n_train is not None:
        rows = np.random.default_rng(1234).choice(SIZES[0], n_train, replace=False, shuffle=False)
        labels["train_mean"], labels["train_std"] = (
            labels[f"train_{role}"][rows] for role in ("mean", "std")
        )
    path = folder / f"labels{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, **labels)
    else:
        with h5py.File(path, "w") as file:
            for name, values in labels.items():
                file[name] = values
    single = {name: np.float32(values) for name, values in labels.items()}
    return read_splits(folder / "data.h5"), read_ensemble_labels(path), y, single


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_starrseq(tmp_path, suffix):
    splits, labels, y, stored = dream_files(tmp_path, 249, 2, suffix)
    joined = with_ensemble_labels(splits, labels)
    assert joined.heads.columns == ("Dev", "Hk")
    for (_, split), name in zip(joined.items(), NAMES, strict=True):
        np.testing.assert_array_equal(split.targets, y[name])
        np.testing.assert_array_equal(split.ensemble_mean, stored[f"{name}_mean"])
        np.testing.assert_array_equal(split.ensemble_std, stored[f"{name}_std"])
    student = student_splits_from_labels(splits, labels)
    assert student.heads.columns == ("Dev", "Hk", "Dev_epistemic", "Hk_epistemic")
    expected = np.hstack([stored["train_mean"], stored["train_std"]])
    np.testing.assert_array_equal(student.train.targets, expected)
    expected = np.hstack([y["test"], stored["test_std"]])
    np.testing.assert_array_equal(student.test.targets, expected)


@pytest.mark.parametrize("aleatoric", [False, True])
def test_lentimpra(tmp_path, aleatoric):
    splits, labels, y, stored = dream_files(tmp_path, 230, 2, aleatoric=aleatoric)
    joined = with_ensemble_labels(splits, labels)
    np.testing.assert_array_equal(joined.test.ensemble_mean, stored["test_mean"][:, :1])
    np.testing.assert_array_equal(joined.test.ensemble_std, stored["test_std"][:, :1])
    np.testing.assert_array_equal(joined.train.targets, y["train"])
    student = student_splits_from_labels(splits, labels)
    assert student.heads.columns == ("activity", "activity_aleatoric", "activity_epistemic")
    taught = stored["train_aleatoric"] if aleatoric else stored["train_mean"][:, 1:]
    np.testing.assert_array_equal(
        student.train.targets,
        np.hstack([stored["train_mean"][:, :1], taught, stored["train_std"][:, :1]]),
    )
    np.testing.assert_array_equal(
        student.validation.targets, np.hstack([y["val"], stored["val_std"][:, :1]])
    )


def test_log_variance_labels(tmp_path):
    splits, labels, _, stored = dream_files(tmp_path, 249, 2)
    student = student_splits_from_labels(splits, labels, epistemic="log_variance")
    np.testing.assert_allclose(
        student.test.targets[:, 2:], np.log(stored["test_std"] ** 2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("n_columns", "targets"), [(3, ["activity"]), (4, None)])
def test_columns_that_hold_all_a_student_needs(tmp_path, n_columns, targets):
    rng = np.random.default_rng(1)
    y = {}
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, n in zip(NAMES, SIZES, strict=True):
            y[name] = rng.random((n, n_columns)).astype(np.float32)
            file[f"{name.title()}/X"] = one_hot(rng, n, 230)
            file[f"{name.title()}/y"] = y[name]
    with pytest.warns(UserWarning, match="are the teachers' means"):
        splits = read_splits(tmp_path / "data.h5", targets)
    student = student_splits_from_labels(splits)
    assert student.heads.columns == ("activity", "activity_aleatoric", "activity_epistemic")
    for (_, split), name in zip(student.items(), NAMES, strict=True):
        np.testing.assert_array_equal(split.targets, y[name][:, :3])


def test_three_columns_without_a_name_may_be_three_targets():
    with pytest.raises(InputError, match="give one name if they are its activity, aleatoric and"):
        columns_of((10, 3), 230)


def test_measured_aleatoric_targets_are_no_teachers_labels(tmp_path):
    splits, labels, _, _ = dream_files(tmp_path, 230, 2)
    joined = with_ensemble_labels(splits, labels)
    with pytest.raises(InputError, match="the teachers' aleatoric uncertainty of the training"):
        student_splits_from_labels(joined)
    activity = {
        name: {role: values[:, :1] for role, values in part.items()}
        for name, part in labels.items()
    }
    with pytest.raises(InputError, match=r"without_uncertainty\(\).*shape \(300, 0\)"):
        student_splits_from_labels(splits, activity)
    student = student_splits_from_labels(splits.without_uncertainty(), activity)
    assert student.heads.columns == ("activity", "activity_epistemic")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
def test_labels_of_a_subset_go_with_the_same_subset(tmp_path, share):
    n = int(SIZES[0] * share)
    splits, labels, _, stored = dream_files(tmp_path, 249, 2, n_train=n)
    with pytest.raises(
        InputError,
        match=rf"for each of the 300 sequences of train.*splits\.subset\(n\).*\({n}, 2\)",
    ):
        with_ensemble_labels(splits, labels)
    joined = with_ensemble_labels(splits.subset(n), labels)
    np.testing.assert_array_equal(joined.train.ensemble_mean, stored["train_mean"])
    assert np.corrcoef(joined.train.targets[:, 0], joined.train.ensemble_mean[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("n", "shares"),
    [(402_296, (0.1, 0.25, 0.5, 0.75)), (111_518, (0.1, 0.25, 0.5, 0.75))],
)
def test_released_scripts_draw_the_subsets_drawn_here(n, shares):
    """They leave shuffling on, which changes nothing at these sizes."""
    for share in shares:
        size = int(n * share)
        released = np.random.default_rng(1234).choice(n, size, replace=False)
        ours = np.random.default_rng(1234).choice(n, size=size, replace=False, shuffle=False)
        np.testing.assert_array_equal(released, ours)


def test_rows_in_another_order_are_noticed(tmp_path):
    splits, labels, _, _ = dream_files(tmp_path, 249, 2)
    shuffled = np.random.default_rng(0).permutation(SIZES[0])
    labels["train"] = {role: values[shuffled] for role, values in labels["train"].items()}
    with pytest.warns(UserWarning, match=r"mean for (Dev|Hk) does not follow.*same order") as said:
        with_ensemble_labels(splits, labels)
    assert said[0].filename == __file__


def test_misfits(tmp_path):
    splits, labels, _, _ = dream_files(tmp_path, 249, 2)

    def changed(split, **roles):
        return {**labels, split: {**labels[split], **roles}}

    for bad, message in (
        ({"train": labels["train"]}, r"expected labels of.*none of \['validation', 'test'\]"),
        ({**labels, "test": {"mean": labels["test"]["mean"]}}, "of test. Received: no std"),
        (changed("test", mean=np.zeros((29, 2))), r"each of the 30 sequences of test.*\(29, 2\)"),
        (changed("test", std=np.zeros((30, 4))), r"of 2 columns for data with .* Dev, Hk.*std of"),
    ):
        with pytest.raises(InputError, match=message):
            with_ensemble_labels(splits, bad)
    with pytest.raises(InputError, match=r"in the file or as labels=. Received: none for train"):
        student_splits_from_labels(splits)


def test_labels_of_every_split_are_needed(tmp_path):
    splits, labels, _, _ = dream_files(tmp_path, 249, 2)
    joined = with_ensemble_labels(splits, labels)
    for name, role in (("train", "mean"), ("train", "std"), ("test", "std")):
        part = replace(getattr(joined, name), **{f"ensemble_{role}": None})
        with pytest.raises(InputError, match=f"Received: none for {name}"):
            student_splits_from_labels(replace(joined, **{name: part}))


def test_without_a_mean_for_validation(tmp_path):
    """A flat file brings the mean for training data alone."""
    splits, labels, _, _ = dream_files(tmp_path, 249, 2)
    joined = with_ensemble_labels(splits, labels)
    joined = replace(joined, validation=replace(joined.validation, ensemble_mean=None))
    assert student_splits_from_labels(joined).heads.n_columns == 4
