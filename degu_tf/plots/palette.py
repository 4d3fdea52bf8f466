"""Colours, markers and names of methods, bases and motifs, the same in every figure."""

import itertools
from collections.abc import Iterable

import pandas as pd

from degu_tf.data.simulation.grammar import NAMES

COLOURS = {
    "single": "tab:blue",
    "student": "tab:orange",
    "student_of_heteroscedastic": "tab:olive",
    "student_log_variance": "tab:brown",
    "dynamic": "tab:cyan",
    "dynamic_evoaug": "tab:cyan",
    "dynamic_mutagenesis": "tab:red",
    "dynamic_shuffle": "tab:purple",
    "ensemble": "tab:green",
    "mprann": "tab:red",
    "kmer_ridge": "0.45",
    "model": "tab:purple",
    "without_evoaug": "tab:gray",
    "with_evoaug": "tab:cyan",
    "oracle": "tab:brown",
    "mc_dropout": "tab:purple",
    "heteroscedastic": "tab:red",
    "evidential": "tab:cyan",
    "evidential_released": "tab:cyan",
    "deep_evidential": "tab:pink",
}
"""Colour of each method, in the order of legends. They are those of the paper's Figs. 2 and 3; but
dynamic EvoAug is not green, which is the ensemble's. Methods that share a colour share no figure.
"""

LABELS = {
    "single": "Standard training",
    "student": "DEGU student",
    "student_of_heteroscedastic": "DEGU of heteroscedastic",
    "student_log_variance": "DEGU, log-variance",
    "dynamic": "DEGU, labels on the fly",
    "dynamic_evoaug": "DEGU, dynamic EvoAug",
    "dynamic_mutagenesis": "DEGU, dynamic mutagenesis",
    "dynamic_shuffle": "DEGU, dynamic shuffle",
    "ensemble": "Ensemble",
    "mprann": "MPRAnn, all data",
    "kmer_ridge": "5-mer ridge",
    "model": "Model",
    "without_evoaug": "Without EvoAug",
    "with_evoaug": "With EvoAug",
    "oracle": "EvoAug ensemble",
    "mc_dropout": "MC dropout",
    "heteroscedastic": "Heteroscedastic",
    "evidential": "Evidential",
    "evidential_released": "Evidential (released)",
    "deep_evidential": "Deep evidential",
}
"""What a legend calls each method."""

MARKERS = {
    "single": "v",
    "student": "o",
    "student_of_heteroscedastic": "h",
    "student_log_variance": "p",
    "ensemble": "s",
    "mc_dropout": "^",
    "heteroscedastic": "D",
    "evidential": "P",
    "evidential_released": "P",
    "deep_evidential": "X",
}
"""Marker of each method where dots of several methods share a panel."""

LETTERS = {"A": "#109648", "C": "#255c99", "G": "#f7a400", "T": "#d62839"}
"""Colours of the bases."""

MOTIF_COLOURS = (
    "tab:blue", "tab:red", "tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:olive",
    "tab:cyan",
)  # fmt: skip


def methods_of(table: pd.DataFrame) -> list[str]:
    """Methods in a table: the known ones in their fixed order, then others as they come."""
    found = list(dict.fromkeys(table["method"]))
    known = [method for method in COLOURS if method in found]
    return known + [method for method in found if method not in known]


def colour_of(method: str) -> str:
    """Colour of a method."""
    return COLOURS.get(method, "0.25")


def label_of(method: str) -> str:
    """Name of a method in a legend."""
    return LABELS.get(method, method)


def motif_colours(motifs: Iterable[str]) -> dict[str, str]:
    """A colour for each motif: those of the simulated grammar first, then others as they come.

    Examples
    --------
    >>> motif_colours(["CTCF", "AP-1", "CTCF"])
    {'AP-1': 'tab:blue', 'CTCF': 'tab:red'}
    """
    found = list(dict.fromkeys(motifs))
    ordered = [name for name in NAMES if name in found]
    ordered += [name for name in found if name not in ordered]
    return dict(zip(ordered, itertools.cycle(MOTIF_COLOURS), strict=False))
