"""Target columns from bigWig tracks: mean and deviation of replicates, or labels as they are."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from degu_tf.data.bigwig import BigWig, run_starts, write_bigwig
from degu_tf.heads import HeadLayout
from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.utils.errors import InputError

_ROLES = ("aleatoric", "epistemic")
_BLOCK = 2**20


@dataclass(frozen=True)
class TrackColumns:
    """Tracks and the target columns made of them.

    Attributes
    ----------
    heads
        The columns.
    paths
        The tracks, those of the first target first.
    counts
        For each target how many replicates it has; None where each track is a column as it stands.
    """

    heads: HeadLayout
    paths: tuple[Path, ...]
    counts: tuple[int, ...] | None

    @property
    def not_negative(self) -> np.ndarray:
        """Which tracks hold coverage or standard deviations, bool `(tracks,)`."""
        if self.counts is not None:
            return np.ones(len(self.paths), bool)
        return np.arange(len(self.paths)) >= self.heads.n_targets

    def compute(self, values: np.ndarray) -> np.ndarray:
        """Columns `(n, columns)` float32 of the tracks' values `(tracks, n)`, none of them missing.

        Mean and population standard deviation are computed in float64, so equal replicates deviate
        by exactly zero.
        """
        columns = np.empty((values.shape[1], self.heads.n_columns), np.float32)
        if self.counts is None:
            columns[:] = values.T
            return columns
        first = 0
        for target, count in enumerate(self.counts):
            replicates = values[first : first + count].astype(np.float64)
            mean = replicates.sum(axis=0) / count
            columns[:, target] = mean
            if self.heads.aleatoric:
                replicates -= mean
                replicates *= replicates
                std = np.sqrt(replicates.sum(axis=0) / count)
                columns[:, self.heads.n_targets + target] = std
            first += count
        return columns


def replicate_columns(
    replicates: Mapping[str, Sequence[str | os.PathLike]], aleatoric: bool = True
) -> TrackColumns:
    """Mean and population standard deviation of each target's replicates (paper, Methods, ATAC).

    Parameters
    ----------
    replicates
        For each target the bigWig files of its replicates.
    aleatoric
        Whether the standard deviation is wanted; it takes at least two replicates.

    Raises
    ------
    InputError
        If a target has too few replicates, or one of them twice.

    Examples
    --------
    >>> replicate_columns({"ATAC": ["1.bw", "2.bw", "3.bw"]}).heads.columns
    ('ATAC', 'ATAC_aleatoric')
    """
    least = 2 if aleatoric else 1
    for target, paths in replicates.items():
        if isinstance(paths, str | os.PathLike):
            raise InputError(
                f"expected a list of bigWig files for each target. Received: {target}={paths!r}"
            )
        if len(paths) < least:
            raise InputError(
                f"a {'standard deviation' if aleatoric else 'mean'} takes at least {least} "
                f"replicates. Received: {target}={[str(path) for path in paths]}"
            )
        names = [Path(path).resolve() for path in paths]
        if len(set(names)) < len(names):
            raise InputError(
                f"expected different files. Received: {target}={[str(path) for path in paths]}"
            )
    heads = HeadLayout(tuple(replicates), aleatoric="std" if aleatoric else None)
    files = tuple(Path(path) for paths in replicates.values() for path in paths)
    return TrackColumns(heads, files, tuple(map(len, replicates.values())))


def label_columns(tracks: Mapping[str, str | os.PathLike]) -> TrackColumns:
    """Tracks that are columns as they stand, such as labels of an ensemble for its student.

    Parameters
    ----------
    tracks
        A bigWig file for each column, in any order. `<target>_aleatoric` and `<target>_epistemic`
        name standard deviations; all targets have them or none.

    Raises
    ------
    InputError
        If the names do not make a layout.

    Examples
    --------
    >>> label_columns({"ATAC": "mean.bw", "ATAC_epistemic": "std.bw"}).heads.columns
    ('ATAC', 'ATAC_epistemic')
    """
    targets = tuple(
        name
        for name in tracks
        if name.removesuffix("_aleatoric").removesuffix("_epistemic") == name
    )
    aleatoric, epistemic = (any(name.endswith(f"_{role}") for name in tracks) for role in _ROLES)
    heads = HeadLayout(targets, "std" if aleatoric else None, "std" if epistemic else None)
    if set(heads.columns) != set(tracks):
        raise InputError(
            f"expected tracks for the columns {heads.columns}. Received: {tuple(tracks)}"
        )
    return TrackColumns(heads, tuple(Path(tracks[name]) for name in heads.columns), None)


class Tracks:
    """Several bigWig files open for reading; use it in a `with` statement.

    Attributes
    ----------
    columns
        What is made of them.
    files
        The open files.
    """

    def __init__(self, columns: TrackColumns) -> None:
        self.columns = columns
        self._held = np.empty((len(columns.paths), 0), np.float32)
        with ExitStack() as stack:
            self.files = [stack.enter_context(BigWig(path)) for path in columns.paths]
            self._stack = stack.pop_all()

    def read(self, contig: str, start: int, end: int) -> list[np.ndarray]:
        """Values `(end - start,)` float32 of each track, NaN where it has none.

        They are overwritten by the next call: memory that is used again need not be cleared.
        """
        if self._held.shape[1] < end - start:
            self._held = np.empty((len(self.files), end - start), np.float32)
        values = [row[: end - start] for row in self._held]
        for file, row in zip(self.files, values, strict=True):
            row[:] = file.read(contig, start, end)
        return values

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def write_columns(
    columns: TrackColumns, folder: str | os.PathLike, names: Sequence[str] | None = None
) -> dict[str, Path]:
    """Write columns as bigWig tracks, one file a column: means and deviations of replicates.

    Bases where no track has a value have none in what is written.

    Parameters
    ----------
    columns
        The tracks and what to make of them.
    folder
        Where the files shall stand, as `<column>.bw`.
    names
        The columns that are wanted, or None for all.

    Returns
    -------
    dict
        The file of each column.

    Raises
    ------
    InputError
        If tracks differ in the length of a contig, or are no bigWigs.
    """
    written = {}
    with Tracks(columns) as tracks:
        contigs = shared_contigs(tracks)
        for name in columns.heads.columns if names is None else names:
            written[name] = Path(folder) / f"{name}.bw"
            write_bigwig(written[name], contigs, _column_blocks(tracks, contigs, name))
    return written


def shared_contigs(tracks: Tracks) -> dict[str, int]:
    """Contigs of any of the tracks, whose lengths must agree, by the name in the first that has it.

    Raises
    ------
    InputError
        If they do not.
    """
    contigs: dict[str, int] = {}
    for file in tracks.files:
        known = set(contigs)
        for written, length in file.contigs.items():
            name = find_contig(written, known) or written
            if contigs.setdefault(name, length) != length:
                raise InputError(
                    f"expected tracks of one genome. Received: {name} of {contigs[name]} and of "
                    f"{length} bases, the latter in {file.path}"
                )
    return contigs


def _column_blocks(
    tracks: Tracks, contigs: Mapping[str, int], name: str
) -> Iterator[tuple[str, int, np.ndarray]]:
    column = tracks.columns.heads.column(name)
    for contig, length in contigs.items():
        for start in range(0, length, _BLOCK):
            end = min(start + _BLOCK, length)
            values = [
                file.read(contig, start, end)
                if file.contig(contig) is not None
                else np.full(end - start, np.nan, np.float32)
                for file in tracks.files
            ]
            starts = run_starts(*values)
            runs = np.stack([track[starts] for track in values])
            missing = np.isnan(runs)
            made = tracks.columns.compute(np.where(missing, 0, runs))[:, column]
            made[missing.all(axis=0)] = np.nan
            yield contig, start, np.repeat(made, np.diff(starts, append=end - start))
