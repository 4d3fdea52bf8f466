"""The one exception that means "what you gave cannot be used": not a fault of the program."""


class InputError(ValueError):
    """Input (a file, an array, an option) that cannot be used as given.

    The message says what was expected, what was received and what to do. The command line prints it
    without a traceback; every other exception is a fault of the program and keeps its traceback.

    Examples
    --------
    >>> from degu_tf.errors import InputError
    >>> isinstance(InputError("expected 249 bases. Received: 230"), ValueError)
    True
    """
