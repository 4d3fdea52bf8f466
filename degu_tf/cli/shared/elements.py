"""What `degu mutagenize` scores: sequences of a file, or intervals of a genome."""

import argparse
from typing import TYPE_CHECKING

from degu_tf.cli.options import flag, whole_number
from degu_tf.cli.shared.fitting import check_source, interval_source_options
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from degu_tf.data.sources.fitted import Element
    from degu_tf.sequences.fitting import Fitting

PLACE = ("chrom", "start", "end", "strand")
"""Columns that say where an element lies, after `name`; only of intervals."""


def interval_options(to: argparse.ArgumentParser) -> None:
    """Intervals in place of a file of sequences, and how they are resized."""
    interval_source_options(to)
    fit = to.add_argument_group("intervals of another length than the model's")
    what = "take so many bases around the middle (default: the model's input length)"
    fit.add_argument(
        "--resize", nargs="?", type=whole_number(1), const=True, metavar="LENGTH", help=what
    )
    flag(fit, "--summit", "centre on the summit of each peak (column 10 of narrowPeak) and resize")


def check_elements(options: argparse.Namespace) -> None:
    """Check the source of sequences, and options that go together.

    Raises
    ------
    InputError
        If not.
    """
    check_source(options)
    for name in ("resize", "summit"):
        if getattr(options, name) and options.bed is None:
            raise InputError(
                f"expected --bed with --{name}: of a sequence, every base is mutated. "
                "Received: no --bed"
            )


def read_elements(options: argparse.Namespace, length: int | None) -> "list[Element]":
    """The sequences to mutate, which may differ in length.

    Parameters
    ----------
    options
        Of the command.
    length
        Input length of the model, or None if it takes any.

    Raises
    ------
    InputError
        If they cannot be read, are not one-hot, or two have one name.
    """
    from degu_tf.data.sources.fitted import Element, interval_elements

    flanks = ("", "") if options.flanks is None else (options.flanks[0], options.flanks[1])
    if options.bed is None:
        names, sequences = _read_records(options)
        elements = [Element(*each, flanks) for each in zip(names, sequences, strict=True)]
    else:
        fitting = _fitting(options, length, flanks)
        elements = interval_elements(options.bed, options.fasta, fitting, summit=options.summit)
        if options.pad != "flanks":
            elements = [each._replace(flanks=flanks) for each in elements]
    names = [each.name for each in elements]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"expected unique sequence names. Received: {twice!r} twice in "
            f"{options.bed or options.sequences}"
        )
    return elements


def placed(table: "pd.DataFrame", element: "Element") -> "pd.DataFrame":
    """The table of an element's variants, of an interval with the columns `PLACE`.

    Raises
    ------
    InputError
        If a target's column is called like one of them.
    """
    if element.interval is None:
        return table
    for index, (name, value) in enumerate(zip(PLACE, element.interval, strict=True), start=1):
        if name in table:
            raise InputError(
                f"a target is called like the column {name!r}, which says where intervals lie; "
                "rename it in the run's data. Received: --bed"
            )
        table.insert(index, name, value)
    return table


def _fitting(options: argparse.Namespace, length: int | None, flanks: tuple[str, str]) -> "Fitting":
    from degu_tf.sequences.fitting import Fitting

    if length is None:
        if options.pad or options.summit or isinstance(options.resize, bool):
            raise InputError(
                "expected --resize LENGTH, since the model takes sequences of any length. "
                "Received: no length"
            )
        length = options.resize or 1
    else:
        length -= sum(map(len, flanks))
    return Fitting(length, options.resize, options.pad)


def _read_records(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names and sequences of a file."""
    import numpy as np

    from degu_tf.data.sources import sequences as sources
    from degu_tf.sequences.alphabet import check_letters, text_records
    from degu_tf.sequences.encoding import as_tokens, decode

    names, found = sources.read_records(
        options.sequences,
        sequence=options.sequence,
        name=options.name,
        split=options.split,
        targets=options.targets,
    )
    if isinstance(found, np.ndarray):
        return names, decode(as_tokens(found, names))
    sequences, _ = text_records(found, names)
    check_letters(sequences, names)
    return names, sequences
