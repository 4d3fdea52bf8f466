import hashlib
import itertools
import math
import re

import numpy as np
import pytest
from scipy.stats import chi2

from degu_tf.data.simulation import grammar
from degu_tf.data.simulation.grammar import (
    MOTIFS,
    find_motifs,
    spacing_bonus,
    true_activity,
    true_noise,
)
from degu_tf.data.simulation.mpra import (
    DINUCLEOTIDES,
    PLANTED,
    SILENT,
    SLOT,
    draw_background,
    simulate,
)
from degu_tf.sequences.encoding import decode, encode, reverse_complement
from degu_tf.utils.errors import InputError

LETTERS = {"R": "[AG]", "Y": "[CT]", "S": "[CG]", "W": "[AT]", "N": "."}
STRONGEST = {
    "AP-1": "ATGACTCAC",
    "GATA": "AAGATAAGA",
    "ETS": "ACCGGAAGT",
    "Twist": "ACATATGC",
    "Trl": "AGAGAGAGC",
    "Snail": "ACAGGTGA",
    "DRE": "CTATCGATAA",
    "M1BP": "ATGGTCACACTGA",
}
DEV, HK = 0, 1


@pytest.fixture(scope="module")
def data():
    return simulate(n=(1200, 20, 40), seed=7)


def planted(*sites, length=249):
    """A sequence free of chance sites with (motif, start of its consensus) written into it."""
    bases = list(("AAC" * length)[:length])
    for name, start in sites:
        bases[start - 1 : start - 1 + len(STRONGEST[name])] = STRONGEST[name]
    return "".join(bases)


def sites_alone(*sites):
    """Activity of planted sites, the effect of their G and C taken away."""
    sequence = planted(*sites)
    share = sum(base in "GC" for base in sequence) / len(sequence)
    excess = min(max(share - grammar.GC, -grammar.GC_LIMIT), grammar.GC_LIMIT)
    return true_activity(sequence)[0] - excess * np.array(grammar.COMPOSITION)


def regex(consensus):
    return re.compile("(?=" + "".join(LETTERS.get(letter, letter) for letter in consensus) + ")")


def affinity(motif, sequence, start):
    """Affinity of one strand's site, base by base."""
    window = f".{sequence}."[start : start + len(motif) + 2]
    product = 1.0
    for place, (base, strong) in enumerate(zip(window, motif.strongest, strict=True)):
        if not re.fullmatch(LETTERS.get(strong, strong), base) and strong != "N":
            product *= 0.75 if place in (0, len(motif) + 1) else 0.5
    return product


def scan_plainly(sequence):
    """Sites (motif, start) with strand and affinity, by regular expressions."""
    backward = reverse_complement(sequence)
    found = {}
    for motif in MOTIFS:
        for strand, text in (("+", sequence), ("-", backward)):
            for hit in regex(motif.consensus).finditer(text):
                start = hit.start()
                strength = affinity(motif, text, start)
                place = start if strand == "+" else len(sequence) - start - len(motif)
                before = found.get((motif.name, place))
                found[motif.name, place] = (
                    ("." if before else strand),
                    max(strength, before[1] if before else 0.0),
                )
    return found


def activity_plainly(sequence):
    found = scan_plainly(sequence)
    summed = {motif.name: 0.0 for motif in MOTIFS}
    for (name, _), (_, strength) in found.items():
        summed[name] += strength
    copies = {name: math.log2(1 + strength) for name, strength in summed.items()}
    share = sum(base in "GC" for base in sequence) / len(sequence)
    excess = min(max(share - 0.44, -0.1), 0.1)
    best = 0.0
    for (one, a), (other, b) in itertools.product(found, found):
        if (one, other) == ("AP-1", "GATA"):
            bonus = math.exp(-0.5 * ((abs(a - b) - 14) / 5) ** 2)
            best = max(best, bonus * min(found[one, a][1], found[other, b][1]))
    result = []
    for target in (DEV, HK):
        value = grammar.BASE[target] + excess * grammar.COMPOSITION[target]
        value += sum(gain[target] * copies[name] for name, gain in grammar.GAINS.items())
        value += grammar.INTERACTION[2][target] * math.sqrt(copies["ETS"] * copies["Twist"])
        result.append(value + grammar.SPACING[2][target] * best)
    return result


