"""Time a training step of dynamic distillation against the obvious way to write it.

For each architecture, in one run and round after round: (a) a plain training step on labels of the
data set; (b) the obvious implementation, whose `train_step` augments with evoaug-tf's own loops and
calls the teachers' Keras models one after another; (c) ours with float32 teachers; (d) ours with
bfloat16 teachers; and (c) without augmentation, so that what augmentation costs is seen. Then the
teachers alone, as a share of this machine's best square matrix product.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import tensorflow as tf  # noqa: E402
from evoaug_tf import augment, evoaug  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from degu_tf.distillation.teacher import has_bfloat16  # noqa: E402
from degu_tf.training.losses import DistillationLoss  # noqa: E402
from degu_tf.training.train import write_table  # noqa: E402
from degu_tf.utils.files import atomic_write  # noqa: E402
from degu_tf.utils.progress import bar  # noqa: E402

SETUPS = {
    "deepstarr": (249, degu.HeadLayout(("Dev", "Hk"))),
    "residualbind": (230, degu.HeadLayout(("activity",), aleatoric="std")),
}
STANDARD, OBVIOUS, OURS, OURS_BFLOAT16, UNAUGMENTED = (
    "(a) standard step",
    "(b) obvious: Keras models in a loop, evoaug-tf in the step",
    "(c) ours, float32 teachers",
    "(d) ours, bfloat16 teachers",
    "(c) without augmentation",
)
SQUARES = (1024, 2048, 4096)
"""Sizes of the matrix products whose best rate is the machine's."""


@keras.saving.register_keras_serializable("benchmarks")
class ObviousModel(keras.Model):
    """Dynamic distillation as one would first write it."""

    def __init__(self, student: keras.Model, members: list[keras.Model]) -> None:
        super().__init__()
        self.student = student
        self._members = lambda: members
        augmentations = [
            augment.RandomDeletion(0, 20),
            augment.RandomTranslocationBatch(0, 20),
            augment.RandomNoise(0.0, 0.2),
            augment.RandomMutation(0.05),
        ]
        robust = evoaug.RobustModel(student, augment_list=augmentations, max_augs_per_seq=2)
        self._augment = lambda x: robust._apply_augment(x)
        self.built = True

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """What the student predicts."""
        return self.student(x, training=training)

    def labels(self, x: tf.Tensor, heads: degu.HeadLayout) -> tf.Tensor:
        """Mean and standard deviation of the members' outputs."""
        columns = tf.stack([member(x, training=False) for member in self._members()])
        activity = heads.take(columns, "mean")
        return tf.concat([tf.reduce_mean(columns, 0), tf.math.reduce_std(activity, 0)], -1)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Augment, label, learn."""
        x = self._augment(data[0])
        return super().train_step((x, self.labels(x, self.heads)))


class StepTimes(keras.callbacks.Callback):
    """Seconds of each step after the first ones, which fill the pipeline."""

    def __init__(self, skipped: int) -> None:
        super().__init__()
        self.skipped = skipped
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop it; Keras has waited for the step's logs by now."""
        if batch >= self.skipped:
            self.seconds.append(time.perf_counter() - self._start)


