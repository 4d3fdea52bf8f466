"""The output folder of a script: it holds the results of one set of settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import UNFINISHED, read_json, write_json
from degu_tf.utils.processes.locks import LOCK

SETTINGS = "settings.json"
"""File of the settings that results were asked for with."""


def claim_folder(out: Path, identity: Mapping[str, Any]) -> None:
    """Write what was asked for to an empty folder, or find that the folder holds just that.

    Raises
    ------
    InputError
        If the folder holds results of other settings, or other files.
    """
    settings, asked = out / SETTINGS, plain(identity)
    if settings.is_file():
        if read_json(settings) != asked:
            raise InputError(
                "the output folder holds results of other settings; name another --out or remove "
                f"it. Received: {out}"
            )
    elif any(not file.name.startswith((LOCK, UNFINISHED)) for file in out.iterdir()):
        raise InputError(f"the output folder holds other files. Received: {out}")
    else:
        write_json(settings, asked)


def plain(value: Any) -> Any:
    """Settings as a file of JSON gives them back."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    from degu_tf.training.augmentation.schemes import describe

    return describe(value)  # an augmentation of a recipe
