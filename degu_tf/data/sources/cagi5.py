"""Measured effects of single-nucleotide variants: CAGI5 tables and saturation mutagenesis."""

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import using_genome
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import open_text

CELL_TYPES = {"PKLR": "K562", "LDLR": "HepG2", "F9": "HepG2", "SORT1": "HepG2"}
"""Elements of the paper and the cells they were measured in (Methods, "CAGI5")."""

MAX_MISMATCHES = 0.01
"""Maximum share of reference mismatches of a table."""

KEY = ("experiment", "contig", "position", "ref", "alt")
"""Columns that tell the rows of a table apart."""

_HEADER_LINES = 7
_OFFICIAL = ("contig", "position", "ref", "alt", "value", "confidence")
_CALLED = {
    "experiment": ("element",),
    "contig": ("chrom", "chromosome"),
    "position": ("pos", "position"),
    "ref": ("ref",),
    "alt": ("alt",),
    "value": ("coefficient", "value"),
    "confidence": ("confidence",),
    "p_value": ("pvalue", "p-value"),
    "barcodes": ("barcodes", "tags"),
}
_EXTRA = ("confidence", "p_value", "barcodes")
_NAMED = re.compile(r"(?i)##?\s*regulatory_element\s*[=:]\s*(\S+)")
_SUFFIX = re.compile(r"(?i)(\.(tsv|txt))?(\.b?gz)?$")
_OFFICIAL_FILE = re.compile(r"(?i)^(challenge|release)_")


@dataclass(frozen=True, eq=False)
class Mutagenesis:
    """Measured effects, and the rows that are not of the genome.

    Attributes
    ----------
    table
        One row a variant in the order of the files: `element` (``SORT1``), `experiment`
        (``SORT1.2``), `contig` (as the genome calls it), `position` (1-based), `ref`, `alt` (``-``
        deletes), `value` (log2 of the effect), and where a file has them `confidence` (0 to 1),
        `p_value`, `barcodes`; NaN for rows of files that have not.
    mismatches
        Rows left out because `ref` is not what the genome has there: the columns of `table`, and
        `genome`, the bases it has.
    """

    table: pd.DataFrame
    mismatches: pd.DataFrame


