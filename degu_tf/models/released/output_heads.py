"""The outputs of released files: how their last layers compute, and what their columns mean."""

import re
from collections.abc import Mapping
from typing import Any

import keras

from degu_tf.heads import Form, HeadLayout
from degu_tf.models.layers import last_dense, output_head
from degu_tf.models.released.keras_config import NORMAL_OFFSET
from degu_tf.models.released.output_blocks import roles_of
from degu_tf.models.released.stored_weights import OFFSET, Block
from degu_tf.utils.errors import InputError

STARRSEQ = ("Dev", "Hk")
ACTIVITY = ("activity",)
PROFILE = ("profile",)

_STARRSEQ_LENGTH = 249
_LENTIMPRA_LENGTH = 230
_BY_LENGTH: dict[int | None, tuple[str, ...]] = {
    _STARRSEQ_LENGTH: STARRSEQ,
    _LENTIMPRA_LENGTH: ACTIVITY,
}

_FORMS: dict[str, Form] = {
    "mean_std": "std",
    "dense_normal": "log_variance",
    "evidential": "evidential",
}
"""Form of the uncertainty columns of each kind of output that has them."""


def columns_layout(n_columns: int) -> HeadLayout:
    """A layout of `n_columns` unnamed columns, to build a model with."""
    return HeadLayout(tuple(f"column{i}" for i in range(1, n_columns + 1)))


