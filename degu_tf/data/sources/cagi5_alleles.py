"""Both alleles of variants in their windows: the released `ref alt identifier` HDF5."""

import os
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd

from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.rows import Rows, datasets_of, opened
from degu_tf.data.sources.cagi5 import KEY, to_variants
from degu_tf.sequences.encoding import as_tokens, encode, one_hot
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import using_genome
from degu_tf.sequences.genomes.windows import Windows
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write

LENGTH = 230
"""Bases around a variant (paper, Methods, "Single-nucleotide variant effect with CAGI5")."""


@dataclass(frozen=True, eq=False)
class Alleles:
    """Both alleles of variants in their windows.

    Attributes
    ----------
    ref, alt
        Tokens `(N, L)`.
    identifiers
        A name for each variant.
    """

    ref: np.ndarray
    alt: np.ndarray
    identifiers: tuple[str, ...]


def cut_alleles(
    table: pd.DataFrame, genome: Genome | str | os.PathLike, length: int = LENGTH
) -> Alleles:
    """Windows of both alleles of a table's rows, the variant at index (`length` - 1) // 2.

    Identifiers are ``SORT1.2_chr1_103_G_T``. In a file of elements windows are moved to stay inside
    (see `degu_tf.sequences.genomes.windows.Windows`).

    Raises
    ------
    InputError
        If a variant has no window; the reason is named.
    """
    with using_genome(genome) as whole:
        windows = Windows(whole, length)
        pairs = [windows.cut(variant) for variant in to_variants(table)]
    identifiers = (
        "_".join(map(str, row)) for row in table[list(KEY)].itertuples(index=False, name=None)
    )
    return Alleles(
        encode([pair.ref for pair in pairs]),
        encode([pair.alt for pair in pairs]),
        tuple(identifiers),
    )


def read_alleles(path: str | os.PathLike) -> Alleles:
    """Read a released HDF5 file of variants: datasets ``ref``, ``alt`` and ``identifier``.

    Sequences are one-hot `(N, L, 4)` or `(N, 4, L)` of any type, or tokens `(N, L)`; identifiers
    are text or integers. Without identifiers, rows are numbered.

    Raises
    ------
    InputError
        If the file is missing, no HDF5 or another kind of it, or its parts do not fit together.
    """
    with blaming(path), opened(path) as file:
        found = {name.lower(): dataset for name, dataset in datasets_of(file).items()}
        if not {"ref", "alt"} <= found.keys():
            raise InputError(
                "expected the datasets ref, alt and identifier of CAGI5 variants. "
                f"Received: {', '.join(sorted(found)) or 'no dataset'}"
            )
        ref, alt = (_sequences(found[name]) for name in ("ref", "alt"))
        identifiers = _identifiers(found.get("identifier"), len(ref))
        return _checked_alleles(Alleles(ref, alt, identifiers))


def write_alleles(path: str | os.PathLike, alleles: Alleles) -> None:
    """Write variants in the released form: one-hot uint8 `(N, L, 4)`, identifiers as bytes.

    The file is written whole or not at all.

    Raises
    ------
    InputError
        If the parts do not fit together.
    """
    alleles = _checked_alleles(alleles)
    names = np.array([name.encode() for name in alleles.identifiers])
    n_bytes = 4 * (alleles.ref.nbytes + alleles.alt.nbytes)
    with atomic_write(path) as temporary, new_file(temporary, n_bytes) as (file, check):
        for name, tokens in (("ref", alleles.ref), ("alt", alleles.alt)):
            file.create_dataset(name, data=one_hot(tokens).astype(np.uint8), compression="gzip")
            check()
        file["identifier"] = names


def _sequences(dataset: h5py.Dataset) -> np.ndarray:
    shape = dataset.shape
    first = len(shape) == 3 and shape[1] == 4 and shape[2] != 4
    return Rows(dataset, (0, 2, 1) if first else tuple(range(len(shape)))).tokens()


def _identifiers(dataset: h5py.Dataset | None, n_rows: int) -> tuple[str, ...]:
    if dataset is None:
        return tuple(str(row) for row in range(n_rows))
    values = dataset[()].reshape(-1)
    if values.dtype.kind not in "iuOS":
        raise InputError(
            f"expected identifiers as text or integers. Received: {dataset.name} of {dataset.dtype}"
        )
    try:
        return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values)
    except UnicodeDecodeError as error:
        raise InputError(f"expected identifiers in UTF-8. Received: {error}") from error


def _checked_alleles(alleles: Alleles) -> Alleles:
    ref, alt = (as_tokens(part) for part in (alleles.ref, alleles.alt))
    if ref.shape != alt.shape or len(ref) != len(alleles.identifiers):
        raise InputError(
            "expected as many ref as alt sequences, of one length, and an identifier for each. "
            f"Received: ref {ref.shape}, alt {alt.shape}, {len(alleles.identifiers)} identifiers"
        )
    return Alleles(ref, alt, tuple(alleles.identifiers))
