"""The runs behind Fig. 5 and Supplementary Figs. 9 to 13: every uncertainty method on one data set.

The figures ask for the same teachers, students and noise models, so whichever script comes first
trains them and the others find them in the store.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.labels import student_splits
from degu_tf.heads import Form
from degu_tf.metrics.activity import score
from degu_tf.metrics.intervals import LEVELS, coverage, reliability_curve
from degu_tf.metrics.uncertainty import proper_scores, sparsification_scores
from degu_tf.models.predictor import Predictor
from degu_tf.paper.absent import absent_row
from degu_tf.paper.data_sets import data
from degu_tf.paper.networks.setups import ONE_TARGET, SEVERAL_TARGETS, Setup
from degu_tf.paper.networks.trained_models import TrainedModels
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.recipes import FRACTIONS, recipe
from degu_tf.paper.script import Context
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.uncertainty.conformal.ranks import points_needed
from degu_tf.uncertainty.mc_dropout import MCDropout
from degu_tf.uncertainty.noise_models import with_noise_model
from degu_tf.utils.errors import InputError

LEVEL = 0.95
"""Nominal level of the intervals (paper, Methods, "Interval coverage analysis")."""

BOTH = ("epistemic", "aleatoric", "total")

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "single": ("aleatoric",),
    "student": BOTH,
    "ensemble": BOTH,
    "mc_dropout": ("epistemic",),
    "heteroscedastic": ("aleatoric",),
    "evidential_released": ("aleatoric",),
    "deep_evidential": BOTH,
    "student_of_heteroscedastic": BOTH,
    "student_log_variance": BOTH,
}
"""Components of uncertainty that each method predicts, and is evaluated on."""

PAPER_METHODS = (
    "single",
    "student",
    "ensemble",
    "mc_dropout",
    "heteroscedastic",
    "evidential_released",
    "deep_evidential",
)
"""Methods of Fig. 5; deep evidential regression as its authors define it is added."""

WEIGHTS = Needs(("single",), tuple(name for name in PAPER_METHODS if name != "single"))
"""What Fig. 5 opens from weights; MC dropout and the ensemble are made of the single models."""

BEFORE, AFTER = "before", "after"
"""Words of the column `conformal`."""


@dataclass(frozen=True)
class Settings:
    """Models of the figures and their training.

    Attributes
    ----------
    fractions
        Shares of the training data for panels a and b.
    n_members, n_students
        Teachers; students, and models of each other method.
    n_passes
        Of MC dropout.
    several_targets, one_target
        Setup for data with several targets (as STARR-seq) and with one (as lentiMPRA).
    """

    fractions: tuple[float, ...]
    n_members: int
    n_students: int
    n_passes: int
    several_targets: Setup
    one_target: Setup


PRESETS: Mapping[str, Settings] = {
    "smoke": Settings(
        fractions=(1.0,),
        n_members=2,
        n_students=1,
        n_passes=5,
        several_targets=SEVERAL_TARGETS["smoke"],
        one_target=ONE_TARGET["smoke"],
    ),
    "quick": Settings(
        fractions=(0.25, 1.0),
        n_members=5,
        n_students=5,
        n_passes=100,
        several_targets=SEVERAL_TARGETS["quick"],
        one_target=ONE_TARGET["quick"],
    ),
    "paper": Settings(
        fractions=FRACTIONS,
        n_members=recipe("lentimpra_k562").n_members,
        n_students=recipe("lentimpra_k562").n_students,
        n_passes=100,
        several_targets=SEVERAL_TARGETS["paper"],
        one_target=ONE_TARGET["paper"],
    ),
}
"""Settings of the figures' presets."""


DATA_HELP = (
    "HDF5 files with several targets (STARR-seq in the paper) and with one and its replicates' "
    "deviation (lentiMPRA), made by `degu prepare` or released. Simulated data without"
)


class Methods(TrainedModels):
    """Every method on one data set; a model is trained when first needed.

    Parameters
    ----------
    context
        A script's context, whose settings are `Settings`.
    splits
        The data, with aleatoric columns for the methods that learn from replicates.
    setup
        Architecture and training of all methods.
    """

    def __init__(self, context: Context, splits: Splits, setup: Setup) -> None:
        super().__init__(context, splits, setup)
        self._makers: Mapping[str, Callable[[], Iterator[Predictor]]] = {
            "single": lambda: iter(self.teachers.members),
            "student": lambda: self.students_of("student"),
            "ensemble": lambda: iter([self.teachers]),
            "mc_dropout": self._mc_dropout,
            "heteroscedastic": lambda: iter(self._noise_models("heteroscedastic").members),
            "evidential_released": lambda: iter(self._noise_models("evidential_released").members),
            "deep_evidential": lambda: iter(self._noise_models("deep_evidential").members),
            "student_of_heteroscedastic": lambda: self.students_of("student_of_heteroscedastic"),
            "student_log_variance": lambda: self.students_of("student_log_variance"),
        }

    def models(self, method: str) -> Iterator[tuple[int, Predictor]]:
        """Number and predictor of each model of a method, one of `COMPONENTS`."""
        return enumerate(self._makers[method]())

    def components(self, method: str) -> tuple[str, ...]:
        """Components of uncertainty that a method predicts; weights may lack its aleatoric one."""
        if self.weights is None or method == "mc_dropout":
            return COMPONENTS[method]
        heads = self.weights.heads(method)
        without = () if heads.aleatoric else ("aleatoric", "total")
        return tuple(part for part in COMPONENTS[method] if part not in without)

    def teachers_of(self, method: str) -> Ensemble:
        """The standard ensemble, or that of heteroscedastic models."""
        if method == "student_of_heteroscedastic":
            return self._noise_models("heteroscedastic")
        return self.teachers

    def _mc_dropout(self) -> Iterator[MCDropout]:
        for index, member in enumerate(self.teachers.members):
            yield MCDropout(member, self._settings.n_passes, seed=self._seed + index)

    def _noise_models(self, name: str) -> Ensemble:
        if self.weights is not None:
            return self.weights.ensemble(name)
        training = self._setup.teacher_settings(self.splits)
        spec, training = with_noise_model(name, self._setup.spec, training)
        n = max(self._settings.n_members, 2)
        return self._store.teachers(self.splits, spec, n, training, self._seed)


