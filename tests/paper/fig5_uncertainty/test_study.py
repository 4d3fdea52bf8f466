"""Figure 5 and its supplements: their tables on predictors whose uncertainty is known.

Claims are judged on made-up results that say what the paper says, and on results that do not.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from untrained_networks import UntrainedStore

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import MIN_STD, HeadLayout, Prediction
from degu_tf.paper import data_sets
from degu_tf.paper.claims import ABSENT, FAILS, HOLDS, UNDECIDED
from degu_tf.paper.claims import judge as decide
from degu_tf.paper.fig5_uncertainty import figure, study
from degu_tf.paper.fig5_uncertainty.claims import CONFORMAL, FIGURE_FIVE, conclude, of
from degu_tf.paper.fig5_uncertainty.study import (
    AFTER,
    BEFORE,
    COMPONENTS,
    PAPER_METHODS,
    PRESETS,
    Methods,
    judge,
)
from degu_tf.paper.networks.setups import Setup
from degu_tf.paper.script import Context
from degu_tf.uncertainty.mc_dropout import MCDropout
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("K562",), aleatoric="std")


@pytest.fixture(scope="module")
def known():
    """Measurements around zero whose standard deviation is 0.1 + the share of A."""
    rng = np.random.default_rng(0)

    def part(n):
        tokens = rng.integers(4, size=(n, 30)).astype(np.uint8)
        noise = deviation(tokens)
        return Split(tokens, HEADS.join(noise * rng.standard_normal((n, 1)), noise))

    return Splits(part(10), part(2000), part(4000), HEADS)


def deviation(tokens):
    return 0.1 + np.mean(tokens == 0, axis=1, keepdims=True)


class Knows:
    """Predicts zero, and so many times the true deviation."""

    def __init__(self, aleatoric=1.0, epistemic=0.5):
        self.factors = aleatoric, epistemic

    def predict(self, sequences):
        tokens = np.asarray(sequences)
        stds = [np.maximum(factor * deviation(tokens), MIN_STD) for factor in self.factors]
        mean = 1e-3 * np.mean(tokens == 1, axis=1, keepdims=True)
        return Prediction(("K562",), mean, *stds)


def value(table, metric, component, conformal=BEFORE):
    rows = table[(table["metric"] == metric) & (table["component"] == component)]
    (found,) = rows[rows["conformal"] == conformal]["value"]
    return found


def test_intervals_before_and_after(known):
    table = judge(Knows(), known, ("aleatoric", "epistemic"), method="knows", seed=3)
    assert value(table, "coverage", "aleatoric") == pytest.approx(0.95, abs=0.012)
    assert value(table, "coverage", "epistemic") == pytest.approx(0.673, abs=0.025)
    for component in ("aleatoric", "epistemic"):
        assert value(table, "coverage", component, AFTER) == pytest.approx(0.95, abs=0.02)
    sizes = [value(table, "size", name, AFTER) for name in ("aleatoric", "epistemic")]
    assert sizes[0] == pytest.approx(sizes[1])
    assert sizes[0] == pytest.approx(3.92 * deviation(known.test.sequences).mean(), rel=0.05)
    assert value(table, "size", "epistemic") == pytest.approx(
        0.5 * value(table, "size", "aleatoric")
    )
    assert set(table["method"]) == {"knows"}
    assert set(table["seed"]) == {3}


def test_reliability_after_calibration_follows_the_diagonal(known):
    table = judge(Knows(0.2, 1.0), known, ("aleatoric",))
    curve = table[table["metric"] == "curve"]
    before, after = (curve[curve["conformal"] == word] for word in (BEFORE, AFTER))
    assert len(before) == len(after) == 20
    assert (before["value"] < before["level"]).all()
    assert np.abs(after["value"] - after["level"]).max() < 0.03


def test_where_nothing_can_be_calibrated_the_rows_are_there_without_values(known, capsys):
    table = judge(Knows(0.0, 1.0), known, ("aleatoric", "epistemic"))
    refused = table[(table["component"] == "aleatoric") & (table["conformal"] == AFTER)]
    assert set(refused["metric"]) == {"coverage", "size"}
    assert refused["value"].isna().all()
    assert "no conformal intervals of the aleatoric uncertainty" in capsys.readouterr().out
    assert np.isfinite(value(table, "coverage", "epistemic", AFTER))


def test_calibration_and_test_sequences_in_common(known):
    leaking = replace(known, test=known.validation)
    with pytest.raises(InputError, match="2000"):
        judge(Knows(), leaking, ("aleatoric",))


@pytest.fixture(scope="module")
def context(spec, quick):
    setup = Setup(spec, quick)
    settings = study.Settings((0.5, 1.0), 2, 2, 4, setup, setup)
    return Context(settings, "quick", (), 0, UntrainedStore())


@pytest.fixture(scope="module")
def one_target(make_splits):
    return make_splits(("K562",), aleatoric="std", sizes=(200, 60, 60))


@pytest.fixture(scope="module")
def methods(context, one_target):
    return Methods(context, one_target, context.settings.one_target)


@pytest.mark.parametrize("method", list(COMPONENTS))
def test_every_method_says_what_it_is_judged_by(method, methods):
    models = list(methods.models(method))
    assert len(models) == (1 if method == "ensemble" else 2)
    assert [seed for seed, _ in models] == list(range(len(models)))
    predictions = [model.predict(methods.splits.test.sequences[:8]) for _, model in models]
    assert all(each.component(name) is not None for each in predictions for name in
               COMPONENTS[method])  # fmt: skip
    if len(predictions) > 1:
        assert not np.array_equal(predictions[0].mean, predictions[1].mean)


def test_methods_are_made_of_what_they_should_be(methods):
    (_, dropout), _ = methods.models("mc_dropout")
    assert isinstance(dropout, MCDropout)
    assert dropout.n_passes == 4
    (_, single), _ = methods.models("single")
    assert single.fingerprint() == methods.teachers.members[0].fingerprint()
    (_, student), _ = methods.models("student_log_variance")
    assert student.heads == HeadLayout(("K562",), "std", "log_variance")
    layouts = {name: next(methods.models(name))[1].heads.aleatoric for name in PAPER_METHODS[4:]}
    assert layouts == {
        "heteroscedastic": "log_variance",
        "evidential_released": "log_variance",
        "deep_evidential": "evidential",
    }


@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_heads_at_every_share(context, one_target):
    table = study.head_performance(context, one_target, context.settings.one_target, dataset="x")
    assert set(table["fraction"]) == {0.5, 1.0}
    assert dict(zip(table["fraction"], table["n_train"], strict=True)) == {0.5: 100, 1.0: 200}
    heads = table.groupby("method")["head"].unique().map(set).to_dict()
    assert heads == {
        "single": {"activity", "aleatoric"},
        "ensemble": {"activity", "aleatoric"},
        "student": {"activity", "aleatoric", "epistemic"},
    }


def test_epistemic_points_are_the_teachers_and_the_students(methods):
    table = study.epistemic_points(methods)
    assert len(table) == 2 * 60
    x = methods.splits.test.sequences
    columns = methods.teachers.member_columns(x)
    assert table[table["seed"] == 1]["measured"].to_numpy() == pytest.approx(
        columns[..., 0].std(axis=0), rel=1e-4
    )
    (_, student), _ = methods.models("student")
    assert table[table["seed"] == 0]["predicted"].to_numpy() == pytest.approx(
        student.predict(x).epistemic[:, 0]
    )


def test_data_with_one_target_need_replicates(context, make_splits, tmp_path):
    write_splits(tmp_path / "k562.h5", make_splits(("K562",)))
    context = replace(context, data=(tmp_path / "k562.h5",))
    with pytest.raises(InputError, match=r"standard deviation of replicates.*Received: k562"):
        list(data_sets.data(context))


def test_data_with_several_targets_alone(context, make_splits, tmp_path):
    write_splits(tmp_path / "s.h5", make_splits(("Dev", "Hk")))
    context = replace(context, data=(tmp_path / "s.h5",))
    with pytest.raises(InputError, match="expected data with one target"):
        study.compare_on_one_target(context, PAPER_METHODS)


def test_the_paper_preset_is_the_papers():
    settings = PRESETS["paper"]
    assert (settings.n_members, settings.n_students, settings.n_passes) == (10, 10, 100)
    assert settings.one_target.spec.name == "residualbind"
    assert settings.several_targets.spec.name == "deepstarr"
    assert settings.fractions == (0.1, 0.25, 0.5, 0.75, 1.0)


def made_up(true=True):
    """A table that says of every claim what the paper says, or the opposite."""
    rng = np.random.default_rng(0)
    rows = []

    def add(method, value, scale=1.0, **more):
        rows.extend(
            {"dataset": "K562", "target": "K562", "method": method, "seed": seed,
             "value": value + scale * step, **more}
            for seed, step in enumerate(rng.uniform(-0.001, 0.001, 8))
        )  # fmt: skip

    for method in ("single", "student"):
        for head, r in (("activity", 0.7), ("aleatoric", 0.3 if true else 0.9)):
            add(method, r, head=head, metric="pearson", fraction=1.0)
    add("student", 0.8 if true else 0.2, head="epistemic", metric="pearson", fraction=1.0)
    for method, component, r, before, size in (
        ("student", "aleatoric", 0.75, 0.85, 2.0),
        ("student", "epistemic", 0.75, 0.3, 3.0),
        ("student", "total", 0.75, 0.90, 2.05),
        ("heteroscedastic", "aleatoric", 0.70, 0.94, 2.1),
        ("mc_dropout", "epistemic", 0.68, 0.4, 3.1),
    ):
        if not true:
            r, before, size = 1.0 - r, 1.25 - before, 5.0 - size
        more = {"component": component}
        add(method, before, metric="coverage", conformal=BEFORE, **more)
        add(method, 0.95 if true else 0.9, metric="coverage", conformal=AFTER, **more)
        add(method, size, metric="size", conformal=AFTER, **more)
        add(method, size, metric="size", conformal=BEFORE, **more)
    steady = 1.0 if true else 10.0
    for method, r, scale in (
        ("single", 0.75, steady),
        ("student", 0.75, steady),
        ("heteroscedastic", 0.70, 11.0 - steady),
    ):
        add(method, r if true else 1.0 - r, scale, metric="pearson")
    return pd.DataFrame(rows)


def test_claims_hold_where_results_say_so():
    verdicts = decide(FIGURE_FIVE, made_up())["verdict"].tolist()
    assert verdicts == [HOLDS] * len(FIGURE_FIVE)


def test_claims_fail_where_results_say_the_opposite():
    verdicts = decide(FIGURE_FIVE, made_up(true=False))["verdict"].tolist()
    assert verdicts == [FAILS] * len(FIGURE_FIVE)


def test_one_model_a_method_decides_nothing():
    table = made_up()
    verdicts = decide(FIGURE_FIVE, table[table["seed"] == 0])["verdict"].tolist()
    assert set(verdicts) == {UNDECIDED, ABSENT}
    assert verdicts.count(ABSENT) == 1  # of methods with several models


def test_a_seed_without_one_of_the_methods_counts_in_no_mean_over_them():
    rows = pd.DataFrame(
        {"method": [*"aaabb"], "component": "total", "seed": [0, 1, 2, 0, 1], "value": [*range(5)]}
    )
    np.testing.assert_array_equal(of(rows, ("a", "total"), ("b", "total")), [1.5, 2.5])
    assert len(of(rows, ("a", "total"), ("c", "total"))) == 0


def test_an_ensemble_alone_does_not_keep_the_conformal_claim_undecided():
    lone = pd.DataFrame(
        [{"dataset": "K562", "target": "K562", "method": "ensemble", "seed": 0, "value": 0.95,
          "component": "total", "metric": "coverage", "conformal": AFTER}]
    )  # fmt: skip
    table = pd.concat([made_up(), lone])
    assert decide([CONFORMAL], table)["verdict"].tolist() == [HOLDS]


def test_conclusion_has_a_row_for_each_method_and_component():
    text = conclude(made_up())
    assert text.count("epistemic") == 2
    assert text.count("total") == 1
    assert "0.75" in text


@pytest.mark.parametrize(("target", "title"), [(0, "fly, Dev"), (1, "fly, Hk")])
@pytest.mark.parametrize("undefined", ["Dev", "Hk", None])
def test_the_target_that_is_named_is_drawn(target, title, undefined):
    """In the data's order, also where the correlations of one target are undefined."""
    rows = [
        {"dataset": dataset, "target": each, "head": head, "method": "student", "seed": seed}
        for dataset, targets in (("fly", ("Dev", "Hk")), ("k562", ("activity",)))
        for head in ("activity", "epistemic")
        for each in targets
        for seed in range(2)
    ]
    table = pd.DataFrame(rows).assign(metric="pearson", fraction=1.0, value=0.5)
    table.loc[(table["target"] == undefined) & (table["head"] == "epistemic"), "value"] = np.nan
    first, second = figure.figure_five(table, target).axes
    assert (first.get_title(), second.get_title()) == (title, "k562, activity")
    words = [text.get_text() for text in first.texts]
    assert words == (["r is undefined"] if title.endswith(str(undefined)) else [])


