"""Files that others trained: every format and architecture, exact numbers, and what is refused."""

import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from degu_tf.errors import InputError
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.graph import match
from degu_tf.models.keras_config import read_graph
from degu_tf.models.recognise import fitting_width
from degu_tf.models.released import (
    load_released,
    load_released_predictor,
    load_released_weights,
    read_released,
    read_stored,
)
from degu_tf.models.released_heads import columns_layout, find_heads, with_head
from degu_tf.models.stored import of_kind

# Keras' own saving code, with numpy 2, and its words on the old format.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

STARRSEQ = HeadLayout(("Dev", "Hk"))
ACTIVITY = HeadLayout(("activity",))
BOTH = HeadLayout(("activity",), "std", "std")
PROFILE = HeadLayout(("profile",), aleatoric="std")

MODELS = {
    "deepstarr": (249, 2, {"width": 0.05}),
    "residualbind": (230, 3, {"width": 0.05}),
    "mprann": (230, 3, {"width": 0.04}),
    "dream_rnn": (30, 4, {"width": 0.04}),
    "dream_rnn released": (30, 4, {"width": 0.04, "variant": "released"}),
    "cnn_task_base": (130, 3, {"width": 0.05}),
}
FREE = ("residualbind", "dream_rnn")
FORMATS = (".keras", ".weights.h5", "_model.h5", "_keras2.h5")


def randomise(model, seed=0):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "variance" in weight.name or "gamma" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        else:
            fan_in = np.prod(weight.shape[:-1] or (16,))
            weight.assign(rng.normal(0, fan_in**-0.5, weight.shape))
    return model


def sequences(length, n=3):
    tokens = np.random.default_rng(1).integers(0, 4, (n, length))
    return np.eye(4, dtype=np.float32)[tokens]


@pytest.fixture(scope="module")
def models():
    """One small model of each architecture and variant, with random weights."""
    made = {}
    for name, (length, n_columns, options) in MODELS.items():
        heads = columns_layout(n_columns)
        made[name] = randomise(build(name.split()[0], (length, 4), heads, **options))
    return made


def output(model, length=None):
    return model(sequences(length or model.input_shape[1]), training=False).numpy()


def save(model, path, form):
    """Write a model in one of `FORMATS`; give the file."""
    path = Path(f"{path}{form}")
    if form == "_keras2.h5":
        write_keras2_weights(model, path)
    elif form == ".weights.h5":
        model.save_weights(path)
    else:
        model.save(path)
    return path


def keras2_names(model, start=8):
    """Names as Keras 2 gives them to layers, counted from `start` in order of creation."""
    numbers, names = {}, {}
    for layer in model.layers:
        base = "_".join(
            keras.src.saving.saving_lib.naming.to_snake_case(type(layer).__name__).split()
        )
        numbers[base] = numbers.get(base, start - 1) + 1
        names[layer.name] = f"{base}_{numbers[base]}"
    return names


def write_keras2_weights(model, path, order=None, names=None):
    """Weights alone as Keras 2 wrote them: a list of layers, and arrays by variables' names."""
    names = names or keras2_names(model)
    with h5py.File(path, "w") as file:
        layers = order or model.layers
        file.attrs["layer_names"] = [names[layer.name].encode() for layer in layers]
        file.attrs["keras_version"] = b"2.15.0"
        for layer in layers:
            group = file.create_group(names[layer.name])
            variables = []
            for weight in layer.weights:
                variable = "/".join([names[layer.name], *weight.path.split("/")[1:]]) + ":0"
                variables.append(variable.encode())
                group[variable] = weight.numpy()
            group.attrs["weight_names"] = variables


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
    script = Path(__file__).with_name("keras2_models.py")
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    forms = ("_model.h5", "_finetune.h5", ".weights.h5", ".keras")
    found = 0
    for pair in sorted(tmp_path.glob("*.npz")):
        with np.load(pair) as held:
            x, y = held["x"].astype(np.float32), held["y"]
        assert np.ptp(y, axis=0).max() > 1e-3
        wrapped = ("_wrapped.h5", "_wrapped.weights.h5") if pair.stem == "deepstarr" else ()
        for form in (*forms, *wrapped):
            model = load_released(f"{tmp_path / pair.stem}{form}")
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


