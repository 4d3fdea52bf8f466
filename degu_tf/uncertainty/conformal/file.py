"""Fitted conformal scores, and the file that stores them."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from degu_tf.models.released.safe_files import npz_arrays
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write

FORMAT = 1
"""Number of the file format; files of a later one are refused."""

_WHAT = "degu_tf conformal calibration"


@dataclass(frozen=True, eq=False)
class Fitted:
    """Scores of the calibration sequences.

    Attributes
    ----------
    targets
        Names of the T predicted quantities.
    scores
        For each target and bin or group, the scores in rising order, float64.
    edges
        Edges between bins of the predicted value `(T, n_bins - 1)`, rising; none without bins.
    labels
        Names of the groups in order, or None where there are none.
    hashes
        uint64 hashes of the sequences, rising, or None where they were not given.
    """

    targets: tuple[str, ...]
    scores: list[list[np.ndarray]]
    edges: np.ndarray
    labels: tuple[str, ...] | None
    hashes: np.ndarray | None

    @property
    def divided(self) -> bool:
        """Whether there is more than one factor a target."""
        return self.labels is not None or self.edges.shape[1] > 0

    def groups(self, target: int) -> tuple[str, ...]:
        """What to call a target's bins or groups; `("all",)` where there are none."""
        if self.labels is not None:
            return self.labels
        if not self.divided:
            return ("all",)
        ends = [f"{edge:.4g}" for edge in self.edges[target]]
        middle = [f"{a} to {b}" for a, b in pairwise(ends)]
        return (f"below {ends[0]}", *middle, f"from {ends[-1]}")


def write_fitted(path: str | os.PathLike, fitted: Fitted, settings: Mapping[str, Any]) -> None:
    """Write scores and settings, whole or not at all.

    Raises
    ------
    InputError
        If the name does not end `.npz`.
    """
    if Path(path).suffix != ".npz":
        raise InputError(f"expected a file name ending .npz. Received: {path}")
    text = json.dumps(
        {
            **settings,
            "what": _WHAT,
            "format": FORMAT,
            "targets": fitted.targets,
            "labels": fitted.labels,
            "sequences": fitted.hashes is not None,
        }
    )
    with atomic_write(path) as temporary:
        np.savez(
            temporary,
            settings=np.array(text),
            scores=np.concatenate([part for row in fitted.scores for part in row]),
            counts=np.array([[len(part) for part in row] for row in fitted.scores]),
            edges=fitted.edges,
            hashes=np.empty(0, np.uint64) if fitted.hashes is None else fitted.hashes,
            allow_pickle=False,
        )


def read_fitted(path: str | os.PathLike) -> tuple[Fitted, dict[str, Any]]:
    """Read what `write_fitted` wrote: scores and settings.

    Raises
    ------
    InputError
        If there is no such file, or another, a damaged one, or one of a later format.
    """
    if not Path(path).is_file():
        raise InputError(f"expected the file of a calibration. Received: {path}")
    try:
        with blaming(path):
            arrays = npz_arrays(path, ("settings", "scores", "counts", "edges", "hashes"))
        settings = json.loads(str(arrays.pop("settings")[()]))
        if settings["what"] != _WHAT:
            raise KeyError("it is of another kind")
        if settings["format"] != FORMAT:
            raise InputError(
                f"the calibration is of format {settings['format']}, this version of degu_tf "
                f"reads {FORMAT}; calibrate again. Received: {path}"
            )
        return _fitted(settings, **arrays), settings
    except InputError:
        raise
    except (
        *(AttributeError, EOFError, IndexError, KeyError, OSError, TypeError, ValueError),
        *(zipfile.BadZipFile, zlib.error, NotImplementedError),
    ) as error:
        raise InputError(
            f"not a calibration, or a damaged one ({error}). Received: {path}"
        ) from error


def _fitted(
    settings: Mapping[str, Any],
    scores: np.ndarray,
    counts: np.ndarray,
    edges: np.ndarray,
    hashes: np.ndarray,
) -> Fitted:
    targets = tuple(str(name) for name in settings["targets"])
    labels = settings["labels"]
    labels = None if labels is None else tuple(str(label) for label in labels)
    n_cells = edges.shape[1] + 1 if labels is None else len(labels)
    whole = (
        (scores.ndim, scores.dtype, hashes.ndim, hashes.dtype, edges.dtype)
        == (1, np.float64, 1, np.uint64, np.float64)
        and counts.dtype.kind == "i"
        and counts.shape == (len(targets), n_cells)
        and len(edges) == len(targets)
        and (counts > 0).all()
        and counts.sum() == len(scores)
        and (np.diff(edges, axis=1) >= 0).all()
        and np.isfinite(scores).all()
    )
    if not whole:
        raise ValueError("its parts do not fit together")
    parts = np.split(scores, np.cumsum(counts)[:-1])
    if any((part[1:] < part[:-1]).any() or part[0] < 0 for part in parts):
        raise ValueError("its scores are not in order")
    rows = [parts[t * n_cells : (t + 1) * n_cells] for t in range(len(targets))]
    return Fitted(targets, rows, edges, labels, hashes if settings["sequences"] else None)
