"""Predictions for sequences of any length: resized, padded, or averaged over windows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from degu_tf.heads import Prediction
from degu_tf.models.predictor import Described, DescribedPredictor, Predictor, window_of
from degu_tf.sequences.alphabet import is_text, text_records
from degu_tf.sequences.encoding import as_tokens, decode, encode
from degu_tf.sequences.fitting import NO_FLANKS, FittedSequences, Fitting, fit_sequences
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash

AGGREGATES = ("mean", "maximum")
"""How the predictions of a sequence's windows become one."""


class Fitted:
    """A predictor of one number per target, for sequences of any length.

    Shorter sequences are padded, longer ones resized or cut into windows, as the options say;
    without one that says what to do they are refused. The windows of a sequence become one
    prediction:

    - ``aggregate="mean"``: the means of their means and of their standard deviations. Windows
      overlap and share one model, so their errors are correlated by an unknown amount, and
      averaging is not taken to shrink them. Flagged where that of any window is.
    - ``aggregate="maximum"``: for each target the window with the largest mean, with the
      uncertainty and the flags of that window. It is the uncertainty of one window: it does not
      know that the largest of several predictions tends to be too large.

    Around a `DescribedPredictor` it is one, too, so it can be calibrated.

    Parameters
    ----------
    predictor
        Any predictor of one number per target.
    resize, pad, stride
        As for `degu_tf.sequences.fitting.Fitting`: bases around the middle to take (True for the
        model's length), ``"N"`` or ``"flanks"``, and the distance from one window to the next.
    flanks
        Adapters at the 5' and 3' end of each window, which holds as many bases less. With
        ``pad="flanks"`` the sequences around shorter ones, of which the nearest bases are taken.
    aggregate
        One of `AGGREGATES`.
    length
        Bases the predictor takes; its `input_length` by default.

    Raises
    ------
    InputError
        If a value is out of range, or the predictor's input length is unknown and none is given.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> class Adenines:
    ...     def predict(self, tokens):
    ...         share = np.mean(np.asarray(tokens) == 0, axis=1, keepdims=True)
    ...         return HeadLayout(("A",)).prediction(share.astype(np.float32))
    >>> sequences = ["AAAACCCC", "AAAA", "AA"]
    >>> fitted = Fitted(Adenines(), stride=2, pad="N", aggregate="mean", length=4)
    >>> fitted.predict(sequences).mean[:, 0].tolist()
    [0.5, 1.0, 0.5]
    >>> fitted = Fitted(Adenines(), stride=2, pad="N", aggregate="maximum", length=4)
    >>> fitted.predict(sequences).mean[:, 0].tolist()
    [1.0, 1.0, 0.5]
    """

    def __new__(cls, predictor: Predictor | None = None, **_: Any) -> "Fitted":
        """Around a `DescribedPredictor` it is one, too."""
        described = cls is Fitted and isinstance(predictor, DescribedPredictor)
        return super().__new__(_DescribedFitted if described else cls)

    def __init__(
        self,
        predictor: Predictor,
        *,
        resize: int | bool | None = None,
        pad: str | None = None,
        flanks: tuple[str, str] = NO_FLANKS,
        stride: int | None = None,
        aggregate: str = "mean",
        length: int | None = None,
    ) -> None:
        check_aggregate(aggregate)
        if pad != "flanks" and any(flanks):
            predictor = between = Flanked(predictor, flanks, length)
            flanks, length = NO_FLANKS, between.between
        self.predictor = predictor
        self.fitting = Fitting(window_of(predictor, length), resize, pad, flanks, stride)
        self.aggregate = aggregate

    def fit(self, sequences: Any, names: Sequence[str] | None = None) -> FittedSequences:
        """The windows of sequences: strings of any lengths, tokens or one-hot `(N, L, 4)`."""
        if is_text(sequences):
            records, _ = text_records(sequences)
        else:
            records = decode(as_tokens(sequences))
        labels = [f"record {row}" for row in range(len(records))] if names is None else names
        return fit_sequences(labels, records, self.fitting)

    def predict(self, sequences: Any) -> Prediction:
        """Predict sequences: one row for each, whatever its number of windows."""
        fitted = self.fit(sequences)
        return aggregated(self.predictor.predict(fitted.sequences), fitted.rows, self.aggregate)


class _DescribedFitted(Described, Fitted):
    predictor: DescribedPredictor

    @property
    def input_length(self) -> None:
        """Any length."""
        return None

    def fingerprint(self) -> str:
        """SHA-256 of how sequences are fitted and of what is wrapped."""
        how = [repr(self.fitting), self.aggregate, self.predictor.fingerprint()]
        return content_hash(["fitted", *how])


