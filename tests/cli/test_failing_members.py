"""What the command line says of members that fail, and how the run is finished."""

from pathlib import Path

import failing_networks
import pytest
from command_line import degu, done, settings
from failing_networks import fails, seed_where

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.attempts import FailedAttempt, failed_attempts
from degu_tf.training.run import attempt_seed, member_seed

SOURCE = Path(failing_networks.__file__)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning"),
]


@pytest.fixture
def command(work, tmp_path):
    """A function that gives the command for three members of a network, of a seed."""

    def command(network, seed):
        return (
            *("train", work.data, "--recipe", "paper", "--model", f"{SOURCE}:{network}"),
            *("--members", 3, "--epochs", 3, "--learning-rate", 0.1, "--batch-size", 20),
            *("--seed", seed, "--out", tmp_path / "x"),
        )

    return command


def test_a_member_that_diverged_is_named_and_trained_later(command, work, tmp_path):
    seed = seed_where(1, n=3)
    missing = f"member 1 (seed {member_seed(seed, 1)}: diverged)"
    shown = done(*command("diverging", seed))
    assert f"degu: warning: the ensemble lacks {missing}" in shown.err
    assert f"member 1 (seed {member_seed(seed, 1)}) diverged: the validation loss" in shown.err
    assert "2 members in" in shown.out
    evaluated = done("evaluate", tmp_path / "x", work.data)
    assert f"Missing: {missing}; `degu train` with a higher --retries" in evaluated.out
    assert "2 members, 1 missing" in done("runs", tmp_path).out
    whole = done(*command("diverging", seed), "--retries", 1)
    assert "3 members in" in whole.out
    assert settings(tmp_path / "x" / "member_01")["seed"] == attempt_seed(member_seed(seed, 1), 1)
    assert Ensemble.load(tmp_path / "x").numbers == (0, 1, 2)


def test_too_few_members_are_an_error_in_options(command):
    refused = degu(*command("diverging", seed_where(0, 1, n=3)))
    assert refused.code == 2
    assert "of 3 failed member 0 (seed " in refused.err
    assert "--retries 1 trains them from other seeds. Received: --members 3" in refused.err


def test_members_that_did_not_learn_are_left_out_where_asked(command, tmp_path):
    seed = seed_where(1, n=3)
    kept = done(*command("idle", seed))
    assert "Member 1 did not learn Dev" in kept.out
    assert "3 members in" in kept.out
    other = [*command("idle", seed)[:-1], tmp_path / "y"]
    left = done(*other, "--unlearned", "leave-out")
    assert f"lacks member 1 (seed {member_seed(seed, 1)}: did not learn)" in left.err
    assert "2 members in" in left.out


def test_a_student_that_did_not_learn_is_named(work, tmp_path):
    """After its last attempt; what its first one was is in its folder."""
    seed = next(s for s in range(9999) if fails(s) and fails(attempt_seed(s, 1)))
    command = (
        *("distill", work.x, work.data, "--recipe", "paper", "--model", f"{SOURCE}:idle"),
        *("--epochs", 3, "--learning-rate", 0.1, "--batch-size", 20),
    )
    one = done(*command, "--seed", seed, "--retries", 1, "--out", tmp_path / "y")
    said = "did not learn Dev: on the validation set its error is not below that of the mean"
    assert f"The student in {tmp_path / 'y'} {said}" in one.out
    assert failed_attempts(tmp_path / "y") == [FailedAttempt(seed, "did not learn")]
    learning = next(s for s in range(99) if not fails(s))
    several = done(*command, "--seeds", learning, seed, "--out", tmp_path / "s")
    assert f"The student in {tmp_path / 's' / f'seed_{seed}'} {said}" in several.out
    assert f"seed_{learning} did not learn Dev" not in several.out
