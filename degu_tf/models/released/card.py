"""Conversion of released files to `.keras`, each with a card that says what the model is."""

import json
import os
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.load import Released, load_released_predictor, read_released
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import (
    atomic_write,
    check_output,
    file_hash,
    read_json,
    write_json,
)

SUFFIX = ".keras"

_PROBES, _ANY_LENGTH = 4, 64

_HEADS = {
    "linear": "one dense layer",
    "tasks": "one softplus unit for each column at each position",
    "mean_std": "dense layers of the mean and, through softplus, of the deviation",
    "dense_normal": "dense layers of the mean and, through softplus plus 1e-6, of the second half",
    "outputs": "a dense layer for each block of columns",
    "evidential": "dense layers of gamma and, through softplus, of nu, alpha and beta",
}


@dataclass(frozen=True)
class Card:
    """What is known of a converted model, as plain values.

    Attributes
    ----------
    architecture, options
        What `degu_tf.models.build` makes its layers with.
    input_length
        Bases it takes, None for any number.
    columns, heads
        Names of the output's columns, and the layout as `HeadLayout.to_dict` writes it.
    head
        How the output is made.
    parameters
        Their number, those included that training does not change.
    fingerprint
        SHA-256 of the weights.
    model, model_sha256
        Name and hash of the converted file.
    source, source_sha256, source_format
        Name, hash and kind of the file it came from.
    versions
        Of the packages that converted it.
    """

    architecture: str
    options: dict[str, Any]
    input_length: int | None
    columns: list[str]
    heads: dict[str, Any]
    head: str
    parameters: int
    fingerprint: str
    model: str
    model_sha256: str
    source: str
    source_sha256: str
    source_format: str
    versions: dict[str, str]

    def text(self) -> str:
        """The card for people."""
        length = "any length" if self.input_length is None else f"{self.input_length} bases"
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        forms = ", ".join(
            f"{name} as {self.heads[name]}"
            for name in ("aleatoric", "epistemic")
            if self.heads[name]
        )
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = {
            "model": self.model,
            "architecture": self.architecture,
            "options": options or "the paper's",
            "input": f"one-hot A C G T, {length}",
            "output": ", ".join(self.columns),
            "uncertainty": forms or "none",
            "output layer": _HEADS[self.head],
            "parameters": f"{self.parameters:,}",
            "converted from": f"{self.source}, {self.source_format}",
            "its SHA-256": self.source_sha256,
            "model's SHA-256": self.model_sha256,
            "weights' SHA-256": self.fingerprint,
            "versions": versions,
        }
        return "".join(f"{name:<17} {value}\n" for name, value in lines.items())


def convert(
    path: str | os.PathLike,
    out: str | os.PathLike,
    *,
    architecture: str | None = None,
    input_length: int | None = None,
    heads: HeadLayout | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Card:
    """Write a released file as a `.keras` file that any Keras 3 loads, and its card beside it.

    The written model is read back and must predict the same numbers before it takes its name. The
    card is `OUT.json` and `OUT.txt`, named like the model without `.keras`.

    Parameters
    ----------
    path
        The file, as for `degu_tf.models.released.load.load_released`.
    out
        The file to write, ending `.keras`.
    architecture, input_length, heads, **options
        As for `load_released`.
    overwrite
        Overwrite a model and card that already exist.

    Raises
    ------
    InputError
        As `load_released`; if `out` does not end in `.keras`, or it or its card already exists
        or cannot be written. Nothing is written then.
    """
    out = Path(out)
    if out.suffix != SUFFIX:
        raise InputError(f"the model's name must end {SUFFIX}. Received: {out}")
    card_files = out.with_suffix(".json"), out.with_suffix(".txt")
    for file in (out, *card_files):
        check_output(file, overwrite=overwrite)
    released = read_released(
        path, architecture=architecture, input_length=input_length, heads=heads, **options
    )
    with atomic_write(out) as temporary:
        released.model.save(temporary)
        _check_written(released.model, temporary)
        card = _card(released, out.name, file_hash(temporary))
        write_json(card_files[0], asdict(card))
        with atomic_write(card_files[1]) as text:
            text.write_text(card.text())
    return card


def open_weights(path: str | os.PathLike) -> ModelPredictor:
    """The predictor of a file of weights; what its columns mean, its card says if it has one.

    Parameters
    ----------
    path
        A file that `convert` wrote, or any that `degu_tf.models.released.load.load_released` reads.

    Raises
    ------
    InputError
        As `load_released`, and if the card beside the file is of another model.
    """
    path = Path(path)
    beside = path.with_suffix(".json")
    heads = None
    if path.suffix == SUFFIX and beside.is_file():
        card = read_json(beside)
        if not isinstance(card, dict) or card.get("model_sha256") != file_hash(path):
            raise InputError(
                "the card beside the model is of another one; remove it, or convert the model "
                f"anew. Received: {beside}"
            )
        heads = HeadLayout.from_dict(card["heads"])
    return load_released_predictor(path, heads=heads)


def _check_written(model: keras.Model, path: Path) -> None:
    again = keras.models.load_model(path, compile=False, safe_mode=True)
    length = model.input_shape[1] or _ANY_LENGTH
    x = np.random.default_rng(0).random((_PROBES, length, 4), dtype=np.float32)
    if not np.array_equal(model(x, training=False), again(x, training=False)):
        raise RuntimeError("the converted model's predictions differ from the original's")


def _card(released: Released, name: str, digest: str) -> Card:
    options = json.loads(json.dumps(dict(released.options)))
    return Card(
        architecture=released.architecture,
        options=options,
        input_length=released.input_length,
        columns=list(released.heads.columns),
        heads=released.heads.to_dict(),
        head=released.head,
        parameters=released.model.count_params(),
        fingerprint=released.predictor().fingerprint(),
        model=name,
        model_sha256=digest,
        source=released.source.name,
        source_sha256=file_hash(released.source),
        source_format=released.format,
        versions={package: metadata.version(package) for package in ("degu_tf", "keras")},
    )
