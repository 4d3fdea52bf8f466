import json

import keras
import numpy as np
import pytest
from cases import one_in

from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.output_units import scales_of, with_output_units
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation, StandardisedLoss
from degu_tf.training.train import fit, load_model, train
from degu_tf.utils.errors import InputError

TINY = {"conv_filters": (4,), "conv_kernels": (5,), "dense_units": (8,), "dropout": 0.0}
QUICK = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.01)
UNITS = Standardisation(("a", "b"), (300.0, -2.0), (50.0, 0.1))
LAYOUTS = [
    HeadLayout(("a", "b")),
    HeadLayout(("a", "b"), aleatoric="std"),
    HeadLayout(("a", "b"), aleatoric="std", epistemic="log_variance"),
    HeadLayout(("a", "b"), "evidential", "evidential"),
]


def data(heads=LAYOUTS[1], scale=(1.0, 1.0), offset=(0.0, 0.0), n=100, seed=0):
    """Two targets of a sequence's composition and their deviation, in any units."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in (n, 40, 40):
        tokens = rng.integers(0, 4, (size, 16), dtype=np.uint8)
        mean = np.stack([(tokens == 0).mean(axis=1), (tokens == 1).mean(axis=1)], axis=1) * 8 - 2
        std = 0.2 + 0.5 * np.abs(mean)
        columns = [np.asarray(scale) * mean + offset]
        if heads.aleatoric == "std":
            columns.append(np.asarray(scale) * std)
        parts.append(Split(tokens, np.concatenate(columns, axis=1)))
    return Splits(*parts, heads)


def spec(head="linear"):
    return ModelSpec("deepstarr", TINY, head=head)


def expected(heads, before, units=UNITS):
    """Output columns in the data's units, written out column by column."""
    after = np.array(before, float)
    for i, (mean, std) in enumerate(zip(units.mean, units.std, strict=True)):
        after[:, i] = before[:, i] * std + mean
        for role in heads.roles[1:]:
            at = heads.slice(role).start + i
            if role == "beta":
                after[:, at] = before[:, at] * std**2
            elif getattr(heads, role, None) == "std":
                after[:, at] = before[:, at] * std
            elif getattr(heads, role, None) == "log_variance":
                after[:, at] = before[:, at] + np.log(std**2)
    return after


SCALE, OFFSET = np.array([200.0, 0.01]), np.array([1000.0, -0.05])
OTHER = Standardisation(("a", "b"), tuple(OFFSET), tuple(SCALE))
"""Units that differ from those of `data()` as `data(scale=SCALE, offset=OFFSET)` does."""


def assert_same_but_for_units(here, there, x, atol=0.02):
    """Two models predict the same, one in the units of `data()`, the other in `OTHER`."""
    scale, offset = OTHER.factors(there.heads)
    np.testing.assert_allclose((there.columns(x) - offset) / scale, here.columns(x), atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "positive"])
@pytest.mark.parametrize("heads", one_in(2, LAYOUTS), ids=lambda heads: str(heads.roles))
def test_outputs_of_every_form_take_the_units_and_give_them_back(heads, head, tmp_path):
    model = spec(head).build((16, 4), heads, seed=1)
    x = np.eye(4, dtype="f")[np.random.default_rng(0).integers(0, 4, (5, 16))]
    before = model.predict(x, verbose=0)
    changed = UNITS.to_data(model, heads)
    after = changed.predict(x, verbose=0)
    np.testing.assert_allclose(after, expected(heads, before), rtol=1e-4, atol=1e-4)
    changed.save(tmp_path / "m.keras")
    plain = keras.saving.load_model(tmp_path / "m.keras", compile=False)  # Keras' own layers only
    np.testing.assert_array_equal(plain.predict(x, verbose=0), after)
    back = UNITS.to_standard(changed, heads)
    np.testing.assert_allclose(back.predict(x, verbose=0), before, rtol=1e-3, atol=1e-3)
    assert not scales_of(back)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "positive"])
