"""Training, validation and test data: the form in which data move through the package."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from degu_tf.data.arrays import measured_columns, sequence_array
from degu_tf.data.measured import (
    MissingTargets,
    check_measured,
    check_weighted,
    checked_targets,
    checked_weights,
    value_weights,
)
from degu_tf.data.refused_values import refuse_negative, refuse_other_than_binary
from degu_tf.data.row_blocks import row_blocks
from degu_tf.data.summaries import html_summary, summary
from degu_tf.heads import HeadLayout, Task
from degu_tf.sequences.encoding import check_sequences
from degu_tf.sequences.intervals import middle_names
from degu_tf.utils.errors import InputError, blaming

FRACTION_SEED = 1234
"""Seed with which the released training subsets were drawn."""

NAMES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Sequences with what was measured of them.

    Attributes
    ----------
    sequences
        Tokens `(N, L)` uint8 (0-3 = A C G T, 4 = unknown), or float32 `(N, L, 4)` for sequences
        that are not one-hot; held as a read-only view, like the other arrays.
    targets
        Measured columns `(N, C)` or `(N, length, C)` float32, in the order of a `HeadLayout`; NaN
        where a value is missing.
    names
        Names of the sequences `(N,)`, or None.
    ensemble_mean, ensemble_std
        Teachers' labels `(N, T)` where a released file brought them along, or None.
    weights
        How much each row counts in the loss of training and validation, `(N,)` float32, above 0 and
        in any unit, such as numbers of barcodes; or how much each target of it does, `(N, T)`, such
        as numbers of replicates; None for equal weights. Metrics do not use them.
    missing_targets
        ``"keep"`` to hold rows of which some targets are missing (NaN); ``"refuse"`` by default.

    Examples
    --------
    >>> split = Split(np.zeros((3, 8), np.uint8), np.ones((3, 1)), np.array(["a", "b", "c"]))
    >>> len(split), split.take([2, 0]).names.tolist()
    (3, ['c', 'a'])
    """

    sequences: np.ndarray
    targets: np.ndarray
    names: np.ndarray | None = None
    ensemble_mean: np.ndarray | None = None
    ensemble_std: np.ndarray | None = None
    weights: np.ndarray | None = None
    missing_targets: MissingTargets = "refuse"

    def __post_init__(self) -> None:
        sequences = check_sequences(self.sequences)
        if sequences.ndim == 3:
            sequences = sequences.astype(np.float32, copy=False)
        self._hold("sequences", sequences)
        self._hold("targets", _numbers(self.targets))
        for name in ("targets", "names", "ensemble_mean", "ensemble_std", "weights"):
            array = getattr(self, name)
            if array is None:
                continue
            self._hold(name, np.asarray(array))
            if np.shape(array)[:1] != (len(sequences),):
                raise InputError(
                    f"expected one row of {name} for each of the {len(sequences)} sequences. "
                    f"Received: {name} of shape {np.shape(array)}"
                )
        if self.weights is not None:
            self._hold("weights", checked_weights(self.weights, self.targets, self.name_of))
        self._hold("targets", checked_targets(self.targets, self.missing_targets, self.name_of))

    def _hold(self, name: str, array: np.ndarray) -> None:
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.sequences)

    def __repr__(self) -> str:
        targets = " x ".join(map(str, self.targets.shape[1:]))
        return f"Split({len(self)} sequences, {self.sequences.shape[1]} bp; targets {targets})"

    def name_of(self, row: int) -> str:
        """The name of a row, or its number where rows have no names."""
        return f"record {row}" if self.names is None else str(self.names[row])

    def centred(self, length: int | None) -> "Split":
        """The middle `length` bases of every sequence with their part of the profile, as views.

        An odd base is left out at the right. Names of bins (`chr8:0-3072`) become those of their
        middle. Nothing changes where `length` is None, sequences are
        not longer, or targets have no value for each base: a model of another length refuses
        those.

        Examples
        --------
        >>> split = Split(np.array([[0, 1, 2, 3]], np.uint8), np.arange(4.0).reshape(1, 4, 1))
        >>> middle = split.centred(2)
        >>> middle.sequences.tolist(), middle.targets.tolist()
        ([[1, 2]], [[[1.0], [2.0]]])
        """
        bases = self.sequences.shape[1]
        by_base = self.targets.ndim == 3 and self.targets.shape[1] == bases
        if length is None or bases <= length or not by_base:
            return self
        start = (bases - length) // 2
        middle = np.s_[:, start : start + length]
        names = None if self.names is None else middle_names(self.names, bases, length)
        return replace(
            self,
            sequences=self.sequences[middle],
            targets=self.targets[middle],
            names=None if names is None else np.array(names),
            ensemble_mean=None,
            ensemble_std=None,
        )

    def take(self, rows: np.ndarray | slice) -> "Split":
        """The split restricted to some rows, in the order given."""
        arrays = (each.name for each in fields(self) if each.name != "missing_targets")
        given = {name: array for name in arrays if (array := getattr(self, name)) is not None}
        return replace(self, **{name: array[rows] for name, array in given.items()})

    @cached_property
    def value_weights(self) -> np.ndarray | None:
        """The weight of every value in the loss (`degu_tf.data.measured.value_weights`), or None.

        None stands for complete data without weights.
        """
        if self.weights is None and self.missing_targets == "refuse":
            return None
        return value_weights(self.targets, self.weights)


