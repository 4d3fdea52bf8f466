"""The command line as its user meets it: help, the whole way through, output, exit codes."""

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from degu_tf import cli
from degu_tf.cli import commands
from degu_tf.cli.training_options import asked_settings, asked_spec
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.zenodo import record as zenodo
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.distillation.teacher import has_bfloat16
from degu_tf.heads import FlooredUncertaintyWarning
from degu_tf.models import registry
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.sequences.encoding import decode, reverse_complement
from degu_tf.sequences.fasta import write_fasta
from degu_tf.training.augmentation.schemes import describe, scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings
from degu_tf.uncertainty.calibration import compare_intervals, load_calibration

SUFFIXES = ("", "_aleatoric", "_epistemic", "_total", "_lower", "_upper")
COLUMNS = ["name", *(f"{t}{s}" for t in ("Dev", "Hk") for s in SUFFIXES), "interval"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def degu(*arguments, terminal=False):
    """Run a command in this process; its exit code, standard output and standard error."""
    out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="default"),
    ):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def done(*arguments, terminal=False):
    """Run a command that has to succeed."""
    result = degu(*arguments, terminal=terminal)
    assert result.code == 0, result.err
    return result


def state(folder):
    """Every file of a folder with the time it was written."""
    return {file: file.stat().st_mtime_ns for file in Path(folder).rglob("*")}


