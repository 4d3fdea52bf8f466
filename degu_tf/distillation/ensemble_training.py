"""Train the members of an ensemble, on any executor; those that fail are left out by name."""

from collections.abc import Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace

from degu_tf.data.hdf5.stored_splits import evaluated
from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.members import (
    Outcome,
    Unlearned,
    attempt_member,
    check_unlearned,
    further_members,
    in_manifest,
    is_complete,
    naming_dead_members,
    numbers_below,
    outcome_in,
    sorted_out,
    warn_of_failed,
)
from degu_tf.metrics.activity import score
from degu_tf.models.threads import warn_where_threads_differ
from degu_tf.training.initial_weights import initial_model
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.objective import Objective, measured_objective, settings_for_task
from degu_tf.training.run import Run, member_folder
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import (
    check_augmentable,
    run_settings,
    write_table,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import in_lines, told
from degu_tf.utils.run_folder import METRICS, RunFolder


def train_ensemble(
    splits: Splits,
    spec: Architecture,
    n_members: int = 10,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    executor: Executor | None = None,
    unlearned: Unlearned = "keep",
) -> Ensemble:
    """Train the members of an ensemble, each built from its own seed.

    With a folder the run resumes at the member and epoch it had reached, a finished ensemble is
    loaded, and asking for more members than it has trains the missing ones.
    A folder in which another process trains is waited for.

    A member that diverges is trained again from seeds derived from its own, `run.retries` times,
    and one that did not learn (it predicts no target of the validation set better than the mean
    does) likewise; one that runs out of memory is, from the same seed. Those that fail to the end
    are left out: the ensemble is that of the others, `Ensemble.failed` and a warning say whom it
    lacks, and the same call with more retries trains them.

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
    unlearned
        ``"leave-out"``: members that did not learn, after all retries, are left out where two or
        more did. ``"keep"``, as in the paper: they stay.

    Raises
    ------
    InputError
        If the folder holds another run, an executor is given without a folder, or fewer than two
        members could be trained.

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
    with run.alone(lambda folder: is_complete(folder, run, n_members, unlearned)):
        return _train_ensemble(splits, spec, n_members, settings, run, executor, unlearned)


def _train_ensemble(
    splits: Splits,
    spec: Architecture,
    n_members: int,
    settings: TrainingSettings | None,
    run: Run,
    executor: Executor | None,
    unlearned: Unlearned,
) -> Ensemble:
    """Train while no other process does in this folder."""
    settings, spec = settings or TrainingSettings(), as_spec(spec)
    settings = settings_for_task(settings, splits.heads)
    _check_request(splits, n_members, settings, run, executor, unlearned)
    objective = measured_objective(settings, splits.heads, spec.head)
    if run.folder is not None:
        folder = RunFolder(run.folder)
        if not folder.finished:
            initial_model(splits, spec, settings, objective.heads, run.of_member(0))
        folder.begin(run_settings("ensemble", splits, spec, settings, objective.heads, run))
        if is_complete(folder, run, n_members, unlearned):
            return Ensemble.load(run.folder, numbers=numbers_below(n_members, folder.manifest()))
    tasks = [(splits, spec, settings, run.of_member(i), objective) for i in range(n_members)]
    with naming_dead_members(run, n_members):
        outcomes = _train_members(tasks, run.progress, executor) + further_members(run, n_members)
    members, failed = sorted_out(outcomes, run, splits, unlearned)
    ensemble = Ensemble([*members.values()], spec, run.folder, numbers=[*members], failed=failed)
    if run.folder is not None:
        test = evaluated(splits.test.centred(ensemble.input_length), splits.test_name)
        prediction = ensemble.predict(test.sequences)
        table = score(prediction, test.targets, splits.heads, split=splits.test_name)
        write_table(folder / METRICS, table)
        warn_where_threads_differ(member_folder(run.folder, i) for i in members)
        folder.finish(n_members=ensemble.n_members, **in_manifest(failed, unlearned), **run.notes)
    if run.folder is not None and len(outcomes) > n_members:
        return Ensemble.load(run.folder, numbers=numbers_below(n_members, folder.manifest()))
    warn_of_failed(failed)
    return ensemble


_Task = tuple[Splits, ModelSpec, TrainingSettings, Run, Objective]


def _train_members(
    tasks: Sequence[_Task], progress: bool | None, executor: Executor | None
) -> list[Outcome]:
    if executor is None:
        return [attempt_member(*task) for task in told(tasks, "members trained", progress)]
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
    return [outcome_in(run) for _, _, _, run, _ in tasks]


def _train_elsewhere(
    splits: Splits, spec: ModelSpec, settings: TrainingSettings, run: Run, objective: Objective
) -> None:
    """Train without bars and return nothing: what came of it is read from its folder."""
    progress = None if in_lines(run.progress) else False
    attempt_member(splits, spec, settings, replace(run, progress=progress), objective)


def _check_request(
    splits: Splits,
    n_members: int,
    settings: TrainingSettings,
    run: Run,
    executor: Executor | None,
    unlearned: Unlearned,
) -> None:
    """Refuse what no ensemble can be trained of, before anything is."""
    check_unlearned(unlearned)
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
