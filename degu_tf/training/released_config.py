"""The authors' training configurations (yaml), read into this package's settings."""

import math
import os
import re
import reprlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import yaml

from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

_MAX_BYTES = 2**20

_SETTINGS = {
    "epochs": "epochs",
    "batch_size": "batch_size",
    "optim_lr": "learning_rate",
    "learning_rate": "learning_rate",
    "lr": "learning_rate",
    "loss_fxn": "loss",
    "loss": "loss",
    "early_stopping": "early_stopping",
    "es_patience": "patience",
    "early_stop_patience": "patience",
    "early_stopping_patience": "patience",
    "patience": "patience",
    "lr_decay": "lr_decay",
    "lr_decay_factor": "lr_factor",
    "lr_factor": "lr_factor",
    "lr_decay_patience": "lr_patience",
    "lr_patience": "lr_patience",
    "steps_per_epoch": "steps_per_epoch",
}
"""Entries of the authors' and similar files, and the settings they stand for."""

_RUN = (
    "aleatoric",
    "celltype",
    "distill",
    "epistemic",
    "evoaug",
    "finetune",
    "finetune_epochs",
    "finetune_lr",
    "model_ix",
    "std",
)
"""Entries in which the authors' scripts recorded a run: its labels, stages and number."""

_FIXED = {
    "optimizer": "adam",
    "activation": "relu",
    "first_activation": "relu",
    "dilation_activation": "silu",
}
"""Entries with one value that settings and builders support."""

_MAX_LAYERS = 64
_MAX_DILATIONS = 16
_MAX_NUMBER = 2**31 - 1
_TRACKER = ("_wandb", "wandb_version")
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2


@dataclass(frozen=True)
class ReleasedConfig:
    """What a configuration file says, in this package's terms.

    Attributes
    ----------
    settings
        Training settings; those not in the file have the paper's value.
    spec
        The architecture with its options, or None where the file describes none.
    fraction
        Share of the training data that was used (`Splits.fraction`).
    run
        Entries that describe the run rather than settings: whether it was distilled, augmented or
        fine-tuned, which member it was.
    unexpressed
        Known entries with a value that settings and builders do not support, such as another
        optimiser.
    unknown
        Entries of other names.
    values
        Every entry of the file, as it was read.
    """

    settings: TrainingSettings
    spec: ModelSpec | None = None
    fraction: float = 1.0
    run: Mapping[str, Any] = field(default_factory=dict)
    unexpressed: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


def read_config(path: str | os.PathLike) -> ReleasedConfig:
    """Read a yaml configuration, each entry `name: value` or `name: {desc: ..., value: ...}`.

    The authors' files have `lr_decay: false` where their scripts switched the decay on by an
    option; what a run really did is in the `config.yaml` beside its weights. The file is taken at
    its word: without decay, `lr_patience` is as long as the training.

    Parameters
    ----------
    path
        The file, of 1 MiB or less.

    Raises
    ------
    InputError
        If the file is missing, too large, not yaml of plain values, has an entry twice, or a value
        out of its range. The message names the entry and the file.

    Warns
    -----
    UserWarning
        If an entry is unknown or not supported; both are kept.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "config.yaml"
    >>> _ = path.write_text("batch_size: {desc: Size of each mini-batch, value: 128}")
    >>> read_config(path).settings.batch_size
    128
    """
    try:
        config = _interpret(_read(Path(path)))
    except InputError as error:
        raise InputError(f"{error}, in {path}") from None
    left = [f"{name}={_SHORT.repr(value)} (unknown)" for name, value in config.unknown.items()]
    left += [f"{name}={_SHORT.repr(value)}" for name, value in config.unexpressed.items()]
    if left:
        warnings.warn(
            f"entries of {path} that are not supported and have no effect: {', '.join(left)}",
            stacklevel=2,
        )
    return config


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses an entry named twice instead of taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            names = [key.value for key, _ in node.value]
            twice = next((name for name in names if names.count(name) > 1), names)
            raise InputError(f"expected each entry once. Received: {_SHORT.repr(twice)} twice")
        return mapping


def _read(path: Path) -> dict[str, Any]:
    """The entries of a file, their descriptions left out."""
    if not path.is_file():
        raise InputError("expected a file. Received: none")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(
            f"expected a configuration of {_MAX_BYTES} bytes or less. "
            f"Received: {path.stat().st_size}"
        )
    try:
        content = yaml.load(path.read_bytes(), _PlainLoader)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = getattr(error, "problem", None) or str(error)
        raise InputError(f"expected yaml of plain values. Received: {reason}") from None
    if not isinstance(content, dict) or not content:
        raise InputError(
            "expected entries name: value or name: {desc: ..., value: ...}. "
            f"Received: {_SHORT.repr(content)}"
        )
    return {str(name): _bare(value) for name, value in content.items()}


def _bare(value: Any) -> Any:
    described = isinstance(value, dict) and "value" in value and set(value) <= {"desc", "value"}
    return value["value"] if described else value


