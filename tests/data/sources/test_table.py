import gzip
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.sources.table import TableWarning, read_table
from degu_tf.data.sources.text_tables import read_frame
from degu_tf.data.splits import NAMES
from degu_tf.sequences.encoding import decode
from degu_tf.utils.errors import InputError

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
REPLICATES = {"activity": ["r1", "r2", "r3"]}


def turned(text):
    return "".join(COMPLEMENT[base] for base in reversed(text))


def table(n_rows=40, length=12, seed=0):
    rng = np.random.default_rng(seed)
    values = {column: rng.normal(size=n_rows).round(3) for column in ("r1", "r2", "r3")}
    return pd.DataFrame(
        {
            "id": [f"oligo_{row}" for row in range(n_rows)],
            "seq": ["".join(rng.choice(list("ACGT"), length)) for _ in range(n_rows)],
            "part": ["train"] * (n_rows - 4) + ["val", "val", "test", "test"],
            **values,
        }
    )


def where(splits):
    """Split by name of the row."""
    return {name: kind for kind, split in splits.items() for name in split.names}


# measurements


def test_rows_keep_order_values_and_names_in_the_given_split():
    frame = table()
    splits = read_table(frame, targets=["r1", "r3"], split="part", name="id")
    assert splits.heads.columns == ("r1", "r3")
    for kind, rows in (
        ("train", slice(36)),
        ("validation", slice(36, 38)),
        ("test", slice(38, 40)),
    ):
        split = getattr(splits, kind)
        assert decode(split.sequences) == frame["seq"][rows].tolist()
        assert split.names.tolist() == frame["id"][rows].tolist()
        np.testing.assert_array_equal(split.targets, frame[["r1", "r3"]][rows].to_numpy(np.float32))


def test_targets_can_be_given_other_names():
    splits = read_table(table(), targets={"Dev": "r2"}, split="part")
    assert splits.heads.targets == ("Dev",)


@pytest.mark.parametrize(
    ("columns", "taken"), [(["id"], "id"), (["ID"], "ID"), (["Name"], "Name"), (["names"], None)]
)
def test_names_are_those_of_a_column_called_name_or_id(tmp_path, columns, taken):
    frame = table().rename(columns={"id": columns[0]})
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.tsv", tmp_path / "t.parquet"):
        names = read_table(source, targets=["r1"], split="part").test.names
        assert (names is None) if taken is None else (names.tolist() == ["oligo_38", "oligo_39"])


def test_of_name_and_id_the_name_is_taken_and_said():
    frame = table().assign(NAME=[f"n{row}" for row in range(40)])
    with pytest.warns(TableWarning, match="named by the column 'NAME', not by 'id'"):
        assert read_table(frame, targets=["r1"], split="part").train.names[0] == "n0"
    assert read_table(frame, targets=["r1"], split="part", name="id").train.names[0] == "oligo_0"


def test_a_column_that_is_measured_gives_no_names():
    frame = table().drop(columns="id").rename(columns={"r1": "id"})
    assert read_table(frame, targets={"a": "id"}, split="part").train.names is None


def test_replicates_give_mean_and_population_std_of_what_was_measured():
    frame = table(6)
    frame["part"] = ["train", "train", "train", "val", "test", "test"]
    frame["r1"] = [1.0, np.nan, 0.5, 1.0, np.nan, 7.0]
    frame["r2"] = [2.0, 1.0, 0.5, np.nan, np.nan, 7.0]
    frame["r3"] = [6.0, 4.0, 0.5, 4.0, 3.0, 7.0]
    with pytest.warns(TableWarning, match=r"1 of 6 rows have fewer than 2.*row 5 \(oligo_4\)"):
        splits = read_table(frame, replicates=REPLICATES, split="part", name="id")
    assert splits.heads.aleatoric == "std"
    assert splits.heads.columns == ("activity", "activity_aleatoric")
    expected = [[3.0, np.sqrt((4 + 1 + 9) / 3)], [2.5, 1.5], [0.5, 0.0]]
    np.testing.assert_allclose(splits.train.targets, expected, rtol=1e-6)
    np.testing.assert_allclose(splits.validation.targets, [[2.5, 1.5]])
    assert splits.test.names.tolist() == ["oligo_5"]


def test_columns_of_several_replicated_targets_come_in_blocks_as_numpy_makes_them():
    frame = table()
    replicates = {"b": ["r2", "r3"], "a": ["r1", "r2", "r3"]}
    splits = read_table(frame, replicates=replicates, split="part")
    assert splits.heads.columns == ("b", "a", "b_aleatoric", "a_aleatoric")
    values = [frame[columns][:36].to_numpy() for columns in replicates.values()]
    expected = [v.mean(axis=1) for v in values] + [v.std(axis=1) for v in values]
    np.testing.assert_allclose(splits.train.targets, np.stack(expected, axis=1), rtol=1e-5)


