"""What a user may do wrong: one line that says so, exit code 2, and not a file changed."""

import contextlib
import gzip
import io
import json
import os
import re
import shlex
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from degu_tf import cli
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.heads import HeadLayout
from degu_tf.utils.files import file_hash

LENGTH = 32
GOOD = "ACGTTGCA" * 4


@pytest.fixture
def here(tmp_path, monkeypatch, teachers, student_run, splits):
    """A working folder: data `d.h5`, teachers `x` and a student `y` of them, sequences `s.fa`."""
    monkeypatch.chdir(tmp_path)
    write_splits("d.h5", splits)
    shutil.copytree(teachers.folder, "x")
    shutil.copytree(student_run, "y")
    Path("s.fa").write_text(f">a\n{GOOD}\n")
    return tmp_path


def state(folder):
    """Every file and folder, with the content of files."""
    return {path: path.is_file() and file_hash(path) for path in Path(folder).rglob("*")}


def refused(command, message):
    """Run a command that must fail with this message (a pattern) and leave everything as it was."""
    before = state(".")
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="ignore"),
    ):
        code = cli.main(shlex.split(command))
    assert code == 2, err.getvalue()
    assert re.fullmatch(r"degu: error: [^\n]+\n", err.getvalue())
    assert re.search(message, err.getvalue()), err.getvalue()
    assert "Wrote" not in out.getvalue()
    assert state(".") == before


def change(path, function):
    """Let a function change an HDF5 file."""
    with h5py.File(path, "r+") as file:
        function(file)


def put(file, name, values):
    del file[name]
    file[name] = values


# data


def hole(file):
    file["train/targets"][3, 1] = np.nan


def fewer_rows(file):
    put(file, "test/targets", file["test/targets"][:-1])


def no_validation(file):
    del file["validation"]


def no_targets(file):
    del file["test/targets"]


def unknown_token(file):
    put(file, "train/sequences", file["train/sequences"][()] + 3)


def other_length(file):
    put(file, "test/sequences", file["test/sequences"][:, :-1])


def no_heads(file):
    del file.attrs["heads"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (hole, r"d\.h5: train: targets must be finite; 1 rows are not.*nan.* in row 3"),
        (fewer_rows, r"d\.h5: test: expected one row for each of the \d+ sequences.*test/targets"),
        (no_validation, "sequences of validation, targets of validation are missing"),
        (no_targets, "targets of test are missing"),
        (unknown_token, r"d\.h5: train: .*tokens"),
        (other_length, r"expected equal sequences.* train/.*, 32\), test/sequences of .*, 31\)"),
        (no_heads, "the root attribute heads is missing or damaged"),
    ],
)
@pytest.mark.usefixtures("here")
def test_damaged_data(damage, message):
    change("d.h5", damage)
    refused("train d.h5 --members 2 --out r", message)


