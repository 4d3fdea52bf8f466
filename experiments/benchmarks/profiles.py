"""Preparing base-resolution profiles against reading their tracks once; libraries and packing.

A random genome of three chromosomes and three replicate bigWigs with runs of 10 to 50 bases are
made. Every measurement runs in a process of its own, and from peak memory that of a process which
only imports is taken off. `python experiments/benchmarks/profiles.py --bases 100_000_000`;
`--what prepare memory libraries packing` chooses.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

import degu_tf as degu
from degu_tf.data.bigwig import BigWig, write_bigwig
from degu_tf.data.sources.atac import write_profiles
from degu_tf.data.tracks import replicate_columns

N_BASES = 100_000_000
N_TRACKS = 3
SHORTEST, LONGEST = 10, 50
BLOCK = 2**20

_SHARES = {"chr1": 0.9, "chr8": 0.05, "chr9": 0.05}
_MEBIBYTE = 2**20
_ROWS = 3200
_PACKING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "lzf": {"compression": "lzf"},
    "lzf, shuffle": {"compression": "lzf", "shuffle": True},
    "gzip 1": {"compression": "gzip", "compression_opts": 1},
    "gzip 1, shuffle": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip 4": {"compression": "gzip", "compression_opts": 4},
    "gzip 4, shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "LZ4": hdf5plugin.LZ4(),
    "Bitshuffle LZ4": hdf5plugin.Bitshuffle(cname="lz4"),
    "Bitshuffle Zstd": hdf5plugin.Bitshuffle(cname="zstd", clevel=1),
    "Blosc LZ4": hdf5plugin.Blosc(cname="lz4"),
    "Zstd 1": hdf5plugin.Zstd(clevel=1),
    "Zstd 3": hdf5plugin.Zstd(clevel=3),
}


def make_files(folder: Path, n_bases: int, seed: int = 0) -> None:
    """Write `genome.fa` and `rep1.bw`, `rep2.bw`, ...: fold changes of three decimals in runs."""
    contigs = {name: int(share * n_bases) for name, share in _SHARES.items()}
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    with open(folder / "genome.fa", "wb") as file:
        for name, length in contigs.items():
            file.write(f">{name}\n".encode())
            for start in range(0, length, 60 * 2**14):
                bases = letters[rng.integers(0, 4, min(60 * 2**14, length - start))].tobytes()
                file.write(b"".join(bases[i : i + 60] + b"\n" for i in range(0, len(bases), 60)))
    for track in range(N_TRACKS):
        write_bigwig(folder / f"rep{track + 1}.bw", contigs, _blocks(contigs, seed + 1 + track))


def _blocks(contigs: dict[str, int], seed: int) -> Iterator[tuple[str, int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for contig, length in contigs.items():
        for start in range(0, length, BLOCK):
            n = min(BLOCK, length - start)
            lengths = rng.integers(SHORTEST, LONGEST + 1, n // SHORTEST + 1)
            values = rng.gamma(0.5, 2.0, len(lengths)).round(3).astype(np.float32)
            yield contig, start, np.repeat(values, lengths)[:n]


def _paths(folder: Path) -> list[Path]:
    return [folder / f"rep{track + 1}.bw" for track in range(N_TRACKS)]


def _import(folder: Path) -> None:
    """Nothing but the imports."""


def _read(folder: Path) -> None:
    for path in _paths(folder):
        with BigWig(path) as track:
            for contig in track.contigs:
                for _ in track.blocks(contig, BLOCK):
                    pass


def _read_other(folder: Path) -> None:
    import pybigtools

    for path in _paths(folder):
        track = pybigtools.open(str(path))
        for contig, length in track.chroms().items():
            for start in range(0, length, BLOCK):
                track.values(contig, start, min(start + BLOCK, length), fillna=None)


def _prepare(folder: Path) -> None:
    columns = replicate_columns({"ATAC": _paths(folder)})
    write_profiles(folder / "profiles.h5", folder / "genome.fa", columns, progress=False)


def _dense(n_bases: int) -> Iterator[tuple[int, np.ndarray]]:
    rng = np.random.default_rng(0)
    for start in range(0, n_bases, BLOCK):
        yield start, rng.normal(size=min(BLOCK, n_bases - start)).astype(np.float32)


def _write_pybigtools(folder: Path, n_bases: int) -> None:
    blocks = (("chr1", start, values) for start, values in _dense(n_bases))
    write_bigwig(folder / "dense.bw", {"chr1": n_bases}, blocks)


def _write_pybigwig(folder: Path, n_bases: int, zooms: int = 10) -> None:
    import pyBigWig

    file = pyBigWig.open(str(folder / "dense.bw"), "w")
    file.addHeader([("chr1", n_bases)], maxZooms=zooms)
    for start, values in _dense(n_bases):
        file.addEntries("chr1", start, values=values, span=1, step=1)
    file.close()


_WAYS: dict[str, Callable[..., None]] = {
    "import": _import,
    "read, pyBigWig": _read,
    "read, pybigtools": _read_other,
    "prepare": _prepare,
    "write, pybigtools": _write_pybigtools,
    "write, pyBigWig": _write_pybigwig,
    "write, pyBigWig without zoom levels": partial(_write_pybigwig, zooms=0),
}


def measure(way: str, folder: Path, *given: int) -> dict[str, float]:
    """Seconds, processor seconds and peak memory in bytes of a fresh process."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder), *map(str, given)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def _measured(way: str, folder: Path, given: list[int]) -> dict[str, float]:
    start, start_cpu = time.perf_counter(), time.process_time()
    _WAYS[way](folder, *given)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - start_cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    }


