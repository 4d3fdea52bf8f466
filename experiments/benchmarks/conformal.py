"""Time conformal prediction of a million points against crepes, and the hashing of a million rows.

Both calibrate on all points and give intervals for all of them; their ends are compared first. The
rounds of the two take turns, so that a busy machine slows both alike.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import numpy as np
from crepes import ConformalRegressor

import degu_tf as degu
from degu_tf.sequences.hashing import sequence_hashes

HEADS = degu.HeadLayout(("activity",))


def points(n: int, rng: np.random.Generator) -> tuple[degu.Prediction, np.ndarray]:
    """A prediction of n sequences and what was measured, `(n, 1)` float32 as models give them."""
    mean, sigma = rng.normal(size=(n, 1)), rng.uniform(0.1, 1.0, (n, 1))
    measured = rng.normal(mean, 2.0 * sigma)
    mean, sigma = mean.astype(np.float32), sigma.astype(np.float32)
    return degu.Prediction(HEADS.targets, mean, epistemic=sigma), measured.astype(np.float32)


def ours(prediction: degu.Prediction, measured: np.ndarray, n_bins: int | None) -> np.ndarray:
    """Fit on all points and give intervals `(n, 2)`."""
    conformal = degu.Conformal(n_bins=n_bins).fit(prediction, measured, HEADS)
    return np.concatenate(conformal.predict(prediction), axis=1)


def theirs(prediction: degu.Prediction, measured: np.ndarray, n_bins: int | None) -> np.ndarray:
    """The same by crepes; bins are found as a user of it would."""
    assert prediction.total is not None
    mean, sigma = (np.asarray(x[:, 0], np.float64) for x in (prediction.mean, prediction.total))
    bins = None
    if n_bins is not None:
        edges = np.quantile(mean, np.arange(1, n_bins) / n_bins)
        bins = np.searchsorted(edges, mean, side="right")
    regressor = ConformalRegressor()
    regressor.fit(measured[:, 0] - mean, sigmas=sigma, bins=bins)
    return regressor.predict_int(mean, sigmas=sigma, bins=bins)


def take_turns(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of each call over rounds in which each is called once."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def main() -> None:
    """Print median times of fit and predict, of crepes, their ratio, and of hashing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--bins", type=int, default=10, help="bins of the predicted value")
    parser.add_argument("--length", type=int, default=230, help="base pairs of hashed sequences")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.points // 1000, options.bins - 1, options.length, options.repeats) < 1:
        parser.error("--points is at least 1000, --bins 2, --length and --repeats 1")

    rng = np.random.default_rng(options.seed)
    prediction, measured = points(options.points, rng)
    print(f"{options.points} points, fit and predict, median of {options.repeats} rounds")
    for name, n_bins in (("one factor", None), (f"{options.bins} bins", options.bins)):
        calls = {
            "ours": partial(ours, prediction, measured, n_bins),
            "crepes": partial(theirs, prediction, measured, n_bins),
        }
        np.testing.assert_allclose(calls["ours"](), calls["crepes"](), atol=1e-4)
        seconds = take_turns(calls, options.repeats)
        ratio = seconds["crepes"] / seconds["ours"]
        print(
            f"{name:12} {seconds['ours']:7.3f} s   crepes {seconds['crepes']:7.3f} s   "
            f"ratio {ratio:5.2f}"
        )
    shape = (options.points, options.length)
    tokens = rng.integers(0, 4, shape, dtype=np.uint8)
    seconds = take_turns({"hash": lambda: sequence_hashes(tokens)}, options.repeats)
    print(f"{'hashes':12} {seconds['hash']:7.3f} s   of {options.length} bp each")


if __name__ == "__main__":
    main()
