"""`degu reproduce`: the paper's figures, by the numbered scripts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.cli.options import choice, flag, option, several, verb, whole_number
from degu_tf.cli.output import check_out_folder, say
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.cli.reproduce.catalogue import Entry
    from degu_tf.cli.reproduce.running import Request


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    reproduce = verb(
        verbs,
        "reproduce",
        "run the paper's figures: picture, table and verdict on each claim; interrupted, the same "
        "command goes on where it was",
        "[NAME ...] [options]",
        "degu reproduce --list",
        "degu reproduce fig3 --preset quick",
        "degu reproduce 's1*' --preset smoke --out smoke",
        "degu reproduce all --preset quick --dry-run",
        "degu reproduce all --preset quick --publish experiments",
    )
    what = "quickstart, fig2 to fig6, s1 to s16, table_s1, x1, x2; a script's file name; a pattern "
    reproduce.add_argument("names", nargs="*", metavar="NAME", help=f"{what}such as 's1*'; or all")
    what = "smoke: shows that it runs and judges nothing; quick: small data; paper: the full "
    choice(
        reproduce, "--preset", f"{what}experiment, which needs --data",
        ("smoke", "quick", "paper"), default="quick",
    )  # fmt: skip
    what = "files for the scripts' own --data (each script's --help says which); simulated without"
    several(reproduce, "--data", "FILE", what)
    what = "folders or files of released weights that networks are opened from instead of trained, "
    several(reproduce, "--weights", "PATH", f"{what}for fig4 to fig6 and s7 to s16; needs --data")
    what = "train teachers and students so instead of as the preset does: paper, to the letter; "
    what += "best, this package's, in as many steps as the preset takes; for the quickstart, fig2, "
    what += "fig4 to fig6, s2, s7 to s16 and x1 (default: as the preset does)"
    reproduce.add_argument("--recipe", choices=("best", "paper"), help=what)
    where = "output folder: one folder a script, and `runs` for the models they share"
    option(reproduce, "--out", "FOLDER", where, default="results")
    option(reproduce, "--seed", "N", "random seed", whole_number(0), 0)
    what = "teachers and students trained in parallel; or jobs of a batch system"
    option(reproduce, "--workers", "N", what, whole_number(1), 1)
    what = "Dask cluster to train on, as for `degu train`"
    option(reproduce, "--dask", "ADDRESS", what)
    what = "write pictures, verdicts and costs of what is finished to FOLDER/results and "
    option(reproduce, "--publish", "FOLDER", f"{what}FOLDER/RESULTS.md")
    what = "list the networks that would be trained, with hours reckoned from steps timed now; "
    flag(reproduce, "--dry-run", f"{what}train nothing")
    what = "list names, what each shows, minutes of processor time at quick, and what it reuses"
    flag(reproduce, "--list", what)
    return reproduce


def run(options: argparse.Namespace) -> None:
    """List scripts, or run them and publish their results."""
    from degu_tf.cli.reproduce.catalogue import ALL, chosen

    if options.list:
        _list(chosen(options.names or [ALL]))
        return
    if not options.names:
        raise InputError(
            "expected names of figures, such as fig3 or all; --list shows them. Received: none"
        )
    entries = chosen(options.names)
    check_out_folder(options.out)
    if options.publish is not None:
        if options.preset == "smoke":
            raise InputError(
                "expected --publish with --preset quick or paper, for smoke judges nothing. "
                "Received: --preset smoke"
            )
        check_out_folder(options.publish)
    request = _request(options)
    failed = _reproduce(entries, request, options.dry_run)
    if options.publish is not None and not options.dry_run:
        from degu_tf.cli.reproduce.results import publish
        from degu_tf.cli.reproduce.running import is_finished

        finished = [entry for entry in entries if is_finished(entry, request)]
        done = publish(finished, Path(options.out), Path(options.publish))
        say(f"Published {len(done)} of {len(entries)} in {options.publish}/RESULTS.md")
    if options.dry_run and failed:
        raise FailedScriptsError(f"{len(failed)} of {len(entries)} scripts cannot be run so")
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise FailedScriptsError(
            f"{len(failed)} of {len(entries)} scripts failed ({reasons}); the others are done. The "
            "same command runs those that failed again"
        )


class FailedScriptsError(InputError):
    """Scripts that failed, while the others went on."""

    exit_code = 1


def _request(options: argparse.Namespace) -> "Request":
    """What is asked of every script; files that are not there are refused."""
    from degu_tf.utils import quiet

    for name in ("data", "weights"):
        for file in getattr(options, name) or ():
            if not Path(file).exists():
                raise InputError(
                    f"expected a file. Received: --{name} {file}, where there is nothing"
                )
    quiet.tensorflow()
    from degu_tf.cli.reproduce.running import Request

    data = tuple(map(Path, options.data or ()))
    return Request(
        options.preset,
        Path(options.out),
        data,
        options.seed,
        options.workers,
        options.dask,
        tuple(map(Path, options.weights or ())),
        options.recipe,
    )


def _reproduce(entries: "list[Entry]", request: "Request", dry: bool) -> dict[str, str]:
    from degu_tf.cli.reproduce.catalogue import in_running_order
    from degu_tf.cli.reproduce.running import reproduce

    if dry:
        from degu_tf.cli.reproduce.dry_run import dry_run

        return dry_run(in_running_order(entries), request, say)
    return reproduce(in_running_order(entries), request, say)


def _list(entries: "list[Entry]") -> None:
    from degu_tf.utils.readable import aligned

    rows = [["name", "script", "minutes", "reuses", "shows"]]
    for entry in entries:
        minutes = "-" if entry.minutes is None else f"{entry.minutes:g}"
        rows.append(
            [entry.name, f"{entry.script}.py", minutes, ", ".join(entry.reuses) or "-",
             entry.summary]
        )  # fmt: skip
    say(aligned(rows))
    say("minutes: processor time of --preset quick, with what it reuses already there; -: unknown")
