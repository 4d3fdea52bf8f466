import dataclasses
import random
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from weight_files import save, write_keras2_weights

from degu_tf.data.pipeline import steps_per_epoch, training_batches
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.recipes import RECIPES, recipe
from degu_tf.training.fit import check_fits, fit
from degu_tf.training.forward import Learner
from degu_tf.training.initial_weights import load_initial_weights
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import file_hash

HEADS = HeadLayout(("activity",))


def linear():
    """A line without hidden layers: nothing in it but what the optimiser changes."""
    inputs = keras.Input((6, 4))
    return keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="zeros")(
        keras.layers.Flatten()(inputs)))  # fmt: skip


def constant_splits(training=2.0, validation=1.0, n=40):
    """Every target of a split is one number."""
    tokens = np.random.default_rng(0).integers(0, 4, (n, 6), dtype=np.uint8)
    train, held_out = (Split(tokens, np.full((n, 1), value)) for value in (training, validation))
    return Splits(train, held_out, held_out, HEADS)


@pytest.fixture(scope="module")
def overshooting():
    """A fit whose validation loss falls and then rises, and the model it left."""
    model = linear()
    settings = TrainingSettings(
        epochs=12, batch_size=10, learning_rate=0.02, patience=None, lr_patience=100
    )
    return model, fit(model, constant_splits(), settings, progress=False)


@pytest.mark.parametrize(("training", "validation"), [(-2.0, 1.0), (2.0, -1.0)])
def test_the_poisson_loss_takes_no_negative_targets(training, validation):
    splits, model = constant_splits(training, validation), linear()
    before = model.get_weights()
    settings = TrainingSettings(epochs=1, batch_size=10, loss="poisson")
    message = r"0 or more for the Poisson loss.*Received: 100\.0% of activity below zero, first -"
    with pytest.raises(InputError, match=message):
        fit(model, splits, settings, progress=False)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    positive = keras.Sequential([model, keras.layers.Activation("softplus")])
    fit(positive, constant_splits(0.0, 1.0), settings, progress=False)


def test_a_training_step_is_traced_once(monkeypatch):
    traced = []

    def step(learner, data):
        traced.append(data)
        return keras.Model.train_step(learner, data)

    monkeypatch.setattr(Learner, "train_step", step, raising=False)
    settings = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.02)
    fit(linear(), constant_splits(), settings, progress=False)
    assert len(traced) == 1


@pytest.fixture(scope="module")
def stuck():
    """A fit that never improves on its first epoch, because its steps are too small to count."""
    settings = TrainingSettings(
        epochs=9, batch_size=10, learning_rate=1e-12, lr_factor=0.5, lr_patience=2, patience=5
    )
    return fit(linear(), constant_splits(), settings, progress=False)


def test_defaults_are_the_papers():
    settings = TrainingSettings()
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (100, 100, 1e-3)
    assert (settings.loss, settings.lr_factor, settings.lr_patience) == ("mse", 0.1, 5)
    assert settings.patience == 10
    assert {name: (each.spec.name, each.n_members) for name, each in RECIPES.items()} == {
        "starrseq": ("deepstarr", 10),
        "lentimpra_k562": ("residualbind", 10),
        "lentimpra_hepg2": ("residualbind", 10),
        "dream_rnn_starrseq": ("dream_rnn", 10),
        "dream_rnn_k562": ("dream_rnn", 10),
        "dream_rnn_hepg2": ("dream_rnn", 10),
        "mprann_k562": ("mprann", 10),
        "atac_a549": ("cnn_task_base", 10),
        "mprann_hepg2": ("mprann", 10),
        "real_small": ("deepstarr", 5),
        "real_small_residualbind": ("residualbind", 5),
    }
    with pytest.raises(InputError, match=r"one of the recipes .*Received: 'starr'"):
        recipe("starr")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1. Received: 0"),
        ({"epochs": None}, "epochs must be a whole number from 1. Received: None"),
        ({"batch_size": 2.5}, "batch_size must be a whole number from 1. Received: 2.5"),
        ({"patience": 0}, "patience must be"),
        ({"lr_patience": -1}, "lr_patience must be"),
        ({"steps_per_epoch": "all"}, "steps_per_epoch must be"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"lr_factor": 1.0}, "lr_factor must lie between 0 and 1"),
        ({"loss": "msee"}, "name of a Keras loss.*gaussian_nll.*Received: 'msee'"),
        ({"loss": []}, r"the name of a loss. Received: \[\]"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**settings)


