"""Time one and ten students of one ensemble: labels from a pool against labels on the fly.

Seconds are measured of (a) labelling a pool of augmented copies, (b) a
student's training steps on labels that are there, (c) the same number of steps with labels made on
the fly. A student by the pool costs (b), and the ensemble pays (a) once. The lengths are those of
the recipe `best` scaled to what was measured, so the ratios do not depend on `--steps`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import degu_tf as degu
from degu_tf.utils import quiet

quiet.tensorflow()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from degu_tf.distillation.label_pool import with_label_pool  # noqa: E402
from degu_tf.training.augmentation.names import scheme  # noqa: E402

LENGTH = 230
BATCH = 100


def main() -> None:
    """Print medians over rounds, and what one and ten students cost."""
    options = _options()
    best = degu.recipe("best")
    splits = _splits(options.steps * BATCH // 4)
    spec = degu.ModelSpec("deepstarr", {"width": options.width, "dropout": 0.0})
    teachers = degu.Ensemble(
        [
            degu.ModelPredictor(spec.build((LENGTH, 4), splits.heads, seed), splits.heads)
            for seed in range(options.members)
        ],
        spec,
    )
    student = best.student_spec(spec)
    labelled = degu.student_splits(teachers, splits)
    augmentation = degu.Augmentation(scheme("mosaic"))
    settings = degu.TrainingSettings(
        epochs=options.rounds + 1,
        steps_per_epoch=options.steps,
        schedule="constant",
        patience=None,
    )
    on_the_fly = degu.DistillationSettings(augmentation=augmentation)
    labelling = [_label_seconds(teachers, labelled, augmentation) for _ in range(options.rounds)]
    seconds = {"label": median(labelling)}
    for name, how in (("step", None), ("step on the fly", on_the_fly)):
        with tempfile.TemporaryDirectory() as folder:
            run = degu.Run(folder, progress=False)
            degu.train_student(teachers, labelled, student, settings, run, distillation=how)
            epochs = pd.read_csv(Path(folder) / "history.csv")["seconds"]
        seconds[name] = median(epochs[1:]) / options.steps  # the first one traces the graph
    label, step, fly = seconds.values()
    print(f"{options.members} teachers, width {options.width}; medians of {options.rounds} rounds")
    print(
        f"labelling 100 sequences {100e3 * label:.1f} ms, a step {1e3 * step:.1f} ms, a step with"
    )
    print(f"labels on the fly {1e3 * fly:.1f} ms")
    for students in (1, 10):
        pool = (best.pool_size or 0) * label + students * (best.student_steps or 0) * step
        dynamic = students * (best.student_steps or 0) * fly
        print(
            f"{students} student(s): pool {pool / 60:.1f} min, on the fly {dynamic / 60:.1f} min, "
            f"ratio {pool / dynamic:.2f}"
        )


def _splits(n: int) -> degu.Splits:
    rng = np.random.default_rng(0)
    heads = degu.HeadLayout(("a", "b"))

    def part(size: int) -> degu.data.Split:
        tokens = rng.integers(0, 4, (size, LENGTH), dtype=np.uint8)
        return degu.data.Split(tokens, rng.normal(size=(size, 2)).astype(np.float32))

    return degu.Splits(part(n), part(100), part(100), heads)


def _label_seconds(
    teachers: degu.Ensemble, labelled: degu.Splits, augmentation: degu.Augmentation
) -> float:
    """Seconds for one sequence: of three copies less those of one, which trace the same graphs."""
    times = []
    for copies in (1, 3):
        start = time.perf_counter()
        with_label_pool(teachers, labelled, augmentation.scheme, copies)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (2 * len(labelled.train))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--width", type=float, default=0.25, help="of teachers; students are the recipe's"
    )
    parser.add_argument("--members", type=int, default=10, help="teachers")
    parser.add_argument("--steps", type=int, default=200, help="training steps in an epoch")
    parser.add_argument("--rounds", type=int, default=3, help="epochs after the first")
    return parser.parse_args()


if __name__ == "__main__":
    main()