class Flanked:
    """A predictor for what lies between fixed adapters at both ends of its input.

    Around a `DescribedPredictor` it is one, too.

    Parameters
    ----------
    predictor
        Any predictor.
    flanks
        Sequences at the 5' and 3' end of the input.
    length
        Bases the predictor takes, flanks included; its `input_length` by default.

    Attributes
    ----------
    between
        Bases between the flanks.

    Raises
    ------
    InputError
        If the flanks leave no room, or the input length is unknown.
    """

    def __new__(cls, predictor: Predictor | None = None, *_: Any) -> "Flanked":
        """Around a `DescribedPredictor` it is one, too."""
        described = cls is Flanked and isinstance(predictor, DescribedPredictor)
        return super().__new__(_DescribedFlanked if described else cls)

    def __init__(
        self, predictor: Predictor, flanks: tuple[str, str], length: int | None = None
    ) -> None:
        self.predictor = predictor
        self.flanks = flanks
        length = window_of(predictor, length)
        self.between = length - sum(map(len, flanks))
        if self.between < 1:
            raise InputError(
                f"flanks leave no room in {length} bases. Received: flanks of {len(flanks[0])} and "
                f"{len(flanks[1])} bases"
            )

    def predict(self, sequences: Any) -> Prediction:
        """Predict sequences between the flanks: strings, tokens or one-hot `(N, L, 4)`."""
        return self.predictor.predict(between_flanks(as_tokens(sequences), self.flanks))


class _DescribedFlanked(Described, Flanked):
    predictor: DescribedPredictor

    @property
    def input_length(self) -> int:
        """Bases between the flanks."""
        return self.between

    def fingerprint(self) -> str:
        """SHA-256 of the flanks and of what is wrapped."""
        return content_hash(["flanked", *self.flanks, self.predictor.fingerprint()])


def between_flanks(tokens: np.ndarray, flanks: tuple[str, str]) -> np.ndarray:
    """Tokens `(N, L)` with fixed sequences before and behind each.

    Examples
    --------
    >>> between_flanks(np.array([[3, 3]], np.uint8), ("A", "CG")).tolist()
    [[0, 3, 3, 1, 2]]
    """
    n = len(tokens)
    ends = [
        np.tile(encode(each), (n, 1)) if each else np.empty((n, 0), np.uint8) for each in flanks
    ]
    return np.concatenate([ends[0], tokens, ends[1]], axis=1)


def check_aggregate(aggregate: str) -> None:
    """Refuse a word that is none of `AGGREGATES`.

    Raises
    ------
    InputError
        If it is none.
    """
    if aggregate not in AGGREGATES:
        raise InputError(f"expected one of {AGGREGATES}. Received: aggregate={aggregate!r}")


def aggregated(prediction: Prediction, rows: np.ndarray, aggregate: str) -> Prediction:
    """One prediction for each sequence from those of its windows, as `Fitted` describes.

    Parameters
    ----------
    prediction
        Of windows `(n_windows, n_targets)`.
    rows
        For each window the index of its sequence, ascending, `(n_windows,)`.
    aggregate
        One of `AGGREGATES`.

    Raises
    ------
    InputError
        If the prediction is of profiles.
    """
    check_aggregate(aggregate)
    if prediction.mean.ndim != 2:
        raise InputError(
            "expected one number per window and target; longer profiles are joined by "
            "`degu predict --bigwig --fasta GENOME`. "
            f"Received: profiles of shape {prediction.mean.shape}"
        )
    if aggregate == "maximum":
        chosen = strongest(prediction, rows)

        def join(array: np.ndarray) -> np.ndarray:
            return np.take_along_axis(array, chosen, axis=0)
    else:
        starts = np.unique(rows, return_index=True)[1]
        sizes = np.diff([*starts, len(rows)])[:, np.newaxis]

        def join(array: np.ndarray) -> np.ndarray:
            sums = np.add.reduceat(array, starts, axis=0, dtype=np.float64)
            return (sums / sizes).astype(array.dtype)

    aleatoric, epistemic = prediction.aleatoric, prediction.epistemic
    return Prediction(
        prediction.targets,
        join(prediction.mean),
        None if aleatoric is None else join(aleatoric),
        None if epistemic is None else join(epistemic),
        floored={
            name: join(mask.astype(np.float32)) > 0.0 for name, mask in prediction.floored.items()
        },
        task=prediction.task,
    )


def strongest(prediction: Prediction, rows: np.ndarray) -> np.ndarray:
    """For each sequence and target the window with the largest mean, the first of equal ones.

    Returns
    -------
    numpy.ndarray
        Indices of windows `(n_sequences, n_targets)`.
    """
    starts = np.unique(rows, return_index=True)[1]
    return np.column_stack([np.lexsort((-values, rows))[starts] for values in prediction.mean.T])
