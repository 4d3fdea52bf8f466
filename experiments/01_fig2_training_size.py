"""Figure 2: single models, DEGU students and the ensemble on less training data.

Test performance (Pearson r) against the share of the training data, with 95 % confidence bands
over seeds. Data with several targets are taken as STARR-seq is in the paper (a, b): DeepSTARR,
activity only. Data with one target are taken as lentiMPRA is (c, d): ResidualBind, with an
aleatoric head where replicates were measured, and MPRAnn on all data as the dashed line. A ridge on
counts of 5-mers stands beside them in grey. `quick` trains DeepSTARR on both by this package's
recipe `best` in fewer steps; `paper` follows the paper.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

import degu_tf as degu
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    greater,
    in_every,
    undecided,
)
from degu_tf.paper.data_sets import PANEL, data_sets
from degu_tf.paper.fig2_performance import figure
from degu_tf.paper.fig2_performance.claims import (
    activity,
    at,
    by_seed,
    gains,
    several_targets,
    students_beat_singles,
    values,
)
from degu_tf.paper.fig2_performance.study import compare, trained
from degu_tf.paper.networks.setups import (
    QUICK_LENGTH,
    Setup,
    best_setup,
    published_setup,
    small_setup,
)
from degu_tf.paper.recipes import FRACTIONS, recipe
from degu_tf.paper.script import Context, main

DATA_HELP = (
    "HDF5 files, one a data set (paper: STARR-seq, lentiMPRA K562 and HepG2), made by `degu "
    "prepare` or released; panels are named after them. Simulated data without"
)

LITTLE, QUARTER, ALL = 0.1, 0.25, 1.0
MARGIN = 0.01
"""Pearson r that still counts as comparable: decided before any run, like every test here."""


@dataclass(frozen=True)
class Settings:
    """What is trained: for data with several targets, with one, and the dashed line."""

    fractions: tuple[float, ...]
    n_members: int
    n_students: int
    several_targets: Setup
    one_target: Setup
    baseline: Setup | None


def _best(sizes: tuple[int, int, int]) -> Setup:
    return best_setup("deepstarr", {"width": 0.25}, 1200, sizes, QUICK_LENGTH)


PRESETS = {
    "smoke": Settings(
        fractions=(0.1, 1.0),
        n_members=2,
        n_students=1,
        several_targets=small_setup("deepstarr", {"width": 0.05}, 1, 2, (80, 32, 64)),
        one_target=small_setup(
            "residualbind", {"width": 0.03, "dilations": [1]}, 1, 2, (80, 32, 64)
        ),
        baseline=small_setup("mprann", {"width": 0.03}, 1, 2, (80, 32, 64)),
    ),
    "quick": Settings(
        fractions=(0.1, 0.25, 1.0),
        n_members=5,
        n_students=5,
        several_targets=_best((12_000, 500, 1000)),
        one_target=_best((12_000, 1000, 2000)),
        baseline=None,
    ),
    "paper": Settings(
        fractions=FRACTIONS,
        n_members=recipe("starrseq").n_members,
        n_students=recipe("starrseq").n_students,
        several_targets=published_setup("starrseq"),
        one_target=published_setup("lentimpra_k562"),
        baseline=published_setup("mprann_k562"),
    ),
}


PARTS = "fractions"


def sets_of(context: Context) -> Iterator[tuple[str, degu.Splits, Setup]]:
    """Name, data and setup of each data set."""
    yield from data_sets(context, context.settings.several_targets, context.settings.one_target)


def networks(context: Context) -> None:
    """Teachers and students of each share of each data set, and the dashed line's."""
    for _, splits, setup in sets_of(context):
        for fraction in context.settings.fractions:
            _, students = trained(splits.fraction(fraction), setup, context)
            list(students)
        dashed(context, splits)


