"""`degu distill`."""

import shutil
from dataclasses import replace

import keras
import pandas as pd
import pytest
from command_line import PAPER, degu, described, done, settings

from degu_tf import cli
from degu_tf.cli.shared.training_options import model_spec
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.distillation.teacher import has_bfloat16
from degu_tf.heads import HeadLayout
from degu_tf.training.model_spec import ModelSpec

AB = HeadLayout(("A", "B"), aleatoric="std")


def test_students_take_the_teachers_training_subset_and_architecture(work):
    assert "40 train, 20 validation, 30 test" in work.shown["distill"].out
    assert "trained on other data" not in work.shown["distill"].out
    made = settings(work.y)
    assert made["subset"] == settings(work.x)["subset"]
    assert made["data"]["n_train"] == 40
    assert made["model"] == settings(work.x)["model"]
    assert made["teachers"]["fingerprint"] == Ensemble.load(work.x).fingerprint()
    assert made["heads"]["epistemic"] == "std"


@pytest.mark.slow
def test_distil_on_the_fly(work, tmp_path):
    run = tmp_path / "dynamic"
    arguments = ("--augment", "mutagenesis", "--append", "--teacher-dtype", "bfloat16")
    done(
        *("distill", work.x, work.data, *PAPER, "--epochs", 2, *arguments, "--finetune-epochs", 1),
        *("--batch-size", 20, "--quiet", "--out", run),
    )
    made = settings(run)
    assert made["augmentation"] == {
        "scheme": described("mutagenesis"),
        "labels": "teachers",
        "append": True,
        "teacher_dtype": "bfloat16" if has_bfloat16() else "float32",
    }
    assert (made["finetune"]["epochs"], made["finetune"]["learning_rate"]) == (1, 1e-4)
    assert made["finetune"]["batch_size"] == made["training"]["batch_size"] == 20
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert open_run(run).heads.epistemic == "std"
    refused = degu(
        "distill", work.x, work.data, *PAPER, "--epochs", 2, *arguments[:2], "--out", run
    )
    assert refused.code == 2
    assert "already holds another run" in refused.err
    assert "augmentation.append" in refused.err


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
@pytest.mark.parametrize(
    ("arguments", "name", "labels"),
    [
        ("--augment evoaug", "evoaug", "teachers"),
        ("--augment shuffle", "shuffle", "teachers"),
        ("--augment shuffle --labels static --append", "shuffle", "static"),
        ("--augment evoaug --labels static", "evoaug_one", "static"),
    ],
)
def test_schemes_and_labels(work, tmp_path, arguments, name, labels):
    done("distill", work.x, work.data, *PAPER, *arguments.split(), "--out", tmp_path / "y")
    made = settings(tmp_path / "y")
    assert made["augmentation"]["scheme"] == described(name)
    assert made["augmentation"]["labels"] == labels
    assert made["augmentation"]["append"] == ("--append" in arguments)
    assert ("teacher_dtype" in made["augmentation"]) == (labels == "teachers")
    assert "finetune" not in made


@pytest.mark.parametrize("option", ["--append", "--labels static", "--teacher-dtype bfloat16"])
def test_what_belongs_to_augmentation_needs_it(work, tmp_path, option):
    refused = degu("distill", work.x, work.data, *PAPER, *option.split(), "--out", tmp_path / "y")
    assert refused.code == 2
    assert f"expected --augment with {option.split()[0]}. Received: no --augment" in refused.err
    assert not (tmp_path / "y").exists()


@pytest.mark.usefixtures("untrained")
def test_a_student_can_be_another_and_smaller_one(work, tmp_path):
    arguments = ("--epochs", 1, "--fraction", 0.25, "--out", tmp_path / "small")
    done("distill", work.x, work.data, *PAPER, "--width", 0.25, *arguments)
    small, teacher = open_run(tmp_path / "small"), Ensemble.load(work.x).members[0]
    assert settings(tmp_path / "small")["model"]["name"] == "tiny"
    assert settings(tmp_path / "small")["data"]["n_train"] == 20
    assert small.model.count_params() < teacher.model.count_params()


