import gzip

import h5py
import numpy as np
import pandas as pd
import pytest

from degu_tf.data.sources.cagi5 import (
    CELL_TYPES,
    read_elements,
    to_variants,
    with_missing_alternatives,
)
from degu_tf.data.sources.cagi5_alleles import (
    Alleles,
    cut_alleles,
    read_alleles,
    write_alleles,
)
from degu_tf.sequences.encoding import decode, encode, one_hot
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.utils.errors import InputError

ELEMENT = "ACGTTGCAACGGTTAC"
COLUMNS = "Element\tChrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue"
HEADER = [
    "##fileformat=CAGI5 saturation mutagenesis release",
    "##regulatory_element=TERT-GBM",
    "##reference=hg19",
    "##coordinates=1-based",
    "##Value=log2 variant effect",
    "##Confidence=0..1",
    "#Chrom\tPos\tRef\tAlt\tValue\tConfidence",
]
SATMUT = [
    "SORT1.2\t1\t103\tG\tA\t7\t100\t200\t-0.5\t0.01",
    "SORT1.2\tchr1\t103\tG\t-\t8\t100\t200\t0.25\tNA",
    "SORT1-flip\t1\t102\tc\tt\t9\t100\t200\t1e-3\t1",
]
OFFICIAL = ["1\t104\tT\tA\t0.1\t0.9", "1\t105\tTG\tAC\t-0.2\t0"]


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "element.fa"
    path.write_text(f">SORT1 hg19 chr1:101-{100 + len(ELEMENT)}\n{ELEMENT}\n")
    with open_genome(path) as opened:
        yield opened


@pytest.fixture
def table(tmp_path):
    """A function that writes lines to a table and gives its path."""

    def write(*lines, name="table.tsv", pack=False):
        text = "\n".join([*lines, ""]).encode()
        (tmp_path / name).write_bytes(gzip.compress(text, mtime=0) if pack else text)
        return tmp_path / name

    return write


def rows(frame):
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


# tables


@pytest.mark.parametrize("name", ["a.tsv.gz", "release_x"])
@pytest.mark.parametrize("pack", [False, True])
def test_saturation_mutagenesis_is_read_with_its_experiments_apart(genome, table, name, pack):
    read = read_elements(table(COLUMNS, *SATMUT, name=name, pack=pack), genome)
    assert read.table.columns.tolist() == [
        *("element", "experiment", "contig", "position", "ref", "alt", "value"),
        *("p_value", "barcodes"),
    ]
    assert rows(read.table) == [
        ["SORT1", "SORT1.2", "chr1", 103, "G", "A", -0.5, 0.01, 7],
        ["SORT1", "SORT1.2", "chr1", 103, "G", "-", 0.25, None, 8],
        ["SORT1", "SORT1-flip", "chr1", 102, "C", "T", 0.001, 1, 9],
    ]
    assert len(read.mismatches) == 0


def test_columns_may_be_called_as_in_the_public_download(genome, table):
    names = "Chromosome\tPosition\tRef\tAlt\tTags\tDNA\tRNA\tValue\tP-Value\tElement"
    path = table(names, "1\t103\tG\tA\t7\t1\t2\t-0.5\t0.01\tSORT1.2")
    assert rows(read_elements(path, genome).table) == [
        ["SORT1", "SORT1.2", "chr1", 103, "G", "A", -0.5, 0.01, 7]
    ]


def test_official_tables_have_seven_header_lines(genome, table):
    read = read_elements(table(*HEADER, *OFFICIAL), genome).table
    assert rows(read) == [
        ["TERT", "TERT-GBM", "chr1", 104, "T", "A", 0.1, 0.9],
        ["TERT", "TERT-GBM", "chr1", 105, "TG", "AC", -0.2, 0],
    ]
    plain = [line.lstrip("#") for line in HEADER]
    unmarked = table("CAGI5", *plain[2:], "more", *OFFICIAL, name="challenge_F9.tsv")
    assert read_elements(unmarked, genome).table["experiment"].unique().tolist() == ["F9"]


