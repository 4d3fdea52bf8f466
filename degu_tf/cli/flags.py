"""Messages of the library, said in options of the command line instead of Python arguments."""

import re
from collections.abc import Mapping

_ALIASES = {
    "architecture": "model",
    "name": "model",
    "spec": "model",
    "input_length": "length",
    "heads": "targets",
    "n_members": "members",
    "n_bins": "bins",
    "n_references": "references",
    "overwrite": "force",
}
"""Arguments of the library that options have another name for."""

_INVERTED = {"aleatoric": "activity_only"}
"""Arguments that an option switches off."""

_VALUE = r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^][]*\]|\.\.\.|[^\s,;()\[\]]*[^\s,;()\[\].]"
_ASSIGNED = re.compile(rf"(?<![\w.'\"/-])([a-z][a-z_]*)=({_VALUE})?")
_SNAKE = re.compile(r"(?<![\w.'\"/-])([a-z]+(?:_[a-z]+)+)(?![\w.'\"/=(])")


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """A message in which arguments of Python are options of the command line.

    Parameters
    ----------
    message
        A message with parts such as ``n_members=7``, ``targets=('Dev', 'Hk')`` or ``batch_size``.
    flags
        The options of a verb: ``{"members": "--members"}``. Arguments without one stay.

    Examples
    --------
    >>> flags = {"members": "--members", "targets": "--targets", "append": "--append"}
    >>> with_flags("the run has 2 members. Received: n_members=7", flags)
    'the run has 2 members. Received: --members 7'
    >>> with_flags("leave out targets=. Received: targets=('Dev', 'Hk'), append=False", flags)
    'leave out --targets. Received: --targets Dev Hk, no --append'
    """

    def assigned(found: re.Match) -> str:
        name, value = found[1], found[2] or ""
        if name not in flags and _INVERTED.get(name) in flags:
            name, value = _INVERTED[name], {"True": "False", "False": "True"}.get(value, value)
        flag = flags.get(name) or flags.get(_ALIASES.get(name, ""))
        return found[0] if flag is None else _spelt(flag, value)

    message = _ASSIGNED.sub(assigned, message)
    return _SNAKE.sub(lambda found: flags.get(found[1], found[1]), message)


def _spelt(flag: str, value: str) -> str:
    if value in ("None", "False"):
        return f"no {flag}"
    if value in ("", "True", "..."):
        return flag
    if value[0] in "([":
        parts = [part.strip(" '\"") for part in value[1:-1].split(",")]
        return " ".join([flag, *filter(None, parts)])
    return f"{flag} {value.strip(chr(39) + chr(34))}"
