"""Training one model on several devices of a machine: each takes its part of every batch.

Data parallel, by `tf.distribute`: every device holds the weights, gradients are summed over the
devices before each update, and so are the sums that batch normalisation needs. A batch is what it
is on one device, and losses and weights agree with it to rounding; only dropout draws others.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import tensorflow as tf

from degu_tf.utils.errors import InputError


def strategy_of(n_devices: int) -> tf.distribute.Strategy | None:
    """The strategy that trains on so many devices; None for one, or under a strategy of the user's.

    The first GPUs; where there are none, parts of the processor, which save no time and are there
    to try it out. The processor can be parted only before TensorFlow computes anything.

    Raises
    ------
    InputError
        If there are fewer; those there are are named.
    """
    if n_devices == 1 or tf.distribute.has_strategy():
        return None
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        part_processor(n_devices)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(names) < n_devices:
        hint = (
            "; TensorFlow began before the processor was parted, so start again and name the "
            "devices first"
            if kind == "CPU"
            else ""
        )
        raise InputError(
            f"expected at most as many devices as there are, {len(names)}: {', '.join(names)}"
            f"{hint}. Received: devices={n_devices}"
        )
    return _mirrored(*names[:n_devices])


@cache
def _mirrored(*names: str) -> tf.distribute.Strategy:
    """One strategy for all trainings of a process: the sums of two would get mixed up."""
    return tf.distribute.MirroredStrategy(names)


def part_processor(n_devices: int) -> None:
    """Let TensorFlow see the processor as several devices, if it has not begun and has no GPU."""
    if n_devices == 1 or tf.config.list_physical_devices("GPU"):
        return
    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * n_devices
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except (RuntimeError, ValueError):
        return  # it has begun; `strategy_of` counts what is there


def scope_of(strategy: tf.distribute.Strategy | None) -> AbstractContextManager:
    """What is built inside is trained by the strategy; without one by that in scope already."""
    return nullcontext() if strategy is None else strategy.scope()


def n_replicas() -> int:
    """On how many devices, of all machines, what is built here is trained."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def check_batches(n_rows: int, batch_size: int) -> None:
    """Refuse batches of which a device would get no row, as its layers cannot do without.

    Raises
    ------
    InputError
        If a whole batch, or the last one of `n_rows`, is too small for the devices.
    """
    if not _suits(n_rows, batch_size):
        others = (batch_size + change for change in range(1, 10 * n_replicas()))
        hint = next((each for each in others if _suits(n_rows, each)), None)
        raise InputError(
            f"expected batches of which each of {n_replicas()} devices gets a part, the last one "
            f"of an epoch too{'' if hint is None else f'; {hint} would do'}. Received: "
            f"batch_size={batch_size}, {n_rows} training sequences"
        )


def evaluation_batch_size(n_rows: int, most: int) -> int:
    """The largest batch size up to `most` of which every device gets a part, the last one too.

    Raises
    ------
    InputError
        If there are too few rows.
    """
    for size in range(most, 0, -1):
        if _suits(n_rows, size):
            return size
    raise InputError(
        f"expected a validation sequence for each of {n_replicas()} devices. Received: {n_rows}"
    )


def _suits(n_rows: int, batch_size: int) -> bool:
    sizes = {min(batch_size, n_rows), n_rows % batch_size or min(batch_size, n_rows)}
    return all(_parts(size) == n_replicas() for size in sizes)


def _parts(n_rows: int) -> int:
    """How many devices get rows, TensorFlow giving each an equal number until none are left."""
    return -(-n_rows // -(-n_rows // n_replicas()))
