"""BigWig tracks: one value a base, read in blocks and written from a stream of blocks.

Two libraries share the work, each where it is better (experiments/benchmarks/profiles.py). pyBigWig
reads: about as fast as pybigtools in less memory, float32 as stored, and with an exception where
pybigtools panics on damaged bytes. pybigtools writes: with zoom levels in memory that does not
grow, where pyBigWig keeps 14 bytes a base. Both come with the extra `profiles`.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Self

import numpy as np

from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import file_type
from degu_tf.utils.files import atomic_write

SUFFIXES = (".bw", ".bigwig")
"""How the names of bigWig files end, letter case aside."""

_RECORDS = 2**16
_SPARE = 2**20
_LONGEST = 2**32 - 1


class BigWig:
    """A bigWig file open for reading; use it in a `with` statement or close it.

    Attributes
    ----------
    path
        The file.
    contigs
        Length of each contig in bases, in the order of the file.

    Raises
    ------
    InputError
        If the file is missing or damaged, or no bigWig.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "track.bw"
    >>> write_bigwig(path, {"chr1": 100}, [("chr1", 2, np.array([0.5, 0.5, 2.0]))])
    >>> with BigWig(path) as track:
    ...     dict(track.contigs), track.read("chr1", 0, 6).tolist()
    ({'chr1': 100}, [nan, nan, 0.5, 0.5, 2.0, nan])
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._file = _opened(self.path)
        self.contigs: Mapping[str, int] = MappingProxyType(dict(self._file.chroms()))

    def contig(self, name: str) -> str | None:
        """Give the file's name of a contig, or None; see `find_contig`."""
        return find_contig(name, self.contigs)

    def read(self, contig: str, start: int, end: int) -> np.ndarray:
        """Values `(end - start,)` float32 of the bases from `start` up to `end`, counted from 0.

        Bases without a value are NaN. The contig may have another convention's name.

        Raises
        ------
        InputError
            If the file has no such bases, or its bytes are damaged there.
        """
        found = self.contig(contig)
        if found is None or not 0 <= start <= end <= self.contigs[found]:
            raise InputError(
                f"expected bases within a contig of {self.path}, which has "
                f"{listed_contigs(self.contigs)}. Received: {contig}:{start}-{end}"
            )
        if start == end:
            return np.empty(0, np.float32)
        try:
            return self._file.values(found, start, end, numpy=True)
        except RuntimeError as error:
            raise InputError(
                f"expected a whole bigWig file; {contig}:{start}-{end} cannot be read "
                f"({error}). Received: {self.path}"
            ) from error

    def blocks(self, contig: str, size: int = 2**20) -> Iterator[tuple[str, int, np.ndarray]]:
        """The whole contig in blocks of `size` bases, as `write_bigwig` takes them."""
        for start in range(0, self.contigs[contig], size):
            end = min(start + size, self.contigs[contig])
            yield contig, start, self.read(contig, start, end)

    def close(self) -> None:
        """Close the file; nothing can be read from then on."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_bigwig(
    path: str | os.PathLike,
    contigs: Mapping[str, int],
    blocks: Iterable[tuple[str, int, np.ndarray]],
) -> None:
    """Write a bigWig file from a stream of blocks, whole or not at all.

    Neighbouring bases of equal value become one record. Memory does not grow with the genome.

    Parameters
    ----------
    path
        The output file; its name ends in `.bw` or `.bigWig`.
    contigs
        Length of each contig in bases.
    blocks
        Contig, first base (counted from 0) and the values `(n,)` of the bases from there on, NaN
        where there is none. The blocks of a contig follow each other, ascend and do not overlap;
        contigs may come in any order, and some may have no block.

    Raises
    ------
    InputError
        If a block lies outside its contig or out of order, a value is infinite, or there is none at
        all.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "track.bw"
    >>> write_bigwig(path, {"chr1": 4}, [("chr1", 0, np.ones(2)), ("chr1", 2, np.zeros(2))])
    >>> with BigWig(path) as track:
    ...     track.read("chr1", 0, 4).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"expected a file name that ends in .bw or .bigWig. Received: {path}")
    library = _library("pybigtools")
    with blaming(path), atomic_write(path) as temporary:
        records = _Records(_checked_contigs(contigs), blocks, temporary)
        try:
            library.open(str(temporary), "w").write(dict(contigs), chain.from_iterable(records))
        except BaseException as error:  # what a failure to write raises is no Exception
            records.check()
            if type(error).__name__ != "PanicException":
                raise
            message = "the track could not be written completely, perhaps because the disk is full"
            raise OSError(errno.EIO, message, str(temporary)) from error
        records.check()
        with BigWig(temporary) as written:
            covered = written._file.header()["nBasesCovered"]
        if covered != records.covered:
            raise OSError(f"{path}: {records.covered} bases were given, {covered} were written")


