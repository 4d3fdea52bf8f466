"""Windows of fitted sequences in outputs: columns of tables, and bedGraph files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.cli.output import check_out
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from degu_tf.heads import Prediction
    from degu_tf.sequences.fitting import FittedSequences, Span

PLACE = ("chrom", "start", "end", "strand", "windows", "unknown")
"""Columns that say what a prediction was made of, after `name`."""


def placed(
    table: "pd.DataFrame", fitted: "FittedSequences", windows: "Prediction", aggregate: str
) -> "pd.DataFrame":
    """A table of predictions with the columns `PLACE`; of maxima with `t_start` for each target t.

    Parameters
    ----------
    table
        A row for each sequence, or for each window with ``aggregate="none"``.
    fitted
        The windows, with spans.
    windows
        What is predicted of them.
    aggregate
        How windows became rows.

    Raises
    ------
    InputError
        If a target is called like one of the columns.
    """
    import numpy as np

    from degu_tf.models.fitted import strongest

    spans = fitted.spans
    starts, ends = (np.array([getattr(s, name) for s in spans]) for name in ("start", "end"))
    first, counts = np.arange(len(spans)), np.ones(len(spans), int)
    unknown = fitted.unknown
    if aggregate != "none":
        first = fitted.first_windows
        counts = np.bincount(fitted.rows)
        ends, unknown = (np.maximum.reduceat(each, first) for each in (ends, unknown))
    columns: dict[str, object] = {
        "chrom": [spans[index].contig for index in first],
        "start": starts[first],
        "end": ends,
        "strand": [spans[index].strand for index in first],
        "windows": counts,
        "unknown": unknown,
    }
    if aggregate == "maximum":
        chosen = starts[strongest(windows, fitted.rows)]
        more = {f"{target}_start": chosen[:, i] for i, target in enumerate(windows.targets)}
    else:
        more = {}
    taken = [name for name in (*columns, *more) if name in table]
    if taken:
        raise InputError(
            f"a target is called like the column {taken[0]!r}, which says where windows lie; "
            f"rename it in the run's data. Received: targets {', '.join(windows.targets)}"
        )
    for place, (name, values) in enumerate(columns.items(), start=1):
        table.insert(place, name, values)
    return table.assign(**more)


def bedgraph_files(
    folder: str, targets: tuple[str, ...], spans: "Sequence[Span]", *, force: bool
) -> dict[str, Path]:
    """The bedGraph file of each track: targets, and each with its uncertainties.

    Raises
    ------
    InputError
        If one exists and is not to be overwritten, or cannot be written, or windows of different
        sequences overlap.
    """
    from degu_tf.data.bedgraph import check_intervals
    from degu_tf.models.genome_tracks import file_name

    suffixes = ("", "_aleatoric", "_epistemic")
    tracks = [f"{target}{suffix}" for suffix in suffixes for target in targets]
    files = {track: Path(folder) / f"{file_name(track)}.bedGraph" for track in tracks}
    for file in files.values():
        check_out(file, force=force)
    check_intervals(_intervals(spans))
    return files


def _intervals(spans: "Sequence[Span]") -> list[tuple[str, int, int]]:
    """The bases that each window stands for."""
    return [(span.contig, span.first, span.last) for span in spans]


def write_bedgraphs(
    files: dict[str, Path], spans: "Sequence[Span]", windows: "Prediction"
) -> list[Path]:
    """Write a bedGraph of the windows for each target and its uncertainties; give the files.

    Where windows overlap, each stands for the bases nearer to its own middle. Uncertainties that
    came out below zero are no measure and have no line.
    """
    import numpy as np

    from degu_tf.data.bedgraph import write_bedgraph

    tracks = {"": windows.mean}
    for component in ("aleatoric", "epistemic"):
        std = windows.component(component)
        if std is not None:
            tracks[f"_{component}"] = np.where(windows.flagged(component), np.nan, std)
    intervals = _intervals(spans)
    written = []
    for suffix, values in tracks.items():
        for index, target in enumerate(windows.targets):
            written.append(files[target + suffix])
            write_bedgraph(written[-1], intervals, values[:, index])
    return written
