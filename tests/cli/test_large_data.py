"""Data read in blocks, and several devices, on the command line."""

import shutil
import subprocess
import sys

import pytest
from command_line import PAPER, TRAIN, degu, done, settings

from degu_tf.data.hdf5 import stored_rows

NEVER = ("--in-memory", "never", "--quiet")


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(stored_rows, "HELD", 600)


@pytest.mark.slow
def test_the_usual_commands_on_data_in_their_file(work, tmp_path):
    data, runs = shutil.copy(work.data, tmp_path / "d.h5"), (tmp_path / "x", tmp_path / "y")
    said = done("train", data, *TRAIN, *NEVER, "--out", runs[0])
    held = settings(runs[0])["data"]
    assert set(held["read_in_blocks"]) == {"block_rows", "blocks_mixed"}
    assert "No k-mer ridge beside the run: expected training sequences in memory" in said.out
    assert "rows, drawn at random, are evaluated" in said.err
    done("distill", runs[0], data, *PAPER, "--epochs", 1, *NEVER, "--out", runs[1])
    done("evaluate", runs[1], data, "--in-memory", "never")
    assert done("train", data, *TRAIN, *NEVER, "--out", runs[0]).code == 0
    refused = degu("train", data, *TRAIN, "--quiet", "--out", runs[0])
    assert refused.code == 2
    assert "data" in refused.err


@pytest.mark.slow
def test_the_fingerprint_does_not_depend_on_how_data_are_read(work, tmp_path):
    done("train", work.data, *TRAIN, *NEVER, "--out", tmp_path / "x")
    done("train", work.data, *TRAIN, "--quiet", "--out", tmp_path / "z")
    made = [settings(tmp_path / name)["data"] for name in ("x", "z")]
    assert made[0]["fingerprint"] == made[1]["fingerprint"]
    assert "read_in_blocks" not in made[1]


def test_a_pool_needs_memory(work, tmp_path):
    result = degu("distill", work.x, work.data, "--recipe", "best", "--steps", 2, *NEVER,
                  "--n-train", 80, "--out", tmp_path / "y")  # fmt: skip
    assert result.code == 2
    assert "a pool is held in memory" in result.err
    assert "--pool" in result.err


def test_more_devices_than_there_are(work, tmp_path):
    result = degu("train", work.data, *TRAIN, "--devices", 2, "--out", tmp_path / "x")
    assert result.code == 2
    assert "expected at most as many devices as there are, 1: /device:CPU:0" in result.err
    assert "Received: --devices 2" in result.err


@pytest.mark.slow
def test_two_devices_on_the_command_line(work, tmp_path):
    small = ("--recipe", "paper", "--model", "deepstarr", "--width", 0.05, "--members", 2)
    command = [sys.executable, "-m", "degu_tf", "train", work.data, *small, "--epochs", 1,
               "--devices", 2, "--quiet", "--out", tmp_path / "x"]  # fmt: skip
    ran = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert '"devices": 2' in (tmp_path / "x" / "member_01" / "manifest.json").read_text()
    assert "devices" not in settings(tmp_path / "x")
