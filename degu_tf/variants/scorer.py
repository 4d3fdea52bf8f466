"""Effects of variants, with the uncertainty of the effect.

The effect is the prediction with the alternative allele minus that with the reference (paper,
Methods, "Single-nucleotide variant effect with CAGI5").
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Unpack

import numpy as np
import pandas as pd

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import MIN_STD, FlooredUncertaintyWarning, Prediction
from degu_tf.heads.pooling import pool_members
from degu_tf.models.predictor import Predictor
from degu_tf.sequences.encoding import encode, reverse_complement
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.windows import (
    MISMATCH,
    Variant,
    Window,
    Windows,
    distinct,
)
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar
from degu_tf.variants.effects import (
    PARTS,
    Outputs,
    average,
    effect_parts,
    mean_of,
)
from degu_tf.variants.options import ScorerOptions, check_options
from degu_tf.variants.tables import KEY, variant_table

BATCH_SIZE = 256
"""Windows predicted at once; the last batch is padded, so that all have one size."""

BLOCK = 2048
"""Variants scored together. Blocks of the same variants give the same bytes."""

MAX_MISMATCHES = 0.01
"""Maximum share of reference mismatches; above it, variants are taken to be of another genome."""

_EXAMPLES = 3

_FIRST = (*KEY, "shift", "unknown")

NORMALISED = ("position_normalised", "ref_normalised", "alt_normalised")
"""Last columns of a table: each variant left-aligned, as `bcftools norm` spells it."""


class VariantScorer:
    """Scores variants with one predictor and one genome.

    Effects and their uncertainties are defined in `degu_tf.variants.effects`.

    Parameters
    ----------
    predictor
        Any predictor of one number per target.
    genome
        The reference sequence.
    length
        Input length of the predictor in bases, flanks included.
    flanks
        Fixed sequences at the 5' and 3' end of the input, such as the adapters of a library, with
        the genomic window between them. They are not reverse-complemented with the window, but are
        part of it with ``pad="flanks"``.
    pad
        Fill elements that are shorter than the window up on both sides: ``"N"`` with unknown
        bases, ``"flanks"`` with the nearest bases of `flanks`. They are not scored otherwise.
    average_strands
        Average predictions with those of the reverse complement.
    shifts
        Average over windows shifted by these distances in bases; ``(0,)`` is the paper's centred
        window. Near the ends of an element several shifts can give one window, which counts as
        often.
    conformal
        Calibration for the intervals; without it they are Gaussian, effect +- z * total. Its
        intervals of both alleles, each at level 1 - (1 - `level`) / 2, are subtracted end from end,
        so an effect lies outside only if one of two measurements does: the marginal guarantee for
        single sequences at that level holds for effects at `level`.
    level
        Nominal coverage of the interval.
    uncertainty
        One of `UNCERTAINTIES`.
    batch_size
        Windows predicted at once.

    Attributes
    ----------
    targets
        Names of the predicted quantities.
    columns
        Columns of the tables.
    floored
        For each component, number of standard deviations below `heads.MIN_STD`, which were raised.

    Raises
    ------
    InputError
        If flanks leave no room, options do not go together, or the predictor gives profiles.
    """

    def __init__(
        self,
        predictor: Predictor,
        genome: Genome,
        length: int,
        *,
        flanks: tuple[str, str] = ("", ""),
        average_strands: bool = False,
        shifts: Sequence[int] = (0,),
        conformal: Conformal | None = None,
        level: float = 0.95,
        uncertainty: str = "independent",
        batch_size: int = BATCH_SIZE,
        pad: str | None = None,
    ) -> None:
        check_options(
            {
                "flanks": flanks,
                "average_strands": average_strands,
                "shifts": shifts,
                "conformal": conformal,
                "level": level,
                "uncertainty": uncertainty,
                "batch_size": batch_size,
                "pad": pad,
            }
        )
        around, flanks = (flanks, ("", "")) if pad == "flanks" else (("", ""), flanks)
        between = length - len(flanks[0]) - len(flanks[1])
        if between < 1:
            raise InputError(
                f"flanks leave no room in {length} bases. Received: flanks of {len(flanks[0])} and "
                f"{len(flanks[1])} bases"
            )
        self._ensemble = _as_ensemble(predictor) if uncertainty == "members" else None
        self.predictor = predictor
        self.flanks = tuple(map(_flank, flanks))
        self.average_strands = average_strands
        self.conformal = conformal
        self.level = level
        self.uncertainty = uncertainty
        self.batch_size = batch_size
        self._windows = [Windows(genome, between, shift, pad, around) for shift in shifts]
        probe = self._forward(np.zeros((1, between), np.uint8))[0]
        if probe.mean.ndim != 2:
            raise InputError(
                "effects are of one number a target; average a profile first. "
                f"Received: predictions of shape {probe.mean.shape}"
            )
        self.floored: dict[str, int] = {}
        if conformal is not None:
            _check_calibrated(conformal, probe, level)
        self.targets = probe.targets
        effects = (f"{target}_{part}" for target in self.targets for part in PARTS)
        self.columns = [*_FIRST, *effects, *NORMALISED]

    def why_not(self, variant: Variant) -> str | None:
        """Reason why a variant cannot be scored, or None."""
        reasons = (windows.why_not(variant) for windows in self._windows)
        return next((reason for reason in reasons if reason is not None), None)

    def score(self, variants: Sequence[Variant]) -> pd.DataFrame:
        """Score variants; each distinct window is predicted once.

        Returns
        -------
        pandas.DataFrame
            One row a variant, in order: `contig`, `position`, `id`, `ref`, `alt`; `shift`, the
            bases its window was moved by to stay inside an element (the largest, where several
            are averaged); `unknown`, the N in its reference window; and for each target t, in its
            unit: `t_effect`; `t_aleatoric`, `t_epistemic`, `t_total`, standard deviations of the
            effect; `t_lower`, `t_upper`, its interval; `t_ref`, `t_alt`, the two predictions; NaN
            where the predictor gives no such uncertainty; and `t_floored`, ``"no"`` or the
            uncertainties of either allele that came out below zero and are no measure. Last
            `position_normalised`, `ref_normalised`, `alt_normalised`: the variant left-aligned,
            which is what is scored.

        Raises
        ------
        InputError
            If a variant cannot be scored (`why_not`).
        """
        if not len(variants):
            return pd.DataFrame(columns=self.columns)
        windows = [[each.cut(variant) for each in self._windows] for variant in variants]
        sequences, pairs = distinct([window for several in windows for window in several])
        rows = np.reshape(pairs, (len(variants), -1, 2))
        outputs = self._predict(sequences)
        ref, alt = (outputs.select(rows[..., allele]).averaged() for allele in (0, 1))
        effects = effect_parts(ref, alt, self.uncertainty, self.level)
        table = _described(variants, windows)
        for index, target in enumerate(self.targets):
            for part in PARTS:
                table[f"{target}_{part}"] = effects[part][:, index]
        spelled = [self._windows[0].normalised(variant) for variant in variants]
        for column, name in zip(NORMALISED, ("position", "ref", "alt"), strict=True):
            table[column] = [getattr(each, name) for each in spelled]
        return table

    def warn_of_floored(self) -> None:
        """Warn of standard deviations that were too small, with their number."""
        for component, count in self.floored.items():
            if count:
                warnings.warn(
                    f"{count} {component} standard deviations were below {MIN_STD:g} and were set "
                    "to it",
                    FlooredUncertaintyWarning,
                    stacklevel=3,
                )

    def _predict(self, sequences: Sequence[str]) -> Outputs:
        """Predict every sequence, in batches of one size."""
        tokens = np.asarray(encode(sequences))
        parts = []
        for start in range(0, len(tokens), self.batch_size):
            batch = tokens[start : start + self.batch_size]
            filled = np.concatenate([batch, np.repeat(batch[:1], self.batch_size - len(batch), 0)])
            parts.append(self._outputs(filled, len(batch)))
        return Outputs.join(parts)

    def _outputs(self, tokens: np.ndarray, n: int) -> Outputs:
        """Predictions of the first `n` genomic windows, averaged over strands if asked."""
        strands = [tokens]
        if self.average_strands:
            strands.append(np.asarray(reverse_complement(tokens)))
        predictions, members = [], []
        for strand in strands:
            prediction, of_members = self._forward(strand)
            predictions.append(prediction.select(slice(n)))
            members.append(None if of_members is None else of_members[:n])
            for name, mask in predictions[-1].floored.items():
                self.floored[name] = self.floored.get(name, 0) + int(mask.sum())
        mean, task = mean_of([each.mean for each in predictions]), predictions[0].task
        aleatoric = average([each.aleatoric for each in predictions])
        epistemic = average([each.epistemic for each in predictions])
        half = None
        if self.conformal is not None:
            prediction = Prediction(self.targets, mean, aleatoric, epistemic, task=task)
            lower, upper = self.conformal.predict(prediction, _of_both(self.level))
            half = (upper - lower) / 2.0
        floored = {
            name: np.logical_or.reduce([each.floored[name] for each in predictions])
            for name in predictions[0].floored
        }
        return Outputs(mean, aleatoric, epistemic, half, average(members), floored, task)

    def _forward(self, tokens: np.ndarray) -> tuple[Prediction, np.ndarray | None]:
        """Predictions for windows between the flanks, and each member's means."""
        five, three = (np.tile(flank, (len(tokens), 1)) for flank in self.flanks)
        sequences = np.concatenate([five, tokens, three], axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FlooredUncertaintyWarning)
            if self._ensemble is None:
                return self.predictor.predict(sequences), None
            heads, columns = self._ensemble.heads, self._ensemble.member_columns(sequences)
            pooled = heads.student().prediction(pool_members(columns, heads))
            return pooled, np.moveaxis(heads.take(columns, "mean"), 0, -1)


