"""Networks of public genomics packages, small, as their users would bring them.

A package that is not installed is None, and its networks are skipped. CREsted's licence is for
academic use, so nothing installs it unasked; bio-gopher (MIT) and keras-bio (Apache 2) are
installed by `.ci/run`.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

import keras
from keras import layers


def _crested_zoo():
    """CREsted's architectures without the rest of it, whose imports want AnnData and W&B."""
    found = importlib.util.find_spec("crested")
    if found is None:
        return None
    (folder,) = found.submodule_search_locations
    for name, path in (("crested", folder), ("crested.tl", f"{folder}/tl")):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules.setdefault(name, package)
    return importlib.import_module("crested.tl.zoo")


def _module(name):
    package = name.partition(".")[0]
    return importlib.import_module(name) if importlib.util.find_spec(package) else None


CRESTED, GOPHER = _crested_zoo(), _module("gopher.modelzoo")
DNABERT = _module("keras_bio.dna.dnabert")

PACKAGE_OF = {
    "enformer": CRESTED,
    "legnet": CRESTED,
    "bpnet": GOPHER,
    "dnabert": DNABERT,
}
"""The package that each network is of, None where it is not installed."""

WITHOUT_RULE = {
    "enformer": "Activation",  # its own GELU
    "legnet": "Mean",
    "bpnet": "Conv2DTranspose",
    "dnabert": "DNABERTLayer",
}
"""A layer of each that DeepSHAP has no rule for."""


def enformer(input_shape, heads):
    """A transformer with relative positions and attention pooling, its bins averaged.

    It has an output for each block of columns, as Enformer has one for each species.
    """
    length = input_shape[0]
    model = CRESTED.enformer(
        length, [heads.n_targets] * len(heads.roles), num_conv_blocks=2, num_transformer_blocks=1,
        target_length=length // 8, start_filters=128, filters=384, pointwise_filters=32,
        transformer_dropout=0.1, output_activation="linear",
    )  # fmt: skip
    outputs = {
        role: layers.GlobalAveragePooling1D(name=role)(output)
        for role, output in zip(heads.roles, model.outputs, strict=True)
    }
    return keras.Model(model.input, outputs)


def legnet(input_shape, n_columns):
    """Blocks of EfficientNet with squeeze and excite, in residual concatenation."""
    return CRESTED.legnet(
        input_shape[0], n_columns, stem_filters=16, tower_filters=(16, 24), pool_sizes=(2, 2),
        output_activation="linear",
    )  # fmt: skip


def bpnet(input_shape, n_columns):
    """Dilated residual convolutions with a head of its own for each column."""
    sizes = {"filtN_1": 16, "kern_1": 7, "layer_num": 3}
    model = GOPHER.bpnet(input_shape, (1, n_columns), sizes)
    return keras.Model(model.input, layers.Flatten()(model.output))


def dnabert(input_shape, n_columns):
    """DNABERT's transformer block on 6-mers that are learnt from one-hot."""
    config = DNABERT.DNABERTConfig(
        hidden_size=16, num_attention_heads=2, intermediate_size=32, num_hidden_layers=1
    )
    sequence = keras.Input(input_shape)
    x = layers.Conv1D(16, 6, strides=2)(sequence)
    x = DNABERT.DNABERTLayer(config)(x)
    return keras.Model(sequence, layers.Dense(n_columns)(layers.GlobalAveragePooling1D()(x)))
