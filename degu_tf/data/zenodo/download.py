"""Files over HTTP that go on where a broken download stopped, as a downloader for pooch."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from degu_tf import __version__
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import read_json, write_json
from degu_tf.utils.progress import bar

PART = ".part"
"""How the name of a file ends of which only a part has arrived."""

NOTE = ".part.json"
"""How the name of the note ends that says of what the part is a part."""

_CHUNK_BYTES = 2**18
_LONGEST_PAUSE = 60.0
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_RANGE_PAST_END = 416
_BROKEN = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.HTTPError,
)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class DownloadError(InputError):
    """A file or a listing that could not be fetched: no network, a refusal, a damaged file."""


class UnreachableError(DownloadError):
    """A server that gives no answer, or a broken one, however often it is asked."""


class MissingError(DownloadError):
    """An address at which the server has nothing."""


class _BrokenError(Exception):
    """A failure that may pass: it says after how many seconds the server wants to be asked."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Connection:
    """How a server is asked: how often, how patiently.

    Attributes
    ----------
    attempts
        How often a request is made that breaks off, finds no server, or finds it busy.
    pause
        Seconds before the second attempt; twice as many before each further one, unless the server
        names a time itself.
    timeout
        Seconds to wait for a connection, and for the next bytes.
    sleep
        What waits.
    """

    attempts: int = 5
    pause: float = 1.0
    timeout: tuple[float, float] = (10.0, 60.0)
    sleep: Callable[[float], None] = time.sleep

    def json(self, url: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The JSON that an address answers with.

        Raises
        ------
        UnreachableError
            If there is no server, or no whole answer.
        MissingError
            If the server has nothing there.
        DownloadError
            If it refuses, or the answer is not JSON.
        """

        def ask() -> Any:
            with self.open(url, parameters=parameters, stream=False) as response:
                try:
                    return response.json()
                except ValueError:
                    start = response.text[:60]
                    raise DownloadError(
                        "expected an answer in JSON; another service may stand between here and "
                        f"{_host(url)}. Received: {start!r} from {url}"
                    ) from None

        return self.repeat(ask, url)

    def repeat(self, action: Callable[[], Any], url: str) -> Any:
        """Do what asks a server, again while it fails in a way that may pass."""
        for attempt in range(1, self.attempts + 1):
            try:
                return action()
            except _BrokenError as error:
                if attempt == self.attempts:
                    raise UnreachableError(
                        f"{_host(url)} cannot be reached, or breaks off. Check the network and try "
                        "again; what has arrived of a file is kept. "
                        f"Received: {error} from {url}"
                    ) from error
                pause = self.pause * 2 ** (attempt - 1) if error.pause is None else error.pause
                self.sleep(min(pause, _LONGEST_PAUSE))

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        stream: bool = True,
        allow: tuple[int, ...] = (),
    ) -> Iterator[requests.Response]:
        """Answer to a GET request, as it comes over the line; `allow` names failures to let by."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise DownloadError(f"expected an address that begins with https. Received: {url}")
        sent = {
            "User-Agent": f"degu_tf/{__version__}",
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        try:
            with requests.get(
                url, params=parameters, headers=sent, stream=stream, timeout=self.timeout
            ) as response:
                if response.status_code not in allow:
                    _check_status(response, url)
                yield response
        except _BROKEN as error:
            raise _BrokenError(_reason(error)) from error
        except requests.exceptions.RequestException as error:
            raise DownloadError(f"the address cannot be asked ({error}). Received: {url}") from None


def _check_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in _TRANSIENT:
        wait = response.headers.get("Retry-After", "")
        raise _BrokenError(f"status {status}", float(wait) if wait.isdecimal() else None)
    if status in (404, 410):
        raise MissingError(f"{_host(url)} has nothing there. Received: status {status} from {url}")
    if status in (401, 403):
        raise DownloadError(
            f"{_host(url)} does not give this to everybody. Received: status {status} from {url}"
        )
    if status not in (200, 206):
        raise DownloadError(f"expected a file. Received: status {status} from {url}")


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: BaseException) -> str:
    """What the innermost of nested errors says, such as "Connection refused"."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class ResumingDownloader:
    """A downloader for `pooch.Pooch.fetch` that keeps what arrived of a broken download.

    Bytes go to `<target>.part`, beside which `<target>.part.json` notes what they are part of. The
    next call asks for the rest alone. It begins anew where the rest would not fit: another file is
    listed by now, the server's file has another ETag, or the server knows no ranges. What arrived
    is handed over only when its size and checksum are those listed.

    Parameters
    ----------
    target
        Where the file will stand.
    size
        Its size in bytes.
    checksum
        Its checksum as ``"algorithm:hexadecimal"``.
    connection
        How to ask the server.
    progress
        Show a bar: True, False, or None for where there is a terminal.
    """

    def __init__(
        self,
        target: str | os.PathLike,
        size: int,
        checksum: str,
        connection: Connection | None = None,
        progress: bool | None = None,
    ) -> None:
        self.target = Path(target)
        self.size = size
        self.checksum = checksum.lower()
        self.connection = connection or Connection()
        self.progress = progress
        self._part = self.target.with_name(self.target.name + PART)
        self._note = self.target.with_name(self.target.name + NOTE)

    def __call__(
        self, url: str, output_file: str | os.PathLike, pooch: Any, check_only: bool = False
    ) -> bool | None:
        """Fetch `url` into `output_file`, or say whether it is there, as pooch asks for.

        Raises
        ------
        DownloadError
            If the server cannot be reached, refuses, or gives another file than the one listed.
        """
        if check_only:
            return self._is_there(url)
        self._part.parent.mkdir(parents=True, exist_ok=True)
        with bar(None, self.target.name, self.progress, total=self.size) as shown:
            shown.unit, shown.unit_scale = "B", True
            self.connection.repeat(lambda: self._complete(url, shown), url)
        os.replace(self._part, output_file)
        self._note.unlink(missing_ok=True)
        return None

    def _is_there(self, url: str) -> bool:
        def ask() -> bool:
            with self.connection.open(url):
                return True

        try:
            return self.connection.repeat(ask, url)
        except MissingError:
            return False

    def _complete(self, url: str, shown: Any) -> None:
        """Fetch what is missing, and once more from the start if the whole is not the file."""
        kept = self._kept()
        if kept < self.size or not self._part.exists():
            self._receive(url, kept, shown)
        received = _digest(self._part, self.checksum)
        if received == self.checksum:
            return
        self._discard()
        if kept:
            self._complete(url, shown)
            return
        raise DownloadError(
            f"{self.target.name} is damaged, or another file than the listed one; nothing of it "
            f"was kept. Fetch it once more. Received: {received} instead of {self.checksum} "
            f"from {url}"
        )

    def _kept(self) -> int:
        """How many bytes of the listed file are here; what is of another file is discarded."""
        note = self._read_note()
        size = self._part.stat().st_size if self._part.exists() else 0
        if note.get("checksum") == self.checksum and size <= self.size:
            return size
        self._discard()
        return 0

    def _read_note(self) -> dict[str, Any]:
        try:
            note = read_json(self._note)
        except (OSError, InputError):
            return {}
        return note if isinstance(note, dict) else {}

    def _discard(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _receive(self, url: str, start: int, shown: Any) -> None:
        """Add to the part what the server sends from byte `start` on."""
        etag = self._read_note().get("etag")
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and etag:
            headers["If-Range"] = etag
        with self.connection.open(url, headers, allow=(_RANGE_PAST_END,)) as response:
            if response.status_code == 200:
                start = 0
            fits = not start or _continues(response, start, self.size, etag)
            if fits:
                self._store(response, start, shown)
        if not fits:
            self._discard()
            self._receive(url, 0, shown)

    def _store(self, response: requests.Response, start: int, shown: Any) -> None:
        if response.status_code == _RANGE_PAST_END:
            raise DownloadError(f"expected a file. Received: status 416 from {response.url}")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and start + int(length) != self.size:
            self._refuse_size(start + int(length), response.url)
        etag = response.headers.get("ETag", "")
        note = {"checksum": self.checksum, "etag": None if etag.startswith("W/") else etag or None}
        write_json(self._note, note)
        shown.initial = shown.n = done = start
        shown.refresh()
        with open(self._part, "ab" if start else "wb") as part:
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                done += len(chunk)
                if done > self.size:
                    self._refuse_size(done, response.url)
                part.write(chunk)
                shown.update(len(chunk))
        if done < self.size:
            raise _BrokenError(f"{done} of {self.size} bytes")

    def _refuse_size(self, size: int, url: str) -> None:
        self._discard()
        raise DownloadError(
            f"the server has another file than the listed {self.target.name} of {self.size} "
            f"bytes; nothing of it was kept. Received: {size} bytes or more from {url}"
        )


def _continues(response: requests.Response, start: int, size: int, etag: str | None) -> bool:
    """Whether an answer holds the rest of the file of which there are `start` bytes."""
    described = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or described is None or int(described[1]) != start:
        return False
    same = etag is None or response.headers.get("ETag", etag) == etag
    return same and described[2] in ("*", str(size))


def _digest(path: Path, like: str) -> str:
    """The checksum of a file, by the algorithm that `like` names."""
    algorithm = like.partition(":")[0]
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def check_checksum(text: Any) -> str:
    """A checksum ``"algorithm:hexadecimal"`` as it is compared, in small letters.

    Raises
    ------
    InputError
        If it is none, or of an algorithm that is not known here.

    Examples
    --------
    >>> check_checksum("md5:D41D8CD98F00B204E9800998ECF8427E")
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    algorithm, _, digits = str(text).lower().partition(":")
    known = algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake")
    if not known or not re.fullmatch("[0-9a-f]+", digits):
        raise InputError(f"expected a checksum such as md5:0123456789abcdef. Received: {text!r}")
    return f"{algorithm}:{digits}"


def relative_name(name: Any) -> PurePosixPath:
    """A file's name from elsewhere as a path below the folder that it is put in.

    Raises
    ------
    InputError
        If it would leave that folder, cannot be printed, or ends like that of a part.

    Examples
    --------
    >>> relative_name("weights/1_DeepSTARR.h5").name
    '1_DeepSTARR.h5'
    """
    text = name if isinstance(name, str) else ""
    places = text.split("/")
    strange = any(character in "\\:" or not character.isprintable() for character in text)
    if strange or text.endswith((PART, NOTE)) or any(part.strip(". ") == "" for part in places):
        raise InputError(
            "expected the name of a file, folders before it set off by '/', without '..' or other "
            f"signs that lead elsewhere; nothing was written. Received: {name!r}"
        )
    return PurePosixPath(text)