def test_training_is_equivariant_to_units(head):
    """Standardised training of data in other units is the same training."""
    settings = TrainingSettings(epochs=3, batch_size=20, learning_rate=0.01, standardise=True)
    one = train(data(), spec(head), settings, Run(progress=False))
    scaled = data(scale=SCALE, offset=OFFSET)
    other = train(scaled, spec(head), settings, Run(progress=False))
    assert_same_but_for_units(one, other, scaled.test.sequences)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "head"),
    [("gaussian_nll", "linear"), ("gaussian_nll", "mean_std"), ("deep_evidential", "linear")],
)
def test_likelihoods_are_equivariant_to_units(loss, head):
    settings = TrainingSettings(
        epochs=3, batch_size=20, learning_rate=0.01, standardise=True, loss=loss
    )
    one = train(data(), spec(head), settings, Run(progress=False))
    scaled = data(scale=SCALE, offset=OFFSET)
    other = train(scaled, spec(head), settings, Run(progress=False))
    assert_same_but_for_units(one, other, scaled.test.sequences)


STUDENTS = {
    "static": DistillationSettings(validation="ensemble"),
    "log_variance": DistillationSettings(epistemic="log_variance"),
    "dynamic": DistillationSettings(augmentation=Augmentation(scheme("mutagenesis"))),
    "pool": DistillationSettings(augmentation=Augmentation(scheme("mutagenesis")), pool=2),
    "best-teacher": DistillationSettings(init="best-teacher"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head"),
    one_in(
        2,
        [
            ("dynamic", "positive"),
            ("static", "linear"),
            ("best-teacher", "linear"),
            ("best-teacher", "positive"),
            ("pool", "positive"),
            ("log_variance", "positive"),
        ],
    ),
)
def test_students_are_equivariant_to_units(name, head):
    labels = STUDENTS[name]
    settings = TrainingSettings(epochs=2, batch_size=20, learning_rate=0.01, standardise=True)
    students = []
    for splits, scaled in ((data(), False), (data(scale=SCALE, offset=OFFSET), True)):
        models = [spec().build((16, 4), splits.heads, seed) for seed in (1, 2)]
        if scaled:
            models = [OTHER.to_data(model, splits.heads) for model in models]
        student = distill(
            Ensemble([ModelPredictor(model, splits.heads) for model in models], spec(head)),
            splits,
            settings=settings,
            run=Run(progress=False),
            distillation=labels,
        )
        students.append(student)
    assert_same_but_for_units(*students, data().test.sequences)


@pytest.mark.slow
def test_the_run_predicts_in_the_units_of_the_data_and_resumes(tmp_path):
    splits = data(scale=(200.0, 0.01), offset=(1000.0, -5.0))
    settings = TrainingSettings(epochs=15, batch_size=20, learning_rate=0.02, standardise=True)
    teachers = train_ensemble(splits, spec("positive"), 2, settings, Run(tmp_path / "t"))
    error = teachers.predict(splits.test.sequences).mean - splits.test.targets[:, :2]
    assert (np.sqrt((error**2).mean(axis=0)) < 0.85 * splits.test.targets[:, :2].std(axis=0)).all()
    again = train_ensemble(splits, spec("positive"), 2, settings, Run(tmp_path / "t"))
    assert again.fingerprint() == teachers.fingerprint()
    member = tmp_path / "t" / "member_00"
    manifest = json.loads((member / "manifest.json").read_text())
    assert manifest["standardisation"]["a"] == pytest.approx(
        [splits.train.targets[:, 0].mean(), splits.train.targets[:, 0].std()], rel=1e-5
    )
    plain = keras.saving.load_model(member / "model.keras", compile=False)
    x = np.eye(4, dtype="f")[splits.test.sequences]
    columns = load_model(member).columns(splits.test.sequences)
    np.testing.assert_allclose(plain.predict(x, verbose=0), columns, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError):
        train_ensemble(splits, spec("positive"), 2, QUICK, Run(tmp_path / "t"))


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "positive"])
@pytest.mark.parametrize(
    ("first", "second"), one_in(2, [(True, False), (True, True), (False, True)])
)
def test_initial_weights_keep_their_predictions(tmp_path, head, first, second):
    """Training from a run at a rate of nothing gives that run's predictions, whatever the units."""
    splits = data(scale=(200.0, 0.01), offset=(1000.0, -5.0))

    def settings(standardise, rate):
        return TrainingSettings(
            epochs=1, batch_size=20, learning_rate=rate, standardise=standardise
        )

    one = train(splits, spec(head), settings(first, 0.01), Run(tmp_path / "one", progress=False))
    start = ModelSpec("deepstarr", TINY, head=head, init=str(tmp_path / "one"))
    other = data(scale=(20.0, 0.1), offset=(1.0, 3.0), seed=3)
    layers = [keras.layers.BatchNormalization]
    two = train(other, start, settings(second, 1e-12), Run(progress=False))
    x = splits.test.sequences
    for here, there in zip(one.model.layers, two.model.layers, strict=False):
        if isinstance(here, layers[0]):
            there.set_weights(here.get_weights())  # moving averages move at any rate
    columns = ModelPredictor(two.model, splits.heads).columns(x)
    np.testing.assert_allclose(columns, one.columns(x), rtol=2e-3, atol=2e-3)


