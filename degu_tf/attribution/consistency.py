"""Attribution maps compared: distance to the ensemble's mean map, and spread between models.

A group of models, such as ten students that differ in initialisation only, is given as one
array of maps `(M, N, L, 4)`: M models, the same N sequences (paper, Methods, "Attribution
analysis"; Fig. 4b, c and Supplementary Figs. 7, 8).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from degu_tf.sequences.alphabet import blocks
from degu_tf.utils.errors import InputError

RMSE = "attribution_rmse"
"""Metric of `similarity`: distance of a model's maps to the ensemble's mean maps."""

STD = "attribution_std"
"""Metric of `consistency`: spread of a sequence's maps over models."""

NONE, LARGEST = "none", "largest"
"""Values of the column `scaling`: raw maps, or maps divided by their largest absolute score."""

TESTS = {RMSE: "independent", STD: "paired"}
"""The two-sided t-test that the paper uses for each metric."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What Figure 4b and c show, for maps as they are and for the control.

    Attributes
    ----------
    similarity, consistency, tests
        Tables of `similarity`, `consistency` and `t_tests` with a further column `scaling`:
        ``"none"`` or ``"largest"`` (each map divided by its largest absolute score).
    """

    similarity: pd.DataFrame
    consistency: pd.DataFrame
    tests: pd.DataFrame


def compare(
    maps: Mapping[str, np.ndarray],
    teachers: str = "single",
    first: str = "student",
    *,
    ddof: int = 0,
    leave_one_out: bool = False,
    **labels: object,
) -> Comparison:
    """Similarity, consistency and their t-tests, without and with the control's scaling.

    Parameters
    ----------
    maps
        Maps `(M, N, L, 4)` of each method's models, already corrected
        (`degu_tf.attribution.gradients.gradient_correction`).
    teachers
        The method whose models are the ensemble.
    first
        The method to compare with the teachers in the tests.
    ddof, leave_one_out
        As for `spread` and `similarity`.
    **labels
        Constant columns for the tables, such as ``target="Dev"``.

    Raises
    ------
    InputError
        If a method is missing or shapes differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> maps = {name: rng.normal(size=(3, 8, 5, 4)) for name in ("single", "student")}
    >>> tests = compare(maps).tests
    >>> tests.loc[0, ["metric", "scaling", "test"]].tolist()
    ['attribution_rmse', 'none', 'independent']
    """
    tables: list[list[pd.DataFrame]] = [[], [], []]
    for scaling in (NONE, LARGEST):
        scaled = maps
        if scaling == LARGEST:
            scaled = {method: normalised(array) for method, array in maps.items()}
        near = similarity(
            scaled, None, teachers=teachers, leave_one_out=leave_one_out, **labels, scaling=scaling
        )
        alike = consistency(scaled, ddof, **labels, scaling=scaling)
        tested = t_tests(pd.concat([near, alike]), first, teachers, **labels, scaling=scaling)
        for held, table in zip(tables, (near, alike, tested), strict=True):
            held.append(table)
    return Comparison(*(pd.concat(parts, ignore_index=True) for parts in tables))


