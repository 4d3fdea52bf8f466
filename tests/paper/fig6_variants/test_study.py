"""Figure 6 and its supplements: simulated mutagenesis, users' files, tables, claims and figures.

Claims are judged on made-up results that say what the paper says, and on results that do not.
"""

import gzip
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from untrained_networks import UntrainedStore

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.simulation.grammar import true_activity, true_noise
from degu_tf.data.simulation.mpra import simulate
from degu_tf.heads import Prediction
from degu_tf.metrics.effects import ALL, PERCENTILES
from degu_tf.paper.claims import (
    FAILS,
    HOLDS,
    UNDECIDED,
    judge,
)
from degu_tf.paper.fig6_variants import experiments as variant_data
from degu_tf.paper.fig6_variants import figure as variant_figures
from degu_tf.paper.fig6_variants import study
from degu_tf.paper.fig6_variants.claims import (
    FIGURE_SIX,
    STRATIFIED_CLAIMS,
    UNCERTAINTY_CLAIMS,
    conclude,
    conclude_strata,
    conclude_uncertainty,
)
from degu_tf.paper.fig6_variants.compare import (
    PERFORMANCE,
    TEXTURE,
    UNCERTAIN,
    VARIANT,
    compare,
    effects_of,
    wide_variants,
)
from degu_tf.paper.fig6_variants.experiments import (
    MEASURED,
    REPLICATES,
    TRUTH,
    simulated,
)
from degu_tf.paper.fig6_variants.study import METHODS, PRESETS
from degu_tf.paper.networks.setups import Setup
from degu_tf.paper.script import Context
from degu_tf.sequences.genomes import elements as variant_data_elements
from degu_tf.utils.errors import InputError

CLAIMS = (*FIGURE_SIX, *STRATIFIED_CLAIMS, *UNCERTAINTY_CLAIMS)


@pytest.fixture(scope="module")
def oligos():
    """Simulated test sequences of 60 bases."""
    return simulate((1, 1, 40), 60, seed=3).splits.test.sequences


@pytest.fixture(scope="module")
def elements(oligos):
    return simulated(oligos, "Hk", 2, seed=1)


class Knows:
    """Predicts the truth and its noise, for the experiments of simulated elements."""

    input_length = 60

    def __init__(self, factor=1.0, uncertain=True):
        self.factor, self.uncertain = factor, uncertain

    def predict(self, sequences):
        truth = self.factor * true_activity(sequences)[:, 1:]
        if not self.uncertain:
            return Prediction(("Hk",), truth)
        return Prediction(("Hk",), truth, true_noise(sequences)[:, 1:], 0.1 + np.abs(truth))


# Simulated mutagenesis


def test_the_truth_of_simulated_effects_is_the_grammars(elements):
    experiment = elements[0]
    table, sequence = experiment.table, experiment.genome.fetch("element 1", 0, 60)
    assert len(table) == 180
    for row in table.iloc[[0, 77, 179]].itertuples():
        mutant = sequence[: row.position - 1] + row.alt + sequence[row.position :]
        assert sequence[row.position - 1] == row.ref
        difference = np.diff(true_activity([sequence, mutant])[:, 1])
        assert row.truth == pytest.approx(difference[0])


def test_measured_effects_have_the_noise_of_their_replicates(oligos):
    scaled = []
    for experiment in simulated(oligos, "Dev", 30, seed=2):
        table, sequence = experiment.table, experiment.genome.fetch(experiment.name, 0, 60)
        mutants = [
            sequence[: row.position - 1] + row.alt + sequence[row.position :]
            for row in table.itertuples()
        ]
        noise = true_noise(mutants)[:, 0] / np.sqrt(REPLICATES)
        scaled.append((table[MEASURED] - table[TRUTH]) / noise)
    scaled = np.concatenate(scaled)
    assert np.std(scaled) == pytest.approx(1.0, abs=0.04)
    assert np.mean(scaled) == pytest.approx(0.0, abs=0.04)


def test_elements_are_those_whose_effects_vary_most(oligos, elements):
    every = simulated(oligos, "Hk", 40, seed=1)
    spreads = [experiment.table[TRUTH].std() for experiment in every]
    assert (np.diff(spreads) < 1e-9).all()
    assert spreads[:2] == pytest.approx([each.table[TRUTH].std() for each in elements])


def test_the_seed_decides_the_noise_alone(oligos, elements):
    other = simulated(oligos, "Hk", 2, seed=2)[0].table
    same = simulated(oligos, "Hk", 2, seed=1)[0].table
    assert same.equals(elements[0].table)
    assert other[TRUTH].equals(same[TRUTH])
    assert not np.isclose(other[MEASURED], same[MEASURED]).any()


