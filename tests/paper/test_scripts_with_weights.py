"""Numbered scripts on weights in the released layouts: nothing is trained, what lacks is said."""

import functools
import json
from pathlib import Path

import pandas as pd
import pytest
from numbered_scripts import load
from released_folders import write_cell, write_fly
from users_files import element, random_splits, write

from degu_tf.paper.absent import ABSENT
from degu_tf.paper.networks.weight_sets import open_member
from degu_tf.paper.script import Script

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:.*catastrophic cancellation:RuntimeWarning"),
    # outputs of random networks hardly vary, if at all
    pytest.mark.filterwarnings("ignore:.*maps are zero everywhere:UserWarning"),
    pytest.mark.filterwarnings("default::degu_tf.attribution.convergence.ConvergenceWarning"),
]

VARIANTS = (
    "05_fig6_variant_effects", "s14_variant_effects_other_elements", "s15_effect_and_uncertainty",
    "s16_confident_variants",
)  # fmt: skip
CELLS = (
    "04_fig5_uncertainty", "s09_uncertainty_other_data", "s10_epistemic_head", "s11_log_variance",
    "s12_heteroscedastic_teachers", "s13_conformal",
)  # fmt: skip
MAPS = ("03_fig4_attribution", "s07_attribution_other_heads", "s08_normalised_attribution")


