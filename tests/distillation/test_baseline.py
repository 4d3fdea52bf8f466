"""The k-mer ridge beside a run: what it is fitted to, and where it is kept."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.baseline import baseline_of, below_baseline
from degu_tf.heads import HeadLayout
from degu_tf.metrics.kmer_ridge import KmerRidge
from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.locks import lock_of
from degu_tf.utils.run_folder import BASELINE, RunFolder

N = 60


@pytest.fixture(scope="module")
def splits(make_splits):
    return make_splits(("Dev", "Hk"), aleatoric="std", sizes=(N, 10, 20))


@pytest.fixture(scope="module")
def other(make_splits):
    """Other measurements of as many other sequences."""
    return make_splits(("Dev", "Hk"), aleatoric="std", sizes=(N, 10, 20), seed=9)


@pytest.fixture
def make_run(tmp_path):
    """A function that makes a run's folder without a model."""

    def make(name, splits, kind="ensemble", settings=None, **notes):
        data = {"fingerprint": splits.fingerprint, "n_train": len(splits.train)}
        run = RunFolder(tmp_path / name)
        run.begin({"kind": kind, "data": data, **(settings or {})})
        run.finish(**notes)
        return run.path

    return make


@pytest.fixture
def run(make_run, splits):
    """The folder of an ensemble."""
    return make_run("teachers", splits)


@pytest.fixture
def fits(monkeypatch):
    """How many sequences each fit of a ridge was given."""
    sizes = []

    def noted(self, sequences, targets):
        sizes.append(len(sequences))
        return fit(self, sequences, targets)

    fit = KmerRidge.fit
    monkeypatch.setattr(KmerRidge, "fit", noted)
    return sizes


def ridge_of(splits):
    return KmerRidge().fit(splits.train.sequences, splits.train.targets[:, :2])


def same(ridge, other, splits):
    sequences = splits.test.sequences
    return np.array_equal(ridge.predict(sequences), other.predict(sequences))


def test_the_ridge_is_fitted_once(run, splits, fits):
    first = baseline_of(run, splits)
    assert (first.n_train, first.is_runs_data) == (N, True)
    written = (run / BASELINE).read_bytes()
    second = baseline_of(run, splits)
    assert fits == [N]
    assert same(first.ridge, second.ridge, splits)
    assert (run / BASELINE).read_bytes() == written
    assert same(first.ridge, ridge_of(splits), splits)


def test_a_lock_that_was_left_beside_the_ridge_goes(run, splits, fits):
    baseline_of(run, splits)
    lock_of(run / BASELINE).touch()
    baseline_of(run, splits)
    assert fits == [N]
    assert not list(run.glob(".*"))


def test_a_ridge_of_other_data_is_not_used(run, splits, other, fits):
    baseline_of(run, splits)
    baseline = baseline_of(run, other)
    assert fits == [N, N]
    assert not baseline.is_runs_data
    assert same(baseline.ridge, ridge_of(other), other)
    assert baseline_of(run, other.subset(50)).n_train == 50


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: '"text"',
        lambda text: re.sub(r'(?<="weights": \[\s{7}\[\s{9})', "1", text),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: json.dumps({**json.loads(text), "hash": None}),
        lambda text: json.dumps({"hash": json.loads(text)["hash"]}),
    ],
)  # fmt: skip
def test_a_damaged_file_is_written_anew(run, splits, fits, damage):
    baseline_of(run, splits)
    written = (run / BASELINE).read_text()
    assert damage(written) != written
    (run / BASELINE).write_text(damage(written))
    baseline_of(run, splits)
    assert fits == [N, N]
    assert (run / BASELINE).read_text() == written


def test_bytes_that_are_no_text_are_written_over(run, splits):
    (run / BASELINE).write_bytes(b"\xff\xfe\x00")
    baseline_of(run, splits)
    assert json.loads((run / BASELINE).read_text())["version"] == 1


