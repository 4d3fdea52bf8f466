"""Scripts: claims are decided by the test they name, and nothing is written over.

Numbers are held against scipy called directly. Claims of the scripts are judged on made-up results
that say what the paper says, and on results that say the opposite.
"""

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.heads import HeadLayout
from degu_tf.paper import data_sets
from degu_tf.paper.claims import (
    ABSENT,
    FAILS,
    HOLDS,
    UNDECIDED,
    Claim,
    Verdict,
    above,
    greater,
    in_every,
    judge,
    judge_averages_too,
)
from degu_tf.paper.data_sets import at_most
from degu_tf.paper.fig2_performance import study
from degu_tf.paper.networks.trained_models import student_seed
from degu_tf.paper.script import REQUIRED, Context, Script, main
from degu_tf.training.run import member_seed
from degu_tf.utils.errors import InputError

A = [0.61, 0.64, 0.62, 0.66]
B = [0.58, 0.60, 0.63, 0.57, 0.59]


class TestVerdict:
    @pytest.mark.parametrize(
        ("low", "high", "n", "expected"),
        [
            (0.1, 0.3, 5, HOLDS),
            (-0.3, -0.1, 5, FAILS),
            (-0.1, 0.1, 5, UNDECIDED),
            (0.0, 0.2, 5, UNDECIDED),
            (-0.2, 0.0, 5, UNDECIDED),
            (0.1, 0.3, 2, UNDECIDED),
            (-0.3, -0.1, 1, UNDECIDED),
            (math.nan, math.nan, 5, UNDECIDED),
        ],
    )
    def test_interval_and_number_decide(self, low, high, n, expected):
        assert Verdict("x", 0.0, low, high, 0.01, n).verdict == expected

    def test_the_threshold_moves_the_line(self):
        below_zero = Verdict("x", -0.005, -0.008, -0.002, 0.5, 5, threshold=-0.01)
        assert below_zero.verdict == HOLDS


class TestGreater:
    def test_two_groups_are_welch(self):
        verdict = greater(A, B, "a - b")
        test = stats.ttest_ind(A, B, equal_var=False)
        interval = test.confidence_interval(0.95)
        assert verdict.value == pytest.approx(np.mean(A) - np.mean(B))
        assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
        assert verdict.p == pytest.approx(test.pvalue)
        assert verdict.n == 4
        assert verdict.verdict == HOLDS
        assert greater(B, A, "b - a").verdict == FAILS

    def test_welch_by_hand(self):
        """Means 2 and 1, variances 1, three each: se = sqrt(2/3), 4 degrees of freedom."""
        verdict = greater([1, 2, 3], [0, 1, 2], "x")
        half = 2.7764451 * math.sqrt(2 / 3)
        assert (verdict.low, verdict.high) == pytest.approx((1 - half, 1 + half))
        assert verdict.verdict == UNDECIDED

    def test_paired(self):
        verdict = greater(A, B[:4], "a - b", paired=True)
        test = stats.ttest_rel(A, B[:4])
        interval = test.confidence_interval(0.95)
        assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
        assert verdict.p == pytest.approx(test.pvalue)

    def test_a_group_of_one_is_a_fixed_number(self):
        test = stats.ttest_1samp(A, 0.6)
        interval = test.confidence_interval(0.95)
        verdict = greater(A, [0.6], "a - 0.6")
        ends = (interval.low - 0.6, interval.high - 0.6)
        assert (verdict.low, verdict.high) == pytest.approx(ends)
        assert verdict.p == pytest.approx(test.pvalue)
        reverse = greater([0.6], A, "0.6 - a")
        assert (reverse.low, reverse.high) == pytest.approx((-verdict.high, -verdict.low))
        assert reverse.p == pytest.approx(test.pvalue)

    @pytest.mark.parametrize("smaller", [B, [0.6]])
    def test_a_threshold_moves_p_and_not_the_interval(self, smaller):
        plain = greater(A, smaller, "x")
        verdict = greater(A, smaller, "x", threshold=-0.01)
        assert (verdict.value, verdict.low, verdict.high) == pytest.approx(
            (plain.value, plain.low, plain.high)
        )
        shifted = greater(np.add(A, 0.01), smaller, "x")
        assert verdict.p == pytest.approx(shifted.p)
        assert verdict.threshold == -0.01

    def test_comparable_is_no_more_than_the_margin_lower(self):
        slightly_lower = [0.596, 0.597, 0.595, 0.596]
        assert greater(slightly_lower, [0.6], "x").verdict == FAILS
        assert greater(slightly_lower, [0.6], "x", threshold=-0.01).verdict == HOLDS
        assert greater(slightly_lower, [0.6], "x", threshold=-0.001).verdict == FAILS

    @pytest.mark.parametrize(
        ("larger", "smaller"),
        [([0.7], [0.6]), ([0.7, math.nan, 0.7], [0.5, 0.5, 0.6])],
    )
    def test_too_little_or_nan_is_undecided(self, larger, smaller):
        verdict = greater(larger, smaller, "x")
        assert verdict.verdict == UNDECIDED
        assert math.isnan(verdict.p)
        assert math.isnan(verdict.low)
        assert math.isnan(verdict.high)

    @pytest.mark.parametrize(
        ("larger", "smaller"), [([], [0.6]), (A, []), ([0.7], []), ([], []), ([], B)]
    )
    @pytest.mark.parametrize("paired", [False, True])
    def test_a_group_without_values_is_no_result(self, larger, smaller, paired):
        verdict = greater(larger, smaller, "x", paired=paired and len(larger) == len(smaller))
        assert (verdict.verdict, verdict.n) == (ABSENT, 0)
        assert math.isnan(verdict.value)

    def test_two_values_never_decide(self):
        assert greater([0.9, 0.901], [0.1, 0.101], "x").verdict == UNDECIDED


