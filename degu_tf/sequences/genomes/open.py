"""Opening of genomes: indexed FASTA, 2bit, or a FASTA of elements."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.elements import _Elements, _first_header, find_location
from degu_tf.sequences.genomes.indexed import _Fasta, _TwoBit
from degu_tf.utils.errors import InputError
from degu_tf.utils.file_types import file_type


def open_genome(path: str | os.PathLike) -> Genome:
    r"""Open a genome; its type is detected from file content.

    A FASTA (plain or bgzipped) needs its index `.fai`, which is made beside it if missing. A 2bit
    file needs py2bit (``pip install "degu_tf[twobit]"``). A FASTA whose first header has a location
    ``contig:start-end`` (1-based, end included, as ``samtools faidx`` writes) is a file of
    elements, all of them on the + strand: it needs no index, and may be gzipped. Headers of
    ``bedtools getfasta -name``, ``name::contig:start-end``, may also count from 0 as bedtools does:
    lengths of the records tell. Tags of whole contigs in analysis sets (``LN:``, ``hm:``) are no
    locations.

    Raises
    ------
    InputError
        If the file is missing, broken, compressed with gzip instead of bgzip, or cannot be indexed;
        py2bit is missing; or an element's header does not fit its sequence.

    Warns
    -----
    UserWarning
        If the index is older than the FASTA.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "element.fa"
    >>> _ = path.write_text(">SORT1 hg19 chr1:101-106\nACGTAC\n")
    >>> with open_genome(path) as genome:
    ...     genome.fetch("chr1", 101, 104), genome.bounds("1", 103), genome.covers("1", 99, 104)
    ('CGT', (100, 106), False)
    """
    genome = _open(Path(path))
    if isinstance(genome, _Fasta) and genome.index_is_old():
        warnings.warn(
            f"the index {genome.index} is older than the genome; if the genome has changed since, "
            "remove the index and run this again",
            stacklevel=2,
        )
    return genome


@contextmanager
def using_genome(genome: Genome | str | os.PathLike) -> Iterator[Genome]:
    """Use a genome in a `with` block: an open one stays open, a path is opened and closed."""
    if isinstance(genome, str | os.PathLike):
        with open_genome(genome) as opened:
            yield opened
    else:
        yield genome


def _open(path: Path) -> Genome:
    if not path.is_file():
        raise InputError(f"expected a genome FASTA. Received: {path}, which is no file")
    kind = file_type(path)
    if kind == "2bit":
        return _TwoBit(path)
    if find_location(_first_header(path)):
        return _Elements(path)
    if kind == "gzip":
        raise InputError(
            "expected a genome FASTA that is plain or compressed with bgzip, not gzip, which "
            f"cannot be indexed; recompress it (gunzip, then bgzip). Received: {path}"
        )
    return _Fasta(path)
