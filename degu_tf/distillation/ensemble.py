"""Deep ensembles: members trained from their own seeds on any executor, and predicted together."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from degu_tf.data.splits import Splits
from degu_tf.distillation.members import Columns, Source, member_of
from degu_tf.distillation.pooling import pool_members
from degu_tf.heads import Form, HeadLayout, Prediction
from degu_tf.metrics.activity import score
from degu_tf.models.predictor import ModelPredictor, as_array
from degu_tf.training.initial_weights import initial_model
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.objective import Objective, measured_objective, settings_for_task
from degu_tf.training.run import Run, member_folder
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import (
    check_augmentable,
    load_model,
    run_settings,
    train,
    write_table,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.progress import bar, in_lines, told
from degu_tf.utils.run_folder import METRICS, MODEL, SETTINGS, RunFolder

CHUNK = 4096
"""Sequences whose member outputs are held at once."""

CHUNK_BASES = 2**20
"""Their bases, so that of long sequences there are fewer."""


class Ensemble:
    """Models of one layout whose mean predicts and whose spread is the epistemic uncertainty.

    Parameters
    ----------
    members
        Two or more predictors of the same heads.
    spec
        The members' architecture, where it is known; students take it by default.
    folder
        The run the members were read from or written to, if any.
    sources
        Files or folders of the members where they do not lie in a run of their ensemble.

    Raises
    ------
    InputError
        If there are fewer than two members or their heads differ.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",))
    >>> members = [ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    ...            for _ in range(2)]
    >>> Ensemble(members).predict(["ACGT" * 8]).epistemic.shape
    (1, 1)
    """

    def __init__(
        self,
        members: Sequence[ModelPredictor],
        spec: ModelSpec | None = None,
        folder: Path | None = None,
        sources: Sequence[Path] = (),
    ) -> None:
        if len(members) < 2:
            raise InputError(f"an ensemble has two or more members. Received: {len(members)}")
        if len({member.heads for member in members}) > 1:
            layouts = sorted({member.heads.columns for member in members})
            raise InputError(f"members must have the same heads. Received: {layouts}")
        self.members = list(members)
        self.spec = spec
        self.folder = folder
        self.sources = tuple(sources)

    def __repr__(self) -> str:
        name = "" if self.spec is None else f" of {self.spec.name}"
        length = "any length" if self.input_length is None else f"{self.input_length} bp"
        where = "" if self.folder is None else f"; in {self.folder}"
        columns = ", ".join(self.heads.columns)
        return f"Ensemble({self.n_members} members{name}; {length}; columns {columns}{where})"

    @property
    def heads(self) -> HeadLayout:
        """The members' layout."""
        return self.members[0].heads

    @property
    def n_members(self) -> int:
        """How many models there are."""
        return len(self.members)

    @property
    def input_length(self) -> int | None:
        """Bases the members take, or None if they take any length."""
        return self.members[0].input_length

    def subset(self, n_members: int) -> "Ensemble":
        """The ensemble of the first members.

        Raises
        ------
        InputError
            If fewer than two, or more than there are, are requested.
        """
        if not 2 <= n_members <= self.n_members:
            raise InputError(
                f"expected 2 to {self.n_members} members. Received: n_members={n_members}"
            )
        return Ensemble(self.members[:n_members], self.spec, self.folder, self.sources[:n_members])

    def member_columns(self, sequences: Any) -> np.ndarray:
        """Raw output of every member, `(M, N, n_columns)` or `(M, N, length, n_columns)`."""
        return np.stack([member.columns(sequences) for member in self.members])

    def columns(
        self,
        sequences: Any,
        epistemic: Form = "std",
        progress: bool | None = False,
        *,
        executor: Executor | None = None,
    ) -> np.ndarray:
        """What a student of this ensemble is to predict, in the order of `heads.student()`.

        Means over members and, for the activity, the population standard deviation (paper,
        Methods, "Ensemble Training"); sequences are taken in chunks, so memory is bounded.

        Parameters
        ----------
        sequences
            Strings, tokens `(N, L)`, or float `(N, L, 4)`.
        epistemic
            Form of the epistemic columns: ``"std"`` or ``"log_variance"``.
        progress
            Show a bar.
        executor
            Any `concurrent.futures` executor, whose workers take a chunk each; the numbers are the
            same.
        """
        sequences = as_array(sequences)
        size = max(1, min(CHUNK, CHUNK_BASES // sequences.shape[1]))
        starts = range(0, len(sequences), size)
        if executor is not None:
            from degu_tf.distillation.distributed.portable import columns_elsewhere

            parts = [sequences[start : start + size] for start in starts]
            return np.concatenate(columns_elsewhere(self, parts, epistemic, executor, progress))
        chunks = [
            pool_members(
                self.member_columns(sequences[start : start + size]), self.heads, epistemic
            )
            for start in bar(starts, "ensemble", progress)
        ]
        return np.concatenate(chunks)

    def predict(
        self, sequences: Any, progress: bool | None = False, *, executor: Executor | None = None
    ) -> Prediction:
        """Mean over members, their spread as epistemic, and the mean aleatoric uncertainty.

        With an executor, its workers take a chunk of the sequences each.
        """
        columns = self.columns(sequences, progress=progress, executor=executor)
        return self.heads.student().prediction(columns)

    def fingerprint(self) -> str:
        """SHA-256 of the members' weights, in order."""
        return content_hash([member.fingerprint() for member in self.members])

    @classmethod
    def load(cls, folder: str | os.PathLike, n_members: int | None = None) -> "Ensemble":
        """Load the ensemble of a finished run, or its first members.

        Raises
        ------
        InputError
            If the folder holds no finished ensemble or fewer members than requested, or a member
            is not the one that the ensemble was finished with.
        """
        run = RunFolder(folder)
        settings = run.settings()
        if run.kind != "ensemble":
            raise InputError(f"expected an ensemble's run. Received: {folder}")
        held = run.manifest()["n_members"]
        wanted = held if n_members is None else n_members
        if wanted > held:
            raise InputError(f"the run has {held} members. Received: n_members={wanted}")
        for i in range(wanted):
            for name in (MODEL, SETTINGS):
                run.check_file((member_folder("", i) / name).as_posix())
        members = [load_model(member_folder(folder, i)) for i in range(wanted)]
        return cls(members, ModelSpec(**settings["model"]), Path(folder))

    @classmethod
    def from_models(
        cls,
        models: Sequence[Source],
        targets: Sequence[str] | None = None,
        *,
        aleatoric: Form | None = None,
        spec: Architecture | None = None,
    ) -> "Ensemble":
        """The ensemble of models that were trained elsewhere, whatever their architecture.

        Parameters
        ----------
        models
            Two or more Keras models `(N, L, 4)` to one output or several, whose columns are the
            targets', or predictors; `.keras` or `.h5` files of such models, of `degu convert`, or
            of released weights; folders of runs of one model.
        targets
            Names of the targets, in the order of the models' first columns. None where every
            model says what its columns mean.
        aleatoric
            Form of the columns of aleatoric uncertainty, if they follow those of the targets:
            ``"std"`` or ``"log_variance"``.
        spec
            The architecture of students; by default the members', where it is one of this package
            and all have it.

        Raises
        ------
        InputError
            If a model cannot be read, the meaning of its columns is open, or members differ in
            their columns or input length.

        Examples
        --------
        >>> import keras
        >>> def network():
        ...     sequence = keras.Input((32, 4))
        ...     x = keras.layers.GlobalMaxPooling1D()(keras.layers.Conv1D(4, 7)(sequence))
        ...     return keras.Model(sequence, keras.layers.Dense(2)(x))
        >>> ensemble = Ensemble.from_models([network(), network()], targets=["Dev", "Hk"])
        >>> ensemble.predict(["ACGT" * 8]).epistemic.shape
        (1, 2)
        """
        chosen = None if spec is None else as_spec(spec)
        return ensemble_of(models, Columns(targets, aleatoric=aleatoric), chosen)


def ensemble_of(
    sources: Sequence[Source], columns: Columns, spec: ModelSpec | None = None
) -> Ensemble:
    """The ensemble of models that were trained elsewhere, as `Ensemble.from_models` makes it.

    Raises
    ------
    InputError
        As `Ensemble.from_models` does.
    """
    if isinstance(sources, str | os.PathLike):
        raise InputError(
            "expected a sequence of two or more models; a folder of them is opened by "
            f"open_teachers. Received: {os.fspath(sources)}"
        )
    found = [member_of(source, columns) for source in sources]
    specs = [own for _, own in found]
    if spec is None and specs and all(own == specs[0] for own in specs):
        spec = specs[0]
    lengths = sorted({member.input_length for member, _ in found}, key=str)
    if len(lengths) > 1:
        raise InputError(
            "members must take sequences of the same length. "
            f"Received: {' and '.join(map(str, lengths))} bases"
        )
    paths = [Path(source) for source in sources if isinstance(source, str | os.PathLike)]
    in_files = len(paths) == len(found)
    return Ensemble([member for member, _ in found], spec, sources=paths if in_files else ())


def train_ensemble(
    splits: Splits,
    spec: Architecture,
    n_members: int = 10,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    executor: Executor | None = None,
) -> Ensemble:
    """Train the members of an ensemble, each built from its own seed.

    With a folder the run resumes at the member and epoch it had reached, a finished ensemble is
    loaded, and asking for more members than it has trains the missing ones.
    A folder in which another process trains is waited for.

    Parameters
    ----------
    splits
        The data.
    spec
        The members' architecture: a `ModelSpec`, a name, or a function of yours that builds a
        model.
    n_members
        How many (paper: 10).
    settings
        How each is trained; the paper's by default.
    run
        Folder, seed and what is recorded; each member's seed is derived from the run's. The folder
        then holds `member_00/ ...`, `settings.json`, `metrics.csv`, `manifest.json`.
    executor
        Any `concurrent.futures` executor; members then train in its workers and need a folder,
        from which they are loaded. Without one they train one after another.

    Raises
    ------
    InputError
        If the folder holds another run, or an executor is given without a folder.

    Examples
    --------
    >>> from degu_tf.data.simulation.mpra import simulate
    >>> splits = simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec = ModelSpec("deepstarr", small)
    >>> settings = TrainingSettings(epochs=1)
    >>> train_ensemble(splits, spec, 2, settings, Run(progress=False)).n_members
    2
    """
    run = run or Run()
    with run.alone(n_members):
        return _train_ensemble(splits, spec, n_members, settings, run, executor)


def _train_ensemble(
    splits: Splits,
    spec: Architecture,
    n_members: int,
    settings: TrainingSettings | None,
    run: Run,
    executor: Executor | None,
) -> Ensemble:
    settings, spec = settings or TrainingSettings(), as_spec(spec)
    settings = settings_for_task(settings, splits.heads)
    _check_request(splits, n_members, settings, run, executor)
    objective = measured_objective(settings, splits.heads, spec.head)
    if run.folder is not None:
        folder = RunFolder(run.folder)
        if not folder.finished:
            initial_model(splits, spec, settings, objective.heads, run.of_member(0))
        folder.begin(run_settings("ensemble", splits, spec, settings, objective.heads, run))
        if folder.finished and folder.manifest()["n_members"] >= n_members:
            return Ensemble.load(run.folder, n_members)
    tasks = [(splits, spec, settings, run.of_member(i), objective) for i in range(n_members)]
    ensemble = Ensemble(_train_members(tasks, run.progress, executor), spec, run.folder)
    if run.folder is not None:
        test = splits.test.centred(ensemble.input_length)
        prediction = ensemble.predict(test.sequences)
        table = score(prediction, test.targets, splits.heads, split=splits.test_name)
        write_table(folder / METRICS, table)
        folder.finish(n_members=n_members, **run.notes)
    return ensemble


_Task = tuple[Splits, ModelSpec, TrainingSettings, Run, Objective]


def _train_members(
    tasks: Sequence[_Task], progress: bool | None, executor: Executor | None
) -> list[ModelPredictor]:
    if executor is None:
        return [_train_member(task) for task in told(tasks, "members trained", progress)]
    futures = [
        executor.submit(_train_elsewhere, splits, spec, settings, run.absolute(), objective)
        for splits, spec, settings, run, objective in tasks
    ]
    try:
        done = as_completed(futures)
        for future in told(done, "members trained", progress, total=len(tasks)):
            future.result()
    finally:
        for future in futures:
            future.cancel()
    return [load_model(run.folder) for _, _, _, run, _ in tasks if run.folder is not None]


def _train_member(task: _Task) -> ModelPredictor:
    splits, spec, settings, run, objective = task
    return train(splits, spec, settings, run, objective=objective)


def _train_elsewhere(
    splits: Splits, spec: ModelSpec, settings: TrainingSettings, run: Run, objective: Objective
) -> None:
    """Train without bars and return nothing: the model comes back through its folder."""
    progress = None if in_lines(run.progress) else False
    train(splits, spec, settings, replace(run, progress=progress), objective=objective)


def _check_request(
    splits: Splits,
    n_members: int,
    settings: TrainingSettings,
    run: Run,
    executor: Executor | None,
) -> None:
    """Refuse what no ensemble can be trained of, before anything is."""
    if n_members < 2:
        raise InputError(f"an ensemble has two or more members. Received: n_members={n_members}")
    if executor is not None and run.folder is None:
        raise InputError(
            "members trained by an executor are loaded from their folder: name one "
            "(run=Run(folder)). Received: no folder"
        )
    if executor is not None and run.callbacks:
        raise InputError(
            "callbacks reach members that are trained in this process: leave the executor out. "
            f"Received: callbacks={run.callbacks!r}"
        )
    check_augmentable(splits, settings)
    if splits.heads.epistemic and settings.likelihood is None:
        raise InputError(
            "teachers learn measurements; data with epistemic columns are labels for a student "
            f"(`degu distill TEACHERS DATA`). Received: columns {splits.heads.columns}"
        )