def subparsers(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield child
                yield from subparsers(child)


PARSERS = {parser.prog: parser for parser in subparsers(cli.parser())}
README = Path(__file__).parents[2] / "README.md"
ISSUE = """
degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group --out d.h5
degu train d.h5 --model deepstarr --members 10 --epochs 100 --fraction 0.25 --seed 0 --out runs/x
degu distill runs/x d.h5 --epochs 100 --out runs/y
degu evaluate runs/y d.h5
degu predict runs/y seqs.fa --out p.tsv
"""


def commands_in(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith("degu ")]


# help


def test_the_verbs_and_sources_are_these():
    sources = ("table", "lentimpra", "starrseq", "atac", "simulate")
    verbs = ("prepare", "train", "distill", "export", "evaluate")
    verbs += ("calibrate", "predict", "explain", "variants", "mutagenize", "fetch", "convert")
    assert set(PARSERS) == {f"degu {verb}" for verb in verbs} | {
        f"degu prepare {source}" for source in sources
    }


@pytest.mark.parametrize("prog", PARSERS)
def test_every_help_has_an_example_that_parses(prog):
    shown = degu(*prog.split()[1:], "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"usage: {prog} ")
    examples = commands_in(shown.out.partition("example:")[2])
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[: len(prog.split())] == prog.split()
        cli.parser().parse_args(words[1:])


def test_examples_of_the_overview_the_readme_and_the_issue_parse():
    overview = commands_in(cli.parser().format_help())
    readme = commands_in(README.read_text())
    verbs = set()
    for text in (overview, readme, commands_in(ISSUE)):
        assert len(text) >= 5
        for command in text:
            verbs.add(cli.parser().parse_args(shlex.split(command)[1:]).verb)
    expected = "prepare train distill export evaluate calibrate predict explain fetch convert "
    assert verbs == set((expected + "variants mutagenize").split())


@pytest.mark.parametrize("prog", PARSERS)
def test_help_shows_the_defaults_that_hold(prog):
    for action in PARSERS[prog]._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action.dest
        if action.option_strings and action.default not in (None, False, argparse.SUPPRESS):
            default = action.default
            text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert f"(default: {text})" in action.help


def test_defaults_are_those_of_the_package():
    options = cli.parser().parse_args(["train", "d.h5", "--out", "x"])
    assert asked_settings(options) == TrainingSettings()
    options = cli.parser().parse_args(["train", "d.h5", "--out", "x", "--patience", "0"])
    assert asked_settings(options).patience is None
    text = PARSERS["degu train"].format_help()
    for name in ("epochs", "batch_size", "learning_rate", "patience"):
        assert f"(default: {getattr(TrainingSettings(), name)})" in " ".join(text.split())


@pytest.mark.parametrize("prog", ["degu train", "degu distill"])
def test_help_names_every_architecture(prog):
    text = PARSERS[prog].format_help()
    assert all(name in text for name in registry.names() if name != "tiny")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--help", 0),
        ("train --help", 0),
        ("calibrate --help", 0),
        ("--version", 0),
        ("train d.h5 --members 1 --out x", 2),
    ],
)
def test_help_and_misspelt_options_load_nothing_heavy(arguments, code):
    script = f"""
import sys
from degu_tf import cli
try:
    cli.main({arguments.split()!r})
except SystemExit as stop:
    heavy = {{"tensorflow", "keras", "pandas", "scipy", "matplotlib", "h5py", "numpy", "pysam"}}
    print("ended", stop.code, sorted(heavy & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == [f"ended {code} []"], ran.stderr


# options that are refused before anything is loaded


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train d --out x --members 1", "--members: expected a whole number from 2. Received: 1"),
        ("train d --out x --members 2.5", "from 2. Received: 2.5"),
        ("train d --out x --epochs 0", "--epochs: expected a whole number from 1. Received: 0"),
        ("train d --out x --batch-size 0", "--batch-size: expected a whole number from 1"),
        ("train d --out x --steps-per-epoch 0", "--steps-per-epoch: expected a whole number"),
        ("train d --out x --patience -1", "--patience: expected a whole number from 0"),
        ("train d --out x --seed -1", "--seed: expected a whole number from 0. Received: -1"),
        ("train d --out x --workers 0", "--workers: expected a whole number from 1"),
        ("train d --out x --width 0", "--width: expected a positive number. Received: 0"),
        ("train d --out x --width nan", "--width: expected a positive number. Received: nan"),
        ("train d --out x --learning-rate inf", "--learning-rate: expected a positive number"),
        ("train d --out x --fraction 0", "--fraction: expected a number above 0, at most 1"),
        ("train d --out x --fraction 2", "at most 1. Received: 2"),
        ("train d --out x --n-train 0", "--n-train: expected a whole number from 1"),
        ("train d --out x --n-train 5 --fraction 0.5", "not allowed with argument --n-train"),
        ("distill t d --out x --members 1", "--members: expected a whole number from 2"),
        ("distill t d --out x --epistemic-weight -1", "--epistemic-weight: expected a number from"),
        ("distill t d --out x --epistemic-form var", "invalid choice: 'var'"),
        ("distill t d --out x --augment noise", "invalid choice: 'noise'"),
        ("distill t d --out x --labels dynamic", "invalid choice: 'dynamic'"),
        ("distill t d --out x --teacher-dtype half", "invalid choice: 'half'"),
        ("distill t d --out x --finetune-epochs 0", "--finetune-epochs: expected a whole number"),
        ("train d --out x --finetune-rate 0", "--finetune-rate: expected a positive number"),
        ("train d --out x --augment shuffle", "invalid choice: 'shuffle'"),
        ("predict r s --out x --level 1.5", "--level: expected a number between 0 and 1. Rec"),
        ("predict r s --out x --level 95", "between 0 and 1. Received: 95"),
        ("predict r s --out x --level 1", "between 0 and 1. Received: 1"),
        ("predict r s --out x --split val", "invalid choice: 'val'"),
        ("calibrate r d --split train", "invalid choice: 'train'"),
        ("calibrate r d --component sigma", "invalid choice: 'sigma'"),
        ("calibrate r d --quantile finite_sample", "invalid choice: 'finite_sample'"),
        ("calibrate r d --bins 1", "--bins: expected a whole number from 2. Received: 1"),
        ("calibrate r d --level 95", "--level: expected a number between 0 and 1. Received: 95"),
        ("predict r s", "arguments are required: --out"),
        ("prepare simulate --out x --sizes 0 1 1", "--sizes: expected a whole number from 1"),
        ("prepare table t --out x", "one of the arguments --targets --replicates is required"),
        ("prepare lentimpra t --out x --activity a --replicates b c", "not allowed with argument"),
        ("prepare nowhere --out x", "invalid choice: 'nowhere'"),
        ("trian d --out x", "invalid choice: 'trian'"),
        ("", "required: VERB"),
    ],
)
def test_options_are_refused_in_one_line(command, message):
    result = degu(*command.split())
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert re.fullmatch(r"degu[a-z ]*: error: [^\n]+ \(see degu[a-z ]* --help\)\n", result.err)


# what ends a command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "degu: interrupted; the same command goes on where it stopped"),
        (FloatingPointError("diverged"), 2, "degu: error: diverged"),
        (OSError(28, "No space left on device"), 2, "degu: error: No space left on device"),
        (PermissionError(13, "Permission denied", "d.h5"), 2, "denied. Received: d.h5"),
    ],
)
def test_ends_without_a_traceback(monkeypatch, error, code, message):
    def fail(_):
        raise error

    monkeypatch.setattr(commands, "run", fail)
    result = degu("evaluate", "x", "d.h5")
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("without a number"), KeyError("k")])
def test_faults_of_the_program_keep_their_traceback(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(commands, "run", fail)
    with pytest.raises(type(error)):
        degu("evaluate", "x", "d.h5")


def test_a_closed_pipe_is_no_error():
    script = """
import sys, types
from degu_tf import cli
def run(options):
    for _ in range(100000):
        print("a line", flush=True)
