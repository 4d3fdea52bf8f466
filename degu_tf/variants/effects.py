"""Definitions of variant effects and their uncertainty.

The effect is the prediction with the alternative allele minus that with the reference. Its
uncertainty depends on how the errors of both predictions correlate. Three definitions:

- ``"independent"``, the default: the root of the summed squares of both alleles' standard
  deviations. For the aleatoric part it is the standard deviation of the difference of two measured
  constructs. For the epistemic part it is an upper bound: a model's errors on two sequences that
  share all bases but one are alike, and cancel in the difference.
- ``"alternative"``: the uncertainty predicted for the alternative allele, as maps of predicted
  uncertainty show it (paper, Fig. 6b).
- ``"members"``, of an ensemble only: the epistemic part is the standard deviation of its members'
  effects, with no assumption about what they share; the aleatoric part is as for
  ``"independent"``.

The total is the root of the summed squares of both parts (paper, Methods, "Interval coverage").
Conformal intervals come from both alleles' own, whatever the definition. Effects on binary targets
are differences of probabilities, so their intervals end at -1 and 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from degu_tf.heads import MIN_STD, Task, floored_words, gaussian_factor, total_std

UNCERTAINTIES = ("independent", "alternative", "members")

PARTS = ("effect", "aleatoric", "epistemic", "total", "lower", "upper", "ref", "alt", "floored")
"""Columns of a table for each target: numbers, and last the names of floored uncertainties."""


@dataclass(frozen=True)
class Outputs:
    """Predictions for sequences, arrays `(N, ..., n_targets)`; None for absent components.

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
    floored
        For each component, where its standard deviation is no measure (`Prediction.floored`).
    task
        ``"binary"`` where means are probabilities.
    """

    mean: np.ndarray
    aleatoric: np.ndarray | None = None
    epistemic: np.ndarray | None = None
    half: np.ndarray | None = None
    members: np.ndarray | None = None
    floored: Mapping[str, np.ndarray] = field(default_factory=dict)
    task: Task = "regression"

    def select(self, rows: slice | np.ndarray) -> "Outputs":
        """Outputs of some sequences, chosen by an index of the first axis."""
        return self._each(lambda array: array[rows], lambda mask: mask[rows])

    def averaged(self) -> "Outputs":
        """The mean over the second axis, that of windows of one variant."""
        return self._each(lambda array: array.mean(axis=1), lambda mask: np.any(mask, axis=1))

    def _each(
        self,
        change: Callable[[np.ndarray], np.ndarray],
        change_mask: Callable[[np.ndarray], np.ndarray],
    ) -> "Outputs":
        def changed(array: np.ndarray | None) -> np.ndarray | None:
            return None if array is None else change(array)

        return Outputs(
            change(self.mean),
            changed(self.aleatoric),
            changed(self.epistemic),
            changed(self.half),
            changed(self.members),
            {name: change_mask(mask) for name, mask in self.floored.items()},
            self.task,
        )

    @classmethod
    def join(cls, parts: Sequence["Outputs"]) -> "Outputs":
        """Concatenate outputs along the first axis."""

        def joined(name: str) -> np.ndarray | None:
            arrays = [getattr(part, name) for part in parts]
            return None if arrays[0] is None else np.concatenate(arrays)

        return cls(
            np.concatenate([part.mean for part in parts]),
            joined("aleatoric"),
            joined("epistemic"),
            joined("half"),
            joined("members"),
            {
                name: np.concatenate([part.floored[name] for part in parts])
                for name in parts[0].floored
            },
            parts[0].task,
        )


def average(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The mean of arrays of one shape; None if there is none."""
    present = [array for array in arrays if array is not None]
    return mean_of(present) if present else None


def mean_of(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of arrays of one shape, one or more."""
    return sum(arrays[1:], start=arrays[0]) / len(arrays)


def effect_parts(
    ref: Outputs, alt: Outputs, uncertainty: str = "independent", level: float = 0.95
) -> dict[str, np.ndarray]:
    """The parts of effects, those of `PARTS`, from the predictions of both alleles.

    Parameters
    ----------
    ref, alt
        Predictions `(N, n_targets)`. Where they have conformal intervals these are subtracted end
        from end, so an effect is outside only if one of the two measurements is. Of probabilities
        the ends of the interval are cut off at -1 and 1.
    uncertainty
        One of `UNCERTAINTIES`.
    level
        Nominal coverage of the Gaussian interval, where there is no conformal one.

    Returns
    -------
    dict
        Arrays `(N, n_targets)` in the targets' unit, NaN where there is no such uncertainty; and
        `floored`, words that say which uncertainties of either allele are no measure
        (`degu_tf.heads.floored_words`).

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
        epistemic = _spread(ref.members, alt.members)
    present = [part for part in (aleatoric, epistemic) if part is not None]
    total = total_std(*present) if present else None
    half = None
    if ref.half is not None and alt.half is not None:
        half = ref.half + alt.half
    elif total is not None:
        half = gaussian_factor(level) * total
    lower, upper = (None, None) if half is None else _ends(effect, half, alt.task)
    parts = {
        "effect": effect,
        "aleatoric": aleatoric,
        "epistemic": epistemic,
        "total": total,
        "lower": lower,
        "upper": upper,
        "ref": ref.mean,
        "alt": alt.mean,
    }
    absent = np.full(effect.shape, np.nan, np.float32)
    present_parts = {name: absent if part is None else part for name, part in parts.items()}
    masks = _floored(ref, alt, uncertainty, epistemic)
    words = np.broadcast_to(floored_words(masks), effect.shape)
    return {**present_parts, "floored": words}


def _ends(effect: np.ndarray, half: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals; a difference of probabilities lies between -1 and 1."""
    lower, upper = effect - half, effect + half
    if task == "binary":
        return np.clip(lower, -1.0, 1.0), np.clip(upper, -1.0, 1.0)
    return lower, upper


def _floored(
    ref: Outputs, alt: Outputs, uncertainty: str, epistemic: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Where a component of the effect's uncertainty rests on a floored value."""
    if uncertainty == "alternative":
        return dict(alt.floored)
    masks = {name: mask | ref.floored[name] for name, mask in alt.floored.items()}
    if uncertainty == "members" and epistemic is not None:
        masks["epistemic"] = epistemic <= MIN_STD
    return masks


def _of_effect(
    ref: np.ndarray | None, alt: np.ndarray | None, uncertainty: str
) -> np.ndarray | None:
    if ref is None or alt is None or uncertainty == "alternative":
        return alt
    return total_std(ref, alt)


def _spread(ref: np.ndarray | None, alt: np.ndarray | None) -> np.ndarray:
    if ref is None or alt is None:
        raise ValueError("the spread of members' effects needs the members' means")
    return np.std(alt - ref, axis=-1)
