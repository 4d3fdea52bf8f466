"""Conformal prediction: intervals with a marginal coverage guarantee.

An uncertainty is multiplied by a factor estimated on calibration data, which turns any standard
deviation, however wrong its scale, into intervals of known coverage.
"""

import os
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from degu_tf.heads import MIN_STD, HeadLayout, Prediction, Task
from degu_tf.sequences.hashing import sequence_hashes
from degu_tf.uncertainty.conformal import groups as mondrian
from degu_tf.uncertainty.conformal.file import Fitted, read_fitted, write_fitted
from degu_tf.uncertainty.conformal.ranks import points_needed, rank
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

COMPONENTS = ("total", "aleatoric", "epistemic")
QUANTILES = ("finite_sample", "plain")
MAX_FLOORED = 0.01
"""Share of standard deviations at `heads.MIN_STD` above which they are no measure of anything."""


class Conformal:
    """Normalised split conformal prediction: the interval is mean +- factor * sigma.

    The factor is a quantile of |measured - mean| / sigma over calibration sequences, one for each
    target (paper, Methods, "Conformal predictions"; Papadopoulos, Gammerman & Vovk, "Normalized
    nonconformity measures for regression conformal prediction", AIA 2008).

    The marginal guarantee, with ``quantile="finite_sample"``: let n calibration sequences and one
    new sequence be exchangeable, for example drawn independently from one population, and let the
    predictor know none of them. Then the interval holds the new measurement with probability at
    least `level`, and at most `level` + 1 / (n + 1) if no two scores are equal, for any predictor,
    sigma and distribution, at any n (Vovk, Gammerman & Shafer, *Algorithmic Learning in a Random
    World*, 2005; Lei et al., *JASA* 113:1094, 2018). What it does not cover:

    - The probability is over calibration sets as well as new sequences. With one calibration set
      in hand the coverage varies around it, as Beta(k, n + 1 - k) with k = ceil((n + 1) level):
      between 0.91 and 0.98 in nine of ten cases at level 0.95 and n = 100.
    - It is an average over sequences, not conditional on their kind: highly active ones may be
      covered less and others more. `n_bins` and `groups` extend the guarantee to each bin or
      group, at the price of fewer points for each (Mondrian; Vovk et al. 2005). It is exact for
      groups; edges of bins are taken from the calibration predictions, which adds an error of the
      order of 1 / points in a bin.
    - It is void where new sequences come from another population: another assay or genome,
      designed or mutated sequences. Coverage can then be anything (Tibshirani et al., *NeurIPS*
      2019), as a test of this package shows.
    - It is void for validation sequences by which the predictor was chosen, to the degree that the
      choice fits them; the paper stops training early on the sequences it then calibrates on.

    Parameters
    ----------
    component
        Which standard deviation is multiplied: ``"total"``, ``"aleatoric"`` or ``"epistemic"``.
    quantile
        ``"finite_sample"`` takes the ceil((n + 1) level)-th smallest score. ``"plain"`` is the
        paper's ``numpy.quantile(scores, level)``, which covers too little where n is small.
    n_bins
        Have a factor for each of so many bins of the predicted value, for each target, with
        equally many calibration sequences in each; None has one for all.

    Attributes
    ----------
    fitted
        What `fit` keeps, or None before it.
    notes
        Plain values that are saved along, such as what the predictor was.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> heads = HeadLayout(("activity",), epistemic="std")
    >>> mean, sigma = np.zeros((1000, 1)), rng.uniform(0.1, 0.3, (1000, 1))
    >>> prediction = heads.prediction(heads.join(mean, epistemic=sigma))
    >>> measured = rng.normal(mean, 3.0 * sigma)
    >>> conformal = Conformal().fit(prediction, measured, heads.without_uncertainty())
    >>> lower, upper = conformal.predict(prediction, level=0.95)
    >>> bool((np.abs(upper / sigma / 1.96 - 3.0) < 0.3).all())
    True
    """

    def __init__(
        self,
        component: str = "total",
        quantile: Literal["finite_sample", "plain"] = "finite_sample",
        n_bins: int | None = None,
    ) -> None:
        if component not in COMPONENTS:
            raise InputError(f"expected one of {COMPONENTS}. Received: component={component!r}")
        if quantile not in QUANTILES:
            raise InputError(f"expected one of {QUANTILES}. Received: quantile={quantile!r}")
        if n_bins is not None and not is_whole(n_bins, 2):
            raise InputError(f"expected two bins or more, or None. Received: n_bins={n_bins!r}")
        self.component = component
        self.quantile = quantile
        self.n_bins = None if n_bins is None else int(n_bins)
        self.fitted: Fitted | None = None
        self.notes: dict[str, Any] = {}

    def fit(
        self,
        prediction: Prediction,
        measured: np.ndarray,
        heads: HeadLayout,
        sequences: Any = None,
        levels: Sequence[float] = (0.95,),
        groups: Sequence | np.ndarray | pd.Series | None = None,
    ) -> Self:
        """Take the scores |measured - mean| / sigma of calibration sequences.

        Parameters
        ----------
        prediction
            What was predicted for N sequences that the predictor was not trained on.
        measured
            Columns `(N, C)` in the order of `heads`, in the targets' units. A target is calibrated
            on the values that it has: others are missing (NaN).
        heads
            Layout of `measured`; its targets are the prediction's.
        sequences
            The sequences, as `degu_tf.sequences.hashing.sequence_hashes` takes them. They are
            remembered by their hashes, for `check_unseen`.
        levels
            Levels that intervals must be able to reach; others are available as far as N allows.
        groups
            A label for each sequence, text or whole number, to have a factor for each group.

        Raises
        ------
        InputError
            If there are too few points for a level, in all or in a bin or group; if over 1 % of a
            target's sigma were floored; if the component is missing, or rows, targets or values
            are not as said; if targets are binary.
        """
        refuse_binary(prediction.task)
        mean, sigma = self._parts(prediction)
        truth = _measured(measured, heads, prediction)
        self._check_floored(prediction)
        if groups is not None and self.n_bins is not None:
            raise InputError(
                f"expected groups or bins, not both. Received: groups and n_bins={self.n_bins}"
            )
        hashes = None
        if sequences is not None:
            hashes = sequence_hashes(sequences)
            if len(hashes) != len(mean):
                raise InputError(
                    f"expected the {len(mean)} sequences that were predicted. "
                    f"Received: {len(hashes)} sequences"
                )
            hashes = np.unique(hashes)
        present = ~np.isnan(truth)
        edges = mondrian.edges(mean, present, self.n_bins or 1)
        if groups is None:
            labels, cells = None, mondrian.bins(mean, edges)
            n_cells = edges.shape[1] + 1
        else:
            codes, labels = mondrian.labels(groups, len(mean))
            cells, n_cells = [codes] * mean.shape[1], len(labels)
        scores = np.abs(truth - mean) / sigma
        parts = [
            mondrian.sort(scores[rows, t], codes[rows], n_cells)
            for t, (rows, codes) in enumerate(zip(present.T, cells, strict=True))
        ]
        fitted = Fitted(prediction.targets, parts, edges, labels, hashes)
        if not len(levels):
            raise InputError("expected one level or more. Received: none")
        for level in levels:
            _check_enough(fitted, level)
        self.fitted = fitted
        return self

    def predict(
        self,
        prediction: Prediction,
        level: float = 0.95,
        groups: Sequence | np.ndarray | pd.Series | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the intervals, each `(N, n_targets)` float64.

        Parameters
        ----------
        prediction
            Scalar predictions of the targets that were fitted, by the same predictor.
        level
            Probability that an interval holds its measurement, between 0 and 1.
        groups
            A label for each sequence, if and only if groups were fitted.

        Raises
        ------
        InputError
            If nothing was fitted, there were too few points for the level, a group is new, or the
            prediction lacks the component, has other targets or values that are not finite.
        """
        fitted = self._fitted()
        mean, sigma = self._parts(prediction)
        if prediction.targets != fitted.targets:
            raise InputError(
                f"expected a prediction of {fitted.targets}, as fitted. "
                f"Received: {prediction.targets}"
            )
        if (groups is None) != (fitted.labels is None):
            raise InputError(
                "expected groups in predict if and only if fit had groups. Received: "
                + ("none, though groups were fitted" if groups is None else "groups, none fitted")
            )
        factors = self._factors(level)
        if groups is not None and fitted.labels is not None:
            codes = mondrian.known(groups, len(mean), fitted.labels)
            scale = factors.T[codes]
        elif factors.shape[1] == 1:
            scale = factors[:, 0]
        else:
            cells = enumerate(mondrian.bins(mean, fitted.edges))
            scale = np.stack([factors[t, codes] for t, codes in cells], axis=1)
        half = scale * sigma
        return mean - half, mean + half

    def interval(
        self, prediction: Prediction, level: float = 0.95, component: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`predict` with the arguments of `Prediction.interval`, for functions that take either.

        Raises
        ------
        InputError
            As `predict`, or if another component is named than was fitted.
        """
        if component not in (None, self.component):
            raise InputError(
                f"these intervals are made from the {self.component} uncertainty. "
                f"Received: component={component!r}"
            )
        return self.predict(prediction, level)

    def factors(self, level: float = 0.95) -> pd.DataFrame:
        """The factor on sigma of each target and bin or group.

        Returns
        -------
        pandas.DataFrame
            Columns `target`, `group` (``"all"``, a bin's range of predicted values, or the label),
            `n` calibration points, `factor`.

        Raises
        ------
        InputError
            If nothing was fitted, or too few points for the level.
        """
        fitted, factors = self._fitted(), self._factors(level)
        return pd.DataFrame(
            [
                {"target": target, "group": group, "n": len(scores), "factor": float(factor)}
                for t, target in enumerate(fitted.targets)
                for group, scores, factor in zip(
                    fitted.groups(t), fitted.scores[t], factors[t], strict=True
                )
            ]
        )

    def check_unseen(self, sequences: Any) -> None:
        """Refuse to judge intervals on sequences that they were fitted on.

        A sequence is recognised by the hash of its bases, in whatever form it is given. Its reverse
        complement counts as another sequence.

        Raises
        ------
        InputError
            If some were used for calibration, or `fit` was given no sequences.
        """
        fitted = self._fitted()
        if fitted.hashes is None:
            raise InputError(
                "the calibration stores no sequences to compare with; fit it with sequences=... "
                "Received: sequences=None in fit"
            )
        hashes = sequence_hashes(sequences)
        seen = int(np.isin(hashes, fitted.hashes).sum())
        if seen:
            raise InputError(
                "expected sequences that were not used for calibration; leave those out. "
                f"Received: {seen} of {len(hashes)} sequences used for calibration"
            )

    def save(self, path: str | os.PathLike) -> None:
        """Write what was fitted, and the notes, as one `.npz` file, whole or not at all.

        Raises
        ------
        InputError
            If nothing was fitted or the name does not end `.npz`.
        """
        settings = {
            "component": self.component,
            "quantile": self.quantile,
            "n_bins": self.n_bins,
            "notes": self.notes,
        }
        write_fitted(path, self._fitted(), settings)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read what `save` wrote; nothing in the file is executed.

        Raises
        ------
        InputError
            If it is not such a file, a damaged one, or of a later format.
        """
        fitted, settings = read_fitted(path)
        try:
            conformal = cls(settings["component"], settings["quantile"], settings["n_bins"])
            conformal.notes = dict(settings["notes"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a calibration ({error}). Received: {path}") from error
        if (conformal.n_bins or 1) != fitted.edges.shape[1] + 1:
            raise InputError(f"not a calibration (bins do not match). Received: {path}")
        conformal.fitted = fitted
        return conformal

    def _fitted(self) -> Fitted:
        if self.fitted is None:
            raise InputError("nothing was fitted yet; call fit with calibration sequences first")
        return self.fitted

    def _factors(self, level: float) -> np.ndarray:
        """Factors `(n_targets, cells)`."""
        fitted = self._fitted()
        _check_enough(fitted, level)
        if self.quantile == "plain":
            return np.array([[np.quantile(s, level) for s in row] for row in fitted.scores])
        return np.array([[s[rank(len(s), level) - 1] for s in row] for row in fitted.scores])

    def _parts(self, prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sigma `(N, n_targets)` float64, checked."""
        if prediction.mean.ndim != 2:
            raise InputError(
                "conformal intervals are made for one number a sequence and target; pool profiles "
                f"over positions first. Received: a mean of shape {prediction.mean.shape}"
            )
        sigma = prediction.component(self.component)
        if sigma is None:
            raise InputError(
                f"this predictor gives no {self.component} uncertainty to scale. "
                "Use a student, an ensemble, or a model with uncertainty columns"
            )
        mean = np.asarray(prediction.mean, np.float64)
        sigma = np.asarray(sigma, np.float64)
        for what, array, fits in (
            ("predicted values must be finite", mean, np.isfinite(mean)),
            (
                "standard deviations must be finite and above 0",
                sigma,
                np.isfinite(sigma) & (sigma > 0.0),
            ),
        ):
            if not fits.all():
                row, column = np.argwhere(~fits)[0]
                raise InputError(
                    f"{what}. Received: {array[row, column]:g} in row {row} of "
                    f"{prediction.targets[column]} ({int(np.sum(~fits))} such)"
                )
        return mean, sigma

    def _check_floored(self, prediction: Prediction) -> None:
        names = ("aleatoric", "epistemic") if self.component == "total" else (self.component,)
        parts = [part for name in names if (part := prediction.component(name)) is not None]
        floored = np.all([part <= MIN_STD for part in parts], axis=0).mean(axis=0)
        for target, share in zip(prediction.targets, floored, strict=True):
            if share > MAX_FLOORED:
                expected = (
                    f"at most {MAX_FLOORED:.0%} of the {self.component} standard deviations may be "
                    f"at the floor of {MIN_STD:g}, where they cannot be scaled; "
                )
                received = f"Received: {share:.1%} floored for {target}"
                raise InputError(
                    f"{expected}train a model whose uncertainty is positive (ModelSpec(head="
                    f"'positive')), or use another component. {received}",
                    f"{expected}train and distil with --positive-uncertainty, or calibrate another "
                    f"uncertainty with --component. {received}",
                )


def refuse_binary(task: Task) -> None:
    """Refuse binary targets: an interval of a probability is not one of the values 0 and 1.

    Raises
    ------
    InputError
        If the task is ``"binary"``.
    """
    if task == "binary":
        raise InputError(
            "conformal intervals are made for measured numbers; of binary targets a run predicts "
            "the probability, whose uncertainty is the epistemic one. Received: binary targets"
        )


def _check_enough(fitted: Fitted, level: float) -> None:
    needed = points_needed(level)
    for t, target in enumerate(fitted.targets):
        for group, scores in zip(fitted.groups(t), fitted.scores[t], strict=True):
            if len(scores) < needed:
                where = f", group {group!r}" if fitted.divided else ""
                raise InputError(
                    f"an interval of level {level:g} needs {needed} calibration points or more"
                    f"{where and ' in each bin or group'}; calibrate on more, or ask for a lower "
                    f"level{where and ' or fewer bins'}. Received: {len(scores)} ({target}{where})"
                )


def _measured(measured: np.ndarray, heads: HeadLayout, prediction: Prediction) -> np.ndarray:
    measured = np.asarray(measured)
    heads.check(measured, "measured columns")
    truth = np.asarray(heads.take(measured, "mean"), np.float64)
    if prediction.targets != heads.targets or prediction.mean.shape != truth.shape:
        raise InputError(
            f"expected a prediction of {heads.targets} of shape {truth.shape}, as measured. "
            f"Received: {prediction.targets} of shape {prediction.mean.shape}"
        )
    if not len(truth):
        raise InputError("expected one sequence or more to calibrate on. Received: none")
    empty = np.isnan(truth).all(axis=0)
    wrong = np.isinf(truth) | (np.isnan(truth) & empty)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            "measured values must be finite; leave out sequences that are not. Received: "
            f"{truth[row, column]:g} in row {row} of {heads.targets[column]}"
        )
    return truth
