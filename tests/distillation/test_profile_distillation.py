"""Teachers and students of profiles: labels of whole bins and of drawn parts, and learning."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from degu_tf.data.pipeline import training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill, train_student
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run
from degu_tf.distillation.labels import student_splits
from degu_tf.distillation.teacher import Teacher
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor, StrandAveraged
from degu_tf.models.tiling import Tiled, tiled, tiles
from degu_tf.paper.networks.store import Store
from degu_tf.sequences.encoding import one_hot
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.losses import DistillationLoss
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import PROFILE_SETTINGS, TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

HEADS = HeadLayout(("ATAC",), aleatoric="std")
BIN, WINDOW = 192, 128
REACH = 3


def smoother(factor=1.0):
    """A model of known form: A or T within `REACH` bases, `factor` times, and half of that."""
    inputs = keras.Input((WINDOW, 4))
    kernel = np.zeros((2 * REACH + 1, 4, 2), "f")
    kernel[:, [0, 3], 0], kernel[:, [0, 3], 1] = factor, factor / 2
    layer = keras.layers.Conv1D(2, 2 * REACH + 1, padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([kernel])
    return ModelPredictor(model, HEADS)


def truth(sequences, factor=1.0):
    """What `smoother` gives, in plain numpy, for sequences of any length."""
    at = np.isin(sequences, [0, 3]).astype(float)
    return factor * sum(
        np.pad(at, ((0, 0), (REACH, REACH)))[:, shift : shift + at.shape[1]]
        for shift in range(2 * REACH + 1)
    )


@pytest.fixture(scope="module")
def splits():
    """Bins whose coverage follows A and T, by the rule of `smoother`, and noise that does too."""
    rng = np.random.default_rng(0)
    parts = []
    for n in (40, 6, 6):
        rich = rng.random((n, BIN // 32)).repeat(32, axis=1) < 0.5
        at = rng.random((n, BIN)) < np.where(rich, 0.9, 0.1)
        tokens = np.where(at, rng.choice([0, 3], (n, BIN)), rng.choice([1, 2], (n, BIN)))
        mean = truth(tokens)
        parts.append(Split(tokens.astype(np.uint8), np.stack([mean, 0.5 * mean], axis=2)))
    return Splits(*parts, HEADS)


def test_a_model_of_known_form_gives_the_shifted_and_mirrored_profile(splits):
    """What is drawn with each sequence is what the rule says of it, base for base, both strands."""
    model, inner = smoother(), slice(REACH, -REACH)
    batches = training_batches(
        splits.train, 10, seed=2, crop=WINDOW, reverse_complement=True
    ).as_numpy_iterator()
    n_mirrored = 0
    for x, y in itertools.islice(batches, 12):
        given = model.columns(x)
        assert np.array_equal(given[:, inner], y[:, inner])
        mirrored = model.columns(x[:, ::-1, ::-1])
        assert np.array_equal(mirrored[:, inner], y[:, ::-1][:, inner])
        n_mirrored += int((given != mirrored).any(axis=(1, 2)).sum())
    assert n_mirrored == 120
    both = StrandAveraged(model).predict(splits.test.centred(WINDOW).sequences)
    assert np.array_equal(both.mean[:, inner], splits.test.centred(WINDOW).targets[:, inner, :1])


@pytest.mark.parametrize(("length", "window", "step"), [(3072, 2048, None), (10, 4, 1), (9, 4, 4),
                                                        (4, 4, 2), (11, 4, 3)])  # fmt: skip
def test_tiles_cover_each_base_once_and_take_it_from_its_deepest_window(length, window, step):
    found = list(tiles(length, window, step))
    kept = [position for tile in found for position in range(tile.first, tile.last)]
    assert kept == list(range(length))
    starts = [tile.start for tile in found]
    for start, first, last in found:
        assert 0 <= start <= first < last <= start + window <= length
        for position in range(first, last):
            depth = [min(position - each, each + window - 1 - position) for each in starts]
            own = min(position - start, start + window - 1 - position)
            assert own >= max(depth) - 1, "neighbours meet in the middle, to a base"


@pytest.mark.parametrize(("length", "step"), [(3, None), (9, 5), (9, 0)])
def test_tiles_that_leave_gaps_are_refused(length, step):
    with pytest.raises(InputError, match=rf"Received: window=4, .*sequences of {length} bases"):
        list(tiles(length, 4, step))


def test_tiled_profiles_are_those_of_the_whole_sequence(splits):
    """The window sees `REACH` bases on, so away from the ends the joined profile is exact."""
    sequences = splits.test.sequences
    whole = truth(sequences)
    joined = Tiled(smoother()).predict(sequences)
    np.testing.assert_allclose(joined.mean[..., 0], whole, rtol=1e-6)
    np.testing.assert_allclose(joined.aleatoric[..., 0], np.maximum(whole / 2, 1e-6), rtol=1e-6)
    assert joined.columns.shape == (*sequences.shape, 2)
    raw = tiled(smoother().columns, one_hot(sequences), WINDOW, 16)
    np.testing.assert_allclose(raw[..., 1], whole / 2, rtol=1e-6)


def test_outputs_without_a_value_for_each_base_cannot_be_joined():
    with pytest.raises(InputError, match=r"each of 8 bases.*shape \(2, 1\)$"):
        tiled(lambda part: np.zeros((len(part), 1)), np.zeros((2, 12), np.uint8), 8)


def test_static_labels_are_the_ensembles_at_every_base(splits):
    ensemble = Ensemble([smoother(1.0), smoother(3.0)])
    labelled = student_splits(ensemble, splits)
    assert labelled.heads.columns == ("ATAC", "ATAC_aleatoric", "ATAC_epistemic")
    whole = truth(splits.train.sequences)
    expected = np.stack([2 * whole, whole, whole], axis=2)
    np.testing.assert_allclose(labelled.train.targets, expected, rtol=1e-6)
    measured = np.concatenate(
        [splits.test.targets, truth(splits.test.sequences)[..., np.newaxis]], axis=2
    )
    np.testing.assert_allclose(labelled.test.targets, measured, rtol=1e-6)


@pytest.mark.slow
def test_dynamic_labels_are_those_of_each_drawn_part(splits, monkeypatch):
    """What the student is fitted to in a step is the teachers' answer to what it is shown."""
    ensemble = Ensemble([smoother(1.0), smoother(3.0)])
    seen = []

    class Spy(DistillationLoss):
        def call(self, y_true, y_pred):
            tf.py_function(lambda y: seen.append(y.numpy()), [y_true], [])
            return super().call(y_true, y_pred)

    shown = []
    forward = Teacher.__call__

    def spy(self, batch):
        tf.py_function(lambda x: shown.append(x.numpy()), [batch], [])
        return forward(self, batch)

    monkeypatch.setattr(Teacher, "__call__", spy)
    monkeypatch.setattr("degu_tf.distillation.distill.DistillationLoss", Spy)
    spec = ModelSpec("cnn_task_base", {"width": 0.02})
    settings = TrainingSettings(
        epochs=1, batch_size=20, loss="poisson", crop=WINDOW, reverse_complement=True
    )
    train_student(
        ensemble,
        student_splits(ensemble, splits),
        spec,
        settings,
        Run(progress=False),
        distillation=DistillationSettings(augmentation=Augmentation(None)),
    )
    assert [x.shape for x in shown] == [(20, WINDOW, 4)] * 2
    for x, y in zip(shown, seen, strict=False):
        whole = truth(np.where(x.any(axis=2), x.argmax(axis=2), 4))
        np.testing.assert_allclose(y, np.stack([2 * whole, whole, whole], axis=2), rtol=1e-5)


