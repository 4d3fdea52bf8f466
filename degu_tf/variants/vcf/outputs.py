"""Scored variants as files: tables, and VCFs with INFO fields that other tools read.

Numbers have six significant digits.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pandas as pd

from degu_tf import __version__
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar
from degu_tf.variants.effects import PARTS
from degu_tf.variants.vcf.reader import TEXT, Record, VcfReader, alternatives

_GZIPPED = (".gz", ".bgz")
_LONGEST_TBI = 2**29

_DESCRIBED = {
    "effect": "Effect on {}: prediction with the alternative minus with the reference allele",
    "aleatoric": "Aleatoric standard deviation of the effect on {}",
    "epistemic": "Epistemic standard deviation of the effect on {}",
    "total": "Total standard deviation of the effect on {}",
    "lower": "Lower end of the interval of the effect on {}",
    "upper": "Upper end of the interval of the effect on {}",
    "ref": "Prediction of {} with the reference allele",
    "alt": "Prediction of {} with the alternative allele",
    "floored": "Uncertainties of {} that came out below zero and are no measure",
}
_SHARED = {
    "shift": "Bases the window was moved by to stay inside an element",
    "unknown": "Unknown bases in the reference window",
}
_NORMALISED = {
    "position_normalised": ("Integer", "Position of the left-aligned alleles"),
    "ref_normalised": ("String", "Left-aligned reference allele"),
    "alt_normalised": ("String", "Left-aligned alternative allele"),
}


def output_kind(path: str | os.PathLike) -> Literal["table", "vcf"]:
    """Format of an output by its name.

    Raises
    ------
    InputError
        If the name is that of a VCF that is not bgzipped, or of a BCF.

    Examples
    --------
    >>> output_kind("a.tsv"), output_kind("a.tsv.gz"), output_kind("a.vcf.gz")
    ('table', 'table', 'vcf')
    """
    name = Path(path).name.lower()
    if name.endswith((".vcf", ".bcf")):
        raise InputError(
            f"VCFs are written bgzipped and indexed: name it .vcf.gz. Received: {path}"
        )
    return "vcf" if name.endswith((".vcf.gz", ".vcf.bgz")) else "table"


def table_lines(table: pd.DataFrame) -> str:
    r"""The rows of a table, tab-separated, without its header; NaN is left empty.

    Examples
    --------
    >>> table_lines(pd.DataFrame({"contig": ["1"], "effect": [1 / 3], "lower": [float("nan")]}))
    '1\t0.333333\t\n'
    """
    columns = [_texts(table[name]) for name in table.columns]
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))


def _texts(values: pd.Series) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if value != value else f"{value + 0.0:.6g}" for value in values.tolist()]
    return [str(value) for value in values.tolist()]


@contextmanager
def opened(path: Path) -> Iterator:
    """Open a file for bytes; bgzipped if its last suffix is `.gz` or `.bgz`."""
    if path.suffix in _GZIPPED:
        import pysam

        with pysam.BGZFile(os.fspath(path), "wb", None) as file:
            yield file
    else:
        with open(path, "wb") as file:
            yield file


def join_table(
    out: str | os.PathLike, columns: Sequence[str], parts: Iterable[str | os.PathLike]
) -> None:
    """Write a header and the lines of parts one after another, whole or not at all.

    Parameters
    ----------
    out
        The file; bgzipped if named `.gz`.
    columns
        Names for the header.
    parts
        Files of lines.
    """
    with atomic_write(out) as temporary, opened(temporary) as file:
        file.write(("\t".join(columns) + "\n").encode())
        for part in parts:
            with open(part, "rb") as lines:
                while piece := lines.read(2**20):
                    file.write(piece)


def join_vcf(
    out: str | os.PathLike,
    vcf: str | os.PathLike,
    targets: Sequence[str],
    parts: Iterable[str | os.PathLike],
    *,
    last: int = 0,
    total: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Write a VCF's records with INFO fields added, bgzipped, with its index beside it.

    All records are written in order, as htslib writes them (`bcftools view`). A field holds a value
    for each alternative allele, ``.`` for one that was skipped; records of which all alleles were
    skipped get no fields.

    Parameters
    ----------
    out
        The file.
    vcf
        The VCF that was scored.
    targets
        Names of the predicted quantities.
    parts
        Files of lines, one for each scored allele, in order.
    last
        The largest position, by which the index is `.tbi` or, from 2**29 on, `.csi`.
    total
        Number of records, for the progress bar.
    progress
        Show a progress bar.

    Returns
    -------
    pathlib.Path
        The index.

    Raises
    ------
    InputError
        As `check_new_fields`, or if `parts` are of another VCF.
    """
    import pysam

    check_new_fields(vcf, targets)
    out, keys = Path(out), info_keys(targets)
    suffix = ".csi" if last >= _LONGEST_TBI else ".tbi"
    index = out.with_name(out.name + suffix)
    with atomic_write(out) as temporary:
        made = temporary.with_name(temporary.name + suffix)
        try:
            with VcfReader(vcf, whole=True) as reader, opened(temporary) as file:
                file.write(_bytes(_header(reader, targets, keys)))
                rows = _Rows(parts)
                for record in bar(reader, "writing", progress, total=total):
                    file.write(_bytes(_annotated(record, keys, rows)))
                if rows.ahead is not None:
                    raise InputError(f"expected the VCF that was scored. Received: {vcf}")
            pysam.tabix_index(os.fspath(temporary), preset="vcf", force=True, csi=suffix == ".csi")
            for old in (".tbi", ".csi"):
                out.with_name(out.name + old).unlink(missing_ok=True)
            with atomic_write(index) as place:
                os.replace(made, place)
        finally:
            made.unlink(missing_ok=True)
    return index


