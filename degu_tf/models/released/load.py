"""Models from files that others trained: built here, with arrays read from the file.

The file's own shapes and names say what it is: architecture, sizes, input length, output. Nothing
in it is executed and nothing is unpacked to disk.
"""

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.dream_rnn import TORCH_EPSILON, VARIANTS
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.keras_files import read_keras_hdf5, read_keras_zip
from degu_tf.models.released.matching import assign, fill
from degu_tf.models.released.output_blocks import resolved
from degu_tf.models.released.output_heads import (
    check_given,
    columns_layout,
    find_heads,
    with_head,
)
from degu_tf.models.released.recognise import Plan, recognise
from degu_tf.models.released.safe_files import DAMAGED
from degu_tf.models.released.signatures import Output
from degu_tf.models.released.stored_weights import (
    CONV,
    KINDS,
    NORMALISATION,
    Stored,
    StoredLayer,
    of_kind,
)
from degu_tf.models.released.torch_files import read_torch
from degu_tf.utils.errors import InputError, blaming
from degu_tf.utils.file_types import file_type
from degu_tf.utils.whole_numbers import is_whole

KERAS_MOMENTUM = 0.99

_PICKLE = b"\x80"

_DROPOUTS = {
    "cnn_task_base": {
        "conv_dropout": r"conv[12]_dropout",
        "last_conv_dropout": r"conv3_dropout",
        "dense_dropout": r"dense1_dropout",
        "bottleneck_dropout": r"bottleneck_dropout",
        "profile_dropout": r"profile_dropout",
        "task_dropout": r"task\d+_dropout",
    },
    "deepstarr": {"dropout": r"dense\d+_dropout"},
    "dream_rnn": {
        "conv_dropout": r"(first|second)_conv\d_dropout|lstm_dropout",
        "final_dropout": r"final_dropout",
    },
    "mprann": {"conv_dropout": r"conv\d_dropout", "dense_dropout": r"dense1_dropout"},
    "residualbind": {
        "conv_dropout": r"(conv\d|residual)_dropout",
        "residual_dropout": r"residual\d+_dropout",
        "dense_dropout": r"dense\d_dropout",
    },
}
"""The dropout layers that each option of an architecture sets."""


@dataclass(frozen=True, eq=False)
class Released:
    """A model read from a file, with what was found out about it.

    Attributes
    ----------
    model
        The model, built here and filled with the file's arrays.
    architecture, options
        Arguments that `registry.build` makes its layers with, up to the output.
    output
        How the output is made.
    format
        What kind of file it was.
    source
        The file.
    given
        What its user says that the columns mean, or None.
    """

    model: keras.Model
    architecture: str
    options: Mapping[str, Any]
    output: Output
    format: str
    source: Path
    given: HeadLayout | None = None

    @property
    def input_length(self) -> int | None:
        """Bases the model takes, None for any number."""
        return self.model.input_shape[1]

    @property
    def heads(self) -> HeadLayout:
        """What its columns mean.

        Raises
        ------
        InputError
            If that is open (`degu_tf.models.released.output_heads.find_heads`).
        """
        output = self.output
        with blaming(self.source):
            return find_heads(
                self.architecture,
                output.head,
                output.n_columns,
                self.input_length,
                self.given,
                output.blocks,
            )

    @property
    def head(self) -> str:
        """The kind of output, as in `degu_tf.models.released.signatures.Output`."""
        return self.output.head

    def predictor(self) -> ModelPredictor:
        """The model as a predictor.

        Raises
        ------
        InputError
            If the meaning of its columns is open.
        """
        return ModelPredictor(self.model, self.heads)


