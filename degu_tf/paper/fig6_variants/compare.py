"""Predicted effects of variants beside measured ones, of any predictors: one tidy table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.metrics.effects import (
    COMPONENTS,
    against_uncertainty,
    below_percentiles,
    correlations,
    texture,
)
from degu_tf.models.predictor import Predictor
from degu_tf.paper.fig6_variants.experiments import MEASURED, TRUTH, Experiment
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError
from degu_tf.variants.scorer import BLOCK, VariantScorer

REPRESENTATIVE = "student"
"""The method whose first model is shown variant by variant (Fig. 6b, Supplementary Fig. 15)."""

UNCERTAINTY = "alternative"
"""Uncertainty of an effect in these figures: that predicted for the alternative allele."""

PERFORMANCE, UNCERTAIN, TEXTURE, VARIANT = "performance", "uncertainty", "texture", "variant"
"""Words of the column `what`."""

ALL_WINDOWS, CENTRED = "all", "centred"
"""Words of the column `windows`; the second where others were moved to stay inside an element."""

FEWEST_CENTRED = 30

PANEL = ["dataset", "experiment"]
PARTS = ("effect", *COMPONENTS)
ROUNDED = 6


def compare(
    models: Mapping[str, Iterable[Predictor]],
    experiments: Sequence[tuple[Experiment, str]],
    length: int,
    *,
    flanks: tuple[str, str] = ("", ""),
    resamples: int = 1000,
    seed: int = 0,
    **labels: Any,
) -> pd.DataFrame:
    """How every model predicts the effects measured in every experiment.

    Parameters
    ----------
    models
        Predictors by method, one a seed.
    experiments
        Each with the name of the target to take.
    length
        Bases the models take, flanks included.
    flanks
        Of the library the models were trained on; see `degu_tf.variants.scorer.VariantScorer`.
    resamples, seed
        Of the bootstrap over positions.
    **labels
        Constant columns, such as ``dataset="K562"``.

    Returns
    -------
    pandas.DataFrame
        The labels, `experiment`, `target`, `method`, `seed`, `metric`, `value`, `n`, and `what`:

        - ``"performance"``: correlations with what was `against`: ``"measured"``, or the
          ``"truth"`` of simulated effects; with `lower` and `upper`, over the variants `below` a
          percentile of the total uncertainty (100: all of them; of models without an aleatoric
          head it is the epistemic one), in all `windows` or, where some were moved to stay inside
          an element, in the ``"centred"`` ones;
        - ``"uncertainty"``: Spearman's rho of a `component` with the absolute predicted effect or
          activity (`against`);
        - ``"texture"``: rows of `degu_tf.metrics.effects.texture`;
        - ``"variant"``: of the first model of `REPRESENTATIVE`, a row for each `position`, `ref`,
          `alt` and part of the effect, and what was measured.

    Raises
    ------
    InputError
        If there are no models or experiments.
    """
    bootstrap = {"resamples": resamples, "seed": seed}
    tables = []
    for method, group in models.items():
        for number, model in enumerate(group):
            for experiment, target in experiments:
                effects = effects_of(model, experiment, target, length, flanks)
                columns = {
                    **labels,
                    "experiment": experiment.name,
                    "target": target,
                    "method": method,
                    "seed": number,
                }
                parts = [
                    _performance(effects, bootstrap).assign(what=PERFORMANCE),
                    _uncertainty(effects, bootstrap).assign(what=UNCERTAIN),
                    _texture(effects).assign(what=TEXTURE),
                ]
                if method == REPRESENTATIVE and number == 0:
                    parts.append(_variants(effects).assign(what=VARIANT))
                tables += [part.assign(**columns) for part in parts if len(part)]
    if not tables:
        raise InputError("expected models and experiments to compare. Received: none")
    table = pd.concat(tables, ignore_index=True)
    return table[[*columns, *(column for column in table if column not in columns)]]


def effects_of(
    model: Predictor,
    experiment: Experiment,
    target: str,
    length: int,
    flanks: tuple[str, str] = ("", ""),
) -> pd.DataFrame:
    """Predicted effects beside measured ones.

    Parameters
    ----------
    model
        Any predictor of the target.
    experiment
        What was measured.
    target
        Which of the model's targets.
    length, flanks
        As for `compare`.

    Returns
    -------
    pandas.DataFrame
        One row a variant: `position`, `ref`, `alt`, `shift`, `measured`, `truth`, `effect`,
        `aleatoric`, `epistemic`, `total` (those of the alternative allele) and `activity`, the
        prediction of the alternative allele, in the target's unit; NaN for what there is not.
    """
    scorer = VariantScorer(model, experiment.genome, length, flanks=flanks, uncertainty=UNCERTAINTY)
    if target not in scorer.targets:
        raise InputError(f"expected one of the targets {scorer.targets}. Received: {target!r}")
    table = experiment.table
    variants = [
        Variant(row.contig, row.position, row.ref, row.alt)
        for row in table[["contig", "position", "ref", "alt"]].itertuples()
    ]
    parts = [
        scorer.score(variants[start : start + BLOCK]) for start in range(0, len(variants), BLOCK)
    ]
    scored = pd.concat(parts, ignore_index=True)
    columns = {part: scored[f"{target}_{part}"].to_numpy(float) for part in PARTS}
    return scored[["position", "ref", "alt", "shift"]].assign(
        **{name: table[name].to_numpy(float) for name in (MEASURED, TRUTH)},
        **columns,
        activity=scored[f"{target}_alt"].to_numpy(float),
    )


def _performance(effects: pd.DataFrame, bootstrap: Mapping[str, int]) -> pd.DataFrame:
    tables = []
    for against in (MEASURED, TRUTH):
        known = effects[effects[against].notna()]
        if not len(known):
            continue
        tables.append(_correlated(known, against, bootstrap).assign(windows=ALL_WINDOWS))
        centred = known[known["shift"] == 0]
        if FEWEST_CENTRED <= len(centred) < len(known):
            tables.append(_correlated(centred, against, bootstrap).assign(windows=CENTRED))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _correlated(known: pd.DataFrame, against: str, bootstrap: Mapping[str, int]) -> pd.DataFrame:
    values = known["effect"].to_numpy(), known[against].to_numpy()
    options = {"groups": known["position"].to_numpy(), **bootstrap}
    if known["total"].notna().all():
        table = below_percentiles(*values, known["total"].to_numpy(), **options)
    else:
        table = correlations(*values, **options).assign(below=100)
    return table.assign(against=against)


def _uncertainty(effects: pd.DataFrame, bootstrap: Mapping[str, int]) -> pd.DataFrame:
    stds = _stds(effects)
    if not stds:
        return pd.DataFrame()
    sizes = {name: effects[name].to_numpy() for name in ("effect", "activity")}
    return against_uncertainty(sizes, stds, groups=effects["position"].to_numpy(), **bootstrap)


def _texture(effects: pd.DataFrame) -> pd.DataFrame:
    return texture(_stds(effects), effects["position"].to_numpy())


def _stds(effects: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: effects[name].to_numpy() for name in COMPONENTS if effects[name].notna().all()}


def _variants(effects: pd.DataFrame) -> pd.DataFrame:
    """One row a variant and part, rounded, parts without a value left out."""
    long = effects.melt(
        ["position", "ref", "alt"], [*PARTS, "activity", MEASURED, TRUTH], "metric", "value"
    )
    long = long[long["value"].notna()]
    return long.assign(value=long["value"].round(ROUNDED), n=1)


def wide_variants(table: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The variants of one experiment, one row each: `position`, `ref`, `alt` and a column a part.

    Parameters
    ----------
    table
        From `compare`.
    experiment
        Its name.
    """
    rows = table[(table["what"] == VARIANT) & (table["experiment"] == experiment)]
    keys = ["position", "ref", "alt"]
    return rows.pivot(index=keys, columns="metric", values="value").reset_index()
