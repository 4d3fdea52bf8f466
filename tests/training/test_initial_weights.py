"""Training of a network of one's own that starts from weights that Keras wrote."""

import keras
import numpy as np
import own_networks
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.training.initial_weights import initial_model, load_own_weights
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.training.train import train
from degu_tf.utils.errors import InputError

SHAPE, TWO = (48, 4), HeadLayout(("Dev", "Hk"))


def network(seed, heads=TWO, name="residual", **options):
    return ModelSpec(getattr(own_networks, name), options).build(SHAPE, heads, seed)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("transformer", ".keras"),
        ("residual", ".keras"),
        ("several_outputs", ".weights.h5"),
        ("sequential", ".h5"),
    ],
)
def test_weights_of_a_file_are_taken_whole(name, ending, tmp_path):
    source, target = network(1, name=name), network(2, name=name)
    x = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
    for layer in source.layers:  # moving averages are weights too
        layer.set_weights([weight + 0.1 for weight in layer.get_weights()])
    assert not np.allclose(source(x), target(x))
    file = tmp_path / f"pretrained{ending}"
    if ending == ".weights.h5":
        source.save_weights(file)
    else:
        source.save(file)
    load_own_weights(target, file)
    np.testing.assert_array_equal(source(x), target(x))


@pytest.mark.parametrize(
    ("other", "ending"),
    [
        ({"heads": HeadLayout(("Dev",))}, ".keras"),
        ({"filters": 8}, ".h5"),
        ({"blocks": 1}, ".weights.h5"),
        ({"blocks": 1}, ".keras"),
        ({"blocks": 3}, ".keras"),
    ],
    ids=str,
)
def test_a_file_of_another_network_is_refused(other, ending, tmp_path):
    file = tmp_path / f"pretrained{ending}"
    source = network(1)
    source.save_weights(file) if ending == ".weights.h5" else source.save(file)
    with pytest.raises(InputError, match="do not fit"):
        load_own_weights(network(2, **other), file)


def nested(n):
    """A network with a model of n layers within."""
    inner = [keras.layers.Conv1D(4, 3, padding="same") for _ in range(n)]
    layers = [keras.Sequential(inner), keras.layers.Dropout(0.1), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((8, 4)), *layers, keras.layers.Dense(2)])


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_arrays_beyond_those_of_a_nested_model_are_refused_by_name(ending, tmp_path):
    file, source = tmp_path / f"pretrained{ending}", nested(2)
    source.compile("adam", "mse")  # its optimiser's arrays are no weights
    source.fit(np.ones((2, 8, 4)), np.ones((2, 2)), verbose=0)
    source.save_weights(file) if ending == ".weights.h5" else source.save(file)
    load_own_weights(nested(2), file)
    named = "2 such, layers/sequential/layers/conv1d_1/vars/0" if ending != ".h5" else "2 weight"
    with pytest.raises(InputError, match=named):
        load_own_weights(nested(1), file)
    with pytest.raises(InputError, match="do not fit"):
        load_own_weights(nested(3), file)


def test_what_is_no_file_of_keras_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    (tmp_path / "weights.keras").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"\.keras, \.weights\.h5 or \.h5"):
        load_own_weights(network(1), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="do not fit"):
        load_own_weights(network(1), tmp_path / "weights.keras")
    with pytest.raises(InputError, match="expected a file of weights"):
        load_own_weights(network(1), tmp_path / "nothing.keras")


@pytest.mark.slow
def test_training_starts_there(splits, tmp_path):
    """From a file of Keras, and from a run: the first epoch's model is theirs."""
    first = TrainingSettings(epochs=1, batch_size=20)
    spec = ModelSpec(own_networks.residual)
    trained = train(splits, spec, first, Run(tmp_path / "run", 1, progress=False))
    trained.model.save(tmp_path / "pretrained.keras")
    for place in (tmp_path / "run", tmp_path / "pretrained.keras"):
        again = ModelSpec(own_networks.residual, init=str(place))
        start = initial_model(splits, again, first, splits.heads, Run(None, 5))
        for here, there in zip(start.weights, trained.model.weights, strict=True):
            np.testing.assert_array_equal(here, there)
