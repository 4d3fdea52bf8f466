"""Memory and time of training on files that are larger than memory, read in blocks.

Three measurements, each in processes of their own. *Memory*: the peak of a training on more and
more sequences, or on bins of profiles, above that of a training on a hundred sequences. *Speed*:
steps a second of one network on one file, held in memory and read in blocks, in turns; the ratio is
that of the medians. *Tracks* (`--tracks`): the peak while predictions along a simulated genome are
written, against the genome's length.

The files hold few different rows, so that they take little room on the disk; they are unpacked,
checked and shuffled as any other. Run it as
`python experiments/benchmarks/large_stores.py --sequences 1e6 1e7 5e7 --bins 5e4 5e5`.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

import degu_tf as degu

MEBIBYTE = 2**20
LENGTH, BIN = 249, 3072
SMALL = degu.ModelSpec(
    "deepstarr", {"conv_filters": (8,), "conv_kernels": (7,), "dense_units": (8,)}
)


def make_store(
    path: str | Path, n_train: int, profiles: bool = False, n_others: int = 2000
) -> None:
    """Write a file of many rows: one chunk of each data set again and again, as it is packed.

    Parameters
    ----------
    path
        The file to write.
    n_train, n_others
        Training sequences, and those of validation and of test.
    profiles
        Bins of 3072 bases with two columns for each base, as `degu prepare atac` writes them;
        otherwise sequences of 249 bases with two columns.
    """
    rng = np.random.default_rng(0)
    length, heads = (BIN, ("ATAC",)) if profiles else (LENGTH, ("activity",))
    shape, rows = ((length, 2), 32) if profiles else ((2,), 1024)
    tokens = rng.integers(0, 4, (8, length), np.uint8)
    values = rng.poisson(0.3, (8, *shape)).astype(np.float32)
    layout = degu.HeadLayout(heads, aleatoric="std")
    small = degu.data.Split(tokens, values)
    degu.data.write_splits(path, degu.Splits(small, small, small, layout))
    names = {"sequences": tokens, "targets": values}
    packing = {"sequences": hdf5plugin.Bitshuffle(cname="lz4"), "targets": hdf5plugin.Zstd(1)}
    with h5py.File(path, "r+", libver="latest") as file:
        for split, n in (("train", n_train), ("validation", n_others), ("test", n_others)):
            for name, few in names.items():
                del file[split][name]
                pattern = np.resize(few, (rows, *few.shape[1:]))
                _repeated(file[split], name, n, pattern, fletcher32=True, **packing[name])


def _repeated(group: h5py.Group, name: str, n: int, pattern: np.ndarray, **how: object) -> None:
    pattern = pattern[:n]
    dataset = group.create_dataset(
        name, (n, *pattern.shape[1:]), pattern.dtype, chunks=pattern.shape, **how
    )
    dataset[: len(pattern)] = pattern
    dataset.flush()
    zeros = (0,) * (dataset.ndim - 1)
    mask, packed = dataset.id.read_direct_chunk((0, *zeros))
    for start in range(0, n, len(pattern)):
        dataset.id.write_direct_chunk((start, *zeros), packed, mask)


def peak() -> int:
    """Bytes of memory this process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if _MAC else 1024)


_MAC = sys.platform == "darwin"


def training(path: str) -> dict[str, float]:
    """Train some steps on a file in blocks, its fingerprint included; seconds and peak memory."""
    degu.quiet.tensorflow()
    start = time.perf_counter()
    splits = degu.data.read_splits(path, progress=False, in_memory="never")
    profiles = splits.train.targets.ndim == 3
    spec = degu.ModelSpec("cnn_task_base", {"width": 0.05}) if profiles else SMALL
    settings = degu.TrainingSettings(
        epochs=2, steps_per_epoch=5 if profiles else 50, crop=2048 if profiles else None
    )
    degu.train(splits, spec, settings, degu.Run(progress=False))
    return {"seconds": time.perf_counter() - start, "peak": peak(), "rows": len(splits.train)}


