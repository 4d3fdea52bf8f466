"""Files of a Zenodo record, such as the authors' data and weights, fetched once and verified."""

import difflib
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pooch

from degu_tf.data.zenodo.download import (
    Connection,
    MissingError,
    ResumingDownloader,
    UnreachableError,
    check_checksum,
    relative_name,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import read_json, write_json
from degu_tf.utils.processes.locks import lock_of, locked
from degu_tf.utils.readable import readable_size

DOI = "10.5281/zenodo.14145284"
"""The authors' data and weights (paper, "Data availability"), in their newest version."""

BASE_URL = "https://zenodo.org/api"
"""Where Zenodo answers programs."""

CACHE = "DEGU_CACHE"
"""Environment variable that names the folder for what is fetched."""


@dataclass(frozen=True)
class RecordFile:
    """A file of a record: its name, size in bytes, checksum and address."""

    name: str
    size: int
    checksum: str
    url: str


@dataclass(frozen=True)
class Record:
    """A published version of a record and its files.

    Attributes
    ----------
    number
        Zenodo's number of this version.
    title, version
        What the authors call it; empty where they do not say.
    files
        Its files, by name.
    """

    number: int
    title: str
    version: str
    files: tuple[RecordFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def choose(
        self, names: Sequence[str] = (), match: Sequence[str] = ()
    ) -> tuple[RecordFile, ...]:
        """Files by name and by pattern, each once, in the record's order.

        Parameters
        ----------
        names
            Names of files.
        match
            Patterns with `*`, `?` and `[...]`, letter case aside; ``"*"`` is every file.

        Raises
        ------
        InputError
            If neither is given, or a name or pattern fits no file.

        Examples
        --------
        >>> file = RecordFile("data.tar.gz", 5, "md5:00", "https://zenodo.org/x")
        >>> Record(1, "", "", (file,)).choose(match=["*.TAR.gz"]) == (file,)
        True
        """
        for each in (names, match):
            if isinstance(each, str):
                raise InputError(f"expected a list of names or patterns. Received: {each!r}")
        known = [file.name for file in self.files]
        if not names and not match:
            raise InputError(
                "name the files to fetch, or give a pattern such as '*' for all. "
                f"Received: neither, of {_enumerate(known)}"
            )
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise InputError(f"the record holds {_enumerate(known)}.{hint} Received: {name!r}")
        for pattern in match:
            if not any(_matches(name, pattern) for name in known):
                raise InputError(
                    "expected a pattern that fits a file; the record holds "
                    f"{_enumerate(known)}. Received: {pattern!r}"
                )
        return tuple(
            file
            for file in self.files
            if file.name in names or any(_matches(file.name, pattern) for pattern in match)
        )


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name.casefold(), pattern.casefold())


def _enumerate(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def fetch(
    names: Sequence[str] = (),
    match: Sequence[str] = (),
    folder: str | os.PathLike | None = None,
    *,
    record: str | Record = DOI,
    base_url: str | None = None,
    connection: Connection | None = None,
    progress: bool | None = None,
) -> list[Path]:
    """Fetch files of a record; those already present with the right checksum are kept.

    An interrupted download resumes, in this call or the next one.

    Parameters
    ----------
    names, match
        Which files; see `Record.choose`.
    folder
        Where to put them; by default a folder for this version of the record in `cache_folder()`.
    record
        A record's DOI, address or number, or what `read_record` gave.
    base_url
        Where the programming interface of Zenodo is; `BASE_URL` by default.
    connection
        How to ask the server.
    progress
        Show a bar for each file: True, False, or None for where there is a terminal.

    Returns
    -------
    list of pathlib.Path
        The files in the record's order.

    Raises
    ------
    InputError
        If there is no such record or file.
    DownloadError
        If the server cannot be reached or what arrives is not the listed file: nothing stands
        under the file's name then.
    """
    if not isinstance(record, Record):
        record = read_record(record, base_url=base_url, connection=connection)
    chosen = record.choose(names, match)
    root = cache_folder() / f"zenodo-{record.number}" if folder is None else Path(folder)
    store = pooch.create(
        path=root,
        base_url="",
        registry={file.name: file.checksum for file in chosen},
        urls={file.name: file.url for file in chosen},
    )
    fetched = []
    for file in chosen:
        target = Path(store.abspath) / file.name
        downloader = ResumingDownloader(target, file.size, file.checksum, connection, progress)
        with locked(lock_of(target), target, progress=progress), _quiet_pooch():
            fetched.append(Path(store.fetch(file.name, downloader=downloader)))
    return fetched


def cache_folder() -> Path:
    """Where fetched files are kept: what `DEGU_CACHE` names, or the system's place for caches."""
    return Path(os.environ.get(CACHE) or pooch.os_cache("degu_tf")).expanduser()


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from announcing each file; the bar does."""
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def read_record(
    record: str = DOI, *, base_url: str | None = None, connection: Connection | None = None
) -> Record:
    """Ask Zenodo what a record holds.

    The answer is kept in `cache_folder()`. Where Zenodo cannot be reached, the last one serves, as
    a warning says, so that files that are here already are found without a network.

    Parameters
    ----------
    record
        A DOI such as ``"10.5281/zenodo.14145284"``, an address, or a number. One that stands for
        all versions gives the newest.
    base_url, connection
        As for `fetch`.

    Raises
    ------
    InputError
        If that is no Zenodo record, or its files are unnamed, not listed, or their names leave the
        folder.
    DownloadError
        If Zenodo cannot be reached and no earlier answer is here.
    """
    number = _record_number(record)
    base_url = (base_url or BASE_URL).rstrip("/")
    connection = connection or Connection()
    kept = cache_folder() / f"zenodo-{number}.json"
    try:
        content = _ask(number, base_url, connection)
    except UnreachableError as error:
        stored = _stored(kept, base_url)
        if stored is None:
            raise
        warnings.warn(f"the list of files is an earlier one, because {error}", stacklevel=2)
        return stored
    listing = _parse(content)
    with suppress(OSError):  # a folder that cannot be written to still lets the record be read
        write_json(kept, {"base_url": base_url, "record": asdict(listing)})
    return listing


def _record_number(record: str) -> int:
    text = str(record).strip()
    found = re.fullmatch(r"(?:.*\bzenodo\.|https?://[^?#]*/records?/)?(\d+)/?", text, re.IGNORECASE)
    if found is None:
        raise InputError(
            "expected a Zenodo record: a DOI such as 10.5281/zenodo.14145284, its address or its "
            f"number. Received: {record!r}"
        )
    return int(found[1])


def _ask(number: int, base_url: str, connection: Connection) -> Any:
    """The description of a record, by the number of a version or of all versions together."""
    try:
        return connection.json(f"{base_url}/records/{number}")
    except MissingError as error:
        query = {"q": f"conceptrecid:{number}", "sort": "mostrecent", "size": 1}
        found = connection.json(f"{base_url}/records", query)
        try:
            return found["hits"]["hits"][0]
        except (KeyError, IndexError, TypeError):
            raise MissingError(
                f"expected the DOI, address or number of a published record. Received: {number}, "
                f"of which {base_url} knows nothing"
            ) from error


def _stored(path: Path, base_url: str) -> Record | None:
    try:
        content = read_json(path)
        if content["base_url"] != base_url:
            return None
        files = tuple(RecordFile(**file) for file in content["record"].pop("files"))
        return Record(**content["record"], files=files)
    except (OSError, InputError, KeyError, TypeError):
        return None


def _parse(content: Any) -> Record:
    """Read a record's description, in either of the two forms that Zenodo gives it."""
    try:
        number, files = int(content["id"]), content["files"]
        if isinstance(files, Mapping):
            files = files["entries"]
        if isinstance(files, Mapping):
            files = list(files.values())
        described = [
            (
                file["key"],
                int(file["size"]),
                file["checksum"],
                file["links"].get("content") or file["links"]["self"],
            )
            for file in files
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "expected a record's description with a list of files, each with key, size, checksum "
            f"and link; the files may not be open to everybody. Received: {_describe(error)}"
        ) from None
    if not described or min(size for _, size, _, _ in described) < 0:
        raise InputError(f"expected files with their sizes. Received: none for record {number}")
    listed = {
        str(relative_name(name)): RecordFile(name, size, check_checksum(checksum), str(url))
        for name, size, checksum, url in described
    }
    if len(listed) != len(described):
        raise InputError(f"expected files of different names. Received: record {number}")
    about = content.get("metadata") or {}
    return Record(
        number,
        str(about.get("title") or ""),
        str(about.get("version") or ""),
        tuple(listed[name] for name in sorted(listed)),
    )


def _describe(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def listing(record: Record, figures: Callable[[str], str | None] | None = None) -> str:
    """A record and its files as text, a line each: size, name.

    Parameters
    ----------
    record
        The record.
    figures
        Which figures of the paper a file serves, by its name; they end the line.

    Examples
    --------
    >>> file = RecordFile("data.tar.gz", 1_800_000_000, "md5:00", "https://zenodo.org/x")
    >>> print(listing(Record(7, "Models", "v1", (file,))))
    Models (Zenodo record 7, version v1)
      1.8 GB  data.tar.gz
    1 file, 1.8 GB
    """
    version = f", version {record.version}" if record.version else ""
    lines = [f"{record.title or 'Files'} (Zenodo record {record.number}{version})"]
    for file in record.files:
        served = None if figures is None else figures(file.name)
        note = f"  (figures {served})" if served else ""
        lines.append(f"{readable_size(file.size):>8}  {file.name}{note}")
    count = "1 file" if len(record.files) == 1 else f"{len(record.files)} files"
    return "\n".join([*lines, f"{count}, {readable_size(record.size)}"])