def compare_methods(methods: Methods, names: tuple[str, ...], **labels: Any) -> pd.DataFrame:
    """Accuracy, intervals and scores of every model of some methods, before and after conformal.

    Returns
    -------
    pandas.DataFrame
        One row a method, seed, target, component, metric, level and `conformal` (``"before"`` or
        ``"after"``): those of `judge`; of a method whose weights are missing, that of
        `degu_tf.paper.absent.absent_row`.
    """
    tables = []
    for name in names:
        if not methods.has(name):
            tables.append(absent_row(name, **labels))
            continue
        components = methods.components(name)
        if components != COMPONENTS[name]:
            tables.append(absent_row(name, "its weights have no aleatoric column", **labels))
        for seed, predictor in methods.models(name):
            own = {"method": name, "seed": seed, **labels}
            tables.append(judge(predictor, methods.splits, components, **own))
    return pd.concat(tables, ignore_index=True)


def judge(
    predictor: Predictor, splits: Splits, components: tuple[str, ...], **labels: Any
) -> pd.DataFrame:
    """Evaluate one predictor's uncertainty on the test set; validation calibrates it.

    Where conformal prediction refuses to be fitted, such as for a deviation that is zero too
    often, a printed line gives the reason and the rows after conformal prediction have no value.

    Parameters
    ----------
    predictor
        Any predictor with these components.
    splits
        Validation and test sequences with measured values.
    components
        Some of ``"epistemic"``, ``"aleatoric"`` and ``"total"``.
    **labels
        Constant columns, such as ``method="student"``.

    Returns
    -------
    pandas.DataFrame
        Columns: the labels, `target`, `component`, `conformal`, `metric`, `level`, `value`, `n`,
        and an empty `head`, which distinguishes these rows from those of `head_performance`.
        Metrics are coverage and size of intervals at `LEVEL`, coverage along the reliability curve
        (``"curve"``), ``"nll"``, ``"crps"``, ``"ause"``; and, without a component, ``"pearson"``
        of the activity.
    """
    heads, test = splits.heads, splits.test
    held, predicted = (
        predictor.predict(split.sequences) for split in (splits.validation, splits.test)
    )
    activity = score(predicted, heads.take(test.targets, "mean"), heads.without_uncertainty())
    tables = [activity[activity["metric"] == "pearson"]]
    levels = [level for level in LEVELS if points_needed(level) <= len(held)]
    for component in components:
        judged: dict[str, Any] = {"components": (component,)}
        given = (predicted, test.targets, heads)
        tables.append(coverage(*given, LEVEL, **judged, conformal=BEFORE))
        tables.append(_curve(reliability_curve(*given, levels, **judged, conformal=BEFORE)))
        tables.append(proper_scores(*given, **judged, conformal=BEFORE))
        tables.append(sparsification_scores(*given, **judged, conformal=BEFORE))
        conformal = Conformal(component)
        try:
            conformal.fit(held, splits.validation.targets, heads, splits.validation.sequences)
        except InputError as error:
            name = " ".join(str(label) for label in labels.values())
            print(f"{name}: no conformal intervals of the {component} uncertainty: {error}")
            refused = coverage(*given, LEVEL, **judged, conformal=AFTER)
            tables.append(refused.assign(value=float("nan")))
            continue
        conformal.check_unseen(test.sequences)
        fitted = {**judged, "interval": conformal.interval, "conformal": AFTER}
        tables.append(coverage(*given, LEVEL, **fitted))
        tables.append(_curve(reliability_curve(*given, levels, **fitted)))
    return pd.concat(tables, ignore_index=True).assign(head=None, **labels)


def _curve(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["metric"] == "coverage"].assign(metric="curve")


