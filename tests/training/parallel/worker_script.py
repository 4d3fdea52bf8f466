"""One worker of a training on several machines, or the same training alone; prints its losses."""

import json
import os
import sys

import degu_tf as degu

degu.quiet.tensorflow()
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from degu_tf.training.train import train  # noqa: E402


def network(input_shape, n_columns):
    sequence = keras.Input(input_shape)
    x = keras.layers.Conv1D(8, 5, activation="relu")(sequence)
    x = keras.layers.MaxPooling1D(4)(x)
    return keras.Model(sequence, keras.layers.Dense(n_columns)(keras.layers.Flatten()(x)))


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append([float(logs["loss"]), float(logs["val_loss"])])


def main(folder=None):
    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    else:
        strategy = tf.distribute.get_strategy()
    splits = degu.simulate((103, 33, 10), length=40, seed=3).splits
    settings = degu.TrainingSettings(epochs=3, batch_size=20, learning_rate=3e-3)
    losses = Losses()
    run = degu.Run(folder, seed=5, progress=False, callbacks=[losses])
    with strategy.scope():
        model = train(splits, network, settings, run)
    prediction = model.predict(["A" * 40]).mean.tolist()
    print(json.dumps({"losses": losses.found, "prediction": prediction}))


if __name__ == "__main__":
    main(*sys.argv[1:])
