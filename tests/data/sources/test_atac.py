"""Genome and tracks to splits: what the file holds, against numpy on dense arrays."""

import gzip
import json
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pybigtools
import pyBigWig
import pytest

from degu_tf import cli
from degu_tf.data.bigwig import write_bigwig
from degu_tf.data.hdf5 import profiles_file
from degu_tf.data.hdf5.profiles_file import fixed_text, new_profiles_file
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.sources import atac
from degu_tf.data.sources.atac import profile_blocks, write_profiles
from degu_tf.data.sources.chromosomes import Chromosomes
from degu_tf.data.tracks import label_columns, replicate_columns, write_columns
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import encode
from degu_tf.sequences.intervals import bin_place
from degu_tf.utils.errors import InputError

LENGTH = 64
CONTIGS = {"chr1": 5000, "chr2": 64 * 70, "chrUn_1": 900, "chr8": 1000, "chr9": 700, "chrY": 640}
GAP = slice(640, 960)
SOME_UNKNOWN = slice(1280, 1290)


@pytest.fixture(scope="module")
def genome():
    rng = np.random.default_rng(0)
    made = {name: rng.choice(list("ACGTacgt"), n) for name, n in CONTIGS.items()}
    made["chr1"][GAP] = "N"
    made["chr1"][SOME_UNKNOWN] = "n"
    return {name: "".join(letters) for name, letters in made.items()}


@pytest.fixture(scope="module")
def tracks():
    """Three replicates of runs; where they have no value at all, and where one of them has none."""
    made = []
    for replicate in range(3):
        rng = np.random.default_rng(replicate)
        track = {}
        for name, n in CONTIGS.items():
            values = rng.gamma(0.5, 2.0, n).astype(np.float32) * (rng.random(n) < 0.8)
            track[name] = np.repeat(values, rng.integers(1, 40, n))[:n]
        track["chr1"][2000:2100] = np.nan
        if replicate == 1:
            track["chr2"][100:300] = np.nan
        if replicate == 2:
            del track["chrUn_1"]
        made.append(track)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory, genome, tracks):
    folder = tmp_path_factory.mktemp("profiles")
    write_fasta(folder / "genome.fa", genome)
    for number, track in enumerate(tracks):
        blocks = [(name, 0, values) for name, values in track.items()]
        write_bigwig(folder / f"rep{number}.bw", CONTIGS, blocks)
    return folder


@pytest.fixture(scope="module")
def columns(folder):
    return replicate_columns({"ATAC": [folder / f"rep{number}.bw" for number in range(3)]})


def write_fasta(path, genome, width=60):
    with gzip.open(path, "wt") if path.suffix == ".gz" else open(path, "w") as file:
        for name, letters in genome.items():
            lines = [letters[i : i + width] for i in range(0, len(letters), width)]
            file.write(f">{name}\n" + "\n".join(lines) + "\n")


def dense(tracks, contig):
    return np.nan_to_num([track[contig] for track in tracks]).astype(np.float64)