def head_performance(
    context: Context, splits: Splits, setup: Setup, epistemic: Form = "std", **labels: Any
) -> pd.DataFrame:
    """How well uncertainty heads predict, at every share of the training data (Fig. 5a, b).

    A student's epistemic head is held against its teachers' standard deviation, and the aleatoric
    heads of single models, students and the ensemble against that of the replicates, all on the
    test set.

    Returns
    -------
    pandas.DataFrame
        Columns `fraction`, `n_train`, `method`, `seed` and those of
        `degu_tf.metrics.activity.score`.
    """
    tables = []
    for fraction in setup.shares(context.settings.fractions):
        part = splits.fraction(fraction)
        methods = Methods(context, part, setup.at(fraction))
        teachers, test = methods.teachers, part.test
        labelled = student_splits(
            teachers, part if methods.weights is None else _test_alone(part), epistemic
        )
        name = "student" if epistemic == "std" else "student_log_variance"
        for method in ("single", "ensemble", name):
            if not methods.has(method):
                tables.append(absent_row(method, fraction=fraction, head="epistemic"))
                continue
            truth = labelled if method == name else part
            for seed, predictor in methods.models(method):
                prediction = predictor.predict(test.sequences)
                table = score(prediction, truth.test.targets, truth.heads, method=method, seed=seed)
                tables.append(table.assign(fraction=fraction, n_train=len(part.train)))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(**labels)


_FEW = 200


def _test_alone(splits: Splits) -> Splits:
    """The test set, with a few rows of what only training needs labels for."""
    parts = {name: split.take(slice(_FEW)) for name, split in splits.items()}
    return Splits.from_parts({**parts, "test": splits.test}, splits.heads)


def epistemic_points(methods: Methods, method: str = "student") -> pd.DataFrame:
    """Students' epistemic uncertainty beside their teachers', for each test sequence.

    Returns
    -------
    pandas.DataFrame
        Columns `target`, `seed`, `measured` (the teachers' standard deviation) and `predicted`.
    """
    sequences, teachers = methods.splits.test.sequences, methods.teachers
    measured, tables = _epistemic(teachers, sequences), []
    for seed, student in methods.models(method):
        predicted = _epistemic(student, sequences)
        tables += [
            pd.DataFrame(
                {
                    "target": target,
                    "seed": seed,
                    "measured": measured[:, index],
                    "predicted": predicted[:, index],
                }
            )
            for index, target in enumerate(teachers.heads.targets)
        ]
    return pd.concat(tables, ignore_index=True)


def _epistemic(predictor: Predictor, sequences: np.ndarray) -> np.ndarray:
    std = predictor.predict(sequences).epistemic
    if std is None:
        raise InputError(
            "expected a predictor with an epistemic uncertainty. Received: one without"
        )
    return std


def figure_five(context: Context, target: str = "Hk") -> pd.DataFrame:
    """Heads at every share of the data, and all of Fig. 5's methods where there is one target.

    Parameters
    ----------
    context
        A script's.
    target
        Of the simulated lentiMPRA.

    Returns
    -------
    pandas.DataFrame
        Rows of `head_performance` and `compare_methods`, with `dataset`.
    """
    tables = []
    for name, splits, setup in data(context, target):
        tables.append(head_performance(context, splits, setup, dataset=name))
        if splits.heads.n_targets == 1:
            methods = Methods(context, splits, setup)
            tables.append(compare_methods(methods, PAPER_METHODS, dataset=name))
    return pd.concat(tables, ignore_index=True)


def networks(context: Context, target: str = "Hk") -> None:
    """Teachers and students of every share of the data, and each of Fig. 5's methods."""
    for _, splits, setup in data(context, target):
        networks_of_shares(context, splits, setup)
        if splits.heads.n_targets == 1:
            networks_of_methods(context, splits, setup, PAPER_METHODS)


def networks_of_shares(
    context: Context, splits: Splits, setup: Setup, method: str = "student"
) -> None:
    """What `head_performance` asks for: students of one method, and their teachers."""
    for fraction in setup.shares(context.settings.fractions):
        methods = Methods(context, splits.fraction(fraction), setup.at(fraction))
        for each in ("single", method):
            list(methods.models(each))


def networks_of_methods(
    context: Context, splits: Splits, setup: Setup, names: tuple[str, ...]
) -> None:
    """What `compare_methods` asks for."""
    methods = Methods(context, splits, setup)
    for name in names:
        list(methods.models(name))


def networks_on_one_target(context: Context, names: tuple[str, ...]) -> None:
    """What `compare_on_one_target` asks for."""
    for _, splits, setup in data(context):
        if splits.heads.n_targets == 1:
            networks_of_methods(context, splits, setup, names)


def compare_on_one_target(context: Context, names: tuple[str, ...]) -> pd.DataFrame:
    """`compare_methods` for each data set with one target.

    Raises
    ------
    InputError
        If no data set has one target.
    """
    tables = [
        compare_methods(Methods(context, splits, setup), names, dataset=name)
        for name, splits, setup in data(context)
        if splits.heads.n_targets == 1
    ]
    if not tables:
        raise InputError(
            "expected data with one target and its replicates' deviation, as lentiMPRA"
        )
    return pd.concat(tables, ignore_index=True)
