"""Where a file cannot be written completely there is one clear error, and nothing is left.

The system's limit on the size of files stands for the full disk; each case has a process of its
own, because a failure inside HDF5 may end it.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

from degu_tf.data.bigwig import write_bigwig
from degu_tf.data.hdf5.new_file import new_file

START = """
import resource, shutil, signal, sys
from collections import namedtuple

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit, out = int(sys.argv[1]), sys.argv[2]


def fill_disk():
    shutil.disk_usage = lambda _: namedtuple("usage", "free")(FREE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


"""
SIMULATE = """
from degu_tf import cli

fill_disk()
sizes = ["--sizes", "1500", "100", "100", "--length", "100"]
sys.exit(cli.main(["prepare", "simulate", *sizes, "--seed", "0", "--out", out]))
"""
ATAC = """
from pathlib import Path
from degu_tf import cli
from degu_tf.data.simulation.atac import simulate_profiles

folder = Path(out).parent / "tracks"
contigs = {"chr1": 60000, "chr8": 10000, "chr9": 10000}
genome, tracks = simulate_profiles(contigs, n_replicates=2).write(folder)
fill_disk()
words = ["prepare", "atac", genome, "--replicates", *tracks, "--length", "100", "--out", out]
code = cli.main([str(word) for word in words])
shutil.rmtree(folder)
sys.exit(code)
"""
REPORT = """
except OSError as error:
    print(f"degu: error: {error.strerror}. Received: {error.filename}", file=sys.stderr)
    sys.exit(2)
"""
MAPS = (
    """
import numpy as np
from degu_tf.attribution.map_files import Maps, write_maps

rng = np.random.default_rng(0)
scores, values = rng.random((200, 50, 4)), rng.random(200)
tokens = rng.integers(0, 4, (200, 50), np.uint8)
names = [f"sequence {row}" for row in range(200)]
maps = Maps("Dev", "Dev", "saliency", names, np.arange(200), tokens, scores, scores, values)
fill_disk()
try:
    write_maps(out, maps)"""
    + REPORT
)
SHIFTED_SETS = (
    """
import numpy as np
from degu_tf.paper.fig3_covariate_shift.shifted_sets_file import write_shifted_sets

rng = np.random.default_rng(0)
sets = {s: rng.integers(0, 4, (1000, 300), np.uint8) for s in ("small", "intermediate", "large")}
fill_disk()
try:
    write_shifted_sets(out, sets)"""
    + REPORT
)
WRITERS = [(SIMULATE, "d.h5"), (ATAC, "a.h5"), (MAPS, "maps.h5"), (SHIFTED_SETS, "sets.h5")]
TRACK = (
    """
import numpy as np
from degu_tf.data.bigwig import write_bigwig

fill_disk()
blocks = (("chr1", s, np.random.default_rng(s).normal(size=10**5)) for s in range(0, 10**6, 10**5))
try:
    write_bigwig(out, {"chr1": 10**6}, blocks)"""
    + REPORT
)


def run(script, limit, out, free=0):
    code = START.replace("FREE", str(free)) + script
    command = [sys.executable, "-c", code, str(limit), str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("limit", [0, 100, 3_000, 30_000, 60_000])
@pytest.mark.parametrize(("script", "name"), WRITERS)
def test_hdf5(tmp_path, script, name, limit):
    done = run(script, limit, tmp_path / name)
    message = f"degu: error: File too large. Received: {tmp_path / name}"
    assert done.stderr.strip().splitlines()[-1] == message
    assert done.returncode == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("script", "name"), WRITERS)
def test_hdf5_where_there_is_just_enough_room(tmp_path, script, name):
    assert run(script, 10**7, tmp_path / name, 0).returncode == 0
    assert run(script, 10**7, tmp_path / f"2_{name}", 10**12).returncode == 0
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert min(sizes) > 60_000


def test_a_track(tmp_path):
    done = run(TRACK, 100_000, tmp_path / "t.bw", 10**12)
    last = done.stderr.strip().splitlines()[-1]
    expected = "could not be written completely, perhaps because the disk is full. Received: "
    assert last.endswith(expected + str(tmp_path / "t.bw"))
    assert done.returncode == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("free", [0, 10**5])
def test_a_track_stops_before_the_disk_is_full(tmp_path, monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(free))
    blocks = [("chr1", 0, np.ones(10))]
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_bigwig(tmp_path / "t.bw", {"chr1": 10}, blocks)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "t.bw")
    assert os.listdir(tmp_path) == []


def test_a_failure_ends_the_writing_at_the_next_check(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(0))
    path = tmp_path / "new"
    path.mkdir()
    written = []
    with pytest.raises(FileNotFoundError), new_file(path / "none" / "a.h5", 0):
        written.append("never")
    with new_file(path / "a.h5", 0) as (file, check):
        file["values"] = np.arange(1000)
        check()
    assert written == []
    assert (path / "a.h5").stat().st_size > 8000