# PyTorch.


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def torch_network(torch, n_columns=4, filters=8, units=5, last=7):
    """The released DREAM-RNN of PyTorch's own layers, with random weights and statistics."""
    nn = torch.nn

    def block(channels):
        return nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, filters, kernel, padding="same"),
                nn.BatchNorm1d(filters), nn.ReLU(), nn.Dropout(0.2),
            )
            for kernel in (9, 15)
        )  # fmt: skip

    class Block(nn.Module):
        def __init__(self, **layers):
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first_block = Block(conv_blocks=block(4))
            self.core_block = Block(
                lstm=nn.LSTM(2 * filters, units, bidirectional=True, batch_first=True),
                conv_blocks=block(2 * units),
                dropout=nn.Dropout(0.5),
            )
            self.final_block = Block(
                pointwise_conv=nn.Conv1d(2 * filters, last, 1, padding="same"),
                final_dense=nn.Linear(last, n_columns),
            )

        def forward(self, x):
            x = torch.cat([conv(x) for conv in self.first_block.conv_blocks], dim=1)
            x = self.core_block.lstm(x.transpose(1, 2))[0].transpose(1, 2)
            x = torch.cat([conv(x) for conv in self.core_block.conv_blocks], dim=1)
            x = self.final_block.pointwise_conv(self.core_block.dropout(x)).mean(dim=2)
            return self.final_block.final_dense(x)

    torch.manual_seed(2)
    network = Network()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(1e-3, 2.0)
        for name, weight in network.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 2 * weight[0].numel() ** -0.5)
            elif "bias" in name:
                weight.uniform_(-0.8, 0.8)
            else:
                weight.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("held", ["state", "checkpoint", "parallel", "legacy"])
def test_pytorch_gives_the_same_numbers(torch, held, tmp_path):
    network = torch_network(torch)
    state, path = network.state_dict(), tmp_path / "1_model.pth"
    if held == "checkpoint":
        step = {"step": torch.tensor(7.0), "exp_avg": torch.zeros(3)}
        optimiser = {"state": {0: step}, "param_groups": [{"lr": 5e-3, "params": [0]}]}
        state = {"epoch": 80, "model_state_dict": state, "optimizer_state_dict": optimiser}
    elif held == "parallel":
        state = {f"module.{name}": value for name, value in state.items()}
    torch.save(state, path, _use_new_zipfile_serialization=held != "legacy")
    released = read_released(path)
    x = sequences(60, n=5)
    with torch.no_grad():
        expected = network(torch.from_numpy(x.transpose(0, 2, 1).copy())).numpy()
    assert np.ptp(expected, axis=0).min() > 1e-2
    np.testing.assert_allclose(released.model(x, training=False), expected, rtol=0, atol=1e-5)
    assert (released.architecture, released.input_length) == ("dream_rnn", None)
    assert released.options == {
        "variant": "released", "conv_filters": (8, 8), "lstm_units": 5, "pointwise_filters": 7
    }  # fmt: skip
    assert released.heads == HeadLayout(("Dev", "Hk"), epistemic="std")
    assert released.format == "PyTorch (.pth)"


def test_pytorch_weights_into_a_model_of_another_epsilon_are_refused(torch, tmp_path):
    torch.save(torch_network(torch).state_dict(), tmp_path / "1.pth")
    options = {
        "variant": "released", "conv_filters": (8, 8), "lstm_units": 5, "pointwise_filters": 7
    }  # fmt: skip
    ours = build("dream_rnn", (None, 4), columns_layout(4), **options)
    load_released_weights(ours, tmp_path / "1.pth")
    ours = build("dream_rnn", (None, 4), columns_layout(4), epsilon=1e-3, **options)
    with pytest.raises(
        InputError, match=r"epsilon of 1e-05\. Received: first_conv1_bn with 0\.001"
    ):
        load_released_weights(ours, tmp_path / "1.pth")


