"""Supplementary Table 1: what a prediction costs with the ensemble and with its student.

Parameters are counted over all models. Floating-point operations (FLOPs) are those of one sequence
through the inference graph, counted by TensorFlow's profiler: a multiplication and an addition are
two. Time is that of the package's own prediction, ensemble and student in turn. Memory is the peak
of a process that builds the models and predicts, above the same process before it did. Cost does
not depend on what a model has learned, so nothing is trained. Medians are shown.
"""

import dataclasses
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

import degu_tf as degu
from degu_tf.paper.claims import (
    Claim,
    Verdict,
    above,
    in_every,
)
from degu_tf.paper.script import Context, main
from degu_tf.paper.table_s1_cost import figure
from degu_tf.paper.table_s1_cost.figure import medians

DATA_HELP = "not used: cost does not depend on the data"

TOLERANCE = 0.05
"""How far below 1 - 1/M the saving may lie and still be called about that."""


@dataclass(frozen=True)
class Architecture:
    """A model of the paper, its input and targets, and how many sequences to time it on."""

    name: str
    length: int
    targets: tuple[str, ...]
    aleatoric: Literal["std"] | None
    n_sequences: int
    width: float = 1.0

    @property
    def heads(self) -> degu.HeadLayout:
        """The teachers' columns."""
        return degu.HeadLayout(self.targets, aleatoric=self.aleatoric)


@dataclass(frozen=True)
class Settings:
    """Teachers in the ensemble, repeats of each measurement, and architectures."""

    n_members: int
    n_times: int
    n_processes: int
    architectures: tuple[Architecture, ...]


def _both(deepstarr: int, residualbind: int, width: float = 1.0) -> tuple[Architecture, ...]:
    return (
        Architecture("deepstarr", 249, ("Dev", "Hk"), None, deepstarr, width),
        Architecture("residualbind", 230, ("activity",), "std", residualbind, width),
    )


PRESETS = {
    "smoke": Settings(2, n_times=3, n_processes=1, architectures=_both(64, 64, 0.1)[:1]),
    "quick": Settings(10, n_times=5, n_processes=3, architectures=_both(256, 256)),
    "paper": Settings(10, n_times=15, n_processes=5, architectures=_both(20_480, 5_120)),
}


CHILD = """
import json, runpy, sys
print(runpy.run_path(sys.argv[1])["peak_above_start"](**json.loads(sys.argv[2])))
"""


def networks(context: Context) -> None:
    """None: networks are timed with random weights."""


def compute(context: Context) -> pd.DataFrame:
    """One row an architecture, method, metric and repeat."""
    settings, rows = context.settings, []
    for architecture in settings.architectures:
        models = {
            method: models_of(method, architecture, settings.n_members, context.seed)
            for method in ("ensemble", "student")
        }
        for method, model in models.items():
            members = getattr(model, "members", [model])
            labels = {"architecture": architecture.name, "method": method}
            parameters = sum(member.model.count_params() for member in members)
            rows.append({**labels, "metric": "parameters", "value": parameters})
            rows.append({**labels, "metric": "flops", "value": sum(map(flops, members))})
            for _ in range(settings.n_processes):
                peak = peak_of_process(method, architecture, settings.n_members, context.seed)
                rows.append({**labels, "metric": "peak_mib", "value": peak})
        for repeat, seconds in enumerate(times(models, architecture, settings.n_times)):
            for method, value in seconds.items():
                labels = {"architecture": architecture.name, "method": method, "seed": repeat}
                each = 1000.0 * value / architecture.n_sequences
                rows.append({**labels, "metric": "ms_per_sequence", "value": each})
    return pd.DataFrame(rows).assign(n_members=settings.n_members)


def models_of(
    method: str, architecture: Architecture, n_members: int, seed: int
) -> degu.Ensemble | degu.ModelPredictor:
    """An untrained ensemble or student."""
    spec = degu.ModelSpec(architecture.name, {"width": architecture.width})
    shape, heads = (architecture.length, 4), architecture.heads

    def build(layout: degu.HeadLayout, member: int) -> degu.ModelPredictor:
        return degu.ModelPredictor(spec.build(shape, layout, seed + member), layout)

    if method == "student":
        return build(heads.student(), 0)
    return degu.Ensemble([build(heads, member) for member in range(n_members)])


def sequences(architecture: Architecture) -> np.ndarray:
    """Random tokens to predict."""
    size = (architecture.n_sequences, architecture.length)
    return np.random.default_rng(0).integers(0, 4, size, dtype=np.uint8)


def flops(predictor: degu.ModelPredictor) -> int:
    """Floating-point operations of one sequence through a model, by TensorFlow's profiler."""
    import tensorflow as tf

    model = predictor.model
    one = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(one).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def times(
    models: dict[str, degu.Ensemble | degu.ModelPredictor], architecture: Architecture, n_times: int
) -> list[dict[str, float]]:
    """Seconds of each model for the same sequences, in turn, after one prediction to warm up."""
    tokens, results = sequences(architecture), []
    for repeat in range(-1, n_times):
        seconds = {}
        for method, model in models.items():
            started = time.perf_counter()
            model.columns(tokens)
            seconds[method] = time.perf_counter() - started
        if repeat >= 0:
            results.append(seconds)
    return results


def peak_of_process(method: str, architecture: Architecture, n_members: int, seed: int) -> float:
    """`peak_above_start` in a process of its own."""
    job = {
        "method": method, "architecture": dataclasses.asdict(architecture),
        "n_members": n_members, "seed": seed,
    }  # fmt: skip
    command = [sys.executable, "-c", CHILD, __file__, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the process that measures memory failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def peak_above_start(method: str, architecture: dict, n_members: int, seed: int) -> float:
    """Most memory (MiB) that building and predicting took, above what was in use before.

    NaN where the system does not tell (it does on Linux).
    """
    described = Architecture(**{**architecture, "targets": tuple(architecture["targets"])})
    before = most_memory()
    models_of(method, described, n_members, seed).columns(sequences(described))
    return most_memory() - before


def most_memory() -> float:
    """Largest resident memory (MiB) of this process so far."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    peak = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return peak[0] if peak else math.nan


def time_saved(part: pd.DataFrame) -> Verdict:
    """Share of the ensemble's time that the student saves, one value a repeat."""
    rows = part[part["metric"] == "ms_per_sequence"]
    seconds = rows.pivot(index="seed", columns="method", values="value")
    saved = 1.0 - seconds["student"] / seconds["ensemble"]
    expected = 1.0 - 1.0 / part["n_members"].iloc[0]
    what = f"share of time saved (1 - 1/M is {expected:.2f})"
    return above(saved, expected - TOLERANCE, what)


CLAIMS = (
    Claim(
        "Distillation cuts the time of a prediction in proportion to the ensemble's size, by about "
        f"90 % for ten members (at least 1 - 1/M - {TOLERANCE}, each architecture).",
        'Supplementary Table 1; Results, "DEGU: distilling the knowledge of ensembles"',
        lambda table: in_every(table, ["architecture"], time_saved),
    ),
)

draw = figure.cost_shares


def conclude(table: pd.DataFrame) -> str:
    """The table, as it would be printed."""
    return medians(table).to_string(float_format="{:,.3f}".format)


if __name__ == "__main__":
    raise SystemExit(main(globals()))
