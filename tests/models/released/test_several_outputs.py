"""Models of several outputs, such as the first DeepSTARR: targets, named after their layers."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from weight_files import output, randomise, save, write_keras2_weights

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.layers import positive_uncertainty
from degu_tf.models.released.card import convert, open_weights
from degu_tf.models.released.load import load_released, load_released_predictor, read_released
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.utils.errors import InputError

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

FORMS = (".keras", "_model.h5", ".weights.h5")


def with_outputs(blocks, name="deepstarr", length=60, join=False):
    """A model with a dense layer of that name, units and activation for each output."""
    base = build(name, (length, 4), columns_layout(2), width=0.05)
    x = base.get_layer("output").input
    outputs = [layers.Dense(units, act, name=block)(x) for block, units, act in blocks]
    outputs = layers.Concatenate()(outputs) if join else outputs
    return randomise(keras.Model(base.input, outputs), seed=6)


def columns(model):
    """All outputs side by side."""
    values = model(np.eye(4, dtype=np.float32)[[[0, 1, 2, 3] * 15, [3, 3, 1, 0] * 15]])
    return np.concatenate([np.asarray(each) for each in values], axis=1)


DEEPSTARR = (("Dense_Dev", 1, "linear"), ("Dense_Hk", 1, "linear"))


@pytest.mark.parametrize("form", FORMS)
def test_two_dense_outputs_are_two_targets(form, tmp_path):
    model = with_outputs(DEEPSTARR)
    path = save(model, tmp_path / "1", form)
    options = {"input_length": 60} if form == ".weights.h5" else {}
    predictor = load_released_predictor(path, **options)
    prediction = predictor.predict(["ACGT" * 15, "TTCA" * 15])
    assert prediction.targets == ("Dense_Dev", "Dense_Hk")
    assert prediction.aleatoric is None
    assert prediction.epistemic is None
    np.testing.assert_allclose(prediction.mean, columns(model), atol=1e-6)
    assert np.ptp(columns(model), axis=1).min() > 1e-3
    named = load_released_predictor(path, heads=HeadLayout(("Dev", "Hk")), **options)
    assert named.predict(["ACGT" * 15]).targets == ("Dev", "Hk")


def test_weights_of_keras_2_by_the_layers_names(tmp_path):
    model = with_outputs(DEEPSTARR)
    names = {layer.name: layer.name for layer in model.layers}
    write_keras2_weights(model, tmp_path / "1.h5", names=names)
    released = read_released(tmp_path / "1.h5", input_length=60)
    assert (released.head, released.heads.targets) == ("outputs", ("Dense_Dev", "Dense_Hk"))
    np.testing.assert_allclose(columns(model), released.model(_two()), atol=1e-6)


def _two():
    return np.eye(4, dtype=np.float32)[[[0, 1, 2, 3] * 15, [3, 3, 1, 0] * 15]]


@pytest.mark.parametrize(("weights", "config"), [("1.weights.h5", "1.json"), ("1.h5", "1.json"),
                                                 ("weights.h5", "model.json")])  # fmt: skip
def test_weights_with_their_configuration_beside_them(weights, config, tmp_path):
    """The configuration says which activations there are, and the input length."""
    model = with_outputs((("a", 1, "linear"), ("b", 1, "softplus")), length=70)
    if weights.endswith(".weights.h5"):
        model.save_weights(tmp_path / weights)
    else:
        names = {layer.name: layer.name for layer in model.layers}
        write_keras2_weights(model, tmp_path / weights, names=names)
    (tmp_path / config).write_text(model.to_json())
    released = read_released(tmp_path / weights)
    assert (released.head, released.input_length) == ("mean_std", 70)
    x = np.eye(4, dtype=np.float32)[[[0, 1, 2, 3, 1, 2, 2] * 10]]
    expected = np.concatenate([np.asarray(each) for each in model(x)], axis=1)
    np.testing.assert_allclose(released.model(x), expected, atol=1e-6)


def test_other_json_files_beside_weights_are_left_alone(tmp_path):
    model = with_outputs(DEEPSTARR)
    path = save(model, tmp_path / "1", ".weights.h5")
    for content in ("not JSON", json.dumps({"lr": 0.1}), json.dumps([1, 2])):
        (tmp_path / "1.json").write_text(content)
        assert load_released(path, input_length=60).output_shape == (None, 2)
    (tmp_path / "1.json").write_text(json.dumps({"class_name": "Lambda", "config": {}}))
    with pytest.raises(InputError, match=r"1\.json: .*Lambda layer"):
        load_released(path, input_length=60)


@pytest.mark.slow
@pytest.mark.parametrize("join", [False, True], ids=["outputs", "joined"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_any_number_of_outputs(count, join, tmp_path):
    model = with_outputs([(f"cell_{i}", 1, "linear") for i in range(count)], join=join)
    released = read_released(save(model, tmp_path / "1", ".keras"))
    assert released.heads.targets == tuple(f"cell_{i}" for i in range(count))
    found = model(_two()) if join else columns(model)
    np.testing.assert_allclose(released.model(_two()), found, atol=1e-6)


def test_outputs_of_several_units_are_numbered(tmp_path):
    model = with_outputs((("human", 2, "linear"), ("fly", 2, "linear")))
    released = read_released(save(model, tmp_path / "1", ".keras"))
    assert released.heads.targets == ("human_1", "human_2", "fly_1", "fly_2")
    np.testing.assert_allclose(released.model(_two()), columns(model), atol=1e-6)


@pytest.mark.parametrize(
    ("blocks", "head", "heads"),
    [
        ((("mu", 2, "linear"), ("std", 2, "softplus")), "mean_std",
         HeadLayout(("Dev", "Hk"), aleatoric="std")),
        ((("x", 2, "linear"), ("y", 2, "softplus")), "mean_std",
         HeadLayout(("Dev", "Hk"), aleatoric="std")),
        ((("x", 1, "softplus"), ("y", 1, "softplus")), "outputs", HeadLayout(("x", "y"))),
        ((("output_mean", 2, "linear"), ("output_epistemic", 2, "softplus")), "outputs",
         HeadLayout(("Dev", "Hk"), epistemic="std")),
    ],
)  # fmt: skip
def test_a_mean_and_a_deviation_only_where_graph_or_names_say_so(blocks, head, heads, tmp_path):
    model = with_outputs(blocks)
    released = read_released(save(model, tmp_path / "1", "_model.h5"))
    assert (released.head, released.heads) == (head, heads)
    np.testing.assert_allclose(released.model(_two()), columns(model), atol=1e-6)


def test_positive_heads_of_this_package_come_back(tmp_path):
    heads = HeadLayout(("Dev", "Hk"), "std", "std")
    base = build("deepstarr", (249, 4), heads, width=0.05)
    model = randomise(positive_uncertainty(base, heads))
    for form in (".keras", "_model.h5"):
        released = read_released(save(model, tmp_path / "1", form))
        assert released.heads == heads
        np.testing.assert_allclose(output(released.model), output(model), atol=1e-6)
    weights = save(model, tmp_path / "2", ".weights.h5")
    with pytest.raises(InputError, match="whether they are targets or a mean"):
        load_released(weights)
    released = read_released(weights, heads=heads)
    np.testing.assert_allclose(output(released.model), output(model), atol=1e-6)


@pytest.mark.parametrize("names", [("dense_2", "dense_3"), ("signal", "signal_sigma")])
def test_weights_that_do_not_say_what_their_layers_are(names, tmp_path):
    """Whether a softplus follows is not in weights: a guess would be other numbers in silence."""
    model = with_outputs([(name, 1, "linear") for name in names])
    written = {layer.name: layer.name for layer in model.layers}
    write_keras2_weights(model, tmp_path / "1.h5", names=written)
    with pytest.raises(InputError, match="weights alone do not say") as caught:
        load_released(tmp_path / "1.h5", input_length=60)
    assert f"--targets {' '.join(names)}" in caught.value.command_line
    assert "heads" not in caught.value.command_line
    targets = read_released(tmp_path / "1.h5", input_length=60, heads=HeadLayout(names))
    np.testing.assert_allclose(targets.model(_two()), columns(model), atol=1e-6)
    heads = HeadLayout(("y",), aleatoric="std")
    deviation = read_released(tmp_path / "1.h5", input_length=60, heads=heads).model(_two())
    mean, second = columns(model).T
    np.testing.assert_allclose(deviation[:, 0], mean, atol=1e-6)
    np.testing.assert_allclose(deviation[:, 1], np.log1p(np.exp(second)), atol=1e-6)


def test_names_that_cannot_be_targets_leave_the_model_usable(tmp_path):
    model = with_outputs((("x", 1, "linear"), ("x_total", 1, "linear")))
    path = save(model, tmp_path / "1", ".keras")
    np.testing.assert_allclose(load_released(path)(_two()), columns(model), atol=1e-6)


def test_converted_outputs_keep_their_names(tmp_path):
    model = with_outputs(DEEPSTARR)
    card = convert(save(model, tmp_path / "1", "_model.h5"), tmp_path / "2.keras")
    assert card.columns == ["Dense_Dev", "Dense_Hk"]
    assert "a dense layer for each" in (tmp_path / "2.txt").read_text()
    for remove in (False, True):
        if remove:
            (tmp_path / "2.json").unlink()
        prediction = open_weights(tmp_path / "2.keras").predict(["ACGT" * 15, "TTCA" * 15])
        assert prediction.targets == ("Dense_Dev", "Dense_Hk")
        np.testing.assert_allclose(prediction.mean, columns(model), atol=1e-6)


def test_outputs_of_different_layers_are_refused(tmp_path):
    base = build("deepstarr", (60, 4), columns_layout(2), width=0.05)
    early = layers.Dense(1, name="early")(base.get_layer("flatten").output)
    model = keras.Model(base.input, [base.output, early])
    with pytest.raises(InputError, match=r"of no known architecture|something else"):
        load_released(save(model, tmp_path / "1", ".keras"))
    model = keras.Model(base.input, [base.output, base.get_layer("conv1").output])
    with pytest.raises(InputError, match="outputs of one kind"):
        load_released(save(model, tmp_path / "2", ".keras"))


@pytest.mark.slow
def test_the_first_deepstarr_as_keras_2_writes_it(tmp_path):
    """One dense layer for each promoter: the published model, its weights, its configuration."""
    if importlib.util.find_spec("tf_keras") is None:
        pytest.skip("tf-keras is not installed")
    script = Path(__file__).parents[2] / "keras2_models.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, "two_outputs"], check=True, capture_output=True
    )
    assert done.returncode == 0
    with np.load(tmp_path / "two_outputs.npz") as held:
        x, y = held["x"].astype(np.float32), held["y"]
    for form in ("_model.h5", "_finetune.h5", ".keras"):
        released = read_released(f"{tmp_path / 'two_outputs'}{form}")
        assert released.heads.targets == ("Dense_Dev", "Dense_Hk")
        np.testing.assert_allclose(released.model(x), y, atol=1e-5)
    with pytest.raises(InputError, match="weights alone do not say"):
        load_released(tmp_path / "two_outputs.weights.h5")
    (tmp_path / "two_outputs.json").write_text((tmp_path / "two_outputs_config.json").read_text())
    released = read_released(tmp_path / "two_outputs.weights.h5")
    assert released.heads.targets == ("Dense_Dev", "Dense_Hk")
    np.testing.assert_allclose(released.model(x), y, atol=1e-5)
