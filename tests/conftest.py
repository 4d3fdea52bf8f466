"""Fixtures for all tests: data that are easy to learn, and models that train in a second on them.

`store`, `teachers` and `student` are trained once and shared: tests do not write to their folders.
"""

import one_thread  # noqa: F401  # isort: skip  # before numpy

import os
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from weight_files import MODELS, randomise
from zenodo_server import Zenodo

from degu_tf.utils import quiet

quiet.tensorflow()

import keras  # noqa: E402

from degu_tf.data.splits import Split, Splits  # noqa: E402
from degu_tf.data.zenodo import record  # noqa: E402
from degu_tf.distillation.runs import open_run  # noqa: E402
from degu_tf.heads import HeadLayout  # noqa: E402
from degu_tf.models import build  # noqa: E402
from degu_tf.models.released.load import load_released  # noqa: E402
from degu_tf.models.released.output_heads import columns_layout  # noqa: E402
from degu_tf.paper.networks.store import Store  # noqa: E402
from degu_tf.training.model_spec import ModelSpec  # noqa: E402
from degu_tf.training.settings import TrainingSettings  # noqa: E402
from degu_tf.utils.errors import InputError  # noqa: E402
from degu_tf.utils.run_folder import RunFolder  # noqa: E402


def pytest_runtest_setup():
    """Weights that a test draws without a seed of its own are the same in every run."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def make_splits():
    """A function that makes splits: the first target rises with G and C, the second with A."""

    def make(targets=("activity",), aleatoric=None, sizes=(400, 40, 40), length=32, seed=0):
        heads = HeadLayout(targets, aleatoric=aleatoric)
        rng = np.random.default_rng(seed)
        parts = []
        for size in sizes:
            shares = np.cumsum(rng.dirichlet([3.0] * 4, size), axis=1)[:, np.newaxis, :3]
            tokens = (rng.random((size, length, 1)) > shares).sum(axis=2).astype(np.uint8)
            rich = [np.isin(tokens, letters).mean(axis=1) for letters in ([1, 2], [0])]
            mean = np.stack([2.0 * rich[i] for i in range(len(targets))], axis=1)
            std = np.repeat(0.2 + rich[1][:, np.newaxis], len(targets), axis=1)
            parts.append(Split(tokens, heads.join(mean, std if aleatoric else None)))
        return Splits(*parts, heads)

    return make


@pytest.fixture(scope="session")
def splits(make_splits):
    """Two targets with aleatoric columns; 400 training, 40 validation and 40 test sequences."""
    return make_splits(("Dev", "Hk"), aleatoric="std")


@pytest.fixture(scope="session")
def spec():
    """A DeepSTARR of one convolution and one dense layer."""
    return ModelSpec(
        "deepstarr",
        {"conv_filters": (8,), "conv_kernels": (5,), "dense_units": (8,), "dropout": 0.1},
    )


@pytest.fixture(scope="session")
def quick():
    """Twelve epochs of twenty steps."""
    return TrainingSettings(epochs=12, batch_size=20, learning_rate=0.02)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of trained runs."""
    return Store(tmp_path_factory.mktemp("store"), progress=False)


@pytest.fixture(scope="session")
def teachers(store, splits, spec, quick):
    """Two trained teachers of `splits`, in a folder of `store`."""
    return store.teachers(splits, spec, 2, quick, seed=5)


@pytest.fixture(scope="session")
def student(store, teachers, splits, quick):
    """A student of `teachers`, in a folder of `store`."""
    return store.student(teachers, splits, settings=quick, seed=3)


@pytest.fixture(scope="session")
def student_run(store, student):
    """The folder of `student` in `store`, which holds other runs too, some of them unfinished."""
    runs = [path for path in store.root.glob("student-*") if RunFolder(path).finished]
    (run,) = (path for path in runs if open_run(path).fingerprint() == student.fingerprint())
    return run


@pytest.fixture
def untrained(monkeypatch):
    """Models stay as they were built."""
    monkeypatch.setattr("degu_tf.training.train.fit", lambda *_, **__: pd.DataFrame({"epoch": [0]}))


@pytest.fixture(scope="session")
def stir():
    """A function that gives a model weights and moving statistics like those of a trained one.

    No gamma is one, no beta zero; outputs stay near one. It returns the model.
    """

    def stirred(model, seed=0):
        rng = np.random.default_rng(seed)
        for weight in model.weights:
            kind = weight.path.rsplit("/")[-1]
            fan_in = max(1, int(np.prod(weight.shape[:-1])))
            draw = {
                "kernel": lambda shape, fan=fan_in: rng.normal(0.0, fan**-0.5, shape),
                "gamma": lambda shape: rng.uniform(0.5, 1.5, shape),
                "moving_variance": lambda shape: rng.uniform(0.5, 2.0, shape),
            }.get(kind, lambda shape: rng.normal(0.0, 0.3, shape))
            weight.assign(draw(tuple(weight.shape)))
        return model

    return stirred


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; skips where there is none."""
    folder = os.environ.get("DEGU_REAL_DATA")
    if folder is None:
        pytest.skip("DEGU_REAL_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def models():
    """One small model of each architecture and variant, with random weights."""
    made = {}
    for name, (length, n_columns, options) in MODELS.items():
        heads = columns_layout(n_columns)
        made[name] = randomise(build(name.split()[0], (length, 4), heads, **options))
    return made


@pytest.fixture
def refused(tmp_path):
    """A function that loads a file, asserts that it is refused, and that nothing came of it."""
    marker = tmp_path / "executed"

    def check(path, message):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError, match=message) as caught:
            load_released(path)
        assert str(path) in str(caught.value)
        assert not marker.exists()
        assert sorted(tmp_path.rglob("*")) == before

    check.marker = marker
    return check


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server for `degu_tf.data.zenodo.record` to ask; the cache is a folder of the test's own."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DEGU_CACHE", str(tmp_path / "cache"))
    server = Zenodo()
    monkeypatch.setattr(record, "BASE_URL", server.url)
    yield server
    server.close()


@pytest.fixture
def closed_port():
    """A port of this machine at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
