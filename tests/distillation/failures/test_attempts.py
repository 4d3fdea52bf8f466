"""What counts as failed, which seed comes next, and what a folder remembers."""

import json
import pickle

import numpy as np
import pytest
import tensorflow as tf
from failing_networks import diverging, fails, idle

from degu_tf.distillation.distill import distill
from degu_tf.distillation.failures.attempts import (
    FailedTraining,
    failed_attempts,
    learned_anything,
    unlearned_targets,
    with_retries,
)
from degu_tf.distillation.failures.members import is_settled
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run, attempt_seed, member_seed
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")


class Training:
    """A training that fails as it is told to, and remembers the seeds it was given."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.seeds = []

    def __call__(self, run):
        self.seeds.append(run.seed)
        assert run.retries == 0
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return "model"


def quiet(folder=None, retries=0):
    return Run(folder, 7, retries=retries, progress=False, name="member 3")


def test_a_seed_that_diverged_is_followed_by_derived_ones():
    training = Training(FloatingPointError("lower the rate"), FloatingPointError())
    assert with_retries(training, quiet(retries=2)) == "model"
    assert training.seeds == [7, attempt_seed(7, 1), attempt_seed(7, 2)]


def test_seeds_of_attempts_are_those_of_nothing_else():
    drawn = [attempt_seed(seed, attempt) for seed in range(30) for attempt in range(1, 9)]
    assert len(set(drawn)) == len(drawn)
    assert not set(drawn) & {member_seed(seed, i) for seed in range(30) for i in range(30)}
    assert all(0 <= seed < 2**31 for seed in drawn)


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")]
)
def test_memory_is_no_fault_of_the_seed(error, tmp_path):
    training = Training(error)
    assert with_retries(training, quiet(tmp_path, retries=1)) == "model"
    assert training.seeds == [7, 7]
    assert not list(tmp_path.iterdir())


def test_want_of_memory_is_an_attempt_like_others(tmp_path):
    """Of one call: it settles a member, and the next call tries the seed again."""
    run = quiet(tmp_path, retries=1)
    training = Training(MemoryError(), MemoryError(), MemoryError(), FloatingPointError("a"))
    for _ in range(2):
        with pytest.raises(FailedTraining) as caught:
            with_retries(training, run)
        assert len(caught.value.attempts) == len(failed_attempts(tmp_path)) == 2
        assert is_settled(run)
    assert training.seeds == [7, 7, 7, 7]
    assert with_retries(training, run) == "model"
    assert training.seeds[4:] == [attempt_seed(7, 1)]


def test_the_last_attempt_names_all_seeds(tmp_path):
    training = Training(FloatingPointError("a"), MemoryError())
    with pytest.raises(FailedTraining) as caught:
        with_retries(training, quiet(tmp_path, retries=1))
    second = attempt_seed(7, 1)
    assert str(caught.value) == (
        f"member 3 (seed 7) diverged: a; (seed {second}) ran out of memory. a smaller "
        "batch_size or width takes less; the same call tries again. Received: retries=1"
    )
    assert "--batch-size or --width" in caught.value.command_line
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert [each.reason for each in failed_attempts(tmp_path)] == ["diverged", "out of memory"]


def test_a_seed_that_failed_is_not_tried_again(tmp_path):
    with pytest.raises(FailedTraining):
        with_retries(Training(FloatingPointError()), quiet(tmp_path))
    again = Training()
    with pytest.raises(FailedTraining, match=r"member 3 \(seed 7\) diverged"):
        with_retries(again, quiet(tmp_path))
    assert again.seeds == []
    with_retries(again, quiet(tmp_path, retries=1))
    assert again.seeds == [attempt_seed(7, 1)]


def test_other_errors_are_not_retried():
    training = Training(InputError("another run"))
    with pytest.raises(InputError, match="another run"):
        with_retries(training, quiet(retries=3))
    assert training.seeds == [7]


def test_a_model_that_did_not_learn_is_retried_and_the_last_one_kept():
    training = Training()
    assert with_retries(training, quiet(retries=2), lambda model: False) == "model"
    assert len(training.seeds) == 3


def test_retries_are_no_business_of_train(splits, spec):
    with pytest.raises(InputError, match=r"makes one attempt.* Received: retries=2"):
        train(splits, spec, run=Run(retries=2))
    with pytest.raises(InputError, match=r"retries must be a whole number from 0.*retries=-1"):
        Run(retries=-1)


class Linear:
    """A model whose output is the target times a factor."""

    def __init__(self, heads, factor, targets):
        self.heads, self.factor, self.targets = heads, factor, targets

    def predict(self, sequences):
        return self.heads.prediction(self.factor * self.targets)


def test_learning_is_judged_against_the_mean(make_splits):
    splits = make_splits(("Dev", "Hk"))
    split, heads = splits.validation, splits.heads
    targets = split.targets - split.targets.mean(axis=0)
    centred = split.__class__(split.sequences, targets)
    assert unlearned_targets(Linear(heads, [1.0, 1.9], targets), centred, heads) == []
    assert unlearned_targets(Linear(heads, [0.0, 0.1], targets), centred, heads) == ["Dev"]
    half = Linear(heads, [2.1, 0.5], targets)
    assert unlearned_targets(half, centred, heads) == ["Dev"]
    assert learned_anything(half, centred, heads)
    assert not learned_anything(Linear(heads, [0.0, -0.1], targets), centred, heads)
    gaps = targets.copy()
    gaps[::2, 0] = np.nan
    missing = split.__class__(split.sequences, gaps, missing_targets="keep")
    assert unlearned_targets(Linear(heads, [0.1, 0.0], targets), missing, heads) == ["Hk"]


def first_seed(fails_first):
    """A seed that fails and whose second attempt does not, or the other way round."""
    return next(
        seed for seed in range(100)
        if fails(seed) == fails_first and fails(attempt_seed(seed, 1)) != fails_first
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("network", [diverging, idle])
def test_a_student_is_trained_again_and_its_run_resumes(network, teachers, splits, quick, tmp_path):
    seed = first_seed(True)

    def ask(retries):
        run = Run(tmp_path / "run", seed, retries=retries, progress=False)
        return distill(teachers, splits, ModelSpec(network), quick, run)

    if network is diverging:
        with pytest.raises(FailedTraining, match=rf"^student \(seed {seed}\) diverged: .*rate"):
            ask(0)
    student = ask(1)
    assert isinstance(student, ModelPredictor)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["seed"] == attempt_seed(seed, 1)
    assert (settings["attempt"], settings["first_seed"]) == (1, seed)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()}
    assert [ask(n).fingerprint() for n in (0, 1, 5)] == 3 * [student.fingerprint()]
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "run").iterdir()} == before


@pytest.mark.slow
def test_a_student_that_fails_no_more_leaves_no_trace(teachers, splits, spec, quick, tmp_path):
    for name, retries in (("a", 0), ("b", 2)):
        run = Run(tmp_path / name, 3, retries=retries, progress=False)
        distill(teachers, splits, spec, quick, run)
    first, second = ((tmp_path / name / "settings.json").read_bytes() for name in "ab")
    assert first == second
    assert not (tmp_path / "b" / "failed_attempts.json").exists()


def test_a_folder_half_cleared_is_cleared_again(tmp_path):
    """Killed between the record and the next attempt, or while the old files were removed."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"kind": "model", "seed": 7}))
    (folder / "history.csv").write_text("epoch")
    failed = {"seed": 7, "reason": "did not learn", "message": ""}
    (folder / "failed_attempts.json").write_text(json.dumps({"attempts": [failed]}))
    seen = []
    with_retries(lambda run: seen.extend(folder.iterdir()), quiet(folder, 1))
    names = {file.name for file in seen}
    assert names - {".lock", ".lock.json"} == {"failed_attempts.json"}  # it is locked meanwhile


def test_another_runs_folder_is_not_cleared(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"kind": "model", "seed": 8}))
    with_retries(Training(FloatingPointError()), quiet(tmp_path, 1))
    assert (tmp_path / "settings.json").exists()