sys.modules["degu_tf.cli.commands"] = types.SimpleNamespace(run=run)
import degu_tf
degu_tf.cli.commands = sys.modules["degu_tf.cli.commands"]
sys.exit(cli.main(["evaluate", "x", "d.h5"]))
"""
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("a line\n", "")


# the whole way through


def tiny(input_shape, heads, *, width=1.0):
    """An architecture that trains in a second."""
    sequence = keras.Input(input_shape)
    x = keras.layers.Conv1D(round(8 * width), 5, activation="relu", name="conv")(sequence)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(sequence, keras.layers.Dense(heads.n_columns, name="output")(x))


@pytest.fixture(scope="module")
def _tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.ARCHITECTURES, "tiny", tiny)
        yield


@pytest.fixture
def untrained(monkeypatch):
    """Models stay as they were built."""
    monkeypatch.setattr("degu_tf.training.train.fit", lambda *_, **__: pd.DataFrame({"epoch": [0]}))


TRAIN = ("--model", "tiny", "--members", 2, "--epochs", 2, "--learning-rate", 0.01)


@pytest.fixture(scope="module")
def work(tmp_path_factory, _tiny):
    """Data, teachers of half of them, their student, and what the commands said."""
    work = tmp_path_factory.mktemp("work")
    said = {
        "prepare": done(
            *("prepare", "simulate", "--sizes", 80, 20, 30, "--length", 32, "--seed", 1),
            *("--out", work / "d.h5"),
        ),
        "train": done(
            *("train", work / "d.h5", *TRAIN, "--width", 0.5, "--fraction", 0.5, "--quiet"),
            *("--out", work / "x"),
            terminal=True,
        ),
        "distill": done(
            *("distill", work / "x", work / "d.h5", "--epochs", 2, "--out", work / "y"),
            terminal=True,
        ),
    }
    return SimpleNamespace(folder=work, data=work / "d.h5", x=work / "x", y=work / "y", said=said)


@pytest.fixture
def inputs(work, tmp_path):
    """The test sequences as FASTA, table, HDF5 and intervals, in the arguments of `predict`."""
    test = read_splits(work.data).test
    strings, names = decode(test.sequences), [str(name) for name in test.names]
    records = zip(names, strings, strict=True)
    (tmp_path / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in records))
    pd.DataFrame({"name": names, "seq": strings}).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    length, genome = len(strings[0]), "".join(strings)
    (tmp_path / "genome.fa").write_text(f">chr1\n{genome}\n")
    starts = [row * length for row in range(len(names))]
    lines = (f"chr1\t{s}\t{s + length}\t{n}\n" for s, n in zip(starts, names, strict=True))
    (tmp_path / "s.bed").write_text("".join(lines))
    return {
        "fasta": [tmp_path / "s.fa"],
        "table": [tmp_path / "s.tsv"],
        "hdf5": [work.data],
        "bed": ["--bed", tmp_path / "s.bed", "--fasta", tmp_path / "genome.fa"],
    }


def settings(folder):
    return json.loads((folder / "settings.json").read_text())


def table(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])


def test_prepare_says_what_it_wrote(work):
    out = work.said["prepare"].out
    assert "80 train, 20 validation, 30 test; 32 bp; columns Dev, Hk, Dev_aleatoric" in out
    splits = read_splits(work.data)
    assert splits.heads.columns == ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric")
    assert [len(split) for _, split in splits.items()] == [80, 20, 30]


def test_train_makes_a_run_and_reports_it(work):
    assert "40 train, 20 validation, 30 test" in work.said["train"].out
    assert re.search(r"^single .*\nensemble ", work.said["train"].out, re.MULTILINE)
    assert settings(work.x)["subset"]["fraction"] == 0.5
    assert settings(work.x)["model"] == {"name": "tiny", "options": {"width": 0.5}, "init": None}
    assert Ensemble.load(work.x).n_members == 2


def test_students_take_the_teachers_training_subset_and_architecture(work):
    assert "40 train, 20 validation, 30 test" in work.said["distill"].out
    assert "trained on other data" not in work.said["distill"].out
    made = settings(work.y)
    assert made["subset"] == settings(work.x)["subset"]
    assert made["data"]["n_train"] == 40
    assert made["model"] == settings(work.x)["model"]
    assert made["teachers"]["fingerprint"] == Ensemble.load(work.x).fingerprint()
    assert made["heads"]["epistemic"] == "std"


def test_quiet_hides_the_bars_a_terminal_shows(work):
    assert "epochs" in work.said["distill"].err
    assert "members" not in work.said["train"].err
    assert "epochs" not in work.said["train"].err


def test_the_same_command_again_changes_nothing(work):
    before = state(work.folder)
    done("train", work.data, *TRAIN, "--width", 0.5, "--fraction", 0.5, "--out", work.x)
    done("distill", work.x, work.data, "--epochs", 2, "--out", work.y)
    assert state(work.folder) == before


def test_the_same_command_goes_on_with_an_interrupted_run(work, tmp_path):
    run = shutil.copytree(work.x, tmp_path / "x")
    weights = Ensemble.load(run).fingerprint()
    (run / "manifest.json").unlink()
    (run / "member_01" / "manifest.json").unlink()
    first = state(run / "member_00")
    command = ("train", work.data, *TRAIN, "--width", 0.5, "--fraction", 0.5, "--out", run)
    shown = done(*command, terminal=True)
    assert "members" in shown.err
    assert state(run / "member_00") == first
    assert Ensemble.load(run).fingerprint() == weights


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_evaluate_writes_what_it_shows(work, tmp_path):
    shown = done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv")
    metrics = pd.read_csv(tmp_path / "m.csv")
    assert set(metrics["method"]) == {"student", "single", "ensemble"}
    chosen = metrics.query("method == 'student' and target == 'Hk' and head == 'activity'")
    pearson = chosen.set_index("metric").loc["pearson", "value"]
    measured = read_splits(work.data).test
    predicted = open_run(work.y).predict(measured.sequences).mean[:, 1]
    assert pearson == pytest.approx(np.corrcoef(predicted, measured.targets[:, 1])[0, 1], abs=1e-5)
    assert f"{pearson:.3f}" in re.search(r"^student .*$", shown.out, re.MULTILINE)[0]
    other = done("evaluate", work.y, work.data, "--split", "validation")
    assert "Pearson r on validation" in other.out
    assert other.out != shown.out


def test_evaluate_does_not_overwrite(work, tmp_path):
    (tmp_path / "m.csv").write_text("mine")
    refused = degu("evaluate", work.y, work.data, "--out", tmp_path / "m.csv")
    assert refused.code == 2
    assert "--force replaces it" in refused.err
    assert (tmp_path / "m.csv").read_text() == "mine"
    done("evaluate", work.y, work.data, "--out", tmp_path / "m.csv", "--force")
    assert "pearson" in (tmp_path / "m.csv").read_text()


def test_evaluate_says_that_a_students_teachers_are_gone(work, tmp_path):
    run = shutil.copytree(work.y, tmp_path / "somewhere" / "y")
    shown = done("evaluate", run, work.data)
    assert "Its teachers are not where they were" in shown.out
    assert "ensemble" not in shown.out
    assert "Its teachers" not in done("evaluate", work.y, work.data).out


@pytest.mark.parametrize("kind", ["fasta", "table", "hdf5", "bed"])
@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_predictions_are_those_of_the_python_interface(work, inputs, tmp_path, kind):
    shown = done("predict", work.y, *inputs[kind], "--out", tmp_path / "p.tsv")
    assert f"Wrote {tmp_path / 'p.tsv'}: 30 predicted, interval: gaussian" in shown.out
    written = table(tmp_path / "p.tsv")
    assert written.columns.tolist() == COLUMNS
    test = read_splits(work.data).test
    assert written["name"].tolist() == [str(name) for name in test.names]
    assert set(written["interval"]) == {"gaussian"}
    prediction = open_run(work.y).predict(test.sequences)
    lower, upper = prediction.interval(0.95)
    values = (prediction.mean, prediction.aleatoric, prediction.epistemic, prediction.total)
    for suffix, expected in zip(SUFFIXES, (*values, lower, upper), strict=True):
        shown = written[[f"Dev{suffix}", f"Hk{suffix}"]]
        np.testing.assert_allclose(shown, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_strands_are_averaged(work, inputs, tmp_path):
    done("predict", work.x, *inputs["bed"], "--average-strands", "--out", tmp_path / "p.tsv")
    tokens = read_splits(work.data).test.sequences
    forward = open_run(work.x).predict(tokens)
    backward = open_run(work.x).predict(reverse_complement(tokens))
    written = table(tmp_path / "p.tsv")
    for suffix, part in (("", "mean"), ("_epistemic", "epistemic")):
        expected = (getattr(forward, part) + getattr(backward, part)) / 2
        np.testing.assert_allclose(written[f"Dev{suffix}"], expected[:, 0], rtol=1e-4, atol=1e-7)
    assert not np.allclose(written["Dev"], forward.mean[:, 0], rtol=1e-3)


def test_level_sets_the_width_of_the_interval(work, inputs, tmp_path):
    done("predict", work.y, *inputs["fasta"], "--level", 0.5, "--out", tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    half = (written["Dev_upper"] - written["Dev_lower"]) / 2
    np.testing.assert_allclose(half, 0.6744898 * written["Dev_total"], rtol=1e-2, atol=1e-6)


def test_output_exists_unless_forced(work, inputs, tmp_path):
    (tmp_path / "p.tsv").write_text("mine")
    refused = degu("predict", work.y, *inputs["fasta"], "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert "--force replaces it" in refused.err
    assert (tmp_path / "p.tsv").read_text() == "mine"
    done("predict", work.y, *inputs["fasta"], "--out", tmp_path / "p.tsv", "--force")
    assert table(tmp_path / "p.tsv").columns.tolist() == COLUMNS


@pytest.fixture
def uncalibrated(work, tmp_path):
    """A copy of the teachers' run."""
    return shutil.copytree(work.x, tmp_path / "run")


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_calibrated_runs_give_conformal_intervals(work, inputs, uncalibrated, tmp_path):
    run, out = uncalibrated, tmp_path / "p.tsv"
    done("predict", run, *inputs["fasta"], "--out", tmp_path / "before.tsv")
    shown = done("calibrate", run, work.data).out
    splits, calibrated = read_splits(work.data), load_calibration(run)
    table_shown = compare_intervals(calibrated, splits.test, splits.heads)
    factors = calibrated.conformal.factors()["factor"]
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["Wrote", str(run / "conformal.npz")]
    assert "Factor on the total uncertainty (Gaussian: 1.960)" in shown
    for target, factor in zip(("Dev", "Hk"), factors, strict=True):
        assert [target, "all", "20", f"{factor:.3f}"] in lines
        rows = table_shown[table_shown["target"] == target].set_index(["metric", "interval"])
        numbers = [
            f"{rows.loc[(metric, kind), 'value']:.3f}"
            for metric in ("coverage", "size")
            for kind in ("gaussian", "conformal")
        ]
        assert [target, *numbers] in lines
    assert "Intervals of 95 % on test (n=30)" in shown

    again = degu("calibrate", run, work.data)
    assert (again.code, again.out) == (2, "")
    assert "calibrated already; --force replaces it" in again.err

    shown = done("predict", run, *inputs["fasta"], "--level", 0.9, "--out", out).out
    assert "Conformal intervals of 90 %, calibrated on validation; --gaussian" in shown
    assert f"Wrote {out}: 30 predicted, interval: conformal" in shown
    written = table(out)
    assert written.columns.tolist() == COLUMNS
    assert set(written["interval"]) == {"conformal"}
    prediction = calibrated.predict(splits.test.sequences)
    lower, upper = calibrated.interval(prediction, 0.9)
    np.testing.assert_allclose(written[["Dev_lower", "Hk_lower"]], lower, rtol=1e-4)
    np.testing.assert_allclose(written[["Dev_upper", "Hk_upper"]], upper, rtol=1e-4)

    shown = done("predict", run, *inputs["fasta"], "--gaussian", "--out", out, "--force").out
    assert "interval: gaussian" in shown
    assert "onformal" not in shown
    assert table(out).equals(table(tmp_path / "before.tsv"))
    assert "Pearson r on test" in done("evaluate", run, work.data).out