def load_released(
    path: str | os.PathLike,
    *,
    architecture: str | None = None,
    input_length: int | None = None,
    heads: HeadLayout | None = None,
    **options: Any,
) -> keras.Model:
    """A Keras model from a released file, in any of the formats below.

    Reads full models and weights of Keras 2 and 3 (`.h5`, `.weights.h5`, `.keras`) and the
    released PyTorch DREAM-RNN (`.pth`, with the extra `torch`). The content decides, not the
    name. Arguments take precedence over the file, or supply what it leaves open.

    Parameters
    ----------
    path
        The file.
    architecture
        A name of `registry.names()`.
    input_length
        Bases the model takes. By default the file's; weights alone fit several lengths, of which
        the paper's is taken; architectures that fit any length take any, unless the file says.
    heads
        What the output columns mean, for outputs of several layers of which weights alone do not
        say what they are. The model is the same whatever single columns mean.
    **options
        Options of the architecture's builder, such as a dropout rate, or `epsilon` of a DREAM-RNN
        of which only Keras weights are there (by default Keras' 1e-3; 1e-5 in PyTorch's files).

    Returns
    -------
    keras.Model
        One-hot float32 `(N, L, 4)` to `(N, n_columns)`, or `(N, L, n_columns)` for profiles.
        Several outputs of a file are columns side by side.

    Raises
    ------
    InputError
        If the file is damaged, holds code, points to other files or unpacks to too much; if its
        layers are of no architecture known here, or compute something else; if the input length
        stays open. The message says what was found and what to give.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from degu_tf.models import build
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "1_DeepSTARR.weights.h5"
    >>> build("deepstarr", (249, 4), HeadLayout(("Dev", "Hk")), width=0.05).save_weights(file)
    >>> load_released(file).input_shape
    (None, 249, 4)
    """
    return read_released(
        path, architecture=architecture, input_length=input_length, heads=heads, **options
    ).model


def load_released_predictor(path: str | os.PathLike, **arguments: Any) -> ModelPredictor:
    """A predictor from a released file; arguments as for `load_released`.

    By default columns mean what they mean in the released files
    (`degu_tf.models.released.output_heads.find_heads`).

    Raises
    ------
    InputError
        As `load_released`, and if the meaning of the columns is open: give `heads`.
    """
    return read_released(path, **arguments).predictor()


def read_released(
    path: str | os.PathLike,
    *,
    architecture: str | None = None,
    input_length: int | None = None,
    heads: HeadLayout | None = None,
    **options: Any,
) -> Released:
    """A model from a released file, and what it was found to be.

    Arguments and errors as for `load_released`.
    """
    if input_length is not None and not is_whole(input_length, 1):
        raise InputError(
            f"input_length must be a number of bases. Received: input_length={input_length!r}"
        )
    path = Path(path)
    with blaming(path):
        stored = read_stored(path)
        plan = resolved(_only(recognise(stored.orders(), architecture), stored), stored, heads)
        length = plan.input_length(input_length, stored.graph.length if stored.graph else None)
        if heads is not None:
            check_given(plan.output.head, plan.output.n_columns, heads)
        chosen = {**plan.options, **_options_of_file(plan, stored), **options}
        model, rates = _build(plan, length, chosen, stored)
    chosen = {**chosen, **_rates(plan, rates), **options}
    return Released(model, plan.architecture, chosen, plan.output, stored.format, path, heads)


def load_released_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Set a model's weights from a file of the same architecture and sizes.

    For training that starts from existing weights; the model keeps its input length and dropout.

    Parameters
    ----------
    model
        A model of this package. It is left as it was where the file does not fit.
    path
        A file that `load_released` reads.

    Raises
    ------
    InputError
        As `load_released`, and if the file does not fit the model; the first layer that does not
        is named.
    """
    path = Path(path)
    with blaming(path):
        stored = read_stored(path)
        layers = _fitting(model, stored)
        _check_epsilon(model, stored)
        fill(model, stored, layers)


def _fitting(model: keras.Model, stored: Stored) -> list[StoredLayer]:
    """The file's layers in the one order that fits a model."""
    fitting, misfits = [], []
    for layers in stored.orders():
        try:
            assign(model, stored, layers)
            fitting.append(layers)
        except InputError as misfit:
            misfits.append(misfit)
    if not fitting:
        raise misfits[0]
    _check_order(fitting, stored)
    return fitting[0]


def read_stored(path: Path) -> Stored:
    """The layers of a file of weights, whose format is detected from file content.

    Raises
    ------
    InputError
        If it is none, or cannot be read.
    """
    if path.is_dir():
        raise InputError("expected a file; members of an ensemble are read by released_ensemble")
    if not path.is_file():
        raise InputError("there is no such file")
    with open(path, "rb") as handle:
        start = handle.read(8)
    kind = file_type(path)
    try:
        if kind == "HDF5":
            return read_keras_hdf5(path)
        if kind == "zip":
            return read_torch(path) if _is_torch(path) else read_keras_zip(path)
        if start[:1] == _PICKLE:
            return read_torch(path)
    except InputError:
        raise
    except DAMAGED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"the file is damaged, or its content is not of its format ({reason})"
        ) from None
    raise InputError(
        "expected a model or weights of Keras (HDF5, .keras) or of PyTorch (.pth). "
        f"Received: a file that begins with {start!r}"
    )


