"""`degu predict`: sequences to a table, or contigs to bigWig tracks."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    FORCE,
    flag,
    interval_options,
    option,
    run_argument,
    sequence_file_options,
    several,
    strands_option,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out, check_out_folder, counted, say
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from degu_tf.data.sources.sequences import NamedSequences
    from degu_tf.heads import Prediction
    from degu_tf.uncertainty.conformal.conformal import Conformal

LEVEL = 0.95


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    predict = verb(
        verbs,
        "predict",
        "predict activity with uncertainty and intervals, conformal ones if RUN is calibrated",
        "RUN (SEQUENCES | --bed FILE --fasta GENOME | --bigwig --fasta GENOME) --out FILE "
        "[options]",
        "degu predict runs/y seqs.fa --out p.tsv",
        "degu predict deepstarr.keras seqs.fa --out p.tsv",
        "degu predict runs/y --bed peaks.bed --fasta genome.fa --average-strands --out p.tsv",
        "degu predict runs/y --bigwig --fasta genome.fa --contigs chr8 --out tracks",
    )
    run_argument(predict)
    predict.add_argument(
        "sequences", nargs="?", metavar="SEQUENCES", help="FASTA, TSV/CSV/parquet or HDF5 file"
    )
    what = "TSV file to write, or with --bigwig a folder"
    predict.add_argument("--out", required=True, metavar="FILE", help=what)
    flag(predict, "--force", FORCE)
    strands_option(predict)
    interval_options(predict)
    genome = predict.add_argument_group("genomic intervals")
    option(genome, "--bed", "FILE", "intervals of the model's input length")
    what = "genome, plain or bgzipped; its .fai index is written beside it if missing (not needed "
    option(genome, "--fasta", "GENOME", f"{what}with --bigwig)")
    tracks = predict.add_argument_group("tracks along a genome, for models of profiles")
    what = "write a bigWig file per target and uncertainty; run the same command again to resume"
    flag(tracks, "--bigwig", what)
    several(tracks, "--contigs", "NAME", "contigs to predict (default: all)")
    what = "distance between windows (default: half of the model's input length)"
    option(tracks, "--step", "BASES", what, whole_number(1))
    sequence_file_options(predict)
    return predict


def run(options: argparse.Namespace) -> None:
    """Predict sequences and write the table, or contigs and write tracks."""
    if options.bigwig:
        _predict_tracks(options)
        return
    if options.contigs or options.step:
        raise InputError("expected --bigwig with --contigs and --step. Received: no --bigwig")
    _check_sources(options)
    inputs = [options.run, options.sequences, options.bed, options.fasta]
    check_out(options.out, force=options.force, inputs=inputs)
    check_run(options.run)
    check_files("a file of sequences", options.sequences)
    check_files("a BED file", options.bed)
    check_files("a genome FASTA", options.fasta)
    quiet.tensorflow()
    from degu_tf.distillation.runs import open_run
    from degu_tf.models.predictor import StrandAveraged
    from degu_tf.uncertainty.calibration import find_calibration
    from degu_tf.utils.files import atomic_write

    predictor, conformal = open_run(options.run), None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    named = _inputs(options, predictor.input_length)
    averaged = StrandAveraged(predictor) if options.average_strands else predictor
    prediction = averaged.predict(named.sequences)
    for component in missing_components(prediction):
        say(f"This model gives no {component} uncertainty; its columns are empty")
    if conformal is not None:
        say(
            f"Conformal {100 * options.level:g} % intervals, calibrated on "
            f"{conformal.notes['split']} (Gaussian ones with --gaussian)"
        )
    table = prediction_table(prediction, named.names, options.level, conformal)
    n_floored = int(prediction.flagged().any(axis=1).sum())
    if n_floored:
        say(
            f"The model gave a negative uncertainty for {n_floored} of {len(table)} sequences; it "
            "was floored and says nothing: leave out rows flagged in the columns ending in "
            "_floored before sorting by uncertainty"
        )
    with atomic_write(options.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    predictions = counted(len(table), "prediction")
    say(f"Wrote {options.out}: {predictions}, interval: {table['interval'][0]}")


def _check_sources(options: argparse.Namespace) -> None:
    if (options.bed is None) != (options.fasta is None):
        raise InputError("expected --bed FILE and --fasta GENOME together. Received: one of them")
    if (options.bed is None) == (options.sequences is None):
        received = "neither" if options.bed is None else "both"
        raise InputError(
            f"expected a file of sequences, or --bed with --fasta. Received: {received}"
        )


def _inputs(options: argparse.Namespace, length: int | None) -> "NamedSequences":
    from degu_tf.data.sources.sequences import read_bed, read_sequences

    if options.bed is not None:
        return read_bed(options.bed, options.fasta, length)
    return read_sequences(
        options.sequences,
        sequence=options.sequence,
        name=options.name,
        split=options.split,
        targets=options.targets,
        length=length,
    )


def _predict_tracks(options: argparse.Namespace) -> None:
    if options.fasta is None or options.sequences is not None or options.bed is not None:
        raise InputError(
            "expected --fasta GENOME with --bigwig, and neither SEQUENCES nor --bed, since tracks "
            f"are predicted along a genome. Received: --fasta {options.fasta}"
        )
    check_out_folder(options.out)
    check_run(options.run)
    check_files("a genome FASTA", options.fasta)
    quiet.tensorflow()
    from degu_tf.distillation.runs import open_run
    from degu_tf.models.genome_tracks import predict_tracks
    from degu_tf.models.predictor import StrandAveraged
    from degu_tf.sequences.genomes.stream import GenomeStream
    from degu_tf.utils.files import file_hash

    predictor = open_run(options.run)
    files = predict_tracks(
        StrandAveraged(predictor) if options.average_strands else predictor,
        GenomeStream(options.fasta),
        options.out,
        contigs=options.contigs,
        window=predictor.input_length,
        step=options.step,
        identity={
            "predictor": predictor.fingerprint(),
            "average_strands": options.average_strands,
            "genome": file_hash(options.fasta),
        },
    )
    say(f"Wrote {', '.join(str(file) for file in files.values())}")


def prediction_table(
    prediction: "Prediction",
    names: Sequence[str],
    level: float = LEVEL,
    conformal: "Conformal | None" = None,
) -> "pd.DataFrame":
    """One row per sequence: mean, uncertainties and interval of every target.

    Parameters
    ----------
    prediction
        Scalar predictions `(N, n_targets)`.
    names
        A name for each sequence.
    level
        Nominal coverage of the interval.
    conformal
        A calibration for the intervals; without it they are Gaussian, from the total uncertainty.

    Returns
    -------
    pandas.DataFrame
        The columns of `Prediction.to_frame`, and `interval`: ``conformal``, ``gaussian``, or
        ``none`` where the predictor gives no uncertainty. Components that a predictor does not give
        are NaN, which CSV leaves empty.

    Raises
    ------
    InputError
        If the prediction is a profile, names do not match it, or it has no conformal interval of
        that level.

    Examples
    --------
    >>> import numpy as np
    >>> from degu_tf.heads import HeadLayout
    >>> prediction = HeadLayout(("Dev",), epistemic="std").prediction(np.array([[1.0, 0.5]]))
    >>> prediction_table(prediction, ["a"]).columns.tolist()[:4]
    ['name', 'Dev', 'Dev_aleatoric', 'Dev_epistemic']
    """
    if conformal is not None:
        kind, interval = "conformal", conformal.predict(prediction, level)
    else:
        kind, interval = "none" if prediction.total is None else "gaussian", None
    return prediction.to_frame(names, level, interval).assign(interval=kind)


def missing_components(prediction: "Prediction") -> list[str]:
    """Which of aleatoric and epistemic uncertainty the predictor does not give."""
    return [name for name in ("aleatoric", "epistemic") if prediction.component(name) is None]
