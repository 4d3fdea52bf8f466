"""Teachers of a student from wherever they lie: a run, a folder of models, or files one by one."""

import os
from collections.abc import Sequence
from pathlib import Path

from degu_tf.distillation.ensemble import Ensemble, ensemble_of
from degu_tf.distillation.members import Columns
from degu_tf.distillation.released_ensemble import SUFFIXES, member_files
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import SETTINGS


def open_teachers(
    where: str | os.PathLike | Sequence[str | os.PathLike],
    n_members: int | None = None,
    *,
    columns: Columns | None = None,
) -> Ensemble:
    """The ensemble of a run, of a folder of models, or of files and folders named one by one.

    Parameters
    ----------
    where
        The folder of an ensemble's run; or a folder that holds `.keras`, `.h5` or `.pth` files
        whose names differ in their number or have none, or a folder of a run for each member; or
        several such files and runs, in the order of the members.
    n_members
        How many to use, the first ones; None for all.
    columns
        What the columns of models mean whose file does not say. A run says it.

    Raises
    ------
    InputError
        If there are fewer than two members or than requested, files of several sets, a file that
        cannot be read, or members that differ in columns or input length.

    Examples
    --------
    >>> import tempfile
    >>> import degu_tf as degu
    >>> folder, heads = tempfile.mkdtemp(), degu.HeadLayout(("Dev", "Hk"))
    >>> for number in (1, 2):
    ...     model = degu.build("deepstarr", (249, 4), heads, width=0.05)
    ...     model.save(f"{folder}/{number}.keras")
    >>> open_teachers(folder).heads.columns
    ('Dev', 'Hk')
    """
    paths = member_paths(where)
    if len(paths) == 1 and is_run(paths[0]):
        return Ensemble.load(paths[0], n_members)
    if n_members is not None and not 2 <= n_members <= len(paths):
        raise InputError(f"expected 2 to {len(paths)} members. Received: n_members={n_members}")
    return ensemble_of(paths[:n_members], columns or Columns())


def member_paths(where: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Path]:
    """Where the members lie that `open_teachers` would open; of an ensemble's run the run itself.

    Raises
    ------
    InputError
        If there is neither a run nor several models.
    """
    paths = [Path(where)] if isinstance(where, str | os.PathLike) else [Path(w) for w in where]
    if len(paths) != 1:
        return paths
    (folder,) = paths
    if folder.is_file():
        raise InputError(
            "expected the folder of a run, or several models: an ensemble has two or more "
            f"members. Received: {folder}, one file"
        )
    return paths if is_run(folder) else _members_in(folder)


def is_run(folder: str | os.PathLike) -> bool:
    """Whether a folder holds a run's settings."""
    return (Path(folder) / SETTINGS).is_file()


def _members_in(folder: Path) -> list[Path]:
    """The models in a folder: files of one set, or runs in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"expected the folder of a run. Received: {folder}")
    runs = sorted(path for path in folder.iterdir() if path.is_dir() and is_run(path))
    files = member_files(folder)
    if runs and files:
        raise InputError(
            "expected files of models or a run for each, not both: name those of the ensemble. "
            f"Received: {folder}, with {files[0].name} and {runs[0].name}"
        )
    if not runs and not files:
        raise InputError(
            f"expected the folder of a run, or one with models ({', '.join(SUFFIXES)}, or a run "
            f"for each). Received: {folder}"
        )
    return runs or files
