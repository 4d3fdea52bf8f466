"""`degu train`."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from command_line import PAPER, TRAIN, degu, described, done, settings, state

from degu_tf import cli
from degu_tf.cli.options import AUGMENTATIONS
from degu_tf.cli.shared.training_options import recipe_of, training_settings
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.simulation.mpra import simulate
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.recipes import RECIPES, SHORTEST_EPOCH
from degu_tf.training.augmentation.names import SCHEMES, scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

CONFIG = """
batch_size: {desc: Sequences in a step, value: 16}
optim_lr: {desc: Learning rate, value: 0.02}
epochs: {desc: Passes, value: 3}
lr_decay: {desc: Decay, value: true}
lr_decay_factor: {desc: Factor, value: 0.3}
downsample: {desc: Share of the data, value: 0.5}
evoaug: {desc: Augmented, value: true}
lstm_hidden_channels: {desc: Units, value: 4}
"""


def chosen(*arguments):
    """The settings that a command line stands for, of 1,000 sequences."""
    splits = simulate((1000, 10, 10), length=20).splits
    options = cli.parser().parse_args(["train", "d.h5", "--out", "x", *map(str, arguments)])
    base = recipe_of(options, splits).teacher_settings(splits)
    return training_settings(options, base, len(splits.train))


def test_what_is_not_given_is_the_recipes():
    assert chosen("--recipe", "paper") == TrainingSettings()
    assert chosen("--recipe", "paper", "--patience", 0).patience is None
    best = RECIPES["best"]
    made = chosen()
    assert made == replace(
        best.teachers, epochs=best.teacher_steps // SHORTEST_EPOCH, steps_per_epoch=SHORTEST_EPOCH
    )
    assert chosen("--ema", 0.9, "--warmup", 5) == replace(made, ema=0.9, warmup=5)
    passes = chosen("--epochs", 3)
    assert (passes.epochs, passes.steps_per_epoch, passes.schedule) == (3, None, "cosine")
    steps = chosen("--steps", 30, "--recipe", "paper")
    assert (steps.epochs * steps.steps_per_epoch, steps.schedule) == (30, "plateau")
    plateau = chosen("--schedule", "plateau", "--steps-per-epoch", 0)
    assert (plateau.schedule, plateau.steps_per_epoch) == ("plateau", None)
    with pytest.raises(InputError, match=r"--epochs or --steps, not both.*--epochs 3 --steps 4"):
        chosen("--epochs", 3, "--steps", 4)


def test_names_of_augmentations_are_those_of_the_package():
    assert set(AUGMENTATIONS) | {"evoaug_one", "evoaug_released"} == SCHEMES.keys()


@pytest.mark.usefixtures("untrained")
def test_a_run_names_its_recipe(work, tmp_path):
    said = done("train", work.data, "--model", "tiny", "--members", 2, "--out", tmp_path / "x").out
    assert "Recipe: best" in said
    made = settings(tmp_path / "x")
    assert made["recipe"] == "best"
    assert made["training"]["schedule"] == "cosine"
    assert made["model"]["head"] == "positive"  # the data have a deviation of replicates
    assert made["augment"] == described("evoaug_one")
    assert "recipe" not in settings(work.x)
    other = ("--augment", "mutagenesis=0.1:0.5", "--out", tmp_path / "y")
    done("train", work.data, "--model", "tiny", "--members", 2, *other)
    assert settings(tmp_path / "y")["augment"]["shares"] == [0.5]
    none = ("--augment", "none", "--no-positive-uncertainty", "--out", tmp_path / "z")
    done("train", work.data, "--model", "tiny", "--members", 2, *none)
    assert "augment" not in settings(tmp_path / "z")
    assert "head" not in settings(tmp_path / "z")["model"]


@pytest.mark.usefixtures("untrained")
def test_strands_are_the_recipes_unless_they_are_given(work, tmp_path):
    def trained(name, *options):
        out = ("--model", "tiny", "--members", 2, *options, "--out", tmp_path / name)
        said = done("train", work.data, *out).out
        return said, settings(tmp_path / name)

    said, made = trained("best")
    assert "Trained on both strands" in said
    assert "--strands one" in said
    assert made["training"]["reverse_complement"]
    one = trained("one", "--strands", "one"), trained("paper", "--recipe", "paper")
    for said, made in one:
        assert "both strands" not in said
        assert "reverse_complement" not in made["training"]
    asked = ("--recipe", "paper", "--strands", "both", "--finetune-epochs", 1)
    said, made = trained("asked", *asked)
    assert "Trained on both strands" not in said
    assert made["training"]["reverse_complement"]
    assert made["finetune"]["reverse_complement"]


def test_teachers_are_not_trained_on_others_labels(work, tmp_path):
    settings = TrainingSettings(augment=scheme("mutagenesis:0.5,recombine:0.5"))
    with pytest.raises(InputError, match="not the activity of a recombined one"):
        train_ensemble(read_splits(work.data), ModelSpec("tiny"), 2, settings)
    refused = degu("train", work.data, *TRAIN, "--augment", "recombine", "--out", tmp_path / "x")
    assert refused.code == 2
    assert "--augment: expected none, or of evoaug, mutagenesis" in refused.err
    assert not (tmp_path / "x").exists()


def test_train_makes_a_run_and_reports_it(work):
    assert "40 train, 20 validation, 30 test" in work.shown["train"].out
    assert re.search(r"^single .*\nensemble ", work.shown["train"].out, re.MULTILINE)
    assert settings(work.x)["subset"]["fraction"] == 0.5
    assert settings(work.x)["model"] == {"name": "tiny", "options": {"width": 0.5}, "init": None}
    assert Ensemble.load(work.x).n_members == 2


@pytest.mark.usefixtures("untrained")
def test_members_that_did_not_learn_are_named(work, tmp_path):
    said = done("train", work.data, *TRAIN, "--out", tmp_path / "x").out
    ensemble, splits = Ensemble.load(tmp_path / "x"), read_splits(work.data)
    for index, member in enumerate(ensemble.members):
        error = (member.predict(splits.validation.sequences).mean
                 - splits.validation.targets[:, :2])  # fmt: skip
        failed = (error**2).mean(axis=0) >= splits.validation.targets[:, :2].var(axis=0)
        for name, each in zip(("Dev", "Hk"), failed, strict=True):
            assert (f"Member {index} did not learn {name}: " in said) == each
    assert "did not learn" in said


def test_quiet_hides_the_bars_a_terminal_shows(work):
    assert "epochs" in work.shown["distill"].err
    assert "members" not in work.shown["train"].err
    assert "epochs" not in work.shown["train"].err


def test_the_same_command_again_changes_nothing(work):
    before = state(work.folder)
    done("train", work.data, *TRAIN, "--width", 0.5, "--fraction", 0.5, "--out", work.x)
    done("distill", work.x, work.data, *PAPER, "--epochs", 2, "--out", work.y)
    assert state(work.folder) == before


def test_the_same_command_goes_on_with_an_interrupted_run(work, tmp_path):
    run = shutil.copytree(work.x, tmp_path / "x")
    weights = Ensemble.load(run).fingerprint()
    (run / "manifest.json").unlink()
    (run / "member_01" / "manifest.json").unlink()
    first = state(run / "member_00")
    command = ("train", work.data, *TRAIN, "--width", 0.5, "--fraction", 0.5, "--out", run)
    shown = done(*command, terminal=True)
    assert "members" in shown.err
    assert state(run / "member_00") == first
    assert Ensemble.load(run).fingerprint() == weights


@pytest.mark.usefixtures("untrained")
def test_teachers_are_augmented_once_a_minibatch(work, tmp_path):
    arguments = ("--augment", "evoaug", "--finetune-epochs", 3, "--finetune-rate", 1e-5)
    done("train", work.data, *TRAIN, *arguments, "--out", tmp_path / "x")
    for folder in (tmp_path / "x", tmp_path / "x" / "member_01"):
        made = settings(folder)
        assert made["augment"] == described("evoaug_one")
        assert (made["augment"]["fewest"], made["augment"]["most"]) == (1, 1)
        assert (made["finetune"]["epochs"], made["finetune"]["learning_rate"]) == (3, 1e-5)
    plain = degu("train", work.data, *TRAIN, "--out", tmp_path / "x")
    assert plain.code == 2
    assert "already holds another run" in plain.err


@pytest.mark.usefixtures("untrained")
def test_members_start_from_the_weights_of_members(work, tmp_path):
    train = ("train", work.data, *TRAIN, "--width", 0.5)
    done(*train, "--init", work.x, "--out", tmp_path / "z")
    given, begun = Ensemble.load(work.x).members, Ensemble.load(tmp_path / "z").members
    fingerprints = [member.fingerprint() for member in given]
    assert [member.fingerprint() for member in begun] == fingerprints
    assert fingerprints[0] != fingerprints[1]
    assert settings(tmp_path / "z")["model"]["init"] == str(work.x)


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
def test_a_configuration_holds_where_no_option_says_otherwise(work, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    train = ("train", work.data, "--members", 2, "--width", 0.02, "--config", tmp_path / "c.yaml")
    shown = done(*train, "--epochs", 7, "--out", tmp_path / "a")
    assert "that describe its run and have no effect: evoaug=True" in shown.out
    made = settings(tmp_path / "a")
    assert made["model"] == {
        "name": "dream_rnn",
        "options": {"variant": "released", "lstm_units": 4, "width": 0.02},
        "init": None,
    }
    assert made["subset"]["fraction"] == 0.5
    assert made["data"]["n_train"] == 40
    expected = {"epochs": 7, "batch_size": 16, "learning_rate": 0.02, "lr_factor": 0.3}
    assert expected.items() <= made["training"].items()
    other = ("--model", "deepstarr", "--n-train", 10, "--batch-size", 5, "--patience", 0)
    done(*train, *other, "--out", tmp_path / "b")
    made = settings(tmp_path / "b")
    assert made["model"] == {"name": "deepstarr", "options": {"width": 0.02}, "init": None}
    assert (made["subset"]["fraction"], made["data"]["n_train"]) == (None, 10)
    assert (made["training"]["batch_size"], made["training"]["patience"]) == (5, None)


def program(*arguments, folder):
    command = [sys.executable, "-m", "degu_tf", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    chatter = "cuda|onednn|absl|E0000|TensorRT|optimi[sz]ed to use|Traceback"
    assert not re.search(chatter, ran.stdout + ran.stderr, re.IGNORECASE), ran.stderr
    told = r"degu: (warning|error): |member \d: epoch \d of \d, |members trained: \d of \d, "
    assert all(re.match(told, line) for line in ran.stderr.splitlines()), ran.stderr
    return ran


@pytest.mark.slow
def test_workers_train_the_same_members_without_chatter(tmp_path):
    done("prepare", "simulate", "--sizes", 40, 10, 10, "--length", 32, "--out", tmp_path / "d.h5")
    train = ("train", "d.h5", "--members", 2, "--width", 0.02, "--epochs", 1, "--seed", 3)
    alone = program(*train, "--out", "a", folder=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "2 members in a" in alone.stdout
    parallel = program(*train, "--workers", 2, "--out", "b", folder=tmp_path)
    assert parallel.returncode == 0, parallel.stderr
    runs = [Ensemble.load(tmp_path / name) for name in "ab"]
    for one, other in zip(*(run.members for run in runs), strict=True):
        for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    (tmp_path / "b" / "manifest.json").unlink()
    other = tmp_path / "b" / "member_01"
    (other / "manifest.json").unlink()
    (other / "settings.json").write_text(json.dumps({**settings(other), "seed": 0}))
    refused = program(*train, "--workers", 2, "--out", "b", folder=tmp_path)
    assert refused.returncode == 2
    assert "degu: error: the output folder already holds another run" in refused.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_teachers_with_positive_deviations_and_a_schedule(work, tmp_path):
    run = tmp_path / "teachers"
    options = ("--positive-uncertainty", "--schedule", "cosine", "--out", run)
    done("train", work.data, *TRAIN, *options)
    made = settings(run)
    assert made["model"]["head"] == "positive"
    assert made["training"]["schedule"] == "cosine"
    refused = degu(
        "train", work.data, *TRAIN, "--positive-uncertainty", "--uncertainty", "heteroscedastic",
        "--out", tmp_path / "h",
    )  # fmt: skip
    assert refused.code == 2
    assert "--positive-uncertainty without --uncertainty" in refused.err


def test_training_speaks_in_lines_and_into_a_log(work, tmp_path):
    log = tmp_path / "log.jsonl"
    command = ("train", work.data, *TRAIN, "--out", tmp_path / "x", "--log", log)
    shown = done(*command)
    assert re.search(r"^member 1: epoch 2 of 2, loss .* validation .* left$", shown.err, re.M)
    assert re.search(r"^members trained: 2 of 2, 00:00 left$", shown.err, re.M)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["name"], row["epoch"]) for row in rows] == [
        (f"member {member}", epoch) for member in (0, 1) for epoch in (1, 2)
    ]
    log.write_text("something else\n")
    refused = degu(*command)
    assert refused.code == 2
    assert f"--log {log}: expected a new log" in refused.err
    assert "epoch" not in done(*command[:-2], "--quiet").err