@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_calibrations_that_do_not_fit_the_prediction(work, inputs, uncalibrated, tmp_path):
    run, out = uncalibrated, tmp_path / "p.tsv"
    strands = ("--average-strands", "--split", "test", "--quantile", "plain", "--bins", 2)
    shown = done("calibrate", run, work.data, *strands, "--level", 0.8).out
    assert "Intervals of 80 % on validation (n=20)" in shown
    assert shown.count(" 15 ") == 4
    assert load_calibration(run).conformal.quantile == "plain"
    refused = degu("predict", run, *inputs["fasta"], "--out", out)
    assert refused.code == 2
    assert "give --average-strands here" in refused.err
    averaged = ("predict", run, *inputs["fasta"], "--average-strands")
    refused = degu(*averaged, "--out", out)
    assert refused.code == 2
    assert "level 0.95 needs 19 calibration points or more in each bin" in refused.err
    assert not out.exists()
    assert "calibrated on test" in done(*averaged, "--level", 0.8, "--out", out).out
    done("predict", run, *inputs["fasta"], "--gaussian", "--out", out, "--force")
    done("calibrate", run, work.data, "--force")
    done("predict", run, *inputs["fasta"], "--out", out, "--force")


@pytest.mark.usefixtures("untrained")
def test_what_a_model_lacks_is_empty_and_said_once(work, inputs, tmp_path):
    """Activity-only teachers: their ensemble has no aleatoric column, one of them neither."""
    run = tmp_path / "run"
    arguments = ("--activity-only", "--n-train", 20, "--out", run)
    assert "columns Dev, Hk\n" in done("train", work.data, *TRAIN, *arguments).out
    assert settings(run)["data"]["n_train"] == 20
    ensemble = done("predict", run, *inputs["fasta"], "--out", tmp_path / "p.tsv")
    assert ensemble.out.count("This model gives no aleatoric uncertainty") == 1
    assert "no epistemic" not in ensemble.out
    written = table(tmp_path / "p.tsv")
    assert written.columns.tolist() == COLUMNS
    assert written[["Dev_aleatoric", "Hk_aleatoric"]].isna().all(axis=None)
    assert written.drop(columns=["Dev_aleatoric", "Hk_aleatoric"]).notna().all(axis=None)
    np.testing.assert_allclose(written["Dev_total"], written["Dev_epistemic"])

    single = done("predict", run / "member_00", *inputs["fasta"], "--out", tmp_path / "q.tsv")
    assert single.out.count("This model gives no ") == 2
    assert "interval: none" in single.out
    written = table(tmp_path / "q.tsv")
    assert set(written["interval"]) == {"none"}
    assert written[["name", "Dev", "Hk"]].notna().all(axis=None)
    assert written.drop(columns=["name", "Dev", "Hk", "interval"]).isna().all(axis=None)


