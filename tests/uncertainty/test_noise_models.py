from dataclasses import replace

import numpy as np
import pytest

from degu_tf.cli import main
from degu_tf.cli.train import NOISE_MODELS as CLI_NOISE_MODELS
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.evaluation import evaluate_run
from degu_tf.heads import HeadLayout
from degu_tf.heads.pooling import pool_members
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.objective import measured_objective
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import fit, load_model, train
from degu_tf.uncertainty.noise_models import NOISE_MODELS, with_noise_model
from degu_tf.utils.errors import InputError

LAYOUTS = {
    "heteroscedastic": HeadLayout(("activity",), "log_variance"),
    "heteroscedastic_released": HeadLayout(("activity",), "std"),
    "evidential_released": HeadLayout(("activity",), "log_variance"),
    "deep_evidential": HeadLayout(("activity",), "evidential", "evidential"),
}


@pytest.fixture(scope="module")
def noisy(make_splits):
    """One noisy measurement of each sequence, and the noise: more of it, the more A there is."""
    exact = make_splits(("activity",), sizes=(2000, 300, 300))
    rng = np.random.default_rng(7)
    parts, noise = {}, {}
    for name, split in exact.items():
        noise[name] = 0.05 + np.mean(split.sequences == 0, axis=1, keepdims=True)
        values = split.targets + noise[name] * rng.standard_normal(split.targets.shape)
        parts[name] = replace(split, targets=values.astype(np.float32))
    return Splits(**parts, heads=exact.heads), noise


def learner(name):
    """A small model that learns its noise, and how it is trained."""
    spec = ModelSpec(
        "deepstarr",
        {"conv_filters": (8,), "conv_kernels": (3,), "dense_units": (16,), "dropout": 0.0},
    )
    settings = TrainingSettings(epochs=10, batch_size=50, learning_rate=5e-3)
    return with_noise_model(name, spec, settings)


@pytest.fixture(scope="module")
def learnt(noisy, tmp_path_factory):
    """A run of each noise model."""
    folder = tmp_path_factory.mktemp("noise")
    return {
        name: train(noisy[0], *learner(name), Run(folder / name, 3, progress=False))
        for name in NOISE_MODELS
    }


@pytest.mark.parametrize("name", list(NOISE_MODELS))
@pytest.mark.slow
def test_a_run_of_a_noise_model_predicts_its_own_layout(name, learnt, noisy):
    predictor, (splits, _) = learnt[name], noisy
    assert predictor.heads == LAYOUTS[name]
    prediction = predictor.predict(splits.test.sequences)
    assert prediction.aleatoric.shape == (300, 1)
    assert (prediction.epistemic is None) == (name != "deep_evidential")
    truth = np.mean(np.isin(splits.test.sequences, [1, 2]), axis=1)
    assert np.corrcoef(prediction.mean[:, 0], truth)[0, 1] > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heteroscedastic", "deep_evidential"])
def test_the_noise_is_learnt_from_single_measurements(name, learnt, noisy):
    """Two seeds give correlations of .80 to .85 and means 1.03 to 1.20 times the true one."""
    prediction, noise = learnt[name].predict(noisy[0].test.sequences), noisy[1]["test"][:, 0]
    predicted = prediction.total[:, 0]
    assert np.corrcoef(predicted, noise)[0, 1] > 0.65
    assert predicted.mean() == pytest.approx(noise.mean(), rel=0.4)


def test_the_released_evidential_layer_cannot_say_less_than_one(learnt, noisy):
    prediction = learnt["evidential_released"].predict(noisy[0].test.sequences)
    assert prediction.aleatoric.min() >= 1.0
    assert noisy[1]["test"].max() < 1.0


