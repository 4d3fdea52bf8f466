"""What numbered scripts share: presets, output folder, and claims decided by a test.

A script reads like its figure's caption: a `compute` that gives a tidy table, a `draw` that makes
a figure of it, and claims of the paper in our words, each with the test that decides it here.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from degu_tf import quiet

quiet.tensorflow()

from degu_tf.data.splits import FRACTION_SEED, Splits  # noqa: E402
from degu_tf.ensemble import member_seed  # noqa: E402
from degu_tf.errors import InputError  # noqa: E402
from degu_tf.files import atomic_write, read_json, write_json  # noqa: E402
from degu_tf.runs import Store  # noqa: E402
from degu_tf.training import write_table  # noqa: E402

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "cannot be told at this size"
SIGNIFICANCE = 0.05

FEWEST = 3
"""With fewer independent values a claim is left undecided, whatever their interval."""

_STUDENTS = 1000


@dataclass(frozen=True)
class Verdict:
    """What a test said of a claim.

    Attributes
    ----------
    statistic
        What was computed, in words.
    value
        Its value; positive speaks for the claim where it is a difference.
    low, high
        Ends of its 95 % interval; NaN where none can be given.
    p
        Two-sided p value; NaN where none can be given.
    n
        Number of independent values behind it.
    threshold
        What the interval must lie above for the claim to hold; `p` is against it too.
    """

    statistic: str
    value: float
    low: float
    high: float
    p: float
    n: int
    threshold: float = 0.0

    @property
    def verdict(self) -> str:
        """*Holds* or *does not hold* if the interval excludes the threshold, else undecided.

        Fewer than `FEWEST` independent values decide nothing.
        """
        if self.n < FEWEST:
            return UNDECIDED
        if self.low > self.threshold:
            return HOLDS
        if self.high < self.threshold:
            return FAILS
        return UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A claim of the paper in our words, where it stands, and the test that decides it here."""

    text: str
    where: str
    decide: Callable[[pd.DataFrame], Verdict]


def greater(
    larger: Sequence[float],
    smaller: Sequence[float],
    what: str,
    *,
    paired: bool = False,
    threshold: float = 0.0,
) -> Verdict:
    """Test that one group's mean lies above another's: Welch's t-test, or a paired one.

    Parameters
    ----------
    larger, smaller
        Values of the group the claim puts higher and of the other, over independent seeds. A
        group of one, such as an ensemble, is taken as a fixed number.
    what
        Words for the statistic, such as ``"Pearson r, students - single models"``.
    paired
        Whether the values go together one by one.
    threshold
        What the difference of means must exceed; below zero for "lower by no more than".

    Examples
    --------
    >>> greater([0.8, 0.82, 0.81], [0.7, 0.71, 0.69], "r, a - b").verdict
    'holds'
    """
    x, y = np.asarray(larger, float), np.asarray(smaller, float)
    difference = float(x.mean() - y.mean()) if len(x) and len(y) else float("nan")
    n = min((len(group) for group in (x, y) if len(group) > 1), default=1)
    raised = y + threshold
    if paired:
        test = stats.ttest_rel(x, raised) if len(x) > 1 else None
    elif len(x) > 1 and len(y) > 1:
        test = stats.ttest_ind(x, raised, equal_var=False)
    elif len(x) > 1 and len(y) == 1:
        test = stats.ttest_1samp(x - raised[0], 0.0)
    elif len(y) > 1 and len(x) == 1:
        test = stats.ttest_1samp(x[0] - raised, 0.0)
    else:
        test = None
    if test is None or not np.isfinite(test.pvalue):
        return _unknown(what, difference, n, threshold)
    interval = test.confidence_interval(1.0 - SIGNIFICANCE)
    return Verdict(
        what,
        difference,
        float(interval.low + threshold),
        float(interval.high + threshold),
        float(test.pvalue),
        n,
        threshold,
    )


