"""Windows in blocks: those of the whole, looked at once before they are used."""

import numpy as np
import pytest

from degu_tf.data.sources.blocks import fitted, records
from degu_tf.data.sources.blocks.fitted import FittedBlocks, fitted_intervals, fitted_records
from degu_tf.data.sources.blocks.records import RecordBlocks
from degu_tf.data.sources.fitted import fit_file, fit_intervals
from degu_tf.data.sources.sequences import read_bed
from degu_tf.sequences.fasta import write_fasta
from degu_tf.sequences.fitting import Fitting
from degu_tf.utils.errors import InputError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(records, "ROWS", 3)
    monkeypatch.setattr(fitted, "ROWS", 3)


@pytest.fixture
def genome(tmp_path):
    """A contig, and eight intervals of it on both strands, as files."""
    rng = np.random.default_rng(0)
    write_fasta(tmp_path / "g.fa", ["chr1"], ["".join(rng.choice(list("ACGT"), 400))])
    lines = (f"chr1\t{20 * i}\t{20 * i + 12}\tp{i}\t0\t{'+-'[i % 2]}\n" for i in range(8))
    (tmp_path / "b.bed").write_text("".join(lines))
    return tmp_path / "b.bed", tmp_path / "g.fa"


def check(blocks, whole):
    """Blocks are the whole: windows, names, rows and spans."""
    assert (blocks.n_sequences, blocks.n_windows) == (len(whole.names), len(whole.rows))
    assert (blocks.tiled, blocks.spans) == (whole.tiled, whole.spans)
    several = list(blocks)
    assert len(several) == 3
    assert [name for block in several for name in block.names] == whole.names
    assert [label for block in several for label in block.labels] == whole.labels
    assert np.array_equal(np.concatenate([block.sequences for block in several]), whole.sequences)


@pytest.mark.parametrize("fitting", [Fitting(9, stride=2), Fitting(12), Fitting(20, pad="N"), None])
def test_intervals(genome, fitting):
    blocks = FittedBlocks(lambda: fitted_intervals(*genome, fitting), keep_spans=True)
    if fitting is None:
        named = read_bed(*genome)
        assert np.array_equal(np.concatenate([b.sequences for b in blocks]), named.sequences)
    else:
        check(blocks, fit_intervals(*genome, fitting))


def test_sequences_of_different_lengths(tmp_path):
    write_fasta(
        tmp_path / "s.fa", [f"s{n}" for n in range(8)], ["ACGTN"[: n % 5 + 1] * 3 for n in range(8)]
    )
    fitting = Fitting(6, pad="N", stride=2)
    blocks = FittedBlocks(lambda: fitted_records(RecordBlocks(tmp_path / "s.fa"), fitting), True)
    check(blocks, fit_file(tmp_path / "s.fa", fitting))


def test_other_lengths_in_a_later_block_are_refused_at_once(tmp_path):
    """Of a model of any length: in the words of a file that is read whole."""
    write_fasta(tmp_path / "s.fa", list("abcdef"), ["ACGT"] * 3 + ["ACGTA"] * 3)
    with pytest.raises(InputError) as whole:
        fit_file(tmp_path / "s.fa", None)
    with pytest.raises(InputError) as in_blocks:
        FittedBlocks(lambda: fitted_records(RecordBlocks(tmp_path / "s.fa"), None))
    assert str(in_blocks.value) == str(whole.value)


def test_a_single_block_is_made_once_and_others_again(tmp_path):
    made = []

    def make(n):
        write_fasta(tmp_path / "s.fa", [f"s{i}" for i in range(n)], ["ACGT"] * n)
        for block in fitted_records(RecordBlocks(tmp_path / "s.fa"), Fitting(4)):
            made.append(n)
            yield block

    assert [len(list(FittedBlocks(lambda n=n: make(n)))) for n in (2, 5)] == [1, 2]
    assert made == [2, 5, 5, 5, 5]