def _numbers(targets: object) -> np.ndarray:
    try:
        return np.asarray(targets, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"targets must be an array of numbers. Received: {error}") from None


@dataclass(frozen=True, eq=False)
class Splits:
    """Training, validation and test data, and what their target columns mean.

    Parameters
    ----------
    train, validation, test
        One `Split` each, of equal sequence length and columns.
    heads
        Layout of the target columns, the aleatoric ones (replicate std) included.
    origin
        Where targets are labels computed by models: what they were computed from. Their last bits
        depend on the processor, so `fingerprint` is then made of this in place of the targets.
    has_test
        False where there is no test set and the validation set stands in for it; what is measured
        on it is then called ``"validation"``.
    normalisation
        What was done to the measured values when they were read, such as `log2` and the centres of
        batches (`read_table`), as plain values; a record that files keep and nothing computes with.

    Raises
    ------
    InputError
        If lengths differ or the columns do not match `heads`.

    Examples
    --------
    >>> import numpy as np
    >>> part = Split(np.zeros((3, 8), np.uint8), np.zeros((3, 1)))
    >>> splits = Splits(part, part, part, HeadLayout(("activity",)))
    >>> splits.input_shape
    (8, 4)
    """

    train: Split
    validation: Split
    test: Split
    heads: HeadLayout
    origin: str | None = None
    has_test: bool = True
    normalisation: Mapping[str, Any] | None = None

    @classmethod
    def from_arrays(
        cls,
        x_train: Any,
        y_train: Any,
        x_val: Any,
        y_val: Any,
        x_test: Any = None,
        y_test: Any = None,
        *,
        targets: Sequence[str] | None = None,
        aleatoric: bool = True,
        task: Task = "regression",
        missing_targets: MissingTargets = "refuse",
        weights: Any = None,
        weights_val: Any = None,
    ) -> Self:
        """Splits from arrays, lists, or columns of a DataFrame.

        Parameters
        ----------
        x_train, x_val, x_test
            Sequences of one length: strings, tokens `(N, L)`, one-hot `(N, L, 4)` in the order
            A C G T, or numbers `(N, L, 4)` that are not one-hot and stay as they are.
        y_train, y_val, y_test
            What was measured: `(N,)`, `(N, targets)`, or with replicates as a third axis
            `(N, targets, replicates)`, NaN where one is missing. Replicates give the mean, and as
            the aleatoric column their population standard deviation.
        targets
            Names of the targets; by default those of a DataFrame's columns or a Series, else
            ``"activity"`` for one, ``"target_0"`` and so on for several.
        aleatoric
            Whether replicates give aleatoric columns.
        task
            ``"binary"`` where targets are 0 or 1, see `HeadLayout`.
        missing_targets
            ``"keep"`` rows of which some targets were not measured (NaN): the others are learnt
            from and evaluated. Of a target with one replicate the aleatoric column is missing then.
        weights, weights_val
            How much each training and validation sequence counts in the loss, `(N,)`, or each of
            its targets, `(N, targets)` (`Split.weights`).

        Returns
        -------
        Splits
            Without test data the validation set stands in for the test set (`has_test`).

        Raises
        ------
        InputError
            If sequences or values cannot be read, splits differ in length, targets or replicates,
            a row has fewer than two measured replicates, or what is missing is not to be kept.

        Examples
        --------
        >>> splits = Splits.from_arrays(["ACGT", "AAAA"], [1.0, 2.0], ["CCCC"], [1.5])
        >>> splits
        Splits(2 train, 1 validation, no test; 4 bp; columns activity)
        """
        if (x_test is None) != (y_test is None):
            raise InputError("expected x_test and y_test together. Received: one of them")
        parts = {"train": (x_train, y_train, weights), "validation": (x_val, y_val, weights_val)}
        if x_test is not None:
            parts["test"] = (x_test, y_test, None)
        made, layouts = {}, {}
        for name, (x, y, given) in parts.items():
            with blaming(name):
                columns, layout = measured_columns(y, targets, aleatoric, missing_targets)
                layouts[name] = replace(layout, task=task)
                made[name] = Split(
                    sequence_array(x), columns, weights=given, missing_targets=missing_targets
                )
            if layouts[name] != layouts["train"]:
                raise InputError(
                    f"{name}: expected the columns of train, {layouts['train'].columns}. "
                    f"Received: {layouts[name].columns}"
                )
        test = made.get("test", made["validation"])
        return cls(
            made["train"], made["validation"], test, layouts["train"], has_test=x_test is not None
        )

    @classmethod
    def from_parts(cls, parts: Mapping[str, Split], heads: HeadLayout) -> Self:
        """Splits from a mapping of `NAMES` to a `Split` each."""
        return cls(parts["train"], parts["validation"], parts["test"], heads)

    def __post_init__(self) -> None:
        length = self.train.sequences.shape[1]
        for name, split in self.items():
            if split.sequences.shape[1] != length:
                raise InputError(
                    f"expected sequences of {length} bases, as in train. Received: "
                    f"{split.sequences.shape[1]} bases in {name}"
                )
            self.heads.check(split.targets, f"targets of {name}")
            with blaming(name):
                check_weighted(split.weights, self.heads.targets)
                if split.missing_targets == "keep":
                    check_measured(self.heads.take(split.targets, "mean"), self.heads.targets)
        if self.heads.task == "binary" and self.heads.epistemic is None:
            refuse_other_than_binary(self)

    def __repr__(self) -> str:
        return f"Splits({summary(self)})"

    def n_values(self, split: str) -> dict[str, int]:
        """How many sequences of a split have a value of each target.

        Examples
        --------
        >>> y = [[1.0, 2.0], [3.0, float("nan")]]
        >>> x = ["ACGT", "AAAA"]
        >>> splits = Splits.from_arrays(x, y, x, y, missing_targets="keep")
        >>> splits.n_values("train")
        {'target_0': 2, 'target_1': 1}
        """
        part: Split = getattr(self, split)
        if part.missing_targets == "refuse":
            return dict.fromkeys(self.heads.targets, len(part))
        present = ~np.isnan(self.heads.take(part.targets, "mean"))
        if present.ndim == 3:
            return dict.fromkeys(self.heads.targets, len(part))
        return dict(zip(self.heads.targets, present.sum(axis=0).tolist(), strict=True))

    def _repr_html_(self) -> str:
        """What Jupyter shows: the size of each split, mean and deviation of each target."""
        return html_summary(self)

    @property
    def test_name(self) -> str:
        """What the test split is: ``"test"``, or ``"validation"`` where that stands in."""
        return "test" if self.has_test else "validation"

    @property
    def input_shape(self) -> tuple[int, int]:
        """`(length, 4)`, as architectures take it."""
        return (self.train.sequences.shape[1], 4)

    def items(self) -> Iterator[tuple[str, Split]]:
        """Pairs of name and split: train, validation, test."""
        return ((name, getattr(self, name)) for name in NAMES)

    def refuse_negative(self, columns: Sequence[str], expected: str) -> None:
        """Refuse negative values in columns of the targets.

        Parameters
        ----------
        columns
            Names of the columns.
        expected
            What they should be, as the message begins after "expected", and what to do.

        Raises
        ------
        InputError
            If there are any; their share and the first of them are named.
        """
        refuse_negative(self, columns, expected)

    def fraction(self, fraction: float, seed: int = FRACTION_SEED) -> "Splits":
        """A random subset of the training data; validation and test stay whole.

        With the default seed the released subsets of the paper's data sets are drawn exactly
        (Fig. 2: fractions 0.1, 0.25, 0.5, 0.75).

        Raises
        ------
        InputError
            If the fraction is not in (0, 1] or leaves no sequence.
        """
        if not 0.0 < fraction <= 1.0:
            raise InputError(f"fraction must lie in (0, 1]. Received: fraction={fraction}")
        n = len(self.train)
        size = round(n * fraction)
        if not size:
            raise InputError(f"fraction={fraction} of {n} training sequences leaves none")
        return self.subset(size, seed)

    def subset(self, n_train: int, seed: int = FRACTION_SEED) -> "Splits":
        """A random subset of `n_train` training sequences; validation and test stay whole.

        Raises
        ------
        InputError
            If there are fewer.
        """
        n = len(self.train)
        if not 0 < n_train <= n:
            raise InputError(f"expected 1 to {n} training sequences. Received: n_train={n_train}")
        if n_train == n:
            return self
        rows = np.random.default_rng(seed).choice(n, size=n_train, replace=False, shuffle=False)
        return replace(self, train=self.train.take(rows), origin=None)

    def without_uncertainty(self) -> "Splits":
        """The same data with the targets' means only, for single-task training."""
        parts: dict[str, Any] = {
            name: replace(split, targets=self.heads.take(split.targets, "mean"))
            for name, split in self.items()
        }
        return replace(self, heads=self.heads.without_uncertainty(), origin=None, **parts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of sequences, targets, weights and heads: equal data, equal fingerprint.

        Names are not part of it; they do not change what a model learns.
        """
        digest = hashlib.sha256(json.dumps(self.heads.to_dict(), sort_keys=True).encode())
        if self.origin is not None:
            digest.update(self.origin.encode())
            return digest.hexdigest()
        for name, split in self.items():
            for array in (split.sequences, split.targets, split.weights):
                if array is None:
                    continue
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                for _, block in row_blocks(array):
                    digest.update(np.ascontiguousarray(block).data)
        return digest.hexdigest()
