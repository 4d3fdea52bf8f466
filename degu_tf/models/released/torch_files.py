"""Weights of the released DREAM-RNN from PyTorch's files, in Keras' own layout.

A `.pth` file is a pickle, which can run commands. PyTorch reads it with `weights_only`, which
refuses all but tensors and plain containers, and this package never unpickles anything itself.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from degu_tf.models.dream_rnn import TORCH_EPSILON
from degu_tf.models.released.safe_files import as_float32, check_expansion, check_zip
from degu_tf.models.released.stored_weights import (
    CONV,
    DENSE,
    LSTM,
    NORMALISATION,
    Stored,
    StoredLayer,
    check_arrays,
)
from degu_tf.utils.errors import InputError

_LAYERS = {
    "first_block.conv_blocks.0.0": CONV,
    "first_block.conv_blocks.0.1": NORMALISATION,
    "first_block.conv_blocks.1.0": CONV,
    "first_block.conv_blocks.1.1": NORMALISATION,
    "core_block.lstm": LSTM,
    "core_block.conv_blocks.0.0": CONV,
    "core_block.conv_blocks.0.1": NORMALISATION,
    "core_block.conv_blocks.1.0": CONV,
    "core_block.conv_blocks.1.1": NORMALISATION,
    "final_block.pointwise_conv": CONV,
    "final_block.final_dense": DENSE,
}
"""The layers of the released network, in its order."""

_ROLES = {
    CONV: ("weight", "bias"),
    DENSE: ("weight", "bias"),
    NORMALISATION: ("weight", "bias", "running_mean", "running_var"),
    LSTM: tuple(
        f"{role}_l0{way}"
        for way in ("", "_reverse")
        for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ),
}
_COUNTER = ".num_batches_tracked"
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")


def read_torch(path: Path) -> Stored:
    """Read a `.pth` file: the state of the released DREAM-RNN, or a dictionary that holds it.

    Raises
    ------
    InputError
        If PyTorch is not installed, the file is damaged or holds anything but tensors, or its
        tensors are not those of that network.
    """
    torch = _torch()
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_zip(archive, size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, KeyError) as e:
        raise InputError(
            f"expected a PyTorch file of tensors and nothing else; none of it was run ({_why(e)})"
        ) from None
    state = _state(content, torch)
    declared = sum(value.numel() * value.element_size() for value in state.values())
    check_expansion(declared, size, "the PyTorch file")
    arrays = ((name, _array(value, name, torch)) for name, value in state.items())
    layers = _layers({name: array for name, array in arrays if array is not None})
    return Stored("PyTorch (.pth)", tuple(layers), epsilon=TORCH_EPSILON)


def _torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        raise InputError(
            "reading a .pth file needs PyTorch: pip install 'degu_tf[torch]'"
        ) from None
    return torch


def _why(error: Exception) -> str:
    """What PyTorch says of a file: the sentence that names what is not allowed, or the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "nsupported" in line]
    return (named or lines or [type(error).__name__])[0][:200]


def _state(content: Any, torch: ModuleType) -> dict[str, Any]:
    """The one mapping of names to tensors in what a file held."""
    candidates: dict[str, Any] = {}
    if _is_state(content, torch):
        candidates["the file"] = content
    elif isinstance(content, Mapping):
        candidates = {str(key): value for key, value in content.items() if _is_state(value, torch)}
    if len(candidates) != 1:
        found = list(candidates) or (
            list(content)[:8] if isinstance(content, Mapping) else type(content).__name__
        )
        raise InputError(
            "expected one state dictionary, names to tensors, or a dictionary that holds one. "
            f"Received: {found}"
        )
    (state,) = candidates.values()
    return {_WRAPPERS.sub("", name): value for name, value in state.items()}


def _is_state(value: Any, torch: ModuleType) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
        and all(isinstance(tensor, torch.Tensor) for tensor in value.values())
    )


def _array(tensor: Any, name: str, torch: ModuleType) -> np.ndarray | None:
    if name.endswith(_COUNTER):
        return None
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise InputError(f"expected a plain tensor. Received: {name}, {tensor.layout}")
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise InputError(f"expected float weights. Received: {name} of {tensor.dtype}")
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return as_float32(tensor.numpy(), name)


def _layers(state: Mapping[str, np.ndarray]) -> list[StoredLayer]:
    wanted = {f"{name}.{role}" for name, kind in _LAYERS.items() for role in _ROLES[kind]}
    held = set(state)
    if held != wanted:
        shapes = {name: state[name].shape for name in sorted(held - wanted)[:8]}
        raise InputError(
            "the only PyTorch network known here is the released DREAM-RNN, which has "
            f"{len(wanted)} tensors. Received: without {sorted(wanted - held)[:8]}, with {shapes}"
        )
    return [
        _layer(name, kind, [state[f"{name}.{role}"] for role in _ROLES[kind]])
        for name, kind in _LAYERS.items()
    ]


def _layer(name: str, kind: str, arrays: list[np.ndarray]) -> StoredLayer:
    """Axes and biases as Keras has them.

    Both keep an LSTM's gates in the order input, forget, cell, output. PyTorch adds two biases
    where Keras adds one.
    """
    if kind == LSTM:
        forward, backward = arrays[:4], arrays[4:]
        arrays = [
            array
            for kernel, recurrent, bias, recurrent_bias in (forward, backward)
            for array in (kernel.T, recurrent.T, _sum(bias, recurrent_bias, name))
        ]
    elif kind in (CONV, DENSE):
        arrays = [arrays[0].T, arrays[1]]
    return check_arrays(name, kind, [np.ascontiguousarray(array) for array in arrays])


def _sum(one: np.ndarray, other: np.ndarray, name: str) -> np.ndarray:
    if one.shape != other.shape:
        raise InputError(f"two biases differ in shape. Received: {name}, {one.shape, other.shape}")
    return one + other
