import keras
import numpy as np
import pytest

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import (
    MIN_STD,
    FlooredUncertaintyWarning,
    HeadLayout,
    Prediction,
)
from degu_tf.models import registry
from degu_tf.models.predictor import ModelPredictor, StrandAveraged
from degu_tf.sequences.encoding import encode, one_hot, reverse_complement
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant, Windows
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.utils.errors import InputError
from degu_tf.variants.effects import PARTS, Outputs, effect_parts
from degu_tf.variants.scorer import VariantScorer, score_variants

LENGTH = 32
STUDENT = HeadLayout(("Dev", "Hk"), aleatoric="std", epistemic="std")


class Linear:
    """Effects and deviations that are weighted sums of the bases, position by position."""

    def __init__(self, length=LENGTH, seed=0, heads=STUDENT):
        rng = np.random.default_rng(seed)
        self.heads = heads
        self.weights = rng.normal(size=(length, 4, heads.n_columns))
        self.weights[..., heads.n_targets :] = np.abs(self.weights[..., heads.n_targets :]) / 10
        self.batches = []

    def predict(self, sequences):
        self.batches.append(np.array(sequences))
        return self.heads.prediction(np.einsum("nlb,lbc->nc", one_hot(sequences), self.weights))


@pytest.fixture(scope="module")
def bases():
    return "".join(np.random.default_rng(1).choice(list("ACGT"), 400))