def test_above_is_the_one_sample_t_test():
    verdict = above(A, 0.6, "a")
    test = stats.ttest_1samp(A, 0.6)
    interval = test.confidence_interval(0.95)
    assert (verdict.value, verdict.p) == pytest.approx((np.mean(A), test.pvalue))
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
    assert above(A, 0.5, "a").verdict == HOLDS
    assert above(A, 0.7, "a").verdict == FAILS
    assert above([0.9], 0.5, "a").verdict == UNDECIDED
    assert above([], 0.5, "a").verdict == ABSENT
    assert above([0.9, math.nan, 0.9], 0.5, "a").verdict == UNDECIDED


class TestInEvery:
    GOOD, BETTER, BAD, UNCLEAR = [1.0, 1.1, 1.2], [5.0, 5.1, 5.2], [-1.0, -1.1, -1.2], [-1, 0, 1.5]

    @pytest.mark.parametrize(
        ("parts", "verdict", "named"),
        [
            ({"a": BETTER, "b": GOOD}, HOLDS, "b"),
            ({"a": GOOD, "b": UNCLEAR}, UNDECIDED, "b"),
            ({"a": UNCLEAR, "b": BAD, "c": GOOD}, FAILS, "b"),
            ({"a": GOOD, "b": [math.nan] * 3}, UNDECIDED, "b"),
        ],
    )
    def test_the_weakest_part_decides(self, parts, verdict, named):
        table = pd.DataFrame([(key, v) for key, values in parts.items() for v in values])
        result = in_every(table, [0], lambda part: above(part[1], 0.0, "mean"))
        assert result.verdict == verdict
        assert result.statistic == f"mean (least of {len(parts)}: {named})"

    def test_the_verdict_on_the_mean_is_beside_it(self):
        """Of three seeds whose panels are the same numbers, the interval is that of one panel."""
        table = pd.DataFrame([(key, value) for key in "ab" for value in self.GOOD])
        same = in_every(table, [0], lambda part: above(part[1], 0.0, "mean"))
        alone = above(self.GOOD, 0.0, "mean")
        for name in ("value", "low", "high", "n", "statistic", "verdict"):
            assert getattr(same.average, name) == getattr(alone, name)
        assert (same.over, same.average.over) == ("each of 2", "mean of 2")

    def test_a_trend_may_hold_on_average_and_not_everywhere(self):
        parts = {"a": self.BETTER, "b": self.BAD}
        table = pd.DataFrame([(key, v) for key, values in parts.items() for v in values])
        result = in_every(table, [0], lambda part: above(part[1], 0.0, "mean"))
        assert (result.verdict, result.average.verdict) == (FAILS, HOLDS)
        assert result.average.value == pytest.approx(2.0)
        judged = judge_averages_too([Claim("c", "w", lambda _: result)], table)
        assert judged["verdict"].tolist() == [HOLDS, FAILS]

    def test_a_panel_without_an_interval_leaves_the_mean_undecided(self):
        table = pd.DataFrame([("a", 1.0), ("a", 1.1), ("a", 1.2), ("b", 1.0)])
        result = in_every(table, [0], lambda part: above(part[1], 0.0, "mean"))
        assert (result.average.verdict, result.average.n) == (UNDECIDED, 1)

    @pytest.mark.parametrize("n_panels", [2, 5])
    def test_intervals_of_means_are_no_narrower_than_those_of_independent_panels(self, n_panels):
        panels = np.random.default_rng(0).normal(size=(8, n_panels))
        table = pd.DataFrame(panels).melt()
        result = in_every(table, ["variable"], lambda part: above(part["value"], 0.0, "mean"))
        independent = above(panels.mean(axis=1), 0.0, "mean")
        assert result.average.value == pytest.approx(independent.value)
        assert result.average.low < independent.low
        assert result.average.high > independent.high

    def test_no_part_is_no_result(self):
        table = pd.DataFrame({"target": [], "value": []})
        assert in_every(table, ["target"], lambda part: 1 / 0).verdict == ABSENT

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ({"a": GOOD, "b": []}, ABSENT),
            ({"a": UNCLEAR, "b": []}, ABSENT),
            ({"a": [-value for value in GOOD], "b": []}, FAILS),
        ],
    )
    def test_a_part_without_values_is_not_passed_over(self, parts, expected):
        table = pd.DataFrame({"target": list(parts)})
        result = in_every(
            table, ["target"], lambda rows: above(parts[rows["target"].iloc[0]], 0.0, "mean")
        )
        assert result.verdict == expected
        assert result.average.verdict == ABSENT


