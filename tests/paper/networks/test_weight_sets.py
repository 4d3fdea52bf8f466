"""Sets of weight files: found below folders, in any mix of formats, with their paths' words."""

from pathlib import Path

import numpy as np
import pytest
from released_folders import FLY, deepstarr, write_set

from degu_tf.heads import HeadLayout
from degu_tf.models.released.card import convert
from degu_tf.paper.networks.weight_sets import WeightSet, find_sets, open_member
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
TEACHERS = HeadLayout(FLY)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """One set in three formats, one of them written by `degu convert`."""
    folder = tmp_path_factory.mktemp("mixed")
    write_set(folder / "a", "DeepSTARR", 3, deepstarr(TEACHERS), ".weights.h5")
    convert(folder / "a/2_DeepSTARR.weights.h5", folder / "a/2_DeepSTARR.keras")
    (folder / "a/2_DeepSTARR.weights.h5").unlink()
    (folder / "a/1_DeepSTARR.weights.h5").rename(folder / "a/1_DeepSTARR.h5")
    (folder / "a/readme.txt").write_text("left alone")
    return folder


def test_a_set_may_mix_formats_and_keeps_the_order_of_numbers(mixed):
    (found,) = find_sets([mixed])
    assert found.name == "a/*_DeepSTARR"
    assert [file.name for file in found.files] == [
        "1_DeepSTARR.h5", "2_DeepSTARR.keras", "3_DeepSTARR.weights.h5",
    ]  # fmt: skip
    assert found.described.heads == TEACHERS
    x = np.zeros((2, 249), np.uint8)
    for number, file in enumerate(found.files, 1):
        expected = deepstarr(TEACHERS)(number)(np.eye(4, dtype="f4")[x], training=False)
        np.testing.assert_allclose(open_member(file, TEACHERS).columns(x), expected, atol=1e-5)


def test_files_and_several_folders_are_told_apart(mixed, tmp_path):
    write_set(tmp_path / "b", "DeepSTARR", 1, deepstarr(TEACHERS), ".weights.h5")
    found = find_sets([mixed / "a", tmp_path / "b"])
    assert [each.name for each in found] == ["a/*_DeepSTARR", "b/*_DeepSTARR"]
    (single,) = find_sets([mixed / "a/1_DeepSTARR.h5", mixed / "a/2_DeepSTARR.keras"])
    assert (single.name, len(single.files)) == ("a/*_DeepSTARR", 2)


@pytest.mark.parametrize(
    ("name", "share"),
    [("fly/0.25/*_x", 0.25), ("fly/fraction_0.1/*_x", 0.1), ("v2.0.5/*_x", 1.0), ("*_0.25", 1.0)],
)
def test_the_share_of_the_training_data_is_the_number_that_ends_a_folders_name(name, share):
    assert WeightSet(name, ()).fraction == share


def test_other_contents_are_another_hash(mixed, tmp_path):
    one, other = (find_sets([mixed])[0] for _ in range(2))
    assert one.sha256 == other.sha256
    assert WeightSet(one.name, one.files[:2]).sha256 != one.sha256


def test_what_is_no_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is nothing"):
        find_sets([tmp_path / "gone"])
    with pytest.raises(InputError, match="with none"):
        find_sets([tmp_path])
    for name in ("1_x.h5", "1_x.keras"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"one file for each member.*1_x\.h5 and .*1_x\.keras"):
        find_sets([tmp_path])


def test_a_file_that_is_no_weights_says_why(tmp_path):
    Path(tmp_path / "1_x.h5").write_bytes(b"text")
    (found,) = find_sets([tmp_path])
    assert "begins with b'text'" in found.described
