"""Logs with a line of JSON for each event, to which several processes may add."""

import datetime
import json
import math
import os
from pathlib import Path
from typing import Any

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import check_output


def append(path: str | os.PathLike, **values: Any) -> None:
    """Add a line with the time and the values; numbers that are not finite become null.

    Examples
    --------
    >>> import tempfile
    >>> log = f"{tempfile.mkdtemp()}/log.jsonl"
    >>> append(log, event="epoch", loss=0.5)
    >>> json.loads(Path(log).read_text())["loss"]
    0.5
    """
    plain = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"time": now, **plain}) + "\n"
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", buffering=0) as file:  # one write, so lines of processes do not mix
        file.write(text.encode())


def check_log(path: str | os.PathLike) -> None:
    """Refuse a file that is no log, before anything is added to it.

    Raises
    ------
    InputError
        If it cannot be written to, or holds something else than lines of JSON.
    """
    file = check_output(path, overwrite=True)
    if not file.is_file():
        return
    with open(file, "rb") as handle:
        first = handle.readline(2**16)
    try:
        is_log = not first or isinstance(json.loads(first), dict)
    except ValueError:
        is_log = False
    if not is_log:
        raise InputError(
            "expected a new log, or one with a line of JSON for each event, to which more are "
            f"added. Received: {path}"
        )
