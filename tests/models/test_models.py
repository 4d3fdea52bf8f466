import keras
import numpy as np
import pytest
import tensorflow as tf

from degu_tf.heads import HeadLayout
from degu_tf.models import build, names, options
from degu_tf.models.layers import output_head, scale
from degu_tf.models.predictor import ModelPredictor
from degu_tf.utils.errors import InputError

LAYOUTS = {
    "one": HeadLayout(("activity",)),
    "two_epistemic": HeadLayout(("Dev", "Hk"), epistemic="std"),
    "both": HeadLayout(("activity",), aleatoric="std", epistemic="std"),
    "evidential": HeadLayout(("Dev", "Hk"), aleatoric="evidential", epistemic="evidential"),
}
ONE = LAYOUTS["one"]
SHORTEST = {
    "deepstarr": 16, "residualbind": 25, "mprann": 21, "dream_rnn": 1, "cnn_task_base": 128,
}  # fmt: skip
ANY_LENGTH = {"residualbind", "dream_rnn"}
SMALL = 0.04


def length_of(name, length=64):
    return max(length, SHORTEST[name])


def with_variant(name):
    """A name such as "dream_rnn released" as architecture and options."""
    name, _, variant = name.partition(" ")
    return name, {"variant": variant} if variant else {}


def layouts(name):
    """The layouts an architecture can put out: profiles are positive, so not the evidential."""
    return [layout for layout in LAYOUTS if (name, layout) != ("cnn_task_base", "evidential")]


EVERY_LAYOUT = [(name, layout) for name in names() for layout in layouts(name)]


def sequences(n, length, seed=0):
    tokens = np.random.default_rng(seed).integers(0, 4, (n, length))
    return np.eye(4, dtype=np.float32)[tokens]


