"""`degu explain`: attribution maps of sequences, their logos and files for TF-MoDISco."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from degu_tf.cli.options import (
    choice,
    option,
    quiet_option,
    run_argument,
    sequence_file_options,
    several,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out_folder, progress, say
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
    fitted_inputs,
    fitting_flags,
    fitting_options,
    interval_source_options,
)
from degu_tf.cli.shared.inputs import check_files, check_heads, check_run
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError, blaming

if TYPE_CHECKING:
    import numpy as np

    from degu_tf.attribution.map_files import Maps
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.models.predictor import ModelPredictor

LOGOS = "logos"
"""Name of the files of logos, without suffix."""

_HOW = "to draw references from sequences, pass a file of them with --background FILE"
_METHODS = ("deepshap", "saliency", "input_x_gradient", "integrated_gradients", "ism")


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    explain = verb(
        verbs,
        "explain",
        "attribution maps: the contribution of each base to a prediction; run the same command "
        "again to resume",
        "RUN (SEQUENCES | --bed FILE --fasta GENOME) --out FOLDER [options]",
        "degu explain runs/y d.h5 --head Dev Dev_epistemic --top 200 --out maps",
        "degu explain runs/y seqs.fa --method ism --out maps",
        "degu explain runs/y --bed peaks.narrowPeak --fasta genome.fa --summit --out maps",
        "degu explain runs/x d.h5 --workers 2 --out maps",
    )
    run_argument(explain)
    explain.add_argument(
        "sequences", nargs="?", metavar="SEQUENCES", help="FASTA, TSV/CSV/parquet or HDF5 file"
    )
    explain.add_argument("--out", required=True, metavar="FOLDER", help="folder of the maps")
    quiet_option(explain)
    what = explain.add_argument_group("what to explain")
    several(what, "--head", "NAME", "columns of the model (default: its targets)")
    top = "number of sequences per head, those with the largest values"
    option(what, "--top", "N", top, whole_number(1), 1000)
    by = "values that rank the sequences; measured ones need an HDF5 file that has them"
    choice(what, "--rank-by", by, ("predicted", "measured"))
    how = explain.add_argument_group("method")
    choice(how, "--method", "attribution method; ism: in silico mutagenesis", _METHODS)
    option(
        how,
        "--background",
        "FILE",
        "deepshap: file to draw reference sequences from, or the word dinucleotide for shuffles of "
        "each sequence (default: test sequences of the HDF5 file that the run was trained on, "
        "where it still lies as seen from the run folder; else shuffles)",
    )
    references = "deepshap: number of references per sequence"
    option(how, "--references", "N", references, whole_number(1), 100)
    option(how, "--seed", "N", "deepshap: random seed of the references", whole_number(0), 1234)
    steps = "integrated_gradients: points on the path of integration"
    option(how, "--steps", "N", steps, whole_number(1), 50)
    logos = explain.add_argument_group("logos")
    option(logos, "--logos", "N", "number of sequences per head to draw", whole_number(0), 10)
    work = explain.add_argument_group("computation; the output does not depend on it")
    engine_options(work, "members of an ensemble explained in parallel")
    interval_source_options(explain)
    fitting_options(explain)
    sequence_file_options(explain)
    return explain


def run(options: argparse.Namespace) -> None:
    """Explain the sequences of a file by a run."""
    check_out_folder(options.out)
    check_run(options.run)
    check_custom_layers(options)
    check_heads(options.run, options.head or ())
    check_inputs(options)
    if options.rank_by == "measured" and (options.bed or fitting_flags(options)):
        raise InputError(
            "expected an HDF5 file of sequences as they were measured with --rank-by measured. "
            f"Received: {' '.join((['--bed'] if options.bed else []) + fitting_flags(options))}"
        )
    if options.background != "dinucleotide":
        check_files("a file of reference sequences", options.background)
    quiet.tensorflow()
    from degu_tf.attribution.background import DINUCLEOTIDE
    from degu_tf.attribution.explain_run import explain_run
    from degu_tf.attribution.methods import Method
    from degu_tf.distillation.runs import open_run

    predictor = open_run(options.run)
    _check_members(options, predictor)
    names, sequences = _windows(options, predictor.input_length)
    heads = options.head or list(predictor.heads.targets)
    ranking = None
    if options.rank_by == "measured":
        length = predictor.input_length
        ranking = measured_values(options.sequences, options.split, options.targets, heads, length)
        ranking = {head: _ranked(values, head, options.top) for head, values in ranking.items()}
    background = DINUCLEOTIDE
    if options.method == "deepshap":
        background, description = references(options, predictor)
        say(description)
    method = Method(
        name=options.method,
        background=background,
        n_references=options.references,
        seed=options.seed,
        steps=options.steps,
    )
    with engine_of(options) as executor:
        folders = explain_run(
            predictor,
            sequences,
            options.out,
            heads=heads,
            method=method,
            names=names,
            top=options.top,
            ranking=ranking,
            progress=progress(options),
            executor=executor,
        )
    for head, folder in folders.items():
        _report(options, head, folder, len(names))


def _check_members(options: argparse.Namespace, predictor: "ModelPredictor | Ensemble") -> None:
    """Refuse other processes for one model."""
    from degu_tf.distillation.ensemble import Ensemble

    if is_elsewhere(options) and not isinstance(predictor, Ensemble):
        raise InputError(
            "expected the run of an ensemble, of which each worker explains a member; one model is "
            f"explained in one process. Received: {received(options)}"
        )


def _windows(options: argparse.Namespace, length: int | None) -> "tuple[list[str], np.ndarray]":
    """Names and sequences to explain: windows of the model's input length, adapters included."""
    from degu_tf.models.fitted import between_flanks
    from degu_tf.sequences.encoding import as_tokens

    flanks = adapters(options)
    if length is not None:
        length -= sum(map(len, flanks))
    fitted = fitted_inputs(options, length, crop=True)
    sequences = fitted.sequences
    if any(flanks):
        sequences = between_flanks(as_tokens(sequences, fitted.labels), flanks)
    return fitted.labels, sequences


