"""Attribution runs: maps of ensembles and students, saved member by member, resumable.

A folder of maps holds `settings.json`, which says what made it, a folder for each head, and the
manifest, written last. A head's folder holds `member_00.h5 ...` of an ensemble, `maps.h5` with the
mean over members, and the pair `ohe.npz`, `attributions.npz` that TF-MoDISco reads.
"""

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from degu_tf.attribution.map_files import (
    MAPS,
    Maps,
    read_maps,
    write_maps,
    write_modisco_pair,
)
from degu_tf.attribution.methods import Method, fingerprint
from degu_tf.attribution.scalar_output import check_positive
from degu_tf.distillation.distributed.portable import PortableEnsemble
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.models.predictor import ModelPredictor, as_array
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.processes.locks import alone
from degu_tf.utils.progress import bar
from degu_tf.utils.run_folder import RunFolder

TOP = 1000
"""Number of sequences explained, those with the largest values (paper, Methods)."""


def explain_run(
    predictor: ModelPredictor | Ensemble,
    sequences: Any,
    folder: str | os.PathLike,
    *,
    heads: Sequence[str] | None = None,
    method: Method | None = None,
    names: Sequence[str] | None = None,
    top: int = TOP,
    ranking: Mapping[str, np.ndarray] | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> dict[str, Path]:
    """Explain the sequences with the largest values of each head, and save the maps in a folder.

    An ensemble's members go one after another, each with its own file, so memory does not grow
    with their number and an interrupted run resumes at the member it had reached. The ensemble's
    map is the mean over members, as in the paper.

    Parameters
    ----------
    predictor
        A model such as a student, or an ensemble.
    sequences
        Strings, tokens `(N, L)` or floats `(N, L, 4)`.
    folder
        A new or empty folder, or an unfinished run with the same settings.
    heads
        Columns of the model, or of the ensemble's members: ``"Dev"``, ``"Dev_epistemic"``. All
        targets by default.
    method
        Attribution method; by default DeepSHAP with dinucleotide shuffles as references.
    names
        A name for each sequence; their row numbers without.
    top
        Maximum number of sequences for each head.
    ranking
        For each head the values `(N,)` by which sequences are ranked, such as measured ones; by
        default those that are predicted.
    progress
        Show bars; None where standard error is a terminal.
    executor
        Any `concurrent.futures` executor, whose workers explain a member each and see the folder.

    Returns
    -------
    dict
        For each head the folder that holds its files.

    Raises
    ------
    InputError
        If the folder holds something else, a head does not exist, or shapes do not match.
    """
    method = method or Method()
    sequences = as_array(sequences)
    n = len(sequences)
    names = [f"record {row}" for row in range(n)] if names is None else [str(x) for x in names]
    heads = list(heads or predictor.heads.targets)
    ranking = {} if ranking is None else {k: np.asarray(v) for k, v in ranking.items()}
    _check(predictor, heads, names, n, top, ranking)
    run = RunFolder(folder)
    settings = {
        "kind": "attribution",
        "method": method.describe(),
        "heads": heads,
        "top": top,
        "ranking": {head: content_hash(v.tolist()) for head, v in ranking.items()},
        "predictor": predictor.fingerprint(),
        "sequences": fingerprint(sequences),
        "names": content_hash(names),
    }
    folders = {head: run / folder_name(head) for head in heads}
    with alone(folder, progress=progress):
        run.begin(settings)
        if not run.finished:
            _explain(predictor, method, sequences, names, top, ranking, folders, progress, executor)
            run.finish()
    return folders


def _explain(
    predictor: ModelPredictor | Ensemble,
    method: Method,
    sequences: np.ndarray,
    names: Sequence[str],
    top: int,
    ranking: Mapping[str, np.ndarray],
    folders: Mapping[str, Path],
    progress: bool | None,
    executor: Executor | None,
) -> None:
    """Write the files of every head into its folder."""
    if isinstance(predictor, Ensemble):
        prediction = predictor.predict(sequences, progress=progress, executor=executor)
    else:
        prediction = predictor.predict(sequences, progress=progress)
    for head, place in folders.items():
        if (place / MAPS).is_file():
            continue
        value = _values(prediction, predictor.heads, head)
        rows = top_rows(ranking.get(head, value), top)
        chosen = _Chosen(
            head=head,
            target=_target(predictor.heads, head),
            method=method.name,
            names=[names[row] for row in rows],
            rows=rows,
            sequences=sequences[rows],
        )
        if executor is not None and isinstance(predictor, Ensemble):
            _explain_elsewhere(predictor, chosen, method, place, executor)
        made = _explained(predictor, chosen, method, place, progress)
        said = prediction.select(rows)
        index = prediction.targets.index(chosen.target)
        if sequences.ndim == 2:
            write_modisco_pair(place, made.sequences, made.hypothetical)
        write_maps(
            place / MAPS,
            replace(
                made,
                value=value[rows],
                activity=_flat(said.mean[..., index]),
                aleatoric=None if said.aleatoric is None else _flat(said.aleatoric[..., index]),
                epistemic=None if said.epistemic is None else _flat(said.epistemic[..., index]),
            ),
        )


def top_rows(values: np.ndarray, n: int) -> np.ndarray:
    """Rows of the `n` largest values, the largest first; of equal ones the earlier first.

    Examples
    --------
    >>> top_rows(np.array([1.0, 3.0, 3.0, 2.0]), 3).tolist()
    [1, 2, 3]
    """
    return np.argsort(-np.asarray(values), kind="stable")[:n]


def folder_name(head: str) -> str:
    """The name of a head as a folder may have it.

    Examples
    --------
    >>> folder_name("Dev_epistemic"), folder_name("A/B: C")
    ('Dev_epistemic', 'A_B_ C')
    """
    return re.sub(r'[\x00-\x1f/\\:*?"<>|]|^\.+', "_", head)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Chosen:
    """The sequences of one head."""

    head: str
    target: str
    method: str
    names: list[str]
    rows: np.ndarray
    sequences: np.ndarray

    def maps(self, member: ModelPredictor, method: Method, progress: bool | None) -> Maps:
        """Explain them by one model."""
        made = method.explain(member, self.sequences, self.head, progress)
        value = _values(member.predict(self.sequences), member.heads, self.head)
        return Maps(
            **vars(self),
            scores=made.scores,
            hypothetical=made.hypothetical,
            value=value,
            delta=made.delta,
        )


def _member_file(place: Path, index: int) -> Path:
    return place / f"member_{index:02d}.h5"


def _explain_elsewhere(
    ensemble: Ensemble, chosen: _Chosen, method: Method, place: Path, executor: Executor
) -> None:
    """Write the members' files that are missing, each in a worker."""
    portable = PortableEnsemble.of(ensemble)
    files = {index: _member_file(place.absolute(), index) for index in range(ensemble.n_members)}
    futures = [
        executor.submit(_explain_member, portable, index, chosen, method, file)
        for index, file in files.items()
        if not file.is_file()
    ]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()


def _explain_member(
    portable: PortableEnsemble, index: int, chosen: _Chosen, method: Method, file: Path
) -> None:
    write_maps(file, chosen.maps(portable.open().members[index], method, False))


def _explained(
    predictor: ModelPredictor | Ensemble,
    chosen: _Chosen,
    method: Method,
    place: Path,
    progress: bool | None,
) -> Maps:
    """The mean maps; members' files are written where they are missing."""
    if not isinstance(predictor, Ensemble):
        return chosen.maps(predictor, method, progress)
    sums: dict[str, np.ndarray] = {}
    for index, member in enumerate(bar(predictor.members, chosen.head, progress, keep=True)):
        file = _member_file(place, index)
        if not file.is_file():
            write_maps(file, chosen.maps(member, method, progress))
        made = read_maps(file)
        if not np.array_equal(made.rows, chosen.rows):
            raise InputError(
                "expected this run's sequences in the member's file; delete it and run again to "
                f"compute it. Received: {file}"
            )
        for name in ("scores", "hypothetical", "value", "delta"):
            array = getattr(made, name)
            if array is not None:
                sums[name] = sums.get(name, 0.0) + array.astype(np.float64)
    means = {name: (total / predictor.n_members).astype(np.float32) for name, total in sums.items()}
    return replace(
        made,
        scores=means["scores"],
        hypothetical=means["hypothetical"],
        value=means["value"],
        delta=means.get("delta"),
    )


def _check(
    predictor: ModelPredictor | Ensemble,
    heads: Sequence[str],
    names: Sequence[str],
    n: int,
    top: int,
    ranking: Mapping[str, np.ndarray],
) -> None:
    columns = predictor.heads.columns
    for head in heads:
        is_spread = isinstance(predictor, Ensemble) and head.endswith("_epistemic")
        if is_spread and head not in columns:
            raise InputError(
                "an ensemble's epistemic uncertainty is not a column of its members; explain a "
                "student of it. "
                f"Received: head={head!r}, members' columns {columns}"
            )
        role = _role(predictor.heads, head)
        if role not in ("mean", "aleatoric", "epistemic"):
            raise InputError(
                f"expected a target or a column of its uncertainty. Received: {head!r}, the "
                f"{role} of evidential columns"
            )
    if len({folder_name(head) for head in heads}) < len(heads):
        raise InputError(f"expected different heads. Received: {', '.join(heads)}")
    if len(names) != n:
        raise InputError(f"expected {n} names, one for each sequence. Received: {len(names)}")
    check_positive("top", top)
    for head, values in ranking.items():
        if head not in heads or values.shape != (n,) or not np.isfinite(values).all():
            raise InputError(
                f"expected a ranking of {n} finite values for one of {', '.join(heads)}. "
                f"Received: {head!r}, shape {values.shape}"
            )


def _target(heads: HeadLayout, head: str) -> str:
    return heads.targets[heads.column(head) % heads.n_targets]


def _role(heads: HeadLayout, head: str) -> str:
    return heads.roles[heads.column(head) // heads.n_targets]


def _values(prediction: Prediction, heads: HeadLayout, head: str) -> np.ndarray:
    """What is predicted of a head `(N,)`: activity, or an uncertainty as standard deviation."""
    role = _role(heads, head)
    values = prediction.mean if role == "mean" else prediction.component(role)
    if values is None:
        raise InputError(f"expected a prediction with {role} uncertainty. Received: none")
    return _flat(values[..., heads.column(head) % heads.n_targets])


def _flat(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else values.mean(axis=1)