@pytest.mark.usefixtures("here")
def test_files_that_are_no_data():
    content = Path("d.h5").read_bytes()
    Path("d.h5").write_bytes(content[: len(content) // 2])
    refused("train d.h5 --out r", r"d\.h5: expected a whole HDF5 file; this one is cut off")
    for content in (b"", b"name\tseq\na\tACG\n"):
        Path("d.h5").write_bytes(content)
        refused("train d.h5 --out r", r"d\.h5: expected an HDF5 file")
    for path in ("none.h5", "x", "."):
        refused(f"train {path} --out r", f"HDF5 file. Received: {re.escape(path)}, which is no")
    refused("evaluate y s.fa", r"s\.fa: expected an HDF5 file")


# sources


TABLE = "name\tseq\tv\tr1\tr2\tpart\n" + "".join(
    f"n{row}\t{bases * 8}\t{row}\t{row}\t{row + 1}\t{part}\n"
    for row, (bases, part) in enumerate(
        [("ACGT", "train"), ("AACC", "train"), ("AGAG", "val"), ("TTAC", "val"), ("GGCA", "test")]
    )
)


@pytest.mark.parametrize(
    ("old", "new", "options", "message"),
    [
        ("n1\tAACC", "n1\tAAXC", "--targets v", "'X' at position 2 of record 'row 2 .n1.'"),
        (
            "n1\tAACC",
            "n1\tAAC",
            "--targets v",
            "of one length, 32 bases.*31 bases in record 'row 2 .n1.'",
        ),
        ("\t3\t3\t4", "\tnan\t3\t4", "--targets v", "no value in column 'v' of row 4"),
        ("\t3\t3\t4", "\tlow\t3\t4", "--targets v", "in column 'v'. Received: 'low' in row 4"),
        ("\t3\t3\t4", "\tinf\t3\t4", "--targets v", "in column 'v'. Received: 'inf' in row 4"),
        ("", "", "--targets V1", r"\['V1'\] are not in t\.tsv\. Closest to 'V1' is 'v'"),
        ("", "", "--targets v --sequence Seq", "Closest to 'Seq' is 'seq'"),
        ("", "", "--targets v --name id", r"\['id'\] are not in t\.tsv"),
        ("", "", "--targets v --group id", r"\['id'\] are not in t\.tsv"),
        ("", "", "--targets name", "numbers in column 'name'. Received: .* in row 1"),
        ("", "", "--targets v v", "list of different columns"),
        ("", "", "--targets v --min-replicates 3", "goes with --replicates. Received: --targets"),
        (
            "",
            "",
            "--replicates r1,r2",
            "TARGET=COLUMN,COLUMN.*Received: 'r1,r2'",
        ),
        ("", "", "--replicates a=r1,r2 a=r1,v", "each target once. Received: 'a=r1,v'"),
        ("", "", "--replicates a=r1", "at least 2 different columns of replicates for 'a'"),
        ("", "", "--replicates a=r1,r2 --min-replicates 1", "must be 2 or more"),
        ("\tval\n", "\tdev\n", "--targets v --split part", "Received: 'dev' in row 3"),
        ("\ttest\n", "\ttrain\n", "--targets v --split part", "Received: no rows of test"),
        ("", "", "--targets v --fractions 0.8 0.1 0.2", "with the sum 1"),
        (TABLE[TABLE.index("\n") + 1 :], "", "--targets v", "rows below the header"),
        (TABLE, "", "--targets v", r"not in t\.tsv"),
    ],
)
def test_tables(tmp_path, monkeypatch, old, new, options, message):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(TABLE.replace(old, new) if old else TABLE)
    refused(f"prepare table t.tsv {options} --out d.h5", message)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "prepare table none.tsv --targets v --out d.h5",
            "expected a table file. Received: none.tsv, which is no file",
        ),
        (
            "prepare table . --targets v --out d.h5",
            r"expected a table file\. Received: \., which is no file",
        ),
        ("prepare table t.tsv --targets v --out t.tsv", "other than the inputs.*Received: t.tsv"),
        (
            "prepare table t.tsv --targets v --out . --force",
            r"Received: \., a folder",
        ),
        (
            "prepare table t.tsv --targets v --out '' --force",
            r"Received: \., a folder",
        ),
        ("prepare table t.tsv --targets v --out t.tsv/d.h5", "t.tsv is no folder"),
        ("prepare simulate --length 5 --out d.h5", "length must be a whole number, 14 or more"),
        ("prepare lentimpra t.tsv --out d.h5", r"\['replicate 1 .*not in t\.tsv"),
        ("prepare starrseq t.tsv --out d.h5", "expected a column 'set'"),
        ("prepare starrseq . --out d.h5", "Sequences_activity_Train.txt.*neither exists"),
    ],
)
def test_sources(tmp_path, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    Path("t.tsv").write_text(TABLE)
    refused(command, message)


# training and distilling


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model deepstar", "Did you mean deepstarr.*Received: --model deepstar"),
        ("--model transformer", "one of the architectures cnn_task_base, deepstarr, dream_rnn, "),
        ("--fraction 0.001", "--fraction 0.001 of .* training sequences leaves none"),
        ("--n-train 99999", "expected 1 to .* training sequences.*Received: --n-train 99999"),
        ("--targets A B", r"its columns are \('Dev', 'Hk', .*Received: --targets A B"),
        ("--init none.keras", "file of weights or the folder of a run. Received: none.keras"),
        ("--init d.h5", "d.h5: expected weights as Keras saves them"),
        ("--init .", r"file of weights or the folder of a run. Received: \."),
        ("--init x", "x/member_00/model.keras: the file's model computes something else"),
        ("--init y --workers 2", "y/model.keras: the file's model computes something else"),
    ],
)
@pytest.mark.usefixtures("here")
def test_training_options(options, message):
    refused(f"train d.h5 --members 2 --epochs 1 --width 0.02 {options} --out r", message)


@pytest.mark.usefixtures("here")
def test_sequences_too_short_for_the_architecture(make_splits):
    write_splits("short.h5", make_splits(length=15))
    refused("train short.h5 --out r", "deepstarr takes sequences of at least 16 bases")