def test_students_seeds_are_no_teachers():
    teachers = {member_seed(7, member) for member in range(100)}
    students = {student_seed(7, index) for index in range(100)}
    assert len(students) == 100
    assert not teachers & students


def test_at_most_draws_the_rows_of_a_subset_and_says_so(make_splits, capsys):
    splits = make_splits(sizes=(120, 40, 40))
    part = at_most(splits, (50, 100, 10))
    assert [len(split) for _, split in part.items()] == [50, 40, 10]
    np.testing.assert_array_equal(part.train.sequences, splits.subset(50).train.sequences)
    said = capsys.readouterr().out
    assert "50 of 120 train, 10 of 40 test sequences" in said
    assert "validation" not in said
    assert at_most(splits, None) is splits
    at_most(splits, (500, 500, 500))
    assert capsys.readouterr().out == ""


@dataclass(frozen=True)
class Settings:
    """Settings of the script below."""

    n_members: int = 2
    values: tuple[float, ...] = (0.2, 0.3, 0.25)


def make_script(compute=None, settings=None):
    """A script that trains nothing."""
    settings = settings or Settings()

    def give_values(context):
        return pd.DataFrame({"value": context.settings.values, "seed": context.seed})

    return Script(
        name="99_example",
        summary="An example at 95 % confidence.",
        presets={"smoke": settings, "quick": settings},
        compute=compute or give_values,
        draw=lambda table: Figure(figsize=(1, 1)),
        claims=(Claim("It is positive.", "Fig. 9", lambda t: above(t["value"], 0.0, "mean")),),
        conclude=lambda table: f"{len(table)} values.",
    )


