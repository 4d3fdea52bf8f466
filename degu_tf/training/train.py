"""Train one model: the paper's settings, a second stage, its run folder."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import pandas as pd

from degu_tf.data.hdf5.stored_splits import evaluated, reading_order
from degu_tf.data.splits import Splits
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.guarded_loading import load_keras_model
from degu_tf.models.threads import thread_counts
from degu_tf.training.augmentation.mixtures import recombines
from degu_tf.training.augmentation.schemes import is_stateless
from degu_tf.training.epochs.checkpoint import Checkpoint, remove_states
from degu_tf.training.epochs.reports import epoch_lines
from degu_tf.training.fit import fit
from degu_tf.training.initial_weights import initial_model, weights_hash
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.objective import Objective, measured_objective, settings_for_task
from degu_tf.training.parallel import devices
from degu_tf.training.precision.mixed import computing_in
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.standardisation import Standardisation
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.run_folder import (
    HISTORY,
    METRICS,
    MODEL,
    RunFolder,
)


def train(
    splits: Splits,
    spec: Architecture,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    objective: Objective | None = None,
    learner: Callable[[keras.Model], keras.Model] | None = None,
    prepare: Callable[[Splits], Splits] | None = None,
) -> ModelPredictor:
    """Build a model from its seed, train it, and keep it in a run folder if one is named.

    A folder that holds the same run finished is loaded instead. One that holds it unfinished
    resumes at the epoch it had reached, and ends with the weights of a run that was never stopped:
    the state of the training is kept in the folder as epochs end. With augmentations that draw from
    TensorFlow's generators (`degu_tf.training.augmentation.schemes.is_stateless`) it starts anew.
    A folder in which another process trains is waited for.

    Parameters
    ----------
    splits
        The data.
    spec
        The architecture: a `ModelSpec`, a name, or a function of yours that builds the model.
    settings
        How to train, with its augmentation and second stage; the paper's by default.
    run
        Folder, seed, and what is recorded. The folder then holds `model.keras`, `settings.json`,
        `history.csv`, `metrics.csv` (test set) and `manifest.json`.
    objective
        Columns and loss; those that `settings` name for the data's columns by default.
    learner
        Makes of the built model what is fitted in the first stage, such as a `DistillationModel`
        around it; the model itself by default.
    prepare
        Makes of the data what the first stage is fitted to, such as a label pool, once the run is
        known to be one that is to be trained. What it does belongs into `run.provenance`.

    Raises
    ------
    InputError
        If the folder holds another run or a damaged state, or the data do not fit the architecture.

    Examples
    --------
    >>> from degu_tf.data.simulation.mpra import simulate
    >>> splits = simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec = ModelSpec("deepstarr", small)
    >>> model = train(splits, spec, TrainingSettings(epochs=1), Run(seed=1, progress=False))
    >>> model.predict(splits.test.sequences).mean.shape
    (10, 2)
    """
    run = run or Run()
    if run.retries:
        raise InputError(
            "`train` makes one attempt; `train_ensemble` and `distill` make more. "
            f"Received: retries={run.retries}"
        )
    with run.alone():
        return _train(
            splits,
            as_spec(spec),
            settings or TrainingSettings(),
            run,
            objective=objective,
            learner=learner,
            prepare=prepare,
        )


def _train(
    splits: Splits,
    spec: ModelSpec,
    settings: TrainingSettings,
    run: Run,
    objective: Objective | None,
    learner: Callable[[keras.Model], keras.Model] | None,
    prepare: Callable[[Splits], Splits] | None,
) -> ModelPredictor:
    """Train while no other process does in this folder."""
    check_augmentable(splits, settings)
    if objective is None:
        settings = settings_for_task(settings, splits.heads)
    objective = objective or measured_objective(settings, splits.heads, spec.head)
    if settings.standardise:
        objective = replace(objective, units=Standardisation.of(splits))
    folder = None if run.folder is None else RunFolder(run.folder)
    identity = run_settings("model", splits, spec, settings, objective.heads, run)
    if folder is not None and folder.finished:
        folder.begin(identity)
        remove_states(folder.path)
        return load_model(folder.path)
    strategy = devices.strategy_of(run.devices)
    with devices.scope_of(strategy):
        model = initial_model(splits, spec, settings, objective.heads, run)
    with computing_in(model, settings.precision):
        with devices.scope_of(strategy):
            fitted = model if learner is None else learner(model)
        if folder is not None:
            folder.begin(identity)
        data = splits if prepare is None else prepare(splits)
        checkpoint = _checkpoint(folder, identity, settings, fitted)
        history = _fitted(fitted, data, settings, objective, run, checkpoint)
        second = settings.finetune
        if second is not None:
            history = _finetuned(history, model, splits, second, objective, run, checkpoint)
    notes: dict[str, Any] = {"threads": thread_counts(), **run.notes}
    if strategy is not None:
        trained, model = model, initial_model(splits, spec, settings, objective.heads, run)
        model.set_weights(trained.get_weights())
        notes["devices"] = run.devices
    if objective.units is not None:
        model = objective.units.to_data(model, objective.heads)
        notes["standardisation"] = objective.units.to_dict()
    predictor = ModelPredictor(model, objective.heads)
    if folder is not None:
        _write_model(folder, predictor, splits, history, notes)
        remove_states(folder.path)
    return predictor


def _checkpoint(
    folder: RunFolder | None,
    identity: Mapping[str, Any],
    settings: TrainingSettings,
    learner: keras.Model,
) -> Checkpoint | None:
    """Where the state is kept: in the folder, if each epoch's augmentation can be drawn again."""
    scheme = settings.augment or getattr(learner, "scheme", None)
    if folder is None or (scheme is not None and not is_stateless(scheme)):
        return None
    return Checkpoint(folder.path, identity)


