"""Keras settings of other projects: programs work under each, Python names the one in the way."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cases import one_in

from degu_tf.heads import HeadLayout
from degu_tf.models import build

SETTINGS = {
    "backend in the environment": ({"KERAS_BACKEND": "jax"}, {}),
    "no backend": ({"KERAS_BACKEND": "nonsense"}, {}),
    "backend": ({}, {"backend": "torch"}),
    "float16": ({}, {"floatx": "float16"}),
    "float64": ({}, {"floatx": "float64"}),
    "channels first": ({}, {"image_data_format": "channels_first"}),
    "epsilon": ({}, {"epsilon": 0.1}),
    "all": (
        {"KERAS_BACKEND": "jax"},
        {"backend": "torch", "floatx": "float16", "image_data_format": "channels_first"},
    ),
}


def python(home, arguments, variables=None, keras_json=None):
    """Run Python in a home of its own; give the finished process."""
    (home / ".keras").mkdir(exist_ok=True)
    (home / ".keras" / "keras.json").write_text(json.dumps(keras_json or {}))
    hidden = ("KERAS_BACKEND", "KERAS_HOME")
    own = {name: value for name, value in os.environ.items() if name not in hidden}
    own |= {"HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=own | (variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "1.weights.h5"
    build("deepstarr", (60, 4), HeadLayout(("Dev", "Hk")), width=0.05).save_weights(path)
    return path


PREDICT = """
import sys
from degu_tf.utils import quiet
quiet.tensorflow()
import numpy as np
from degu_tf.models.released.load import load_released
model = load_released(sys.argv[1], input_length=60)
assert {weight.dtype for weight in model.weights} == {"float32"}, model.weights[0].dtype
x = np.eye(4, dtype=np.float32)[np.arange(60) % 4][np.newaxis]
np.save(sys.argv[2], model(x, training=False).numpy())
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", one_in(4, SETTINGS))
def test_programs_give_the_same_numbers_under_any_setting(name, weights, tmp_path):
    found = []
    for variables, settings in (({}, {}), SETTINGS[name]):
        out = tmp_path / f"{len(found)}.npy"
        done = python(tmp_path, ["-c", PREDICT, weights, out], variables, settings)
        assert done.returncode == 0, done.stderr
        found.append(np.load(out))
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_the_command_line_works_under_all_of_them(weights, tmp_path):
    variables, settings = SETTINGS["all"]
    out = tmp_path / "model.keras"
    command = ["-m", "degu_tf", "convert", weights, out, "--length", 60]
    done = python(tmp_path, command, variables, settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Dev, Hk" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "settings", "before", "message"),
    [
        ({}, {"floatx": "float16"}, "", "the Keras setting floatx=float32: .*floatx=float16"),
        ({}, {"image_data_format": "channels_first"}, "",
         "the Keras setting image_data_format=channels_last.*channels_first"),
        ({}, {}, "import sys, types\nkeras = sys.modules['keras'] = types.ModuleType('keras')\n"
         "keras.config = types.SimpleNamespace(backend=lambda: 'jax')",
         "KERAS_BACKEND=tensorflow before keras is imported.*backend 'jax'"),
    ],
    ids=["floatx", "axes", "loaded"],
)  # fmt: skip
def test_python_names_the_setting_in_one_line(variables, settings, before, message, tmp_path):
    done = python(tmp_path, ["-c", f"{before}\nimport degu_tf.models"], variables, settings)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1

    assert re.search(f"InputError: expected .*{message}", last), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    ["models.registry", "metrics.keras_metrics", "training.train", "distillation.ensemble",
     "uncertainty.mc_dropout", "attribution.shap_values"],
)  # fmt: skip
def test_every_folder_chooses_its_backend_before_keras_loads(module, tmp_path):
    code = f"import degu_tf.{module}, keras; assert keras.config.backend() == 'tensorflow'"
    done = python(tmp_path, ["-c", code], {"KERAS_BACKEND": "jax"})
    assert done.returncode == 0, done.stderr
