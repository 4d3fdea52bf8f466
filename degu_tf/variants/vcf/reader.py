"""Records of a VCF or BCF one after another, in memory that does not grow with the file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import file_type, readable
from degu_tf.variants.vcf.byte_order_mark import without_mark

TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": "\n"}
"""How files with text of a VCF are opened: bytes that are no UTF-8 come back unchanged."""


@dataclass(frozen=True, slots=True)
class Place:
    """Start of a record.

    Attributes
    ----------
    record
        Number of records before it.
    offset
        Virtual offset in the file.
    """

    record: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a VCF.

    Attributes
    ----------
    place
        Its start.
    contig, position, id, ref, alts
        As in the file; positions are 1-based, and there are no `alts` where the file has ``.``.
    text
        The whole line as htslib writes it, without line end; None where it is not kept.
    """

    place: Place
    contig: str
    position: int
    id: str
    ref: str
    alts: tuple[str, ...]
    text: str | None = None


class VcfReader:
    r"""Iterates over a VCF, plain or bgzipped, or a BCF; a context manager.

    Records must be sorted by position, those of a contig together. Text in any encoding is read:
    bytes that are no UTF-8 become surrogates (PEP 383), which `TEXT` writes back unchanged. A
    byte-order mark at the start is skipped.

    Parameters
    ----------
    path
        The file; its format is detected from content.
    whole
        Keep each record's line, genotypes included. Without, genotypes are not even parsed.

    Attributes
    ----------
    header
        The header's lines as htslib writes them.

    Raises
    ------
    InputError
        If the file is missing, no VCF, cut short, or records are not sorted.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "v.vcf"
    >>> lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>",
    ...          "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", "1\t7\t.\tA\tC,*\t.\t.\t."]
    >>> _ = path.write_text("\n".join(lines) + "\n")
    >>> with VcfReader(path) as reader:
    ...     [alternatives(record) for record in reader][0][1]
    (Variant(contig='1', position=7, ref='A', alt='*', id='.'), 'spanning deletion')
    """

    def __init__(self, path: str | os.PathLike, *, whole: bool = False) -> None:
        self.path = Path(path)
        self.whole = whole
        if not self.path.is_file():
            raise InputError(f"expected a VCF or BCF. Received: {path}, which is no file")
        _Pysam.enter()
        try:
            self._file = self._opened()
            self.header = str(self._file.header)
            self._begin(0)
        except BaseException:
            _Pysam.leave()
            raise

    def _opened(self) -> Any:
        import pysam

        with readable(self.path, "VCF or BCF"):
            kind = file_type(self.path)
        if kind == "gzip":
            raise InputError(
                "expected a VCF that is plain or compressed with bgzip, not gzip, which has no "
                f"random access; recompress it (gunzip, then bgzip). Received: {self.path}"
            )
        with without_mark(self.path) as path:
            try:
                return pysam.VariantFile(path, drop_samples=not self.whole, ignore_truncation=False)
            except (OSError, ValueError) as error:
                reason = str(error).replace(path, os.fspath(self.path))
                raise InputError(
                    f"expected a whole VCF or BCF with its header ({reason}). Received: {self.path}"
                ) from error

    def _begin(self, record: int) -> None:
        self._next = record
        self._contig, self._position = "", 0
        self._done: set[str] = set()

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        place = Place(self._next, self._file.tell())
        try:
            found = next(self._file)
            record = Record(
                place,
                _contig(found),
                found.pos,
                found.id or ".",
                found.ref or "",
                found.alts or (),
                str(found).rstrip("\r\n") if self.whole else None,
            )
        except (OSError, ValueError) as error:
            last = f"the last one read is at {self._contig}:{self._position}"
            raise InputError(
                "expected a whole VCF, but a record cannot be read "
                f"({error}). Received: record {place.record + 1} of {self.path}; "
                f"{last if self._contig else 'none was read before'}"
            ) from error
        self._check_order(record)
        self._next += 1
        return record

    def _check_order(self, record: Record) -> None:
        if record.contig == self._contig:
            if record.position < self._position:
                self._refuse(record, f"after {self._contig}:{self._position}")
        else:
            if record.contig in self._done:
                self._refuse(record, f"after {self._contig} had begun")
            self._done.add(record.contig)
            self._contig = record.contig
        self._position = record.position

    def _refuse(self, record: Record, after: str) -> None:
        raise InputError(
            "expected records sorted by position, those of a contig together; `bcftools sort` does "
            f"it. Received: {record.contig}:{record.position} {after}, record "
            f"{record.place.record + 1} of {self.path}"
        )

    def seek(self, place: Place) -> None:
        """Continue with the record at a place that an earlier record had."""
        self._file.seek(place.offset)
        self._begin(place.record)

    def close(self) -> None:
        """Close the file."""
        if self._file.is_open:
            self._file.close()
            _Pysam.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Pysam:
    """Pysam's settings, of the whole process, while any reader is open: silent, any bytes read."""

    n_open = 0
    verbosity = 0
    handler = "strict"

    @classmethod
    def enter(cls) -> None:
        import pysam
        from pysam.libcutils import get_encoding_error_handler, set_encoding_error_handler

        if cls.n_open == 0:
            cls.verbosity = pysam.set_verbosity(0)
            cls.handler = get_encoding_error_handler()
            set_encoding_error_handler(TEXT["errors"])
        cls.n_open += 1

    @classmethod
    def leave(cls) -> None:
        import pysam
        from pysam.libcutils import set_encoding_error_handler

        cls.n_open -= 1
        if cls.n_open == 0:
            pysam.set_verbosity(cls.verbosity)
            set_encoding_error_handler(cls.handler)


def _contig(found: Any) -> str:
    """Contig of a record; pysam reads this field as strict UTF-8 whatever its settings."""
    try:
        return found.contig
    except UnicodeDecodeError:
        return str(found).split("\t", 1)[0]


def alternatives(record: Record) -> list[tuple[Variant, str | None]]:
    """Alternative alleles of a record, each with the reason why it is no sequence, or None.

    A record without alternatives gives one variant with the alternative ``.``.
    """
    return [
        (Variant(record.contig, record.position, record.ref, alt, record.id), _no_sequence(alt))
        for alt in record.alts or (".",)
    ]


def _no_sequence(alt: str) -> str | None:
    if alt.isalpha():
        return None
    if alt == ".":
        return "no alternative allele"
    if alt.startswith("<"):
        return "symbolic allele"
    if alt == "*":
        return "spanning deletion"
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return "breakend"
    return "alternative is no sequence of A, C, G, T"
