"""Labels of a student: the ensemble's mean and spread, beside what was measured."""

from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from degu_tf.data.hdf5.rows import memory
from degu_tf.data.hdf5.stored_splits import SHARE, StoredSplit
from degu_tf.data.row_blocks import row_blocks
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import Form, HeadLayout
from degu_tf.models.tiling import tiled
from degu_tf.sequences.encoding import as_tokens
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.whole_numbers import is_between

Validation = Literal["measured", "ensemble"]
"""Which labels a student is validated on."""


def student_splits(
    teachers: Ensemble,
    splits: Splits,
    epistemic: Form = "std",
    progress: bool | None = False,
    *,
    validation: Validation = "measured",
    measured_share: float = 0.0,
    extra: Any = None,
) -> Splits:
    """The data a student learns from, in the student's layout.

    Training labels come from the teachers: mean activity, mean aleatoric uncertainty, standard
    deviation of activity. Validation and test keep the experiment's activity and replicate std
    next to the teachers' spread (paper, Methods, "DEGU"); what was not measured (NaN) is left out
    of the validation loss and of metrics. Profiles longer than the teachers' input
    are labelled by overlapping windows (`degu_tf.models.tiling`).

    Parameters
    ----------
    teachers
        The trained ensemble.
    splits
        Experimental data in the teachers' layout; means alone will do if the teachers predict
        aleatoric uncertainty that was not measured here: it is then the teachers' everywhere. Data
        with the student's columns, such as `degu prepare atac --labels` makes of an ensemble's
        tracks, are labelled already and are returned unchanged.
    epistemic
        ``"std"``, or ``"log_variance"`` as in Supplementary Fig. 11.
    progress
        Show a bar.
    validation
        ``"measured"``, as in the paper: the experiment's labels beside the teachers' spread. Or
        ``"ensemble"``: the teachers' labels, which are far less noisy, so that the best epoch is
        that of the student most like its ensemble. Test labels are always measured.
    measured_share
        Weight of the measured activity in the training labels, beside the teachers' mean; 0 as in
        the paper, which names mixed labels as future work. Where nothing was measured the label is
        the teachers'. Of data with weights the share of a row grows with its weight w, of mean 1:
        s w / (1 - s + s w). That and the validation on measured labels is all that weights do for a
        student: its other labels are the teachers', equally good for every row.
    extra
        More training sequences that nothing was measured of: tokens or strings of the data's
        length. The teachers label them.

    Raises
    ------
    InputError
        If teachers and data have different targets, the data hold epistemic columns but are not
        in the student's layout, the share is out of range, or extra sequences have another length.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 10, 10), length=40).splits
    >>> models = [degu.build("deepstarr", (40, 4), splits.heads, width=0.05) for _ in range(2)]
    >>> members = [degu.ModelPredictor(model, splits.heads) for model in models]
    >>> student_splits(degu.Ensemble(members), splits).heads.columns[-2:]
    ('Dev_epistemic', 'Hk_epistemic')
    """
    if teachers.heads.targets != splits.heads.targets:
        raise InputError(
            f"the teachers predict {teachers.heads.targets}. "
            f"Received: data with targets {splits.heads.targets}"
        )
    if teachers.heads.task != splits.heads.task:
        raise InputError(
            f"expected data of the teachers' task, {teachers.heads.task}. "
            f"Received: data of the task {splits.heads.task}"
        )
    check_labels(validation, measured_share)
    heads = teachers.heads.student(epistemic)
    if splits.heads == heads:
        _refuse_more(measured_share, extra)
        return splits
    if splits.heads.epistemic:
        raise InputError(
            "expected measured columns, without epistemic ones: those come from the teachers; or "
            f"labels in the student's columns {heads.columns}. "
            f"Received: columns {splits.heads.columns}"
        )
    if splits.heads.aleatoric and not teachers.heads.aleatoric:
        splits = splits.without_uncertainty()

    def label(split: Split, share: float) -> Split:
        columns = _columns(teachers, split, epistemic, progress)
        return replace(
            split,
            targets=_mixed(columns, split, splits.heads, heads, share),
            weights=split.weights if share == 1.0 else None,
        )

    train = label(splits.train, measured_share)
    if extra is not None:
        train = _joined(train, _extra_split(extra, splits, teachers, epistemic, progress))
    return Splits(
        train,
        label(splits.validation, 1.0 if validation == "measured" else 0.0),
        label(splits.test, 1.0),
        heads,
        has_test=splits.has_test,
        origin=content_hash(
            [
                teachers.fingerprint(),
                splits.fingerprint,
                epistemic,
                *([] if validation == "measured" else [validation]),
                *([["measured share", measured_share]] if measured_share else []),
                *([] if extra is None else [["extra", _hash(train.sequences)]]),
            ]
        ),
    )


