"""What a command reads, checked before anything heavy is loaded."""

import os

from degu_tf.cli import options
from degu_tf.utils.errors import InputError, did_you_mean
from degu_tf.utils.run_folder import SETTINGS, RunFolder


def check_files(what: str, *paths: str | None) -> None:
    """Refuse what is no file; None stands for an option that was not given.

    Raises
    ------
    InputError
        With `what` was expected, such as ``"a genome FASTA"``.
    """
    for path in paths:
        if path is not None and not os.path.isfile(path):
            raise InputError(f"expected {what}. Received: {path}, which is no file")


def check_exists(what: str, *paths: str | None) -> None:
    """Refuse what is neither file nor folder; None stands for an option that was not given.

    Raises
    ------
    InputError
        With `what` was expected.
    """
    for path in paths:
        if path is not None and not os.path.exists(path):
            raise InputError(f"expected {what}. Received: {path}, where there is nothing")


def check_run(path: str) -> None:
    """Refuse a run that is missing or unfinished; folders of something else are left to loaders.

    Raises
    ------
    InputError
        If nothing is there, or it is a run that is unfinished or damaged.
    """
    if not os.path.exists(path):
        raise InputError(f"expected the folder of a run. Received: {path}")
    if os.path.isfile(os.path.join(path, SETTINGS)):
        run = RunFolder(path)
        _ = run.kind, run.manifest()


def check_model(name: str | None) -> None:
    """Refuse a misspelt name of an architecture; what has a colon or a dot is looked for elsewhere.

    Raises
    ------
    InputError
        If there is none of that name; a similar one is suggested.
    """
    if name is None or name in options.MODEL_NAMES or set(":.") & set(name):
        return
    hint = did_you_mean(name, options.MODEL_NAMES)
    raise InputError(
        f"expected one of the architectures {', '.join(options.MODEL_NAMES)}.{hint} "
        f"Received: --model {name}"
    )
