"""Finished runs, opened as predictors, and the teachers of a student's run."""

import os
from pathlib import Path
from typing import Any

import keras

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.members import Columns
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.distillation.teacher_files import open_teachers
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import open_weights
from degu_tf.models.released.guarded_loading import load_keras_model, saved_class
from degu_tf.training.train import load_model
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
    settings, notes = run.settings(), run.manifest()
    files = notes.get("teachers_files", [])
    where = files or [place for place in [notes.get("teachers")] if place is not None]
    if run.kind != "student" or not where:
        return None
    for place in where:
        if os.path.isabs(place):
            raise InputError(
                "expected the teachers' folder as seen from the student's, not from the root; run "
                f"`degu distill` again. Received: teachers: {place} in the manifest of {folder}"
            )
    paths = [run.path.resolve() / place for place in where]
    if not all(path.exists() for path in paths):
        return None
    if files:
        heads = HeadLayout.from_dict(notes.get("teachers_heads", {}))
        teachers = open_teachers(paths, columns=Columns(heads.targets, aleatoric=heads.aleatoric))
    elif RunFolder(paths[0]).finished:
        recorded = settings["teachers"]
        numbers = recorded.get("numbers")
        teachers = Ensemble.load(paths[0], None if numbers else recorded["n_members"], numbers)
    else:
        return None
    if teachers.fingerprint() != settings["teachers"]["fingerprint"]:
        raise InputError(
            f"expected the teachers of {folder}. Received: another ensemble in {paths[0]}"
        )
    return teachers


def whereabouts(teachers: Ensemble, folder: Path | None) -> dict[str, Any]:
    """Where the teachers are, as the manifest has it: their run, or their files and columns."""
    if not teachers.sources:
        return {"teachers": _relative(teachers.folder, folder)}
    return {
        "teachers_files": [_relative(source, folder) for source in teachers.sources],
        "teachers_heads": teachers.heads.to_dict(),
    }


def _relative(teachers: Path | None, folder: Path | None) -> str | None:
    """From one folder to the other, links followed: so it is read from where the files are."""
    if teachers is None or folder is None:
        return None
    return os.path.relpath(os.path.realpath(teachers), os.path.realpath(folder))
