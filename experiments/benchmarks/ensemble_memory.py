"""Memory that a process keeps of each ensemble it has trained and forgotten.

Shown is the resident memory after each ensemble, when nothing refers to it any more and the C
library has given back what is free. Measured for ensembles of three members (defaults below): at
most 1 MiB each after the first, where it was 20 to 22 MiB before TensorFlow's registry of gradients
was kept from holding every training step's graph (`degu_tf.training.epochs.graph_gradients`). The
first one's memory is TensorFlow's code and caches. With `jit_compile` a process still keeps the
code that XLA compiled, some 40 MiB a member, in a cache of TensorFlow's that has no end.
"""

import argparse
import ctypes
import gc
from pathlib import Path

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()


def main() -> None:
    """Print a row for each ensemble."""
    options = _options()
    splits = degu.simulate((options.sequences, 200, 200), length=249).splits
    spec, settings = degu.ModelSpec("deepstarr", {"width": 0.25}), degu.TrainingSettings(epochs=2)
    print("ensemble   resident MiB   more than before")
    last = resident()
    for seed in range(options.ensembles):
        run = degu.Run(seed=seed, progress=False)
        degu.train_ensemble(splits, spec, options.members, settings, run)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        now = resident()
        print(f"{seed:8} {now:14.0f} {now - last:18.1f}", flush=True)
        last = now


def resident() -> float:
    """Resident memory of this process (MiB); Linux, as is `malloc_trim`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensembles", type=int, default=6)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--sequences", type=int, default=2000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