def test_what_cannot_be_simulated(oligos):
    with pytest.raises(InputError, match="Received: 'K562'"):
        simulated(oligos, "K562")
    with pytest.raises(InputError, match=r"1 to 40 elements\. Received: n=41"):
        simulated(oligos, "Hk", 41)


# Tables of predictors


@pytest.fixture(scope="module")
def table(elements):
    models = {
        "single": [Knows(uncertain=False)],
        "student": iter([Knows(), Knows(-1.0)]),
        "ensemble": [Knows(2.0)],
    }
    experiments = [(each, "Hk") for each in elements]
    return compare(models, experiments, 60, resamples=20, dataset="simulated")


def performance(table, method, seed=0, against=MEASURED, below=ALL):
    rows = table[(table["what"] == PERFORMANCE) & (table["method"] == method)]
    rows = rows[(rows["seed"] == seed) & (rows["against"] == against) & (rows["below"] == below)]
    return rows[rows["metric"] == "pearson"].set_index("experiment")


def test_performance_is_the_correlation_with_what_was_measured(table, elements):
    for experiment in elements:
        r = stats.pearsonr(experiment.table[TRUTH], experiment.table[MEASURED])[0]
        for method, seed, sign in (("single", 0, 1), ("student", 1, -1), ("ensemble", 0, 1)):
            found = performance(table, method, seed)["value"][experiment.name]
            assert found == pytest.approx(sign * r, abs=1e-4)
        assert performance(table, "student", 0, TRUTH)["value"][experiment.name] > 0.9999


def test_confident_variants_are_those_of_least_total_uncertainty(table, elements):
    experiment = elements[0]
    effects = effects_of(Knows(), experiment, "Hk", 60)
    total = np.hypot(effects["aleatoric"], effects["epistemic"])
    assert effects["total"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-5)
    kept = (total < np.percentile(total, 75)).to_numpy()
    r = stats.pearsonr(effects["effect"][kept], experiment.table[MEASURED][kept])[0]
    row = performance(table, "student", below=75).loc["element 1"]
    assert row["value"] == pytest.approx(r, abs=1e-3)
    assert row["n"] == pytest.approx(kept.sum(), abs=2)


def test_uncertainty_is_that_of_the_alternative_allele(elements):
    effects = effects_of(Knows(), elements[1], "Hk", 60)
    sequence = elements[1].genome.fetch("element 2", 0, 60)
    row = effects.iloc[100]
    mutant = sequence[: int(row["position"]) - 1] + row["alt"] + sequence[int(row["position"]) :]
    assert row["aleatoric"] == pytest.approx(true_noise([mutant])[0, 1], rel=1e-6)
    assert row["activity"] == pytest.approx(true_activity([mutant])[0, 1], rel=1e-6)


def test_models_without_uncertainty_are_not_stratified(table):
    rows = table[(table["method"] == "single") & (table["what"] == PERFORMANCE)]
    assert set(rows["below"]) == {ALL}
    assert not len(table[(table["method"] == "single") & table["what"].isin([UNCERTAIN, TEXTURE])])


def test_uncertainty_rises_with_activity_where_it_does(table):
    rows = table[(table["what"] == UNCERTAIN) & (table["method"] == "student")]
    rows = rows[(rows["component"] == "epistemic") & (rows["against"] == "activity")]
    assert (rows["value"] > 0.999).all()


def test_the_first_student_is_shown_variant_by_variant(table, elements):
    assert set(table[table["what"] == VARIANT]["method"]) == {"student"}
    wide = wide_variants(table, "element 1")
    assert len(wide) == 180
    merged = wide.merge(elements[0].table, on=["position", "ref", "alt"], suffixes=("", "_as_was"))
    assert merged[MEASURED].to_numpy() == pytest.approx(merged["measured_as_was"], abs=1e-5)
    assert merged["effect"].to_numpy() == pytest.approx(merged[TRUTH].to_numpy(), abs=1e-5)


def test_what_cannot_be_compared(elements):
    with pytest.raises(InputError, match="none"):
        compare({"student": []}, [(elements[0], "Hk")], 60)
    with pytest.raises(InputError, match=r"targets \('Hk',\)\. Received: 'K562'"):
        compare({"student": [Knows()]}, [(elements[0], "K562")], 60)


# Users' files


