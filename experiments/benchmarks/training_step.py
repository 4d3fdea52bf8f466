"""Time a training step of this package against Keras' own `fit` of the same network.

Both take the same batches, already encoded and in memory, with Adam and the mean squared error.
Rounds alternate between the two in one process; shown are medians over the rounds.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from degu_tf.training.adam import OneOperationAdam  # noqa: E402
from degu_tf.training.fit import STEPS_AT_ONCE  # noqa: E402
from degu_tf.training.forward import Learner  # noqa: E402

BATCH = 100
BATCHES = 20
LENGTHS = {"deepstarr": 249, "residualbind": 230, "dream_rnn": 249}


def main() -> None:
    """Print a row for each architecture and width."""
    options = _options()
    print("architecture   width   keras ms   degu_tf ms   times faster")
    for name in options.model:
        for width in options.width:
            both = [_steps(name, width, ours) for ours in (False, True)]
            seconds: list[list[float]] = [[], []]
            for _ in range(options.rounds):
                for step, taken in zip(both, seconds, strict=True):
                    taken.append(step(options.steps))
            plain, ours = (1e3 * median(taken) for taken in seconds)
            row = f"{name:14} {width:5} {plain:10.1f} {ours:12.1f} {plain / ours:14.2f}"
            print(row, flush=True)


def _steps(name: str, width: float, ours: bool) -> Callable[[int], float]:
    """What trains so many steps and gives the seconds of one; its graph is traced already."""
    keras.utils.set_random_seed(0)
    length = LENGTHS[name]
    network = degu.build(name, (length, 4), degu.HeadLayout(("a", "b"), "std"), width=width)
    if ours:
        network = Learner(network)
        network.compile(OneOperationAdam(1e-3), "mse", steps_per_execution=STEPS_AT_ONCE)
    else:
        network.compile(keras.optimizers.Adam(1e-3), "mse")
    rng = np.random.default_rng(0)
    x = tf.one_hot(rng.integers(0, 4, (BATCHES, BATCH, length)), 4)
    y = rng.normal(size=(BATCHES, BATCH, 4)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).cache().repeat()

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        network.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False)
        return (time.perf_counter() - start) / steps

    seconds(STEPS_AT_ONCE)
    return seconds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--width", nargs="+", type=float, default=[0.25, 0.5, 1.0])
    parser.add_argument(
        "--steps", type=int, default=4 * STEPS_AT_ONCE, help="training steps in a round"
    )
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