def test_a_student_sees_what_its_teachers_take(splits, tmp_path):
    ensemble = Ensemble([smoother(), smoother(2.0)])
    settings = TrainingSettings(epochs=1, loss="poisson")
    spec = ModelSpec("cnn_task_base", {"width": 0.02})
    with pytest.raises(InputError, match=r"teachers, 128 bases.*Received: 192"):
        distill(ensemble, splits, spec, settings, Run(tmp_path / "student"))
    assert not (tmp_path / "student").exists()


def test_profiles_do_not_stay_behind_moved_bases(splits, tmp_path):
    ensemble = Ensemble([smoother(), smoother(2.0)])
    spec = ModelSpec("cnn_task_base", {"width": 0.02})
    settings = TrainingSettings(epochs=1, loss="poisson", crop=WINDOW)
    moved = Augmentation(scheme("evoaug_one"), "static")
    with pytest.raises(InputError, match="labels of a profile would stay behind"):
        distill(
            ensemble,
            splits,
            spec,
            settings,
            distillation=DistillationSettings(augmentation=moved),
        )
    with pytest.raises(InputError, match="the profile would stay behind"):
        train_ensemble(
            splits, spec, 2, replace(settings, augment=scheme("evoaug_one")), Run(tmp_path / "t")
        )
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("options", [{"labels": "static"}, {"append": True}])
def test_without_a_scheme_only_the_teachers_label(options):
    with pytest.raises(InputError, match=r"without a scheme"):
        Augmentation(None, **options)


