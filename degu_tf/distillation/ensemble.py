"""Deep ensembles: models of one layout, predicted together."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from degu_tf.distillation.failures.members import (
    FailedMember,
    chosen_members,
    missing_text,
)
from degu_tf.distillation.members import Columns, Source, check_probabilities, member_of
from degu_tf.heads import Form, HeadLayout, Prediction, Task
from degu_tf.heads.pooling import pool_members
from degu_tf.models.predictor import ModelPredictor, as_array
from degu_tf.training.model_spec import Architecture, ModelSpec, as_spec
from degu_tf.training.run import member_folder
from degu_tf.training.train import (
    load_model,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash
from degu_tf.utils.progress import bar
from degu_tf.utils.run_folder import MODEL, SETTINGS, RunFolder

CHUNK = 4096
"""Sequences whose member outputs are held at once."""

_PROBES, _PROBE_LENGTH = 64, 512
"""Random sequences on which models are asked for probabilities, and their length if any will do."""

CHUNK_BASES = 2**20
"""Their bases, so that of long sequences there are fewer."""


class Ensemble:
    """Models of one layout whose mean predicts and whose spread is the epistemic uncertainty.

    Parameters
    ----------
    members
        Two or more predictors of the same heads.
    spec
        The members' architecture, where it is known; students take it by default.
    folder
        The run the members were read from or written to, if any.
    sources
        Files or folders of the members where they do not lie in a run of their ensemble.
    numbers
        The members' numbers in their run; by default from 0.
    failed
        Members that the run lacks, by number.

    Raises
    ------
    InputError
        If there are fewer than two members or their heads differ.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",))
    >>> members = [ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    ...            for _ in range(2)]
    >>> Ensemble(members).predict(["ACGT" * 8]).epistemic.shape
    (1, 1)
    """

    def __init__(
        self,
        members: Sequence[ModelPredictor],
        spec: ModelSpec | None = None,
        folder: Path | None = None,
        sources: Sequence[Path] = (),
        numbers: Sequence[int] | None = None,
        failed: Mapping[int, FailedMember] | None = None,
    ) -> None:
        if len(members) < 2:
            raise InputError(f"an ensemble has two or more members. Received: {len(members)}")
        if len({member.heads for member in members}) > 1:
            layouts = sorted({member.heads.columns for member in members})
            raise InputError(f"members must have the same heads. Received: {layouts}")
        self.members = list(members)
        self.spec = spec
        self.folder = folder
        self.sources = tuple(sources)
        self.numbers = tuple(range(len(members)) if numbers is None else numbers)
        self.failed = dict(failed or {})

    def __repr__(self) -> str:
        name = "" if self.spec is None else f" of {self.spec.name}"
        length = "any length" if self.input_length is None else f"{self.input_length} bp"
        where = "" if self.folder is None else f"; in {self.folder}"
        columns = ", ".join(self.heads.columns)
        lacks = f"; lacks {missing_text(self.failed)}" if self.failed else ""
        described = f"{self.n_members} members{name}; {length}; columns {columns}"
        return f"Ensemble({described}{lacks}{where})"

    @property
    def heads(self) -> HeadLayout:
        """The members' layout."""
        return self.members[0].heads

    @property
    def n_members(self) -> int:
        """How many models there are."""
        return len(self.members)

    @property
    def input_length(self) -> int | None:
        """Bases the members take, or None if they take any length."""
        return self.members[0].input_length

    def subset(self, n_members: int) -> "Ensemble":
        """The ensemble of the first members.

        Raises
        ------
        InputError
            If fewer than two, or more than there are, are requested.
        """
        if not 2 <= n_members <= self.n_members:
            raise InputError(
                f"expected 2 to {self.n_members} members. Received: n_members={n_members}"
            )
        members, sources = self.members[:n_members], self.sources[:n_members]
        return Ensemble(members, self.spec, self.folder, sources, self.numbers[:n_members])

    def member_columns(self, sequences: Any) -> np.ndarray:
        """Raw output of every member, `(M, N, n_columns)` or `(M, N, length, n_columns)`.

        Raises
        ------
        InputError
            If means of binary targets are no probabilities.
        """
        outputs = np.stack([member.columns(sequences) for member in self.members])
        check_probabilities(outputs, self.heads)
        return outputs

    def columns(
        self,
        sequences: Any,
        epistemic: Form = "std",
        progress: bool | None = False,
        *,
        executor: Executor | None = None,
    ) -> np.ndarray:
        """What a student of this ensemble is to predict, in the order of `heads.student()`.

        Means over members and, for the activity, the population standard deviation (paper,
        Methods, "Ensemble Training"); sequences are taken in chunks, so memory is bounded.

        Parameters
        ----------
        sequences
            Strings, tokens `(N, L)`, or float `(N, L, 4)`.
        epistemic
            Form of the epistemic columns: ``"std"`` or ``"log_variance"``.
        progress
            Show a bar.
        executor
            Any `concurrent.futures` executor, whose workers take a chunk each; the numbers are the
            same.
        """
        sequences = as_array(sequences)
        size = chunk_rows(sequences.shape[1])
        starts = range(0, len(sequences), size)
        if executor is not None:
            from degu_tf.distillation.distributed.portable import columns_elsewhere

            parts = [sequences[start : start + size] for start in starts]
            return np.concatenate(columns_elsewhere(self, parts, epistemic, executor, progress))
        chunks = [
            pool_members(
                self.member_columns(sequences[start : start + size]), self.heads, epistemic
            )
            for start in bar(starts, "ensemble", progress)
        ]
        return np.concatenate(chunks)

    def predict(
        self, sequences: Any, progress: bool | None = False, *, executor: Executor | None = None
    ) -> Prediction:
        """Mean over members, their spread as epistemic, and the mean aleatoric uncertainty.

        With an executor, its workers take a chunk of the sequences each.
        """
        columns = self.columns(sequences, progress=progress, executor=executor)
        return self.heads.student().prediction(columns)

    def record(self) -> dict[str, Any]:
        """What says which ensemble this is: fingerprint, number of members, and gaps in theirs."""
        gaps = self.numbers != tuple(range(self.n_members))
        numbers = {"numbers": list(self.numbers)} if gaps else {}
        return {"fingerprint": self.fingerprint(), "n_members": self.n_members, **numbers}

    def fingerprint(self) -> str:
        """SHA-256 of the members' weights, in order."""
        return content_hash([member.fingerprint() for member in self.members])

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike,
        n_members: int | None = None,
        numbers: Sequence[int] | None = None,
    ) -> "Ensemble":
        """Load the ensemble of a finished run, its first members, or those of these numbers.

        Raises
        ------
        InputError
            If the folder holds no finished ensemble or fewer members than requested, or a member
            is not the one that the ensemble was finished with.
        """
        run = RunFolder(folder)
        settings = run.settings()
        if run.kind != "ensemble":
            raise InputError(f"expected an ensemble's run. Received: {folder}")
        wanted, failed = chosen_members(run.manifest(), n_members, numbers)
        for i in wanted:
            for name in (MODEL, SETTINGS):
                run.check_file((member_folder("", i) / name).as_posix())
        members = [load_model(member_folder(folder, i)) for i in wanted]
        spec = ModelSpec(**settings["model"])
        return cls(members, spec, Path(folder), numbers=wanted, failed=failed)

    @classmethod
    def from_models(
        cls,
        models: Sequence[Source],
        targets: Sequence[str] | None = None,
        *,
        aleatoric: Form | None = None,
        task: Task | None = None,
        spec: Architecture | None = None,
    ) -> "Ensemble":
        """The ensemble of models that were trained elsewhere, whatever their architecture.

        Parameters
        ----------
        models
            Two or more Keras models `(N, L, 4)` to one output or several, whose columns are the
            targets', or predictors; `.keras` or `.h5` files of such models, of `degu convert`, or
            of released weights; folders of runs of one model.
        targets
            Names of the targets, in the order of the models' first columns. None where every
            model says what its columns mean.
        aleatoric
            Form of the columns of aleatoric uncertainty, if they follow those of the targets:
            ``"std"`` or ``"log_variance"``.
        task
            ``"binary"`` where models give the probabilities of targets that are 0 or 1. None for
            what files say; of models that say nothing, numbers.
        spec
            The architecture of students; by default the members', where it is one of this package
            and all have it.

        Raises
        ------
        InputError
            If a model cannot be read, the meaning of its columns is open, members differ in
            their columns or input length, or what should be probabilities lies outside 0 to 1.

        Examples
        --------
        >>> import keras
        >>> def network():
        ...     sequence = keras.Input((32, 4))
        ...     x = keras.layers.GlobalMaxPooling1D()(keras.layers.Conv1D(4, 7)(sequence))
        ...     return keras.Model(sequence, keras.layers.Dense(2)(x))
        >>> ensemble = Ensemble.from_models([network(), network()], targets=["Dev", "Hk"])
        >>> ensemble.predict(["ACGT" * 8]).epistemic.shape
        (1, 2)
        """
        chosen = None if spec is None else as_spec(spec)
        return ensemble_of(models, Columns(targets, aleatoric=aleatoric, task=task), chosen)


