"""`degu export`."""

import keras
import numpy as np
import pytest
from command_line import degu, done

from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.distillation.runs import open_run


@pytest.mark.parametrize("run", ["y", "x/member_00"])
def test_export_writes_what_predicts_the_same(work, tmp_path, run):
    out = tmp_path / "folder" / "y.keras"
    shown = done("export", work.folder / run, out)
    predictor = open_run(work.folder / run)
    columns, n = ", ".join(predictor.heads.columns), predictor.model.count_params()
    assert f"Wrote {out}: columns {columns}; {n} -> {n} parameters" in shown.out
    tokens = read_splits(work.data).test.sequences
    exported = keras.models.load_model(out)
    x = np.eye(5, 4, dtype="float32")[tokens]
    np.testing.assert_allclose(exported.predict(x, verbose=0), predictor.columns(tokens), atol=1e-5)


def test_what_cannot_be_exported(work, tmp_path):
    (tmp_path / "y.keras").write_text("mine")
    refused = {
        (work.y, tmp_path / "y.keras"): "overwrite it with --force",
        (work.y, tmp_path / "y.h5"): "a file name that ends in .keras. Received:",
        (
            work.x,
            tmp_path / "x.keras",
        ): f"single model, such as {work.x / 'member_00'}; ",
        (tmp_path, tmp_path / "x.keras"): "expected the folder of a run",
    }
    for arguments, message in refused.items():
        result = degu("export", *arguments)
        assert result.code == 2
        assert message in result.err
    assert [file.name for file in tmp_path.iterdir()] == ["y.keras"]
    assert (tmp_path / "y.keras").read_text() == "mine"
    done("export", work.y, tmp_path / "y.keras", "--force")
    keras.models.load_model(tmp_path / "y.keras")
