"""Layouts of HDF5 files, detected from names and shapes: every layout ever released.

Nothing is read here. From names and shapes alone follow the layout, the orientation of sequences
and targets, and the meaning of the target columns; what is ambiguous is refused.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from degu_tf.data.splits import NAMES
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

STARRSEQ_LENGTH = 249
LENTIMPRA_LENGTH = 230

_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_ROLES = {
    "x": "sequences",
    "sequences": "sequences",
    "y": "targets",
    "targets": "targets",
    "idx": "names",
    "names": "names",
    "ensemble_mean": "ensemble_mean",
    "std": "ensemble_std",
    "ensemble_std": "ensemble_std",
}
_LABEL_ROLES = ("mean", "std", "aleatoric")

_FLAT = "flat (X_Train, y_Train, X_Val, ...)"
_EVOAUG = "EvoAug's (x_train, y_train, x_valid, ...)"
_GROUPED = "grouped (Train/X, Train/y, Val/X, ...)"
_OWN = "degu_tf (train/sequences, train/targets, ...)"

_OTHER_FILES = (
    (
        {"random", "mutagenesis", "evoaug"},
        "this file holds out-of-distribution test sequences (random, mutagenesis, evoaug), which "
        "have no splits and no targets",
    ),
    (
        {"ref", "alt"},
        "this file holds the two alleles of CAGI5 variants (ref, alt, identifier), which have no "
        "splits and no targets",
    ),
    (
        {"train_mean", "train_std"},
        "this file holds teachers' labels without sequences; read it with read_ensemble_labels",
    ),
    ({"keras_version"}, "this file holds a Keras model or its weights, not data"),
    ({"layers", "vars"}, "this file holds a Keras model's weights, not data"),
)


@dataclass(frozen=True)
class Layout:
    """Which dataset plays which part: `parts[split][role]` is a dataset's path in the file.

    Roles are `sequences`, `targets`, and where present `names`, `ensemble_mean`, `ensemble_std`.
    `unused` lists the datasets that play none.
    """

    parts: Mapping[str, Mapping[str, str]]
    unused: tuple[str, ...] = ()


def recognise(paths: Collection[str], hints: Collection[str] = ()) -> Layout:
    """Detect the parts of a file from the paths of its datasets, ignoring letter case.

    Parameters
    ----------
    paths
        Paths of all datasets, such as ``"X_Train"`` or ``"Train/X"``.
    hints
        Names of root attributes and root groups, which reveal a Keras file.

    Raises
    ------
    InputError
        If a split is missing, two datasets claim one part, or the file is of another kind.

    Examples
    --------
    >>> layout = recognise(["Train/X", "Train/y", "Val/X", "Val/y", "Test/X", "Test/y"])
    >>> layout.parts["validation"]
    {'sequences': 'Val/X', 'targets': 'Val/y'}
    """
    parts: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    unused = []
    for path in sorted(paths):
        place = _place(path)
        if place is None:
            unused.append(path)
            continue
        split, role = place
        if role in parts[split]:
            raise InputError(
                f"expected one dataset for the {role} of {split}; rename or remove the other. "
                f"Received: {parts[split][role]} and {path}"
            )
        parts[split][role] = path
    if not any(role in parts[split] for split in NAMES for role in ("sequences", "targets")):
        _refuse(paths, hints)
    missing = [
        f"{role} of {split}"
        for split in NAMES
        for role in ("sequences", "targets")
        if role not in parts[split]
    ]
    if missing:
        raise InputError(
            f"expected sequences and targets for train, validation and test; the {_looks(parts)} "
            f"layout came closest, and {', '.join(missing)} are missing. "
            f"Received: {_listed(paths)}"
        )
    return Layout(parts, tuple(unused))


def label_parts(paths: Collection[str]) -> dict[str, dict[str, str]]:
    """Tell the parts of a file of teachers' labels: `[split]["mean" | "std" | "aleatoric"]`.

    Raises
    ------
    InputError
        If a mean or std is missing.

    Examples
    --------
    >>> roles = ("mean", "std")
    >>> paths = [f"{split}_{role}" for split in ("train", "val", "test") for role in roles]
    >>> label_parts(paths)["validation"]
    {'mean': 'val_mean', 'std': 'val_std'}
    """
    parts: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    for path in sorted(paths):
        split, _, role = path.lower().partition("_")
        if split in _SPLITS and role in _LABEL_ROLES:
            parts[_SPLITS[split]][role] = path
    if not all("mean" in part and "std" in part for part in parts.values()):
        raise InputError(
            "expected teachers' labels train_mean, train_std, val_mean, val_std, test_mean and "
            f"test_std. Received: {_listed(paths)}"
        )
    return parts


def is_channels_first(shape: Sequence[int]) -> bool:
    """Whether sequences are `(N, 4, L)`; False for `(N, L, 4)` and tokens `(N, L)`.

    Raises
    ------
    InputError
        If the shape is none of these, or `(N, 4, 4)`, which may be either.
    """
    shape = tuple(shape)
    if len(shape) == 2:
        return False
    if len(shape) == 3 and shape[1:] == (4, 4):
        raise InputError(
            "cannot tell bases from positions in sequences of four bases; store them as tokens "
            f"(N, L). Received: shape {shape}"
        )
    if len(shape) == 3 and 4 in shape[1:]:
        return shape[1] == 4
    raise InputError(
        "expected sequences one-hot (N, L, 4) or (N, 4, L), or as integer tokens (N, L). "
        f"Received: shape {shape}"
    )


def is_transposed(shapes: Mapping[str, tuple[int, Sequence[int]]]) -> bool:
    """Whether a file's targets are `(columns, N)` instead of `(N, columns)`.

    All splits are considered together, so that a split of two sequences and two columns follows
    the others.

    Parameters
    ----------
    shapes
        For each split its number of sequences and its targets' shape.

    Raises
    ------
    InputError
        If rows do not match in either orientation, or in both.

    Examples
    --------
    >>> is_transposed({"train": (5, (2, 5)), "test": (2, (2, 2))})
    True
    """
    upright = {name: shape[0] == n for name, (n, shape) in shapes.items()}
    flipped = {name: len(shape) == 2 and shape[1] == n for name, (n, shape) in shapes.items()}
    if all(upright.values()):
        if all(flipped.values()) and any(n > 1 for n, _ in shapes.values()):
            raise InputError(
                "every split has as many sequences as target columns, so rows and columns cannot "
                f"be told apart. Received: targets of shape {tuple(shapes[NAMES[0]][1])}"
            )
        return False
    if all(flipped.values()):
        return True
    fits = flipped if sum(flipped.values()) > sum(upright.values()) else upright
    name = next(name for name, fit in fits.items() if not fit)
    n, shape = shapes[name]
    raise InputError(
        f"expected one row of targets for each sequence. Received: {n} sequences and targets of "
        f"shape {tuple(shape)} in {name}"
    )


@dataclass(frozen=True)
class Columns:
    """Meaning of the target columns of a file.

    `heads` is the layout of the columns that are targets. Where `student` is set, they are the
    first of a student's columns, the epistemic column follows, and any further one is dropped.
    """

    heads: HeadLayout
    student: HeadLayout | None = None


def columns_of(shape: Sequence[int], length: int, targets: Sequence[str] | None = None) -> Columns:
    """Give a meaning to the columns of targets `(N, columns)` or `(N, length, columns)`.

    Released files do not store it. Without `targets` it follows from the content: one column is
    an activity; two are Dev and Hk of STARR-seq for sequences of 249 bases, activity and its
    replicate std of lentiMPRA for 230; four, for 230, are activity, aleatoric, epistemic and the
    std of the aleatoric head. Three may as well be three targets, so their names must be given.

    Parameters
    ----------
    shape
        Shape of the targets, upright.
    length
        Length of the sequences.
    targets
        A name for each column, where `<target>_aleatoric` names a replicate std and stands in the
        order of `HeadLayout.columns`; or the one name of a lentiMPRA file of two, three or four
        columns, of which three are a student's: activity, aleatoric, epistemic.

    Raises
    ------
    InputError
        If the columns are ambiguous or the names do not fit them.

    Examples
    --------
    >>> columns_of((10, 2), 230).heads.columns
    ('activity', 'activity_aleatoric')
    >>> columns_of((10, 2), 200, ["HepG2", "K562"]).heads.columns
    ('HepG2', 'K562')
    """
    if not 1 <= len(shape) <= 3:
        raise InputError(
            "expected targets (N,), (N, columns) or (N, length, columns). "
            f"Received: shape {tuple(shape)}"
        )
    n_columns = 1 if len(shape) == 1 else shape[-1]
    if targets is None:
        if len(shape) < 3 and n_columns == 1:
            targets = ("activity",)
        elif len(shape) == 2 and (n_columns, length) == (2, STARRSEQ_LENGTH):
            targets = ("Dev", "Hk")
        elif len(shape) == 2 and n_columns in (2, 4) and length == LENTIMPRA_LENGTH:
            targets = ("activity",)
        else:
            raise InputError(
                "this file does not say what its target columns are; name each of them with "
                "targets=, as in targets=('Dev', 'Hk') or "
                "targets=('activity', 'activity_aleatoric'), or give one name if they are its "
                "activity, aleatoric and epistemic columns. "
                f"Received: targets of shape {tuple(shape)}, sequences of {length} bases"
            )
    if isinstance(targets, str):
        raise InputError(f"targets must be a sequence of names. Received: targets={targets!r}")
    names = tuple(targets)
    if len(names) == n_columns:
        return Columns(_named(names))
    if len(names) == 1 and len(shape) == 2 and n_columns in (2, 3, 4):
        heads = HeadLayout(names, aleatoric="std")
        return Columns(heads, heads.student() if n_columns > 2 else None)
    raise InputError(
        f"expected a name for each of the {n_columns} target columns. Received: targets={names}"
    )


def _named(names: tuple[str, ...]) -> HeadLayout:
    ending = "_aleatoric"
    means = tuple(name for name in names if not name.endswith(ending))
    if not means or len(means) == len(names):
        return HeadLayout(names)
    heads = HeadLayout(means, aleatoric="std")
    if heads.columns != names:
        raise InputError(
            f"expected the columns in the order {heads.columns}, each target with its replicate "
            f"std. Received: targets={names}"
        )
    return heads


def _place(path: str) -> tuple[str, str] | None:
    """Split and role of a dataset, or None where its name says neither."""
    words = path.lower().split("/")
    if words == ["ensemble_mean"]:
        return "train", "ensemble_mean"
    if len(words) == 2:
        split, role = words
    else:
        role, _, split = words[0].rpartition("_")
    if len(words) > 2 or split not in _SPLITS or role not in _ROLES:
        return None
    return _SPLITS[split], _ROLES[role]


def _looks(parts: Mapping[str, Mapping[str, str]]) -> str:
    paths = [path for part in parts.values() for path in part.values()]
    grouped = [path for path in paths if "/" in path]
    if 2 * len(grouped) > len(paths):
        own = any(path.endswith(("/sequences", "/targets")) for path in grouped)
        return _OWN if own else _GROUPED
    return _EVOAUG if any(path.startswith("x_") for path in paths) else _FLAT


def _refuse(paths: Collection[str], hints: Collection[str]) -> NoReturn:
    words = {word for path in paths for word in path.lower().split("/")}
    for signs, what in _OTHER_FILES:
        if signs <= {*words, *hints}:
            raise InputError(f"expected a file of splits; {what}. Received: {_listed(paths)}")
    known = "; ".join((_FLAT, _EVOAUG, _GROUPED, _OWN))
    raise InputError(f"expected one of the layouts: {known}. Received: {_listed(paths)}")


def _listed(paths: Collection[str], limit: int = 12) -> str:
    shown = sorted(paths)
    if not shown:
        return "no dataset"
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return f"datasets {', '.join(shown[:limit])}{more}"