def test_other_pytorch_networks_are_refused_by_name(torch, tmp_path):
    path = tmp_path / "1.pth"
    state = torch_network(torch).state_dict()
    state["first_block.se.weight"] = state.pop("final_block.final_dense.weight")
    torch.save(state, path)
    with pytest.raises(
        InputError, match=r"without \['final_block.final_dense.weight'\].*se.weight"
    ):
        load_released(path)
    torch.save({"one": torch_network(torch).state_dict(), "two": state}, path)
    with pytest.raises(InputError, match=r"one state dictionary.*Received: \['one', 'two'\]$"):
        load_released(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match=r"one state dictionary.*Received: list$"):
        load_released(path)
    state = torch_network(torch).state_dict()
    state["core_block.lstm.weight_hh_l0"] = state["core_block.lstm.weight_hh_l0"].int()
    torch.save(state, path)
    with pytest.raises(InputError, match=r"float weights.*weight_hh_l0 of torch\.int32$"):
        load_released(path)


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "1.pth"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"pip install 'degu_tf\[torch\]'$"):
        load_released(path)


# What the columns mean.


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
    with pytest.raises(InputError, match="may mean several things: give heads") as caught:
        load_released(path)
    for form in ("aleatoric='std'", "aleatoric='log_variance'", "epistemic='std'"):
        assert f"HeadLayout(('activity',), {form})" in str(caught.value)
    heads = HeadLayout(("K562",), aleatoric="log_variance")
    assert read_released(path, heads=heads).heads == heads


def test_a_dream_rnn_of_two_columns_and_any_length_is_asked_for(tmp_path):
    model = build("dream_rnn", (None, 4), columns_layout(2), width=0.03)
    path = save(model, tmp_path / "1", ".weights.h5")
    with pytest.raises(InputError, match=r"give heads, HeadLayout\(\('Dev', 'Hk'\)\) or"):
        load_released(path)
    released = read_released(path, input_length=249)
    assert (released.heads, released.input_length) == (STARRSEQ, 249)


@pytest.mark.parametrize(
    ("n_columns", "heads", "message"),
    [
        (2, BOTH, r"emits 2 columns\. Received: heads with the columns .*epistemic"),
        (4, HeadLayout(("a",), "evidential", "evidential"), "none of those"),
        (5, None, "are not those of a released file: give heads, a HeadLayout"),
        (2, ("Dev", "Hk"), "heads must be a HeadLayout"),
    ],
)
def test_heads_that_cannot_be_are_refused(n_columns, heads, message, tmp_path):
    model = build("deepstarr", (249, 4), columns_layout(n_columns), width=0.03)
    with pytest.raises(InputError, match=message):
        load_released(save(model, tmp_path / "1", ".keras"), heads=heads)


def test_deviations_of_two_layers_are_not_several_uncertainties(models, tmp_path):
    model = with_head(models["mprann"], "mean_std", 4)
    path = save(model, tmp_path / "1", ".keras")
    with pytest.raises(InputError, match="means and as many uncertainties"):
        load_released(path, heads=HeadLayout(("a", "b", "c", "d")))


# The input length.


def test_weights_alone_fit_several_lengths(tmp_path):
    model = build("deepstarr", (70, 4), STARRSEQ, width=0.03)
    path = save(model, tmp_path / "1", ".weights.h5")
    with pytest.raises(InputError, match=r"any length from 64 to 79: give input_length"):
        load_released(path)
    assert load_released(path, input_length=70).input_shape == (None, 70, 4)
    for length in (63, 80):
        with pytest.raises(InputError, match=f"fit lengths from 64 to 79.*input_length={length}$"):
            load_released(path, input_length=length)
    for wrong in ("249", 0, 249.0, True):
        with pytest.raises(InputError, match="must be a number of bases"):
            load_released(path, input_length=wrong)