@pytest.mark.slow
def test_profiles_are_learnt_and_distilled_with_augmentation(splits, store):
    spec = ModelSpec("cnn_task_base", {"width": 0.1, "dense_dropout": 0.0, "profile_dropout": 0.0})
    settings = TrainingSettings(
        epochs=60, batch_size=10, learning_rate=0.01, loss="poisson", crop=WINDOW,
        reverse_complement=True, patience=None,
    )  # fmt: skip
    teachers = store.teachers(splits, spec, 2, settings)
    student = store.student(
        teachers,
        splits,
        settings=settings,
        seed=7,
        distillation=DistillationSettings(augmentation=Augmentation(scheme("evoaug"))),
    )
    middle = splits.test.centred(WINDOW)
    for predictor in (teachers, student):
        prediction = predictor.predict(middle.sequences)
        assert prediction.mean.shape == (6, WINDOW, 1)
        assert np.corrcoef(prediction.mean.ravel(), middle.targets[..., 0].ravel())[0, 1] > 0.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_runs_of_profiles_are_kept_resumed_and_judged(splits, tmp_path):
    store = Store(tmp_path, progress=False)
    spec = ModelSpec("cnn_task_base", {"width": 0.02})
    settings = TrainingSettings(
        epochs=1, batch_size=40, loss="poisson", crop=WINDOW, reverse_complement=True
    )
    teachers = store.teachers(splits, spec, 2, settings)
    student = store.student(teachers, splits, settings=settings, seed=7)
    assert student.input_length == WINDOW
    (folder,) = store.root.glob("student-cnn_task_base-*")
    assert RunFolder(folder).settings()["training"]["crop"] == WINDOW
    table = evaluate_run(folder, splits.test, splits.heads)
    assert set(table["method"]) == {"student", "single", "ensemble"}
    heads = set(table.loc[table["method"] == "student", "head"])
    assert heads == {"activity", "aleatoric", "epistemic"}
    pooled = table[table["metric"].isin(["pearson", "spearman", "mse"])]
    assert set(pooled["n"]) == {6 * WINDOW}
    assert {"pearson_by_bin", "pearson_log_counts"} <= set(table["metric"])
    again = store.student(teachers, splits, settings=settings, seed=7)
    assert again.fingerprint() == student.fingerprint()


def test_a_crop_that_is_not_used_leaves_runs_what_they_were(splits):
    held = TrainingSettings().to_dict()
    assert "crop" not in held
    assert "reverse_complement" not in held
    assert PROFILE_SETTINGS.to_dict()["crop"] == 2048
    with pytest.raises(InputError, match=r"crop must be a whole number from 1"):
        TrainingSettings(crop=0)
    with pytest.raises(InputError, match=r"takes 300 bases. Received: sequences of 192"):
        train(splits, ModelSpec("cnn_task_base", {"width": 0.02}), TrainingSettings(crop=300))
