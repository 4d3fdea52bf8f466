"""Calibrated runs: conformal intervals, saved in the run's folder with the weights they are for."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from degu_tf.data.hdf5.stored_splits import evaluated
from degu_tf.data.row_blocks import row_blocks
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.metrics.intervals import coverage
from degu_tf.models.predictor import (
    Described,
    DescribedPredictor,
    ModelPredictor,
    Predictor,
    StrandAveraged,
)
from degu_tf.uncertainty.conformal.conformal import Conformal, refuse_binary
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import check_output
from degu_tf.utils.processes.locks import lock_of, locked
from degu_tf.utils.run_folder import CALIBRATION, RunFolder

JUDGED_ON = {"validation": "test", "test": "validation"}
"""Split to evaluate intervals on, by the split they were calibrated on."""


class Calibrated:
    """A predictor and the conformal prediction that was fitted to it.

    Parameters
    ----------
    predictor
        Whatever made the predictions that `conformal` was fitted on.
    conformal
        Fitted conformal prediction.
    """

    def __new__(
        cls, predictor: Predictor | None = None, conformal: Conformal | None = None
    ) -> "Calibrated":
        """Around a `DescribedPredictor` it is one, too."""
        described = cls is Calibrated and isinstance(predictor, DescribedPredictor)
        return super().__new__(_DescribedCalibrated if described else cls)

    def __init__(self, predictor: Predictor, conformal: Conformal) -> None:
        self.predictor = predictor
        self.conformal = conformal

    def predict(self, sequences: Any) -> Prediction:
        """What the predictor says; the calibration changes nothing but intervals."""
        return self.predictor.predict(sequences)

    def interval(
        self, prediction: Prediction, level: float = 0.95, component: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Conformal intervals, with the arguments of `Prediction.interval`.

        Raises
        ------
        InputError
            As `degu_tf.uncertainty.conformal.conformal.Conformal.interval`.
        """
        return self.conformal.interval(prediction, level, component)


class _DescribedCalibrated(Described, Calibrated):
    predictor: DescribedPredictor

    def fingerprint(self) -> str:
        """The wrapped predictor's: a calibration changes no prediction."""
        return self.predictor.fingerprint()


def calibrate(
    run: str | os.PathLike,
    splits: Splits,
    *,
    split: Literal["validation", "test"] = "validation",
    component: str = "total",
    quantile: Literal["finite_sample", "plain"] = "finite_sample",
    n_bins: int | None = None,
    level: float = 0.95,
    average_strands: bool = False,
    force: bool = False,
) -> Calibrated:
    """Fit conformal prediction to a finished run and save it in the run's folder.

    Parameters
    ----------
    run
        Folder of a student, an ensemble or a model with uncertainty.
    splits
        Data with the run's targets.
    split
        The split to calibrate on. The other one of validation and test is left to evaluate the
        intervals, and may share no sequence with it.
    component, quantile, n_bins
        As for `degu_tf.uncertainty.conformal.conformal.Conformal`.
    level
        Nominal level that the intervals must be able to reach.
    average_strands
        Calibrate predictions that are averaged with the reverse complement's.
    force
        Overwrite a calibration that already exists.

    Returns
    -------
    Calibrated
        The predictor with its calibration, as `load_calibration` loads it.

    Raises
    ------
    InputError
        If a calibration already exists, the folder holds no finished run, both splits share
        sequences, or as `Conformal.fit` does.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 40, 20), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec = degu.ModelSpec("deepstarr", small)
    >>> run = degu.Run(tempfile.mkdtemp() + "/run", progress=False)
    >>> noise = degu.TrainingSettings(epochs=1, loss="gaussian_nll")
    >>> model = degu.train(splits, spec, noise, run)
    >>> calibrated = calibrate(run.folder, splits, component="aleatoric", level=0.9)
    >>> calibrated.conformal.factors(0.9)["target"].tolist()
    ['Dev', 'Hk']
    >>> load_calibration(run.folder).predict(splits.test.sequences).mean.shape
    (20, 2)
    """
    if split not in JUDGED_ON:
        raise InputError(f"expected one of {tuple(JUDGED_ON)}. Received: split={split!r}")
    if getattr(splits, split).targets.ndim != 2:
        raise InputError(
            "conformal intervals are made for one number a sequence and target, not for profiles. "
            f"Received: targets of shape {getattr(splits, split).targets.shape}"
        )
    refuse_binary(splits.heads.task)
    path = Path(run) / CALIBRATION
    RunFolder(run).manifest()
    check_output(path, overwrite=force)
    with locked(lock_of(path), path):
        check_output(path, overwrite=force)
        model = open_run(run)
        predictor = StrandAveraged(model) if average_strands else model
        part = evaluated(getattr(splits, split), split)
        conformal = Conformal(component, quantile, n_bins).fit(
            predictor.predict(part.sequences), part.targets, splits.heads, part.sequences, (level,)
        )
        for _, others in row_blocks(getattr(splits, JUDGED_ON[split]).sequences):
            conformal.check_unseen(others)
        conformal.notes = {
            "fingerprint": model.fingerprint(),
            "average_strands": average_strands,
            "split": split,
            "data": splits.fingerprint,
        }
        conformal.save(path)
    return Calibrated(predictor, conformal)


