"""Run folders of strangers: the model's sizes are checked before Keras builds or reads anything."""

import io
import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from weight_files import output, randomise

from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.layers import positive_uncertainty
from degu_tf.models.released.guarded_loading import check_keras_file, load_keras_model
from degu_tf.models.released.output_heads import columns_layout, with_head
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import file_hash, read_json, write_json
from degu_tf.utils.run_folder import MANIFEST

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def rewrite(path, config=None, weights=None):
    """Change the configuration or replace the weights of a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        content = json.loads(held["config.json"])
        config({layer["config"]["name"]: layer for layer in content["config"]["layers"]})
        held["config.json"] = json.dumps(content).encode()
    held["model.weights.h5"] = weights or held["model.weights.h5"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content)


def zeros_file(shape):
    """An HDF5 file of zeros, which compress a thousandfold."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros(shape, "f4"), compression="gzip")
    return buffer.getvalue()


def widen(layers):
    """Two dense layers of 30,000 units: 3.6 GB of weights in a few bytes of configuration."""
    for name in ("dense1", "output"):
        layers[name]["config"]["units"] = 30_000
    layers["output"]["build_config"]["input_shape"] = [None, 30_000]


def widen_convolution(layers):
    layers["conv1"]["config"]["filters"] = 500_000_000


@pytest.fixture
def run(teachers, tmp_path):
    """A copy of a teacher's run, whose manifest is forged to match whatever its model becomes."""
    folder = shutil.copytree(teachers.folder / "member_00", tmp_path / "run")

    def forge(**changes):
        rewrite(folder / "model.keras", **changes)
        manifest = read_json(folder / MANIFEST)
        manifest["files"]["model.keras"] = file_hash(folder / "model.keras")
        write_json(folder / MANIFEST, manifest)
        return folder

    return forge


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": widen}, r"configuration describes [\d,]+ weights, of which the file holds"),
        ({"config": widen_convolution}, r"describes 1\d,\d{3},\d{3},\d{3} weights"),
        ({"weights": zeros_file((5000, 1000))}, r"unpack to 20,\d{3},\d{3} bytes"),
        ({"weights": b"not HDF5"}, "damaged"),
    ],
    ids=["units", "filters", "zeros", "no weights"],
)
def test_a_run_that_would_fill_the_memory_is_refused(run, monkeypatch, changes, message):
    def never(*_, **__):
        raise AssertionError("the model was built")

    folder = run(**changes)
    monkeypatch.setattr(keras.models, "load_model", never)
    with pytest.raises(InputError, match=rf"model\.keras: .*{message}"):
        open_run(folder)


def test_a_run_with_code_is_refused(run, tmp_path):
    marker = tmp_path / "ran"

    def add_code(layers):
        code = {"class_name": "__lambda__", "config": {"value": str(marker)}}
        layers["conv1_relu"]["config"]["activation"] = code

    with pytest.raises(InputError, match="code of its author; it was not run"):
        open_run(run(config=add_code))
    assert not marker.exists()


def test_what_keras_cannot_load_is_one_line(run):
    def rename(layers):
        layers["dense1"]["class_name"] = "SelfMade"
        layers["dense1"]["registered_name"] = "elsewhere>SelfMade"

    with pytest.raises(InputError, match="classes are not registered") as caught:
        open_run(run(config=rename))
    assert "\n" not in str(caught.value)


def test_another_file_in_the_models_place(run, tmp_path):
    folder = run()
    (folder / "model.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match="which is a zip archive"):
        check_keras_file(folder / "model.keras")


def odd_model():
    """Layers of other shapes: recurrent, grouped, embedded in a model, shared."""
    x = keras.Input((40, 4))
    y = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    y = layers.Conv1D(8, 3, groups=2)(layers.GRU(8, return_sequences=True)(y))
    y = layers.SeparableConv1D(8, 3)(layers.DepthwiseConv1D(3)(y))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(300), layers.Dense(9)])
    return keras.Model(x, inner(layers.GlobalAveragePooling1D()(y)))


BOTH = HeadLayout(("a", "b"), "std", "std")
OWN = {
    "odd layers": odd_model,
    **{
        name: lambda name=name: build(name, (249, 4), columns_layout(6), width=0.3)
        for name in ("deepstarr", "residualbind", "mprann", "dream_rnn")
    },
    "released": lambda: build(
        "dream_rnn", (249, 4), columns_layout(6), width=0.1, variant="released"
    ),
    "profiles": lambda: build("cnn_task_base", (256, 4), columns_layout(2), width=0.2),
    "positive": lambda: positive_uncertainty(build("deepstarr", (60, 4), BOTH, width=0.1), BOTH),
    **{
        head: lambda head=head: with_head(
            build("mprann", (60, 4), columns_layout(4), width=0.1), head, 4
        )
        for head in ("mean_std", "dense_normal", "evidential")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_honest_models_pass_and_come_back(name, tmp_path, monkeypatch):
    """The estimate never exceeds what a file holds, were there no allowance for small models."""
    module = "degu_tf.models.released.guarded_loading"
    monkeypatch.setattr(f"{module}.FREE_BYTES", 0)
    monkeypatch.setattr(f"{module}._SLACK", 1)
    model = randomise(OWN[name]())
    model.save(tmp_path / "1.keras")
    again = load_keras_model(tmp_path / "1.keras")
    length = model.input_shape[1] or 60
    np.testing.assert_array_equal(output(again, length), output(model, length))
