import json
import os
import shutil
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.heads.pooling import pool_members
from degu_tf.models.predictor import Predictor
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run, member_folder, member_seed
from degu_tf.training.train import load_model, train
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


class Fixed:
    """A member whose output is a row of numbers times the number of A in a sequence."""

    def __init__(self, heads, *row):
        self.heads = heads
        self.row = np.array(row, np.float32)

    def columns(self, sequences, progress=False):
        return (sequences == 0).sum(axis=1, keepdims=True).astype(np.float32) * self.row


@pytest.fixture
def train_again(splits, spec, quick):
    """A function that asks for the ensemble of the shared fixture in another folder."""

    def ask(folder, n_members=2, **options):
        run = Run(folder, 5, progress=False)
        return train_ensemble(splits, spec, n_members, quick, run, **options)

    return ask


@pytest.fixture
def copy(teachers, tmp_path):
    """The shared ensemble's folder, free to be changed."""
    return shutil.copytree(teachers.folder, tmp_path / "run")


def states(*folders):
    """Name, time and size of every file."""
    return {
        file: (file.stat().st_mtime_ns, file.stat().st_size)
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file()
    }


def fingerprints(ensemble):
    return [member.fingerprint() for member in ensemble.members]


def test_members_differ_and_each_is_a_run_of_its_own_seed(teachers):
    first, second = fingerprints(teachers)
    assert first != second
    settings = [RunFolder(member_folder(teachers.folder, i)).settings() for i in (0, 1)]
    assert [each["seed"] for each in settings] == [member_seed(5, 0), member_seed(5, 1)]
    assert {each["kind"] for each in settings} == {"model"}


def test_member_seeds():
    seeds = [member_seed(seed, member) for seed in range(20) for member in range(30)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert [member_seed(0, member) for member in range(3)] == seeds[:3]
    with pytest.raises(InputError, match=r"seed must not be negative. Received: seed=-1"):
        member_seed(-1, 0)


def test_the_population_spread_is_the_epistemic_uncertainty():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(5, 7, 2)).astype(np.float32)
    pooled = pool_members(columns, HeadLayout(("a", "b")))
    assert pooled.dtype == np.float32
    assert np.allclose(pooled[:, :2], columns.mean(axis=0), atol=1e-6)
    assert np.allclose(pooled[:, 2:], columns.std(axis=0, ddof=0), atol=1e-6)
    logged = pool_members(columns, HeadLayout(("a", "b")), "log_variance")
    assert np.allclose(logged[:, 2:], np.log(columns.var(axis=0)), atol=1e-5)


def test_a_small_spread_about_a_large_mean_is_not_lost():
    step = float(np.spacing(np.float32(1e4)))
    columns = np.array([[[1e4]], [[1e4]], [[1e4 + step]]], np.float32)
    spread = pool_members(columns, HeadLayout(("a",)))[0, 1]
    assert spread == pytest.approx(step * np.sqrt(2.0) / 3.0, rel=1e-6)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("std", lambda given: given.mean(axis=0)),
        ("log_variance", lambda given: np.sqrt(np.exp(given.mean(axis=0)))),
    ],
)
def test_aleatoric_uncertainty_is_pooled_in_its_own_form(form, expected):
    rng = np.random.default_rng(1)
    columns = rng.uniform(0.1, 2.0, (4, 6, 2)).astype(np.float32)
    pooled = pool_members(columns, HeadLayout(("a",), aleatoric=form))
    assert pooled.shape == (6, 3)
    assert np.allclose(pooled[:, 0], columns[..., 0].mean(axis=0), atol=1e-6)
    assert np.allclose(pooled[:, 1], expected(columns[..., 1].astype(float)), atol=1e-6)
    assert np.allclose(pooled[:, 2], columns[..., 0].std(axis=0), atol=1e-6)


def test_evidential_members_give_their_mean_aleatoric_deviation():
    heads = HeadLayout(("a",), "evidential", "evidential")
    columns = np.array([[[1.0, 2.0, 3.0, 8.0]], [[2.0, 5.0, 2.0, 1.0]]], np.float32)
    assert np.allclose(pool_members(columns, heads), [[1.5, (2.0 + 1.0) / 2, 0.5]])


def test_profiles_are_pooled_at_each_position():
    columns = np.random.default_rng(2).normal(size=(3, 4, 5, 1)).astype(np.float32)
    pooled = pool_members(columns, HeadLayout(("signal",)))
    assert pooled.shape == (4, 5, 2)
    assert np.allclose(pooled[..., 1], columns[..., 0].std(axis=0), atol=1e-6)


