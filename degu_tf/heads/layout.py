"""Which output column means what: the only place that knows column order and uncertainty forms."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from degu_tf.heads.prediction import MIN_STD, FlooredUncertaintyWarning, Prediction
from degu_tf.utils.errors import InputError

Form = Literal["std", "log_variance", "evidential"]

Task = Literal["regression", "binary"]
"""What targets are: numbers with a unit, or 0 and 1."""

MIN_LABEL_STD = 1e-8
"""The smallest standard deviation a log-variance label is made of (the released files' guard)."""

RESERVED_NAMES = ("name", "interval")
"""Columns of tables of predictions that belong to no target."""

SUFFIXES = (
    "aleatoric",
    "epistemic",
    "total",
    "lower",
    "upper",
    "interval",
    "floored",
    "effect",
    "ref",
    "alt",
    "nu",
    "alpha",
    "beta",
)
"""What follows a target's name in the columns of data, of models' outputs and of tables."""

_FORMS = ("std", "log_variance", "evidential")
_EVIDENTIAL_ROLES = ("mean", "nu", "alpha", "beta")


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
    task
        ``"regression"``, or ``"binary"``: targets are 0 or 1, means are probabilities of 1, and
        the epistemic uncertainty is that of the probability. The noise of such a measurement
        follows from its probability, so there is no aleatoric column.

    Raises
    ------
    InputError
        If targets are missing or repeated, a target is named like a column that tables of
        predictions have (`RESERVED_NAMES`, or another target with one of `SUFFIXES`), or a form is
        unknown.

    Examples
    --------
    >>> teacher = HeadLayout(("activity",), aleatoric="std")
    >>> teacher.student().columns
    ('activity', 'activity_aleatoric', 'activity_epistemic')
    """

    targets: tuple[str, ...]
    aleatoric: Form | None = None
    epistemic: Form | None = None
    task: Task = "regression"

    def __post_init__(self) -> None:
        if isinstance(self.targets, str) or not isinstance(self.targets, Iterable):
            raise InputError(
                "targets must be a sequence of names, such as ('activity',). "
                f"Received: targets={self.targets!r}"
            )
        object.__setattr__(self, "targets", tuple(str(name) for name in self.targets))
        _check_names(self.targets)
        for name in ("aleatoric", "epistemic"):
            form = getattr(self, name)
            if form is not None and form not in _FORMS:
                raise InputError(f"{name} must be None or one of {_FORMS}. Received: {form!r}")
        if (self.aleatoric == "evidential") != (self.epistemic == "evidential"):
            raise InputError(
                "evidential columns give both uncertainties: name the form for both. "
                f"Received: aleatoric={self.aleatoric!r}, epistemic={self.epistemic!r}"
            )

        if self.task not in ("regression", "binary"):
            raise InputError(f"task must be 'regression' or 'binary'. Received: task={self.task!r}")
        if self.task == "binary" and self.aleatoric is not None:
            raise InputError(
                "binary targets have no aleatoric column: their noise follows from the "
                f"probability. Received: aleatoric={self.aleatoric!r}, task='binary'"
            )

    def __repr__(self) -> str:
        forms = {"aleatoric": self.aleatoric, "epistemic": self.epistemic}
        given = [f"{name}={form!r}" for name, form in forms.items() if form is not None]
        given += [f"task={self.task!r}"] if self.task != "regression" else []
        return f"HeadLayout({', '.join([repr(self.targets), *given])})"

    def _repr_html_(self) -> str:
        """What Jupyter shows: each column with its target, its role and its form."""
        import pandas as pd

        roles = [role for role in self.roles for _ in self.targets]
        columns = {
            "column": self.columns,
            "target": self.targets * len(self.roles),
            "role": roles,
            "form": [getattr(self, role, None) or "" for role in roles],
        }
        return pd.DataFrame(columns).to_html()

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
            If there is no such column; the message lists the columns.
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
        aleatoric: Form | None = "std" if self.aleatoric else None
        return HeadLayout(self.targets, aleatoric, epistemic, self.task)

    def without_uncertainty(self) -> "HeadLayout":
        """The layout that predicts the same targets and nothing else."""
        return HeadLayout(self.targets, task=self.task)

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

        Standard deviations below `MIN_STD` are raised to it; which were is kept in
        `Prediction.floored` and said in a `FlooredUncertaintyWarning`.

        Raises
        ------
        InputError
            If the last axis is not this layout's.
        """
        columns = np.asarray(columns)
        self.check(columns)
        stds: dict[str, np.ndarray | None] = {}
        floored: dict[str, np.ndarray] = {}
        for component in ("aleatoric", "epistemic"):
            std = self.std(columns, component)
            if std is not None:
                floored[component] = std <= MIN_STD
                std = np.maximum(std, MIN_STD)
                if floored[component].any():
                    warnings.warn(
                        f"{floored[component].sum()} of {std.size} {component} standard deviations "
                        f"were below {MIN_STD:g} and were set to it; they are flagged, because "
                        "they are no measure of uncertainty",
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
        """The layout as plain values for JSON; `from_dict` reads it back.

        The task appears only where it is not regression, so that other layouts stay what they were.
        """
        described: dict[str, Any] = {
            "targets": list(self.targets),
            "aleatoric": self.aleatoric,
            "epistemic": self.epistemic,
        }
        return described if self.task == "regression" else {**described, "task": self.task}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "HeadLayout":
        """The layout that `to_dict` described.

        Raises
        ------
        InputError
            If the content is not a layout's.
        """
        try:
            return cls(
                tuple(content["targets"]),
                content["aleatoric"],
                content["epistemic"],
                content.get("task", "regression"),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"expected targets, aleatoric and epistemic of a layout. Received: {content!r}"
            ) from error


def _check_names(targets: tuple[str, ...]) -> None:
    """Refuse names that would take another column's place in a table or a file."""
    if not targets or "" in targets or len(set(targets)) != len(targets):
        raise InputError(
            f"targets must be one or more different names. Received: targets={targets}"
        )
    for name in targets:
        if not name.isprintable() or name != name.strip():
            raise InputError(
                "a target's name must be printable, without tabs, line breaks or blanks at its "
                f"ends; rename it. Received: {name!r}"
            )
        if name in RESERVED_NAMES:
            raise InputError(
                f"a target may not be called {' or '.join(map(repr, RESERVED_NAMES))}, which are "
                f"columns of every table of predictions; rename it. Received: {name!r}"
            )
        other, _, suffix = name.rpartition("_")
        if suffix in SUFFIXES and other in targets:
            raise InputError(
                f"a target is named like a column of another target, {other!r}, whose tables have "
                f"{', '.join(f'{other}_{each}' for each in SUFFIXES[:5])} and others; rename it. "
                f"Received: {name!r}"
            )


def _std_to_form(std: np.ndarray, form: Form) -> np.ndarray:
    if form == "log_variance":
        return 2.0 * np.log(np.maximum(std, MIN_LABEL_STD))
    return std
