"""The baseline beside a run: a k-mer ridge fitted to the run's training sequences."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from degu_tf.data.hdf5.stored_splits import StoredSplit
from degu_tf.data.splits import FRACTION_SEED, Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.metrics.activity import score
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash, read_json, write_json
from degu_tf.utils.processes.locks import lock_of, locked
from degu_tf.utils.run_folder import BASELINE, RunFolder

METHOD = "kmer_ridge"
"""The baseline's `method` in tables."""

VERSION = 1
"""Of its file, and of how it is fitted: files of another version are written anew."""


@dataclass(frozen=True)
class Baseline:
    """A fitted ridge, and what it was fitted to.

    Attributes
    ----------
    ridge
        The ridge.
    n_train
        How many training sequences it was fitted to.
    is_runs_data
        Whether those are known to be the sequences that the run was trained on.
    """

    ridge: KmerRidge
    n_train: int
    is_runs_data: bool

    def evaluate(self, split: Split, heads: HeadLayout) -> pd.DataFrame:
        """The ridge's metrics on a split, as rows for the table of `evaluate_run`.

        Parameters
        ----------
        split
            Sequences with measured columns.
        heads
            Layout of those columns.

        Raises
        ------
        InputError
            If the sequences are not one-hot.
        """
        means = heads.without_uncertainty().prediction(self.ridge.predict(split.sequences))
        return score(means, split.targets, heads, method=METHOD)


def baseline_of(run: str | os.PathLike, splits: Splits, *, drawn: bool = False) -> Baseline:
    """The k-mer ridge of the training sequences that a run used.

    It is kept in the run's folder (`kmer_ridge.json`) with a hash of what it was fitted to, and
    read from there if that is the same. A folder that cannot be written to is left as it is.

    Parameters
    ----------
    run
        A finished run, or a file of one model, which says nothing about its training sequences:
        the ridge is then fitted to all of them.
    splits
        The data that the run was trained on, before its subset was drawn.
    drawn
        The training sequences of `splits` are the run's subset already.

    Raises
    ------
    InputError
        If the data are profiles, or sequences that no ridge can be fitted to.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 10, 10), length=40).splits
    >>> small = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> spec, quick = degu.ModelSpec("deepstarr", small), degu.TrainingSettings(epochs=1)
    >>> run = degu.Run(f"{tempfile.mkdtemp()}/model", progress=False)
    >>> model = degu.train(splits.subset(30), spec, quick, run)
    >>> baseline = baseline_of(run.folder, splits)
    >>> baseline.n_train, baseline.is_runs_data
    (30, True)
    >>> baseline.evaluate(splits.test, splits.heads)["method"].unique().tolist()
    ['kmer_ridge']
    """
    if splits.train.targets.ndim == 3:
        raise InputError(
            "expected one number a sequence and target, not a profile. "
            f"Received: targets of shape {splits.train.targets.shape}"
        )
    if isinstance(splits.train, StoredSplit):
        raise InputError(
            "expected training sequences in memory, and these are read from their file in blocks. "
            f"Received: {len(splits.train)} training sequences"
        )
    folder = None if Path(run).is_file() else RunFolder(run)
    part, is_runs_data = splits, drawn
    if folder is not None and not drawn:
        part, is_runs_data = _training_part(folder, splits)
    sequences, means = part.train.sequences, part.heads.take(part.train.targets, "mean")
    fitted_to = _hash(sequences, means)
    ridge = None if folder is None else _kept(folder / BASELINE, fitted_to)
    # a lock that is there though the ridge is, was left by a process that was killed
    if folder is not None and (ridge is None or lock_of(folder / BASELINE).exists()):
        with locked(lock_of(folder / BASELINE), folder / BASELINE):
            ridge = _kept(folder / BASELINE, fitted_to)
            if ridge is None:
                ridge = KmerRidge().fit(sequences, means)
                _keep(folder / BASELINE, ridge, fitted_to)
    ridge = ridge or KmerRidge().fit(sequences, means)
    return Baseline(ridge, len(part.train), is_runs_data)


