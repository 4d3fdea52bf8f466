"""FASTA files: a reader that checks every record, and an atomic writer."""

import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from degu_tf.sequences.alphabet import check_letters, text_records
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import first_bytes
from degu_tf.utils.files import atomic_write


def read_fasta(path: str | os.PathLike) -> tuple[list[str], list[str]]:
    r"""Read a FASTA file, plain or gzipped.

    Returns
    -------
    tuple
        Names (the first word of each header) and sequences as written, letters not yet checked.

    Raises
    ------
    InputError
        If the file is missing, empty, broken or not FASTA (FASTQ included), or a record has no name
        or no sequence.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.fa"
    >>> _ = path.write_text(">a first\nACG\nT\n>b\nGGCC\n")
    >>> read_fasta(path)
    (['a', 'b'], ['ACGT', 'GGCC'])
    """
    names, sequences = [], []
    for name, sequence in fasta_records(path):
        names.append(name)
        sequences.append(sequence)
    return names, sequences


def fasta_records(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Names and sequences of a FASTA file as they are read.

    Raises
    ------
    InputError
        As `read_fasta` does, at the record where that shows.
    """
    import pysam

    path = Path(path)
    _check_fasta_start(path)
    n_read = 0
    try:
        with pysam.FastxFile(str(path)) as records:
            for index, record in enumerate(records):
                if not record.name:
                    raise InputError(
                        "expected a name right after '>' in every header. "
                        f"Received: record {index} without a name in {path}"
                    )
                if not record.sequence or record.quality is not None:
                    what = "qualities (FASTQ)" if record.sequence else "an empty sequence"
                    raise InputError(
                        "expected FASTA records with a sequence and without qualities. "
                        f"Received: {what} in record {record.name!r} of {path}"
                    )
                n_read = index + 1
                yield record.name, record.sequence
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(
            f"expected a whole FASTA file, but reading stopped after {n_read} records "
            f"({error}). Received: {path}"
        ) from error
    if not n_read:
        raise InputError(f"expected FASTA records. Received: none in {path}")


def write_fasta(
    path: str | os.PathLike, names: Sequence[str], sequences: Sequence[str] | np.ndarray
) -> None:
    r"""Write strings as FASTA, one line a sequence, whole or not at all; gzipped if named `.gz`.

    Raises
    ------
    InputError
        If names and sequences differ in number, a name is empty or holds white space (it would not
        be read back), or a sequence is empty or holds letters outside the IUPAC set.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "out.fa"
    >>> write_fasta(path, ["a"], ["ACGT"])
    >>> path.read_text()
    '>a\nACGT\n'
    """
    labels = list(names)
    records, _ = text_records(sequences, labels)
    for index, name in enumerate(labels):
        if not isinstance(name, str) or name.split() != [name]:
            raise InputError(
                "expected a name without white space for each record. "
                f"Received: {name!r} for record {index}"
            )
    check_letters(records, labels)
    lines = (f">{name}\n{record}\n" for name, record in zip(labels, records, strict=True))
    with atomic_write(path) as temporary:
        if temporary.suffix == ".gz":
            with open(temporary, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as out:
                out.writelines(line.encode() for line in lines)
        else:
            with open(temporary, "w", encoding="utf-8", newline="\n") as out:
                out.writelines(lines)


def _check_fasta_start(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"expected a FASTA file. Received: no file at {path}")
    start = first_bytes(path, "FASTA file", 2**16).lstrip()
    if not start:
        raise InputError(f"expected at least one FASTA record. Received: empty file {path}")
    if not start.startswith(b">"):
        raise InputError(
            "a FASTA file starts with '>'; convert FASTQ or tables first. "
            f"Received: {start[:20]!r} at the start of {path}"
        )