def info_keys(targets: Sequence[str]) -> list[str]:
    """Names of the INFO fields, in the order of a table's columns after the first five.

    Raises
    ------
    InputError
        If two targets differ only in letters that such names cannot have.

    Examples
    --------
    >>> info_keys(["K562 log2"])[:3]
    ['DEGU_SHIFT', 'DEGU_UNKNOWN', 'DEGU_K562_log2_EFFECT']
    """
    names = [re.sub(r"[^0-9A-Za-z_.]", "_", target) for target in targets]
    if len(set(names)) < len(names):
        raise InputError(
            "expected targets that differ in letters and digits, which is all that INFO fields may "
            f"have; write a table instead. Received: {', '.join(targets)}"
        )
    fields = [f"{name}_{part.upper()}" for name in names for part in PARTS]
    first, last = (map(str.upper, names) for names in (_SHARED, _NORMALISED))
    return [f"DEGU_{field}" for field in (*first, *fields, *last)]


def check_new_fields(vcf: str | os.PathLike, targets: Sequence[str]) -> None:
    """Refuse a VCF that already has the INFO fields of these targets.

    Raises
    ------
    InputError
        If it has one, or as `info_keys`.
    """
    keys = info_keys(targets)
    with VcfReader(vcf) as reader:
        declared = re.findall(r"^##INFO=<ID=([^,>]+)", reader.header, re.MULTILINE)
    there = [key for key in keys if key in declared]
    if there:
        raise InputError(
            "expected a VCF without the INFO fields of the output; remove them with "
            f"`bcftools annotate -x INFO/{there[0]},...`. Received: {there[0]} in {vcf}"
        )


def _header(reader: VcfReader, targets: Sequence[str], keys: Sequence[str]) -> str:
    lines = reader.header.splitlines()
    described = [
        *(("Integer", text) for text in _SHARED.values()),
        *(
            ("String" if part == "floored" else "Float", _DESCRIBED[part].format(target))
            for target in targets
            for part in PARTS
        ),
        *_NORMALISED.values(),
    ]
    added = [
        f'##INFO=<ID={key},Number=A,Type={kind},Description="{_quoted(text)}">'
        for key, (kind, text) in zip(keys, described, strict=True)
    ]
    return "\n".join([*lines[:-1], *added, f"##degu_variantsVersion={__version__}", lines[-1], ""])


def _bytes(text: str) -> bytes:
    return text.encode(TEXT["encoding"], TEXT["errors"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _annotated(record: Record, keys: Sequence[str], rows: "_Rows") -> str:
    """A record's line with the fields of those of its alleles that come next in the rows."""
    values = [
        rows.take((variant.contig, str(variant.position), variant.ref, variant.alt))
        for variant, _ in alternatives(record)
    ]
    items = []
    for column, key in enumerate(keys):
        of_alleles = [(each[column] if each else "") or "." for each in values]
        if any(value != "." for value in of_alleles):
            items.append(f"{key}={','.join(of_alleles)}")
    text = record.text or ""
    if not items:
        return text + "\n"
    fields = text.split("\t", 8)
    fields[7] = ";".join(([] if fields[7] == "." else [fields[7]]) + items)
    return "\t".join(fields) + "\n"


class _Rows:
    """The lines of parts, taken one by one by those they belong to."""

    def __init__(self, parts: Iterable[str | os.PathLike]) -> None:
        self._lines = _lines(parts)
        self.ahead = next(self._lines, None)

    def take(self, key: tuple[str, str, str, str]) -> list[str] | None:
        """Values of the next line if it is of this contig, position, reference and alternative."""
        if self.ahead is None:
            return None
        contig, position, _, ref, alt, *values = self.ahead
        if (contig, position, ref, alt) != key:
            return None
        self.ahead = next(self._lines, None)
        return values


def _lines(parts: Iterable[str | os.PathLike]) -> Iterator[list[str]]:
    for part in parts:
        with open(part, **TEXT) as file:
            for line in file:
                yield line.rstrip("\n").split("\t")
