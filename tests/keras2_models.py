"""Writes models by Keras 2, each in all its formats, with the predictions they must give.

Run as a program, in a process of its own, with `tf_keras`: `python keras2_models.py FOLDER [NAME]`.
The networks are written out here in Keras' own layers, so that nothing of the package under test
is in them.
"""

import sys
from pathlib import Path

import numpy as np


def networks(keras):
    """Each network as a function of its input, with its input length; sizes are small."""
    L = keras.layers

    class DenseNormal(L.Layer):
        """What evidential-deep-learning calls by this name."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.dense = L.Dense(2 * units)

        def call(self, x):
            y = self.dense(x)
            mean, std = y[..., : self.units], y[..., self.units :]
            return keras.backend.concatenate([mean, keras.backend.softplus(std) + 1e-6], axis=-1)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    def head(x, kind, n=1):
        if kind == "mean_std":
            mean, std = L.Dense(n, name="mu")(x), L.Dense(n, "softplus", name="std")(x)
            return L.Concatenate()([mean, std])
        if kind == "two_outputs":
            return [L.Dense(1, name="Dense_Dev")(x), L.Dense(1, name="Dense_Hk")(x)]
        return DenseNormal(n)(x) if kind == "dense_normal" else L.Dense(n)(x)

    def deepstarr(x, kind="linear", n=2):
        for filters, kernel in ((24, 7), (6, 3), (6, 5), (12, 3)):
            x = L.Conv1D(filters, kernel, padding="same")(x)
            x = L.MaxPool1D(2)(L.Activation("relu")(L.BatchNormalization()(x)))
        x = L.Flatten()(x)
        for _ in range(2):
            x = L.Activation("relu")(L.BatchNormalization()(L.Dense(24)(x)))
            x = L.Dropout(0.4)(x)
        return head(x, kind, n)

    def residualbind(x, kind="linear", n=3):
        x = L.Conv1D(10, 19, padding="same")(x)
        x = y = L.Dropout(0.2)(L.Activation("silu")(L.BatchNormalization()(x)))
        y = L.BatchNormalization()(L.Conv1D(10, 3, use_bias=False, padding="same")(y))
        for i in range(5):
            y = L.Dropout(0.1)(L.Activation("relu")(y))
            y = L.Conv1D(10, 3, use_bias=False, padding="same", dilation_rate=2**i)(y)
            y = L.BatchNormalization()(y)
        x = L.MaxPooling1D(5)(L.Dropout(0.2)(L.Activation("silu")(L.add([x, y]))))
        x = L.BatchNormalization()(L.Conv1D(14, 7, padding="same")(x))
        x = L.MaxPooling1D(5)(L.Dropout(0.2)(L.Activation("silu")(x)))
        x = L.Dropout(0.5)(L.Activation("silu")(L.BatchNormalization()(L.Dense(12)(x))))
        x = L.Flatten()(L.GlobalAveragePooling1D()(x))
        x = L.Dropout(0.5)(L.Activation("silu")(L.BatchNormalization()(L.Dense(16)(x))))
        return head(x, kind, n)

    def mprann(x, kind="linear", n=3):
        x = L.BatchNormalization()(L.Conv1D(10, 7, activation="relu", name="conv1")(x))
        x = L.BatchNormalization()(L.Conv1D(10, 8, activation="softmax", name="conv2")(x))
        x = L.Dropout(0.1)(L.MaxPooling1D(2, name="maxpool1")(x))
        x = L.BatchNormalization()(L.Conv1D(10, 3, activation="softmax", name="conv3")(x))
        x = L.BatchNormalization()(L.Conv1D(4, 2, activation="softmax", name="conv4")(x))
        x = L.Flatten()(L.Dropout(0.1)(L.MaxPooling1D(1, name="maxpool2")(x)))
        x = L.Dropout(0.3)(L.Dense(12, activation="sigmoid")(x))
        return head(L.Dense(8, activation="sigmoid")(x), kind, n)

    def block(x, filters, normal):
        branches = []
        for kernel in (9, 15):
            y = L.Conv1D(filters, kernel, padding="same")(x)
            y = L.Activation("relu")(L.BatchNormalization()(y) if normal else y)
            branches.append(L.Dropout(0.2)(y))
        return L.Concatenate()(branches)

    def dream_rnn(x, released, n=4):
        x = block(x, 8, released)
        x = L.Bidirectional(L.LSTM(5, return_sequences=True))(x)
        x = block(x if released else L.Dropout(0.2)(x), 8, released)
        if released:
            x = L.Conv1D(8, 1)(L.Dropout(0.5)(x))
        else:
            x = L.Dropout(0.2)(L.Conv1D(8, 1, activation="relu")(x))
        return L.Dense(n)(L.GlobalAveragePooling1D()(x))

    def cnn_task_base(x, tasks=3):
        length = x.shape[1]
        blocks = ((12, 19, 8, 0.1), (16, 7, 4, 0.1), (20, 7, 4, 0.2))
        for filters, kernel, pool, rate in blocks:
            x = L.Conv1D(filters, kernel, padding="same")(x)
            x = L.MaxPool1D(pool)(L.Activation("relu")(L.BatchNormalization()(x)))
            x = L.Dropout(rate)(x)
        x = L.Activation("relu")(L.BatchNormalization()(L.Dense(16)(L.Flatten()(x))))
        x = L.BatchNormalization()(L.Dense(length * 3)(L.Dropout(0.3)(x)))
        x = L.Dropout(0.1)(L.Reshape((length, 3))(L.Activation("relu")(x)))
        x = L.BatchNormalization()(L.Conv1D(10, 7, padding="same")(x))
        x = L.Dropout(0.2)(L.Activation("relu")(x))
        outputs = []
        for _ in range(tasks):
            y = L.BatchNormalization()(L.Conv1D(6, 7, padding="same")(x))
            y = L.Dropout(0.1)(L.Activation("relu")(y))
            outputs.append(L.Dense(1, activation="softplus")(y))
        import tensorflow as tf

        return tf.concat(outputs, axis=2)

    return {
        "deepstarr": (249, deepstarr),
        "two_outputs": (249, lambda x: deepstarr(x, "two_outputs")),
        "deepstarr_mean_std": (249, lambda x: deepstarr(x, "mean_std")),
        "deepstarr_dense_normal": (249, lambda x: deepstarr(x, "dense_normal")),
        "residualbind": (230, residualbind),
        "residualbind_dense_normal": (230, lambda x: residualbind(x, "dense_normal", 1)),
        "mprann": (230, mprann),
        "mprann_mean_std": (230, lambda x: mprann(x, "mean_std", 1)),
        "dream_rnn_paper": (60, lambda x: dream_rnn(x, False)),
        "dream_rnn_released": (60, lambda x: dream_rnn(x, True)),
        "cnn_task_base": (256, cnn_task_base),
    }


def randomise(model, rng, gain):
    """Weights of a size that lets signal through, running statistics included.

    `gain` is for networks with softmax, after which channels vary less.
    """
    for weight in model.weights:
        shape, name = weight.shape.as_list(), weight.name
        if "gamma" in name:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif "variance" in name:
            weight.assign(rng.uniform(0.5, 1.5, shape) / gain**2)
        else:
            weight.assign(rng.normal(0, np.prod(shape[:-1] or [16]) ** -0.5, shape))


def write(folder, names=None):
    """Write networks in every format, and `NAME.npz` with `x` and `y`; all but `two_outputs`."""
    import tf_keras as keras

    class Wrapped(keras.Model):
        """A model within a model, as EvoAug trains one."""

        def __init__(self, model):
            super().__init__()
            self.model = model

        def call(self, x):
            return self.model(x)

    rng = np.random.default_rng(3)
    for name, (length, network) in networks(keras).items():
        if name not in (names or {*networks(keras)} - {"two_outputs"}):
            continue
        sequence = keras.Input((length, 4))
        model = keras.Model(sequence, network(sequence))
        randomise(model, rng, gain=10.0 if name.startswith("mprann") else 1.0)
        x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (5, length))]
        path = folder / name
        outputs = model.predict(x.astype(np.float32), verbose=0)
        y = np.concatenate(outputs, axis=1) if isinstance(outputs, list) else outputs
        np.savez(f"{path}.npz", x=x, y=y)
        Path(f"{path}_config.json").write_text(model.to_json())
        model.compile("adam", "mse")
        model.save(f"{path}_model.h5")
        model.save_weights(f"{path}_finetune.h5")
        model.save_weights(f"{path}.weights.h5")
        model.save(f"{path}.keras")
        if name == "deepstarr":
            wrapped = Wrapped(model)
            wrapped(x[:1].astype(np.float32))
            keras.Model.save_weights(wrapped, f"{path}_wrapped.h5")
            keras.Model.save_weights(wrapped, f"{path}_wrapped.weights.h5")


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
