"""What keeping the training's state costs, against an epoch at DeepSTARR's size.

DeepSTARR's training set has 402,296 sequences of 249 bases: 4,023 steps of 100 an epoch. Rounds
alternate between steps of training and a writing of the state with its flush to disk, in one
process; shown are medians over the rounds, the share of an epoch, and for epochs of other lengths
the share after `INTERVAL`, which leaves states out where epochs are short.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from degu_tf.training import train as training  # noqa: E402
from degu_tf.training.epochs import checkpoint  # noqa: E402

LENGTH, BATCH, STEPS = 249, 100, 4023


class Timed(checkpoint.Checkpoint):
    """A checkpoint that notes how long each writing takes, and how large the file is."""

    def write(self, record, arrays):
        """Write and note."""
        begun = time.perf_counter()
        super().write(record, arrays)
        written.append(time.perf_counter() - begun)
        sizes.append(self.path.stat().st_size)


class Steps(keras.callbacks.Callback):
    """Times the steps of each epoch, without validation and states."""

    def on_epoch_begin(self, epoch, logs=None):
        """Note the time."""
        self.begun, self.last = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        """Note how far the epoch has come."""
        self.last, self.until = batch + 1, time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Keep the seconds a step took; the first epoch traces the graph."""
        if epoch:
            steps.append((self.until - self.begun) / self.last)


written: list[float] = []
sizes: list[int] = []
steps: list[float] = []


def main() -> None:
    """Print a row for each width."""
    options = _options()
    rng = np.random.default_rng(0)
    splits = degu.Splits(
        *(
            degu.data.Split(
                rng.integers(0, 4, (n, LENGTH)).astype(np.uint8),
                rng.normal(size=(n, 2)).astype(np.float32),
            )
            for n in (options.steps * BATCH, BATCH, BATCH)
        ),
        degu.HeadLayout(("Dev", "Hk")),
    )
    checkpoint.INTERVAL = 0
    print("width  ema    state MB  write ms  step ms  % of DeepSTARR's epoch")
    for width in options.width:
        for ema in (None, 0.999):
            written.clear()
            steps.clear()
            settings = degu.TrainingSettings(epochs=options.rounds + 1, ema=ema, patience=None)
            model = degu.build("deepstarr", (LENGTH, 4), splits.heads, width=width)
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                training.fit(
                    model,
                    splits,
                    settings,
                    progress=False,
                    callbacks=[Steps()],
                    checkpoint=Timed(Path(folder), {}),
                )
            write, step = median(written), median(steps)
            share = 100 * write / (STEPS * step)
            print(
                f"{width:5} {ema!s:6} {sizes[-1] / 1e6:8.1f} {1e3 * write:9.1f} "
                f"{1e3 * step:8.1f} {share:9.4f}",
                flush=True,
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", nargs="+", type=float, default=[0.25, 1.0])
    parser.add_argument("--steps", type=int, default=20, help="training steps in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the states are written (default: temporary)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