def rmse_to(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root mean squared difference of every map to a reference map, over L x 4.

    Parameters
    ----------
    maps
        `(M, N, L, 4)`.
    reference
        `(N, L, 4)`, such as the ensemble's mean maps.

    Returns
    -------
    numpy.ndarray
        float64 `(M, N)`, in the maps' unit.

    Raises
    ------
    InputError
        If shapes do not fit or a score is not finite.

    Examples
    --------
    >>> rmse_to(np.ones((2, 1, 3, 4)), np.zeros((1, 3, 4))).tolist()
    [[1.0], [1.0]]
    """
    maps = _checked(maps, "maps")
    reference = np.asarray(reference)
    if reference.shape != maps.shape[1:]:
        raise InputError(
            f"expected reference maps of shape {maps.shape[1:]}. Received: {reference.shape}"
        )
    made = np.empty(maps.shape[:2])
    for rows in blocks(maps.shape[1], maps[0, 0].size):
        for model in range(len(maps)):
            apart = maps[model, rows].astype(np.float64) - reference[rows]
            made[model, rows] = np.sqrt(np.square(apart).mean(axis=(1, 2)))
    return made


def spread(maps: np.ndarray, ddof: int = 0) -> np.ndarray:
    """Standard deviation of a sequence's maps over models, one number a sequence.

    The variance over models at each position and nucleotide, summed over the sequence, and the
    square root of the sum (paper, Methods, "Calculating variability of attribution scores").

    Parameters
    ----------
    maps
        `(M, N, L, 4)` of two or more models.
    ddof
        The variance divides by M - `ddof`. The paper says "variance" and no more; 0 is what it
        says of the ensemble's predictions. Between groups of equally many models the choice
        changes neither ratio nor t-test.

    Returns
    -------
    numpy.ndarray
        float64 `(N,)`, in the maps' unit.

    Raises
    ------
    InputError
        If there are not at least two models, or more than `ddof`.

    Examples
    --------
    >>> maps = np.zeros((2, 1, 1, 4))
    >>> maps[0, 0, 0, :2] = 6.0, 8.0
    >>> spread(maps).tolist()
    [5.0]
    """
    maps = _checked(maps, "maps")
    if len(maps) < max(2, ddof + 1):
        raise InputError(
            f"expected maps of at least {max(2, ddof + 1)} models. Received: {len(maps)}"
        )
    made = np.empty(maps.shape[1])
    for rows in blocks(maps.shape[1], maps[:, 0].size):
        variance = maps[:, rows].astype(np.float64).var(axis=0, ddof=ddof)
        made[rows] = np.sqrt(variance.sum(axis=(1, 2)))
    return made


def normalised(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its largest absolute score: what remains is the mechanism, not its size.

    Parameters
    ----------
    maps
        `(..., L, 4)`.

    Returns
    -------
    numpy.ndarray
        The same shape and type. Maps of nothing but zeros stay so, with a warning.

    Examples
    --------
    >>> normalised(np.array([[[4.0, -8.0, 0.0, 2.0]]])).tolist()
    [[[0.5, -1.0, 0.0, 0.25]]]
    """
    maps = np.asarray(maps)
    largest = np.abs(maps).max(axis=(-2, -1), keepdims=True)
    empty = int(np.sum(largest == 0.0))
    if empty:
        warnings.warn(
            f"{empty} of {largest.size} maps are zero everywhere and cannot be scaled",
            stacklevel=2,
        )
    return maps / np.where(largest == 0.0, 1, largest)


def similarity(
    maps: Mapping[str, np.ndarray],
    reference: np.ndarray | None = None,
    *,
    teachers: str = "single",
    leave_one_out: bool = False,
    **labels: object,
) -> pd.DataFrame:
    """RMSE of each model's maps to the ensemble's mean maps, mean over sequences (Fig. 4b).

    A teacher is itself part of the mean map that it is compared with, which brings it nearer: its
    distance to the mean of all M teachers is (M - 1) / M of that to the mean of the others. The
    paper compares so, and so does this, to the teachers' advantage; `leave_one_out` takes the mean
    of the others instead.

    Parameters
    ----------
    maps
        Maps `(M, N, L, 4)` of each method's models.
    reference
        Mean maps `(N, L, 4)`; those of the teachers by default.
    teachers
        The method whose models are the ensemble.
    leave_one_out
        Compare each teacher with the mean of the others.
    **labels
        Constant columns for the table.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `method`, `seed` (number of the model), `metric`, `value` in the maps'
        unit, `n` sequences.

    Raises
    ------
    InputError
        If the teachers are missing, sequences differ, or `leave_one_out` comes with a reference or
        with a single teacher.

    Examples
    --------
    >>> maps = {"single": np.stack([np.full((1, 2, 4), value) for value in (0.0, 2.0)])}
    >>> similarity(maps)["value"].tolist(), similarity(maps, leave_one_out=True)["value"].tolist()
    ([1.0, 1.0], [2.0, 2.0])
    """
    if reference is None and teachers not in maps:
        raise InputError(
            f"expected maps of the teachers, {teachers!r}. Received: {', '.join(maps)}"
        )
    n_teachers = len(maps.get(teachers, ()))
    if leave_one_out and (reference is not None or n_teachers < 2):
        raise InputError(
            "leave_one_out takes the mean of the other teachers: give maps of two or more and no "
            f"reference. Received: {n_teachers} teachers, "
            f"{'no' if reference is None else 'a'} reference"
        )
    mean = mean_map(maps[teachers]) if reference is None else reference
    rows = []
    for method, array in maps.items():
        means = rmse_to(array, mean).mean(axis=1)
        if leave_one_out and method == teachers:
            means *= len(array) / (len(array) - 1)
        rows += [
            {
                **labels,
                "method": method,
                "seed": seed,
                "metric": RMSE,
                "value": float(value),
                "n": len(mean),
            }
            for seed, value in enumerate(means)
        ]
    return pd.DataFrame(rows)


def consistency(maps: Mapping[str, np.ndarray], ddof: int = 0, **labels: object) -> pd.DataFrame:
    """Spread of every sequence's maps over the models of each method (Fig. 4c).

    Parameters
    ----------
    maps
        Maps `(M, N, L, 4)` of each method's models, N alike.
    ddof
        As for `spread`.
    **labels
        Constant columns for the table.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `method`, `sequence` (its row), `metric`, `value` in the maps' unit,
        `n` models.

    Raises
    ------
    InputError
        If a method has fewer than two models, or methods differ in the number of sequences.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> consistency({"student": rng.normal(size=(3, 2, 5, 4))}).columns.tolist()
    ['method', 'sequence', 'metric', 'value', 'n']
    """
    sizes = {method: np.shape(array)[1:] for method, array in maps.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"expected maps of the same sequences. Received: (N, L, 4) of {sizes}")
    parts = []
    for method, array in maps.items():
        values = spread(array, ddof)
        columns = {"method": method, "sequence": np.arange(len(values)), "metric": STD}
        parts.append(pd.DataFrame({**labels, **columns, "value": values, "n": len(array)}))
    return pd.concat(parts, ignore_index=True)


def t_tests(
    table: pd.DataFrame, first: str = "student", second: str = "single", **labels: object
) -> pd.DataFrame:
    """Two-sided t-tests between two methods, as Figure 4 quotes them.

    Independent (equal variances) between models' mean RMSE; paired between the spreads of each
    sequence.

    Parameters
    ----------
    table
        Rows of `similarity`, of `consistency`, or of both, of one target and scaling.
    first, second
        The methods.
    **labels
        Constant columns for the table.

    Returns
    -------
    pandas.DataFrame
        One row a metric: the labels, `metric`, `test` (`independent` or `paired`), `first`,
        `second`, `mean_first`, `mean_second`, `statistic` (negative where `first` is smaller),
        `p_value`, `n` (values of `first`), and for the paired test `share_below`: the share of
        sequences for which `first` is smaller (else NaN).

    Raises
    ------
    InputError
        If a method has fewer than two values of a metric, or pairs do not match.

    Examples
    --------
    >>> rows = [("student", 0, 1.0), ("student", 1, 1.2), ("single", 0, 2.0), ("single", 1, 2.1)]
    >>> table = pd.DataFrame(rows, columns=["method", "seed", "value"]).assign(metric=RMSE)
    >>> round(float(t_tests(table)["p_value"][0]), 3)
    0.014
    """
    rows = []
    for metric, test in TESTS.items():
        chosen = table[table["metric"] == metric]
        if chosen.empty:
            continue
        unit = "seed" if test == "independent" else "sequence"
        parts = [chosen[chosen["method"] == method] for method in (first, second)]
        for method, part in zip((first, second), parts, strict=True):
            if len(part) < 2 or part[unit].duplicated().any():
                raise InputError(
                    f"expected two or more values of {metric} for {method!r}, one for each "
                    f"{unit}: rows of one target and scaling. Received: {len(part)} rows"
                )
        a, b = (part.set_index(unit)["value"] for part in parts)
        if test == "independent":
            found = stats.ttest_ind(a, b)
        else:
            if set(a.index) != set(b.index):
                raise InputError(
                    f"expected the same sequences for both methods. Received: {len(a)} and {len(b)}"
                )
            b = b.loc[a.index]
            found = stats.ttest_rel(a, b)
        rows.append(
            {
                **labels,
                "metric": metric,
                "test": test,
                "first": first,
                "second": second,
                "mean_first": float(a.mean()),
                "mean_second": float(b.mean()),
                "statistic": float(found.statistic),
                "p_value": float(found.pvalue),
                "n": len(a),
                "share_below": float(np.mean(a < b)) if test == "paired" else np.nan,
            }
        )
    if not rows:
        raise InputError(f"expected rows of the metrics {', '.join(TESTS)}. Received: none")
    return pd.DataFrame(rows)


def mean_map(maps: np.ndarray) -> np.ndarray:
    """Mean over models of maps `(M, N, L, 4)`, float64 `(N, L, 4)`.

    Examples
    --------
    >>> mean_map(np.stack([np.zeros((1, 2, 4)), np.ones((1, 2, 4))]))[0, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    return _checked(maps, "maps").mean(axis=0, dtype=np.float64)


def _checked(maps: np.ndarray, what: str) -> np.ndarray:
    maps = np.asarray(maps)
    if maps.ndim != 4 or maps.shape[-1] != 4 or 0 in maps.shape or maps.dtype.kind != "f":
        raise InputError(
            f"expected {what} (M, N, L, 4): models, sequences, bases, A C G T. "
            f"Received: shape {maps.shape}, dtype {maps.dtype}"
        )
    for model, each in enumerate(maps):
        for rows in blocks(len(each), each[0].size):
            finite = np.isfinite(each[rows]).all(axis=(1, 2))
            if not finite.all():
                row = rows.start + int(np.argmin(finite))
                raise InputError(
                    "expected finite scores. "
                    f"Received: NaN or infinity, model {model}, sequence {row}"
                )
    return maps