class TestScript:
    def test_writes_everything_and_prints_the_verdict(self, tmp_path, capsys):
        out = tmp_path / "results"
        assert make_script().main(["--out", str(out), "--seed", "3"]) == 0
        assert sorted(file.name for file in out.iterdir()) == [
            "claims.csv", "figure.pdf", "figure.png", "record.json", "settings.json", "table.csv",
        ]  # fmt: skip
        table = pd.read_csv(out / "table.csv")
        assert table["value"].tolist() == [0.2, 0.3, 0.25]
        assert set(table["seed"]) == {3}
        claims = pd.read_csv(out / "claims.csv").iloc[0]
        assert (claims["claim"], claims["where"]) == ("It is positive.", "Fig. 9")
        assert claims["verdict"] == HOLDS
        assert claims["value"] == pytest.approx(0.25)
        assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
        assert (out / "figure.pdf").read_bytes().startswith(b"%PDF")
        settings = json.loads((out / "settings.json").read_text())
        assert settings["preset"] == "quick"
        assert settings["seed"] == 3
        said = capsys.readouterr().out
        assert "HOLDS: It is positive. (Fig. 9)" in said
        assert "3 values." in said

    @pytest.mark.parametrize(
        ("titles", "given", "letters"),
        [(["Dev", "Hk"], "", ["a", "b"]), (["Dev", "Hk"], "c", ["c", ""]), (["Dev"], "", [""])],
    )
    def test_panels_have_letters_where_there_are_several(self, tmp_path, titles, given, letters):
        figure = Figure(figsize=(1, 1))
        panels = figure.subplots(1, len(titles), squeeze=False)[0]
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title)
        panels[0].set_title(given, loc="left")
        script = dataclasses.replace(make_script(), draw=lambda table: figure)
        assert script.main(["--out", str(tmp_path / "out")]) == 0
        assert [axes.get_title(loc="left") for axes in panels] == letters

    def test_runs_again_into_its_own_folder_and_no_other(self, tmp_path, capsys):
        out = ["--out", str(tmp_path / "results")]
        script = make_script()
        assert script.main(out) == 0
        before = (tmp_path / "results/table.csv").read_bytes()
        assert script.main(out) == 0
        assert script.main([*out, "--seed", "1"]) == 2
        assert "results of other settings" in capsys.readouterr().err
        assert script.main([*out, "--members", "5"]) == 2
        assert (tmp_path / "results/table.csv").read_bytes() == before

    def test_leaves_a_folder_of_other_files_alone(self, tmp_path, capsys):
        (tmp_path / "thesis.txt").write_text("mine")
        assert make_script().main(["--out", str(tmp_path)]) == 2
        assert "holds other files" in capsys.readouterr().err
        assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]

    def test_smoke_judges_nothing_and_keeps_the_numbers(self, tmp_path, capsys):
        for preset, verdict in (("smoke", "not judged at smoke"), ("quick", HOLDS)):
            out = tmp_path / preset
            assert make_script().main(["--out", str(out), "--preset", preset]) == 0
            claim = pd.read_csv(out / "claims.csv").iloc[0]
            assert (claim["verdict"], claim["n"]) == (verdict, 3)
        assert "NOT JUDGED AT SMOKE: It is positive." in capsys.readouterr().out

    def test_the_record_is_written_last_and_marks_what_is_finished(self, tmp_path):
        out = tmp_path / "out"
        script, arguments = make_script(), ["--out", str(out), "--seed", "3"]
        assert not script.finished(arguments)
        assert script.main(arguments) == 0
        assert script.finished(arguments)
        assert script.finished([*arguments, "--workers", "2"])
        assert not script.finished(["--out", str(out), "--seed", "4"])
        record = json.loads((out / "record.json").read_text())
        assert (record["script"], record["preset"], record["seed"]) == ("99_example", "quick", 3)
        assert {"degu_tf", "tensorflow", "keras", "numpy", "python"} == set(record["versions"])
        assert record["processor_minutes"] >= 0
        assert record["models_trained"] == 0

        def fail(context):
            raise KeyError("bug")

        with pytest.raises(KeyError):
            make_script(fail).main(arguments)
        assert not script.finished(arguments)

    def test_data_that_are_not_there_are_refused(self, tmp_path, capsys):
        arguments = ["--data", str(tmp_path / "none.h5"), "--out", str(tmp_path / "out")]
        assert make_script().main(arguments) == 2
        assert "none.h5, which is none" in capsys.readouterr().err

    def test_other_data_under_the_same_name_are_other_data(self, tmp_path, capsys):
        data, out = tmp_path / "d.h5", tmp_path / "out"
        data.write_bytes(b"one")
        script, arguments = make_script(), ["--data", str(data), "--out", str(out)]
        assert script.main(arguments) == 0
        assert script.finished(arguments)
        data.write_bytes(b"two")
        assert not script.finished(arguments)
        assert script.main(arguments) == 2
        assert "results of other settings" in capsys.readouterr().err

    def test_takes_up_a_folder_in_which_it_was_killed_at_its_first_file(self, tmp_path):
        (tmp_path / ".writing-000000abcdef-settings.json").write_text("{")
        os.utime(tmp_path / ".writing-000000abcdef-settings.json", (1, 1))
        assert make_script().main(["--out", str(tmp_path)]) == 0
        assert not list(tmp_path.glob(".*"))

    def test_members_reach_compute(self, tmp_path):
        seen = []

        def compute(context):
            seen.append(context.settings.n_members)
            return pd.DataFrame({"value": [1.0, 2.0, 3.0]})

        make_script(compute).main(["--out", str(tmp_path / "a"), "--members", "7"])
        assert seen == [7]
        without = make_script(settings=SimpleNamespace())
        assert without.main(["--out", str(tmp_path / "b"), "--members", "7"]) == 2

    def test_bad_input_is_a_line_and_a_fault_is_a_traceback(self, tmp_path, capsys):
        def refuse(context):
            raise InputError("expected 249 bases. Received: 230")

        def fail(context):
            raise KeyError("bug")

        assert make_script(refuse).main(["--out", str(tmp_path / "a")]) == 2
        assert capsys.readouterr().err.strip() == (
            "99_example: error: expected 249 bases. Received: 230"
        )
        with pytest.raises(KeyError):
            make_script(fail).main(["--out", str(tmp_path / "b")])