@pytest.fixture
def files(tmp_path, make_splits):
    """Tables and elements of two loci on made-up sequences, and data of both cell types."""
    rng = np.random.default_rng(5)
    bases = {name: "".join(rng.choice(list("ACGT"), 60)) for name in ("PKLR", "SORT1")}
    for number, (name, sequence) in enumerate(bases.items(), start=1):
        (tmp_path / f"{name}.fa").write_text(f">{name} chr{number}:1001-1060\n{sequence}\n")
        lines = ["Element\tChrom\tPos\tRef\tAlt\tCoefficient"]
        for experiment in (f"{name}-a", f"{name}-b"):
            lines += [
                f"{experiment}\t{number}\t{1001 + i}\t{base}\t{alt}\t{rng.normal():.3f}"
                for i, base in enumerate(sequence)
                for alt in "ACGT-"
                if alt != base and not (i == 7 and alt in "AC")
            ]
        with gzip.open(tmp_path / f"{name}.tsv.gz", "wt") as file:
            file.write("\n".join(lines))
    write_splits(tmp_path / "both.h5", make_splits(("HepG2_log2", "K562_log2")))
    return tmp_path


def given(files, *names):
    return [files / name for name in names]


ALL_FILES = ("SORT1.tsv.gz", "both.h5", "PKLR.fa", "SORT1.fa", "PKLR.tsv.gz")


def test_kinds_of_files_are_detected_from_content(files):
    for name, other in (("both.h5", "x.tsv"), ("PKLR.fa", "y.h5"), ("PKLR.tsv.gz", "z.fa")):
        (files / name).rename(files / other)
    found = variant_data.sort_files(given(files, "x.tsv", "y.h5", "z.fa"))
    names = [[path.name for path in kind] for kind in (found.training, found.tables, found.genomes)]
    assert names == [["x.tsv"], ["z.fa"], ["y.h5"]]
    with pytest.raises(InputError, match="missing: a table of measured effects, a genome"):
        variant_data.sort_files(given(files, "x.tsv"))
    with pytest.raises(InputError, match=r"none\.tsv, which is none"):
        variant_data.sort_files([files / "none.tsv"])


def test_experiments_are_read_and_what_is_left_out_is_said(files, capsys):
    tables, genomes = (
        given(files, "PKLR.tsv.gz", "SORT1.tsv.gz"),
        given(files, "PKLR.fa", "SORT1.fa"),
    )
    experiments = variant_data.read_experiments(tables, genomes, 32)
    assert [each.name for each in experiments] == ["PKLR-a", "PKLR-b", "SORT1-a", "SORT1-b"]
    for each in experiments:
        assert len(each.table) == 180
        assert set(each.table["alt"]) == set("ACGT")
        assert each.table[MEASURED].isna().sum() in (1, 2)
    said = capsys.readouterr().out
    assert said.count("60 not of one base") == 4
    assert "PKLR-a: 60 of" in said


def test_elements_in_several_files_are_one_genome(files):
    from degu_tf.sequences.genomes.open import open_genome

    parts = [open_genome(path) for path in given(files, "PKLR.fa", "SORT1.fa")]
    genome = variant_data_elements.Genomes(parts)
    assert dict(genome.contigs) == {"chr1": 1060, "chr2": 1060}
    assert genome.fetch("chr2", 1000, 1060) == parts[1].fetch("chr2", 1000, 1060)
    assert genome.bounds("1", 1030) == (1000, 1060)
    assert not genome.covers("chr1", 990, 1010)
    assert genome.of_elements
    with pytest.raises(InputError, match=r"SORT1\.fa\. Received: chr1:0-5"):
        genome.fetch("chr1", 0, 5)


def test_experiments_go_with_their_cell_type(make_splits):
    both, one = make_splits(("HepG2_log2", "K562_log2")), make_splits()
    pklr, sort1, other = (SimpleNamespace(name=n, element=n) for n in ("PKLR", "SORT1", "X"))
    (found,) = variant_data.match_cells(["agarwal"], [both], [pklr, sort1])
    assert [(each.name, target) for each, target in found.experiments] == [
        ("PKLR", "K562_log2"),
        ("SORT1", "HepG2_log2"),
    ]
    data = variant_data.match_cells(["lentiMPRA_K562", "hepg2"], [one, one], [sort1])
    assert [(each.name, each.experiments) for each in data] == [("hepg2", [(sort1, "activity")])]
    (found,) = variant_data.match_cells(["mine"], [one], [other])
    assert found.experiments == [(other, "activity")]
    with pytest.raises(InputError, match=r"PKLR: expected one target of K562.*activity in mine"):
        variant_data.match_cells(["mine"], [one], [pklr])
    with pytest.raises(InputError, match=r"X: expected one target, named in"):
        variant_data.match_cells(["agarwal"], [both], [other])