def read_elements(
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    genome: Genome | str | os.PathLike,
    *,
    max_mismatches: float = MAX_MISMATCHES,
) -> Mutagenesis:
    r"""Read tables of measured variant effects; their type is detected from file content.

    Official CAGI5 tables have seven header lines, then chromosome, 1-based position, ref, alt,
    value and confidence; the experiment is what the header calls ``regulatory_element``, else what
    follows ``challenge_`` or ``release_`` in the file's name. Saturation mutagenesis tables
    (Kircher et al. 2019) name their columns, and the experiment in one called ``Element``. Files of
    one experiment, challenge and release for example, are put together.

    Parameters
    ----------
    paths
        One table or several.
    genome
        The genome whose positions they use (CAGI5: hg19), or its elements.
    max_mismatches
        Share of an experiment's rows whose `ref` may differ from the genome. Such rows are counted
        in a warning and listed in the result.

    Raises
    ------
    InputError
        If a file is missing or no such table, a line has too few columns, a position or value that
        is no number, or alleles that are not DNA; a variant is repeated or not covered by the
        genome; or more references differ from the genome than `max_mismatches`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "sort1.fa").write_text(">SORT1 chr1:101-106\nACGTAC\n")
    >>> rows = ["Element\tChrom\tPos\tRef\tAlt\tCoefficient", "SORT1.2\t1\t103\tG\tT\t-0.5"]
    >>> _ = (folder / "sort1.tsv").write_text("\n".join(rows))
    >>> print(read_elements(folder / "sort1.tsv", folder / "sort1.fa").table.to_string(index=False))
    element experiment contig  position ref alt  value
      SORT1    SORT1.2   chr1       103   G   T   -0.5
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not paths:
        raise InputError("expected one table or more. Received: none")
    if not 0 <= max_mismatches <= 1:
        raise InputError(f"a share lies between 0 and 1. Received: {max_mismatches=}")
    table = pd.concat([_read_table(Path(path)) for path in paths], ignore_index=True)
    with using_genome(genome) as opened:
        bases = _reference(table, opened)
    _check_twice(table)
    wrong = table["ref"].to_numpy() != np.array(bases, dtype=object)
    columns = ["element", *KEY, "value", *(name for name in _EXTRA if name in table)]
    listed = table.assign(genome=bases)[wrong]
    _check_share(table, listed, max_mismatches)
    if wrong.any():
        warnings.warn(
            f"{wrong.sum()} of {len(table)} rows are left out because their reference is not what "
            f"the genome has; they are listed in mismatches. {_examples(listed)}",
            stacklevel=2,
        )
    return Mutagenesis(
        table.loc[~wrong, columns].reset_index(drop=True),
        listed[[*columns, "genome"]].reset_index(drop=True),
    )


def to_variants(table: pd.DataFrame) -> list[Variant]:
    """Variants of a table's rows, in order, called by their experiment.

    Examples
    --------
    >>> row = {"experiment": "SORT1.2", "contig": "chr1", "position": 103, "ref": "G", "alt": "T"}
    >>> to_variants(pd.DataFrame([row]))
    [Variant(contig='chr1', position=103, ref='G', alt='T', id='SORT1.2')]
    """
    rows = zip(*(table[column].tolist() for column in KEY), strict=True)
    return [
        Variant(contig, int(position), ref, alt, experiment)
        for experiment, contig, position, ref, alt in rows
    ]


def with_missing_alternatives(
    table: pd.DataFrame, genome: Genome | str | os.PathLike | None = None
) -> pd.DataFrame:
    """Add the single-nucleotide variants that were not measured, with NaN for what is measured.

    Parameters
    ----------
    table
        As in `Mutagenesis.table`.
    genome
        With it, positions between an experiment's first and last at which nothing was measured are
        filled too; without it, each measured position gets its three alternatives.

    Returns
    -------
    pandas.DataFrame
        Experiments in the order of the table, each sorted by position and alleles; deletions and
        other alleles stay.

    Examples
    --------
    >>> row = {"experiment": "SORT1.2", "contig": "chr1", "position": 103, "ref": "G", "alt": "T"}
    >>> with_missing_alternatives(pd.DataFrame([row | {"value": -0.5}]))[["alt", "value"]].values
    array([['A', nan],
           ['C', nan],
           ['T', -0.5]], dtype=object)
    """
    parts = []
    names = [name for name in ("element", "experiment", "contig") if name in table]
    for labels, rows in table.groupby(names, sort=False):
        bases = _bases(rows)
        if genome is not None:
            first, last = int(rows["position"].min()), int(rows["position"].max())
            with using_genome(genome) as opened:
                stretch = opened.fetch(labels[-1], first - 1, last)
            bases = dict(enumerate(stretch, start=first)) | bases
        seen = set(zip(rows["position"], rows["ref"], rows["alt"], strict=True))
        added = [
            dict(zip(names, labels, strict=True)) | {"position": position, "ref": ref, "alt": alt}
            for position, ref in bases.items()
            for alt in "ACGT"
            if ref != "N" and alt != ref and (position, ref, alt) not in seen
        ]
        whole = rows.to_dict("records") + added
        parts += sorted(whole, key=lambda row: (row["position"], row["ref"], row["alt"]))
    return pd.DataFrame(parts, columns=table.columns)


def _read_table(path: Path) -> pd.DataFrame:
    lines = _lines(path)
    experiment = _OFFICIAL_FILE.sub("", _SUFFIX.sub("", path.name))
    if {"pos", "position"} & set(lines[0].lower().split()):
        names, first = _columns(lines[0], path), 1
    else:
        names, first = list(_OFFICIAL), _official_header(lines, path)
        named = (found[1] for line in lines[:first] if (found := _NAMED.match(line)))
        experiment = next(named, experiment)
    rows = []
    for number, line in enumerate(lines[first:], start=first + 1):
        fields = line.split("\t") if "\t" in line else line.split()
        if len(fields) != len(names):
            raise InputError(
                f"line {number} of {path}: expected {len(names)} columns. "
                f"Received: {len(fields)} in {line[:80]!r}"
            )
        rows.append([field.strip() for field in fields])
    if not rows:
        raise InputError(f"expected variants below the header. Received: none in {path}")
    text = pd.DataFrame(rows, columns=names)
    if "experiment" not in text:
        text["experiment"] = experiment
    return _parsed(text, path, first + 1)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"expected a table of variants. Received: {path}, which is no file")
    with open_text(path, "table") as handle:
        lines = handle.read().splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"expected a table of variants. Received: {path}, which is empty")
    return lines


def _official_header(lines: list[str], path: Path) -> int:
    """How many lines come before the first variant; seven, marked with # or not."""
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if first != _HEADER_LINES:
        fields = (line.split() for line in lines)
        first = next((i for i, f in enumerate(fields) if len(f) > 1 and f[1].isdigit()), len(lines))
    if first != _HEADER_LINES:
        raise InputError(
            "expected an official CAGI5 table with seven header lines, or a saturation mutagenesis "
            f"table whose first line names its columns. Received: {first} header lines in {path}"
        )
    return first


