"""Figure 3 and its supplements: which models they ask for, their tables, and their claims.

Training is replaced by a store that notes what it is asked for. Claims are judged on made-up
results that say what the paper says, and on results that say the opposite.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.heads import HeadLayout
from degu_tf.metrics.correlation import correlation
from degu_tf.paper.claims import (
    ABSENT,
    FAILS,
    HOLDS,
    judge,
)
from degu_tf.paper.fig3_covariate_shift import study as covariate_shift
from degu_tf.paper.fig3_covariate_shift import toy
from degu_tf.paper.fig3_covariate_shift.shifted_sets_file import DATASETS
from degu_tf.paper.fig3_covariate_shift.study import (
    MATCHING,
    METHODS,
    PRESETS,
    SHIFTS,
    Study,
)
from degu_tf.paper.networks.setups import SEVERAL_TARGETS
from degu_tf.paper.networks.trained_models import DYNAMIC
from degu_tf.paper.script import Context, main
from degu_tf.sequences.encoding import as_float
from degu_tf.training.augmentation.names import scheme
from degu_tf.training.augmentation.schemes import describe
from degu_tf.utils.errors import InputError


class Counts:
    """So many times the share of A, and of C, in each sequence."""

    def __init__(self, factor):
        self.factor, self.heads = np.float32(factor), HeadLayout(("Dev", "Hk"))

    def predict(self, sequences):
        return self.heads.prediction(self.factor * as_float(sequences).mean(axis=1)[:, :2])


class Group(Counts):
    """Models that stand for an ensemble."""

    def __init__(self, factor, n_members):
        super().__init__(factor)
        self.members = [Counts(factor + index) for index in range(n_members)]


class Ledger:
    """A store that trains nothing and notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def teachers(self, splits, spec, n_members, settings, seed):
        augment = settings.augment
        made_of = (
            splits.fingerprint,
            spec,
            n_members,
            dataclasses.replace(settings, augment=None),
            seed,
        )
        self.asked.append(("teachers", *made_of, augment and str(describe(augment))))
        group = Group(1.0 if augment is None else 1.5, n_members)
        group.key = self.asked[-1]
        return group

    def student(self, teachers, splits, *, settings, seed, distillation):
        augmentation = distillation.augmentation
        described = augmentation and str(augmentation.to_dict())
        self.asked.append(("student", teachers.key, settings, seed, described))
        return Counts(1.2)

    def students(self, teachers, splits, seeds, **how):
        return [self.student(teachers, splits, seed=seed, **how) for seed in seeds]


def context(ledger, preset="smoke", data=(), settings=None):
    return Context(settings or PRESETS[preset], preset, data, 0, ledger)


@pytest.fixture
def study():
    return Study(context(Ledger()))


