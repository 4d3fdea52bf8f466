"""`DEGU`: the basic story, which is `train_ensemble` and `distill` by a recipe."""

import gc
import inspect
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from command_line import done, state
from failing_networks import diverging, fails

import degu_tf as degu
from degu_tf.distillation.distill import distill
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.estimator import DEGU
from degu_tf.distillation.failures.attempts import failed_attempts
from degu_tf.distillation.recipes import BEST, PAPER
from degu_tf.training.run import Run, attempt_seed, member_seed
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")


def arrays(split, columns=2):
    return split.sequences, split.targets[:, :columns]


@pytest.fixture(scope="module")
def seen():
    """What callbacks saw while `fitted` was fitted: a name for each epoch."""
    return []


@pytest.fixture(scope="module")
def fitted(splits, spec, seen):
    """Two teachers and a student of the paper's recipe, after two epochs."""

    def watch(run):
        note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(run.name))
        return [note]

    model = DEGU(spec, 2, recipe="paper", epochs=2, random_state=3, progress=False)
    return model.fit(splits, callbacks=watch)


@pytest.mark.slow
def test_it_is_training_and_distilling_by_the_recipe(fitted, splits, spec):
    settings = replace(PAPER.teacher_settings(splits), epochs=2)
    run = Run(seed=3, progress=False)
    teachers = train_ensemble(splits, PAPER.teacher_spec(spec, splits.heads), 2, settings, run)
    student = distill(teachers, splits, PAPER.student_spec(spec), settings, run)
    assert fitted.ensemble_.fingerprint() == teachers.fingerprint()
    assert fitted.student_.fingerprint() == student.fingerprint()
    prediction = fitted.predict(splits.test.sequences)
    assert np.array_equal(prediction.mean, student.predict(splits.test.sequences).mean)
    assert prediction.aleatoric is not None


@pytest.mark.slow
def test_the_best_recipe_is_the_default(splits, spec):
    plain = splits.without_uncertainty()
    model = DEGU(spec, 2, epochs=1, progress=False)
    model.fit(*arrays(splits.train), validation_data=arrays(splits.validation))
    settings = replace(BEST.teacher_settings(plain), epochs=1, steps_per_epoch=None)
    teachers = train_ensemble(plain, spec, 2, settings, Run(progress=False))
    assert model.ensemble_.fingerprint() == teachers.fingerprint()
    assert model.student_.heads.columns[:2] == ("target_0", "target_1")


@pytest.mark.usefixtures("untrained")
def test_replicates_give_aleatoric_uncertainty_and_frames_name_targets(splits, spec):
    y = splits.train.targets[:, :2, np.newaxis] + np.array([-0.1, 0.0, 0.1])
    held_out = splits.validation.targets[:, :2, np.newaxis] + np.array([-0.1, 0.1])
    model = DEGU(spec, 2, recipe="paper", epochs=1, progress=False)
    model.fit(splits.train.sequences, y, (splits.validation.sequences, held_out))
    assert model.predict(splits.test.sequences).aleatoric.shape == (40, 2)
    x, y = arrays(splits.train, 1)
    frame = pd.DataFrame({"HepG2": y[:, 0]})
    model.fit(x, frame, (x, frame))
    assert model.student_.heads.columns == ("HepG2", "HepG2_epistemic")