def test_sites_agree_with_regular_expressions_and_activity_with_plain_python(data):
    sequences = decode(data.splits.train.sequences[:60])
    table = find_motifs(sequences)
    for row, sequence in enumerate(sequences):
        ours = {
            (site.motif, site.start): (site.strand, site.affinity)
            for site in table[table["sequence"] == row].itertuples()
        }
        assert ours == scan_plainly(sequence)
    widths = table["motif"].map({motif.name: len(motif) for motif in MOTIFS})
    assert (table["end"] - table["start"] == widths).all()
    expected = [activity_plainly(sequence) for sequence in sequences]
    np.testing.assert_allclose(true_activity(sequences), expected, atol=1e-9)


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda motif: motif.name)
def test_a_site_written_by_hand_is_found_on_either_strand(motif):
    sequence = planted((motif.name, 30), length=60)
    assert find_motifs(planted(length=60)).empty
    forward = find_motifs(sequence)
    assert forward[["motif", "start", "affinity"]].to_numpy().tolist() == [[motif.name, 30, 1.0]]
    backward = find_motifs(reverse_complement(sequence))
    assert backward["start"].tolist() == [60 - 30 - len(motif)]
    both = {"+": "-", "-": "+", ".": "."}
    assert backward["strand"].tolist() == [both[strand] for strand in forward["strand"]]


def test_affinity_falls_with_flanks_degenerate_bases_and_at_the_ends():
    def strength(sequence):
        (value,) = find_motifs(sequence)["affinity"]
        return value

    assert strength("CCCACCGGAAGTCCC") == 1.0
    assert strength("CCCACCGGAAGCCCC") == 0.75
    assert strength("CCCTCCGGAAATCCC") == 0.75 * 0.5
    assert strength("CCGGAAGTCCCCCC") == strength("NCCGGAAGTCCCCCC") == 0.75
    assert find_motifs("CCCACCGNAAGTCCC").empty


def test_truth_is_the_same_on_both_strands(data):
    tokens = data.splits.train.sequences
    flipped = reverse_complement(tokens)
    np.testing.assert_allclose(true_activity(flipped), true_activity(tokens), atol=1e-12)
    np.testing.assert_allclose(true_noise(flipped), true_noise(tokens), atol=1e-12)


def test_each_copy_adds_less_than_the_one_before():
    levels = [sites_alone(*[("DRE", 20 + 40 * i) for i in range(n)])[HK] for n in range(5)]
    gain = grammar.GAINS["DRE"][HK]
    expected = [gain * math.log2((n + 2) / (n + 1)) for n in range(4)]
    np.testing.assert_allclose(np.diff(levels), expected, atol=1e-12)


@pytest.mark.parametrize("distance", [9, 14, 20, 60])
def test_a_pair_helps_by_its_distance_whichever_comes_first(distance):
    alone = sites_alone(("AP-1", 100))[DEV] + sites_alone(("GATA", 100))[DEV] - sites_alone()[DEV]
    bonus = grammar.SPACING[2][DEV] * spacing_bonus(distance)
    for sign in (1, -1):
        pair = sites_alone(("AP-1", 100), ("GATA", 100 + sign * distance))
        np.testing.assert_allclose(pair, [alone + bonus, grammar.BASE[HK]], atol=1e-12)
    assert (spacing_bonus(distance) > 0.3) == (distance < 21)


def test_ets_and_twist_act_only_together():
    base = sites_alone()
    np.testing.assert_allclose(base, grammar.BASE, atol=1e-12)
    np.testing.assert_allclose(sites_alone(("ETS", 50)), base, atol=1e-12)
    np.testing.assert_allclose(sites_alone(("Twist", 150)), base, atol=1e-12)
    together = sites_alone(("ETS", 50), ("Twist", 150))
    np.testing.assert_allclose(together - base, grammar.INTERACTION[2], atol=1e-12)


def test_noise_falls_with_activity_and_gc_and_rises_with_trl(data):
    def noise(*sites):
        return true_noise(planted(*sites))[0]

    assert noise(("DRE", 50))[HK] < noise()[HK] < noise(("Trl", 50))[HK] / 1.5
    at_rich, gc_rich = true_noise(["ACAATTGTAT" * 3, "ACGCTTGCCT" * 3])
    assert (at_rich > gc_rich).all()
    low, high = np.quantile(data.truth.noise["train"], [0.025, 0.975], axis=0)
    assert ((high / low > 3) & (high / low < 6)).all()


