"""The store of trained models: ask for teachers or a student, and only what is missing is trained.

What made a run decides its folder, so figures that share teachers train them once and an
interrupted script goes on where it stopped.
"""

import os
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pandas as pd
from evoaug_tf.augment import AugmentBase

from degu_tf.data.splits import Split, Splits
from degu_tf.distillation import Augmentation, student_splits, train_student
from degu_tf.ensemble import Ensemble, train_ensemble
from degu_tf.errors import InputError
from degu_tf.files import content_hash
from degu_tf.folder import RunFolder
from degu_tf.heads import Form, HeadLayout, Prediction
from degu_tf.losses import Weight
from degu_tf.metrics import distance, score
from degu_tf.models.card import open_weights
from degu_tf.predictor import ModelPredictor
from degu_tf.profile_scores import WHOLE, profile_score
from degu_tf.training import ModelSpec, TrainingSettings, load_model, run_settings, stages, train

KEY_LENGTH = 12


class Store:
    """A folder of runs, found again by what made them.

    Parameters
    ----------
    root
        Where the runs are kept; made when the first one is trained.
    executor
        Any `concurrent.futures` executor for ensembles' members.
    progress
        Show bars; None where standard error is a terminal.

    Examples
    --------
    >>> Store("runs").root.name
    'runs'
    """

    def __init__(
        self,
        root: str | os.PathLike,
        executor: Executor | None = None,
        progress: bool | None = None,
    ) -> None:
        self.root = Path(root)
        self.executor = executor
        self.progress = progress
        self._labelled: dict[tuple, Splits] = {}

    def teachers(
        self,
        splits: Splits,
        spec: ModelSpec,
        n_members: int = 10,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        *,
        augment: AugmentBase | None = None,
        finetune: TrainingSettings | None = None,
    ) -> Ensemble:
        """The ensemble these arguments describe, trained as far as it is missing.

        Ensembles of different size share their members.
        """
        settings = settings or TrainingSettings()
        more = stages(augment, finetune)
        identity = run_settings("ensemble", splits, spec, settings, seed, more)
        return train_ensemble(
            splits,
            spec,
            n_members,
            settings,
            seed,
            self._folder("teachers", spec, identity),
            augment=augment,
            finetune=finetune,
            executor=self.executor,
            progress=self.progress,
        )

    def model(
        self,
        splits: Splits,
        spec: ModelSpec,
        settings: TrainingSettings | None = None,
        seed: int = 0,
    ) -> ModelPredictor:
        """One model trained on measured targets, such as the MPRAnn baseline of Fig. 2."""
        settings = settings or TrainingSettings()
        identity = run_settings("model", splits, spec, settings, seed)
        folder = self._folder("model", spec, identity)
        return train(splits, spec, settings, seed, folder, progress=self.progress)

    def student(
        self,
        teachers: Ensemble,
        splits: Splits,
        spec: ModelSpec | None = None,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        *,
        epistemic: Form = "std",
        epistemic_weight: Weight = 1.0,
        aleatoric_weight: Weight = 1.0,
        augmentation: Augmentation | None = None,
        finetune: TrainingSettings | None = None,
    ) -> ModelPredictor:
        """The student these arguments describe; students of the same teachers share the labels."""
        spec, settings = spec or teachers.spec, settings or TrainingSettings()
        if spec is None:
            raise InputError("the teachers' architecture is not known: name the student's (spec)")
        more = stages(finetune=finetune)
        if augmentation is not None:
            more["augmentation"] = augmentation.to_dict()
        identity = {
            "kind": "student",
            "teachers": teachers.fingerprint(),
            "epistemic": epistemic,
            "loss_weights": [epistemic_weight, aleatoric_weight],
            "run": run_settings("student", splits, spec, settings, seed, more),
        }
        folder = self._folder("student", spec, identity)
        if RunFolder(folder).finished:
            return load_model(folder)
        return train_student(
            self._labels(teachers, splits, epistemic),
            teachers,
            spec=spec,
            settings=settings,
            seed=seed,
            folder=folder,
            epistemic_weight=epistemic_weight,
            aleatoric_weight=aleatoric_weight,
            augmentation=augmentation,
            finetune=finetune,
            progress=self.progress,
        )

    def _labels(self, teachers: Ensemble, splits: Splits, epistemic: Form) -> Splits:
        key = (teachers.fingerprint(), splits.fingerprint, epistemic)
        if key not in self._labelled:
            self._labelled = {key: student_splits(teachers, splits, epistemic, self.progress)}
        return self._labelled[key]

    def _folder(self, kind: str, spec: ModelSpec, identity: dict[str, Any]) -> Path:
        return self.root / f"{kind}-{spec.name}-{content_hash(identity)[:KEY_LENGTH]}"