def test_sizes_of_intervals_have_the_unit_of_the_data():
    """Binary logarithms where data are simulated; of a user's data the target's name."""
    metrics = {"coverage": 0.9, "size": 2.0, "pearson": 0.5}
    table = pd.DataFrame({"metric": metrics.keys(), "value": metrics.values()}).assign(
        target="counts", method="student", seed=0, component="total", conformal="before"
    )
    table["head"] = None
    for dataset, unit in (("mpra", "counts"), ("Simulated lentiMPRA", "log$_2$")):
        drawn = figure.intervals_and_accuracy(table.assign(dataset=dataset))
        labels = {axes.get_xlabel() for axes in drawn.axes}
        assert labels == {f"Mean interval size ({unit})", figure.ACCURACY}


@pytest.mark.parametrize("x", [figure.SIZE, figure.PEARSON])
def test_rows_of_intervals_are_drawn_one_at_a_time(x):
    metrics = {"coverage": 0.9, "size": 2.0, "pearson": 0.5}
    table = pd.DataFrame({"metric": metrics.keys(), "value": metrics.values()}).assign(
        dataset="mpra", target="counts", method="student", seed=0, component="total",
        conformal="before", head=None,
    )  # fmt: skip
    both = figure.intervals_and_accuracy(table).axes
    line = slice(0, 3) if x == figure.SIZE else slice(3, 6)
    alone = figure.coverage_against(table, x).axes
    assert [each.get_xlabel() for each in alone] == [each.get_xlabel() for each in both[line]]
    assert [each.get_title() for each in alone] == [each.get_title() for each in both[:3]]