def randomise(model, seed=0):
    """Every weight random and of a size that lets signal through, batch statistics included."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [rng.uniform(0.5, 1.5, shape), *rng.normal(0, 0.3, (2, *shape)),
                 rng.uniform(0.5, 2.0, shape)]
            )  # fmt: skip
        elif layer.weights:
            held = layer.get_weights()
            fan_in = np.prod(held[0].shape[:-1])
            layer.set_weights([rng.normal(0, fan_in**-0.5, w.shape) for w in held])
    return model


def sized_layers(model):
    """Filters or units of every layer that has them, of the bottleneck for each position.

    The output's are left out, which is as wide as it has columns.
    """
    sizes = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Bidirectional):
            sizes.append(layer.forward_layer.units)
        elif layer.name == "bottleneck":
            sizes.append(layer.units // model.input_shape[1])
        elif isinstance(layer, keras.layers.Conv1D):
            sizes.append(layer.filters)
        elif isinstance(layer, keras.layers.Dense) and "output" not in layer.name:
            sizes.append(layer.units)
    return sizes


# What every registered architecture promises.


# Keras' own saving code, with numpy 2.
saves = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def save_and_load(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", compile=False)


@saves
@pytest.mark.parametrize(("name", "layout"), EVERY_LAYOUT)
def test_saves_and_reloads_bit_for_bit(name, layout, tmp_path):
    heads = LAYOUTS[layout]
    length = SHORTEST[name]
    model = randomise(build(name, (length, 4), heads, width=SMALL))
    x = sequences(3, length)
    y = model(x, training=False).numpy()
    profile = (length,) if name == "cnn_task_base" else ()
    assert y.shape == (3, *profile, heads.n_columns)
    assert np.isfinite(y).all()
    assert np.ptp(y, axis=0).reshape(-1, heads.n_columns).max(axis=0).min() > 0
    again = save_and_load(model, tmp_path)
    np.testing.assert_array_equal(again(x, training=False), y)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.slow
@saves
@pytest.mark.parametrize("name", [*names(), "dream_rnn released"])
def test_predict_is_bit_for_bit_the_same_after_reloading(name, tmp_path):
    name, choices = with_variant(name)
    length = length_of(name, 83)
    model = randomise(build(name, (length, 4), LAYOUTS["both"], width=SMALL, **choices))
    x = sequences(3, length)
    again = save_and_load(model, tmp_path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("name", names())
def test_layer_names_are_stable_and_layers_are_keras_own(name):
    heads = LAYOUTS[layouts(name)[-1]]
    shape = (length_of(name), 4)
    first, second = (build(name, shape, heads, width=SMALL) for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert (first.name, first.layers[-1].name) == (name, "output")
    for layer in first.layers:
        assert type(layer) is getattr(keras.layers, type(layer).__name__)
        assert not isinstance(layer, keras.layers.Lambda)


@pytest.mark.parametrize("name", names())
def test_the_seed_decides_the_weights(name):
    def kernels(seed):
        keras.utils.set_random_seed(seed)
        model = build(name, (length_of(name), 4), ONE, width=0.1)
        return [weight.numpy() for weight in model.weights if "kernel" in weight.name]

    first, same, other = kernels(1), kernels(1), kernels(2)
    assert len(first) > 4
    for a, b, c in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    for a in first[1:]:
        for b in first[: [k is a for k in first].index(True)]:
            assert a.shape != b.shape or a.size == 1 or not np.array_equal(a, b)


@pytest.mark.parametrize("name", names())
def test_width_scales_filters_and_units(name):
    shape = (length_of(name), 4)
    whole = sized_layers(build(name, shape, ONE))
    half = sized_layers(build(name, shape, ONE, width=0.5))
    assert len(whole) > 4
    assert half == [round(size / 2) for size in whole]
    assert set(sized_layers(build(name, shape, ONE, width=1e-9))) == {1}


@pytest.mark.parametrize("name", names())
def test_too_short_is_refused_when_built(name):
    shortest = SHORTEST[name]
    model = build(name, (shortest, 4), ONE, width=SMALL)
    assert model(sequences(2, shortest)).shape[0] == 2
    with pytest.raises(InputError, match=rf"at least {shortest} bases.*\({shortest - 1}, 4\)$"):
        build(name, (shortest - 1, 4), ONE, width=SMALL)


@pytest.mark.parametrize("name", [*names(), "dream_rnn released"])
def test_sequences_of_another_length_are_refused(name):
    name, choices = with_variant(name)
    length = length_of(name)
    predictor = ModelPredictor(build(name, (length, 4), ONE, width=SMALL, **choices), ONE)
    assert predictor.predict(sequences(2, length)).mean.shape[0] == 2
    for other in (length - 1, length + 1):
        with pytest.raises(InputError, match=rf"{length} bases; .* Received: {other} bases"):
            predictor.predict(sequences(2, other))


@pytest.mark.parametrize(
    "shape", [(230,), (230, 5), (4, 230), (1, 230, 4), (230.0, 4), ("230", 4), 230, None, (True, 4)]
)
@pytest.mark.parametrize("name", names())
def test_other_shapes_are_refused(name, shape):
    with pytest.raises(InputError, match="Received: input_shape="):
        build(name, shape, ONE)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"width": 0}, "width must be .*Received: width=0$"),
        ({"width": -0.5}, "width must be"),
        ({"width": float("nan")}, "width must be"),
        ({"width": "0.5"}, "width must be .*Received: width='0.5'$"),
        ({"conv_filters": ()}, "conv_filters must be"),
        ({"conv_filters": 256}, "conv_filters must be .*Received: conv_filters=256$"),
        ({"conv_kernels": (7,)}, "conv_kernels must be a sequence of [234] whole"),
        ({"conv_kernels": (7.5,) * 4}, "conv_kernels must be"),
        ({"depth": 3}, "has the options width, .*conv_filters.*Received: depth=3$"),
        ({"conv_filter": (3, 3)}, "Did you mean conv_filters?"),
    ],
)
def test_options_out_of_range_are_refused(name, choices, message):
    with pytest.raises(InputError, match=message):
        build(name, (length_of(name), 4), ONE, **choices)


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("deepstarr", {"dense_units": (256, 0)}, "dense_units must be"),
        ("residualbind", {"dense_units": (256,)}, "dense_units must be a sequence of 2"),
        ("mprann", {"dense_unit": (3, 3)}, "Did you mean dense_units?"),
        ("dream_rnn", {"variant": "DREAM"}, "'paper' or 'released'.*variant='DREAM'$"),
        ("dream_rnn", {"variant": ["paper"]}, "'paper' or 'released'"),
        ("dream_rnn", {"lstm_units": 0}, "lstm_units must be"),
        ("dream_rnn", {"pointwise_filters": 2.5}, "pointwise_filters must be"),
        ("dream_rnn", {"epsilon": 1e-3}, "no batch normalisation.*Received: epsilon=0.001$"),
        ("dream_rnn", {"variant": "released", "momentum": 1.5}, "momentum must lie between"),
        ("cnn_task_base", {"bottleneck": 0}, "bottleneck must be"),
        ("cnn_task_base", {"dense_units": (256, 256)}, "dense_units must be a sequence of 1"),
        ("cnn_task_base", {"task_filters": (64,)}, "task_filters must be"),
    ],
)
def test_each_architectures_own_options_out_of_range_are_refused(name, choices, message):
    with pytest.raises(InputError, match=message):
        build(name, (length_of(name), 4), ONE, **choices)


@pytest.mark.parametrize("name", names())
def test_dropout_rates_are_checked(name):
    rates = [option for option in options(name) if option.endswith("dropout")]
    assert rates
    for option in rates:
        for rate in (1.0, -0.1, "0.1"):
            with pytest.raises(InputError, match=f"{option} must be at least 0 and less than 1"):
                build(name, (length_of(name), 4), ONE, **{option: rate})
    model = build(name, (length_of(name), 4), ONE, width=SMALL, **dict.fromkeys(rates, 0.0))
    assert {x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)} == {0.0}


@pytest.mark.parametrize("name", names())
def test_heads_must_be_a_layout(name):
    with pytest.raises(InputError, match=r"HeadLayout.*Received: heads=2$"):
        build(name, (64, 4), 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*names(), "dream_rnn released"])
def test_one_step_lowers_the_loss_and_reaches_every_variable(name):
    name, choices = with_variant(name)
    rates = dict.fromkeys((key for key in options(name) if key.endswith("dropout")), 0.0)
    keras.utils.set_random_seed(5)
    length = length_of(name)
    model = build(name, (length, 4), LAYOUTS["both"], width=0.1, **rates, **choices)
    x = keras.ops.convert_to_tensor(sequences(16, length))
    y = 1.0 + x[:, : model.output_shape[1] if name == "cnn_task_base" else 1, :3]
    y = y if name == "cnn_task_base" else y[:, 0]
    before = [weight.numpy() for weight in model.weights]
    optimizer = keras.optimizers.SGD(0.01)
    losses = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            losses.append(tf.reduce_mean((model(x, training=True) - y) ** 2))
        gradients = tape.gradient(losses[-1], model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply(gradients, model.trainable_variables)
    assert losses[1] < losses[0]
    unmoved = [
        weight.path
        for weight, held in zip(model.weights, before, strict=True)
        if np.array_equal(weight.numpy(), held)
    ]
    # Batch normalisation takes away any constant before it, so biases there stand still.
    assert all(path.endswith("/bias") for path in unmoved)
    assert len(unmoved) < len(before) / 4


# The registry.


def test_names():
    assert set(names()) == {"deepstarr", "residualbind", "mprann", "dream_rnn", "cnn_task_base"}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("DeepSTARR", "deepstarr"), ("residual_bind", "residualbind"), ("mpran", "mprann")],
)
def test_unknown_name_gets_the_names_and_the_closest(wrong, meant):
    for call in (lambda: build(wrong, (249, 4), ONE), lambda: options(wrong)):
        with pytest.raises(InputError, match="dream_rnn, mprann, residualbind") as caught:
            call()
        assert f"Did you mean {meant}?" in str(caught.value)
        assert str(caught.value).endswith(f"Received: name={wrong!r}")


@pytest.mark.parametrize("wrong", [None, ["deepstarr"], "zzz"])
def test_name_beyond_guessing(wrong):
    with pytest.raises(InputError, match="expected one of the architectures"):
        build(wrong, (249, 4), ONE)


def test_options_hold_the_defaults():
    assert options("deepstarr") == {
        "width": 1.0,
        "conv_filters": (256, 60, 60, 120),
        "conv_kernels": (7, 3, 5, 3),
        "dense_units": (256, 256),
        "dropout": 0.4,
    }


# Each architecture is the paper's.


@pytest.mark.parametrize(
    ("name", "length", "layout", "parameters"),
    [
        ("deepstarr", 249, HeadLayout(("Dev", "Hk")), 624_738),
        ("residualbind", 230, ONE, 1_198_469),
        ("residualbind", 230, LAYOUTS["both"], 1_198_983),
        ("mprann", 230, ONE, 3_959_451),
        ("dream_rnn paper", 249, HeadLayout(("Dev", "Hk")), 6_222_082),
        ("dream_rnn released", 249, HeadLayout(("Dev", "Hk")), 4_199_810),
        ("cnn_task_base", 2048, HeadLayout(("ATAC",), aleatoric="std"), 7_901_378),
        ("cnn_task_base", 2048, LAYOUTS["both"], 8_016_451),
    ],
)
def test_parameter_counts(name, length, layout, parameters):
    name, choices = with_variant(name)
    model = build(name, (length, 4), layout, **choices)
    assert model.count_params() == parameters
    profile = (length,) if name == "cnn_task_base" else ()
    assert model.output_shape == (None, *profile, layout.n_columns)


KINDS = {
    "Conv1D": "C", "BatchNormalization": "B", "Activation": "A", "MaxPooling1D": "M",
    "Dropout": "O", "Flatten": "F", "Dense": "D", "Add": "+", "GlobalAveragePooling1D": "G",
    "InputLayer": "", "Concatenate": "&", "Bidirectional": "L", "Reshape": "R",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kinds", "rates"),
    [
        ("deepstarr", "CBAM" * 4 + "F" + "DBAO" * 2 + "D", [0.4, 0.4]),
        (
            "residualbind",
            "CBAO" + "CB" + "AOCB" * 5 + "+AOM" + "CBAOM" + "DBAO" + "G" + "DBAO" + "D",
            [0.2] + [0.1] * 5 + [0.2, 0.2, 0.5, 0.5],
        ),
        ("mprann", "CBCBMO" + "CBCBMO" + "F" + "DODD", [0.1, 0.1, 0.3]),
        ("dream_rnn", "CCAAOO&" + "LO" + "CCAAOO&" + "CAOGD", [0.2] * 6),
        (
            "cnn_task_base",
            "CBAMO" * 3 + "F" + "DBAO" + "DBAR" + "O" + "CBAO" + "CBAOD",
            [0.1, 0.1, 0.2, 0.3, 0.1, 0.2, 0.1],
        ),
    ],
)
def test_layers_stand_in_the_papers_order(name, kinds, rates):
    model = build(name, (length_of(name), 4), ONE)
    assert "".join(KINDS[type(layer).__name__] for layer in model.layers) == kinds
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == rates
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (1e-3, 0.99)


def test_the_released_dream_rnn():
    model = build("dream_rnn", (64, 4), ONE, variant="released")
    kinds = "".join(KINDS[type(layer).__name__] for layer in model.layers)
    assert kinds == "CCBBAAOO&" + "L" + "CCBBAAOO&" + "OCGD"
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == [0.2] * 4 + [0.5]
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)


class Reference:
    """The layers in plain numpy, taking a model's weights one after the other."""

    def __init__(self, model):
        self.weights = [layer.get_weights() for layer in model.layers if layer.weights]

    def conv(self, x, same=True, dilation=1):
        kernel, *bias = self.weights.pop(0)
        reach = dilation * (len(kernel) - 1)
        if same:
            x = np.pad(x, ((0, 0), (reach // 2, reach - reach // 2), (0, 0)))
        n = x.shape[1] - reach
        y = sum(x[:, i * dilation : i * dilation + n] @ k for i, k in enumerate(kernel))
        return y + bias[0] if bias else y

    def bn(self, x):
        gamma, beta, mean, variance = self.weights.pop(0)
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def dense(self, x):
        kernel, bias = self.weights.pop(0)
        return x @ kernel + bias

    def lstm(self, x):
        weights = self.weights.pop(0)
        forward, backward = weights[:3], weights[3:]
        there, back = lstm(x, *forward), lstm(x[:, ::-1], *backward)[:, ::-1]
        return np.concatenate([there, back], axis=-1)


def lstm(x, kernel, recurrent, bias):
    units = len(recurrent)
    state, memory, steps = np.zeros((len(x), units)), 0.0, []
    for i in range(x.shape[1]):
        gates = np.split(x[:, i] @ kernel + state @ recurrent + bias, 4, axis=-1)
        enter, forget, candidate, out = gates
        memory = sigmoid(forget) * memory + sigmoid(enter) * np.tanh(candidate)
        state = sigmoid(out) * np.tanh(memory)
        steps.append(state)
    return np.stack(steps, axis=1)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def pool(x, size):
    n = x.shape[1] // size
    return x[:, : n * size].reshape(len(x), n, size, -1).max(axis=2)


def reference_deepstarr(net, x):
    for _ in range(4):
        x = pool(relu(net.bn(net.conv(x))), 2)
    x = x.reshape(len(x), -1)
    for _ in range(2):
        x = relu(net.bn(net.dense(x)))
    return net.dense(x)


def reference_residualbind(net, x):
    x = silu(net.bn(net.conv(x)))
    y = net.bn(net.conv(x))
    for dilation in (1, 2, 4, 8, 16):
        y = net.bn(net.conv(relu(y), dilation=dilation))
    x = pool(silu(x + y), 5)
    x = pool(silu(net.bn(net.conv(x))), 5)
    x = silu(net.bn(net.dense(x))).mean(axis=1)
    return net.dense(silu(net.bn(net.dense(x))))


def reference_mprann(net, x):
    x = net.bn(relu(net.conv(x, same=False)))
    x = pool(net.bn(softmax(net.conv(x, same=False))), 2)
    x = net.bn(softmax(net.conv(x, same=False)))
    x = net.bn(softmax(net.conv(x, same=False)))
    x = sigmoid(net.dense(x.reshape(len(x), -1)))
    return net.dense(sigmoid(net.dense(x)))


def reference_dream_rnn(net, x):
    x = np.concatenate([relu(net.conv(x)), relu(net.conv(x))], axis=-1)
    x = net.lstm(x)
    x = np.concatenate([relu(net.conv(x)), relu(net.conv(x))], axis=-1)
    return net.dense(relu(net.conv(x)).mean(axis=1))


def reference_cnn_task_base(net, x):
    n, length, _ = x.shape
    for size in (8, 4, 4):
        x = pool(relu(net.bn(net.conv(x))), size)
    x = relu(net.bn(net.dense(x.reshape(n, -1))))
    x = relu(net.bn(net.dense(x))).reshape(n, length, -1)
    x = relu(net.bn(net.conv(x)))
    # Keras lists the tasks' layers side by side: convolutions, normalisations, outputs.
    convolved = [net.conv(x) for _ in range(3)]
    convolved = [relu(net.bn(y)) for y in convolved]
    return np.concatenate([np.log1p(np.exp(net.dense(y))) for y in convolved], axis=-1)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("deepstarr", reference_deepstarr),
        ("residualbind", reference_residualbind),
        ("mprann", reference_mprann),
        ("dream_rnn", reference_dream_rnn),
        ("cnn_task_base", reference_cnn_task_base),
    ],
)
def test_predictions_equal_the_layers_in_numpy(name, reference):
    length = length_of(name, 83)
    model = randomise(build(name, (length, 4), LAYOUTS["both"], width=0.05))
    x = sequences(4, length)
    expected = reference(Reference(model), x.astype(np.float64))
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-5)


