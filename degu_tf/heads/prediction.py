"""What a predictor says of sequences: means, and uncertainties as standard deviations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MIN_STD = 1e-6
"""Standard deviations below this, negative ones included, are raised to it (and flagged)."""

Task = Literal["regression", "binary"]
"""What targets are: numbers with a unit, or 0 and 1."""

COMPONENTS = ("aleatoric", "epistemic", "total")
"""What an uncertainty is of: the measurement's noise, the models' disagreement, or both."""


SHOWN = 10
"""Rows that Jupyter shows of a prediction."""


class FlooredUncertaintyWarning(UserWarning):
    """A linear uncertainty head came out below the smallest standard deviation and was floored."""


def gaussian_factor(level: float) -> float:
    """Half the width of the central interval of a standard normal distribution.

    Times a standard deviation it is the half-width of a Gaussian interval.

    Raises
    ------
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> round(gaussian_factor(0.95), 2)
    1.96
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1. Received: level={level}")
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def floored_words(floored: Mapping[str, np.ndarray]) -> np.ndarray:
    """For tables, which uncertainties of each value were floored, in one word.

    Parameters
    ----------
    floored
        `Prediction.floored`: booleans of one shape for each component.

    Returns
    -------
    numpy.ndarray
        Strings of that shape: ``"no"``, ``"aleatoric"``, ``"epistemic"`` or ``"both"``.

    Examples
    --------
    >>> floored = {"aleatoric": np.array([True, False]), "epistemic": np.array([True, False])}
    >>> floored_words(floored).tolist()
    ['both', 'no']
    """
    aleatoric, epistemic = (floored.get(name, np.False_) for name in ("aleatoric", "epistemic"))
    return np.select(
        [aleatoric & epistemic, aleatoric | np.False_, epistemic | np.False_],
        ["both", "aleatoric", "epistemic"],
        "no",
    )


