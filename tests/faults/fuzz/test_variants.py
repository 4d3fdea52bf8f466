"""Whatever a VCF holds: every record is scored or skipped for a reason, or the file is refused."""

import numpy as np
import pytest
from faults.any_input import file_of, only_named_errors
from hypothesis import given
from hypothesis import strategies as some

from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import encode
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant, Windows
from degu_tf.variants.scorer import score_variants
from degu_tf.variants.vcf.reader import VcfReader, alternatives

pytestmark = pytest.mark.slow

BASES = "ACGTTGCANNACGGGGGGTACAACCCTTTAGATTACAGATC" * 3
HEADER = "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=chr2>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

_allele = some.one_of(
    some.text("ACGT", min_size=1, max_size=6),
    some.sampled_from([".", "*", "<DEL>", "N", "a", "A[1:5[", "-", "", "ACGTNN", "é"]),
)
_contig = some.sampled_from(["1", "chr1", "2", "chr2", "MT", "", "chrchr1"])
_position = some.one_of(some.integers(1, len(BASES) + 3), some.integers(-5, 2**40))


class GCContent:
    """A predictor whose answer is known: the share of G and C."""

    heads = HeadLayout(("gc",), epistemic="std")

    def predict(self, sequences):
        tokens = sequences if isinstance(sequences, np.ndarray) else encode(sequences)
        share = np.isin(tokens, (1, 2)).mean(axis=1, keepdims=True)
        return self.heads.prediction(np.hstack([share, np.full_like(share, 0.1)]))


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">chr1\n{BASES}\n>2\n{BASES[::-1]}\n")
    with open_genome(path) as opened:
        yield opened


@some.composite
def _true_variants(draw):
    """Variants of chr1 whose reference allele is the genome's."""
    start = draw(some.integers(0, len(BASES) - 1))
    ref = BASES[start : start + draw(some.integers(1, 8))]
    return Variant("1", start + 1, ref, draw(some.text("ACGT", min_size=1, max_size=8)))


@given(
    some.lists(
        some.one_of(_true_variants(), some.builds(Variant, _contig, _position, _allele, _allele)),
        max_size=8,
    ),
    some.integers(1, 40),
    some.integers(-9, 9),
)
def test_variants_are_scored_or_skipped(genome, variants, length, shift):
    with only_named_errors():
        table, skipped = score_variants(
            GCContent(),
            variants,
            genome,
            length,
            shifts=(shift,),
            max_mismatches=1.0,
            progress=False,
        )
        assert len(table) + len(skipped) == len(variants)
        for part in ("effect", "total", "lower", "upper"):
            assert np.isfinite(table[f"gc_{part}"].astype(float)).all()
        assert skipped["reason"].astype(bool).all()


@given(_true_variants(), some.integers(1, 40))
def test_a_window_holds_its_alleles(genome, variant, length):
    windows = Windows(genome, length)
    if windows.why_not(variant) is not None:
        return
    window = windows.cut(variant)
    assert len(window.ref) == len(window.alt) == length
    assert window.ref in "N" * length + BASES + "N" * length
    whole = BASES[: variant.start] + variant.alt + BASES[variant.start + len(variant.ref) :]
    assert window.alt in "N" * length + whole + "N" * length


_other_field = some.sampled_from([".", "PASS", "AF=0.1", "rs1", "x y"])
_field = some.one_of(_contig, _position.map(str), _allele, _other_field)
_line = some.lists(_field, max_size=10).map("\t".join)
_record = some.builds(
    "{}\t{}\t.\t{}\t{}\t.\t.\t.".format,
    _contig,
    _position,
    _allele,
    some.lists(_allele, min_size=1, max_size=3).map(",".join),
)


@given(
    some.lists(some.one_of(_record, _record, _line), max_size=6),
    some.sampled_from([HEADER + COLUMNS, HEADER, COLUMNS, "", "\ufeff" + HEADER + COLUMNS]),
)
def test_vcf_files_of_anything(genome, lines, header):
    with (
        file_of(header + "\n".join(lines) + "\n", "some.vcf") as path,
        only_named_errors(),
        VcfReader(path) as reader,
    ):
        variants = [variant for record in reader for variant, _ in alternatives(record)]
        score_variants(GCContent(), variants, genome, 20, max_mismatches=1.0, progress=False)


@given(some.binary(max_size=300))
def test_bytes_that_are_no_vcf(content):
    with file_of(content, "some.vcf") as path, only_named_errors(), VcfReader(path) as reader:
        list(reader)