def test_explicit_sizes_are_scaled_by_width_too():
    model = build(
        "deepstarr",
        (230, 4),
        ONE,
        width=0.5,
        conv_filters=(8, 6),
        conv_kernels=[3, 5],
        dense_units=(10,),
    )
    assert sized_layers(model) == [4, 3, 5]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    assert [layer.kernel_size for layer in convolutions] == [(3,), (5,)]


def test_fewer_blocks_and_longer_kernels_move_the_shortest_length():
    two = {"conv_filters": (2, 2), "conv_kernels": (3, 3)}
    assert build("deepstarr", (4, 4), ONE, **two)(sequences(1, 4)).shape == (1, 1)
    with pytest.raises(InputError, match="at least 4 bases"):
        build("deepstarr", (3, 4), ONE, **two)
    longer = {"conv_kernels": (11, 8, 5, 2), "width": SMALL}
    assert build("mprann", (29, 4), ONE, **longer)(sequences(1, 29)).shape == (1, 1)
    with pytest.raises(InputError, match="at least 29 bases"):
        build("mprann", (28, 4), ONE, **longer)


@pytest.mark.parametrize("name", names())
def test_any_length(name):
    if name not in ANY_LENGTH:
        with pytest.raises(InputError, match=rf"at least {SHORTEST[name]}\. .*\(None, 4\)$"):
            build(name, (None, 4), ONE)
        return
    free = build(name, (None, 4), ONE, width=SMALL)
    fixed = build(name, (60, 4), ONE, width=SMALL)
    fixed.set_weights(free.get_weights())
    x = sequences(2, 60)
    np.testing.assert_allclose(free(x), fixed(x), rtol=1e-5)
    assert free(sequences(2, SHORTEST[name])).shape == (2, 1)