def load_calibration(run: str | os.PathLike) -> Calibrated:
    """The predictor of a run with its calibration, averaging strands if that was calibrated.

    `calibrate` has an example.

    Raises
    ------
    InputError
        If the run is not calibrated, or the calibration was fitted to other weights.
    """
    if not (Path(run) / CALIBRATION).exists():
        raise InputError(
            f"expected a calibrated run; calibrate it with `degu calibrate`. Received: {run}"
        )
    model = open_run(run)
    conformal = _read(run, model)
    strands = conformal.notes["average_strands"]
    return Calibrated(StrandAveraged(model) if strands else model, conformal)


def find_calibration(
    run: str | os.PathLike, model: Ensemble | ModelPredictor, average_strands: bool = False
) -> Conformal | None:
    """The calibration of a run for predictions with or without strand averaging, if any.

    Raises
    ------
    InputError
        If there is one, but for other weights or for the other setting of strand averaging.
    """
    if not (Path(run) / CALIBRATION).exists():
        return None
    conformal = _read(run, model)
    if conformal.notes["average_strands"] != average_strands:
        made, other = ("with", "give") if not average_strands else ("without", "leave out")
        raise InputError(
            f"the run was calibrated {made} strand averaging: {other} --average-strands here, "
            "calibrate again with --force, or use --gaussian intervals. "
            f"Received: average_strands={average_strands}"
        )
    return conformal


def _read(run: str | os.PathLike, model: Ensemble | ModelPredictor) -> Conformal:
    path = Path(run) / CALIBRATION
    conformal = Conformal.load(path)
    missing = {"fingerprint", "average_strands", "split"} - conformal.notes.keys()
    if missing:
        raise InputError(
            "expected a calibration that names its run; calibrate with `degu calibrate`. "
            f"Received: {path}, without {sorted(missing)}"
        )
    if conformal.notes["fingerprint"] != model.fingerprint():
        raise InputError(
            "the calibration was fitted to other weights than the run's; calibrate again with "
            f"--force, or use --gaussian intervals. Received: {path}"
        )
    return conformal


def compare_intervals(
    calibrated: Calibrated, split: Split, heads: HeadLayout, level: float = 0.95
) -> pd.DataFrame:
    """Coverage and mean size of Gaussian and of conformal intervals on new sequences.

    Parameters
    ----------
    calibrated
        Predictor with its calibration.
    split
        Sequences with measured values, none of them used for calibration.
    heads
        Layout of the measured columns.
    level
        Nominal level of the intervals.

    Returns
    -------
    pandas.DataFrame
        The rows of `degu_tf.metrics.intervals.coverage`, with a first column `interval`:
        ``gaussian`` or ``conformal``.

    Raises
    ------
    InputError
        If sequences were used for calibration, or targets differ.
    """
    split = evaluated(split, "the split")
    calibrated.conformal.check_unseen(split.sequences)
    prediction = calibrated.predict(split.sequences)
    tables = [
        coverage(
            prediction,
            split.targets,
            heads,
            level,
            components=(calibrated.conformal.component,),
            interval=make,
            **{"interval_kind": kind},
        )
        for kind, make in (("gaussian", Prediction.interval), ("conformal", calibrated.interval))
    ]
    return pd.concat(tables, ignore_index=True).rename(columns={"interval_kind": "interval"})