@pytest.mark.parametrize(
    ("name", "experiment"),
    [("challenge_PKLR.tsv", "PKLR"), ("release_SORT1.2.tsv.gz", "SORT1.2"), ("LDLR.txt", "LDLR")],
)
def test_the_file_names_an_experiment_that_nothing_else_names(genome, table, name, experiment):
    header = [line for line in HEADER if "element" not in line]
    for lines in ([header[0], *header], header[-1:]):
        read = read_elements(table(*lines, *OFFICIAL, name=name, pack="gz" in name), genome).table
        assert read["experiment"].unique().tolist() == [experiment]


def test_challenge_and_release_are_put_together_and_nothing_twice(genome, table):
    challenge = table(*HEADER, OFFICIAL[0], name="challenge.tsv")
    release = table(*HEADER, OFFICIAL[1], name="release.tsv")
    satmut = table(COLUMNS, *SATMUT, name="satmut.tsv")
    read = read_elements([challenge, release, satmut], genome).table
    assert read["experiment"].tolist() == ["TERT-GBM"] * 2 + ["SORT1.2"] * 2 + ["SORT1-flip"]
    assert read["confidence"].tolist()[:2] == [0.9, 0.0]
    assert read["confidence"].isna().tolist() == [False] * 2 + [True] * 3
    with pytest.raises(
        InputError, match=r"given twice.*1 variants more than once, first chr1:104 T>A of TERT-GBM"
    ):
        read_elements([challenge, release, challenge], genome)
    same = OFFICIAL[0].replace("1\t", "chr1\t", 1)
    with pytest.raises(InputError, match="each variant of an experiment once"):
        read_elements(table(*HEADER, OFFICIAL[0], same), genome)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "which is empty"),
        (["no table"], r"seven header lines, or a saturation .*Received: 1 header lines"),
        ([*HEADER[1:], *OFFICIAL], "Received: 6 header lines"),
        (HEADER, "expected variants below the header"),
        ([COLUMNS], "expected variants below the header"),
        ([*HEADER, OFFICIAL[0][:-4]], r"line 8 of .*expected 6 columns\. Received: 5 in '1"),
        ([COLUMNS, SATMUT[0], SATMUT[1] + "\t1"], r"line 3 of .*10 columns\. Received: 11"),
        ([COLUMNS, "", SATMUT[0]], r"line 2 of .*10 columns\. Received: 0 in ''"),
        ([COLUMNS.replace("Ref", "X")], r"missing: \['ref'\]\. Received: \['Element', 'Chrom'"),
        ([COLUMNS + "\tValue"], r"each once; missing: none"),
        ([COLUMNS, SATMUT[0].replace("103", "1e3")], r"line 2 .*from 1\. Received: position='1e3'"),
        ([COLUMNS, SATMUT[0].replace("103", "0")], "Received: position='0'"),
        ([*HEADER, OFFICIAL[0].replace("104", "x")], "line 8 .*Received: position='x'"),
        ([COLUMNS, SATMUT[0].replace("-0.5", "NA")], r"a number\. Received: value='NA'"),
        ([COLUMNS, SATMUT[0].replace("-0.5", "inf")], "Received: value='inf'"),
        ([COLUMNS, SATMUT[0].replace("0.01", "low")], "Received: p_value='low'"),
        ([COLUMNS, SATMUT[0].replace("\tG", "\tN")], r"A, C, G, T\. Received: ref='N'"),
        ([COLUMNS, SATMUT[0].replace("\tG", "\t-")], r"Received: ref='-'"),
        ([COLUMNS, SATMUT[0], SATMUT[1].replace("\t-", "\t*")], r"line 3 .*Received: alt='\*'"),
        ([COLUMNS, SATMUT[0].replace("\tA", "\tg")], "different alleles.*ref='G', alt='g'"),
        ([COLUMNS, SATMUT[0].replace("SORT1", "")], "name of an experiment. Received: exp.*'.2'"),
    ],
)
def test_what_is_no_table_of_variants_is_refused(genome, table, lines, message):
    path = table(*lines)
    with pytest.raises(InputError, match=message) as caught:
        read_elements(path, genome)
    assert str(path) in str(caught.value)