@pytest.mark.parametrize("form", ["log_variance", "evidential"])
def test_profiles_are_positive(form):
    heads = HeadLayout(("ATAC",), form, "evidential" if form == "evidential" else None)
    with pytest.raises(InputError, match=f"give the form 'std'.*aleatoric='{form}'$"):
        build("cnn_task_base", (128, 4), heads)


def test_explicit_sizes_of_dream_rnn_and_cnn_task_base():
    model = build("dream_rnn", (40, 4), ONE, width=0.5, lstm_units=6, conv_filters=(4, 8),
                  pointwise_filters=10, conv_kernels=(3, 5))  # fmt: skip
    assert sized_layers(model) == [2, 2, 3, 4, 4, 5]
    model = build("cnn_task_base", (130, 4), ONE, width=SMALL, bottleneck=75, profile_kernel=3)
    assert model.output_shape == (None, 130, 1)
    assert sized_layers(model)[4] == 3
    assert model.get_layer("profile").kernel_size == model.get_layer("task1").kernel_size == (3,)


def test_residualbind_options():
    choices = {"dilations": [1, 3], "residual_kernel": 5, "residual_dropout": 0.3, "width": SMALL}
    model = build("residualbind", (50, 4), ONE, **choices)
    block = [model.get_layer(f"residual{i}") for i in range(3)]
    assert [layer.dilation_rate for layer in block] == [(1,), (1,), (3,)]
    assert {layer.kernel_size for layer in block} == {(5,)}
    assert model.get_layer("residual2_dropout").rate == 0.3
    with pytest.raises(InputError, match="dilations must be"):
        build("residualbind", (50, 4), ONE, dilations=())
    with pytest.raises(InputError, match="residual_kernel must be"):
        build("residualbind", (50, 4), ONE, residual_kernel=0)


