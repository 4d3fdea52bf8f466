"""Maps of runs: what files hold, that runs go on, that TF-MoDISco finds what was planted."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import keras
import numpy as np
import pytest

from degu_tf.attribution import explain_run as maps_module
from degu_tf.attribution.explain_run import explain_run, top_rows
from degu_tf.attribution.gradients import gradient_correction, saliency
from degu_tf.attribution.map_files import (
    Maps,
    member_files,
    read_maps,
    read_scores,
    write_maps,
    write_modisco_pair,
)
from degu_tf.attribution.methods import METHODS, Method, fingerprint
from degu_tf.attribution.motifs import importance
from degu_tf.attribution.shap_values import deepshap
from degu_tf.attribution.single_bases import mutagenesis
from degu_tf.data.simulation.grammar import MOTIFS, TARGETS, true_activity
from degu_tf.data.simulation.mpra import simulate
from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import one_hot, reverse_complement
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder


@pytest.fixture(scope="module")
def test_set(splits):
    return splits.test.sequences


@pytest.fixture(scope="module")
def names(test_set):
    return [f"locus {row}" for row in range(len(test_set))]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_scores_and_what_other_bases_would_do(name, teachers, test_set):
    member, x = teachers.members[0], test_set[:3]
    background = test_set[3:9]
    method = Method(name=name, background=background, steps=200)
    made = method.explain(member, x, "Hk")
    assert made.scores.shape == made.hypothetical.shape == (3, 32, 4)
    gradients = saliency(member, x, "Hk")
    expected = {
        "deepshap": lambda: deepshap(member, x, background, "Hk").scores,
        "saliency": lambda: gradients,
        "input_x_gradient": lambda: gradients * one_hot(x),
        "ism": lambda: mutagenesis(member, x, "Hk"),
    }
    if name in expected:
        np.testing.assert_allclose(made.scores, expected[name](), atol=1e-6)
    if name in ("deepshap", "integrated_gradients", "input_x_gradient"):
        own = (made.hypothetical * one_hot(x)).sum(axis=2)
        np.testing.assert_allclose(own, made.scores.sum(axis=2), atol=1e-5)
    else:
        np.testing.assert_array_equal(made.hypothetical, gradient_correction(made.scores))
    assert (made.delta is not None) == (name in ("deepshap", "integrated_gradients"))


@pytest.mark.parametrize("name", METHODS)
def test_importance_ignores_what_no_base_can_change(name, test_set):
    """A constant for all four bases of a position: the same function of one-hot sequences."""
    rng = np.random.default_rng(0)
    kernel, shift = rng.normal(size=(32, 4)), 3.0 * rng.normal(size=(32, 1))
    found = []
    for weights in (kernel, kernel + shift):
        inputs = keras.Input((32, 4))
        dense = keras.layers.Dense(1)
        model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
        dense.set_weights([weights.reshape(-1, 1), np.zeros(1)])
        made = Method(name=name, background=test_set[5:15]).explain(model, test_set[:3])
        found.append(importance(made.hypothetical, test_set[:3]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    expected = importance(np.broadcast_to(kernel, (3, 32, 4)), test_set[:3])
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_what_decides_the_numbers_describes_a_method(test_set):
    described = Method(background=test_set[:5], steps=7).describe()
    assert described == {
        "name": "deepshap", "background": fingerprint(test_set[:5]), "n_references": 5
    }  # fmt: skip
    assert described != Method(background=test_set[1:6]).describe()
    assert Method(seed=3).describe()["seed"] == 3
    with pytest.raises(InputError, match=r"method must be one of \('deepshap'.*'lime'"):
        Method(name="lime")
    with pytest.raises(InputError, match="steps must be"):
        Method(steps=0)


def test_an_ensembles_maps_are_its_members_mean(teachers, test_set, names, tmp_path):
    method = Method(name="saliency")
    folders = explain_run(
        teachers, test_set, tmp_path / "m", heads=["Hk", "Dev_aleatoric"], method=method,
        names=names, top=7, progress=False,
    )  # fmt: skip
    prediction = teachers.predict(test_set)
    for head, values in (
        ("Hk", prediction.mean[:, 1]),
        ("Dev_aleatoric", prediction.aleatoric[:, 0]),
    ):
        maps = read_maps(folders[head] / "maps.h5")
        rows = np.argsort(-values, kind="stable")[:7]
        np.testing.assert_array_equal(maps.rows, rows)
        assert maps.names == [names[row] for row in rows]
        np.testing.assert_array_equal(maps.sequences, test_set[rows])
        each = [saliency(member, test_set[rows], head) for member in teachers.members]
        np.testing.assert_allclose(maps.scores, np.mean(each, axis=0), atol=1e-6)
        np.testing.assert_allclose(read_scores(folders[head]), each, atol=1e-6)
        index = 1 if head == "Hk" else 0
        np.testing.assert_array_equal(maps.value, values[rows])
        np.testing.assert_array_equal(maps.activity, prediction.mean[rows, index])
        np.testing.assert_array_equal(maps.epistemic, prediction.epistemic[rows, index])
        np.testing.assert_array_equal(maps.aleatoric, prediction.aleatoric[rows, index])
        assert (maps.head, maps.method) == (head, "saliency")
    assert maps.target == "Dev"
    assert RunFolder(tmp_path / "m").finished


def test_an_executor_explains_the_same(teachers, test_set, tmp_path):
    method = Method(name="saliency")
    explain_run(teachers, test_set[:4], tmp_path / "here", method=method, progress=False)
    with ThreadPoolExecutor(2) as executor:
        explain_run(
            teachers,
            test_set[:4],
            tmp_path / "there",
            method=method,
            progress=False,
            executor=executor,
        )
    for file in (tmp_path / "here").rglob("*.h5"):
        one, other = (
            read_maps(tmp_path / at / file.relative_to(tmp_path / "here"))
            for at in ("here", "there")
        )
        assert np.array_equal(one.scores, other.scores)


def test_a_students_uncertainty_is_explained_like_any_head(student, test_set, tmp_path):
    method = Method(background=test_set[:6])
    folders = explain_run(
        student, test_set, tmp_path / "m", heads=["Hk_epistemic"], method=method, top=3
    )
    maps = read_maps(folders["Hk_epistemic"] / "maps.h5")
    result = deepshap(student, maps.sequences, test_set[:6], "Hk_epistemic")
    np.testing.assert_allclose(maps.scores, result.scores, atol=1e-6)
    np.testing.assert_allclose(maps.delta, result.delta, atol=1e-6)
    np.testing.assert_array_equal(maps.value, student.predict(maps.sequences).epistemic[:, 1])
    assert len(member_files(folders["Hk_epistemic"])) == 1


def test_measured_values_may_rank(teachers, splits, test_set, tmp_path):
    measured = splits.test.targets[:, 0]
    folders = explain_run(
        teachers, test_set, tmp_path / "m", heads=["Dev"], method=Method(name="saliency"), top=4,
        ranking={"Dev": measured}, progress=False,
    )  # fmt: skip
    maps = read_maps(folders["Dev"] / "maps.h5")
    np.testing.assert_array_equal(maps.rows, np.argsort(-measured, kind="stable")[:4])
    assert top_rows(np.array([2.0, 1.0]), 9).tolist() == [0, 1]


def test_an_interrupted_run_goes_on_at_its_member(teachers, test_set, tmp_path, monkeypatch):
    calls = []
    whole = Method.explain

    def interrupted(self, model, *args):
        calls.append(teachers.members.index(model))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, model, *args)

    monkeypatch.setattr(Method, "explain", interrupted)

    def run(top=5, heads=("Dev",)):
        return explain_run(
            teachers, test_set, tmp_path / "m", heads=heads, method=Method(name="saliency"),
            top=top, progress=False,
        )["Dev"]  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run()
    folder = tmp_path / "m" / "Dev"
    assert [file.name for file in folder.iterdir()] == ["member_00.h5"]
    first = (folder / "member_00.h5").read_bytes()
    for changed in ({"top": 6}, {"heads": ("Dev", "Hk")}):
        with pytest.raises(InputError, match="already holds another run"):
            run(**changed)
    run()
    assert calls == [0, 1, 1]
    assert (folder / "member_00.h5").read_bytes() == first
    each = [saliency(m, read_maps(folder / "maps.h5").sequences, "Dev") for m in teachers.members]
    np.testing.assert_allclose(read_scores(folder), each, atol=1e-6)
    run()
    assert calls == [0, 1, 1]
    with pytest.raises(InputError, match="of another kind"):
        open_run(tmp_path / "m")


def test_other_sequences_or_another_predictor_are_another_run(teachers, test_set, tmp_path):
    settings = {"heads": ["Dev"], "method": Method(name="saliency"), "top": 2, "progress": False}
    explain_run(teachers, test_set, tmp_path / "m", **settings)
    for other in ((teachers, test_set[::-1]), (teachers.members[0], test_set)):
        with pytest.raises(InputError, match="already holds another run"):
            explain_run(*other, tmp_path / "m", **settings)


def test_the_pair_for_modisco_is_channels_first(tmp_path, test_set):
    scores = np.random.default_rng(0).normal(size=(3, 32, 4))
    pair = write_modisco_pair(tmp_path, test_set[:3], scores)
    ohe, attributions = (np.load(file)["arr_0"] for file in pair)
    np.testing.assert_array_equal(ohe, one_hot(test_set[:3]).transpose(0, 2, 1))
    np.testing.assert_allclose(attributions, scores.transpose(0, 2, 1), atol=1e-6)
    with pytest.raises(InputError, match=r"scores of shape \(3, 32, 4\)"):
        write_modisco_pair(tmp_path, test_set[:3], scores[:2])


def test_files_give_back_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    maps = Maps(
        "Dev", "Dev", "ism", ["a", "β"], np.array([4, 1]),
        rng.random((2, 9, 4)).astype(np.float32), rng.normal(size=(2, 9, 4)).astype(np.float32),
        rng.normal(size=(2, 9, 4)), rng.random(2), epistemic=rng.random(2),
    )  # fmt: skip
    write_maps(tmp_path / "m.h5", maps)
    found = read_maps(tmp_path / "m.h5")
    for name, value in vars(maps).items():
        held = getattr(found, name)
        if isinstance(value, np.ndarray):
            assert held.dtype == value.dtype
            np.testing.assert_array_equal(held, value)
        else:
            assert held == value
    with h5py.File(tmp_path / "m.h5") as file:
        assert file["scores"].compression == "gzip"
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["scores"]
    with pytest.raises(InputError, match=r"m\.h5: expected the dataset scores"):
        read_maps(tmp_path / "m.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="Received: a file of another kind"):
        read_maps(tmp_path / "other.h5")
    with pytest.raises(InputError, match="expected the maps of a head"):
        member_files(tmp_path)


def test_what_a_run_cannot_explain_is_refused(teachers, test_set, names, tmp_path):
    def refused(message, **options):
        with pytest.raises(InputError, match=message):
            explain_run(teachers, test_set, tmp_path / "none", progress=False, **options)

    refused(r"explain a student of it. Received: head='Dev_epistemic'", heads=["Dev_epistemic"])
    refused(r"expected one of the columns.*'dev'", heads=["dev"])
    refused("expected different heads", heads=["Dev", "Dev"])
    refused("expected 40 names.*Received: 3", names=names[:3])
    refused("top must be", top=0)
    refused("ranking of 40 finite values for one of Dev, Hk", ranking={"Dev": np.zeros(3)})
    assert not (tmp_path / "none").exists()


def test_sequences_that_are_not_one_hot_have_maps_but_no_pair(student, test_set, tmp_path):
    noisy = one_hot(test_set[:4]) + np.float32(0.1)
    folder = explain_run(
        student, noisy, tmp_path / "m", heads=["Dev"], method=Method(name="saliency")
    )["Dev"]
    np.testing.assert_array_equal(
        read_maps(folder / "maps.h5").sequences, noisy[read_maps(folder / "maps.h5").rows]
    )
    assert sorted(file.name for file in folder.iterdir()) == ["maps.h5"]
    assert maps_module.folder_name("../x") == "__x"


class Grammar:
    """The simulated assay's truth as a predictor."""

    def predict(self, sequences):
        return HeadLayout(TARGETS).prediction(true_activity(sequences))


