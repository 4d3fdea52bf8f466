import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from degu_tf.models.threads import ThreadCountWarning, thread_counts, warn_where_threads_differ
from degu_tf.utils.run_folder import RunFolder

PROGRAM = """
import sys
from degu_tf.utils import quiet
quiet.tensorflow()
import degu_tf as degu
splits = degu.simulate((200, 40, 40), length=60).splits
spec = degu.ModelSpec("deepstarr", {"width": 0.1})
run = degu.Run(sys.argv[1], 3, progress=False)
settings = degu.TrainingSettings(epochs=2, batch_size=50)
print(degu.train_ensemble(splits, spec, 2, settings, run).fingerprint())
"""


@pytest.fixture
def member(tmp_path):
    """A function that makes a finished run of these notes."""

    def make(name, **notes):
        folder = RunFolder(tmp_path / name)
        folder.begin({"kind": "model", "seed": len(name)})
        folder.finish(**notes)
        return folder.path

    return make


def test_what_the_environment_asks_for(monkeypatch):
    monkeypatch.setattr("tensorflow.config.threading.get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr("tensorflow.config.threading.get_inter_op_parallelism_threads", lambda: 5)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert thread_counts() == {"intra_op": 3, "inter_op": 5}
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert thread_counts()["intra_op"] == len(os.sched_getaffinity(0))


def test_members_of_different_threads_are_named(member):
    one = {"intra_op": 1, "inter_op": 1}
    folders = [member("member_00", threads=one), member("member_01", threads=one), member("old")]
    warn_where_threads_differ(folders)
    folders.append(member("member_02", threads={"intra_op": 8, "inter_op": 1}))
    said = r"1 and 1: member_00, member_01; 8 and 1: member_02\)"
    with pytest.warns(ThreadCountWarning, match=said):
        warn_where_threads_differ(folders)


@pytest.mark.slow
def test_same_seed_same_weights_in_fresh_processes(tmp_path):
    """Bit for bit, and each member's manifest says with how many threads."""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_NUM_INTRAOP_THREADS": "2"}
    hashes = []
    for name in "ab":
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / name)]
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        hashes.append(ran.stdout.split()[-1])
    assert hashes[0] == hashes[1]
    for i in (0, 1):
        manifest = json.loads((tmp_path / "a" / f"member_0{i}" / "manifest.json").read_text())
        assert manifest["threads"]["intra_op"] == 2