@pytest.mark.usefixtures("here")
def test_output_folders():
    train = "train d.h5 --members 2 --epochs 1"
    refused(f"{train} --out x", "already holds another run.*Received: x .*holds")
    refused(f"{train} --out y", "already holds another run.*Received: y .*kind: holds 'student'")
    refused(f"{train} --out .", r"holds files that do not belong to a run.*Received: \.")
    refused(f"{train} --out s.fa", "expected an output folder. Received: s.fa, a file")
    refused(f"{train} --out s.fa/r", "--out s.fa/r: .*s.fa is no folder")
    Path("y/manifest.json").unlink()
    refused(f"{train} --out y", "already holds another run")
    refused("distill x d.h5 --epochs 1 --out x", "already holds another run.*holds 'ensemble'")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("distill none d.h5", "expected the folder of a run. Received: none"),
        ("distill d.h5 x", "expected the folder of a run, or several models.*Received: d.h5"),
        ("distill y d.h5", "expected an ensemble's run. Received: y"),
        ("distill x d.h5 --members 7", "the run has 2 members. Received: --members 7"),
        ("distill x d.h5 --model mpran", "Did you mean mprann"),
        ("distill x d.h5 --recipe paper --init x", "output of deepstarr has arrays of shapes"),
        ("distill x d.h5 --init x", "computes something else than deepstarr"),
        ("distill x other.h5", r"teachers predict \('Dev', 'Hk'\).*targets \('A', 'B'\)"),
        ("distill x long.h5", "takes sequences of 32 bases. Received: 40 bases"),
    ],
)
@pytest.mark.usefixtures("here")
def test_distilling(splits, make_splits, command, message):
    write_splits("other.h5", replace(splits, heads=HeadLayout(("A", "B"), aleatoric="std")))
    write_splits("long.h5", make_splits(("Dev", "Hk"), aleatoric="std", length=40))
    refused(f"{command} --epochs 1 --out r", message)


def test_nothing_in_a_file_of_weights_is_executed(here):
    """A Lambda layer that would leave a file behind if it ran."""
    sign = str(here / "executed")
    sequence = keras.Input((LENGTH, 4))
    layer = keras.layers.Lambda(lambda x: (open(sign, "w").close(), x)[1])
    output = keras.layers.Dense(4)(keras.layers.Flatten()(layer(sequence)))
    keras.Model(sequence, output).save("evil.keras")
    os.remove(sign)
    for command in ("train d.h5 --members 2", "distill x d.h5"):
        refused(
            f"{command} --init evil.keras --out r", r"evil\.keras: the model holds a Lambda layer"
        )
    assert not os.path.exists(sign)


# evaluating and predicting


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate none d.h5", "expected the folder of a run. Received: none"),
        ("evaluate y none.h5", "expected an HDF5 file. Received: none.h5, which is no file"),
        ("evaluate y d.h5 --out s.fa", "already exists, overwrite it with --force"),
        ("evaluate y d.h5 --out y", "an output file. Received: y, a folder"),
        ("evaluate y other.h5", r"prediction of \('A', 'B'\).*Received: \('Dev', 'Hk'\)"),
        ("evaluate x long.h5", "takes sequences of 32 bases. Received: 40 bases"),
    ],
)
@pytest.mark.usefixtures("here")
def test_evaluating(splits, make_splits, command, message):
    write_splits("other.h5", replace(splits, heads=HeadLayout(("A", "B"), aleatoric="std")))
    write_splits("long.h5", make_splits(("Dev", "Hk"), aleatoric="std", length=40))
    refused(command, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f">a\n{GOOD}\n>b\n{GOOD[1:]}\n", "takes sequences of 32 bases.* 31 bases in record 'b'"),
        (f">a\n{GOOD}\n>b\nAX{GOOD[2:]}\n", "'X' at position 1 of record 'b'"),
        (f">a\n{GOOD}\n>b\n>c\n{GOOD}\n", "Received: an empty sequence in record 'b'"),
        (f"@a\n{GOOD}\n+\n{'I' * LENGTH}\n", "starts with '>'; convert FASTQ"),
        (f"name\tSeq\na\t{GOOD}\n", "Closest to 'seq' is 'Seq'"),
        (f"{GOOD}\n{GOOD}\n", r"\['seq'\] are not in q"),
        ("", "Received: q, which is empty"),
        (gzip.compress(f">a\n{GOOD}\n".encode(), mtime=0)[:-5], "expected a whole"),
        (bytes(range(200, 256)), "expected a whole table"),
    ],
)
@pytest.mark.usefixtures("here")
def test_sequences_to_predict(content, message):
    Path("q").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused("predict y q --out p.tsv", message)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict y none.fa", "expected a file of sequences. Received: none.fa, which is no file"),
        ("predict y x", "Received: x, which is no file"),
        ("predict s.fa y", "expected a file of sequences. Received: y, which is no file"),
        ("predict y", "a file of sequences, or --bed with --fasta. Received: neither"),
        ("predict y s.fa --bed b.bed --fasta s.fa", "Received: both"),
        ("predict y --bed b.bed", "--bed FILE and --fasta GENOME together"),
        ("predict y s.fa --fasta s.fa", "--bed FILE and --fasta GENOME together"),
        (
            "predict y long.h5",
            "takes sequences of 32 bases.*--resize.*--stride. Received: 40 bases in each of 40 seq",
        ),
        ("predict y d.h5 --targets A B", "leave out --targets"),
    ],
)
@pytest.mark.usefixtures("here")
def test_predicting(make_splits, command, message):
    write_splits("long.h5", make_splits(length=40))
    refused(f"{command} --out p.tsv", message)