def chunk_rows(length: int) -> int:
    """Sequences of so many bases whose member outputs are held at once.

    Examples
    --------
    >>> chunk_rows(249), chunk_rows(2048)
    (4096, 512)
    """
    return max(1, min(CHUNK, CHUNK_BASES // length))


def ensemble_of(
    sources: Sequence[Source], columns: Columns, spec: ModelSpec | None = None
) -> Ensemble:
    """The ensemble of models that were trained elsewhere, as `Ensemble.from_models` makes it.

    Raises
    ------
    InputError
        As `Ensemble.from_models` does.
    """
    if isinstance(sources, str | os.PathLike):
        raise InputError(
            "expected a sequence of two or more models; a folder of them is opened by "
            f"open_teachers. Received: {os.fspath(sources)}"
        )
    found = [member_of(source, columns) for source in sources]
    specs = [own for _, own in found]
    if spec is None and specs and all(own == specs[0] for own in specs):
        spec = specs[0]
    lengths = sorted({member.input_length for member, _ in found}, key=str)
    if len(lengths) > 1:
        raise InputError(
            "members must take sequences of the same length. "
            f"Received: {' and '.join(map(str, lengths))} bases"
        )
    paths = [Path(source) for source in sources if isinstance(source, str | os.PathLike)]
    in_files = len(paths) == len(found)
    ensemble = Ensemble([member for member, _ in found], spec, sources=paths if in_files else ())
    if ensemble.heads.task == "binary":  # said now, not after the data were read
        length = ensemble.input_length or _PROBE_LENGTH
        tokens = np.random.default_rng(0).integers(0, 4, (_PROBES, length), np.uint8)
        ensemble.member_columns(tokens)
    return ensemble
