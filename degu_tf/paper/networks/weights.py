"""Networks of a figure opened from weight files, such as the released ones, instead of trained.

A file's content says what it is: architecture, columns, and so teacher, student or noise model.
What content leaves open its path says in plain words, below the folder that was given: the data
set, the share of the training data, the kind of augmentation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from degu_tf.data.splits import Splits
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.weight_sets import Described, WeightSet, find_sets, open_member
from degu_tf.plots.palette import label_of
from degu_tf.utils.errors import InputError

ALL_DATA = 1.0
"""Share of the training data of sets whose path names none."""

PUBLISHED = {"several": "deepstarr", "one": "residualbind"}
"""Architecture of the paper's figures for data with several targets and with one."""

OTHER_TEACHERS = "teachers trained with EvoAug"
"""What sets are called that no figure opens: the judges of Fig. 3."""

DERIVED = {"ensemble": "single", "mc_dropout": "single"}
"""Methods that are made of another one's networks."""

_WORDS = {
    "student": r"student|distill",
    "heteroscedastic": r"hetero",
    "evidential": r"evidential",
    "log_variance": r"log_?-?var",
    "dynamic_evoaug": r"evoaug",
    "dynamic_mutagenesis": r"mutagenesis",
    "dynamic_shuffle": r"shuffl|random(?!_?-?mutagenesis)",
    "augmented": r"aug|finetun",
}
"""Words in paths, and what they say."""

CELLS = frozenset({"k562", "hepg2", "wtc11"})
"""Words of cell types, whose networks do not stand in for one another's."""

_SCHEMES = ("dynamic_mutagenesis", "dynamic_evoaug", "dynamic_shuffle")


@dataclass(frozen=True)
class Needs:
    """Methods whose weights a figure opens.

    Attributes
    ----------
    required
        Those without which it shows nothing: a folder that lacks them is refused.
    shown
        Others that it shows; where a folder lacks them, the figure says so.
    one_target
        Whether it shows data with one target alone, so that of other data it needs nothing.
    """

    required: tuple[str, ...]
    shown: tuple[str, ...] = ()
    one_target: bool = False

    def text(self) -> str:
        """The methods, in the words of legends."""
        words = [", ".join(map(label_of, self.required))]
        shown = [label_of(method) for method in self.shown if method not in DERIVED]
        if shown:
            words.append(f"and where there are any {', '.join(shown)}")
        return " ".join(words)


@dataclass(frozen=True, eq=False)
class DataWeights:
    """The sets of weights that belong to one data set.

    Attributes
    ----------
    data
        Its name.
    sets
        For each method and share of the training data the set, and what its columns mean.
    n_members
        How many members the ensemble takes; None for all.
    fraction
        The share of the training data that is asked for.
    """

    data: str
    sets: Mapping[tuple[str, float], tuple[WeightSet, HeadLayout]]
    n_members: int | None = None
    fraction: float = ALL_DATA
    _opened: dict[Path, ModelPredictor] = field(default_factory=dict, repr=False)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the training data of which there are teachers, ascending."""
        return tuple(sorted(share for method, share in self.sets if method == "single"))

    def at(self, fraction: float) -> "DataWeights":
        """The same weights, asked for networks of another share of the training data."""
        return replace(self, fraction=fraction)

    def has(self, method: str) -> bool:
        """Whether there are weights of a method."""
        return (DERIVED.get(method, method), self.fraction) in self.sets

    def heads(self, method: str) -> HeadLayout:
        """Layout of a method's networks."""
        return self._set(method)[1]

    def models(self, method: str) -> list[ModelPredictor]:
        """Every network of a method.

        Raises
        ------
        InputError
            If there are none, or a file cannot be read.
        """
        chosen, heads = self._set(method)
        return [self._open(file, heads) for file in chosen.files]

    def ensemble(self, method: str = "single") -> Ensemble:
        """The ensemble of a method's networks, all or the first `n_members`.

        Raises
        ------
        InputError
            As `models`, and if there are fewer than two or than were asked for.
        """
        chosen, heads = self._set(method)
        files = chosen.files
        wanted = len(files) if self.n_members is None else self.n_members
        if not 2 <= wanted <= len(files):
            raise InputError(
                f"{self.data}: expected 2 to {len(files)} members of {chosen.name}. "
                f"Received: {wanted}"
            )
        members = [self._open(file, heads) for file in files[:wanted]]
        return Ensemble(members, sources=files[:wanted])

    def _open(self, file: Path, heads: HeadLayout) -> ModelPredictor:
        """A file's network, opened once: panels share them."""
        if file not in self._opened:
            self._opened[file] = open_member(file, heads)
        return self._opened[file]

    def _set(self, method: str) -> tuple[WeightSet, HeadLayout]:
        if not self.has(method):
            share = "" if self.fraction == ALL_DATA else f" of {self.fraction:.0%} of the data"
            raise InputError(
                f"{self.data}: expected weights of {label_of(method)}{share}. Received: "
                f"{', '.join(sorted({each.name for each, _ in self.sets.values()})) or 'none'}"
            )
        return self.sets[DERIVED.get(method, method), self.fraction]


