"""Members that failed: left out of their ensemble by name, and trained when the run goes on."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from degu_tf.data.splits import Splits
from degu_tf.distillation.failures.attempts import (
    OF_THE_SEED,
    UNLEARNED,
    FailedTraining,
    failed_attempts,
    learned_anything,
    with_retries,
)
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.objective import Objective
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import load_model, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import MANIFEST, SETTINGS, RunFolder

Unlearned: TypeAlias = Literal["keep", "leave-out"]
"""What becomes of members that did not learn."""

UNLEARNED_MEMBERS = ("keep", "leave-out")

Outcome: TypeAlias = ModelPredictor | FailedTraining
"""What training a member came to."""


class FailedMembersWarning(UserWarning):
    """An ensemble lacks members, or has fewer than were asked for."""


@dataclass(frozen=True)
class FailedMember:
    """Why an ensemble lacks a member.

    Attributes
    ----------
    reason
        ``"diverged"``, ``"did not learn"`` or ``"out of memory"``.
    seed
        The seed that was tried last.
    attempts
        How many seeds were tried.

    Examples
    --------
    >>> missing_text({3: FailedMember("diverged", seed=17, attempts=1)})
    'member 3 (seed 17: diverged)'
    """

    reason: str
    seed: int
    attempts: int = 1


def missing_text(failed: Mapping[int, FailedMember]) -> str:
    """The members that are missing, with seed and reason, in words."""
    return ", ".join(f"member {i} (seed {each.seed}: {each.reason})" for i, each in failed.items())


def check_unlearned(unlearned: str) -> None:
    """Refuse what is no `Unlearned`.

    Raises
    ------
    InputError
        If it is something else.
    """
    if unlearned not in UNLEARNED_MEMBERS:
        raise InputError(
            f"members that did not learn are one of {UNLEARNED_MEMBERS}. "
            f"Received: unlearned={unlearned!r}"
        )


def outcome_in(run: Run) -> Outcome:
    """What training a member came to, as its folder tells: a model, or why there is none."""
    if run.folder is None:
        raise ValueError("a member in memory alone has no folder")
    if not (run.folder / MANIFEST).is_file() and (failed := failed_attempts(run.folder)):
        return FailedTraining(run.name, failed)
    return load_model(run.folder)


def is_settled(run: Run) -> bool:
    """Whether a member is trained, or all its attempts failed, as its folder tells."""
    if run.folder is None:
        return False
    return RunFolder(run.folder).finished or len(failed_attempts(run.folder)) > run.retries


def attempt_member(
    splits: Splits, spec: ModelSpec, settings: TrainingSettings, run: Run, objective: Objective
) -> Outcome:
    """Train a member with its retries: a model, or why there is none."""

    def train_once(attempt: Run) -> ModelPredictor:
        return train(splits, spec, settings, attempt, objective=objective)

    def learned(model: ModelPredictor) -> bool:
        return learned_anything(model, splits.validation.centred(model.input_length), splits.heads)

    try:
        return with_retries(train_once, run, learned)
    except FailedTraining as failure:
        return failure


def sorted_out(
    outcomes: Sequence[Outcome], run: Run, splits: Splits, unlearned: Unlearned
) -> tuple[dict[int, ModelPredictor], dict[int, FailedMember]]:
    """The members of an ensemble by number, and those that failed.

    Members that did not learn are left out where two or more others did: where hardly any learns,
    it is not the member's fault, and all stay.

    Parameters
    ----------
    outcomes
        What training each member came to.
    run
        The ensemble's run.
    splits
        The data, whose validation set tells who learnt.
    unlearned
        What becomes of those that did not.

    Raises
    ------
    InputError
        If fewer than two have a model; it names the others.
    """
    failed = {
        i: _failed_member(each)
        for i, each in enumerate(outcomes)
        if isinstance(each, FailedTraining)
    }
    members = {i: each for i, each in enumerate(outcomes) if isinstance(each, ModelPredictor)}
    _check_enough(failed, len(outcomes))
    if unlearned == "leave-out":
        split = splits.validation.centred(next(iter(members.values())).input_length)
        idle = [i for i, each in members.items() if not learned_anything(each, split, splits.heads)]
        if len(members) - len(idle) >= 2:
            failed |= {i: _unlearned_member(run.of_member(i)) for i in idle}
            members = {i: each for i, each in members.items() if i not in failed}
    return members, dict(sorted(failed.items()))


def _check_enough(failed: Mapping[int, FailedMember], n_members: int) -> None:
    """Refuse an ensemble of fewer than two members, and name those that failed."""
    if n_members - len(failed) >= 2:
        return
    retries = max(each.attempts for each in failed.values())
    what = f"an ensemble has two or more members, and of {n_members} failed {missing_text(failed)}"
    raise InputError(
        f"{what}; Run(retries={retries}) trains them from other seeds. "
        f"Received: n_members={n_members}",
        f"{what}; --retries {retries} trains them from other seeds. "
        f"Received: --members {n_members}",
    )


def _failed_member(failure: FailedTraining) -> FailedMember:
    last = failure.attempts[-1]
    return FailedMember(last.reason, last.seed, len({each.seed for each in failure.attempts}))


def _unlearned_member(run: Run) -> FailedMember:
    """A member that has a model all the same; its folder knows the seed of its last attempt."""
    if run.folder is None:
        return FailedMember(UNLEARNED, run.seed)
    seed = RunFolder(run.folder).settings()["seed"]
    return FailedMember(UNLEARNED, seed, len(failed_attempts(run.folder)) + 1)


def in_manifest(
    failed: Mapping[int, FailedMember], unlearned: Unlearned = "keep"
) -> dict[str, Any]:
    """What the manifest of an ensemble says of members that failed: nothing where there are none.

    And that those which did not learn were looked for, where they are left out.

    Examples
    --------
    >>> in_manifest({1: FailedMember("diverged", 17)})
    {'failed': {'1': {'reason': 'diverged', 'seed': 17, 'attempts': 1}}}
    >>> in_manifest({}, "leave-out")
    {'unlearned': 'leave-out'}
    """
    said: dict[str, Any] = {} if unlearned == "keep" else {"unlearned": unlearned}
    if failed:
        said["failed"] = {str(i): vars(each) for i, each in failed.items()}
    return said


def of_manifest(manifest: Mapping[str, Any]) -> dict[int, FailedMember]:
    """The members that failed, as a manifest has them.

    Raises
    ------
    InputError
        If the manifest says something else of them.
    """
    try:
        return {int(i): FailedMember(**each) for i, each in manifest.get("failed", {}).items()}
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            "expected the members that failed, by number. "
            f"Received: failed: {manifest['failed']!r} in the manifest"
        ) from None


def present_members(manifest: Mapping[str, Any]) -> list[int]:
    """Numbers of the members that a finished ensemble has.

    Examples
    --------
    >>> failed = {"1": {"reason": "diverged", "seed": 17, "attempts": 1}}
    >>> present_members({"n_members": 3, "failed": failed})
    [0, 2, 3]
    """
    failed = of_manifest(manifest)
    return [i for i in range(manifest["n_members"] + len(failed)) if i not in failed]


def chosen_members(
    manifest: Mapping[str, Any], n_members: int | None = None, numbers: Sequence[int] | None = None
) -> tuple[list[int], dict[int, FailedMember]]:
    """Numbers of the members to load, and those that failed among them.

    Raises
    ------
    InputError
        If the run has fewer, or not those.

    Examples
    --------
    >>> failed = {"1": {"reason": "diverged", "seed": 17, "attempts": 1}}
    >>> chosen_members({"n_members": 3, "failed": failed}, 2)[0]
    [0, 2]
    """
    held, failed = present_members(manifest), of_manifest(manifest)
    if n_members is not None and n_members > len(held):
        raise InputError(f"the run has {len(held)} members. Received: n_members={n_members}")
    chosen = held[:n_members] if numbers is None else list(numbers)
    if absent := sorted(set(chosen) - set(held)):
        raise InputError(f"the run has the members {held}. Received: numbers={absent}")
    if chosen != held:
        failed = {i: each for i, each in failed.items() if i < max(chosen, default=0)}
    return chosen, failed


def is_complete(folder: RunFolder, run: Run, n_members: int, unlearned: Unlearned) -> bool:
    """Whether an ensemble is finished and is what it would be if it were trained on."""
    if not folder.finished:
        return False
    manifest = folder.manifest()
    failed = of_manifest(manifest)
    if manifest.get("n_members", 0) + len(failed) < n_members:
        return False
    if unlearned == "leave-out" and manifest.get("unlearned") != unlearned:
        return False  # members that did not learn were not looked for
    return not any(
        each.reason not in OF_THE_SEED
        or each.attempts <= run.retries
        or (each.reason == UNLEARNED and unlearned == "keep")
        for i, each in failed.items()
        if i < n_members
    )


def further_members(run: Run, n_members: int) -> list[Outcome]:
    """What came of the members of a finished ensemble beyond so many, which stay in it."""
    if run.folder is None or not (folder := RunFolder(run.folder)).finished:
        return []
    manifest = folder.manifest()
    held = manifest["n_members"] + len(of_manifest(manifest))
    return [outcome_in(run.of_member(i)) for i in range(n_members, held)]


def numbers_below(n_members: int, manifest: Mapping[str, Any]) -> list[int]:
    """Numbers of the first members of a finished ensemble but for those that failed, said aloud.

    Raises
    ------
    InputError
        If fewer than two are left.
    """
    failed = {i: each for i, each in of_manifest(manifest).items() if i < n_members}
    _check_enough(failed, n_members)
    warn_of_failed(failed)
    return [i for i in present_members(manifest) if i < n_members]


def warn_of_failed(failed: Mapping[int, FailedMember]) -> None:
    """Say which members an ensemble lacks."""
    if failed:
        warnings.warn(
            f"the ensemble lacks {missing_text(failed)}; with more retries than "
            f"{max(each.attempts for each in failed.values()) - 1} they are trained from other "
            "seeds",
            FailedMembersWarning,
            stacklevel=3,
        )


@contextmanager
def naming_dead_members(run: Run, n_members: int) -> Iterator[None]:
    """Say which members were under way where a worker process died.

    Raises
    ------
    InputError
        If one does.
    """
    try:
        yield
    except BrokenExecutor:
        members = _under_way(run, n_members) or "a member"
        what = f"a worker process died with {members} under way, perhaps for lack of memory"
        raise InputError(
            f"{what}; call it again with fewer workers to resume. Received: {run.folder}",
            f"{what}; run the same command with fewer --workers to resume. "
            f"Received: --out {run.folder}",
        ) from None


def _under_way(run: Run, n_members: int) -> str:
    """The members that were begun and are not finished, with their seeds, in words."""
    found = []
    for member in map(run.of_member, range(n_members)):
        if member.folder is None or not (member.folder / SETTINGS).is_file():
            continue
        if not RunFolder(member.folder).finished:
            seed = RunFolder(member.folder).settings().get("seed")
            found.append(f"{member.name} (seed {seed})")
    return ", ".join(found)
