"""What jobs of Slurm make is what one process makes; skipped without Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.slurm import Slurm, installed
from variant_files import write_variants

import degu_tf
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not installed(), reason="Slurm is not installed, or this is not root"),
]

TRAIN = "train d.h5 --width 0.03 --members 3 --epochs 2 --batch-size 20 --seed 0"
SCRIPT = """#!/bin/sh
#SBATCH --array=0-2
#SBATCH --cpus-per-task=1
#SBATCH --output=%a.log
{python} -m degu_tf {train} --member $SLURM_ARRAY_TASK_ID --out array
"""

JOBS = """jobqueue:
  slurm:
    cores: 1
    memory: 1900MB
    walltime: "00:30:00"
    interface: lo
    log-directory: {folder}
"""
VERBS = {
    "train": f"{TRAIN} --out {{o}}_t",
    "distill": "distill here_t d.h5 --epochs 2 --batch-size 20 --pool 1 --seeds 1 2 --out {o}_s",
    "predict": "predict here_t d.h5 --out {o}.tsv",
    "explain": "explain here_t d.h5 --method saliency --top 5 --logos 0 --out {o}_maps",
    "variants": "variants here_t --vcf v.vcf --fasta g.fa --out {o}_variants.tsv",
}
"""Verbs that work elsewhere with `--dask`, the first's ensemble being what the others read."""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with data, from which every process finds this package."""
    root = Path(degu_tf.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    degu(tmp_path, "prepare simulate --sizes 60 20 20 --length 60 --seed 0 --out d.h5")
    return tmp_path


def degu(folder, command, environment=None):
    command = [sys.executable, "-m", "degu_tf", *command.split()]
    subprocess.run(command, cwd=folder, env=environment, check=True)


def maps(folder):
    """Files of attribution maps, which have no time of making."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "manifest.json"
    }


def test_verbs_whose_workers_are_jobs(work, monkeypatch):
    """`--dask slurm --workers 2`: dask-jobqueue asks for two jobs, and they end with the verb."""
    pytest.importorskip("dask_jobqueue")
    write_variants(work)
    (work / "dask").mkdir()
    (work / "dask" / "jobqueue.yaml").write_text(JOBS.format(folder=work))
    monkeypatch.setenv("DASK_CONFIG", str(work / "dask"))
    with Slurm() as slurm:
        for verb, command in VERBS.items():
            degu(work, command.format(o="here"))
            elsewhere = f"{command.format(o='jobs')} --dask slurm --workers 2"
            degu(work, elsewhere, slurm.environment)
            assert slurm.run("squeue", "--noheader", "--states=PENDING,RUNNING") == "", verb
        print(slurm.run("scontrol", "show", "job", "--oneliner"))
    for run in ("t", "s/seed_1", "s/seed_2"):
        here, jobs = (open_run(work / f"{where}_{run}") for where in ("here", "jobs"))
        assert here.fingerprint() == jobs.fingerprint(), run
    for table in (".tsv", "_variants.tsv"):
        assert (work / f"here{table}").read_bytes() == (work / f"jobs{table}").read_bytes()
    assert maps(work / "here_maps") == maps(work / "jobs_maps")


def test_an_array_of_jobs(work):
    degu(work, f"{TRAIN} --out whole")
    script = work / "job.sh"
    script.write_text(SCRIPT.format(python=sys.executable, train=TRAIN))
    with Slurm() as slurm:
        print(slurm.run("sinfo"))
        print(slurm.run("sbatch", "--wait", f"--chdir={work}", str(script)))
        print(slurm.run("scontrol", "show", "job", "--oneliner"))
    logs = [(work / f"{i}.log").read_text() for i in range(3)]
    print(*logs, sep="\n")
    whole, array = (Ensemble.load(work / name) for name in ("whole", "array"))
    assert array.fingerprint() == whole.fingerprint()
    files = [
        sorted(str(file.relative_to(work / name)) for file in (work / name).rglob("*"))
        for name in ("whole", "array")
    ]
    assert files[0] == files[1]
    for name in ("settings.json", "metrics.csv"):
        assert (work / "array" / name).read_bytes() == (work / "whole" / name).read_bytes()
