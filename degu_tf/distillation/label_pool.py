"""A pool of augmented sequences that an ensemble has labelled once, for all its students.

Labelling on the fly asks every teacher in every training step of every student. A pool asks each
once for each of its sequences: some augmented copies of the training set, kept with the ensemble.
Students then train on labelled data alone.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from evoaug_tf.augment import AugmentBase

from degu_tf.data.hdf5.new_file import new_file
from degu_tf.data.hdf5.rows import check_storage, datasets_of, opened
from degu_tf.data.hdf5.stored_splits import StoredSplit
from degu_tf.data.pipeline import one_hot_batch
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.teacher import Teacher
from degu_tf.heads import Form
from degu_tf.sequences.alphabet import UNKNOWN
from degu_tf.training.augmentation.schemes import apply, describe
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.files import atomic_write, content_hash, write_json
from degu_tf.utils.processes.locks import alone
from degu_tf.utils.progress import bar
from degu_tf.utils.random_keys import draw_key
from degu_tf.utils.run_folder import POOLS

BATCH = 1000
"""Sequences that are augmented and labelled at once, and among which recombination takes place."""


_CHANGED = "expected labels as they were written; remove the file, and they are made again"


def with_label_pool(
    teachers: Ensemble,
    labelled: Splits,
    scheme: AugmentBase,
    copies: int,
    *,
    progress: bool | None = False,
) -> Splits:
    """Add augmented copies of the training sequences, with the teachers' labels.

    The copies are kept in the ensemble's folder, under `pools/`, one compressed HDF5 file each with
    the hash of its content, and read from there by the next student; asking for more makes the
    missing ones. An ensemble without a folder, or in one that cannot be written, makes them anew.

    Parameters
    ----------
    teachers
        The ensemble.
    labelled
        Data from `degu_tf.distillation.labels.student_splits`.
    scheme
        How the copies are augmented; it must leave every position a base, so noise will not do.
    copies
        Augmented copies of the training set. In memory each takes a byte for a base and four for
        a label.
    progress
        Show a bar.

    Returns
    -------
    Splits
        The data, whose training split is the original one and then the copies.

    Raises
    ------
    InputError
        If the data are profiles, the scheme makes something else than bases, or a file of the
        pool was changed.

    Examples
    --------
    >>> import degu_tf as degu
    >>> splits = degu.simulate((40, 10, 10), length=40).splits
    >>> models = [degu.build("deepstarr", (40, 4), splits.heads, width=0.05) for _ in range(2)]
    >>> teachers = Ensemble([degu.ModelPredictor(model, splits.heads) for model in models])
    >>> labelled = degu.student_splits(teachers, splits)
    >>> len(with_label_pool(teachers, labelled, degu.scheme("mutagenesis"), 3).train)
    160
    """
    _check(labelled, copies)
    scheme_of_pool = describe(scheme)
    epistemic = labelled.heads.epistemic or "std"
    sequences = labelled.train.sequences
    content = {
        "teachers": teachers.fingerprint(),
        "sequences": sha256(np.ascontiguousarray(sequences).data).hexdigest(),
        "scheme": scheme_of_pool,
        "epistemic": epistemic,
    }
    folder = _folder(teachers, content)
    parts = [labelled.train]
    with nullcontext() if folder is None else alone(folder, progress=progress):
        parts += _copies(teachers, labelled, scheme, copies, folder, progress)
    train = Split(
        np.concatenate([part.sequences for part in parts]),
        np.concatenate([part.targets for part in parts]),
    )
    origin = content_hash([labelled.fingerprint, scheme_of_pool, copies])
    return replace(labelled, train=train, origin=origin)


def _copies(
    teachers: Ensemble,
    labelled: Splits,
    scheme: AugmentBase,
    copies: int,
    folder: Path | None,
    progress: bool | None,
) -> Iterator[Split]:
    """Read each copy from the pool's folder, or make it and write it there."""
    sequences, epistemic = labelled.train.sequences, labelled.heads.epistemic or "std"
    label: Callable[[np.ndarray], np.ndarray] | None = None
    for copy in bar(range(copies), "label pool", progress):
        file = None if folder is None else folder / f"copy_{copy:03d}.h5"
        if file is not None and file.is_file():
            yield _read(file, sequences.shape, labelled.heads.n_columns)
            continue
        label = label or _labeller(teachers, epistemic)
        made = augmented_copy(sequences, scheme, copy)
        split = Split(made, label(made))
        if file is not None:
            _write(file, split)
        yield split


