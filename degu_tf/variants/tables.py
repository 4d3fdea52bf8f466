"""Tables of variants: the columns that say which variant a row is of."""

from collections.abc import Sequence

import pandas as pd

from degu_tf.sequences.genomes.windows import Variant

KEY = ("contig", "position", "id", "ref", "alt")
"""First columns of a table of variants."""


def variant_table(variants: Sequence[Variant]) -> pd.DataFrame:
    """One row a variant, with the columns of `KEY`.

    Text with bytes that are no UTF-8, which a VCF may carry, is kept as Python objects: pandas'
    strings cannot hold it.

    Examples
    --------
    >>> variant_table([Variant("1", 7, "A", "C", "rs1")]).to_numpy().tolist()
    [['1', 7, 'rs1', 'A', 'C']]
    """
    columns = {name: [getattr(variant, name) for variant in variants] for name in KEY}
    return pd.DataFrame({name: _series(values) for name, values in columns.items()})


def _series(values: list) -> pd.Series:
    try:
        return pd.Series(values)
    except UnicodeEncodeError:
        return pd.Series(values, dtype=object)
