"""Messages of the library in options of the command line."""

import pytest
from command_line import degu

from degu_tf import cli
from degu_tf.cli.options import flags_of
from degu_tf.cli.output import with_flags


def flags(command):
    return flags_of(cli.parser().parse_args(command.split()).parser)


TRAIN = flags("train d --out x")
DISTILL = flags("distill t d --out x")
TABLE = flags("prepare table t --targets a --out x")
PREDICT = flags("predict r s --out x")
CONVERT = flags("convert a b")


@pytest.mark.parametrize(
    ("verb", "message", "expected"),
    [
        (TRAIN, "there are 40. Received: n_train=99", "there are 40. Received: --n-train 99"),
        (TRAIN, "fraction=0.001 of 40 leaves none", "--fraction 0.001 of 40 leaves none"),
        (TRAIN, "one of a, b. Received: name='c'", "one of a, b. Received: --model c"),
        (TRAIN, "batch_size must be 1. Rec", "--batch-size must be 1. Rec"),
        (TRAIN, "leave out targets=. Received: x", "leave out --targets. Received: x"),
        (TRAIN, "Received: targets=('A', 'B')", "Received: --targets A B"),
        (TRAIN, "with targets=, as in targets=('A',)", "with --targets, as in --targets A"),
        (TRAIN, "learning_rate=1e-05.", "--learning-rate 1e-05."),
        (TRAIN, "loss='poisson' is not", "loss='poisson' is not"),
        (DISTILL, "name the student's (spec=...)", "name the student's (--model)"),
        (DISTILL, "labels='static', append=True", "--labels static, --append"),
        (DISTILL, "Received: append=False", "Received: no --append"),
        (DISTILL, "Received: n_members=7", "Received: --members 7"),
        (TABLE, "min_replicates=1, aleatoric=True", "--min-replicates 1, no --activity-only"),
        (TABLE, "give aleatoric=False", "give --activity-only"),
        (TABLE, "or with drop_missing=True. Rec", "or with --drop-missing. Rec"),
        (TABLE, "no value in 'batch_size', name='x'", "no value in 'batch_size', --name x"),
        (PREDICT, "Received: average_strands=False", "Received: no --average-strands"),
        (CONVERT, "Received: input_length=None", "Received: no --length"),
        (CONVERT, "Received: architecture=None", "Received: no --model"),
        (CONVERT, "Received: length=31, out/targets=a", "Received: --length 31, out/targets=a"),
        ({}, "Received: n_train=99, batch_size", "Received: n_train=99, batch_size"),
    ],
)
def test_arguments_become_options_of_the_verb(verb, message, expected):
    assert with_flags(message, verb) == expected


def test_the_command_line_says_flags(work, tmp_path):
    refused = degu("train", work.data, "--n-train", 999, "--out", tmp_path / "x")
    assert "Received: --n-train 999" in refused.err
    refused = degu("distill", work.x, work.data, "--members", 7, "--out", tmp_path / "x")
    assert "the run has 2 members. Received: --members 7" in refused.err
    refused = degu("predict", work.y, work.data, "--targets", "A", "B", "--out", tmp_path / "p")
    assert "leave out --targets. Received: --targets A B" in refused.err
    assert not list(tmp_path.iterdir())