def augmented_copy(sequences: np.ndarray, scheme: AugmentBase, copy: int) -> np.ndarray:
    """Tokens `(N, L)` of every sequence augmented once; the copy's number decides the draws.

    Raises
    ------
    InputError
        If the scheme makes something else than bases.

    Examples
    --------
    >>> from degu_tf.training.augmentation.operations import RandomMutation
    >>> augmented_copy(np.zeros((3, 8), np.uint8), RandomMutation(0.5), copy=0).shape
    (3, 8)
    """
    order = np.random.default_rng([copy, len(sequences)]).permutation(len(sequences))
    made = np.empty(sequences.shape[:2], np.uint8)
    for number, start in enumerate(range(0, len(order), BATCH)):
        rows = np.sort(order[start : start + BATCH])
        x = one_hot_batch(tf.constant(sequences[rows]))
        made[rows] = _tokens(apply(scheme, x, draw_key("label pool", copy, number)).numpy())
    return made


def _tokens(one_hot: np.ndarray) -> np.ndarray:
    total = one_hot.sum(axis=2)
    if not (np.isin(one_hot, (0.0, 1.0)).all() and (total <= 1.0).all()):
        raise InputError(
            "a pool keeps bases: leave out augmentations that add noise, or let the teachers label "
            "each minibatch (no pool). Received: an augmented sequence that is not one-hot"
        )
    return np.where(total == 0.0, UNKNOWN, one_hot.argmax(axis=2)).astype(np.uint8)


def _check(labelled: Splits, copies: int) -> None:
    if labelled.train.targets.ndim == 3 or labelled.train.sequences.ndim == 3:
        raise InputError(
            "a pool holds sequences of bases with a few labels each: let the teachers label each "
            "minibatch (no pool). Received: profiles, or sequences that are not one-hot"
        )
    if isinstance(labelled.train, StoredSplit):
        raise InputError(
            "a pool is held in memory, and these data are read from their file in blocks: let the "
            "teachers label each minibatch (no pool). Received: "
            f"{len(labelled.train)} training sequences, pool={copies}"
        )
    if copies < 1:
        raise InputError(f"a pool has one or more copies. Received: copies={copies}")


def _labeller(teachers: Ensemble, epistemic: Form) -> Callable[[np.ndarray], np.ndarray]:
    teacher = Teacher(teachers, epistemic)

    def label(tokens: np.ndarray) -> np.ndarray:
        starts = range(0, len(tokens), BATCH)
        batches = (one_hot_batch(tf.constant(tokens[start : start + BATCH])) for start in starts)
        return np.concatenate([teacher(batch).numpy() for batch in batches])

    return label


def _folder(teachers: Ensemble, content: dict[str, Any]) -> Path | None:
    """Where the pool is kept, with a note of what made it; None where it cannot be kept."""
    if teachers.folder is None or not os.access(teachers.folder, os.W_OK):
        return None
    folder = Path(teachers.folder) / POOLS / content_hash(content)[:16]
    if not (folder / "pool.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "pool.json", content)
    return folder


def _write(file: Path, split: Split) -> None:
    arrays = {"sequences": split.sequences, "labels": split.targets}
    size = sum(array.nbytes for array in arrays.values())
    with atomic_write(file) as temporary, new_file(temporary, size) as (target, check):
        for name, array in arrays.items():
            target.create_dataset(name, data=array, chunks=True, compression="gzip", shuffle=True)
            check()
        target.attrs["sha256"] = _hash(split)


def _read(file: Path, shape: tuple[int, ...], n_columns: int) -> Split:
    """Read one copy of a pool, and hold it against the hash it was written with."""
    with blaming(file), opened(file) as source:
        arrays = datasets_of(source)
        for dataset in arrays.values():
            check_storage(dataset)
        expected = {"sequences": shape, "labels": (shape[0], n_columns)}
        if {name: array.shape for name, array in arrays.items()} != expected:
            raise InputError(f"{_CHANGED}. Received: arrays of other shapes")
        split = Split(arrays["sequences"][()], arrays["labels"][()])
        if source.attrs.get("sha256") != _hash(split):
            raise InputError(f"{_CHANGED}. Received: other content")
    return split


def _hash(split: Split) -> str:
    digest = sha256()
    for array in (split.sequences, split.targets):
        digest.update(json.dumps([str(array.dtype), *array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
