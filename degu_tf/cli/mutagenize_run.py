"""What `degu mutagenize` does: sequences in, a table of all their variants and heat maps out."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from degu_tf.data.sources.sequences import read_sequences
from degu_tf.distillation.runs import open_run
from degu_tf.plots.variant_maps import heat_maps, layers_of
from degu_tf.sequences.encoding import as_tokens, decode
from degu_tf.sequences.fasta import read_fasta
from degu_tf.uncertainty.calibration import find_calibration
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import is_fasta
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar
from degu_tf.variants.saturation import check_known_bases, input_length, saturate

TABLE = "effects.tsv"
"""Name of the table."""

HEAT_MAPS = "heat_maps"
"""Name of the folder of figures within the output folder."""

_DPI = 150
_DRAWN = re.compile(r"\d{3,}_.*\.(pdf|png)")


def mutagenize(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Score every single-nucleotide variant of the sequences of a file, and say what was done."""
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise InputError(f"expected a folder to write to. Received: {out}, which is a file")
    if (out / TABLE).exists() and not options.force:
        raise InputError(f"the table is there already; --force replaces it. Received: {out}")
    predictor = open_run(options.run)
    conformal = None
    if not options.gaussian:
        conformal = find_calibration(options.run, predictor, options.average_strands)
    names, sequences = read_records(options)
    heads = options.head or list(predictor.heads.targets)
    unknown = [head for head in heads if head not in predictor.heads.targets]
    if unknown:
        raise InputError(
            f"expected targets among {', '.join(predictor.heads.targets)}. "
            f"Received: --head {' '.join(unknown)}"
        )
    flanks = tuple(options.flanks or ("", ""))
    with blaming(options.sequences):
        for name, sequence in zip(names, sequences, strict=True):
            input_length(predictor, sequence, name, flanks=flanks)
            check_known_bases(sequence, name)
    _clear(out / HEAT_MAPS)
    quiet = False if options.quiet else None
    n_variants, n_drawn = 0, min(options.heat_maps, len(names))
    with atomic_write(out / TABLE) as temporary, open(temporary, "w", newline="") as file:
        for number, name in enumerate(bar(names, "sequences", quiet)):
            with blaming(options.sequences):
                table = saturate(
                    predictor,
                    sequences[number],
                    name=name,
                    flanks=flanks,
                    average_strands=options.average_strands,
                    uncertainty=options.uncertainty,
                    conformal=conformal,
                    level=options.level,
                )
            table.to_csv(file, sep="\t", index=False, header=number == 0, float_format="%.6g")
            n_variants += len(table)
            if number < n_drawn:
                for head in heads:
                    draw(out / HEAT_MAPS, number, name, table, head)
    for component in ("aleatoric", "epistemic"):
        if table[f"{heads[0]}_{component}"].isna().all():
            say(f"This model gives no {component} uncertainty; its columns are empty")
    if conformal is not None:
        say(f"Conformal intervals of {100 * options.level:g} %; --gaussian gives Gaussian ones")
    say(f"Wrote {out / TABLE}: {n_variants} variants of {len(names)} sequences")
    if n_drawn:
        some = "all" if n_drawn == len(names) else f"the first {n_drawn}"
        say(f"Heat maps of {some} in {out / HEAT_MAPS}")


def read_records(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names and sequences of a file; those of FASTA may differ in length.

    Raises
    ------
    InputError
        If the file cannot be read, its sequences are not one-hot, or two have one name.
    """
    if is_fasta(options.sequences):
        names, sequences = read_fasta(options.sequences)
    else:
        named = read_sequences(
            options.sequences,
            sequence=options.sequence,
            name=options.name,
            split=options.split,
            targets=options.targets,
        )
        names, sequences = named.names, decode(as_tokens(named.sequences, named.names))
    twice = pd.Series(names).duplicated()
    if twice.any():
        raise InputError(
            f"expected a name of its own for each sequence. Received: {names[twice.argmax()]!r} "
            f"twice in {options.sequences}"
        )
    return names, sequences


def draw(folder: Path, number: int, name: str, table: pd.DataFrame, head: str) -> list[Path]:
    """Write the heat maps of one sequence and target as PDF and PNG; give the files."""
    span = f"{table['position'].min():,}-{table['position'].max():,}"
    figure = heat_maps(table, layers_of(head), title=f"{name}:{span}, {head}")
    stem = "_".join(re.sub(r"[^\w.+-]+", "-", word)[:60] for word in (name, head))
    files = [folder / f"{number:03d}_{stem}{suffix}" for suffix in (".pdf", ".png")]
    for file in files:
        with atomic_write(file) as temporary:
            figure.savefig(temporary, dpi=_DPI)
    return files


def _clear(folder: Path) -> None:
    """Remove heat maps of an earlier command."""
    for file in folder.glob("*"):
        if _DRAWN.fullmatch(file.name):
            file.unlink()
