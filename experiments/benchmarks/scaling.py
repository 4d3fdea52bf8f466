"""Members a minute by each engine beside plain Keras in as many processes; what a task costs Dask.

Each engine trains a small ensemble first, so that no process is still loading TensorFlow, and then
the one that is timed, all with one thread each. Rounds go through all rows in turn; shown are
medians over the rounds, and efficiency: the speed of two workers over twice that of one. Plain
Keras, the same network's `fit` in one process and in two, says what the machine itself allows.
With `--slurm`, the jobs of a Dask cluster on Slurm are a row (`jobqueue.yaml` says what they have).
With `--slots`, a Dask cluster of that many slots in one process runs ten empty tasks a slot: the
time a task takes says from how many members a second on its scheduler would be the limit.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", OMP_NUM_THREADS="1")

import degu_tf as degu
from degu_tf.sequences.encoding import one_hot
from degu_tf.utils import quiet
from degu_tf.utils.processes.engines import engine

quiet.tensorflow()

THIS, KERAS = "this process", "plain Keras, 1 process"
ENGINES = {THIS: (1, {"workers": 1}), "pool of 2": (2, {"workers": 2})}
DASK = {"Dask, 2 processes": (2, {"dask": "local:2"})}
SLURM = {"Slurm, 2 jobs": (2, {"dask": "slurm", "workers": 2})}
PLAIN = {KERAS: 1, "plain Keras, 2 processes": 2}


def seconds(splits, spec, members, epochs, executor):
    """Seconds an ensemble takes."""
    settings = degu.TrainingSettings(epochs=epochs, patience=None)
    with tempfile.TemporaryDirectory() as folder:
        run = degu.Run(Path(folder) / "run", progress=False)
        begun = time.perf_counter()
        degu.train_ensemble(splits, spec, members, settings, run, executor=executor)
        return time.perf_counter() - begun


def keras_member(splits, spec, epochs, seed):
    """Train a member by Keras alone: arrays in memory, Adam, the mean squared error."""
    quiet.tensorflow()
    train = splits.train
    network = spec.build((train.sequences.shape[1], 4), splits.heads, seed)
    network.compile("adam", "mse")
    x = one_hot(train.sequences)
    network.fit(x, train.targets, batch_size=100, epochs=epochs, verbose=0)


def keras_seconds(splits, spec, members, epochs, n_processes):
    """Seconds as many members take in so many processes, which have TensorFlow loaded."""
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as executor:
        for count, passes in ((n_processes, 1), (members, epochs)):
            begun = time.perf_counter()
            tasks = [
                executor.submit(keras_member, splits, spec, passes, seed) for seed in range(count)
            ]
            for task in tasks:
                task.result()
        return time.perf_counter() - begun


def task_cost(slots):
    """Seconds an empty task takes on a cluster of so many slots, ten tasks a slot."""
    import distributed

    hundreds = max(1, slots // 100)
    cluster = distributed.LocalCluster(
        n_workers=hundreds,
        threads_per_worker=min(slots, 100),
        processes=False,
        dashboard_address=None,
    )
    with cluster, distributed.Client(cluster) as client:
        executor = client.get_executor(pure=False)
        list(executor.map(int, range(slots)))
        begun = time.perf_counter()
        for future in [executor.submit(int, number) for number in range(10 * slots)]:
            future.result()
        return (time.perf_counter() - begun) / (10 * slots)


def measured(options):
    """Members a minute of each row, a number for each round."""
    splits = degu.simulate((options.sequences, 200, 200), length=249).splits
    spec = degu.ModelSpec("deepstarr", {"width": options.width})
    engines = ENGINES | ({} if options.no_dask else DASK) | (SLURM if options.slurm else {})
    speeds = {name: [] for name in (*engines, *PLAIN)}
    for _ in range(options.rounds):
        for name, (n_workers, arguments) in engines.items():
            with engine(**arguments) as executor:
                seconds(splits, spec, max(2, n_workers), 1, executor)
                taken = seconds(splits, spec, options.members, options.epochs, executor)
            speeds[name].append(60 * options.members / taken)
        for name, n_processes in PLAIN.items():
            taken = keras_seconds(splits, spec, options.members, options.epochs, n_processes)
            speeds[name].append(60 * options.members / taken)
    return speeds


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=4000)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-dask", action="store_true", help="Dask is not installed")
    parser.add_argument("--slurm", action="store_true", help="also two jobs of Slurm")
    parser.add_argument("--slots", type=int, help="also measure empty tasks on so many slots")
    options = parser.parse_args()
    speeds = measured(options)
    n_workers = {name: n for name, (n, _) in (ENGINES | DASK | SLURM).items()} | PLAIN
    for name, values in speeds.items():
        speed, one = median(values), median(speeds[KERAS if name in PLAIN else THIS])
        efficiency = speed / n_workers[name] / one
        rounds = " ".join(f"{value:.2f}" for value in values)
        print(f"{name:26} {speed:6.2f} members a minute ({rounds}), efficiency {efficiency:.2f}")
    if options.slots:
        cost = task_cost(options.slots)
        print(f"{options.slots} slots: {1e3 * cost:.1f} ms an empty task")


if __name__ == "__main__":
    main()
