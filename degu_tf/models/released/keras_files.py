"""Weights in the formats of Keras 2 and 3: arrays and, where there is one, the graph.

Three layouts of arrays in HDF5 exist: the old one, with a list of layers and names such as
`conv1d/kernel:0`, alone or under `model_weights` beside a configuration; and the new one of
`.weights.h5`, with groups `layers/conv1d/vars/0`, alone or in a `.keras` file, which is a zip file
of such weights and a configuration.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from degu_tf.models.dream_rnn import TORCH_EPSILON
from degu_tf.models.released.graph import Graph
from degu_tf.models.released.keras_config import read_graph
from degu_tf.models.released.safe_files import (
    check_zip,
    hdf5_arrays,
    read_array,
    text,
    text_list,
)
from degu_tf.models.released.stored_weights import (
    CONV,
    DENSE,
    LSTM,
    NORMALISATION,
    Stored,
    StoredLayer,
    check_arrays,
    number_in,
    split_normal,
)
from degu_tf.utils.errors import InputError, blaming

OWN_NAME = "first_conv1_bn"
"""A batch normalisation of `dream_rnn`: where a file has it, this package wrote the file."""

KERAS_EPSILON = 1e-3
"""What Keras' batch normalisation adds to the variance."""

MAX_CONFIG = 1 << 24
"""Bytes of a configuration beside a file of weights; larger files are not read."""

CONFIG, WEIGHTS = "config.json", "model.weights.h5"

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_LSTM_ROLES = ("kernel", "recurrent_kernel", "bias")
_ROLES = (
    (CONV, ("kernel", "bias")),
    (CONV, ("kernel",)),
    (DENSE, ("kernel", "bias")),
    (DENSE, ("kernel",)),
    (NORMALISATION, ("gamma", "beta", "moving_mean", "moving_variance")),
    (LSTM, tuple(f"{way}/{role}" for way in ("forward", "backward") for role in _LSTM_ROLES)),
)
_NOT_WEIGHTS = ("optimizer", "optimizer_weights", "metrics")


