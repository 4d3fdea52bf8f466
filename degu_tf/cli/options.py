"""Options of the command line as they are declared: one shape of help, values read and checked.

Nothing heavy is imported, so that help answers at once.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any

FORCE = "replace the file if it is there"
"""Help of `--force`."""


def verb(
    verbs: argparse._SubParsersAction, name: str, what: str, usage: str, *examples: str
) -> argparse.ArgumentParser:
    """A verb or source with its one-line description, usage and examples."""
    return verbs.add_parser(
        name,
        help=what,
        description=what,
        usage=f"%(prog)s {usage}",
        epilog="\n  ".join(["example:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def option(
    to: argparse._ActionsContainer,
    name: str,
    metavar: str,
    what: str,
    kind: Callable[[str], Any] = str,
    default: Any = None,
) -> None:
    """An option of one value; its default, if it has one, ends the help."""
    shown = "" if default is None else f" (default: {default})"
    to.add_argument(name, type=kind, default=default, metavar=metavar, help=what + shown)


def several(to: argparse._ActionsContainer, name: str, metavar: str, what: str) -> None:
    """An option of one or more values."""
    to.add_argument(name, nargs="+", metavar=metavar, help=what)


def three(
    to: argparse._ActionsContainer,
    name: str,
    what: str,
    kind: Callable[[str], Any],
    default: tuple[float, float, float],
) -> None:
    """An option of a value for each split."""
    shown = f"{what} (default: {' '.join(map(str, default))})"
    places = ("TRAIN", "VALIDATION", "TEST")
    to.add_argument(name, nargs=3, type=kind, default=default, metavar=places, help=shown)


def choice(
    to: argparse._ActionsContainer,
    name: str,
    what: str,
    choices: Sequence[str],
    default: str | None = None,
) -> None:
    """An option of one of a few words, the first by default."""
    default = default or choices[0]
    shown = f"{what} (default: {default})"
    to.add_argument(name, choices=choices, default=default, help=shown)


def flag(to: argparse._ActionsContainer, name: str, what: str) -> None:
    """An option without a value."""
    to.add_argument(name, action="store_true", help=what)


def activity_only(to: argparse._ActionsContainer) -> None:
    """The option that leaves measured deviations out."""
    flag(to, "--activity-only", "leave the replicates' deviation out")


def whole(least: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least`."""
    return _reader(int, lambda value: value >= least, f"a whole number from {least}")


def _reader(
    kind: Callable[[str], Any], fits: Callable[[Any], bool], what: str
) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"expected {what}. Received: {text}")
        return value

    return read


positive = _reader(float, lambda value: 0 < value < math.inf, "a positive number")
not_negative = _reader(float, lambda value: 0 <= value < math.inf, "a number from 0")
probability = _reader(float, lambda value: 0 < value < 1, "a number between 0 and 1")
share = _reader(float, lambda value: 0 < value <= 1, "a number above 0, at most 1")
