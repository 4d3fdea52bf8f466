"""Figure 2: what single models, DEGU students and the ensemble make of less training data.

Test performance (Pearson r) against the share of the training data, with 95 % confidence bands
over seeds. Data with several targets are taken as STARR-seq is in the paper (a, b): DeepSTARR,
activity only. Data with one target are taken as lentiMPRA is (c, d): ResidualBind, with an
aleatoric head where replicates were measured, and MPRAnn on all data as the dashed line.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from degu_tf import plots
from degu_tf.data.hdf5 import read_splits
from degu_tf.data.simulated import simulate
from degu_tf.data.splits import Splits
from degu_tf.errors import InputError
from degu_tf.experiment import (
    Claim,
    Context,
    Script,
    Verdict,
    at_most,
    greater,
    in_every,
    student_seed,
)
from degu_tf.heads import HeadLayout
from degu_tf.metrics import score
from degu_tf.recipes import FRACTIONS, recipe
from degu_tf.runs import evaluate_ensemble
from degu_tf.training import ModelSpec, TrainingSettings

LITTLE, QUARTER, ALL = 0.1, 0.25, 1.0
MARGIN = 0.01
"""Pearson r that still counts as comparable: decided before any run, like every test here."""


@dataclass(frozen=True)
class Setup:
    """An architecture, how it is trained, and sizes of train, validation and test (None: all)."""

    spec: ModelSpec
    training: TrainingSettings
    sizes: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Settings:
    """What is trained: for data with several targets, with one, and the dashed line."""

    fractions: tuple[float, ...]
    n_members: int
    n_students: int
    several_targets: Setup
    one_target: Setup
    baseline: Setup | None


def _small(name: str, options: dict, epochs: int, steps: int, sizes: tuple[int, int, int]) -> Setup:
    """Little data and time: a higher rate, and the same number of steps at every share."""
    training = TrainingSettings(
        epochs=epochs, batch_size=32, steps_per_epoch=steps, learning_rate=2e-3
    )
    return Setup(ModelSpec(name, options), training, sizes)


def _as_published(name: str) -> Setup:
    return Setup(recipe(name).spec, recipe(name).settings)


PRESETS = {
    "smoke": Settings(
        fractions=(0.1, 1.0),
        n_members=2,
        n_students=1,
        several_targets=_small("deepstarr", {"width": 0.05}, 1, 2, (80, 32, 64)),
        one_target=_small("residualbind", {"width": 0.03, "dilations": [1]}, 1, 2, (80, 32, 64)),
        baseline=_small("mprann", {"width": 0.03}, 1, 2, (80, 32, 64)),
    ),
    "quick": Settings(
        fractions=(0.1, 0.25, 1.0),
        n_members=4,
        n_students=3,
        several_targets=_small(
            "deepstarr", {"width": 0.25, "dropout": 0.2}, 20, 60, (6000, 500, 1000)
        ),
        one_target=_small(
            "residualbind",
            {"width": 0.125, "dilations": [1, 2], "dense_dropout": 0.2},
            16,
            50,
            (5000, 500, 600),
        ),
        baseline=None,
    ),
    "paper": Settings(
        fractions=FRACTIONS,
        n_members=recipe("starrseq").n_members,
        n_students=recipe("starrseq").n_students,
        several_targets=_as_published("starrseq"),
        one_target=_as_published("lentimpra_k562"),
        baseline=_as_published("mprann_k562"),
    ),
}


def compute(context: Context) -> pd.DataFrame:
    """One row a data set, method, share of the data, seed, target, head and metric."""
    tables = []
    for name, splits, setup in data_sets(context):
        for fraction in context.settings.fractions:
            part = splits.fraction(fraction)
            labels = {"dataset": name, "fraction": fraction, "n_train": len(part.train)}
            tables.append(compare(part, setup, context).assign(**labels))
        baseline = context.settings.baseline
        if baseline is not None and splits.heads.n_targets == 1:
            activity = splits.without_uncertainty()
            model = context.store.model(activity, baseline.spec, baseline.training, context.seed)
            prediction = model.predict(activity.test.sequences)
            table = score(prediction, activity.test.targets, activity.heads, method="mprann")
            labels = {"dataset": name, "fraction": 1.0, "n_train": len(splits.train), "seed": 0}
            tables.append(table.assign(**labels))
    return pd.concat(tables, ignore_index=True)


def compare(splits: Splits, setup: Setup, context: Context) -> pd.DataFrame:
    """Train teachers and students and score each of them, and the ensemble, on the test set."""
    settings, store, seed = context.settings, context.store, context.seed
    teachers = store.teachers(splits, setup.spec, settings.n_members, setup.training, seed)
    tables = [evaluate_ensemble(teachers, splits.test, splits.heads)]
    for index in range(settings.n_students):
        student = store.student(
            teachers, splits, settings=setup.training, seed=student_seed(seed, index)
        )
        prediction = student.predict(splits.test.sequences)
        labels = {"method": "student", "member": index}
        tables.append(score(prediction, splits.test.targets, splits.heads, **labels))
    table = pd.concat(tables, ignore_index=True).rename(columns={"member": "seed"})
    return table.fillna({"seed": 0})


def data_sets(context: Context) -> Iterator[tuple[str, Splits, Setup]]:
    """Name, data and setup of each data set: the user's files, or two that are simulated."""
    settings = context.settings
    if not context.data:
        if context.preset == "paper":
            raise InputError(
                "the paper preset needs the data: --data starrseq.h5 k562.h5 hepg2.h5, files that "
                "`degu prepare` made or that were released. Received: no --data"
            )
        setup = settings.several_targets
        splits = simulate(setup.sizes, length=249, seed=context.seed).splits
        yield "Simulated STARR-seq", splits.without_uncertainty(), setup
        setup = settings.one_target
        splits = simulate(setup.sizes, length=230, seed=context.seed + 1).splits
        yield "Simulated lentiMPRA", one_target(splits, "Hk"), setup
        return
    names = [path.stem for path in context.data]
    if len(set(names)) < len(names):
        raise InputError(f"files must have different names: they name panels. Received: {names}")
    for path in context.data:
        splits = read_splits(path)
        several = splits.heads.n_targets > 1
        setup = settings.several_targets if several else settings.one_target
        splits = at_most(splits, setup.sizes)
        yield path.stem, splits.without_uncertainty() if several else splits, setup