def speed(path: str, steps: int = 200, rounds: int = 5) -> dict[str, float]:
    """Median steps a second of an epoch in memory and in blocks, in turns."""
    degu.quiet.tensorflow()
    from degu_tf.training.train import fit

    ways = {
        way: degu.data.read_splits(path, progress=False, in_memory=way)
        for way in ("always", "never")
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    settings = degu.TrainingSettings(epochs=2, steps_per_epoch=steps)
    for _ in range(rounds):
        for way, splits in ways.items():
            model = degu.build("deepstarr", splits.input_shape, splits.heads, width=0.25)
            history = fit(model, splits, settings, progress=False)
            rates[way].append(steps / float(history["seconds"].iloc[-1]))
    return {way: statistics.median(each) for way, each in rates.items()}


class _Sawtooth:
    """Predictions that cost nothing: numbers of the bases themselves."""

    heads = degu.HeadLayout(("ATAC",), epistemic="std")

    def predict(self, sequences: np.ndarray) -> degu.Prediction:
        values = np.asarray(sequences, float) + 0.5
        return self.heads.prediction(np.stack([values, 2 * values], axis=2))


class _Genome:
    """A contig of random bases that are made as they are asked for."""

    def __init__(self, length: int) -> None:
        self.contigs = {"chr1": length}

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        return np.random.default_rng(start).integers(4, size=end - start).astype(np.uint8)


def tracks(length: str) -> dict[str, float]:
    """Peak memory of a process that writes tracks along so many bases."""
    from degu_tf.models.genome_tracks import predict_tracks

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        genome = _Genome(int(float(length)))
        predict_tracks(_Sawtooth(), genome, folder, window=2048, progress=False)
    return {"seconds": time.perf_counter() - start, "peak": peak(), "rows": float(length)}


def measure(way: str, argument: str | Path) -> dict[str, float]:
    """What one of the measurements gives in a fresh process."""
    command = [sys.executable, __file__, "--way", way, "--argument", str(argument)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def made(path: Path, n_train: int, profiles: bool) -> Path:
    """A store that another process makes, because a child's peak memory begins at its parent's."""
    command = [sys.executable, __file__, "--make", str(path), "--rows", str(n_train)]
    subprocess.run([*command, *(["--profiles"] if profiles else [])], check=True)
    return path


def memory(folder: Path, sizes: list[int], profiles: bool) -> None:
    """Print peak memory against the number of rows."""
    few = measure("training", made(folder / "few.h5", 100, profiles))["peak"]
    what = "bins of 3072 bases, 2 columns" if profiles else "sequences of 249 bases"
    print(f"{what}: a training on 100 takes {few / MEBIBYTE:.0f} MiB")
    for n in sizes:
        path = made(folder / "many.h5", n, profiles)
        found = measure("training", path)
        whole = n * (BIN * 9 if profiles else LENGTH + 8) / MEBIBYTE
        print(
            f"{n:>12,} rows ({whole:>8,.0f} MiB in memory): "
            f"{(found['peak'] - few) / MEBIBYTE:6.0f} MiB above that, {found['seconds']:.0f} s"
        )
        path.unlink()


def main() -> None:
    """Run the measurements that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", nargs="*", type=float, default=[1e5, 1e6])
    parser.add_argument("--bins", nargs="*", type=float, default=[1e4])
    parser.add_argument("--tracks", nargs="*", type=float, default=[])
    parser.add_argument("--folder", type=Path, help="where files are made (default: temporary)")
    parser.add_argument("--speed", type=float, default=2e5, help="sequences, to compare the speed")
    for hidden in ("--way", "--argument", "--make"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--profiles", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        ways = {"training": training, "speed": speed, "tracks": tracks}
        print(json.dumps(ways[arguments.way](arguments.argument)))
        return
    if arguments.make:
        make_store(arguments.make, arguments.rows, arguments.profiles)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for sizes, profiles in ((arguments.sequences, False), (arguments.bins, True)):
            if sizes:
                memory(Path(folder), [int(n) for n in sizes], profiles)
        if arguments.speed:
            rates = measure("speed", made(Path(folder) / "d.h5", int(arguments.speed), False))
            print(
                f"steps a second: {rates['always']:.1f} in memory, {rates['never']:.1f} in blocks; "
                f"ratio {rates['never'] / rates['always']:.3f}"
            )
    for length in arguments.tracks:
        found = measure("tracks", str(int(length)))
        print(
            f"tracks of {length / 1e6:,.0f} Mb: peak {found['peak'] / MEBIBYTE:.0f} MiB, "
            f"{found['seconds']:.0f} s"
        )


if __name__ == "__main__":
    main()
