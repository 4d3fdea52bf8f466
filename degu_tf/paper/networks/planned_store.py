"""A store that trains nothing: it notes which networks a script asks for, for `--dry-run`."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.failures.members import Unlearned
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.store import Store, student_spec
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.objective import measured_objective
from degu_tf.training.run import member_folder
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


@dataclass(frozen=True)
class Planned:
    """Networks of one kind that differ in their seeds.

    Attributes
    ----------
    kind
        ``"teachers"``, ``"student"`` or ``"model"``, as the store names their folders.
    spec, heads, settings
        Architecture, columns and training.
    n_train, length
        Training sequences and their bases.
    seeds
        Seeds of students, or the one that an ensemble's members derive theirs from.
    there, planned, missing
        How many are in the store, were asked for before, and would be trained.
    labellers
        Teachers that label every minibatch of a dynamic student: architecture, columns, number.
    """

    kind: str
    spec: ModelSpec
    heads: HeadLayout
    settings: TrainingSettings
    n_train: int
    length: int
    seeds: tuple[int, ...]
    there: int
    planned: int
    missing: int
    labellers: tuple[ModelSpec, HeadLayout, int] | None = None

    @property
    def steps(self) -> int:
        """Steps of the optimiser in one network's training, at most."""
        stages = [self.settings, self.settings.finetune]
        return sum(
            stage.epochs * (stage.steps_per_epoch or math.ceil(self.n_train / stage.batch_size))
            for stage in stages
            if stage is not None
        )


class PlannedTeachers(Ensemble):
    """An ensemble that is not trained yet: its columns, architecture and number of members."""

    def __init__(self, heads: HeadLayout, spec: ModelSpec, n_members: int, identity: str) -> None:
        self.members = []
        self.spec = spec
        self._heads, self._n_members, self._identity = heads, n_members, identity

    @property
    def heads(self) -> HeadLayout:
        """The members' layout."""
        return self._heads

    @property
    def n_members(self) -> int:
        """How many members it will have."""
        return self._n_members

    def subset(self, n_members: int) -> "PlannedTeachers":
        """The ensemble of the first members."""
        return PlannedTeachers(self._heads, self._spec, n_members, self._identity)

    @property
    def _spec(self) -> ModelSpec:
        assert self.spec is not None
        return self.spec

    def fingerprint(self) -> str:
        """What tells it from other planned ensembles; no trained one has it."""
        return f"planned {self._identity} {self._n_members}"


class PlannedStore(Store):
    """A store in which nothing is trained.

    What it gives is as good as trained networks for asking for others: students of teachers that
    are not there.

    Parameters
    ----------
    root
        Folder of the runs, in which finished ones are looked for; it is not created.

    Attributes
    ----------
    plan
        What was asked for, in order.
    runs
        Names of the runs' folders, an ensemble's members in one.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        super().__init__(root)
        self.plan: list[Planned] = []
        self.runs: set[str] = set()
        self._seen: set[Path] = set()

    def teachers(
        self,
        splits: Splits,
        spec: ModelSpec,
        n_members: int = 10,
        settings: TrainingSettings | None = None,
        seed: int = 0,
        unlearned: Unlearned = "keep",
    ) -> Ensemble:
        """The ensemble if it is finished, else what stands for it."""
        settings = settings or TrainingSettings()
        folder = self.teachers_folder(splits, spec, settings, seed)
        heads = measured_objective(settings, splits.heads, spec.head).heads
        folders = [member_folder(folder, index) for index in range(n_members)]
        self._note("teachers", folders, splits, spec, heads, settings, (seed,))
        if RunFolder(folder).finished:
            try:
                return Ensemble.load(folder, n_members)
            except InputError:  # fewer members than are asked for now
                pass
        return PlannedTeachers(heads, spec, n_members, folder.name)

    def model(
        self,
        splits: Splits,
        spec: ModelSpec,
        settings: TrainingSettings | None = None,
        seed: int = 0,
    ) -> ModelPredictor:
        """What stands for a single model."""
        settings = settings or TrainingSettings()
        folder = self.model_folder(splits, spec, settings, seed)
        heads = measured_objective(settings, splits.heads, spec.head).heads
        self._note("model", [folder], splits, spec, heads, settings, (seed,))
        return _untrained()

    def students(
        self,
        teachers: Ensemble,
        splits: Splits,
        seeds: Sequence[int],
        spec: ModelSpec | None = None,
        settings: TrainingSettings | None = None,
        *,
        distillation: DistillationSettings | None = None,
    ) -> Iterator[ModelPredictor]:
        """What stands for students."""
        spec, settings = student_spec(teachers, spec), settings or TrainingSettings()
        distillation = distillation or DistillationSettings()
        folders = [
            self._student_folder(teachers, splits, spec, settings, seed, distillation)
            for seed in seeds
        ]
        heads = teachers.heads.student(distillation.epistemic)
        augmentation = distillation.augmentation
        labellers = None
        if augmentation is not None and augmentation.labels == "teachers":
            labellers = (teachers.spec or spec, teachers.heads, teachers.n_members)
        self._note("student", folders, splits, spec, heads, settings, tuple(seeds), labellers)
        return iter([_untrained() for _ in seeds])

    def _note(
        self,
        kind: str,
        folders: Sequence[Path],
        splits: Splits,
        spec: ModelSpec,
        heads: HeadLayout,
        settings: TrainingSettings,
        seeds: tuple[int, ...],
        labellers: tuple[ModelSpec, HeadLayout, int] | None = None,
    ) -> None:
        planned = [folder for folder in folders if folder in self._seen]
        new = [folder for folder in folders if folder not in self._seen]
        there = sum(RunFolder(folder).finished for folder in new)
        self._seen.update(new)
        self.runs |= {(each.parent if kind == "teachers" else each).name for each in folders}
        length = settings.crop or splits.input_shape[0]
        self.plan.append(
            Planned(
                kind, spec, heads, settings, len(splits.train), length, seeds,
                there, len(planned), len(new) - there, labellers,
            )
        )  # fmt: skip


def _untrained() -> Any:
    """What stands for a network: nothing can be asked of it."""
    return None
