import keras
import numpy as np
import pandas as pd
import pytest

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.sources.table import read_table
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.objective import measured_objective, settings_for_task
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError

BINARY = HeadLayout(("open", "shut"), task="binary")
TINY = {"conv_filters": (4,), "conv_kernels": (5,), "dense_units": (8,), "dropout": 0.0}


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    parts = []
    for size in (n, 30, 30):
        tokens = rng.integers(0, 4, (size, 16), dtype=np.uint8)
        share = np.stack([(tokens == 0).mean(axis=1), (tokens == 1).mean(axis=1)], axis=1)
        parts.append(Split(tokens, (share > 0.25).astype(np.float32)))
    return Splits(*parts, BINARY)


def one_hot(splits):
    return np.eye(4, dtype="f")[splits.test.sequences]


# the data's property


def test_the_task_stays_with_the_layout_and_leaves_others_as_they_were():
    assert HeadLayout.from_dict(BINARY.to_dict()) == BINARY
    assert BINARY.student().task == BINARY.student().without_uncertainty().task == "binary"
    assert "task" not in HeadLayout(("open",)).to_dict()
    assert HeadLayout.from_dict({"targets": ["a"], "aleatoric": None, "epistemic": None}).task == (
        "regression"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aleatoric": "std", "task": "binary"}, "no aleatoric column"),
        ({"task": "classes"}, "'regression' or 'binary'"),
    ],
)
def test_layouts_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        HeadLayout(("a",), **arguments)


def test_targets_are_0_or_1():
    targets = np.array([[0.0], [1.0], [0.5]])
    part = Split(np.zeros((3, 8), np.uint8), targets, np.array(["a", "b", "c"]))
    message = r"0 or 1.*threshold.*Received: 1 other values, first 0\.5 in x of row 2 \(c\)"
    with pytest.raises(InputError, match=message):
        Splits(part, part, part, HeadLayout(("x",), task="binary"))


def test_tables_and_files_keep_the_task(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "seq": ["".join(rng.choice(list("ACGT"), 12)) for _ in range(40)],
            "open": rng.integers(0, 2, 40),
        }
    )
    splits = read_table(frame, targets=["open"], task="binary")
    write_splits(tmp_path / "d.h5", splits)
    read = read_splits(tmp_path / "d.h5")
    assert read.heads.task == "binary"
    assert read.fingerprint == splits.fingerprint
    assert read.fingerprint != read_table(frame, targets=["open"]).fingerprint
    with pytest.raises(InputError, match="columns of 0 and 1"):
        read_table(frame, targets=["open"], task="binary", log2=True)
    arrays = Splits.from_arrays(["ACGT"], [1], ["ACGT"], [0], task="binary")
    assert arrays.heads.task == "binary"


# outputs


@pytest.mark.parametrize("head", ["linear", "positive"])
@pytest.mark.parametrize("heads", [BINARY, BINARY.student()], ids=["teacher", "student"])
def test_means_are_probabilities(heads, head, tmp_path):
    model = ModelSpec("deepstarr", TINY, head=head).build((16, 4), heads, seed=0)
    model.set_weights([50 * weights for weights in model.get_weights()])
    columns = model.predict(one_hot(data()), verbose=0)
    mean = heads.take(columns, "mean")
    assert ((mean >= 0) & (mean <= 1)).all()
    assert mean.std() > 0.1
    if heads.epistemic:
        assert (heads.take(columns, "epistemic").min() >= 0) == (head == "positive")
    model.save(tmp_path / "m.keras")
    plain = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(plain.predict(one_hot(data()), verbose=0), columns)


def _network(*layers):
    def network(input_shape, n_columns):
        first = [keras.Input(input_shape), keras.layers.Flatten()]
        return keras.Sequential([*first, *(layer(n_columns) for layer in layers)])

    return network


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
@pytest.mark.parametrize("heads", [BINARY, BINARY.student()], ids=["teacher", "student"])
def test_networks_of_ones_own_get_probabilities_once(activation, heads):
    spec = ModelSpec(_network(lambda n: keras.layers.Dense(n, activation, name="mine")))
    model = spec.build((16, 4), heads, seed=0)
    sigmoids = [
        layer
        for layer in model.layers
        if getattr(layer, "activation", None) is keras.activations.sigmoid
    ]
    assert len(sigmoids) == 1
    assert model.output_shape == (None, heads.n_columns)


def test_networks_that_end_in_anything_else_are_refused_by_name():
    spec = ModelSpec(_network(keras.layers.Dense, lambda _: keras.layers.ReLU(name="above_zero")))
    with pytest.raises(InputError, match="ends in 'above_zero', a ReLU"):
        spec.build((16, 4), BINARY, seed=0)


# training