def test_missing_and_broken_files_are_refused(genome, tmp_path, table):
    with pytest.raises(InputError, match=r"none\.tsv, which is no file"):
        read_elements([table(COLUMNS, *SATMUT), tmp_path / "none.tsv"], genome)
    path = table(COLUMNS, *SATMUT, pack=True)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="expected a whole table"):
        read_elements(path, genome)
    with pytest.raises(InputError, match="one table or more"):
        read_elements([], genome)


# the genome's references


def measured(n_wrong, n_right=10):
    """Rows of one experiment, the first of which have another reference than the genome."""
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    shown = [other[base] for base in ELEMENT[:n_wrong]] + list(ELEMENT[n_wrong : n_wrong + n_right])
    return [f"E\t1\t{101 + i}\t{base}\t-\t1\t1\t1\t0\t1" for i, base in enumerate(shown)]


def test_reference_mismatches_are_counted_and_listed(genome, table):
    path = table(COLUMNS, *measured(2))
    with pytest.warns(UserWarning, match=r"2 of 12 rows .*chr1:101 C>- where it has A, chr1:102"):
        read = read_elements(path, genome, max_mismatches=0.2)
    assert read.table["position"].tolist() == list(range(103, 113))
    assert read.mismatches[["position", "ref", "genome"]].values.tolist() == [
        [101, "C", "A"],
        [102, "G", "C"],
    ]


def test_more_mismatches_than_the_share_of_any_experiment_are_refused(genome, table):
    path = table(COLUMNS, *measured(4, 8), *(row.replace("E", "F", 1) for row in measured(0, 12)))
    message = r"4 of 12 references of E are .*hg19\)\? Received: chr1:101 C>- .*, \.\.\.$"
    with pytest.raises(InputError, match=message):
        read_elements(path, genome, max_mismatches=0.3)
    with pytest.raises(InputError, match=r"max_mismatches=0\.01"):
        read_elements(path, genome)
    with pytest.raises(InputError, match=r"between 0 and 1\. Received: max_mismatches=5"):
        read_elements(path, genome, max_mismatches=5)


@pytest.mark.parametrize(("chrom", "position"), [("2", 103), ("1", 100), ("1", 117)])
def test_variants_that_the_genome_does_not_hold_are_refused(genome, table, chrom, position):
    row = f"SORT1\t{chrom}\t{position}\tG\tA\t7\t1\t2\t-0.5\t0.01"
    with pytest.raises(InputError, match=rf"does not hold {chrom}:{position} of SORT1; give"):
        read_elements(table(COLUMNS, row), genome)


def test_variants_beyond_the_end_of_a_whole_contig_are_refused(tmp_path, table):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\nACGT\n")
    with pytest.raises(InputError, match="does not hold 1:4 of E"):
        read_elements(table(COLUMNS, "E\t1\t4\tTG\tA\t7\t1\t2\t-0.5\t0.01"), path)


# variants and heat maps


def test_variants_are_in_the_order_of_the_rows(genome, table):
    read = read_elements(table(COLUMNS, *SATMUT), genome).table
    assert to_variants(read) == [
        Variant("chr1", 103, "G", "A", "SORT1.2"),
        Variant("chr1", 103, "G", "-", "SORT1.2"),
        Variant("chr1", 102, "C", "T", "SORT1-flip"),
    ]