def open_run(folder: str | os.PathLike) -> Ensemble | ModelPredictor:
    """The predictor of any finished run: an `Ensemble`, or a `ModelPredictor`.

    A file is taken as one model's weights (`degu_tf.models.card.open_weights`).

    Raises
    ------
    InputError
        If the folder holds no finished run, or the file cannot be read.
    """
    if Path(folder).is_file():
        return open_weights(folder)
    if RunFolder(folder).kind == "ensemble":
        return Ensemble.load(folder)
    return load_model(folder)


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
    path = run.path / where
    if not RunFolder(path).finished:
        return None
    teachers = Ensemble.load(path, settings["teachers"]["n_members"])
    if teachers.fingerprint() != settings["teachers"]["fingerprint"]:
        raise InputError(f"expected the teachers of {folder}. Received: another ensemble in {path}")
    return teachers


def evaluate_run(folder: str | os.PathLike, split: Split, heads: HeadLayout) -> pd.DataFrame:
    """Every metric of a run on a split: an ensemble with its members, a student with its teachers.

    Parameters
    ----------
    folder
        A finished run.
    split
        Sequences with measured columns.
    heads
        Layout of those columns. Of profiles longer than a model's input the middle is judged.

    Returns
    -------
    pandas.DataFrame
        Columns `method` (single, ensemble, student, model), `member`, `target`, `head`, `metric`,
        `value`, `n`; of profiles with the metrics of `degu_tf.profile_scores`. Where teachers are
        at hand a student's epistemic head is compared with their spread, and its activity with
        theirs (`rmse_to_ensemble`).
    """
    kind = RunFolder(folder).kind
    predictor = open_run(folder)
    split = split.centred(predictor.input_length)
    if isinstance(predictor, Ensemble):
        return evaluate_ensemble(predictor, split, heads)
    tables = [_judged(predictor.predict(split.sequences), split, heads, method=kind)]
    teachers = teachers_of(folder)
    if teachers is not None:
        tables.append(compare_with_teachers(predictor, teachers, split, method=kind))
        tables.append(evaluate_ensemble(teachers, split, heads))
    return pd.concat(tables, ignore_index=True)


def evaluate_ensemble(ensemble: Ensemble, split: Split, heads: HeadLayout) -> pd.DataFrame:
    """Metrics of each member (`single`), of the ensemble, and of members against the ensemble."""
    pooled = ensemble.predict(split.sequences)
    tables = []
    for index, member in enumerate(ensemble.members):
        prediction = member.predict(split.sequences)
        labels = {"method": "single", "member": index}
        tables.append(_judged(prediction, split, heads, **labels))
        tables.append(distance(prediction, pooled, **labels))
    tables.append(_judged(pooled, split, heads, method="ensemble"))
    return pd.concat(tables, ignore_index=True)


def _judged(
    prediction: Prediction, split: Split, heads: HeadLayout, **labels: object
) -> pd.DataFrame:
    """`score`, and for profiles the correlations of `profile_score` that it has not."""
    table = score(prediction, split.targets, heads, **labels)
    if split.targets.ndim != 3:
        return table
    by_bin = profile_score(prediction, split.targets, heads, **labels)
    by_bin = by_bin[by_bin["metric"] != WHOLE].drop(columns=["low", "high"])
    return pd.concat([table, by_bin], ignore_index=True)


def compare_with_teachers(
    student: ModelPredictor, teachers: Ensemble, split: Split, **labels: object
) -> pd.DataFrame:
    """A student's epistemic head against the teachers' spread, its activity against their mean."""
    predicted, columns = student.predict(split.sequences), teachers.columns(split.sequences)
    layout = teachers.heads.student()
    table = score(predicted, columns, layout, **labels)
    return pd.concat(
        [
            table[table["head"] == "epistemic"],
            distance(predicted, layout.prediction(columns), **labels),
        ],
        ignore_index=True,
    )
