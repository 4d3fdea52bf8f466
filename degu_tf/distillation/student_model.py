"""The student in training: a Keras model whose labels its teachers make as it learns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from evoaug_tf.augment import AugmentBase

from degu_tf.distillation.teacher import Teacher
from degu_tf.heads import HeadLayout
from degu_tf.metrics.keras_metrics import head_metrics
from degu_tf.training.adam import build_optimizer
from degu_tf.training.augmentation.schemes import augmented, describe, from_description
from degu_tf.training.epochs.graph_gradients import released_with_their_graphs
from degu_tf.training.forward import TrainingForward
from degu_tf.training.losses import DistillationLoss
from degu_tf.training.parallel.devices import n_replicas
from degu_tf.training.parallel.steps import DeviceParallel, replica_step, synchronised
from degu_tf.utils.errors import InputError

BATCH_SIZE = 100
"""Sequences a step where arrays are fitted and no batch size is named (paper: 100)."""


@dataclass
class _Missing:
    """Records of teachers and scheme that a loaded model has not opened yet."""

    teacher: dict[str, Any] | None = None
    scheme: dict[str, Any] | None = None


@keras.saving.register_keras_serializable("degu_tf")
class DistillationModel(DeviceParallel):
    """A student with what it learns from: teachers, and how each minibatch is augmented.

    In every training step the batch is augmented (in the tf.data pipeline) and labelled by the
    teachers (inside the step); the data's own labels are not looked at (paper, Methods, "Distilling
    models with dynamic augmentations"). Without teachers the labels are the data's: static
    distillation. Validation and evaluation never augment and always use the data's labels.

    Compiled, fitted, saved and loaded as any Keras model. It predicts what the student predicts,
    and its variables are the student's: teachers are neither trained nor counted nor saved. A
    saved model records where the teachers' run lies and the hash of their weights; fitted again
    after loading, it looks for them there.

    Parameters
    ----------
    student
        A functional model whose output columns are those of `heads`.
    heads
        The student's layout.
    teacher
        The frozen ensemble; None to learn from the data's labels.
    scheme
        How batches are augmented: one of `degu_tf.training.augmentation.names.SCHEMES`, or any
        `AugmentBase`; None for not at all.
    append
        Keep the originals in the batch beside the augmented ones, which doubles it.
    seed
        Decides the augmentations.

    Raises
    ------
    InputError
        If student, layout and teachers do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("activity",), epistemic="std")
    >>> student = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> model = DistillationModel(student, heads)
    >>> model.compile()
    >>> history = model.fit(np.zeros((8, 32, 4), "f"), np.zeros((8, 2), "f"), verbose=0)
    >>> sorted(history.history)
    ['activity_epistemic_pearson', 'activity_pearson', 'loss']
    """

    def __init__(
        self,
        student: keras.Model,
        heads: HeadLayout,
        teacher: Teacher | None = None,
        scheme: AugmentBase | None = None,
        append: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if student.output_shape[-1] != heads.n_columns:
            raise InputError(
                f"the student must emit the columns {heads.columns}. "
                f"Received: {student.output_shape[-1]} columns"
            )
        if append and scheme is None:
            raise InputError("append keeps originals beside augmented sequences: name a scheme")
        self.student = student
        self._forward: Any = TrainingForward(student)
        self.heads = heads
        self.append = append
        self.seed = seed
        self.scheme = scheme
        self._missing = _Missing()
        self.teacher = teacher
        self.built = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; Keras would pass over `teacher = None` before one is looked for."""
        if name == "teacher":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def teacher(self) -> Teacher | None:
        """The teachers, None where labels are the data's."""
        return self._teacher

    @teacher.setter
    def teacher(self, teacher: Teacher | None) -> None:
        if teacher is not None and teacher.heads != self.heads:
            raise InputError(
                f"a student of these teachers predicts {teacher.heads.columns}. "
                f"Received: a student that predicts {self.heads.columns}"
            )
        self._teacher = teacher
        self._missing.teacher = None

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The student's input shape, batch axis included."""
        return self.student.input_shape

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The student's output shape, batch axis included."""
        return self.student.output_shape

    def call(self, sequences: Any, training: bool = False) -> Any:
        """The student's output `(N, n_columns)` or `(N, length, n_columns)`."""
        if training:
            return self._forward(sequences)
        return self.student(sequences, training=False)

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        *,
        loss_weights: Mapping[str, Any] | None = None,
        metrics: list[Any] | None = None,
        jit_compile: bool | str = False,
        **kwargs: Any,
    ) -> None:
        """Set how the student is trained.

        Parameters
        ----------
        optimizer
            Any Keras optimiser; Adam at 1e-3 by default, as in the paper.
        loss
            Any Keras loss; `DistillationLoss` of the student's layout by default.
        loss_weights
            For the default loss: weights ``{"epistemic": ..., "aleatoric": ...}`` of its terms
            (paper: 1), each one number or one for each target by name.
        metrics
            Keras metrics; Pearson's r of every head by default.
        jit_compile, **kwargs
            As for `keras.Model.compile`; XLA is off by default, being slower on processors.

        Raises
        ------
        InputError
            If weights are named for a loss that is not the default, or for no head.
        """
        weights = dict(loss_weights or {})
        if loss is None:
            unknown = weights.keys() - {"epistemic", "aleatoric"}
            if unknown:
                raise InputError(
                    "loss_weights weigh 'epistemic' and 'aleatoric' against the activity. "
                    f"Received: {sorted(unknown)}"
                )
            weights = {f"{head}_weight": weight for head, weight in weights.items()}
            loss = DistillationLoss(self.heads, **weights)
        elif weights:
            raise InputError(
                "loss_weights belong to the default loss; put them into the loss. "
                f"Received: loss={loss!r}, loss_weights={loss_weights}"
            )
        super().compile(
            optimizer=optimizer or keras.optimizers.Adam(1e-3),
            loss=loss,
            metrics=head_metrics(self.heads) if metrics is None else metrics,
            jit_compile=jit_compile,
            **kwargs,
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved model was; Keras calls this when it loads one."""
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{name: value for name, value in config.items() if name != "loss_weights"})
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train the student, as `keras.Model.fit` does.

        Parameters
        ----------
        x, y
            One-hot float32 sequences `(N, L, 4)` and labels, or a `tf.data.Dataset` of batches
            `(x, y)`; with teachers, of `x` alone will do.
        **kwargs
            As for `keras.Model.fit`. With a scheme, a data set of unknown size needs
            `steps_per_epoch`.

        Raises
        ------
        InputError
            If a loaded model's teachers or scheme cannot be found, a scheme is asked to augment
            what it cannot, or there are sample weights without labels.
        """
        self._find_what_is_missing()
        if y is None and kwargs.get("sample_weight") is not None:
            raise InputError(
                "sample weights come behind labels: give labels too, any will do beside teachers. "
                "Received: sample_weight without y"
            )
        if self.scheme is not None:
            x, y, kwargs = self._augment(x, y, kwargs)
        if self._teacher is not None and self.distribute_strategy.num_replicas_in_sync > 1:
            x, y = self._with_student_labels(x, y)
        build_optimizer(self)
        with (
            self.distribute_strategy.scope(),
            synchronised(self),
            released_with_their_graphs(),
        ):
            return super().fit(x, y, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step, on the teachers' labels where there are teachers."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._teacher is not None:
            y = self._teacher(x)
        if n_replicas() > 1:
            return replica_step(self, (x, y, sample_weight))
        return super().train_step((x, y, sample_weight))

    def _with_student_labels(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The data with labels of the student's columns, which the teachers' will replace.

        On several devices Keras traces loss and metrics with the data's own labels before the first
        step; measured ones have fewer columns than the student, or there are none.
        """
        shape = [size for size in self.output_shape[1:] if size is not None]

        def blank(sequences: Any, _labels: Any = None, *weights: Any) -> tuple:
            return sequences, tf.zeros((tf.shape(sequences)[0], *shape), tf.float32), *weights

        if isinstance(x, tf.data.Dataset):
            return x.map(blank), y
        return x, np.broadcast_to(np.float32(0), (len(x), *shape))

    def _augment(self, x: Any, y: Any, kwargs: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        batch_size = kwargs.pop("batch_size", None)
        shuffle = kwargs.pop("shuffle", True)
        if not isinstance(x, tf.data.Dataset):
            if kwargs.get("validation_split"):
                raise InputError(
                    "with augmentation, validation data are given by validation_data. "
                    f"Received: validation_split={kwargs['validation_split']}"
                )
            if not isinstance(x, np.ndarray | tf.Tensor | list):
                raise InputError(
                    "with augmentation, data are arrays or a tf.data.Dataset. "
                    f"Received: {type(x).__name__}"
                )
            parts = tuple(
                each for each in (x, y, kwargs.pop("sample_weight", None)) if each is not None
            )
            y = None
            x = tf.data.Dataset.from_tensor_slices(parts)
            if shuffle:
                x = x.shuffle(len(parts[0]), seed=self.seed)
            x = x.batch(batch_size or BATCH_SIZE)
        steps = kwargs.get("steps_per_epoch") or int(x.cardinality())
        if steps < 1:
            raise InputError(
                "the data set does not know how many batches it has: name steps_per_epoch. "
                f"Received: steps_per_epoch={kwargs.get('steps_per_epoch')}"
            )
        first = kwargs.get("initial_epoch") or 0
        batches = augmented(
            x.repeat(), self.scheme, self.seed, steps, append=self.append, first_epoch=first
        )
        return batches, y, {**kwargs, "steps_per_epoch": steps, "shuffle": False}

    def _find_what_is_missing(self) -> None:
        if self._missing.teacher is not None:
            self.teacher = Teacher.from_record(self._missing.teacher)
        if self.scheme is None and self._missing.scheme is not None:
            self.scheme = from_description(self._missing.scheme)

    def get_config(self) -> dict[str, Any]:
        """Student, layout, scheme, and where the teachers are: not the teachers themselves."""
        return {
            "name": self.name,
            "student": keras.saving.serialize_keras_object(self.student),
            "heads": self.heads.to_dict(),
            "teacher": self.teacher.record() if self.teacher else self._missing.teacher,
            "scheme": describe(self.scheme) if self.scheme else self._missing.scheme,
            "append": self.append,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DistillationModel":
        """The model of a configuration; its teachers are opened when it is fitted."""
        student = keras.saving.deserialize_keras_object(config["student"], custom_objects)
        model = cls(
            student,
            HeadLayout.from_dict(config["heads"]),
            seed=config["seed"],
            name=config["name"],
        )
        model.append = config["append"]
        model._missing = _Missing(config["teacher"], config["scheme"])
        return model