def dashed(context: Context, splits: degu.Splits) -> degu.ModelPredictor | None:
    """The baseline of data with one target."""
    baseline = context.settings.baseline
    if baseline is None or splits.heads.n_targets > 1:
        return None
    means = splits.without_uncertainty()
    return context.store.model(means, baseline.spec, baseline.training, context.seed)


def compute(context: Context) -> pd.DataFrame:
    """One row a data set, method, share of the data, seed, target, head and metric."""
    tables = []
    for name, splits, setup in sets_of(context):
        for fraction in context.settings.fractions:
            part = splits.fraction(fraction)
            labels = {"dataset": name, "fraction": fraction, "n_train": len(part.train)}
            tables.append(compare(part, setup, context).assign(**labels))
        model = dashed(context, splits)
        if model is not None:
            means = splits.without_uncertainty()
            prediction = model.predict(means.test.sequences)
            table = degu.metrics.score(prediction, means.test.targets, means.heads, method="mprann")
            labels = {"dataset": name, "fraction": 1.0, "n_train": len(splits.train), "seed": 0}
            tables.append(table.assign(**labels))
    return pd.concat(tables, ignore_index=True)


def students_past_the_middle(part: pd.DataFrame) -> Verdict:
    """Welch's test of students against the middle between single models and ensemble."""
    single, ensemble = values(part, "single"), values(part, "ensemble")
    what = "r, students - middle of single models and ensemble"
    if not ensemble.mean() > single.mean():
        because = "the ensemble is no better than its members"
        return undecided(f"{what}: {because}", float("nan"), n=len(single))
    return greater(values(part, "student"), (single + ensemble.mean()) / 2.0, what)


def students_match_ensemble(table: pd.DataFrame) -> Verdict:
    """Students of a tenth of the data against the ensemble, both averaged over panels."""
    student, ensemble = (by_seed(at(table, LITTLE), name) for name in ("student", "ensemble"))
    return greater(student, ensemble, "r, students - ensemble, mean over panels", threshold=-MARGIN)


def quarter_matches_all(table: pd.DataFrame) -> Verdict:
    """Students of a quarter of the data against single models of all, where targets are several."""
    rows = activity(table)

    def decide(part: pd.DataFrame) -> Verdict:
        return greater(
            values(part, "student", QUARTER), values(part, "single", ALL),
            "r, students of 25 % - single models of 100 %", threshold=-MARGIN,
        )  # fmt: skip

    return in_every(rows[several_targets(rows)], PANEL, decide)


def more_with_little_data(table: pd.DataFrame) -> Verdict:
    """Gains of students over single models, mean over panels: a tenth of the data against all."""
    little, much = (gains(at(table, share)) for share in (LITTLE, ALL))
    return greater(little, much, "gain in r, 10 % of the data - 100 %")


def more_in_k562(table: pd.DataFrame) -> Verdict:
    """Gains of students over single models, mean over shares: K562 against HepG2."""
    rows = activity(table)
    place = (rows["dataset"] + " " + rows["target"]).str.lower()
    k562, hepg2 = (gains(rows[place.str.contains(cell)]) for cell in ("k562", "hepg2"))
    return greater(k562, hepg2, "gain in r, K562 - HepG2")


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
    Claim(
        "Students gain most over single models where data are few: more with a tenth of the "
        "training data than with all (mean over panels).",
        'Fig. 2a-d; "particularly in low-data regimes" in the same section',
        more_with_little_data,
    ),
)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of activity without the baselines."""
    rows = activity(table)
    return rows[~rows["method"].isin(["mprann", "kmer_ridge"])]


draw = figure.figure_two


def conclude(table: pd.DataFrame) -> str:
    """Mean r of each method, and the share of the ensemble's lead that students close."""
    means = curves(table).pivot_table(
        index=[*PANEL, "fraction"], columns="method", values="value", sort=False
    )[["single", "student", "ensemble"]]
    lead = (means["ensemble"] - means["single"]).where(lambda gap: gap > 0)
    means["share of the lead closed"] = (means["student"] - means["single"]) / lead
    return "Pearson r, mean over seeds:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