def main() -> None:
    """Print and write a table of times, draw it, and check that labels agree."""
    options = _options()
    tables = [
        pd.concat([steps(name, options), teachers(name, options)]).assign(architecture=name)
        for name in options.architectures
    ]
    table = pd.concat(tables, ignore_index=True)
    print(summary(table).to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    options.out.mkdir(parents=True, exist_ok=True)
    write_table(options.out / "table.csv", table)
    with atomic_write(options.out / "figure.png") as temporary:
        draw(table).savefig(temporary, dpi=200, format="png")
    print(f"Wrote {options.out}/table.csv and figure.png")


def steps(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Milliseconds of training steps, all implementations in turn in every round."""
    length, heads = SETUPS[name]
    ensemble = make_teachers(name, options)
    compare_labels(name, ensemble, options)
    models = dict(implementations(name, ensemble, options))
    rng = np.random.default_rng(options.seed)
    n = 8 * options.batch_size
    split = degu.data.Split(
        rng.integers(0, 4, (n, length), dtype=np.uint8),
        rng.normal(size=(n, heads.student().n_columns)).astype(np.float32),
        np.array([f"s{i}" for i in range(n)]),
    )
    rows = []
    for round_ in bar(range(options.rounds + 1), f"{name} rounds", None):
        for method, model in models.items():
            times = StepTimes(skipped=2)
            model.fit(
                degu.data.training_batches(split, options.batch_size, seed=0),
                steps_per_epoch=options.steps + 2,
                callbacks=[times],
                shuffle=False,
                verbose=0,
            )
            if round_ > 0:
                rows.append(_row("step", method, round_, median(times.seconds)))
    return pd.DataFrame(rows)


def implementations(
    name: str, ensemble: degu.Ensemble, options: argparse.Namespace
) -> Iterator[tuple[str, keras.Model]]:
    """Each way to train a student, compiled."""
    heads = ensemble.heads.student()

    def student() -> keras.Model:
        return spec_of(name, options).build((SETUPS[name][0], 4), heads, seed=1)

    def compiled(model: keras.Model) -> keras.Model:
        model.compile(keras.optimizers.Adam(1e-3), loss=DistillationLoss(heads), jit_compile=False)
        return model

    released = degu.scheme("evoaug_released")
    yield STANDARD, compiled(student())
    obvious = ObviousModel(student(), [member.model for member in ensemble.members])
    obvious.heads = ensemble.heads
    yield OBVIOUS, compiled(obvious)
    teacher = degu.Teacher(ensemble)
    yield OURS, compiled(degu.DistillationModel(student(), heads, teacher, released))
    if has_bfloat16():
        low = degu.Teacher(ensemble, dtype="bfloat16")
        yield OURS_BFLOAT16, compiled(degu.DistillationModel(student(), heads, low, released))
    yield UNAUGMENTED, compiled(degu.DistillationModel(student(), heads, teacher))


def teachers(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Milliseconds for the teachers' labels, and their share of the matrix-product rate."""
    ensemble = make_teachers(name, options)
    batch = _batch(name, options)
    models = [member.model for member in ensemble.members]
    calls = {
        "teachers: Keras models in a loop": tf.function(
            lambda x: [model(x, training=False) for model in models]
        ),
        "teachers: ours, float32": degu.Teacher(ensemble),
    }
    if has_bfloat16():
        calls["teachers: ours, bfloat16"] = degu.Teacher(ensemble, dtype="bfloat16")
    matrices = {n: tf.random.normal((n, n)) for n in options.squares}
    product = tf.function(lambda a: tf.matmul(a, a)[0, 0])
    operations = 2 * multiply_adds(models[0]) * options.batch_size * len(models)
    rows = []
    for round_ in bar(range(options.rounds), f"{name} teachers", None):
        rate = max(2 * n**3 / _seconds(partial(_value, product, a)) for n, a in matrices.items())
        for method, call in calls.items():
            seconds = _seconds(partial(_value, call, batch))
            share = operations / seconds / rate
            rows.append(_row("teachers", method, round_, seconds, share=share, rate=rate / 1e9))
    table = pd.DataFrame(rows)
    # One round's rate may be measured while the machine is slow, so the best of all rounds counts
    table["share"] = operations / (table["ms"] / 1e3) / (table["rate"].max() * 1e9)
    return table


def _value(call: Callable[[tf.Tensor], Any], tensor: tf.Tensor) -> np.ndarray:
    """Last output of a call, computed."""
    return np.asarray(tf.nest.flatten(call(tensor))[-1])


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of a model's convolutions and dense layers for one sequence, as written."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv1D | keras.layers.Dense):
            positions = int(np.prod(layer.output.shape[1:-1]))
            total += int(np.prod(layer.kernel.shape)) * positions
    return total


def spec_of(name: str, options: argparse.Namespace) -> degu.ModelSpec:
    """Architecture of teachers and students."""
    return degu.ModelSpec(name, {} if options.width == 1 else {"width": options.width})


def make_teachers(name: str, options: argparse.Namespace) -> degu.Ensemble:
    """Untrained teachers with batch normalisations that are not trivial."""
    length, heads = SETUPS[name]
    spec = spec_of(name, options)
    rng = np.random.default_rng(options.seed)
    members = []
    for seed in range(options.members):
        model = spec.build((length, 4), heads, seed)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                size = layer.gamma.shape
                layer.set_weights([rng.uniform(0.5, 1.5, size) for _ in range(4)])
        members.append(degu.ModelPredictor(model, heads))
    return degu.Ensemble(members, spec)


def compare_labels(name: str, ensemble: degu.Ensemble, options: argparse.Namespace) -> None:
    """Raise if (b) and (c) label the same augmented batch differently."""
    batch = _batch(name, options)
    batch = degu.scheme("evoaug_released").apply(batch, tf.constant([1, 2], tf.int64))
    members = [member.model for member in ensemble.members]
    obvious = ObviousModel(members[0], members).labels(batch, ensemble.heads).numpy()
    ours = degu.Teacher(ensemble)(batch).numpy()
    largest = float(np.abs(ours - obvious).max() / np.abs(obvious).max())
    print(
        f"labels of (b) and (c) on one augmented batch: largest difference {largest:.1e} of the "
        "largest label"
    )
    if largest > 1e-5:
        raise SystemExit("they must agree to 1e-5")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Median, quartiles, and times faster than (b) round by round."""
    rows = []
    for (architecture, part, method), group in table.groupby(
        ["architecture", "part", "method"], sort=False
    ):
        alternative = OBVIOUS if part == "step" else "teachers: Keras models in a loop"
        same = (table["architecture"] == architecture) & (table["method"] == alternative)
        ratio = table[same].set_index("round")["ms"] / group.set_index("round")["ms"]
        rows.append(
            {
                "architecture": architecture,
                "method": method,
                "ms": group["ms"].median(),
                "low quartile": group["ms"].quantile(0.25),
                "high quartile": group["ms"].quantile(0.75),
                "times faster": ratio.median(),
                "share of rate": group["share"].median() if part == "teachers" else np.nan,
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """Bars of the medians with quartiles, a panel for each architecture."""
    shown = summary(table)
    names = list(shown["architecture"].unique())
    figure = Figure(figsize=(9.5, 3.4 * len(names)), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1)), names, strict=True):
        part = shown[shown["architecture"] == name].iloc[::-1]
        low, high = part["ms"] - part["low quartile"], part["high quartile"] - part["ms"]
        is_step = ~part["method"].str.startswith("teachers")
        colours = np.where(is_step, "tab:orange", "tab:green")
        axes.barh(part["method"], part["ms"], xerr=[low, high], color=colours, capsize=3)
        axes.set_xlabel("milliseconds, median and quartiles")
        axes.set_title(name)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _row(part: str, method: str, round_: int, seconds: float, **more: float) -> dict:
    return {"part": part, "method": method, "round": round_, "ms": 1e3 * seconds, **more}


def _seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median time of some calls, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def _batch(name: str, options: argparse.Namespace) -> tf.Tensor:
    length, _ = SETUPS[name]
    tokens = np.random.default_rng(options.seed).integers(0, 4, (options.batch_size, length))
    return tf.one_hot(tokens, 4)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--members", type=int, default=10, help="teachers")
    parser.add_argument("--width", type=float, default=1.0, help="factor on filters and units")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="timed steps a round")
    parser.add_argument("--squares", nargs="+", type=int, default=SQUARES, help="matrix sizes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/dynamic_distillation"))
    options = parser.parse_args()
    if min(options.rounds, options.steps, options.batch_size) < 1 or options.members < 2:
        parser.error("--rounds, --steps and --batch-size are at least 1, --members at least 2")
    return options


if __name__ == "__main__":
    main()