class TestStudy:
    def test_later_figures_ask_for_nothing_new(self, fig3, s05, s06, monkeypatch):
        monkeypatch.setattr(toy, "fit", lambda *args: np.zeros_like)
        asked = {}
        for name, script in (("fig3", fig3), ("s05", s05), ("s06", s06)):
            ledger = Ledger()
            script.compute(context(ledger, settings=script.PRESETS["smoke"]))
            asked[name] = set(map(str, ledger.asked))
        n_students = PRESETS["smoke"].n_students
        assert len(asked["fig3"]) == 2 + 4 * n_students
        assert asked["s05"] < asked["fig3"]
        assert asked["s06"] < asked["fig3"]

    def test_s03_adds_its_students_only(self, fig3, s03, study):
        ledger = Ledger()
        s03.compute(context(ledger))
        study.models(), study.oracle
        new = [each for each in ledger.asked if str(each) not in map(str, study.store.asked)]
        assert {each[0] for each in new} == {"student"}
        assert len(new) == PRESETS["smoke"].n_students
        _, teachers, _, _, described = new[0]
        assert teachers == study.oracle.key
        assert "'labels': 'static'" in described
        assert str(describe(scheme("evoaug_one"))) in described

    def test_teachers_are_plain_and_the_oracle_is_not(self, study):
        teachers, oracle = study.teachers.key, study.oracle.key
        assert teachers[-1] is None
        assert oracle[-1] == str(describe(scheme("evoaug_one")))
        assert teachers[5] != oracle[5]
        assert teachers[1:5] == oracle[1:5]

    def test_each_method_has_the_scheme_of_its_name_and_the_plain_teachers(self, study):
        study.models()
        students = [each for each in study.store.asked if each[0] == "student"]
        assert all(each[1] == study.teachers.key for each in students)
        described = [each[-1] for each in students]
        assert described[0] is None
        for (method, name), text in zip(DYNAMIC.items(), described[1:], strict=True):
            assert method.endswith(name)
            assert str(describe(scheme(name))) in text
            assert "'labels': 'teachers'" in text

    def test_students_of_each_method_have_the_same_seeds(self):
        settings = dataclasses.replace(PRESETS["smoke"], n_students=3)
        study = Study(context(Ledger(), settings=settings))
        assert len(study.students()) == len(study.students("dynamic_shuffle")) == 3
        seeds = [each[3] for each in study.store.asked if each[0] == "student"]
        assert seeds[:3] == seeds[3:]
        assert len({*seeds[:3]}) == 3

    def test_an_unknown_method_is_refused(self, study):
        with pytest.raises(InputError, match=r"dynamic_shuffle\. Received: 'shuffle'"):
            study.students("shuffle")

    @pytest.mark.parametrize("preset", ["quick", "paper"])
    def test_data_and_teachers_are_those_of_other_figures(self, preset):
        """So whoever ran one does not train them again for the other."""
        chosen, several = PRESETS[preset], SEVERAL_TARGETS[preset]
        assert (chosen.spec, chosen.training, chosen.sizes) == (
            several.spec, several.training, several.sizes,
        )  # fmt: skip

    def test_a_file_is_read_without_its_uncertainty(self, make_splits, tmp_path):
        write_splits(tmp_path / "fly.h5", make_splits(("Dev", "Hk"), "std", length=40))
        study = Study(context(Ledger(), data=(tmp_path / "fly.h5",)))
        assert study.name == "fly"
        assert study.splits.heads.columns == ("Dev", "Hk")
        assert len(study.splits.train) == PRESETS["smoke"].sizes[0]
        assert list(study.shifted) == list(SHIFTS)

    def test_more_files_than_one_are_refused(self):
        with pytest.raises(InputError, match=r"one file\. Received: --data a\.h5 b\.h5"):
            Study(context(Ledger(), data=(Path("a.h5"), Path("b.h5"))))

    @pytest.mark.parametrize("script", ["fig3", "s03", "s05", "s06"])
    def test_the_paper_preset_asks_for_the_data(self, script, request, tmp_path, capsys):
        module = request.getfixturevalue(script)
        assert main(vars(module), ["--preset", "paper", "--out", str(tmp_path / "out")]) == 2
        assert "the paper preset needs the data: --data" in capsys.readouterr().err


class TestTables:
    def test_distances_are_mean_squares_by_method_seed_shift_and_target(self):
        rng = np.random.default_rng(0)
        sets = {shift: rng.integers(0, 4, (6, 30)).astype(np.uint8) for shift in ("none", "large")}
        models = {"single": [Counts(1.0), Counts(2.0)], "student": [Counts(4.0)]}
        table = covariate_shift.distances(models, Counts(3.0), sets)
        assert len(table) == 3 * 2 * 2
        by_place = table.set_index(["method", "seed", "shift", "target"])["value"]
        for method, seed, factor in (("single", 0, 1.0), ("single", 1, 2.0), ("student", 0, 4.0)):
            for shift, tokens in sets.items():
                for letter, target in enumerate(("Dev", "Hk")):
                    share = (tokens == letter).mean(axis=1)
                    expected = np.mean(((factor - 3.0) * share) ** 2)
                    assert by_place[method, seed, shift, target] == pytest.approx(expected)

    def test_scores_are_those_of_each_model(self, make_splits):
        splits = make_splits(("Dev", "Hk"))
        table = covariate_shift.scores(
            {"student": [Counts(1.0), Counts(-1.0)]}, splits.test, splits.heads
        )
        r = table[table["metric"] == "pearson"].set_index(["seed", "target"])["value"]
        share = (splits.test.sequences == 0).mean(axis=1)
        expected = correlation(share, splits.test.targets[:, 0])
        assert r[0, "Dev"] == pytest.approx(expected, abs=1e-6)
        assert r[1, "Dev"] == pytest.approx(-expected, abs=1e-6)
        assert set(table["method"]) == {"student"}

    def test_no_models_are_refused(self, make_splits):
        with pytest.raises(InputError, match="expected models by method"):
            covariate_shift.distances({"student": []}, Counts(1.0), {"none": ["ACGT"]})

    def test_static_students_stand_beside_each_dynamic_method(self):
        table = pd.DataFrame({"method": [*METHODS, "ensemble"], "value": range(6)})
        beside = covariate_shift.beside_static(table)
        assert beside.groupby("dynamic")["method"].agg(set).to_dict() == {
            method: {"student", method} for method in DYNAMIC
        }
        assert covariate_shift.beside_static(table[:1]).empty