def above(values: Sequence[float], threshold: float, what: str) -> Verdict:
    """Test that the mean of independent values lies above a number: one-sample t-test.

    Examples
    --------
    >>> above([0.9, 0.92, 0.91], 0.5, "share of the gap closed").verdict
    'holds'
    """
    values = np.asarray(values, float)
    n, mean = len(values), float(np.mean(values)) if len(values) else float("nan")
    if n < 2:
        return _unknown(what, mean, n, threshold)
    test = stats.ttest_1samp(values, threshold)
    interval = test.confidence_interval(1.0 - SIGNIFICANCE)
    return Verdict(
        what, mean, float(interval.low), float(interval.high), float(test.pvalue), n, threshold
    )


def in_every(
    table: pd.DataFrame, by: Sequence[str], decide: Callable[[pd.DataFrame], Verdict]
) -> Verdict:
    """Decide a claim made of every part of a table: the part that supports it least decides.

    It holds only where it holds in each part, and does not hold where it fails in one.

    Parameters
    ----------
    table
        The result; a table without rows leaves the claim undecided.
    by
        Columns whose values make the parts, such as ``["dataset", "target"]``.
    decide
        The test of one part.

    Examples
    --------
    >>> table = pd.DataFrame({"target": ["Dev"] * 3 + ["Hk"] * 3, "r": [3.0, 4, 5, 1, -1, 1]})
    >>> verdict = in_every(table, ["target"], lambda part: above(part["r"], 0.0, "mean r"))
    >>> verdict.statistic, verdict.verdict
    ('mean r (least of 2: Hk)', 'cannot be told at this size')
    """
    verdicts = []
    for key, part in table.groupby(list(by), sort=False):
        place = ", ".join(str(word) for word in key)
        verdicts.append((place, decide(part)))
    if not verdicts:
        return _unknown("no such result in this run", float("nan"), 0)
    order = (FAILS, UNDECIDED, HOLDS)
    place, least = min(
        verdicts,
        key=lambda each: (
            order.index(each[1].verdict),
            np.nan_to_num(each[1].low - each[1].threshold, nan=-np.inf),
        ),
    )
    statistic = f"{least.statistic} (least of {len(verdicts)}: {place})"
    return dataclasses.replace(least, statistic=statistic)


def _unknown(what: str, value: float, n: int, threshold: float = 0.0) -> Verdict:
    nan = float("nan")
    return Verdict(what, value, nan, nan, nan, n, threshold)


def student_seed(seed: int, index: int) -> int:
    """Seed of a student: never that of one of its teachers, so it does not start as one did."""
    return member_seed(seed, _STUDENTS + index)


def at_most(splits: Splits, sizes: tuple[int, int, int] | None) -> Splits:
    """Random rows of a split where it has more than a preset takes, and a printed line about it.

    Parameters
    ----------
    splits
        A user's data.
    sizes
        Most sequences for train, validation and test; None takes all.
    """
    if sizes is None:
        return splits
    parts, taken = {}, []
    for (name, split), size in zip(splits.items(), sizes, strict=True):
        parts[name] = split
        if len(split) > size:
            rng = np.random.default_rng(FRACTION_SEED)
            parts[name] = split.take(rng.choice(len(split), size, replace=False, shuffle=False))
            taken.append(f"{size:,} of {len(split):,} {name}")
    if taken:
        print(f"This preset takes a random part of the data: {', '.join(taken)} sequences.")
    return Splits(**parts, heads=splits.heads)