# The output layer.


def test_linear_head_can_be_negative():
    x = keras.Input((3,))
    model = keras.Model(x, output_head(x, LAYOUTS["both"]))
    output = model.get_layer("output")
    output.set_weights([np.zeros((3, 3)), np.array([-1.0, -2.0, -3.0])])
    np.testing.assert_array_equal(model(np.ones((2, 3))), [[-1, -2, -3]] * 2)


def test_evidential_head_keeps_role_order_and_bounds():
    heads = LAYOUTS["evidential"]
    x = keras.Input((5, 3))
    model = keras.Model(x, output_head(x, heads))
    assert model.output_shape == (None, 5, 8)
    for i, role in enumerate(heads.roles):
        bias = np.array([i + 0.5, -i - 0.5])
        model.get_layer(f"output_{role}").set_weights([np.zeros((3, 2)), bias])
    columns = model(np.ones((1, 5, 3))).numpy()
    for i, role in enumerate(heads.roles):
        raw = np.array([i + 0.5, -i - 0.5])
        expected = raw if role == "mean" else np.log1p(np.exp(raw)) + (role == "alpha")
        np.testing.assert_allclose(heads.take(columns, role)[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("bias", [-1e4, -90.0, 50.0])
def test_evidential_head_gives_finite_positive_std_at_the_extremes(bias):
    heads = HeadLayout(("activity",), aleatoric="evidential", epistemic="evidential")
    x = keras.Input((1,))
    model = keras.Model(x, output_head(x, heads))
    for role in heads.roles:
        model.get_layer(f"output_{role}").set_weights([np.zeros((1, 1)), np.array([bias])])
    columns = model(np.zeros((1, 1))).numpy()
    assert heads.take(columns, "nu") > 0
    assert heads.take(columns, "alpha") > 1
    assert heads.take(columns, "beta") > 0
    for component in ("aleatoric", "epistemic"):
        std = heads.std(columns, component)
        assert np.isfinite(std).all()
        assert (std > 0).all()


def test_scale_rounds():
    assert scale((100, 7, 1), 0.25) == (25, 2, 1)
    assert scale((100,), 1.5) == (150,)