def _is_torch(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist())


def _only(plans: Sequence[Plan], stored: Stored) -> Plan:
    """The one thing that the file can be."""
    names = sorted({plan.architecture for plan in plans})
    if len(names) > 1:
        what = f"the file's layers are those of {' and of '.join(names)}"
        raise InputError(
            f"{what}: give architecture. Received: architecture=None",
            f"{what}: give `degu convert` --model. Received: no --model",
        )
    _check_order([plan.layers for plan in plans], stored)
    return plans[0]


def _check_order(orders: Sequence[Sequence[StoredLayer]], stored: Stored) -> None:
    """Refuse a file of which several orders fit, because weights would only be guessed."""
    first, *others = orders
    for other in others:
        for kind in KINDS:
            one, two = ([each.name for each in of_kind(order, kind)] for order in (first, other))
            if one != two:
                raise InputError(
                    f"the order of the file's {kind} layers differs from the numbers in their "
                    f"names, and both fit. Received: {one} and {two} in {stored.format}"
                )


def _options_of_file(plan: Plan, stored: Stored) -> dict[str, Any]:
    """Options that no shape shows: from the file's graph, else from who wrote the file."""
    graph = stored.graph
    if plan.architecture == "residualbind" and graph is not None:
        block = of_kind(plan.layers, CONV)[2:-1]
        dilations = tuple(graph.nodes[layer.name].params.get("dilation_rate") for layer in block)
        default = plan.options.get("dilations", registry.options("residualbind")["dilations"])
        told = dilations != default and None not in dilations
        return {"dilations": dilations} if told else {}
    if plan.options.get("variant") == "released":
        epsilon = _epsilon(plan.layers, stored)
        if epsilon != TORCH_EPSILON:
            return {"epsilon": epsilon, "momentum": KERAS_MOMENTUM}
    return {}


def _epsilon(layers: Sequence[StoredLayer], stored: Stored) -> float | None:
    if stored.graph is None:
        return stored.epsilon
    normal = of_kind(layers, NORMALISATION)
    return stored.graph.nodes[normal[0].name].params.get("epsilon")


def _build(
    plan: Plan, length: int | None, options: Mapping[str, Any], stored: Stored
) -> tuple[keras.Model, dict[str, float]]:
    """The model with the file's weights, and the rates of its dropout layers in the file."""
    output = plan.output
    model = registry.build(
        plan.architecture, (length, 4), columns_layout(output.n_columns), **options
    )
    model = with_head(model, output.head, output.n_columns, output.blocks)
    rates = fill(model, stored, plan.layers)
    for name, rate in rates.items():
        option = _option(plan.architecture, name)
        if option not in options:
            model.get_layer(name).rate = rate
    return model, rates


def _option(architecture: str, layer: str) -> str | None:
    """The option that sets a dropout layer's rate."""
    for option, pattern in _DROPOUTS[architecture].items():
        if re.fullmatch(pattern, layer):
            return option
    return None


def _rates(plan: Plan, rates: Mapping[str, float]) -> dict[str, float]:
    """Options for dropout rates that are not the default and the same in all layers they set."""
    by_option: dict[str, set[float]] = {}
    for name, rate in rates.items():
        by_option.setdefault(_option(plan.architecture, name) or "", set()).add(rate)
    defaults = registry.options(plan.architecture)
    if "variant" in plan.options:
        defaults["final_dropout"] = VARIANTS[plan.options["variant"]].final_dropout
    return {
        option: next(iter(found))
        for option, found in by_option.items()
        if option in defaults and len(found) == 1 and found != {defaults[option]}
    }


def _check_epsilon(model: keras.Model, stored: Stored) -> None:
    """Refuse weights of another batch normalisation where no graph would show the difference."""
    if stored.graph is not None:
        return
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.epsilon != stored.epsilon:
            raise InputError(
                f"the file's batch normalisation has an epsilon of {stored.epsilon:g}. "
                f"Received: {layer.name} with {layer.epsilon:g}"
            )
