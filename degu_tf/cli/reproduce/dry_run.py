"""What numbered scripts would train together: networks that they share are counted once."""

import runpy
from collections.abc import Callable, Sequence

from degu_tf.cli.reproduce.catalogue import Entry
from degu_tf.cli.reproduce.running import Request
from degu_tf.paper.networks.planned_store import PlannedStore
from degu_tf.paper.networks.step_times import MEASURED, StepTimes, plan_text, summary
from degu_tf.paper.script import Script
from degu_tf.utils.errors import InputError


def dry_run(
    entries: Sequence[Entry], request: Request, say: Callable[[str], None]
) -> dict[str, str]:
    """List what scripts would train, in the order in which they run; nothing is trained.

    Parameters
    ----------
    entries
        The scripts.
    request
        What is asked of each.
    say
        Takes lines of the list.

    Returns
    -------
    dict
        Names of the scripts that cannot be run as asked, each with the reason.
    """
    failed: dict[str, str] = {}
    store, times = PlannedStore(request.out / "runs"), StepTimes()
    for entry in entries:
        script = Script.of(runpy.run_path(str(entry.file), run_name=entry.script))
        try:
            plan = script.plan(script.options(request.arguments(entry)), store)
        except InputError as error:
            failed[entry.name] = str(error)
            say(f"{entry.name} ({entry.script}): {error}")
            continue
        say(f"{entry.name} ({entry.script}):\n{plan_text(plan, times)}")
    say(f"Together {summary(store.plan, times)}\n{MEASURED}")
    return failed