def test_the_file_says_which_length(models, tmp_path):
    path = save(models["mprann"], tmp_path / "1", ".keras")
    assert load_released(path).input_shape == (None, 230, 4)
    with pytest.raises(InputError, match=r"fit lengths from 229 to 230\. .*input_length=231$"):
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
    with pytest.raises(InputError, match="lists its BatchNormalization layers in another order"):
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


def edit_config(path, change):
    """Change the configuration in a `.keras` or `.h5` file by a function of its layers by name."""

    def edited(text):
        config = json.loads(text)
        change({layer["config"]["name"]: layer for layer in config["config"]["layers"]})
        return json.dumps(config)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = edited(file.attrs["model_config"])
        return
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held["config.json"] = edited(held["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)


def edits(**changes):
    """A change of the configuration of one layer."""
    name = changes.pop("layer")
    return lambda layers: layers[name]["config"].update(changes)


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


# Hostile and damaged files: refused with the reason, nothing executed, nothing written.


@pytest.fixture
def refused(tmp_path):
    """A function that loads a file, asserts that it is refused, and that nothing came of it."""
    marker = tmp_path / "executed"

    def check(path, message):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError, match=message) as caught:
            load_released(path)
        assert str(path) in str(caught.value)
        assert not marker.exists()
        assert sorted(tmp_path.rglob("*")) == before

    check.marker = marker
    return check


@pytest.mark.parametrize("form", [".keras", "_model.h5"])
def test_lambda_layers(refused, form, tmp_path):
    marker = str(refused.marker)
    x = keras.Input((249, 4))
    y = keras.layers.Lambda(lambda t: (open(marker, "w").close(), t)[1], name="evil")(x)
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))
    path = save(model, tmp_path / "1", form)
    refused.marker.unlink()
    keras.models.load_model(path, compile=False, safe_mode=False, custom_objects=None)
    assert refused.marker.exists(), "the file would run code in another loader"
    refused.marker.unlink()
    refused(
        path, "Lambda layer, which is code of its author; it was not run. Received: Lambda evil"
    )


