"""Members of ensembles that were trained elsewhere: Keras models, files, or folders of runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from degu_tf.heads import Form, HeadLayout, Task
from degu_tf.models.own.columns import columns_of
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import open_weights, read_card
from degu_tf.models.released.load import read_released
from degu_tf.models.released.other_models import load_whole_model
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.train import load_model
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.run_folder import RunFolder

Source: TypeAlias = keras.Model | ModelPredictor | str | os.PathLike
"""What a member can be given as."""


@dataclass(frozen=True)
class Columns:
    """What the columns of foreign models mean, asked for once.

    Attributes
    ----------
    targets
        Names of the targets, in the order of the first columns, whatever a file says; None for
        what it says.
    otherwise
        Names of the targets for a model that does not say.
    aleatoric
        Form of the columns of aleatoric uncertainty, where there are twice as many columns as
        targets: ``"std"`` or ``"log_variance"``.
    task
        ``"binary"`` where the columns are probabilities, whatever a file says; None for what it
        says, which of other programs' files is nothing, so numbers.

    Examples
    --------
    >>> Columns(("Dev", "Hk")).layout(2).columns
    ('Dev', 'Hk')
    """

    targets: Sequence[str] | None = None
    otherwise: Sequence[str] | None = None
    aleatoric: Form | None = None
    task: Task | None = None

    def layout(self, n_columns: int, stated: HeadLayout | None = None) -> HeadLayout:
        """The layout of a model with that many columns, of which its file may state one.

        Raises
        ------
        InputError
            If nothing says what the columns mean, or their number is not that of the targets.
        """
        if stated is not None:
            names = stated.targets if self.targets is None else tuple(self.targets)
            task = self.task or stated.task
            return _checked(replace(stated, targets=names, task=task), n_columns)
        targets = self.otherwise if self.targets is None else self.targets
        if targets is None:
            raise InputError(
                f"expected targets=..., names for the model's {n_columns} columns, since nothing "
                "beside it says what they mean. Received: targets=None"
            )
        if isinstance(targets, str):
            raise InputError(f"targets must be a sequence of names. Received: targets={targets!r}")
        if self.aleatoric is None and n_columns == 2 * len(targets):
            raise InputError(
                f"the model has {n_columns} columns for {len(targets)} targets: if the second half "
                "is their uncertainty, give its form, aleatoric='std' or 'log_variance'. "
                "Received: aleatoric=None"
            )
        task = self.task or "regression"
        return _checked(HeadLayout(tuple(targets), self.aleatoric, task=task), n_columns)


def _checked(layout: HeadLayout, n_columns: int) -> HeadLayout:
    if layout.n_columns != n_columns:
        raise InputError(
            f"expected names for the model's {n_columns} columns. "
            f"Received: the columns {', '.join(layout.columns)}"
        )
    return layout


def member_of(source: Source, columns: Columns) -> tuple[ModelPredictor, ModelSpec | None]:
    """A member as a predictor, and its architecture if that is one of this package.

    Parameters
    ----------
    source
        A `ModelPredictor`; a Keras model of one input, `(N, L, 4)`; a `.keras` or `.h5` file of any
        such model, of `degu convert`, or of released weights; the folder of a run of one model.
    columns
        What its columns mean.

    Raises
    ------
    InputError
        If the file cannot be read, its layers are not known here, or the meaning of its columns is
        open.
    """
    if isinstance(source, ModelPredictor):
        heads = columns.layout(source.heads.n_columns, source.heads)
        return ModelPredictor(source.model, heads, source.batch_size), None
    if isinstance(source, keras.Model):
        return _predictor(source, columns), None
    path = Path(source)
    with blaming(path):
        return _of_run(path, columns) if path.is_dir() else _of_file(path, columns)


def check_probabilities(outputs: np.ndarray, heads: HeadLayout) -> None:
    """Refuse outputs of models of binary targets that are no probabilities.

    Parameters
    ----------
    outputs
        Raw outputs `(..., n_columns)`.
    heads
        What their columns mean; of numbers nothing is asked.

    Raises
    ------
    InputError
        If means are not between 0 and 1, as those of a model without its sigmoid are not.

    Examples
    --------
    >>> check_probabilities(np.array([[0.2]]), HeadLayout(("open",), task="binary"))
    """
    if heads.task != "binary":
        return
    means = heads.take(outputs, "mean")
    wrong = ~((means >= 0.0) & (means <= 1.0))
    if wrong.any():
        raise InputError(
            "expected probabilities, between 0 and 1, of models of binary targets: let the model "
            f"end in a sigmoid. Received: {wrong.sum()} of {means.size} outputs outside, first "
            f"{means[wrong][0]:g}"
        )


def _predictor(
    model: keras.Model, columns: Columns, stated: HeadLayout | None = None
) -> ModelPredictor:
    return ModelPredictor(model, columns.layout(_n_columns(model), stated))


def _n_columns(model: keras.Model) -> int:
    """Columns of all outputs together."""
    outputs = getattr(model, "outputs", None)
    if outputs is None:
        raise InputError(
            "expected a functional or sequential model that has been built. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    return columns_of(outputs)


def _of_run(folder: Path, columns: Columns) -> tuple[ModelPredictor, ModelSpec | None]:
    run = RunFolder(folder)
    if run.kind != "model":
        what = "an ensemble" if run.kind == "ensemble" else f"a {run.kind}"
        raise InputError(f"expected the run of one teacher. Received: the run of {what}")
    stored = load_model(folder)
    spec = ModelSpec(**run.settings()["model"])
    columns = replace(columns, task=None)  # a run was trained on data that say it
    return _predictor(stored.model, columns, stored.heads), spec


def _of_file(path: Path, columns: Columns) -> tuple[ModelPredictor, ModelSpec | None]:
    """A file's model: by its card, as a released one, or as Keras itself loads it."""
    if read_card(path) is not None:
        opened = open_weights(path)
        return _predictor(opened.model, columns, opened.heads), None
    try:
        released = read_released(path)
    except InputError as unknown:
        return _predictor(_other_model(path, unknown), columns), None
    try:
        stated = released.heads
    except InputError:
        stated = None
    spec = ModelSpec(released.architecture, dict(released.options))
    return _predictor(released.model, columns, stated), spec


def _other_model(path: Path, unknown: InputError) -> keras.Model:
    """A model of no architecture of this package; of a file without one, both reasons are told."""
    try:
        return load_whole_model(path)
    except InputError as error:
        told = str(error).removeprefix(f"{path}: ")
        released = str(unknown).removeprefix(f"{path}: ")
        raise InputError(f"{told} (as released weights: {released})") from error