def toy_rows(static, sampled):
    """The toy made up: distances of students to an ensemble that is 0 everywhere."""
    rng = np.random.default_rng(0)
    functions = [("ensemble", 0, 0.0)]
    for seed in range(5):
        functions += [
            ("student", seed, static + rng.normal(0, 0.01)),
            ("student_sampled", seed, sampled + rng.normal(0, 0.01)),
        ]
    table = pd.DataFrame(functions, columns=["method", "seed", "value"])
    return table.assign(dataset="Toy", target="y", metric="curve", x=0.0)


def fig3_table(factors, matching=1.0, static_toy=0.3, shifts=None):
    """Fig. 3 made up: errors by shift, times a factor of each method and of the matching one."""
    rng = np.random.default_rng(0)
    rows = []
    for target in ("Dev", "Hk"):
        for shift, error in (
            shifts or {"none": 0.3, "small": 0.35, "intermediate": 0.5, "large": 0.1}
        ).items():
            for method, factor in factors.items():
                factor *= matching if MATCHING.get(shift) == method else 1.0
                rows += [
                    (target, shift, method, seed, error * factor * np.exp(rng.normal(0, 0.01)))
                    for seed in range(10)
                ]
    table = pd.DataFrame(rows, columns=["target", "shift", "method", "seed", "value"])
    return pd.concat(
        [toy_rows(static_toy, 0.1), table.assign(dataset="STARR", metric="mse")], ignore_index=True
    )


PAPER = dict(zip(METHODS, (1.5, 1.0, 0.8, 0.8, 0.8), strict=True))