def test_the_history_has_a_row_an_epoch(overshooting):
    _, history = overshooting
    assert history.columns.tolist() == ["epoch", "loss", "val_loss", "learning_rate", "seconds"]
    assert history["epoch"].tolist() == list(range(1, 13))
    assert np.allclose(history["learning_rate"], 0.02)
    assert (history["seconds"] > 0.0).all()


def test_a_fit_is_that_of_keras_with_adam():
    splits = constant_splits()
    settings = TrainingSettings(learning_rate=0.02, epochs=4, batch_size=16)
    ours, theirs = linear(), linear()
    theirs.set_weights(ours.get_weights())
    history = fit(ours, splits, settings, seed=5, progress=False)
    theirs.compile(keras.optimizers.Adam(0.02), "mse")
    expected = theirs.fit(
        training_batches(splits.train, 16, seed=5),
        epochs=4,
        steps_per_epoch=steps_per_epoch(splits.train, 16),
        shuffle=False,
        verbose=0,
    )
    np.testing.assert_allclose(history["loss"], expected.history["loss"], rtol=1e-4)


def test_the_best_epochs_weights_are_kept(overshooting):
    model, history = overshooting
    losses = history["val_loss"]
    assert 0 < losses.argmin() < len(losses) - 1
    validation = constant_splits().validation
    predicted = ModelPredictor(model, HEADS).columns(validation.sequences)
    assert np.mean((predicted - validation.targets) ** 2) == pytest.approx(losses.min(), rel=1e-5)


def test_the_learning_rate_drops_and_training_stops_when_nothing_improves(stuck):
    assert len(stuck) == 6
    assert np.allclose(stuck["learning_rate"] / 1e-12, [1.0, 1.0, 1.0, 0.5, 0.5, 0.25], rtol=1e-5)


def test_a_divergence_is_an_error():
    settings = TrainingSettings(epochs=2, batch_size=10, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"Lower the learning rate \(it was 1e\+30\)"):
        fit(linear(), constant_splits(), settings, progress=False)


@pytest.mark.parametrize(("asked", "steps", "seen"), [(None, 14, None), (3, 6, True)])
def test_steps_of_an_epoch_and_a_bar_only_where_it_is_seen(asked, steps, seen, capsys, monkeypatch):
    model = linear()
    learner = Learner(model)
    monkeypatch.setattr("degu_tf.training.fit.Learner", lambda network: learner)
    settings = TrainingSettings(epochs=2, batch_size=6, steps_per_epoch=asked)
    fit(model, constant_splits(), settings, progress=seen)
    assert int(learner.optimizer.iterations) == steps
    out, err = capsys.readouterr()
    assert not out
    assert ("epochs: " in err) == ("val_loss=" in err) == bool(seen)


def test_the_seed_decides_the_order_of_the_training_data(make_splits):
    weights = []
    for seed in (0, 1):
        model = linear()
        settings = TrainingSettings(epochs=1, batch_size=10)
        fit(model, make_splits(length=6, sizes=(40, 4, 4)), settings, seed=seed, progress=False)
        weights.append(model.get_weights()[0])
    assert not np.allclose(weights[0], weights[1], atol=1e-6)
    assert np.allclose(weights[0], weights[1], atol=1e-2)


def test_a_profile_is_not_spread_over_one_value_nor_the_other_way_round(make_splits, spec):
    """Keras would stretch the one over the other and train."""
    splits = make_splits(length=128, sizes=(4, 4, 4))
    profile = ModelSpec("cnn_task_base", {"width": 0.02}).build((128, 4), HEADS, seed=0)
    with pytest.raises(InputError, match=r"a profile of 128 positions .*shape \(4, 1\)$"):
        check_fits(profile, splits.train, HEADS)

    def longer(split):
        return Split(split.sequences, np.repeat(split.targets[:, np.newaxis], 128, axis=1))

    profiles = Splits(*(longer(split) for _, split in splits.items()), HEADS)
    check_fits(profile, profiles.train, HEADS)
    with pytest.raises(InputError, match=r"emits no profile .*shape \(4, 128, 1\)$"):
        check_fits(spec.build((128, 4), HEADS, seed=0), profiles.train, HEADS)


