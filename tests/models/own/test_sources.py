"""Names and hashes of builders, and their import by name."""

import pickle
import sys

import pytest

from degu_tf.models.own.sources import load_builder, load_module, name_of, source_hash
from degu_tf.training.model_spec import ModelSpec
from degu_tf.utils.errors import InputError

NETWORK = """
import keras
from keras import layers

UNITS = 8

class Block:
    def __call__(self, x):
        return layers.Dense(UNITS)(x)

def build(input_shape, n_columns):
    sequence = keras.Input(input_shape)
    return keras.Model(sequence, layers.Dense(n_columns)(Block()(layers.Flatten()(sequence))))

def unused():
    return 1
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "network.py").write_text(NETWORK)
    return tmp_path / "network.py"


def hashed(file, *change):
    file.write_text(NETWORK.replace(*change) if change else NETWORK)
    return source_hash(load_builder(f"{file}:build"))


def test_the_hash_is_that_of_all_a_builder_uses(file):
    same = hashed(file)
    assert hashed(file, "return 1", "return 2") == same
    assert hashed(file, "UNITS = 8", "# units\nUNITS = 8") == same
    changes = [("UNITS = 8", "UNITS = 9"), ("Dense(UNITS)", "Dense(2 * UNITS)")]
    changes.append(("Flatten()", "Flatten(name='flat')"))
    assert len({same, *(hashed(file, *change) for change in changes)}) == 4


def test_names_are_those_of_the_command_line(file):
    assert name_of(load_builder(f"{file}:build")) == "network.py:build"
    assert ModelSpec(load_builder(f"{file}:build")).name == "network.py:build"
    assert name_of(load_builder("own_networks:residual")) == "own_networks:residual"


def test_modules_are_found_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "found_here.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert load_builder("found_here:build").__name__ == "build"
    assert sys.path == before


def test_other_processes_load_the_file_again(file):
    spec = ModelSpec(load_builder(f"{file}:build"), {"a": 1})
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert copy.builder is spec.builder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{folder}/none.py:build", "expected a file of Python. Received: .*none.py, which does"),
        ("{folder}/network.py:biuld", "one of the functions build, unused of"),
        ("{folder}/network.py:UNITS", "one of the functions build, unused of"),
        ("{folder}/broken.py:build", r"broken.py could not be imported: Syntax.*line"),
        ("{folder}/raising.py:build", r"ZeroDivisionError: .* \(raising.py, line 2\)"),
        ("no.such.module:build", "of a module that Python finds. Received: no.such.module"),
        (":build", "could not be imported|that Python finds"),
    ],
)
def test_what_cannot_be_imported(file, text, message):
    (file.parent / "broken.py").write_text("def build(:\n")
    (file.parent / "raising.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(InputError, match=message):
        load_builder(text.format(folder=file.parent))


def test_a_file_is_executed_once(file):
    assert load_module(str(file)) is load_module(str(file))