class TestFigure3:
    def test_results_like_the_papers_hold(self, fig3):
        judged = judge(fig3.CLAIMS, fig3_table(PAPER, matching=0.9))
        assert judged["verdict"].tolist() == [HOLDS] * 6

    def test_opposite_results_do_not(self, fig3):
        factors = dict(zip(METHODS, (0.5, 1.0, 1.2, 1.2, 1.2), strict=True))
        shifts = {"none": 0.3, "small": 0.35, "intermediate": 0.5, "large": 0.7}
        table = fig3_table(factors, static_toy=0.05, shifts=shifts)
        assert judge(fig3.CLAIMS, table)["verdict"].tolist() == [FAILS] * 6

    def test_one_bad_shift_is_enough(self, fig3):
        table = fig3_table(PAPER)
        bad = (table["shift"] == "small") & (table["target"] == "Hk")
        table.loc[bad & (table["method"] == "student"), "value"] *= 2
        judged = judge(fig3.CLAIMS, table)
        assert judged["verdict"].tolist()[:3] == [HOLDS, FAILS, HOLDS]
        assert "STARR, Hk, small" in judged["statistic"].iloc[1]

    @pytest.mark.parametrize(("matching", "verdict"), [(1.02, HOLDS), (1.10, FAILS)])
    def test_among_the_best_means_within_the_margin(self, fig3, matching, verdict):
        judged = judge(fig3.CLAIMS, fig3_table(PAPER, matching=matching))
        assert judged["verdict"].iloc[4] == verdict
        assert judged["threshold"].iloc[4] == pytest.approx(-np.log(1.05))
        assert judged["value"].iloc[4] == pytest.approx(-np.log(matching), abs=0.02)

    def test_a_scheme_that_only_helps_at_its_own_shift_does_not_help_at_all(self, fig3):
        factors = {**PAPER, "dynamic_shuffle": 1.3}
        judged = judge(fig3.CLAIMS, fig3_table(factors, matching=0.6))
        assert judged["verdict"].tolist()[2:5] == [HOLDS, FAILS, HOLDS]
        assert "dynamic_shuffle" in judged["statistic"].iloc[3]

    def test_unshifted_sequences_say_nothing_of_dynamic_augmentation(self, fig3):
        table = fig3_table(PAPER, matching=0.9)
        table.loc[(table["shift"] == "none") & table["method"].isin(DYNAMIC), "value"] *= 5
        assert judge(fig3.CLAIMS, table)["verdict"].tolist() == [HOLDS] * 6

    def test_a_model_is_compared_with_itself_at_another_shift(self, fig3):
        """Models that differ a lot, each a little nearer at the large shift."""
        table = fig3_table(PAPER, shifts={"intermediate": 0.50, "large": 0.47})
        table["value"] *= np.exp(table["seed"] / 3.0)
        assert judge(fig3.CLAIMS, table)["verdict"].iloc[5] == HOLDS

    def test_what_a_run_lacks_is_no_result(self, fig3):
        table = fig3_table(PAPER)
        rows = table[(table["dataset"] == "STARR") & (table["shift"] == "none")]
        assert judge(fig3.CLAIMS, rows)["verdict"].tolist() == [
            ABSENT, HOLDS, ABSENT, ABSENT, ABSENT, ABSENT,
        ]  # fmt: skip
        alone = table[table["method"].eq("dynamic_shuffle") | table["shift"].eq("intermediate")]
        assert judge(fig3.CLAIMS, alone)["verdict"].iloc[4] == ABSENT

    def test_the_figure_has_the_toy_and_a_panel_for_each_target(self, fig3, monkeypatch):
        monkeypatch.setattr(toy, "fit", lambda *args: np.sin)
        curves = toy.curves(toy.Toy(2, 1, 3, 1)).assign(dataset="Toy", target="y")
        rows = fig3_table(PAPER)
        table = pd.concat([curves, rows[rows["dataset"] != "Toy"]])
        figure = fig3.draw(table)
        figure.draw_without_rendering()
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[2:] == ["STARR, Dev", "STARR, Hk"]
        ticks = [tick.get_text() for tick in figure.axes[2].get_xticklabels()]
        assert ticks == list(SHIFTS.values())
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        legends = [each.legends[0].get_window_extent() for each in figure.subfigs]
        assert not any(legend.overlaps(box) for legend in legends for box in boxes)
        assert "Toy" not in fig3.conclude(table)
        assert {axes.get_yscale() for axes in figure.axes} == {"linear"}
        far = (table["method"] == "dynamic_shuffle") & (table["target"] == "Dev")
        table.loc[far, "value"] *= 50.0  # and still leaves the others their room
        assert [axes.get_yscale() for axes in fig3.draw(table).axes[2:]] == ["log", "linear"]
        alone = fig3.figure.toy_figure(table), fig3.figure.errors_figure(table)
        assert [axes.get_title() for each in alone for axes in each.axes] == titles


def s05_table(large_mean, large_spread):
    """Supplementary Fig. 5 made up: activities of 200 sequences in each set."""
    rng = np.random.default_rng(0)
    rows = []
    for target in ("Dev", "Hk"):
        base = rng.normal(2.0, 1.0, 200)
        for shift in DATASETS:
            values = base + rng.normal(0, 0.3, 200)
            if shift == "large":
                values = rng.normal(large_mean, large_spread, 200)
            rows.append(
                pd.DataFrame({"target": target, "shift": shift, "row": range(200), "value": values})
            )
    return pd.concat(rows).assign(dataset="STARR")


