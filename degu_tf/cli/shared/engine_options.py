"""Options of where a verb's tasks run, and the engine they stand for."""

import argparse
from concurrent.futures import Executor
from contextlib import AbstractContextManager

from degu_tf.cli.options import option, several, whole_number


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
