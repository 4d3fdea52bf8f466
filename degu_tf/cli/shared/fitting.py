"""Sequences and intervals to predict or explain, fitted to the model's length."""

import argparse
from typing import TYPE_CHECKING

from degu_tf.cli.options import flag, flanks_option, option, whole_number
from degu_tf.cli.shared.inputs import check_files
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from degu_tf.data.sources.blocks.fitted import FittedBlocks
    from degu_tf.sequences.fitting import FittedSequences, Fitting

_AROUND = "; with --pad flanks the sequences around shorter ones, adapters and what lies beyond "
_AROUND += "them, of which the nearest bases are taken"


def interval_source_options(to: argparse.ArgumentParser, needless: str = "") -> None:
    """Intervals of a genome in place of a file of sequences."""
    genome = to.add_argument_group("genomic intervals")
    what = "BED or narrowPeak file; of the - strand (column 6) the reverse complement is taken"
    option(genome, "--bed", "FILE", what)
    what = "genome: FASTA, plain or bgzipped, whose .fai index is written beside it if missing, or "
    option(genome, "--fasta", "GENOME", f"{what}2bit{needless}")


def fitting_options(to: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What to do with sequences of another length than the model's."""
    fit = to.add_argument_group("sequences and intervals of another length than the model's")
    fit.add_argument(
        "--resize",
        nargs="?",
        type=whole_number(1),
        const=True,
        metavar="LENGTH",
        help="take so many bases around the middle (default: the model's input length); intervals "
        "grow into the genome, sequences into what --pad gives",
    )
    what = "with --bed: centre on the summit of each peak (column 10 of narrowPeak) and resize"
    flag(fit, "--summit", what)
    pad_option(
        fit,
        "flanks: the genome's own bases, or of sequences the nearest bases of --flanks",
        "; N also stands beyond the ends of a contig, where intervals are refused otherwise",
    )
    flanks_option(fit, _AROUND)
    what = "cut longer ones into windows that begin so many bases apart; the last one ends where "
    option(fit, "--stride", "BASES", f"{what}the sequence does", whole_number(1))
    return fit


def pad_option(to: argparse._ActionsContainer, flanks: str, more: str = "") -> None:
    """What fills shorter sequences up."""
    what = "fill what is shorter up on both sides. N: with unknown bases; "
    to.add_argument("--pad", choices=("N", "flanks"), help=f"{what}{flanks}{more}")


def fitting_flags(options: argparse.Namespace) -> list[str]:
    """The options of `fitting_options` that were given."""
    names = ("resize", "summit", "pad", "flanks", "stride")
    return [f"--{name}" for name in names if getattr(options, name)]


def check_inputs(options: argparse.Namespace) -> None:
    """Check the source of sequences, and options that go together.

    Raises
    ------
    InputError
        If not.
    """
    check_source(options)
    if options.summit and options.bed is None:
        raise InputError("expected --bed with --summit, a narrowPeak file. Received: no --bed")


def check_source(options: argparse.Namespace) -> None:
    """Check that there is one source of sequences, that its files exist, and their padding.

    Raises
    ------
    InputError
        If not.
    """
    if (options.bed is None) != (options.fasta is None):
        raise InputError("expected --bed FILE and --fasta GENOME together. Received: one of them")
    if (options.bed is None) == (options.sequences is None):
        received = "neither" if options.bed is None else "both"
        raise InputError(
            f"expected a file of sequences, or --bed with --fasta. Received: {received}"
        )
    check_padding(options, has_genome=options.bed is not None)
    check_files("a file of sequences", options.sequences)
    check_files("a BED file", options.bed)
    check_files("a genome FASTA", options.fasta)


def check_padding(options: argparse.Namespace, *, has_genome: bool) -> None:
    """Check that `--pad flanks` has flanks: the genome's, or those of `--flanks`, not both.

    Raises
    ------
    InputError
        If not.
    """
    if options.pad == "flanks" and has_genome and options.flanks:
        raise InputError(
            "intervals are padded with the genome's own bases; with adapters around them, use "
            "--resize. Received: --pad flanks with --flanks"
        )
    if options.pad == "flanks" and not has_genome and not options.flanks:
        raise InputError(
            "expected --flanks 5' 3', the sequences that --pad flanks takes bases of. "
            "Received: no --flanks"
        )


def adapters(options: argparse.Namespace) -> tuple[str, str]:
    """The sequences at both ends of the model's input: none with `--pad flanks`."""
    return ("", "") if options.pad == "flanks" or not options.flanks else tuple(options.flanks)


def fitted_inputs(
    options: argparse.Namespace, length: int | None, *, crop: bool = False
) -> "FittedSequences":
    """The sequences or intervals, fitted to the model's input length less its adapters.

    Parameters
    ----------
    options
        Of the command.
    length
        Input length of the model less its adapters, or None if it takes any.
    crop
        As for `degu_tf.data.sources.fitted.fit_file`.

    Raises
    ------
    InputError
        If they cannot be read or fitted.
    """
    from degu_tf.data.sources.fitted import fit_file, fit_intervals
    from degu_tf.data.sources.sequences import read_bed
    from degu_tf.sequences.fitting import FittedSequences

    fitting = _fitting(options, length)
    if options.bed is None:
        return fit_file(
            options.sequences,
            fitting,
            sequence=options.sequence,
            name=options.name,
            split=options.split,
            targets=options.targets,
            crop=crop,
        )
    if fitting is None:
        import numpy as np

        named = read_bed(options.bed, options.fasta)
        return FittedSequences(named.names, named.sequences, np.arange(len(named.names)))
    return fit_intervals(options.bed, options.fasta, fitting, summit=options.summit)


def fitted_blocks(
    options: argparse.Namespace, length: int | None, *, keep_spans: bool = False
) -> "FittedBlocks":
    """What `fitted_inputs` gives, in blocks, so that memory does not grow with the input.

    Parameters
    ----------
    options, length
        As for `fitted_inputs`.
    keep_spans
        Keep where every window was cut.

    Raises
    ------
    InputError
        As `fitted_inputs` does.
    """
    from degu_tf.data.sources.blocks.fitted import FittedBlocks, fitted_intervals, fitted_records
    from degu_tf.data.sources.blocks.records import RecordBlocks

    fitting = _fitting(options, length)
    if options.bed is None:
        how = (options.sequence, options.name, options.split, options.targets)
        records = RecordBlocks(options.sequences, *how)
        return FittedBlocks(lambda: fitted_records(records, fitting), keep_spans)
    return FittedBlocks(
        lambda: fitted_intervals(options.bed, options.fasta, fitting, summit=options.summit),
        keep_spans,
    )


def _fitting(options: argparse.Namespace, length: int | None) -> "Fitting | None":
    from degu_tf.sequences.fitting import NO_FLANKS, Fitting

    flanks = NO_FLANKS if adapters(options) != NO_FLANKS else tuple(options.flanks or NO_FLANKS)
    if length is None:
        if not (options.resize or options.summit or options.pad or options.stride):
            return None
        if isinstance(options.resize, bool) or options.resize is None:
            raise InputError(
                "expected --resize LENGTH, since the model takes sequences of any length. "
                f"Received: {' '.join(fitting_flags(options))}"
            )
        length = options.resize
    return Fitting(length, options.resize, options.pad, flanks, options.stride)
