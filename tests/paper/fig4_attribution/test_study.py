"""Figure 4 and its supplements: their tables on models that are not trained, and their claims.

Claims are judged on made-up results that say what the paper says, and on results that do not.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from untrained_networks import UntrainedStore

from degu_tf.attribution.consistency import LARGEST, NONE, RMSE, STD
from degu_tf.attribution.gradients import saliency
from degu_tf.attribution.motifs import AUROC, importance
from degu_tf.attribution.shap_values import deepshap
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.simulation.grammar import find_motifs
from degu_tf.data.simulation.mpra import simulate
from degu_tf.distillation.distill import DistillationSettings
from degu_tf.paper.claims import ABSENT, FAILS, HOLDS, UNDECIDED
from degu_tf.paper.claims import judge as decide
from degu_tf.paper.data_sets import one_target
from degu_tf.paper.fig4_attribution import figure as attribution_figures
from degu_tf.paper.fig4_attribution import study, uncertainty_heads
from degu_tf.paper.fig4_attribution.claims import (
    CONTROL,
    PANEL,
    comparison_claims,
    conclude,
    rows_of,
)
from degu_tf.paper.fig4_attribution.logo_table import LOGO, SITE, motif_sites
from degu_tf.paper.fig4_attribution.study import (
    ALL,
    DEEPSHAP,
    OTHERS,
    PRESETS,
    SALIENCY,
    compare_panel,
    panels,
)
from degu_tf.paper.networks.setups import Setup
from degu_tf.paper.script import Context
from degu_tf.sequences.encoding import as_tokens, decode
from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import TrainingSettings

SPEC = ModelSpec("deepstarr", {"conv_filters": (6,), "conv_kernels": (5,), "dense_units": (16,)})
N, R = 6, 4


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    several, one = (Setup(SPEC, TrainingSettings(epochs=1), (4, 4, 20)) for _ in range(2))
    settings = study.Settings(3, 2, N, R, several, one)
    store = UntrainedStore(tmp_path_factory.mktemp("maps"))
    return Context(settings, "quick", (), 0, store)


@pytest.fixture(scope="module")
def every(context):
    """All panels of simulated data by target and explainer."""
    return {(panel.target, panel.explainer): panel for panel in panels(context)}


@pytest.fixture(scope="module")
def table(every):
    """The table of one panel."""
    return compare_panel(every["Dev", SALIENCY])


def test_figure_four_shows_deepshap_of_several_targets_and_saliency_of_one(context):
    def labels(shown):
        return [tuple(panel.labels.values()) for panel in panels(context, shown)]

    several, one = "Simulated STARR-seq", "Simulated lentiMPRA"
    assert labels(True) == [(several, "Dev", DEEPSHAP), (one, "Hk", SALIENCY)]
    assert labels(False) == [
        (several, "Dev", SALIENCY),
        (several, "Hk", DEEPSHAP),
        (several, "Hk", SALIENCY),
        (one, "Hk", DEEPSHAP),
    ]
    assert len(labels(None)) == 6


def test_of_several_files_with_one_target_figure_four_shows_the_first(context, tmp_path):
    paths = []
    for name in ("k562", "hepg2"):
        paths.append(tmp_path / f"{name}.h5")
        write_splits(paths[-1], one_target(simulate((4, 4, 8), 230).splits, "Hk"))
    context = replace(context, data=tuple(paths))
    shown = [panel.dataset for panel in panels(context, True)]
    other = [(panel.dataset, panel.explainer) for panel in panels(context, False)]
    assert shown == ["k562"]
    assert other == [("k562", DEEPSHAP), ("hepg2", DEEPSHAP), ("hepg2", SALIENCY)]
    assert not next(panels(context)).simulated


def test_students_are_asked_for_with_the_papers_settings(context, table):
    asked = context.store.asked
    assert asked
    assert all(each in (None, DistillationSettings()) for each in asked)


def test_maps_are_those_of_the_sequences_with_the_largest_target(every):
    models = every["Hk", SALIENCY].models
    test = models.splits.test
    column = models.splits.heads.column("Hk")
    top = models.top("Hk")
    order = sorted(range(len(test)), key=lambda row: -test.targets[row, column])[:N]
    assert np.array_equal(top, test.sequences[order])
    maps = models.maps("Hk", SALIENCY)
    assert maps["single"].shape == (3, N, top.shape[1], 4)
    assert maps["student"].shape == (2, N, top.shape[1], 4)
    gradients = saliency(models.students[1], top, "Hk")
    expected = gradients - gradients.mean(axis=2, keepdims=True)
    assert np.allclose(maps["student"][1], expected, atol=1e-6)


@pytest.mark.slow
def test_deepshap_compares_with_the_references_of_the_released_code(every):
    models = every["Dev", DEEPSHAP].models
    test = models.splits.test.sequences
    rows = np.random.default_rng(1234).choice(len(test), R, replace=False, shuffle=False)
    top = models.top("Dev")
    scores = deepshap(models.teachers.members[0], top, test[rows], "Dev").scores
    expected = scores - scores.mean(axis=2, keepdims=True)
    assert np.allclose(models.maps("Dev", DEEPSHAP)["single"][0], expected, atol=1e-6)
    hypothetical = models.maps("Dev", DEEPSHAP, "hypothetical")["single"][0]
    assert np.abs(hypothetical - expected).max() > 1e-4
    assert np.allclose(hypothetical.sum(axis=2), 0.0, atol=1e-6)


def test_maps_that_are_there_are_not_made_again(every, table, monkeypatch):
    monkeypatch.setattr("degu_tf.attribution.methods.Method.explain", None)
    assert len(every["Dev", SALIENCY].models.maps("Dev", SALIENCY)) == 2


def test_few_test_sequences_are_told(every, context, capsys):
    models = every["Dev", SALIENCY].models
    more = study.Models(
        replace(context, settings=replace(context.settings, n_sequences=50)),
        models.splits,
        context.settings.several_targets,
    )
    assert len(more.top("Dev")) == 20
    assert "all 20 test sequences are explained, not 50" in capsys.readouterr().out


def test_a_panels_table_has_every_measure(table, every):
    near = rows_of(table, RMSE)
    assert near.groupby(["scaling", "reference", "method"])["seed"].nunique().tolist() == [3, 2] * 4
    values = near.set_index(["scaling", "reference", "method", "seed"])["value"]
    for seed in range(2):
        of_all = values[NONE, ALL, "single", seed]
        assert values[NONE, OTHERS, "single", seed] == pytest.approx(1.5 * of_all)
    maps = every["Dev", SALIENCY].models.maps("Dev", SALIENCY)
    of_two = [np.delete(maps["single"], left, axis=0).mean(axis=0) for left in range(3)]
    apart = [np.sqrt(np.mean((maps["student"][1] - mean) ** 2, axis=(1, 2))) for mean in of_two]
    assert values[NONE, OTHERS, "student", 1] == pytest.approx(np.mean(apart), rel=1e-5)
    spread = rows_of(table, STD, NONE)
    one, other = (each[3].astype(float) for each in maps["student"])
    expected = np.sqrt((0.5 * (one - other) ** 2).sum())
    found = spread[(spread["method"] == "student") & (spread["sequence"] == 3)]["value"]
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert set(rows_of(table, AUROC)["method"]) == {"single", "student", "ensemble"}


def test_logos_and_sites_of_the_first_sequence(table, every):
    models = every["Dev", SALIENCY].models
    (letters,) = decode(models.top("Dev")[:1])
    logo = table[(table["metric"] == LOGO) & (table["method"] == "ensemble")]
    assert "".join(logo.sort_values("position")["base"]) == letters
    mean = models.maps("Dev", SALIENCY, "hypothetical")["single"].mean(axis=0)[:1]
    expected = importance(mean, models.top("Dev")[:1])[0]
    assert np.allclose(logo["value"].to_numpy(), expected, atol=1e-6)
    sites = table[table["metric"] == SITE]
    truth = find_motifs(models.top("Dev")[:1])
    assert list(zip(sites["motif"], sites["position"], strict=True)) == list(
        zip(truth["motif"], truth["start"], strict=True)
    )


def test_known_motifs_are_found_on_both_strands_and_not_at_unknown_bases():
    sequences = as_tokens(["AATGACTCAAACATATGA", "AACTTATCAAATTTCCGG", "AATGNCTCAAAAAAAAAA"])
    sites = motif_sites(sequences, simulated=False)
    found = list(zip(sites["sequence"], sites["motif"], sites["start"], sites["end"], strict=True))
    assert found == [(0, "AP-1", 2, 9), (0, "Twist", 11, 17), (1, "GATA", 3, 9), (1, "ETS", 11, 17)]


def test_sequences_without_a_known_motif():
    assert motif_sites(as_tokens(["A" * 20]), simulated=False).empty


def test_the_paper_preset_is_the_papers():
    settings = PRESETS["paper"]
    assert (settings.n_members, settings.n_students) == (10, 10)
    assert (settings.n_sequences, settings.n_references) == (1000, 100)
    assert settings.several_targets.spec.name == "deepstarr"
    assert settings.one_target.spec.name == "residualbind"


@pytest.mark.slow
def test_heads_of_a_student(context, tmp_path, x01):
    write_splits(tmp_path / "k562.h5", one_target(simulate((4, 4, 8), 230).splits, "Hk"))
    settings = replace(context.settings, n_students=1)
    context = replace(context, settings=settings, data=(tmp_path / "k562.h5",))
    table = uncertainty_heads.compare_heads(context)
    logo = rows_of(table, LOGO)
    assert list(logo["method"].unique()) == ["activity", "aleatoric", "epistemic"]
    pairs = rows_of(table, uncertainty_heads.CORRELATION)
    assert list(zip(pairs["other"], pairs["head"], strict=True)) == [
        ("activity", "aleatoric"),
        ("activity", "epistemic"),
        ("aleatoric", "epistemic"),
    ]
    assert pairs["value"].abs().max() < 1.0
    assert isinstance(x01.draw(table), Figure)
    assert "ETS" in uncertainty_heads.conclude(table)
    # The oligos with the largest target hold no site of Trl: the first claim has nothing to judge.
    assert decide(uncertainty_heads.CLAIMS, table)["verdict"].tolist() == [ABSENT, UNDECIDED]


def test_true_effects_of_sites():
    """A lone DRE raises housekeeping activity by what the grammar says, and lowers its noise."""
    sequences = as_tokens(["C" * 20 + "CTATCGATAGC" + "C" * 29, "A" * 60, "G" * 60])
    sites = find_motifs(sequences)
    table = uncertainty_heads.true_effects(sequences, sites, "std", dataset="x", target="Hk")
    table = table[table["motif"] == "DRE"].set_index("head")["value"]
    assert table["activity"] > 1.0
    assert table["aleatoric"] < 0.0


def made_up(true=True):
    """A table that says of every claim what the paper says, or the opposite."""
    rng = np.random.default_rng(0)
    rows = []
    for dataset, target, explainer in (("a", "Dev", DEEPSHAP), ("b", "K562", SALIENCY)):
        labels = {"dataset": dataset, "target": target, "explainer": explainer}
        for method, worse in (("single", true), ("student", not true)):
            size = 2.0 if worse else 1.0

            def add(metric, value, unit="seed", n=4, method=method, labels=labels, **more):
                rows.extend(
                    {**labels, "method": method, unit: index, "metric": metric, **more,
                     "value": value * (1.0 + step)}
                    for index, step in enumerate(rng.uniform(-0.05, 0.05, n))
                )  # fmt: skip

            for scaling in (NONE, LARGEST):
                for reference in (ALL, OTHERS):
                    add(RMSE, size, scaling=scaling, reference=reference)
                add(STD, 3.0 * size, "sequence", 20, scaling=scaling)
            add(AUROC, 1.0 - 0.2 * size, lower=0.5, upper=0.9)
        add(AUROC, 0.9 if true else 0.4, n=1, method="ensemble", lower=0.5, upper=0.9)
    return pd.DataFrame(rows)


CLAIMS = (*comparison_claims("Fig. 4b"), *CONTROL)


def test_claims_hold_where_results_say_so():
    assert decide(CLAIMS, made_up())["verdict"].tolist() == [HOLDS] * len(CLAIMS)


def test_claims_fail_where_results_say_the_opposite():
    assert decide(CLAIMS, made_up(true=False))["verdict"].tolist() == [FAILS] * len(CLAIMS)


@pytest.mark.parametrize("metric", [RMSE, STD, AUROC])
def test_one_panel_that_says_the_opposite_is_enough(metric):
    table = made_up()
    opposite = made_up(true=False)
    swapped = (table["dataset"] == "b") & (table["metric"] == metric)
    table.loc[swapped, "value"] = opposite.loc[swapped, "value"]
    judged = decide(CLAIMS, table)
    about = {RMSE: "RMSE", STD: "std of maps", AUROC: "AUROC"}[metric]
    failed = judged["statistic"].str.startswith(about)
    assert failed.sum() >= 2
    assert (judged["verdict"][failed] == FAILS).all()
    assert (judged["verdict"][~failed] == HOLDS).all()


def test_one_model_a_method_does_not_decide_about_distance():
    table = made_up()
    table = table[(table["seed"] == 0) | table["seed"].isna()]
    verdicts = decide([CLAIMS[0], CLAIMS[1], CLAIMS[3]], table)["verdict"].tolist()
    assert verdicts == [UNDECIDED] * 3


def test_data_whose_motifs_are_not_known_decide_nothing_about_motifs():
    table = made_up()
    table = table[table["metric"] != AUROC]
    verdicts = decide(CLAIMS, table)["verdict"].tolist()
    assert verdicts == [HOLDS, HOLDS, HOLDS, ABSENT, ABSENT, HOLDS, HOLDS]


def texts(figure):
    return [
        text.get_text() for text in figure.findobj(match=lambda each: hasattr(each, "get_text"))
    ]


@pytest.mark.slow
def test_figure_four_has_a_column_for_each_panel_and_p_values(table):
    rows = made_up()
    labels = dict(zip(PANEL, ("a", "Dev", DEEPSHAP), strict=True))
    logo = table[table["metric"].isin([LOGO, SITE])].assign(**labels)
    figure = attribution_figures.figure_four(pd.concat([logo, rows], ignore_index=True))
    words = texts(figure)
    for letter in "abcd":
        assert letter in words
    assert "a\nDev, DeepSHAP" in words
    assert "b\nK562, saliency" in words
    assert sum("100% below" in word for word in words) == 2
    assert sum(word.startswith("p = ") for word in words) == 4


@pytest.mark.parametrize(
    ("metric", "words"), [(RMSE, "RMSE to"), (STD, "std of maps"), (AUROC, "AUROC of")]
)
def test_measures_are_drawn_one_at_a_time(metric, words):
    first, second = attribution_figures.measure(made_up(), metric).axes
    assert first.get_ylabel().startswith(words)
    assert first.get_title() == "a\nDev, DeepSHAP"
    assert second.get_title() == "b\nK562, saliency"


@pytest.mark.slow
def test_the_example_is_the_first_panels_sequence(table):
    other = table.assign(dataset="later")
    figure = attribution_figures.example(pd.concat([table, other], ignore_index=True))
    assert [axes.get_title() for axes in figure.axes] == [
        "Standard training", "DEGU student", "Ensemble",
    ]  # fmt: skip


def test_the_control_is_drawn_from_scaled_maps():
    rows = made_up()
    scaled = rows["scaling"] == LARGEST
    rows.loc[scaled & (rows["metric"] == RMSE), "value"] += 100.0
    figure = attribution_figures.comparison(rows, LARGEST)
    assert min(axes.get_ylim()[0] for axes in figure.axes[:2]) > 100.0
    assert len(figure.axes) == 4


def test_conclusion_has_a_row_for_each_panel_and_method():
    text = conclude(made_up())
    assert text.count("student") == 2
    assert "AUROC" in text
