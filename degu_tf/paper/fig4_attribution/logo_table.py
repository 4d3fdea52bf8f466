"""What a logo of a map shows, as rows of a tidy table: bases with their scores, and motifs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.attribution.motifs import importance
from degu_tf.data.simulation.grammar import Motif, find_motifs
from degu_tf.sequences.encoding import decode

LOGO, SITE = "logo", "site"
"""Metrics of a logo's rows: a base's score, and a motif's site."""

KNOWN_MOTIFS = {"AP-1": "TGANTCA", "GATA": "WGATAR", "ETS": "MGGAAR", "Twist": "CAYATG"}
"""Consensus of the factors that Fig. 4a marks, for data whose truth is not known."""


def logo_rows(maps: Mapping[str, np.ndarray], sequence: np.ndarray, **labels: Any) -> pd.DataFrame:
    """Scores of one sequence's bases, what a logo shows.

    Parameters
    ----------
    maps
        Maps `(L, 4)` by method.
    sequence
        Tokens `(L,)` or floats `(L, 4)`.
    **labels
        Constant columns.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `method`, `metric` (`LOGO`), `position` from 0, `base`, `value`.
    """
    (letters,) = decode(sequence[np.newaxis])
    parts = [
        pd.DataFrame(
            {
                **labels,
                "method": method,
                "metric": LOGO,
                "position": np.arange(len(letters)),
                "base": list(letters),
                "value": np.nan_to_num(importance(each[np.newaxis], sequence[np.newaxis])[0]),
            }
        )
        for method, each in maps.items()
    ]
    return pd.concat(parts, ignore_index=True)


def site_rows(sequence: np.ndarray, simulated: bool, **labels: Any) -> pd.DataFrame:
    """Where motifs lie in one sequence: columns of `motif_sites`, and the labels, as a tidy table.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `metric` (`SITE`), `motif`, `position` (its first base), `end`
        (excluded), `value` (the affinity).
    """
    found = motif_sites(sequence[np.newaxis], simulated)
    found = found.rename(columns={"start": "position", "affinity": "value"})
    return found[["motif", "position", "end", "value"]].assign(metric=SITE, **labels)


def motif_sites(sequences: np.ndarray, simulated: bool) -> pd.DataFrame:
    """Sites of the simulated grammar, or matches of `KNOWN_MOTIFS` on either strand.

    Parameters
    ----------
    sequences
        Tokens `(N, L)`.
    simulated
        Whether the grammar made them.

    Returns
    -------
    pandas.DataFrame
        Columns `sequence`, `motif`, `start`, `end` (excluded) and `affinity` (1 for matches of
        known motifs), sorted by place.

    Examples
    --------
    >>> from degu_tf.sequences.encoding import as_tokens
    >>> motif_sites(as_tokens(["CCTGAGTCACCTTATCA"]), False).values.tolist()
    [[0, 'AP-1', 2, 9, 1.0], [0, 'GATA', 11, 17, 1.0]]
    """
    columns = ["sequence", "motif", "start", "end", "affinity"]
    if simulated:
        return find_motifs(sequences)[columns]
    places = set()
    for name, letters in KNOWN_MOTIFS.items():
        allowed = Motif(name, letters, f"N{letters}N").allowed()
        fits = np.pad(allowed, ((0, 0), (0, 1)))
        turned = np.pad(allowed[::-1, ::-1], ((0, 0), (0, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(sequences, len(letters), axis=1)
        for strand in (fits, turned):
            matches = strand[np.arange(len(letters)), windows].all(axis=2)
            for row, start in np.argwhere(matches).tolist():
                places.add((row, start, start + len(letters), name))
    types = {"sequence": int, "start": int, "end": int, "affinity": float}
    rows = [(row, name, start, end, 1.0) for row, start, end, name in sorted(places)]
    return pd.DataFrame(rows, columns=columns).astype(types)