@pytest.mark.slow
def test_modisco_finds_the_planted_motifs(tmp_path):
    data = simulate((1, 1, 1200), 249, seed=3)
    tokens, activity = data.splits.test.sequences, data.truth.activity["test"][:, 0]
    tokens = tokens[top_rows(activity, 400)]
    scores = mutagenesis(Grammar(), tokens, "Dev", batch_size=4096)
    sequences, attributions = write_modisco_pair(tmp_path, tokens, gradient_correction(scores))
    command = ["motifs", "-s", sequences, "-a", attributions, "-n", "2000", "-w", "248"]
    command += ["-o", tmp_path / "found.h5"]
    code = "from modiscolite.cli import cli; cli()"
    subprocess.run([sys.executable, "-c", code, *command], check=True)
    consensus = {motif.name: motif.allowed() for motif in MOTIFS}
    found = set()
    with h5py.File(tmp_path / "found.h5") as file:
        for pattern in file["pos_patterns"].values():
            scores = pattern["contrib_scores"][()].sum(axis=1)
            bases = pattern["sequence"][()].argmax(axis=1)
            kept = np.flatnonzero(scores > 0.25 * scores.max())
            core = bases[kept[0] : kept[-1] + 1].astype(np.uint8)
            for name, allowed in consensus.items():
                if any(
                    _holds(strand, allowed) for strand in (core, reverse_complement(core[None])[0])
                ):
                    found.add(name)
    assert {"AP-1", "ETS", "Twist"} <= found
    assert not found & {"DRE", "M1BP"}


def _holds(bases, allowed):
    width = len(allowed)
    return any(
        allowed[np.arange(width), bases[start : start + width]].all()
        for start in range(len(bases) - width + 1)
    )
