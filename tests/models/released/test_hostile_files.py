"""Hostile and damaged files of weights: refused with the reason, nothing executed or written."""

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from weight_files import edit_config, edits, keras2_names, save, write_keras2_weights

from degu_tf.models.released.load import read_stored
from degu_tf.utils.errors import InputError

# Keras' own saving code, with numpy 2, and its words on the old format.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]


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


def test_a_zip_bomb(refused, tmp_path):
    path = tmp_path / "1.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(32 << 20))
    refused(path, r"zip file would unpack to 33,554,434 bytes.*Received: \d\d,\d{3} bytes$")


def test_arrays_that_would_fill_the_memory(refused, tmp_path):
    with h5py.File(tmp_path / "1.h5", "w") as file:
        file.create_dataset("layers/conv1d/vars/0", (9, 4, 10**9), "f4", chunks=(9, 4, 100))
    refused(tmp_path / "1.h5", "HDF5 file would unpack to 144,000,000,000 bytes")


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
