"""`degu runs`."""

import subprocess
import sys

from command_line import degu, done


def test_runs_are_listed_with_what_they_are(work):
    header, teachers, student = done("runs", work.folder).out.splitlines()
    assert header.split() == [
        *("run", "kind", "data", "trained", "on", "model", "Pearson", "r", "age", "size", "state")
    ]
    assert teachers.startswith(str(work.x))
    assert " ensemble " in teachers
    assert teachers.endswith("finished, 2 members")
    assert " 40 " in teachers
    assert "tiny width=0.5" in teachers
    assert " student " in student
    assert "d.h5" in student
    assert "Dev " in student
    assert student.endswith("finished")


def test_folders_without_runs(tmp_path):
    assert done("runs", tmp_path).out == f"No runs in {tmp_path}\n"
    refused = degu("runs", tmp_path / "none")
    assert (refused.code, refused.out) == (2, "")
    assert "expected a folder" in refused.err


def test_listing_opens_no_model(work):
    script = f"""
import sys
from degu_tf import cli
assert cli.main(["runs", {str(work.folder)!r}]) == 0
print(sorted({{"tensorflow", "pandas", "numpy", "h5py"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