@pytest.mark.parametrize("block_bins", [3, 1000])
@pytest.mark.parametrize("chunk_rows", [8, 32])
def test_splits_are_the_genome_and_the_statistics_of_the_tracks(
    tmp_path, folder, columns, genome, tracks, monkeypatch, block_bins, chunk_rows
):
    monkeypatch.setattr(atac, "_BLOCK_BINS", block_bins)
    monkeypatch.setattr(profiles_file, "CHUNK_ROWS", chunk_rows)
    path = tmp_path / "data.h5"
    summary = write_profiles(path, folder / "genome.fa", columns, length=LENGTH)
    splits = read_splits(path)
    assert splits.heads.columns == ("ATAC", "ATAC_aleatoric")
    expected = {"train": ("chr1", "chr2"), "validation": ("chr9",), "test": ("chr8",)}
    for split, contigs in expected.items():
        part = getattr(splits, split)
        names = []
        for contig in contigs:
            tokens = encode(genome[contig])[0]
            mean, std = (getattr(dense(tracks, contig), how)(axis=0) for how in ("mean", "std"))
            for start in range(0, len(tokens) - LENGTH + 1, LENGTH):
                span = slice(start, start + LENGTH)
                if np.mean(tokens[span] == 4) > 0.05:
                    continue
                row = len(names)
                names.append(f"{contig}:{start}-{start + LENGTH}")
                np.testing.assert_array_equal(part.sequences[row], tokens[span])
                np.testing.assert_allclose(part.targets[row, :, 0], mean[span], rtol=1e-6, atol=0)
                np.testing.assert_allclose(part.targets[row, :, 1], std[span], rtol=1e-6, atol=0)
        assert part.names.tolist() == names
        assert summary.bins[split] == len(names)
    assert summary.unknown == {"train": 6, "validation": 0, "test": 0}
    assert summary.tails == {"train": 5000 % 64, "validation": 700 % 64, "test": 1000 % 64}
    n_bases = sum(summary.bins.values()) * LENGTH
    assert list(summary.missing.values()) == [100 / n_bases, 300 / n_bases, 100 / n_bases]
    assert "dropped 6 bins of unknown bases" in str(summary)


@pytest.fixture(scope="module")
def dense_track(folder):
    """A track without runs: its path and its values."""
    rng = np.random.default_rng(5)
    values = {name: rng.normal(size=n).astype(np.float32) for name, n in CONTIGS.items()}
    blocks = [(name, 0, track) for name, track in values.items()]
    write_bigwig(folder / "dense.bw", CONTIGS, blocks)
    return folder / "dense.bw", values


def test_a_track_without_runs_is_kept_exactly(tmp_path, folder, dense_track):
    path, values = dense_track
    columns = label_columns({"ATAC": path})
    write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)
    test = read_splits(tmp_path / "data.h5").test
    kept = len(test) * LENGTH
    np.testing.assert_array_equal(test.targets.reshape(-1), values["chr8"][:kept])


def same(one, other):
    """Whether splits hold the same bytes, names and columns."""
    return one.heads == other.heads and all(
        a.sequences.tobytes() == b.sequences.tobytes()
        and a.targets.tobytes() == b.targets.tobytes()
        and a.names.tolist() == b.names.tolist()
        for (_, a), (_, b) in zip(one.items(), other.items(), strict=True)
    )


@pytest.mark.parametrize("kind", ["runs", "dense"])
def test_files_packed_by_the_earlier_writer_read_alike(
    tmp_path, folder, columns, dense_track, kind
):
    """Their chunks are LZF streams, or were stored unpacked for want of runs."""
    stored = Path(__file__).parents[2] / "fixtures" / "before_move" / f"profiles_{kind}.h5.gz"
    (tmp_path / "old.h5").write_bytes(gzip.decompress(stored.read_bytes()))
    columns = columns if kind == "runs" else label_columns({"ATAC": dense_track[0]})
    write_profiles(tmp_path / "new.h5", folder / "genome.fa", columns, length=LENGTH)
    with h5py.File(tmp_path / "old.h5") as file:
        assert file["train/targets"].compression == "lzf"
    assert same(read_splits(tmp_path / "old.h5"), read_splits(tmp_path / "new.h5"))


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path, folder, columns):
    write_profiles(tmp_path / "whole.h5", folder / "genome.fa", columns, length=LENGTH)
    whole, content = read_splits(tmp_path / "whole.h5"), (tmp_path / "whole.h5").read_bytes()
    rng = np.random.default_rng(0)
    outcomes = Counter()
    for place in rng.integers(len(content), size=300):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        (tmp_path / "damaged.h5").write_bytes(damaged)
        try:
            read = read_splits(tmp_path / "damaged.h5")
        except InputError:
            outcomes["noticed"] += 1
        else:
            outcomes["harmless" if same(read, whole) else f"silent, byte {place}"] += 1
    assert set(outcomes) <= {"noticed", "harmless"}, outcomes
    assert outcomes["noticed"] > 200


