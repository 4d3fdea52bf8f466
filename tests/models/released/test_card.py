"""Released files converted to `.keras`, with their cards."""

import json

import keras
import numpy as np
import pytest

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.released import card as card_module
from degu_tf.models.released.card import convert, open_weights
from degu_tf.models.released.load import read_released
from degu_tf.models.released.output_heads import with_head
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import file_hash

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STARRSEQ = HeadLayout(("Dev", "Hk"))
X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (3, 249))]


def deepstarr(seed, heads=STARRSEQ, width=0.03):
    keras.utils.set_random_seed(seed)
    return build("deepstarr", (249, 4), heads, width=width)


@pytest.fixture
def released(tmp_path):
    """A file of weights of a DeepSTARR."""
    path = tmp_path / "1_DeepSTARR.weights.h5"
    deepstarr(1).save_weights(path)
    return path


def test_the_converted_model_and_its_card(released, tmp_path):
    out = tmp_path / "new" / "deepstarr.keras"
    card = convert(released, out, dropout=0.3)
    model = keras.models.load_model(out, compile=False)
    np.testing.assert_array_equal(model(X), deepstarr(1)(X))
    held = json.loads(out.with_suffix(".json").read_text())
    assert {key: held[key] for key in (
        "architecture", "options", "input_length", "columns", "head", "parameters", "model",
        "source", "source_format",
    )} == {
        "architecture": "deepstarr",
        "options": {"width": 0.03, "dropout": 0.3},
        "input_length": 249,
        "columns": ["Dev", "Hk"],
        "head": "linear",
        "parameters": model.count_params(),
        "model": "deepstarr.keras",
        "source": "1_DeepSTARR.weights.h5",
        "source_format": "Keras 3 weights (.weights.h5)",
    }  # fmt: skip
    assert HeadLayout.from_dict(held["heads"]) == STARRSEQ
    assert held["source_sha256"] == file_hash(released)
    assert held["model_sha256"] == file_hash(out)
    assert held["fingerprint"] == read_released(out).predictor().fingerprint()
    assert set(held["versions"]) == {"degu_tf", "keras"}
    text = out.with_suffix(".txt").read_text()
    assert text == card.text()
    for word in ("deepstarr", "249 bases", "Dev, Hk", "width=0.03", held["source_sha256"]):
        assert word in text


def test_a_converted_file_is_read_like_any_other(tmp_path):
    heads = HeadLayout(("activity",), aleatoric="log_variance")
    keras.utils.set_random_seed(2)
    model = build("residualbind", (None, 4), HeadLayout(("activity",)), width=0.05)
    with_head(model, "dense_normal", 2).save(tmp_path / "1.keras")
    first = read_released(tmp_path / "1.keras")
    convert(tmp_path / "1.keras", tmp_path / "2.keras")
    second = read_released(tmp_path / "2.keras")
    assert (first.head, second.head) == ("dense_normal", "dense_normal")
    assert first.heads == second.heads == heads
    assert "any length" in (tmp_path / "2.txt").read_text()
    assert "aleatoric as log_variance" in (tmp_path / "2.txt").read_text()
    np.testing.assert_array_equal(first.model(X), second.model(X))


def test_nothing_is_written_where_something_is_wrong(released, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"must end \.keras. Received: .*model\.h5$"):
        convert(released, tmp_path / "model.h5")
    with pytest.raises(InputError, match="names for the model's 2 columns"):
        convert(released, tmp_path / "model.keras", heads=HeadLayout(("a",)))
    monkeypatch.setattr(card_module.keras.models, "load_model", lambda *_, **__: deepstarr(9))
    with pytest.raises(RuntimeError, match="predictions differ from the original"):
        convert(released, tmp_path / "model.keras")
    assert sorted(tmp_path.iterdir()) == before
    for name in ("model.keras", "model.json", "model.txt"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match=f"already exists.*Received: .*{name}"):
            convert(released, tmp_path / "model.keras")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    monkeypatch.undo()
    (tmp_path / "model.txt").write_text("mine")
    card = convert(released, tmp_path / "model.keras", overwrite=True)
    assert (tmp_path / "model.txt").read_text() == card.text()
    assert file_hash(tmp_path / "model.keras") == card.model_sha256


def test_a_card_of_another_model_is_not_believed(released, tmp_path):
    heads = HeadLayout(("first", "second"))
    convert(released, tmp_path / "model.keras", heads=heads)
    assert open_weights(tmp_path / "model.keras").heads == heads
    assert open_weights(released).heads == STARRSEQ
    deepstarr(2).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"card .* of another one.*Received: .*model\.json$"):
        open_weights(tmp_path / "model.keras")
