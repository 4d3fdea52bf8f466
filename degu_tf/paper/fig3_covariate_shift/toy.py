"""A one-dimensional toy of distillation (Fig. 3a): how networks behave where there are no data.

Small networks that agree on the training points differ between and beyond them. A student that is
shown their mean at the training points alone differs there too; one that is also shown points
sampled out of distribution follows the mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from degu_tf.data.pipeline import without_tuning
from degu_tf.training.run import member_seed
from degu_tf.utils.errors import InputError

RANGE = (-3.0, 3.0)
"""Where functions are drawn and points are sampled."""

MEASURED = ((-2.3, -0.9), (0.9, 2.2))
"""Intervals that hold training points; the rest of `RANGE` is out of distribution."""

POINTS_A_SIDE = 7
NOISE = 0.05
UNITS = 64
LEARNING_RATE = 5e-3

_GRID = 241
_AT_ONCE = 100
_STUDENTS = 1000


@dataclass(frozen=True)
class Toy:
    """Size of the toy.

    Attributes
    ----------
    n_members
        Networks in the ensemble.
    n_students
        Students of either kind.
    n_sampled
        Points sampled out of distribution.
    steps
        Training steps of each network, all points in each.
    """

    n_members: int = 10
    n_students: int = 5
    n_sampled: int = 20
    steps: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("n_members", 2), ("n_students", 1), ("n_sampled", 1), ("steps", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more. Received: {getattr(self, name)}")


def truth(x: np.ndarray) -> np.ndarray:
    """The function behind the training points."""
    return np.sin(2.0 * x) + 0.4 * np.cos(5.0 * x)


def is_measured(x: np.ndarray) -> np.ndarray:
    """Whether a place lies in one of the intervals that hold training points.

    Examples
    --------
    >>> is_measured(np.array([-3.0, -1.0, 0.0, 1.0])).tolist()
    [False, True, False, True]
    """
    return np.any([(low <= x) & (x <= high) for low, high in MEASURED], axis=0)


def curves(toy: Toy, seed: int = 0) -> pd.DataFrame:
    """Functions of the ensemble and of both kinds of students, after training, and the points.

    Parameters
    ----------
    toy
        Its size.
    seed
        Decides noise, initial weights and sampled points.

    Returns
    -------
    pandas.DataFrame
        Columns `metric`, `method`, `seed`, `x`, `value`. Metric ``"curve"``: functions over
        `RANGE` of the `truth`, each network (`single`), their mean (`ensemble`), students of the
        mean at the training points (`student`), and at sampled points too (`student_sampled`).
        Metric ``"point"``: the training points (`truth`) and the sampled ones (`ensemble`).
    """
    rng = np.random.default_rng(seed)
    x = np.concatenate([np.linspace(low, high, POINTS_A_SIDE) for low, high in MEASURED])
    y = truth(x) + rng.normal(0.0, NOISE, len(x))
    grid = np.linspace(*RANGE, _GRID)

    networks = [fit(x, y, member_seed(seed, index), toy.steps) for index in range(toy.n_members)]

    def mean(places: np.ndarray) -> np.ndarray:
        return np.mean([network(places) for network in networks], axis=0)

    sampled = rng.uniform(*RANGE, 100 * toy.n_sampled)
    sampled = sampled[~is_measured(sampled)][: toy.n_sampled]
    everywhere = np.concatenate([x, sampled])
    parts = [
        _rows("curve", "truth", 0, grid, truth(grid)),
        _rows("curve", "ensemble", 0, grid, mean(grid)),
        _rows("point", "truth", 0, x, y),
        _rows("point", "ensemble", 0, sampled, mean(sampled)),
    ]
    parts += [
        _rows("curve", "single", index, grid, network(grid))
        for index, network in enumerate(networks)
    ]
    for index in range(toy.n_students):
        own_seed = member_seed(seed, _STUDENTS + index)
        for method, places in (("student", x), ("student_sampled", everywhere)):
            student = fit(places, mean(places), own_seed, toy.steps)
            parts.append(_rows("curve", method, index, grid, student(grid)))
    return pd.concat(parts, ignore_index=True)


def fit(
    x: np.ndarray, y: np.ndarray, seed: int, steps: int = 1000
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a network of two hidden layers to points, all of them in every step.

    Parameters
    ----------
    x, y
        Points `(N,)`.
    seed
        Decides the initial weights, and with them the function.
    steps
        Steps of Adam.

    Returns
    -------
    callable
        The function: places `(M,)` to values `(M,)`.
    """

    def hidden(layer: int) -> keras.layers.Dense:
        kernel, bias = (member_seed(seed, 2 * layer + part) for part in (0, 1))
        return keras.layers.Dense(
            UNITS,
            "tanh",
            kernel_initializer=keras.initializers.HeNormal(kernel),
            bias_initializer=keras.initializers.RandomUniform(*RANGE, seed=bias),
        )

    out = keras.layers.Dense(
        1, kernel_initializer=keras.initializers.HeNormal(member_seed(seed, 4))
    )
    model = keras.Sequential([keras.Input((1,)), hidden(0), hidden(1), out])
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        "mse",
        steps_per_execution=min(steps, _AT_ONCE),
        jit_compile=False,
    )
    points = _column(x), _column(y)
    model.fit(
        without_tuning(tf.data.Dataset.from_tensors(points).repeat()),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )

    def function(places: np.ndarray) -> np.ndarray:
        return model(_column(places), training=False).numpy()[:, 0]

    return function


def _column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)[:, np.newaxis]


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared distance of each function to the ensemble's out of distribution.

    Parameters
    ----------
    table
        From `curves`.

    Returns
    -------
    pandas.DataFrame
        Columns `method` (single, student, student_sampled), `seed`, `value`.

    Examples
    --------
    >>> methods = ["ensemble", "student"]
    >>> table = pd.DataFrame({"metric": "curve", "method": methods, "value": [1.0, 3.0]})
    >>> distances(table.assign(seed=0, x=0.0))["value"].tolist()
    [2.0]
    """
    rows = table[(table["metric"] == "curve") & ~is_measured(table["x"].to_numpy())]
    ensemble = rows[rows["method"] == "ensemble"].set_index("x")["value"]
    rows = rows[rows["method"].isin(["single", "student", "student_sampled"])]
    squared = np.square(rows["value"] - rows["x"].map(ensemble))
    groups = squared.groupby([rows["method"], rows["seed"]], sort=False)
    return groups.mean().pow(0.5).rename("value").reset_index()


def _rows(metric: str, method: str, seed: int, x: np.ndarray, value: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"metric": metric, "method": method, "seed": seed, "x": x, "value": value})