def test_missing_alternatives_are_added_for_each_experiment(genome, table):
    more = "SORT1.2\t1\t101\tA\tT\t8\t1\t2\t1\t0.5"
    read = read_elements(table(COLUMNS, *SATMUT, more), genome).table
    whole = with_missing_alternatives(read)
    assert whole.columns.tolist() == read.columns.tolist()
    assert rows(whole[["experiment", "position", "ref", "alt", "value"]]) == [
        ["SORT1.2", 101, "A", "C", None],
        ["SORT1.2", 101, "A", "G", None],
        ["SORT1.2", 101, "A", "T", 1],
        ["SORT1.2", 103, "G", "-", 0.25],
        ["SORT1.2", 103, "G", "A", -0.5],
        ["SORT1.2", 103, "G", "C", None],
        ["SORT1.2", 103, "G", "T", None],
        ["SORT1-flip", 102, "C", "A", None],
        ["SORT1-flip", 102, "C", "G", None],
        ["SORT1-flip", 102, "C", "T", 0.001],
    ]
    assert (whole["element"] == "SORT1").all()
    assert (whole["contig"] == "chr1").all()
    filled = with_missing_alternatives(read, genome)
    assert filled[filled["position"] == 102][["experiment", "ref", "alt"]].values.tolist()[:3] == [
        ["SORT1.2", "C", alt] for alt in "AGT"
    ]
    assert len(filled) == len(whole) + 3
    pd.testing.assert_frame_equal(with_missing_alternatives(whole), whole)


def test_alternatives_are_added_at_every_base_of_a_longer_reference(genome, table):
    whole = with_missing_alternatives(read_elements(table(*HEADER, OFFICIAL[1]), genome).table)
    assert whole[["position", "ref", "alt"]].values.tolist() == [
        *([105, "T", alt] for alt in "ACG"),
        [105, "TG", "AC"],
        *([106, "G", alt] for alt in "ACT"),
    ]


def test_cell_types_of_the_paper():
    assert CELL_TYPES == {"PKLR": "K562", "LDLR": "HepG2", "F9": "HepG2", "SORT1": "HepG2"}


# released HDF5


def test_alleles_sit_in_the_middle_of_their_windows(tmp_path):
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGT"), 700))
    (tmp_path / "genome.fa").write_text(f">1\n{bases}\n")
    frame = pd.DataFrame(
        {"experiment": "E", "contig": "chr1", "position": [300, 20], "ref": "", "alt": "-"}
    )
    frame["ref"] = [bases[position - 1] for position in frame["position"]]
    frame.loc[0, "alt"] = "A" if bases[299] != "A" else "C"
    alleles = cut_alleles(frame, tmp_path / "genome.fa")
    assert alleles.identifiers[0] == f"E_chr1_300_{bases[299]}_{frame['alt'][0]}"
    assert decode(alleles.ref)[0] == bases[185:415]
    assert np.flatnonzero(alleles.ref[0] != alleles.alt[0]).tolist() == [114]
    assert decode(alleles.ref)[1] == "N" * 95 + bases[:135]
    assert decode(alleles.alt)[1] == "N" * 95 + bases[:19] + bases[20:136]


@pytest.fixture
def alleles():
    ref = encode(["ACGTNA", "CCGTAA", "GGGTTA"])
    alt = ref.copy()
    alt[:, 2] = [0, 3, 1]
    return Alleles(ref, alt, ("PKLR_1", "é", "c"))


def same(one, other):
    np.testing.assert_array_equal(one.ref, other.ref)
    np.testing.assert_array_equal(one.alt, other.alt)
    return one.identifiers == other.identifiers


def test_alleles_are_read_back_as_written(tmp_path, alleles):
    write_alleles(tmp_path / "cagi.h5", alleles)
    assert same(read_alleles(tmp_path / "cagi.h5"), alleles)
    with h5py.File(tmp_path / "cagi.h5") as file:
        assert sorted(file) == ["alt", "identifier", "ref"]
        np.testing.assert_array_equal(file["alt"][()], one_hot(alleles.alt))
        assert file["ref"].dtype == np.uint8
        assert file["identifier"].dtype.kind == "S"
    assert [path.name for path in tmp_path.iterdir()] == ["cagi.h5"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool])
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)])
@pytest.mark.parametrize("text", ["S", "object", "number"])
def test_every_released_form_is_read(tmp_path, alleles, dtype, axes, text):
    names = {
        "S": np.array([name.encode() for name in alleles.identifiers])[:, None],
        "object": list(alleles.identifiers),
        "number": np.arange(3),
    }[text]
    with h5py.File(tmp_path / "cagi.h5", "w") as file:
        for name in ("ref", "alt"):
            file[name] = one_hot(getattr(alleles, name)).astype(dtype).transpose(axes)
        file["identifier"] = names
        file["more"] = [1]
    expected = ("0", "1", "2") if text == "number" else alleles.identifiers
    assert same(read_alleles(tmp_path / "cagi.h5"), Alleles(alleles.ref, alleles.alt, expected))