def _mixed(
    columns: np.ndarray, split: Split, measured: HeadLayout, heads: HeadLayout, share: float
) -> np.ndarray:
    """The teachers' columns, a share of whose means was measured; all of it, and what else was."""
    if share == 1.0:
        for role in measured.roles:
            columns[..., heads.slice(role)] = (
                measured.take(split.targets, "mean")
                if role == "mean"
                else measured.std(split.targets, role)
            )
    elif share:
        mean = heads.slice("mean")
        activity = measured.take(split.targets, "mean")[: len(split)]  # read, if in a file
        shares: Any = share
        if split.weights is not None:
            weights = split.weights / split.weights.mean(axis=0)
            if weights.ndim == 1:
                weights = weights.reshape(-1, *[1] * (columns.ndim - 1))
            shares = share * weights / (1.0 - share + share * weights)
        mixed = (1.0 - shares) * columns[..., mean] + shares * activity
        columns[..., mean] = np.where(np.isnan(activity), columns[..., mean], mixed)
    return columns


def check_labels(validation: Validation, measured_share: float) -> None:
    """Refuse names of labels, and a share of the measured ones, that there are not.

    Raises
    ------
    InputError
        If one is none.

    Examples
    --------
    >>> check_labels("ensemble", 0.5)
    """
    if validation not in ("measured", "ensemble"):
        raise InputError(
            "a student is validated on 'measured' or 'ensemble' labels. "
            f"Received: validation={validation!r}"
        )
    if not is_between(measured_share, -1.0, 1.0) or measured_share < 0.0:
        raise InputError(
            f"measured_share must lie in [0, 1). Received: measured_share={measured_share!r}"
        )


def _refuse_more(measured_share: float, extra: Any) -> None:
    if measured_share or extra is not None:
        raise InputError(
            "these data are labels already, which the teachers do not make again: give what was "
            "measured, or leave measured_share and extra out. Received: labels"
        )


def _extra_split(
    extra: Any, splits: Splits, teachers: Ensemble, epistemic: Form, progress: bool | None
) -> Split:
    """Sequences without measurements, labelled by the teachers."""
    tokens, length = as_tokens(extra), splits.input_shape[0]
    if splits.train.targets.ndim == 3 or splits.train.sequences.ndim == 3:
        raise InputError(
            "extra sequences go with sequences of bases that have one value for each target. "
            "Received: profiles, or sequences that are not one-hot"
        )
    if not len(tokens) or tokens.shape[1] != length:
        raise InputError(
            f"expected extra sequences of {length} bases, as the data have. "
            f"Received: {len(tokens)} sequences of {tokens.shape[1]} bases"
        )
    return Split(tokens, teachers.columns(tokens, epistemic, progress))


def _joined(first: Split, second: Split) -> Split:
    return Split(
        np.concatenate([first.sequences, second.sequences]),
        np.concatenate([first.targets, second.targets]),
    )


def _hash(tokens: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(tokens).data).hexdigest()


def _columns(
    teachers: Ensemble, split: Split, epistemic: Form, progress: bool | None
) -> np.ndarray:
    """The ensemble's labels, of profiles at every position of the sequences."""
    window = teachers.input_length
    if isinstance(split, StoredSplit):
        return _columns_by_block(teachers, split, epistemic)
    if window is None or split.targets.ndim != 3 or split.sequences.shape[1] <= window:
        return teachers.columns(split.sequences, epistemic, progress)
    return tiled(lambda part: teachers.columns(part, epistemic, progress), split.sequences, window)


def _columns_by_block(teachers: Ensemble, split: Split, epistemic: Form) -> np.ndarray:
    """The ensemble's labels, held in memory, of sequences that are read block by block."""
    n_columns = teachers.heads.student(epistemic).n_columns
    if split.targets.ndim == 3 or 4 * len(split) * n_columns > SHARE * memory():
        raise InputError(
            "labels are held in memory, where those of these data do not fit: predict the "
            "teachers' tracks and make a file of labels of them (degu predict --bigwig, degu "
            f"prepare atac --labels). Received: {len(split)} sequences, targets of shape "
            f"{split.targets.shape}"
        )
    labels = np.empty((len(split), n_columns), np.float32)
    for rows, sequences in row_blocks(split.sequences):
        labels[rows] = teachers.columns(sequences, epistemic)
    return labels
