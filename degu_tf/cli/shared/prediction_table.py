"""The table of `degu predict`: a row for each sequence, written as sequences are predicted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from degu_tf.cli.output import say
from degu_tf.cli.shared.windows import placed

if TYPE_CHECKING:
    from degu_tf.heads import Prediction
    from degu_tf.sequences.fitting import FittedSequences
    from degu_tf.uncertainty.conformal.conformal import Conformal

LEVEL = 0.95


class PredictionTable:
    """A table that is written block by block, with the bytes of one that is written whole.

    Parameters
    ----------
    level, conformal
        As for `prediction_table`.
    aggregate
        What becomes of the windows of a sequence: one of `degu_tf.models.fitted.AGGREGATES`, or
        ``"none"`` for a row for each.
    tiled
        Whether any sequence has several windows.

    Attributes
    ----------
    n_rows, n_floored
        Rows written so far, and how many of them have an uncertainty that was below zero.
    interval
        The kind of their intervals.
    """

    def __init__(
        self,
        level: float = LEVEL,
        conformal: "Conformal | None" = None,
        aggregate: str = "mean",
        *,
        tiled: bool = False,
    ) -> None:
        self.level, self.conformal = level, conformal
        self.aggregate, self.tiled = aggregate, tiled
        self.n_rows, self.n_floored, self.interval = 0, 0, ""
        self._file: Any = None

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """Write to a file, compressed as its name says."""
        from pandas.io.common import get_handle

        with get_handle(path, "w", encoding="utf-8", compression="infer") as handles:
            self._file = handles.handle
            yield

    def add(self, block: "FittedSequences", windows: "Prediction") -> None:
        """Write the rows of a block of sequences.

        Parameters
        ----------
        block
            Their windows.
        windows
            What is predicted of these.

        Raises
        ------
        InputError
            As `prediction_table` and `placed` do.
        """
        from degu_tf.models.fitted import aggregated

        prediction, names = windows, block.names
        if self.tiled and self.aggregate != "none":
            prediction = aggregated(windows, block.rows, self.aggregate)
        if self.aggregate == "none":
            names = [block.names[row] for row in block.rows]
        if not self.n_rows:
            self._say_kind(prediction)
        table = prediction_table(prediction, names, self.level, self.conformal)
        if block.spans:
            table = placed(table, block, windows, self.aggregate)
        table.to_csv(self._file, sep="\t", index=False, float_format="%.6g", header=not self.n_rows)
        self.interval = table["interval"][0]
        self.n_rows += len(table)
        self.n_floored += int(prediction.flagged().any(axis=1).sum())

    def _say_kind(self, prediction: "Prediction") -> None:
        """Say what the columns lack, and what kind of intervals they have."""
        for component in missing_components(prediction):
            say(f"This model gives no {component} uncertainty; its columns are empty")
        if self.conformal is not None:
            say(
                f"Conformal {100 * self.level:g} % intervals, calibrated on "
                f"{self.conformal.notes['split']} (Gaussian ones with --gaussian)"
            )


def prediction_table(
    prediction: "Prediction",
    names: Sequence[str],
    level: float = LEVEL,
    conformal: "Conformal | None" = None,
) -> "pd.DataFrame":
    """One row per sequence: mean, uncertainties and interval of every target.

    Parameters
    ----------
    prediction
        Scalar predictions `(N, n_targets)`.
    names
        A name for each sequence.
    level
        Nominal coverage of the interval.
    conformal
        A calibration for the intervals; without it they are Gaussian, from the total uncertainty.

    Returns
    -------
    pandas.DataFrame
        The columns of `Prediction.to_frame`, and `interval`: ``conformal``, ``gaussian``, or
        ``none`` where the predictor gives no uncertainty. Components that a predictor does not give
        are NaN, which CSV leaves empty.

    Raises
    ------
    InputError
        If the prediction is a profile, names do not match it, or it has no conformal interval of
        that level.

    Examples
    --------
    >>> import numpy as np
    >>> from degu_tf.heads import HeadLayout
    >>> prediction = HeadLayout(("Dev",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    >>> prediction_table(prediction, ["a"]).columns.tolist()[:4]
    ['name', 'Dev', 'Dev_aleatoric', 'Dev_epistemic']
    """
    if conformal is not None:
        kind, interval = "conformal", conformal.predict(prediction, level)
    else:
        kind, interval = "none" if prediction.total is None else "gaussian", None
    return prediction.to_frame(names, level, interval).assign(interval=kind)


def missing_components(prediction: "Prediction") -> list[str]:
    """Which of aleatoric and epistemic uncertainty the predictor does not give."""
    return [name for name in ("aleatoric", "epistemic") if prediction.component(name) is None]
