"""Where a file cannot be written completely there is one clear error, and nothing is left.

The system's limit on the size of files stands for the full disk; each case has a process of its
own, because a failure inside HDF5 may end it, be it at the process' own end. The cases of a writer
are forks of one process, which has loaded what they need.
"""

import errno
import json
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
import json, os, resource, shutil, signal, sys
from collections import namedtuple
from pathlib import Path

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def each_case():
    outcomes = []
    for limit, free, folder in json.loads(sys.argv[1]):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.close(writing)
            os.mkdir(folder)
            return limit, free, os.path.join(folder, NAME)
        os.close(writing)
        errors = open(reading).read()
        outcomes.append([os.waitstatus_to_exitcode(os.wait()[1]), errors])
    print(json.dumps(outcomes))
    sys.exit()


def fill_disk():
    shutil.disk_usage = lambda _: namedtuple("usage", "free")(free)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


"""
SIMULATE = """
from degu_tf import cli
from degu_tf.data.hdf5 import splits_file
from degu_tf.data.simulation import mpra

limit, free, out = each_case()
fill_disk()
sizes = ["--sizes", "1500", "100", "100", "--length", "100"]
sys.exit(cli.main(["prepare", "simulate", *sizes, "--seed", "0", "--out", out]))
"""
ATAC = """
from degu_tf import cli
from degu_tf.data.simulation.atac import simulate_profiles
from degu_tf.data.sources import atac

profiles = simulate_profiles({"chr1": 60000, "chr8": 10000, "chr9": 10000}, n_replicates=2)
limit, free, out = each_case()
folder = Path(out).parent / "tracks"
genome, tracks = profiles.write(folder)
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

limit, free, out = each_case()
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
from degu_tf.utils import quiet

quiet.tensorflow = lambda: None  # figures load it; this file needs none
from degu_tf.paper.fig3_covariate_shift.shifted_sets_file import write_shifted_sets

limit, free, out = each_case()
rng = np.random.default_rng(0)
sets = {s: rng.integers(0, 4, (400, 300), np.uint8) for s in ("small", "intermediate", "large")}
fill_disk()
try:
    write_shifted_sets(out, sets)"""
    + REPORT
)
WRITERS = {"d.h5": SIMULATE, "a.h5": ATAC, "maps.h5": MAPS, "sets.h5": SHIFTED_SETS}
FULL = [(limit, 0) for limit in (0, 100, 3_000, 30_000, 60_000)]
ROOMY = [(10**7, 0), (10**7, 10**12)]
TRACK = (
    """
import numpy as np
from degu_tf.data.bigwig import write_bigwig

limit, free, out = each_case()
fill_disk()
blocks = (("chr1", s, np.random.default_rng(s).normal(size=10**5)) for s in range(0, 10**6, 10**5))
try:
    write_bigwig(out, {"chr1": 10**6}, blocks)"""
    + REPORT
)


def run(script, name, folder, cases):
    """Exit code, last line of standard error and files, for each limit and free space."""
    folders = [folder / f"{limit}_{free}" for limit, free in cases]
    given = [(*case, str(each)) for case, each in zip(cases, folders, strict=True)]
    command = [sys.executable, "-c", f"NAME = {name!r}\n{START}{script}", json.dumps(given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=100, check=True)
    return {
        case: (code, errors.strip().splitlines()[-1:], list(each.iterdir()))
        for case, each, (code, errors) in zip(cases, folders, json.loads(done.stdout), strict=True)
    }


@pytest.fixture(scope="module", params=WRITERS)
def written(request, tmp_path_factory):
    """What became of a file where the disk is full, and where there is just enough room."""
    name, folder = request.param, tmp_path_factory.mktemp("disk")
    return name, folder, run(WRITERS[name], name, folder, [*FULL, *ROOMY])


@pytest.mark.parametrize("case", FULL)
def test_hdf5(written, case):
    name, folder, outcomes = written
    code, error, files = outcomes[case]
    file = folder / f"{case[0]}_{case[1]}" / name
    assert error == [f"degu: error: File too large. Received: {file}"]
    assert code == 2
    assert files == []


def test_hdf5_where_there_is_just_enough_room(written):
    name, _, outcomes = written
    for case in ROOMY:
        code, _, (file,) = outcomes[case]
        assert code == 0
        assert file.name == name
        assert file.stat().st_size > 60_000


def test_a_track(tmp_path):
    case = (100_000, 10**12)
    code, (error,), files = run(TRACK, "t.bw", tmp_path, [case])[case]
    expected = "could not be written completely, perhaps because the disk is full. Received: "
    assert error.endswith(expected + str(tmp_path / "100000_1000000000000" / "t.bw"))
    assert code == 2
    assert files == []


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
