"""Networks nobody here wrote, from training to variants: the whole way, judged by numbers."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import own_networks
import pandas as pd
import public_networks
import pytest

from degu_tf.attribution.gradients import saliency
from degu_tf.attribution.shap_values import deepshap
from degu_tf.attribution.single_bases import mutagenesis
from degu_tf.distillation.distill import Augmentation, DistillationSettings, distill
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.ensemble_training import train_ensemble
from degu_tf.distillation.runs import open_run, teachers_of
from degu_tf.distillation.teacher import Teacher
from degu_tf.metrics.intervals import coverage
from degu_tf.models.inference.fast_forward import FastForward
from degu_tf.models.predictor import ModelPredictor
from degu_tf.models.released.card import export, open_weights
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.run import Run
from degu_tf.training.settings import TrainingSettings
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError
from degu_tf.variants.scorer import score_variants

NETWORKS = (
    pytest.param("transformer", marks=pytest.mark.slow),
    pytest.param("residual", marks=pytest.mark.slow),
    "several_outputs",
    pytest.param("sequential", marks=pytest.mark.slow),
    *(
        pytest.param(f"public-{name}", marks=pytest.mark.slow)
        for name in public_networks.PACKAGE_OF
    ),
)
PLAIN = ("transformer", "legnet")
"""Networks that the fast teacher takes as they are."""

QUICK = TrainingSettings(epochs=10, batch_size=20, learning_rate=0.005)
OTHERS = {
    "enformer": replace(QUICK, epochs=12, learning_rate=0.002),
    # its moving statistics keep 0.99 of what they were at each step
    "legnet": replace(QUICK, epochs=40),
}
"""How networks are trained that this does not suit."""


@pytest.fixture(scope="module", params=NETWORKS)
def way(request, splits, tmp_path_factory):
    """Teachers and a student of one network, trained."""
    kind, _, name = request.param.rpartition("-")
    if kind == "public" and public_networks.PACKAGE_OF[name] is None:
        pytest.skip(f"the package of {name} is not installed")
    module = public_networks if kind == "public" else own_networks
    builder, folder = getattr(module, name), tmp_path_factory.mktemp(name)
    settings = OTHERS.get(name, QUICK)
    teachers = train_ensemble(splits, builder, 2, settings, Run(folder / "x", 1, progress=False))
    student = distill(
        teachers,
        splits,
        ModelSpec(builder, head="positive"),
        settings,
        Run(folder / "y", 2, progress=False),
        distillation=DistillationSettings(validation="ensemble"),
    )
    return SimpleNamespace(
        name=name, builder=builder, folder=folder, teachers=teachers, student=student,
        without_rule=module.WITHOUT_RULE.get(name),
    )  # fmt: skip


def r(x, y):
    return np.corrcoef(x, y)[0, 1]


def test_teachers_and_student_learn(way, splits):
    test = splits.test
    measured = splits.heads.take(test.targets, "mean")
    ensemble, student = (each.predict(test.sequences) for each in (way.teachers, way.student))
    for target in range(2):
        assert r(ensemble.mean[:, target], measured[:, target]) > 0.7
        assert r(student.mean[:, target], ensemble.mean[:, target]) > 0.85
        assert r(student.aleatoric[:, target], ensemble.aleatoric[:, target]) > 0.7


def test_fast_teachers_say_what_the_members_say(way, splits):
    x = np.eye(4, dtype=np.float32)[splits.test.sequences]
    labels = Teacher(way.teachers)(x).numpy()
    np.testing.assert_allclose(labels, way.teachers.columns(x), atol=1e-4)
    plain = FastForward(way.teachers.members[0].model).is_plain
    assert plain == (way.name in PLAIN)


def test_intervals_reach_their_coverage(way, splits, make_splits):
    fresh = make_splits(("Dev", "Hk"), "std", sizes=(1, 200, 200), seed=7)
    known, test = fresh.validation, fresh.test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conformal = Conformal().fit(
            way.student.predict(known.sequences), known.targets, splits.heads, known.sequences
        )
        judged = (way.student.predict(test.sequences), test.targets, splits.heads)
        table = coverage(*judged, 0.9, components=["total"], interval=conformal.interval)
    covered = table.loc[table["metric"] == "coverage", "value"]
    assert len(covered) == 2
    assert covered.between(0.8, 0.97).all()


def test_attribution(way, splits):
    """DeepSHAP adds up where every layer has a rule; else the layer and what to do are named."""
    sequences = splits.test.sequences[:4]
    gradients = saliency(way.student, sequences, "Dev")
    effects = mutagenesis(way.student, sequences, "Dev")
    agreement = [r(a.ravel(), b.ravel()) for a, b in zip(gradients, effects, strict=True)]
    assert np.mean(agreement) > 0.2
    if way.without_rule is not None:
        message = rf"layer '\w+' of type {way.without_rule}.*saliency, integrated_gradients or ism"
        with pytest.raises(InputError, match=message):
            deepshap(way.student, sequences, splits.train.sequences[:5], "Dev")
        return
    result = deepshap(way.student, sequences, splits.train.sequences[:5], "Dev_epistemic")
    difference = result.prediction - result.expected
    np.testing.assert_allclose(result.scores.sum(axis=(1, 2)), difference, atol=1e-4)
    assert np.abs(difference).max() > 0


def test_export_and_reload_give_the_same_numbers(way, splits):
    sequences = splits.test.sequences
    expected = way.student.columns(sequences)
    reloaded = open_run(way.folder / "y")
    np.testing.assert_array_equal(reloaded.columns(sequences), expected)
    found = teachers_of(way.folder / "y")
    assert found.fingerprint() == way.teachers.fingerprint()
    assert found.spec.builder is None
    file = way.folder / "exported.keras"
    export(way.student, file, source=way.folder / "y" / "model.keras", source_format="run")
    np.testing.assert_allclose(open_weights(file).columns(sequences), expected, atol=1e-4)


def test_effects_of_variants(way, tmp_path, splits):
    text, length = "".join(decode(splits.test.sequences[:3])), splits.input_shape[0]
    write_fasta(tmp_path / "genome.fa", ["chr1"], [text])
    genome = open_genome(tmp_path / "genome.fa")
    position = len(text) // 2
    ref = text[position]
    variants = [Variant("chr1", position + 1, ref, alt) for alt in "ACGT" if alt != ref]
    effects, skipped = score_variants(way.student, variants, genome, length)
    assert len(skipped) == 0
    for variant, effect in zip(variants, effects["Dev_effect"], strict=True):
        other = text[:position] + variant.alt + text[position + 1 :]
        start = position - (length - 1) // 2
        both = way.student.predict([each[start : start + length] for each in (text, other)]).mean
        both = both[:, 0]
        np.testing.assert_allclose(effect, both[1] - both[0], atol=1e-5)


def test_a_run_without_its_builder_asks_for_it(way, splits):
    loaded = Ensemble.load(way.folder / "x")
    with pytest.raises(InputError, match=f"networks:{way.name}, which is not executed"):
        distill(loaded, splits, settings=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", [NETWORKS[0], "several_outputs"])
def test_students_learn_on_the_fly_too(name, splits):
    spec = ModelSpec(getattr(own_networks, name))
    models = [spec.build((32, 4), splits.heads, seed) for seed in (1, 2)]
    teachers = Ensemble([ModelPredictor(model, splits.heads) for model in models])
    augmentation = Augmentation(scheme("mutagenesis"))
    student = distill(
        teachers, splits, spec, TrainingSettings(epochs=1, batch_size=100), Run(progress=False),
        distillation=DistillationSettings(augmentation=augmentation),
    )  # fmt: skip
    assert student.heads.epistemic == "std"


@pytest.mark.slow
@pytest.mark.parametrize("head", ["linear", "positive"])
def test_students_start_from_the_best_teacher(splits, head, monkeypatch):
    spec = ModelSpec(own_networks.residual)
    models = [spec.build((32, 4), splits.heads, seed) for seed in (1, 2)]
    members = [ModelPredictor(model, splits.heads) for model in models]
    monkeypatch.setattr("degu_tf.training.train.fit", lambda *_, **__: pd.DataFrame({"epoch": [0]}))
    student = distill(
        Ensemble(members), splits, replace(spec, head=head), run=Run(progress=False),
        distillation=DistillationSettings(init="best-teacher"),
    )  # fmt: skip
    errors = [
        np.mean((each.predict(splits.validation.sequences).mean
                 - splits.heads.take(splits.validation.targets, "mean")) ** 2)
        for each in members
    ]  # fmt: skip
    best = members[int(np.argmin(errors))]
    x = splits.test.sequences
    np.testing.assert_allclose(student.predict(x).mean, best.predict(x).mean, atol=1e-5)
