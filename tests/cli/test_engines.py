"""`--workers` and `--dask`: the bytes of one process, and what does not go together."""

import re

import pytest
from cases import one_in
from command_line import PAPER, degu, done

from degu_tf.cli import predict as predict_verb
from degu_tf.cli.shared.prediction_table import PredictionTable
from degu_tf.data.sources.blocks import fitted, records
from degu_tf.distillation import ensemble
from degu_tf.distillation.runs import open_run

ENGINES = ["--workers 2", "--dask local:2"]


@pytest.fixture(params=ENGINES)
def engine(request):
    if "dask" in request.param:
        pytest.importorskip("distributed")
    return request.param.split()


@pytest.fixture
def small_pieces(monkeypatch):
    """Files are read three sequences at a time, and predicted seven."""
    monkeypatch.setattr(records, "ROWS", 3)
    monkeypatch.setattr(fitted, "ROWS", 3)
    monkeypatch.setattr(ensemble, "CHUNK", 7)
    monkeypatch.setattr(predict_verb, "PARTS", 2)
    added = []
    plain = PredictionTable.add

    def add(self, block, windows):
        added.append(len(block.names))
        plain(self, block, windows)

    monkeypatch.setattr(PredictionTable, "add", add)
    return added


@pytest.mark.slow
@pytest.mark.parametrize("source", one_in(2, ["bed", "fasta", "table", "hdf5"]))
@pytest.mark.parametrize("options", ["", "--average-strands", "--resize 20 --pad N", "--stride 4"])
def test_tables_in_blocks_have_the_bytes_of_whole_ones(
    work, inputs, tmp_path, monkeypatch, small_pieces, source, options
):
    monkeypatch.setattr(ensemble, "CHUNK", 7)
    run = [work.x, *inputs[source], *options.split()]
    if options == "--stride 4":
        run += ["--flanks", "ACGTACGT", "TTGCA", "--bedgraph", tmp_path / "b", "--force"]
    done("predict", *run, "--out", tmp_path / "blocks.tsv")
    assert small_pieces == [3] * 10
    tracks = {file.name: file.read_bytes() for file in tmp_path.glob("b/*")}
    for module in (records, fitted):
        monkeypatch.setattr(module, "ROWS", 1000)
    done("predict", *run, "--out", tmp_path / "whole.tsv")
    assert small_pieces[10:] == [30]
    assert (tmp_path / "blocks.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    assert {file.name: file.read_bytes() for file in tmp_path.glob("b/*")} == tracks


@pytest.mark.slow
@pytest.mark.parametrize("run", one_in(2, ["x", "y"]))
def test_predictions_of_workers(work, inputs, tmp_path, small_pieces, engine, run):
    """Of an ensemble and of a student, from a table and from intervals."""
    for source in ("table", "bed"):
        command = ["predict", getattr(work, run), *inputs[source], "--average-strands"]
        done(*command, "--out", tmp_path / f"{source}.tsv")
        done(*command, *engine, "--out", tmp_path / f"{source}_elsewhere.tsv")
        files = [tmp_path / f"{source}{end}.tsv" for end in ("", "_elsewhere")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_maps_of_workers(work, tmp_path, engine):
    command = ["explain", work.x, work.data, "--method", "saliency", "--logos", 0, "--quiet"]
    done(*command, "--out", tmp_path / "m")
    done(*command, *engine, "--out", tmp_path / "n")
    for file in sorted(tmp_path.glob("m/**/*")):
        other = tmp_path / "n" / file.relative_to(tmp_path / "m")
        if file.is_file() and file.name != "manifest.json":
            assert file.read_bytes() == other.read_bytes(), file.name
    assert len(list(tmp_path.glob("n/*/member_*.h5"))) == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::degu_tf.metrics.correlation.ConstantColumnWarning")
def test_students_of_seeds(work, tmp_path, engine):
    """Each is the one that its seed gives alone, whoever trained it."""
    command = ["distill", work.x, work.data, *PAPER, "--model", "deepstarr", "--width", 0.05]
    command += ["--epochs", 2, "--quiet"]
    shown = done(*command, "--seeds", 3, 5, *engine, "--out", tmp_path / "s")
    assert f"Student of 2 teachers in {tmp_path / 's' / 'seed_5'}" in shown.out
    done(*command, "--seeds", 3, 5, "--out", tmp_path / "here")
    done(*command, "--seed", 5, "--out", tmp_path / "alone")
    found = {
        name: open_run(tmp_path / name).fingerprint()
        for name in ("s/seed_3", "s/seed_5", "here/seed_3", "here/seed_5", "alone")
    }
    assert found["s/seed_5"] == found["here/seed_5"] == found["alone"] != found["s/seed_3"]
    assert found["s/seed_3"] == found["here/seed_3"]
    settings = [tmp_path / name / "settings.json" for name in ("s/seed_5", "alone")]
    assert settings[0].read_bytes() == settings[1].read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("distill {x} {d} --workers 2 --out {o}", "expected --seeds.*Received: --workers 2"),
        ("distill {x} {d} --seeds 1 1 --out {o}", "expected different seeds.*--seeds 1 1"),
        ("distill {x} {d} --seeds 1 --seed 2 --out {o}", "--seeds 1 --seed 2"),
        ("distill {x} {d} --seeds 1 --extra-shuffles 0.5 --out {o}", "--extra-shuffles 0.5"),
        ("distill {x} {d} --seeds 1 --out {y}", "which is a run itself"),
        ("explain {y} {d} --workers 2 --out {o}", "run of an ensemble.*Received: --workers 2"),
        (
            "predict {x} --bigwig --fasta {d} --workers 2 --out {o}",
            "--contigs each. Received: --bigwig --workers 2",
        ),
        (
            "predict {x} {d} --custom-layers own.py --dask local:2 --out {o}",
            "expected one process with --custom-layers.*Received: --dask local:2",
        ),
    ],
)
def test_what_does_not_go_together(work, tmp_path, monkeypatch, command, message):
    (tmp_path / "own.py").write_text("")
    monkeypatch.chdir(tmp_path)
    paths = {"x": work.x, "y": work.y, "d": work.data, "o": tmp_path / "o"}
    refused = degu(*command.format(**paths).split())
    assert refused.code == 2
    assert re.search(message, refused.err.replace("\n", " ")), refused.err
    assert not (tmp_path / "o").exists()