def test_a_row_stays_out_if_any_target_lacks_replicates():
    frame = table()
    frame.loc[[0, 1], "r1"] = np.nan
    replicates = {"a": ["r1", "r2"], "b": ["r2", "r3"]}
    with pytest.warns(TableWarning, match="2 of 40 rows"):
        splits = read_table(frame, replicates=replicates, split="part", name="id")
    assert splits.train.names[0] == "oligo_2"


def test_min_replicates_can_be_raised():
    frame = table()
    frame.loc[3, "r2"] = np.nan
    with pytest.warns(TableWarning, match="1 of 40 rows have fewer than 3"):
        read_table(frame, replicates=REPLICATES, min_replicates=3, split="part")


def test_means_alone_need_one_replicate():
    frame = table()
    frame.loc[0, ["r1", "r2"]] = np.nan
    splits = read_table(frame, replicates=REPLICATES, aleatoric=False, split="part")
    assert splits.heads.columns == ("activity",)
    np.testing.assert_allclose(splits.train.targets[0], frame["r3"][0], rtol=1e-6)


def test_missing_targets_are_refused_or_counted():
    frame = table().astype({"r1": object})
    frame.loc[5, "r1"] = "NA"
    frame.loc[7, "r1"] = " "
    with pytest.raises(InputError, match=r"2 of 40 rows lack.*'r1' of row 6 \(oligo_5\)"):
        read_table(frame, targets=["r1"], name="id")
    with pytest.warns(TableWarning, match="2 of 40 rows have no value in r1 and are left out"):
        splits = read_table(frame, targets=["r1"], name="id", drop_missing=True)
    assert sum(len(split) for _, split in splits.items()) == 38
    assert {"oligo_5", "oligo_7"}.isdisjoint(where(splits))


def test_rows_of_which_some_targets_are_missing_are_kept_where_that_is_asked():
    frame = table().astype({"r1": object, "r2": object})
    frame.loc[[5, 6], "r1"] = "NA"
    frame.loc[[6, 8], "r2"] = ""
    asked = {"targets": ["r1", "r2"], "name": "id", "missing_targets": "keep"}
    with pytest.raises(InputError, match=r"1 of 40 rows have no value of any.*row 7 \(oligo_6\)"):
        read_table(frame, **asked)
    with pytest.warns(TableWarning, match="1 of 40 rows have no value of any target"):
        splits = read_table(frame, **asked, drop_missing=True)
    rows = where(splits)
    assert "oligo_6" not in rows
    part = getattr(splits, rows["oligo_5"])
    found = part.targets[part.names.tolist().index("oligo_5")]
    np.testing.assert_array_equal(found, np.float32([np.nan, frame.loc[5, "r2"]]))
    assert sum(splits.n_values(name)["r1"] for name, _ in splits.items()) == 38
    frame.loc[9, "r2"] = "inf"
    with pytest.raises(InputError, match="finite numbers in column 'r2'"):
        read_table(frame, **asked, drop_missing=True)


def test_targets_with_too_few_replicates_are_missing_where_gaps_are_kept():
    frame = table(6)
    frame["part"] = ["train", "train", "train", "val", "test", "test"]
    frame["r1"] = [1.0, np.nan, 0.5, 1.0, np.nan, 7.0]
    frame["r2"] = [3.0, 1.0, 0.5, 2.0, np.nan, np.nan]
    pair = {"a": ["r1", "r2"], "b": ["r3", "r2"]}
    kept = read_table(frame, replicates=pair, split="part", missing_targets="keep")
    np.testing.assert_array_equal(kept.train.targets[:, 0], [2, 1, 0.5])
    np.testing.assert_array_equal(kept.train.targets[:, 2], [1, np.nan, 0])
    np.testing.assert_array_equal(np.isnan(kept.test.targets[0]), [True, False, True, True])
    two = {"min_replicates": 2, "replicates": pair, "split": "part", "missing_targets": "keep"}
    with pytest.warns(TableWarning, match=r"2 of 7 rows have no value of any target.*row 5"):
        read_table(pd.concat([frame, frame[-1:].assign(r2=1.0)]), **two)