def described(name):
    """A scheme as it is read from JSON."""
    return json.loads(json.dumps(describe(scheme(name))))


def test_distil_on_the_fly(work, tmp_path):
    run = tmp_path / "dynamic"
    arguments = ("--augment", "mutagenesis", "--append", "--teacher-dtype", "bfloat16")
    done(
        *("distill", work.x, work.data, "--epochs", 2, *arguments, "--finetune-epochs", 1),
        *("--batch-size", 20, "--quiet", "--out", run),
    )
    made = settings(run)
    assert made["augmentation"] == {
        "scheme": described("mutagenesis"),
        "labels": "teachers",
        "append": True,
        "teacher_dtype": "bfloat16" if has_bfloat16() else "float32",
    }
    assert (made["finetune"]["epochs"], made["finetune"]["learning_rate"]) == (1, 1e-4)
    assert made["finetune"]["batch_size"] == made["training"]["batch_size"] == 20
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert open_run(run).heads.epistemic == "std"
    refused = degu("distill", work.x, work.data, "--epochs", 2, *arguments[:2], "--out", run)
    assert refused.code == 2
    assert "already holds another run" in refused.err
    assert "augmentation.append" in refused.err


@pytest.mark.usefixtures("untrained")
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
@pytest.mark.parametrize(
    ("arguments", "name", "labels"),
    [
        ("--augment evoaug", "evoaug", "teachers"),
        ("--augment shuffle", "shuffle", "teachers"),
        ("--augment shuffle --labels static --append", "shuffle", "static"),
        ("--augment evoaug --labels static", "evoaug_one", "static"),
    ],
)
def test_schemes_and_labels(work, tmp_path, arguments, name, labels):
    done("distill", work.x, work.data, *arguments.split(), "--out", tmp_path / "y")
    made = settings(tmp_path / "y")
    assert made["augmentation"]["scheme"] == described(name)
    assert made["augmentation"]["labels"] == labels
    assert made["augmentation"]["append"] == ("--append" in arguments)
    assert ("teacher_dtype" in made["augmentation"]) == (labels == "teachers")
    assert "finetune" not in made