@pytest.fixture(scope="module")
def genome(bases, tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{bases}\n")
    return open_genome(path)


@pytest.fixture(scope="module")
def variants(bases):
    """Every substitution of 20 bases, an insertion and a deletion."""
    single = [
        Variant("1", position, bases[position - 1], alt)
        for position in range(100, 120)
        for alt in "ACGT"
        if alt != bases[position - 1]
    ]
    return [
        *single,
        Variant("1", 300, bases[299], bases[299] + "ACG", "rs1"),
        Variant("1", 310, bases[309:313], bases[309], "rs2"),
    ]


@pytest.fixture(scope="module")
def student():
    keras.utils.set_random_seed(0)
    model = registry.build("deepstarr", (LENGTH, 4), STUDENT, width=0.05)
    return ModelPredictor(model, STUDENT)


def by_hand(predictor, variants, genome, flanks=("", ""), offset=0):
    """Predictions of both alleles, a sequence at a time."""
    windows = Windows(genome, LENGTH - len("".join(flanks)), offset)
    cuts = [windows.cut(variant) for variant in variants]
    return [
        [predictor.predict(encode([flanks[0] + sequence + flanks[1]])) for sequence in pair]
        for pair in ((cut.ref, cut.alt) for cut in cuts)
    ]


def column(table, target, part):
    return table[f"{target}_{part}"].to_numpy()


def test_effects_are_alternative_minus_reference(genome, variants):
    predictor = Linear()
    table = VariantScorer(predictor, genome, LENGTH).score(variants)
    assert table[["contig", "position", "id", "ref", "alt"]].to_numpy().tolist() == [
        [each.contig, each.position, each.id, each.ref, each.alt] for each in variants
    ]
    expected = by_hand(predictor, variants, genome)
    for index, target in enumerate(STUDENT.targets):

        def each(name, allele, index=index):
            return np.array([getattr(pair[allele], name)[0, index] for pair in expected])

        np.testing.assert_allclose(column(table, target, "ref"), each("mean", 0), rtol=1e-6)
        np.testing.assert_allclose(column(table, target, "alt"), each("mean", 1), rtol=1e-6)
        effect = each("mean", 1) - each("mean", 0)
        np.testing.assert_allclose(column(table, target, "effect"), effect, atol=1e-6)
        variance = 0.0
        for name in ("aleatoric", "epistemic"):
            std = np.sqrt(each(name, 0) ** 2 + each(name, 1) ** 2)
            np.testing.assert_allclose(column(table, target, name), std, rtol=1e-6)
            variance = variance + std**2
        total = np.sqrt(variance)
        np.testing.assert_allclose(column(table, target, "total"), total, rtol=1e-6)
        np.testing.assert_allclose(
            column(table, target, "upper"), effect + 1.959964 * total, rtol=1e-5, atol=1e-5
        )
        np.testing.assert_allclose(
            column(table, target, "lower"), effect - 1.959964 * total, rtol=1e-5, atol=1e-5
        )


def test_a_model_gives_what_it_predicts_of_each_window_alone(genome, variants, student):
    with pytest.warns(FlooredUncertaintyWarning):
        table, skipped = score_variants(student, variants, genome, LENGTH)
    assert skipped.empty
    windows = Windows(genome, LENGTH)
    cuts = [windows.cut(variant) for variant in variants]
    alone = [
        student.columns(encode([cut.alt])) - student.columns(encode([cut.ref])) for cut in cuts
    ]
    effects = table[["Dev_effect", "Hk_effect"]].to_numpy()
    np.testing.assert_allclose(effects, np.concatenate(alone)[:, :2], atol=2e-6)


def test_each_window_is_predicted_once_in_batches_of_one_size(genome, variants):
    predictor = Linear()
    scorer = VariantScorer(predictor, genome, LENGTH, batch_size=16)
    predictor.batches.clear()
    scorer.score(variants)
    assert {batch.shape for batch in predictor.batches} == {(16, LENGTH)}
    n_windows = 20 + 60 + 4
    assert len(predictor.batches) == -(-n_windows // 16)
    together = np.concatenate(predictor.batches)[:n_windows]
    assert len(np.unique(together, axis=0)) == n_windows


def test_strands_are_averaged(genome, variants):
    predictor = Linear()
    table = VariantScorer(predictor, genome, LENGTH, average_strands=True).score(variants)
    expected = by_hand(StrandAveraged(predictor), variants, genome)
    effect = [pair[1].mean[0, 1] - pair[0].mean[0, 1] for pair in expected]
    np.testing.assert_allclose(column(table, "Hk", "effect"), effect, atol=1e-6)
    std = [np.hypot(pair[0].aleatoric[0, 1], pair[1].aleatoric[0, 1]) for pair in expected]
    np.testing.assert_allclose(column(table, "Hk", "aleatoric"), std, rtol=1e-6)


def test_flanks_stay_in_place_on_both_strands(genome, variants):
    predictor, flanks = Linear(), ("ACGTT", "GGC")
    scorer = VariantScorer(predictor, genome, LENGTH, flanks=flanks, average_strands=True)
    predictor.batches.clear()
    table = scorer.score(variants[:3])
    forward, reverse = (batch[:4] for batch in predictor.batches)
    between = slice(5, LENGTH - 3)
    for strand in (forward, reverse):
        assert (strand[:, :5] == encode([flanks[0]])).all()
        assert (strand[:, -3:] == encode([flanks[1]])).all()
    assert (reverse[:, between] == reverse_complement(forward[:, between])).all()
    columns = np.einsum("nlb,lbc->nc", one_hot(forward), predictor.weights)
    columns = (columns + np.einsum("nlb,lbc->nc", one_hot(reverse), predictor.weights)) / 2
    np.testing.assert_allclose(table["Dev_effect"], columns[1:4, 0] - columns[0, 0], atol=1e-6)


def test_flanks_without_averaging_are_the_whole_oligo(genome, variants):
    predictor, flanks = Linear(), ("ACGTT", "GGC")
    table = VariantScorer(predictor, genome, LENGTH, flanks=flanks).score(variants)
    expected = by_hand(predictor, variants, genome, flanks)
    effect = [pair[1].mean[0, 0] - pair[0].mean[0, 0] for pair in expected]
    np.testing.assert_allclose(column(table, "Dev", "effect"), effect, atol=1e-6)


def test_moved_windows_are_averaged(genome, variants):
    predictor, shifts = Linear(), (-3, 0, 4)
    table = VariantScorer(predictor, genome, LENGTH, shifts=shifts).score(variants)
    moved = [by_hand(predictor, variants, genome, offset=shift) for shift in shifts]
    effect = np.mean(
        [[pair[1].mean[0, 0] - pair[0].mean[0, 0] for pair in pairs] for pairs in moved], axis=0
    )
    np.testing.assert_allclose(column(table, "Dev", "effect"), effect, atol=1e-6)
    assert (table["shift"] == 0).all()


def test_scoring_again_gives_the_same_bytes_and_other_blocks_the_same_numbers(
    genome, variants, student
):
    scorer = VariantScorer(student, genome, LENGTH, batch_size=8)
    assert scorer.score(variants).equals(scorer.score(variants))
    parts = np.concatenate([scorer.score(part)["Dev_alt"] for part in (variants[:8], variants[8:])])
    np.testing.assert_allclose(parts, scorer.score(variants)["Dev_alt"], atol=1e-6)


def test_one_insertion_has_one_effect_wherever_it_is_spelled(tmp_path):
    (tmp_path / "g.fa").write_text(f">chr1\n{'ACGT' * 10}{'CA' * 5}{'GTCA' * 10}\n")
    spelled = [
        Variant("1", 40, "T", "TCA"),
        Variant("1", 49, "C", "CAC"),
        Variant("1", 50, "A", "ACA"),
        Variant("1", 44, "A", "ACA"),
        Variant("1", 42, "ACACA", "ACACACA"),
    ]
    with open_genome(tmp_path / "g.fa") as genome:
        table = VariantScorer(Linear(), genome, LENGTH).score(spelled)
    assert table["position"].tolist() == [40, 49, 50, 44, 42]
    assert table["alt"].tolist() == ["TCA", "CAC", "ACA", "ACA", "ACACACA"]
    assert set(table["position_normalised"]) == {40}
    assert set(table["ref_normalised"] + table["alt_normalised"]) == {"TTCA"}
    effects = table.drop(columns=["position", "ref", "alt"])
    assert len(effects.drop_duplicates()) == 1
    assert effects["Dev_effect"].abs().min() > 0.1


def test_unknown_bases_are_counted(genome, bases):
    variant = Variant("chr1", 1, bases[0], "A" if bases[0] != "A" else "C")
    table = VariantScorer(Linear(), genome, LENGTH).score([variant])
    assert table["unknown"].tolist() == [15]


def test_the_uncertainty_of_the_alternative(genome, variants):
    predictor = Linear()
    table = VariantScorer(predictor, genome, LENGTH, uncertainty="alternative").score(variants)
    expected = [pair[1].epistemic[0, 0] for pair in by_hand(predictor, variants, genome)]
    np.testing.assert_allclose(column(table, "Dev", "epistemic"), expected, rtol=1e-6)


def test_the_spread_of_members_effects(genome, variants):
    heads = HeadLayout(("Dev", "Hk"))
    members = [
        ModelPredictor(registry.build("deepstarr", (LENGTH, 4), heads, width=0.05), heads)
        for _ in range(3)
    ]
    ensemble = Ensemble(members)
    spread = VariantScorer(ensemble, genome, LENGTH, uncertainty="members").score(variants)
    apart = [VariantScorer(each, genome, LENGTH).score(variants)["Hk_effect"] for each in members]
    np.testing.assert_allclose(spread["Hk_epistemic"], np.std(apart, axis=0), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(spread["Hk_effect"], np.mean(apart, axis=0), rtol=1e-3, atol=1e-7)
    independent = VariantScorer(ensemble, genome, LENGTH).score(variants)
    assert (spread["Hk_epistemic"] < independent["Hk_epistemic"]).all()
    assert spread["Hk_aleatoric"].isna().all()
    np.testing.assert_array_equal(spread["Hk_total"], spread["Hk_epistemic"])


def test_a_predictor_without_uncertainty_gives_effects_alone(genome, variants):
    table = VariantScorer(Linear(heads=HeadLayout(("Dev",))), genome, LENGTH).score(variants)
    absent = ["Dev_aleatoric", "Dev_epistemic", "Dev_total", "Dev_lower", "Dev_upper"]
    assert table[absent].isna().all(axis=None)
    assert table[["Dev_effect", "Dev_ref", "Dev_alt"]].notna().all(axis=None)


def test_columns_are_known_before_anything_is_scored(genome, variants):
    scorer = VariantScorer(Linear(), genome, LENGTH)
    assert scorer.targets == ("Dev", "Hk")
    assert scorer.score(variants).columns.tolist() == scorer.columns
    assert scorer.score([]).columns.tolist() == scorer.columns
    assert len(scorer.columns) == 7 + 2 * len(PARTS) + 3


def test_floored_deviations_are_counted_without_the_filling(genome, variants):
    predictor = Linear()
    predictor.weights[..., STUDENT.slice("epistemic")] = 0.0
    with pytest.warns(FlooredUncertaintyWarning, match=r"168 epistemic .* below 1e-06"):
        table, _ = score_variants(predictor, variants, genome, LENGTH, batch_size=16)
    np.testing.assert_allclose(table["Dev_epistemic"], np.hypot(MIN_STD, MIN_STD))


def test_conformal_ends_are_subtracted_end_from_end(genome, variants):
    predictor = Linear()
    rng = np.random.default_rng(2)
    sequences = rng.integers(0, 4, (400, LENGTH), np.uint8)
    known = predictor.predict(sequences)
    measured = known.mean + 2 * known.total * rng.normal(size=known.mean.shape)
    conformal = Conformal().fit(known, measured, HeadLayout(STUDENT.targets), levels=(0.95,))
    table = VariantScorer(predictor, genome, LENGTH, conformal=conformal, level=0.9).score(variants)
    for row, (ref, alt) in enumerate(by_hand(predictor, variants, genome)):
        (ref_lower, ref_upper), (alt_lower, alt_upper) = (
            conformal.predict(each, 0.95) for each in (ref, alt)
        )
        assert table["Hk_lower"][row] == pytest.approx(alt_lower[0, 1] - ref_upper[0, 1], abs=1e-5)
        assert table["Hk_upper"][row] == pytest.approx(alt_upper[0, 1] - ref_lower[0, 1], abs=1e-5)


def test_a_calibration_of_too_few_points_is_refused_at_once(genome):
    predictor = Linear()
    known = predictor.predict(np.random.default_rng(2).integers(0, 4, (30, LENGTH), np.uint8))
    conformal = Conformal().fit(known, known.mean + 1.0, HeadLayout(STUDENT.targets))
    with pytest.raises(InputError, match=r"effects at 0.95 need .* both alleles at 0.975: .*39"):
        VariantScorer(predictor, genome, LENGTH, conformal=conformal)
    VariantScorer(predictor, genome, LENGTH, conformal=conformal, level=0.9)


def test_conformal_intervals_hold_measured_effects():
    """However wrong the deviations, of 1 - level at most are outside: 3 standard errors allowed."""
    rng = np.random.default_rng(3)
    heads, level, n = HeadLayout(("activity",), epistemic="std"), 0.9, 4000
    missed = []
    for _ in range(50):
        mean, sigma = rng.normal(size=(200, 1)), rng.uniform(0.1, 0.2, (200, 1))
        conformal = Conformal().fit(
            heads.prediction(np.hstack([mean, sigma])),
            mean + 5 * sigma * rng.standard_t(3, (200, 1)),
            HeadLayout(("activity",)),
        )
        both = []
        for _ in range(2):
            mean, sigma = rng.normal(size=(n // 50, 1)), rng.uniform(0.1, 0.2, (n // 50, 1))
            prediction = Prediction(("activity",), mean, epistemic=sigma)
            lower, upper = conformal.predict(prediction, 1 - (1 - level) / 2)
            outputs = Outputs(mean, epistemic=sigma, half=(upper - lower) / 2)
            both.append((outputs, mean + 5 * sigma * rng.standard_t(3, mean.shape)))
        (ref, measured_ref), (alt, measured_alt) = both
        parts = effect_parts(ref, alt)
        effect = measured_alt - measured_ref
        missed.append(np.mean((effect < parts["lower"]) | (effect > parts["upper"])))
        gaussian = effect_parts(
            *(Outputs(each.mean, epistemic=each.epistemic) for each in (ref, alt))
        )
        outside = (effect < gaussian["lower"]) | (effect > gaussian["upper"])
        assert np.mean(outside) > 0.3
    error = np.std(missed) / np.sqrt(len(missed))
    assert np.mean(missed) <= 1 - level + 3 * error
    assert np.mean(missed) > 0


def test_variants_that_cannot_be_scored_are_listed(genome, variants, bases):
    wrong = Variant("1", 200, "ACGT".replace(bases[199], "")[0], bases[199], "rs3")
    mixed = [variants[0], Variant("9", 5, "A", "C"), wrong, variants[1]]
    table, skipped = score_variants(Linear(), mixed, genome, LENGTH, max_mismatches=0.4)
    assert table["position"].tolist() == [100, 100]
    assert skipped["reason"].tolist() == ["contig not in the genome", "reference mismatch"]
    assert skipped.loc[1, ["contig", "position", "id", "ref", "alt"]].tolist() == [
        "1", 200, "rs3", wrong.ref, wrong.alt,
    ]  # fmt: skip
    with pytest.raises(InputError, match=rf"at most 1 % .*another build.* 1 of 3, such as {wrong}"):
        score_variants(Linear(), mixed, genome, LENGTH)
    with pytest.raises(InputError, match=r"can be scored.*reference mismatch"):
        VariantScorer(Linear(), genome, LENGTH).score(mixed[2:])


def test_nothing_to_score_is_an_empty_table(genome):
    table, skipped = score_variants(Linear(), [Variant("9", 5, "A", "C")], genome, LENGTH)
    assert table.empty
    assert len(skipped) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uncertainty": "guess"}, "expected one of"),
        ({"uncertainty": "members"}, "is an ensemble's.*Linear"),
        ({"shifts": ()}, "different shifts"),
        ({"shifts": (1, 1)}, "different shifts"),
        ({"flanks": ("A" * 16, "C" * 16)}, "no room in 32 bases"),
        ({"flanks": ("A",)}, "two flanks"),
        ({"flanks": ("AX", "")}, "X"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"batch_size": 0}, "one window or more"),
        ({"shifts": (0, 2), "conformal": Conformal()}, "averages over shifted windows"),
        (
            {"flanks": ("A", "C"), "average_strands": True, "conformal": Conformal()},
            "flanks included",
        ),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message, genome):
    with pytest.raises(InputError, match=message):
        VariantScorer(Linear(), genome, LENGTH, **options)


def test_profiles_are_refused(genome):
    class Profiles:
        def predict(self, sequences):
            return Prediction(("ATAC",), np.zeros((len(sequences), 8, 1)))

    with pytest.raises(InputError, match="one number a target"):
        VariantScorer(Profiles(), genome, LENGTH)


def test_intervals_of_differences_of_probabilities_end_at_one(genome, variants):
    """As probabilities' own end at 0 and 1; standard deviations stay what they are."""
    heads = HeadLayout(("open",), task="binary").student()

    class Unsure:
        def predict(self, sequences):
            x = one_hot(sequences)
            mean, std = x[:, :, 0].mean(axis=1), 0.1 + 3 * x[:, 14:17, 1].mean(axis=1)
            return heads.prediction(np.stack([mean, std], axis=1))

    for options in ({}, {"average_strands": True, "shifts": (-1, 0, 1)}):
        table = VariantScorer(Unsure(), genome, LENGTH, **options).score(variants)
        effect, total = column(table, "open", "effect"), column(table, "open", "total")
        lower, upper = effect - 1.96 * total, effect + 1.96 * total
        assert lower.min() < -1 < lower.max() < 1 < upper.max()
        np.testing.assert_allclose(column(table, "open", "lower"), np.maximum(lower, -1), atol=1e-4)
        np.testing.assert_allclose(column(table, "open", "upper"), np.minimum(upper, 1), atol=1e-4)


def test_effects_that_rest_on_floored_uncertainty_say_so():
    """Of either allele; of windows and strands that are averaged, any."""
    floored = {"epistemic": np.array([[False], [True], [False]])}
    ref = Outputs(np.zeros((3, 1)), epistemic=np.ones((3, 1)), floored=floored)
    floored = {"epistemic": np.array([[False], [False], [True]])}
    alt = Outputs(np.ones((3, 1)), epistemic=np.ones((3, 1)), floored=floored)
    assert effect_parts(ref, alt)["floored"].ravel().tolist() == ["no", "epistemic", "epistemic"]
    of_alternative = effect_parts(ref, alt, "alternative")["floored"]
    assert of_alternative.ravel().tolist() == ["no", "no", "epistemic"]
    several = {"epistemic": np.array([[[False], [True]], [[False], [False]]])}
    windows = Outputs(np.ones((2, 2, 1)), epistemic=np.ones((2, 2, 1)), floored=several)
    assert windows.averaged().floored["epistemic"].ravel().tolist() == [True, False]