@pytest.fixture
def context(spec, quick):
    setup = Setup(spec, quick, (100, 30, 30))
    settings = study.Settings(2, 1, 1, 10, setup, setup)
    return Context(settings, "quick", (), 0, UntrainedStore())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")
def test_a_study_of_users_files(context, files):
    context = replace(context, data=tuple(given(files, *ALL_FILES)))
    table = study.study(context)
    assert set(table["method"]) == set(METHODS)
    assert set(table["dataset"]) == {"both"}
    targets = table.groupby("experiment")["target"].unique().map(list).to_dict()
    assert targets["PKLR-b"] == ["K562_log2"]
    assert targets["SORT1-a"] == ["HepG2_log2"]
    schemes = [asked.augmentation and asked.augmentation.scheme for asked in context.store.asked]
    names = [None if scheme is None else type(scheme).__name__ for scheme in schemes]
    assert names == [None, "EvoAug", "RandomMutation", "RandomShuffle"]
    rows = table[(table["what"] == PERFORMANCE) & (table["windows"] == "centred")]
    assert rows["n"].max() == 3 * (60 - 32 + 1)
    assert "aleatoric" not in set(table["component"].dropna())


def test_the_paper_preset_needs_data(context):
    with pytest.raises(InputError, match="the paper preset needs the data"):
        list(study.panels(replace(context, preset="paper")))
    settings = PRESETS["paper"]
    assert (settings.n_members, settings.n_students) == (10, 10)
    assert settings.one_target.spec.name == "residualbind"


def test_unknown_methods(context, splits):
    models = study.Models(context, splits, context.settings.one_target)
    with pytest.raises(InputError, match="Received: 'mprann'"):
        list(models.of("mprann"))


# Claims and figures


def made_up(true=True, seeds=3):
    """A table that says of every claim what the paper says, or the opposite."""
    rng = np.random.default_rng(0)
    sign, rows = 1.0 if true else -1.0, []
    r = {"single": 0.4, "student": 0.5, "ensemble": 0.7, "dynamic_evoaug": 0.6}
    r |= {"dynamic_shuffle": 0.6, "dynamic_mutagenesis": 0.65}

    def add(value, **more):
        rows.extend(
            {"dataset": "K562", "target": "K562", "seed": seed, "lower": 0.0, "upper": 1.0,
             "value": value + rng.uniform(-0.001, 0.001), "n": 50, **more}
            for seed in range(1 if more["method"] == "ensemble" else seeds)
        )  # fmt: skip

    for experiment in ("PKLR-24h", "PKLR-48h"):
        for method, value in r.items():
            for metric in ("pearson", "spearman"):
                for below in (*PERCENTILES, ALL):
                    add(
                        0.5 + sign * (value - 0.5 + 0.001 * (ALL - below)),
                        experiment=experiment, method=method, metric=metric, below=below,
                        what=PERFORMANCE, against=MEASURED, windows="all",
                    )  # fmt: skip
        student = {"experiment": experiment, "method": "student"}
        for component, values in {
            "aleatoric": {"mean": 0.4, "nucleotides": 0.1, "positions": 0.1},
            "epistemic": {"mean": 0.2, "nucleotides": 0.3, "positions": 0.4},
        }.items():
            for metric, value in values.items():
                add(sign * value, component=component, metric=metric, what=TEXTURE, **student)
        for component, against, rho in (
            ("aleatoric", "effect", -0.3), ("epistemic", "effect", 0.3),
            ("epistemic", "activity", 0.4),
        ):  # fmt: skip
            add(
                sign * rho, component=component, against=against, metric="spearman",
                what=UNCERTAIN, **student,
            )  # fmt: skip
    return pd.DataFrame(rows)


def verdicts(table):
    return judge(CLAIMS, table)["verdict"].tolist()


def test_claims_hold_where_results_say_so():
    assert verdicts(made_up()) == [HOLDS] * len(CLAIMS)


def test_claims_fail_where_results_say_the_opposite():
    assert verdicts(made_up(true=False)) == [FAILS] * len(CLAIMS)


def test_few_models_decide_nothing():
    assert verdicts(made_up(seeds=1)) == [UNDECIDED] * len(CLAIMS)


