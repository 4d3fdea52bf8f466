"""The paper's claims about profiles, decided on the table of `degu_tf.paper.s01_profiles.study`.

Tests and their margins were fixed before students and standard models were first compared.
"""

from collections.abc import Callable

import pandas as pd

from degu_tf.attribution.consistency import LARGEST, NONE, STD
from degu_tf.metrics.profiles import BY_BIN, COUNTS, WHOLE
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    greater,
    in_every,
)

COMPARABLE = 0.02
"""What a student may lose to standard training and still be comparable to it, in Pearson r."""

SLIGHT = 0.05
"""What it may lose to its teachers' ensemble for the loss to be slight."""

DATA = ["dataset", "target"]


def values(
    part: pd.DataFrame, method: str, head: str = "activity", metric: str = WHOLE
) -> pd.Series:
    """A metric of a method's models, one value each."""
    chosen = (part["method"] == method) & (part["head"] == head) & (part["metric"] == metric)
    return part.loc[chosen, "value"]


def comparable(method: str) -> Callable[[pd.DataFrame], Verdict]:
    """Test that a method's correlation is not below standard training's by a margin."""

    def decide(part: pd.DataFrame) -> Verdict:
        pair = values(part, method), values(part, "single")
        return greater(*pair, f"Pearson r, {method} - standard", threshold=-COMPARABLE)

    return decide


def slightly_below(method: str) -> Callable[[pd.DataFrame], Verdict]:
    """Test that a method's correlation is below the ensemble's by less than a margin."""

    def decide(part: pd.DataFrame) -> Verdict:
        pair = values(part, method), values(part, "ensemble")
        return greater(*pair, f"Pearson r, {method} - ensemble", threshold=-SLIGHT)

    return decide


def more_alike(method: str, scaling: str) -> Callable[[pd.DataFrame], Verdict]:
    """Paired test over sequences of the spread of maps over initialisations."""

    def decide(part: pd.DataFrame) -> Verdict:
        part = part[(part["metric"] == STD) & (part["scaling"] == scaling)]
        single, own = (
            part[part["method"] == each].set_index("sequence")["value"].sort_index()
            for each in ("single", method)
        )
        return greater(single, own, f"std of maps, standard - {method}", paired=True)

    return decide


def harder(part: pd.DataFrame) -> Verdict:
    """Paired test that models' correlation is larger for activity than for replicates' std."""
    pair = values(part, "single"), values(part, "single", "aleatoric")
    return greater(*pair, "Pearson r of standard models, activity - aleatoric", paired=True)


def predicts(method: str, head: str) -> Callable[[pd.DataFrame], Verdict]:
    """Test that a head's correlation is above zero."""
    return lambda part: above(values(part, method, head), 0.0, f"Pearson r, {method}, {head}")


def _each(decide: Callable[[pd.DataFrame], Verdict]) -> Callable[[pd.DataFrame], Verdict]:
    return lambda table: in_every(table[table["metric"].isin([WHOLE, STD])], DATA, decide)


_PERFORMANCE = 'Supplementary Fig. 1a; Results, "DEGU-distilled models"'
_MAPS = 'Supplementary Fig. 1b; Results, "DEGU improves attribution analysis"'
_ALEATORIC = "Supplementary Fig. 1c; Results, on aleatoric uncertainty"

CLAIMS = (
    Claim(
        "Students predict profiles as well as models of standard training (whole chromosomes, "
        f"within {COMPARABLE} of Pearson r).",
        _PERFORMANCE,
        _each(comparable("student")),
    ),
    Claim(
        f"They are only slightly below the ensemble (by less than {SLIGHT} of Pearson r).",
        _PERFORMANCE,
        _each(slightly_below("student")),
    ),
    Claim(
        "So are students whose teachers label each random part (not in the paper): as good as "
        "standard training.",
        "On-the-fly distillation of profiles",
        _each(comparable("dynamic")),
    ),
    Claim(
        "And slightly below the ensemble (not in the paper).",
        "On-the-fly distillation of profiles",
        _each(slightly_below("dynamic")),
    ),
    Claim(
        "Students' attribution maps are more alike across initialisations than those of standard "
        "models.",
        _MAPS,
        _each(more_alike("student", NONE)),
    ),
    Claim(
        "So they are when each map is divided by its largest absolute score (the paper's control "
        "for other data).",
        "Supplementary Fig. 8",
        _each(more_alike("student", LARGEST)),
    ),
    Claim(
        "Replicates' standard deviation can be predicted from sequence.",
        _ALEATORIC,
        _each(predicts("single", "aleatoric")),
    ),
    Claim(
        "But less well than their mean.",
        _ALEATORIC,
        _each(harder),
    ),
    Claim(
        "A student's epistemic head follows its teachers' spread.",
        "Premise of the method (Supplementary Fig. 10 for other data)",
        _each(predicts("student", "epistemic")),
    ),
)


def conclude(table: pd.DataFrame) -> str:
    """Mean of every correlation by method and head."""
    names = {WHOLE: "whole", BY_BIN: "by bin", COUNTS: "log counts"}
    rows = table[table["metric"].isin(names)]
    rows = rows.assign(column=rows["head"] + ", " + rows["metric"].map(names))
    wide = rows.pivot_table(
        index="method", columns="column", values="value", aggfunc="mean", sort=False
    ).rename_axis(index=None, columns=None)
    return "Pearson r, means over models:\n" + wide.to_string(float_format="{:.3f}".format)