def test_teachers_learn_by_the_cross_entropy():
    settings = settings_for_task(TrainingSettings(finetune=TrainingSettings()), BINARY)
    assert settings.loss == settings.finetune.loss == "binary_crossentropy"
    assert settings_for_task(TrainingSettings(), HeadLayout(("a",))).loss == "mse"
    with pytest.raises(InputError, match=r"binary_crossentropy.*Received: loss='gaussian_nll'"):
        measured_objective(TrainingSettings(loss="gaussian_nll"), BINARY)


def test_the_loss_of_a_model_that_learns_nothing_is_that_of_its_first_probabilities(tmp_path):
    splits = data()
    settings = TrainingSettings(epochs=1, batch_size=60, learning_rate=1e-12)
    spec = ModelSpec(_network(keras.layers.Dense))
    model = train(splits, spec, settings, Run(tmp_path / "m", progress=False))
    p, y = model.columns(splits.validation.sequences), splits.validation.targets
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    history = pd.read_csv(tmp_path / "m" / "history.csv")
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-4)
    metrics = pd.read_csv(tmp_path / "m" / "metrics.csv")
    assert {"auroc", "average_precision"} <= set(metrics["metric"])


def test_standardised_units_are_refused():
    with pytest.raises(InputError, match="in no other units"):
        Standardisation.of(data())
    with pytest.raises(InputError, match="standardise"):
        train_ensemble(
            data(), ModelSpec("deepstarr", TINY), 2, TrainingSettings(standardise=True),
            Run(progress=False),
        )  # fmt: skip


# students


def test_labels_are_the_mean_probability_and_its_spread():
    splits = data()
    models = [ModelSpec("deepstarr", TINY).build((16, 4), BINARY, seed) for seed in range(3)]
    members = [ModelPredictor(model, BINARY) for model in models]
    labelled = student_splits(Ensemble(members), splits)
    assert labelled.heads == BINARY.student()
    outputs = np.stack([member.columns(splits.train.sequences) for member in members])
    expected = np.concatenate([outputs.mean(axis=0), outputs.std(axis=0)], axis=1)
    np.testing.assert_allclose(labelled.train.targets, expected, atol=1e-6)


def test_teachers_of_another_task_are_refused():
    heads = HeadLayout(BINARY.targets)
    models = [ModelSpec("deepstarr", TINY).build((16, 4), heads, seed) for seed in range(2)]
    teachers = Ensemble([ModelPredictor(model, heads) for model in models])
    with pytest.raises(InputError, match=r"regression\. Received: data of the task binary"):
        student_splits(teachers, data())


def elsewhere(activation, seed):
    keras.utils.set_random_seed(seed)
    hidden = keras.layers.Conv1D(4, 5, activation="relu")
    return keras.Sequential(
        [keras.Input((16, 4)), hidden, keras.layers.GlobalMaxPooling1D(),
         keras.layers.Dense(2, activation=activation)]
    )  # fmt: skip


def test_models_trained_elsewhere_are_binary_where_that_is_said(tmp_path):
    models = [elsewhere("sigmoid", seed) for seed in range(2)]
    teachers = Ensemble.from_models(models, targets=BINARY.targets, task="binary")
    assert teachers.heads == BINARY
    labelled = student_splits(teachers, data())
    assert labelled.heads == BINARY.student()
    for number, model in enumerate(models):
        model.save(tmp_path / f"{number}.keras")
    files = sorted(tmp_path.glob("*.keras"))
    assert Ensemble.from_models(files, BINARY.targets, task="binary").heads == BINARY
    assert Ensemble.from_models(files, BINARY.targets).heads.task == "regression"


def test_models_whose_outputs_are_no_probabilities_are_refused():
    models = [elsewhere("sigmoid", 1), elsewhere(None, 2)]
    message = r"between 0 and 1.*sigmoid\. Received: \d+ of 256 outputs outside, first -?\d"
    with pytest.raises(InputError, match=message):
        Ensemble.from_models(models, targets=BINARY.targets, task="binary")
    with pytest.raises(InputError, match="no aleatoric column"):
        Ensemble.from_models(models, targets=["a"], aleatoric="std", task="binary")


def test_intervals_of_probabilities_end_at_0_and_1():
    heads = HeadLayout(("open",), epistemic="std", task="binary")
    prediction = heads.prediction(np.array([[0.1, 0.2], [0.5, 0.1], [0.95, 0.1]]))
    lower, upper = prediction.interval(0.95)
    np.testing.assert_allclose(lower[:, 0], [0.0, 0.304, 0.754], atol=1e-3)
    np.testing.assert_allclose(upper[:, 0], [0.492, 0.696, 1.0], atol=1e-3)
    np.testing.assert_array_equal(prediction.total[:, 0], [0.2, 0.1, 0.1])
    frame = prediction.select([2]).to_frame()
    assert frame["open_upper"].tolist() == [1.0]
    number = HeadLayout(("open",), epistemic="std").prediction(np.array([[0.1, 0.2]]))
    assert number.interval(0.95)[0][0, 0] < 0
