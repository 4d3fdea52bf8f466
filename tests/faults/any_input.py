"""What inputs of users may hold, as hypothesis strategies, and the promise held against them.

`pytest -m slow tests/faults/fuzz --hypothesis-profile=long` tries 300 times as many.
"""

import tempfile
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some

from degu_tf.utils.errors import InputError

_ALWAYS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", max_examples=50, derandomize=True, database=None, **_ALWAYS)
settings.register_profile("long", max_examples=15_000, database=None, **_ALWAYS)

LETTERS = "ACGTNacgtnURYSWKMBDHVu"
"""What DNA is written with, of which `ACGT` are known bases."""

dna = some.text(alphabet=LETTERS, max_size=40)
any_text = some.text(max_size=20)
plain_text = some.text(some.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
small_numbers = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-3, 300),
    some.floats(),
    some.sampled_from(["", "mse", "8", b"x"]),
    some.just(()),
)
"""What stands where the number of something was expected that will be made."""

odd_numbers = some.one_of(small_numbers, some.integers())
"""What stands where any number was expected."""


@contextmanager
def only_named_errors():
    """Pass over errors that were made for users and their warnings; all else is a crash.

    A `RuntimeWarning`, such as numpy's of an overflow, stays an error: numbers went wrong.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with suppress(InputError):
            yield


@contextmanager
def file_of(content, name):
    """The path of a file with this content, bytes or text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        )
        yield path
