"""`degu distill`."""

import pandas as pd
import pytest
from command_line import degu, described, done, settings

from degu_tf import cli
from degu_tf.cli.training_options import model_spec
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.distillation.teacher import has_bfloat16
from degu_tf.training.model_spec import ModelSpec


def test_students_take_the_teachers_training_subset_and_architecture(work):
    assert "40 train, 20 validation, 30 test" in work.shown["distill"].out
    assert "trained on other data" not in work.shown["distill"].out
    made = settings(work.y)
    assert made["subset"] == settings(work.x)["subset"]
    assert made["data"]["n_train"] == 40
    assert made["model"] == settings(work.x)["model"]
    assert made["teachers"]["fingerprint"] == Ensemble.load(work.x).fingerprint()
    assert made["heads"]["epistemic"] == "std"


def test_distil_on_the_fly(work, tmp_path):
    run = tmp_path / "dynamic"
    arguments = ("--augment", "mutagenesis", "--append", "--teacher-dtype", "bfloat16")
    done(
        *("distill", work.x, work.data, "--epochs", 2, *arguments, "--finetune-epochs", 1),
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
    refused = degu("distill", work.x, work.data, "--epochs", 2, *arguments[:2], "--out", run)
    assert refused.code == 2
    assert "already holds another run" in refused.err
    assert "augmentation.append" in refused.err


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
    done("distill", work.x, work.data, *arguments.split(), "--out", tmp_path / "y")
    made = settings(tmp_path / "y")
    assert made["augmentation"]["scheme"] == described(name)
    assert made["augmentation"]["labels"] == labels
    assert made["augmentation"]["append"] == ("--append" in arguments)
    assert ("teacher_dtype" in made["augmentation"]) == (labels == "teachers")
    assert "finetune" not in made


@pytest.mark.parametrize("option", ["--append", "--labels static", "--teacher-dtype bfloat16"])
def test_what_belongs_to_augmentation_needs_it(work, tmp_path, option):
    refused = degu("distill", work.x, work.data, *option.split(), "--out", tmp_path / "y")
    assert refused.code == 2
    assert f"expected --augment with {option.split()[0]}. Received: no --augment" in refused.err
    assert not (tmp_path / "y").exists()


@pytest.mark.usefixtures("untrained")
def test_a_student_can_be_another_and_smaller_one(work, tmp_path):
    arguments = ("--epochs", 1, "--fraction", 0.25, "--out", tmp_path / "small")
    done("distill", work.x, work.data, "--width", 0.25, *arguments)
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
        *("distill", work.x, work.data, "--epochs", 2, "--batch-size", 20, "--quiet"),
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
    refused = degu("distill", work.x, work.data, "--warmup", 5, "--out", tmp_path / "s")
    assert refused.code == 2
    assert "schedule" in refused.err
    none = ("--student-dropout", 0, "--out", tmp_path / "s")
    refused = degu("distill", work.x, work.data, *none)
    assert refused.code == 2
    assert "has no dropout layers" in refused.err
    assert not (tmp_path / "s").exists()