def _medians(way: str, folder: Path, repeats: int, *given: int) -> dict[str, float]:
    runs = [measure(way, folder, *given) for _ in range(repeats)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _print(way: str, found: dict[str, float], base: float, more: str = "") -> None:
    memory = (found["peak"] - base) / _MEBIBYTE
    print(
        f"{way:36s} {found['seconds']:6.2f} s, cpu {found['cpu']:6.2f} s, {memory:5.0f} MiB{more}"
    )


def compare(folder: Path, repeats: int) -> None:
    """Print the time of preparing and that of reading the tracks once, and their ratio."""
    base = measure("import", folder)["peak"]
    pairs = [
        [measure(way, folder) for way in ("read, pyBigWig", "prepare")] for _ in range(repeats)
    ]
    for column, way in enumerate(("read once", "prepare")):
        runs = [pair[column] for pair in pairs]
        _print(way, {key: statistics.median(run[key] for run in runs) for key in runs[0]}, base)
    for key in ("seconds", "cpu"):
        ratios = [prepare[key] / read[key] for read, prepare in pairs]
        print(f"prepare / read once, {key}: {statistics.median(ratios):.2f} (median of {repeats})")
    print(f"file {os.path.getsize(folder / 'profiles.h5') / _MEBIBYTE:.0f} MiB")


def compare_memory(folder: Path, n_bases: int) -> None:
    """Print peak memory of preparing a quarter of the genome and the whole."""
    for bases in (n_bases // 4, n_bases):
        with tempfile.TemporaryDirectory(dir=folder) as part:
            # in another process, because a child's peak memory begins at its parent's
            _make(Path(part), bases)
            base = measure("import", Path(part))["peak"]
            _print(f"prepare {bases:,} bases", measure("prepare", Path(part)), base)


def compare_libraries(folder: Path, repeats: int, n_bases: int) -> None:
    """Print what reading the tracks and writing one value a base costs with each library."""
    base = measure("import", folder)["peak"]
    for way in ("read, pyBigWig", "read, pybigtools"):
        _print(way, _medians(way, folder, repeats), base)
    for way in [way for way in _WAYS if way.startswith("write")]:
        for bases in (n_bases // 4, n_bases):
            found = measure(way, folder, bases)
            size = os.path.getsize(folder / "dense.bw") / bases
            _print(f"{way}, {bases:,}", found, base, f", {size:.1f} bytes a base")


def compare_packing(folder: Path) -> None:
    """Print size and time of targets and tokens under the filters of HDF5, and of what is used."""
    _prepare(folder)
    train = degu.data.read_splits(folder / "profiles.h5", progress=False).train
    for what, values in (("targets", train.targets), ("sequences", train.sequences)):
        print(what)
        _compare_filters(folder, values[:_ROWS])
    n_bases = train.sequences[:_ROWS].size
    with h5py.File(folder / "profiles.h5") as file:
        for name in ("targets", "sequences"):
            dataset = file["train"][name]
            size = dataset.id.get_storage_size() / dataset.shape[0] / dataset.shape[1]
            start = time.process_time()
            dataset[:_ROWS]
            seconds = 1e8 * (time.process_time() - start) / n_bases
            print(f"{name} as written: {size:.2f} bytes a base, read {seconds:.2f} s for 100 Mb")


def _compare_filters(folder: Path, values: np.ndarray) -> None:
    path, n_bases = folder / "packed.h5", values.shape[0] * values.shape[1]
    how: Any
    for name, how in _PACKING.items():
        start = time.process_time()
        with h5py.File(path, "w") as file:
            file.create_dataset("values", data=values, chunks=(32, *values.shape[1:]), **how)
        written = time.process_time()
        with h5py.File(path) as file:
            file["values"][()]
        read = time.process_time() - written
        print(
            f"{name:16s} {os.path.getsize(path) / n_bases:5.2f} bytes a base, write "
            f"{1e8 * (written - start) / n_bases:5.2f} s, read {1e8 * read / n_bases:5.2f} s "
            "for 100 Mb"
        )


def _make(folder: Path, n_bases: int) -> None:
    command = [sys.executable, __file__, "--way", "make", "--folder", str(folder), str(n_bases)]
    subprocess.run(command, check=True)


def main() -> None:
    """Make the files, take the requested measurements, and remove them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", type=int, default=N_BASES, help="bases of the genome")
    parser.add_argument("--repeats", type=int, default=3)
    choices = ("prepare", "memory", "libraries", "packing")
    parser.add_argument("--what", nargs="+", choices=choices, default=choices)
    parser.add_argument("--dense", type=int, default=20_000_000, help="bases to write")
    parser.add_argument("--folder", type=Path, help="where to make the files (default: temporary)")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("given", nargs="*", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way == "make":
        make_files(arguments.folder, *arguments.given)
        return
    if arguments.way:
        print(json.dumps(_measured(arguments.way, arguments.folder, arguments.given)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        _make(Path(folder), arguments.bases)
        if "prepare" in arguments.what:
            compare(Path(folder), arguments.repeats)
        if "memory" in arguments.what:
            compare_memory(Path(folder), arguments.bases)
        if "libraries" in arguments.what:
            compare_libraries(Path(folder), arguments.repeats, arguments.dense)
        if "packing" in arguments.what:
            compare_packing(Path(folder))


if __name__ == "__main__":
    main()