def test_a_model_without_one_of_the_experiments_counts_in_no_mean_over_them():
    """Students of the first seed, far better at 24 hours, were not used on the other experiment."""
    table = made_up(seeds=4)
    lucky = (table["seed"] == 0) & (table["method"] != "ensemble")
    there = table["experiment"] == "PKLR-24h"
    table.loc[lucky & there, "value"] += 0.3
    complete = table[(table["seed"] > 0) | (table["method"] == "ensemble")]
    for claim in (*FIGURE_SIX, *UNCERTAINTY_CLAIMS):
        decided, expected = (claim.decide(rows) for rows in (table[~lucky | there], complete))
        assert decided.n == expected.n == 3, claim.text
        assert (decided.value, decided.low) == (expected.value, expected.low), claim.text


def test_one_locus_that_differs_decides_the_claim_of_every_locus():
    table = made_up()
    row = (table["experiment"] == "PKLR-24h") & (table["below"] == PERCENTILES[0])
    table.loc[row, "value"] -= 0.1
    everywhere = judge(STRATIFIED_CLAIMS[1:], table)
    assert everywhere["verdict"].tolist() == [FAILS]
    assert "PKLR-24h" in everywhere["statistic"][0]


def test_conclusions_name_every_experiment(table):
    for text in (conclude(table), conclude_strata(table), conclude_uncertainty(table)):
        assert "element 1" in text
        assert "element 2" in text
    assert "pearson truth" in conclude(table)


@pytest.mark.filterwarnings("ignore:.* rows are not finite:UserWarning")
def test_figures_are_drawn(table, s15):
    pair = pd.concat([table, table.assign(method="dynamic_mutagenesis")])
    pair = pair[~((pair["what"] == VARIANT) & (pair["method"] == "dynamic_mutagenesis"))]
    figure = variant_figures.figure_six(pair)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [letter for letter in titles if letter] == ["a", "c", "b"]
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert "Measured\neffect" in labels
    maps = variant_figures.effect_maps(pair[pair["experiment"] == "element 1"])
    alone = [axes.get_ylabel() for axes in maps.axes]
    assert alone == labels[-len(alone) :]
    strata = next(axes for axes in figure.axes if len(axes.get_xticklabels()) == 4
                  and axes.get_xlabel().startswith("Percentile"))  # fmt: skip
    assert [each.get_text() for each in strata.get_xticklabels()] == [
        "< 25th", "< 50th", "< 75th", "all",
    ]  # fmt: skip
    lines = [line for line in strata.lines if line.get_color() == "tab:green"]
    assert lines[0].get_ydata()[0] == pytest.approx(
        performance(table, "ensemble")["value"]["element 1"]
    )
    assert len(variant_figures.methods(pair).axes) == 4
    assert len(variant_figures.strata(pair).axes) == 4
    assert len(s15.draw(pair).axes) == 4


@pytest.mark.filterwarnings("ignore:.* rows are not finite:UserWarning")
def test_units_are_those_of_the_data(table):
    """Binary logarithms where data are simulated; of a user's data the target's name."""

    pair = pd.concat([table, table.assign(method="dynamic_mutagenesis")])
    pair = pair[~((pair["what"] == VARIANT) & (pair["method"] == "dynamic_mutagenesis"))]

    def labels(table):
        dots = variant_figures.uncertainty_against_effect(table)
        maps = variant_figures.figure_six(table)
        return {axes.get_xlabel() for axes in dots.axes} | {axes.get_ylabel() for axes in maps.axes}

    assert {"Predicted effect (log$_2$)", "log$_2$"} <= labels(
        pair.assign(dataset="Simulated lentiMPRA")
    )
    own = labels(pair.assign(dataset="mpra", target="counts"))
    assert {"Predicted effect (counts)", "counts"} <= own
    assert not any("log" in label for label in own)


def test_the_papers_experiment_is_drawn_where_it_is():
    from degu_tf.paper.fig6_variants.figure import _densest, main_experiment

    assert main_experiment(made_up()) == "PKLR-48h"
    variants = pd.DataFrame(
        {"position": np.arange(300), "measured": np.r_[np.zeros(170), np.ones(130)]}
    )
    assert _densest(variants, 120)["position"].tolist() == list(range(170, 290))


def test_real_elements(real_data):
    folder = real_data / "cagi5"
    tables = sorted(folder.glob("*_satmut_hg19.tsv.gz"))
    genomes = sorted(folder.glob("*_element_hg19.fa"))
    with pytest.warns(UserWarning, match="1 of 9469 rows are left out"):
        read = variant_data.read_experiments(tables, genomes, 230)
    experiments = {each.name: each for each in read}
    assert set(experiments) == {"PKLR-24h", "PKLR-48h", "SORT1", "SORT1-flip", "SORT1.2"}
    table = experiments["PKLR-48h"].table
    assert table[MEASURED].notna().sum() > 1300
