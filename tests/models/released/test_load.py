"""Files that others trained: every architecture from every format, and what is asked back."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from weight_files import (
    FORMATS,
    MODELS,
    edit_config,
    edits,
    keras2_names,
    output,
    randomise,
    save,
    write_keras2_weights,
)

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.released.graph import match
from degu_tf.models.released.keras_config import read_graph
from degu_tf.models.released.load import (
    load_released,
    load_released_predictor,
    load_released_weights,
    read_released,
    read_stored,
)
from degu_tf.models.released.output_heads import columns_layout, find_heads, with_head
from degu_tf.models.released.recognise import fitting_width
from degu_tf.models.released.stored_weights import of_kind
from degu_tf.utils.errors import InputError

# Keras' own saving code, with numpy 2, and its words on the old format.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

STARRSEQ = HeadLayout(("Dev", "Hk"))
ACTIVITY = HeadLayout(("activity",))
BOTH = HeadLayout(("activity",), "std", "std")
PROFILE = HeadLayout(("profile",), aleatoric="std")
FREE = ("residualbind", "dream_rnn")

# Every architecture from every format.


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_numbers_sizes_and_length_come_back(models, name, form, tmp_path):
    model = models[name]
    length, n_columns, options = MODELS[name]
    path = save(model, tmp_path / "1", form)
    given = {}
    if name == "dream_rnn released" and form == "_keras2.h5":
        given = {"epsilon": 1e-5, "momentum": 0.9}
    released = read_released(path, **given)
    assert released.architecture == name.split()[0]
    assert {**released.options, **options} == {
        **released.options, **({"variant": "paper"} if name == "dream_rnn" else {}), **options
    }  # fmt: skip
    assert released.options.get("width") == options["width"]
    alone = form in (".weights.h5", "_keras2.h5")
    assert released.input_length == (None if alone and name.split()[0] in FREE else length)
    np.testing.assert_allclose(output(released.model, length), output(model), atol=1e-6)
    for one, two in zip(released.model.weights, model.weights, strict=True):
        assert one.path == two.path
        np.testing.assert_array_equal(one, two)
    assert len(released.predictor().heads.columns) == n_columns
    assert "Keras 2" in released.format if form == "_keras2.h5" else "Keras 3" in released.format


@pytest.mark.parametrize("head", ["mean_std", "dense_normal", "evidential"])
@pytest.mark.parametrize("name", ["deepstarr", "residualbind", "mprann"])
def test_heads_of_several_layers(models, name, head, tmp_path):
    n_columns = 8 if head == "evidential" else 4
    form = {"deepstarr": ".keras", "residualbind": "_model.h5", "mprann": ".weights.h5"}[name]
    model = randomise(with_head(models[name], head, n_columns), seed=4)
    heads = HeadLayout(("a", "b"), *{
        "mean_std": ("std",), "dense_normal": ("log_variance",),
        "evidential": ("evidential", "evidential"),
    }[head])  # fmt: skip
    released = read_released(save(model, tmp_path / "1", form), heads=heads)
    assert released.head == head
    np.testing.assert_allclose(
        output(released.model, model.input_shape[1]), output(model), atol=1e-6
    )


@pytest.mark.parametrize("names", [("mu", "std"), ("dense_8", "dense_9")])
def test_a_head_of_two_layers_in_weights_of_keras_2(models, names, tmp_path):
    model = randomise(with_head(models["mprann"], "mean_std", 4), seed=4)
    known = keras2_names(model, start=6)
    known |= dict(zip(("output_mean", "output_std"), names, strict=True))
    order = model.layers if names[0] == "dense_8" else model.layers[:-3] + model.layers[-2:-4:-1]
    write_keras2_weights(model, tmp_path / "1.h5", names=known, order=order)
    released = read_released(tmp_path / "1.h5", heads=HeadLayout(("a", "b"), "std"))
    assert released.head == "mean_std"
    np.testing.assert_allclose(output(released.model), output(model), atol=1e-6)


def test_explicit_sizes_where_no_width_fits(tmp_path):
    options = {"variant": "released", "lstm_units": 3, "conv_filters": (5, 6), "epsilon": 0.01}
    model = randomise(
        build("dream_rnn", (30, 4), columns_layout(3), pointwise_filters=7, **options)
    )
    released = read_released(save(model, tmp_path / "1", ".keras"))
    assert released.options == {**options, "pointwise_filters": 7, "momentum": 0.99}
    sizes = {"conv_filters": (5, 6, 7), "dense_units": (8,), "bottleneck": 3, "task_filters": 4}
    model = build("cnn_task_base", (128, 4), PROFILE, profile_filters=9, **sizes)
    released = read_released(save(model, tmp_path / "2", ".weights.h5"))
    assert released.options == {**sizes, "profile_filters": 9}
    model = build("deepstarr", (64, 4), STARRSEQ, conv_filters=(5, 6), conv_kernels=(3, 5),
                  dense_units=(7,), dropout=0.25)  # fmt: skip
    released = read_released(save(model, tmp_path / "3", ".keras"))
    assert released.options == {
        "conv_filters": (5, 6), "conv_kernels": (3, 5), "dense_units": (7,), "dropout": 0.25
    }  # fmt: skip
    assert released.model.get_layer("dense1_dropout").rate == 0.25
    model = build("residualbind", (50, 4), ACTIVITY, width=0.05, dilations=(1, 3))
    released = read_released(save(model, tmp_path / "4", ".keras"))
    assert released.options == {"width": 0.05, "dilations": (1, 3)}
    np.testing.assert_allclose(output(released.model), output(model), atol=1e-6)


def test_dropout_that_no_option_expresses_is_kept_in_the_model(models, tmp_path):
    path = save(models["residualbind"], tmp_path / "1", ".keras")
    edit_config(path, lambda layers: layers["conv1_dropout"]["config"].update(rate=0.45))
    released = read_released(path)
    assert "conv_dropout" not in released.options
    assert released.model.get_layer("conv1_dropout").rate == 0.45
    assert released.model.get_layer("conv2_dropout").rate == 0.2
    with_option = read_released(path, conv_dropout=0.1)
    assert with_option.model.get_layer("conv1_dropout").rate == 0.1


@pytest.mark.parametrize("name", ["deepstarr", "dream_rnn"])
def test_released_weights_into_a_given_model(models, name, tmp_path):
    path = save(models[name], tmp_path / "1", ".weights.h5")
    length, n_columns, options = MODELS[name]
    ours = build(name, (length, 4), columns_layout(n_columns), **options)
    load_released_weights(ours, path)
    np.testing.assert_array_equal(output(ours), output(models[name]))
    other = build(name, (length, 4), columns_layout(n_columns + 1), **options)
    before = other.get_weights()
    with pytest.raises(InputError, match=rf"1\.weights\.h5: output of {name} has arrays of shapes"):
        load_released_weights(other, path)
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    wrong = build("residualbind", (230, 4), ACTIVITY, width=0.05)
    with pytest.raises(InputError, match=r"residualbind has 8 Conv1D layers, the file [45]"):
        load_released_weights(wrong, path)


# Weights of Keras 2, written by it.


@pytest.mark.slow
def test_files_that_keras_2_wrote(tmp_path):
    if importlib.util.find_spec("tf_keras") is None:
        pytest.skip("tf-keras is not installed")
    script = Path(__file__).parents[2] / "keras2_models.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    forms = ("_model.h5", "_finetune.h5", ".weights.h5", ".keras")
    found = 0
    for pair in sorted(tmp_path.glob("*.npz")):
        with np.load(pair) as held:
            x, y = held["x"].astype(np.float32), held["y"]
        assert np.ptp(y, axis=0).max() > 1e-3
        wrapped = ("_wrapped.h5", "_wrapped.weights.h5") if pair.stem == "deepstarr" else ()
        for form in (*forms, *wrapped):
            heads = None
            if form == ".weights.h5" and "mean_std" in pair.stem:  # a format without layers' names
                heads = HeadLayout(("a", "b") if y.shape[1] == 4 else ("a",), aleatoric="std")
            model = load_released(f"{tmp_path / pair.stem}{form}", heads=heads)
            np.testing.assert_allclose(
                model.predict(x, verbose=0), y, rtol=0, atol=1e-5, err_msg=f"{pair.stem}{form}"
            )
            found += 1
    assert found == 10 * 4 + 2


@pytest.mark.parametrize(
    ("file", "pair", "found"),
    [
        ("1_DeepSTARR.h5", "1_DeepSTARR", ("deepstarr", {}, 249, STARRSEQ)),
        ("2_DeepSTARR_finetune.h5", "2_DeepSTARR_finetune",
         ("deepstarr", {}, 249, HeadLayout(("Dev", "Hk"), epistemic="std"))),
        ("1_ResidualBind.h5", "1_ResidualBind", ("residualbind", {}, 230, BOTH)),
        ("1_lentiMPRA.weights.h5", "1_lentiMPRA_evidential",
         ("residualbind", {}, None, HeadLayout(("activity",), aleatoric="log_variance"))),
        ("1_DREAM_RNN.h5", "1_DREAM_RNN",
         ("dream_rnn", {"variant": "released", "lstm_units": 16, "epsilon": 1e-3,
                        "momentum": 0.99}, 249, STARRSEQ)),
        ("1_CNN_task_base.h5", "1_CNN_task_base",
         ("cnn_task_base", {"bottleneck": 2}, 256, PROFILE)),
    ],
)  # fmt: skip
def test_released_files_give_the_stored_predictions(file, pair, found, real_data):
    with np.load(real_data / "weights" / f"{pair}.io.npz") as held:
        x, y = held["x"].astype(np.float32), held["y"]
    released = read_released(real_data / "weights" / file)
    assert (
        released.architecture, released.options, released.input_length, released.heads
    ) == found  # fmt: skip
    assert np.ptp(y, axis=0).min() > 1e-4
    np.testing.assert_allclose(released.model.predict(x, verbose=0), y, rtol=0, atol=1e-5)


# What the columns mean.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_columns", "length", "heads"),
    [
        ("deepstarr", 2, 249, STARRSEQ),
        ("deepstarr", 4, 249, HeadLayout(("Dev", "Hk"), epistemic="std")),
        ("residualbind", 1, 230, ACTIVITY),
        ("mprann", 3, 230, BOTH),
        ("dream_rnn", 2, 249, STARRSEQ),
        ("dream_rnn", 1, 60, ACTIVITY),
        ("dream_rnn", 3, 60, BOTH),
        ("cnn_task_base", 2, 130, PROFILE),
        ("cnn_task_base", 3, 130, HeadLayout(("profile",), "std", "std")),
    ],
)
def test_columns_mean_what_they_mean_in_the_released_files(
    name, n_columns, length, heads, tmp_path
):
    model = build(name, (length, 4), columns_layout(n_columns), width=0.03)
    assert read_released(save(model, tmp_path / "1", ".keras")).heads == heads


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_a_predictor_from_a_file(models, tmp_path):
    path = save(models["mprann"], tmp_path / "1", ".keras")
    predictor = load_released_predictor(path, heads=HeadLayout(("K562",), "std", "std"))
    prediction = predictor.predict([("ACGTT" * 46)])
    assert prediction.targets == ("K562",)
    assert prediction.mean.shape == prediction.epistemic.shape == (1, 1)


@pytest.mark.parametrize(
    ("name", "head", "n_columns", "heads"),
    [
        ("deepstarr", "mean_std", 4, HeadLayout(("Dev", "Hk"), aleatoric="std")),
        ("deepstarr", "dense_normal", 4, HeadLayout(("Dev", "Hk"), aleatoric="log_variance")),
        ("deepstarr", "evidential", 8, HeadLayout(("Dev", "Hk"), "evidential", "evidential")),
        ("mprann", "mean_std", 2, HeadLayout(("activity",), aleatoric="std")),
        ("residualbind", "dense_normal", 2, HeadLayout(("activity",), aleatoric="log_variance")),
        ("dream_rnn", "mean_std", 2, HeadLayout(("activity",), aleatoric="std")),
    ],
)
def test_heads_of_several_layers_say_what_they_mean(name, head, n_columns, heads):
    assert find_heads(name, head, n_columns, 249 if name == "deepstarr" else 230, None) == heads


@pytest.mark.parametrize(("name", "head"), [("deepstarr", "linear"), ("residualbind", "mean_std")])
def test_columns_of_no_released_file_are_asked_for(name, head):
    with pytest.raises(InputError, match="are not those of a released file: give heads"):
        find_heads(name, head, 6, 230, None)


@pytest.mark.parametrize("name", ["residualbind", "mprann"])
def test_two_columns_of_lentimpra_are_asked_for(name, tmp_path):
    model = build(name, (230, 4), columns_layout(2), width=0.03)
    path = save(model, tmp_path / "1", ".keras")
    np.testing.assert_allclose(output(load_released(path)), output(model), atol=1e-6)
    with pytest.raises(InputError, match="may mean several things: give heads") as caught:
        load_released_predictor(path)
    flags = caught.value.command_line
    for role, form in (
        ("aleatoric", "std"), ("aleatoric", "log_variance"), ("epistemic", "std")
    ):  # fmt: skip
        assert f"HeadLayout(('activity',), {role}='{form}')" in str(caught.value)
        assert f"--targets activity --{role} {form}" in flags
    assert "heads" not in flags
    assert "HeadLayout" not in flags
    assert flags.endswith("Received: no --targets")
    heads = HeadLayout(("K562",), aleatoric="log_variance")
    assert read_released(path, heads=heads).heads == heads


def test_a_dream_rnn_of_two_columns_and_any_length_is_asked_for(tmp_path):
    model = build("dream_rnn", (None, 4), columns_layout(2), width=0.03)
    path = save(model, tmp_path / "1", ".weights.h5")
    assert load_released(path).output_shape == (None, 2)
    with pytest.raises(InputError, match=r"give heads, HeadLayout\(\('Dev', 'Hk'\)\) or"):
        load_released_predictor(path)
    released = read_released(path, input_length=249)
    assert (released.heads, released.input_length) == (STARRSEQ, 249)


@pytest.mark.parametrize(
    ("n_columns", "heads", "message"),
    [
        (2, BOTH, r"the model's 2 columns\. Received: the columns .*epistemic"),
        (4, HeadLayout(("a",), "evidential", "evidential"), "none of those"),
        (5, None, "are not those of a released file: give heads, a HeadLayout"),
        (2, ("Dev", "Hk"), "heads must be a HeadLayout"),
    ],
)
def test_heads_that_cannot_be_are_refused(n_columns, heads, message, tmp_path):
    model = build("deepstarr", (249, 4), columns_layout(n_columns), width=0.03)
    with pytest.raises(InputError, match=message):
        load_released_predictor(save(model, tmp_path / "1", ".keras"), heads=heads)


def test_deviations_of_two_layers_are_not_several_uncertainties(models, tmp_path):
    model = with_head(models["mprann"], "mean_std", 4)
    path = save(model, tmp_path / "1", ".keras")
    with pytest.raises(InputError, match="means and as many uncertainties"):
        load_released(path, heads=HeadLayout(("a", "b", "c", "d")))


# The input length.


def test_weights_alone_fit_several_lengths(tmp_path):
    model = build("deepstarr", (70, 4), STARRSEQ, width=0.03)
    path = save(model, tmp_path / "1", ".weights.h5")
    with pytest.raises(InputError, match=r"any length from 64 to 79: give input_length") as caught:
        load_released(path)
    assert caught.value.command_line.endswith("give `degu convert` --length. Received: no --length")
    assert load_released(path, input_length=70).input_shape == (None, 70, 4)
    for length in (63, 80):
        with pytest.raises(InputError, match=f"length from 64 to 79.*Received: {length} bases$"):
            load_released(path, input_length=length)
    for wrong in ("249", 0, 249.0, True):
        with pytest.raises(InputError, match="must be a number of bases"):
            load_released(path, input_length=wrong)


def test_the_file_says_which_length(models, tmp_path):
    path = save(models["mprann"], tmp_path / "1", ".keras")
    assert load_released(path).input_shape == (None, 230, 4)
    with pytest.raises(InputError, match=r"length from 229 to 230.*Received: 231 bases$"):
        load_released(path, input_length=231)
    path = save(models["residualbind"], tmp_path / "2", ".keras")
    assert load_released(path, input_length=500).input_shape == (None, 500, 4)


# Order: which layer is which.


def test_names_that_count_otherwise_than_the_file_lists(models, tmp_path):
    model = models["deepstarr"]
    normal = [layer for layer in model.layers if "bn" in layer.name]
    names = keras2_names(model)
    last, before = normal[-1].name, normal[-2].name
    names[last], names[before] = names[before], names[last]
    write_keras2_weights(model, tmp_path / "1.h5", names=names)
    with pytest.raises(InputError, match="order of the file's BatchNormalization layers differs"):
        load_released(tmp_path / "1.h5")


def test_shapes_decide_where_only_one_order_fits(models, tmp_path):
    model = models["deepstarr"]
    write_keras2_weights(model, tmp_path / "1.h5", order=sorted(model.layers, key=lambda x: x.name))
    np.testing.assert_array_equal(output(load_released(tmp_path / "1.h5")), output(model))


def test_branches_joined_in_another_order(tmp_path):
    """The kernel of 15 comes first in the concatenation: its channels are the first ones."""
    model = randomise(build("dream_rnn", (30, 4), columns_layout(3), width=0.03))
    turned = build("dream_rnn", (30, 4), columns_layout(3), width=0.03, conv_kernels=(15, 9))
    path = save(model, tmp_path / "1", ".keras")

    def turn(layers):
        for name in ("first_concatenate", "second_concatenate"):
            layers[name]["inbound_nodes"][0]["args"][0].reverse()

    edit_config(path, turn)
    released = read_released(path)
    assert released.options["conv_kernels"] == (15, 9)
    for block in ("first", "second"):
        for one, two in ((1, 2), (2, 1)):
            turned.get_layer(f"{block}_conv{one}").set_weights(
                model.get_layer(f"{block}_conv{two}").get_weights()
            )
    for name in ("lstm", "pointwise", "output"):
        turned.get_layer(name).set_weights(model.get_layer(name).get_weights())
    np.testing.assert_allclose(output(released.model), output(turned), atol=1e-6)
    assert np.abs(output(released.model) - output(model)).max() > 1e-3


def test_tasks_come_in_the_order_of_their_columns(models, tmp_path):
    model = models["cnn_task_base"]
    path = save(model, tmp_path / "1", ".keras")
    edit_config(path, lambda layers: layers["output"]["inbound_nodes"][0]["args"][0].reverse())
    np.testing.assert_allclose(
        output(load_released(path)), output(model)[..., ::-1], rtol=0, atol=1e-6
    )


# A graph that computes something else.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edits(layer="conv1_relu", activation="exponential"),
         r"conv1_relu is activation\(function='exponential'\), .*function='relu'"),
        (edits(layer="conv2_bn", epsilon=1e-5), r"conv2_bn is .*\(epsilon=1e-05\)"),
        (edits(layer="conv2", dilation_rate=[2]), r"conv2 is conv\(dilation_rate=2\)"),
        (edits(layer="conv2", padding="causal"), r"conv2 is conv\(padding='causal'\)"),
        (edits(layer="conv3_pool", strides=[1]), r"conv3_pool is max_pooling\(strides=1\)"),
        (edits(layer="output", activation="softplus"), r"output/activation is activation"),
        (lambda layers: layers["dense1_dropout"]["inbound_nodes"][0]["kwargs"].update(
            training=True), r"dense1_dropout is Dropout\(training=True\)"),
        (lambda layers: layers["conv2_relu"].update(class_name="GELU"), "conv2_relu is GELU"),
        (lambda layers: layers["dense2"].update(registered_name="lab>Dense"),
         r"dense2 is lab>Dense\(\), expected dense"),
        (lambda layers: layers["dense2"].update(module="lab.layers"), "dense2 is lab.layers.Dense"),
    ],
)  # fmt: skip
def test_what_bears_on_a_number_must_agree(models, change, message, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", ".keras")
    edit_config(path, change)
    with pytest.raises(InputError, match=message) as caught:
        load_released(path)
    assert "something else than deepstarr" in str(caught.value)


def test_a_layer_of_another_class_than_its_arrays(models, tmp_path):
    path = save(models["residualbind"], tmp_path / "1", ".keras")
    edit_config(path, lambda layers: layers["residual2"].update(class_name="Conv2D"))
    with pytest.raises(InputError, match="residual2 is Conv2D"):
        load_released(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edits(layer="sequence", batch_shape=[None, 249, 5]), r"input is \(length, 4\)"),
        (edits(layer="sequence", batch_shape=[None, "249", 4]), "input length in bases"),
        (lambda layers: layers["dense1"]["inbound_nodes"].append(
            layers["dense1"]["inbound_nodes"][0]), "used more than once. Received: dense1"),
        (lambda layers: layers["conv1"].update(inbound_nodes=layers["dense1"]["inbound_nodes"]),
         "not connected rightly"),
        (lambda layers: layers["dense2"].update(inbound_nodes=layers["dense1"]["inbound_nodes"]),
         "lead to no output. Received: .*dense1"),
    ],
)  # fmt: skip
def test_graphs_that_are_none(models, change, message, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", "_model.h5")
    edit_config(path, change)
    with pytest.raises(InputError, match=message):
        load_released(path)


def test_what_leaves_a_prediction_as_it_is_may_differ(models, tmp_path):
    x = keras.Input((249, 4))
    y = keras.layers.Identity()(keras.layers.Permute((1, 2))(x))
    for i, (filters, kernel) in enumerate(((5, 3), (6, 5))):
        y = keras.layers.Conv1D(filters, kernel, padding="same")(y)
        y = keras.layers.BatchNormalization(axis=2 if i else -1)(y)
        y = keras.layers.MaxPooling1D(2)(keras.layers.ReLU()(y))
    y = keras.layers.Flatten()(keras.layers.Flatten()(y))
    y = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(keras.layers.Dense(4)(y)))
    model = randomise(keras.Model(x, keras.layers.Dense(2, activation="linear")(y)))
    released = read_released(save(model, tmp_path / "1", ".keras"))
    assert released.architecture == "deepstarr"
    np.testing.assert_array_equal(output(released.model), output(model))


def test_sums_are_the_same_either_way_round():
    def net(turned):
        x = keras.Input((8, 4), name="x")
        y = keras.layers.Conv1D(4, 3, padding="same", name="c")(x)
        pair = [y, x] if turned else [x, y]
        return keras.Model(x, keras.layers.Add(name="sum")(pair))

    one, two = (read_graph(json.loads(net(turned).to_json())) for turned in (False, True))
    assert match(one, two)[0] == {"x": "x", "c": "c", "sum": "sum"}


# Unknown architectures.


def test_unknown_layers_are_shown_with_what_would_fit(tmp_path):
    x = keras.Input((50, 4))
    y = keras.layers.Flatten()(keras.layers.Conv1D(3, 5)(x))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(6, "relu")(y)))
    path = save(model, tmp_path / "1", ".keras")
    with pytest.raises(InputError, match="of no known architecture") as caught:
        load_released(path)
    message = str(caught.value)
    for name in ("cnn_task_base", "deepstarr", "dream_rnn", "mprann", "residualbind"):
        assert f"{name}: " in message
    assert message.endswith("Received: 1 Conv1D (5x4x3); 2 Dense (138x6, 6x2)")
    with pytest.raises(InputError, match=r"architecture \(what would fit: dream_rnn: one LSTM\)"):
        load_released(path, architecture="dream_rnn")
    with pytest.raises(InputError, match="Did you mean dream_rnn"):
        load_released(path, architecture="dreamrnn")
    path = save(build("deepstarr", (249, 4), STARRSEQ, width=0.03), tmp_path / "2", ".keras")
    with pytest.raises(InputError, match="deepstarr has the options"):
        load_released(path, depth=3)


def test_layers_of_other_kinds_are_named(tmp_path):
    x = keras.Input((50, 4))
    y = keras.layers.GlobalAveragePooling1D()(keras.layers.GRU(3, return_sequences=True)(x))
    model = keras.Model(x, keras.layers.Dense(2)(y))
    for form in (".weights.h5", "_model.h5"):
        with pytest.raises(InputError, match=r"expected convolutions, dense.*Received: layer gru"):
            load_released(save(model, tmp_path / "1", form))


def test_widths():
    assert fitting_width((192, 256, 512), (96, 128, 256)) == 0.5
    assert fitting_width((256, 60, 120), (85, 20, 40)) == 0.331
    assert fitting_width((256, 8), (256, 2)) is None
    assert fitting_width((256, 8), (256,)) is None
    assert fitting_width((256, 256), (1, 1)) is not None


def test_stored_layers_of_a_file(models, tmp_path):
    stored = read_stored(save(models["dream_rnn released"], tmp_path / "1", ".weights.h5"))
    assert [
        len(of_kind(stored.layers, kind))
        for kind in ("Conv1D", "BatchNormalization", "Bidirectional LSTM", "Dense")
    ] == [5, 4, 1, 1]
