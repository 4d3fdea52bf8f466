"""Whole genomes with random access: indexed FASTA and 2bit files."""

import codecs
import os
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any

from degu_tf.sequences.alphabet import refuse_letter
from degu_tf.sequences.genomes.base import Genome, _normal
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import has_byte_order_mark, open_bytes
from degu_tf.utils.files import atomic_write


class _Whole(Genome):
    _file: Any

    def covers(self, contig: str, start: int, end: int) -> bool:
        found = self.contig(contig)
        return found is not None and start <= end and start < self.contigs[found] and end > 0

    def bounds(self, contig: str, position: int) -> None:
        self._check(self._found(contig), position, position + 1)

    def fetch(self, contig: str, start: int, end: int) -> str:
        contig = self._found(contig)
        self._check(contig, start, end)
        first, last = max(0, start), min(end, self.contigs[contig])
        written = self._read(contig, first, last) if first < last else ""
        inside = _normal(written)
        if "?" in inside:
            refuse_letter(written, inside.index("?"), f"record '{contig}:{first}-{last}'")
        return "N" * (first - start) + inside + "N" * (end - last)

    def _check(self, contig: str, start: int, end: int) -> None:
        if not self.covers(contig, start, end):
            raise InputError(
                f"expected positions that touch {contig}, which has {self.contigs[contig]} bases "
                f"in {self.path}. Received: {start}-{end}"
            )

    @abstractmethod
    def _read(self, contig: str, start: int, end: int) -> str:
        """Bases as in the file, from a span within the contig that is not empty."""

    def close(self) -> None:
        self._file.close()


class _Fasta(_Whole):
    def __init__(self, path: Path):
        import pysam

        verbosity = pysam.set_verbosity(0)
        try:
            if has_byte_order_mark(path) and not _index(path).exists():
                _index_after_mark(path)
            self._file = pysam.FastaFile(os.fspath(path))
        except (OSError, ValueError, pysam.SamtoolsError) as error:
            raise InputError(
                "expected a genome FASTA with an index (.fai) beside it, or that can be indexed: "
                "lines of one length, plain or compressed with bgzip, not gzip, in a folder that "
                f"can be written to ({error}). Received: {path}"
            ) from error
        finally:
            pysam.set_verbosity(verbosity)
        super().__init__(path, dict(zip(self._file.references, self._file.lengths, strict=True)))

    @property
    def index(self) -> Path:
        return _index(self.path)

    def index_is_old(self) -> bool:
        index = self.index
        return index.is_file() and index.stat().st_mtime < self.path.stat().st_mtime

    def _read(self, contig: str, start: int, end: int) -> str:
        try:
            return self._file.fetch(contig, start, end)
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot read {contig}:{start}-{end} ({error}); the file is closed or cut short, "
                f"or its index belongs to another. Received: {self.path}"
            ) from error


def _index(path: Path) -> Path:
    return path.with_name(path.name + ".fai")


def _index_after_mark(path: Path) -> None:
    """Index a FASTA that begins with a byte-order mark, which `samtools faidx` refuses."""
    import pysam

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "genome.fa"
        with open_bytes(path) as source, open(copy, "wb") as out:
            shutil.copyfileobj(source, out)
        pysam.faidx(os.fspath(copy))
        rows = [line.split("\t") for line in _index(copy).read_text().splitlines()]
    with atomic_write(_index(path)) as temporary, open(temporary, "w", newline="\n") as index:
        for name, length, offset, *rest in rows:
            moved = int(offset) + len(codecs.BOM_UTF8)
            index.write("\t".join([name, length, str(moved), *rest]) + "\n")


class _TwoBit(_Whole):
    def __init__(self, path: Path):
        try:
            import py2bit
        except ImportError as error:
            raise InputError(
                'reading 2bit needs py2bit (pip install "degu_tf[twobit]"); or give the genome as '
                f"FASTA. Received: {path}"
            ) from error
        try:
            self._file = py2bit.open(os.fspath(path))
            contigs = self._file.chroms()
            for contig, length in contigs.items():
                self._file.sequence(contig, length - 1, length)  # fails where the file is cut short
        except RuntimeError as error:
            raise InputError(f"expected a whole 2bit file ({error}). Received: {path}") from error
        super().__init__(path, contigs)

    def _read(self, contig: str, start: int, end: int) -> str:
        try:
            return self._file.sequence(contig, start, end)
        except RuntimeError as error:
            raise InputError(
                f"cannot read {contig}:{start}-{end} ({error}). Received: {self.path}"
            ) from error
