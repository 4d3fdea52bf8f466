"""The numbered scripts by name, and an order in which shared models are trained once.

The scripts are found beside the package in a checkout, and where the wheel put them elsewhere.
"""

import ast
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import degu_tf
from degu_tf.utils.errors import InputError, did_you_mean

ALL = "all"
"""Name of all scripts together."""


@dataclass(frozen=True)
class Entry:
    """A numbered script.

    Attributes
    ----------
    name
        What users call it: ``"fig3"``, ``"s13"``.
    script
        Its file name without the ending; it names the output folder too.
    minutes
        Processor minutes of the preset `quick`, with the models it reuses already trained; None
        where they have not been measured.
    reuses
        Names of the entries that train the models it shares; they run first.
    """

    name: str
    script: str
    minutes: float | None = None
    reuses: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The script."""
        return _folder() / f"{self.script}.py"

    @property
    def summary(self) -> str:
        """What the script shows: the first line of its docstring."""
        text = ast.get_docstring(ast.parse(self.file.read_text(encoding="utf-8"))) or ""
        return text.partition("\n")[0]


CATALOGUE = (
    Entry("quickstart", "00_quickstart", 4),
    Entry("fig2", "01_fig2_training_size", 24),
    Entry("fig3", "02_fig3_covariate_shift", 14),
    Entry("fig4", "03_fig4_attribution", 1, ("fig5",)),
    Entry("fig5", "04_fig5_uncertainty", 14, ("fig3",)),
    Entry("fig6", "05_fig6_variant_effects", 9, ("fig5",)),
    Entry("s1", "s01_atac_profiles", 8),
    Entry("s2", "s02_dream_rnn", 10),
    Entry("s3", "s03_evoaug_teachers", 2, ("fig3",)),
    Entry("s4", "s04_ensemble_size", 13, ("fig3",)),
    Entry("s5", "s05_shifted_activity", 1, ("fig3",)),
    Entry("s6", "s06_dynamic_test_performance", 1, ("fig3",)),
    Entry("s7", "s07_attribution_other_heads", 1, ("fig4",)),
    Entry("s8", "s08_normalised_attribution", 1, ("fig4",)),
    Entry("s9", "s09_uncertainty_other_data", 11, ("fig5",)),
    Entry("s10", "s10_epistemic_head", 1, ("fig5",)),
    Entry("s11", "s11_log_variance", 7, ("fig5",)),
    Entry("s12", "s12_heteroscedastic_teachers", 2, ("fig5",)),
    Entry("s13", "s13_conformal", 1, ("fig5",)),
    Entry("s14", "s14_variant_effects_other_elements", 1, ("fig6",)),
    Entry("s15", "s15_effect_and_uncertainty", 1, ("fig6",)),
    Entry("s16", "s16_confident_variants", 1, ("fig6",)),
    Entry("table_s1", "table_s1_cost", 4),
    Entry("x1", "x01_attribution_of_uncertainty", 1, ("fig4",)),
    Entry("x2", "x02_share_kept", 16),
)
"""Every script, in the order of the paper."""

_IN_WHEEL = "share/degu_tf/experiments/"


def chosen(names: Sequence[str]) -> list[Entry]:
    """Entries of these names, each once, in the order of the paper.

    Parameters
    ----------
    names
        Names (``"fig3"``), file names of scripts, patterns (``"s1*"``), or ``"all"``.

    Raises
    ------
    InputError
        If a name is none of these.

    Examples
    --------
    >>> [entry.script for entry in chosen(["s13", "fig5", "s13_conformal.py"])]
    ['04_fig5_uncertainty', 's13_conformal']
    >>> len(chosen(["all"])) == len(CATALOGUE)
    True
    """
    wanted: set[str] = set()
    for name in names:
        found = {entry.name for entry in CATALOGUE if _matches(entry, name)}
        if not found:
            known = [entry.name for entry in CATALOGUE]
            raise InputError(
                f"expected names of figures, such as fig3, s13 or {ALL}; `degu reproduce --list` "
                f"shows them.{did_you_mean(name, known)} Received: {name}"
            )
        wanted |= found
    return [entry for entry in CATALOGUE if entry.name in wanted]


def in_running_order(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries, those whose models others reuse before them.

    Examples
    --------
    >>> [entry.name for entry in in_running_order(chosen(["fig4", "fig5", "fig6"]))]
    ['fig5', 'fig4', 'fig6']
    """
    known = {entry.name: entry for entry in CATALOGUE}
    ordered: list[Entry] = []

    def add(entry: Entry) -> None:
        for name in entry.reuses:
            add(known[name])
        if entry not in ordered:
            ordered.append(entry)

    for entry in entries:
        add(entry)
    return [entry for entry in ordered if entry in entries]


def _matches(entry: Entry, name: str) -> bool:
    stem = Path(name).name.removesuffix(".py")
    return name == ALL or any(
        fnmatch.fnmatchcase(known, stem) for known in (entry.name, entry.script)
    )


def _folder() -> Path:
    """Folder of the scripts: of the checkout that the package is in, or of the wheel's files."""
    name = f"{CATALOGUE[0].script}.py"
    beside = Path(degu_tf.__file__).parents[1] / "experiments"
    if (beside / name).is_file():
        return beside
    for file in _installed():
        if file.as_posix().endswith(_IN_WHEEL + name):
            return Path(str(file.locate())).resolve().parent
    raise InputError(
        "the numbered scripts are neither beside the package nor among the files that were "
        f"installed with it; install it again. Received: {beside}"
    )


def _installed() -> Sequence[metadata.PackagePath]:
    """Files that were installed with the package; none where it was only put on the path."""
    try:
        return metadata.files("degu_tf") or ()
    except metadata.PackageNotFoundError:
        return ()