def test_prediction_of_an_ensemble_in_closed_form():
    heads = HeadLayout(("a",), aleatoric="std")
    ensemble = Ensemble([Fixed(heads, 1.0, 0.5), Fixed(heads, 3.0, 1.5)])
    prediction = ensemble.predict(["AAC", "AAA"])
    assert isinstance(prediction, Prediction)
    assert prediction.mean.tolist() == [[4.0], [6.0]]
    assert prediction.epistemic.tolist() == [[2.0], [3.0]]
    assert prediction.aleatoric.tolist() == [[2.0], [3.0]]
    assert isinstance(ensemble, Predictor)


def test_chunks_do_not_change_the_numbers(teachers, splits, monkeypatch):
    sequences = splits.train.sequences
    whole = teachers.columns(sequences)
    assert np.allclose(
        whole, pool_members(teachers.member_columns(sequences), teachers.heads), atol=1e-6
    )
    monkeypatch.setattr("degu_tf.distillation.ensemble.CHUNK", 7)
    assert np.allclose(teachers.columns(sequences), whole, atol=1e-6)


def test_ensembles_that_cannot_be():
    one, other = Fixed(HeadLayout(("a",)), 1.0), Fixed(HeadLayout(("b",)), 1.0)
    with pytest.raises(InputError, match=r"two or more members. Received: 1"):
        Ensemble([one])
    with pytest.raises(InputError, match=r"the same heads. Received: \[\('a',\), \('b',\)\]"):
        Ensemble([one, other])


def test_subsets(teachers):
    ensemble = Ensemble([Fixed(HeadLayout(("a",)), value) for value in (1.0, 2.0, 6.0)])
    assert ensemble.subset(2).predict("A").mean.tolist() == [[1.5]]
    for wrong in (4, 1, -1):
        with pytest.raises(InputError, match=f"expected 2 to 3 members. .*n_members={wrong}"):
            ensemble.subset(wrong)
    assert teachers.subset(2).folder == teachers.folder
    assert teachers.subset(2).spec == teachers.spec


def test_an_ensemble_is_loaded_as_it_was(teachers, splits):
    loaded = Ensemble.load(teachers.folder)
    assert fingerprints(loaded) == fingerprints(teachers)
    assert loaded.fingerprint() == teachers.fingerprint()
    assert loaded.heads == splits.heads
    assert loaded.spec.name == "deepstarr"
    assert dict(loaded.spec.options)["dense_units"] == [8]
    assert np.array_equal(
        loaded.columns(splits.test.sequences), teachers.columns(splits.test.sequences)
    )


def test_what_cannot_be_loaded(teachers, tmp_path):
    with pytest.raises(InputError, match=r"the run has 2 members. Received: n_members=3"):
        Ensemble.load(teachers.folder, 3)
    with pytest.raises(InputError, match=r"expected an ensemble's run. Received: .*member_00"):
        Ensemble.load(member_folder(teachers.folder, 0))
    with pytest.raises(InputError, match="expected the folder of a run"):
        Ensemble.load(tmp_path)


@pytest.mark.slow
def test_growing_trains_only_the_missing_member(copy, train_again, teachers):
    kept = [member_folder(copy, 0), member_folder(copy, 1)]
    before = states(*kept)
    grown = train_again(copy, 3)
    assert states(*kept) == before
    assert fingerprints(grown)[:2] == fingerprints(teachers)
    assert len(set(fingerprints(grown))) == 3
    assert Ensemble.load(copy).n_members == 3
    whole = states(copy)
    assert fingerprints(train_again(copy, 2)) == fingerprints(teachers)
    assert states(copy) == whole


@pytest.mark.slow
def test_an_interrupted_run_goes_on_at_the_member_it_had_reached(copy, train_again, teachers):
    (copy / "manifest.json").unlink()
    (copy / "metrics.csv").unlink()
    (copy / "member_01" / "manifest.json").unlink()
    (copy / "member_01" / "model.keras").write_bytes(b"half")
    (copy / "member_01" / ".writing-abc-model.keras").write_bytes(b"ha")
    before = states(copy / "member_00")
    resumed = train_again(copy)  # from the same seed: bit for bit the member it was before
    assert states(copy / "member_00") == before
    assert fingerprints(resumed) == fingerprints(teachers)
    assert fingerprints(Ensemble.load(copy)) == fingerprints(teachers)