def test_a_model_that_does_not_fit_the_data(spec, make_splits):
    model = spec.build((30, 4), HEADS, seed=0)
    with pytest.raises(InputError, match=r"takes 30 bases. Received: sequences of 32 bases"):
        check_fits(model, make_splits().train, HEADS)
    with pytest.raises(InputError, match=r"emits 1 columns. Received: data with 2: \('a', 'b'\)"):
        fit(model, make_splits(("a", "b"), length=30))


def test_equal_seeds_build_equal_models(spec):
    first, again, other = (spec.build((32, 4), HEADS, seed) for seed in (1, 1, 2))
    for a, b, c in zip(
        first.trainable_weights, again.trainable_weights, other.trainable_weights, strict=True
    ):
        assert np.array_equal(a, b)
        if "kernel" in a.path:
            assert not np.array_equal(a, c)
    seeds = [
        model.get_layer("dense1_dropout").variables[0].numpy().tolist()
        for model in (first, again, other)
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_building_leaves_the_users_random_numbers_alone(spec):
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    spec.build((32, 4), HEADS, seed=1)
    drawn = np.random.random(), random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    assert drawn == (np.random.random(), random.random())  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "a"])
def test_bad_seeds(spec, seed):
    with pytest.raises(InputError, match=r"seed must be a whole number from 0 to 2\*\*32"):
        spec.build((32, 4), HEADS, seed)


def test_a_run_folder_holds_everything(teachers, splits):
    folder = teachers.folder / "member_00"
    files = {"model.keras", "settings.json", "history.csv", "metrics.csv", "manifest.json"}
    assert {file.name for file in folder.iterdir()} == files
    written = {name: (folder / name).stat().st_mtime_ns for name in files}
    assert written["settings.json"] == min(written.values())
    assert written["manifest.json"] == max(written.values())
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    metrics = pd.read_csv(folder / "metrics.csv")
    predicted = teachers.members[0].columns(splits.test.sequences)
    mse = metrics.set_index(["target", "head", "metric"])["value"]
    for index, target in enumerate(("Dev", "Hk")):
        error = predicted[:, index].astype(float) - splits.test.targets[:, index]
        assert mse[target, "activity", "mse"] == pytest.approx(np.mean(error**2))
    assert set(metrics["split"]) == {"test"}


def test_a_loaded_model_predicts_bit_for_bit(teachers, splits):
    trained, loaded = teachers.members[0], load_model(teachers.folder / "member_00")
    assert loaded is not trained
    assert loaded.heads == splits.heads
    assert loaded.fingerprint() == trained.fingerprint()
    assert np.array_equal(
        loaded.columns(splits.test.sequences), trained.columns(splits.test.sequences)
    )


@pytest.fixture
def run(teachers, tmp_path):
    """A copy of a finished run, and the seed that made it."""
    return shutil.copytree(teachers.folder / "member_01", tmp_path / "run")


def seed_of(folder):
    return int(pd.read_json(folder / "settings.json", typ="series")["seed"])


