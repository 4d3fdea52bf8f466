"""Locks of folders and files, so that of two processes one works and the other waits.

The operating system holds them (`flock`), on network file systems too where these offer it, and
releases them when a process ends, however it ends. A lock is an empty hidden file with a note of
its holder beside it; both go when it is released, and neither is part of what is locked.
"""

import datetime
import errno
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import read_json, write_json

LOCK = ".lock"
"""Prefix of the names of locks and of the notes beside them."""

POLL = 0.2
"""Seconds between two looks whether a lock is free."""

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO}


def lock_of(file: str | os.PathLike) -> Path:
    """The lock of a file, beside it.

    Examples
    --------
    >>> lock_of("runs/x/conformal.npz").as_posix()
    'runs/x/.lock-conformal.npz'
    """
    file = Path(file)
    return file.with_name(f"{LOCK}-{file.name}")


@contextmanager
def alone(
    folder: str | os.PathLike, *, wait: bool = True, progress: bool | None = None
) -> Iterator[Path]:
    """Lock a folder, which is made if it is missing and removed if it stays empty.

    Parameters
    ----------
    folder
        The folder.
    wait, progress
        As for `locked`.

    Raises
    ------
    InputError
        If it is a file, or another process has locked it and `wait` is false.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the output folder is a file. Received: {folder}")
    made = not folder.exists()
    try:
        with locked(folder / LOCK, folder, wait=wait, progress=progress):
            yield folder
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def locked(
    lock: str | os.PathLike,
    what: object,
    *,
    wait: bool = True,
    progress: bool | None = None,
) -> Iterator[None]:
    """Hold a lock.

    A thread that holds it already holds it on. A file system without locks is warned about, and the
    block runs without one; so it does, and without a word, in a folder that cannot be written to.

    Parameters
    ----------
    lock
        The lock's file; its folder is made if it is missing.
    what
        What it guards, for messages.
    wait
        Wait for another process that holds it, or refuse.
    progress
        Say on standard error whom it waits for, unless this is False.

    Raises
    ------
    InputError
        If another process holds it and `wait` is false.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with locked(folder / ".lock", folder):
    ...     sorted(path.name for path in folder.iterdir())
    ['.lock', '.lock.json']
    >>> list(folder.iterdir())
    []
    """
    lock = Path(lock).absolute()
    with suppress(PermissionError):
        lock.parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(lock, is_singleton=True)
    if not _acquired(held, lock, what, wait, progress):
        yield
        return
    if held.lock_counter > 1:
        try:
            yield
        finally:
            held.release()
        return
    note = _note(lock)
    try:
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        with suppress(OSError):
            write_json(note, {"host": socket.gethostname(), "pid": os.getpid(), "since": now})
        yield
    finally:
        for file in (note, lock):  # while it is held, so that no other process can hold it unseen
            with suppress(OSError):
                file.unlink()
        held.release()


def _acquired(
    held: filelock.BaseFileLock, lock: Path, what: object, wait: bool, progress: bool | None
) -> bool:
    """Wait for a lock; False where the file system has none."""
    waiting = False
    while True:
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            holder = _holder(lock)
            if not wait:
                raise InputError(
                    f"expected an output that no other command is writing; wait for it or stop it. "
                    f"Received: {what}, which is locked by {holder}"
                ) from None
            if not waiting and progress is not False:
                from degu_tf.utils.progress import line  # not loaded for help

                line(f"{what}: waiting for {holder}")
            waiting = True
            time.sleep(POLL)
        except FileNotFoundError:  # the folder was removed by the one who held it before
            lock.parent.mkdir(parents=True, exist_ok=True)
        except (NotImplementedError, OSError) as error:
            if not os.access(lock.parent, os.W_OK):
                return False  # where nothing can be written there is nothing to guard
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            warnings.warn(
                f"the file system has no locks ({error}): see to it that no second process writes "
                f"to the same output. Received: {what}",
                stacklevel=4,
            )
            return False
        else:
            if lock.exists() or held.lock_counter > 1:
                return True
            held.release()  # its file was removed by the one who held it before


def _note(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.json")


def _holder(lock: Path) -> str:
    """Who holds a lock, in words."""
    try:
        note = read_json(_note(lock))
        return f"process {note['pid']} on {note['host']}, since {note['since']}"
    except (OSError, InputError, KeyError, TypeError):
        return "another process"
