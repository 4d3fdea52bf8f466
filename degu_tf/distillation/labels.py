"""Labels of a student: the ensemble's mean and spread, beside what was measured."""

from dataclasses import replace
from typing import Literal

import numpy as np

from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import Form
from degu_tf.models.tiling import tiled
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash

Validation = Literal["measured", "ensemble"]
"""Which labels a student is validated on."""


def student_splits(
    teachers: Ensemble,
    splits: Splits,
    epistemic: Form = "std",
    progress: bool | None = False,
    *,
    validation: Validation = "measured",
) -> Splits:
    """The data a student learns from, in the student's layout.

    Training labels come from the teachers: mean activity, mean aleatoric uncertainty, standard
    deviation of activity. Validation and test keep the experiment's activity and replicate std
    next to the teachers' spread (paper, Methods, "DEGU"). Profiles longer than the teachers' input
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

    Raises
    ------
    InputError
        If teachers and data have different targets, or the data hold epistemic columns but are not
        in the student's layout.

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
    if validation not in ("measured", "ensemble"):
        raise InputError(
            "a student is validated on 'measured' or 'ensemble' labels. "
            f"Received: validation={validation!r}"
        )
    heads = teachers.heads.student(epistemic)
    if splits.heads == heads:
        return splits
    if splits.heads.epistemic:
        raise InputError(
            "expected measured columns, without epistemic ones: those come from the teachers; or "
            f"labels in the student's columns {heads.columns}. "
            f"Received: columns {splits.heads.columns}"
        )
    if splits.heads.aleatoric and not teachers.heads.aleatoric:
        splits = splits.without_uncertainty()

    def label(split: Split, *, measured: bool) -> Split:
        columns = _columns(teachers, split, epistemic, progress)
        if measured:
            for role in splits.heads.roles:
                block = heads.slice(role)
                columns[..., block] = (
                    splits.heads.take(split.targets, "mean")
                    if role == "mean"
                    else splits.heads.std(split.targets, role)
                )
        return replace(split, targets=columns)

    return Splits(
        label(splits.train, measured=False),
        label(splits.validation, measured=validation == "measured"),
        label(splits.test, measured=True),
        heads,
        origin=content_hash(
            [
                teachers.fingerprint(),
                splits.fingerprint,
                epistemic,
                *([] if validation == "measured" else [validation]),
            ]
        ),
    )


def _columns(
    teachers: Ensemble, split: Split, epistemic: Form, progress: bool | None
) -> np.ndarray:
    """The ensemble's labels, of profiles at every position of the sequences."""
    window = teachers.input_length
    if window is None or split.targets.ndim != 3 or split.sequences.shape[1] <= window:
        return teachers.columns(split.sequences, epistemic, progress)
    return tiled(lambda part: teachers.columns(part, epistemic, progress), split.sequences, window)
