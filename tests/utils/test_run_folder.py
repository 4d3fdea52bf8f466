import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import file_hash
from degu_tf.utils.run_folder import MANIFEST, SETTINGS, RunFolder

ASKED = {"kind": "model", "training": {"epochs": 3, "sizes": (1, 2)}, "seed": 0}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.begin(ASKED)
    return run


def test_settings_come_first_and_the_manifest_last(run):
    assert [file.name for file in run.path.iterdir()] == [SETTINGS]
    assert not run.finished
    (run / "member_00").mkdir()
    (run / "member_00" / "model.keras").write_text("m")
    (run / "metrics.csv").write_text("a,b")
    run.finish(teachers="../t")
    manifest = run.manifest()
    assert run.finished
    assert manifest["teachers"] == "../t"
    assert manifest["files"] == {
        name: file_hash(run / name) for name in (SETTINGS, "member_00/model.keras", "metrics.csv")
    }
    assert {"tensorflow", "keras", "numpy", "degu_tf"} == set(manifest["versions"])
    assert run.settings()["training"] == {"epochs": 3, "sizes": [1, 2]}
    assert run.kind == "model"


def test_a_run_is_taken_up_with_equal_settings(run):
    before = (run / SETTINGS).stat().st_mtime_ns
    RunFolder(run.path).begin(ASKED)
    run.finish()
    RunFolder(run.path).begin({"seed": 0, **ASKED})
    assert (run / SETTINGS).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"\(seed: holds 0, requested 1\)"),
        (
            {"training": {"epochs": 4, "sizes": (1, 2)}},
            r"\(training.epochs: holds 3, requested 4\)",
        ),
        ({"training": {"epochs": 3}}, r"\(training.sizes: holds \[1, 2\], requested None\)"),
        ({"init": "a.keras"}, r"\(init: holds None, requested 'a.keras'\)"),
    ],
)
def test_another_runs_folder_is_refused_and_the_difference_named(run, change, message):
    for _ in range(2):
        with pytest.raises(InputError, match="already holds another run.*" + message):
            run.begin({**ASKED, **change})
        run.finish()


def test_folders_that_are_no_run_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"files that do not belong to a run.*Received: "):
        RunFolder(tmp_path).begin(ASKED)
    with pytest.raises(InputError, match="the output folder is a file"):
        RunFolder(tmp_path / "notes.txt").begin(ASKED)
    with pytest.raises(InputError, match="expected the folder of a run"):
        RunFolder(tmp_path).settings()
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_what_an_interruption_left_half_written_is_no_part_of_a_run(tmp_path):
    (tmp_path / ".writing-0123-settings.json").write_text("{")
    run = RunFolder(tmp_path)
    run.begin(ASKED)
    run.finish()
    assert list(run.manifest()["files"]) == [SETTINGS]


def test_an_unfinished_run_has_no_manifest(run):
    with pytest.raises(InputError, match=r"unfinished; run the command that began it again"):
        run.manifest()
    with pytest.raises(InputError, match="unfinished"):
        run.check_file("metrics.csv")


def test_files_are_held_against_the_manifest(run):
    (run / "metrics.csv").write_text("a,b")
    run.finish()
    assert run.check_file("metrics.csv") == run / "metrics.csv"
    with pytest.raises(InputError, match=r"has no file model.keras"):
        run.check_file("model.keras")
    (run / "metrics.csv").write_text("a,c")
    with pytest.raises(InputError, match=r"differs from what the run wrote.*metrics\.csv"):
        run.check_file("metrics.csv")
    (run / "metrics.csv").unlink()
    with pytest.raises(InputError, match=r"has no file metrics.csv"):
        run.check_file("metrics.csv")
    assert MANIFEST not in run.manifest()["files"]