def _interpret(values: dict[str, Any]) -> ReleasedConfig:
    rest = {name: value for name, value in values.items() if name not in _TRACKER}
    unexpressed = {
        name: rest.pop(name)
        for name, fixed in _FIXED.items()
        if name in rest and str(rest[name]).lower() != fixed
    }
    for name in _FIXED:
        rest.pop(name, None)
    settings = _settings(rest, unexpressed)
    spec = _spec(rest, unexpressed)
    fraction = _number("downsample", rest.pop("downsample", 1.0))
    if not 0 < fraction <= 1:
        raise InputError(f"'downsample' must lie in (0, 1]. Received: {fraction}")
    run = {name: rest.pop(name) for name in _RUN if name in rest}
    return ReleasedConfig(settings, spec, fraction, run, unexpressed, rest, values)


def _settings(rest: dict[str, Any], unexpressed: dict[str, Any]) -> TrainingSettings:
    """Settings from the entries that name one; those entries are taken out of `rest`."""
    given: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, setting in _SETTINGS.items():
        if name not in rest:
            continue
        value = _READERS.get(setting, _whole)(name, rest.pop(name))
        if given.setdefault(setting, value) != value:
            raise InputError(
                f"expected equal values of {sources[setting]!r} and {name!r}, two names of one "
                f"setting. Received: {given[setting]!r} and {value!r}"
            )
        sources.setdefault(setting, name)
    if "loss" in given and not _is_keras_loss(given["loss"]):
        unexpressed[sources["loss"]] = given.pop("loss")
    if not given.pop("early_stopping", True):
        given["patience"] = None
    if not given.pop("lr_decay", True):
        given.pop("lr_factor", None)
        given["lr_patience"] = given.get("epochs", TrainingSettings.epochs)
    try:
        return TrainingSettings(**given)
    except InputError as error:
        raise InputError(_in_words_of_file(str(error), sources)) from None


def _in_words_of_file(message: str, sources: Mapping[str, str]) -> str:
    """A message on settings, with the entries' names for them."""
    for setting, name in sources.items():
        message = re.sub(rf"\b{setting}\b", repr(name), message)
    return message


def _number(name: str, value: Any) -> float:
    """A finite number, also one that yaml takes for text, such as 1e-3."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name!r} must be a finite number. Received: {_SHORT.repr(value)}")
    return number


def _whole(name: str, value: Any) -> int:
    number = _number(name, value)
    if not number.is_integer() or abs(number) > _MAX_NUMBER:
        raise InputError(
            f"{name!r} must be a whole number of at most {_MAX_NUMBER}. "
            f"Received: {_SHORT.repr(value)}"
        )
    return int(number)


def _wholes(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise InputError(f"{name!r} must be a list. Received: {_SHORT.repr(value)}")
    return tuple(_whole(name, each) for each in value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name!r} must be true or false. Received: {_SHORT.repr(value)}")
    return value


def _patience(name: str, value: Any) -> int | None:
    return None if value is None else _whole(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name!r} must be a name. Received: {_SHORT.repr(value)}")
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "learning_rate": _number,
    "lr_factor": _number,
    "loss": _text,
    "early_stopping": _flag,
    "lr_decay": _flag,
    "patience": _patience,
    "steps_per_epoch": _patience,
}


def _is_keras_loss(name: str) -> bool:
    try:
        keras.losses.get(name)
    except ValueError:
        return False
    return True


def _spec(rest: dict[str, Any], unexpressed: dict[str, Any]) -> ModelSpec | None:
    """The architecture that the entries describe; those entries are taken out of `rest`."""
    factor = _number("k", rest.pop("k")) if "k" in rest else 1.0
    if "n_conv" in rest:
        options = {
            "conv_filters": _numbered(rest, "n_conv", "n_kernels"),
            "conv_kernels": _numbered(rest, "n_conv", "kernel_size"),
            "dense_units": _numbered(rest, "n_dense", "dense_kernels"),
        }
        for name in ("n_conv", "n_dense"):
            rest.pop(name)
        return ModelSpec("deepstarr", {"width": factor, **options})
    if factor != 1:
        unexpressed["k"] = factor
    if "n_dilations" in rest:
        count = _count("n_dilations", rest.pop("n_dilations"), _MAX_DILATIONS)
        return ModelSpec("residualbind", {"dilations": tuple(2**i for i in range(count))})
    if "lstm_hidden_channels" in rest:
        return ModelSpec("dream_rnn", {"variant": "released", **_dream_rnn(rest)})
    return None


def _dream_rnn(rest: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, option, read in (
        ("lstm_hidden_channels", "lstm_units", _whole),
        ("kernel_sizes", "conv_kernels", _wholes),
        ("dropout", "conv_dropout", _number),
    ):
        if name in rest:
            options[option] = read(name, rest.pop(name))
    return options


def _numbered(rest: dict[str, Any], count: str, stem: str) -> tuple[int, ...]:
    """Sizes in entries numbered from 1, as many as the entry `count` says."""
    names = [f"{stem}{i}" for i in range(1, _count(count, rest.get(count)) + 1)]
    if missing := [name for name in names if name not in rest]:
        raise InputError(
            f"expected {stem}1 to {names[-1]}, since {count!r} is {len(names)}. "
            f"Received: no {', '.join(missing)}"
        )
    return tuple(_whole(name, rest.pop(name)) for name in names)


def _count(name: str, value: Any, maximum: int = _MAX_LAYERS) -> int:
    number = _whole(name, value)
    if not 1 <= number <= maximum:
        raise InputError(f"{name!r} must lie between 1 and {maximum}. Received: {number}")
    return number