def test_another_architecture_does_not_take_the_teachers_options():
    teachers = ModelSpec("tiny", {"width": 0.5}, "first.keras")

    def student(*arguments):
        given = cli.parser().parse_args(["distill", "x", "d.h5", "--out", "y", *arguments])
        return model_spec(given, teachers)

    assert student() == ModelSpec("tiny", {"width": 0.5})
    assert student("--width", "0.25") == ModelSpec("tiny", {"width": 0.25})
    assert student("--init", "a.keras") == ModelSpec("tiny", {"width": 0.5}, "a.keras")
    assert student("--model", "mprann") == ModelSpec("mprann")
    assert student("--model", "mprann", "--width", "2") == ModelSpec("mprann", {"width": 2.0})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_options_of_a_student_beyond_the_papers(work, tmp_path):
    """Schedule, dropout, positive deviations, recombination and the ensemble's validation."""
    run = tmp_path / "student"
    done(
        *("distill", work.x, work.data, *PAPER, "--epochs", 2, "--batch-size", 20, "--quiet"),
        *("--schedule", "cosine", "--warmup", 2, "--learning-rate", 0.01),
        *("--model", "deepstarr", "--width", 0.03, "--student-dropout", 0),
        *("--positive-uncertainty", "--validate-on", "ensemble"),
        *("--augment", "mutate_recombine", "--out", run),
    )
    made = settings(run)
    assert (made["training"]["schedule"], made["training"]["warmup"]) == ("cosine", 2)
    assert made["model"]["options"]["dropout"] == 0.0
    assert made["model"]["head"] == "positive"
    assert made["validation"] == "ensemble"
    assert made["augmentation"]["scheme"] == described("mutate_recombine")
    rates = pd.read_csv(run / "history.csv")["learning_rate"]
    assert rates.iloc[-1] == pytest.approx(0.0, abs=1e-9)
    assert (pd.read_csv(run / "metrics.csv")["head"] == "epistemic").any()
    prediction = open_run(run).predict(read_splits(work.data).test.sequences)
    assert not prediction.flagged().any()


def test_a_warmup_needs_a_schedule(work, tmp_path):
    refused = degu("distill", work.x, work.data, *PAPER, "--warmup", 5, "--out", tmp_path / "s")
    assert refused.code == 2
    assert "schedule" in refused.err
    none = ("--student-dropout", 0, "--out", tmp_path / "s")
    refused = degu("distill", work.x, work.data, *PAPER, *none)
    assert refused.code == 2
    assert "has no dropout layers" in refused.err
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_the_best_recipe_is_the_default(work, tmp_path):
    """Two steps of it, and every part of it changed by an option."""
    teachers = shutil.copytree(work.x, tmp_path / "x")
    teacher_width = settings(teachers)["model"]["options"].get("width", 1.0)
    said = done("distill", teachers, work.data, "--steps", 2, "--out", tmp_path / "y")
    assert "Recipe: best" in said.out
    made = settings(tmp_path / "y")
    assert made["recipe"] == "best"
    assert made["model"]["head"] == "positive"
    assert made["model"]["options"]["width"] == 2 * teacher_width
    assert (made["training"]["schedule"], made["training"]["patience"]) == ("cosine", None)
    assert (made["training"]["epochs"], made["training"]["steps_per_epoch"]) == (1, 2)
    # two steps of 100 see five copies of 40 sequences
    assert made["pool"] == 5 == len(list(teachers.glob("pools/*/copy_*.h5")))
    assert made["validation"] == "ensemble"
    assert "start" not in made
    other = (
        *("--pool", 0, "--augment", "mutagenesis", "--append", "--validate-on", "measured"),
        *("--init", "best-teacher"),
        *("--no-positive-uncertainty", "--measured-share", 0.25, "--schedule", "constant"),
    )
    done("distill", work.x, work.data, *other, "--epochs", 1, "--out", tmp_path / "z")
    made = settings(tmp_path / "z")
    assert {"pool", "validation"}.isdisjoint(made)
    assert made["start"] == "best-teacher"
    assert made["model"]["options"].get("width", 1.0) == teacher_width
    assert made["augmentation"]["scheme"] == described("mutagenesis")
    assert (made["measured_share"], made["training"]["schedule"]) == (0.25, "constant")
    assert "head" not in made["model"]
    off = ("--augment", "off", "--steps", 1, "--width", 0.25, "--out", tmp_path / "off")
    done("distill", work.x, work.data, *off)
    assert "augmentation" not in settings(tmp_path / "off")
    assert settings(tmp_path / "off")["model"]["options"]["width"] == 0.25


