"""`RESULTS.md`: every claim with its statistic and verdict, and what is behind each row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from degu_tf.cli.reproduce.catalogue import CATALOGUE, Entry
from degu_tf.cli.reproduce.results import FIGURE, Published, short_names
from degu_tf.paper.claims import ABSENT, FAILS, HOLDS, UNDECIDED
from degu_tf.paper.results.verdicts import claims_table, escaped, table_row, verdict_words

NOT_RUN = "*not run yet*"

HEADLINES = {"quickstart": 0, "fig2": 0, "fig3": 1, "fig4": 0, "fig5": 0, "fig6": 0}
"""Which of a script's claims is its headline: Figure 3's first is of a toy, whatever the data."""

BEGIN = "<!-- headlines: written by `degu reproduce --publish` -->"
END = "<!-- end of headlines -->"

_VERDICTS = (HOLDS, FAILS, UNDECIDED, ABSENT)
_HEAD = """\
# Results

Written by `degu reproduce all --preset quick --publish experiments`, never by hand. Each claim of
the paper, in our words, was decided by the test that the script names: a claim *holds* or *does not
hold* where the 95 % interval of its statistic excludes the threshold (0 unless another is named),
and *cannot be told at this size* otherwise, or with fewer than three independent values. A claim
about something that the data do not have, such as replicates or known motifs, has *no result in
this run*. *n* is the number of independent values, mostly models from seeds of their own. A claim
made of several panels (data sets, targets, shifts) has two verdicts: on the *mean* over them, and
in *each* of them, where the panel that supports it least decides; both count. *Simulated* data have
known truth and are small: a verdict on them says whether this implementation shows the effect
there, not whether the paper is right.
"""


def page(results: Sequence[Published], folder: Path) -> str:
    """The page of everything published.

    Parameters
    ----------
    results
        What is published.
    folder
        The folder of the page, to which its pictures are relative.
    """
    parts = [_HEAD, _overview(results)]
    for entry in CATALOGUE:
        own = [each for each in results if each.entry == entry]
        parts.append(f"## {entry.name}: `{entry.script}.py`\n\n{entry.summary}\n")
        parts += [_block(each, folder) for each in own]
        if not own:
            parts.append(f"{NOT_RUN}: `degu reproduce {entry.name} --preset quick`\n")
    return "\n".join(parts)


def headlines(results: Sequence[Published]) -> str:
    """Table of one claim of each main figure, for the README."""
    rows = ["| figure | data | claim | verdict |", "| --- | --- | --- | --- |"]
    for entry in CATALOGUE:
        if entry.name not in HEADLINES:
            continue
        own = [each for each in results if each.entry == entry]
        for each in own:
            claims = each.claims["claim"].unique()
            claim = claims[min(HEADLINES[entry.name], len(claims) - 1)]
            verdicts = each.claims[each.claims["claim"] == claim]
            data = ", ".join([_data(each), *_recipe(each.record)])
            cells = (entry.name, data, escaped(claim), verdict_words(verdicts))
            rows.append(table_row(cells))
        if not own:
            rows.append(table_row((entry.name, "", "", NOT_RUN)))
    return "\n".join(rows)


def with_headlines(text: str, table: str) -> str:
    """A page with the table between its two marks; unchanged where it has none.

    Examples
    --------
    >>> with_headlines("no marks", "| a |")
    'no marks'
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}" if begin and end else text


def _overview(results: Sequence[Published]) -> str:
    """One row a script and data: how many claims hold, and what it cost."""
    columns = ("figure", "data", "preset", *_VERDICTS, "minutes", "of reused models", "date",
               "commit")  # fmt: skip
    rows = [table_row(columns), table_row(["---"] * len(columns))]
    totals = dict.fromkeys(_VERDICTS, 0)
    for entry in CATALOGUE:
        own = [each for each in results if each.entry == entry]
        for each in own:
            counts = [int((each.claims["verdict"] == verdict).sum()) for verdict in _VERDICTS]
            totals = {name: totals[name] + n for name, n in zip(_VERDICTS, counts, strict=True)}
            record = each.record
            cells = (_link(entry), _data(each), _preset(record), *map(str, counts),
                     f"{record['processor_minutes']:.1f}", _reused(each), record["date"],
                     f"`{record['commit']}`")  # fmt: skip
            rows.append(table_row(cells))
        if not own:
            rows.append(table_row([_link(entry), NOT_RUN, *[""] * (len(columns) - 2)]))
    rows.append(
        table_row(["**all**", "", "", *(f"**{n}**" for n in totals.values()), "", "", "", ""])
    )
    note = (
        "Minutes are processor time of the script's last run; those of *reused models* were spent "
        "before, by it or by the scripts it shares them with. A *+* says that of some models the "
        "time is not known."
    )
    return "\n".join(rows) + f"\n\n{note}\n"


def _preset(record: dict[str, Any]) -> str:
    """The preset, and the recipe where one was named."""
    return ", ".join([record["preset"], *_recipe(record)])


def _recipe(record: dict[str, Any]) -> list[str]:
    return [f"recipe {record['recipe']}"] if record.get("recipe") else []


def _link(entry: Entry) -> str:
    anchor = f"{entry.name}-{entry.script}py"
    return f"[{entry.name}](#{anchor})"


def _data(each: Published) -> str:
    return "simulated" if each.simulated else ", ".join(short_names(each.record["data"]))


def _reused(each: Published) -> str:
    more = " +" if each.record["models_of_unknown_cost"] else ""
    return f"{each.record['processor_minutes_of_reused']:.1f}{more}"


def _block(each: Published, folder: Path) -> str:
    """Picture, command, cost and claims of one result."""
    record = each.record
    picture = (each.folder / FIGURE).relative_to(folder).as_posix()
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines = [
        f"![{each.entry.name}, {_preset(record)}, {_data(each)}]({picture})",
        "",
        f"`{each.command}` · data: {_data(each)} · {record['processor_minutes']:.1f} processor "
        f"minutes, and {_reused(each)} of reused models · {record['date']} · commit "
        f"`{record['commit']}` · {versions}",
        "",
        claims_table(each.claims),
        "",
    ]
    return "\n".join(lines)
