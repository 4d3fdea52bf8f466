"""A folder of weight files that others trained, as one ensemble."""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.models.released.load import read_released
from degu_tf.training.model_spec import ModelSpec
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar

SUFFIXES = (".h5", ".keras", ".pth")


def released_ensemble(
    folder: str | os.PathLike,
    pattern: str = "*",
    n_members: int | None = None,
    *,
    progress: bool | None = False,
    **arguments: Any,
) -> Ensemble:
    """The ensemble of the members in a folder: files whose names differ in their number.

    Parameters
    ----------
    folder
        The folder, with files such as `1_DeepSTARR.h5`, `2_DeepSTARR.h5`, or names without any
        number. Files of other kinds are left alone.
    pattern
        Which files to take, such as ``"*_DeepSTARR.h5"``, where the folder holds several sets.
    n_members
        How many, in the order of their numbers; None for all.
    progress
        Show a bar.
    **arguments
        As for `degu_tf.models.released.load.load_released`, such as `heads`.

    Returns
    -------
    Ensemble
        Its `spec` is the members' architecture.

    Raises
    ------
    InputError
        If the folder holds several sets, or fewer than two members or than requested; if a file
        cannot be read; or if members differ in architecture, sizes or input length.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> folder, heads = tempfile.mkdtemp(), degu.HeadLayout(("Dev", "Hk"))
    >>> for number in (1, 2):
    ...     model = degu.build("deepstarr", (249, 4), heads, width=0.05)
    ...     model.save(f"{folder}/{number}_DeepSTARR.keras")
    >>> released_ensemble(folder, "*_DeepSTARR.keras").n_members
    2
    """
    files = member_files(folder, pattern)
    if n_members is not None and not 2 <= n_members <= len(files):
        raise InputError(f"expected 2 to {len(files)} members. Received: n_members={n_members}")
    if len(files) < 2:
        raise InputError(
            "an ensemble has two or more members. "
            f"Received: {len(files)} files of weights in {folder} that match {pattern!r}"
        )
    members = [
        read_released(file, **arguments) for file in bar(files[:n_members], "members", progress)
    ]
    first = members[0]
    for other in members[1:]:
        for name in ("architecture", "head", "options", "input_length"):
            one, two = getattr(first, name), getattr(other, name)
            if one != two:
                raise InputError(
                    f"members must be alike. Received: {first.source.name} with {name} {one!r}, "
                    f"{other.source.name} with {two!r}"
                )
    spec = ModelSpec(first.architecture, dict(first.options))
    return Ensemble([member.predictor() for member in members], spec, sources=files[:n_members])


def member_files(folder: str | os.PathLike, pattern: str = "*") -> list[Path]:
    """Files of weights in a folder that are one set, in the order of their numbers.

    Names without a number, such as `a.keras` and `b.keras`, are one set in alphabetical order.

    Raises
    ------
    InputError
        If the folder does not exist, or numbered names differ in more than the member's number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder of weight files. Received: {folder}")
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix in SUFFIXES and file.is_file() and fnmatch(file.name, pattern)
    ]
    sets = _sets(files)
    if not any("*" in name for name in sets):
        return files
    if len(sets) > 1:
        listed = ", ".join(f"{name} ({len(numbers)})" for name, numbers in sorted(sets.items()))
        raise InputError(
            "the folder holds several sets of files: give a pattern, such as "
            f"{sorted(sets)[0]!r}. Received: {listed}",
            "the folder holds several sets of files: name the members of one, such as "
            f"{folder / sorted(sets)[0]}. Received: {listed}",
        )
    return [file for numbers in sets.values() for _, file in sorted(numbers)]


def _sets(files: Sequence[Path]) -> dict[str, list[tuple[int, Path]]]:
    """Files by their name with a star for the member's number: the first thing, or the last one."""
    sets: dict[str, list[tuple[int, Path]]] = {}
    for file in files:
        stem = file.name.partition(".")[0]
        name, number = numbered(stem)
        starred = file.name if number is None else f"{name}{file.name[len(stem) :]}"
        sets.setdefault(starred, []).append((number or 0, file))
    return sets


def numbered(stem: str) -> tuple[str, int | None]:
    """A file's name with a star for the member's number, and the number: the first or the last one.

    Examples
    --------
    >>> numbered("3_DeepSTARR"), numbered("model_12_final"), numbered("best")
    (('*_DeepSTARR', 3), ('model_*_final', 12), ('best', None))
    """
    found = re.match(r"\d+", stem) or re.search(r"\d+(?=\D*$)", stem)
    if found is None:
        return stem, None
    return f"{stem[: found.start()]}*{stem[found.end() :]}", int(found[0])
