"""Metrics of runs: a student beside its teachers, an ensemble beside its members."""

import os
from pathlib import Path

import pandas as pd

from degu_tf.data.hdf5.stored_splits import evaluated
from degu_tf.data.splits import Split
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.attempts import unlearned_targets
from degu_tf.distillation.runs import open_run, teachers_of
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.activity import distance, score
from degu_tf.metrics.profiles import WHOLE, profile_score
from degu_tf.models.predictor import ModelPredictor
from degu_tf.utils.run_folder import RunFolder


def evaluate_run(folder: str | os.PathLike, split: Split, heads: HeadLayout) -> pd.DataFrame:
    """Every metric of a run on a split: an ensemble with its members, a student with its teachers.

    Parameters
    ----------
    folder
        A finished run, or a file of one model.
    split
        Sequences with measured columns.
    heads
        Layout of those columns. Of profiles longer than a model's input the middle is judged.

    Returns
    -------
    pandas.DataFrame
        Columns `method` (single, ensemble, student, model), `member`, `target`, `head`, `metric`,
        `value`, `n`; of profiles with the metrics of `degu_tf.metrics.profiles`. Where teachers are
        at hand a student's epistemic head is compared with their spread, and its activity with
        theirs (`rmse_to_ensemble`).

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = degu.ModelSpec("deepstarr", small), degu.TrainingSettings(epochs=1)
    >>> run = degu.Run(f"{tempfile.mkdtemp()}/model", progress=False)
    >>> model = degu.train(splits, spec, quick, run)
    >>> table = evaluate_run(run.folder, splits.test, splits.heads)
    >>> sorted(set(table["metric"]))
    ['mse', 'pearson', 'spearman']
    """
    is_file = Path(folder).is_file()
    kind = "model" if is_file else RunFolder(folder).kind
    predictor = open_run(folder)
    split = evaluated(split.centred(predictor.input_length), "the split")
    if isinstance(predictor, Ensemble):
        return evaluate_ensemble(predictor, split, heads)
    tables = [_judged(predictor.predict(split.sequences), split, heads, method=kind)]
    teachers = None if is_file else teachers_of(folder)
    if teachers is not None:
        tables.append(compare_with_teachers(predictor, teachers, split, method=kind))
        tables.append(evaluate_ensemble(teachers, split, heads))
    return pd.concat(tables, ignore_index=True)


def evaluate_ensemble(ensemble: Ensemble, split: Split, heads: HeadLayout) -> pd.DataFrame:
    """Metrics of each member (`single`), of the ensemble, and of members against the ensemble."""
    pooled = ensemble.predict(split.sequences)
    tables = []
    for index, member in zip(ensemble.numbers, ensemble.members, strict=True):
        prediction = member.predict(split.sequences)
        labels = {"method": "single", "member": index}
        tables.append(_judged(prediction, split, heads, **labels))
        tables.append(distance(prediction, pooled, **labels))
    tables.append(_judged(pooled, split, heads, method="ensemble"))
    return pd.concat(tables, ignore_index=True)


def unlearned_members(ensemble: Ensemble, split: Split, heads: HeadLayout) -> list[tuple[int, str]]:
    """Members that predict a target no better than its mean does, as numbers and targets.

    Such a member adds noise to the ensemble and to the labels of its students.

    Parameters
    ----------
    ensemble
        The members.
    split
        Sequences that they were not trained on, with one measured value for each target.
    heads
        Layout of the measured columns.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits
    >>> model = degu.build("deepstarr", (40, 4), splits.heads, width=0.05)
    >>> model.set_weights([0 * weights for weights in model.get_weights()])
    >>> zero = degu.ModelPredictor(model, splits.heads)
    >>> unlearned_members(Ensemble([zero, zero]), splits.validation, splits.heads)
    [(0, 'Dev'), (0, 'Hk'), (1, 'Dev'), (1, 'Hk')]
    """
    return [
        (index, target)
        for index, member in zip(ensemble.numbers, ensemble.members, strict=True)
        for target in unlearned_targets(member, split, heads)
    ]


def _judged(
    prediction: Prediction, split: Split, heads: HeadLayout, **labels: object
) -> pd.DataFrame:
    """`score`, and for profiles the correlations of `profile_score` that it has not."""
    table = score(prediction, split.targets, heads, **labels)
    if split.targets.ndim != 3:
        return table
    by_bin = profile_score(prediction, split.targets, heads).assign(**labels)
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
