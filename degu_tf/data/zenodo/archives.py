"""Tar and zip archives, unpacked into a folder and nowhere else.

Every member is checked before anything is written: tar members by tarfile's data filter, room on
the disk, and symbolic links that lie in the folder already, through which a file would leave it.
"""

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO

from degu_tf.data.zenodo.download import relative_name
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write
from degu_tf.utils.progress import bar

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
)
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a file is a tar (compressed or not) or zip archive, by its name.

    Content cannot tell: Keras' own `.keras` files and numpy's `.npz` are zip archives too.

    Examples
    --------
    >>> is_archive("data.tar.gz"), is_archive("1_DeepSTARR.keras")
    (True, False)
    """
    endings = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
    return Path(path).name.lower().endswith(endings)


def unpack(
    archive: str | os.PathLike,
    folder: str | os.PathLike,
    match: Sequence[str] = (),
    progress: bool | None = None,
) -> list[Path]:
    """Unpack a tar or zip archive; files of the same names are replaced.

    All members are checked first: an archive is refused before anything is written. What macOS
    adds to archives (`._*`, `.DS_Store`, `__MACOSX`) is skipped.

    Parameters
    ----------
    archive
        The archive, compressed with gzip, bzip2, xz or not at all.
    folder
        Where its files go, below their own folders.
    match
        Patterns of names with `*`, `?` and `[...]`, letter case aside; none stands for all. A
        pattern without `/` is compared with the file name alone, others with the whole path.
    progress
        Show a bar: True, False, or None for where there is a terminal.

    Returns
    -------
    list of pathlib.Path
        The files in the archive's order.

    Raises
    ------
    InputError
        If it is no archive or a damaged one, holds a link, a device or a name that leads out of the
        folder, a file would be written through a symbolic link in the folder, it needs more room
        than there is, or has nothing that fits a pattern.
    """
    if isinstance(match, str):
        raise InputError(f"expected a list of patterns. Received: {match!r}")
    folder = Path(folder)
    with _members(Path(archive), folder) as members:
        chosen = [member for member in members if _wanted(member.name, match)]
        for pattern in match:
            if not any(_wanted(member.name, [pattern]) for member in members):
                raise InputError(f"expected a pattern that fits a file. Received: {pattern!r}")
        if not chosen:
            raise InputError("expected an archive of files. Received: none")
        total = sum(member.size for member in chosen)
        _check_room(folder, total)
        for member in chosen:
            _check_links(folder, member.name)
        with bar(None, "unpacking", progress, total=total) as shown:
            shown.unit, shown.unit_scale = "B", True
            return [_write(member, folder, shown.update) for member in chosen]


@contextmanager
def _members(archive: Path, folder: Path) -> Iterator[list[_Member]]:
    """The files of an archive, all of them fit to be written into the folder."""
    if not archive.is_file():
        raise InputError(f"expected a file. Received: {archive}")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield _of_zip(opened)
        else:
            with tarfile.open(archive) as opened:
                yield _of_tar(opened, folder)
    except InputError as error:
        raise InputError(f"{error}, in {archive}") from None
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise InputError(
            f"expected a whole tar or zip archive ({reason}). Received: {archive}"
        ) from None


def _of_tar(archive: tarfile.TarFile, folder: Path) -> list[_Member]:
    members = []
    for listed in archive.getmembers():
        try:
            member = tarfile.data_filter(listed, os.fspath(folder))
        except tarfile.FilterError as error:
            raise InputError(
                f"expected files that stay in {folder}; nothing was unpacked. Received: {error}"
            ) from None
        name = os.path.normpath(member.name)
        if member.isdir() or _is_clutter(name):
            continue
        if not member.isreg():
            raise InputError(
                "expected files and folders; links are not followed, so nothing was unpacked. "
                f"Received: {member.name!r}, a link"
            )
        members.append(_Member(name, member.size, partial(_open_tar, archive, listed)))
    return members


def _open_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member)
    if opened is None:
        raise InputError(f"expected a file. Received: {member.name!r}")
    return opened


def _of_zip(archive: zipfile.ZipFile) -> list[_Member]:
    return [
        _Member(name, member.file_size, partial(archive.open, member))
        for member in archive.infolist()
        if not _is_clutter(name := _name(member.filename)) and not member.is_dir()
    ]


def _name(name: str) -> str:
    """Path of a zip's member below the folder; some archives begin theirs with `./`."""
    bare = name.removeprefix("./").rstrip("/")
    return "" if bare in ("", ".") else str(relative_name(bare))


def _is_clutter(name: str) -> bool:
    places = name.split("/")
    return places[0] == "__MACOSX" or places[-1] == ".DS_Store" or places[-1].startswith("._")


def _wanted(name: str, match: Sequence[str]) -> bool:
    name = name.casefold()
    last = name.rpartition("/")[2]
    patterns = [pattern.casefold() for pattern in match]
    return not match or any(
        fnmatchcase(name if "/" in pattern else last, pattern) for pattern in patterns
    )


def _check_room(folder: Path, needed: int) -> None:
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"expected room for {needed} bytes; nothing was unpacked. "
            f"Received: {free} bytes free in {there}"
        )


def _check_links(folder: Path, name: str) -> None:
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            raise InputError(
                "expected no symbolic link where files are unpacked; remove it or choose another "
                f"folder, nothing was unpacked. Received: {path} -> {os.readlink(path)}"
            )


def _write(member: _Member, folder: Path, update: Callable[[int], None]) -> Path:
    """Write one member whole or not at all, and not more of it than the archive announced."""
    target = folder / member.name
    with atomic_write(target) as temporary, open(temporary, "wb") as out, member.open() as source:
        left = member.size
        while chunk := source.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                break
            out.write(chunk)
            update(len(chunk))
        if left:
            raise InputError(
                f"expected {member.size} bytes of {member.name}, as the archive says. "
                f"Received: {'more' if left < 0 else 'fewer'}"
            )
    return target
