"""Where commands write: never over their own input, and into devices as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from command_line import degu, done

from degu_tf.cli.output import check_out, check_out_folder
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import file_hash


def content(folder):
    return {path: file_hash(path) for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def here(work, inputs, tmp_path, monkeypatch):
    """A folder of its own with runs `x`, `y`, data `d.h5`, and inputs of each kind."""
    monkeypatch.chdir(tmp_path)
    for name in "xy":
        shutil.copytree(work.folder / name, name)
    shutil.copy(work.data, "d.h5")
    Path("genome.fa.fai").write_text("chr1\t960\t6\t960\t961\n")
    Path("v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    Path("lib.fa").write_text(">a\nACGT\n")
    Path("t.tsv").write_text("name\tseq\tv\na\tACGTACGT\t1\n")
    Path("Sequences_activity_Train.txt").write_text("set\n")
    for name in ("rep1.bw", "rep2.bw", "ATAC.bw"):
        Path(name).write_text("tracks")
    Path("w.h5").write_text("weights")
    Path("w.json").write_text("{}")
    os.symlink("t.tsv", "link.tsv")
    os.link("s.fa", "hard.fa")
    return tmp_path


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("prepare table t.tsv --targets v --out t.tsv", "t.tsv"),
        ("prepare table t.tsv --targets v --out ./y/../t.tsv", "./y/../t.tsv"),
        ("prepare table t.tsv --targets v --out link.tsv", "link.tsv"),
        ("prepare table link.tsv --targets v --out t.tsv", "t.tsv"),
        ("prepare lentimpra t.tsv --out t.tsv", "t.tsv"),
        ("prepare lentimpra t.tsv --sequences lib.fa --out lib.fa", "lib.fa"),
        ("prepare starrseq d.h5 t.tsv --out t.tsv", "t.tsv"),
        (
            "prepare starrseq . --out Sequences_activity_Train.txt",
            "Sequences_activity_Train.txt",
        ),
        ("prepare atac genome.fa --replicates rep1.bw rep2.bw --out genome.fa", "genome.fa"),
        ("prepare atac genome.fa --replicates rep1.bw rep2.bw --out rep2.bw", "rep2.bw"),
        ("prepare atac genome.fa --labels ATAC=ATAC.bw --out ATAC.bw", "ATAC.bw"),
        ("prepare atac genome.fa --replicates ATAC.bw rep1.bw --tracks . --out n.h5", "ATAC.bw"),
        ("export y y/model.keras", "y/model.keras"),
        ("evaluate y d.h5 --out d.h5", "d.h5"),
        ("evaluate y d.h5 --out y/metrics.csv", "y/metrics.csv"),
        ("evaluate x d.h5 --out x/member_00/history.csv", "x/member_00/history.csv"),
        ("predict y s.fa --out s.fa", "s.fa"),
        ("predict y s.fa --out hard.fa", "hard.fa"),
        ("predict y s.fa --out y/settings.json", "y/settings.json"),
        ("predict y/model.keras s.fa --out y/model.keras", "y/model.keras"),
        ("predict y --bed s.bed --fasta genome.fa --out s.bed", "s.bed"),
        ("predict y --bed s.bed --fasta genome.fa --out genome.fa.fai", "genome.fa.fai"),
        ("variants y --vcf v.vcf --fasta genome.fa --out v.vcf", "v.vcf"),
        ("variants y --vcf v.vcf --fasta genome.fa --out genome.fa", "genome.fa"),
        ("convert w.h5 w.keras", "w.json"),
    ],
)
def test_no_input_is_overwritten(here, command, out, force):
    before = content(here)
    refused = degu(*command.split(), *force)
    assert refused.code == 2
    assert "expected an output file other than the inputs; choose another name. " in refused.err
    assert f"Received: {out}, which belongs to the input " in refused.err
    assert content(here) == before


def test_a_table_that_was_written_before_is_no_output_of_its_own_folder(here):
    done("mutagenize", "y", "s.fa", "--heat-maps", 0, "--out", "m")
    before = content(here)
    refused = degu("mutagenize", "y", "m/effects.tsv", "--force", "--out", "m")
    assert "m/effects.tsv, which belongs to the input" in refused.err
    assert content(here) == before


def test_new_files_may_lie_beside_inputs_and_in_runs(here):
    done("predict", "y", "s.fa", "--out", "y/predictions.tsv")
    done("predict", "y", "s.fa", "--out", "y/predictions.tsv.new")
    refused = degu("predict", "y", "s.fa", "--out", "y/predictions.tsv", "--force")
    assert refused.code == 2


@pytest.mark.parametrize(
    "command",
    [
        "predict y s.fa --out {}",
        "evaluate y d.h5 --out {}",
        "export y {}.keras",
        "prepare simulate --out {}",
        "train d.h5 --out {}",
        "distill x d.h5 --out {}",
        "explain y s.fa --out {}",
        "mutagenize y s.fa --out {}",
        "predict y --bigwig --fasta genome.fa --out {}",
        "variants y --vcf v.vcf --fasta genome.fa --out {}",
        "convert w.h5 {}.keras",
        "fetch --match x --out {}",
    ],
)
@pytest.mark.parametrize("name", ["a" * 300, "folder/" + "é" * 150])
def test_long_names_are_refused_before_anything_is_loaded(here, monkeypatch, command, name):
    def fail():
        raise AssertionError("TensorFlow was loaded first")

    monkeypatch.setattr("degu_tf.utils.quiet.tensorflow", fail)
    before = content(here)
    refused = degu(*command.format(name).split())
    assert refused.code == 2
    assert "file names of 255 bytes or fewer" in refused.err or "File name too long" in refused.err
    assert refused.err.count("\n") == 1
    assert content(here) == before


@pytest.mark.slow
@pytest.mark.parametrize("device", ["/dev/stdout", "/dev/fd/1"])
def test_a_device_is_written_to_and_messages_go_elsewhere(here, device):
    before = os.lstat(device).st_mode
    command = [sys.executable, "-m", "degu_tf", "predict", "x/member_00", "s.fa"]
    command += ["--out", device]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("name\tDev\tDev_aleatoric\t")
    assert len(lines) == 31
    assert f"Wrote {device}: 30 predictions" in ran.stderr
    assert os.lstat(device).st_mode == before


def test_a_pipe_takes_a_file_of_any_kind(here):
    os.mkfifo("pipe")
    command = f"{sys.executable} -m degu_tf prepare simulate --sizes 5 5 5 --length 20 "
    command += "--out pipe & cat pipe > got.h5; wait"
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert Path("pipe").is_fifo()
    with h5py.File("got.h5") as file:
        assert len(file["train/sequences"]) == 5


def test_outputs_are_checked_as_files_and_folders(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="already exists") as caught:
        check_out(tmp_path / "file", force=False, inputs=[None, tmp_path / "other"])
    assert "overwrite it with --force" in caught.value.command_line
    check_out(tmp_path / "file", force=True, inputs=[None, tmp_path / "other"])
    check_out("/dev/null", force=False, inputs=["/dev/null"])
    check_out_folder(tmp_path / "new" / "folder")
    check_out_folder(tmp_path)
    with pytest.raises(InputError, match=r"an output folder. Received: .*file, a file"):
        check_out_folder(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
