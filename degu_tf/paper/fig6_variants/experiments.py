"""Saturation mutagenesis to be predicted: of regulatory elements, or simulated with known effects.

Official and published tables come through `degu_tf.data.sources.cagi5`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from degu_tf.data.simulation.grammar import TARGETS, true_activity, true_noise
from degu_tf.data.sources.cagi5 import CELL_TYPES, read_elements, with_missing_alternatives
from degu_tf.data.splits import Splits
from degu_tf.sequences.encoding import decode, encode, mutate
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.elements import Genomes, SequenceGenome
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant, Windows
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import file_type, is_fasta
from degu_tf.variants.saturation import single_nucleotide_variants

MEASURED, TRUTH = "measured", "truth"
"""Columns of an experiment's table."""

REPLICATES = 10
"""Measurements of each simulated variant, by barcodes of its own; their mean is its value."""

CANDIDATES = 100
"""Most active sequences among which simulated elements are chosen."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """Measured effects of an element's single-nucleotide variants.

    Attributes
    ----------
    name
        Of the experiment, such as ``"PKLR-48h"``.
    element
        What was mutated, such as ``"PKLR"``.
    genome
        Where its sequence is read.
    table
        One row a variant: `contig`, `position` (1-based), `ref`, `alt`, `measured` (NaN for
        alternatives that were not), `truth` (of simulated ones, else NaN).
    """

    name: str
    element: str
    genome: Genome
    table: pd.DataFrame


@dataclass(frozen=True)
class Files:
    """A user's files by kind: training data, tables of measured effects, and genomes."""

    training: tuple[Path, ...]
    tables: tuple[Path, ...]
    genomes: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Data that models are trained on, and the experiments of their cell types.

    Attributes
    ----------
    name
        Of the file.
    splits
        The data.
    experiments
        Each with the target that stands for its cell type.
    """

    name: str
    splits: Splits
    experiments: list[tuple[Experiment, str]]


def simulated(
    sequences: np.ndarray, target: str, n: int = 4, seed: int = 0, replicates: int = REPLICATES
) -> list[Experiment]:
    """Saturation mutagenesis of simulated sequences, with known effects.

    Among the `CANDIDATES` most active sequences those are taken whose true effects vary most. The
    truth is that of `degu_tf.data.simulation.grammar.true_activity`; measured is the mean of
    replicates with the alternative allele's own noise (`true_noise`). The reference has so many
    barcodes that its activity counts as known.

    Parameters
    ----------
    sequences
        Tokens `(N, L)` that no model was trained on.
    target
        ``"Dev"`` or ``"Hk"``.
    n
        Elements.
    seed
        Of the noise.
    replicates
        Measurements of each variant.

    Raises
    ------
    InputError
        If there are fewer sequences than elements, or no such target.

    Examples
    --------
    >>> from degu_tf.data.simulation.mpra import simulate
    >>> test = simulate((1, 1, 9), 60).splits.test.sequences
    >>> (experiment,) = simulated(test, "Hk", 1)
    >>> experiment.name, len(experiment.table)
    ('element 1', 180)
    """
    if target not in TARGETS:
        raise InputError(f"expected one of the simulated targets {TARGETS}. Received: {target!r}")
    if not 1 <= n <= len(sequences):
        raise InputError(f"expected 1 to {len(sequences)} elements. Received: n={n}")
    column = TARGETS.index(target)
    activity = true_activity(sequences)[:, column]
    active = np.argsort(-activity, kind="stable")[: max(CANDIDATES, n)]
    spread = [np.std(_mutants(sequences[row], column)[0]) for row in active]
    chosen = active[np.argsort(-np.array(spread), kind="stable")[:n]]
    names = [f"element {number}" for number in range(1, n + 1)]
    genome = SequenceGenome(dict(zip(names, decode(sequences[chosen]), strict=True)))
    rng = np.random.default_rng(seed)
    experiments = []
    for name, row in zip(names, chosen, strict=True):
        effects, noise = _mutants(sequences[row], column)
        variants = single_nucleotide_variants(name, decode(sequences[[row]])[0])
        measured = effects + noise / np.sqrt(replicates) * rng.standard_normal(len(effects))
        table = pd.DataFrame(
            [(each.contig, each.position, each.ref, each.alt) for each in variants],
            columns=["contig", "position", "ref", "alt"],
        )
        table[MEASURED], table[TRUTH] = measured, effects
        experiments.append(Experiment(name, name, genome, table))
    return experiments


def _mutants(tokens: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """True effect and noise of every variant of one sequence, in the order of the variants."""
    variants = single_nucleotide_variants("x", decode(tokens[np.newaxis])[0])
    places = np.array([variant.start for variant in variants])
    bases = encode([variant.alt for variant in variants])[:, 0]
    mutants = mutate(np.repeat(tokens[np.newaxis], len(variants), axis=0), places, bases)
    reference = true_activity(tokens[np.newaxis])[0, column]
    return true_activity(mutants)[:, column] - reference, true_noise(mutants)[:, column]


def sort_files(paths: Sequence[Path]) -> Files:
    """Tell files apart by content: HDF5, 2bit or FASTA; others are taken for tables.

    Raises
    ------
    InputError
        If one cannot be read, or a kind is missing.
    """
    found: dict[str, list[Path]] = {"training": [], "tables": [], "genomes": []}
    for path in paths:
        found[_kind(Path(path))].append(Path(path))
    words = {
        "training": "an HDF5 file to train on",
        "tables": "a table of measured effects",
        "genomes": "a genome or the elements, as FASTA or 2bit",
    }
    missing = [words[kind] for kind, files in found.items() if not files]
    if missing:
        raise InputError(
            f"variant effects need {', '.join(words.values())}; missing: {', '.join(missing)}. "
            f"Received: {' '.join(map(str, paths))}"
        )
    return Files(**{kind: tuple(files) for kind, files in found.items()})


def _kind(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"expected a file. Received: {path}, which is none")
    kind = file_type(path)
    if kind == "HDF5":
        return "training"
    return "genomes" if kind == "2bit" or is_fasta(path) else "tables"


def read_experiments(
    tables: Sequence[Path], genomes: Sequence[Path], length: int
) -> list[Experiment]:
    """Read the experiments of tables, with the single-nucleotide variants that were not measured.

    A printed line counts the variants omitted: deletions, and those without a window.

    Parameters
    ----------
    tables
        For `degu_tf.data.sources.cagi5.read_elements`.
    genomes
        A genome, or files of elements, which are put together.
    length
        Bases of the genome in a window.

    Raises
    ------
    InputError
        As of `read_elements`.
    """
    opened = [open_genome(path) for path in genomes]
    genome = opened[0] if len(opened) == 1 else Genomes(opened)
    measured = read_elements(list(tables), genome).table
    windows = Windows(genome, length)
    experiments = []
    for name, rows in with_missing_alternatives(measured).groupby("experiment", sort=False):
        single = rows[(rows["ref"].str.len() == 1) & rows["alt"].isin(list("ACGT"))]
        reasons = [
            windows.why_not(Variant(row.contig, row.position, row.ref, row.alt))
            for row in single[["contig", "position", "ref", "alt"]].itertuples()
        ]
        kept = single[[reason is None for reason in reasons]]
        _report_omitted(str(name), rows, single, reasons)
        table = kept[["contig", "position", "ref", "alt"]].assign(
            **{MEASURED: kept["value"], TRUTH: np.nan}
        )
        element = str(rows["element"].iloc[0])
        experiments.append(Experiment(str(name), element, genome, table.reset_index(drop=True)))
    return experiments


def _report_omitted(
    name: str, rows: pd.DataFrame, single: pd.DataFrame, reasons: Sequence[str | None]
) -> None:
    others = int(rows["value"].notna().sum() - single["value"].notna().sum())
    omitted = {"not of one base": others} if others else {}
    for reason, value in zip(reasons, single["value"], strict=True):
        if reason is not None and np.isfinite(value):
            omitted[reason] = omitted.get(reason, 0) + 1
    if omitted:
        words = ", ".join(f"{count} {reason}" for reason, count in omitted.items())
        print(f"{name}: {sum(omitted.values())} of {rows['value'].notna().sum()} omitted: {words}")


def match_cells(
    names: Sequence[str], training: Sequence[Splits], experiments: Sequence[Experiment]
) -> list[TrainingData]:
    """Put experiments beside the training data of their cell types.

    An element's cell type is that of `degu_tf.data.sources.cagi5.CELL_TYPES`. It is found in the
    name of a target, or in that of a file with one target; other elements go with the only target
    there is.

    Raises
    ------
    InputError
        If no target, or more than one, is of an experiment's cell type.
    """
    data = list(zip(names, training, strict=True))
    named = [
        (number, target, f"{stem} {target}" if splits.heads.n_targets == 1 else target)
        for number, (stem, splits) in enumerate(data)
        for target in splits.heads.targets
    ]
    chosen: list[list[tuple[Experiment, str]]] = [[] for _ in data]
    for experiment in experiments:
        cell = CELL_TYPES.get(experiment.element)
        fitting = [each for each in named if cell is None or cell.lower() in each[2].lower()]
        if len(fitting) != 1:
            wanted = "one target" if cell is None else f"one target of {cell}"
            raise InputError(
                f"{experiment.name}: expected {wanted}, named in the target or its file. "
                f"Received: {', '.join(target for _, target, _ in named)} in "
                f"{', '.join(names)}"
            )
        ((number, target, _),) = fitting
        chosen[number].append((experiment, target))
    return [
        TrainingData(stem, splits, own)
        for (stem, splits), own in zip(data, chosen, strict=True)
        if own
    ]