def test_a_lambda_as_activation(refused, models, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", ".keras")
    code = {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}
    edit_config(path, edits(layer="conv1_relu", activation=code))
    refused(path, "code of its author; it was not run. Received: __lambda__")


def test_a_lambda_that_weights_list(refused, models, tmp_path):
    model = models["deepstarr"]
    names = {**keras2_names(model), "conv1_relu": "lambda_3"}
    write_keras2_weights(model, tmp_path / "1.h5", names=names)
    refused(tmp_path / "1.h5", "lists a Lambda layer, whose code is not in it.*lambda_3")
    path = save(model, tmp_path / "2", ".weights.h5")
    with h5py.File(path, "r+") as file:
        file.create_group("layers/lambda/vars")
    refused(path, "lists a Lambda layer, whose code is not in it.*Received: lambda$")


class Command:
    """Unpickled by anyone who is careless, it runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_that_runs_a_command(torch, refused, form, tmp_path):
    path = tmp_path / "1_model.pth"
    content = {"model_state_dict": Command(refused.marker)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    refused(path, r"tensors and nothing else; none of it was run \(.*posix\.system")
    path.rename(tmp_path / "1_DeepSTARR.h5")
    refused(tmp_path / "1_DeepSTARR.h5", "none of it was run")


def test_a_zip_bomb(refused, torch, tmp_path):
    path = tmp_path / "1.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(32 << 20))
    refused(path, r"zip file would unpack to 33,554,434 bytes.*Received: \d\d,\d{3} bytes$")
    with zipfile.ZipFile(tmp_path / "1.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(32 << 20))
    refused(tmp_path / "1.pth", "would unpack to")


def test_a_bomb_within(refused, torch, tmp_path):
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file.create_dataset("layers/conv1d/vars/0", (9, 4, 10**9), "f4", chunks=(9, 4, 100))
    refused(tmp_path / "1.h5", "HDF5 file would unpack to 144,000,000,000 bytes")
    state = torch_network(torch).state_dict()
    state["final_block.final_dense.weight"] = torch.zeros(1).expand(10**5, 10**5)
    torch.save(state, tmp_path / "1.pth")
    refused(tmp_path / "1.pth", "PyTorch file would unpack to 40,")


def test_names_twice_in_a_zip(refused, models, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", ".keras")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    refused(path, "expected different names in a zip file")


@pytest.mark.parametrize("form", [".keras", ".weights.h5", "_model.h5", "_keras2.h5"])
def test_truncated_files(refused, models, form, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", form)
    content = path.read_bytes()
    for share in (0.999, 0.6, 0.1, 0.0001):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path, "damaged|expected a model or weights|does not hold|once each")


def test_a_truncated_pytorch_file(refused, torch, tmp_path):
    path = tmp_path / "1.pth"
    torch.save(torch_network(torch).state_dict(), path)
    content = path.read_bytes()
    for share in (0.99, 0.5, 0.1):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path, "damaged|tensors and nothing else")


def test_bytes_that_were_changed(models, tmp_path):
    """Whatever a flipped byte does, it ends in a refusal or in numbers, and never in a crash."""
    path = save(models["deepstarr"], tmp_path / "1", "_keras2.h5")
    content = path.read_bytes()
    rng = np.random.default_rng(6)
    for _ in range(12):
        changed = bytearray(content)
        for place in rng.integers(0, 4000, 3):
            changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            read_stored(path)
        except InputError:
            continue


@pytest.fixture
def weights(models, tmp_path):
    """A file of weights, opened to be changed, and an array in it."""
    path = save(models["deepstarr"], tmp_path / "1", ".weights.h5")
    (tmp_path / "elsewhere.bin").write_bytes(bytes(4096))
    with h5py.File(path, "r+") as file:
        yield path, file, "layers/dense_2/vars/1"


def external_link(file, array):
    del file[array]
    file[array] = h5py.ExternalLink("/etc/passwd", "/dataset")


def external_group(file, array):
    file["layers/extra"] = h5py.ExternalLink("other.h5", "/")


def soft_link(file, array):
    del file[array]
    file[array] = h5py.SoftLink("/layers/dense/vars/1")


def external_storage(file, array):
    del file[array]
    place = Path(file.filename).with_name("elsewhere.bin")
    file.create_dataset(array, (2,), "f4", external=[(str(place), 0, 8)])


def virtual(file, array):
    del file[array]
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (2,))
    file.create_virtual_dataset(array, layout)


def cycle(file, array):
    file["layers/dense_2/loop"] = file["layers"]


def twice(file, array):
    file["layers/dense_2/vars/2"] = file[array]


def decoder(file, array):
    del file[array]
    file.create_dataset(array, data=np.zeros(2, "f4"), chunks=(2,), compression="lzf")


def unwritten(file, array):
    del file[array]
    file.create_dataset(array, (2,), "f4", chunks=(2,))


def integers(file, array):
    del file[array]
    file[array] = np.zeros(2, "i8")


def strings(file, array):
    del file[array]
    file[array] = ["a", "b"]


def not_a_number(file, array):
    file[array][0] = np.nan


def too_precise(file, array):
    del file[array]
    file[array] = np.array([0.1, 0.2])


def negative_variance(file, array):
    file["layers/batch_normalization/vars/3"][0] = -0.1


def other_shape(file, array):
    del file[array]
    file[array] = np.zeros(3, "f4")


def left_over(file, array):
    file["layers/dense_9/vars/0"] = np.zeros((2, 2), "f4")
    file["layers/dense_9/vars/1"] = np.zeros(2, "f4")


def second_model(file, array):
    file.copy("layers", "ensemble/layers")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_link, "another file, which was not opened.*link to /dataset in /etc/passwd$"),
        (
            external_group,
            "another file, which was not opened.*layers/extra is a link to / in other",
        ),
        (soft_link, "holds a soft link. Received: layers/dense_2/vars/1$"),
        (external_storage, "array from another file, which was not opened.*elsewhere.bin$"),
        (virtual, r"from elsewhere \(a virtual data set\); nothing was opened"),
        (cycle, "expected each item once. Received: layers/dense_2/loop is linked again"),
        (twice, "expected each item once"),
        (decoder, r"calls for decoders \[32000\]"),
        (unwritten, "declares an array and holds none of it"),
        (integers, "expected float weights.*layers/dense_2/vars/1 of type int64$"),
        (strings, "expected float weights.*of type object$"),
        (not_a_number, "expected finite weights. Received: NaN or infinity in dense_2$"),
        (too_precise, "weights of double precision would be rounded"),
        (negative_variance, "running variance cannot be negative.*batch_normalization$"),
        (other_shape, r"arrays of dense_2 are not those of a Dense.*\(3,\)"),
        (left_over, "no known architecture"),
        (second_model, r"holds 2 models.*Received: \['ensemble/layers', 'layers'\]$"),
    ],
)
def test_hdf5_files_that_are_not_what_they_seem(refused, weights, change, message):
    path, file, array = weights
    change(file, array)
    file.close()
    refused(path, message)


def test_links_in_a_keras_file_and_a_model_are_refused_too(refused, models, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", "_model.h5")
    with h5py.File(path, "r+") as file:
        file["optimizer_weights"] = h5py.ExternalLink("other.h5", "/")
    refused(path, "points to another file, which was not opened. Received: optimizer_weights")
    path = save(models["deepstarr"], tmp_path / "2", ".keras")
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(held["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        file["extra"] = h5py.ExternalLink("other.h5", "/")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**held, "model.weights.h5": content.getvalue()}.items():
            archive.writestr(name, data)
    refused(path, "points to another file")


def test_files_of_other_kinds(refused, tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["X_Train"] = np.zeros((2, 3), "f4")
    refused(path, "expected weights as Keras saves them.*Received: X_Train$")
    path = tmp_path / "model.h5"
    for content, message in (
        (b"", "begins with b''$"),
        (b"hello, world", "begins with b'hello, w'$"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged"),
    ):
        path.write_bytes(content)
        refused(path, message)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, r"expected config\.json and model\.weights\.h5.*\['readme\.txt'\]$")
    refused(tmp_path / "none.h5", "there is no such file")
    refused(tmp_path, "released_ensemble")


def test_configurations_that_are_none(refused, models, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", "_model.h5")
    for content, message in (
        ("[" * 100_000, "damaged"),
        ("not json", "damaged"),
        ('{"class_name": "RobustModel", "config": {}}', "class 'RobustModel'"),
        ('{"class_name": "Functional", "config": {"layers": []}}', "model of 1 to 200 layers"),
        ('{"class_name": "Functional", "config": {"layers": [3]}}', "layer's configuration"),
    ):
        with h5py.File(path, "r+") as file:
            del file.attrs["model_config"]
            file.attrs["model_config"] = content[:60_000]
        refused(path, message)
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    refused(path, "layer's configuration|no weights")


def test_arrays_that_the_file_does_not_list(refused, models, tmp_path):
    path = save(models["deepstarr"], tmp_path / "1", "_keras2.h5")
    with h5py.File(path, "r+") as file:
        file["conv1d_8/extra"] = np.zeros(3, "f4")
    refused(path, r"arrays that no layer of the file lists. Received: \['conv1d_8/extra'\]")
    path = save(models["deepstarr"], tmp_path / "2", "_keras2.h5")
    with h5py.File(path, "r+") as file:
        del file["conv1d_8/conv1d_8/bias:0"]
    refused(path, "lists arrays of conv1d_8 it does not hold")


def test_stored_layers_of_a_file(models, tmp_path):
    stored = read_stored(save(models["dream_rnn released"], tmp_path / "1", ".weights.h5"))
    assert [
        len(of_kind(stored.layers, kind))
        for kind in ("Conv1D", "BatchNormalization", "Bidirectional LSTM", "Dense")
    ] == [5, 4, 1, 1]
