"""Profiles through the command line: train, distil on the fly, evaluate, write tracks."""

from typing import ClassVar

import numpy as np
import pyBigWig
import pytest
from command_line import degu, done

from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.simulation.atac import simulate_profiles
from degu_tf.data.splits import Split, Splits
from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout
from degu_tf.models.genome_tracks import predict_tracks
from degu_tf.models.tiling import Tiled
from degu_tf.utils.errors import InputError
from degu_tf.utils.run_folder import RunFolder

LENGTH, BIN, CROP = 2_000, 250, 128


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A genome of three contigs, its tracks, and its bins."""
    folder = tmp_path_factory.mktemp("atac")
    heads = HeadLayout(("ATAC",), aleatoric="std")
    simulated = simulate_profiles({"chr1": LENGTH, "chr8": LENGTH, "chr9": LENGTH}, seed=0)
    parts = {}
    for split, contig in (("train", "chr1"), ("validation", "chr9"), ("test", "chr8")):
        tracks = simulated.replicates[contig]
        columns = np.stack([tracks.mean(axis=0), tracks.std(axis=0)], axis=1)
        names = [f"{contig}:{at}-{at + BIN}" for at in range(0, LENGTH, BIN)]
        parts[split] = Split(
            simulated.tokens[contig].reshape(-1, BIN), columns.reshape(-1, BIN, 2), np.array(names)
        )
    write_splits(folder / "d.h5", Splits(**parts, heads=heads))
    simulated.write(folder)
    return folder


@pytest.mark.slow
def test_from_bins_to_tracks(data):
    path, teachers, student = data / "d.h5", data / "teachers", data / "student"
    options = ("--epochs", 1, "--quiet")
    done("train", path, "--model", "cnn_task_base", "--width", 0.02, "--members", 2,
         "--crop", CROP, "--out", teachers, *options)  # fmt: skip
    done("distill", teachers, path, "--augment", "none", "--out", student, *options)
    for run in (teachers, student):
        settings = RunFolder(run).settings()
        assert settings["training"]["crop"] == CROP
        assert settings["training"]["loss"] == "poisson"
        assert settings["training"]["lr_factor"] == 0.3
        assert settings["training"]["reverse_complement"]
    assert RunFolder(student).settings()["augmentation"]["scheme"] is None
    assert "ATAC aleatoric" in done("evaluate", student, path).out

    tracks = data / "tracks"
    command = ("predict", student, "--bigwig", "--fasta", data / "genome.fa", "--contigs", "chr8",
               "--out", tracks)  # fmt: skip
    assert "ATAC_epistemic.bw" in done(*command).out
    predictor = open_run(student)
    expected = Tiled(predictor).predict(
        read_splits(path, progress=False).test.sequences.reshape(1, -1)
    )
    for name, part in (("ATAC", expected.mean), ("ATAC_epistemic", expected.epistemic)):
        with pyBigWig.open(str(tracks / f"{name}.bw")) as file:
            assert set(file.chroms()) == {"chr8"}
            found = file.values("chr8", 0, LENGTH, numpy=True)
            np.testing.assert_allclose(found, part[0, :, 0], rtol=1e-6)
    times = {file: file.stat().st_mtime_ns for file in tracks.iterdir()}
    done(*command)
    assert times == {file: file.stat().st_mtime_ns for file in tracks.iterdir()}
    refused = degu(*command, "--force")
    assert (refused.code, "leave out --force" in refused.err) == (2, True)
    refused = degu(*command, "--average-strands")
    assert refused.code == 2
    assert "with another --average-strands" in refused.err

    done("predict", teachers, "--bigwig", "--fasta", data / "genome.fa", "--out", data / "labels")
    named = [
        f"{name}={data / 'labels' / name}.bw"
        for name in ("ATAC", "ATAC_aleatoric", "ATAC_epistemic")
    ]
    done("prepare", "atac", data / "genome.fa", "--labels", *named, "--length", BIN,
         "--out", data / "labels.h5")  # fmt: skip
    said = done("distill", teachers, data / "labels.h5", "--out", data / "labelled", *options)
    assert "labels already" in said.out
    assert open_run(data / "labelled").heads == predictor.heads


def test_a_wrong_step_claims_no_folder(tmp_path):
    class Profiles:
        input_length = 8

        def predict(self, sequences):
            return HeadLayout(("ATAC",)).prediction(np.zeros((*sequences.shape, 1)))

    class Genome:
        contigs: ClassVar = {"chr1": 20}

    with pytest.raises(InputError, match="a step from 1 to the window"):
        predict_tracks(Profiles(), Genome(), tmp_path / "tracks", window=8, step=9)
    assert not (tmp_path / "tracks").exists()


@pytest.mark.parametrize("arguments", [(), ("x.fa",)])
def test_tracks_need_a_genome(data, arguments):
    fasta = ("--fasta", "g.fa") if arguments else ()
    refused = degu("predict", "r", *arguments, "--bigwig", *fasta, "--out", data / "o")
    assert refused.code == 2
    assert "expected --fasta GENOME with --bigwig" in refused.err
