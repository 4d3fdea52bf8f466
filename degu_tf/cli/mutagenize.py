"""`degu mutagenize`: every single-nucleotide variant of sequences, as a table and heat maps."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    effect_options,
    flag,
    option,
    quiet_option,
    run_argument,
    sequence_file_options,
    several,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out, counted, progress, say
from degu_tf.cli.shared.elements import (
    check_elements,
    interval_options,
    placed,
    read_elements,
)
from degu_tf.cli.shared.fitting import pad_option
from degu_tf.cli.shared.inputs import check_heads, check_run
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError, blaming

if TYPE_CHECKING:
    import pandas as pd

TABLE = "effects.tsv"
"""Name of the table."""

HEAT_MAPS = "heat_maps"
"""Name of the folder of figures within the output folder."""

_DPI = 150
_DRAWN = re.compile(r"\d{3,}_.*\.(pdf|png)")


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    mutagenize = verb(
        verbs,
        "mutagenize",
        "effects of every single-nucleotide variant of sequences: a table and heat maps",
        "RUN (SEQUENCES | --bed FILE --fasta GENOME) --out FOLDER [options]",
        "degu mutagenize runs/y elements.fa --out saturated",
        "degu mutagenize runs/y oligos.tsv --heat-maps 3 --unit 'log2(RNA/DNA)' --out saturated",
        "degu mutagenize runs/y short.fa --pad N --out saturated",
        "degu mutagenize runs/y --bed peaks.narrowPeak --fasta genome.fa --summit --out saturated",
    )
    run_argument(mutagenize)
    mutagenize.add_argument(
        "sequences",
        nargs="?",
        metavar="SEQUENCES",
        help="FASTA, TSV/CSV/parquet or HDF5 file; sequences of the model's input length or longer "
        "(then the window is centred on the variant, or as near as the sequence's ends allow), or "
        "shorter ones with --pad",
    )
    mutagenize.add_argument("--out", required=True, metavar="FOLDER", help="folder to write")
    flag(mutagenize, "--force", "overwrite the folder's table and heat maps")
    quiet_option(mutagenize)
    how = mutagenize.add_argument_group("prediction")
    effect_options(how)
    pad_option(
        how,
        "flanks: with the nearest bases of --flanks, or around intervals the genome's own",
        "; N also stands beyond the ends of a contig",
    )
    maps = mutagenize.add_argument_group("heat maps")
    option(maps, "--heat-maps", "N", "number of sequences to draw", whole_number(0), 10)
    several(maps, "--head", "NAME", "targets to draw (default: all)")
    unit = "unit of the targets, written beside the colours (default: the target's name)"
    option(maps, "--unit", "TEXT", unit)
    interval_options(mutagenize)
    sequence_file_options(mutagenize)
    return mutagenize


def run(options: argparse.Namespace) -> None:
    """Score every single-nucleotide variant of sequences."""
    out = Path(options.out)
    inputs = [options.run, options.sequences, options.bed, options.fasta]
    check_out(out / TABLE, force=options.force, inputs=inputs)
    check_run(options.run)
    check_heads(options.run, options.head or ())
    check_elements(options)
    quiet.tensorflow()
    from degu_tf.distillation.runs import open_run
    from degu_tf.uncertainty.calibration import find_calibration
    from degu_tf.utils.files import atomic_write
    from degu_tf.utils.progress import bar
    from degu_tf.variants.saturation import check_known_bases, input_length, saturate

    predictor = open_run(options.run)
    conformal = None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    elements = read_elements(options, predictor.input_length)
    heads, source = _heads(options, predictor.heads.targets), options.bed or options.sequences
    with blaming(source):
        for name, sequence, flanks, _ in elements:
            input_length(predictor, sequence, name, flanks=flanks, pad=options.pad)
            check_known_bases(sequence, name)
    _clear(out / HEAT_MAPS)
    n_variants, n_drawn = 0, min(options.heat_maps, len(elements))
    with atomic_write(out / TABLE) as temporary, open(temporary, "w", newline="") as file:
        for number, element in enumerate(bar(elements, "sequences", progress(options))):
            with blaming(source):
                table = saturate(
                    predictor,
                    element.sequence,
                    name=element.name,
                    flanks=element.flanks,
                    average_strands=options.average_strands,
                    uncertainty=options.uncertainty,
                    conformal=conformal,
                    level=options.level,
                    # what is as long as the model needs none, and has no flanks
                    pad=options.pad if options.pad != "flanks" or any(element.flanks) else None,
                )
                table = placed(table, element)
            table.to_csv(file, sep="\t", index=False, header=number == 0, float_format="%.6g")
            n_variants += len(table)
            if number < n_drawn:
                for head in heads:
                    draw(out / HEAT_MAPS, number, element.name, table, head, options.unit)
    for component in ("aleatoric", "epistemic"):
        if table[f"{heads[0]}_{component}"].isna().all():
            say(f"This model gives no {component} uncertainty; its columns are empty")
    if conformal is not None:
        say(f"Conformal {100 * options.level:g} % intervals (Gaussian ones with --gaussian)")
    say(f"Wrote {out / TABLE}: {n_variants} variants of {counted(len(elements), 'sequence')}")
    if n_drawn:
        say(f"Heat maps of {n_drawn} of {counted(len(elements), 'sequence')} in {out / HEAT_MAPS}")


def _heads(options: argparse.Namespace, targets: tuple[str, ...]) -> list[str]:
    heads = options.head or list(targets)
    unknown = [head for head in heads if head not in targets]
    if unknown:
        raise InputError(
            f"expected targets among {', '.join(targets)}. Received: --head {' '.join(unknown)}"
        )
    return heads


def draw(
    folder: Path,
    number: int,
    name: str,
    table: "pd.DataFrame",
    head: str,
    unit: str | None = None,
) -> list[Path]:
    """Write the heat maps of one sequence and target as PDF and PNG; give the files."""
    from degu_tf.plots.variant_maps import heat_maps, layers_of
    from degu_tf.utils.files import atomic_write

    span = f"{table['position'].min():,}-{table['position'].max():,}"
    figure = heat_maps(table, layers_of(head), title=f"{name}:{span}, {head}", unit=unit)
    stem = "_".join(re.sub(r"[^\w.+-]+", "-", word)[:60] for word in (name, head))
    files = [folder / f"{number:03d}_{stem}{suffix}" for suffix in (".pdf", ".png")]
    for file in files:
        with atomic_write(file) as temporary:
            figure.savefig(temporary, dpi=_DPI)
    return files


def _clear(folder: Path) -> None:
    """Remove the heat maps of an earlier command."""
    for file in folder.glob("*"):
        if _DRAWN.fullmatch(file.name):
            file.unlink()