def place_of(folder, n, fly=True):
    """Weights of n members of every kind, and the data that go with them."""
    if fly:
        write_fly(folder / "weights/DeepSTARR", n)
    write_cell(folder / "weights/K562", n)
    write(folder / "fly.h5", "flat", random_splits(("Dev", "Hk"), letters=2))
    cell = random_splits(("activity",), "std", length=230, seed=1)
    write(folder / "k562.h5", "grouped", cell)
    element(folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return place_of(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return place_of(tmp_path_factory.mktemp("ten"), 10, fly=False)


@pytest.fixture(scope="module")
def ten_of_all(tmp_path_factory):
    return place_of(tmp_path_factory.mktemp("ten_of_all"), 10)


@pytest.fixture(scope="module")
def opened_once():
    """The scripts' networks are opened once for all scripts of the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("degu_tf.paper.networks.weights.open_member", functools.cache(open_member))
        yield


def files_of(name, place):
    """The data files of a script."""
    if name in VARIANTS:
        return [place / "k562.h5", place / "PKLR.tsv", place / "PKLR.fa"]
    if name in ("s11_log_variance", "s12_heteroscedastic_teachers", "s13_conformal", *MAPS[::2]):
        return [place / "k562.h5"]
    if name == "s07_attribution_other_heads":
        return [place / "fly.h5"]
    return [place / "fly.h5", place / "k562.h5"]


def run(name, place, out, weights=None, *more):
    """Run a script, on the data that there are weights for; its exit code."""
    script = Script.of(vars(load(name)))
    given = [place / "weights"] if weights is None else weights
    files = files_of(name, place)
    if not (place / "weights/DeepSTARR").is_dir():
        files = [file for file in files if file.stem != "fly"]
    return script.main(
        ["--preset", "smoke", "--data", *map(str, files), "--weights",
         *map(str, given), "--out", str(out), *more]
    )  # fmt: skip


OF_TEN = ("03_fig4_attribution", "04_fig5_uncertainty", "s16_confident_variants")
"""One script of each kind, which always opens ten members, as the released sets have."""

OF_TWO = (CELLS[-1], VARIANTS[0], MAPS[-1])
"""Another of each kind, with two members: `pytest -m exhaustive` runs every script with both."""

SETS = [
    pytest.param(name, n, marks=[] if name in chosen else pytest.mark.exhaustive)
    for name in CELLS + VARIANTS + MAPS
    for n, chosen in ((2, OF_TWO), (10, OF_TEN))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), SETS)
def test_a_script_shows_every_member_and_trains_none(name, n, request, tmp_path, opened_once):
    place = "two" if n == 2 else "ten_of_all" if name not in OF_TEN else "ten"
    assert run(name, request.getfixturevalue(place), tmp_path / "out") == 0
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["models_trained"] == record["models_reused"] == 0
    assert not list(tmp_path.glob("runs/teachers*")) + list(tmp_path.glob("runs/student*"))
    assert json.loads((tmp_path / "out/settings.json").read_text())["weights"] == record["weights"]
    table = pd.read_csv(tmp_path / "out/table.csv", low_memory=False)
    students = table[table["method"] == "student"] if "method" in table else table
    if name == "s16_confident_variants":
        students = table[table["method"] == "dynamic_mutagenesis"]
    if name == "s11_log_variance":
        students = table[table["method"] == "student_log_variance"]
    if name in MAPS:
        students = students[students["metric"] == "rmse_to_ensemble"]
    assert students.groupby("dataset")["seed"].nunique().eq(n).all(), name
    if ABSENT in table:
        missing = set(table.loc[table["metric"] == ABSENT, "method"])
        assert missing == {"deep_evidential"}


@pytest.mark.slow
def test_what_the_folder_lacks_is_written_under_the_figure(two, tmp_path):
    """Fig. 5 without students of the fly's data and without most noise models."""
    weights = [two / "weights/K562/ensemble", two / "weights/K562/distilled"]
    weights.append(two / "weights/DeepSTARR/ensemble")
    named = tmp_path / "weights"
    for number, folder in enumerate(weights):
        (named / f"{number}").mkdir(parents=True)
        for file in folder.iterdir():
            (named / f"{number}" / file.name).symlink_to(file)
    assert run("04_fig5_uncertainty", two, tmp_path / "out", [named]) == 0
    table = pd.read_csv(tmp_path / "out/table.csv", low_memory=False)
    rows = table[table["metric"] == ABSENT]
    assert set(zip(rows["dataset"], rows["method"], strict=True)) == {
        ("fly", "student"), ("k562", "heteroscedastic"), ("k562", "evidential_released"),
        ("k562", "deep_evidential"),
    }  # fmt: skip
    claims = pd.read_csv(tmp_path / "out/claims.csv").set_index("claim")
    mixed = claims[claims.index.str.contains("heteroscedastic")]
    assert len(mixed)
    assert mixed["value"].isna().all()  # half of what is compared does not stand for the whole


def test_other_weights_are_refused_by_a_folder_of_results(two, tmp_path, capsys):
    name, weights = "s15_effect_and_uncertainty", tmp_path / "weights"
    weights.mkdir()
    for file in (two / "weights/K562/distilled").glob("*_ResidualBind.h5"):
        (weights / file.name).write_bytes(file.read_bytes())
    assert run(name, two, tmp_path / "out", [weights]) == 0
    before = (tmp_path / "out/table.csv").read_bytes()
    assert run(name, two, tmp_path / "out", [weights]) == 0
    (weights / "1_ResidualBind.h5").write_bytes((weights / "2_ResidualBind.h5").read_bytes())
    assert run(name, two, tmp_path / "out", [weights]) == 2
    assert "results of other settings" in capsys.readouterr().err
    assert (tmp_path / "out/table.csv").read_bytes() == before


def test_what_a_figure_cannot_do_without_is_refused_by_name(two, tmp_path, capsys):
    weights = [two / "weights/K562/ensemble"]
    assert run("s16_confident_variants", two, tmp_path / "out", weights) == 2
    said = capsys.readouterr().err
    assert "k562: this figure needs weights of DEGU, dynamic mutagenesis" in said
    assert "missing: DEGU, dynamic mutagenesis. Received: *_lentiMPRA" in said


def test_weights_go_with_data_and_with_figures_that_open_them(two, tmp_path, capsys):
    script = Script.of(vars(load("04_fig5_uncertainty")))
    assert script.main(["--weights", str(two / "weights"), "--out", str(tmp_path / "a")]) == 2
    assert "--weights needs --data" in capsys.readouterr().err
    both = ["--weights", str(two / "weights"), "--data", str(two / "k562.h5"), "--only", "1.0"]
    assert script.main([*both, "--out", str(tmp_path / "a")]) == 2
    assert "expected no --only beside --weights" in capsys.readouterr().err
    both[-2:] = ["--recipe", "best"]
    assert script.main([*both, "--out", str(tmp_path / "a")]) == 2
    assert "expected no --recipe beside --weights" in capsys.readouterr().err
    other = Script.of(vars(load("s04_ensemble_size")))
    assert other.main(["--weights", str(two), "--out", str(tmp_path / "b")]) == 2
    assert "expected no --weights, for this figure trains" in capsys.readouterr().err
    assert not Path(tmp_path / "b/settings.json").exists()
