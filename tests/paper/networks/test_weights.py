"""Weights of a figure: which set is which method's, and what is refused."""

from pathlib import Path

import pytest
from released_folders import ACTIVITY, FLY, deepstarr, residualbind, write_cell, write_set

from degu_tf.heads import HeadLayout
from degu_tf.paper.networks.weight_sets import Described
from degu_tf.paper.networks.weights import Needs, ReleasedWeights, layout_of, method_of
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")

EVERY = Needs(
    ("single",),
    (
        "student", "ensemble", "mc_dropout", "heteroscedastic", "evidential_released",
        "student_of_heteroscedastic", "student_log_variance", "dynamic_evoaug",
        "dynamic_mutagenesis", "dynamic_shuffle",
    ),
)  # fmt: skip
TEACHERS = HeadLayout(FLY)


@pytest.fixture
def cell(make_splits):
    return make_splits(ACTIVITY, "std", sizes=(6, 4, 4), length=230)


@pytest.fixture
def fly(make_splits):
    return make_splits(FLY, sizes=(6, 4, 4), length=249)


@pytest.fixture(scope="module")
def k562(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    write_cell(folder / "K562", 2)
    return folder


def test_every_kind_of_network_is_told_by_content_and_words(k562, cell):
    weights = ReleasedWeights([k562], EVERY).of_data({"k562": cell})["k562"]
    for method in EVERY.required + EVERY.shown:
        assert weights.has(method), method
    assert not weights.has("deep_evidential")
    assert weights.ensemble().n_members == 2
    assert weights.heads("student").columns == (
        "activity", "activity_aleatoric", "activity_epistemic",
    )  # fmt: skip
    assert weights.heads("heteroscedastic").aleatoric == "log_variance"
    assert weights.heads("student_log_variance").epistemic == "log_variance"
    numbers = {m.fingerprint() for m in weights.models("dynamic_shuffle")}
    assert not numbers & {m.fingerprint() for m in weights.models("dynamic_evoaug")}


def test_targets_take_the_names_of_the_data(k562, make_splits):
    cell = make_splits(("K562",), "std", sizes=(6, 4, 4), length=230)
    weights = ReleasedWeights([k562], EVERY).of_data({"k562": cell})["k562"]
    assert weights.ensemble().heads.columns == ("K562", "K562_aleatoric")
    assert {m.heads.targets for m in weights.models("student")} == {("K562",)}


@pytest.mark.parametrize(
    ("name", "head", "n_columns", "method"),
    [
        ("x/*_lentiMPRA", "linear", 2, "single"),
        ("x/*_lentiMPRA", "linear", 1, "single"),
        ("students/*_lentiMPRA", "linear", 2, "student"),
        ("x/*_lentiMPRA", "linear", 3, "student"),
        ("x/*_heteroscedastic", "linear", 2, "heteroscedastic"),
        ("x/*_evidential", "linear", 2, "evidential_released"),
        ("x/*_lentiMPRA_aug_weights", "linear", 2, "teachers trained with EvoAug"),
        ("x/*_lentiMPRA_random_aug", "linear", 3, "dynamic_shuffle"),
        ("x/*_lentiMPRA_mutagenesis_finetune", "linear", 3, "dynamic_mutagenesis"),
        ("random_mutagenesis/*_x", "linear", 3, "dynamic_mutagenesis"),
        ("x/*_lentiMPRA_evoaug_append_aug", "linear", 3, "dynamic_evoaug"),
    ],
)
def test_words_decide_where_columns_do_not(name, head, n_columns, method, cell):
    described = Described("residualbind", head, n_columns, None, None)
    assert method_of(name, described, layout_of(name, described, cell)) == method


def test_weights_of_other_columns_or_lengths_are_not_the_datas(cell, fly):
    assert layout_of("x", Described("deepstarr", "linear", 2, 249, TEACHERS), cell) is None
    assert layout_of("x", Described("residualbind", "linear", 3, 200, None), cell) is None
    assert layout_of("x", Described("residualbind", "linear", 3, None, None), fly) is None


def test_cells_are_told_apart_by_name_and_nothing_is_guessed(cell, tmp_path):
    heads = HeadLayout(ACTIVITY, "std")
    data = {"lenti_K562": cell, "lenti_HepG2": cell}
    for place, shift in (("K562", 0), ("HepG2", 50)):
        write_set(tmp_path / place, "lentiMPRA", 2, residualbind(heads, shift=shift), ".weights.h5")
    found = ReleasedWeights([tmp_path], Needs(("single",))).of_data(data)
    names = {name: found[name].ensemble().sources[0].parent.name for name in data}
    assert names == {"lenti_K562": "K562", "lenti_HepG2": "HepG2"}
    write_set(tmp_path / "cell", "x", 2, residualbind(heads, shift=90), ".weights.h5")
    with pytest.raises(InputError, match=r"says whose weights cell/\*_x are, of lenti_K562 or"):
        ReleasedWeights([tmp_path], Needs(("single",))).of_data(data)


def test_another_cells_networks_do_not_stand_in(cell, tmp_path):
    heads = HeadLayout(ACTIVITY, "std")
    write_set(tmp_path / "K562", "lentiMPRA", 2, residualbind(heads), ".weights.h5")
    other = residualbind(heads, shift=50)
    write_set(tmp_path / "HepG2" / "0.25", "lentiMPRA", 2, other, ".weights.h5")
    weights = ReleasedWeights([tmp_path], Needs(("single",)))
    assert weights.of_data({"lenti_K562": cell})["lenti_K562"].fractions == (1.0,)
    assert weights.of_data({"mine": cell})["mine"].fractions == (0.25, 1.0)


def test_two_sets_of_one_method_are_refused_by_name(fly, tmp_path):
    for place in ("a", "b"):
        write_set(tmp_path / place, "DeepSTARR", 2, deepstarr(TEACHERS), ".weights.h5")
    with pytest.raises(InputError, match=r"fly: expected one set .*Standard training.*a/.*, b/"):
        ReleasedWeights([tmp_path], Needs(("single",))).of_data({"fly": fly})
    (weights,) = ReleasedWeights([tmp_path / "b"], Needs(("single",))).of_data({"f": fly}).values()
    assert weights.ensemble().n_members == 2


def test_students_before_fine_tuning_come_first_as_in_the_paper(fly, tmp_path, capsys):
    student = HeadLayout(FLY, epistemic="std")
    for stage in ("aug", "finetune", "append_aug"):
        write_set(tmp_path, f"DeepSTARR_random_{stage}", 1, deepstarr(student), ".weights.h5")
    needs = Needs(("dynamic_shuffle",))
    (weights,) = ReleasedWeights([tmp_path], needs).of_data({"fly": fly}).values()
    assert len(weights.models("dynamic_shuffle")) == 1
    said = capsys.readouterr().out
    assert "DEGU, dynamic shuffle: *_DeepSTARR_random_aug, 1 file" in said
    assert "Not used: *_DeepSTARR_random_finetune, 1 file" in said


def test_what_is_missing_is_named_with_what_there_is(fly, tmp_path):
    write_set(tmp_path, "DeepSTARR", 2, deepstarr(TEACHERS), ".weights.h5")
    Path(tmp_path / "data.h5").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"fly: .*missing: DEGU student\. .*begins with b'no wei"):
        ReleasedWeights([tmp_path], Needs(("single", "student"))).of_data({"fly": fly})


@pytest.mark.parametrize("n", [1, 3])
def test_an_ensemble_has_as_many_members_as_asked_for(fly, tmp_path, n):
    write_set(tmp_path, "DeepSTARR", 2, deepstarr(TEACHERS), ".weights.h5")
    weights = ReleasedWeights([tmp_path], Needs(("single",)), n).of_data({"fly": fly})["fly"]
    with pytest.raises(InputError, match=rf"expected 2 to 2 members.*Received: {n}"):
        weights.ensemble()


def test_shares_of_the_data_are_folders(fly, tmp_path):
    for share in ("", "0.25"):
        write_set(tmp_path / "fly" / share, "DeepSTARR", 2, deepstarr(TEACHERS), ".weights.h5")
    weights = ReleasedWeights([tmp_path], Needs(("single",))).of_data({"fly": fly})["fly"]
    assert weights.fractions == (0.25, 1.0)
    assert weights.at(0.25).ensemble().sources[0].parent.name == "0.25"
    assert not weights.at(0.5).has("single")