def _columns(header: str, path: Path) -> list[str]:
    """Column names of a saturation mutagenesis table; unknown ones are kept."""
    names = [name.strip().lstrip("#") for name in header.split("\t")]
    known = {called: column for column, all_called in _CALLED.items() for called in all_called}
    columns = [known.get(name.lower(), name) for name in names]
    present = {*columns, "experiment", *_EXTRA}
    missing = [called[0] for column, called in _CALLED.items() if column not in present]
    if missing or len(set(columns)) < len(columns):
        raise InputError(
            "expected the columns Element, Chrom, Pos, Ref, Alt and Coefficient, each once; "
            f"missing: {missing or 'none'}. Received: {names} in {path}"
        )
    return columns


def _parsed(text: pd.DataFrame, path: Path, first: int) -> pd.DataFrame:
    """Rows with numbers and capital letters; `first` is the number of the first row's line."""

    def refuse(good: pd.Series, expected: str, *columns: str) -> None:
        if not good.all():
            row = int(np.argmin(good.to_numpy()))
            received = ", ".join(f"{column}={text[column].iloc[row]!r}" for column in columns)
            raise InputError(
                f"line {row + first} of {path}: expected {expected}. Received: {received}"
            )

    table = text[["experiment", "contig"]].copy()
    table["element"] = table["experiment"].str.extract(r"^([^.\-]+)", expand=False)
    refuse(table["element"].notna(), "the name of an experiment", "experiment")
    position = text["position"].str.fullmatch(r"[1-9]\d{0,17}")
    refuse(position, "a position counted from 1", "position")
    table["position"] = text["position"].astype(np.int64)
    for allele, letters, expected in (
        ("ref", "[ACGT]+", "bases A, C, G, T"),
        ("alt", "-|[ACGT]+", "bases A, C, G, T, or - for a deletion"),
    ):
        table[allele] = text[allele].str.upper()
        refuse(table[allele].str.fullmatch(letters), expected, allele)
    refuse(table["ref"] != table["alt"], "two different alleles", "ref", "alt")
    for column in ("value", *_EXTRA):
        if column in text:
            table[column] = pd.to_numeric(text[column], errors="coerce").astype(np.float64)
            known = np.isfinite(table[column])
            unknown = text[column].str.lower().isin(["", "na", "nan"]) & (column != "value")
            refuse(known | unknown, "a number", column)
    return table


def _reference(table: pd.DataFrame, genome: Genome) -> list[str]:
    """The genome's bases at each row's reference; contigs are renamed as in the genome."""
    bases = []
    for row in table.itertuples(index=False):
        start, end = row.position - 1, row.position - 1 + len(row.ref)
        contig = genome.contig(row.contig)
        if contig is None or not (
            genome.covers(contig, start, end) and end <= genome.contigs[contig]
        ):
            raise InputError(
                f"the genome does not hold {row.contig}:{row.position} of {row.experiment}; give "
                "the genome or all elements that the tables are of. Received: "
                f"{genome.path} with {', '.join(list(genome.contigs)[:5])}"
            )
        bases.append(genome.fetch(contig, start, end))
    table["contig"] = [genome.contig(contig) for contig in table["contig"]]
    return bases


def _check_twice(table: pd.DataFrame) -> None:
    again = table.duplicated(list(KEY))
    if again.any():
        row = table[again].iloc[0]
        raise InputError(
            "expected each variant of an experiment once; is a table given twice, or do two "
            f"experiments have one name? Received: {again.sum()} variants more than once, first "
            f"{_written(row)} of {row['experiment']}"
        )


def _check_share(table: pd.DataFrame, listed: pd.DataFrame, max_mismatches: float) -> None:
    sizes, counts = (part["experiment"].value_counts() for part in (table, listed))
    for experiment, count in counts.items():
        if count > max_mismatches * sizes[experiment]:
            raise InputError(
                f"{count} of {sizes[experiment]} references of {experiment} are not what the "
                f"genome has, more than the share max_mismatches={max_mismatches:g}; is it of the "
                "table's build (CAGI5: hg19)? "
                f"Received: {_examples(listed[listed['experiment'] == experiment])}"
            )


def _examples(listed: pd.DataFrame) -> str:
    shown = (
        f"{_written(row)} where it has {row['genome']}" for _, row in listed.head(3).iterrows()
    )
    return ", ".join(shown) + (", ..." if len(listed) > 3 else "")


def _written(row: pd.Series) -> str:
    return f"{row['contig']}:{row['position']} {row['ref']}>{row['alt']}"


def _bases(rows: pd.DataFrame) -> dict[int, str]:
    """The reference base at each position, also within longer alleles."""
    alleles = zip(rows["position"], rows["ref"], strict=True)
    return {position + i: base for position, ref in alleles for i, base in enumerate(ref)}
