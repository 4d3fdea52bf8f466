"""Where a run is kept, and its lock."""

from degu_tf.training.run import Run
from degu_tf.utils.processes.locks import LOCK
from degu_tf.utils.run_folder import MANIFEST, SETTINGS, RunFolder


def finished(path):
    """Names of the files of a finished run."""
    folder = RunFolder(path)
    folder.begin({"kind": "model"})
    folder.finish()
    return {SETTINGS, MANIFEST}


def test_a_lock_that_was_left_in_a_finished_run_goes(tmp_path):
    """Its process was killed after the manifest was written; the system has released the lock."""
    names = finished(tmp_path)
    for name in (LOCK, f"{LOCK}.json"):
        (tmp_path / name).write_text("")
    with Run(tmp_path).alone():
        pass
    assert {file.name for file in tmp_path.iterdir()} == names


def test_a_finished_run_is_not_locked(tmp_path):
    names = finished(tmp_path)
    with Run(tmp_path).alone():
        assert {file.name for file in tmp_path.iterdir()} == names
