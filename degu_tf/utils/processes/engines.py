"""Engines: where tasks run. In this process, in a pool of processes, or on a Dask cluster."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from typing import Any

from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.pools import workers as pool_workers

QUEUES = {"slurm": "SLURMCluster", "sge": "SGECluster", "pbs": "PBSCluster"}
"""Batch systems, and the class of dask-jobqueue that asks each for jobs."""

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Numbers of TensorFlow's threads, on which the last digits of weights depend."""

_PLAIN = (str, bytes, bool, int, float, tuple, list, dict, type(None))


@contextmanager
def engine(
    workers: int = 1, dask: str | None = None, devices: tuple[str, ...] = ()
) -> Iterator[Executor | None]:
    """An executor for members, students, chunks and parts; None where this process does them.

    Parameters
    ----------
    workers
        Number of processes, or of jobs that a batch system is asked for.
    dask
        The address of a Dask scheduler (``tcp://host:8786``, or the path of its scheduler file);
        ``local:N`` for a cluster of N processes on this machine; or ``slurm``, ``sge``, ``pbs``,
        whose jobs are described by the file `jobqueue.yaml` of dask-jobqueue.
    devices
        Names of GPUs as `CUDA_VISIBLE_DEVICES` takes them; each process of a pool sees one.

    Raises
    ------
    InputError
        If Dask is not installed, there is no such cluster, or a process dies.

    Examples
    --------
    >>> with engine() as executor:
    ...     print(executor)
    None
    """
    if dask is None:
        with pool_workers(workers, devices) as executor:
            yield executor
        return
    if devices:
        raise InputError(
            "devices are given to processes of a pool; workers of Dask have those of their job "
            "(or CUDA_VISIBLE_DEVICES where they were begun). "
            f"Received: dask={dask!r}, devices={devices}"
        )
    with ExitStack() as stack:
        client = stack.enter_context(_client(dask, workers, stack))
        client.register_plugin(_preparation())
        yield DaskExecutor(client)


class DaskExecutor(Executor):
    """A `concurrent.futures` executor of a Dask client that sends each object once.

    Objects among the arguments, such as data, are scattered to the workers and kept there, so that
    they do not travel with every task.

    Parameters
    ----------
    client
        A `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._executor = client.get_executor(pure=False)
        self._client = client
        self._sent: dict[int, tuple[Any, Any]] = {}

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future:
        """Submit a task, as `concurrent.futures.Executor.submit` does."""
        return self._executor.submit(task, *map(self._send, arguments), **named)

    def _send(self, value: Any) -> Any:
        if isinstance(value, _PLAIN):
            return value
        if id(value) not in self._sent:
            self._sent[id(value)] = value, self._client.scatter(value, hash=False)
        return self._sent[id(value)][1]


def _client(dask: str, workers: int, stack: ExitStack) -> Any:
    try:
        import distributed
    except ImportError:
        raise InputError(
            f"Dask is not installed: pip install 'degu_tf[cluster]'. Received: dask={dask!r}",
            f"Dask is not installed: pip install 'degu_tf[cluster]'. Received: --dask {dask}",
        ) from None
    if dask.startswith("local:"):
        n = dask.removeprefix("local:")
        if not n.isdigit() or int(n) < 1:
            raise _refused(dask)
        cluster = distributed.LocalCluster(
            n_workers=int(n), threads_per_worker=1, processes=True, dashboard_address=None
        )
        return distributed.Client(stack.enter_context(cluster))
    if dask in QUEUES:
        return distributed.Client(stack.enter_context(_queue(dask, workers)))
    try:
        if os.path.isfile(dask):
            return distributed.Client(scheduler_file=dask, timeout=30)
        return distributed.Client(dask, timeout=30)
    except (OSError, ValueError, TypeError) as error:
        raise _refused(dask) from error


def _queue(name: str, workers: int) -> Any:
    """A cluster of jobs of a batch system."""
    try:
        import dask_jobqueue
    except ImportError:
        raise InputError(
            f"dask-jobqueue is not installed: pip install 'degu_tf[cluster]'. Received: {name}"
        ) from None
    try:
        cluster = getattr(dask_jobqueue, QUEUES[name])(processes=1)
    except ValueError as error:  # what a job is to have is not said
        raise InputError(
            "expected cores and memory of a job in ~/.config/dask/jobqueue.yaml "
            f"(https://jobqueue.dask.org): {error}. Received: {name}"
        ) from error
    cluster.scale(jobs=workers)
    return cluster


def _refused(dask: str) -> InputError:
    what = "expected the address of a Dask scheduler that answers, its scheduler file, local:N, "
    what += f"or one of {', '.join(QUEUES)}. Received:"
    return InputError(f"{what} dask={dask!r}", f"{what} --dask {dask}")


def threads() -> dict[str, str]:
    """TensorFlow's numbers of threads in this process, by the variables that set them.

    Where they are not set, TensorFlow takes as many as there are processors for this process.
    """
    return {name: os.environ.get(name) or str(_processors()) for name in THREADS}


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _preparation() -> Any:
    """What each worker of a cluster does first, those that come later too."""
    from distributed import WorkerPlugin

    class Preparation(WorkerPlugin):
        """Gives workers this process's numbers of threads, and loads TensorFlow."""

        name = "degu_tf"
        environment = threads()

        def setup(self, worker: Any) -> None:
            prepare(self.environment)

    return Preparation()


def prepare(environment: dict[str, str]) -> None:
    """Load TensorFlow with these variables set, unless it is loaded already."""
    if "tensorflow" not in sys.modules:
        os.environ.update(environment)
    quiet.tensorflow()
