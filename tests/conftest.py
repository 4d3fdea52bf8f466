"""Fixtures for all tests: data small enough to train on in a second, and easy to learn."""

import os
from pathlib import Path

import numpy as np
import pytest

from degu_tf import quiet

quiet.tensorflow()

from degu_tf.data.splits import Split, Splits  # noqa: E402
from degu_tf.heads import HeadLayout  # noqa: E402
from degu_tf.training import ModelSpec, TrainingSettings  # noqa: E402


@pytest.fixture(scope="session")
def make_splits():
    """A function that makes splits: the first target rises with G and C, the second with A."""

    def make(targets=("activity",), aleatoric=None, sizes=(120, 40, 40), length=32, seed=0):
        heads = HeadLayout(targets, aleatoric=aleatoric)
        rng = np.random.default_rng(seed)
        parts = []
        for size in sizes:
            share = rng.uniform(0.1, 0.4, (size, 4))
            share = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)
            draw = rng.random((size, length, 1))
            tokens = (draw > share[:, np.newaxis, :3]).sum(axis=2).astype(np.uint8)
            rich = [np.isin(tokens, letters).mean(axis=1) for letters in ([1, 2], [0])]
            mean = np.stack([4.0 * rich[i] for i in range(len(targets))], axis=1)
            std = np.repeat(0.2 + rich[1][:, np.newaxis], len(targets), axis=1)
            parts.append(Split(tokens, heads.join(mean, std if aleatoric else None)))
        return Splits(*parts, heads)

    return make


@pytest.fixture(scope="session")
def splits(make_splits):
    """One target, 120 training, 40 validation, 40 test sequences of 32 bp."""
    return make_splits()


@pytest.fixture(scope="session")
def spec():
    """A DeepSTARR of a few hundred weights."""
    return ModelSpec("deepstarr", {"width": 0.05})


@pytest.fixture(scope="session")
def quick():
    """Two epochs of six steps."""
    return TrainingSettings(epochs=2, batch_size=20)


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real data sets; skips where there is none."""
    folder = os.environ.get("DEGU_REAL_DATA")
    if folder is None:
        pytest.skip("DEGU_REAL_DATA is not set")
    return Path(folder)
