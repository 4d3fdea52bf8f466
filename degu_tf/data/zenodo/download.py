"""Downloads over HTTP that resume, as a downloader for pooch.

urllib3 repeats requests that fail; what it cannot repeat, an answer that breaks off, is resumed
here from the bytes that have arrived.
"""

import hashlib
import os
import re
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
"""Suffix of a file that has arrived in part."""

NOTE = ".part.json"
"""Suffix of the note beside it, which says what file it is a part of."""

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
    """A server that does not answer, or not completely, at any attempt."""


class MissingError(DownloadError):
    """An address at which the server has nothing."""


class _BrokenError(Exception):
    """An answer that broke off before its end."""


class _Retry(urllib3.Retry):
    """Retries that wait no longer than a minute, whatever the server asks for."""

    def get_retry_after(self, response: Any) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, _LONGEST_PAUSE)


@dataclass(frozen=True)
class Connection:
    """How often and how patiently a server is asked.

    Attributes
    ----------
    attempts
        Maximum number of attempts where there is no connection, the server is busy, or its answer
        breaks off.
    connects
        The same for those to which no connection comes about, such as offline; by default no fewer.
    pause
        Seconds that set the waiting times: none before the second attempt, twice this before the
        third, then doubling, unless a busy server names a time (``Retry-After``).
    timeout
        Seconds to wait for a connection, and for the next bytes.
    """

    attempts: int = 5
    connects: int | None = None
    pause: float = 1.0
    timeout: tuple[float, float] = (10.0, 60.0)

    def json(self, url: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The JSON that an address answers with.

        Raises
        ------
        UnreachableError
            If there is no server, or no complete answer.
        MissingError
            If the server has nothing there.
        DownloadError
            If it refuses, or the answer is not JSON.
        """

        def ask() -> Any:
            with self.open(url, parameters=parameters) as response:
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
        """Call `action`, which reads an answer, again while the answer breaks off.

        Raises
        ------
        UnreachableError
            If it still breaks off at the last attempt.
        """
        retries = self._retries()
        while True:
            try:
                return action()
            except _BrokenError as error:
                broken = urllib3.exceptions.ProtocolError(str(error))
                try:
                    retries = retries.increment("GET", url, error=broken)
                except urllib3.exceptions.MaxRetryError:
                    raise _unreachable(url, str(error)) from error
            retries.sleep()

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        allow: tuple[int, ...] = (),
    ) -> Iterator[requests.Response]:
        """Send a GET request and stream the answer; statuses in `allow` are no errors."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise DownloadError(f"expected an address that begins with https. Received: {url}")
        sent = {
            "User-Agent": f"degu_tf/{__version__}",
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        with requests.Session() as session:
            adapter = requests.adapters.HTTPAdapter(max_retries=self._retries())
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            try:
                response = session.get(
                    url, params=parameters, headers=sent, stream=True, timeout=self.timeout
                )
            except _BROKEN as error:
                raise _unreachable(url, _reason(error)) from error
            except requests.exceptions.RequestException as error:
                raise DownloadError(
                    f"the address cannot be asked ({error}). Received: {url}"
                ) from None
            with response:
                if response.status_code not in allow:
                    _check_status(response, url)
                try:
                    yield response
                except _BROKEN as error:
                    raise _BrokenError(_reason(error)) from error

    def _retries(self) -> urllib3.Retry:
        return _Retry(
            total=self.attempts - 1,
            connect=None if self.connects is None else self.connects - 1,
            status_forcelist=_TRANSIENT,
            backoff_factor=self.pause,
            backoff_max=_LONGEST_PAUSE,
            raise_on_status=False,
        )


def _unreachable(url: str, reason: str) -> UnreachableError:
    return UnreachableError(
        f"{_host(url)} cannot be reached, or breaks off. Check the network and try again; what has "
        f"arrived of a file is kept. Received: {reason} from {url}"
    )


def _check_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in _TRANSIENT:
        raise _unreachable(url, f"status {status}")
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
    """Message of the innermost of nested errors, such as "Connection refused"."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class ResumingDownloader:
    """A downloader for `pooch.Pooch.fetch` that resumes interrupted downloads.

    Bytes go to `<target>.part`, beside which `<target>.part.json` notes what they are part of. The
    next call requests the rest alone. It starts over where the rest would not fit: another file is
    listed by now, the ETag has changed, or the server does not support ranges. The file is handed
    over only if its size and checksum are those listed.

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
        """Fetch `url` into `output_file`, or only tell whether it exists, as pooch requires.

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
        """Number of bytes that have arrived; a part of another file is discarded."""
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
