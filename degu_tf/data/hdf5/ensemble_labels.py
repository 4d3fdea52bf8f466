"""Teachers' labels from files without sequences, joined with their data."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from degu_tf.data.splits import NAMES, Split, Splits
from degu_tf.heads import Form, HeadLayout
from degu_tf.utils.errors import InputError

Labels = Mapping[str, Mapping[str, np.ndarray]]
"""Result of `read_ensemble_labels`: for each split `mean`, `std` and maybe `aleatoric`."""

_ENOUGH_ROWS = 100
_LEAST_CORRELATION = 0.1


def with_ensemble_labels(splits: Splits, labels: Labels) -> Splits:
    """Put teachers' labels into the splits they belong to, rows in the same order.

    The targets' means and standard deviations go to `Split.ensemble_mean` and
    `Split.ensemble_std`, both `(N, T)`; measured targets stay as they are. The standard deviation
    of teachers' aleatoric columns has no use in distillation and stays out.

    Parameters
    ----------
    splits
        The data, in the order in which the labels were made. The released labels of a training
        subset of n sequences were made of ``splits.subset(n)``.
    labels
        For train, validation and test the `mean` and `std` of the teachers' output `(N, T)`, or
        `(N, 2 T)` with their aleatoric columns for data that have such columns.

    Raises
    ------
    InputError
        If a split has no labels, or another number of rows or columns than they.

    Warns
    -----
    UserWarning
        If a target of the training data and the teachers' mean for it do not correlate, as happens
        when rows are in another order.

    Examples
    --------
    >>> part = Split(np.zeros((3, 8), np.uint8), np.ones((3, 1)))
    >>> splits = Splits(part, part, part, HeadLayout(("K562",)))
    >>> label = {"mean": np.ones((3, 1)), "std": np.zeros((3, 1))}
    >>> labels = {"train": label, "validation": label, "test": label}
    >>> with_ensemble_labels(splits, labels).test.ensemble_std.shape
    (3, 1)
    """
    if missing := [name for name in NAMES if name not in labels]:
        raise InputError(f"expected labels of {', '.join(NAMES)}. Received: none of {missing}")
    joined = {
        name: replace(
            split,
            ensemble_mean=_label(labels, name, "mean", split, splits.heads),
            ensemble_std=_label(labels, name, "std", split, splits.heads),
        )
        for name, split in splits.items()
    }
    _warn_of_order(joined["train"], splits.heads)
    return replace(
        splits, train=joined["train"], validation=joined["validation"], test=joined["test"]
    )


def student_splits_from_labels(
    splits: Splits, labels: Labels | None = None, epistemic: Form = "std"
) -> Splits:
    """The data a student learns from, with labels that were released instead of teachers at hand.

    Training labels are the teachers': mean activity, mean aleatoric uncertainty where the data have
    such columns, standard deviation of activity. Validation and test keep what was measured next to
    the teachers' standard deviation (paper, Methods, "DEGU").

    Parameters
    ----------
    splits
        The data. Without `labels` they must hold the teachers' labels, as a released file does.
        If they have aleatoric columns too, their training targets must be the teachers' means, as
        those of a released lentiMPRA file with four columns are.
    labels
        As for `with_ensemble_labels`; the teachers' mean aleatoric uncertainty is their
        `aleatoric`, or the second half of their `mean`.
    epistemic
        Form of the epistemic column: ``"std"``, or ``"log_variance"`` as in Supplementary Fig. 11.

    Raises
    ------
    InputError
        If labels are missing or do not fit.

    Examples
    --------
    >>> part = Split(np.zeros((3, 8), np.uint8), np.ones((3, 1)))
    >>> splits = Splits(part, part, part, HeadLayout(("K562",)))
    >>> label = {"mean": np.full((3, 1), 2.0), "std": np.full((3, 1), 0.5)}
    >>> labels = {"train": label, "validation": label, "test": label}
    >>> student = student_splits_from_labels(splits, labels)
    >>> student.train.targets[0].tolist(), student.test.targets[0].tolist()
    ([2.0, 0.5], [1.0, 0.5])
    """
    heads = splits.heads.student(epistemic)
    if labels is not None:
        splits = with_ensemble_labels(splits, labels)
    labelled = {}
    for name, split in splits.items():
        mean: np.ndarray | None
        if name == "train":
            mean, aleatoric = split.ensemble_mean, _teachers_aleatoric(splits, labels)
        else:
            mean = splits.heads.take(split.targets, "mean")
            aleatoric = splits.heads.std(split.targets, "aleatoric")
        if split.ensemble_std is None or mean is None:
            raise InputError(
                "expected the teachers' mean and std for the training data and their std for "
                f"validation and test, in the file or as labels=. Received: none for {name}"
            )
        columns = heads.join(mean, aleatoric, split.ensemble_std)
        # weights say how well a row was measured; the labels of train are the teachers'
        weights = None if name == "train" else split.weights
        labelled[name] = replace(split, targets=columns.astype(np.float32), weights=weights)
    return Splits.from_parts(labelled, heads)


def _label(labels: Labels, name: str, role: str, split: Split, heads: HeadLayout) -> np.ndarray:
    """The targets' columns of one label, checked against rows and columns of the data."""
    values = _columns(labels, name, role)
    if len(values) != len(split):
        hint = "; labels of a training subset go with splits.subset(n)" if name == "train" else ""
        raise InputError(
            f"expected a label for each of the {len(split)} sequences of {name}, in their "
            f"order{hint}. Received: {role} of shape {values.shape}"
        )
    allowed = (heads.n_targets, 2 * heads.n_targets) if heads.aleatoric else (heads.n_targets,)
    if values.shape[1:] not in [(n,) for n in allowed]:
        raise InputError(
            f"expected teachers' labels of {' or '.join(map(str, allowed))} columns for data with "
            f"the columns {', '.join(heads.columns)}. "
            f"Received: {role} of {name} of shape {values.shape}"
        )
    return values[:, : heads.n_targets]