def read_keras_zip(path: Path) -> Stored:
    """Read a `.keras` file.

    Raises
    ------
    InputError
        If the file is not one, is damaged, unpacks to too much, or holds code.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        check_zip(archive, size)
        names = archive.namelist()
        if CONFIG not in names or WEIGHTS not in names:
            raise InputError(
                f"expected {CONFIG} and {WEIGHTS} in the zip file. Received: {names[:8]}"
            )
        graph = read_graph(json.loads(archive.read(CONFIG)))
        weights = io.BytesIO(archive.read(WEIGHTS))
    with h5py.File(weights, "r") as file:
        layers, own = _read_vars(hdf5_arrays(file, len(weights.getbuffer())), file, graph)
    return Stored(f"Keras {3 if own else 2} model (.keras)", _split(layers, graph), graph)


def read_keras_hdf5(path: Path) -> Stored:
    """Read an `.h5` file of Keras: a model, or weights in the old or the new layout.

    Raises
    ------
    InputError
        If the file is damaged, points elsewhere, or holds code or what is no layer of Keras.
    """
    with h5py.File(path, "r") as file:
        arrays = hdf5_arrays(file, path.stat().st_size)
        version = text(file.attrs.get("keras_version", "")).partition(".")[0]
        if "model_config" in file.attrs:
            graph = read_graph(json.loads(text(file.attrs["model_config"])))
            root = file.get("model_weights")
            if not isinstance(root, h5py.Group):
                raise InputError(
                    "the file holds a model's configuration and no weights. "
                    f"Received: {list(file)[:8]}"
                )
            layers = _read_named(root, arrays, graph)
            return Stored(f"Keras {version or 2} model (.h5)", _split(layers, graph), graph)
        beside = graph_beside(path)
        names = text_list(file.attrs, "layer_names")
        if names is not None:
            layers = _read_named(file, arrays, beside)
            return Stored(
                f"Keras {version or 2} weights (.h5)",
                _split(layers, beside),
                beside,
                epsilon=_epsilon(names),
                names=tuple(names),
            )
        layers, names = _read_vars(arrays, file, beside)
        return Stored(
            f"Keras {3 if names else 2} weights (.weights.h5)",
            _split(layers, beside),
            beside,
            in_order=False,
            epsilon=_epsilon(names),
            names=tuple(names),
        )


def graph_beside(path: Path) -> Graph | None:
    """The graph of a model's configuration that lies beside its weights, or None if none does.

    Keras' `model.to_json()` is looked for as `NAME.json` beside `NAME.h5` or `NAME.weights.h5`, and
    as `model.json` beside `weights.h5`. Other JSON files are left alone.

    Raises
    ------
    InputError
        If it holds code, or is no model made of layers.
    """
    name = path.name.removesuffix(".h5").removesuffix(".hdf5").removesuffix(".weights")
    for candidate in (name, name.replace("weights", "model")):
        file = path.with_name(f"{candidate}.json")
        if not file.is_file() or file.stat().st_size > MAX_CONFIG:
            continue
        try:
            content = json.loads(file.read_text())
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict) and "class_name" in content:
            with blaming(file.name):
                return read_graph(content)
    return None


def _epsilon(names: Sequence[str]) -> float:
    return TORCH_EPSILON if OWN_NAME in names else KERAS_EPSILON


def _split(layers: Sequence[StoredLayer], graph: Graph | None = None) -> tuple[StoredLayer, ...]:
    split: list[StoredLayer] = []
    for layer in layers:
        split += split_normal(layer) if _is_normal(layer.name, graph) else [layer]
    return tuple(split)


def _is_normal(name: str, graph: Graph | None) -> bool:
    """Whether a layer is the released evidential one, which holds a dense layer."""
    if graph is None:
        return re.fullmatch(r"dense_normal(_\d+)?", name) is not None
    return (name, "DenseNormal") in graph.layers


# The old layout: names of variables.


def _read_named(
    root: h5py.Group, arrays: Mapping[str, h5py.Dataset], graph: Graph | None
) -> list[StoredLayer]:
    names = text_list(root.attrs, "layer_names")
    if names is None:
        raise InputError(f"the file lists no layers. Received: {list(root)[:8]}")
    prefix = root.name.strip("/") + "/" if root.name != "/" else ""
    layers: list[StoredLayer] = []
    read: set[str] = set()
    for name in names:
        if number_in(name)[0] == "lambda":
            raise _listed_lambda(name)
        if not isinstance(root.get(name), h5py.Group):
            raise InputError(f"the file lists a layer it does not hold. Received: {name}")
        variables = text_list(root[name].attrs, "weight_names") or []
        paths = {variable: f"{prefix}{name}/{variable}" for variable in variables}
        missing = [path for path in paths.values() if path not in arrays]
        if missing or len(paths) < len(variables):
            raise InputError(
                f"the file lists arrays of {name} it does not hold once each. "
                f"Received: {missing or variables}"
            )
        read.update(paths.values())
        values = {key: read_array(arrays[path], path) for key, path in paths.items()}
        layers += _layers_of_group(name, values, graph)
    listed = {path for path in arrays if path.startswith(prefix)}
    unread = sorted(path for path in listed - read if path.split("/")[0] not in _NOT_WEIGHTS)
    if unread:
        raise InputError(f"arrays that no layer of the file lists. Received: {unread[:8]}")
    return layers


def _layers_of_group(
    group: str, values: Mapping[str, np.ndarray], graph: Graph | None
) -> list[StoredLayer]:
    """The layers of a group: none, one, or those of a model inside the model."""
    owners: dict[str, dict[str, np.ndarray]] = {}
    for variable, array in values.items():
        owner, _, rest = variable.removesuffix(":0").partition("/")
        owners.setdefault(owner if rest else group, {})[rest or owner] = array
    if len(owners) == 1:
        owners = {group: next(iter(owners.values()))}
    return [_named_layer(owner, variables, graph) for owner, variables in owners.items()]


def _named_layer(
    name: str, variables: Mapping[str, np.ndarray], graph: Graph | None
) -> StoredLayer:
    roles: dict[str, np.ndarray] = {}
    for variable, array in variables.items():
        *path, role = variable.split("/")
        if path and path[0].startswith(("forward", "backward")):
            role = f"{path[0].partition('_')[0]}/{role}"
        elif path and not _is_normal(name, graph):
            role = variable
        if role in roles:
            raise InputError(f"a layer has {role} twice. Received: {name}, {sorted(variables)}")
        roles[role] = array
    for kind, wanted in _ROLES:
        if set(roles) == set(wanted) and (kind != CONV or roles["kernel"].ndim == 3):
            return check_arrays(name, kind, [roles[role] for role in wanted])
    raise _unknown(name, {role: array.shape for role, array in variables.items()})


# The new layout: numbered variables.


def _read_vars(
    arrays: Mapping[str, h5py.Dataset], file: h5py.File, graph: Graph | None
) -> tuple[list[StoredLayer], list[str]]:
    """The layers, and the names of all layers where the file holds them, as those of Keras 3 do."""
    groups: dict[str, dict[str, dict[int, np.ndarray]]] = {}
    containers: set[str] = set()
    for path, array in arrays.items():
        parts = path.split("/")
        if not set(parts).isdisjoint((*_NOT_WEIGHTS, "seed_generator")):
            continue
        if len(parts) < 3 or parts[-2] != "vars" or not parts[-1].isdecimal():
            raise InputError(
                f"expected weights as Keras saves them, layers/NAME/vars/0. Received: {path}"
            )
        start = 1 + max((i for i, part in enumerate(parts) if part in _CONTAINERS), default=-1)
        containers.add("/".join(parts[:start]))
        owner = "/".join(parts[: start + 1])
        inner = "/".join(parts[start + 1 : -2])
        groups.setdefault(owner, {}).setdefault(inner, {})[int(parts[-1])] = read_array(array, path)
    if len(containers) > 1:
        raise InputError(
            f"the file holds {len(containers)} models; save one model by itself. "
            f"Received: {sorted(containers)}"
        )
    labels = _labels(file, next(iter(containers), ""))
    names = _names(groups, labels, graph)
    layers = [
        _numbered_layer(names[owner], parts, graph, labels.get(owner))
        for owner, parts in groups.items()
    ]
    return layers, list(labels.values())


def _labels(file: h5py.File, container: str) -> dict[str, str]:
    """The name of each layer that Keras 3 keeps beside its group, by the group."""
    labels = {}
    prefix = f"{container}/" if container else ""
    for name in file[container or "/"]:
        if number_in(name)[0] == "lambda":
            raise _listed_lambda(name)
        place = f"{prefix}{name}/vars"
        if place in file and "name" in file[place].attrs:
            labels[f"{prefix}{name}"] = text(file[place].attrs["name"])
    return labels


def _listed_lambda(name: str) -> InputError:
    return InputError(
        f"the file lists a Lambda layer, whose code is not in it and was not run. Received: {name}"
    )


def _names(
    groups: Mapping[str, Any], labels: Mapping[str, str], graph: Graph | None
) -> dict[str, str]:
    """The name of each layer: the graph's, where there is one, else its group's.

    Keras names groups by class and number, in the order of the configuration.
    """
    if graph is None:
        return {owner: owner.rsplit("/", 1)[-1] for owner in groups}
    counts: dict[str, int] = {}
    by_class: dict[str, str] = {}
    for name, kind in graph.layers:
        base = _snake(kind)
        number = counts.get(base, 0)
        counts[base] = number + 1
        by_class[f"{base}_{number}" if number else base] = name
    known = {name for name, _ in graph.layers}
    names: dict[str, str] = {}
    for owner in groups:
        found = labels.get(owner) or by_class.get(owner.rsplit("/", 1)[-1])
        if found is None or found not in known or found in names.values():
            raise InputError(
                f"the file's weights are not those of its configuration. Received: {owner}"
            )
        names[owner] = found
    return names


def _snake(name: str) -> str:
    """A class name as Keras writes it in a file: `max_pooling1d`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered_layer(
    name: str,
    parts: Mapping[str, Mapping[int, np.ndarray]],
    graph: Graph | None,
    label: str | None,
) -> StoredLayer:
    arrays = {inner: [held[i] for i in sorted(held)] for inner, held in parts.items()}
    shapes = {inner or "vars": [each.shape for each in held] for inner, held in arrays.items()}
    if set(arrays) == {"forward_layer/cell", "backward_layer/cell"}:
        both = arrays["forward_layer/cell"] + arrays["backward_layer/cell"]
        return check_arrays(name, LSTM, both, label)
    if len(arrays) > 1 or (set(arrays) != {""} and not _is_normal(name, graph)):
        raise _unknown(name, shapes)
    (values,) = arrays.values()
    kind = {(3, 1): CONV, (3,): CONV, (2, 1): DENSE, (2,): DENSE, (1,) * 4: NORMALISATION}.get(
        tuple(each.ndim for each in values)
    )
    if kind is None:
        raise _unknown(name, shapes)
    return check_arrays(name, kind, values, label)


def _unknown(name: str, found: Mapping[str, Any]) -> InputError:
    return InputError(
        "expected convolutions, dense layers, batch normalisation or a bidirectional LSTM. "
        f"Received: layer {name} with {dict(found)}"
    )
