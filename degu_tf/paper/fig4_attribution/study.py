"""The maps behind Fig. 4 and Supplementary Figs. 7 and 8: standard models and their students.

A panel is one target of one data set, explained by one method. Teachers and students are those of
Figs. 2 and 5, so whichever script comes first trains them and the others find them in the store.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.attribution.background import random_background
from degu_tf.attribution.consistency import (
    LARGEST,
    NONE,
    compare,
    mean_map,
    normalised,
    similarity,
)
from degu_tf.attribution.explain_run import top_rows
from degu_tf.attribution.methods import Method
from degu_tf.attribution.motifs import motif_auroc, relevant_sites
from degu_tf.data.simulation.grammar import find_motifs
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.data_sets import data_sets
from degu_tf.paper.fig4_attribution.logo_table import logo_rows, site_rows
from degu_tf.paper.networks.setups import ONE_TARGET, SEVERAL_TARGETS, Setup
from degu_tf.paper.networks.stored_maps import Kind, stored_maps
from degu_tf.paper.networks.trained_models import TrainedModels
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.recipes import recipe
from degu_tf.paper.script import Context

SALIENCY, DEEPSHAP = "saliency", "deepshap"
EXPLAINERS = (DEEPSHAP, SALIENCY)


FIGURE_FOUR = {"several": DEEPSHAP, "one": SALIENCY}
"""What Fig. 4 explains data with several targets by, and data with one."""

ALL, OTHERS = "all", "others"
"""Words of the column `reference`: the mean map of all teachers, or with one left out."""


RESAMPLES = 200
"""Bootstrap resamples for the intervals of motif AUROCs."""


@dataclass(frozen=True)
class Settings:
    """Models of the figures, their training, and what is explained.

    Attributes
    ----------
    n_members, n_students
        Teachers, which are the models of standard training, and students.
    n_sequences
        Test sequences, those with the largest target.
    n_references
        Random test sequences that DeepSHAP compares with.
    several_targets, one_target
        Setup for data with several targets (as STARR-seq) and with one (as lentiMPRA).
    """

    n_members: int
    n_students: int
    n_sequences: int
    n_references: int
    several_targets: Setup
    one_target: Setup


def _settings(
    preset: str, n_members: int, n_students: int, n_sequences: int, n_references: int
) -> Settings:
    return Settings(
        n_members,
        n_students,
        n_sequences,
        n_references,
        SEVERAL_TARGETS[preset],
        ONE_TARGET[preset],
    )


PRESETS: Mapping[str, Settings] = {
    "smoke": _settings("smoke", 3, 2, 8, 5),
    "quick": _settings("quick", 5, 5, 120, 50),
    "paper": _settings(
        "paper", recipe("starrseq").n_members, recipe("starrseq").n_students, 1000, 100
    ),
}
"""Settings of the figures' presets; models are trained as for Figure 5."""

WEIGHTS = Needs(("single", "student"))
"""What the figures open from weights."""

DATA_HELP = (
    "HDF5 files with several targets (STARR-seq in the paper) and with one (lentiMPRA), made by "
    "`degu prepare` or released. Simulated data without"
)