def test_a_folder_that_cannot_be_written_to(run, splits, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("degu_tf.utils.files.os.replace", refuse)
    before = sorted(run.rglob("*"))
    assert baseline_of(run, splits).n_train == N
    assert sorted(run.rglob("*")) == before


def test_a_folder_in_place_of_the_file(run, splits):
    (run / BASELINE).mkdir()
    assert baseline_of(run, splits).n_train == N


def test_the_file_is_no_part_of_the_run(run, splits):
    baseline_of(run, splits)
    run = RunFolder(run)
    run.finish(n_members=2)
    assert BASELINE not in run.manifest()["files"]


WHOLE = {"fraction": None, "n_train": None, "seed": 1234}


@pytest.mark.parametrize("seed", [1234, 7])
def test_the_runs_subset_is_drawn_again(splits, make_run, seed):
    part = splits.fraction(0.5, seed)
    subset = {**WHOLE, "fraction": 0.5, "seed": seed}
    folder = make_run("half", part, settings={"subset": subset})
    baseline = baseline_of(folder, splits)
    assert (baseline.n_train, baseline.is_runs_data) == (N // 2, True)
    assert same(baseline.ridge, ridge_of(part), splits)
    for drawn in (False, True):
        baseline = baseline_of(folder, part, drawn=drawn)
        assert (baseline.n_train, baseline.is_runs_data) == (N // 2, True)
    assert not baseline_of(folder, splits.subset(N // 2, seed=5)).is_runs_data


def test_a_run_of_a_subset_that_it_does_not_record(splits, make_run):
    assert baseline_of(make_run("usual", splits.subset(30)), splits).is_runs_data
    unusual = baseline_of(make_run("unusual", splits.subset(30, seed=5)), splits)
    assert (unusual.n_train, unusual.is_runs_data) == (30, False)


def test_data_of_a_run_on_the_activity_alone(splits, make_run):
    assert baseline_of(make_run("activity", splits.without_uncertainty()), splits).is_runs_data


@pytest.mark.parametrize(
    ("n_teachers", "counted", "subset", "n_train", "known"),
    [
        (N, N, None, N, True),
        (30, 30, None, 30, True),
        (30, 300, None, 30, False),
        (N, 30, None, N, False),
        (N, N, WHOLE, N, True),
        (N, 300, WHOLE, N, True),
        (30, 330, {**WHOLE, "n_train": 30}, 30, True),
        (N, 330, {**WHOLE, "fraction": 0.5}, 30, True),
        (N, 330, {**WHOLE, "n_train": 30}, 30, True),
        (30, 330, {**WHOLE, "n_train": 300}, N, True),
    ],
)
def test_a_students_data_are_its_teachers(
    splits, other, make_run, n_teachers, counted, subset, n_train, known
):
    """A student may count augmented sequences with its training sequences; its subset does not."""
    make_run("teachers", splits.subset(n_teachers))
    settings = {"data": {"fingerprint": "of labels", "n_train": counted}}
    settings |= {} if subset is None else {"subset": subset}
    student = make_run("student", splits, "student", settings, teachers="../teachers")
    baseline = baseline_of(student, splits)
    assert (baseline.n_train, baseline.is_runs_data) == (n_train, known)
    assert not baseline_of(student, other).is_runs_data
    drawn = baseline_of(student, splits.subset(20), drawn=True)
    assert (drawn.n_train, drawn.is_runs_data) == (20, True)
    for name, where in (("gone", "../elsewhere"), ("unknown", None)):
        student = make_run(name, splits, "student", settings, teachers=where)
        assert not baseline_of(student, splits).is_runs_data


def test_labels_that_a_student_was_trained_on(splits, make_run):
    assert baseline_of(make_run("labels", splits, "student"), splits).is_runs_data


def test_a_file_says_nothing_of_its_data(tmp_path, splits):
    (tmp_path / "model.keras").touch()
    baseline = baseline_of(tmp_path / "model.keras", splits)
    assert (baseline.n_train, baseline.is_runs_data) == (N, False)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_the_ridge_is_judged_like_a_model(run, splits):
    baseline = baseline_of(run, splits)
    table = baseline.evaluate(splits.test, splits.heads)
    assert table.columns.tolist() == ["method", "target", "head", "metric", "value", "n"]
    assert set(table["head"]) == {"activity"}
    chosen = table.query("target == 'Hk' and metric == 'pearson'")["value"].item()
    predicted = baseline.ridge.predict(splits.test.sequences)[:, 1]
    assert chosen == pytest.approx(np.corrcoef(predicted, splits.test.targets[:, 1])[0, 1])


def test_data_without_a_ridge(run):
    heads = HeadLayout(("signal",))
    tokens = np.zeros((3, 8), np.uint8)
    profiles = Split(tokens, np.zeros((3, 8, 1)))
    with pytest.raises(InputError, match="not a profile"):
        baseline_of(run, Splits(profiles, profiles, profiles, heads))
    mixed = Split(np.full((3, 8, 4), 0.25, np.float32), np.zeros((3, 1)))
    with pytest.raises(InputError, match="one-hot"):
        baseline_of(run, Splits(mixed, mixed, mixed, heads))
    assert not (run / BASELINE).exists()


def table_of(*rows):
    table = pd.DataFrame(rows, columns=["method", "target", "value"])
    return table.assign(head="activity", metric="pearson")


def test_what_is_below_the_ridge_is_said():
    table = table_of(
        ("student", "a", 0.4104),
        ("student", "b", 0.6),
        ("single", "a", 0.1),
        ("single", "a", 0.3),
        ("ensemble", "a", 0.5299),
        ("ensemble", "b", 0.4),
        ("kmer_ridge", "a", 0.5301),
        ("kmer_ridge", "b", 0.5),
    )
    other = table.assign(metric="mse", value=-1.0)
    assert below_baseline(pd.concat([table, other]), 5) == [
        "student: r 0.410 on a is below the 5-mer ridge's 0.530",
        "single (mean over members): r 0.200 on a is below the 5-mer ridge's 0.530",
        "ensemble: r 0.400 on b is below the 5-mer ridge's 0.500",
    ]


def test_constant_predictions_are_below_too():
    table = table_of(("student", "a", np.nan), ("kmer_ridge", "a", 0.5))
    assert below_baseline(table, 4) == [
        "student: constant predictions of a; the 4-mer ridge's r is 0.500"
    ]
    table = table_of(("student", "a", 0.1), ("kmer_ridge", "a", np.nan))
    assert below_baseline(table, 4) == []
