"""Building blocks of the command line: options with help of one form, values read and checked.

Nothing heavy is imported, so that help appears at once.
"""

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

MODEL_NAMES = ("cnn_task_base", "deepstarr", "dream_rnn", "mprann", "residualbind")
"""Names of `degu_tf.models.registry`, known without loading it."""

ARCHITECTURES = f"{', '.join(MODEL_NAMES[:-1])} or {MODEL_NAMES[-1]}"
"""Names for `--model`, in help."""

FORCE = "overwrite the output file"
"""Help of `--force`."""

FORMS = ("std", "log_variance", "evidential")
"""Forms of an uncertainty column."""

SPLITS = ("train", "validation", "test")

_MAXIMUM = 2**31 - 1


def verb(
    verbs: argparse._SubParsersAction, name: str, what: str, usage: str, *examples: str
) -> argparse.ArgumentParser:
    """A verb or source with its one-line description, usage and examples."""
    made = verbs.add_parser(
        name,
        help=what,
        description=what,
        usage=f"%(prog)s {usage}",
        epilog="\n  ".join(["example:" if len(examples) == 1 else "examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(parser=made)
    return made


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The options of a verb by the names of their values: ``{"n_train": "--n-train"}``."""
    return {each.dest: each.option_strings[0] for each in parser._actions if each.option_strings}


def option(
    to: argparse._ActionsContainer,
    name: str,
    metavar: str,
    what: str,
    kind: Callable[[str], Any] = str,
    default: Any = None,
) -> None:
    """An option with one value; its default, if it has one, ends the help."""
    shown = "" if default is None else f" (default: {default})"
    to.add_argument(name, type=kind, default=default, metavar=metavar, help=what + shown)


def several(to: argparse._ActionsContainer, name: str, metavar: str, what: str) -> None:
    """An option with one or more values."""
    to.add_argument(name, nargs="+", metavar=metavar, help=what)


def several_numbers(to: argparse._ActionsContainer, name: str, metavar: str, what: str) -> None:
    """An option with one or more whole numbers."""
    to.add_argument(name, nargs="+", type=whole_number(0), metavar=metavar, help=what)


def per_split(
    to: argparse._ActionsContainer,
    name: str,
    what: str,
    kind: Callable[[str], Any],
    default: tuple[float, float, float],
) -> None:
    """An option with a value for each split."""
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
    """An option with one of a few values, the first by default."""
    default = default or choices[0]
    shown = f"{what} (default: {default})"
    to.add_argument(name, choices=choices, default=default, help=shown)


def flag(to: argparse._ActionsContainer, name: str, what: str) -> None:
    """An option without a value."""
    to.add_argument(name, action="store_true", help=what)


# options that several verbs have


def run_argument(to: argparse.ArgumentParser) -> None:
    """The positional RUN of verbs that predict."""
    to.add_argument(
        "run",
        metavar="RUN",
        help="run folder of `degu train` or `degu distill`, or a model file: written by "
        "`degu export` or `degu convert`, or any that `degu convert` reads",
    )
    custom_layers_option(to)


def custom_layers_option(to: argparse._ActionsContainer) -> None:
    """The file that registers layers of the user's own; it is executed."""
    what = "file.py or package.module that registers layers of yours which the model has; it is "
    option(to, "--custom-layers", "FILE", f"{what}executed")


def quiet_option(to: argparse.ArgumentParser) -> None:
    """The option that hides progress."""
    flag(to, "--quiet", "hide progress: bars on terminals, lines elsewhere")


def activity_only_option(to: argparse._ActionsContainer) -> None:
    """The option that leaves the replicates' standard deviation out."""
    flag(to, "--activity-only", "leave out the standard deviation of the replicates")


def target_names_option(to: argparse._ActionsContainer) -> None:
    """The option that names the target columns of a file."""
    several(to, "--targets", "NAME", "target names, for an HDF5 file that does not store them")


def missing_targets_option(to: argparse._ActionsContainer) -> None:
    """The option that keeps the gaps of a file of another layout."""
    what = "targets that are missing (NaN) for some rows, in an HDF5 file that does not say that "
    what += "it has them, as those of `degu prepare` do"
    choice(to, "--missing-targets", what, ("refuse", "keep"))


def in_memory_option(to: argparse._ActionsContainer) -> None:
    """The option that leaves data in their file."""
    what = "whether DATA are read whole. never: training reads blocks of rows as it needs them, "
    what += "in a shuffled order of their own; auto: whole, unless that takes more than half of "
    what += "this machine's memory"
    choice(to, "--in-memory", what, ("auto", "always", "never"))


def sequence_file_options(to: argparse.ArgumentParser) -> None:
    """What to read from a table or an HDF5 file of sequences."""
    table = to.add_argument_group("input table")
    option(table, "--sequence", "COLUMN", "column of sequences", default="seq")
    names = "column of sequence names (default: name or id, if it exists)"
    option(table, "--name", "COLUMN", names)
    hdf5 = to.add_argument_group("input HDF5 file")
    choice(hdf5, "--split", "split to read", SPLITS, "test")
    target_names_option(hdf5)


def strands_option(to: argparse._ActionsContainer) -> None:
    """The option that averages both strands."""
    flag(to, "--average-strands", "average the predictions for both strands")


def interval_options(to: argparse._ActionsContainer) -> None:
    """Level and kind of prediction intervals."""
    option(to, "--level", "P", "nominal coverage of the intervals", probability, 0.95)
    flag(to, "--gaussian", "Gaussian intervals, even if the run is calibrated")


def flanks_option(to: argparse._ActionsContainer, more: str = "") -> None:
    """The adapters of the library."""
    what = "fixed adapters of the assayed library, at both ends of the model's input; the window "
    what += f"fills the space between them{more} (default: none)"
    to.add_argument("--flanks", nargs=2, metavar=("5'", "3'"), help=what)


def effect_options(to: argparse._ActionsContainer) -> None:
    """How the effect of a variant and its uncertainty are predicted."""
    flanks_option(to)
    strands_option(to)
    choice(
        to,
        "--uncertainty",
        "standard deviation of an effect. independent: root of the sum of both alleles' variances; "
        "alternative: that of the alternative allele, as in the paper's maps; members: spread of "
        "the effect over the members of an ensemble",
        ("independent", "alternative", "members"),
    )
    interval_options(to)


# readers of values


def whole_number(minimum: int) -> Callable[[str], int]:
    """A reader of whole numbers of at least `minimum` that fit 32 bits."""

    def read(text: str) -> int:
        value = at_least(text)
        if value > _MAXIMUM:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at most {_MAXIMUM}. Received: {text}"
            )
        return value

    at_least = _reader(int, lambda value: value >= minimum, f"a whole number of at least {minimum}")
    return read


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
not_negative = _reader(float, lambda value: 0 <= value < math.inf, "a number of at least 0")
probability = _reader(float, lambda value: 0 < value < 1, "a number between 0 and 1")
positive_share = _reader(float, lambda value: 0 < value <= 1, "a number above 0 and at most 1")
share = _reader(float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
TEACHERS_AUGMENTATIONS = ("evoaug", "mutagenesis", "noise", "deletion", "translocation")
"""Names that `degu train --augment` takes: those that leave a sequence's label as it is."""

AUGMENTATIONS = (
    *TEACHERS_AUGMENTATIONS,
    "shuffle",
    "recombine",
    "mutate_recombine",
    "mosaic",
)
"""Names that `degu distill --augment` takes, of `degu_tf.training.augmentation.names.SCHEMES`."""


def augmentations(names: Sequence[str], *others: str) -> Callable[[str], str]:
    """A reader of one of the names, a mixture of them by shares, or one of the other words."""

    def read(text: str) -> str:
        found = [re.split("[=:]", part.strip())[0] for part in text.split(",")]
        if text not in others and not set(found) <= set(names):
            raise argparse.ArgumentTypeError(
                f"expected {', '.join(others)}, or of {', '.join(names)} one or a mixture, such as "
                f"mutagenesis=0.04:0.5,noise:0.5. Received: {text}"
            )
        return text

    return read


below_one = _reader(float, lambda value: 0 <= value < 1, "a number from 0 to below 1")
dropout_rate = _reader(float, lambda value: 0 <= value < 1, "a rate from 0 to below 1")
