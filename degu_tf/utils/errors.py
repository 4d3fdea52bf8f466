"""The one exception that means "what you gave cannot be used": not a fault of the program."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input (a file, an array, an option) that cannot be used as given.

    The message says what was expected, what was received and what to do. The command line prints it
    without a traceback; every other exception is a fault of the program and keeps its traceback.

    Parameters
    ----------
    message
        For Python: what to do is said in arguments.
    command_line
        The same for the command line, in its options, where the two differ.

    Examples
    --------
    >>> from degu_tf.utils.errors import InputError
    >>> isinstance(InputError("expected 249 bases. Received: 230"), ValueError)
    True
    """

    exit_code = 2
    """What the command line ends with."""

    def __init__(self, message: str = "", command_line: str | None = None) -> None:
        super().__init__(message)
        self.command_line = message if command_line is None else command_line


class NoResultError(InputError):
    """Input that was read without a fault and from which nothing came out.

    Examples
    --------
    >>> NoResultError.exit_code
    3
    """

    exit_code = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that one is most like, as the end of a message; empty where none is close.

    Examples
    --------
    >>> did_you_mean("deepstar", ["deepstarr", "mprann"])
    ' Did you mean deepstarr?'
    """
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.4)
    return f" Did you mean {close[0]}?" if close else ""


@contextmanager
def blaming(where: object) -> Iterator[None]:
    """Begin every complaint made inside with the file, split or dataset that it is about.

    Examples
    --------
    >>> with blaming("data.h5"):
    ...     raise InputError("expected rows")
    Traceback (most recent call last):
    degu_tf.utils.errors.InputError: data.h5: expected rows
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}", f"{where}: {error.command_line}") from error
