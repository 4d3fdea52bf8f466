"""What `degu explain` does: sequences and references in, maps, logos and TF-MoDISco's files out."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from degu_tf.attribution.background import DINUCLEOTIDE, random_background
from degu_tf.attribution.explain_run import explain_run
from degu_tf.attribution.map_files import (
    ATTRIBUTIONS,
    MAPS,
    ONE_HOT,
    Maps,
    read_maps,
)
from degu_tf.attribution.methods import Method
from degu_tf.attribution.motifs import importance
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.sources.sequences import read_sequences
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.heads import total_std
from degu_tf.models.predictor import ModelPredictor
from degu_tf.plots.sequence_logos import logos
from degu_tf.utils.errors import blaming
from degu_tf.utils.files import atomic_write
from degu_tf.utils.run_folder import RunFolder

LOGOS = "logos"
"""How the files of logos begin."""


def explain(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Explain the sequences of a file by a run, and say what was done."""
    predictor = open_run(options.run)
    named = read_sequences(
        options.sequences,
        sequence=options.sequence,
        name=options.name,
        split=options.split,
        targets=options.targets,
        length=predictor.input_length,
    )
    heads = options.head or list(predictor.heads.targets)
    ranking = None
    if options.rank_by == "measured":
        ranking = measured_values(options.sequences, options.split, options.targets, heads)
    background, drawn = DINUCLEOTIDE, None
    if options.method == "deepshap":
        background, drawn = references(options, predictor)
        say(drawn)
    method = Method(
        name=options.method,
        background=background,
        n_references=options.references,
        seed=options.seed,
        steps=options.steps,
    )
    folders = explain_run(
        predictor,
        named.sequences,
        options.out,
        heads=heads,
        method=method,
        names=named.names,
        top=options.top,
        ranking=ranking,
        progress=False if options.quiet else None,
    )
    for head, folder in folders.items():
        maps = read_maps(folder / MAPS)
        some = "all" if len(maps) == len(named.names) else f"{len(maps)} of {len(named.names)}"
        largest = "" if some == "all" else f" with the largest {options.rank_by} {head}"
        say(f"{head}: maps of {some} sequences{largest} in {folder / MAPS}")
        if maps.delta is not None:
            say(f"{head}: scores miss the difference of outputs by {_worst(maps.delta)}")
        if maps.sequences.ndim == 3:
            say(f"{head}: neither logos nor files for TF-MoDISco, the sequences are not one-hot")
            continue
        if options.logos:
            say(f"{head}: logos in {draw_logos(folder, maps, options.logos)}")
        width = maps.sequences.shape[1] // 2 * 2
        pair = f"-s {folder / ONE_HOT} -a {folder / ATTRIBUTIONS}"
        say(f"{head}: for TF-MoDISco: modisco motifs {pair} -n 2000 -w {width}")


def measured_values(
    path: str, split: str, targets: list[str] | None, heads: list[str]
) -> dict[str, np.ndarray]:
    """Measured values `(N,)` of each head in a split of an HDF5 file.

    Raises
    ------
    InputError
        If the file is no HDF5 file, or has no such column.
    """
    with blaming("--rank-by measured"):
        splits = read_splits(path, targets)
        part, held = getattr(splits, split), splits.heads
        columns = {head: part.targets[..., held.column(head)] for head in heads}
    return {
        head: values if values.ndim == 1 else values.mean(axis=1)
        for head, values in columns.items()
    }


def references(
    options: argparse.Namespace, predictor: ModelPredictor | Ensemble
) -> tuple[Any, str]:
    """DeepSHAP's references as asked for, and a line that says what they are.

    By default they are drawn from the test sequences of the data that the run was trained on, as in
    the paper, if the file is where the run noted it; else each sequence is shuffled.

    Raises
    ------
    InputError
        If the file named has too few sequences or ones of another length.
    """
    shuffled = f"References: {options.references} dinucleotide shuffles of each sequence"
    if options.background == DINUCLEOTIDE:
        return DINUCLEOTIDE, shuffled
    path = options.background
    if path is None:
        path = data_file(options.run)
        if path is None:
            return DINUCLEOTIDE, f"{shuffled} (the run's data are not where they were)"
        found = read_sequences(path, split="test", length=predictor.input_length)
        n = min(options.references, len(found.names))
    else:
        n = options.references
        found = read_sequences(
            path,
            sequence=options.sequence,
            split=options.split,
            targets=options.targets,
            length=predictor.input_length,
        )
    with blaming(path):
        drawn = random_background(found.sequences, n, options.seed)
    return drawn, f"References: {n} random sequences of the {len(found.names)} in {path}"


def data_file(run: str) -> Path | None:
    """The data that a run was trained on, if they are still where they were."""
    if Path(run).is_file():
        return None
    noted = RunFolder(run).manifest().get("data_file")
    path = None if noted is None else Path(os.path.normpath(Path(run) / noted))
    return path if path is not None and path.is_file() else None


def draw_logos(folder: Path, maps: Maps, n: int) -> Path:
    """Write the logos of the first `n` sequences as PNG and PDF; give the PNG file.

    Hypothetical scores are drawn: see `degu_tf.attribution.motifs.importance`.
    """
    figure = logos(
        importance(maps.hypothetical[:n], maps.sequences[:n]),
        maps.sequences[:n],
        [logo_title(maps, row) for row in range(min(n, len(maps)))],
        label=f"{maps.method} of {maps.head}",
    )
    for suffix in (".pdf", ".png"):
        file = folder / f"{LOGOS}{suffix}"
        with atomic_write(file) as temporary:
            figure.savefig(temporary, dpi=150)
    return file


def logo_title(maps: Maps, row: int, unit: str = "") -> str:
    """A title for a logo: the sequence, its activity, and how sure the predictor is of it.

    Parameters
    ----------
    maps
        Maps with predictions.
    row
        Which of them.
    unit
        Of the activity.

    Examples
    --------
    >>> one = np.ones(1)
    >>> maps = Maps("Dev", "Dev", "saliency", ["chr2L:5"], one, one, one, one, one,
    ...             activity=3.2 * one, aleatoric=0.3 * one, epistemic=0.4 * one)
    >>> logo_title(maps, 0)
    'chr2L:5   Dev 3.20 ± 0.50 (epistemic 0.40, aleatoric 0.30)'
    """
    activity = maps.value if maps.activity is None else maps.activity
    parts = {
        name: float(getattr(maps, name)[row])
        for name in ("epistemic", "aleatoric")
        if getattr(maps, name) is not None
    }
    text = f"{maps.names[row]}   {maps.target} {float(activity[row]):.2f}"
    if parts:
        text += f" ± {total_std(*parts.values()):.2f}"
    text += f" {unit}" if unit else ""
    if parts:
        text += f" ({', '.join(f'{name} {value:.2f}' for name, value in parts.items())})"
    return text if maps.head == maps.target else f"{text}   map of {maps.head}"


def _worst(delta: np.ndarray) -> str:
    return f"at most {np.abs(delta).max():.2g}"