def test_settings_of_old_runs_stay_the_same():
    assert "standardise" not in TrainingSettings().to_dict()
    assert TrainingSettings(standardise=True).to_dict()["standardise"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "poisson"}, "may be negative.*loss='poisson'"),
        ({"finetune": TrainingSettings()}, "same units"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(standardise=True, **arguments)


def test_both_stages_have_one_loss():
    with pytest.raises(InputError, match=r"give loss to both.*Received: loss=huber"):
        TrainingSettings(loss="huber", finetune=TrainingSettings())
    both = TrainingSettings(loss="huber", finetune=TrainingSettings(loss="huber"))
    assert both.finetune.loss == "huber"


def _ending(*layers):
    def network(input_shape, n_columns):
        first = [keras.Input(input_shape), keras.layers.Flatten()]
        return keras.Sequential([*first, keras.layers.Dense(n_columns, name="last"), *layers])

    return network


def test_networks_of_ones_own_are_trained_in_standardised_units():
    splits = data(HeadLayout(("a", "b")), scale=(200.0, 0.01), offset=(1000.0, -5.0))
    settings = TrainingSettings(epochs=20, batch_size=10, learning_rate=0.05, standardise=True)
    model = train(splits, _ending(), settings, Run(progress=False))
    error = model.predict(splits.test.sequences).mean - splits.test.targets
    assert (error.std(axis=0) < 0.2 * splits.test.targets.std(axis=0)).all()


def test_networks_that_end_in_anything_else_are_refused_by_name():
    splits = data(HeadLayout(("a", "b")))
    settings = TrainingSettings(epochs=1, standardise=True)
    for layer, named in (
        (keras.layers.ReLU(name="kept_positive"), "'kept_positive', a ReLU"),
        (keras.layers.Dense(2, "sigmoid", name="p"), "'p', a Dense with the activation sigmoid"),
        (keras.layers.Dense(2, use_bias=False, name="b"), "'b', which has no bias"),
    ):
        with pytest.raises(InputError, match=named):
            train(splits, _ending(layer), settings, Run(progress=False))


def test_a_refused_model_keeps_its_weights():
    heads = HeadLayout(("a",), aleatoric="log_variance")
    x = keras.Input((3,))
    mean, spread = keras.layers.Dense(1)(x), keras.layers.Dense(1, "softplus")(x)
    model = keras.Model(x, keras.layers.Concatenate()([mean, spread]))
    before = model.get_weights()
    with pytest.raises(InputError, match="activation softplus"):
        with_output_units(model, heads, np.array([2.0, 1.0]), np.array([1.0, 1.4]))
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_constant_targets_are_refused():
    splits = data(HeadLayout(("a", "b")), scale=(1.0, 0.0))
    with pytest.raises(InputError, match="Received: b with the standard deviation 0"):
        Standardisation.of(splits)


def test_fit_alone_is_refused():
    heads = HeadLayout(("a", "b"))
    model = spec().build((16, 4), heads, seed=0)
    with pytest.raises(InputError, match="`train`, which undoes"):
        fit(model, data(heads), TrainingSettings(epochs=1, standardise=True), progress=False)


def test_the_loss_is_saved_and_loaded():
    loss = StandardisedLoss("mse", [2.0, 4.0], [1.0, 0.0])
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    y, p = np.array([[1.0, 8.0]]), np.array([[1.0, 1.0]])
    assert float(copy(y, p)) == float(loss(y, p)) == 1.0
