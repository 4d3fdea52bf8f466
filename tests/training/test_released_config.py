import warnings

import keras
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.released_config import read_config
from degu_tf.training.settings import TrainingSettings
from degu_tf.utils.errors import InputError

COMMON = {
    "epochs": 100,
    "batch_size": 128,
    "loss_fxn": "mse",
    "optimizer": "Adam",
    "optim_lr": 0.001,
    "early_stopping": "true",
    "es_patience": 10,
    "lr_decay": "false",
    "distill": "false",
    "downsample": 1.0,
}
DEEPSTARR = COMMON | {
    "activation": "relu",
    "first_activation": "relu",
    "k": 1,
    "n_conv": 4,
    **{f"n_kernels{i}": n for i, n in enumerate((256, 60, 60, 120), start=1)},
    **{f"kernel_size{i}": n for i, n in enumerate((7, 3, 5, 3), start=1)},
    "n_dense": 2,
    "dense_kernels1": 256,
    "dense_kernels2": 256,
    "std": "false",
}
RESIDUALBIND = COMMON | {"n_dilations": 5, "dilation_activation": "silu", "k": 1}
DREAM_RNN = COMMON | {
    "epochs": 80,
    "batch_size": 1024,
    "optimizer": "AdamW",
    "optim_lr": 0.005,
    "early_stopping": "false",
    "dropout": 0.2,
    "kernel_sizes": "[9, 15]",
    "lstm_hidden_channels": 320,
}


def flat(entries):
    return "".join(f"{name}: {value}\n" for name, value in entries.items())


def described(entries):
    return "".join(
        f"{name}:\n  desc: What {name} is\n  value: {value}\n" for name, value in entries.items()
    )


def undescribed(entries):
    return "".join(f"{name}:\n  value: {value}\n" for name, value in entries.items())


@pytest.fixture
def config(tmp_path):
    """A function that reads a text as the configuration it is."""

    def read(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return read_config(path)

    return read


@pytest.mark.parametrize("form", [flat, described, undescribed])
def test_both_forms_give_the_same(config, form):
    read = config("# Defaults\n" + form(DEEPSTARR))
    assert read.settings == TrainingSettings(batch_size=128, lr_patience=100)
    assert read.run == {"distill": False, "std": False}
    assert read.fraction == 1.0
    assert read.unknown == read.unexpressed == {}
    assert list(read.values) == list(DEEPSTARR)
    assert read.values["kernel_size3"] == 5


def test_the_architecture_is_the_one_described(config):
    spec = config(flat(DEEPSTARR)).spec
    assert spec.build((249, 4), HeadLayout(("Dev", "Hk")), seed=0).count_params() == 624_738
    half = config(flat(DEEPSTARR | {"k": 0.5, "n_kernels2": 62, "kernel_size2": 9})).spec
    assert half.options["width"] == 0.5
    assert half.options["conv_filters"] == (256, 62, 60, 120)
    assert half.options["conv_kernels"] == (7, 9, 5, 3)


def test_sizes_that_are_not_counted_are_unknown(config):
    with pytest.warns(UserWarning, match=r"n_kernels3=60 \(unknown\)"):
        read = config(flat(DEEPSTARR | {"n_conv": 2}))
    assert read.unknown == {
        "n_kernels3": 60,
        "n_kernels4": 120,
        "kernel_size3": 5,
        "kernel_size4": 3,
    }


def test_residualbind(config):
    assert config(flat(RESIDUALBIND)).spec == ModelSpec(
        "residualbind", {"dilations": (1, 2, 4, 8, 16)}
    )
    with pytest.warns(UserWarning, match=r"no effect: dilation_activation='relu', k=2\.0"):
        read = config(flat(RESIDUALBIND | {"k": 2, "dilation_activation": "relu"}))
    assert read.unexpressed == {"dilation_activation": "relu", "k": 2.0}


def test_no_architecture(config):
    assert config(flat(COMMON)).spec is None


def test_dream_rnn_trains_in_its_own_way(config):
    with pytest.warns(UserWarning, match=r"no effect: optimizer='AdamW'$"):
        read = config(described(DREAM_RNN))
    assert read.settings.patience is None
    assert (read.settings.epochs, read.settings.batch_size) == (80, 1024)
    assert read.settings.learning_rate == 0.005
    assert read.spec.name == "dream_rnn"
    assert set(read.spec.options) <= set(registry.options("dream_rnn"))
    smaller = DREAM_RNN | {"optimizer": "Adam", "lstm_hidden_channels": 64, "dropout": 0.1}
    assert config(flat(smaller)).spec == ModelSpec(
        "dream_rnn",
        {"variant": "released", "lstm_units": 64, "conv_kernels": (9, 15), "conv_dropout": 0.1},
    )
    with pytest.raises(InputError, match=r"'kernel_sizes' must be a list. Received: 9"):
        config(flat(smaller | {"kernel_sizes": 9}))


def test_what_a_run_wrote_down(config):
    text = flat(
        RESIDUALBIND
        | {"lr_decay": "true", "lr_decay_patience": 3, "lr_decay_factor": 0.2, "downsample": 0.25}
        | {"optim_lr": "'0.001'", "model_ix": 4, "celltype": "K562", "evoaug": "true"}
        | {"finetune": "true", "finetune_epochs": 30, "finetune_lr": "1e-4", "_wandb": "{a: 1}"}
    )
    read = config(text)
    assert read.settings == TrainingSettings(batch_size=128, lr_factor=0.2, lr_patience=3)
    assert read.fraction == 0.25
    assert read.run["celltype"] == "K562"
    assert read.run["finetune_epochs"] == 30
    assert read.values["_wandb"] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("lr: 1e-3", {"learning_rate": 0.001}),
        ("learning_rate: 2.0e-3", {"learning_rate": 0.002}),
        ("early_stop_patience: 7", {"patience": 7}),
        ("{early_stopping: false, es_patience: 7}", {"patience": None}),
        ("patience: null", {"patience": None}),
        ("lr_decay: true", {}),
        ("{lr_decay: false, lr_decay_factor: 0.3, epochs: 20}", {"epochs": 20, "lr_patience": 20}),
        ("lr_factor: 0.3\nlr_patience: 4", {"lr_factor": 0.3, "lr_patience": 4}),
        ("loss: poisson", {"loss": "poisson"}),
        ("steps_per_epoch: 10", {"steps_per_epoch": 10}),
        ("lr: 0.01\noptim_lr: 0.01", {"learning_rate": 0.01}),
        ("epochs: 30.0", {"epochs": 30}),
    ],
)
def test_names_of_settings(config, text, settings):
    assert config(text).settings == TrainingSettings(**settings)