@pytest.mark.parametrize("option", ["--append", "--labels static", "--teacher-dtype bfloat16"])
def test_what_belongs_to_augmentation_needs_it(work, tmp_path, option):
    refused = degu("distill", work.x, work.data, *option.split(), "--out", tmp_path / "y")
    assert refused.code == 2
    assert f"{option.split()[0]} goes with --augment" in refused.err
    assert not (tmp_path / "y").exists()


@pytest.mark.usefixtures("untrained")
def test_teachers_are_augmented_once_a_minibatch(work, tmp_path):
    arguments = ("--augment", "evoaug", "--finetune-epochs", 3, "--finetune-rate", 1e-5)
    done("train", work.data, *TRAIN, *arguments, "--out", tmp_path / "x")
    for folder in (tmp_path / "x", tmp_path / "x" / "member_01"):
        made = settings(folder)
        assert made["augment"] == described("evoaug_one")
        assert (made["augment"]["fewest"], made["augment"]["most"]) == (1, 1)
        assert (made["finetune"]["epochs"], made["finetune"]["learning_rate"]) == (3, 1e-5)
    plain = degu("train", work.data, *TRAIN, "--out", tmp_path / "x")
    assert plain.code == 2
    assert "already holds another run" in plain.err


@pytest.mark.parametrize("run", ["y", "x/member_00"])
def test_export_writes_what_predicts_the_same(work, tmp_path, run):
    out = tmp_path / "folder" / "y.keras"
    shown = done("export", work.folder / run, out)
    predictor = open_run(work.folder / run)
    columns, n = ", ".join(predictor.heads.columns), predictor.model.count_params()
    assert f"Wrote {out}: columns {columns}; {n} -> {n} parameters" in shown.out
    tokens = read_splits(work.data).test.sequences
    exported = keras.models.load_model(out)
    x = np.eye(5, 4, dtype="float32")[tokens]
    np.testing.assert_allclose(exported.predict(x, verbose=0), predictor.columns(tokens), atol=1e-5)


def test_what_cannot_be_exported(work, tmp_path):
    (tmp_path / "y.keras").write_text("mine")
    refused = {
        (work.y, tmp_path / "y.keras"): "--force replaces it",
        (work.y, tmp_path / "y.h5"): "a file name ending .keras. Received:",
        (work.x, tmp_path / "x.keras"): f"name one, such as {work.x / 'member_00'}. Received:",
        (tmp_path, tmp_path / "x.keras"): "expected the folder of a run",
    }
    for arguments, message in refused.items():
        result = degu("export", *arguments)
        assert result.code == 2
        assert message in result.err
    assert [file.name for file in tmp_path.iterdir()] == ["y.keras"]
    assert (tmp_path / "y.keras").read_text() == "mine"
    done("export", work.y, tmp_path / "y.keras", "--force")
    keras.models.load_model(tmp_path / "y.keras")


@pytest.mark.usefixtures("untrained")
def test_a_student_can_be_another_and_smaller_one(work, tmp_path):
    arguments = ("--epochs", 1, "--fraction", 0.25, "--out", tmp_path / "small")
    done("distill", work.x, work.data, "--width", 0.25, *arguments)
    small, teacher = open_run(tmp_path / "small"), Ensemble.load(work.x).members[0]
    assert settings(tmp_path / "small")["model"]["name"] == "tiny"
    assert settings(tmp_path / "small")["data"]["n_train"] == 20
    assert small.model.count_params() < teacher.model.count_params()