def test_weights_come_from_a_column():
    frame = table().assign(barcodes=np.arange(40) + 1)
    frame.loc[[3, 4], "r1"] = np.nan
    read = {"targets": ["r1"], "split": "part", "weight": "barcodes"}
    with pytest.warns(TableWarning, match="2 of 40 rows"):
        splits = read_table(frame, **read, drop_missing=True)
    assert splits.train.weights[:5].tolist() == [1, 2, 3, 6, 7]
    for value, said in ((0, "0"), (-2, "-2"), ("NA", "no value")):
        spoilt = frame.astype({"barcodes": object})
        spoilt.loc[7, "barcodes"] = value
        message = rf"above 0 in column 'barcodes'.*Received: {said} in row 8 .oligo_7., 1 such"
        with pytest.raises(InputError, match=message):
            read_table(spoilt, **read, drop_missing=True)


@pytest.mark.parametrize("missing_targets", ["refuse", "keep"])
def test_values_weigh_as_much_as_the_replicates_they_are_the_mean_of(missing_targets):
    frame = table()
    frame.loc[[1, 3], "r1"] = np.nan
    frame.loc[3, "r2"] = np.nan
    read = {
        "replicates": {"a": ["r1", "r2", "r3"], "b": ["r2", "r3"]}, "aleatoric": False,
        "split": "part", "missing_targets": missing_targets,
    }  # fmt: skip
    splits = read_table(frame, **read, weight_by_replicates=True)
    assert splits.train.weights[:5].tolist() == [[3, 2], [2, 2], [3, 2], [1, 1], [3, 2]]
    assert read_table(frame, **read).train.weights is None
    complete = read_table(table(), **read | {"replicates": REPLICATES}, weight_by_replicates=True)
    assert complete.train.weights is None
    with pytest.raises(InputError, match="by a column or by replicates, not both"):
        read_table(frame, **read, weight="r1", weight_by_replicates=True)
    with pytest.raises(InputError, match="need columns of replicates"):
        read_table(table(), targets=["r2"], weight_by_replicates=True)


def test_weights_by_replicates_follow_the_rows_that_are_left_out():
    frame = table()
    frame.loc[[0, 2, 5], "r1"] = np.nan
    frame.loc[2, "r2"] = np.nan
    read = {"replicates": {"a": ["r1", "r2", "r3"]}, "split": "part"}
    with pytest.warns(TableWarning, match="1 of 40 rows have fewer than 2"):
        splits = read_table(frame, **read, weight_by_replicates=True)
    assert splits.train.weights[:5, 0].tolist() == [2, 3, 3, 3, 2]


def test_rows_without_sequence_are_refused_or_counted():
    frame = table()
    frame.loc[2, "seq"] = ""
    with pytest.raises(InputError, match=r"non-empty string.* for record 'row 3 \(oligo_2\)'"):
        read_table(frame, targets=["r1"])
    with pytest.warns(TableWarning, match="1 of 40 rows have no sequence"):
        read_table(frame, targets=["r1"], drop_missing=True)


@pytest.mark.parametrize("value", ["high", "1,5", "inf", np.inf, -np.inf])
def test_values_that_are_no_finite_numbers_are_refused(value):
    frame = table().astype({"r2": object})
    frame.loc[10, "r2"] = value
    for measured in ({"targets": ["r2"]}, {"replicates": REPLICATES}):
        with pytest.raises(InputError, match=f"column 'r2'.*{value!r} in row 11"):
            read_table(frame, drop_missing=True, **measured)


# splits


@pytest.mark.parametrize("seed", range(3))
def test_nothing_related_is_divided_and_sizes_are_as_asked(seed):
    rng = np.random.default_rng(seed)
    frame = table(600, seed=seed)
    frame["cluster"] = rng.integers(0, 400, 600).astype(str)
    frame.loc[rng.random(600) < 0.2, "cluster"] = ""
    for copy, source in rng.integers(0, 600, (80, 2)):
        text = frame.loc[source, "seq"]
        frame.loc[copy, "seq"] = text if copy % 2 else turned(text)
    splits = read_table(frame, targets=["r1"], group="cluster", name="id", seed=seed)
    assert [len(split) for _, split in splits.items()] == [480, 60, 60]
    kinds = where(splits)
    seen = {}
    for row in frame.itertuples():
        for key in (row.seq, turned(row.seq), row.cluster):
            assert not key or seen.setdefault(key, kinds[row.id]) == kinds[row.id]


def test_several_group_columns_hold_together():
    frame = table(90)
    frame["a"] = [f"a{row // 3}" for row in range(90)]
    frame["b"] = [f"b{(row + 2) // 3}" if row < 30 else None for row in range(90)]
    splits = read_table(
        frame, targets=["r1"], group=["a", "b"], name="id", fractions=(0.1, 0.1, 0.8)
    )
    kinds = where(splits)
    assert {kinds[f"oligo_{row}"] for row in range(30)} == {"test"}
    assert [len(split) for _, split in splits.items()] == [9, 9, 72]


