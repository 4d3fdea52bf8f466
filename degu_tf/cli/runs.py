"""`degu runs`: the runs below a folder."""

import argparse

from degu_tf.cli.options import verb
from degu_tf.cli.output import say


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    runs = verb(
        verbs,
        "runs",
        "list the runs of a folder: kind, data, model, metrics, age, size, and what is unfinished",
        "[FOLDER]",
        "degu runs",
        "degu runs /data/runs",
    )
    what = "folder to look through, with those below it (default: the current one)"
    runs.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help=what)
    return runs


def run(options: argparse.Namespace) -> None:
    """Print a table of the runs."""
    from degu_tf.utils.readable import aligned, readable_age, readable_size
    from degu_tf.utils.run_list import list_runs

    found = list_runs(options.folder)
    if not found:
        say(f"No runs in {options.folder}")
        return
    rows = [["run", "kind", "data", "trained on", "model", "Pearson r", "age", "size", "state"]]
    for each in found:
        metrics = ", ".join(f"{target} {value:.3f}" for target, value in each.pearson.items())
        rows.append(
            [
                str(each.path),
                each.kind,
                each.data or "-",
                "-" if each.n_train is None else f"{each.n_train:,}",
                each.model or "-",
                metrics or "-",
                readable_age(each.age),
                readable_size(each.size),
                each.state,
            ]
        )
    say(aligned(rows))
