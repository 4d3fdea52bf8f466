"""Sets of weight files below folders: which files are one ensemble, and what their paths say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from degu_tf.distillation.released_ensemble import SUFFIXES, numbered
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import open_weights, read_card
from degu_tf.models.released.load import read_released
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash, file_hash

_FRACTION = re.compile(r"(?:^|[^0-9.])(0?\.\d+)$")
"""End of a folder's name that is a share of the training data."""


@dataclass(frozen=True)
class Described:
    """What a file of weights says of itself.

    Attributes
    ----------
    architecture
        Its name, None where the file does not say.
    head
        How the output is made (`degu_tf.models.released.signatures.Output`).
    n_columns
        Columns of the output.
    input_length
        Bases it takes, None for any number.
    heads
        What its columns mean, None where that is open.
    """

    architecture: str | None
    head: str
    n_columns: int
    input_length: int | None
    heads: HeadLayout | None


@dataclass(frozen=True)
class WeightSet:
    """Files in one folder whose names differ in the member's number, of any format.

    Attributes
    ----------
    name
        Their path below the folder that was searched, with a star for the number.
    files
        The files in the order of their numbers.
    """

    name: str
    files: tuple[Path, ...]

    @cached_property
    def described(self) -> Described | str:
        """What the first file says of itself, or why it cannot be read as weights."""
        try:
            return describe(self.files[0])
        except InputError as error:
            return str(error)

    @cached_property
    def sha256(self) -> str:
        """Hash of the files' contents, in order."""
        return content_hash([file_hash(file) for file in self.files])

    @property
    def fraction(self) -> float:
        """Share of the training data: the number that ends a folder's name, such as `0.25`.

        Examples
        --------
        >>> WeightSet("K562/fraction_0.25/*_student", ()).fraction, WeightSet("*_x", ()).fraction
        (0.25, 1.0)
        """
        folders = self.name.split("/")[:-1]
        found = [match for match in map(_FRACTION.search, folders) if match is not None]
        return float(found[-1][1]) if found else 1.0


def find_sets(paths: Sequence[Path]) -> list[WeightSet]:
    """Every set of weight files in folders and the folders below them, and of files given singly.

    Parameters
    ----------
    paths
        Folders, and files.

    Raises
    ------
    InputError
        If a path does not exist, two files of a set have the same number, or there are none.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("1_DeepSTARR.h5", "2_DeepSTARR.keras"):
    ...     (folder / name).touch()
    >>> [(each.name, len(each.files)) for each in find_sets([folder])]
    [('*_DeepSTARR', 2)]
    """
    found: dict[str, dict[int, Path]] = {}
    for path in paths:
        if not path.exists():
            raise InputError(
                f"expected folders or files of weights. Received: {path}, where there is nothing"
            )
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix not in SUFFIXES or not file.is_file():
                continue
            folder = file.parent.relative_to(path) if path.is_dir() else Path(file.parent.name)
            place = Path(path.name) / folder if path.is_dir() and len(paths) > 1 else folder
            pattern, number = numbered(file.name.partition(".")[0])
            members = found.setdefault((place / pattern).as_posix(), {})
            if members.setdefault(number or 0, file) is not file:
                raise InputError(
                    "expected one file for each member of a set. "
                    f"Received: {members[number or 0]} and {file}"
                )
    if not found:
        raise InputError(
            f"expected files of weights ({', '.join(SUFFIXES)}). "
            f"Received: {' '.join(map(str, paths))}, with none"
        )
    return [
        WeightSet(name, tuple(file for _, file in sorted(members.items())))
        for name, members in sorted(found.items())
    ]


def describe(file: Path) -> Described:
    """What a file of weights says of itself: its card, or its own shapes and names.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    card = read_card(file)
    if card is not None:
        heads = HeadLayout.from_dict(card["heads"])
        length = card["input_length"]
        return Described(card["architecture"], card["head"], heads.n_columns, length, heads)
    released = read_released(file)
    try:
        stated = released.heads
    except InputError:
        stated = None
    return Described(
        released.architecture,
        released.head,
        released.output.n_columns,
        released.input_length,
        stated,
    )


def open_member(file: Path, heads: HeadLayout) -> ModelPredictor:
    """A file's model with what its columns mean.

    Raises
    ------
    InputError
        If it cannot be read, or has another number of columns.
    """
    opened = read_released(file).model if read_card(file) is None else open_weights(file).model
    return ModelPredictor(opened, heads)
