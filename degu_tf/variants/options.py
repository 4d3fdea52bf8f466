"""How variants are scored: the options of a scorer, and which of them go together."""

from collections.abc import Sequence
from typing import TypedDict

from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError
from degu_tf.variants.effects import UNCERTAINTIES


class ScorerOptions(TypedDict, total=False):
    """Keyword arguments of `degu_tf.variants.scorer.VariantScorer`, which describes them."""

    flanks: tuple[str, str]
    average_strands: bool
    shifts: Sequence[int]
    conformal: Conformal | None
    level: float
    uncertainty: str
    batch_size: int
    pad: str | None


def check_options(options: ScorerOptions) -> None:
    """Refuse values that are out of range, or options that do not go together.

    Parameters
    ----------
    options
        All of them.

    Raises
    ------
    InputError
        If one cannot be used.
    """
    uncertainty, level, shifts = options["uncertainty"], options["level"], options["shifts"]
    flanks, conformal = options["flanks"], options["conformal"]
    if uncertainty not in UNCERTAINTIES:
        raise InputError(f"expected one of {UNCERTAINTIES}. Received: uncertainty={uncertainty!r}")
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1. Received: level={level}")
    if options["batch_size"] < 1:
        raise InputError(
            f"expected one window or more. Received: batch_size={options['batch_size']}"
        )
    if not len(shifts) or len(set(shifts)) < len(shifts):
        raise InputError(f"expected different shifts, one or more. Received: shifts={shifts}")
    if len(flanks) != 2:
        raise InputError(f"expected two flanks, 5' and 3'. Received: {len(flanks)}")
    if conformal is not None and tuple(shifts) != (0,):
        raise InputError(
            "a calibration does not apply to averages over shifted windows; leave out shifts, or "
            f"ask for Gaussian intervals. Received: shifts={tuple(shifts)}"
        )
    if options["pad"] == "flanks" and not any(flanks):
        raise InputError(
            "expected flanks=..., the sequences that pad='flanks' takes bases of. Received: none"
        )
    if options["pad"] == "flanks":
        return
    if conformal is not None and options["average_strands"] and any(flanks):
        raise InputError(
            "a calibration with averaged strands is of reverse complements of whole sequences, "
            "flanks included; leave out one of both, or ask for Gaussian intervals. Received: "
            "average_strands with flanks"
        )
