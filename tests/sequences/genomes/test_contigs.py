"""One rule for names of contigs: VCF, BED, `--contigs`, chromosomes of splits, and tracks."""

import numpy as np
import pytest

from degu_tf.data.bigwig import BigWig, write_bigwig
from degu_tf.data.hdf5.splits_file import read_splits
from degu_tf.data.sources.atac import write_profiles
from degu_tf.data.sources.chromosomes import Chromosomes
from degu_tf.data.sources.sequences import read_bed
from degu_tf.data.tracks import replicate_columns, write_columns
from degu_tf.heads import HeadLayout
from degu_tf.models.genome_tracks import predict_tracks
from degu_tf.sequences.encoding import encode
from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.stream import GenomeStream
from degu_tf.sequences.genomes.windows import Variant, Windows
from degu_tf.utils.errors import InputError

UCSC = ("chr1", "chr2", "chr8", "chrX", "chrM")
ENSEMBL = ("1", "2", "8", "X", "MT")
BASES = {
    name: "".join(np.random.default_rng(number).choice(list("ACGT"), 320))
    for number, name in enumerate(UCSC)
}


@pytest.fixture(
    params=[(UCSC, ENSEMBL), (ENSEMBL, UCSC), (UCSC, UCSC)], ids=lambda pair: pair[0][0]
)
def genome_and_names(request, tmp_path):
    """A genome whose contigs have names of one convention, and those of another."""
    names, others = request.param
    path = tmp_path / "genome.fa"
    records = zip(names, BASES.values(), strict=True)
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in records))
    return path, others


@pytest.mark.parametrize(
    ("name", "contigs", "found"),
    [
        ("chrMT", ["MT"], "MT"),
        ("chrMT", ["chrM"], "chrM"),
        ("M", ["MT"], "MT"),
        ("MT", ["M", "MT"], "MT"),
        ("1", ["1", "chr1"], "1"),
        ("chr1", ["1", "chr1"], "chr1"),
        ("chrUn_1", ["Un_1"], "Un_1"),
        ("10", ["chr1"], None),
        ("chr", ["chr1"], None),
        ("MTX", ["chrM"], None),
        ("Chr1", ["chr1"], None),
    ],
)
def test_names_are_found_in_other_conventions(name, contigs, found):
    assert find_contig(name, contigs) == found


def test_variants(genome_and_names):
    genome, names = genome_and_names
    with open_genome(genome) as opened:
        for name, bases in zip(names, BASES.values(), strict=True):
            alt = "ACGT".replace(bases[99], "")[0]
            window = Windows(opened, 21).cut(Variant(name, 100, bases[99], alt))
            assert window.ref == bases[89:110]


def test_intervals(genome_and_names, tmp_path):
    genome, names = genome_and_names
    bed = tmp_path / "peaks.bed"
    bed.write_text("".join(f"{name}\t{20}\t{40}\n" for name in names))
    named = read_bed(bed, genome, 20)
    assert named.names == [f"{name}:20-40" for name in names]
    expected = [bases[20:40] for bases in BASES.values()]
    np.testing.assert_array_equal(named.sequences, encode(expected))
    bed.write_text(f"{names[0]}\t310\t330\n")
    with pytest.raises(InputError, match=f"within {names[0]}, which has 320 bases"):
        read_bed(bed, genome, 20)


class Adenines:
    heads = HeadLayout(("ATAC",))

    def predict(self, sequences):
        return self.heads.prediction((np.asarray(sequences) == 0)[..., np.newaxis].astype(float))


def test_contigs_to_predict(genome_and_names, tmp_path):
    genome, names = genome_and_names
    chosen = [names[4], names[1], names[1]]
    stream = GenomeStream(genome)
    options = {"window": 16, "progress": False}
    files = predict_tracks(Adenines(), stream, tmp_path / "out", contigs=chosen, **options)
    with BigWig(files["ATAC"]) as track:
        assert len(track.contigs) == 2
        for name, contig in ((names[4], "chrM"), (names[1], "chr2")):
            expected = [float(base == "A") for base in BASES[contig]]
            assert track.read(name, 0, 320).tolist() == expected
        with pytest.raises(InputError, match="within a contig"):
            track.read(names[0], 0, 1)
    with pytest.raises(InputError, match=r"Received: chr9$"):
        predict_tracks(Adenines(), stream, tmp_path / "no", contigs=["chr9"], **options)


def replicates(folder, conventions):
    paths = []
    for number, names in enumerate(conventions):
        rng = np.random.default_rng(number)
        paths.append(folder / f"{number}.bw")
        blocks = [(name, 0, rng.random(320).astype(np.float32)) for name in names]
        write_bigwig(paths[-1], dict.fromkeys(names, 320), blocks)
    return replicate_columns({"ATAC": paths})


def test_tracks_and_chromosomes_of_splits(genome_and_names, tmp_path):
    genome, names = genome_and_names
    splits = []
    for number, (conventions, called) in enumerate(
        [((UCSC, ENSEMBL), UCSC), ((ENSEMBL,) * 2, names)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        chosen = Chromosomes(test=(called[2],), validation=(called[1],))
        columns = replicates(folder, conventions)
        write_profiles(folder / "d.h5", genome, columns, chosen, length=32, progress=False)
        splits.append(read_splits(folder / "d.h5"))
    assert splits[0].fingerprint == splits[1].fingerprint
    assert [len(split) for split in (splits[0].train, splits[0].validation, splits[0].test)] == [
        20, 10, 10,
    ]  # fmt: skip


def test_a_chromosome_named_twice_in_two_conventions_is_refused():
    contigs = dict.fromkeys(UCSC, 320)
    with pytest.raises(InputError, match=r"one split\. Received: chr8 twice"):
        Chromosomes(test=("8",), validation=("chr8",)).assign(contigs)
    assert Chromosomes(test=("8",), validation=("2",)).assign(contigs)["chr8"] == "test"


def test_replicates_of_several_conventions_are_one_track(tmp_path):
    mixed = write_columns(replicates(tmp_path, (UCSC, ENSEMBL)), tmp_path / "mixed")
    alike = write_columns(replicates(tmp_path, (UCSC, UCSC)), tmp_path / "alike")
    for column, path in mixed.items():
        assert path.read_bytes() == alike[column].read_bytes()