def test_texts_of_any_length_and_language_are_kept(tmp_path):
    heads = HeadLayout(("Aktivität " + "x" * 70_000, "λ"))
    with new_profiles_file(tmp_path / "data.h5", heads, 0) as (file, _):
        file.attrs["profiles"] = fixed_text("é" * 100_000)
    with h5py.File(tmp_path / "data.h5") as file:
        assert HeadLayout.from_dict(json.loads(file.attrs["heads"])) == heads
        assert [column.decode() for column in file.attrs["columns"]] == list(heads.columns)
        assert file.attrs["profiles"].decode() == "é" * 100_000


def write_track(path, changes=()):
    """A track of ones in runs of 10, changed at some places (contig, slice, value)."""
    values = {name: np.ones(n, np.float32) for name, n in CONTIGS.items()}
    for contig, where, value in changes:
        values[contig][where] = value
    write_bigwig(path, CONTIGS, [(name, 0, track) for name, track in values.items()])
    return path


@pytest.mark.parametrize("names_at_once", [2, 4096])
def test_coverage_below_zero_is_refused_with_its_share_and_first_place(
    tmp_path, folder, monkeypatch, names_at_once
):
    monkeypatch.setattr(profiles_file, "_NAMES", names_at_once)
    paths = [write_track(tmp_path / f"{number}.bw") for number in range(3)]
    changes = [("chr2", slice(130, 140), -3.0), ("chr8", slice(5, 20), -1.0)]
    write_track(paths[1], changes)
    good = replicate_columns({"A": paths[::2]})
    write_profiles(tmp_path / "good.h5", folder / "genome.fa", good, length=LENGTH)
    kept = sum(n // LENGTH for n in (5000, 64 * 70, 1000, 700)) - 6
    share = f"{25 / (kept * LENGTH):.1%}"
    message = rf"coverage of 0 or more.*Received: {share} of .*1\.bw, first -3 at chr2:130 "
    for columns in (replicate_columns({"A": paths}), replicate_columns({"A": paths}, False)):
        with pytest.raises(InputError, match=message):
            write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)
    assert not (tmp_path / "data.h5").exists()


def test_all_negative_tracks_of_a_minus_strand_are_refused(tmp_path, folder):
    everywhere = [(name, slice(None), -2.0) for name in CONTIGS]
    paths = [write_track(tmp_path / f"{number}.bw", everywhere) for number in range(2)]
    columns = replicate_columns({"A": paths})
    with pytest.raises(InputError, match=r"Received: 100\.0% of .*0\.bw, first -2 at chr1:0 "):
        write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)


@pytest.mark.parametrize("role", ["aleatoric", "epistemic"])
def test_deviations_below_zero_are_refused_and_means_are_not(tmp_path, folder, role):
    negative = write_track(tmp_path / "negative.bw", [("chr8", slice(70, 71), -0.5)])
    ones = write_track(tmp_path / "ones.bw")
    columns = label_columns({"A": negative, f"A_{role}": ones})
    write_profiles(tmp_path / "good.h5", folder / "genome.fa", columns, length=LENGTH)
    assert read_splits(tmp_path / "good.h5").test.targets.min() == -0.5
    columns = label_columns({"A": ones, f"A_{role}": negative})
    message = r"standard deviations of 0 or more.*first -0\.5 at chr8:70 "
    with pytest.raises(InputError, match=message):
        write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)


