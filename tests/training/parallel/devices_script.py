"""Trains the same models on one and on two devices, and prints how far apart they come.

The gradient of a bias before batch normalisation is nought but for rounding, and Adam, which
divides a gradient by its size, makes whole steps of it. So Adam's epsilon is larger here than such
gradients, and what is left between one and two devices is rounding alone.

A process of its own, because devices are set before TensorFlow begins. Cases are named on the
command line; each prints the largest difference of losses, and of weights, as JSON.
"""

import json
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

import degu_tf as degu
from degu_tf.data.hdf5 import stored_rows
from degu_tf.training import fit
from degu_tf.training.adam import OneOperationAdam
from degu_tf.training.parallel.devices import part_processor
from degu_tf.training.train import train

SMALL = {"conv_filters": (8, 8), "conv_kernels": (5, 3), "dense_units": (8,), "dropout": 0.0}
SPEC = degu.ModelSpec("deepstarr", SMALL)
PLAIN = degu.TrainingSettings(epochs=3, batch_size=20, learning_rate=3e-3)


def network(input_shape, n_columns):
    """Without batch normalisation."""
    sequence = keras.Input(input_shape)
    x = keras.layers.Conv1D(8, 5, activation="relu")(sequence)
    x = keras.layers.MaxPooling1D(4)(x)
    return keras.Model(sequence, keras.layers.Dense(n_columns)(keras.layers.Flatten()(x)))


def data(n_train):
    return degu.simulate((n_train, 33, 10), length=40, seed=3).splits


def curves(splits, settings, spec=SPEC, **options):
    found = []
    for devices in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = degu.Run(folder + "/run", seed=5, progress=False, devices=devices)
            model = train(splits, spec, settings, run, **options)
            history = np.genfromtxt(folder + "/run/history.csv", delimiter=",", names=True)
            manifest = json.loads(Path(folder, "run", "manifest.json").read_text())
        assert manifest.get("devices", 1) == devices
        found.append((history, model.model.get_weights()))
    return compared(*found)


def compared(one, two):
    losses = max(float(np.abs(one[0][name] - two[0][name]).max()) for name in ("loss", "val_loss"))
    weights = max(float(np.abs(a - b).max()) for a, b in zip(one[1], two[1], strict=True))
    assert one[0]["loss"][0] > one[0]["loss"][-1], "nothing was learnt"
    return {"loss": losses, "weights": weights}


def missing():
    splits = data(103)
    targets = np.array(splits.train.targets)
    targets[::3, 0] = np.nan
    train_split = degu.data.Split(
        splits.train.sequences, targets, weights=np.arange(1.0, 104), missing_targets="keep"
    )
    return curves(replace(splits, train=train_split), PLAIN)


def in_blocks():
    splits = data(103)
    with tempfile.TemporaryDirectory() as folder:
        degu.data.write_splits(folder + "/d.h5", splits)
        stored_rows.HELD = 0
        return curves(degu.data.read_splits(folder + "/d.h5", in_memory="never"), PLAIN)


def student(**choices):
    splits = data(103)
    members = [
        degu.ModelPredictor(SPEC.build((40, 4), splits.heads, seed), splits.heads)
        for seed in (1, 2, 3)
    ]
    teachers = degu.Ensemble(members, SPEC)
    found = []
    for devices in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = degu.Run(folder + "/run", seed=5, progress=False, devices=devices)
            distillation = degu.DistillationSettings(**choices)
            model = degu.distill(teachers, splits, SPEC, PLAIN, run, distillation=distillation)
            history = np.genfromtxt(folder + "/run/history.csv", delimiter=",", names=True)
        found.append((history, model.model.get_weights()))
    return compared(*found)


CASES = {
    "without batch normalisation": lambda: curves(data(103), PLAIN, network),
    "batch normalisation": lambda: curves(data(100), PLAIN),
    "a last batch of three": lambda: curves(data(103), PLAIN),
    "average of weights": lambda: curves(data(103), replace(PLAIN, ema=0.9)),
    "cosine": lambda: curves(data(103), replace(PLAIN, schedule="cosine", warmup=3)),
    "standardised": lambda: curves(data(103), replace(PLAIN, standardise=True)),
    "best epoch": lambda: curves(data(103), replace(PLAIN, epochs=6, patience=1)),
    "fine-tuning": lambda: curves(
        data(103), replace(PLAIN, augment=degu.scheme("mutagenesis"), finetune=PLAIN)
    ),
    "likelihood": lambda: curves(data(103), replace(PLAIN, loss="gaussian_nll")),
    "missing values and weights": missing,
    "in blocks": in_blocks,
    "student": student,
    "labels on the fly": lambda: student(
        augmentation=degu.Augmentation(degu.scheme("mutagenesis"))
    ),
    "pool": lambda: student(augmentation=degu.Augmentation(degu.scheme("mutagenesis")), pool=1),
    "best teacher": lambda: student(init="best-teacher"),
}

if __name__ == "__main__":
    degu.quiet.tensorflow()
    part_processor(2)
    fit.OneOperationAdam = partial(OneOperationAdam, epsilon=1e-3)
    for name in sys.argv[1:] or CASES:
        print(json.dumps([name, CASES[name]()]), flush=True)
