"""Whatever settings hold: they are plain values that come back from JSON, or a named error."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
from faults.any_input import any_text, odd_numbers, only_named_errors, plain_text
from hypothesis import given, settings
from hypothesis import strategies as some

from degu_tf.cli import VERBS, main
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.heads import HeadLayout
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.losses import DistillationLoss
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings

pytestmark = pytest.mark.slow

_TRAINING = [
    "epochs",
    "batch_size",
    "learning_rate",
    "loss",
    "lr_factor",
    "lr_patience",
    "patience",
    "steps_per_epoch",
    "crop",
    "schedule",
    "warmup",
    "ema",
]
_DISTILLATION = [
    "epistemic",
    "epistemic_weight",
    "aleatoric_weight",
    "validation",
    "measured_share",
    "pool",
    "init",
]
_words = some.sampled_from(
    [
        "mse",
        "poisson",
        "cosine",
        "plateau",
        "constant",
        "std",
        "log_variance",
        "ensemble",
        "random",
        "gaussian_nll",
    ]
)
_values = some.one_of(odd_numbers, _words, any_text, some.lists(odd_numbers, max_size=2))


@given(some.dictionaries(some.sampled_from(_TRAINING), _values, max_size=4))
def test_settings_of_training(values):
    with only_named_errors():
        described = TrainingSettings(**values).to_dict()
        text = json.dumps(described, allow_nan=False)
        assert json.dumps(json.loads(text)) == text


@given(some.dictionaries(some.sampled_from(_DISTILLATION), _values, max_size=4))
def test_settings_of_distillation(values):
    with only_named_errors():
        described = DistillationSettings(**values).to_dict()
        text = json.dumps(described, allow_nan=False)
        assert json.dumps(json.loads(text)) == text


@given(_values, some.one_of(_values, some.dictionaries(some.sampled_from("abc"), _values)))
def test_weights_of_the_loss(epistemic, aleatoric):
    heads = HeadLayout(("a", "b"), "std", "std")
    with only_named_errors():
        loss = DistillationLoss(heads, epistemic, aleatoric)
        labels = np.ones((3, heads.n_columns), np.float32)
        assert loss(labels, 2 * labels).numpy() >= 0


@given(
    some.one_of(_words, any_text, some.none()),
    some.dictionaries(
        some.sampled_from(["width", "dropout", "conv_filters", "x"]), _values, max_size=2
    ),
)
def test_architectures(name, options):
    with only_named_errors():
        ModelSpec(name, options).build((32, 4), HeadLayout(("a",)), 0)


@given(
    some.one_of(some.lists(any_text, max_size=3), any_text, some.none(), some.integers()),
    some.one_of(some.none(), _words),
    some.one_of(some.none(), _words),
)
def test_layouts(targets, aleatoric, epistemic):
    with only_named_errors():
        layout = HeadLayout(targets, aleatoric, epistemic)
        assert HeadLayout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@given(
    some.one_of(
        some.sampled_from(
            [
                "evoaug",
                "evoaug_one",
                "mutagenesis:0.5",
                "mutagenesis:0.5,recombine:0.5",
                "a:b:c",
                ":",
                "mutagenesis:nan",
                "mutagenesis:1e9",
            ]
        ),
        any_text,
    )
)
def test_augmentations(text):
    with only_named_errors():
        scheme(text)


@given(odd_numbers)
def test_seeds(seed):
    with only_named_errors():
        assert Run(seed=seed).of_member(3).seed >= 0


_VERBS = [verb.__name__.rsplit(".", 1)[1] for verb in VERBS]
_ARGUMENTS = [
    "--out",
    "--seed",
    "--members",
    "--recipe",
    "--workers",
    "--targets",
    "--genome",
    "--force",
    "--level",
    "--epochs",
    "best",
    "0",
    "-1",
    "nan",
    "missing.h5",
    "/dev/null",
    "a=b",
]
_argument = some.one_of(some.sampled_from(_ARGUMENTS), plain_text)


@settings(max_examples=settings().max_examples // 5)
@given(some.sampled_from(_VERBS), some.lists(_argument, max_size=5))
def test_command_lines(verb, arguments):
    """No file that exists is named, so nothing can be done; the exit code and one line say so."""
    told = io.StringIO()
    with redirect_stderr(told), redirect_stdout(io.StringIO()):
        try:
            code = main([verb, *arguments])
        except SystemExit as ended:
            code = ended.code
    assert code in (0, 2)
    assert code == 0 or "error" in told.getvalue()
    assert "Traceback" not in told.getvalue()
