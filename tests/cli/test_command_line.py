"""The command line as a whole: help, options refused, what ends a command."""

import argparse
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from command_line import degu

from degu_tf import cli
from degu_tf.cli import evaluate
from degu_tf.heads import FlooredUncertaintyWarning
from degu_tf.models import registry


def subparsers(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield child
                yield from subparsers(child)


PARSERS = {parser.prog: parser for parser in subparsers(cli.parser())}


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "notebooks" / "guide.md"]


ISSUE = """
degu prepare table T.tsv --sequence seq --targets HepG2_log2 K562_log2 --group group --out d.h5
degu train d.h5 --model deepstarr --members 10 --epochs 100 --fraction 0.25 --seed 0 --out runs/x
degu distill runs/x d.h5 --epochs 100 --out runs/y
degu evaluate runs/y d.h5
degu predict runs/y seqs.fa --out p.tsv
"""


def commands_in(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith("degu ")]


def test_the_verbs_and_sources_are_these():
    sources = ("table", "lentimpra", "starrseq", "atac", "simulate")
    verbs = ("prepare", "train", "distill", "export", "evaluate")
    verbs += ("calibrate", "predict", "explain", "variants", "mutagenize", "runs")
    verbs += ("fetch", "convert", "reproduce")
    assert set(PARSERS) == {f"degu {verb}" for verb in verbs} | {
        f"degu prepare {source}" for source in sources
    }