def test_another_architecture_does_not_take_the_teachers_options():
    teachers = ModelSpec("tiny", {"width": 0.5}, "first.keras")

    def student(*arguments):
        given = cli.parser().parse_args(["distill", "x", "d.h5", "--out", "y", *arguments])
        return asked_spec(teachers, given)

    assert student() == ModelSpec("tiny", {"width": 0.5})
    assert student("--width", "0.25") == ModelSpec("tiny", {"width": 0.25})
    assert student("--init", "a.keras") == ModelSpec("tiny", {"width": 0.5}, "a.keras")
    assert student("--model", "mprann") == ModelSpec("mprann")
    assert student("--model", "mprann", "--width", "2") == ModelSpec("mprann", {"width": 2.0})


@pytest.mark.usefixtures("untrained")
def test_members_start_from_the_weights_of_members(work, tmp_path):
    train = ("train", work.data, *TRAIN, "--width", 0.5)
    done(*train, "--init", work.x, "--out", tmp_path / "z")
    given, begun = Ensemble.load(work.x).members, Ensemble.load(tmp_path / "z").members
    fingerprints = [member.fingerprint() for member in given]
    assert [member.fingerprint() for member in begun] == fingerprints
    assert fingerprints[0] != fingerprints[1]
    assert settings(tmp_path / "z")["model"]["init"] == str(work.x)


CONFIG = """
batch_size: {desc: Sequences in a step, value: 16}
optim_lr: {desc: Learning rate, value: 0.02}
epochs: {desc: Passes, value: 3}
lr_decay: {desc: Decay, value: true}
lr_decay_factor: {desc: Factor, value: 0.3}
downsample: {desc: Share of the data, value: 0.5}
evoaug: {desc: Augmented, value: true}
lstm_hidden_channels: {desc: Units, value: 4}
"""


@pytest.mark.usefixtures("untrained")
def test_a_configuration_holds_where_no_option_says_otherwise(work, tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    train = ("train", work.data, "--members", 2, "--width", 0.02, "--config", tmp_path / "c.yaml")
    shown = done(*train, "--epochs", 7, "--out", tmp_path / "a")
    assert "which has no effect here: evoaug=True" in shown.out
    made = settings(tmp_path / "a")
    assert made["model"] == {
        "name": "dream_rnn",
        "options": {"variant": "released", "lstm_units": 4, "width": 0.02},
        "init": None,
    }
    assert made["subset"]["fraction"] == 0.5
    assert made["data"]["n_train"] == 40
    expected = {"epochs": 7, "batch_size": 16, "learning_rate": 0.02, "lr_factor": 0.3}
    assert expected.items() <= made["training"].items()
    other = ("--model", "deepstarr", "--n-train", 10, "--batch-size", 5, "--patience", 0)
    done(*train, *other, "--out", tmp_path / "b")
    made = settings(tmp_path / "b")
    assert made["model"] == {"name": "deepstarr", "options": {"width": 0.02}, "init": None}
    assert (made["subset"]["fraction"], made["data"]["n_train"]) == (None, 10)
    assert (made["training"]["batch_size"], made["training"]["patience"]) == (5, None)


def test_convert_writes_the_model_and_prints_its_card(tmp_path):
    source, out = tmp_path / "1_lentiMPRA.weights.h5", tmp_path / "k562.keras"
    model = registry.build("residualbind", (230, 4), columns_layout(2), width=0.03)
    model.save_weights(source)
    refused = degu("convert", source, out)
    assert refused.code == 2
    assert "may mean several things: give heads" in refused.err
    heads = ("--targets", "K562", "--aleatoric", "log_variance")
    shown = done("convert", source, out, *heads, "--length", 230)
    assert shown.out == out.with_suffix(".txt").read_text()
    assert re.search("^output +K562, K562_aleatoric$", shown.out, re.MULTILINE)
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["architecture"], card["input_length"]) == ("residualbind", 230)
    converted = keras.models.load_model(out, compile=False)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, 230))]
    np.testing.assert_array_equal(converted(x), model(x))

    write_fasta(tmp_path / "s.fa", ["a", "b"], decode(x.argmax(axis=-1).astype(np.uint8)))
    predicted = ("predict", out, tmp_path / "s.fa", "--out")
    done(*predicted, tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    np.testing.assert_allclose(written["K562"], model(x)[:, 0], rtol=1e-4)
    expected = np.exp(model(x)[:, 1] / 2)
    np.testing.assert_allclose(written["K562_aleatoric"], expected, rtol=1e-4)
    shutil.copy(out, tmp_path / "other.keras")
    assert (
        "may mean several things"
        in degu("predict", tmp_path / "other.keras", *predicted[2:], tmp_path / "q.tsv").err
    )

    before = state(tmp_path)
    assert "not overwritten" in degu("convert", source, out, *heads).err
    assert "go with --targets" in degu("convert", source, out, "--aleatoric", "std").err
    assert (
        "no known architecture" in degu("convert", source, out, "--model", "mprann", "--force").err
    )
    assert state(tmp_path) == before
    assert done("convert", source, out, *heads, "--force", "--model", "residualbind").code == 0


@pytest.fixture
def record(monkeypatch, tmp_path):
    """A record of two files; what is asked of it is noted instead of done."""
    asked = SimpleNamespace(calls=[])
    archive = tmp_path / "there" / "data.tar.gz"
    archive.parent.mkdir()
    (tmp_path / "1_DeepSTARR.h5").write_text("weights")
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "1_DeepSTARR.h5", "weights/1_DeepSTARR.h5")
    files = (
        zenodo.RecordFile("config.yaml", 20, "md5:00", "https://zenodo.org/a"),
        zenodo.RecordFile("data.tar.gz", 2_500_000, "md5:00", "https://zenodo.org/b"),
    )

    def read_record(number):
        asked.number = number
        return zenodo.Record(7, "Models", "", files)

    def fetch(names, match, folder, *, record, progress):
        asked.calls.append((names, match, folder, progress))
        return [archive]

    monkeypatch.setattr(zenodo, "read_record", read_record)
    monkeypatch.setattr(zenodo, "fetch", fetch)
    return asked