def test_empty_group_values_are_groups_of_their_own():
    frame = table(40)
    frame["cluster"] = [np.nan, "", "NA", " "] * 10
    splits = read_table(frame, targets=["r1"], group="cluster")
    assert [len(split) for _, split in splits.items()] == [32, 4, 4]


def test_split_repeats_by_seed():
    splits = [read_table(table(), targets=["r1"], seed=seed).fingerprint for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_given_split_that_divides_groups_is_warned_of():
    frame = table()
    frame["cluster"] = [""] * 40
    frame.loc[[0, 37], "cluster"] = "x"
    frame.loc[39, "seq"] = turned(frame.loc[4, "seq"])
    with pytest.warns(TableWarning, match="2 of 38 groups.*divided by the split column 'part'"):
        read_table(frame, targets=["r1"], split="part", group="cluster")


def test_shares_that_groups_do_not_permit_are_warned_of():
    frame = table()
    frame["cluster"] = ["x"] * 38 + ["y", "z"]
    with pytest.warns(TableWarning, match=r"0.95, 0.03, 0.03, not 0.80.*largest has 38 of 40"):
        read_table(frame, targets=["r1"], group="cluster")


def test_what_was_read_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="degu_tf"):
        read_table(table(), targets=["r1"], split="part")
    assert "read 40 of 40 rows: train, validation, test [36, 2, 2]" in caplog.text


# files


@pytest.mark.parametrize("suffix", ["tsv", "csv", "txt", "tsv.gz", "parquet", "pq.gz"])
def test_every_kind_of_file_reads_alike(tmp_path, suffix):
    frame, path = table(), tmp_path / f"table.{suffix}"
    if suffix in ("parquet", "pq.gz"):  # content decides, not the name
        frame.to_parquet(path)
    else:
        separator = {"csv": ",", "txt": ";"}.get(suffix, "\t")
        frame.to_csv(path, sep=separator, index=False)
    splits = read_table(path, replicates=REPLICATES, name="id")
    assert splits.fingerprint == read_table(frame, replicates=REPLICATES).fingerprint
    assert where(splits) == where(read_table(frame, replicates=REPLICATES, name="id"))


