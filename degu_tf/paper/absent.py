"""Methods that a figure cannot show for lack of weights: rows of its table, and a note below it."""

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from degu_tf.plots.palette import label_of

ABSENT = "absent"
"""The `metric` of rows that say what is missing; their column of the same name says why."""

NO_WEIGHTS = "no weights were given"

_CHARACTERS_AN_INCH = 13
_NOTE = 9.0


def absent_row(method: str, reason: str = NO_WEIGHTS, **labels: Any) -> pd.DataFrame:
    """The row of a method that is missing.

    Examples
    --------
    >>> absent_row("student", dataset="k562")[["dataset", "method", "metric"]].values.tolist()
    [['k562', 'student', 'absent']]
    """
    return pd.DataFrame(
        [{**labels, "method": method, "metric": ABSENT, "value": float("nan"), ABSENT: reason}]
    )


def absent_methods(table: pd.DataFrame) -> dict[str, list[str]]:
    """For each reason what is missing, in words: method, data set, share of the data."""
    if ABSENT not in table:
        return {}
    found: dict[str, list[str]] = {}
    for row in table[table[ABSENT].notna()].to_dict("records"):
        share = row.get("fraction")
        where = [row["dataset"]] if "dataset" in row else []
        where += [f"{share:.0%} of the data"] if share is not None and share < 1.0 else []
        words = label_of(row["method"]) + (f" ({', '.join(where)})" if where else "")
        listed = found.setdefault(row[ABSENT], [])
        if words not in listed:
            listed.append(words)
    return found


def absent_text(table: pd.DataFrame) -> str:
    """What a figure lacks and why, empty where it lacks nothing."""
    return " ".join(
        f"Not shown: {'; '.join(methods)}: {reason}."
        for reason, methods in absent_methods(table).items()
    )


def note_absent(figure: Figure, table: pd.DataFrame) -> None:
    """Write below a drawn figure what it lacks and why."""
    text = absent_text(table)
    if text:
        width = int(figure.get_figwidth() * _CHARACTERS_AN_INCH)
        figure.text(0.01, -0.01, textwrap.fill(text, width), fontsize=_NOTE, va="top", ha="left")


def empty_panel(axes: Axes, method: str) -> None:
    """Write into an empty panel that the weights of its method were not given."""
    axes.set(xticks=[], yticks=[])
    words = textwrap.fill(f"{label_of(method)}: {NO_WEIGHTS}", 26)
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=10)
