"""`degu predict`: sequences to a table, or contigs to bigWig tracks."""

import argparse
import warnings
from collections.abc import Callable
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
from degu_tf.cli.shared.engine_options import (
    check_custom_layers,
    engine_of,
    engine_options,
    is_elsewhere,
    received,
)
from degu_tf.cli.shared.fitting import (
    adapters,
    check_inputs,
    fitted_blocks,
    fitting_flags,
    fitting_options,
    interval_source_options,
)
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.cli.shared.windows import bedgraph_files, write_bedgraphs
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np

    from degu_tf.cli.shared.prediction_table import PredictionTable
    from degu_tf.data.sources.blocks.fitted import FittedBlocks
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.heads import Prediction
    from degu_tf.models.predictor import ModelPredictor
    from degu_tf.uncertainty.conformal.conformal import Conformal

PARTS = 64
"""Parts of the input that lie ready for workers at once."""

AGGREGATES = ("mean", "maximum")
"""Those of `degu_tf.models.fitted`, known without loading it."""


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
        "degu predict runs/y --bed peaks.narrowPeak --fasta genome.fa --summit --out p.tsv",
        "degu predict runs/y promoters.fa --stride 50 --aggregate maximum --out p.tsv",
        "degu predict runs/x library.tsv --workers 4 --out p.tsv",
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
    interval_source_options(predict, ", which --bigwig does not read")
    _window_options(fitting_options(predict))
    work = predict.add_argument_group("computation; the output does not depend on it")
    engine_options(work, "number of processes, each with a part of the sequences")
    tracks = predict.add_argument_group("tracks along a genome, for models of profiles")
    what = "write a bigWig file per target and uncertainty; run the same command again to resume"
    flag(tracks, "--bigwig", what)
    several(tracks, "--contigs", "NAME", "contigs to predict (default: all)")
    what = "distance between windows (default: half of the model's input length)"
    option(tracks, "--step", "BASES", what, whole_number(1))
    sequence_file_options(predict)
    return predict


def _window_options(fit: argparse._ArgumentGroup) -> None:
    """What becomes of the windows of a sequence."""
    fit.add_argument(
        "--aggregate",
        choices=(*AGGREGATES, "none"),
        help="with --stride: what the table has of a sequence's windows. mean: of their values and "
        "of their standard deviations; maximum: for each target the window with the largest "
        "value, with its own uncertainty; none: a row for each window (default: mean)",
    )
    what = "with --stride: folder for a bedGraph of the windows of each target and uncertainty; "
    option(fit, "--bedgraph", "FOLDER", f"{what}each window stands for the bases at its middle")


def run(options: argparse.Namespace) -> None:
    """Predict sequences and write the table, or contigs and write tracks."""
    if options.bigwig:
        _predict_tracks(options)
        return
    if options.contigs or options.step:
        raise InputError("expected --bigwig with --contigs and --step. Received: no --bigwig")
    _check_options(options)
    check_custom_layers(options)
    inputs = [options.run, options.sequences, options.bed, options.fasta]
    check_out(options.out, force=options.force, inputs=inputs)
    check_run(options.run)
    check_inputs(options)
    quiet.tensorflow()
    import numpy as np

    from degu_tf.distillation.runs import open_run
    from degu_tf.models.predictor import combined
    from degu_tf.uncertainty.calibration import find_calibration

    predictor, conformal = open_run(options.run), None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    with engine_of(options) as executor:
        blocks, predict = _fitted(options, predictor, executor)
        if conformal is not None:
            _check_calibrated(options, blocks.tiled)
        tracks = None
        if options.bedgraph is not None:
            tracks = bedgraph_files(
                options.bedgraph, predictor.heads.targets, blocks.spans, force=options.force
            )
        at_once = _at_once(predictor, blocks, executor)
        table, windows = _write_table(options, blocks, predict, at_once, conformal)
    _say_floored(table)
    if tracks is not None:
        files = write_bedgraphs(tracks, blocks.spans, combined(windows, np.concatenate))
        say(f"Wrote {', '.join(map(str, files))}")
    of = f" of {counted(blocks.n_windows, 'window')}" if blocks.tiled else ""
    predictions = counted(table.n_rows, "prediction")
    say(f"Wrote {options.out}: {predictions}{of}, interval: {table.interval}")


