"""Networks of users on the command line: `--model file.py:function`, `--custom-layers`."""

import shutil
from pathlib import Path

import keras
import pytest
from command_line import PAPER, degu, done, settings

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run

NETWORK = """
from pathlib import Path

import keras
from keras import layers

Path(__file__).with_name("executed").touch()


@keras.saving.register_keras_serializable("test_own_models")
class Squared(layers.Layer):
    def call(self, x):
        return x * x


def build(input_shape, n_columns, width=1.0):
    sequence = keras.Input(input_shape)
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(int(8 * width), 5)(sequence))
    return keras.Model(sequence, layers.Dense(n_columns)(x))


def custom(input_shape, n_columns):
    sequence = keras.Input(input_shape)
    x = Squared()(layers.GlobalMaxPooling1D()(layers.Conv1D(8, 5)(sequence)))
    return keras.Model(sequence, layers.Dense(n_columns)(x))
"""

TRAIN = (*PAPER, "--members", 2, "--epochs", 1, "--quiet")


@pytest.fixture
def file(tmp_path):
    """A file of the user's, which leaves a mark whenever it is executed."""
    (tmp_path / "network.py").write_text(NETWORK)
    yield tmp_path / "network.py"
    keras.saving.get_custom_objects().pop("test_own_models>Squared", None)


def executed(file):
    """Whether the file was executed since this was last asked."""
    mark = file.with_name("executed")
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


@pytest.mark.slow
def test_from_training_to_export(work, file, inputs, tmp_path):
    x, y, model = tmp_path / "x", tmp_path / "y", f"{file}:build"
    train = ("train", work.data, *TRAIN, "--model", model, "--out", x)
    done(*train)
    assert executed(file)
    made = settings(x)["model"]
    assert (made["name"], len(made["source"])) == ("network.py:build", 64)
    distill = ("distill", x, work.data, "--steps", 2, "--pool", 1, "--out", y)
    refused = degu(*distill)
    assert refused.code == 2
    assert "function network.py:build, which is not executed unless you name it: --model" in (
        refused.err
    )
    assert not executed(file)
    done(*distill, "--model", model)
    assert settings(y)["model"]["head"] == "positive"
    done("predict", y, *inputs["fasta"], "--out", tmp_path / "p.tsv")
    done("export", y, tmp_path / "y.keras")
    done("evaluate", y, work.data)
    assert not executed(file)
    assert Ensemble.load(x).n_members == 2
    wide = degu(*train[:-1], tmp_path / "w", "--width", 2)
    assert wide.code == 0
    assert open_run(tmp_path / "w").members[0].model.layers[1].filters == 16


def test_a_changed_source_is_another_run(work, file, tmp_path):
    train = ("train", work.data, *TRAIN, "--model", f"{file}:build", "--out", tmp_path / "x")
    done(*train)
    file.write_text(NETWORK + "\n\ndef another():\n    pass\n")
    done(*train)  # what build does not use may change
    file.write_text(NETWORK.replace("8 * width", "9 * width"))
    refused = degu(*train)
    assert refused.code == 2
    assert "source of network.py:build, which builds the model, has changed since" in refused.err


@pytest.mark.slow
def test_members_train_in_processes_that_load_the_file_themselves(work, file, tmp_path):
    command = ("train", work.data, *TRAIN, "--model", f"{file}:build", "--workers", 2)
    done(*command, "--out", tmp_path / "x")
    done("train", work.data, *TRAIN, "--model", f"{file}:build", "--out", tmp_path / "one")
    first, second = (Ensemble.load(tmp_path / name).fingerprint() for name in ("x", "one"))
    assert first == second


def test_layers_of_the_user_are_registered_by_the_file_that_is_named(work, file, inputs, tmp_path):
    x, place = tmp_path / "x", tmp_path / "elsewhere"
    done("train", work.data, *TRAIN, "--model", f"{file}:custom", "--out", x)
    expected = open_run(x).fingerprint()
    keras.saving.get_custom_objects().pop("test_own_models>Squared")
    place.mkdir()
    shutil.move(x, place / "x")
    executed(file)
    predict = ("predict", place / "x", *inputs["fasta"], "--out", tmp_path / "p.tsv")
    refused = degu(*predict)
    assert refused.code == 2
    assert "name the file that registers them, --custom-layers FILE" in refused.err
    assert not executed(file)
    again = Path(shutil.copy(file, tmp_path / "again.py"))
    done(*predict, "--custom-layers", again)
    assert open_run(place / "x").fingerprint() == expected
    (tmp_path / "v.vcf").touch()
    variants = ("variants", place / "x", "--vcf", tmp_path / "v.vcf", "--fasta", "g.fa")
    variants += ("--custom-layers", again, "--workers", 2, "--out", tmp_path / "v.tsv")
    assert "expected one process with --custom-layers" in degu(*variants).err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.py:build", "expected a file of Python. Received: none.py, which does not exist"),
        ("{file}:bild", "expected one of the functions build, custom"),
        ("{file}:Squared", "expected one of the functions build, custom"),
        ("no_such_module:build", "of a module that Python finds. Received: no_such_module"),
    ],
)
def test_what_is_no_builder(work, file, tmp_path, model, message):
    model = model.format(file=file)
    refused = degu("train", work.data, *TRAIN, "--model", model, "--out", tmp_path / "x")
    assert refused.code == 2
    assert message in refused.err
    assert not (tmp_path / "x").exists()


def test_an_option_that_the_function_has_not(work, file, tmp_path):
    command = ("train", work.data, *TRAIN, "--model", f"{file}:custom", "--width", 2)
    refused = degu(*command, "--out", tmp_path / "x")
    assert refused.code == 2
    assert "network.py:custom has no options. Received: --width 2.0" in refused.err
