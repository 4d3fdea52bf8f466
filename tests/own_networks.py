"""Small networks in the style of public genomics code, as their authors would bring them.

Nothing of `degu_tf` is in them: layers unnamed, outputs as their papers have them.
"""

import keras
from keras import layers

WITHOUT_RULE = {"transformer": "(MultiHeadAttention|LayerNormalization|Conv1D)"}
"""A layer that DeepSHAP has no rule for, by network."""


def transformer(input_shape, n_columns, width=16, heads=2, dropout=0.1):
    """A stem of convolutions, a transformer block before its norm, attention over positions."""
    sequence = keras.Input(input_shape)
    x = layers.Conv1D(width, 7, padding="same", activation="gelu")(sequence)
    x = layers.MaxPooling1D(4)(x)
    normed = layers.LayerNormalization()(x)
    attended = layers.MultiHeadAttention(heads, width // heads, dropout=dropout)(normed, normed)
    x = layers.Add()([x, attended])
    hidden = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dropout(dropout)(layers.Dense(width)(hidden))])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(sequence, layers.Dense(n_columns)(x))


def _squeeze_excite(x, ratio=4):
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling1D(keepdims=True)(x)
    gate = layers.Dense(max(1, channels // ratio), activation="relu")(gate)
    gate = layers.Dense(channels, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])


def residual(input_shape, n_columns, filters=16, blocks=2):
    """Residual blocks with squeeze and excite, as in EfficientNet-like models of promoters."""
    sequence = keras.Input(input_shape)
    x = layers.Conv1D(filters, 7, padding="same", use_bias=False)(sequence)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for _ in range(blocks):
        y = layers.Conv1D(filters, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
        y = layers.BatchNormalization(momentum=0.9)(layers.Conv1D(filters, 3, padding="same")(y))
        x = layers.ReLU()(layers.Add()([x, _squeeze_excite(y)]))
        x = layers.MaxPooling1D(2)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(sequence, layers.Dense(n_columns)(x))


def several_outputs(input_shape, heads):
    """A trunk with an output for each block of columns, deviations through softplus."""
    sequence = keras.Input(input_shape)
    x = layers.Conv1D(16, 5, activation="relu")(sequence)
    x = layers.Conv1D(16, 5, activation="relu")(layers.MaxPooling1D(2)(x))
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    outputs = {}
    for role in reversed(heads.roles):  # by name, not by place
        activation = "linear" if role == "mean" else "softplus"
        y = layers.Dense(8, activation="relu")(x)
        outputs[role] = layers.Dense(heads.n_targets, activation=activation, name=role)(y)
    return keras.Model(sequence, outputs)


def sequential(input_shape, n_columns):
    """A stack without a symbolic input."""
    return keras.Sequential(
        [
            layers.Conv1D(16, 5, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(16, activation="relu"),
            layers.Dense(n_columns),
        ]
    )
