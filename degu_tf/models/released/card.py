"""Conversion and export of models to `.keras`, each with a card that says what the model is."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.models.inference.folding import fold
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.guarded_loading import load_keras_model
from degu_tf.models.released.load import load_released_predictor, read_released
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import (
    atomic_write,
    check_output,
    file_hash,
    read_json,
    write_json,
)

SUFFIX = ".keras"

FOLDED = "folded"
"""The `head` of an exported model's card."""

_PROBES, _ANY_LENGTH = 4, 64

_HEADS = {
    "linear": "one dense layer",
    "tasks": "one softplus unit for each column at each position",
    "mean_std": "dense layers of the mean and, through softplus, of the deviation",
    "dense_normal": "dense layers of the mean and, through softplus plus 1e-6, of the second half",
    "outputs": "a dense layer for each block of columns",
    "evidential": "dense layers of gamma and, through softplus, of nu, alpha and beta",
    FOLDED: "as in the run; batch normalisation is folded into the layers before it",
}


@dataclass(frozen=True)
class Card:
    """What is known of a converted model, as plain values.

    Attributes
    ----------
    architecture, options
        What `degu_tf.models.build` makes its layers with; of an exported model what its run was
        made with, None and empty where nothing says.
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

    architecture: str | None
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
        """The card as text."""
        length = "any length" if self.input_length is None else f"{self.input_length} bases"
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        forms = ", ".join(
            f"{name} as {self.heads[name]}"
            for name in ("aleatoric", "epistemic")
            if self.heads[name]
        )
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        made = "exported from" if self.head == FOLDED else "converted from"
        lines = {
            "model": self.model,
            "architecture": self.architecture or "not recorded",
            "options": options or "the paper's",
            "input": f"one-hot A C G T, {length}",
            "output": ", ".join(self.columns),
            "uncertainty": forms or "none",
            "output layer": _HEADS[self.head],
            "parameters": f"{self.parameters:,}",
            made: f"{self.source}, {self.source_format}",
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
    """Convert a released file to a `.keras` file that any Keras 3 loads, with a card.

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
    out = _free(out, overwrite)
    released = read_released(
        path, architecture=architecture, input_length=input_length, heads=heads, **options
    )
    facts = {
        "architecture": released.architecture,
        "options": json.loads(json.dumps(dict(released.options))),
        "head": released.head,
        "source": released.source.name,
        "source_sha256": file_hash(released.source),
        "source_format": released.format,
    }
    return _write(released.predictor(), out, facts)


def export(
    predictor: ModelPredictor,
    out: str | os.PathLike,
    *,
    source: str | os.PathLike,
    source_format: str,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Card:
    """Write a model for inference: dropout left out, batch normalisation folded, a card beside it.

    `open_weights` reads the file with the names in its card, and so does Keras without them.

    Parameters
    ----------
    predictor
        The model with the meaning of its columns.
    out
        The file to write, ending `.keras`.
    source, source_format
        The file that the model came from, and what it is.
    architecture, options
        What the model was built with, where that is known.
    overwrite
        Overwrite a model and card that already exist.

    Raises
    ------
    InputError
        If `out` does not end in `.keras`, or it or its card already exists or cannot be written.
    """
    out, source = _free(out, overwrite), Path(source)
    facts = {
        "architecture": architecture,
        "options": json.loads(json.dumps(dict(options or {}))),
        "head": FOLDED,
        "source": source.name,
        "source_sha256": file_hash(source),
        "source_format": source_format,
    }
    return _write(ModelPredictor(fold(predictor.model), predictor.heads), out, facts)


def _free(out: str | os.PathLike, overwrite: bool) -> Path:
    """The path of a model that can be written, with its card."""
    out = Path(out)
    if out.suffix != SUFFIX:
        raise InputError(f"the model's name must end {SUFFIX}. Received: {out}")
    for file in (out, *card_files(out)):
        check_output(file, overwrite=overwrite)
    return out


def card_files(out: str | os.PathLike) -> tuple[Path, Path]:
    """Files of a model's card: JSON and text."""
    return Path(out).with_suffix(".json"), Path(out).with_suffix(".txt")


def _write(predictor: ModelPredictor, out: Path, facts: Mapping[str, Any]) -> Card:
    with atomic_write(out) as temporary:
        predictor.model.save(temporary)
        _check_written(predictor.model, temporary)
        card = Card(
            input_length=predictor.input_length,
            columns=list(predictor.heads.columns),
            heads=predictor.heads.to_dict(),
            parameters=predictor.model.count_params(),
            fingerprint=predictor.fingerprint(),
            model=out.name,
            model_sha256=file_hash(temporary),
            versions={package: metadata.version(package) for package in ("degu_tf", "keras")},
            **facts,
        )
        json_file, text_file = card_files(out)
        write_json(json_file, asdict(card))
        with atomic_write(text_file) as text:
            text.write_text(card.text())
    return card


def open_weights(path: str | os.PathLike) -> ModelPredictor:
    """The predictor of a file of weights; the meaning of its columns comes from its card, if any.

    Parameters
    ----------
    path
        A file that `convert` or `export` wrote, or any that
        `degu_tf.models.released.load.load_released` reads.

    Raises
    ------
    InputError
        As `load_released`, and if the card beside the file is of another model.
    """
    card = read_card(path)
    if card is None:
        return _without_card(Path(path))
    with blaming(card_files(path)[0]):
        heads = HeadLayout.from_dict(card.get("heads", {}))
    if card.get("head") == FOLDED:
        return ModelPredictor(load_keras_model(path), heads)
    return load_released_predictor(path, heads=heads)


def _without_card(path: Path) -> ModelPredictor:
    try:
        return load_released_predictor(path)
    except InputError as error:
        if path.suffix != SUFFIX:
            raise
        advice = f"; if `degu export` wrote the file, put its card {card_files(path)[0].name} "
        raise InputError(
            f"{error}{advice}beside it", f"{error.command_line}{advice}beside it"
        ) from error


def read_card(path: str | os.PathLike) -> dict[str, Any] | None:
    """The card of a `.keras` file as plain values, None if none lies beside it.

    Raises
    ------
    InputError
        If the card beside the file is of another model.
    """
    path, (beside, _) = Path(path), card_files(path)
    if path.suffix != SUFFIX or not beside.is_file():
        return None
    card = read_json(beside)
    if not isinstance(card, dict) or card.get("model_sha256") != file_hash(path):
        raise InputError(
            "the card beside the model is of another one; remove it, or convert or export the "
            f"model again. Received: {beside}"
        )
    return card


def _check_written(model: keras.Model, path: Path) -> None:
    again = keras.models.load_model(path, compile=False, safe_mode=True)
    length = model.input_shape[1] or _ANY_LENGTH
    x = np.random.default_rng(0).random((_PROBES, length, 4), dtype=np.float32)
    if not np.array_equal(model(x, training=False), again(x, training=False)):
        raise RuntimeError("the converted model's predictions differ from the original's")
