"""`degu predict`: sequences to a table, or contigs to bigWig tracks."""

import argparse
from collections.abc import Callable, Sequence
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
from degu_tf.cli.shared.fitting import (
    adapters,
    check_inputs,
    fitted_inputs,
    fitting_flags,
    fitting_options,
    interval_source_options,
)
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.cli.shared.windows import bedgraph_files, placed, write_bedgraphs
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from degu_tf.heads import Prediction
    from degu_tf.models.predictor import DescribedPredictor
    from degu_tf.sequences.fitting import FittedSequences
    from degu_tf.uncertainty.conformal.conformal import Conformal

LEVEL = 0.95

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
    interval_source_options(predict, " (not needed with --bigwig)")
    _window_options(fitting_options(predict))
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
    inputs = [options.run, options.sequences, options.bed, options.fasta]
    check_out(options.out, force=options.force, inputs=inputs)
    check_run(options.run)
    check_inputs(options)
    quiet.tensorflow()
    from degu_tf.distillation.runs import open_run
    from degu_tf.models.fitted import aggregated
    from degu_tf.uncertainty.calibration import find_calibration
    from degu_tf.utils.files import atomic_write

    predictor, conformal = open_run(options.run), None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    fitted, predict = _fitted(options, predictor)
    if conformal is not None:
        _check_calibrated(options, fitted)
    tracks = None
    if options.bedgraph is not None:
        tracks = bedgraph_files(
            options.bedgraph, predictor.heads.targets, fitted, force=options.force
        )
    windows = predict(fitted.sequences)
    aggregate = options.aggregate or "mean"
    prediction = windows
    if fitted.tiled and aggregate != "none":
        prediction = aggregated(windows, fitted.rows, aggregate)
    for component in missing_components(prediction):
        say(f"This model gives no {component} uncertainty; its columns are empty")
    if conformal is not None:
        say(
            f"Conformal {100 * options.level:g} % intervals, calibrated on "
            f"{conformal.notes['split']} (Gaussian ones with --gaussian)"
        )
    names = fitted.names
    if aggregate == "none":
        names = [fitted.names[row] for row in fitted.rows]
    table = prediction_table(prediction, names, options.level, conformal)
    if fitted.spans:
        table = placed(table, fitted, windows, aggregate)
    _say_floored(prediction)
    with atomic_write(options.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    if tracks is not None:
        files = write_bedgraphs(tracks, fitted, windows)
        say(f"Wrote {', '.join(map(str, files))}")
    of = f" of {counted(len(fitted.rows), 'window')}" if fitted.tiled else ""
    predictions = counted(len(table), "prediction")
    say(f"Wrote {options.out}: {predictions}{of}, interval: {table['interval'][0]}")


def _check_options(options: argparse.Namespace) -> None:
    if options.stride is None and (options.aggregate or options.bedgraph):
        raise InputError("expected --stride with --aggregate and --bedgraph. Received: no --stride")
    if options.bedgraph is not None:
        check_out_folder(options.bedgraph)


def _fitted(
    options: argparse.Namespace, predictor: "DescribedPredictor"
) -> "tuple[FittedSequences, Callable[[np.ndarray], Prediction]]":
    """Windows that fill the space between the adapters, and what predicts them."""
    from degu_tf.models.fitted import Flanked
    from degu_tf.models.predictor import Predictor, StrandAveraged

    flanks, length = adapters(options), predictor.input_length
    inner: Predictor = predictor
    if any(flanks):
        inner = flanked = Flanked(predictor, flanks)
        length = flanked.between
    averaged = StrandAveraged(inner) if options.average_strands else inner
    return fitted_inputs(options, length), averaged.predict


def _say_floored(prediction: "Prediction") -> None:
    n_floored = int(prediction.flagged().any(axis=1).sum())
    if n_floored:
        say(
            f"The model gave a negative uncertainty for {n_floored} of {len(prediction)} "
            "sequences; it was floored and says nothing: leave out rows flagged in the columns "
            "ending in _floored before sorting by uncertainty"
        )


def _check_calibrated(options: argparse.Namespace, fitted: "FittedSequences") -> None:
    """Refuse what the run's calibration does not apply to."""
    if fitted.tiled and options.aggregate != "none":
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
    given = fitting_flags(options)
    if given or options.aggregate or options.bedgraph:
        given += ["--aggregate"] if options.aggregate else []
        given += ["--bedgraph"] if options.bedgraph else []
        raise InputError(
            "tracks are predicted along whole contigs, by windows --step apart; leave out "
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