def test_an_interruption_leaves_finished_members_and_no_manifest(copy, train_again, monkeypatch):
    (copy / "manifest.json").unlink()
    shutil.rmtree(copy / "member_01")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("degu_tf.training.train.fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_again(copy)
    assert (copy / "member_00" / "manifest.json").exists()
    assert not (copy / "manifest.json").exists()
    with pytest.raises(InputError, match="unfinished"):
        Ensemble.load(copy)


def test_a_member_that_was_changed_is_refused(copy):
    model = copy / "member_01" / "model.keras"
    model.write_bytes((copy / "member_00" / "model.keras").read_bytes())
    with pytest.raises(InputError, match=r"differs from what the run wrote.*member_01"):
        Ensemble.load(copy)


@pytest.mark.slow
def test_threads_train_the_same_members(tmp_path, train_again, teachers):
    with ThreadPoolExecutor(2) as executor:
        trained = train_again(tmp_path / "run", executor=executor)
    assert fingerprints(trained) == fingerprints(teachers)


@pytest.mark.slow
def test_processes_train_the_same_members(tmp_path, train_again, teachers):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        trained = train_again(tmp_path / "run", executor=executor)
    assert fingerprints(trained) == fingerprints(teachers)


def test_when_a_member_fails_those_that_wait_are_called_off(tmp_path, train_again):
    futures = []

    class OneFails:
        def submit(self, *_):
            futures.append(Future())
            if len(futures) == 1:
                futures[0].set_exception(OSError("disk full"))
            return futures[-1]

    with pytest.raises(OSError, match="disk full"):
        train_again(tmp_path / "run", executor=OneFails())
    assert futures[1].cancelled()


def test_requests_that_cannot_be_met_claim_no_folder(tmp_path, train_again, splits, quick):
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=r"two or more members. Received: n_members=1"):
        train_again(folder, 1)
    with ThreadPoolExecutor(1) as executor, pytest.raises(InputError, match="from their folder"):
        train_again(None, executor=executor)
    with pytest.raises(InputError, match="Received: name='deepsea'"):
        train_ensemble(splits, ModelSpec("deepsea"), 2, quick, Run(folder))
    with pytest.raises(InputError, match=r"seed must be a whole .* Received: seed=-3"):
        train_ensemble(splits, ModelSpec("deepstarr"), 2, quick, Run(folder, -3))
    assert not os.path.exists(folder)


def test_another_ensembles_folder_is_refused(teachers, splits, spec, quick):
    with pytest.raises(InputError, match=r"another run.*\(seed: holds 5, requested 6\)"):
        train_ensemble(splits, spec, 2, quick, Run(teachers.folder, 6))
    with pytest.raises(InputError, match=r"another run.*kind: holds 'ensemble', requested 'model'"):
        train(splits, spec, quick, Run(teachers.folder, 5))


def test_each_member_starts_from_its_own_weights_of_a_run(teachers, splits, spec, monkeypatch):
    built = []
    monkeypatch.setattr(
        "degu_tf.training.train.fit", lambda model, *_, **__: built.append(model.get_weights())
    )
    started = ModelSpec(spec.name, spec.options, str(teachers.folder))
    train_ensemble(splits, started, 3, run=Run(seed=1))
    for given, member in zip(built, (0, 1, 0), strict=True):
        expected = teachers.members[member].model.get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(given, expected, strict=True))


def exchange_targets(path):
    content = json.loads(path.read_text())
    content["heads"]["targets"].reverse()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("place", ["settings.json", "member_00/settings.json"])
def test_exchanged_targets_are_refused_on_load(copy, place):
    """They decide which column is which, and nothing else would tell."""
    exchange_targets(copy / place)
    with pytest.raises(InputError, match=r"differs from what the run wrote.*settings\.json"):
        Ensemble.load(copy)


def test_a_members_exchanged_targets_are_refused_where_it_is_loaded_alone(copy):
    exchange_targets(copy / "member_00" / "settings.json")
    with pytest.raises(InputError, match="differs from what the run wrote"):
        load_model(copy / "member_00")


def test_a_member_copied_over_another_is_refused(copy):
    """Each member is a whole run; only the ensemble knows which ones it was finished with."""
    shutil.rmtree(copy / "member_01")
    shutil.copytree(copy / "member_00", copy / "member_01")
    load_model(copy / "member_01")
    with pytest.raises(InputError, match=r"differs from what the run wrote.*member_01"):
        Ensemble.load(copy)


def test_what_ensembles_look_like(teachers):
    columns = "Dev, Hk, Dev_aleatoric, Hk_aleatoric"
    described = f"Ensemble(2 members of deepstarr; 32 bp; columns {columns}; in {teachers.folder})"
    assert repr(teachers) == described
    assert repr(Ensemble(teachers.members)) == f"Ensemble(2 members; 32 bp; columns {columns})"
