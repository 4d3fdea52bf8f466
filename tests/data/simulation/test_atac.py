"""The simulated genome: truth from the sequence alone, replicates around it, files that hold it."""

import numpy as np
import pyBigWig
import pytest

from degu_tf.data.simulation.atac import (
    BACKGROUND,
    HEIGHT,
    NOISY,
    OPENING,
    REACH,
    simulate_profiles,
)
from degu_tf.data.simulation.grammar import find_motifs
from degu_tf.sequences.encoding import decode, encode
from degu_tf.sequences.fasta import read_fasta
from degu_tf.utils.errors import InputError

CONTIGS = {"chr1": 30_000, "chr8": 4_000}


@pytest.fixture(scope="module")
def data():
    return simulate_profiles(CONTIGS, seed=3)


def test_coverage_is_that_of_the_sites_there_are(data):
    for name, tokens in data.tokens.items():
        sites = find_motifs(tokens[np.newaxis])
        openness = np.zeros(len(tokens))
        position = np.arange(len(tokens))
        for site in sites.itertuples():
            away = position - (site.start + site.end) // 2
            near = np.abs(away) <= 4 * REACH
            bump = OPENING.get(site.motif, 0.0) * site.affinity
            openness += np.where(near, bump * np.exp(-0.5 * (away / REACH) ** 2), 0.0)
        expected = BACKGROUND + HEIGHT * openness**2 / (openness**2 + 2.0)
        np.testing.assert_allclose(data.coverage[name], expected, rtol=1e-9)


def test_replicates_agree_with_the_truth_and_differ_more_near_noisy_sites(data):
    replicates, coverage = data.replicates["chr1"], data.coverage["chr1"]
    assert replicates.shape == (3, 30_000)
    assert np.corrcoef(replicates.mean(axis=0), coverage)[0, 1] > 0.9
    assert replicates.mean() == pytest.approx(coverage.mean(), rel=0.1)
    sites = data.sites[(data.sites.contig == "chr1") & (data.sites.motif == NOISY)]
    near = np.zeros(30_000, bool)
    for site in sites.itertuples():
        near[max(0, site.start - 100) : site.end + 100] = True
    open_ = coverage > 1.0
    relative = replicates.std(axis=0) / coverage
    assert relative[open_ & near].mean() > 1.5 * relative[open_ & ~near].mean()


def test_equal_seeds_give_equal_data_whatever_the_other_contigs(data):
    again = simulate_profiles({"chr1": 30_000, "chr9": 2_000}, seed=3)
    assert np.array_equal(again.tokens["chr1"], data.tokens["chr1"])
    assert np.array_equal(again.replicates["chr1"], data.replicates["chr1"])
    other = simulate_profiles({"chr1": 30_000}, seed=4)
    assert not np.array_equal(other.tokens["chr1"], data.tokens["chr1"])


def test_files_hold_the_data(data, tmp_path):
    genome, tracks = data.write(tmp_path)
    names, strings = read_fasta(genome)
    assert names == list(CONTIGS)
    assert strings == [decode(tokens[np.newaxis])[0] for tokens in data.tokens.values()]
    assert np.array_equal(encode(strings[1:])[0], data.tokens["chr8"])
    assert len(tracks) == 3
    for index, track in enumerate(tracks):
        with pyBigWig.open(str(track)) as file:
            assert file.chroms() == CONTIGS
            values = file.values("chr8", 0, 4_000, numpy=True)
            assert np.array_equal(values, data.replicates["chr8"][index])


@pytest.mark.parametrize("options", [{"contigs": {"chr1": 999}}, {"n_replicates": 1}])
def test_what_cannot_be_simulated(options):
    with pytest.raises(InputError, match="two or more replicates and contigs of 1000 bases"):
        simulate_profiles(**options)