def test_fetch_lists_and_fetches(record, tmp_path):
    shown = done("fetch", "--list")
    assert shown.out.splitlines() == [
        "Models (Zenodo record 7)", "    20 B  config.yaml", "  2.5 MB  data.tar.gz",
        "2 files, 2.5 MB",
    ]  # fmt: skip
    assert record.calls == []
    assert record.number == zenodo.DOI
    archive = tmp_path / "there" / "data.tar.gz"
    shown = done("fetch", "data.tar.gz", "--match", "*.yaml", "*.h5", "--record", 12, "--quiet")
    assert shown.out == f"{archive}\n"
    assert record.number == "12"
    shown = done("fetch", "--match", "*", "--out", "here", "--unpack")
    assert shown.out.endswith(f"  1 files unpacked into {archive.parent}\n")
    assert (archive.parent / "weights" / "1_DeepSTARR.h5").read_text() == "weights"
    assert record.calls == [
        (["data.tar.gz"], ["*.yaml", "*.h5"], None, False), ([], ["*"], "here", None)
    ]  # fmt: skip


def test_warnings_are_single_lines_shown_once(monkeypatch):
    def warn(_):
        for count in range(3):
            text = f"{count} of 9 epistemic standard deviations were below 1e-06"
            warnings.warn(text, FlooredUncertaintyWarning, stacklevel=2)
        warnings.warn("another", stacklevel=2)

    monkeypatch.setitem(commands._VERBS, "evaluate", warn)
    assert degu("evaluate", "x", "d.h5").err.splitlines() == [
        "degu: warning: 0 of 9 epistemic standard deviations were below 1e-06",
        "degu: warning: such warnings are shown once",
        "degu: warning: another",
    ]


def test_warnings_are_shown_the_usual_way_afterwards(monkeypatch):
    monkeypatch.setitem(commands._VERBS, "evaluate", lambda _: None)
    shown = warnings.showwarning
    assert cli.main(["evaluate", "x", "d.h5"]) == 0
    assert warnings.showwarning is shown


# in processes of their own


def program(*arguments, folder):
    command = [sys.executable, "-m", "degu_tf.cli", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    chatter = "cuda|onednn|absl|E0000|TensorRT|optimi[sz]ed to use|Traceback"
    assert not re.search(chatter, ran.stdout + ran.stderr, re.IGNORECASE), ran.stderr
    assert all(re.match("degu: (warning|error): ", line) for line in ran.stderr.splitlines())
    return ran


@pytest.mark.slow
def test_workers_train_the_same_members_without_chatter(tmp_path):
    done("prepare", "simulate", "--sizes", 40, 10, 10, "--length", 32, "--out", tmp_path / "d.h5")
    train = ("train", "d.h5", "--members", 2, "--width", 0.02, "--epochs", 1, "--seed", 3)
    alone = program(*train, "--out", "a", folder=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "2 members in a" in alone.stdout
    parallel = program(*train, "--workers", 2, "--out", "b", folder=tmp_path)
    assert parallel.returncode == 0, parallel.stderr
    runs = [Ensemble.load(tmp_path / name) for name in "ab"]
    for one, other in zip(*(run.members for run in runs), strict=True):
        for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    (tmp_path / "b" / "manifest.json").unlink()
    other = tmp_path / "b" / "member_01"
    (other / "manifest.json").unlink()
    (other / "settings.json").write_text(json.dumps({**settings(other), "seed": 0}))
    refused = program(*train, "--workers", 2, "--out", "b", folder=tmp_path)
    assert refused.returncode == 2
    assert "degu: error: the output folder already holds another run" in refused.stderr
