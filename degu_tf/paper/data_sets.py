"""Data sets of the paper's figures: which are used, how much of them, and how they are set up."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.simulation.mpra import simulate
from degu_tf.data.splits import FRACTION_SEED, Splits
from degu_tf.heads import HeadLayout
from degu_tf.paper.networks.setups import OpenedSetup, Setup
from degu_tf.paper.script import Context
from degu_tf.plots.style import LOG2
from degu_tf.plots.style import unit_of as unit_in
from degu_tf.utils.errors import InputError

PANEL = ["dataset", "target"]

Sizes: TypeAlias = tuple[int | None, int | None, int | None]
"""Most training, validation and test sequences; None for all of a split."""

LENGTHS = (249, 230)
"""Bases of sequences of each assay."""

SIMULATED = ("Simulated STARR-seq", "Simulated lentiMPRA")
"""Names of the data that scripts simulate, one for each assay."""


def data_sets(
    context: Context,
    several: Setup,
    one: Setup,
    target: str = "Hk",
) -> Iterator[tuple[str, Splits, Setup]]:
    """Name, data and setup of each data set: the user's files, or two that are simulated.

    Data with several targets are taken as STARR-seq is in the paper, activity only; data with one
    target as lentiMPRA is, with an aleatoric column where replicates were measured.

    Parameters
    ----------
    context
        What the script was given.
    several, one
        Setup for data with several targets and with one.
    target
        Which of the simulated targets plays lentiMPRA.

    Raises
    ------
    InputError
        If files have the same name, or the paper preset has none.
    """
    if not context.data:
        if several.sizes is None or one.sizes is None:
            raise InputError(
                "the paper preset needs the data: --data starrseq.h5 k562.h5 hepg2.h5, files that "
                "`degu prepare` made or that were released. Received: no --data"
            )
        splits = simulate(several.sizes, several.length or LENGTHS[0], context.seed).splits
        yield SIMULATED[0], splits.without_uncertainty(), several
        splits = simulate(one.sizes, one.length or LENGTHS[1], context.seed + 1).splits
        yield SIMULATED[1], one_target(splits, target), one
        return
    names = [path.stem for path in context.data]
    if len(set(names)) < len(names):
        raise InputError(f"files must have different names: they name panels. Received: {names}")
    yield from opened(context, _given(context, several, one))


def _given(context: Context, several: Setup, one: Setup) -> Iterator[tuple[str, Splits, Setup]]:
    for path in context.data:
        splits = read_measured(path)
        setup = several if splits.heads.n_targets > 1 else one
        splits = at_most(splits, shown_sizes(context, setup))
        yield path.stem, splits.without_uncertainty() if setup is several else splits, setup


def opened(
    context: Context, data: Iterable[tuple[str, Splits, Setup]]
) -> Iterator[tuple[str, Splits, Setup]]:
    """Data sets as they are, or where weights were given, all of them with their weights."""
    if context.weights is None:
        yield from data
        return
    found = list(data)
    weights = context.weights.of_data({name: splits for name, splits, _ in found})
    for name, splits, setup in found:
        yield name, splits, OpenedSetup(**vars(setup), weights=weights[name])


def shown_sizes(context: Context, setup: Setup) -> Sizes | None:
    """Sizes of a preset; opened models were trained already, so training data stay whole."""
    if setup.sizes is None or context.weights is None:
        return setup.sizes
    return (None, *setup.sizes[1:])


def unit_of(table: pd.DataFrame) -> str:
    """The unit of a table's activities, as written on an axis.

    Simulated activities are binary logarithms, as the paper's are. Of a user's data it is the name
    of the only target, as in every figure of the library; of several targets there is none.

    Parameters
    ----------
    table
        Columns `dataset` and `target`.

    Examples
    --------
    >>> unit_of(pd.DataFrame({"dataset": ["mpra"], "target": ["counts"]}))
    'counts'
    >>> unit_of(pd.DataFrame({"dataset": SIMULATED, "target": ["Dev", "Hk"]}))
    'log$_2$'
    """
    shown = table[table["target"].notna()]  # rows of what is absent have no target
    return unit_in(shown, LOG2 if shown["dataset"].isin(SIMULATED).all() else None)


def read_measured(path: Path) -> Splits:
    """Data of a user's file, to train teachers on.

    Raises
    ------
    InputError
        If its training targets are teachers' means, as in released files of students' labels.
    """
    splits = read_splits(path)
    labels = splits.train.ensemble_mean
    measured = splits.heads.take(splits.train.targets, "mean")
    if labels is not None and np.array_equal(labels, measured):
        raise InputError(
            "expected measured training targets; give the file that the teachers were trained on. "
            f"Received: {path}, whose training targets are teachers' means, labels for a student"
        )
    return splits


def check_one_file(context: Context) -> None:
    """Refuse several files where a figure is of one data set.

    Raises
    ------
    InputError
        If there is more than one file.
    """
    if len(context.data) > 1:
        raise InputError(f"expected one file. Received: --data {' '.join(map(str, context.data))}")


def activity_data(
    context: Context, sizes: tuple[int, int, int] | None, length: int | None = None
) -> tuple[str, Splits]:
    """Name and activities of the user's one file, or of simulated STARR-seq.

    Parameters
    ----------
    context
        What the script was given.
    sizes
        Maximum number of sequences for train, validation and test; None takes all.
    length
        Bases of simulated sequences; None for STARR-seq's.

    Raises
    ------
    InputError
        If there is more than one file, or the paper preset has none.
    """
    check_one_file(context)
    if context.data:
        splits = at_most(read_measured(context.data[0]), sizes)
        return context.data[0].stem, splits.without_uncertainty()
    if sizes is None:
        raise InputError(
            "the paper preset needs the data: --data starrseq.h5, a file that `degu prepare` made "
            "or that was released. Received: no --data"
        )
    simulated = simulate(sizes, length or LENGTHS[0], context.seed)
    return SIMULATED[0], simulated.splits.without_uncertainty()


def one_target(splits: Splits, target: str) -> Splits:
    """The data of one target, with its aleatoric column."""
    heads = HeadLayout((target,), aleatoric=splits.heads.aleatoric)
    columns = [splits.heads.column(name) for name in heads.columns]
    parts: dict[str, Any] = {
        name: dataclasses.replace(split, targets=split.targets[:, columns])
        for name, split in splits.items()
    }
    return Splits(**parts, heads=heads)


def at_most(splits: Splits, sizes: Sizes | None) -> Splits:
    """Data reduced to a preset's sizes by random choice of rows; a printed line says so.

    Parameters
    ----------
    splits
        A user's data.
    sizes
        Maximum number of sequences for train, validation and test; None takes all.
    """
    if sizes is None:
        return splits
    parts: dict[str, Any] = {}
    taken = []
    for (name, split), size in zip(splits.items(), sizes, strict=True):
        parts[name] = split
        if size is not None and len(split) > size:
            rng = np.random.default_rng(FRACTION_SEED)
            parts[name] = split.take(rng.choice(len(split), size, replace=False, shuffle=False))
            taken.append(f"{size:,} of {len(split):,} {name}")
    if taken:
        print(f"This preset takes a random part of the data: {', '.join(taken)} sequences.")
    return Splits(**parts, heads=splits.heads)


def data(context: Context, target: str = "Hk") -> Iterator[tuple[str, Splits, Setup]]:
    """Name, data and setup of each data set; `target` is that of the simulated lentiMPRA.

    Raises
    ------
    InputError
        If data with one target have no aleatoric column, from which methods learn.
    """
    settings = context.settings
    for name, splits, setup in data_sets(
        context, settings.several_targets, settings.one_target, target=target
    ):
        if splits.heads.n_targets == 1 and splits.heads.aleatoric is None:
            raise InputError(
                "expected data with the standard deviation of replicates, as `degu prepare` makes "
                f"of tables with replicates. Received: {name} with the columns "
                f"{splits.heads.columns}"
            )
        yield name, splits, setup