def score_variants(
    predictor: Predictor,
    variants: Iterable[Variant],
    genome: Genome,
    length: int,
    *,
    max_mismatches: float = MAX_MISMATCHES,
    progress: bool | None = None,
    **options: Unpack[ScorerOptions],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Score variants, and list those that cannot be scored with the reason.

    For variants that fit in memory; `degu variants` streams a VCF of any size.

    Parameters
    ----------
    predictor, genome, length, **options
        As for `VariantScorer`.
    variants
        Variants in any order.
    max_mismatches
        Share of variants whose reference allele is not the genome's above which nothing is scored.
    progress
        Show a bar.

    Returns
    -------
    tuple of pandas.DataFrame
        The table of `VariantScorer.score`; and the others: `contig`, `position`, `id`, `ref`,
        `alt`, `reason`.

    Raises
    ------
    InputError
        If too many reference alleles are not the genome's, or options cannot be used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from degu_tf.sequences.genomes.open import open_genome
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> from degu_tf.models.predictor import ModelPredictor
    >>> fasta = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
    >>> _ = fasta.write_text(">chr1\n" + "ACGT" * 20 + "\n")
    >>> heads = HeadLayout(("activity",), epistemic="std")
    >>> student = ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    >>> variants = [Variant("1", 41, "A", "C"), Variant("1", 42, "A", "C")]
    >>> table, skipped = score_variants(
    ...     student, variants, open_genome(fasta), 32, max_mismatches=0.5
    ... )
    >>> len(table), skipped["reason"].tolist()
    (1, ['reference mismatch'])
    """
    scorer = VariantScorer(predictor, genome, length, **options)
    scorable, others = [], []
    for variant in variants:
        reason = scorer.why_not(variant)
        if reason is None:
            scorable.append(variant)
        else:
            others.append((variant, reason))
    mismatched = [variant for variant, reason in others if reason == MISMATCH]
    check_mismatches(mismatched[:_EXAMPLES], len(mismatched), len(scorable), max_mismatches)
    starts = range(0, len(scorable), BLOCK)
    tables = [
        scorer.score(scorable[start : start + BLOCK]) for start in bar(starts, "variants", progress)
    ]
    scorer.warn_of_floored()
    skipped = variant_table([variant for variant, _ in others])
    skipped["reason"] = [reason for _, reason in others]
    return pd.concat(tables, ignore_index=True) if tables else scorer.score([]), skipped


def check_mismatches(
    examples: Sequence[Variant | str], n_mismatches: int, n_others: int, max_mismatches: float
) -> None:
    """Refuse variants if too many of their reference alleles differ from the genome.

    Parameters
    ----------
    examples
        Some of them, for the message.
    n_mismatches, n_others
        How many there are, and how many agree with the genome.
    max_mismatches
        Maximum share.

    Raises
    ------
    InputError
        If there are more.
    """
    n = n_mismatches + n_others
    if n_mismatches > max_mismatches * n:
        named = "; ".join(map(str, examples))
        raise InputError(
            f"expected at most {100 * max_mismatches:g} % of reference alleles to differ from the "
            "genome; are the variants of another build? Raise the maximum share of mismatches to "
            f"skip them. Received: {n_mismatches} of {n}, such as {named}"
        )


def _as_ensemble(predictor: Predictor) -> Ensemble:
    if not isinstance(predictor, Ensemble):
        raise InputError(
            "the spread of members' effects is an ensemble's; ask for uncertainty='independent'. "
            f"Received: {type(predictor).__name__}"
        )
    return predictor


def _of_both(level: float) -> float:
    """Level of each allele's interval with which the interval of the effect has `level`."""
    return 1.0 - (1.0 - level) / 2.0


def _check_calibrated(conformal: Conformal, prediction: Prediction, level: float) -> None:
    try:
        conformal.predict(prediction, _of_both(level))
    except InputError as error:
        raise InputError(
            f"intervals of effects at {level:g} need those of both alleles at {_of_both(level):g}: "
            f"{error}"
        ) from error


def _flank(bases: str) -> np.ndarray:
    return encode(bases)[0] if bases else np.empty(0, np.uint8)


def _described(variants: Sequence[Variant], windows: Sequence[Sequence[Window]]) -> pd.DataFrame:
    table = variant_table(variants)
    table["shift"] = [max((each.shift for each in several), key=abs) for several in windows]
    table["unknown"] = [max(each.ref.count("N") for each in several) for several in windows]
    return table
