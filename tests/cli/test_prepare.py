"""`degu prepare`."""

import subprocess
import sys

import numpy as np
import pytest
from command_line import degu, done

from degu_tf.data.hdf5.splits_file import read_splits


def test_prepare_says_what_it_wrote(work):
    out = work.shown["prepare"].out
    assert "80 train, 20 validation, 30 test; 32 bp; columns Dev, Hk, Dev_aleatoric" in out
    splits = read_splits(work.data)
    assert splits.heads.columns == ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric")
    assert [len(split) for _, split in splits.items()] == [80, 20, 30]


@pytest.mark.parametrize("arguments", ["prepare simulate --sizes 4 4 4 --out d.h5", "fetch nofile"])
def test_data_are_prepared_without_tensorflow(tmp_path, arguments):
    script = f"""
import sys
from degu_tf import cli
from degu_tf.data.zenodo import record
def read_record(_, **options):
    print("asked")
    raise record.InputError("no record")
record.read_record = read_record
cli.main({arguments.split()!r})
print(sorted({{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr
    assert ran.stdout.startswith(("Wrote d.h5", "asked"))


STARRSEQ = "ID\tset\tSequence\tDev_log2_enrichment\tHk_log2_enrichment\n"
ROWS = [
    ("a", "Train", "ACGTAC", "1", "2"), ("b", "Train", "ACGGAC", "NA", "2"),
    ("c", "Val", "ACGTTT", "1", "2"), ("d", "Test", "AGGTAC", "1", "2"),
]  # fmt: skip


def test_advice_on_missing_values_is_an_option_of_the_verb(tmp_path):
    table, out = tmp_path / "t.txt", tmp_path / "s.h5"
    table.write_text(STARRSEQ + "".join("\t".join(row) + "\n" for row in ROWS))
    refused = degu("prepare", "starrseq", table, "--out", out)
    assert refused.code == 2
    advice = "leave such rows out with --drop-missing; --missing-targets keep keeps those with some"
    assert f"{advice}. Received: no value in col" in refused.err
    shown = done("prepare", "starrseq", table, "--drop-missing", "--out", out)
    assert "1 train, 1 validation, 1 test" in shown.out
    assert "1 of 4 rows have no value" in shown.err
    assert read_splits(out).train.names.tolist() == ["a"]
    done("prepare", "starrseq", table, "--missing-targets", "keep", "--out", out, "--force")
    kept = read_splits(out)
    assert kept.train.names.tolist() == ["a", "b"]
    np.testing.assert_array_equal(kept.train.targets, [[1, 2], [np.nan, 2]])


def test_advice_on_sequence_columns_is_an_option_of_the_verb(tmp_path):
    table = tmp_path / "t.tsv"
    table.write_text("name\tbases\tactivity\nx\tACGT\t1\n")
    command = ("prepare", "lentimpra", table, "--activity", "activity", "--out", tmp_path / "d.h5")
    refused = degu(*command)
    assert "name it with --sequence, or give the library of sequences with --sequences" in (
        refused.err
    )
