"""Runs numbered scripts one after another; what is finished is not run again.

Each has a process of its own, so that one that fails, or dies for lack of memory, loses no other.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import degu_tf
from degu_tf.cli.reproduce.catalogue import Entry
from degu_tf.paper.script import Script


@dataclass(frozen=True)
class Request:
    """What is asked of every script.

    Attributes
    ----------
    preset
        ``"smoke"``, ``"quick"`` or ``"paper"``.
    out
        Folder of the results; each script has one inside, and trained models lie in `runs`.
    data
        Files for ``--data``; simulated data without.
    seed
        Random seed.
    workers
        Processes in which a script trains the members of an ensemble, and students.
    dask
        Cluster on which it does.
    weights
        Folders or files of weights that networks are opened from.
    recipe
        Name of the recipe that networks are trained by, in place of the preset's way.
    """

    preset: str
    out: Path
    data: tuple[Path, ...] = ()
    seed: int = 0
    workers: int = 1
    dask: str | None = None
    weights: tuple[Path, ...] = ()
    recipe: str | None = None

    def arguments(self, entry: Entry) -> list[str]:
        """A script's command line."""
        data = ["--data", *map(str, self.data)] if self.data else []
        out = ["--out", str(self.out / entry.script), "--runs", str(self.out / "runs")]
        numbers = ["--seed", str(self.seed), "--workers", str(self.workers)]
        dask = [] if self.dask is None else ["--dask", self.dask]
        weights = ["--weights", *map(str, self.weights)] if self.weights else []
        recipe = [] if self.recipe is None else ["--recipe", self.recipe]
        return ["--preset", self.preset, *numbers, *dask, *data, *weights, *recipe, *out]


def reproduce(
    entries: Sequence[Entry], request: Request, say: Callable[[str], None]
) -> dict[str, str]:
    """Run scripts in the order given, but those whose results are there for the same settings.

    Parameters
    ----------
    entries
        The scripts.
    request
        What is asked of each.
    say
        Takes lines of progress.

    Returns
    -------
    dict
        Names of the scripts that failed, each with the reason.
    """
    failed: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        place = f"{number} of {len(entries)}: {entry.name} ({entry.script})"
        if is_finished(entry, request):
            say(f"{place} is finished; not run again")
            continue
        say(f"{place} ...")
        code = _run(entry, request)
        if code:
            failed[entry.name] = _reason(code)
            say(f"{place} failed: {failed[entry.name]}")
    return failed


def is_finished(entry: Entry, request: Request) -> bool:
    """Whether the results of a script are there, made with the settings asked for.

    A script that cannot be loaded is not finished: its process will say why.
    """
    if not (request.out / entry.script).is_dir():
        return False
    try:
        script = Script.of(runpy.run_path(str(entry.file), run_name=entry.script))
        return script.finished(request.arguments(entry))
    except Exception:  # whatever is wrong with one script, the others go on
        return False


def _run(entry: Entry, request: Request) -> int:
    """Run one script in a process of its own; its exit code."""
    package = str(Path(degu_tf.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "degu_tf.cli.reproduce.supervised", str(entry.file)]
    process = subprocess.Popen(
        [*command, *request.arguments(entry)],
        stdin=subprocess.PIPE,
        process_group=0,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        return process.wait()
    finally:
        assert process.stdin is not None
        process.stdin.close()  # where it still runs, for the wait was interrupted, this ends it
        process.wait()


def _reason(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"ended by signal {-code}"
    words = {1: "an error in the program", 2: "its input cannot be used"}
    return f"exit code {code}" + (f", {words[code]}" if code in words else "")
