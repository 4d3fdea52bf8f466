"""Claims with their verdicts: read from a script's results, and written as a table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

CLAIMS = "claims.csv"
"""File of a script's claims, from `degu_tf.paper.claims.judge_averages_too`."""

_COLUMNS = ("claim", "where", "over", "statistic", "value", "95 % interval", "n", "verdict")


def read_claims(folder: Path) -> pd.DataFrame:
    """The claims in a script's output folder, or in a published one."""
    claims = pd.read_csv(folder / CLAIMS, dtype={"over": "str"})
    return claims.assign(over=claims["over"].fillna(""))


def claims_table(claims: pd.DataFrame) -> str:
    """Claims as a Markdown table, a row each.

    Parameters
    ----------
    claims
        From `read_claims`.

    Examples
    --------
    >>> numbers = {"value": 0.1234, "low": 0.1, "high": 0.2, "n": 5, "threshold": 0.0}
    >>> words = {"claim": "A", "where": "Fig. 1", "over": "", "statistic": "r", "verdict": "holds"}
    >>> print(claims_table(pd.DataFrame([{**words, **numbers}])).splitlines()[-1])
    | A | Fig. 1 |  | r | 0.123 | 0.1 to 0.2 | 5 | *holds* |
    """
    return _table(_COLUMNS, [_cells(row) for _, row in claims.iterrows()])


def verdicts_table(claims: pd.DataFrame) -> str:
    """Claims and verdicts alone as a Markdown table; both verdicts on a claim are in one row.

    Parameters
    ----------
    claims
        From `read_claims`.

    Examples
    --------
    >>> over, verdict = ["mean of 2", "each of 2"], ["holds", "does not hold"]
    >>> claims = pd.DataFrame({"claim": ["A", "A"], "over": over, "verdict": verdict})
    >>> print(verdicts_table(claims).splitlines()[-1])
    | A | mean of 2: *holds*; each of 2: *does not hold* |
    """
    parts = claims.groupby("claim", sort=False)
    rows = [(escaped(str(claim)), verdict_words(part)) for claim, part in parts]
    return _table(("claim", "verdict"), rows)


def verdict_words(verdicts: pd.DataFrame) -> str:
    """The verdicts on one claim, each after what it is over."""
    pairs = zip(verdicts["over"], verdicts["verdict"], strict=True)
    return "; ".join(f"{over}: *{verdict}*" if over else f"*{verdict}*" for over, verdict in pairs)


def table_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(table_row(cells) for cells in (columns, ["---"] * len(columns), *rows))


def _cells(row: pd.Series) -> tuple[str, ...]:
    known = pd.notna(row["low"])
    threshold = f"; threshold {row['threshold']:.3g}" if row["threshold"] else ""
    return (
        escaped(row["claim"]),
        escaped(row["where"]),
        row["over"],
        escaped(f"{row['statistic']}{threshold}"),
        f"{row['value']:.3g}" if pd.notna(row["value"]) else "none",
        f"{row['low']:.3g} to {row['high']:.3g}" if known else "none",
        str(row["n"]),
        f"*{row['verdict']}*",
    )
