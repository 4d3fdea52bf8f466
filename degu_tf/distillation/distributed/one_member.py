"""One member of an ensemble's run, which each job of an array trains; the last completes it."""

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.failures.members import (
    Unlearned,
    attempt_member,
    is_settled,
    present_members,
)
from degu_tf.training.initial_weights import initial_model
from degu_tf.training.model_spec import Architecture, as_spec
from degu_tf.training.objective import measured_objective, settings_for_task
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import check_augmentable, run_settings
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.locks import alone
from degu_tf.utils.run_folder import RunFolder


def train_member(
    splits: Splits,
    spec: Architecture,
    n_members: int,
    member: int,
    settings: TrainingSettings | None = None,
    run: Run | None = None,
    *,
    unlearned: Unlearned = "keep",
) -> Ensemble | None:
    """Train one member of the run that `train_ensemble` would train whole.

    Members are trained in any order, at the same time, by any machine that shares the folder; a
    finished one is left as it is, and those that a finished run lacks are trained. Whoever finds
    that all of them are finished, or failed in all their attempts, completes the run.

    Parameters
    ----------
    splits, spec, n_members, settings, unlearned
        As for `train_ensemble`, the same for every member.
    member
        Which to train, from 0.
    run
        Folder, seed and what is recorded of the whole ensemble.

    Returns
    -------
    Ensemble or None
        The ensemble, once it is complete.

    Raises
    ------
    InputError
        If there is no folder or such member, or the folder holds another run.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 20, 20), length=40).splits.without_uncertainty()
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = degu.ModelSpec("deepstarr", small), degu.TrainingSettings(epochs=1)
    >>> run = degu.Run(f"{tempfile.mkdtemp()}/teachers", progress=False)
    >>> print(train_member(splits, spec, 2, 1, quick, run))
    None
    >>> train_member(splits, spec, 2, 0, quick, run).n_members
    2
    """
    spec, run = as_spec(spec), run or Run()
    if run.folder is None:
        raise InputError(
            "a member is trained into the folder of its ensemble: name one (run=Run(folder)). "
            "Received: no folder"
        )
    if not 0 <= member < n_members:
        raise InputError(
            f"members are numbered from 0 to {n_members - 1}. Received: member={member}"
        )
    settings = settings_for_task(settings or TrainingSettings(), splits.heads)
    check_augmentable(splits, settings)
    objective = measured_objective(settings, splits.heads, spec.head)
    folder = RunFolder(run.folder)
    if not folder.finished:
        initial_model(splits, spec, settings, objective.heads, run.of_member(member))
    with alone(folder.path, progress=run.progress):
        folder.begin(run_settings("ensemble", splits, spec, settings, objective.heads, run))
    if not folder.finished or member not in present_members(folder.manifest()):
        attempt_member(splits, spec, settings, run.of_member(member), objective)
    if not all(is_settled(run.of_member(i)) for i in range(n_members)):
        return None
    return train_ensemble(splits, spec, n_members, settings, run, unlearned=unlearned)