def test_rows_without_identifiers_are_numbered(tmp_path, alleles):
    with h5py.File(tmp_path / "cagi.h5", "w") as file:
        file["ref"], file["alt"] = alleles.ref, alleles.alt
    assert read_alleles(tmp_path / "cagi.h5").identifiers == ("0", "1", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ref": None}, r"cagi\.h5: expected the datasets .*Received: alt, identifier"),
        ({"alt": np.zeros((2, 6, 4))}, r"one length, and an ide.*ref \(3, 6\), alt \(2, 6\), 3 id"),
        ({"alt": np.zeros((3, 5, 4))}, r"alt \(3, 5\)"),
        ({"identifier": [b"a"]}, "1 identifiers"),
        ({"identifier": [1.5] * 3}, "identifiers as text or integers"),
        ({"identifier": np.array([b"\xff"] * 3)}, "identifiers in UTF-8"),
        ({"ref": np.full((3, 6, 4), 0.5)}, "ref: expected one-hot positions"),
        ({"ref": np.zeros(3)}, r"ref: expected integer tokens"),
    ],
)
def test_what_holds_no_alleles_is_refused(tmp_path, alleles, change, message):
    parts = {"ref": one_hot(alleles.ref), "alt": one_hot(alleles.alt), "identifier": [b"a"] * 3}
    with h5py.File(tmp_path / "cagi.h5", "w") as file:
        for name, values in (parts | change).items():
            if values is not None:
                file[name] = values
    with pytest.raises(InputError, match=message):
        read_alleles(tmp_path / "cagi.h5")


def test_alleles_that_do_not_fit_are_not_written(tmp_path, alleles):
    with pytest.raises(InputError, match="2 identifiers"):
        write_alleles(tmp_path / "cagi.h5", Alleles(alleles.ref, alleles.alt, ("a", "b")))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"none\.h5: expected a file"):
        read_alleles(tmp_path / "none.h5")


# the real tables


def test_the_real_tables_are_of_their_elements(real_data):
    folder = real_data / "cagi5"
    counts = {
        "PKLR": {"PKLR-24h": 1776, "PKLR-48h": 1794, "PKLR": 384},
        "SORT1": {"SORT1.2": 1998, "SORT1-flip": 1973, "SORT1": 1927},
    }
    for name, expected in counts.items():
        paths = [folder / f"{name}_satmut_hg19.tsv.gz"]
        if name == "PKLR":
            paths.append(folder / "release_PKLR.tsv")
            read = read_elements(paths, folder / "PKLR_element_hg19.fa")
        else:
            with pytest.warns(UserWarning, match="1 of 5899 rows .*109817273 T>- where it has G"):
                read = read_elements(paths, folder / "SORT1_element_hg19.fa")
        assert read.table["experiment"].value_counts().to_dict() == expected
        assert (read.table["element"] == name).all()
        assert (read.table["contig"] == "chr1").all()


def test_a_real_release_has_the_experiment_of_saturation_mutagenesis(real_data):
    folder = real_data / "cagi5"
    element = folder / "SORT1_element_hg19.fa"
    assert len(read_elements(folder / "release_SORT1.tsv", element).table) == 430
    with pytest.raises(InputError, match=r"first chr1:.* of SORT1$"):
        read_elements(
            [folder / f"{n}" for n in ("SORT1_satmut_hg19.tsv.gz", "release_SORT1.tsv")], element
        )
