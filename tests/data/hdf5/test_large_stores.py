"""Files larger than memory, and long genomes: peak memory of a process, above one of tiny data."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cases import one_in

BENCHMARK = Path(__file__).parents[3] / "experiments" / "benchmarks" / "large_stores.py"
LIMIT = 2 * 2**30


def ran(*arguments):
    command = [sys.executable, BENCHMARK, *arguments]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


def trained(path, n_rows, *profiles):
    ran("--make", path, "--rows", n_rows, *profiles)
    found = json.loads(ran("--way", "training", "--argument", path).splitlines()[-1])
    path.unlink()
    assert found["rows"] == n_rows
    return found["peak"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "profiles"), one_in(2, [(50_000_000, ()), (500_000, ("--profiles",))])
)
def test_training_takes_little_memory_whatever_the_size_of_the_file(tmp_path, n_rows, profiles):
    """50 million sequences are 12 GB of tokens; the bins of hg38 with two tracks are 14 GB."""
    few, many = (trained(tmp_path / "d.h5", n, *profiles) for n in (100, n_rows))
    assert many - few < LIMIT


@pytest.mark.slow
def test_tracks_take_as_much_memory_for_a_longer_genome():
    short, long = (
        json.loads(ran("--way", "tracks", "--argument", length).splitlines()[-1])["peak"]
        for length in (1_000_000, 8_000_000)
    )
    assert long - short < 2**26
