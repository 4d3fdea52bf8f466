import numpy as np
import pandas as pd
import pytest

from degu_tf.data.sources.starrseq import read_starrseq
from degu_tf.data.sources.table import TableWarning
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta
from degu_tf.utils.errors import InputError

SIZES = {"Train": 12, "Val": 4, "Test": 5}


def source_table(seed=0, length=30):
    rng = np.random.default_rng(seed)
    sets = [kind for kind, size in SIZES.items() for _ in range(size)]
    starts = np.arange(len(sets)) * 1000
    return pd.DataFrame(
        {
            "seqnames": "chr2L",
            "start": starts,
            "end": starts + length - 1,
            "ID": [f"chr2L_{start}_+_peak" for start in starts],
            "set": sets,
            "Sequence": ["".join(rng.choice(list("ACGTN"), length)) for _ in sets],
            "Dev_log2_enrichment": rng.normal(size=len(sets)).round(4),
            "Hk_log2_enrichment": rng.normal(size=len(sets)).round(4),
        }
    ).sample(frac=1, random_state=seed)


def check(splits, frame):
    assert splits.heads.columns == ("Dev", "Hk")
    assert splits.input_shape == (30, 4)
    rows = frame.set_index("ID")
    for (_, split), (kind, size) in zip(splits.items(), SIZES.items(), strict=True):
        assert len(split) == size
        part = rows.loc[split.names]
        assert set(part["set"]) == {kind}
        assert decode(split.sequences) == part["Sequence"].tolist()
        np.testing.assert_allclose(
            split.targets, part[["Dev_log2_enrichment", "Hk_log2_enrichment"]], rtol=1e-6
        )


@pytest.mark.parametrize("file", ["Sequences_activity_all.txt", "all.txt.gz"])
def test_one_table_with_all_sets(tmp_path, file):
    frame = source_table()
    frame.to_csv(tmp_path / file, sep="\t", index=False)
    check(read_starrseq(tmp_path / file), frame)


def test_tables_by_set_in_a_folder_or_as_paths(tmp_path):
    frame = source_table()
    paths = []
    for kind, part in frame.groupby("set"):
        paths.append(tmp_path / f"Sequences_activity_{kind}.txt")
        part.drop(columns="set").to_csv(paths[-1], sep="\t", index=False)
    check(read_starrseq(tmp_path), frame)
    check(read_starrseq(paths), frame)


@pytest.mark.parametrize("with_id", [True, False])
def test_sequences_may_stand_in_fasta_files_beside_the_tables(tmp_path, with_id):
    frame = source_table()
    for kind, part in frame.groupby("set"):
        absent = ["Sequence", "set"] if with_id else ["Sequence", "set", "ID"]
        part.drop(columns=absent).to_csv(
            tmp_path / f"Sequences_activity_{kind}.txt.gz", sep="\t", index=False
        )
        suffix = ".fa.gz" if kind == "Val" else ".fa"
        write_fasta(tmp_path / f"Sequences_{kind}{suffix}", part["ID"], part["Sequence"].tolist())
    check(read_starrseq(tmp_path), frame)


def test_relatives_divided_by_the_published_split_are_counted(tmp_path):
    frame = source_table()
    rows = frame.index[frame["set"] == "Test"]
    frame.loc[rows[0], "Sequence"] = frame.loc[frame["set"] == "Train", "Sequence"].iloc[0]
    frame.to_csv(tmp_path / "all.txt", sep="\t", index=False)
    with pytest.warns(TableWarning, match="1 of 20 groups.*'set'"):
        read_starrseq(tmp_path / "all.txt")


def fasta_case(folder, change_names=None, n_records=None):
    frame = source_table()
    part = frame[frame["set"] == "Train"]
    path = folder / "Sequences_activity_Train.txt"
    part.drop(columns=["Sequence", "set"]).to_csv(path, sep="\t", index=False)
    names = [(change_names or str)(name) for name in part["ID"]][:n_records]
    write_fasta(folder / "Sequences_Train.fa", names, part["Sequence"].tolist()[:n_records])
    return [path]


def test_fasta_files_that_do_not_match_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"each of the 12 rows.*Received: 11 records"):
        read_starrseq(fasta_case(tmp_path, n_records=11))
    with pytest.raises(InputError, match=r"in the order of the rows.*for row 1"):
        read_starrseq(fasta_case(tmp_path, change_names=lambda name: name + "x"))
    (tmp_path / "Sequences_Train.fa").unlink()
    with pytest.raises(InputError, match=r"Sequences_Train\.fa or Sequences_Train\.fa\.gz"):
        read_starrseq(tmp_path / "Sequences_activity_Train.txt")


def test_incomplete_sources_are_refused(tmp_path):
    frame = source_table()
    path = tmp_path / "all.txt"
    with pytest.raises(InputError, match=r"Sequences_activity_Train\.txt"):
        read_starrseq(tmp_path)
    with pytest.raises(InputError, match="at least one table"):
        read_starrseq([])
    frame.drop(columns="set").to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match=r"expected a column 'set'.*all\.txt"):
        read_starrseq(path)
    frame.drop(columns="Sequence").to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match="expected a column 'Sequence'"):
        read_starrseq(path)
    frame.rename(columns={"Hk_log2_enrichment": "Hk_log2"}).to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match=r"Closest to 'Hk_log2_enrichment' is 'Hk_log2'"):
        read_starrseq(path)
    frame[frame["set"] != "Val"].to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match="no rows of validation"):
        read_starrseq(path)
    frame.assign(Dev_log2_enrichment=np.nan).to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match="no value in column 'Dev_log2_enrichment' of row 1"):
        read_starrseq(path)