def _report(options: argparse.Namespace, head: str, folder: Path, n_sequences: int) -> None:
    """Say what was written for a head, after drawing its logos."""
    import numpy as np

    from degu_tf.attribution.map_files import ATTRIBUTIONS, MAPS, ONE_HOT, read_maps

    maps = read_maps(folder / MAPS)
    some, largest = "all", ""
    if len(maps) < n_sequences:
        some = f"{len(maps)} of {n_sequences}"
        largest = f" with the largest {options.rank_by} {head}"
    say(f"{head}: maps of {some} sequences{largest} in {folder / MAPS}")
    if maps.delta is not None:
        say(f"{head}: largest convergence delta {np.abs(maps.delta).max():.2g}")
    if maps.sequences.ndim == 3:
        say(f"{head}: no logos and no files for TF-MoDISco, since the sequences are not one-hot")
        return
    if options.logos:
        say(f"{head}: logos in {draw_logos(folder, maps, options.logos)}")
    width = maps.sequences.shape[1] // 2 * 2
    pair = f"-s {folder / ONE_HOT} -a {folder / ATTRIBUTIONS}"
    say(f"{head}: for TF-MoDISco: modisco motifs {pair} -n 2000 -w {width}")


def measured_values(
    path: str, split: str, targets: list[str] | None, heads: list[str], length: int | None = None
) -> "dict[str, np.ndarray]":
    """Measured values `(N,)` of each head in a split of an HDF5 file.

    Of profiles the mean over as many bases in their middle as the model takes, which are explained.

    Raises
    ------
    InputError
        If the file is no HDF5 file, or has no such column.
    """
    from degu_tf.data.hdf5.splits_file import read_splits

    with blaming("--rank-by measured"):
        splits = read_splits(path, targets, missing_targets="keep")
        part, layout = getattr(splits, split).centred(length), splits.heads
        columns = {head: part.targets[..., layout.column(head)] for head in heads}
    return {
        head: values if values.ndim == 1 else values.mean(axis=1)
        for head, values in columns.items()
    }


def _ranked(values: "np.ndarray", head: str, top: int) -> "np.ndarray":
    """Measured values by which sequences are ranked; those without one come last.

    Raises
    ------
    InputError
        If they would be among those with the largest values.
    """
    import numpy as np

    missing = np.isnan(values)
    present = int((~missing).sum())
    if present < top < len(values):
        raise InputError(
            f"expected --top of at most {present}, the sequences with a measured {head}. "
            f"Received: --top {top}"
        )
    return np.where(missing, np.nextafter(values[~missing].min(), -np.inf), values)