def test_what_is_saved_predicts_the_same_and_is_two_runs(fitted, splits, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = DEGU.load(tmp_path / "saved")
    sequences = splits.test.sequences
    assert np.array_equal(loaded.predict(sequences).mean, fitted.predict(sequences).mean)
    assert loaded.ensemble_.fingerprint() == fitted.ensemble_.fingerprint()
    assert repr(loaded) == repr(fitted)
    (tmp_path / "s.fa").write_text(f">a\n{'ACGT' * 8}\n")
    done("predict", tmp_path / "saved/student", tmp_path / "s.fa", "--out", tmp_path / "p.tsv")
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    assert table["Dev"][0] == pytest.approx(fitted.predict(["ACGT" * 8]).mean[0, 0], rel=1e-4)
    teachers = degu.evaluate_run(tmp_path / "saved/student", splits.test, splits.heads)
    assert "ensemble" in set(teachers["method"])


def test_nothing_is_overwritten(fitted, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="expected a new or empty folder"):
            fitted.save(place)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("untrained")
def test_a_folder_keeps_the_runs_and_resumes(splits, spec, tmp_path):
    choices = {"recipe": "paper", "epochs": 1, "progress": False, "folder": tmp_path / "x"}
    first = DEGU(spec, 2, **choices).fit(splits)
    before = state(tmp_path)
    again = DEGU(spec, 2, **choices).fit(splits)
    assert state(tmp_path) == before
    assert again.student_.fingerprint() == first.student_.fingerprint()
    assert DEGU.load(tmp_path / "x").student_.fingerprint() == first.student_.fingerprint()
    with pytest.raises(InputError, match="already holds another run"):
        DEGU(spec, 2, random_state=9, **choices).fit(splits)


@pytest.mark.usefixtures("untrained")
def test_the_temporary_folder_goes_with_the_estimator(splits, spec):
    model = DEGU(spec, 2, recipe="paper", epochs=1, progress=False).fit(splits)
    folder = Path(model.ensemble_.folder)
    assert folder.is_dir()
    student = model.student_
    del model
    gc.collect()
    assert not folder.exists()
    assert len(student.predict(splits.test.sequences)) == 40


def test_callbacks_see_teachers_and_student(fitted, seen):
    assert fitted.ensemble_.n_members == 2
    assert seen == ["member 0"] * 2 + ["member 1"] * 2 + ["student"] * 2


@pytest.mark.slow
@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("shape", [(400,), (400, 2)])
def test_gaps_and_weights_are_those_of_splits(splits, spec, shape, tmp_path):
    (x, y), validation = arrays(splits.train), arrays(splits.validation)
    y, weights = y.copy(), np.random.default_rng(0).uniform(1, 9, shape)
    y[::3, 1] = np.nan
    choices = {"recipe": "paper", "epochs": 1, "progress": False, "folder": tmp_path}
    model = DEGU(spec, 2, **choices)
    with pytest.raises(InputError, match="missing_targets='keep'"):
        model.fit(x, y, validation, sample_weight=weights)
    held_out = np.arange(1.0, 41.0)
    kept = {"sample_weight": weights, "missing_targets": "keep"}
    model.fit(x, y, (*validation, held_out), **kept)
    same = degu.Splits.from_arrays(
        x, y, *validation, weights=weights, weights_val=held_out, missing_targets="keep"
    )
    before = state(tmp_path)
    DEGU(spec, 2, **choices).fit(same)  # the same data: the finished runs are loaded
    assert state(tmp_path) == before
    with pytest.raises(InputError, match=r"Received: sample_weight and missing_targets"):
        model.fit(same, **kept)


def test_what_cannot_be_fitted_is_refused(splits, spec):
    model = DEGU(spec, 2)
    x, y = arrays(splits.train)
    for arguments in ((x,), (x, y), (x, y, x), (x, None, (x, y))):
        with pytest.raises(InputError, match=r"expected fit\(x, y, validation_data"):
            model.fit(*arguments)
    with pytest.raises(InputError, match="give nothing else"):
        model.fit(splits, y)
    with pytest.raises(InputError, match="expected one of the recipes"):
        DEGU(spec, 2, recipe="bst").fit(splits)
    with pytest.raises(InputError, match="call fit first"):
        model.predict(x)
    assert not hasattr(model, "ensembl_")
    assert repr(model) == "DEGU(deepstarr, 2 members; not fitted)"


def test_what_is_no_saved_estimator_is_refused(fitted, tmp_path):
    with pytest.raises(InputError, match="expected the folder of a run"):
        DEGU.load(tmp_path)
    fitted.save(tmp_path / "x")
    with open(tmp_path / "x" / "student" / "model.keras", "ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="differs from what the run wrote"):
        DEGU.load(tmp_path / "x")


def test_the_basic_story_is_ten_lines_at_most():
    example = [
        line for line in inspect.getdoc(DEGU).splitlines() if line.startswith((">>>", "..."))
    ]
    assert 5 <= len(example) <= 10


@pytest.mark.slow
def test_what_fails_is_trained_again_as_often_as_asked(splits, tmp_path):
    """Members from seeds derived from their own, and the student likewise."""
    seed = next(
        s
        for s in range(9999)
        if fails(member_seed(s, 0))
        and not fails(member_seed(s, 1))
        and not fails(attempt_seed(member_seed(s, 0), 1))
        and fails(s)
        and not fails(attempt_seed(s, 1))
    )
    how = {"recipe": "paper", "epochs": 1, "random_state": seed, "progress": False}
    with pytest.raises(InputError, match="failed member 0"):
        DEGU(diverging, 2, **how).fit(splits)
    model = DEGU(diverging, 2, **how, retries=1, folder=tmp_path).fit(splits)
    assert model.ensemble_.numbers == (0, 1)
    assert [each.seed for each in failed_attempts(tmp_path / "teachers" / "member_00")] == [
        member_seed(seed, 0)
    ]
    assert failed_attempts(tmp_path / "student")[0].seed == seed


def test_retries_are_a_whole_number(splits):
    with pytest.raises(InputError, match="retries must be a whole number from 0"):
        DEGU("deepstarr", 2, retries=-1, progress=False).fit(splits)
