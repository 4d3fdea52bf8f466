"""The frozen ensemble as one callable that turns a batch into a student's labels."""

import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import Form, HeadLayout
from degu_tf.heads.pooling import pool
from degu_tf.models.inference.fast_forward import FastForward
from degu_tf.utils.errors import InputError

DTYPES = ("auto", "float32", "bfloat16")
"""What teachers can compute in; ``"auto"`` is bfloat16 on GPUs that have it, else float32."""

MAX_CONSTANTS = 2**29
"""Bytes of weights up to which they are constants of the graph, which TensorFlow limits to 2 GB."""

_AT_ONCE = 2
"""Forward passes under way at the same time: enough to keep both the cores and the cache busy."""

_PIECES = {"float32": 2, "bfloat16": 1}
"""Parts a batch is taken in: half a minibatch's activations stay in the processor's cache."""


class Bfloat16Warning(UserWarning):
    """Bfloat16 teachers were requested on a machine without bfloat16 arithmetic."""


class Teacher:
    """An ensemble that labels batches: mean, aleatoric mean, standard deviation of the activity.

    The same labels as `Ensemble.columns`, made inside a TensorFlow graph. It is a plain object: a
    Keras model that holds one does not train, count or save the members' weights.

    Parameters
    ----------
    ensemble
        Trained members of any functional Keras architecture.
    epistemic
        Form of the epistemic labels: ``"std"`` or ``"log_variance"``.
    dtype
        ``"float32"``, in which labels agree with `Ensemble.columns` to 1e-5, or ``"bfloat16"``,
        about twice as fast on processors with arithmetic for it; elsewhere a warning is given and
        float32 is used.

    Raises
    ------
    InputError
        If the type is another, or a member is not a Keras model.

    Examples
    --------
    >>> from degu_tf.models import registry
    >>> from degu_tf.models.predictor import ModelPredictor
    >>> heads = HeadLayout(("Dev", "Hk"))
    >>> members = [ModelPredictor(registry.build("deepstarr", (32, 4), heads, width=0.05), heads)
    ...            for _ in range(3)]
    >>> teacher = Teacher(Ensemble(members))
    >>> teacher.heads.columns
    ('Dev', 'Hk', 'Dev_epistemic', 'Hk_epistemic')
    >>> teacher(tf.zeros((5, 32, 4))).shape
    TensorShape([5, 4])
    """

    def __init__(self, ensemble: Ensemble, epistemic: Form = "std", dtype: str = "float32") -> None:
        dtype = usable_dtype(dtype)
        models = [_keras_model(member) for member in ensemble.members]
        self.ensemble = ensemble
        self.epistemic = epistemic
        self.dtype = dtype
        size = sum(model.count_params() for model in models) * tf.as_dtype(dtype).size
        self._members = [
            FastForward(model, dtype, constants=size <= MAX_CONSTANTS) for model in models
        ]
        spec = tf.TensorSpec((None, *models[0].input_shape[1:]), tf.float32)
        self._labels = tf.function(self._label, input_signature=[spec], autograph=False)

    @property
    def heads(self) -> HeadLayout:
        """The student's layout."""
        return self.ensemble.heads.student(self.epistemic)

    def __call__(self, batch: tf.Tensor) -> tf.Tensor:
        """Labels `(B, n_columns)` or `(B, length, n_columns)` float32 of sequences `(B, L, 4)`."""
        return tf.stop_gradient(self._labels(tf.cast(batch, tf.float32)))

    def record(self) -> dict[str, Any]:
        """What finds this teacher again: its folder, how many members, and the weights' hash."""
        folder = self.ensemble.folder
        return {
            "folder": None if folder is None else str(Path(folder).absolute()),
            **self.ensemble.record(),
            "epistemic": self.epistemic,
            "dtype": self.dtype,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Teacher":
        """The teacher a `record` was made of.

        Raises
        ------
        InputError
            If its folder is gone, was never known, or holds another ensemble.
        """
        folder = record["folder"]
        if folder is None:
            raise InputError(
                "the teachers were not in a folder when this student was saved, so they cannot be "
                "found: give them again (DistillationModel.teacher = Teacher(ensemble))"
            )
        if not Path(folder).is_dir():
            raise InputError(
                "the teachers this student learns from are gone: put their run back, or give them "
                f"again (DistillationModel.teacher = Teacher(ensemble)). Received: {folder}"
            )
        numbers = record.get("numbers")
        ensemble = Ensemble.load(folder, None if numbers else record["n_members"], numbers)
        if ensemble.fingerprint() != record["fingerprint"]:
            raise InputError(
                f"expected the teachers this student was saved with. Received: {folder}, which "
                "holds another ensemble"
            )
        return cls(ensemble, record["epistemic"], record["dtype"])

    def _label(self, batch: tf.Tensor) -> tf.Tensor:
        return pool(self._columns(batch), self.ensemble.heads, self.epistemic)

    def _columns(self, batch: tf.Tensor) -> tf.Tensor:
        """Every member's output `(M, B, n_columns)`, at most `_AT_ONCE` of them at a time."""
        pieces = _pieces(batch, _PIECES[self.dtype])
        outputs: list[tf.Tensor] = []
        for piece in pieces:
            for member in self._members:
                before = outputs[-_AT_ONCE:][:1] if len(outputs) >= _AT_ONCE else []
                with tf.control_dependencies(before):
                    outputs.append(member(tf.identity(piece)))
        n_members = len(self._members)
        stacks = [
            tf.stack(outputs[start : start + n_members])
            for start in range(0, len(outputs), n_members)
        ]
        if len(stacks) == 1:
            return stacks[0]
        overlap = 2 * tf.shape(pieces[0])[0] - tf.shape(batch)[0]
        return tf.concat([stacks[0], stacks[1][:, overlap:]], 1)


def usable_dtype(dtype: str) -> str:
    """The type teachers compute in on this machine: the requested one, or float32 and a warning.

    Raises
    ------
    InputError
        If it is none of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise InputError(f"teachers compute in one of {DTYPES}. Received: dtype={dtype!r}")
    if dtype == "auto":
        return "bfloat16" if gpu_has_bfloat16() else "float32"
    if dtype == "bfloat16" and not has_bfloat16():
        warnings.warn(
            "this machine has no arithmetic for bfloat16; the teachers compute in float32",
            Bfloat16Warning,
            stacklevel=3,
        )
        return "float32"
    return dtype


def has_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 matrices in hardware."""
    if tf.config.list_physical_devices("GPU"):
        return gpu_has_bfloat16()
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(name in flags for name in ("avx512_bf16", "amx_bf16", "bf16"))


def gpu_has_bfloat16() -> bool:
    """Whether there are GPUs, and all multiply bfloat16 matrices in hardware.

    Those of NVIDIA do from compute capability 8.0 (A100); of others nothing is known.
    """
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    capabilities = [each.get("compute_capability") for each in details]
    return bool(capabilities) and all(each and each >= (8, 0) for each in capabilities)


def _pieces(batch: tf.Tensor, n_pieces: int) -> list[tf.Tensor]:
    """The batch, or its first and its last half; these share a row where their sum is odd."""
    if n_pieces == 1:
        return [batch]
    n = tf.shape(batch)[0]
    half = (n + 1) // 2
    return [batch[:half], batch[n - half :]]


def _keras_model(member: Any) -> Any:
    model = getattr(member, "model", None)
    if model is None:
        raise InputError(
            "a teacher's members are Keras models (ModelPredictor). "
            f"Received: {type(member).__name__}"
        )
    return model