def test_gzip_is_told_by_content(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_bytes(gzip.compress(b"seq\tx\nACGT\t1\n", mtime=0))
    assert read_frame(path).iloc[0].tolist() == ["ACGT", "1"]


def test_text_stays_as_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfname,"log2(rna,dna)"\r\n007,1.50\r\nNA,\r\n')
    assert read_frame(path).to_numpy().tolist() == [["007", "1.50"], ["NA", ""]]


def test_missing_columns_are_named_with_the_closest(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("Sequence\tHepG2_log2\nACGT\t1\n")
    with pytest.raises(
        InputError, match=r"'HepG2_log'.*Closest.*'HepG2_log2'.*\['Sequence', 'HepG2_log2'\]"
    ):
        read_table(path, "Sequence", targets=["HepG2_log"])
    with pytest.raises(InputError, match=r"columns \['zzz'\] are not in the table\. Received"):
        read_table(table(), targets=["zzz"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seq\tr1\nACGT\t1\t2\n", "rows have the header's columns"),
        (b"seq\tr1\nACGT\t1\nACGT\t1\t2\n", "rows have the header's columns"),
        (b'seq\tr1\n"ACGT\t1\nACGA\t2\n', "line 2 of .* quotes around whole fields"),
        (b"seq\tr1\tr1\nACGT\t1\t2\n", r"each column once.*\['r1'\]"),
        (b"seq\tr1\n", "rows below the header"),
        (b"", "not in"),
        (b"seq\tr1\nACG\xff\t1\n", "whole table"),
        (gzip.compress(b"seq\tr1\nACGT\t1\n", mtime=0)[:-10], "whole table"),
        (b"PAR1 and no more", "whole parquet"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ],
)
def test_broken_files_are_refused(tmp_path, content, message):
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(path, targets=["r1"])


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv, which is not a file"):
        read_table(tmp_path / "none.tsv", targets=["r1"])


def test_parquet_without_a_reader_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    table().to_parquet(path)

    def absent(*args, **kwargs):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(InputError, match="pip install pyarrow"):
        read_table(path, targets=["r1"])


# arguments and rows that cannot be used


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either targets .* or replicates"),
        ({"targets": ["r1"], "replicates": {"a": ["r2", "r3"]}}, "either targets .* or replicates"),
        ({"targets": "r1"}, "list of different columns"),
        ({"targets": []}, "list of different columns"),
        ({"targets": ["r1", "r1"]}, "list of different columns"),
        ({"replicates": ["r1", "r2"]}, "map each target"),
        ({"replicates": {"a": ["r1"]}}, "at least 2 different columns of replicates for 'a'"),
        ({"replicates": {"a": ["r1", "r1"]}}, "at least 2 different columns"),
        ({"replicates": {"a": "r1"}}, "at least 2 different columns"),
        ({"replicates": REPLICATES, "min_replicates": 1}, "a standard deviation needs two"),
        ({"replicates": REPLICATES, "min_replicates": 4}, "at least 4 different columns"),
        ({"targets": ["r1"], "fractions": (0.5, 0.1, 0.1)}, "three positive numbers"),
        ({"targets": ["r1"], "split": "id"}, "column 'id'.* in row 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        read_table(table(), **arguments)


def test_wrong_sequences_are_refused_with_their_row():
    frame = table()
    frame.loc[8, "seq"] = "ACGTACGTACGX"
    with pytest.raises(InputError, match=r"'X' at position 11 of record 'row 9 \(oligo_8\)'"):
        read_table(frame, targets=["r1"], name="id")
    frame.loc[8, "seq"] = "ACGT"
    with pytest.raises(InputError, match=r"Received: 4 bases in record 'row 9 \(oligo_8\)'"):
        read_table(frame, targets=["r1"])


def test_rows_keep_their_numbers_after_others_were_left_out():
    frame = table()
    frame.loc[0, ["r1", "r2"]] = np.nan
    frame.loc[8, "seq"] = "ACGT"
    with pytest.raises(InputError, match="row 9"):
        read_table(frame, replicates=REPLICATES)


def test_table_of_which_nothing_is_left_is_refused():
    frame = table()
    frame[["r1", "r2"]] = np.nan
    with pytest.raises(InputError, match=r"no row can be used.*40 of 40 rows have fewer than 2"):
        read_table(frame, replicates=REPLICATES)
    with pytest.raises(InputError, match="rows below the header"):
        read_table(frame[:0], replicates=REPLICATES)


# measured data


@pytest.mark.skipif("DEGU_REAL_DATA" not in os.environ, reason="DEGU_REAL_DATA not set")
def test_measured_tables():
    folder = Path(os.environ["DEGU_REAL_DATA"]) / "lentimpra"
    path = folder / "agarwal_joint.tsv.gz"
    splits = read_table(path, targets=["HepG2_log2", "K562_log2"], group="group", name="name")
    sizes = np.array([len(split) for _, split in splits.items()])
    assert sizes.sum() == 45324
    np.testing.assert_allclose(sizes / 45324, (0.8, 0.1, 0.1), atol=0.01)
    frame = pd.read_csv(path, sep="\t").set_index("name")
    groups = [set(frame.loc[getattr(splits, kind).names, "group"]) for kind in NAMES]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    np.testing.assert_allclose(
        splits.test.targets, frame.loc[splits.test.names, ["HepG2_log2", "K562_log2"]], rtol=1e-6
    )

    path = folder / "ismb_hepg2_replicates.tsv.gz"
    columns = [f"log2FoldChange_{number}" for number in (1, 2, 3)]
    with pytest.warns(TableWarning, match="8 of 2046 rows have fewer than 2"):
        splits = read_table(path, replicates={"activity": columns}, name="oligo_name")
    assert [len(split) for _, split in splits.items()] == [1630, 204, 204]
    frame = pd.read_csv(path, sep="\t").set_index("oligo_name").loc[splits.train.names, columns]
    np.testing.assert_allclose(splits.train.targets[:, 0], np.nanmean(frame, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        splits.train.targets[:, 1], np.nanstd(frame, axis=1), rtol=1e-5, atol=1e-7
    )


def test_alleles_and_tiles_stay_in_one_split():
    rng = np.random.default_rng(3)
    elements = decode(rng.integers(0, 4, (30, 80)).astype(np.uint8))
    tiles = [adapted(text[start : start + 60]) for text in elements for start in (0, 10, 20)]
    data = pd.DataFrame({"seq": tiles, "y": rng.normal(size=90), "element": np.arange(90) // 3})
    splits = read_table(data, targets=["y"], similar=25, name="element")
    found = [set(split.names) for _, split in splits.items()]
    assert sum(map(len, found)) == 30


def adapted(insert):
    return "AGGACCGGATCAACT" + insert + "CATTGCGTGAACCGA"