class ReleasedWeights:
    """Weights in folders, from which a figure's networks are opened.

    Parameters
    ----------
    paths
        Folders, searched with those below them, and files.
    needs
        What the figure opens.
    n_members
        How many members ensembles take; None for all.

    Raises
    ------
    InputError
        If there are no files of weights.
    """

    def __init__(self, paths: Sequence[Path], needs: Needs, n_members: int | None = None) -> None:
        self._sets = find_sets(paths)
        self._needs = needs
        self._n_members = n_members

    def record(self) -> dict[str, str]:
        """The hash of each set, by its name and number of files."""
        return {f"{each.name} ({len(each.files)})": each.sha256 for each in self._sets}

    def of_data(self, data: Mapping[str, Splits]) -> dict[str, DataWeights]:
        """The weights of each data set; printed lines say which are taken and which are not.

        Parameters
        ----------
        data
            Every data set of the figure by name.

        Raises
        ------
        InputError
            If weights that the figure needs are missing, or several sets could be them.
        """
        found = {}
        taken: set[str] = set()
        for name, splits in data.items():
            candidates = self._candidates(name, splits, data)
            sets = {key: self._best(key, ranked, name) for key, ranked in candidates.items()}
            weights = DataWeights(name, sets, self._n_members)
            if splits.heads.n_targets == 1 or not self._needs.one_target:
                self._check(weights)
            found[name] = weights
            wanted = {DERIVED.get(each, each) for each in self._needs.required + self._needs.shown}
            for (method, share), (chosen, _) in sorted(sets.items()):
                if method in wanted:
                    taken.add(chosen.name)
                    print(f"{name}: {_words(method, share)}: {chosen.name}, {_size(chosen)}")
        for each in self._sets:
            if each.name not in taken:
                why = f": {each.described}" if isinstance(each.described, str) else ""
                print(f"Not used: {each.name}, {_size(each)}{why}")
        return found

    def _candidates(
        self, name: str, splits: Splits, data: Mapping[str, Splits]
    ) -> dict[tuple[str, float], list[tuple[tuple, WeightSet, HeadLayout]]]:
        """For each method and share the sets that may be it, each with its rank."""
        kind = "several" if splits.heads.n_targets > 1 else "one"
        alike = [other for other, each in data.items() if _alike(splits, each)]
        found: dict[tuple[str, float], list[tuple[tuple, WeightSet, HeadLayout]]] = {}
        for each in self._sets:
            described = each.described
            if isinstance(described, str):
                continue
            heads = layout_of(each.name, described, splits)
            if heads is None or _of_another_cell(each.name, name):
                continue
            named = {other: _named_after(each.name, other) for other in alike}
            if named[name] < max(named.values()):
                continue
            if len(alike) > 1 and list(named.values()).count(named[name]) > 1:
                raise InputError(
                    f"expected a folder or name that says whose weights {each.name} are, of "
                    f"{' or '.join(alike)}. Received: {each.name}"
                )
            rank = (
                described.architecture != PUBLISHED[kind],
                -named[name],
                "finetun" in each.name.lower(),
                "append" in each.name.lower(),
            )
            key = (method_of(each.name, described, heads), each.fraction)
            found.setdefault(key, []).append((rank, each, heads))
        return found

    @staticmethod
    def _best(
        key: tuple[str, float], ranked: Sequence[tuple[tuple, WeightSet, HeadLayout]], name: str
    ) -> tuple[WeightSet, HeadLayout]:
        first = min(rank for rank, _, _ in ranked)
        best = [(each, heads) for rank, each, heads in ranked if rank == first]
        if len(best) > 1:
            raise InputError(
                f"{name}: expected one set of weights of {_words(*key)}; name those to open, or "
                f"the folder they are in. Received: {', '.join(each.name for each, _ in best)}"
            )
        return best[0]

    def _check(self, weights: DataWeights) -> None:
        missing = [method for method in self._needs.required if not weights.has(method)]
        if not missing:
            return
        listed = [
            f"{each.name} ({each.described})" if isinstance(each.described, str) else each.name
            for each in self._sets
        ]
        raise InputError(
            f"{weights.data}: this figure needs weights of {self._needs.text()}; missing: "
            f"{', '.join(map(label_of, missing))}. Received: {', '.join(listed)}"
        )


