"""Output files: checks before the work, atomic writes, JSON, and content hashes."""

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from degu_tf.utils.errors import InputError

UNFINISHED = ".writing-"
"""Prefix of the names of temporary files, which become the output once they are complete."""

_STARTED = time.time()
_NAME_LIMIT = 255
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|(?:/dev|/proc/self)/fd/(\d+)")
_STANDARD = ("stdin", "stdout", "stderr")


def check_output(path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Check that an output file can be written, before any work is spent on its content.

    Nothing is created: missing parent folders are made by `atomic_write`. Character devices and
    pipes, such as ``/dev/stdout``, pass whether or not `overwrite` is set.

    Parameters
    ----------
    path
        The output file.
    overwrite
        Accept a file that already exists.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    InputError
        If the file exists and `overwrite` is false, the path is a folder or anything else that is
        no regular file, its folder cannot be created or written to, or its name is too long for
        the file system.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> check_output(folder / "new" / "table.tsv").name
    'table.tsv'
    >>> check_output(folder)
    Traceback (most recent call last):
    degu_tf.utils.errors.InputError: expected an output file. Received: ..., a folder
    """
    file = Path(path)
    try:
        if is_stream(file):
            return file
        exists = os.path.lexists(file)
        _check_kind(file)
        parent = _nearest_folder(file)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"expected an output file that can be written ({_reason(error)}). Received: {path}"
        ) from error
    if exists and not overwrite:
        what = "expected a new output file; this one already exists, overwrite it with"
        raise InputError(
            f"{what} force=True. Received: {path}", f"{what} --force. Received: {path}"
        )
    _check_folder(file, parent)
    return file


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path is written to directly, never replaced: a character device or a pipe.

    Examples
    --------
    >>> is_stream("/dev/null"), is_stream("table.tsv")
    (True, False)
    """
    if _DESCRIPTOR.fullmatch(os.path.abspath(path)):
        return True
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _check_kind(file: Path) -> None:
    if file.is_dir():
        raise InputError(f"expected an output file. Received: {file}, a folder")
    if file.exists() and not file.is_file():
        raise InputError(f"expected an output file. Received: {file}, no regular file")


def _nearest_folder(file: Path) -> Path:
    """The deepest parent that exists; the others can be made inside it."""
    parents = Path(os.path.abspath(file)).parents
    parent = next(folder for folder in parents if folder.exists() or folder.is_symlink())
    if not parent.is_dir():
        raise InputError(
            f"expected an output file in a folder; {parent} is no folder. Received: {file}"
        )
    return parent


def _check_folder(file: Path, parent: Path) -> None:
    limit = _name_limit(parent)
    missing = Path(os.path.abspath(file)).relative_to(parent).parts
    for name in missing:
        if len(os.fsencode(name)) > limit:
            raise InputError(
                f"expected file names of {limit} bytes or fewer, the maximum of this file system. "
                f"Received: a name of {len(os.fsencode(name))} bytes, {name:.40}..."
            )
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise InputError(
            f"expected an output file in a folder that can be written to ({_reason(error)}). "
            f"Received: {file}"
        ) from error


def _name_limit(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return _NAME_LIMIT


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it becomes `path`, on an error it is removed.

    The temporary file keeps the suffixes of `path`, by which writers such as Keras choose a format.
    The parent folder is made if it is missing. The content reaches the disk before the file gets
    its name, so that a power cut leaves the old file or the new one. Temporary files of the same
    target that an earlier process left behind are removed.

    A character device or pipe (``/dev/stdout``) receives the content once it is complete.

    Parameters
    ----------
    path
        The output file. An existing file is replaced in one step.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
    >>> with atomic_write(target) as temporary:
    ...     _ = temporary.write_text("a,b")
    >>> target.read_text()
    'a,b'
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="degu-") as folder:
            temporary = Path(folder) / path.name
            yield temporary
            _copy_to_stream(temporary, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    unique = f"{os.getpid() & 0xFFFFFF:06x}{secrets.token_hex(3)}"
    temporary = path.with_name(f"{UNFINISHED}{unique}{_ending(path)}")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.filename == os.fspath(temporary):
            error.filename = os.fspath(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _ending(path: Path) -> str:
    """Suffix of a target's temporary files: its name, truncated on the left."""
    room = _name_limit(path.parent) - len(UNFINISHED) - 13
    return "-" + os.fsencode(path.name)[-room:].decode(errors="ignore")


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of this target that are older than this process, and no one's."""
    name = re.compile(re.escape(UNFINISHED) + "([0-9a-f]{6})[0-9a-f]{6}" + re.escape(_ending(path)))
    for found in filter(None, map(name.fullmatch, os.listdir(path.parent))):
        file = path.parent / found[0]
        with suppress(OSError):
            if file.stat().st_mtime < _STARTED and not _runs(int(found[1], 16)):
                file.unlink()


def _runs(pid: int) -> bool:
    """Whether a process of this machine has the number; 0 is no process's."""
    if not pid or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _flush(path: Path) -> None:
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename permanent, on systems where folders can be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse it
            os.fsync(handle)
    finally:
        os.close(handle)


def _copy_to_stream(source: Path, stream: Path) -> None:
    found = _DESCRIPTOR.fullmatch(os.path.abspath(stream))
    if found is None:
        target: int | Path = stream
    else:  # the same open file, so what the program prints and this do not overwrite each other
        target = os.dup(int(found[2]) if found[2] else _STANDARD.index(found[1]))
    with open(source, "rb") as content, open(target, "wb") as out:
        shutil.copyfileobj(content, out)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"expected a JSON file ({error}). Received: {path}") from error


def file_hash(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, as hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_hash(content: Any) -> str:
    """SHA-256 of the canonical JSON of `content`: equal content, equal hash, in any key order.

    Examples
    --------
    >>> content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
