"""The one exception that means "what you gave cannot be used": not a fault of the program."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input (a file, an array, an option) that cannot be used as given.

    The message says what was expected, what was received and what to do. The command line prints it
    without a traceback; every other exception is a fault of the program and keeps its traceback.

    Examples
    --------
    >>> from degu_tf.utils.errors import InputError
    >>> isinstance(InputError("expected 249 bases. Received: 230"), ValueError)
    True
    """


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
        raise InputError(f"{where}: {error}") from error
