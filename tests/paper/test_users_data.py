"""Numbered scripts on users' files: small ones in every layout that was released."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import one_in
from numbered_scripts import load
from users_files import LAYOUTS, element, random_splits, write

from degu_tf.data.simulation.atac import simulate_profiles
from degu_tf.data.sources.atac import write_profiles
from degu_tf.data.tracks import replicate_columns
from degu_tf.paper.data_sets import activity_data, data_sets, read_measured
from degu_tf.paper.fig4_attribution.logo_table import LOGO, SITE, site_rows
from degu_tf.paper.fig5_uncertainty.study import PRESETS
from degu_tf.paper.networks.planned_store import PlannedStore
from degu_tf.paper.script import Context, Script
from degu_tf.utils.errors import InputError

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def starrseq():
    """As STARR-seq: Dev and Hk; sequences of A and C alone, in which no known motif fits."""
    return random_splits(("Dev", "Hk"), letters=2)


@pytest.fixture(scope="module")
def lentimpra():
    """As lentiMPRA: an activity with the replicates' standard deviation."""
    return random_splits(("activity",), "std", length=230, seed=1)


class TestReading:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_every_layout_gives_the_same_data(self, layout, starrseq, lentimpra, tmp_path):
        files = (
            write(tmp_path / "fly.h5", layout, starrseq),
            write(tmp_path / "k562.h5", layout, lentimpra),
        )
        settings = PRESETS["smoke"]
        context = Context(settings, "smoke", files, 0, None)
        several, one = data_sets(context, settings.several_targets, settings.one_target)
        assert (several[0], one[0]) == ("fly", "k562")
        assert several[1].heads.columns == ("Dev", "Hk")
        assert one[1].heads.columns == ("activity", "activity_aleatoric")
        name, activities = activity_data(Context(settings, "smoke", files[:1], 0, None), None)
        assert name == "fly"
        np.testing.assert_array_equal(activities.test.sequences, starrseq.test.sequences)
        np.testing.assert_array_equal(activities.test.targets, starrseq.test.targets)

    def test_labels_of_a_student_are_no_measurements(self, tmp_path):
        """A released lentiMPRA file of four columns: its training targets are teachers' means."""
        labelled = random_splits(("a", "b", "c", "d"), length=230)
        path = write(tmp_path / "hepg2.h5", "flat", labelled)
        with (
            pytest.warns(UserWarning, match="teachers' means"),
            pytest.raises(InputError, match=r"measured training targets.*hepg2\.h5.*labels for a"),
        ):
            read_measured(path)

    def test_measurements_beside_labels_are_read(self, starrseq, tmp_path):
        """A released STARR-seq file: measured targets, and the teachers' means apart."""
        labels = {"ensemble_mean": starrseq.train.targets + 1.0}
        path = write(tmp_path / "fly.h5", "flat", starrseq, labels)
        splits = read_measured(path)
        np.testing.assert_array_equal(splits.train.targets, starrseq.train.targets)
        assert splits.train.ensemble_mean is not None

    def test_a_sequence_without_a_motif_leaves_values_numbers(self, starrseq):
        sites = site_rows(starrseq.test.sequences[0], simulated=False, dataset="fly")
        assert len(sites) == 0
        logo = pd.DataFrame({"metric": [LOGO], "value": [0.5], "position": [0]})
        both = pd.concat([logo, sites], ignore_index=True)
        assert both["value"].dtype == float
        assert SITE not in set(both["metric"])


def profiles(folder):
    """Bins of a small genome with three replicate tracks, as `degu prepare atac` writes them."""
    contigs = {"chr1": 20_000, "chr8": 8_000, "chr9": 8_000}
    genome, tracks = simulate_profiles(contigs, 0).write(folder)
    columns = replicate_columns({"ATAC": tracks})
    write_profiles(folder / "atac.h5", genome, columns, length=384, progress=False)
    return [folder / "atac.h5"]


ONE_FILE = (
    "02_fig3_covariate_shift", "s03_evoaug_teachers", "s04_ensemble_size", "s05_shifted_activity",
    "s06_dynamic_test_performance", "x02_share_kept",
)  # fmt: skip
VARIANTS = (
    "05_fig6_variant_effects", "s14_variant_effects_other_elements", "s15_effect_and_uncertainty",
    "s16_confident_variants",
)  # fmt: skip
SEVERAL_FILES = (
    "01_fig2_training_size", "03_fig4_attribution", "04_fig5_uncertainty", "s02_dream_rnn",
    "s07_attribution_other_heads", "s08_normalised_attribution", "s09_uncertainty_other_data",
    "s10_epistemic_head", "s11_log_variance", "s12_heteroscedastic_teachers", "s13_conformal",
    "x01_attribution_of_uncertainty",
)  # fmt: skip
WITHOUT_DATA = ("table_s1_cost",)
CASES = (
    [("00_quickstart", "flat")]
    + [(name, LAYOUTS[place % 4]) for place, name in enumerate(ONE_FILE)]
    + [(name, LAYOUTS[place % 4]) for place, name in enumerate(VARIANTS)]
    + [(name, LAYOUTS[place % 4]) for place, name in enumerate(SEVERAL_FILES)]
    + [("s01_atac_profiles", "own")]
)


def test_every_script_is_run_on_users_data():
    scripts = {path.stem for path in EXPERIMENTS.glob("*.py")}
    assert {name for name, _ in CASES} | {*WITHOUT_DATA} == scripts


def files_of(name, layout, folder, starrseq, lentimpra):
    """What a script is given: the first file in this layout, others in the next ones."""
    following = [LAYOUTS[(LAYOUTS.index(layout) + step) % 4] for step in range(3)]
    if name == "s01_atac_profiles":
        return profiles(folder)
    if name in VARIANTS:
        return [write(folder / "k562.h5", layout, lentimpra), *element(folder)]
    files = [write(folder / "fly.h5", layout, starrseq)]
    if name in SEVERAL_FILES:
        files.append(write(folder / "k562.h5", following[1], lentimpra))
        files.append(write(folder / "hepg2.h5", following[2], lentimpra))
    return files


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Trained models, which scripts share as their users do."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layout"), one_in(3, CASES))
def test_a_script_runs_on_users_data(name, layout, starrseq, lentimpra, runs, tmp_path):
    files = files_of(name, layout, tmp_path, starrseq, lentimpra)
    out = tmp_path / "out"
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), "--preset", "smoke"]
    command += ["--data", *map(str, files), "--out", str(out), "--runs", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    script, store = Script.of(vars(load(name))), PlannedStore(runs)
    plan = script.plan(script.options(command[2:]), store)
    record = json.loads((out / "record.json").read_text())
    assert sum(each.missing for each in plan) == 0, "--dry-run lists what is not trained"
    assert len(store.runs) == record["models_trained"] + record["models_reused"]
    table = pd.read_csv(out / "table.csv", low_memory=False)
    numbers = next(name for name in ("value", "mean", "predicted", "share") if name in table)
    assert table[numbers].dtype == float
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(out / "claims.csv"))
    assert json.loads((out / "settings.json").read_text())["data"] == [str(file) for file in files]
    if "dataset" in table and name != "s01_atac_profiles":
        trained_on = {file.stem for file in files if file.suffix == ".h5"}
        assert set(table["dataset"]) - {"Toy"} <= trained_on
