"""Finished runs, opened as predictors, and the teachers of a student's run."""

import os
from pathlib import Path

import keras

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import open_weights
from degu_tf.models.released.guarded_loading import load_keras_model, saved_class
from degu_tf.training.train import (
    load_model,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


def open_run(folder: str | os.PathLike) -> Ensemble | ModelPredictor:
    """The predictor of any finished run: an `Ensemble`, or a `ModelPredictor`.

    A file is one model: a `DistillationModel` that Keras saved, or weights
    (`degu_tf.models.released.card.open_weights`).

    Raises
    ------
    InputError
        If the folder holds no finished run, or the file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = degu.ModelSpec("deepstarr", small), degu.TrainingSettings(epochs=1)
    >>> run = degu.Run(f"{tempfile.mkdtemp()}/model", progress=False)
    >>> model = degu.train(splits, spec, quick, run)
    >>> open_run(run.folder).fingerprint() == model.fingerprint()
    True
    """
    if Path(folder).is_file():
        return _saved_student(folder) or open_weights(folder)
    if RunFolder(folder).kind == "ensemble":
        return Ensemble.load(folder)
    return load_model(folder)


def _saved_student(path: str | os.PathLike) -> ModelPredictor | None:
    """The student of a `DistillationModel` file with its layout; None for other files."""
    if saved_class(path) != keras.saving.get_registered_name(DistillationModel):
        return None
    model = load_keras_model(path)
    return ModelPredictor(model.student, model.heads)


def teachers_of(folder: str | os.PathLike) -> Ensemble | None:
    """The teachers a student's run was distilled from, if they are still where they were.

    Raises
    ------
    InputError
        If what lies there now is another ensemble.
    """
    run = RunFolder(folder)
    settings, where = run.settings(), run.manifest().get("teachers")
    if run.kind != "student" or where is None:
        return None
    if os.path.isabs(where):
        raise InputError(
            "expected the teachers' folder as seen from the student's, not from the root; run "
            f"`degu distill` again. Received: teachers: {where} in the manifest of {folder}"
        )
    path = run.path.resolve() / where
    if not RunFolder(path).finished:
        return None
    teachers = Ensemble.load(path, settings["teachers"]["n_members"])
    if teachers.fingerprint() != settings["teachers"]["fingerprint"]:
        raise InputError(f"expected the teachers of {folder}. Received: another ensemble in {path}")
    return teachers
