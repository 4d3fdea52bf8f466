"""Options of where a verb's tasks run, and the engine they stand for."""

import argparse
from concurrent.futures import Executor
from contextlib import AbstractContextManager

from degu_tf.cli.options import option, several, whole_number
from degu_tf.utils.errors import InputError


def engine_options(to: argparse._ActionsContainer, what: str) -> None:
    """`--workers`, `--dask` and `--gpus`; `what` is done by each worker."""
    option(to, "--workers", "N", f"{what}; or jobs of a batch system", whole_number(1), 1)
    dask = "Dask cluster to work on: address or file of its scheduler, local:N, or jobs of slurm, "
    option(to, "--dask", "ADDRESS", f"{dask}sge or pbs (pip install 'degu_tf[cluster]')")
    several(to, "--gpus", "ID", "GPUs, of which each worker sees one, in turn")


def engine_of(options: argparse.Namespace) -> "AbstractContextManager[Executor | None]":
    """The executor of the options; None for this process."""
    from degu_tf.utils.processes.engines import engine

    return engine(options.workers, options.dask, tuple(options.gpus or ()))


def is_elsewhere(options: argparse.Namespace) -> bool:
    """Whether the options ask for other processes than this one."""
    return options.workers > 1 or options.dask is not None or options.gpus is not None


def received(options: argparse.Namespace) -> str:
    """The options that ask for other processes, as they were given."""
    given = [f"--workers {options.workers}"] if options.workers > 1 else []
    given += [f"--dask {options.dask}"] if options.dask is not None else []
    given += [f"--gpus {' '.join(options.gpus)}"] if options.gpus is not None else []
    return " ".join(given)


def check_custom_layers(options: argparse.Namespace) -> None:
    """Refuse layers of the user's own in other processes.

    Raises
    ------
    InputError
        If both are asked for.
    """
    if options.custom_layers is not None and is_elsewhere(options):
        raise InputError(
            "expected one process with --custom-layers, which are registered in this one alone. "
            f"Received: {received(options)}"
        )