def references(
    options: argparse.Namespace, predictor: "ModelPredictor | Ensemble"
) -> tuple[Any, str]:
    """DeepSHAP's references, and a line that describes them.

    By default they are drawn from the test sequences of the data that the run was trained on, as in
    the paper, if the file is where the run recorded it; else each sequence is shuffled.

    Raises
    ------
    InputError
        If the file has too few sequences or ones of another length.
    """
    from degu_tf.attribution.background import DINUCLEOTIDE, random_background
    from degu_tf.data.sources.sequences import read_sequences

    shuffled = f"References: {options.references} dinucleotide shuffles of each sequence"
    if options.background == DINUCLEOTIDE:
        return DINUCLEOTIDE, shuffled
    path = options.background
    if path is None:
        path = data_file(options.run)
        if path is None:
            return DINUCLEOTIDE, f"{shuffled}, since {why_no_data(options.run)}; {_HOW}"
        with blaming(f"the run's data; {_HOW}"):
            found = read_sequences(
                path,
                split="test",
                targets=options.targets or predictor.heads.targets,
                length=predictor.input_length,
                crop=True,
            )
        n = min(options.references, len(found.names))
    else:
        n = options.references
        found = read_sequences(
            path,
            sequence=options.sequence,
            split=options.split,
            targets=options.targets,
            length=predictor.input_length,
            crop=True,
        )
    with blaming(path):
        drawn = random_background(found.sequences, n, options.seed)
    return drawn, f"References: {n} random sequences of the {len(found.names)} in {path}"


def data_file(run: str) -> Path | None:
    """The data that a run was trained on, if the HDF5 file is where the run recorded it.

    A run may come from a stranger: its manifest names a file beside it, never one from the root,
    and a file that is not HDF5 is not opened.
    """
    from degu_tf.utils.file_types import file_type
    from degu_tf.utils.run_folder import RunFolder

    if Path(run).is_file():
        return None
    recorded = RunFolder(run).manifest().get("data_file")
    if not isinstance(recorded, str) or os.path.isabs(recorded):
        return None
    path = Path(os.path.normpath(Path(run).resolve() / recorded))
    return path if path.is_file() and file_type(path) == "HDF5" else None


def why_no_data(run: str) -> str:
    """What keeps `data_file` from finding a run's data, in a few words."""
    from degu_tf.utils.run_folder import RunFolder

    if Path(run).is_file():
        return "a model file does not tell what it was trained on"
    recorded = RunFolder(run).manifest().get("data_file")
    if not isinstance(recorded, str):
        return "the run does not tell which file it was trained on"
    return f"the run was trained on {recorded!r} as seen from its folder, and no HDF5 file is there"


def draw_logos(folder: Path, maps: "Maps", n: int) -> Path:
    """Write the logos of the first `n` sequences as PNG and PDF; give the PNG file.

    Hypothetical scores are drawn: see `degu_tf.attribution.motifs.importance`.
    """
    from degu_tf.attribution.motifs import importance
    from degu_tf.plots.sequence_logos import logos
    from degu_tf.utils.files import atomic_write

    figure = logos(
        importance(maps.hypothetical[:n], maps.sequences[:n]),
        maps.sequences[:n],
        [logo_title(maps, row) for row in range(min(n, len(maps)))],
        label=f"{maps.method} of {maps.head}",
    )
    for suffix in (".pdf", ".png"):
        file = folder / f"{LOGOS}{suffix}"
        with atomic_write(file) as temporary:
            figure.savefig(temporary, dpi=150)
    return file


def logo_title(maps: "Maps", row: int) -> str:
    """The title of a logo: the sequence, its activity and the standard deviation of that.

    Parameters
    ----------
    maps
        Maps with predictions.
    row
        One of their sequences.

    Examples
    --------
    >>> import numpy as np
    >>> from degu_tf.attribution.map_files import Maps
    >>> one = np.ones(1)
    >>> maps = Maps("Dev", "Dev", "saliency", ["chr2L:5"], one, one, one, one, one,
    ...             activity=3.2 * one, aleatoric=0.3 * one, epistemic=0.4 * one)
    >>> logo_title(maps, 0)
    'chr2L:5   Dev 3.20 ± 0.50 (epistemic 0.40, aleatoric 0.30)'
    """
    import numpy as np

    from degu_tf.heads import total_std

    activity = maps.value if maps.activity is None else maps.activity
    parts = {
        name: np.asarray(getattr(maps, name)[row])
        for name in ("epistemic", "aleatoric")
        if getattr(maps, name) is not None
    }
    text = f"{maps.names[row]}   {maps.target} {float(activity[row]):.2f}"
    if parts:
        text += f" ± {total_std(*parts.values()):.2f}"
        text += f" ({', '.join(f'{name} {value:.2f}' for name, value in parts.items())})"
    return text if maps.head == maps.target else f"{text}   map of {maps.head}"
