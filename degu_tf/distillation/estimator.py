"""The basic story in two methods, `fit` and `predict`, as scikit-learn has them."""

import os
import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from degu_tf.data.measured import MissingTargets
from degu_tf.data.splits import Splits
from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.recipes import Recipe, default_recipe, provenance_of, recipe
from degu_tf.distillation.runs import open_run
from degu_tf.heads import Prediction
from degu_tf.models.predictor import ModelPredictor
from degu_tf.training.model_spec import Architecture, as_spec
from degu_tf.training.run import Callbacks, Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import POOLS

TEACHERS, STUDENT = "teachers", "student"
"""Run folders in the folder of a fitted estimator."""


class DEGU:
    """An ensemble distilled into one model that predicts activity and its uncertainty.

    `fit` trains the ensemble and the student as `degu train` and `degu distill` do, by
    `train_ensemble` and `distill`; these have all the options that this class leaves out.

    Parameters
    ----------
    model
        The architecture: a name of the registry, such as ``"deepstarr"``, a function that builds a
        Keras model from `(input_shape, n_columns)`, or a `ModelSpec`.
    n_members
        Models of the ensemble (paper: 10).
    recipe
        How teachers and student are trained: a name, such as ``"paper"``, or a recipe, such as
        ``degu.recipe("best").of_one_strand()`` for promoters; by default
        ``"best"``, for profiles ``"paper"``.
    epochs
        Passes over the data for each model, in place of the recipe's length.
    random_state
        Seed that decides everything drawn at random.
    folder
        Where the runs are kept, so that an interrupted `fit` resumes when it is called again; by
        default a temporary folder that goes with this object.
    progress
        True shows bars, False nothing; None bars on terminals and a line an epoch elsewhere.
    retries
        How often a teacher or student that diverges, runs out of memory or does not learn is
        trained again, from a seed derived from its own (`Run.retries`).

    Attributes
    ----------
    student_
        The student, a `ModelPredictor`; its Keras model is `student_.model`.
    ensemble_
        Its teachers, an `Ensemble`.

    Examples
    --------
    >>> import degu_tf as degu
    >>> data = degu.simulate((200, 40, 40), length=40).splits
    >>> x, y = data.train.sequences, data.train.targets[:, :2]
    >>> validation = (data.validation.sequences, data.validation.targets[:, :2])
    >>> tiny = {"conv_filters": (4,), "conv_kernels": (7,), "dense_units": (4,)}
    >>> model = degu.DEGU(degu.ModelSpec("deepstarr", tiny), n_members=2, epochs=1, progress=False)
    >>> prediction = model.fit(x, y, validation_data=validation).predict(["ACGT" * 10])
    >>> prediction
    Prediction(1 sequences; targets target_0, target_1; epistemic)
    >>> lower, upper = prediction.interval(0.95)
    """

    def __init__(
        self,
        model: Architecture = "deepstarr",
        n_members: int = 10,
        *,
        recipe: str | Recipe | None = None,
        epochs: int | None = None,
        random_state: int = 0,
        folder: str | os.PathLike | None = None,
        progress: bool | None = None,
        retries: int = 0,
    ) -> None:
        self.model = model
        self.n_members = n_members
        self.recipe = recipe
        self.epochs = epochs
        self.random_state = random_state
        self.folder = folder
        self.progress = progress
        self.retries = retries
        self._fitted: tuple[Path, Ensemble, ModelPredictor] | None = None

    def fit(
        self,
        x: Any,
        y: Any = None,
        validation_data: tuple[Any, ...] | None = None,
        callbacks: Callbacks = (),
        *,
        sample_weight: Any = None,
        missing_targets: MissingTargets = "refuse",
    ) -> "DEGU":
        """Train the ensemble, and distil it into the student.

        Parameters
        ----------
        x
            Training sequences: strings, tokens or one-hot (`Splits.from_arrays`). Or `Splits`, such
            as `read_table` and `Splits.from_arrays` give, which hold everything, missing values and
            weights too; nothing else is given then.
        y
            What was measured: `(N,)`, `(N, targets)`, or with replicates as a third axis.
        validation_data
            Sequences and measurements by which the best epoch is chosen, `(x, y)`, or with weights
            of their own `(x, y, sample_weight)`. Related sequences belong either here or there:
            `read_table` sees to it.
        callbacks
            Keras callbacks that watch every training (`Run.callbacks`).
        sample_weight
            How much each training sequence counts in the loss of the teachers, `(N,)`, or each of
            its targets, `(N, targets)`: above 0, in any unit, such as numbers of barcodes
            (`Split.weights`). A weight of 2 is the row twice.
        missing_targets
            ``"keep"`` rows of which some targets were not measured (NaN): the others are learnt
            from and evaluated. Of a target with one replicate the aleatoric column is missing then.

        Returns
        -------
        DEGU
            The fitted estimator itself.

        Raises
        ------
        InputError
            If the data cannot be used, or `folder` holds runs of other data or settings.
        """
        splits = _splits(x, y, validation_data, sample_weight, missing_targets)
        chosen = recipe(self.recipe) if isinstance(self.recipe, str) else self.recipe
        chosen = chosen or default_recipe(splits)
        spec = as_spec(self.model)
        folder = self._temporary() if self.folder is None else Path(self.folder)
        run = Run(
            seed=self.random_state,
            provenance=provenance_of(chosen),
            progress=self.progress,
            callbacks=callbacks,
            retries=self.retries,
        )
        ensemble = train_ensemble(
            splits,
            chosen.teacher_spec(spec, splits.heads),
            self.n_members,
            self._of_length(chosen.teacher_settings(splits)),
            replace(run, folder=folder / TEACHERS),
            unlearned=chosen.unlearned,
        )
        student_spec = chosen.student_spec(spec)
        settings = self._of_length(chosen.student_settings(splits, student_spec))
        student = distill(
            ensemble,
            splits,
            student_spec,
            settings,
            replace(run, folder=folder / STUDENT),
            distillation=chosen.student_labels(splits, settings),
        )
        self._fitted = folder, ensemble, student
        return self

    def predict(self, x: Any) -> Prediction:
        """What the student predicts of strings, tokens `(N, L)` or one-hot `(N, L, 4)`."""
        return self.student_.predict(x)

    @property
    def student_(self) -> ModelPredictor:
        """The student."""
        return self._parts()[2]

    @property
    def ensemble_(self) -> Ensemble:
        """The student's teachers."""
        return self._parts()[1]

    def save(self, folder: str | os.PathLike) -> None:
        """Copy both runs to a new folder; every command of `degu` takes them from there.

        Raises
        ------
        InputError
            If the folder exists and is not empty, or nothing was fitted.
        """
        source, target = self._parts()[0], Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(f"expected a new or empty folder. Received: {target}")
        for name in (TEACHERS, STUDENT):
            leave_out = shutil.ignore_patterns(POOLS)
            shutil.copytree(source / name, target / name, ignore=leave_out)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "DEGU":
        """The fitted estimator that `save` wrote, or `fit` kept in its folder.

        Raises
        ------
        InputError
            If the folder holds no such runs, or their files were changed.
        """
        path = Path(folder)
        ensemble, student = Ensemble.load(path / TEACHERS), open_run(path / STUDENT)
        if not isinstance(student, ModelPredictor):
            raise InputError(f"expected the run of a student. Received: {path / STUDENT}")
        loaded = cls(ensemble.spec or "deepstarr", ensemble.n_members, folder=path)
        loaded._fitted = path, ensemble, student
        return loaded

    def __repr__(self) -> str:
        state = "not fitted" if self._fitted is None else repr(self._fitted[1].heads.columns)
        name = as_spec(self.model).name
        return f"DEGU({name}, {self.n_members} members; {state})"

    def _parts(self) -> tuple[Path, Ensemble, ModelPredictor]:
        if self._fitted is None:
            raise InputError("expected a fitted estimator: call fit first. Received: no data yet")
        return self._fitted

    def _of_length(self, settings: TrainingSettings) -> TrainingSettings:
        if self.epochs is None:
            return settings
        return replace(settings, epochs=self.epochs, steps_per_epoch=None)

    def _temporary(self) -> Path:
        """A folder that is removed with this object."""
        path = tempfile.mkdtemp(prefix="degu-")
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return Path(path)


def _splits(
    x: Any, y: Any, validation_data: Any, sample_weight: Any, missing_targets: MissingTargets
) -> Splits:
    if isinstance(x, Splits):
        given = {"y": y, "validation_data": validation_data, "sample_weight": sample_weight}
        more = [name for name, value in given.items() if value is not None]
        more += ["missing_targets"] if missing_targets != "refuse" else []
        if more:
            raise InputError(
                "Splits hold measurements, weights and validation data: give nothing else. "
                f"Received: {' and '.join(more)}"
            )
        return x
    pair = isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3)
    if y is None or not pair:
        raise InputError(
            "expected fit(x, y, validation_data=(x, y)), or fit(splits), such as read_table draws "
            f"from one table. Received: y={'None' if y is None else '...'}, "
            f"validation_data={'None' if validation_data is None else '...'}"
        )
    x_val, y_val, weights_val = (*validation_data, None)[:3]
    return Splits.from_arrays(
        x,
        y,
        x_val,
        y_val,
        weights=sample_weight,
        weights_val=weights_val,
        missing_targets=missing_targets,
    )
