"""Misspelt names and missing files are refused before anything heavy is loaded."""

import json
import subprocess
import sys

import pytest

from degu_tf.cli.options import MODEL_NAMES
from degu_tf.models import registry

RUN = "expected the folder of a run. Received: none"
REFUSED = {
    "train none.h5 --out r": "expected an HDF5 file. Received: none.h5, which is no file",
    "train d.h5 --model deepstar --out r": "Did you mean deepstarr? Received: --model deepstar",
    "train d.h5 --model none.py:build --out r": "expected a file of Python. Received: none.py",
    "train d.h5 --model network.py:biuld --out r": "mean build? Received: --model network.py",
    "train d.h5 --init none.h5 --out r": "of a run. Received: none.h5, where there is nothing",
    "train d.h5 --config none.yaml --out r": "expected a yaml file. Received: none.yaml",
    "train d.h5 --log d.h5 --out r": "--log d.h5: expected a new log",
    "train d.h5 --members ten --out r": "--members: expected a whole number",
    "distill none d.h5 --out r": RUN,
    "distill d.h5 d.h5 --out r": "expected the folder of a run, or several models",
    "distill unfinished d.h5 --out r": "the run is unfinished; run the command that began it",
    "distill run none.h5 --out r": "expected an HDF5 file. Received: none.h5",
    "distill run d.h5 --init none --out r": "of a run. Received: none, where there is nothing",
    "distill run d.h5 --extra none.fa --out r": "expected a file of sequences. Received: none.fa",
    "evaluate none d.h5": RUN,
    "evaluate run none.h5": "expected an HDF5 file. Received: none.h5",
    "calibrate none d.h5": RUN,
    "calibrate run none.h5": "expected an HDF5 file. Received: none.h5",
    "predict none d.h5 --out p": RUN,
    "predict run none.fa --out p": "expected a file of sequences. Received: none.fa",
    "predict run --bed none --fasta d.h5 --out p": "expected a BED file. Received: none",
    "predict run --bed d.h5 --fasta none --out p": "expected a genome FASTA. Received: none",
    "predict run --bigwig --fasta none --out p": "expected a genome FASTA. Received: none",
    "predict run d.h5 --summit --out p": "expected --bed with --summit",
    "predict run d.h5 --aggregate mean --out p": "expected --stride with --aggregate",
    "explain run --bed none --fasta d.h5 --out p": "expected a BED file. Received: none",
    "mutagenize run d.h5 --pad flanks --out p": "expected --flanks",
    "explain none d.h5 --out p": RUN,
    "explain run none.fa --out p": "expected a file of sequences. Received: none.fa",
    "explain run d.h5 --head k562 --out p": "Did you mean K562? Received: --head k562",
    "explain run d.h5 --background none.fa --out p": "reference sequences. Received: none.fa",
    "mutagenize none d.h5 --out p": RUN,
    "mutagenize run d.h5 --head k562 --out p": "Did you mean K562? Received: --head k562",
    "mutagenize run none.fa --out p": "expected a file of sequences. Received: none.fa",
    "variants none --vcf d.h5 --fasta d.h5 --out o": RUN,
    "variants run --vcf none --fasta d.h5 --out o": "expected a VCF or BCF. Received: none",
    "variants run --vcf d.h5 --fasta none --out o": "expected a genome FASTA. Received: none",
    "export none o.keras": RUN,
    "convert none.h5 o.keras": "expected a file of weights. Received: none.h5",
    "convert d.h5 o.keras --model mpran": "Did you mean mprann? Received: --model mpran",
    "prepare table none.tsv --targets a --out o": "expected a table file. Received: none.tsv",
    "prepare lentimpra none.tsv --out o": "expected a table file. Received: none.tsv",
    "prepare lentimpra d.h5 --sequences none --out o": "expected a file of sequences. Received",
    "prepare starrseq none.tsv --out o": "Received: none.tsv, where there is nothing",
    "prepare atac none.fa --replicates a.bw b.bw --out o": "genome FASTA. Received: none.fa",
    "runs none": "expected a folder. Received: none",
    "reproduce": "expected names of figures, such as fig3 or all; --list shows them",
    "reproduce fi3": "Did you mean fig3? Received: fi3",
    "reproduce fig3 --data none.h5": "expected a file. Received: --data none.h5",
    "reproduce s5 --preset smoke --publish p": "for smoke judges nothing",
    "trian d.h5": "invalid choice: 'trian'",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command wrote on standard error, its exit code, and what was loaded by then."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "d.h5").write_bytes(b"\x89HDF")
    (folder / "network.py").write_text("import keras\ndef build(shape, n): ...\n")
    script = f"""
import contextlib, io, json, os, shlex, sys
from degu_tf import cli
from degu_tf.utils.run_folder import RunFolder
os.chdir({str(folder)!r})
for name in ("run", "unfinished"):
    RunFolder(name).begin({{"kind": "ensemble", "heads": {{"targets": ["K562", "WTC11"]}}}})
RunFolder("run").finish(n_members=2)
heavy = {{"tensorflow", "keras", "numpy", "pandas", "h5py", "pysam", "scipy", "requests"}}
for command in {list(REFUSED)!r}:
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = cli.main(shlex.split(command))
        except SystemExit as stop:
            code = stop.code
    print(json.dumps([command, code, err.getvalue(), sorted(heavy & set(sys.modules))]))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    return {command: (code, err, loaded) for command, code, err, loaded in rows}


@pytest.mark.parametrize("command", REFUSED)
def test_refused_before_anything_heavy_is_loaded(answers, command):
    code, err, loaded = answers[command]
    assert code == 2
    assert REFUSED[command] in err
    assert err.count("\n") == 1
    assert loaded == []


def test_names_of_architectures_are_those_of_the_registry():
    assert sorted(MODEL_NAMES) == sorted(set(registry.names()) - {"tiny"})