def test_one_row_does_not_depend_on_the_others(data):
    tokens = data.splits.train.sequences[:40]
    for function in (true_activity, true_noise):
        whole = function(tokens)
        assert all((function(tokens[i : i + 1])[0] == whole[i]).all() for i in range(40))
    truth = np.vstack([true_activity(tokens), true_activity(decode(tokens))])
    np.testing.assert_array_equal(truth[:40], truth[40:])


def test_many_rows_are_told_apart():
    tokens = np.repeat(encode("A" * 20), 9000, axis=0)
    rows = np.arange(5, 9000, 7)
    tokens[rows] = encode(planted(("GATA", 6), length=20))
    assert find_motifs(tokens)["sequence"].tolist() == rows.tolist()
    without = true_activity("A" * 20)[0, DEV]
    np.testing.assert_array_equal(np.flatnonzero(true_activity(tokens)[:, DEV] > without), rows)


def test_unknown_bases_and_the_shortest_length():
    nothing = encode("N" * grammar.MIN_LENGTH)
    assert true_activity(nothing).tolist() == [list(grammar.BASE)]
    assert np.isfinite(true_noise(nothing)).all()
    with pytest.raises(InputError, match=r"11 bases.*Received: length=10"):
        true_activity("A" * 10)


def test_the_dinucleotide_table_is_that_of_a_stationary_chain_on_both_strands():
    assert DINUCLEOTIDES.sum() == pytest.approx(1)
    np.testing.assert_allclose(DINUCLEOTIDES.sum(axis=0), DINUCLEOTIDES.sum(axis=1))
    np.testing.assert_allclose(DINUCLEOTIDES, DINUCLEOTIDES[::-1, ::-1].T)


def test_background_has_the_dinucleotides_of_the_table():
    tokens = draw_background(3000, 200, np.random.default_rng(3))
    pairs = tokens[:, ::2] * 4 + tokens[:, 1::2]
    counts = np.array([np.bincount(row, minlength=16) for row in pairs])
    error = counts.std(axis=0) / np.sqrt(len(counts)) / pairs.shape[1]
    deviation = counts.mean(axis=0) / pairs.shape[1] - DINUCLEOTIDES.ravel()
    assert (np.abs(deviation) < 4 * error).all()
    ends = np.stack([np.bincount(tokens[:, i], minlength=4) for i in (0, -1)]) / len(tokens)
    np.testing.assert_allclose(ends, [DINUCLEOTIDES.sum(axis=1)] * 2, atol=0.03)


def test_targets_are_mean_and_population_std_of_the_replicates(data):
    for name, split in data.splits.items():
        replicates = data.replicates[name]
        assert replicates.shape == (len(split), 3, 2)
        expected = np.hstack([np.mean(replicates, axis=1), np.std(replicates, axis=1, ddof=0)])
        np.testing.assert_allclose(split.targets, expected, atol=2e-6)
    assert data.splits.heads.columns == ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric")


def test_truth_is_what_the_grammar_says_of_the_sequences(data):
    for name, split in data.splits.items():
        np.testing.assert_array_equal(data.truth.activity[name], true_activity(split.sequences))
        np.testing.assert_array_equal(data.truth.noise[name], true_noise(split.sequences))
        table = data.truth.motifs.query("split == @name").reset_index(drop=True)
        found = find_motifs(split.sequences)
        assert table[found.columns].equals(found)


def test_planted_sites_are_all_there_and_do_not_overlap(data):
    sites = data.truth.motifs.query("split == 'train'")
    mine = sites[sites["planted"]]
    expected = (1 - SILENT) * sum(share * (1 + further) for share, further in PLANTED.values())
    assert len(mine) / 1200 == pytest.approx(expected, rel=0.1)
    assert 0.02 < 1 - mine["planted"].sum() / len(sites) < 0.3
    ordered = mine.sort_values(["sequence", "start"])
    same = ordered["sequence"].diff() == 0
    gap = ordered["start"] - ordered["end"].shift()
    assert (gap[same] >= 0).all()
    silent = 1 - mine["sequence"].nunique() / 1200
    nothing = SILENT + (1 - SILENT) * math.prod(1 - share for share, _ in PLANTED.values())
    assert silent == pytest.approx(nothing, abs=0.06)
    strands = mine[mine["motif"] == "GATA"]["strand"].value_counts(normalize=True)
    assert strands["+"] == pytest.approx(0.5, abs=0.07)