def one_target(splits: Splits, target: str) -> Splits:
    """The data of one target, with its aleatoric column."""
    heads = HeadLayout((target,), aleatoric=splits.heads.aleatoric)
    columns = [splits.heads.column(name) for name in heads.columns]
    parts = {
        name: dataclasses.replace(split, targets=split.targets[:, columns])
        for name, split in splits.items()
    }
    return Splits(**parts, heads=heads)


def activity(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with Pearson r of activity."""
    return table[(table["metric"] == "pearson") & (table["head"] == "activity")]


def values(rows: pd.DataFrame, method: str, fraction: float | None = None) -> np.ndarray:
    """Values of a method, one a seed, at one share of the data where one is named."""
    rows = rows[rows["method"] == method]
    if fraction is not None:
        rows = rows[np.isclose(rows["fraction"], fraction)]
    return rows["value"].to_numpy()


def at(table: pd.DataFrame, fraction: float) -> pd.DataFrame:
    """Rows of activity at one share of the training data."""
    rows = activity(table)
    return rows[np.isclose(rows["fraction"], fraction)]


def students_beat_singles(part: pd.DataFrame) -> Verdict:
    """Welch's test of students against single models."""
    return greater(values(part, "student"), values(part, "single"), "r, students - single models")


def students_past_the_middle(part: pd.DataFrame) -> Verdict:
    """Welch's test of students against the middle between single models and ensemble."""
    single, ensemble = values(part, "single"), values(part, "ensemble")
    what = "r, students - middle of single models and ensemble"
    if not ensemble.mean() > single.mean():
        return greater([], [], f"{what}: the ensemble is no better than its members")
    return greater(values(part, "student"), (single + ensemble.mean()) / 2.0, what)


def students_match_ensemble(table: pd.DataFrame) -> Verdict:
    """Students of a tenth of the data against the ensemble, both averaged over panels."""
    rows = at(table, LITTLE)
    by_seed = rows.groupby(["method", "seed"])["value"].mean()
    student, ensemble = (
        by_seed.get(method, pd.Series(dtype=float)) for method in ("student", "ensemble")
    )
    return greater(student, ensemble, "r, students - ensemble, mean over panels", threshold=-MARGIN)


def quarter_matches_all(table: pd.DataFrame) -> Verdict:
    """Students of a quarter of the data against single models of all, where targets are several."""
    rows = activity(table)
    several = rows.groupby("dataset")["target"].transform("nunique") > 1

    def decide(part: pd.DataFrame) -> Verdict:
        return greater(
            values(part, "student", QUARTER), values(part, "single", ALL),
            "r, students of 25 % - single models of 100 %", threshold=-MARGIN,
        )  # fmt: skip

    return in_every(rows[several], ["dataset", "target"], decide)


def more_in_k562(table: pd.DataFrame) -> Verdict:
    """Gains of students over single models, mean over shares: K562 against HepG2."""
    rows = activity(table)
    place = (rows["dataset"] + " " + rows["target"]).str.lower()
    gains = []
    for cell in ("k562", "hepg2"):
        by_seed = rows[place.str.contains(cell)].groupby(["method", "seed"])["value"].mean()
        pair = [by_seed.get(method, pd.Series(dtype=float)) for method in ("student", "single")]
        n = min(map(len, pair))
        gains.append(pair[0].to_numpy()[:n] - pair[1].to_numpy()[:n])
    return greater(*gains, "gain in r, K562 - HepG2")


PANEL = ["dataset", "target"]
CLAIMS = (
    Claim(
        "With a tenth of the training data, students predict better than single models "
        "(in every panel).",
        "Fig. 2a-d",
        lambda table: in_every(at(table, LITTLE), PANEL, students_beat_singles),
    ),
    Claim(
        "So they do at every share of the training data (in every panel).",
        "Fig. 2a-d",
        lambda table: in_every(curves(table), [*PANEL, "fraction"], students_beat_singles),
    ),
    Claim(
        "Students approach the ensemble: they close more than half of its lead over single models "
        "(in every panel, at every share).",
        'Fig. 2a-d; Results, "DEGU approximates the predictive performance of deep ensembles"',
        lambda table: in_every(curves(table), [*PANEL, "fraction"], students_past_the_middle),
    ),
    Claim(
        f"With a tenth of the data students match the ensemble: at most {MARGIN} lower in r "
        "(mean over panels).",
        "the same section",
        students_match_ensemble,
    ),
    Claim(
        "Students made from a quarter of the STARR-seq data are comparable to standard training "
        f"on all of it: at most {MARGIN} lower in r (each promoter).",
        "Fig. 2a, b; the same section",
        quarter_matches_all,
    ),
    Claim(
        "Students gain more over single models in K562 than in HepG2 (mean over shares).",
        "Fig. 2c, d; the same section",
        more_in_k562,
    ),
)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of activity without the baseline."""
    rows = activity(table)
    return rows[rows["method"] != "mprann"]


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each data set and target, as in Fig. 2."""
    return plots.performance_against(table, x="fraction")


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method, and the share of the ensemble's lead that students close."""
    means = curves(table).pivot_table(
        index=[*PANEL, "fraction"], columns="method", values="value", sort=False
    )[["single", "student", "ensemble"]]
    lead = (means["ensemble"] - means["single"]).where(lambda gap: gap > 0)
    means["share of the lead closed"] = (means["student"] - means["single"]) / lead
    return "Pearson r, mean over seeds:\n" + means.round(3).to_string()


SCRIPT = Script(
    file=__file__,
    summary=__doc__,
    presets=PRESETS,
    compute=compute,
    draw=draw,
    claims=CLAIMS,
    data_help="HDF5 files, one a data set (paper: STARR-seq, lentiMPRA K562 and HepG2), made by "
    "`degu prepare` or released; panels are named after them. Simulated data without",
    conclude=conclude,
)

if __name__ == "__main__":
    raise SystemExit(SCRIPT.main())
