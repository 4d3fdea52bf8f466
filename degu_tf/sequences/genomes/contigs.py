"""Names of contigs in different conventions: one rule for genomes, VCFs, BED files and tracks."""

from collections.abc import Container


def find_contig(name: str, contigs: Container[str]) -> str | None:
    """Find a contig by its name in any convention: with or without ``chr``, ``MT`` for ``M``.

    The name as it stands goes first.

    Parameters
    ----------
    name
        A name.
    contigs
        The names that a file has.

    Returns
    -------
    str or None
        The file's name of the contig, None where it has none.

    Examples
    --------
    >>> find_contig("1", ["chr1", "chrM"]), find_contig("MT", ["chr1", "chrM"])
    ('chr1', 'chrM')
    >>> find_contig("chr1", ["1", "chr1"]), find_contig("chr2", ["1"])
    ('chr1', None)
    """
    if name in contigs:
        return name
    bare = name.removeprefix("chr")
    aliases = ("M", "MT") if bare in ("M", "MT") else (bare,)
    candidates = (prefix + alias for alias in aliases for prefix in ("chr", ""))
    return next((candidate for candidate in candidates if candidate in contigs), None)