def judge(claims: Sequence[Claim], table: pd.DataFrame) -> pd.DataFrame:
    """Decide every claim on a result: one row a claim, with statistic, interval, p and verdict."""
    rows = []
    for claim in claims:
        verdict = claim.decide(table)
        rows.append(
            {
                "claim": claim.text,
                "where": claim.where,
                **dataclasses.asdict(verdict),
                "verdict": verdict.verdict,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Context:
    """What `compute` gets: the preset's settings and the user's choices.

    Attributes
    ----------
    settings
        The preset's settings, a dataclass of the script's own.
    preset
        ``"smoke"``, ``"quick"`` or ``"paper"``.
    data
        Files given with ``--data``, in order.
    seed
        Seed of everything random.
    store
        Trained models, found again by what made them.
    """

    settings: Any
    preset: str
    data: tuple[Path, ...]
    seed: int
    store: Store


@dataclass(frozen=True)
class Script:
    """A numbered script: what it shows, how it is computed, drawn, and judged.

    Attributes
    ----------
    file
        The script's ``__file__``; its name names the output folder.
    summary
        What the figure shows, as its caption would say; the ``--help`` text.
    presets
        Settings of ``smoke``, ``quick`` and ``paper``: a frozen dataclass each. A field
        `n_members` can be set with ``--members``.
    compute
        From `Context` to a tidy table.
    draw
        From the table to a matplotlib figure.
    claims
        Claims of the paper to be judged on the table.
    data_help
        What ``--data`` takes.
    conclude
        Optional: from the table to a few sentences that are printed at the end.
    """

    file: str
    summary: str
    presets: Mapping[str, Any]
    compute: Callable[[Context], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    claims: Sequence[Claim] = ()
    data_help: str = "HDF5 file made by `degu prepare`; simulated data without it"
    conclude: Callable[[pd.DataFrame], str] | None = None

    @property
    def name(self) -> str:
        """Name of the script, which is that of its output folder."""
        return Path(self.file).stem

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the script as a command; the exit code is 2 where the input cannot be used."""
        options = self._parser().parse_args(arguments)
        quiet.one_line_warnings(self.name)
        try:
            self.run(options)
        except InputError as error:
            print(f"{self.name}: error: {error}", file=sys.stderr)
            return 2
        return 0

    def run(self, options: argparse.Namespace) -> pd.DataFrame:
        """Compute, draw, judge, and write everything; returns the table."""
        started = time.perf_counter()
        settings = self.presets[options.preset]
        if options.members is not None:
            if not hasattr(settings, "n_members"):
                raise InputError(f"{self.name} has no number of members to set (--members)")
            settings = dataclasses.replace(settings, n_members=options.members)
        out = Path(options.out)
        identity = {
            "script": self.name,
            "preset": options.preset,
            "seed": options.seed,
            "data": [str(path) for path in options.data],
            **dataclasses.asdict(settings),
        }
        _claim_folder(out, identity)
        store = Store(options.runs or out.parent / "runs")
        context = Context(settings, options.preset, tuple(options.data), options.seed, store)
        table = self.compute(context)
        write_table(out / "table.csv", table)
        figure = self.draw(table)
        for suffix in ("png", "pdf"):
            with atomic_write(out / f"figure.{suffix}") as temporary:
                figure.savefig(temporary, format=suffix, dpi=200, bbox_inches="tight")
        verdicts = judge(self.claims, table)
        write_table(out / "claims.csv", verdicts)
        for row in verdicts.itertuples():
            print(f"{row.verdict.upper()}: {row.claim} ({row.where})")
            print(
                f"    {row.statistic}: {row.value:.4g} "
                f"[{row.low:.4g}, {row.high:.4g}], p = {row.p:.2g}, n = {row.n}"
            )
        if self.conclude is not None:
            print(self.conclude(table))
        print(f"Wrote {out}/ in {time.perf_counter() - started:.0f} s")
        return table

    def _parser(self) -> argparse.ArgumentParser:
        example = f"example:\n  python experiments/{self.name}.py --preset quick --out results/x"
        parser = argparse.ArgumentParser(
            prog=f"{self.name}.py",
            description=self.summary,
            epilog=example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument(
            "--preset",
            choices=list(self.presets),
            default="quick",
            help="smoke: does it run (under a minute); quick: small, minutes on two cores; "
            "paper: the real thing (default: quick)",
        )
        parser.add_argument(
            "--data", type=Path, nargs="+", default=(), metavar="FILE", help=self.data_help
        )
        parser.add_argument(
            "--out",
            default=f"results/{self.name}",
            help="output folder (default: results/<script>)",
        )
        parser.add_argument(
            "--runs", help="folder of trained models to share (default: beside the output folder)"
        )
        parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
        parser.add_argument("--members", type=int, help="number of teachers")
        return parser


def _claim_folder(out: Path, identity: Mapping[str, Any]) -> None:
    settings = out / "settings.json"
    plain = _plain(identity)
    if settings.is_file():
        if read_json(settings) != plain:
            raise InputError(
                "the output folder holds results of other settings; name another --out or remove "
                f"it. Received: {out}"
            )
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(f"the output folder holds other files. Received: {out}")
    else:
        write_json(settings, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
