"""Folders of released weights as ensembles."""

import time

import keras
import numpy as np
import pytest

from degu_tf.distillation.distributed.portable import PortableEnsemble
from degu_tf.distillation.released_ensemble import member_files, released_ensemble
from degu_tf.distillation.teacher_files import open_teachers
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STARRSEQ = HeadLayout(("Dev", "Hk"))
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (3, 249))]


def deepstarr(seed, heads=STARRSEQ, width=0.03):
    keras.utils.set_random_seed(seed)
    return build("deepstarr", (249, 4), heads, width=width)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve members, fine-tuned files of two of them, and files of other kinds."""
    folder = tmp_path_factory.mktemp("released")
    for i in range(1, 13):
        deepstarr(i).save_weights(folder / f"{i}_DeepSTARR.weights.h5")
    for i in (1, 2):
        deepstarr(40 + i).save_weights(folder / f"{i}_DeepSTARR_finetune.weights.h5")
    (folder / "config.yaml").write_text("downsample: 1")
    (folder / "1_historyDict").write_bytes(b"\x80\x04N.")
    return folder


def test_a_folder_loads_as_an_ensemble(folder):
    ensemble = released_ensemble(folder, "*_DeepSTARR.weights.h5", n_members=3)
    members = np.stack([deepstarr(i)(X) for i in (1, 2, 3)])
    prediction = ensemble.predict(X)
    np.testing.assert_allclose(prediction.mean, members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(prediction.epistemic, members.std(axis=0), atol=1e-6)
    assert ensemble.spec.to_dict() == {
        "name": "deepstarr",
        "options": {"width": 0.03},
        "init": None,
    }
    assert ensemble.folder is None  # which is that of a run
    assert [file.name[0] for file in ensemble.sources] == ["1", "2", "3"]
    assert open_teachers(ensemble.sources).fingerprint() == ensemble.fingerprint()
    assert PortableEnsemble.of(ensemble).open().fingerprint() == ensemble.fingerprint()
    assert ensemble.heads == STARRSEQ


def test_members_come_in_the_order_of_their_numbers(folder):
    files = member_files(folder, "*_DeepSTARR.weights.h5")
    assert [file.name for file in files] == [f"{i}_DeepSTARR.weights.h5" for i in range(1, 13)]


def test_the_number_may_stand_at_the_end(tmp_path):
    for name in ("K562_model_10.h5", "K562_model_9.h5", "K562_model_9.csv"):
        (tmp_path / name).touch()
    names = [file.name for file in member_files(tmp_path)]
    assert names == ["K562_model_9.h5", "K562_model_10.h5"]


def test_names_without_numbers_are_one_set(tmp_path):
    for name in ("replicate.keras", "first.h5", "first.yaml"):
        (tmp_path / name).touch()
    assert [file.name for file in member_files(tmp_path)] == ["first.h5", "replicate.keras"]
    (tmp_path / "1_DeepSTARR.h5").touch()
    with pytest.raises(InputError, match="several sets of files"):
        member_files(tmp_path)


def test_several_sets_need_a_pattern(folder):
    with pytest.raises(InputError, match=r"several sets of files: give a pattern") as caught:
        released_ensemble(folder)
    assert str(caught.value).endswith(
        "*_DeepSTARR.weights.h5 (12), *_DeepSTARR_finetune.weights.h5 (2)"
    )


def test_folders_that_hold_no_ensemble(folder, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder of weight files"):
        released_ensemble(folder / "config.yaml")
    with pytest.raises(InputError, match=r"Received: 0 files of weights in .* match '\*\.pth'$"):
        released_ensemble(folder, "*.pth")
    with pytest.raises(InputError, match=r"expected 2 to 12 members. Received: n_members=13"):
        released_ensemble(folder, "*_DeepSTARR.weights.h5", n_members=13)
    deepstarr(1).save_weights(tmp_path / "1_a.weights.h5")
    deepstarr(1, width=0.04).save_weights(tmp_path / "2_a.weights.h5")
    message = r"alike. Received: 1_a.* with options \{'width': 0.03\}, 2_a.*0.04\}$"
    with pytest.raises(InputError, match=message):
        released_ensemble(tmp_path)
    deepstarr(1, HeadLayout(("a", "b", "c"))).save_weights(tmp_path / "2_a.weights.h5")
    with pytest.raises(InputError, match=r"2_a\.weights\.h5: the 3 columns of this deepstarr"):
        released_ensemble(tmp_path)


@pytest.mark.slow
def test_ten_deepstarr_load_in_seconds(tmp_path):
    for i in range(1, 11):
        build("deepstarr", (249, 4), STARRSEQ).save_weights(tmp_path / f"{i}.weights.h5")
    started = time.process_time()
    assert released_ensemble(tmp_path).n_members == 10
    assert time.process_time() - started < 5.0
