"""Blocks of a file: together what is read of it whole, and few of its sequences at a time."""

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest

from degu_tf.data.hdf5 import stored_rows
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.sources.blocks import records
from degu_tf.data.sources.blocks.records import RecordBlocks
from degu_tf.data.sources.sequences import read_records
from degu_tf.sequences.encoding import as_float, decode
from degu_tf.utils.errors import InputError

N = 23


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Seven sequences a block, of HDF5 files that do not count as small."""
    monkeypatch.setattr(records, "ROWS", 7)
    monkeypatch.setattr(stored_rows, "HELD", 0)


@pytest.fixture
def table(splits):
    strings = decode(splits.test.sequences[:N])
    return pd.DataFrame({"seq": strings, "name": [f"s{row}" for row in range(N)], "v": range(N)})


def joined(blocks):
    """Names and sequences of all blocks."""
    blocks = list(blocks)
    names = [name for block in blocks for name in block.names]
    if isinstance(blocks[0].sequences, np.ndarray):
        return names, np.concatenate([block.sequences for block in blocks]).tolist()
    return names, [each for block in blocks for each in block.sequences]


def check(path, n_blocks, **options):
    """The blocks of a file are what is read of it whole, and come again when asked for."""
    names, found = read_records(path, **options)
    expected = names, np.asarray(found).tolist() if isinstance(found, np.ndarray) else found
    blocks = RecordBlocks(path, **options)
    assert len(list(blocks)) == n_blocks
    assert joined(blocks) == expected


def write_fasta(path, table):
    lines = (
        f">{name} more\n{text[:9]}\n{text[9:]}\n" for name, text in table[["name", "seq"]].values
    )
    path.write_text("".join(lines))


def test_fasta(table, tmp_path):
    path = tmp_path / "s.fa"
    write_fasta(path, table)
    check(path, 4)
    (tmp_path / "s.fa.gz").write_bytes(gzip.compress(path.read_bytes()))
    check(tmp_path / "s.fa.gz", 4)


def test_blocks_of_long_sequences_are_smaller(table, tmp_path, monkeypatch):
    write_fasta(tmp_path / "s.fa", table)
    monkeypatch.setattr(records, "BASES", 1)
    check(tmp_path / "s.fa", N)


@pytest.mark.parametrize("name", [None, "name", "v"])
def test_text_tables(table, tmp_path, name):
    table.to_csv(tmp_path / "t.csv", index=False)
    check(tmp_path / "t.csv", 4, name=name)
    table.drop(columns="name").to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    check(tmp_path / "t.tsv", 4)
    table.rename(columns={"name": "ID"}).to_csv(tmp_path / "i.csv", index=False)
    check(tmp_path / "i.csv", 4)
    assert next(iter(RecordBlocks(tmp_path / "i.csv"))).names[0] == "s0"


def test_parquet(table, tmp_path):
    table.to_parquet(tmp_path / "t.parquet")
    check(tmp_path / "t.parquet", 4)
    table["v"] = np.where(table["v"] == 20, np.nan, table["v"])
    table.to_parquet(tmp_path / "u.parquet")
    check(tmp_path / "u.parquet", 1, name="v")
    table.rename(columns={"name": "id"}).to_parquet(tmp_path / "i.parquet")
    check(tmp_path / "i.parquet", 4)


def test_hdf5(splits, tmp_path):
    write_splits(tmp_path / "d.h5", splits)
    check(tmp_path / "d.h5", 6)
    check(tmp_path / "d.h5", 58, split="train")


def test_floats_of_which_only_the_last_are_not_one_hot(splits, tmp_path):
    sequences = as_float(splits.test.sequences).copy()
    sequences[-1, 0] = 0.5
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name, split in (("Train", splits.train), ("Valid", splits.validation)):
            file[f"X_{name}"], file[f"y_{name}"] = as_float(split.sequences), split.targets[:, :2]
        file["X_Test"], file["y_Test"] = sequences, splits.test.targets[:, :2]
    check(tmp_path / "d.h5", 6, targets=["Dev", "Hk"])
    assert next(iter(RecordBlocks(tmp_path / "d.h5", targets=["Dev", "Hk"]))).sequences.ndim == 3


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("s.fa", ">a\nACGT\n" * 9 + ">\nACGT\n", {}),
        ("s.fa", ">a\nACGT\n" * 9 + "@b\nACGT\n+\n!!!!\n", {}),
        ("s.fa", "@b\nACGT\n+\n!!!!\n", {}),
        ("t.tsv", "seq\tname\n" + "ACGT\ta\n" * 9 + "ACGT\ta\tb\n", {}),
        ("t.tsv", "seq\tname\n" + "ACGT\ta\n" * 9 + '"ACGT\ta\n', {}),
        ("t.tsv", "seq\tname\n", {}),
        ("t.tsv", "seq\tname\nACGT\ta\n", {"sequence": "sequence"}),
        ("t.tsv", "", {}),
        ("t.tsv", "\x89HDF\r\n\x1a\n", {}),
    ],
    ids=range(9),
)
def test_what_is_refused_whole_is_refused_in_the_same_words(tmp_path, name, content, options):
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as whole:
        read_records(path, **options)
    with pytest.raises(InputError) as in_blocks:
        list(RecordBlocks(path, **options))
    assert str(in_blocks.value) == str(whole.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="which is no file"):
        list(RecordBlocks(tmp_path / "none.fa"))