def test_equal_input_gives_equal_bytes(tmp_path, folder, columns):
    write_profiles(tmp_path / "one.h5", folder / "genome.fa", columns, length=LENGTH)
    time.sleep(1.1)  # HDF5 dates what it writes to the second, unless told not to
    write_profiles(tmp_path / "two.h5", folder / "genome.fa", columns, length=LENGTH)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_gzipped_genomes_chosen_chromosomes_and_kept_unknown_bases(
    tmp_path, folder, columns, genome
):
    write_fasta(tmp_path / "genome.fa.gz", genome)
    chosen = Chromosomes(test=["chr1"], validation=["chr2", "chr8"], train=["chrY"])
    summary = write_profiles(
        tmp_path / "data.h5", tmp_path / "genome.fa.gz", columns, chosen, length=50, max_unknown=0.5
    )
    splits = read_splits(tmp_path / "data.h5")
    assert summary.bins == {"train": 12, "validation": 89 + 20, "test": 100 - 6}
    assert {bin_place(name)[0] for name in splits.validation.names} == {"chr2", "chr8"}
    with h5py.File(tmp_path / "data.h5") as file:
        kept = json.loads(file.attrs["profiles"])
    assert kept["length"] == 50
    assert kept["chromosomes"]["chrY"] == "train"


def test_several_targets_and_means_alone(tmp_path, folder, tracks):
    paths = [folder / f"rep{number}.bw" for number in range(3)]
    replicates = {"A": paths, "B": paths[:2]}
    columns = replicate_columns(replicates)
    write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)
    splits = read_splits(tmp_path / "data.h5")
    assert splits.heads.columns == ("A", "B", "A_aleatoric", "B_aleatoric")
    n = len(splits.test) * LENGTH
    both = [dense(tracks, "chr8")[:count, :n] for count in (3, 2)]
    expected = [getattr(values, how)(axis=0) for how in ("mean", "std") for values in both]
    targets = splits.test.targets.reshape(-1, 4).T
    np.testing.assert_allclose(targets, expected, rtol=1e-6)
    columns = replicate_columns({"A": paths[:1]}, aleatoric=False)
    write_profiles(tmp_path / "data.h5", folder / "genome.fa", columns, length=LENGTH)
    splits = read_splits(tmp_path / "data.h5")
    assert splits.heads.columns == ("A",)
    np.testing.assert_array_equal(splits.test.targets.reshape(-1), tracks[0]["chr8"][:n])


def test_mean_and_std_as_bigwigs_read_through_both_libraries(tmp_path, columns, tracks):
    written = write_columns(columns, tmp_path / "out")
    assert [path.name for path in written.values()] == ["ATAC.bw", "ATAC_aleatoric.bw"]
    for how, path in zip(("mean", "std"), written.values(), strict=True):
        one, other = pyBigWig.open(str(path)), pybigtools.open(str(path))
        for contig in ("chr1", "chr2", "chr8", "chr9", "chrY"):
            expected = getattr(dense(tracks, contig), how)(axis=0)
            read = one.values(contig, 0, CONTIGS[contig], numpy=True)
            assert np.isnan(read).sum() == (100 if contig == "chr1" else 0)
            np.testing.assert_allclose(np.nan_to_num(read), expected, rtol=1e-6)
            read = other.values(contig, 0, CONTIGS[contig], fillna=0)
            np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_label_tracks_are_written_and_read_back_as_training_data(tmp_path, folder, columns):
    data, labels = tmp_path / "data.h5", tmp_path / "labels.h5"
    write_profiles(data, folder / "genome.fa", columns, length=LENGTH)
    splits = read_splits(data)
    heads = splits.heads.student()
    rng = np.random.default_rng(3)
    of_split = {
        name: rng.gamma(1.0, 1.0, (len(part), LENGTH, 3)).astype(np.float32)
        for name, part in splits.items()
    }
    for number, column in enumerate(heads.columns):
        blocks = [
            block
            for name, part in splits.items()
            for block in profile_blocks(part, of_split[name][..., number])
        ]
        write_bigwig(tmp_path / f"{column}.bw", CONTIGS, blocks)
    names = reversed(heads.columns)
    tracks = label_columns({name: tmp_path / f"{name}.bw" for name in names})
    write_profiles(labels, folder / "genome.fa", tracks, length=LENGTH)
    read = read_splits(labels)
    assert read.heads == heads
    for name, part in read.items():
        assert part.names.tolist() == getattr(splits, name).names.tolist()
        np.testing.assert_array_equal(part.targets, of_split[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chr2": None}, r"chr2 not in .*short.fa$"),
        ({"chr9": 710}, r"chr9 of 710 bases in .*, of 700 in .*rep0.bw; .*rep1.bw; .*rep2.bw$"),
        ({"chr8": None}, "chr8 not in"),
        ({"chrUn_1": 5, "chrY": None}, None),
    ],
)
def test_disagreeing_chromosomes_are_named(tmp_path, folder, columns, genome, change, message):
    for name, length in change.items():
        genome = dict(genome)
        letters = genome.pop(name)
        if length:
            genome[name] = (letters * 2)[:length]
    write_fasta(tmp_path / "short.fa", genome)
    path = tmp_path / "data.h5"
    if message is None:
        write_profiles(path, tmp_path / "short.fa", columns, length=LENGTH)
        return
    with pytest.raises(InputError, match=message):
        write_profiles(path, tmp_path / "short.fa", columns, length=LENGTH)
    assert not path.exists()


