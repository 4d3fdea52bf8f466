"""Peak memory and time of reading a released HDF5 file, against reading whole arrays with h5py.

The released STARR-seq file holds float64 one-hot sequences, 32 times the size of their tokens.
Each way of reading runs in a process of its own; from its peak memory that of a process which only
imports is taken off. Run it as `python experiments/benchmarks/read_memory.py --rows 20000`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

import degu_tf as degu

N_TRAIN = 402_296
LENGTH = 249
UNKNOWN_SHARE = 1e-3

_WRITE_ROWS = 4096
_MEBIBYTE = 2**20


def make_released_file(
    path: str | Path,
    n_train: int = N_TRAIN,
    length: int = LENGTH,
    n_validation: int = 2000,
    n_test: int = 2000,
    seed: int = 0,
) -> None:
    """Write random data in the released flat layout: float64 one-hot, contiguous, uncompressed.

    `X_Train y_Train idx_Train` and the same for Val and Test; two columns of targets, integer
    indices, and in one of a thousand positions an unknown base (all-zero).

    Parameters
    ----------
    path
        The file to write, in slices of a few thousand sequences.
    n_train, n_validation, n_test
        Numbers of sequences.
    length
        Bases in each.
    seed
        Equal seeds give equal files.
    """
    rng = np.random.default_rng(seed)
    rows_of = np.vstack([np.eye(4), np.zeros(4)])
    with h5py.File(path, "w") as file:
        first = 0
        for name, n in (("Train", n_train), ("Val", n_validation), ("Test", n_test)):
            sequences = file.create_dataset(f"X_{name}", (n, length, 4), np.float64)
            for start in range(0, n, _WRITE_ROWS):
                shape = (min(_WRITE_ROWS, n - start), length)
                tokens = rng.integers(0, 4, shape)
                tokens[rng.random(shape) < UNKNOWN_SHARE] = 4
                sequences[start : start + shape[0]] = rows_of[tokens]
            file[f"y_{name}"] = rng.normal(size=(n, 2))
            file[f"idx_{name}"] = np.arange(first, first + n)
            first += n


def measure(path: str | Path, way: str) -> dict[str, float]:
    """Seconds and peak memory in bytes of a fresh process that reads the file in one `way`.

    Parameters
    ----------
    path
        A file in the released layout.
    way
        ``"import"`` reads nothing, ``"read_splits"`` is this package's way, ``"whole"`` takes
        `dataset[:]` and argmax of each array.
    """
    command = [sys.executable, __file__, "--way", way, "--file", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def _read(path: str, way: str) -> dict[str, float]:
    read_splits = degu.data.read_splits  # imported before the clock starts
    start = time.perf_counter()
    if way == "read_splits":
        splits = read_splits(path, progress=False)
        n_read = len(splits.train)
    elif way == "whole":
        kept = {}
        with h5py.File(path) as file:
            for split in ("Train", "Val", "Test"):
                array = file[f"X_{split}"][:]
                tokens = array.argmax(axis=2).astype(np.uint8)
                tokens[array.sum(axis=2) == 0] = 4
                kept[split] = tokens, file[f"y_{split}"][:]
        n_read = len(kept["Train"][0])
    else:
        n_read = 0
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": seconds, "peak": peak, "rows": n_read}


def compare(path: str | Path) -> None:
    """Print memory and time of both ways, and their ratios."""
    with h5py.File(path) as file:
        shapes = [file[f"X_{split}"].shape for split in ("Train", "Val", "Test")]
    tokens = sum(n * length for n, length, _ in shapes)
    base = measure(path, "import")["peak"]
    measured = {way: measure(path, way) for way in ("read_splits", "whole")}
    print(f"{shapes[0][0]} x {shapes[0][1]} training sequences, float64 one-hot")
    print(f"file {32 * tokens / _MEBIBYTE:.0f} MiB, tokens {tokens / _MEBIBYTE:.0f} MiB")
    for way, result in measured.items():
        extra = result["peak"] - base
        print(
            f"{way:12s} {extra / _MEBIBYTE:8.0f} MiB above import "
            f"({extra / tokens:.2f} x tokens), {result['seconds']:.1f} s"
        )
    memory = (measured["read_splits"]["peak"] - base) / (measured["whole"]["peak"] - base)
    seconds = measured["read_splits"]["seconds"] / measured["whole"]["seconds"]
    print(f"read_splits / whole: memory {memory:.3f}, time {seconds:.2f}")


def main() -> None:
    """Make the file, compare the two ways, and remove the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=N_TRAIN, help="training sequences")
    parser.add_argument("--length", type=int, default=LENGTH, help="bases in each")
    parser.add_argument("--folder", type=Path, help="where to make the file (default: temporary)")
    parser.add_argument("--file", type=Path, help="a file to read instead; it is kept")
    parser.add_argument("--make", type=Path, help="only make this file")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(_read(str(arguments.file), arguments.way)))
    elif arguments.make:
        make_released_file(arguments.make, arguments.rows, arguments.length)
    elif arguments.file:
        compare(arguments.file)
    else:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            path = Path(folder) / "released.h5"
            size = ["--rows", str(arguments.rows), "--length", str(arguments.length)]
            # in another process, because a child's peak memory begins at its parent's
            subprocess.run([sys.executable, __file__, "--make", str(path), *size], check=True)
            compare(path)


if __name__ == "__main__":
    main()