def _columns(labels: Labels, name: str, role: str) -> np.ndarray:
    if role not in labels[name]:
        raise InputError(f"expected the labels mean and std of {name}. Received: no {role}")
    values = np.asarray(labels[name][role], dtype=np.float32)
    return values[:, np.newaxis] if values.ndim == 1 else values


def _teachers_aleatoric(splits: Splits, labels: Labels | None) -> np.ndarray | None:
    """The teachers' mean aleatoric uncertainty `(N, T)` of the training data, if there is any."""
    heads, train = splits.heads, splits.train
    if heads.aleatoric is None or train.ensemble_mean is None:
        return None
    if labels is not None and "aleatoric" in labels["train"]:
        values = _columns(labels, "train", "aleatoric")
    elif labels is not None:
        values = _columns(labels, "train", "mean")[:, heads.n_targets :]
    elif np.array_equal(heads.take(train.targets, "mean"), train.ensemble_mean):
        return heads.std(train.targets, "aleatoric")
    else:
        values = np.empty((len(train), 0))
    if values.shape != (len(train), heads.n_targets):
        raise InputError(
            "expected the teachers' aleatoric uncertainty of the training data, which these labels "
            "do not hold; splits.without_uncertainty() gives the data for a student without it. "
            f"Received: aleatoric labels of shape {values.shape} for the columns "
            f"{', '.join(heads.columns)}"
        )
    return values


def _warn_of_order(train: Split, heads: HeadLayout) -> None:
    """Warn where labels look as if they belonged to other rows."""
    if len(train) < _ENOUGH_ROWS or train.ensemble_mean is None:
        return
    for target, measured, predicted in zip(
        heads.targets, heads.take(train.targets, "mean").T, train.ensemble_mean.T, strict=True
    ):
        present = ~np.isnan(measured)
        measured, predicted = measured[present], predicted[present]
        if not (measured.std() and predicted.std()):
            continue
        # not metrics.correlation, which lies above this folder; both sides vary here
        correlation = np.corrcoef(measured, predicted)[0, 1]
        if correlation < _LEAST_CORRELATION:
            warnings.warn(
                f"the teachers' mean for {target} does not follow what was measured in the "
                f"training data (Pearson r {correlation:.2f}); are the rows in the same order?",
                stacklevel=3,
            )