class _Records:
    """Blocks as `zip`s of the writer's records (contig, start, end, value), each block checked.

    The writer prints exceptions and continues as if its input had ended, so they are kept for
    `check` to raise.
    """

    def __init__(
        self,
        contigs: Mapping[str, int],
        blocks: Iterable[tuple[str, int, np.ndarray]],
        output: Path,
    ) -> None:
        self.contigs, self.blocks, self.output = contigs, blocks, output
        self.covered = 0
        self._finished: set[str] = set()
        self._contig, self._end = "", 0
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[Iterable[tuple[str, int, int, float]]]:
        try:
            for contig, start, values in self.blocks:
                values = self._checked(contig, start, np.asarray(values))
                for first in range(0, len(values), _RECORDS):
                    self._check_room()
                    part = values[first : first + _RECORDS]
                    edges = np.append(run_starts(part), len(part))
                    kept = np.flatnonzero(~np.isnan(part[edges[:-1]]))
                    starts, ends = edges[kept], edges[kept + 1]
                    self.covered += int(np.sum(ends - starts))
                    offset = start + first
                    yield zip(
                        repeat(contig),
                        (starts + offset).tolist(),
                        (ends + offset).tolist(),
                        part[starts].tolist(),
                        strict=False,
                    )
            if not self.covered:
                raise InputError("expected at least one value to write. Received: none")
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        """Raise what stopped the stream, if anything did."""
        if self._error is not None:
            raise self._error

    def _check_room(self) -> None:
        """Refuse a disk without room for as much as was written, which the zoom levels may take."""
        written = self.output.stat().st_size if self.output.exists() else 0
        if shutil.disk_usage(self.output.parent).free < max(_SPARE, written):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.output))

    def _checked(self, contig: str, start: int, values: np.ndarray) -> np.ndarray:
        where = f"{contig}:{start}"
        if contig not in self.contigs:
            raise InputError(
                f"expected blocks of the contigs {listed_contigs(self.contigs)}. Received: {where}"
            )
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise InputError(
                "expected the values of a block as numbers (n,), one a base. "
                f"Received: shape {values.shape}, type {values.dtype} at {where}"
            )
        if contig != self._contig:
            self._finished.add(self._contig)
            self._contig, self._end = contig, 0
        if contig in self._finished or start < self._end:
            raise InputError(
                "expected the blocks of a contig one after the other, ascending and not "
                f"overlapping. Received: {where} after {_after(contig, self._finished, self._end)}"
            )
        self._end = start + len(values)
        if self._end > self.contigs[contig]:
            raise InputError(
                f"expected values within {contig}, which has {self.contigs[contig]} bases. "
                f"Received: {len(values)} values from {where}"
            )
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        if np.isinf(values).any():
            base = start + int(np.argmax(np.isinf(values)))
            raise InputError(f"expected finite float32 values. Received: inf at {contig}:{base}")
        return values


def _after(contig: str, finished: set[str], end: int) -> str:
    return f"the end of {contig}" if contig in finished else f"values up to {end}"


def run_starts(*tracks: np.ndarray) -> np.ndarray:
    """Where runs of equal values begin in float32 tracks `(n,)`, all tracks taken together.

    Values are compared by their bits, so that equal NaNs form a run.

    Examples
    --------
    >>> run_starts(np.float32([1, 1, 2, 2]), np.float32([0, 0, 0, 5])).tolist()
    [0, 2, 3]
    """
    changes = np.empty(len(tracks[0]), bool)
    changes[:1] = True
    for number, track in enumerate(tracks):
        bits = np.ascontiguousarray(track, np.float32).view(np.uint32)
        if number:
            changes[1:] |= bits[1:] != bits[:-1]
        else:
            np.not_equal(bits[1:], bits[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def _checked_contigs(contigs: Mapping[str, int]) -> Mapping[str, int]:
    for name, length in contigs.items():
        if not name or not 0 < length <= _LONGEST:
            raise InputError(
                f"expected names of contigs and lengths of 1 to {_LONGEST} bases. "
                f"Received: {name!r} of {length}"
            )
    return contigs


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"expected a bigWig file. Received: no file at {path}")
    if file_type(path) != "bigWig":
        raise InputError(
            "expected a bigWig file; convert bedGraph or wiggle first, with bedGraphToBigWig for "
            f"example. Received: {path}, which begins with {_start(path)!r}"
        )
    try:
        file = _library("pyBigWig").open(str(path))
    except RuntimeError as error:
        raise InputError(f"expected a whole bigWig file ({error}). Received: {path}") from error
    if not file.chroms():
        file.close()
        raise InputError(f"expected a bigWig file with contigs. Received: {path}")
    return file


def _start(path: Path) -> bytes:
    with open(path, "rb") as handle:
        return handle.read(4)


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"bigWig files need {name}; install it with: pip install 'degu_tf[profiles]'. "
            f"Received: {error}"
        ) from error


def listed_contigs(contigs: Mapping[str, int], limit: int = 6) -> str:
    """Contigs with their lengths, as messages show them: the first few, and how many there are."""
    shown = ", ".join(f"{name} ({length})" for name, length in list(contigs.items())[:limit])
    return f"{shown} and {len(contigs) - limit} more" if len(contigs) > limit else shown