def with_head(
    model: keras.Model, head: str, n_columns: int, blocks: tuple[Block, ...] = ()
) -> keras.Model:
    """The same model with the output that a released file's last layers make.

    Parameters
    ----------
    model
        A model whose last layer is one dense layer.
    head
        ``"mean_std"``: dense layers of the mean and, through softplus, of the deviation (released
        heteroscedastic models); ``"dense_normal"``: the same with 1e-6 added to the deviation
        (released evidential models); ``"evidential"``: the blocks of `output_head`;
        ``"outputs"``: the dense layers of `blocks`; any other leaves the model as it is.
    n_columns
        Columns of the output.
    blocks
        The dense layers of ``"outputs"``.
    """
    if head not in ("mean_std", "dense_normal", "evidential", "outputs"):
        return model
    x = _features(model, head)
    if head == "outputs":
        return keras.Model(model.input, _side_by_side(x, model, blocks), name=model.name)
    if head == "evidential":
        targets = columns_layout(n_columns // 4).targets
        output = output_head(x, HeadLayout(targets, "evidential", "evidential"))
        return keras.Model(model.input, output, name=model.name)
    mean = keras.layers.Dense(n_columns // 2, name="output_mean")(x)
    std = keras.layers.Dense(n_columns // 2, activation="softplus", name="output_std")(x)
    if head == "dense_normal":
        std = keras.layers.Rescaling(1.0, NORMAL_OFFSET, name=OFFSET)(std)
    output = keras.layers.Concatenate(name="output")([mean, std])
    return keras.Model(model.input, output, name=model.name)


def _features(model: keras.Model, head: str) -> Any:
    """What the last dense layer takes; of a user's network that layer may have any name."""
    output = last_dense(model)
    if output is None:
        raise InputError(
            f"expected a model that ends in a dense layer, whose place an output of the form "
            f"{head!r} takes. Received: {model.name}, which ends in {model.layers[-1].name!r}"
        )
    return output.input


def _side_by_side(x: Any, model: keras.Model, blocks: tuple[Block, ...]) -> Any:
    """Dense layers with the file's names, or numbered names where those are taken."""
    taken = {layer.name for layer in model.layers if layer.name != "output"}
    outputs = []
    for number, block in enumerate(blocks, start=1):
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", block.name)
        name = f"output_{number}" if name in taken | {"output"} else name
        taken.add(name)
        outputs.append(keras.layers.Dense(block.units, block.activation, name=name)(x))
    return keras.layers.Concatenate(name="output")(outputs)


def find_heads(
    architecture: str,
    head: str,
    n_columns: int,
    length: int | None,
    given: HeadLayout | None,
    blocks: tuple[Block, ...] = (),
) -> HeadLayout:
    """What the columns mean: what was given, if it can be, or the only thing they can be.

    Without `given`, the released files are the measure. DeepSTARR: `Dev, Hk`, then their epistemic
    (a student), aleatoric (heteroscedastic) or log-variance (evidential) columns. ResidualBind and
    MPRAnn: `activity`, or activity, aleatoric and epistemic; CNN-task-base: the same of `profile`,
    where two columns are the mean and its aleatoric deviation. DREAM-RNN: as DeepSTARR at 249
    bases and for four columns, as ResidualBind at 230 and for one or three. The evidential
    models' second column is what their loss read it as, a log-variance. Several output layers are
    targets named after them, such as `Dense_Dev, Dense_Hk` of the first DeepSTARR.

    Raises
    ------
    InputError
        If `given` has another number of columns or a form this output does not have; or, without
        it, if the columns may mean several things or nothing known. The message lists them.
    """
    if given is not None:
        check_given(head, n_columns, given)
        return given
    roles = roles_of(blocks) if head == "outputs" else None
    if head == "outputs" and roles is None:
        return HeadLayout(_names(blocks))
    layouts = _layouts(architecture, head, n_columns, length, roles)
    if len(layouts) == 1:
        return layouts[0]
    may = "may mean several things" if layouts else "are not those of a released file"
    what = f"the {n_columns} columns of this {architecture} {may}"
    listed = " or ".join(_written(layout) for layout in layouts) or "a HeadLayout"
    flags = " or ".join(_flags(layout) for layout in layouts) or (
        "--targets and, for columns of uncertainty, --aleatoric and --epistemic"
    )
    raise InputError(
        f"{what}: give heads, {listed}. Received: heads=None",
        f"{what}: give `degu convert` {flags}. Received: no --targets",
    )


def _names(blocks: tuple[Block, ...]) -> tuple[str, ...]:
    """A name for each column: its layer's, numbered where that has several."""
    return tuple(
        block.name if block.units == 1 else f"{block.name}_{unit}"
        for block in blocks
        for unit in range(1, block.units + 1)
    )


def _layouts(
    architecture: str,
    head: str,
    n_columns: int,
    length: int | None,
    roles: Mapping[str, Form] | None = None,
) -> tuple[HeadLayout, ...]:
    """All layouts that released files of this form have."""
    targets: tuple[str, ...] | None
    if architecture == "cnn_task_base":
        return _of(PROFILE, n_columns, pairs=("std",))
    if architecture == "deepstarr":
        targets = None if length == _LENTIMPRA_LENGTH else STARRSEQ
    elif architecture == "dream_rnn":
        by_columns = {1: ACTIVITY, 3: ACTIVITY, 4: STARRSEQ}
        targets = _BY_LENGTH.get(length) or by_columns.get(n_columns)
    else:
        targets = ACTIVITY
    if roles is not None:
        layout = HeadLayout(targets or ACTIVITY, roles.get("aleatoric"), roles.get("epistemic"))
        return (layout,) if layout.n_columns == n_columns else ()
    if head != "linear":
        if targets is None or n_columns % len(targets):
            return ()
        form = _FORMS[head]
        layout = HeadLayout(targets, form, "evidential" if head == "evidential" else None)
        return (layout,) if layout.n_columns == n_columns else ()
    if targets == STARRSEQ:
        layouts = (HeadLayout(STARRSEQ), HeadLayout(STARRSEQ, epistemic="std"))
        return tuple(layout for layout in layouts if layout.n_columns == n_columns)
    if targets is None:
        both = architecture == "dream_rnn" and n_columns == 2
        return (HeadLayout(STARRSEQ), *_of(ACTIVITY, 2)) if both else ()
    return _of(ACTIVITY, n_columns)


def _of(
    targets: tuple[str, ...], n_columns: int, pairs: tuple[Form, ...] = ("std", "log_variance")
) -> tuple[HeadLayout, ...]:
    """Layouts of one target: alone, with one uncertainty, with both."""
    if n_columns == 1:
        return (HeadLayout(targets),)
    if n_columns == 2:
        aleatoric = tuple(HeadLayout(targets, aleatoric=form) for form in pairs)
        student = (HeadLayout(targets, epistemic="std"),) if len(pairs) > 1 else ()
        return aleatoric + student
    return (HeadLayout(targets, "std", "std"),) if n_columns == 3 else ()


def check_given(head: str, n_columns: int, heads: HeadLayout) -> None:
    """Refuse a layout that an output cannot have.

    Raises
    ------
    InputError
        If the number of columns or a form does not fit.
    """
    if not isinstance(heads, HeadLayout):
        raise InputError(
            "heads must be a HeadLayout, such as HeadLayout(('activity',)). "
            f"Received: heads={heads!r}"
        )
    received = f"Received: the columns {', '.join(heads.columns)}"
    if heads.n_columns != n_columns:
        raise InputError(f"expected names for the model's {n_columns} columns. {received}")
    if (head == "evidential") != (heads.aleatoric == "evidential"):
        other = "the blocks of evidential regression" if head == "evidential" else "none of those"
        raise InputError(f"the file's output has {other}. {received}")
    if head in ("mean_std", "dense_normal") and len(heads.roles) != 2:
        raise InputError(f"the file's output is means and as many uncertainties. {received}")
    if head == "tasks" and "log_variance" in (heads.aleatoric, heads.epistemic):
        raise InputError(f"the file's columns are positive, so none is a log-variance. {received}")


def _flags(layout: HeadLayout) -> str:
    """The layout as the command line takes it."""
    forms = [
        f"--{name} {form}"
        for name, form in (("aleatoric", layout.aleatoric), ("epistemic", layout.epistemic))
        if form is not None
    ]
    return " ".join(["--targets", *layout.targets, *forms])


def _written(layout: HeadLayout) -> str:
    """The layout as Python makes it."""
    arguments = [repr(layout.targets)] + [
        f"{name}={form!r}"
        for name, form in (("aleatoric", layout.aleatoric), ("epistemic", layout.epistemic))
        if form is not None
    ]
    return f"HeadLayout({', '.join(arguments)})"