def _write_table(
    options: argparse.Namespace,
    blocks: "FittedBlocks",
    predict: "Callable[[np.ndarray], Prediction]",
    at_once: int,
    conformal: "Conformal | None",
) -> "tuple[PredictionTable, list[Prediction]]":
    """Write the table; give it, and with `--bedgraph` what is predicted of the windows."""
    from degu_tf.cli.shared.prediction_table import PredictionTable
    from degu_tf.heads import FlooredUncertaintyWarning
    from degu_tf.models.inference.windows import predict_blocks
    from degu_tf.utils.files import atomic_write

    table = PredictionTable(
        options.level, conformal, options.aggregate or "mean", tiled=blocks.tiled
    )
    kept = []
    with warnings.catch_warnings(), atomic_write(options.out) as temporary:
        if blocks.n_windows > at_once:  # it would count those of the first piece alone
            warnings.simplefilter("ignore", FlooredUncertaintyWarning)
        with table.opened(temporary):
            for block, windows in predict_blocks(blocks, predict, at_once):
                table.add(block, windows)
                if options.bedgraph is not None:
                    kept.append(windows)
    return table, kept


def _at_once(
    predictor: "Ensemble | ModelPredictor", blocks: "FittedBlocks", executor: "Executor | None"
) -> int:
    """Windows that are predicted before rows are written."""
    from degu_tf.distillation.distributed.predictions import rows_at_once

    rows = rows_at_once(predictor, predictor.input_length or blocks.length)
    return rows * (1 if executor is None else PARTS)


def _check_options(options: argparse.Namespace) -> None:
    if options.stride is None and (options.aggregate or options.bedgraph):
        raise InputError("expected --stride with --aggregate and --bedgraph. Received: no --stride")
    if options.bedgraph is not None:
        check_out_folder(options.bedgraph)


def _fitted(
    options: argparse.Namespace,
    predictor: "Ensemble | ModelPredictor",
    executor: "Executor | None",
) -> "tuple[FittedBlocks, Callable[[np.ndarray], Prediction]]":
    """Windows that fill the space between the adapters, and what predicts them."""
    from degu_tf.distillation.distributed.predictions import DistributedPredictor
    from degu_tf.models.fitted import Flanked
    from degu_tf.models.predictor import Predictor, StrandAveraged

    flanks, length = adapters(options), predictor.input_length
    inner: Predictor = predictor
    if executor is not None:
        inner = DistributedPredictor(options.run, predictor, executor)
    if any(flanks):
        inner = flanked = Flanked(inner, flanks)
        length = flanked.between
    averaged = StrandAveraged(inner) if options.average_strands else inner
    keep_spans = options.bedgraph is not None
    return fitted_blocks(options, length, keep_spans=keep_spans), averaged.predict


def _say_floored(table: "PredictionTable") -> None:
    if table.n_floored:
        say(
            f"The model gave a negative uncertainty for {table.n_floored} of {table.n_rows} "
            "sequences; it was floored and says nothing: leave out rows flagged in the columns "
            "ending in _floored before sorting by uncertainty"
        )


def _check_calibrated(options: argparse.Namespace, tiled: bool) -> None:
    """Refuse what the run's calibration does not apply to."""
    if tiled and options.aggregate != "none":
        raise InputError(
            "a calibration is of single windows, not of their mean or maximum; ask for Gaussian "
            "intervals (--gaussian), or for the windows (--aggregate none). Received: --stride "
            f"{options.stride} with a calibrated run"
        )
    if options.average_strands and any(adapters(options)):
        raise InputError(
            "a calibration with averaged strands is of reverse complements of whole sequences, "
            "flanks included; leave out one of both, or ask for Gaussian intervals (--gaussian). "
            "Received: --average-strands with --flanks"
        )


def _predict_tracks(options: argparse.Namespace) -> None:
    if is_elsewhere(options):
        raise InputError(
            "tracks along a genome are predicted in one process; divide the genome instead, by "
            f"commands of some --contigs each. Received: --bigwig {received(options)}"
        )
    given = fitting_flags(options)
    others = ("aggregate", "bedgraph", "gaussian", "name", "force")
    given += [f"--{name}" for name in others if getattr(options, name)]
    if given:
        raise InputError(
            "tracks are predicted along whole contigs, by windows --step apart, without intervals, "
            "and into a folder of their own, in which the same command resumes; leave out "
            f"{' and '.join(given)}. Received: --bigwig {' '.join(given)}"
        )
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