def below_baseline(table: pd.DataFrame, k: int) -> list[str]:
    """Which methods correlate less with a target's activity than the ridge does, in words.

    Parameters
    ----------
    table
        What `evaluate_run` returns, and the ridge's rows. Members count by their mean; numbers are
        compared as they are written, to three decimals.
    k
        Length of the ridge's k-mers.

    Examples
    --------
    >>> rows = [("student", 0.41), ("ensemble", 0.55), ("kmer_ridge", 0.53)]
    >>> table = pd.DataFrame(rows, columns=["method", "value"])
    >>> below_baseline(table.assign(target="HepG2", head="activity", metric="pearson"), k=5)
    ["student: r 0.410 on HepG2 is below the 5-mer ridge's 0.530"]
    """
    chosen = table[(table["metric"] == "pearson") & (table["head"] == "activity")]
    means = chosen.groupby(["method", "target"], sort=False)["value"].mean().round(3)
    sentences = []
    for method, target in means.index:
        value, ridges = means[method, target], means.get((METHOD, target), np.nan)
        who = "single (mean over members)" if method == "single" else method
        if value < ridges:
            reason = f"r {value:.3f} on {target} is below the {k}-mer ridge's {ridges:.3f}"
            sentences.append(f"{who}: {reason}")
        elif np.isnan(value) and not np.isnan(ridges):
            reason = f"constant predictions of {target}; the {k}-mer ridge's r is {ridges:.3f}"
            sentences.append(f"{who}: {reason}")
    return sentences


def _training_part(folder: RunFolder, splits: Splits) -> tuple[Splits, bool]:
    """Splits with the run's training sequences, and whether they are known to be those."""
    kind, settings, teachers = folder.kind, folder.settings(), _teachers(folder)
    if kind != "student":
        part = _by_number(settings, splits)
        return part, _made(settings, part)
    theirs = splits if teachers is None else _by_number(teachers, splits)
    part = _by_subset(settings["subset"], splits) if "subset" in settings else theirs
    if _made(settings, part):
        return part, True
    # a student's data are its teachers' labels; the same measurements made the teachers
    known = "subset" in settings or len(part.train) == settings["data"]["n_train"]
    return part, known and teachers is not None and _made(teachers, theirs)


def _by_number(settings: Mapping[str, Any], splits: Splits) -> Splits:
    """As many training sequences as a run counted, or all if there are fewer."""
    subset = settings.get("subset")
    seed = subset.get("seed", FRACTION_SEED) if isinstance(subset, Mapping) else FRACTION_SEED
    return splits.subset(min(settings["data"]["n_train"], len(splits.train)), seed)


def _by_subset(subset: Mapping[str, Any], splits: Splits) -> Splits:
    """The subset that a student's run records: its training sequences may be counted with more."""
    if subset["fraction"] is not None:
        return splits.fraction(subset["fraction"], subset["seed"])
    if subset["n_train"] is not None:
        return splits.subset(min(subset["n_train"], len(splits.train)), subset["seed"])
    return splits


def _made(settings: Mapping[str, Any], splits: Splits) -> bool:
    """Whether a run was made from these data."""
    return settings["data"]["fingerprint"] in _fingerprints(splits)


def _fingerprints(splits: Splits) -> Iterator[str]:
    """Fingerprints of the data, with and without uncertainty: runs may use the activity alone."""
    yield splits.fingerprint
    yield splits.without_uncertainty().fingerprint


def _teachers(folder: RunFolder) -> dict[str, Any] | None:
    """Settings of a student's teachers, if they are still where they were."""
    where = folder.manifest().get("teachers")
    if where is None:
        return None
    teachers = RunFolder(folder.path.resolve() / where)
    return teachers.settings() if teachers.finished else None


def _hash(sequences: np.ndarray, means: np.ndarray) -> str:
    """SHA-256 of what a ridge is fitted to."""
    digest = hashlib.sha256()
    for array in (sequences, means):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _keep(path: Path, ridge: KmerRidge, fitted_to: str) -> None:
    content = {"version": VERSION, "fitted_to": fitted_to, "ridge": ridge.to_dict()}
    with suppress(OSError):
        write_json(path, {**content, "hash": content_hash(content)})


def _kept(path: Path, fitted_to: str) -> KmerRidge | None:
    """The ridge in a file; None if there is none, or a damaged one or one of other data."""
    try:
        content = read_json(path)
        found = content.pop("hash")
        if found != content_hash(content) or content["version"] != VERSION:
            return None
        return KmerRidge.from_dict(content["ridge"]) if content["fitted_to"] == fitted_to else None
    except (AttributeError, InputError, KeyError, OSError, TypeError):
        return None
