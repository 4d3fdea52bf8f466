"""The numbered scripts' command line: presets, output folder, and claims decided by a test.

A script reads like its figure's caption. At module level it names `PRESETS`, `compute` (a tidy
table), `draw` (a figure of the table) and `CLAIMS` (of the paper, in our words, each with the test
that decides it here), and may name `networks` (asks the store for all networks that `compute` asks
for: what ``--dry-run`` lists), `conclude` (what is printed last), `DATA_HELP`, `WEIGHTS` (the
methods that it can open from weight files) and `PARTS` (the field of its settings from which
``--only`` chooses). Two lines run it::

    if __name__ == "__main__":
        raise SystemExit(main(globals()))
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.distillation.recipes import RECIPES
from degu_tf.paper.absent import note_absent
from degu_tf.paper.claims import Claim, judge_averages_too, not_judged
from degu_tf.paper.networks.planned_store import Planned, PlannedStore
from degu_tf.paper.networks.setups import by_recipe
from degu_tf.paper.networks.step_times import MEASURED, StepTimes, plan_text
from degu_tf.paper.networks.store import Store
from degu_tf.paper.networks.weights import Needs, ReleasedWeights
from degu_tf.paper.output_folder import SETTINGS, claim_folder, plain
from degu_tf.paper.record import RECORD, processor_seconds, write_record
from degu_tf.plots.style import letter_panels
from degu_tf.training.train import write_table
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write, file_hash, read_json
from degu_tf.utils.processes.engines import engine
from degu_tf.utils.processes.locks import alone

REQUIRED = ("PRESETS", "compute", "draw", "CLAIMS")
"""Names that every script has at module level."""

SMOKE = "smoke"
"""The preset that shows that a script runs, and judges nothing."""


@dataclass(frozen=True)
class Context:
    """Input of `compute`: the preset's settings and the user's choices.

    Attributes
    ----------
    settings
        The preset's settings, a dataclass of the script's own.
    preset
        ``"smoke"``, ``"quick"`` or ``"paper"``.
    data
        Files given with ``--data``, in order.
    seed
        Random seed.
    store
        Store of trained models.
    weights
        Files that networks are opened from instead; None to train them.
    """

    settings: Any
    preset: str
    data: tuple[Path, ...]
    seed: int
    store: Store
    weights: ReleasedWeights | None = None


def main(module: Mapping[str, Any], arguments: Sequence[str] | None = None) -> int:
    """Run a numbered script as a command.

    Parameters
    ----------
    module
        The script's names: its `globals()`, or `vars()` of the imported script.
    arguments
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        The exit code: 2 where the input cannot be used.
    """
    return Script.of(module).main(arguments)


@dataclass(frozen=True)
class Script:
    """A numbered script: what it shows, how it is computed, drawn, and judged.

    Attributes
    ----------
    name
        File name without its ending; it names the output folder.
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
    conclude
        From the table to the text that is printed last.
    data_help
        What ``--data`` takes.
    weights
        What it opens from ``--weights``; None where it trains what it shows.
    networks
        Asks the context's store for every network that `compute` asks for; None where the script
        does not say.
    parts
        Field of the settings, a tuple, from which ``--only`` chooses; None where there is none.
    """

    name: str
    summary: str
    presets: Mapping[str, Any]
    compute: Callable[[Context], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    claims: Sequence[Claim] = ()
    conclude: Callable[[pd.DataFrame], str] | None = None
    data_help: str = "HDF5 file made by `degu prepare`; simulated data without it"
    weights: Needs | None = None
    networks: Callable[[Context], Any] | None = None
    parts: str | None = None

    @classmethod
    def of(cls, module: Mapping[str, Any]) -> "Script":
        """The script that a module's names describe.

        Raises
        ------
        TypeError
            If the module lacks one of the `REQUIRED` names.
        """
        missing = [name for name in REQUIRED if name not in module]
        if missing:
            raise TypeError(f"a numbered script needs {', '.join(REQUIRED)}. Missing: {missing}")
        optional = {
            name: module[key]
            for name, key in (
                ("conclude", "conclude"),
                ("data_help", "DATA_HELP"),
                ("weights", "WEIGHTS"),
                ("networks", "networks"),
                ("parts", "PARTS"),
            )
            if key in module
        }
        return cls(
            name=Path(module["__file__"]).stem,
            summary=module["__doc__"],
            presets=module["PRESETS"],
            compute=module["compute"],
            draw=module["draw"],
            claims=module["CLAIMS"],
            **optional,
        )

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the script as a command; the exit code is 2 where the input cannot be used."""
        options = self._parser().parse_args(arguments)
        quiet.one_line_warnings(self.name)
        try:
            if options.dry_run:
                plan = self.plan(options, PlannedStore(runs_of(options)))
                print(f"{plan_text(plan, StepTimes())}\n{MEASURED}")
            else:
                self.run(options)
        except InputError as error:
            print(f"{self.name}: error: {error}", file=sys.stderr)
            return 2
        return 0

    def plan(self, options: argparse.Namespace, store: PlannedStore) -> list[Planned]:
        """The networks that the script would train, of which a store knows which are there.

        Parameters
        ----------
        options
            Those of its command line.
        store
            Notes what is asked for; networks that were asked of it before are not counted again.

        Raises
        ------
        InputError
            If the input cannot be used, or the script does not say what it trains.
        """
        if self.networks is None:
            raise InputError(
                "expected a script with a function `networks`, for --dry-run. "
                f"Received: {self.name}"
            )
        settings, before = self._settings(options), len(store.plan)
        weights = self._weights(options)
        data = tuple(options.data)
        self.networks(Context(settings, options.preset, data, options.seed, store, weights))
        return store.plan[before:]

    def options(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """The script's options from a command line."""
        return self._parser().parse_args(arguments)

    def run(self, options: argparse.Namespace) -> pd.DataFrame:
        """Compute, draw, judge, and write everything; returns the table.

        Where another process does so, in the same output folder, it is waited for.
        """
        with alone(options.out):
            return self._run(options)

    def _run(self, options: argparse.Namespace) -> pd.DataFrame:
        started, seconds = time.perf_counter(), processor_seconds()
        settings = self._settings(options)
        out = Path(options.out)
        weights = self._weights(options)
        claim_folder(out, self._identity(options, weights))
        (out / RECORD).unlink(missing_ok=True)
        with engine(options.workers, options.dask) as executor:
            store = Store(runs_of(options), executor)
            data = tuple(options.data)
            context = Context(settings, options.preset, data, options.seed, store, weights)
            table = self.compute(context)
        write_table(out / "table.csv", table)
        figure = self.draw(table)
        letter_panels(figure)
        note_absent(figure, table)
        for suffix in ("png", "pdf"):
            with atomic_write(out / f"figure.{suffix}") as temporary:
                figure.savefig(temporary, format=suffix, dpi=200, bbox_inches="tight")
        verdicts = judge_averages_too(self.claims, table)
        if options.preset == SMOKE:
            verdicts = not_judged(verdicts)
        write_table(out / "claims.csv", verdicts)
        for row in verdicts.itertuples():
            over = f" [{row.over}]" if row.over else ""
            print(f"{row.verdict.upper()}: {row.claim}{over} ({row.where})")
            print(
                f"    {row.statistic}: {row.value:.4g} "
                f"[{row.low:.4g}, {row.high:.4g}], p = {row.p:.2g}, n = {row.n}"
            )
        if self.conclude is not None:
            print(self.conclude(table))
        asked = {**self._asked(options, weights), "members": options.members}
        write_record(out, asked, store.ledger, processor_seconds() - seconds)
        print(f"Wrote {out}/ in {time.perf_counter() - started:.0f} s")
        return table

    def finished(self, arguments: Sequence[str]) -> bool:
        """Whether the output folder that arguments name holds the finished results they ask for."""
        options = self._parser().parse_args(arguments)
        out = Path(options.out)
        if not (out / RECORD).is_file() or not (out / SETTINGS).is_file():
            return False
        identity = self._identity(options, self._weights(options))
        return read_json(out / SETTINGS) == plain(identity)

    def _weights(self, options: argparse.Namespace) -> ReleasedWeights | None:
        """The files that networks are opened from, if any were given."""
        if not options.weights:
            return None
        received = f"Received: --weights {' '.join(map(str, options.weights))}"
        if self.weights is None:
            raise InputError(f"expected no --weights, for this figure trains networks. {received}")
        if not options.data:
            raise InputError(
                "--weights needs --data, the files with the test sequences of the networks' data. "
                f"{received}, no --data"
            )
        if options.only:
            raise InputError(
                "expected no --only beside --weights: all that the folders hold is shown. "
                f"{received}, --only {' '.join(options.only)}"
            )
        if options.recipe is not None:
            raise InputError(
                "expected no --recipe beside --weights: nothing is trained. "
                f"{received}, --recipe {options.recipe}"
            )
        return ReleasedWeights(options.weights, self.weights, options.members)

    def _asked(
        self, options: argparse.Namespace, weights: ReleasedWeights | None
    ) -> dict[str, Any]:
        given = {} if weights is None else {"weights": weights.record()}
        if options.recipe is not None:
            given["recipe"] = options.recipe
        return {
            "script": self.name,
            "preset": options.preset,
            "seed": options.seed,
            "data": [str(path) for path in options.data],
            **given,
        }

    def _identity(
        self, options: argparse.Namespace, weights: ReleasedWeights | None
    ) -> dict[str, Any]:
        settings = dataclasses.asdict(self._settings(options))
        for path in options.data:
            if not Path(path).is_file():
                raise InputError(f"expected a file. Received: --data {path}, which is none")
        hashes = {"data_hashes": [file_hash(path) for path in options.data]} if options.data else {}
        return {**self._asked(options, weights), **hashes, **settings}

    def _settings(self, options: argparse.Namespace) -> Any:
        settings = self._chosen(self.presets[options.preset], options.only)
        if options.recipe is not None:
            settings = by_recipe(settings, options.recipe)
        if options.members is None:
            return settings
        if not hasattr(settings, "n_members"):
            raise InputError(
                f"expected no --members, for this figure has no ensemble to size. "
                f"Received: --members {options.members}"
            )
        return dataclasses.replace(settings, n_members=options.members)

    def _chosen(self, settings: Any, only: Sequence[str]) -> Any:
        """The settings with those of their parts that ``--only`` names."""
        if not only:
            return settings
        received = f"Received: --only {' '.join(only)}"
        if self.parts is None:
            raise InputError(f"expected no --only, for this figure has no parts. {received}")
        there = getattr(settings, self.parts)
        known = {str(part): part for part in there}
        if not set(only) <= set(known):
            raise InputError(f"expected some of the {self.parts} {', '.join(known)}. {received}")
        chosen = tuple(part for name, part in known.items() if name in only)
        return dataclasses.replace(settings, **{self.parts: chosen})

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
            help="smoke: a test run (under a minute), whose claims are not judged; quick: small "
            "data, minutes on two cores; paper: the full experiment (default: quick)",
        )
        parser.add_argument(
            "--data", type=Path, nargs="+", default=(), metavar="FILE", help=self.data_help
        )
        self._add_choices(parser)
        parser.add_argument(
            "--out",
            default=f"results/{self.name}",
            help="output folder (default: results/<script>)",
        )
        parser.add_argument(
            "--runs",
            help="folder of trained models, shared between scripts (default: `runs` beside --out)",
        )
        parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
        parser.add_argument(
            "--members", type=int, help="number of teachers (default: that of the preset)"
        )
        parser.add_argument(
            "--workers",
            type=_at_least_one,
            metavar="N",
            default=1,
            help="teachers and students trained in parallel (default: 1)",
        )
        parser.add_argument(
            "--dask",
            metavar="ADDRESS",
            help="Dask cluster to train on: address or file of its scheduler, local:N, or jobs of "
            "slurm, sge or pbs, --workers of them",
        )
        return parser

    def _add_choices(self, parser: argparse.ArgumentParser) -> None:
        """Options of what is trained at all."""
        if self.weights is None:
            weights_help = "not for this figure, which trains its networks"
        else:
            weights_help = (
                "folders or files of released weights that networks are opened from, so that none "
                f"is trained: {self.weights.text()}; needs --data"
            )
        parser.add_argument(
            "--weights", type=Path, nargs="+", default=(), metavar="PATH",
            help=weights_help.replace("%", "%%"),
        )  # fmt: skip
        parser.add_argument(
            "--recipe",
            choices=sorted(RECIPES),
            help="train teachers and students so instead of as the preset does: paper, to the "
            "letter; best, this package's, in as many steps as the preset takes",
        )
        what = "this figure has none" if self.parts is None else f"some of its {self.parts}"
        parser.add_argument(
            "--only", nargs="+", default=(), metavar="PART", help=f"parts to run: {what}"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="list the networks that would be trained, with hours reckoned from steps timed "
            "now, and train nothing",
        )


def runs_of(options: argparse.Namespace) -> Path:
    """Folder of trained models: the one named, or `runs` beside the output folder."""
    return Path(options.runs or Path(options.out).parent / "runs")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1. Received: {text}")
    return int(text)
