"""Attribution of uncertainty: maps of a student's aleatoric and epistemic heads.

Future work of the paper; beside them are maps of the activity.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.attribution.motifs import importance, motif_auroc, motif_positions
from degu_tf.data.simulation.grammar import TARGETS, true_activity, true_noise
from degu_tf.metrics.correlation import correlation_or_nan
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    in_every,
)
from degu_tf.paper.data_sets import data_sets
from degu_tf.paper.fig4_attribution.claims import rows_of
from degu_tf.paper.fig4_attribution.logo_table import logo_rows, motif_sites, site_rows
from degu_tf.paper.fig4_attribution.study import DEEPSHAP, RESAMPLES, Models
from degu_tf.paper.networks.stored_maps import stored_maps
from degu_tf.paper.script import Context

SITE_SCORE = "site_score"
"""Metric: summed score of the bases of a site, mean over the sites of a motif."""

CORRELATION = "map_correlation"
"""Metric: Pearson r of two heads' scores over all positions of all sequences."""

ROLES = {"mean": "activity", "aleatoric": "aleatoric", "epistemic": "epistemic"}
"""What a block of columns is called in tables."""

STD_OF_THREE = np.sqrt(2.0 / 3.0) * np.sqrt(np.pi) / 2.0
"""Expected population standard deviation of three normal replicates, 0.72 of their noise's."""

REPLACEMENTS = 10
"""Times that a site is replaced to find its true effect."""


def compare_heads(context: Context) -> pd.DataFrame:
    """Maps of every head of the students, for the first target of each data set.

    By DeepSHAP, of random test sequences, high and low: what raises an uncertainty need not be
    found among the most active.

    Returns
    -------
    pandas.DataFrame
        Columns `dataset`, `target`, `head`, `method` (``"student"``, or ``"truth"`` on simulated
        data), `seed`, `metric`, `value` and what belongs to it: `motif` and `n` sites of
        `SITE_SCORE`, `other` of `CORRELATION`; rows of
        `degu_tf.attribution.motifs.motif_auroc`, for positions in sites of any motif; and of
        `degu_tf.paper.fig4_attribution.logo_table.logo_rows`, whose `method` is the head.
    """
    tables = []
    settings, simulated = context.settings, not context.data
    for name, splits, setup in data_sets(context, settings.several_targets, settings.one_target):
        models = Models(context, splits, setup)
        test, target = splits.test.sequences, splits.heads.targets[0]
        n = min(settings.n_sequences, len(test))
        rows = np.random.default_rng(context.seed).choice(len(test), n, replace=False)
        sequences = test[np.sort(rows)]
        labels = {"dataset": name, "target": target}
        sites = motif_sites(sequences, simulated)
        if simulated:
            tables.append(true_effects(sequences, sites, splits.heads.aleatoric, **labels))
        shown = int(motif_positions(sites, *sequences.shape[:2]).sum(axis=1).argmax())
        for seed, student in enumerate(models.students):
            maps = {
                head: stored_maps(
                    context.store,
                    student,
                    sequences,
                    column,
                    models.method(DEEPSHAP),
                    -np.arange(n, dtype=np.float64),
                    n,
                    "hypothetical",
                )[0]
                for head, column in head_columns(student.heads.columns, target)
            }
            own = {**labels, "method": "student", "seed": seed}
            tables += [describe(maps, sequences, sites, **own)]
            if seed == 0:
                logos = {head: each[shown] for head, each in maps.items()}
                tables.append(logo_rows(logos, sequences[shown], **labels))
        tables.append(site_rows(sequences[shown], simulated, **labels))
    return pd.concat(tables, ignore_index=True)


def head_columns(columns: tuple[str, ...], target: str) -> Iterator[tuple[str, str]]:
    """Name of each head of a target, and its column.

    Examples
    --------
    >>> list(head_columns(("Dev", "Hk", "Dev_epistemic", "Hk_epistemic"), "Hk"))
    [('activity', 'Hk'), ('epistemic', 'Hk_epistemic')]
    """
    for role, head in ROLES.items():
        column = target if role == "mean" else f"{target}_{role}"
        if column in columns:
            yield head, column


def describe(
    maps: dict[str, np.ndarray], sequences: np.ndarray, sites: pd.DataFrame, **labels: Any
) -> pd.DataFrame:
    """Scores at motifs, AUROC of motif positions, and correlation of every two heads' maps.

    Parameters
    ----------
    maps
        Corrected hypothetical scores `(N, L, 4)` by head.
    sequences
        Tokens `(N, L)`.
    sites
        From `degu_tf.paper.fig4_attribution.logo_table.motif_sites`.
    **labels
        Constant columns.
    """
    tables, scores = [], {}
    for head, each in maps.items():
        scores[head] = np.nan_to_num(importance(each, sequences))
        own = {**labels, "head": head}
        if len(sites):
            tables.append(site_scores(scores[head], sites, **own))
            tables.append(motif_auroc(each, sequences, sites, n_resamples=RESAMPLES, **own))
    heads = list(maps)
    pairs = [(one, other) for i, one in enumerate(heads) for other in heads[i + 1 :]]
    rows = [
        {
            **labels,
            "metric": CORRELATION,
            "head": other,
            "other": one,
            "value": correlation_or_nan(scores[one].ravel(), scores[other].ravel()),
            "n": len(sequences),
        }
        for one, other in pairs
    ]
    return pd.concat([*tables, pd.DataFrame(rows)], ignore_index=True)


