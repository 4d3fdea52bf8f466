"""Small models of every architecture, written in every format, for tests of reading files."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

MODELS = {
    "deepstarr": (249, 2, {"width": 0.05}),
    "residualbind": (230, 3, {"width": 0.05}),
    "mprann": (230, 3, {"width": 0.04}),
    "dream_rnn": (30, 4, {"width": 0.04}),
    "dream_rnn released": (30, 4, {"width": 0.04, "variant": "released"}),
    "cnn_task_base": (130, 3, {"width": 0.05}),
}
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