class Models(TrainedModels):
    """Teachers and students of one data set and their maps.

    Parameters
    ----------
    context
        A script's context, whose settings are `Settings`.
    splits
        The data.
    setup
        Architecture and training.
    """

    @cached_property
    def students(self) -> list[ModelPredictor]:
        """Students of the teachers, each from its own seed."""
        return list(self.students_of())

    def top(self, target: str) -> np.ndarray:
        """Test sequences with the largest values of a target, the largest first."""
        values = self._measured(target)
        n = self._settings.n_sequences
        if len(values) < n:
            print(f"{target}: all {len(values):,} test sequences are explained, not {n:,}.")
        return self.splits.test.sequences[top_rows(values, n)]

    def maps(self, target: str, explainer: str, kind: Kind = "scores") -> dict[str, np.ndarray]:
        """Corrected maps `(M, N, L, 4)` of the sequences `top`, by standard models and students.

        `kind` is ``"scores"``, or ``"hypothetical"`` for what each base would contribute.
        """
        explained: dict[str, Any] = {
            "sequences": self.splits.test.sequences,
            "head": target,
            "method": self.method(explainer),
            "ranking": self._measured(target),
            "top": self._settings.n_sequences,
            "kind": kind,
        }
        students = [stored_maps(self._store, student, **explained) for student in self.students]
        return {
            "single": stored_maps(self._store, self.teachers, **explained),
            "student": np.concatenate(students),
        }

    def method(self, explainer: str) -> Method:
        """An explainer; DeepSHAP's references are random test sequences."""
        test = self.splits.test.sequences
        if explainer != DEEPSHAP:
            return Method(name=explainer)
        n = min(self._settings.n_references, len(test))
        return Method(name=explainer, background=random_background(test, n))

    def _measured(self, target: str) -> np.ndarray:
        """The target's value of each test sequence `(N,)`, of profiles the mean over length."""
        test = self.splits.test
        values = self.splits.heads.take(test.targets, "mean")
        values = values[..., self.splits.heads.targets.index(target)]
        return values.reshape(len(values), -1).mean(axis=1, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Panel:
    """One target of one data set, explained by one method.

    Attributes
    ----------
    dataset, target, explainer
        Their names; `explainer` is one of `EXPLAINERS`.
    models
        Teachers and students of the data set.
    simulated
        Whether the grammar that made the sequences is known.
    """

    dataset: str
    target: str
    explainer: str
    models: Models
    simulated: bool

    @property
    def labels(self) -> dict[str, Any]:
        """What tells its rows from those of other panels."""
        return {"dataset": self.dataset, "target": self.target, "explainer": self.explainer}


def panels(context: Context, in_figure_four: bool | None = None) -> Iterator[Panel]:
    """Every combination of data set, target and explainer, one data set after another.

    Fig. 4 shows the first target of the first data set with several targets, by DeepSHAP, and the
    first data set with one target, by saliency.

    Parameters
    ----------
    context
        A script's.
    in_figure_four
        Only those that Fig. 4 shows, or only the others; all of them with None.
    """
    seen = set()
    settings = context.settings
    for name, splits, setup in data_sets(context, settings.several_targets, settings.one_target):
        kind = "several" if splits.heads.n_targets > 1 else "one"
        models = Models(context, splits, setup)
        for target in splits.heads.targets:
            for explainer in EXPLAINERS:
                first = kind not in seen and target == splits.heads.targets[0]
                shown = first and explainer == FIGURE_FOUR[kind]
                if in_figure_four in (None, shown):
                    yield Panel(name, target, explainer, models, simulated=not context.data)
        seen.add(kind)


def networks(context: Context, in_figure_four: bool | None = None) -> None:
    """Teachers and students of every data set that is shown."""
    for panel in panels(context, in_figure_four):
        _ = panel.models.students  # the same models in all panels of a data set


def compare_panel(panel: Panel) -> pd.DataFrame:
    """Distance to the ensemble's maps, spread over initialisations, and motifs of one panel.

    Distance and spread are those of the corrected scores, as in the paper. Logos and motifs are of
    hypothetical scores, for the reason that `degu_tf.attribution.motifs.importance` gives.

    Returns
    -------
    pandas.DataFrame
        Rows of `degu_tf.attribution.consistency.similarity` with the column `reference` (`ALL`, and
        `OTHERS` from `one_left_out`), of `consistency` (variance with M - 1, so that groups of
        unequal size can be compared), both with `scaling`; of `logo_rows` and `site_rows` for the
        first sequence; and on simulated data of `degu_tf.attribution.motifs.motif_auroc` for each
        model and the ensemble.
    """
    sequences = panel.models.top(panel.target)
    maps = panel.models.maps(panel.target, panel.explainer)
    plain = compare(maps, ddof=1, **panel.labels)
    shown = panel.models.maps(panel.target, panel.explainer, "hypothetical")
    ensemble = mean_map(shown["single"])
    logos = {"single": shown["single"][0], "student": shown["student"][0], "ensemble": ensemble}
    tables = [
        plain.similarity.assign(reference=ALL),
        *(
            one_left_out(scaled, **panel.labels, scaling=scaling).assign(reference=OTHERS)
            for scaling, scaled in (
                (NONE, maps),
                (LARGEST, {method: normalised(each) for method, each in maps.items()}),
            )
        ),
        plain.consistency,
        logo_rows({name: each[0] for name, each in logos.items()}, sequences[0], **panel.labels),
        site_rows(sequences[0], panel.simulated, **panel.labels),
    ]
    if panel.simulated:
        sites = relevant_sites(find_motifs(sequences), panel.target)
        for method, group in {**shown, "ensemble": ensemble[np.newaxis]}.items():
            for seed, each in enumerate(group):
                labels = {**panel.labels, "method": method, "seed": seed}
                tables.append(motif_auroc(each, sequences, sites, n_resamples=RESAMPLES, **labels))
    return pd.concat(tables, ignore_index=True)


def one_left_out(maps: Mapping[str, np.ndarray], **labels: Any) -> pd.DataFrame:
    """RMSE of maps to the mean of all teachers but one, so that no model is compared with itself.

    A teacher is compared with the mean of the others. So is a student, with each teacher left out
    in turn, and its distances are averaged: a mean of fewer maps is further away, and both kinds of
    model are to be judged by the same.

    Parameters
    ----------
    maps
        Maps `(M, N, L, 4)` of ``"single"``, two or more, and ``"student"``.
    **labels
        Constant columns.

    Returns
    -------
    pandas.DataFrame
        As of `degu_tf.attribution.consistency.similarity`.

    Examples
    --------
    >>> single = np.stack([np.full((1, 2, 4), value) for value in (0.0, 2.0)])
    >>> table = one_left_out({"single": single, "student": single[:1] + 1.0})
    >>> table["value"].tolist()
    [2.0, 2.0, 1.0]
    """
    single = maps["single"]
    total = mean_map(single) * len(single)
    tables = []
    for left, own in enumerate(single):
        reference = (total - own) / (len(single) - 1)
        shown = {"single": own[np.newaxis], "student": maps["student"]}
        table = similarity(shown, reference, **labels)
        table.loc[table["method"] == "single", "seed"] = left
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    keys = [name for name in table if name != "value"]
    return (
        table.groupby(keys, sort=False, as_index=False)["value"]
        .mean()
        .sort_values("method", kind="stable", ignore_index=True)
    )


def compare_maps(context: Context, in_figure_four: bool | None = None) -> pd.DataFrame:
    """`compare_panel` for every panel, or for those that Fig. 4 shows or does not show."""
    tables = [compare_panel(panel) for panel in panels(context, in_figure_four)]
    return pd.concat(tables, ignore_index=True)