def _fitted(
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings,
    objective: Objective,
    run: Run,
    checkpoint: Checkpoint | None,
) -> pd.DataFrame:
    return fit(
        model,
        splits,
        settings,
        objective=objective,
        seed=run.seed,
        progress=run.progress,
        callbacks=[*epoch_lines(settings.epochs, run), *run.keras_callbacks()],
        checkpoint=checkpoint,
    )


def _finetuned(
    history: pd.DataFrame,
    model: keras.Model,
    splits: Splits,
    settings: TrainingSettings,
    objective: Objective,
    run: Run,
    checkpoint: Checkpoint | None,
) -> pd.DataFrame:
    """The history with that of a second stage on the data as they are, epochs counted through."""
    run = replace(run, name=f"{run.name}, second stage")
    checkpoint = None if checkpoint is None else replace(checkpoint, stage=2)
    second = _fitted(model, splits, settings, objective, run, checkpoint)
    return pd.concat([history, second.assign(epoch=second["epoch"] + len(history))])


def check_augmentable(splits: Splits, settings: TrainingSettings) -> None:
    """Refuse to augment sequences without their profiles, or to give them others' labels.

    Raises
    ------
    InputError
        If the targets are profiles and there is an augmentation, or it recombines sequences.
    """
    if recombines(settings.augment):
        raise InputError(
            "what was measured of a sequence is not the activity of a recombined one; only "
            "students, whose teachers label it, learn from that. Received: an augmentation that "
            "recombines sequences"
        )
    if settings.augment is not None and splits.train.targets.ndim == 3:
        raise InputError(
            "augmentations move bases, and the profile would stay behind; profiles are augmented "
            "by TrainingSettings.crop and reverse_complement. Received: an augmentation"
        )


def run_settings(
    kind: str,
    splits: Splits,
    spec: ModelSpec,
    settings: TrainingSettings,
    heads: HeadLayout,
    run: Run,
) -> dict[str, Any]:
    """What makes a run, as plain values: equal values, equal run."""
    order = reading_order(splits.train)
    return {
        "kind": kind,
        "model": spec.to_dict(),
        "heads": heads.to_dict(),
        "input_shape": list(settings.input_shape(splits.input_shape)),
        "training": settings.to_dict(),
        "seed": run.seed,
        **({} if spec.init is None else {"init_hash": weights_hash(spec.init)}),
        "data": {
            "fingerprint": splits.fingerprint,
            "n_train": len(splits.train),
            **({} if order is None else {"read_in_blocks": order.to_dict()}),
        },
        **settings.stages(),
        **run.provenance,
    }


def _write_model(
    folder: RunFolder,
    predictor: ModelPredictor,
    splits: Splits,
    history: pd.DataFrame,
    notes: Mapping[str, Any],
) -> None:
    with atomic_write(folder / MODEL) as temporary:
        predictor.model.save(temporary)
    write_table(folder / HISTORY, history)
    test = evaluated(splits.test.centred(predictor.input_length), splits.test_name)
    prediction = predictor.predict(test.sequences)
    table = score(prediction, test.targets, splits.heads, split=splits.test_name)
    write_table(folder / METRICS, table)
    folder.finish(**notes)


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)


def load_model(folder: str | os.PathLike) -> ModelPredictor:
    """The trained model of a finished run folder.

    Raises
    ------
    InputError
        If there is no finished run, or `model.keras` is not the file the run wrote.
    """
    run = RunFolder(folder)
    file = run.check_file(MODEL)
    model = load_keras_model(file)
    return ModelPredictor(model, HeadLayout.from_dict(run.settings()["heads"]))