@pytest.mark.parametrize("prog", PARSERS)
def test_every_help_has_an_example_that_parses(prog):
    shown = degu(*prog.split()[1:], "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"usage: {prog} ")
    examples = commands_in(re.split("examples?:", shown.out)[1])
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[: len(prog.split())] == prog.split()
        cli.parser().parse_args(words[1:])


def test_examples_of_the_overview_the_readme_and_the_issue_parse():
    overview = commands_in(cli.parser().format_help())
    readme = commands_in("".join(page.read_text() for page in PAGES))
    verbs = set()
    for text in (overview, readme, commands_in(ISSUE)):
        assert len(text) >= 5
        for command in text:
            verbs.add(cli.parser().parse_args(shlex.split(command)[1:]).verb)
    expected = "prepare train distill export evaluate calibrate predict explain fetch convert "
    assert verbs == set((expected + "variants mutagenize runs reproduce").split())


@pytest.mark.parametrize("prog", PARSERS)
def test_help_shows_the_defaults_that_hold(prog):
    for action in PARSERS[prog]._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action.dest
        if action.option_strings and action.default not in (None, False, argparse.SUPPRESS):
            default = action.default
            text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert f"(default: {text})" in action.help


def test_help_of_every_verb_loads_nothing_heavy():
    script = f"""
import sys
from degu_tf import cli
for prog in {list(PARSERS)!r}:
    try:
        cli.main([*prog.split()[1:], "--help"])
    except SystemExit as stop:
        assert stop.code == 0, prog
heavy = "tensorflow keras pandas scipy matplotlib h5py numpy pysam yaml requests tqdm".split()
print("ended", sorted(set(heavy) & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == ["ended []"], ran.stderr
    assert ran.stdout.count("usage: degu ") == len(PARSERS)


def test_each_verb_runs_its_own_module(monkeypatch):
    called = []
    for verb in cli.VERBS:
        monkeypatch.setattr(verb, "run", lambda options, verb=verb: called.append(verb))
    commands = {
        "prepare": "simulate --out d", "train": "d --out r", "distill": "t d --out s",
        "export": "r o.keras", "evaluate": "r d", "calibrate": "r d", "predict": "r s --out p",
        "explain": "r s --out m", "variants": "r --vcf v --fasta g --out o",
        "mutagenize": "r s --out m", "runs": "x", "fetch": "--list", "convert": "i o.keras",
        "reproduce": "fig3",
    }  # fmt: skip
    for name, arguments in commands.items():
        assert degu(name, *arguments.split()).code == 0
        assert called[-1].__name__ == f"degu_tf.cli.{name}"
    assert called == list(cli.VERBS)


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


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "train d --out x --members 1",
            "--members: expected a whole number of at least 2. Rec",
        ),
        ("train d --out x --members 2.5", "of at least 2. Received: 2.5"),
        (
            "train d --out x --epochs 0",
            "--epochs: expected a whole number of at least 1. Rec",
        ),
        ("train d --out x --batch-size 0", "--batch-size: expected a whole number of at least 1"),
        ("train d --out x --steps-per-epoch -1", "--steps-per-epoch: expected a whole number"),
        ("train d --out x --patience -1", "--patience: expected a whole number of at least 0"),
        (
            "train d --out x --seed -1",
            "--seed: expected a whole number of at least 0.",
        ),
        ("train d --out x --workers 0", "--workers: expected a whole number of at least 1"),
        ("train d --out x --width 0", "--width: expected a positive number. Received: 0"),
        ("train d --out x --width nan", "--width: expected a positive number. Received: nan"),
        ("train d --out x --learning-rate inf", "--learning-rate: expected a positive number"),
        ("train d --out x --fraction 0", "--fraction: expected a number above 0 and at most 1"),
        ("train d --out x --fraction 2", "at most 1. Received: 2"),
        ("train d --out x --n-train 0", "--n-train: expected a whole number of at least 1"),
        ("train d --out x --n-train 5 --fraction 0.5", "not allowed with argument --n-train"),
        ("distill t d --out x --members 1", "--members: expected a whole number of at least 2"),
        (
            "distill t d --out x --epistemic-weight -1",
            "expected a number of at least 0",
        ),
        ("distill t d --out x --epistemic-form var", "invalid choice: 'var'"),
        ("distill t d --out x --augment nose", "--augment: expected none, off, or of evoaug"),
        ("distill t d --out x --labels dynamic", "invalid choice: 'dynamic'"),
        ("distill t d --out x --teacher-dtype half", "invalid choice: 'half'"),
        ("distill t d --out x --finetune-epochs 0", "--finetune-epochs: expected a whole number"),
        ("train d --out x --finetune-rate 0", "--finetune-rate: expected a positive number"),
        (
            "train d --out x --augment shuffle",
            "--augment: expected none, or of evoaug, mutagenesis",
        ),
        ("predict r s --out x --level 1.5", "--level: expected a number between 0 and 1. Rec"),
        ("predict r s --out x --level 95", "between 0 and 1. Received: 95"),
        ("predict r s --out x --level 1", "between 0 and 1. Received: 1"),
        ("predict r s --out x --split val", "invalid choice: 'val'"),
        ("calibrate r d --split train", "invalid choice: 'train'"),
        ("calibrate r d --component sigma", "invalid choice: 'sigma'"),
        ("calibrate r d --quantile finite_sample", "invalid choice: 'finite_sample'"),
        ("calibrate r d --bins 1", "--bins: expected a whole number of at least 2."),
        ("calibrate r d --level 95", "--level: expected a number between 0 and 1. Received: 95"),
        ("predict r s", "arguments are required: --out"),
        (
            "prepare simulate --out x --sizes 0 1 1",
            "--sizes: expected a whole number of at",
        ),
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


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "degu: interrupted; run the same command again to resume"),
        (FloatingPointError("diverged"), 2, "degu: error: diverged"),
        (OSError(28, "No space left on device"), 2, "degu: error: No space left on device"),
        (PermissionError(13, "Permission denied", "d.h5"), 2, "denied. Received: d.h5"),
    ],
)
def test_ends_without_a_traceback(monkeypatch, error, code, message):
    def fail(_):
        raise error

    monkeypatch.setattr(evaluate, "run", fail)
    result = degu("evaluate", "x", "d.h5")
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("without a number"), KeyError("k")])
def test_faults_of_the_program_keep_their_traceback(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(evaluate, "run", fail)
    with pytest.raises(type(error)):
        degu("evaluate", "x", "d.h5")


def test_a_closed_pipe_is_no_error():
    script = """
import sys
from degu_tf import cli
def run(options):
    for _ in range(100000):
        print("a line", flush=True)
cli.evaluate.run = run
sys.exit(cli.main(["evaluate", "x", "d.h5"]))
"""
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("a line\n", "")


def test_warnings_are_single_lines_shown_once(monkeypatch):
    def warn(_):
        for count in range(3):
            text = f"{count} of 9 epistemic standard deviations were below 1e-06"
            warnings.warn(text, FlooredUncertaintyWarning, stacklevel=2)
        warnings.warn("another", stacklevel=2)

    monkeypatch.setattr(evaluate, "run", warn)
    assert degu("evaluate", "x", "d.h5").err.splitlines() == [
        "degu: warning: 0 of 9 epistemic standard deviations were below 1e-06",
        "degu: warning: such warnings are shown once",
        "degu: warning: another",
    ]


def test_warnings_are_shown_the_usual_way_afterwards(monkeypatch):
    monkeypatch.setattr(evaluate, "run", lambda _: None)
    shown = warnings.showwarning
    assert cli.main(["evaluate", "x", "d.h5"]) == 0
    assert warnings.showwarning is shown
