"""In silico saturation mutagenesis: every single-nucleotide variant of a sequence, scored.

A sequence is scored as an element of a genome is, so effects and their uncertainty mean what they
mean for the variants of a VCF.
"""

from typing import Unpack

import numpy as np
import pandas as pd

from degu_tf.models.predictor import DescribedPredictor, Predictor
from degu_tf.sequences.alphabet import ALPHABET
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fitting import Fitting, Stretch, filled
from degu_tf.sequences.genomes.elements import SequenceGenome
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar
from degu_tf.variants.options import ScorerOptions
from degu_tf.variants.scorer import BLOCK, NORMALISED, VariantScorer


def single_nucleotide_variants(contig: str, sequence: str, first: int = 1) -> list[Variant]:
    """List all single-nucleotide variants of a sequence; unknown bases have none.

    Parameters
    ----------
    contig
        Its name.
    sequence
        Letters of either case.
    first
        1-based position of its first base.

    Examples
    --------
    >>> [str(variant) for variant in single_nucleotide_variants("x", "aN", 10)]
    ['x:10 A>C', 'x:10 A>G', 'x:10 A>T']
    """
    return [
        Variant(contig, first + place, ref, alt)
        for place, ref in enumerate(sequence.upper())
        if ref in ALPHABET
        for alt in ALPHABET
        if alt != ref
    ]


def input_length(
    predictor: Predictor,
    sequence: str,
    name: str = "sequence",
    length: int | None = None,
    flanks: tuple[str, str] = ("", ""),
    pad: str | None = None,
) -> int:
    """Input length of a predictor in bases, flanks included.

    Parameters
    ----------
    predictor, sequence, name, length, flanks, pad
        As for `saturate`.

    Raises
    ------
    InputError
        If the sequence is shorter than the window and not padded, or flanks are too short to.
    """
    added = 0 if pad == "flanks" else sum(map(len, flanks))
    if length is None:
        own = predictor.input_length if isinstance(predictor, DescribedPredictor) else None
        length = len(sequence) + added if own is None else own
    if pad is None and len(sequence) < length - added:
        raise InputError(
            f"expected sequences of {length - added} bases or more, the model's {length} less the "
            "flanks; fill shorter ones up with pad='N' or pad='flanks'. "
            f"Received: {len(sequence)} bases in {name!r}"
        )
    if pad == "flanks" and any(flanks) and len(sequence) < length:
        fitting = Fitting(length, pad=pad, flanks=flanks)
        (tile,) = fitting.tiles(len(sequence))
        known = Stretch(0, sequence)
        filled(known, tile.start, tile.start + length, fitting, f"record {name!r}")
    return length


def check_known_bases(sequence: str, name: str) -> None:
    """Refuse a sequence without a known base, which has no variants.

    Raises
    ------
    InputError
        If it has none.
    """
    if not set(sequence.upper()) & set(ALPHABET):
        raise InputError(f"expected a sequence with known bases. Received: none in {name!r}")


def saturate(
    predictor: Predictor,
    sequence: str | np.ndarray,
    *,
    name: str = "sequence",
    length: int | None = None,
    progress: bool | None = False,
    **options: Unpack[ScorerOptions],
) -> pd.DataFrame:
    """Score every single-nucleotide variant of one sequence.

    Parameters
    ----------
    predictor
        Any predictor of one number per target.
    sequence
        A string or tokens `(L,)`, at least as long as the model's input less the flanks, or padded
        (`pad`). In longer sequences each variant has a window around it, shifted to stay inside
        the sequence.
    name
        Name of the sequence.
    length
        Input length of the model in bases, flanks included; by default the predictor's, else that
        of the sequence and its flanks.
    progress
        Show a progress bar; None shows it where standard error is a terminal.
    **options
        Options of `degu_tf.variants.scorer.VariantScorer`: `flanks`, `average_strands`, `shifts`,
        `conformal`, `level`, `uncertainty`, `batch_size`, `pad`.

    Returns
    -------
    pandas.DataFrame
        One row per variant, by position and base: `name`, `position` (1-based), `ref`, `alt`,
        `shift`, `unknown`, and for each target the columns of `VariantScorer.score`. Unknown bases
        have no rows.

    Raises
    ------
    InputError
        If the sequence is shorter than the window and not padded, or holds no known base.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> from degu_tf.models.predictor import ModelPredictor
    >>> heads = HeadLayout(("Dev",), epistemic="std")
    >>> student = ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    >>> table = saturate(student, "ACGT" * 10)
    >>> len(table), table["alt"].tolist()[:3], table["shift"].tolist()[0]
    (120, ['C', 'G', 'T'], 15)
    """
    text = sequence if isinstance(sequence, str) else decode(np.asarray(sequence)[np.newaxis])[0]
    genome = SequenceGenome({name: text})
    flanks = options.get("flanks", ("", ""))
    length = input_length(predictor, text, name, length, flanks, options.get("pad"))
    check_known_bases(text, name)
    variants = single_nucleotide_variants(name, text)
    scorer = VariantScorer(predictor, genome, length, **options)
    blocks = range(0, len(variants), BLOCK)
    table = pd.concat(
        [scorer.score(variants[start : start + BLOCK]) for start in bar(blocks, name, progress)],
        ignore_index=True,
    )
    scorer.warn_of_floored()
    return table.rename(columns={"contig": "name"}).drop(columns=["id", *NORMALISED])