@pytest.mark.usefixtures("untrained")
def test_more_sequences_from_a_file_and_from_shuffles(work, tmp_path):
    (tmp_path / "more.fa").write_text("".join(f">s{i}\n{'ACGT' * 8}\n" for i in range(9)))
    command = ("distill", work.x, work.data, "--augment", "off", "--extra", tmp_path / "more.fa")
    said = done(*command, "--extra-shuffles", 0.5, "--out", tmp_path / "y").out
    assert "9 extra sequences" in said
    assert settings(tmp_path / "y")["data"]["n_train"] == 40 + 9 + 20
    stored = ("distill", work.x, work.data, "--augment", "off", "--extra", work.data)
    said = done(*stored, "--out", tmp_path / "h").out  # every split of a file
    assert "130 extra sequences" in said
    assert settings(tmp_path / "h")["data"]["n_train"] == 40 + 130
    (tmp_path / "more.fa").write_text(">s\nACGT\n")
    refused = degu(*command, "--out", tmp_path / "z")
    assert refused.code == 2
    assert "32 bases" in refused.err
    assert not (tmp_path / "z").exists()


def test_what_starts_elsewhere_says_so(work, tmp_path):
    refused = degu(
        *("distill", work.x, work.data, "--width", 0.25, "--init", "best-teacher", "--steps", 1),
        *("--augment", "off", "--out", tmp_path / "y"),
    )
    assert refused.code == 2
    assert "architecture and size" in refused.err


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
def test_teachers_that_were_trained_elsewhere(work, tmp_path):
    """Files of a network nobody here knows; the data say what its columns mean."""
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        sequence = keras.Input((32, 4))
        x = keras.layers.LayerNormalization()(keras.layers.Flatten()(sequence))
        keras.Model(sequence, keras.layers.Dense(2)(x)).save(tmp_path / f"{seed}_net.keras")
    files = sorted(tmp_path.glob("*.keras"))
    ending = (*PAPER, "--quiet", "--model", "tiny", "--out", tmp_path / "y")
    for where in ([tmp_path], files):
        said = done("distill", *where, work.data, *ending).out
        assert "not the data that the teachers were trained on" not in said
        assert "Student of 2 teachers" in said
    made = settings(tmp_path / "y")
    assert made["teachers"]["n_members"] == 2
    assert made["heads"] == {"targets": ["Dev", "Hk"], "aleatoric": None, "epistemic": "std"}
    judged = done("evaluate", tmp_path / "y", work.data).out
    assert "ensemble" in judged
    refused = degu("distill", *files, work.data, *PAPER, "--out", tmp_path / "z")
    assert "expected --model NAME" in refused.err
    wrong = degu("distill", *files, work.data, "--teachers-aleatoric", "std", *ending)
    assert "expected names for the model's 2 columns" in wrong.err
    write_splits(tmp_path / "ab.h5", replace(read_splits(work.data), heads=AB))
    command = ("distill", work.x / "member_00", work.x / "member_01", tmp_path / "ab.h5", *PAPER)
    refused = degu(*command, "--out", tmp_path / "z")
    assert "the teachers predict Dev, Hk, the data have A, B; if these" in refused.err
    assert "--targets A B. Received: no --targets" in refused.err
    done(*command, "--targets", "A", "B", "--model", "tiny", "--out", tmp_path / "z")
