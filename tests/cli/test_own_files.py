"""Files that the package writes are read back by every verb, with names and card kept."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from command_line import degu, done, table

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.distillation.runs import open_run
from degu_tf.distillation.student_model import DistillationModel
from degu_tf.heads import HeadLayout
from degu_tf.models import registry
from degu_tf.models.predictor import ModelPredictor
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta

pytestmark = pytest.mark.filterwarnings("ignore::degu_tf.heads.FlooredUncertaintyWarning")

SPELLING = HeadLayout(("Dev", "Hk"), aleatoric="log_variance", epistemic="std")
"""Not what a file's shapes say: only names that are kept give it."""


@pytest.fixture(scope="module")
def own(tmp_path_factory, splits, student_run):
    """One student in each form: a run, exported, exported again, converted, saved by Keras."""
    folder = tmp_path_factory.mktemp("own")
    write_splits(folder / "d.h5", splits)
    shutil.copytree(student_run, folder / "run")
    write_fasta(folder / "s.fa", ["a", "b"], decode(splits.test.sequences[:2]))
    genome = "".join(decode(splits.test.sequences[:20]))
    (folder / "g.fa").write_text(f">chr1\n{genome}\n")
    header = (
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    base = genome[99]
    other = "ACGT"[("ACGT".index(base) + 1) % 4]
    (folder / "v.vcf").write_text(f"{header}chr1\t100\tx\t{base}\t{other}\t.\t.\t.\n")
    done("export", folder / "run", folder / "exported.keras")
    done("export", folder / "exported.keras", folder / "again.keras")
    student = open_run(folder / "run")
    DistillationModel(student.model, student.heads).save(folder / "saved.keras")
    done("export", folder / "saved.keras", folder / "saved_exported.keras")
    return folder


FORMS = ["exported.keras", "again.keras", "saved.keras", "saved_exported.keras"]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_verb_reads_the_file_as_it_reads_the_run(own, tmp_path, form):
    written = {}
    for name in ("run", form):
        out = tmp_path / name
        out.mkdir()
        done("predict", own / name, own / "s.fa", "--out", out / "p.tsv")
        shown = done("evaluate", own / name, own / "d.h5", "--out", out / "m.csv")
        assert "Pearson r on test" in shown.out
        variants = ("--vcf", own / "v.vcf", "--fasta", own / "g.fa", "--out", out / "v.tsv")
        done("variants", own / name, *variants, "--quiet")
        explain = ("--method", "saliency", "--logos", 0, "--quiet", "--out", out / "maps")
        done("explain", own / name, own / "s.fa", "--head", "Hk_epistemic", *explain)
        mutagenize = ("--heat-maps", 0, "--quiet", "--out", out / "sat")
        done("mutagenize", own / name, own / "s.fa", *mutagenize)
        written[name] = [table(out / "p.tsv"), table(out / "v.tsv"), table(out / "sat/effects.tsv")]
        metrics = pd.read_csv(out / "m.csv").query("method in ['student', 'model']")
        metrics = metrics[metrics["metric"].isin(["pearson", "spearman", "mse"])]
        written[name].append(metrics.query("head == 'activity'"))
    for one, other in zip(*written.values(), strict=True):
        numbers = one.select_dtypes("number").columns
        assert len(one) == len(other) > 0
        assert set(one.columns) >= set(other.columns)
        np.testing.assert_allclose(one[numbers], other[numbers], rtol=1e-2, atol=1e-5)
    assert (tmp_path / form / "maps" / "Hk_epistemic" / "maps.h5").is_file()


def test_names_that_shapes_do_not_say_are_kept(tmp_path):
    model = registry.build("deepstarr", (32, 4), SPELLING, width=0.05)
    x = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (5, 32))]
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.full(layer.moving_mean.shape, 0.3))
    DistillationModel(model, SPELLING).save(tmp_path / "saved.keras")
    done("export", tmp_path / "saved.keras", tmp_path / "e.keras")
    for name in ("saved.keras", "e.keras"):
        predictor = open_run(tmp_path / name)
        assert predictor.heads == SPELLING
        np.testing.assert_allclose(
            predictor.columns(x), ModelPredictor(model, SPELLING).columns(x), atol=1e-5
        )
    assert open_run(tmp_path / "e.keras").model.count_params() < model.count_params()


def test_the_card_says_what_was_exported(own):
    card = json.loads((own / "exported.json").read_text())
    run = json.loads((own / "run" / "settings.json").read_text())
    assert (card["architecture"], card["options"]) == (
        run["model"]["name"],
        run["model"]["options"],
    )
    assert (card["head"], card["source"], card["source_format"]) == (
        "folded", "model.keras", "run run"
    )  # fmt: skip
    assert card["columns"] == list(open_run(own / "run").heads.columns)
    assert "exported from     model.keras, run run" in (own / "exported.txt").read_text()
    again = json.loads((own / "again.json").read_text())
    assert again["architecture"] == card["architecture"]
    assert (again["source"], again["heads"]) == ("exported.keras", card["heads"])
    saved = json.loads((own / "saved_exported.json").read_text())
    assert (saved["architecture"], saved["heads"]) == (None, card["heads"])


def test_a_card_of_another_model_is_not_believed(own, tmp_path):
    shutil.copy(own / "exported.keras", tmp_path / "e.keras")
    shutil.copy(own / "again.json", tmp_path / "e.json")
    card = json.loads((tmp_path / "e.json").read_text())
    (tmp_path / "e.json").write_text(json.dumps({**card, "model_sha256": "0" * 64}))
    refused = degu("predict", tmp_path / "e.keras", own / "s.fa", "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert "the card beside the model is of another one" in refused.err
    content = json.loads((own / "exported.json").read_text())
    (tmp_path / "e.json").write_text(json.dumps({**content, "heads": None}))
    refused = degu("predict", tmp_path / "e.keras", own / "s.fa", "--out", tmp_path / "p.tsv")
    assert "e.json: expected targets, aleatoric and epistemic of a layout" in refused.err


def test_without_its_card_an_exported_model_has_no_names(own, tmp_path):
    shutil.copy(own / "exported.keras", tmp_path / "e.keras")
    refused = degu("predict", tmp_path / "e.keras", own / "s.fa", "--out", tmp_path / "p.tsv")
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "put its card e.json beside it" in refused.err


def test_code_in_a_saved_student_does_not_run(tmp_path):
    sign = str(tmp_path / "executed")
    sequence = keras.Input((32, 4))
    layer = keras.layers.Lambda(lambda x: (open(sign, "w").close(), x)[1])
    output = keras.layers.Dense(2)(keras.layers.Flatten()(layer(sequence)))
    student = keras.Model(sequence, output)
    (tmp_path / "executed").unlink()
    DistillationModel(student, HeadLayout(("a",), "std")).save(tmp_path / "evil.keras")
    (tmp_path / "s.fa").write_text(">a\n" + "ACGT" * 8 + "\n")
    refused = degu("predict", tmp_path / "evil.keras", tmp_path / "s.fa", "--out", tmp_path / "p")
    assert refused.code == 2
    assert "Lambda" in refused.err
    assert not (tmp_path / "executed").exists()


def test_evaluation_of_a_file_names_no_teachers(own):
    shown = done("evaluate", own / "exported.keras", own / "d.h5", "--split", "validation")
    assert "Pearson r on validation" in shown.out
    assert "teachers were not found" not in shown.out


def test_a_file_is_not_calibrated(own):
    refused = degu("calibrate", own / "exported.keras", own / "d.h5")
    assert refused.code == 2
    assert "expected the folder of a run" in refused.err