class TestShiftedActivity:
    def test_results_like_the_papers_hold(self, s05):
        assert judge(s05.CLAIMS, s05_table(1.0, 0.5))["verdict"].tolist() == [HOLDS] * 2

    def test_opposite_results_do_not(self, s05):
        assert judge(s05.CLAIMS, s05_table(3.0, 2.0))["verdict"].tolist() == [FAILS] * 2

    def test_the_two_claims_are_about_different_things(self, s05):
        assert judge(s05.CLAIMS, s05_table(1.0, 2.0))["verdict"].tolist() == [HOLDS, FAILS]

    def test_differences_are_those_of_means(self, s05):
        table = s05_table(1.0, 0.5)
        judged = judge(s05.CLAIMS, table)
        means = table.groupby(["target", "shift"])["value"].mean().unstack()
        gaps = means.drop(columns="large").sub(means["large"], axis=0)
        assert np.isclose(gaps, judged["value"].iloc[0]).any()
        assert judged["n"].iloc[0] == 200

    def test_it_is_drawn(self, s05):
        assert len(s05.draw(s05_table(1.0, 0.5)).axes) == 2


def s06_table(leads):
    """Supplementary Fig. 6 made up: r by method, ten seeds each and one ensemble."""
    rng = np.random.default_rng(0)
    rows = [
        (target, method, seed, 0.6 + lead + rng.normal(0, 0.002))
        for target in ("Dev", "Hk")
        for method, lead in leads.items()
        for seed in range(1 if method == "ensemble" else 10)
    ]
    table = pd.DataFrame(rows, columns=["target", "method", "seed", "value"])
    return table.assign(dataset="STARR", metric="pearson", head="activity")


class TestDynamicTestPerformance:
    @pytest.mark.parametrize(
        ("gains", "verdicts"),
        [
            ((0.02, 0.02, 0.02), [HOLDS, HOLDS]),
            ((-0.02, 0.04, 0.04), [HOLDS, FAILS]),
            ((-0.02, -0.02, -0.02), [FAILS, FAILS]),
        ],
    )
    def test_gains_decide(self, s06, gains, verdicts):
        dynamic = dict(zip(DYNAMIC, gains, strict=True))
        table = s06_table({"single": -0.1, "student": 0.0, **dynamic, "ensemble": 0.05})
        assert judge(s06.CLAIMS, table)["verdict"].tolist() == verdicts
        assert len(s06.draw(table).axes) == 2


def s03_table(gain):
    """Supplementary Fig. 3 made up: r with EvoAug higher by so much; parts of the test set vary."""
    rng = np.random.default_rng(0)
    rows = []
    for target in ("Dev", "Hk"):
        hard = rng.normal(0, 0.05, 10)
        for training, lead in (("without_evoaug", 0.0), ("with_evoaug", gain)):
            for method in ("single", "student"):
                values = 0.6 + lead + rng.normal(0, 0.002, 10)
                rows += [(target, training, method, s, "pearson", v) for s, v in enumerate(values)]
            values = 0.7 + lead + hard + rng.normal(0, 0.002, 10)
            rows += [
                (target, training, "ensemble", s, "pearson_of_part", v)
                for s, v in enumerate(values)
            ]
            rows.append((target, training, "ensemble", 0, "pearson", 0.7 + lead))
    columns = ["target", "training", "method", "seed", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).assign(dataset="STARR", head="activity")


class TestEvoAugTeachers:
    @pytest.mark.parametrize(("gain", "verdict"), [(0.01, HOLDS), (-0.01, FAILS)])
    def test_the_gain_decides(self, s03, gain, verdict):
        judged = judge(s03.CLAIMS, s03_table(gain))
        assert judged["verdict"].tolist() == [verdict] * 3
        assert judged["n"].tolist() == [10] * 3

    def test_parts_are_every_tenth_sequence(self, s03, make_splits):
        splits = make_splits(("Dev", "Hk"), sizes=(4, 4, 100))
        table = s03.scores_by_part(Counts(1.0), splits.test, splits.heads)
        assert len(table) == 20
        row = table[(table["seed"] == 3) & (table["target"] == "Hk")].iloc[0]
        share = (splits.test.sequences == 1).mean(axis=1)[3::10]
        expected = np.corrcoef(share, splits.test.targets[3::10, 1])[0, 1]
        assert row["value"] == pytest.approx(expected, abs=1e-6)
        assert row["n"] == 10

    def test_trainings_stand_side_by_side(self, s03):
        axes = s03.draw(s03_table(0.01)).axes
        assert [tick.get_text() for tick in axes[0].get_xticklabels()] == list(s03.NAMES.values())
        assert "gain" in s03.conclude(s03_table(0.01))
