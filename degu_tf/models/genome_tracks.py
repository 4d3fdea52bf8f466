"""Predictions along a genome, written as bigWig tracks: one for each target and its uncertainties.

Contigs are covered by overlapping windows (`degu_tf.models.tiling`). Some hundred windows are
predicted at a time and kept on disk, with checksums, until all are there, so that an interrupted
prediction resumes and memory does not grow with the genome. Meanwhile they take four bytes a base
and track of disk space beside the tracks.
"""

import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from degu_tf.data.bigwig import write_bigwig
from degu_tf.heads import Prediction
from degu_tf.models.predictor import Predictor, window_of
from degu_tf.models.tiling import Tile, tiles
from degu_tf.sequences.alphabet import UNKNOWN
from degu_tf.sequences.encoding import encode
from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.utils.checksums import read_checksum, write_checksum
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import UNFINISHED, atomic_write, file_hash, read_json, write_json
from degu_tf.utils.processes.locks import LOCK, alone
from degu_tf.utils.progress import bar

SETTINGS = "tracks.json"
"""What made the tracks, their files, and whether they are finished."""

PIECES = "pieces"
"""Folder of what is predicted so far; it goes when the tracks are written."""

WINDOWS = 256
"""Windows that are predicted at a time."""


class Bases(Protocol):
    """A genome: the length of each contig, and bases by contig, start (0-based) and end."""

    @property
    def contigs(self) -> Mapping[str, int]:
        """Length of each contig in bases."""
        ...

    def fetch(self, contig: str, start: int, end: int) -> str | np.ndarray:
        """Letters, or tokens `(end - start,)`."""
        ...


class _Piece(NamedTuple):
    """Neighbouring windows of a contig that are predicted together."""

    name: str
    contig: str
    tiles: tuple[Tile, ...]

    @property
    def first(self) -> int:
        return self.tiles[0].first

    @property
    def last(self) -> int:
        return self.tiles[-1].last

    @property
    def notes(self) -> dict[str, Any]:
        """What its checksum says of its file."""
        return {"contig": self.contig, "first": self.first, "last": self.last}


