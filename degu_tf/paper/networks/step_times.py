"""Seconds of a training step on this machine, and the table of a `--dry-run`."""

import statistics
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from degu_tf.heads import HeadLayout
from degu_tf.paper.networks.planned_store import Planned
from degu_tf.training.model_spec import ModelSpec
from degu_tf.utils.readable import aligned

SECONDS = 2.0
"""How long steps of one network are timed, once it has been compiled."""

_FEWEST, _MOST = 3, 50
_COLUMNS = (
    "kind", "network", "parameters", "sequences", "bases", "seeds", "networks", "in store",
    "shared", "to train", "steps", "steps/s", "hours",
)  # fmt: skip

MEASURED = (
    "hours: all steps of one network after the other, at the speed of steps timed just now on this "
    f"machine, for about {SECONDS:g} s a network on random sequences. Early stopping takes fewer "
    "steps; validation, labels and the figure's own analysis come on top. shared: asked for before "
    "in this list, and trained once"
)
"""What the table says under itself."""


class StepTimes:
    """Seconds of training steps, measured once for each kind of network.

    Examples
    --------
    >>> StepTimes().known
    {}
    """

    def __init__(self) -> None:
        self.known: dict[str, float] = {}
        self._sizes: dict[str, int] = {}

    def step(self, planned: Planned) -> float:
        """Seconds of a step: the network's own, and its teachers' labels where it is dynamic."""
        batch = planned.settings.batch_size
        own = self._measured("step", planned.spec, planned.heads, planned.length, batch)
        if planned.labellers is None:
            return own
        spec, heads, n = planned.labellers
        return own + n * self._measured("labels", spec, heads, planned.length, batch)

    def hours(self, planned: Planned) -> float:
        """Hours in which the missing networks are trained one after the other, at most."""
        return planned.missing * planned.steps * self.step(planned) / 3600.0

    def parameters(self, planned: Planned) -> int:
        """Number of parameters of a network."""
        return _built(planned.spec, planned.heads, planned.length).count_params()

    def _measured(
        self, what: str, spec: ModelSpec, heads: HeadLayout, length: int, batch: int
    ) -> float:
        options = sorted(spec.options.items())
        key = f"{what} {spec.name} {options} {spec.head} {heads.columns} {length} {batch}"
        if key not in self.known:
            self.known[key] = _timed(what, spec, heads, length, batch)
        return self.known[key]


def _built(spec: ModelSpec, heads: HeadLayout, length: int) -> keras.Model:
    return spec.build((length, 4), heads, seed=0)


def _timed(what: str, spec: ModelSpec, heads: HeadLayout, length: int, batch: int) -> float:
    """Median seconds of steps that train, or of predictions."""
    rng = np.random.default_rng(0)
    x = tf.constant(np.eye(4, dtype=np.float32)[rng.integers(0, 4, (batch, length))])
    model = _built(spec, heads, length)
    if what == "step":
        model.compile("adam", "mse")
        y = tf.zeros((batch, *model.output_shape[1:]))

        def run() -> None:
            model.train_on_batch(x, y)
    else:
        forward = tf.function(lambda batch: model(batch, training=False))

        def run() -> None:
            forward(x).numpy()

    run()  # compiles
    run()
    times: list[float] = []
    while len(times) < _FEWEST or (sum(times) < SECONDS and len(times) < _MOST):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def plan_text(plan: Sequence[Planned], times: StepTimes) -> str:
    """What a script would train, a line each kind of network, and the sum.

    Parameters
    ----------
    plan
        From `degu_tf.paper.networks.planned_store.PlannedStore`.
    times
        Takes the measurements; those it has are not made again.
    """
    if not plan:
        return "trains no networks"
    rows = [list(_COLUMNS)]
    for each in plan:
        seeds = [str(seed) for seed in each.seeds]
        shown = seeds if len(seeds) < 4 else [*seeds[:2], "...", seeds[-1]]
        n = each.there + each.planned + each.missing
        speed = f"{1.0 / times.step(each):.3g}" if each.missing else "-"
        hours = f"{times.hours(each):.2g}" if each.missing else "-"
        rows.append(
            [
                each.kind, each.spec.name, f"{times.parameters(each):,}", f"{each.n_train:,}",
                str(each.length), " ".join(shown), str(n), str(each.there), str(each.planned),
                str(each.missing), f"{each.steps:,}", speed, hours,
            ]
        )  # fmt: skip
    return f"{aligned(rows)}\n{summary(plan, times)}"


def summary(plan: Sequence[Planned], times: StepTimes) -> str:
    """How many networks a plan has, how many are there, and hours of those that are not."""
    there, missing = (sum(getattr(each, name) for each in plan) for name in ("there", "missing"))
    hours = sum(times.hours(each) for each in plan if each.missing)
    return (
        f"{there + missing:,} networks: {there:,} in the store, {missing:,} to train in at most "
        f"{hours:.2g} hours"
    )