def test_a_track_without_a_chromosome_is_named(tmp_path, folder, columns, genome):
    with pytest.raises(InputError, match=r"chrUn_1 not in .*rep2.bw$"):
        write_profiles(
            tmp_path / "data.h5",
            folder / "genome.fa",
            columns,
            Chromosomes(train=("chrUn_1",)),
            length=LENGTH,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chromosomes": {"test": ("18",)}}, r"which has chr1 \(5000\).*Received: test 18"),
        ({"chromosomes": {"train": ("chr1", "chr8")}}, "one split. Received: chr8 twice"),
        ({"chromosomes": {"test": "chr8"}}, "list of chromosomes for test. Received: test='chr8'"),
        ({"chromosomes": {"train": ()}}, r"train=\(\)"),
        ({"length": 800}, "at least one bin of 800 bases for validation.*Received: chr9"),
        ({"length": 0}, "Received: length=0"),
        ({"max_unknown": 1.0}, "max_unknown=1.0"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(tmp_path, folder, columns, options, message):
    def write(chromosomes=None, length=LENGTH, **others):
        chosen = Chromosomes(**(chromosomes or {}))
        path, genome = tmp_path / "data.h5", folder / "genome.fa"
        write_profiles(path, genome, columns, chosen, length=length, **others)

    with pytest.raises(InputError, match=message):
        write(**options)
    assert not list(tmp_path.iterdir())


def test_no_chromosome_to_train_on():
    with pytest.raises(InputError, match=r"chromosomes to train on.*Received: chr8.*chrM"):
        Chromosomes().assign({"chr8": 9, "chr9": 9, "chrM": 9})


def test_wrong_columns_are_refused(folder):
    path = folder / "rep0.bw"
    with pytest.raises(InputError, match=r"at least 2 replicates. Received: A="):
        replicate_columns({"A": [path]})
    with pytest.raises(InputError, match="different files"):
        replicate_columns({"A": [path, path]})
    with pytest.raises(InputError, match="list of bigWig files"):
        replicate_columns({"A": path})
    with pytest.raises(InputError, match=r"the columns \('A', 'B', 'A_aleatoric', 'B_aleatoric'\)"):
        label_columns({"A": path, "B": path, "B_aleatoric": path})


def test_an_index_of_another_genome_is_noticed(tmp_path, folder, columns, genome):
    short = dict(genome, chr2=genome["chr2"][:-70])
    write_fasta(tmp_path / "genome.fa", short)
    index = "".join(f"{name}\t{length}\t0\t60\t61\n" for name, length in CONTIGS.items())
    (tmp_path / "genome.fa.fai").write_text(index)
    with pytest.raises(InputError, match=r"chr2 once and of 4480 bases.*index the genome again"):
        write_profiles(tmp_path / "data.h5", tmp_path / "genome.fa", columns, length=LENGTH)
    assert not (tmp_path / "data.h5").exists()


def test_infinite_values_are_refused(tmp_path, folder, columns):
    path = tmp_path / "inf.bw"
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(CONTIGS.items()))
    for name, length in CONTIGS.items():
        file.addEntries([name], [0], ends=[length], values=[float("inf")])
    file.close()
    with pytest.raises(InputError, match=r"finite values. Received: inf in .*inf.bw"):
        write_profiles(
            tmp_path / "data.h5", folder / "genome.fa", label_columns({"A": path}), length=LENGTH
        )


def prepare(*words):
    return cli.main(["prepare", "atac", *map(str, words)])


def test_the_command_line_writes_the_same(tmp_path, folder, columns, capsys):
    paths = [folder / f"rep{number}.bw" for number in range(3)]
    names = ("--length", LENGTH, "--test", "chr2", "--validation", "chr8", "chr9")
    out, tracks = tmp_path / "data.h5", tmp_path / "tracks"
    words = (folder / "genome.fa", "--replicates", *paths, "--out", out, *names)
    assert prepare(*words, "--tracks", tracks) == 0
    assert f"Wrote {out}: 72 train, 25 validation, 70 test bins of 64" in capsys.readouterr().out
    chosen = Chromosomes(test=("chr2",), validation=("chr8", "chr9"))
    path = tmp_path / "other.h5"
    write_profiles(path, folder / "genome.fa", columns, chosen, length=LENGTH)
    assert out.read_bytes() == path.read_bytes()
    labels = [f"{name}={tracks / name}.bw" for name in ("ATAC", "ATAC_aleatoric")]
    again = tmp_path / "labels.h5"
    words = (folder / "genome.fa", "--labels", *labels, "--out", again, *names)
    assert prepare(*words) == 0
    for one, other in zip(read_splits(out).items(), read_splits(again).items(), strict=True):
        np.testing.assert_array_equal(one[1].targets, other[1].targets)


def test_the_command_line_refuses(tmp_path, folder, capsys):
    genome, path, out = folder / "genome.fa", folder / "rep0.bw", tmp_path / "data.h5"
    (tmp_path / "ATAC_aleatoric.bw").touch()
    two = (path, folder / "rep1.bw")
    for words, message in (
        (("--replicates", *two, "--tracks", tmp_path), "already exists, overwrite it with --force"),
        (("--labels", f"A={path}", "--tracks", tmp_path), "--tracks goes with --replicates"),
        (("--labels", path), "COLUMN=BIGWIG such as"),
        (("--replicates", path), "takes at least 2 replicates"),
    ):
        assert prepare(genome, "--out", out, *words) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_defaults_of_the_command_line_are_those_of_the_package():
    words = ["prepare", "atac", "g.fa", "--replicates", "a.bw", "b.bw", "--out", "d.h5"]
    options = cli.parser().parse_args(words)
    assert options.length == atac.BIN_LENGTH
    assert options.max_unknown == atac.MAX_UNKNOWN
    assert [options.test, options.validation, options.train] == [None] * 3


def test_names_that_are_no_bins_are_refused(make_splits):
    with pytest.raises(InputError, match=r"chr8:0-3072. Received: 'record 0'"):
        list(profile_blocks(make_splits(sizes=(4, 4, 4)).test, np.zeros((4, 32))))


def test_real_tracks(tmp_path, real_data):
    folder = real_data / "profiles"
    paths = [folder / f"rep{number}.bw" for number in (1, 2, 3)]
    columns = replicate_columns({"DNase": paths})
    summary = write_profiles(tmp_path / "data.h5", folder / "mini_hg38.fa.gz", columns)
    assert summary.bins == {"train": 1242, "validation": 83, "test": 21}
    test = read_splits(tmp_path / "data.h5").test
    others = [pybigtools.open(str(path)) for path in paths]
    for name, targets in zip(test.names, test.targets, strict=True):
        values = np.array([other.values(*bin_place(name), fillna=0) for other in others])
        np.testing.assert_allclose(targets[:, 0], values.mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(targets[:, 1], values.std(axis=0), rtol=1e-6, atol=1e-6)
