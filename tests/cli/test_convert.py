"""`degu convert`."""

import json
import re
import shutil

import keras
import numpy as np
from command_line import degu, done, state, table

from degu_tf.models import registry
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta


def test_convert_writes_the_model_and_prints_its_card(tmp_path):
    source, out = tmp_path / "1_lentiMPRA.weights.h5", tmp_path / "k562.keras"
    model = registry.build("residualbind", (230, 4), columns_layout(2), width=0.03)
    model.save_weights(source)
    refused = degu("convert", source, out)
    assert refused.code == 2
    assert (
        "may mean several things: give `degu convert` --targets activity --aleatoric std or"
        in refused.err
    )
    heads = ("--targets", "K562", "--aleatoric", "log_variance")
    shown = done("convert", source, out, *heads, "--length", 230)
    assert shown.out == out.with_suffix(".txt").read_text()
    assert re.search("^output +K562, K562_aleatoric$", shown.out, re.MULTILINE)
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["architecture"], card["input_length"]) == ("residualbind", 230)
    converted = keras.models.load_model(out, compile=False)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, 230))]
    np.testing.assert_array_equal(converted(x), model(x))

    write_fasta(tmp_path / "s.fa", ["a", "b"], decode(x.argmax(axis=-1).astype(np.uint8)))
    predicted = ("predict", out, tmp_path / "s.fa", "--out")
    done(*predicted, tmp_path / "p.tsv")
    written = table(tmp_path / "p.tsv")
    # means are near 0: sums of float32 in another order differ by what their terms leave
    np.testing.assert_allclose(written["K562"], model(x)[:, 0], rtol=1e-4, atol=1e-6)
    expected = np.exp(model(x)[:, 1] / 2)
    np.testing.assert_allclose(written["K562_aleatoric"], expected, rtol=1e-4)
    shutil.copy(out, tmp_path / "other.keras")
    assert (
        "may mean several things"
        in degu("predict", tmp_path / "other.keras", *predicted[2:], tmp_path / "q.tsv").err
    )

    before = state(tmp_path)
    assert "already exists, overwrite it with --force" in degu("convert", source, out, *heads).err
    refused = degu("convert", source, out, "--aleatoric", "std")
    assert "expected --targets, which name the columns" in refused.err
    refused = degu("convert", source, out, "--model", "mprann", "--force")
    assert "no known architecture" in refused.err
    assert state(tmp_path) == before
    assert done("convert", source, out, *heads, "--force", "--model", "residualbind").code == 0
