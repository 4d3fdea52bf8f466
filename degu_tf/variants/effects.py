"""What the effect of a variant is, and how uncertain it is.

The effect is the prediction with the alternative allele minus that with the reference. What its
uncertainty is depends on how the errors of both go together, and the field has no one answer:

- ``"independent"``, the default: the root of the summed squares of both alleles' standard
  deviations. For the aleatoric part it is what the difference of two measured constructs varies by.
  For the epistemic part it is an upper end: a model errs alike on two sequences that share all
  bases but one, and what they share cancels in the difference.
- ``"alternative"``: the uncertainty predicted for the alternative allele, as maps of predicted
  uncertainty show it (paper, Fig. 6b).
- ``"members"``, of an ensemble only: the epistemic part is the standard deviation of its members'
  effects, with no assumption about what they share; the aleatoric part is as for
  ``"independent"``.

The total is the root of the summed squares of both parts (paper, Methods, "Interval coverage").
Conformal intervals come from both alleles' own, whatever the definition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from degu_tf.heads import gaussian_factor, total_std

UNCERTAINTIES = ("independent", "alternative", "members")

PARTS = ("effect", "aleatoric", "epistemic", "total", "lower", "upper", "ref", "alt")
"""What is said of the effect on each target."""


@dataclass(frozen=True)
class Outputs:
    """What was predicted of sequences, arrays `(N, ..., n_targets)`; None where there is none.

    Attributes
    ----------
    mean
        Predicted values.
    aleatoric, epistemic
        Standard deviations.
    half
        Half the width of a conformal interval.
    members
        An ensemble's members' means, with one more axis behind, that of members.
    """

    mean: np.ndarray
    aleatoric: np.ndarray | None = None
    epistemic: np.ndarray | None = None
    half: np.ndarray | None = None
    members: np.ndarray | None = None

    def select(self, rows: slice | np.ndarray) -> "Outputs":
        """Those of some sequences, as an index of the first axis takes them."""
        return self._each(lambda array: array[rows])

    def averaged(self) -> "Outputs":
        """The mean over the second axis, that of windows of one variant."""
        return self._each(lambda array: array.mean(axis=1))

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Outputs":
        arrays = vars(self).items()
        return Outputs(**{name: None if a is None else change(a) for name, a in arrays})

    @classmethod
    def join(cls, parts: Sequence["Outputs"]) -> "Outputs":
        """All of several, one after another."""
        columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
        return cls(
            **{
                name: None if arrays[0] is None else np.concatenate(arrays)
                for name, arrays in columns.items()
            }
        )


def average(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The mean of arrays of one shape, or None if they are None."""
    return None if arrays[0] is None else sum(arrays) / len(arrays)


def effect_parts(
    ref: Outputs, alt: Outputs, uncertainty: str = "independent", level: float = 0.95
) -> dict[str, np.ndarray]:
    """The parts of effects, those of `PARTS`, from the predictions of both alleles.

    Parameters
    ----------
    ref, alt
        Predictions `(N, n_targets)`. Where they have conformal intervals these are subtracted end
        from end, so an effect is outside only if one of the two measurements is.
    uncertainty
        One of `UNCERTAINTIES`.
    level
        Probability in the Gaussian interval, where there is no conformal one.

    Returns
    -------
    dict
        Arrays `(N, n_targets)` in the targets' unit, NaN where there is no such uncertainty.

    Examples
    --------
    >>> ref = Outputs(np.array([[1.0]]), epistemic=np.array([[0.3]]))
    >>> alt = Outputs(np.array([[1.5]]), epistemic=np.array([[0.4]]))
    >>> parts = effect_parts(ref, alt)
    >>> float(parts["effect"][0, 0]), float(parts["total"][0, 0])
    (0.5, 0.5)
    """
    effect = alt.mean - ref.mean
    aleatoric = _of_effect(ref.aleatoric, alt.aleatoric, uncertainty)
    epistemic = _of_effect(ref.epistemic, alt.epistemic, uncertainty)
    if uncertainty == "members":
        epistemic = np.std(alt.members - ref.members, axis=-1)
    present = [part for part in (aleatoric, epistemic) if part is not None]
    total = total_std(*present) if present else None
    half = None
    if alt.half is not None:
        half = ref.half + alt.half
    elif total is not None:
        half = gaussian_factor(level) * total
    parts = {
        "effect": effect,
        "aleatoric": aleatoric,
        "epistemic": epistemic,
        "total": total,
        "lower": None if half is None else effect - half,
        "upper": None if half is None else effect + half,
        "ref": ref.mean,
        "alt": alt.mean,
    }
    absent = np.full(effect.shape, np.nan, np.float32)
    return {name: absent if part is None else part for name, part in parts.items()}


def _of_effect(
    ref: np.ndarray | None, alt: np.ndarray | None, uncertainty: str
) -> np.ndarray | None:
    if alt is None or uncertainty == "alternative":
        return alt
    return total_std(ref, alt)
