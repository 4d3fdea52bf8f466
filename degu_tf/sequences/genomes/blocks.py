"""Genomes as blocks of tokens, from a FASTA file read once from start to end."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from degu_tf.sequences.alphabet import INVALID, TOKEN_OF
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import open_bytes, readable

_CHUNK_BYTES = 2**20
_TABLE = bytes(TOKEN_OF)
_LINE_ENDS = b"\r\n"


def contig_lengths(path: str | os.PathLike) -> dict[str, int]:
    r"""Length of each contig of a FASTA file: from its index `.fai` if there is one, else counted.

    Parameters
    ----------
    path
        A FASTA file, plain or gzipped. A contig's name is the first word of its header.

    Raises
    ------
    InputError
        If the file is missing, broken or not FASTA, or a contig has no name, no base, or the name
        of another.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1 first\nACG\nT\n>chr2\nGG\n")
    >>> contig_lengths(path)
    {'chr1': 4, 'chr2': 2}
    """
    path = _existing(path)
    index = Path(f"{path}.fai")
    if index.is_file():
        return _from_index(index)
    lengths: dict[str, int] = {}
    for name, letters in _pieces(path):
        if not letters and name in lengths:
            raise InputError(f"expected a name for each contig. Received: {name} twice in {path}")
        n_bases = len(letters) - sum(map(letters.count, _LINE_ENDS))
        lengths[name] = lengths.get(name, 0) + n_bases
    return _checked(lengths, path)


def token_blocks(
    path: str | os.PathLike, size: int, contigs: Collection[str] | None = None
) -> Iterator[tuple[str, int, np.ndarray]]:
    r"""Go through a genome in blocks of `size` bases; the last block of a contig may be shorter.

    Parameters
    ----------
    path
        As for `contig_lengths`.
    size
        Bases a block. Memory is a few times that, however long a contig is.
    contigs
        Names of the contigs to read, or None for all.

    Yields
    ------
    tuple
        Contig, first base (counted from 0) and tokens `(n,)` uint8; lower-case letters count as
        upper-case, ambiguity codes as unknown.

    Raises
    ------
    InputError
        If the file is broken or a letter is none of DNA.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = path.write_text(">chr1\nACGTa\n>chr2\nNG\n")
    >>> [(contig, start, tokens.tolist()) for contig, start, tokens in token_blocks(path, 3)]
    [('chr1', 0, [0, 1, 2]), ('chr1', 3, [3, 0]), ('chr2', 0, [4, 2])]
    """
    held, start, contig = b"", 0, ""
    for name, letters in _pieces(_existing(path)):
        if name != contig:
            if held:
                yield contig, start, _tokens(held, contig, start)
            held, start, contig = b"", 0, name
        if contigs is not None and name not in contigs:
            continue
        held += letters.translate(_TABLE, _LINE_ENDS)
        whole = len(held) // size * size
        for first in range(0, whole, size):
            yield contig, start, _tokens(held[first : first + size], contig, start)
            start += size
        held = held[whole:]
    if held:
        yield contig, start, _tokens(held, contig, start)


def _tokens(held: bytes, contig: str, start: int) -> np.ndarray:
    tokens = np.frombuffer(held, np.uint8)
    if tokens.max() == INVALID:
        at = start + int(np.argmax(tokens == INVALID))
        raise InputError(
            "expected a genome of IUPAC codes of DNA. "
            f"Received: an invalid character at {contig}:{at} (counted from 0)"
        )
    return tokens


def _pieces(path: Path) -> Iterator[tuple[str, bytes]]:
    """Contigs and their lines piece by piece; the first piece of each contig is empty."""
    name, header, in_header, before = None, b"", False, b"\n"
    with readable(path, "FASTA file"), open_bytes(path) as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            while chunk:
                if in_header:
                    line, newline, chunk = chunk.partition(b"\n")
                    header += line
                    if newline:
                        name, in_header, before = _name(header, path), False, newline
                        yield name, b""
                    continue
                letters, mark, chunk = chunk.partition(b">")
                before = letters[-1:] or before
                if (name is None and letters.strip()) or (mark and before != b"\n"):
                    raise InputError(
                        "expected a FASTA file, whose headers begin with '>' at the start of a "
                        f"line. Received: {(letters.strip() or mark)[-20:]!r} in {path}"
                    )
                if letters and name is not None:
                    yield name, letters
                if mark:
                    header, in_header = b"", True
    if name is None or in_header:
        raise InputError(f"expected contigs with bases. Received: {path}")


def _name(header: bytes, path: Path) -> str:
    words = header.decode("utf-8", "replace").split()
    if not words or header[:1].isspace():
        raise InputError(
            f"expected a name right after '>' in every header. Received: {header!r} in {path}"
        )
    return words[0]


def _from_index(index: Path) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for number, line in enumerate(index.read_text().splitlines(), 1):
        fields = line.split("\t")
        if len(fields) < 5 or not fields[1].isdigit() or fields[0] in lengths:
            raise InputError(
                "expected an index of `samtools faidx`, each contig once; index the file again or "
                f"remove the index. Received: {line!r} in line {number} of {index}"
            )
        lengths[fields[0]] = int(fields[1])
    return _checked(lengths, index)


def _checked(lengths: dict[str, int], path: Path) -> dict[str, int]:
    empty = [name for name, length in lengths.items() if not length]
    if empty or not lengths:
        raise InputError(
            f"expected contigs with bases. Received: {empty[0] if empty else 'no contig'} in {path}"
        )
    return lengths


def _existing(path: str | os.PathLike) -> Path:
    if not Path(path).is_file():
        raise InputError(f"expected a FASTA file. Received: no file at {path}")
    return Path(path)