def test_a_decay_that_is_off_never_comes(config):
    settings = config("{lr_decay: false, epochs: 3}").settings
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    decay = keras.callbacks.ReduceLROnPlateau(
        factor=settings.lr_factor, patience=settings.lr_patience
    )
    decay.set_model(model)
    decay.on_train_begin()
    for epoch in range(settings.epochs):
        decay.on_epoch_end(epoch, {"val_loss": 1.0})
        assert float(model.optimizer.learning_rate) == 0.5


def test_nothing_is_dropped_in_silence(config):
    with pytest.warns(UserWarning, match="entries of") as caught:
        read = config("epochs: 3\nwarmup: [1, 2]\nloss_fxn: evidential\noptimizer: SGD")
    assert len(caught) == 1
    message = str(caught[0].message)
    for part in ("warmup=[1, 2] (unknown)", "loss_fxn='evidential'", "optimizer='SGD'"):
        assert part in message
    assert read.unknown == {"warmup": [1, 2]}
    assert read.unexpressed == {"optimizer": "SGD", "loss_fxn": "evidential"}
    assert read.settings.loss == "mse"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: many", "'epochs' must be a finite number. Received: 'many', in .*config.yaml"),
        ("epochs: true", "'epochs' must be a finite number. Received: True"),
        ("epochs: 2.5", "'epochs' must be a whole number of at most 2147483647. Received: 2.5"),
        ("epochs: 0", "'epochs' must be a whole number from 1. Received: 0"),
        ("epochs: .inf", "'epochs' must be a finite number. Received: inf"),
        ("epochs: .nan", "'epochs' must be a finite number. Received: nan"),
        ("batch_size: 1e30", "'batch_size' must be a whole number of at most 2147483647"),
        ("batch_size: 0", "'batch_size' must be a whole number from 1. Received: 0"),
        ("lr: -1", "'lr' must be positive. Received: -1.0, in"),
        ("lr: .nan", "'lr' must be a finite number. Received: nan, in"),
        ("learning_rate: .inf", "'learning_rate' must be a finite number. Received: inf"),
        ("lr_decay_factor: .nan", "'lr_decay_factor' must be a finite number"),
        ("lr_decay_factor: 2", "'lr_decay_factor' must lie between 0 and 1. Received: 2"),
        ("es_patience: -1", "'es_patience' must be a whole number from 1. Received: -1"),
        ("lstm_hidden_channels: 2\ndropout: .nan", "'dropout' must be a finite number"),
        ("lstm_hidden_channels: 2\nkernel_sizes: [.nan]", "'kernel_sizes' must be a finite"),
        ("k: .inf", "'k' must be a finite number"),
        ("early_stopping: maybe", "'early_stopping' must be true or false"),
        ("loss: 3", "'loss' must be a name"),
        ("downsample: 0", r"'downsample' must lie in \(0, 1\]"),
        ("lr: 0.1\noptim_lr: 0.2", "equal values of 'optim_lr' and 'lr'.*Received: 0.2 and 0.1"),
        ("epochs: 1\nepochs: 2", "expected each entry once. Received: 'epochs' twice"),
        ("n_conv: 2\nn_kernels1: 4", "n_kernels1 to n_kernels2, .*Received: no n_kernels2, in"),
        ("n_conv: 1000000000", "'n_conv' must lie between 1 and 64"),
        ("n_dilations: 17", "'n_dilations' must lie between 1 and 16"),
        ("", "expected entries name: value .*Received: None"),
        ("- epochs", r"expected entries name: value .*Received: \['epochs'\]"),
        ("epochs: [1", "expected yaml of plain values"),
        ("epochs: \x00", "expected yaml of plain values"),
        ("{[1]: 2}", "expected yaml of plain values"),
        ("[" * 500, "expected yaml of plain values"),
        ("a: 2026-02-31", "expected yaml of plain values"),
        ("#" * 2**20 + "\nepochs: 1", "1048576 bytes or less. Received: 1048586"),
    ],
)
def test_refusals(config, text, message):
    with pytest.raises(InputError, match=message):
        config(text)


def test_code_in_a_config_does_not_run(config, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(InputError, match=r"plain values.*python/object/apply"):
        config(f"epochs: !!python/object/apply:os.system ['touch {mark}']")
    assert not mark.exists()


def test_aliases_that_multiply_are_no_burden(config):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    with pytest.warns(UserWarning, match="a19=") as caught:
        config("\n".join(lines))
    assert len(str(caught[0].message)) < 10_000


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"expected a file. Received: none, in .*none\.yaml"):
        read_config(tmp_path / "none.yaml")


def test_no_warning_where_all_is_held(config):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config(described(DEEPSTARR))