def layout_of(name: str, described: Described, splits: Splits) -> HeadLayout | None:
    """What the columns of a set mean for a data set, None where it cannot be the data's.

    Parameters
    ----------
    name
        The set's path, whose words decide where content does not.
    described
        What its first file says.
    splits
        The data.
    """
    targets, length = splits.heads.targets, splits.input_shape[0]
    if described.input_length not in (None, length):
        return None
    stated = described.heads
    if stated is None:
        forms = {1: (None, None), 2: _two_columns(name), 3: ("std", "std")}
        columns, rest = divmod(described.n_columns, len(targets))
        if rest or columns not in forms:
            return None
        stated = HeadLayout(targets, *forms[columns])
    if stated.n_targets != len(targets):
        return None
    if stated.epistemic == "std" and described.head == "linear" and _says(name, "log_variance"):
        stated = replace(stated, epistemic="log_variance")
    return replace(stated, targets=targets)


def _two_columns(name: str) -> tuple:
    """Forms of aleatoric and epistemic columns, of two for a target."""
    if _says(name, "student"):
        return None, "std"
    noise = _says(name, "heteroscedastic") or _says(name, "evidential")
    return ("log_variance" if noise else "std"), None


def method_of(name: str, described: Described, heads: HeadLayout) -> str:
    """Which method a set is of, by its columns and, where they leave it open, its path's words.

    Examples
    --------
    >>> plain = Described("deepstarr", "linear", 4, 249, None)
    >>> student = HeadLayout(("Dev", "Hk"), epistemic="std")
    >>> method_of("K562/*_lentiMPRA_random_aug", plain, student)
    'dynamic_shuffle'
    """
    if described.head == "evidential" or heads.aleatoric == "evidential":
        return "deep_evidential"
    if heads.epistemic is not None:
        schemes = [scheme for scheme in _SCHEMES if _says(name, scheme)]
        if schemes:
            return schemes[0]
        if _says(name, "heteroscedastic"):
            return "student_of_heteroscedastic"
        return "student_log_variance" if heads.epistemic == "log_variance" else "student"
    if described.head == "dense_normal" or _says(name, "evidential"):
        return "evidential_released"
    if described.head == "mean_std" or heads.aleatoric == "log_variance":
        return "heteroscedastic"
    return OTHER_TEACHERS if _says(name, "augmented") else "single"


def _says(name: str, what: str) -> bool:
    return re.search(_WORDS[what], name.lower()) is not None


def _alike(one: Splits, other: Splits) -> bool:
    """Whether weights that fit one data set fit the other."""
    same_length = one.input_shape == other.input_shape
    return same_length and one.heads.n_targets == other.heads.n_targets


def _named_after(name: str, data: str) -> int:
    """How many of the words in a data set's name are in a path."""
    return len(_parts(data) & _parts(name))


def _of_another_cell(name: str, data: str) -> bool:
    """Whether a path names a cell type, a data set another one.

    Examples
    --------
    >>> [_of_another_cell(f"{cell}/*_ResidualBind", "lentiMPRA_K562") for cell in ("HepG2", "K562")]
    [True, False]
    """
    theirs, ours = CELLS & _parts(name), CELLS & _parts(data)
    return bool(theirs and ours and not theirs & ours)


def _parts(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower())) - {""}


def _words(method: str, share: float) -> str:
    return label_of(method) + ("" if share == ALL_DATA else f" ({share:.0%} of the data)")


def _size(each: WeightSet) -> str:
    return f"{len(each.files)} file{'s' if len(each.files) > 1 else ''}"
