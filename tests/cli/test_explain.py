"""`degu explain`: what it writes and says, and which references it takes."""

import json
import shutil

import h5py
import numpy as np
import pytest
from command_line import degu

from degu_tf import cli
from degu_tf.attribution.background import random_background
from degu_tf.attribution.explain_run import TOP, explain_run
from degu_tf.attribution.map_files import read_maps
from degu_tf.attribution.methods import METHODS, Method
from degu_tf.attribution.shap_values import deepshap
from degu_tf.cli.explain import data_file, measured_values
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import as_float, decode
from degu_tf.sequences.fasta import write_fasta


def explain(*arguments):
    return degu("explain", *arguments, "--quiet")


@pytest.fixture(scope="module")
def work(tmp_path_factory, student_run, splits):
    """A student's run that notes where its data are, the data, and some of them as FASTA."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(student_run, folder / "run")
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    manifest["data_file"] = "../d.h5"
    (folder / "run" / "manifest.json").write_text(json.dumps(manifest))
    write_splits(folder / "d.h5", splits)
    names = [f"locus{row}" for row in range(5)]
    write_fasta(folder / "s.fa", names, decode(splits.test.sequences[:5]))
    return folder


@pytest.mark.slow
def test_maps_logos_and_the_pair_are_written(work, student, splits, tmp_path):
    done = explain(
        work / "run", work / "d.h5", "--head", "Dev", "Dev_epistemic", "--top", "3",
        "--logos", "2", "--references", "9", "--out", tmp_path / "m",
    )  # fmt: skip
    assert done.code == 0, done.err
    names = ["attributions.npz", "logos.pdf", "logos.png", "maps.h5", "ohe.npz"]
    test_set = splits.test.sequences
    background = random_background(test_set, 9)
    prediction = student.predict(test_set)
    for head, values in (
        ("Dev", prediction.mean[:, 0]),
        ("Dev_epistemic", prediction.epistemic[:, 0]),
    ):
        folder = tmp_path / "m" / head
        assert sorted(file.name for file in folder.iterdir()) == names
        maps = read_maps(folder / "maps.h5")
        rows = np.argsort(-values, kind="stable")[:3]
        np.testing.assert_array_equal(maps.rows, rows)
        result = deepshap(student, test_set[rows], background, head)
        np.testing.assert_allclose(maps.scores, result.scores, atol=1e-6)
        assert f"{head}: maps of 3 of 40 sequences with the largest predicted {head}" in done.out
        assert f"-s {folder / 'ohe.npz'} -a {folder / 'attributions.npz'} -n 2000 -w 32" in done.out
    assert "Dev: largest convergence delta " in done.out
    assert f"References: 9 random sequences of the 40 in {work / 'd.h5'}" in done.out


@pytest.mark.slow
def test_without_the_runs_data_references_are_shuffles(work, student, splits, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(work / "run", moved)
    done = explain(
        moved, work / "s.fa", "--references", "4", "--logos", "0", "--out", tmp_path / "m"
    )
    assert done.code == 0, done.err
    assert (
        "References: 4 dinucleotide shuffles of each sequence, since the run was trained on "
        "'../d.h5' as seen from its folder, and no HDF5 file is there; to draw references from "
        "sequences, pass a file of them with --background FILE\n"
    ) in done.out
    assert "Hk: maps of all sequences in" in done.out
    maps = read_maps(tmp_path / "m" / "Hk" / "maps.h5")
    assert maps.names == [f"locus{row}" for row in maps.rows]
    result = deepshap(student, maps.sequences, "dinucleotide", "Hk", n_references=4)
    np.testing.assert_allclose(maps.scores, result.scores, atol=1e-6)
    again = explain(
        moved, work / "s.fa", "--references", "4", "--logos", "0", "--out", tmp_path / "m",
        "--background", "dinucleotide",
    )  # fmt: skip
    assert again.code == 0, again.err


@pytest.mark.parametrize("kind", ["python", "model file"])
def test_without_a_record_of_the_data_the_message_says_what_to_do(work, tmp_path, kind):
    """As of runs that were trained in Python, on a table for example, and of model files."""
    moved = shutil.copytree(work / "run", tmp_path / "run")
    manifest = json.loads((moved / "manifest.json").read_text())
    del manifest["data_file"]
    (moved / "manifest.json").write_text(json.dumps(manifest))
    run, reason = moved, "the run does not tell which file it was trained on"
    if kind == "model file":
        exported = degu("export", moved, tmp_path / "model.keras")
        assert exported.code == 0, exported.err
        run, reason = tmp_path / "model.keras", "a model file does not tell what it was trained on"
    done = explain(run, work / "s.fa", "--references", "2", "--logos", "0", "--head", "Dev",
                   "--out", tmp_path / "m")  # fmt: skip
    assert done.code == 0, done.err
    assert f"since {reason}; to draw references from sequences, pass a file" in done.out


def test_data_that_do_not_fit_are_refused_with_what_to_do(work, tmp_path, make_splits):
    moved = shutil.copytree(work / "run", tmp_path / "run")
    write_splits(tmp_path / "d.h5", make_splits(length=40))
    done = explain(moved, work / "s.fa", "--out", tmp_path / "m")
    assert done.code == 2
    assert "the run's data; to draw references from sequences, pass a file" in done.err
    assert "--background FILE" in done.err


def test_references_can_be_named(work, student, splits, tmp_path):
    done = explain(
        work / "run", work / "s.fa", "--head", "Dev", "--background", work / "d.h5", "--split",
        "validation", "--references", "6", "--seed", "5", "--logos", "0", "--out", tmp_path / "m",
    )  # fmt: skip
    assert done.code == 0, done.err
    maps = read_maps(tmp_path / "m" / "Dev" / "maps.h5")
    background = random_background(splits.validation.sequences, 6, 5)
    result = deepshap(student, maps.sequences, background, "Dev")
    np.testing.assert_allclose(maps.scores, result.scores, atol=1e-6)
    few = explain(
        work / "run", work / "s.fa", "--background", work / "s.fa", "--out", tmp_path / "x"
    )
    assert few.code == 2
    assert "by --references. Received: 5 sequences, 100 references" in few.err


def test_the_experiment_may_rank(work, splits, tmp_path):
    ranked = ("--rank-by", "measured", "--method", "saliency", "--logos", "0")
    done = explain(
        work / "run", work / "d.h5", "--head", "Hk", "--top", "4", *ranked, "--out", tmp_path / "m"
    )
    assert done.code == 0, done.err
    assert "with the largest measured Hk" in done.out
    rows = read_maps(tmp_path / "m" / "Hk" / "maps.h5").rows
    np.testing.assert_array_equal(rows, np.argsort(-splits.test.targets[:, 1], kind="stable")[:4])
    done = explain(work / "run", work / "s.fa", *ranked, "--out", tmp_path / "x")
    assert done.code == 2
    assert "degu: error: --rank-by measured: " in done.err


def test_references_of_a_file_that_leaves_its_columns_open(work, splits, tmp_path):
    """The run knows what they mean."""
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        parts = (splits.train, splits.validation, splits.test)
        for name, part in zip(("Train", "Valid", "Test"), parts, strict=True):
            file[f"X_{name}"] = as_float(part.sequences)
            file[f"y_{name}"] = part.targets[:, :2]
    moved = shutil.copytree(work / "run", tmp_path / "run")
    manifest = json.loads((moved / "manifest.json").read_text())
    manifest["data_file"] = "../flat.h5"
    (moved / "manifest.json").write_text(json.dumps(manifest))
    done = explain(moved, work / "s.fa", "--references", "3", "--logos", "0", "--head", "Dev",
                   "--out", tmp_path / "m")  # fmt: skip
    assert done.code == 0, done.err
    assert f"References: 3 random sequences of the {len(splits.test)} in" in done.out


def test_profiles_are_ranked_by_the_bases_that_are_explained(tmp_path):
    targets = np.zeros((2, 8, 1), "f")
    targets[0, :2], targets[1, 3] = 50.0, 1.0
    part = Split(np.zeros((2, 8), np.uint8), targets)
    write_splits(tmp_path / "p.h5", Splits(part, part, part, HeadLayout(("ATAC",))))
    found = measured_values(tmp_path / "p.h5", "test", None, ["ATAC"], length=4)
    assert found["ATAC"].tolist() == [0.0, 0.25]


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients", "ism"])
def test_every_method_has_a_word(work, student, method, tmp_path):
    done = explain(
        work / "run", work / "s.fa", "--head", "Dev", "--method", method, "--steps", "80",
        "--logos", "0", "--out", tmp_path / "m",
    )  # fmt: skip
    assert done.code == 0, done.err
    maps = read_maps(tmp_path / "m" / "Dev" / "maps.h5")
    made = Method(name=method, steps=80).explain(student, maps.sequences, "Dev")
    np.testing.assert_allclose(maps.scores, made.scores, atol=1e-6)
    assert "References" not in done.out


def test_words_and_defaults_are_those_of_the_package():
    options = cli.parser().parse_args(["explain", "run", "s.fa", "--out", "m"])
    method = Method()
    assert (options.method, options.references, options.seed, options.steps, options.top) == (
        method.name, method.n_references, method.seed, method.steps, TOP
    )  # fmt: skip
    for name in METHODS:
        cli.parser().parse_args(["explain", "run", "s.fa", "--out", "m", "--method", name])
    assert explain_run.__kwdefaults__["top"] == TOP


def test_a_finished_folder_stays_and_another_command_is_refused(work, tmp_path):
    command = (work / "run", work / "s.fa", "--method", "saliency", "--logos", "0", "--out")
    first = explain(*command, tmp_path / "m")
    made = (tmp_path / "m" / "Dev" / "maps.h5").stat().st_mtime_ns
    again = explain(*command, tmp_path / "m")
    assert first.out == again.out
    assert (tmp_path / "m" / "Dev" / "maps.h5").stat().st_mtime_ns == made
    other = explain(*command, tmp_path / "m", "--top", "2")
    assert other.code == 2
    assert "already holds another run" in other.err
    assert "top: holds 1000, requested 2" in other.err


@pytest.mark.parametrize("named", ["/etc/passwd", "../notes.txt"])
def test_a_strangers_manifest_does_not_choose_which_file_is_opened(work, tmp_path, named):
    """A path from the root, or a file that is no data, is not opened."""
    moved = shutil.copytree(work / "run", tmp_path / "run")
    manifest = json.loads((moved / "manifest.json").read_text())
    (moved / "manifest.json").write_text(json.dumps({**manifest, "data_file": named}))
    (tmp_path / "notes.txt").write_text(">a\nACGT\n")
    assert data_file(moved) is None
    shutil.copy(work / "d.h5", tmp_path / "d.h5")
    (moved / "manifest.json").write_text(json.dumps({**manifest, "data_file": "../d.h5"}))
    assert data_file(moved) == tmp_path / "d.h5"
