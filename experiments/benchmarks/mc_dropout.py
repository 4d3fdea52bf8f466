"""Time Monte Carlo dropout against as many plain passes, and against the obvious loop.

For each architecture, in one run and round after round: (a) plain inference of the same model as
often as there are passes, compiled by `tf.function`; (b) the same with this package's fastest
forward pass, the least that the arithmetic costs here; (c) the obvious loop, which for each pass
calls a Keras model whose dropout alone is on; (d) that loop with the call compiled; (e) ours. That
(c), (d) and (e) estimate the same mean and spread is checked first. Processor time, of all cores,
is given beside the time passed, for it suffers less from what else the machine does.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import tensorflow as tf  # noqa: E402

from degu_tf.models.inference.fast_forward import FastForward  # noqa: E402
from degu_tf.sequences.encoding import as_float  # noqa: E402
from degu_tf.utils.progress import bar  # noqa: E402

SETUPS = {
    "residualbind": (230, degu.HeadLayout(("activity",))),
    "deepstarr": (249, degu.HeadLayout(("Dev", "Hk"))),
}
PLAIN, FAST, LOOP, COMPILED_LOOP, OURS = (
    "(a) plain passes, Keras model",
    "(b) plain passes, FastForward",
    "(c) loop over a Keras model",
    "(d) loop over a compiled model",
    "(e) MCDropout",
)


class Dropping(keras.layers.Dropout):
    """Dropout that is always on."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drop."""
        return super().call(x, training=True)


def main() -> None:
    """Print the median time of each way and what it is in plain passes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--passes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=float, default=1.0, help="factor on the models' sizes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.sequences, options.rounds) < 1 or options.passes < 2:
        parser.error("--sequences and --rounds are at least 1, --passes is at least 2")

    print(f"{options.sequences} sequences, {options.passes} passes, {options.rounds} rounds")
    for name in options.architectures:
        print(f"\n{name}")
        print(summary(times(name, options)).to_string(index=False, float_format="{:.3f}".format))


def times(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Seconds of each way in each round, after one round that is not counted."""
    length, _ = SETUPS[name]
    predictor = make_predictor(name, options)
    rng = np.random.default_rng(options.seed)
    tokens = rng.integers(0, 4, (options.sequences, length), dtype=np.uint8)
    ways = make_ways(predictor, tokens, options)
    compare(ways, options)
    rows = []
    for round_ in bar(range(options.rounds), f"{name} rounds", None):
        for way, call in ways.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            call()
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
            rows.append({"round": round_, "way": way, "seconds": seconds, "cpu": cpu})
    return pd.DataFrame(rows)


def make_predictor(name: str, options: argparse.Namespace) -> degu.ModelPredictor:
    """An untrained model with batch normalisations that are not trivial."""
    length, heads = SETUPS[name]
    spec = degu.ModelSpec(name, {} if options.width == 1 else {"width": options.width})
    model = spec.build((length, 4), heads, options.seed)
    rng = np.random.default_rng(options.seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            layer.set_weights([rng.uniform(0.5, 1.5, size) for _ in range(4)])
    return degu.ModelPredictor(model, heads)


def make_ways(
    predictor: degu.ModelPredictor, tokens: np.ndarray, options: argparse.Namespace
) -> dict[str, Callable[[], np.ndarray]]:
    """Each way to compute, giving all passes' outputs or, for ours, mean and spread."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        made = Dropping if type(layer) is keras.layers.Dropout else type(layer)
        return made.from_config(layer.get_config())

    dropping = keras.models.clone_model(predictor.model, clone_function=copy)
    dropping.set_weights(predictor.model.get_weights())
    keras.utils.set_random_seed(options.seed)
    plain = tf.function(lambda batch: predictor.model(batch, training=False))
    fast = tf.function(FastForward(predictor.model))
    compiled = tf.function(dropping)
    mc_dropout = degu.MCDropout(predictor, options.passes, options.seed)

    def passes(call: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
        return lambda: np.stack([call() for _ in range(options.passes)])

    return {
        PLAIN: passes(lambda: plain(tf.constant(as_float(tokens))).numpy()),
        FAST: passes(lambda: fast(tf.constant(as_float(tokens))).numpy()),
        LOOP: passes(lambda: dropping(as_float(tokens)).numpy()),
        COMPILED_LOOP: passes(lambda: compiled(tf.constant(as_float(tokens))).numpy()),
        OURS: lambda: mc_dropout.columns(tokens),
    }


def compare(ways: dict[str, Callable[[], np.ndarray]], options: argparse.Namespace) -> None:
    """Refuse to go on if the random ways differ by more than chance; also the uncounted round."""
    outputs = {way: call() for way, call in ways.items()}
    mean, std = np.split(outputs[OURS], 2, axis=-1)
    chance = 6.0 / np.sqrt(options.passes * mean.size)
    for way in (LOOP, COMPILED_LOOP):
        variance = outputs[way].var(axis=0)
        errors = np.sqrt((std**2 + variance) / options.passes)
        worst = np.max(np.abs(outputs[way].mean(axis=0) - mean) / errors)
        ratio = np.sqrt(np.mean(variance) / np.mean(std**2))
        print(f"{way}: means differ by at most {worst:.1f} standard errors, spread {ratio:.3f} x")
        if worst > 6.0 or abs(ratio - 1.0) > chance:
            raise SystemExit(
                f"expected at most 6 standard errors, and a spread of 1 +- {chance:.3f}"
            )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Median of each way, and round by round what it is in times of (a), (b) and (c)."""
    rows = []
    for way in table["way"].unique():
        row = {"way": way}
        for measure in ("seconds", "cpu"):
            wide = table.pivot(index="round", columns="way", values=measure)
            row[measure] = wide[way].median()
            row |= {
                f"{measure} in {other[:3]}": median(wide[way] / wide[other])
                for other in (PLAIN, FAST, LOOP)
            }
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