def test_spread_of_many_replicates_is_the_true_noise():
    n, n_replicates = 60, 300
    data = simulate(n=(n, 1, 1), seed=11, n_replicates=n_replicates)
    replicates = data.replicates["train"].astype(np.float64)
    freedom = n_replicates - 1
    statistic = freedom * replicates.var(axis=1, ddof=1) / data.truth.noise["train"] ** 2
    assert (statistic > chi2.ppf(1e-6, freedom)).all()
    assert (statistic < chi2.isf(1e-6, freedom)).all()
    tail = chi2.cdf(statistic.sum(), freedom * 2 * n)
    assert 1e-4 < tail < 1 - 1e-4
    error = replicates.mean(axis=1) - data.truth.activity["train"]
    z = error / data.truth.noise["train"] * math.sqrt(n_replicates)
    assert 1e-4 < chi2.cdf(np.sum(z**2), 2 * n) < 1 - 1e-4


def test_without_noise_every_replicate_is_the_truth():
    data = simulate(n=(30, 2, 2), noise=0)
    truth = data.truth.activity["train"]
    np.testing.assert_allclose(data.splits.train.targets, np.hstack([truth, 0 * truth]), atol=1e-6)
    assert not data.truth.noise["train"].any()


def test_measurements_are_as_noisy_as_a_real_assay(data):
    for target in (DEV, HK):
        measured = data.splits.train.targets[:, target]
        truth = data.truth.activity["train"][:, target]
        assert 0.85 < np.corrcoef(measured, truth)[0, 1] < 0.97
        assert 0.8 < truth.std() < 1.8
        assert np.median(truth) < truth.mean()


def test_same_seed_same_bytes_another_seed_other_bytes():
    def digest(seed):
        data = simulate(n=(60, 5, 5), seed=seed, length=120)
        content = hashlib.sha256(data.splits.fingerprint.encode())
        for arrays in (data.replicates, data.truth.activity, data.truth.noise):
            for array in arrays.values():
                content.update(array.tobytes())
        content.update(data.truth.motifs.to_csv().encode())
        return content.hexdigest()

    assert digest(3) == digest(3)
    assert digest(3) != digest(4)


def test_rows_and_the_test_set_stay_when_more_is_simulated(data):
    fewer = simulate(n=(50, 20, 40), seed=7)
    for array, longer in (
        (fewer.splits.train.sequences, data.splits.train.sequences),
        (fewer.splits.train.targets, data.splits.train.targets),
        (fewer.replicates["train"], data.replicates["train"]),
        (fewer.splits.test.sequences, data.splits.test.sequences),
        (fewer.splits.test.targets, data.splits.test.targets),
    ):
        np.testing.assert_array_equal(array, longer[: len(array)])
    splits = [set(decode(split.sequences)) for _, split in data.splits.items()]
    assert len(set.union(*splits)) == 1260


@pytest.mark.parametrize("length", [SLOT, 31, 230])
def test_other_lengths(length):
    data = simulate(n=100, length=length)
    assert [len(split) for _, split in data.splits.items()] == [80, 10, 10]
    assert data.splits.input_shape == (length, 4)
    table = data.truth.motifs
    assert table["planted"].any()
    assert table["end"].max() <= length
    assert table[table["planted"]].groupby(["split", "sequence"]).size().max() <= length // SLOT


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": (10, 0, 5)}, r"n for validation must be a whole number, 1 or more.*=0$"),
        ({"n": (10, 5)}, r"train, validation, test. Received: n=\(10, 5\)"),
        ({"n": 2}, r"n must be a whole number, 3 or more. Received: n=2"),
        ({"n": 10.0}, r"one number of sequences, or three"),
        ({"length": 13}, r"length must be a whole number, 14 or more. Received: length=13"),
        ({"seed": -1}, r"Received: seed=-1"),
        ({"seed": 1.5}, r"Received: seed=1.5"),
        ({"n_replicates": 1}, r"n_replicates must be a whole number, 2 or more"),
        ({"noise": -0.1}, r"noise must be a finite factor, 0 or more. Received: noise=-0.1"),
        ({"noise": float("nan")}, r"Received: noise=nan"),
    ],
)
def test_unusable_numbers_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        simulate(**wrong)
