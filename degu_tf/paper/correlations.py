"""Correlations within the groups of a table."""

from collections.abc import Sequence

import pandas as pd

from degu_tf.metrics.correlation import correlation


def correlations(
    table: pd.DataFrame, keys: Sequence[str], x: str = "predicted", y: str = "measured"
) -> pd.DataFrame:
    """Pearson r of two columns in each group of rows; NaN and a warning where one is constant.

    Parameters
    ----------
    table
        One row a sequence and whatever `keys` tell apart.
    keys
        Columns that say which rows belong together.
    x, y
        Names of the two columns.

    Returns
    -------
    pandas.DataFrame
        The keys and `value`, groups in order of appearance.

    Examples
    --------
    >>> table = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1], "predicted": [1.0, 2, 4, 1, 2, 3]})
    >>> table["measured"] = [1.0, 2, 3, 3, 2, 1]
    >>> correlations(table, ["seed"])["value"].round(4).tolist()
    [0.982, -1.0]
    """
    rows = []
    for key, part in table.groupby([*keys], sort=False):
        name = ", ".join(map(str, key))
        value = correlation(part[x].to_numpy(), part[y].to_numpy(), name=name)
        rows.append({**dict(zip(keys, key, strict=True)), "value": value})
    return pd.DataFrame(rows)
