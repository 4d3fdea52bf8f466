"""An array of jobs on Slurm trains the ensemble that one process trains; skipped without Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.slurm import Slurm, installed

import degu_tf
from degu_tf.distillation.ensemble import Ensemble

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


def degu(folder, command):
    subprocess.run([sys.executable, "-m", "degu_tf", *command.split()], cwd=folder, check=True)


def test_an_array_of_jobs(tmp_path, monkeypatch):
    root = Path(degu_tf.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    degu(tmp_path, "prepare simulate --sizes 60 20 20 --length 60 --seed 0 --out d.h5")
    degu(tmp_path, f"{TRAIN} --out whole")
    script = tmp_path / "job.sh"
    script.write_text(SCRIPT.format(python=sys.executable, train=TRAIN))
    with Slurm() as slurm:
        print(slurm.run("sinfo"))
        print(slurm.run("sbatch", "--wait", f"--chdir={tmp_path}", str(script)))
        print(slurm.run("scontrol", "show", "job", "--oneliner"))
    logs = [(tmp_path / f"{i}.log").read_text() for i in range(3)]
    print(*logs, sep="\n")
    whole, array = (Ensemble.load(tmp_path / name) for name in ("whole", "array"))
    assert array.fingerprint() == whole.fingerprint()
    files = [
        sorted(str(file.relative_to(tmp_path / name)) for file in (tmp_path / name).rglob("*"))
        for name in ("whole", "array")
    ]
    assert files[0] == files[1]
    for name in ("settings.json", "metrics.csv"):
        assert (tmp_path / "array" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
