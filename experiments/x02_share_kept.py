"""How much of what an ensemble gains its students keep, by the paper's recipe and by ours.

For training sets of several sizes, an ensemble is trained by each recipe (`degu_tf.distillation.
recipes`) and distilled into students. The share kept is (student - single) / (ensemble - single) in
Pearson's r on test sequences, single being the mean of the teachers; its intervals are a bootstrap
over test sequences. A ridge on 5-mer counts of the same training sequences stands beside.
"""

import dataclasses

import pandas as pd

import degu_tf as degu
from degu_tf.paper.claims import Claim, Verdict, above, greater, in_every
from degu_tf.paper.data_sets import activity_data
from degu_tf.paper.networks.setups import QUICK_LENGTH
from degu_tf.paper.script import Context, main
from degu_tf.paper.x02_share_kept import study
from degu_tf.paper.x02_share_kept.figure import share_kept_figure
from degu_tf.paper.x02_share_kept.study import Settings, shares

DATA_HELP = "HDF5 file of activity made by `degu prepare` or released; simulated data without it"

PRESETS = {
    "smoke": Settings(
        spec=degu.ModelSpec("deepstarr", {"width": 0.05}),
        n_members=2,
        n_students=1,
        sizes=(64,),
        steps=2,
        at_most=(80, 32, 64),
    ),
    "quick": Settings(
        spec=degu.ModelSpec("deepstarr", {"width": 0.25}),
        n_members=3,
        n_students=3,
        sizes=(1000, 4000),
        steps=2000,
        at_most=(4000, 500, 2000),
        length=QUICK_LENGTH,
    ),
    "paper": Settings(
        spec=degu.ModelSpec("deepstarr", {"width": 0.25}),
        n_members=5,
        n_students=3,
        sizes=(4000, 12_000, None),
    ),
}

draw = share_kept_figure


PARTS = "recipes"


def networks(context: Context) -> None:
    """Teachers and students of each size and recipe."""
    _, splits = activity_data(context, context.settings.at_most, context.settings.length)
    study.networks(splits, context.settings, context.store, context.seed)


def compute(context: Context) -> pd.DataFrame:
    """One row a size, recipe, student and target, and one for the mean over targets."""
    name, splits = activity_data(context, context.settings.at_most, context.settings.length)
    table = shares(splits, context.settings, context.store, context.seed)
    return table.assign(dataset=name)


def of(part: pd.DataFrame, recipe: str, column: str) -> pd.Series:
    """A column of the mean over targets, a value a student."""
    chosen = (part["recipe"] == recipe) & (part["target"] == "mean")
    return part[chosen][column]


def keeps_all(part: pd.DataFrame) -> Verdict:
    """Whether the share kept lies above 0.9, of other students and of other test sequences.

    The interval is that of a one-sample test over students, and at least as wide as their mean
    bootstrap over test sequences, in whose differences teachers and students share.
    """
    verdict = above(of(part, "best", "share"), 0.9, "share kept by students of `best`")
    low, high = (float(of(part, "best", name).mean()) for name in ("low", "high"))
    return dataclasses.replace(
        verdict, low=min(verdict.low, low), high=max(verdict.high, high), p=float("nan")
    )


def no_worse(part: pd.DataFrame) -> Verdict:
    """Welch's test of r, students of `best` against those of `paper`."""
    best, paper = of(part, "best", "student"), of(part, "paper", "student")
    return greater(best, paper, "r, students of `best` - of `paper`")


def above_the_ridge(part: pd.DataFrame) -> Verdict:
    """One-sample test of the students' r against the ridge's."""
    ridge = of(part, "best", "kmer_ridge").mean()
    return above(of(part, "best", "student") - ridge, 0.0, "r, students of `best` - 5-mer ridge")


def claim(text: str, decide) -> Claim:
    """A claim about every size, of this project and not of the paper."""
    where = "not in the paper"
    return Claim(text, where, lambda table: in_every(table, ["dataset", "n_train"], decide))


CLAIMS = (
    claim("Students keep more than 0.9 of their ensemble's gain (each size).", keeps_all),
    claim("Students of `best` predict better than those of `paper` (each size).", no_worse),
    claim("Students of `best` are above a ridge on 5-mer counts (each size).", above_the_ridge),
)


def conclude(table: pd.DataFrame) -> str:
    """Means over students, a row a size and recipe."""
    rows = table[table["target"] == "mean"]
    columns = ["single", "ensemble", "student", "kmer_ridge", "share", "epistemic", "spread"]
    means = rows.groupby(["n_train", "recipe"], sort=False)[columns].mean()
    return "Means over targets and students:\n" + means.round(3).to_string()


if __name__ == "__main__":
    raise SystemExit(main(globals()))