def site_scores(scores: np.ndarray, sites: pd.DataFrame, **labels: Any) -> pd.DataFrame:
    """Sum of scores `(N, L)` over each site, mean over the sites of a motif.

    Examples
    --------
    >>> sites = pd.DataFrame({"sequence": [0], "motif": ["GATA"], "start": [1], "end": [3]})
    >>> site_scores(np.array([[0.0, 1.0, 2.0, 4.0]]), sites)["value"].tolist()
    [3.0]
    """
    summed = np.cumsum(np.pad(scores, ((0, 0), (1, 0))), axis=1)
    row, start, end = (sites[name].to_numpy() for name in ("sequence", "start", "end"))
    return _by_motif(sites, summed[row, end] - summed[row, start], **labels)


def true_effects(
    sequences: np.ndarray, sites: pd.DataFrame, aleatoric: str | None, **labels: Any
) -> pd.DataFrame:
    """What each motif's sites truly do: the change when other sequences' bases stand there.

    Parameters
    ----------
    sequences
        Tokens `(N, L)` of the simulated grammar, two or more.
    sites
        Its sites.
    aleatoric
        Whether the data have the standard deviation of three replicates (None: they have not).
    **labels
        Constant columns, `target` among them.

    Returns
    -------
    pandas.DataFrame
        Rows of `SITE_SCORE` with the method ``"truth"``, heads ``"activity"`` and, with replicates,
        ``"aleatoric"``.
    """
    rng = np.random.default_rng(0)
    row, start, end = (sites[name].to_numpy() for name in ("sequence", "start", "end"))
    within = np.arange(sequences.shape[1])
    inside = (within >= start[:, np.newaxis]) & (within < end[:, np.newaxis])
    index = TARGETS.index(str(labels["target"]))
    truths = {"activity": lambda tokens: true_activity(tokens)[:, index]}
    if aleatoric is not None:
        truths["aleatoric"] = lambda tokens: STD_OF_THREE * true_noise(tokens)[:, index]
    change = {head: np.zeros(len(sites)) for head in truths}
    for _ in range(REPLACEMENTS):
        away = rng.integers(1, len(sequences), size=len(sites))
        others = sequences[(row + away) % len(sequences)]
        replaced = np.where(inside, others, sequences[row])
        for head, truth in truths.items():
            change[head] += (truth(sequences)[row] - truth(replaced)) / REPLACEMENTS
    own = {**labels, "method": "truth", "seed": 0}
    return pd.concat(
        [_by_motif(sites, values, **own, head=head) for head, values in change.items()],
        ignore_index=True,
    )


def _by_motif(sites: pd.DataFrame, values: np.ndarray, **labels: Any) -> pd.DataFrame:
    grouped = pd.Series(values).groupby(sites["motif"].to_numpy(), sort=False)
    table = pd.DataFrame({"value": grouped.mean(), "n": grouped.size()})
    return table.rename_axis("motif").reset_index().assign(metric=SITE_SCORE, **labels)


PANEL = ["dataset", "target"]


def _at(table: pd.DataFrame, head: str, motif: str) -> pd.DataFrame:
    rows = rows_of(table, SITE_SCORE)
    return rows[(rows["method"] == "student") & (rows["head"] == head) & (rows["motif"] == motif)]


def _raises_noise(part: pd.DataFrame) -> Verdict:
    return above(part["value"], 0.0, "score of the aleatoric head at Trl sites")


def _points_at_motifs(part: pd.DataFrame) -> Verdict:
    return above(part["value"], 0.5, "AUROC of motif positions, epistemic head")


def _uncertain_at_motifs(table: pd.DataFrame) -> Verdict:
    rows = rows_of(table, "motif_auroc")
    return in_every(rows[rows["head"] == "epistemic"], PANEL, _points_at_motifs)


NOT_CLAIMED = "Discussion (future work); not in the paper"
CLAIMS = (
    Claim(
        "Trl sites, which make simulated replicates noisier, raise the aleatoric head.",
        NOT_CLAIMED,
        lambda table: in_every(_at(table, "aleatoric", "Trl"), PANEL, _raises_noise),
    ),
    Claim(
        "The epistemic head depends on motifs more than on other positions: AUROC above a half "
        "(each data set).",
        NOT_CLAIMED,
        _uncertain_at_motifs,
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Scores at motifs by head, and how heads' maps go together, means over students."""
    scores = rows_of(table, SITE_SCORE).pivot_table(
        index=["dataset", "target", "head", "method"], columns="motif", values="value", sort=False
    )
    pairs = rows_of(table, CORRELATION).groupby(["dataset", "other", "head"])["value"].mean()
    return (
        f"Mean score of a site:\n{scores.round(3).to_string()}\n"
        f"Pearson r of two heads' maps:\n{pairs.round(3).to_string()}"
    )
