"""Data in a line of text, or as a small table for notebooks."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from degu_tf.data.splits import Splits


def summary(splits: "Splits") -> str:
    """Sizes, sequence length and columns; and the values of each target where some are missing.

    Examples
    --------
    >>> import degu_tf as degu
    >>> x, y = ["ACGT", "AAAA"], [[1.0, 2.0], [3.0, float("nan")]]
    >>> splits = degu.Splits.from_arrays(x, y, x, y, targets=["a", "b"], missing_targets="keep")
    >>> summary(splits)
    '2 train, 2 validation, no test; 4 bp; columns a, b; values of a 2, 2, of b 1, 1'
    """
    names = [name for name, _ in splits.items() if name != "test" or splits.has_test]
    sizes = [f"{len(getattr(splits, name))} {name}" for name in names]
    sizes += [] if splits.has_test else ["no test"]
    parts = [", ".join(sizes), f"{splits.input_shape[0]} bp"]
    kind = "" if splits.heads.task == "regression" else f" ({splits.heads.task})"
    parts.append(f"columns {', '.join(splits.heads.columns)}{kind}")
    counts = [splits.n_values(name) for name in names]
    if any(len(set(each.values())) > 1 for each in counts):
        of = [f"of {each} {', '.join(str(n[each]) for n in counts)}" for each in counts[0]]
        parts.append(f"values {', '.join(of)}")
    if splits.train.weights is not None:
        parts.append("weighted rows" if splits.train.weights.ndim == 1 else "weighted values")
    return "; ".join(parts)


def html_summary(splits: "Splits") -> str:
    """A table of the splits: sizes, and mean and deviation of each target."""
    import pandas as pd

    rows: dict[str, dict[str, object]] = {}
    for name, split in splits.items():
        if name == "test" and not splits.has_test:
            continue
        rows[name] = {"sequences": len(split)}
        if not isinstance(split.targets, np.ndarray):
            continue  # in a file, too large to read for a glance
        mean = splits.heads.take(split.targets, "mean").reshape(-1, splits.heads.n_targets)
        for index, target in enumerate(splits.heads.targets):
            values = mean[:, index][~np.isnan(mean[:, index])]
            rows[name][target] = f"{values.mean():.3g} ± {values.std():.3g}"
    return f"<p>{escape(repr(splits))}</p>{pd.DataFrame.from_dict(rows, orient='index').to_html()}"
