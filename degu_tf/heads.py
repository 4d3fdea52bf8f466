"""Which output column means what: the only place that knows column order and uncertainty forms.

A `HeadLayout` names the columns a model emits or a data set holds; a `Prediction` is what those
columns say, with every uncertainty as a standard deviation in the target's own unit.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from degu_tf.utils.errors import InputError

Form = Literal["std", "log_variance", "evidential"]

MIN_STD = 1e-6
"""Standard deviations below this, negative ones included, are raised to it (and counted)."""

MIN_LABEL_STD = 1e-8
"""The smallest standard deviation a log-variance label is made of (the released files' guard)."""

_FORMS = ("std", "log_variance", "evidential")
_EVIDENTIAL_ROLES = ("mean", "nu", "alpha", "beta")


class FlooredUncertaintyWarning(UserWarning):
    """A linear uncertainty head came out below the smallest standard deviation and was floored."""


@dataclass(frozen=True)
class HeadLayout:
    """The columns of a model's output or of a data set's targets, in order.

    Columns come in blocks of one column a target: means, then aleatoric, then epistemic
    uncertainty where present. That gives the orders which the released files fix: Dev, Hk,
    Dev epistemic, Hk epistemic for STARR-seq; activity, aleatoric, epistemic for lentiMPRA.

    Parameters
    ----------
    targets
        Names of the measured quantities, such as ``("Dev", "Hk")``.
    aleatoric, epistemic
        Form of that uncertainty's columns, or None where there are none: ``"std"`` is a standard
        deviation, ``"log_variance"`` the logarithm of its square. ``"evidential"`` stands for the
        blocks gamma (the mean), nu, alpha, beta of Amini et al. 2020, which give both
        uncertainties at once, so it is named for both or for neither.

    Raises
    ------
    InputError
        If targets are missing or repeated, or a form is unknown.

    Examples
    --------
    >>> teacher = HeadLayout(("activity",), aleatoric="std")
    >>> teacher.student().columns
    ('activity', 'activity_aleatoric', 'activity_epistemic')
    """

    targets: tuple[str, ...]
    aleatoric: Form | None = None
    epistemic: Form | None = None

    def __post_init__(self) -> None:
        if isinstance(self.targets, str):
            raise InputError(
                "targets must be a sequence of names, such as ('activity',). "
                f"Received: targets={self.targets!r}"
            )
        object.__setattr__(self, "targets", tuple(str(name) for name in self.targets))
        if not self.targets or "" in self.targets or len(set(self.targets)) != len(self.targets):
            raise InputError(
                f"targets must be one or more different names. Received: targets={self.targets}"
            )
        for name in ("aleatoric", "epistemic"):
            form = getattr(self, name)
            if form is not None and form not in _FORMS:
                raise InputError(f"{name} must be None or one of {_FORMS}. Received: {form!r}")
        if (self.aleatoric == "evidential") != (self.epistemic == "evidential"):
            raise InputError(
                "evidential columns give both uncertainties: name the form for both. "
                f"Received: aleatoric={self.aleatoric!r}, epistemic={self.epistemic!r}"
            )
        if len(set(self.columns)) != self.n_columns:
            raise InputError(
                "a target is named like another's uncertainty column; rename it. "
                f"Received: columns {self.columns}"
            )

    @property
    def roles(self) -> tuple[str, ...]:
        """What each block of columns is: `mean`, and for example `aleatoric`, `epistemic`."""
        if self.aleatoric == "evidential":
            return _EVIDENTIAL_ROLES
        present = (role for role in ("aleatoric", "epistemic") if getattr(self, role))
        return ("mean", *present)

    @property
    def n_targets(self) -> int:
        """How many quantities are predicted."""
        return len(self.targets)

    @property
    def n_columns(self) -> int:
        """How many columns there are in all."""
        return self.n_targets * len(self.roles)

    @property
    def columns(self) -> tuple[str, ...]:
        """A name for each column: the target's for means, `<target>_<role>` for the others."""
        return tuple(
            target if role == "mean" else f"{target}_{role}"
            for role in self.roles
            for target in self.targets
        )

    def column(self, name: str) -> int:
        """Index of a column by its name, such as ``"Dev"`` or ``"Dev_epistemic"``.

        Raises
        ------
        InputError
            If there is no such column; the message lists those there are.
        """
        if name not in self.columns:
            raise InputError(f"expected one of the columns {self.columns}. Received: {name!r}")
        return self.columns.index(name)

    def slice(self, role: str) -> slice:
        """Where the block of `role` lies on the last axis.

        Raises
        ------
        InputError
            If the layout has no such block.
        """
        if role not in self.roles:
            raise InputError(f"expected one of the roles {self.roles}. Received: {role!r}")
        start = self.roles.index(role) * self.n_targets
        return slice(start, start + self.n_targets)

    def take(self, columns: Any, role: str) -> Any:
        """The block of `role` from an array or tensor `(..., n_columns)`, as `(..., n_targets)`."""
        return columns[..., self.slice(role)]

    def check(self, columns: Any, what: str = "columns") -> None:
        """Refuse an array or tensor whose last axis is not this layout's.

        Raises
        ------
        InputError
            If the array has not two or three axes or another number of columns.
        """
        shape = tuple(columns.shape)
        if len(shape) not in (2, 3) or shape[-1] != self.n_columns:
            raise InputError(
                f"{what} must have shape (N, {self.n_columns}) or (N, length, {self.n_columns}), "
                f"the columns being {self.columns}. Received: shape {shape}"
            )

    def student(self, epistemic: Form = "std") -> "HeadLayout":
        """The layout of a student distilled from an ensemble of models with this layout.

        The student keeps the means, gains an epistemic column for each target, and has its
        aleatoric column, where there is one, as a standard deviation: in the form ``"std"``
        whatever form the teachers have (paper, Methods, "Distilled Model Architecture").

        Raises
        ------
        InputError
            If this layout is a student's already.
        """
        if self.epistemic not in (None, "evidential"):
            raise InputError(
                "expected a teacher's layout, without epistemic columns. "
                f"Received: columns {self.columns}"
            )
        return HeadLayout(self.targets, "std" if self.aleatoric else None, epistemic)

    def without_uncertainty(self) -> "HeadLayout":
        """The layout that predicts the same targets and nothing else."""
        return HeadLayout(self.targets)

    def join(
        self,
        mean: np.ndarray,
        aleatoric: np.ndarray | None = None,
        epistemic: np.ndarray | None = None,
    ) -> np.ndarray:
        """Columns `(..., n_columns)` from their parts, uncertainties given as standard deviations.

        Parameters
        ----------
        mean, aleatoric, epistemic
            Arrays `(..., n_targets)`. Standard deviations are put into this layout's form; for
            log-variances they are first raised to `MIN_LABEL_STD`.

        Raises
        ------
        InputError
            If a part the layout has is missing, one it lacks is given, or shapes differ.
        """
        if self.aleatoric == "evidential":
            raise InputError("evidential columns cannot be made from standard deviations")
        parts = [np.asarray(mean)]
        for role, std in (("aleatoric", aleatoric), ("epistemic", epistemic)):
            if (std is None) != (role not in self.roles):
                raise InputError(
                    f"expected the parts {self.roles}. "
                    f"Received: {role} {'missing' if std is None else 'given'}"
                )
            if std is not None:
                parts.append(_std_to_form(np.asarray(std), getattr(self, role)))
        expected = (*parts[0].shape[:-1], self.n_targets)
        for role, part in zip(self.roles, parts, strict=True):
            if part.shape != expected:
                raise InputError(f"{role} must have shape {expected}. Received: shape {part.shape}")
        return np.concatenate(parts, axis=-1)

    def std(self, columns: np.ndarray, component: str) -> np.ndarray | None:
        """One uncertainty as standard deviations `(..., n_targets)`, not floored.

        Parameters
        ----------
        columns
            Array `(..., n_columns)`.
        component
            ``"aleatoric"`` or ``"epistemic"``.

        Returns
        -------
        numpy.ndarray or None
            None where the layout lacks that component.
        """
        form = getattr(self, component)
        if form is None:
            return None
        if form == "evidential":
            nu, alpha, beta = (self.take(columns, role) for role in ("nu", "alpha", "beta"))
            variance = beta / (alpha - 1.0)
            return np.sqrt(variance if component == "aleatoric" else variance / nu)
        block = self.take(columns, component)
        return np.exp(0.5 * block) if form == "log_variance" else block

    def prediction(self, columns: np.ndarray) -> "Prediction":
        """Read an output `(N, n_columns)` or `(N, length, n_columns)` as a `Prediction`.

        Standard deviations below `MIN_STD` are raised to it; how many were is kept in
        `Prediction.floored` and said in a `FlooredUncertaintyWarning`.

        Raises
        ------
        InputError
            If the last axis is not this layout's.
        """
        columns = np.asarray(columns)
        self.check(columns)
        stds, floored = {}, {}
        for component in ("aleatoric", "epistemic"):
            std = self.std(columns, component)
            if std is not None:
                floored[component] = int(np.sum(std < MIN_STD))
                std = np.maximum(std, MIN_STD)
                if floored[component]:
                    warnings.warn(
                        f"{floored[component]} of {std.size} {component} standard deviations were "
                        f"below {MIN_STD:g} and were set to it; the raw columns are in "
                        "Prediction.columns",
                        FlooredUncertaintyWarning,
                        stacklevel=2,
                    )
            stds[component] = std
        return Prediction(
            targets=self.targets,
            mean=self.take(columns, "mean"),
            columns=columns,
            floored=floored,
            **stds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The layout as plain values for JSON; `from_dict` reads it back."""
        return {
            "targets": list(self.targets),
            "aleatoric": self.aleatoric,
            "epistemic": self.epistemic,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "HeadLayout":
        """The layout that `to_dict` described.

        Raises
        ------
        InputError
            If the content is not a layout's.
        """
        try:
            return cls(tuple(content["targets"]), content["aleatoric"], content["epistemic"])
        except (KeyError, TypeError) as error:
            raise InputError(
                f"expected targets, aleatoric and epistemic of a layout. Received: {content!r}"
            ) from error


def _std_to_form(std: np.ndarray, form: Form) -> np.ndarray:
    if form == "log_variance":
        return 2.0 * np.log(np.maximum(std, MIN_LABEL_STD))
    return std


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
        For each component, how many standard deviations were below `MIN_STD`.

    Raises
    ------
    InputError
        If the mean has not one column a target, or an uncertainty another shape than the mean.

    Examples
    --------
    >>> import numpy as np
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
    floored: Mapping[str, int] = field(default_factory=dict)

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

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def total(self) -> np.ndarray | None:
        """Total standard deviation, the root of the summed variances of what is present.

        None where the predictor has neither component (paper, Methods, "Interval coverage").
        """
        present = [std for std in (self.aleatoric, self.epistemic) if std is not None]
        return total_std(*present) if present else None

    def component(self, name: str) -> np.ndarray | None:
        """Give the std of ``"aleatoric"``, ``"epistemic"`` or ``"total"``; None if absent."""
        if name not in ("aleatoric", "epistemic", "total"):
            raise InputError(
                f"expected 'aleatoric', 'epistemic' or 'total'. Received: component={name!r}"
            )
        return getattr(self, name)

    def interval(
        self, level: float = 0.95, component: str = "total"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the central Gaussian interval that holds `level` of the mass.

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
        return self.mean - half, self.mean + half

    def select(self, rows: Sequence[int] | np.ndarray | slice) -> "Prediction":
        """The prediction for some of the sequences."""

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else array[rows]

        return Prediction(
            self.targets,
            pick(self.mean),
            pick(self.aleatoric),
            pick(self.epistemic),
            pick(self.columns),
            {name: int(np.sum(pick(getattr(self, name)) <= MIN_STD)) for name in self.floored},
        )