@pytest.mark.parametrize("out", ["s.fa", "x --force", ". --force", "s.fa/p.tsv"])
@pytest.mark.usefixtures("here")
def test_output_is_checked_before_anything_is_read(out):
    refused(f"predict none none.fa --out {out}", "already exists|an output file")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t40\t72", "line 1 of b.bed: the interval must lie within chr1, which has 64 bases"),
        ("chrX\t0\t32", r"line 1 of b.bed: the genome has no contig 'chrX'\. Received: g\.fa with"),
        ("chr1\t0\t33", "line 1 of b.bed: .*of 32 bases; .*--resize.*--stride. Received: 33 bases"),
        ("chr1\tx\ty", "line 1 of b.bed: expected chromosome, start and end"),
        ("", "expected intervals. Received: none in b.bed"),
    ],
)
@pytest.mark.usefixtures("here")
def test_intervals(line, message):
    Path("b.bed").write_text(f"{line}\n")
    Path("g.fa").write_text(f">chr1\n{GOOD}{GOOD}\n")
    Path("g.fa.fai").write_text("chr1\t64\t6\t64\t65\n")
    refused("predict y --bed b.bed --fasta g.fa --out p.tsv", message)
    refused("predict y --bed b.bed --fasta none.fa --out p.tsv", "none.fa, which is no file|b.bed")


# runs that are not whole


def cut_short(run):
    (run / "manifest.json").unlink()


def tampered(run):
    with open(run / "model.keras", "ab") as file:
        file.write(b"x")


def model_gone(run):
    (run / "model.keras").unlink()


def unreadable(run):
    (run / "settings.json").write_text("{not json")


def binary(run):
    (run / "settings.json").write_bytes(bytes(range(200, 256)))


def of_another_program(run):
    (run / "settings.json").write_text('{"theme": "dark"}')


def a_list(run):
    (run / "settings.json").write_text("[1, 2]")


def empty_manifest(run):
    (run / "manifest.json").write_text("{}")


def without_heads(run):
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**settings, "heads": {}}))


def signed(damage):
    """Damage of which the manifest knows nothing: it lists the file as it is now."""

    def change(run):
        damage(run)
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["files"]["settings.json"] = file_hash(run / "settings.json")
        (run / "manifest.json").write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_short, "the run is unfinished; run the command that began it again"),
        (tampered, r"differs from what the run wrote.* Received: y/model\.keras"),
        (without_heads, r"differs from what the run wrote.* Received: y/settings\.json"),
        (model_gone, "the run has no file model.keras. Received: y"),
        (shutil.rmtree, "expected the folder of a run. Received: y"),
        (signed(unreadable), "expected a JSON file .*Received: y/settings.json"),
        (signed(binary), "expected a JSON file .*Received: y/settings.json"),
        (
            signed(of_another_program),
            "expected the folder of a run.*settings.json is of another kind",
        ),
        (signed(a_list), "expected the settings of a run. Received: y/settings.json"),
        (empty_manifest, "expected the manifest of a run, with its files"),
        (signed(without_heads), "expected targets, aleatoric and epistemic of a layout"),
    ],
)
def test_runs_that_are_not_whole(here, damage, message):
    damage(here / "y")
    refused("predict y s.fa --out p.tsv", message)
    refused("evaluate y d.h5", message)


def test_ensembles_that_are_not_whole(here):
    tampered(here / "x" / "member_01")
    refused("predict x s.fa --out p.tsv", r"Received: x/member_01/model\.keras")
    refused("distill x d.h5 --out r", r"Received: x/member_01/model\.keras")
    shutil.rmtree(here / "x" / "member_01")
    refused("predict x s.fa --out p.tsv", "no file member_01/model.keras. Received: x")
    cut_short(here / "x")
    refused("distill x d.h5 --out r", "the run is unfinished")


def test_good_input_still_passes(here):
    """The folder these tests start from is one in which the commands work."""
    with warnings.catch_warnings(action="ignore"):
        assert cli.main(["predict", "y", "s.fa", "--out", "p.tsv"]) == 0
        assert cli.main(["evaluate", "y", "d.h5"]) == 0
    assert (here / "p.tsv").read_text().startswith("name\tDev\t")
    assert read_splits("d.h5").input_shape == (LENGTH, 4)