@pytest.mark.slow
def test_replicates_deviation_is_left_alone_but_kept_for_comparison(splits, spec, quick, tmp_path):
    settings = replace(quick, loss="gaussian_nll", epochs=1)
    with_std = train(splits, spec, settings, Run(tmp_path / "run", 1, progress=False))
    without = train(splits.without_uncertainty(), spec, settings, Run(seed=1, progress=False))
    assert with_std.fingerprint() == without.fingerprint()
    assert load_model(tmp_path / "run").heads == HeadLayout(("Dev", "Hk"), "log_variance")
    table = evaluate_run(tmp_path / "run", splits.test, splits.heads)
    assert set(table["head"]) == {"activity", "aleatoric"}


@pytest.mark.slow
def test_an_ensemble_and_its_student(noisy, learnt, tmp_path):
    splits, _ = noisy
    spec, settings = learner("heteroscedastic")
    settings = replace(settings, epochs=1)
    train_ensemble(splits, spec, 2, settings, Run(tmp_path / "teachers", progress=False))
    teachers = Ensemble.load(tmp_path / "teachers")
    columns = teachers.member_columns(splits.test.sequences)
    pooled = pool_members(columns, teachers.heads)
    expected = np.sqrt(np.exp(columns[..., 1].mean(axis=0)))
    assert pooled[:, 1] == pytest.approx(expected, rel=1e-5)
    student = distill(
        teachers, splits, settings=replace(settings, loss="mse"), run=Run(progress=False)
    )
    assert student.heads == HeadLayout(("activity",), "std", "std")


@pytest.mark.slow
def test_a_student_of_released_heads_has_a_linear_output(splits, spec, quick, tmp_path):
    settings = replace(quick, epochs=1)
    pair = with_noise_model("heteroscedastic_released", spec, settings)
    teachers = train_ensemble(splits, pair[0], 2, pair[1], Run(tmp_path / "t", progress=False))
    assert Ensemble.load(tmp_path / "t").spec.head == "mean_std"
    student = distill(teachers, splits, settings=settings, run=Run(progress=False))
    assert student.model.get_layer("output").__class__.__name__ == "Dense"


def test_a_student_is_not_trained_by_a_likelihood(teachers, splits, quick):
    with pytest.raises(InputError, match=r"by loss='mse' or 'poisson'\."):
        distill(teachers, splits, settings=replace(quick, loss="gaussian_nll"))


def test_fit_takes_a_likelihood_by_name(noisy):
    spec, settings = learner("heteroscedastic")
    model = spec.build((32, 4), LAYOUTS["heteroscedastic"], seed=0)
    history = fit(model, noisy[0], replace(settings, epochs=1), progress=False)
    assert np.isfinite(history["val_loss"]).all()
    single = spec.build((32, 4), HeadLayout(("activity",)), seed=0)
    with pytest.raises(InputError, match=r"emits 1 columns\. Received: data with 2"):
        fit(single, noisy[0], settings, progress=False)


@pytest.mark.parametrize(("loss", "head"), [("mse", "mean_std"), ("deep_evidential", "mean_std")])
def test_outputs_that_a_loss_cannot_train(loss, head):
    with pytest.raises(InputError, match="'mean_std' is trained by loss='gaussian_nll'"):
        measured_objective(TrainingSettings(loss=loss), HeadLayout(("a",)), head)


def test_names_that_are_none():
    with pytest.raises(InputError, match=r"one of heteroscedastic, .* Received: 'bayes'"):
        with_noise_model("bayes", ModelSpec("deepstarr"), TrainingSettings())
    with pytest.raises(InputError, match=r"head must be one of .* Received: 'tasks'"):
        ModelSpec("deepstarr", head="tasks")


@pytest.mark.slow
def test_the_command_line(splits, tmp_path):
    write_splits(tmp_path / "d.h5", splits)
    run = tmp_path / "run"
    options = ["--width", "0.02", "--members", "2", "--epochs", "1", "--quiet"]
    noise = ["--uncertainty", "deep_evidential"]
    assert main(["train", str(tmp_path / "d.h5"), *options, *noise, "--out", str(run)]) == 0
    assert Ensemble.load(run).heads == HeadLayout(("Dev", "Hk"), "evidential", "evidential")


def test_the_command_line_knows_all_of_them():
    assert tuple(NOISE_MODELS) == CLI_NOISE_MODELS
