"""Cost of DeepSHAP: this package's engine against `shap.DeepExplainer`, in one run.

DeepSTARR of full size, 249 bases, two outputs, of which one is explained against 100 references;
`shap` gets a model of that output alone. The two take turns, and medians over the rounds count.
ResidualBind's and DREAM-RNN's cost stand beside it, without `shap`, which cannot explain them. Peak
memory is that of a process of its own for each case, TensorFlow included. Run it as
`python experiments/benchmarks/attribution.py`.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import degu_tf as degu

LENGTHS = {"deepstarr": 249, "residualbind": 230, "dream_rnn": 249}
"""Bases of the sequences that each architecture is given in the paper."""

SHARES = {"shap": 10, "residualbind": 4, "dream_rnn": 20}
"""Of what is slower, a fraction of the sequences is explained in a round."""

_MEBIBYTE = 2**20


def measure(case: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run a case in a process of its own; median seconds a sequence, and peak memory in bytes.

    Parameters
    ----------
    case
        An architecture, explained by this package; ``"shap"``, which is DeepSTARR by `shap`;
        ``"race"``, which is DeepSTARR by both in turn; ``"import"``, which explains nothing.
    arguments
        Those of the command line.
    """
    command = [sys.executable, __file__, "--case", case]
    for name in ("sequences", "references", "rounds"):
        command += [f"--{name}", str(getattr(arguments, name))]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def _run(case: str, arguments: argparse.Namespace) -> dict[str, float]:
    ways, numbers, found = _ways(case, arguments)
    for way in ways.values():
        way(1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(numbers[name])
            seconds[name].append((time.perf_counter() - start) / numbers[name])
    unit = 1 if sys.platform == "darwin" else 1024
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return found | {name: statistics.median(values) for name, values in seconds.items()}


def _ways(
    case: str, arguments: argparse.Namespace
) -> tuple[dict[str, Callable[[int], object]], dict[str, int], dict[str, float]]:
    """Functions that explain sequences, with the number for each and its start-up seconds."""
    from degu_tf.utils import quiet

    quiet.tensorflow()
    import numpy as np

    from degu_tf.attribution.background import Shared
    from degu_tf.attribution.contributions import contributions
    from degu_tf.attribution.deeplift.rescale import Rescale
    from degu_tf.attribution.shap_deep_explainer import one_column
    from degu_tf.sequences.encoding import one_hot

    ways: dict[str, Callable[[int], object]] = {}
    numbers: dict[str, int] = {}
    found: dict[str, float] = {}
    architecture = "deepstarr" if case in ("race", "shap") else case
    if case == "import":
        return ways, numbers, found
    length = LENGTHS[architecture]
    rng = np.random.default_rng(0)
    model = degu.build(architecture, (length, 4), degu.HeadLayout(("Dev", "Hk")))
    tokens = rng.integers(0, 4, (arguments.sequences, length)).astype(np.uint8)
    references = rng.integers(0, 4, (arguments.references, length)).astype(np.uint8)
    if case != "shap":
        start = time.perf_counter()
        engine = Rescale(model, length, 0)
        ways["ours"] = lambda n: contributions(engine, tokens[:n], Shared(references))
        ways["ours"](1)
        found["start"] = time.perf_counter() - start
        numbers["ours"] = max(1, arguments.sequences // SHARES.get(case, 1))
    if case in ("race", "shap"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import shap

            explainer = shap.DeepExplainer(one_column(model, 0), one_hot(references))
        ways["shap"] = lambda n: explainer.shap_values(one_hot(tokens[:n]), check_additivity=False)
        numbers["shap"] = max(1, arguments.sequences // SHARES["shap"])
    return ways, numbers, found


def main() -> None:
    """Measure every case and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=60, help="explained in a round")
    parser.add_argument("--references", type=int, default=100, help="of each sequence")
    parser.add_argument("--rounds", type=int, default=7, help="of which the median is taken")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(_run(arguments.case, arguments)))
        return
    cases = ["import", "race", "shap", *LENGTHS]
    measured = {case: measure(case, arguments) for case in cases}
    race = measured["race"]
    print(f"{arguments.references} references, medians of {arguments.rounds} rounds in turn")
    for name in ("ours", "shap"):
        print(f"deepstarr, {name:5s} {1000.0 * race[name]:8.1f} ms a sequence")
    print(f"deepstarr, shap / ours: {race['shap'] / race['ours']:.2f}")
    for case in LENGTHS:
        result = measured[case]
        print(
            f"{case:16s} {1000.0 * result['ours']:8.1f} ms a sequence, "
            f"{result['start']:.1f} s to start"
        )
    for case in ("import", "shap", *LENGTHS):
        print(f"{case:16s} {measured[case]['peak'] / _MEBIBYTE:8.0f} MiB at the most")


if __name__ == "__main__":
    main()