def total_std(*parts: np.ndarray) -> np.ndarray:
    """Standard deviation of a sum of independent parts: the root of their summed squares.

    Examples
    --------
    >>> float(total_std(np.array(3.0), np.array(4.0)))
    5.0
    """
    return np.sqrt(sum(np.square(part) for part in parts))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a predictor says of N sequences, uncertainties as standard deviations.

    Attributes
    ----------
    targets
        Names of the predicted quantities.
    mean
        Predicted values `(N, n_targets)` or `(N, length, n_targets)`, in the targets' units.
    aleatoric, epistemic
        Standard deviations of the same shape and unit, or None where the predictor has none.
    columns
        The raw output that was read, before any floor, or None.
    floored
        For each component, which standard deviations were raised to `MIN_STD`: booleans of the
        mean's shape. A linear head came out negative there, or an ensemble's members all agree;
        either way the number is no measure, and no reason to call a value sure. By default those
        of the given arrays that are not above `MIN_STD`.
    task
        ``"binary"`` where means are probabilities.

    Raises
    ------
    InputError
        If the mean has not one column a target, or an uncertainty another shape than the mean.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> layout = HeadLayout(("activity",), epistemic="std")
    >>> prediction = layout.prediction(np.array([[1.0, 0.5]]))
    >>> lower, upper = prediction.interval(0.95)
    >>> round(float(upper[0, 0]), 2)
    1.98
    """

    targets: tuple[str, ...]
    mean: np.ndarray
    aleatoric: np.ndarray | None = None
    epistemic: np.ndarray | None = None
    columns: np.ndarray | None = None
    floored: Mapping[str, np.ndarray] = field(default_factory=dict)
    task: Task = "regression"

    def __post_init__(self) -> None:
        if self.mean.ndim not in (2, 3) or self.mean.shape[-1] != len(self.targets):
            raise InputError(
                f"the mean must have shape (N, {len(self.targets)}) or (N, length, "
                f"{len(self.targets)}), a column for each of {self.targets}. "
                f"Received: shape {self.mean.shape}"
            )
        for component in ("aleatoric", "epistemic"):
            std = getattr(self, component)
            if std is not None and std.shape != self.mean.shape:
                raise InputError(
                    f"{component} must have the mean's shape {self.mean.shape}. "
                    f"Received: shape {std.shape}"
                )
        object.__setattr__(
            self,
            "floored",
            {
                component: self.floored.get(component, std <= MIN_STD)
                for component, std in self._present.items()
            },
        )

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        uncertainty = " and ".join(self._present) or "no uncertainty"
        length = f", {self.mean.shape[1]} positions" if self.mean.ndim == 3 else ""
        n_flagged = int(self.flagged().sum())
        flagged = f"; {n_flagged} values flagged" if n_flagged else ""
        return (
            f"Prediction({len(self)} sequences{length}; targets {', '.join(self.targets)}; "
            f"{uncertainty}{flagged})"
        )

    def _repr_html_(self) -> str:
        """What Jupyter shows: the first rows of the table, of profiles the summary."""
        head = f"<p>{escape(repr(self))}</p>"
        if self.mean.ndim == 3:
            return head
        return head + self.select(slice(SHOWN)).to_frame().to_html(float_format="{:.4g}".format)

    @property
    def total(self) -> np.ndarray | None:
        """Total standard deviation, the root of the summed variances of what is present.

        None where the predictor has neither component (paper, Methods, "Interval coverage").
        """
        present = self._present.values()
        return total_std(*present) if present else None

    @property
    def _present(self) -> dict[str, np.ndarray]:
        given = {"aleatoric": self.aleatoric, "epistemic": self.epistemic}
        return {name: std for name, std in given.items() if std is not None}

    def flagged(self, component: str = "total") -> np.ndarray:
        """Where a component is no measure because it was floored: booleans of the mean's shape.

        The total is flagged where any of its parts is. Nothing is where the component is absent.
        Whatever ranks by uncertainty leaves these values out, or says how many there are.

        Examples
        --------
        >>> from degu_tf.heads import HeadLayout
        >>> columns = np.array([[1.0, 0.5], [1.0, 0.0]])
        >>> HeadLayout(("activity",), epistemic="std").prediction(columns).flagged().tolist()
        [[False], [True]]
        """
        if component not in COMPONENTS:
            raise InputError(f"expected one of {COMPONENTS}. Received: component={component!r}")
        names = self.floored if component == "total" else {component} & self.floored.keys()
        none = np.zeros(self.mean.shape, bool)
        return np.logical_or.reduce([none, *(self.floored[name] for name in names)])

    def component(self, name: str) -> np.ndarray | None:
        """Give the std of ``"aleatoric"``, ``"epistemic"`` or ``"total"``; None if absent."""
        if name not in COMPONENTS:
            raise InputError(f"expected one of {COMPONENTS}. Received: component={name!r}")
        return getattr(self, name)

    def interval(
        self, level: float = 0.95, component: str = "total"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the central Gaussian interval that holds `level` of the mass.

        Of probabilities (binary targets) the ends are cut off at 0 and 1, so an end may lie nearer
        to the mean than the other; the standard deviations stay what they are.

        Parameters
        ----------
        level
            Probability inside, between 0 and 1.
        component
            Which uncertainty to use: ``"total"``, ``"aleatoric"`` or ``"epistemic"``.

        Raises
        ------
        InputError
            If the level is not between 0 and 1 or the predictor lacks that uncertainty.
        """
        std = self.component(component)
        if std is None:
            raise InputError(
                f"this predictor gives no {component} uncertainty, so no interval. "
                "Use a student, an ensemble, or a model with uncertainty columns"
            )
        half = gaussian_factor(level) * std
        lower, upper = self.mean - half, self.mean + half
        if self.task == "binary":
            return np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)
        return lower, upper

    def to_frame(
        self,
        names: Sequence[str] | None = None,
        level: float = 0.95,
        interval: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "pd.DataFrame":
        """One row for each sequence: mean, uncertainties and interval of every target.

        Parameters
        ----------
        names
            A name for each sequence, which become the first column; None for no such column.
        level
            Nominal coverage of the Gaussian interval.
        interval
            Lower and upper ends of other intervals, such as `Conformal.predict` gives.

        Returns
        -------
        pandas.DataFrame
            For each target t the columns `t`, `t_aleatoric`, `t_epistemic`, `t_total`, `t_lower`,
            `t_upper`, in the target's unit, and `t_floored`, the uncertainties that came out below
            zero and are no measure (`floored_words`). What a predictor does not give is NaN.

        Raises
        ------
        InputError
            If the prediction is a profile, or names do not match it.

        Examples
        --------
        >>> from degu_tf.heads import HeadLayout
        >>> layout = HeadLayout(("activity",), epistemic="std")
        >>> frame = layout.prediction(np.array([[1.0, 0.5]])).to_frame(["a"])
        >>> frame[["name", "activity", "activity_total"]].values.tolist()
        [['a', 1.0, 0.5]]
        """
        import pandas as pd

        if self.mean.ndim != 2:
            received = f"Received: profiles of shape {self.mean.shape}"
            raise InputError(
                "expected one number per sequence and target; of profiles take positions, or a "
                f"mean over them, from the arrays. {received}",
                "expected one number per sequence and target; profiles are written as tracks along "
                f"a genome, by `degu predict --bigwig --fasta GENOME`. {received}",
            )
        if names is not None and len(names) != len(self):
            raise InputError(
                f"expected {len(self)} names, one for each sequence. Received: {len(names)}"
            )
        if interval is None and self.total is not None:
            interval = self.interval(level)
        lower, upper = interval or (None, None)
        parts = {
            "": self.mean,
            "_aleatoric": self.aleatoric,
            "_epistemic": self.epistemic,
            "_total": self.total,
            "_lower": lower,
            "_upper": upper,
        }
        words = np.broadcast_to(floored_words(self.floored), self.mean.shape)
        columns: dict[str, object] = {} if names is None else {"name": list(names)}
        for index, target in enumerate(self.targets):
            for suffix, values in parts.items():
                columns[target + suffix] = np.nan if values is None else values[:, index]
            columns[f"{target}_floored"] = words[:, index]
        return pd.DataFrame(columns, index=range(len(self)))

    def select(self, rows: Sequence[int] | np.ndarray | slice) -> "Prediction":
        """The prediction for some of the sequences."""

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[rows]

        return Prediction(
            self.targets,
            self.mean[rows],
            pick(self.aleatoric),
            pick(self.epistemic),
            pick(self.columns),
            {name: mask[rows] for name, mask in self.floored.items()},
            self.task,
        )