def test_a_module_without_a_required_name_is_refused(fig2):
    """The message names what is missing."""
    names = dict(vars(fig2))
    assert Script.of(names).name == "01_fig2_training_size"
    for name in REQUIRED:
        with pytest.raises(TypeError, match=rf"Missing: \['{name}'\]"):
            Script.of({key: value for key, value in names.items() if key != name})


def test_judge_gives_a_row_a_claim():
    table = pd.DataFrame({"value": [-1.0, -1.1, -0.9]})
    claims = [
        Claim("up", "Fig. 1", lambda t: above(t["value"], 0.0, "mean")),
        Claim("down", "Fig. 2", lambda t: above(-t["value"], 0.0, "minus mean")),
    ]
    judged = judge(claims, table).set_index("claim")
    assert judged.loc["up", "verdict"] == FAILS
    assert judged.loc["down", "verdict"] == HOLDS
    assert judged.loc["up", "where"] == "Fig. 1"
    assert {"statistic", "value", "low", "high", "p", "n", "threshold"} <= set(judged.columns)


@pytest.mark.parametrize("script", ["fig2", "s02", "s04", "s1"])
def test_help_has_an_example_and_presets_are_all_there(script, request, capsys):
    module = request.getfixturevalue(script)
    with pytest.raises(SystemExit) as ended:
        main(vars(module), ["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python experiments/{Path(module.__file__).name} --preset quick" in said
    assert list(module.PRESETS) == ["smoke", "quick", "paper"]


@pytest.mark.parametrize("script", ["fig2", "s02", "s04"])
def test_the_paper_preset_asks_for_the_data(script, request, tmp_path, capsys):
    module = request.getfixturevalue(script)
    assert main(vars(module), ["--preset", "paper", "--out", str(tmp_path / "out")]) == 2
    assert "the paper preset needs the data: --data" in capsys.readouterr().err


def scores(rows):
    """A result table from (dataset, target, method, place, mean): ten seeds, or one ensemble."""
    rng = np.random.default_rng(0)
    parts = []
    for dataset, target, method, place, mean in rows:
        n = 1 if method == "ensemble" else 10
        values = mean + (0.0 if n == 1 else 1.0) * rng.normal(0, 0.002, n)
        parts.append(
            pd.DataFrame(
                {"dataset": dataset, "target": target, "method": method, "value": values, **place}
            ).assign(seed=np.arange(n))
        )
    return pd.concat(parts).assign(metric="pearson", head="activity")


def fig2_table(student_lead, ensemble_lead, hepg2_lead):
    """Fig. 2 made up: leads over single models, whose r rises by 0.1 from little data to all.

    Those of students are a tenth larger with little data.
    """
    rows = []
    for dataset, target in (
        ("STARR", "Dev"), ("STARR", "Hk"), ("k562", "activity"), ("hepg2", "activity"),
    ):  # fmt: skip
        for fraction in (0.1, 0.25, 1.0):
            single = 0.4 + 0.1 * (fraction - 0.1) / 0.9
            lead = hepg2_lead if dataset == "hepg2" else student_lead
            lead *= 1.1 if fraction == 0.1 else 1.0
            place = {"fraction": fraction}
            rows.append((dataset, target, "single", place, single))
            rows.append((dataset, target, "student", place, single + lead))
            rows.append((dataset, target, "ensemble", place, single + ensemble_lead))
    return scores(rows)


class TestFigure2:
    def test_results_like_the_papers_hold(self, fig2):
        judged = judge(fig2.CLAIMS, fig2_table(0.122, 0.125, 0.11))
        assert judged["verdict"].tolist() == [HOLDS] * 7

    def test_opposite_results_do_not(self, fig2):
        judged = judge(fig2.CLAIMS, fig2_table(-0.05, 0.02, -0.01))
        assert judged["verdict"].tolist() == [FAILS] * 7

    def test_one_bad_panel_is_enough(self, fig2):
        table = fig2_table(0.12, 0.125, 0.10)
        bad = (table["target"] == "Hk") & (table["method"] == "student")
        table.loc[bad & (table["fraction"] == 0.1), "value"] -= 0.2
        verdicts = judge(fig2.CLAIMS, table)
        assert verdicts["verdict"].iloc[:3].tolist() == [FAILS] * 3
        assert "STARR, Hk" in verdicts["statistic"].iloc[0]

    def test_closing_less_than_half_of_the_lead_is_not_approaching(self, fig2):
        judged = judge(fig2.CLAIMS, fig2_table(0.04, 0.1, 0.04))
        assert judged["verdict"].tolist()[:3] == [HOLDS, HOLDS, FAILS]

    def test_a_quarter_is_compared_with_all_and_not_with_a_quarter(self, fig2):
        judged = judge(fig2.CLAIMS, fig2_table(0.04, 0.05, 0.04))
        assert judged["verdict"].iloc[4] == FAILS
        assert judged["value"].iloc[4] == pytest.approx(0.04 + 0.1 / 6 - 0.1, abs=0.005)

    def test_an_ensemble_without_a_lead_cannot_be_approached(self, fig2):
        judged = judge(fig2.CLAIMS, fig2_table(0.04, -0.01, 0.04))
        assert judged["verdict"].iloc[2] == UNDECIDED

    def test_what_a_run_lacks_is_no_result(self, fig2):
        table = fig2_table(0.12, 0.125, 0.10)
        small = table[(table["dataset"] == "STARR") & (table["fraction"] == 1.0)]
        verdicts = judge(fig2.CLAIMS, small)["verdict"].tolist()
        assert verdicts == [ABSENT, HOLDS, HOLDS, *[ABSENT] * 4]

    def test_every_row_has_a_seed(self, fig2, monkeypatch, splits):
        """The ensemble too, or grouping by seed would lose it."""
        scored = pd.DataFrame({"method": ["single", "ensemble"], "member": [0.0, np.nan]})
        monkeypatch.setattr(study, "evaluate_ensemble", lambda *args: scored)
        store = SimpleNamespace(
            teachers=lambda *args, **more: None, students=lambda *args, **more: []
        )
        context = SimpleNamespace(
            settings=SimpleNamespace(n_members=2, n_students=0), store=store, seed=0
        )
        table = study.compare(splits, fig2.PRESETS["smoke"].one_target, context)
        assert set(table["method"]) == {"single", "ensemble", "kmer_ridge"}
        assert set(table["seed"]) == {0}

    def test_files_find_their_architecture(self, fig2, make_splits, tmp_path):
        write_splits(tmp_path / "fly.h5", make_splits(("Dev", "Hk"), "std"))
        write_splits(tmp_path / "k562.h5", make_splits(("K562",), "std"))
        settings = fig2.PRESETS["smoke"]
        files = (tmp_path / "fly.h5", tmp_path / "k562.h5")
        setups = (settings.several_targets, settings.one_target)
        fly, k562 = data_sets.data_sets(Context(settings, "smoke", files, 0, None), *setups)
        assert (fly[0], fly[1].heads.columns) == ("fly", ("Dev", "Hk"))
        assert fly[2].spec.name == "deepstarr"
        assert (k562[0], k562[1].heads.columns) == ("k562", ("K562", "K562_aleatoric"))
        assert k562[2].spec.name == "residualbind"
        assert len(fly[1].train) == settings.several_targets.sizes[0]
        twice = (files[0], files[0])
        with pytest.raises(InputError, match="different names"):
            list(data_sets.data_sets(Context(settings, "smoke", twice, 0, None), *setups))

    def test_one_target_keeps_its_own_columns(self, fig2, splits):
        part = data_sets.one_target(splits, "Hk")
        assert part.heads.columns == ("Hk", "Hk_aleatoric")
        np.testing.assert_array_equal(part.test.targets, splits.test.targets[:, [1, 3]])


def s02_table(starr_gains, lentimpra_lead, ensemble_lead):
    """Supplementary Fig. 2 made up: what students gain on STARR-seq by share, and on lentiMPRA."""
    rows = []
    for fraction, gain in starr_gains.items():
        for variant in ("paper", "released"):
            for dataset, target, lead in (
                ("STARR", "Dev", gain), ("STARR", "Hk", gain), ("k562", "activity", lentimpra_lead),
            ):  # fmt: skip
                place = {"fraction": fraction, "variant": variant}
                rows.append((dataset, target, "single", place, 0.5))
                rows.append((dataset, target, "student", place, 0.5 + lead))
                rows.append((dataset, target, "ensemble", place, 0.5 + ensemble_lead))
    return scores(rows)


class TestDreamRnn:
    def test_results_like_the_papers_hold(self, s02):
        judged = judge(s02.CLAIMS, s02_table({0.25: 0.005, 1.0: 0.02}, 0.05, 0.052))
        assert judged["verdict"].tolist() == [HOLDS] * 4

    def test_opposite_results_do_not(self, s02):
        judged = judge(s02.CLAIMS, s02_table({0.25: 0.03, 1.0: -0.02}, -0.04, 0.02))
        assert judged["verdict"].tolist() == [FAILS] * 4

    def test_one_variant_is_enough(self, s02):
        table = s02_table({0.25: 0.005, 1.0: 0.02}, 0.05, 0.052)
        bad = (table["variant"] == "released") & (table["method"] == "student")
        table.loc[bad, "value"] -= 0.1
        verdicts = judge(s02.CLAIMS, table)
        assert verdicts["verdict"].iloc[:2].tolist() == [FAILS] * 2
        assert "released" in verdicts["statistic"].iloc[0]

    def test_one_share_says_nothing_of_growth(self, s02):
        verdicts = judge(s02.CLAIMS, s02_table({1.0: 0.02}, 0.05, 0.052))["verdict"]
        assert verdicts.tolist() == [HOLDS, HOLDS, HOLDS, ABSENT]

    def test_variants_have_panels_of_their_own(self, s02):
        figure = s02.draw(s02_table({0.25: 0.005, 1.0: 0.02}, 0.05, 0.052))
        titles = [axes.get_title() for axes in figure.axes]
        assert len(titles) == len(set(titles)) == 6


def s04_table(ensemble, student):
    """Supplementary Fig. 4 made up: r by size, three groups up to ten members and one beyond."""
    rng = np.random.default_rng(0)
    rows = []
    for method, by_size in (("ensemble", ensemble), ("student", student)):
        for size, mean in by_size.items():
            n = 10 if method == "student" else max(1, 30 // size)
            spread = 0.0 if n == 1 else 0.0005
            rows += [
                (target, method, size, seed, mean + rng.normal(0, spread))
                for target in ("Dev", "Hk")
                for seed in range(n)
            ]
    columns = ["target", "method", "n_members", "seed", "value"]
    return pd.DataFrame(rows, columns=columns).assign(metric="pearson", dataset="STARR")


class TestEnsembleSize:
    def test_results_like_the_papers_hold(self, s04):
        ensemble = {2: 0.60, 5: 0.63, 10: 0.65, 20: 0.652}
        judged = judge(s04.CLAIMS, s04_table(ensemble, {2: 0.6, 5: 0.62, 10: 0.622, 20: 0.622}))
        assert judged["verdict"].tolist() == [HOLDS] * 4

    def test_opposite_results_do_not(self, s04):
        ensemble = {2: 0.62, 5: 0.61, 10: 0.60, 20: 0.66}
        judged = judge(s04.CLAIMS, s04_table(ensemble, {2: 0.5, 5: 0.50, 10: 0.6, 20: 0.65}))
        assert judged["verdict"].tolist() == [FAILS] * 4

    def test_no_larger_size_than_the_plateau_decides_nothing(self, s04):
        table = s04_table({2: 0.60, 5: 0.63, 10: 0.65}, {2: 0.6, 5: 0.62})
        verdicts = judge(s04.CLAIMS, table[table["n_members"] <= 10])["verdict"]
        assert verdicts.iloc[1] == ABSENT

    def test_groups_of_members_are_disjoint(self, s04, make_splits):
        splits = make_splits(sizes=(4, 4, 40))
        rng = np.random.default_rng(0)
        outputs = rng.normal(size=(5, 40, 1))
        members = SimpleNamespace(
            heads=splits.heads, n_members=5, member_columns=lambda sequences: outputs
        )
        table = pd.concat(s04.ensembles(members, splits, (2, 5)))
        table = table[table["metric"] == "pearson"].set_index(["method", "n_members", "seed"])
        groups = {
            **{("single", 1, i): [i] for i in range(5)},
            ("ensemble", 2, 0): [0, 1],
            ("ensemble", 2, 1): [2, 3],
            ("ensemble", 5, 0): [0, 1, 2, 3, 4],
        }
        assert set(table.index) == set(groups)
        for key, chosen in groups.items():
            pooled = outputs[chosen].mean(axis=0)[:, 0]
            r = np.corrcoef(pooled, splits.test.targets[:, 0])[0, 1]
            assert table.loc[key, "value"] == pytest.approx(r, abs=1e-5)

    def test_more_members_than_trained_are_refused(self, s04, tmp_path, capsys):
        arguments = ["--preset", "smoke", "--members", "3", "--out", str(tmp_path / "out")]
        assert main(vars(s04), arguments) == 2
        assert "--members 3, too few" in capsys.readouterr().err


def cost_table(student):
    """Supplementary Table 1 made up: the ensemble takes 1 ms, the student a share of it."""
    times = [
        {"method": method, "metric": "ms_per_sequence", "seed": seed, "value": value + 0.001 * seed}
        for method, value in (("ensemble", 1.0), ("student", student))
        for seed in range(5)
    ]
    return pd.DataFrame(times).assign(architecture="deepstarr", n_members=10)


class TestCost:
    @pytest.mark.parametrize(("student", "verdict"), [(0.1, HOLDS), (0.4, FAILS)])
    def test_the_saving_decides(self, s1, student, verdict):
        judged = judge(s1.CLAIMS, cost_table(student))
        assert judged["verdict"].tolist() == [verdict]
        assert judged["threshold"].tolist() == [pytest.approx(0.85)]

    def test_medians_and_their_ratio(self, s1):
        table = s1.medians(cost_table(0.5))
        assert table["student / ensemble"].item() == pytest.approx(0.502 / 1.002)

    def test_operations_are_two_for_each_multiplication(self, s1, spec):
        """Convolution 5 x 4 x 8 at 32 positions; dense 16 x 8 x 8 and 8 x 1; little else."""
        heads = HeadLayout(("activity",))
        model = SimpleNamespace(model=spec.build((32, 4), heads, seed=0))
        products = 32 * 5 * 4 * 8 + 16 * 8 * 8 + 8
        assert 2 * products <= s1.flops(model) <= 1.3 * 2 * products

    def test_ensemble_and_student_take_turns(self, s1):
        calls = []

        def model(name):
            return SimpleNamespace(columns=lambda tokens: calls.append((name, tokens.shape)))

        architecture = s1.PRESETS["smoke"].architectures[0]
        models = {"ensemble": model("e"), "student": model("s")}
        results = s1.times(models, architecture, 3)
        assert [name for name, _ in calls] == ["e", "s"] * 4
        assert len(results) == 3
        assert all(set(seconds) == {"ensemble", "student"} for seconds in results)
        assert calls[0][1] == (architecture.n_sequences, architecture.length)
