"""Ensembles of several sizes, made of the members of one."""

import pandas as pd

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads.pooling import pool_members
from degu_tf.metrics.activity import score


def ensembles(members: Ensemble, splits: Splits, sizes: tuple[int, ...]) -> list[pd.DataFrame]:
    """Scores of single models, and of ensembles of every size from disjoint groups of them."""
    heads, test = members.heads, splits.test
    columns = members.member_columns(test.sequences)
    tables = [
        score(heads.prediction(own), test.targets, heads, method="single", n_members=1, seed=index)
        for index, own in enumerate(columns)
    ]
    for size in sizes:
        for group in range(members.n_members // size):
            pooled = pool_members(columns[group * size : (group + 1) * size], heads)
            labels = {"method": "ensemble", "n_members": size, "seed": group}
            tables.append(score(heads.student().prediction(pooled), test.targets, heads, **labels))
    return tables