def predict_tracks(
    predictor: Predictor,
    genome: Bases,
    folder: str | os.PathLike,
    *,
    contigs: Sequence[str] | None = None,
    window: int | None = None,
    step: int | None = None,
    identity: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> dict[str, Path]:
    """Predict profiles along contigs and write a bigWig track of every target and uncertainty.

    Called again with the same arguments it resumes: what is on disk is held against its checksums,
    and predicted anew where it was damaged. A folder that holds other tracks is refused.

    Parameters
    ----------
    predictor
        Any predictor of profiles with a value for each base.
    genome
        What gives the bases.
    folder
        Where to write: ``<target>.bw``, ``<target>_aleatoric.bw`` and ``<target>_epistemic.bw``,
        standard deviations in the target's unit, as far as the predictor gives them.
    contigs
        Which to predict; all by default. The others have no values in the tracks.
    window
        Bases the predictor takes; its `input_length` by default.
    step
        From one window to the next; half a window by default, so that of each window the middle
        half counts. Contigs shorter than a window are filled up with unknown bases.
    identity
        More plain values that say what made the tracks, such as the predictor's fingerprint.
    progress
        Show a bar; None where standard error is a terminal.

    Returns
    -------
    dict
        The file of each track by its name.

    Raises
    ------
    InputError
        If a contig is not in the genome, the window is not known, the predictor gives no profiles
        of its input's length, all bases are unknown, or the folder holds something else.
    """
    with alone(folder, progress=progress) as place:
        return _predict_tracks(
            predictor, genome, place, contigs, window, step, identity or {}, progress
        )


def _predict_tracks(
    predictor: Predictor,
    genome: Bases,
    folder: Path,
    contigs: Sequence[str] | None,
    window: int | None,
    step: int | None,
    identity: Mapping[str, Any],
    progress: bool | None,
) -> dict[str, Path]:
    window = window_of(predictor, window)
    next(tiles(window, window, step))
    chosen = _chosen(genome, contigs)
    names = list(_tracks(predictor.predict(np.full((1, window), UNKNOWN, np.uint8)), window))
    settings = {
        "contigs": chosen,
        "lengths": dict(genome.contigs),
        "window": window,
        "step": step or max(1, window // 2),
        "tracks": names,
        **identity,
    }
    files = {name: folder / f"{file_name(name)}.bw" for name in names}
    if _begin(folder, settings, files):
        return files

    def pieces() -> Iterator[_Piece]:
        for contig in chosen:
            yield from _pieces(contig, genome, window, step)

    for piece in bar(pieces(), "stretches", progress, total=sum(1 for _ in pieces())):
        path = folder / PIECES / piece.name
        if read_checksum(path) != piece.notes:
            values = _predict(piece, predictor, genome, window, names)
            with atomic_write(path) as temporary:
                np.save(temporary, values)
            write_checksum(path, piece.notes)
    for index, name in enumerate(names):
        blocks = _blocks(folder / PIECES, pieces(), index)
        write_bigwig(files[name], dict(genome.contigs), blocks)
    hashes = {name: file_hash(file) for name, file in files.items()}
    write_json(folder / SETTINGS, {**settings, "finished": True, "files": hashes})
    shutil.rmtree(folder / PIECES)
    return files


def _chosen(genome: Bases, contigs: Sequence[str] | None) -> list[str]:
    known = list(genome.contigs)
    given = known if contigs is None else contigs
    chosen = {find_contig(name, known) or name for name in given}
    unknown = sorted(chosen.difference(known))
    if unknown or not chosen:
        raise InputError(
            f"expected contigs of the genome, which has {', '.join(known[:8])}"
            f"{', ...' if len(known) > 8 else ''}. Received: {', '.join(unknown) or 'none'}"
        )
    return [name for name in known if name in chosen]


def _begin(folder: Path, settings: Mapping[str, Any], files: Mapping[str, Path]) -> bool:
    """Claim the folder, or take it up again; whether its tracks are finished."""
    if not (folder / SETTINGS).is_file():
        if any(not file.name.startswith((LOCK, UNFINISHED)) for file in folder.iterdir()):
            raise InputError(
                f"the output folder holds other files; name a new or empty one. Received: {folder}"
            )
        write_json(folder / SETTINGS, settings)
        return False
    held = read_json(folder / SETTINGS)
    if not isinstance(held, dict):
        raise InputError(f"expected the settings of tracks. Received: {folder / SETTINGS}")
    finished, hashes = held.pop("finished", False), held.pop("files", {})
    differing = [key for key in settings if held.get(key) != settings[key]]
    if differing or held.keys() - settings.keys():
        differing = differing or sorted(held.keys() - settings.keys())
        raise InputError(
            "the output folder holds tracks made with other settings; choose another folder or "
            f"delete it. Received: {folder}, with another {', '.join(differing)}"
        )
    if not finished:
        return False
    damaged = [
        file.name
        for name, file in files.items()
        if not file.is_file() or file_hash(file) != hashes.get(name)
    ]
    if damaged:
        warnings.warn(
            f"finished tracks are missing or damaged and are predicted anew: {', '.join(damaged)}",
            stacklevel=3,
        )
        write_json(folder / SETTINGS, settings)
        return False
    shutil.rmtree(folder / PIECES, ignore_errors=True)
    return True


def _pieces(contig: str, genome: Bases, window: int, step: int | None) -> Iterator[_Piece]:
    length = genome.contigs[contig]
    number = list(genome.contigs).index(contig)
    if length < window:
        yield _Piece(f"{number:05d}-000000.npy", contig, (Tile((length - window) // 2, 0, length),))
        return
    windows = tiles(length, window, step)
    for count in range(length):
        together = tuple(islice(windows, WINDOWS))
        if not together:
            return
        yield _Piece(f"{number:05d}-{count:06d}.npy", contig, together)


def _predict(
    piece: _Piece, predictor: Predictor, genome: Bases, window: int, names: Sequence[str]
) -> np.ndarray:
    """Values `(tracks, bases)` float32 of a piece, NaN where no base near by is known."""
    values = np.full((len(names), piece.last - piece.first), np.nan, np.float32)
    start, end = piece.tiles[0].start, piece.tiles[-1].start + window
    tokens = _tokens(genome, piece.contig, start, end)
    kept = [
        tile
        for tile in piece.tiles
        if (tokens[tile.first - start : tile.last - start] != UNKNOWN).any()
    ]
    if not kept:
        return values
    windows = np.stack([tokens[tile.start - start : tile.start - start + window] for tile in kept])
    tracks = _tracks(predictor.predict(windows), window)
    for row, tile in enumerate(kept):
        part = slice(tile.first - tile.start, tile.last - tile.start)
        place = slice(tile.first - piece.first, tile.last - piece.first)
        for index, name in enumerate(names):
            values[index, place] = tracks[name][row, part]
    return values


def _tokens(genome: Bases, contig: str, start: int, end: int) -> np.ndarray:
    """Tokens of a stretch, unknown beyond the contig's ends."""
    first, last = max(0, start), min(end, genome.contigs[contig])
    bases = genome.fetch(contig, first, last)
    tokens = encode([bases])[0] if isinstance(bases, str) else bases
    return np.pad(tokens, (first - start, end - last), constant_values=UNKNOWN)


def _tracks(prediction: Prediction, window: int) -> dict[str, np.ndarray]:
    """Each track's values `(N, window)` by its name."""
    if prediction.mean.ndim != 3 or prediction.mean.shape[1] != window:
        raise InputError(
            f"tracks are made of profiles with a value for each of {window} bases. "
            f"Received: predictions of shape {prediction.mean.shape}"
        )
    parts = {"": prediction.mean}
    for component in ("aleatoric", "epistemic"):
        std = prediction.component(component)
        if std is not None:  # a floored value is no measure: bigWig readers see no data there
            parts[f"_{component}"] = np.where(prediction.flagged(component), np.nan, std)
    return {
        target + suffix: values[..., index]
        for suffix, values in parts.items()
        for index, target in enumerate(prediction.targets)
    }


def _blocks(
    folder: Path, pieces: Iterable[_Piece], track: int
) -> Iterator[tuple[str, int, np.ndarray]]:
    """One track's values, piece by piece."""
    for piece in pieces:
        if read_checksum(folder / piece.name) != piece.notes:
            raise InputError(
                "a stretch was changed while the tracks were written; call this again to predict "
                f"it anew. Received: {folder / piece.name}"
            )
        values = np.load(folder / piece.name, mmap_mode="r")
        yield piece.contig, piece.first, np.array(values[track])


def file_name(track: str) -> str:
    """A track's name without what file systems do not take."""
    return re.sub(r"[^\w.+-]", "_", track)