@pytest.fixture
def no_training(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr("degu_tf.training.train.fit", fail)


@pytest.mark.usefixtures("no_training")
def test_a_finished_run_is_loaded_not_trained(run, splits, spec, quick, teachers):
    before = {file.name: (file.stat().st_mtime_ns, file_hash(file)) for file in run.iterdir()}
    again = train(splits, spec, quick, Run(run, seed_of(run)))
    assert again.fingerprint() == teachers.members[1].fingerprint()
    after = {file.name: (file.stat().st_mtime_ns, file_hash(file)) for file in run.iterdir()}
    assert after == before


@pytest.mark.usefixtures("no_training")
def test_another_runs_folder_is_refused_and_the_difference_named(run, splits, spec, quick):
    seed = seed_of(run)
    for changed, message in (
        (
            (splits, spec, dataclasses.replace(quick, epochs=7), seed),
            "training.epochs.*requested 7",
        ),
        ((splits, spec, quick, seed + 1), rf"\(seed: holds {seed}, requested {seed + 1}\)"),
        ((splits.subset(60), spec, quick, seed), "n_train: holds 400, requested 60, data.finger"),
        ((splits, ModelSpec("deepstarr", {**spec.options, "width": 2}), quick, seed), "width"),
    ):
        *given, own_seed = changed
        with pytest.raises(InputError, match="already holds another run.*" + message):
            train(*given, Run(run, own_seed))
    with pytest.raises(InputError, match=r"\(subset: holds None, requested 3\)"):
        train(splits, spec, quick, Run(run, seed, {"subset": 3}))


def test_a_tampered_model_is_refused(run):
    with (run / "model.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"differs from what the run wrote.*model\.keras"):
        load_model(run)


def test_an_unfinished_run_is_refused_when_loaded_and_trained_when_asked(
    run, splits, spec, quick, monkeypatch
):
    (run / "manifest.json").unlink()
    with pytest.raises(InputError, match="unfinished"):
        load_model(run)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("degu_tf.training.train.fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(splits, spec, quick, Run(run, seed_of(run)))
    assert not (run / "manifest.json").exists()


def test_what_cannot_be_built_claims_no_folder(splits, quick, tmp_path):
    with pytest.raises(InputError, match="Did you mean deepstarr"):
        train(splits, ModelSpec("depstarr"), quick, Run(tmp_path / "run"))
    with pytest.raises(InputError, match="seed must be"):
        train(splits, ModelSpec("deepstarr"), quick, Run(tmp_path / "run", -1))
    assert not (tmp_path / "run").exists()


def started(spec, heads, place, member=0):
    """A model that starts from weights of a file or a run."""
    model = spec.build((32, 4), heads, 9)
    load_initial_weights(model, place, member)
    return model


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_initial_weights_from_every_kind_of_file(teachers, splits, spec, tmp_path):
    source = teachers.members[1].model
    source.save_weights(tmp_path / "m.weights.h5")
    write_keras2_weights(source, tmp_path / "m_finetune.h5")
    places = {
        tmp_path / "m.weights.h5": 1,
        save(source, tmp_path / "1", "_model.h5"): 1,
        tmp_path / "m_finetune.h5": 1,
        teachers.folder / "member_01" / "model.keras": 1,
        teachers.folder / "member_01": 1,
        teachers.folder: 1,
    }
    for place in places:
        built = started(spec, splits.heads, place, member=1)
        for given, wanted in zip(built.get_weights(), source.get_weights(), strict=True):
            assert np.array_equal(given, wanted)
    built = started(spec, splits.heads, teachers.folder, member=7)
    assert np.array_equal(built.get_weights()[0], teachers.members[0].model.get_weights()[0])


@pytest.mark.parametrize("kind", ["weights", "run"])
def test_initial_weights_of_another_model_are_refused_by_name(teachers, spec, tmp_path, kind):
    place = teachers.folder
    if kind == "weights":
        place = tmp_path / "m.weights.h5"
        teachers.members[0].model.save_weights(place)

    def build(heads, **options):
        started(ModelSpec("deepstarr", {**spec.options, **options}), heads, place)

    with pytest.raises(
        InputError, match=r"output of deepstarr has .*\(8, 6\).*Received: .*\(8, 4\)"
    ):
        build(teachers.heads.student())
    with pytest.raises(InputError, match=r"something else than deepstarr|layers, the file 2"):
        build(teachers.heads, dense_units=(8, 8))
    with pytest.raises(InputError, match=r"kernel_size=5|conv1 .*\(4, 4, 8\).*\(5, 4, 8\)"):
        build(teachers.heads, conv_kernels=(4,))


def test_a_file_of_more_layers_is_not_read_in_part(spec, tmp_path):
    heads = HeadLayout(tuple("abcdefgh"))
    deeper = ModelSpec("deepstarr", {**spec.options, "dense_units": (8, 8)})
    deeper.build((32, 4), heads, 0).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(InputError, match=r"1 Dense|2 Dense layers, the file 3"):
        started(spec, heads, tmp_path / "m.weights.h5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.keras", "Received: .*none.keras"),
        ("empty", "Received: .*empty"),
        ("m.h5", "m.h5: expected a model or weights"),
        ("broken.keras", "broken.keras: expected a model or weights"),
    ],
)
def test_initial_weights_that_cannot_be_read(name, message, splits, spec, tmp_path):
    (tmp_path / "empty").mkdir()
    for file in ("m.h5", "broken.keras"):
        (tmp_path / file).write_text("x")
    with pytest.raises(InputError, match=message):
        started(spec, splits.heads, tmp_path / name)


@pytest.mark.usefixtures("no_training")
def test_initial_weights_are_part_of_what_makes_a_run(splits, spec, quick, teachers, tmp_path):
    teachers.members[0].model.save(tmp_path / "init.keras")
    pretrained = dataclasses.replace(spec, init=str(tmp_path / "init.keras"))
    with pytest.raises(AssertionError, match="training began"):
        train(splits, pretrained, quick, Run(tmp_path / "run"))
    teachers.members[1].model.save(tmp_path / "init.keras")
    with pytest.raises(InputError, match=r"another run.*init_hash"):
        train(splits, pretrained, quick, Run(tmp_path / "run"))


@pytest.mark.parametrize("forms", [("std", "std"), ("std", "log_variance"), (None, "std")])
def test_positive_heads_make_positive_deviations_and_free_means(spec, forms, stir):
    heads = HeadLayout(("a", "b"), *forms)
    positive = dataclasses.replace(spec, head="positive")
    model = stir(positive.build((32, 4), heads, 0))
    tokens = np.random.default_rng(0).integers(0, 4, (300, 32)).astype(np.uint8)
    columns = ModelPredictor(model, heads).columns(tokens)
    assert (heads.take(columns, "mean") < 0).any()
    for role in heads.roles[1:]:
        negative = (heads.take(columns, role) < 0).any()
        assert negative == (getattr(heads, role) == "log_variance")
    linear = stir(spec.build((32, 4), heads, 0))
    free = ModelPredictor(linear, heads).columns(tokens)
    assert (heads.take(free, "epistemic") < 0).any()
    assert positive.to_dict()["head"] == "positive"
    assert "head" not in spec.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("cosine", 0, lambda t: 0.04 * 0.5 * (1 + np.cos(np.pi * t / 40))),
        ("cosine", 8, lambda t: 0.04 * 0.5 * (1 + np.cos(np.pi * (t - 8) / 32))),
        ("constant", 8, lambda t: 0.04 + 0 * t),
    ],
)
def test_the_rate_follows_its_schedule(schedule, warmup, expected):
    """Four epochs of ten steps; the history has the rate after each epoch."""
    settings = TrainingSettings(
        epochs=4, batch_size=4, learning_rate=0.04, schedule=schedule, warmup=warmup
    )
    history = fit(linear(), constant_splits(), settings, progress=False)
    steps = 10 * history["epoch"].to_numpy()
    np.testing.assert_allclose(history["learning_rate"], expected(steps), rtol=1e-5, atol=1e-8)


def test_a_schedule_is_part_of_a_runs_identity_where_it_is_not_the_papers():
    assert "schedule" not in TrainingSettings().to_dict()
    assert TrainingSettings(schedule="cosine", warmup=5).to_dict()["warmup"] == 5
    for settings, message in (
        ({"schedule": "step"}, "one of .*plateau"),
        ({"warmup": 5}, "goes with schedule='cosine'"),
        ({"schedule": "cosine", "warmup": -1}, "whole number from 0"),
    ):
        with pytest.raises(InputError, match=message):
            TrainingSettings(**settings)


@pytest.mark.slow
def test_a_step_compiled_by_xla_learns_the_same(splits, spec):
    plain = TrainingSettings(epochs=2, batch_size=50, learning_rate=0.01)
    compiled = dataclasses.replace(plain, jit_compile=True)
    assert "jit_compile" not in plain.to_dict()
    assert compiled.to_dict()["jit_compile"] is True
    without = ModelSpec(spec.name, {**spec.options, "dropout": 0.0})  # its draws differ under XLA
    losses = []
    for settings in (plain, compiled):
        model = without.build(splits.input_shape, splits.heads, 1)
        losses.append(fit(model, splits, settings, progress=False)[["loss", "val_loss"]])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
