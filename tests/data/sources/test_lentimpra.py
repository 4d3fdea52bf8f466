import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from degu_tf.data.sources.lentimpra import REPLICATES, read_lentimpra
from degu_tf.data.sources.table import TableWarning
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta
from degu_tf.utils.errors import InputError

ADAPTERS = ("AGGACCGGATCAACT", "CATTGCGTGAACCGA")
OLIGO_COLUMN = "230nt sequence (15nt 5' adaptor - 200nt element - 15nt 3' adaptor)"


def turned(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def tables(n_elements=60, length=20, ending="_Reversed", seed=0):
    """Measurements and library in the form of the published tables, both orientations."""
    rng = np.random.default_rng(seed)
    elements = ["".join(rng.choice(list("ACGT"), length)) for _ in range(n_elements)]
    names = [f"peak{row}" for row in range(n_elements)]
    library = pd.DataFrame(
        {
            "name": names + [name + ending for name in names],
            "category": "putative enhancer",
            OLIGO_COLUMN: [
                element.join(ADAPTERS) for element in elements + list(map(turned, elements))
            ],
        }
    )
    values = rng.normal(size=(2 * n_elements, 3)).round(3)
    measured = pd.DataFrame(values, columns=REPLICATES)
    measured.insert(0, "name", library["name"])
    measured["mean"] = values.mean(axis=1)
    order = rng.permutation(2 * n_elements)
    return measured.iloc[order].reset_index(drop=True), library


def pairs_divided(splits):
    kinds = {name: kind for kind, split in splits.items() for name in split.names}
    stems = {}
    for name, kind in kinds.items():
        stems.setdefault(re.match(r"peak\d+", name)[0], set()).add(kind)
    return sum(len(found) > 1 for found in stems.values())


@pytest.mark.parametrize("ending", ["_Reversed", "_Reversed_0", "_Reversed:"])
def test_pairs_stay_in_one_split_by_name_alone(ending):
    measured, library = tables(ending=ending)
    rng = np.random.default_rng(1)
    library[OLIGO_COLUMN] = ["".join(rng.choice(list("ACGT"), 20)) for _ in library.index]
    splits = read_lentimpra(measured, library)
    assert pairs_divided(splits) == 0
    assert [len(split) for _, split in splits.items()] == [96, 12, 12]


def test_pairs_stay_in_one_split_by_sequence_alone():
    measured, library = tables(ending="x")
    assert pairs_divided(read_lentimpra(measured, library)) == 0


def test_random_names_and_sequences_would_be_divided():
    measured, library = tables(ending="x")
    rng = np.random.default_rng(1)
    library[OLIGO_COLUMN] = ["".join(rng.choice(list("ACGT"), 20)) for _ in library.index]
    assert pairs_divided(read_lentimpra(measured, library)) > 10


def test_measurements_are_joined_to_sequences_by_name(tmp_path):
    measured, library = tables()
    measured.to_csv(tmp_path / "data.csv", index=False)
    library.to_csv(tmp_path / "oligos.tsv.gz", sep="\t", index=False)
    write_fasta(tmp_path / "oligos.fa.gz", library["name"].tolist(), library[OLIGO_COLUMN].tolist())
    oligos, rows = library.set_index("name")[OLIGO_COLUMN], measured.set_index("name")
    found = [
        read_lentimpra(tmp_path / "data.csv", tmp_path / file, seed=5)
        for file in ("oligos.tsv.gz", "oligos.fa.gz")
    ]
    assert found[0].fingerprint == found[1].fingerprint
    assert found[0].heads.columns == ("activity", "activity_aleatoric")
    for _, split in found[0].items():
        assert decode(split.sequences) == oligos[split.names].tolist()
        values = rows.loc[split.names, list(REPLICATES)].to_numpy()
        np.testing.assert_allclose(split.targets[:, 0], values.mean(axis=1), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(split.targets[:, 1], values.std(axis=1), rtol=1e-4)


def test_sequences_may_stand_beside_the_measurements():
    measured, library = tables()
    joined = measured.merge(library, on="name")
    expected = read_lentimpra(measured, library).fingerprint
    assert read_lentimpra(joined).fingerprint == expected
    assert read_lentimpra(joined, sequence=OLIGO_COLUMN).fingerprint == expected


def test_measurements_without_a_sequence_are_counted_and_left_out():
    measured, library = tables()
    with pytest.warns(TableWarning, match=r"3 of 120 rows have no sequence"):
        splits = read_lentimpra(measured, library[3:])
    assert sum(len(split) for _, split in splits.items()) == 117


def test_single_replicates_stay_out_with_aleatoric_labels_and_in_without():
    measured, library = tables()
    measured.loc[:4, list(REPLICATES[:2])] = np.nan
    measured.loc[5:6, list(REPLICATES[:1])] = np.nan
    measured.loc[9, list(REPLICATES)] = np.nan
    with pytest.warns(TableWarning, match="6 of 120 rows have fewer than 2 measured"):
        with_std = read_lentimpra(measured, library)
    with pytest.warns(TableWarning, match="1 of 120 rows have fewer than 1 measured"):
        alone = read_lentimpra(measured, library, aleatoric=False)
    assert sum(len(split) for _, split in with_std.items()) == 114
    assert sum(len(split) for _, split in alone.items()) == 119
    assert alone.heads.columns == ("activity",)


def test_activity_can_be_taken_from_a_column():
    measured, library = tables()
    measured["mean"] = np.arange(120.0)
    measured.loc[7, "mean"] = np.nan
    with pytest.warns(TableWarning, match="1 of 120 rows have no value in mean"):
        splits = read_lentimpra(measured, library, activity="mean", aleatoric=False, target="K562")
    assert splits.heads.columns == ("K562",)
    values = np.concatenate([split.targets[:, 0] for _, split in splits.items()])
    assert sorted(values) == [value for value in range(120) if value != 7]
    with pytest.raises(InputError, match="no replicates to make an aleatoric column"):
        read_lentimpra(measured, library, activity="mean")


def test_group_columns_hold_beside_the_pairs():
    measured, library = tables()
    measured["cluster"] = [int(re.search(r"\d+", name)[0]) // 4 for name in measured["name"]]
    splits = read_lentimpra(measured, library, group="cluster")
    rows = measured.set_index("name")["cluster"]
    clusters = [set(rows[split.names]) for _, split in splits.items()]
    assert sum(map(len, clusters)) == len(set.union(*clusters)) == 15


def test_wrong_tables_are_refused(tmp_path):
    measured, library = tables()
    path = tmp_path / "data.tsv"
    measured.to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match=r"one column of .*data.tsv called seq or sequence"):
        read_lentimpra(path)
    with pytest.raises(InputError, match=r"\['rep1', 'rep2'\] are not in .*data.tsv"):
        read_lentimpra(path, library, replicates=["rep1", "rep2"])
    with pytest.raises(InputError, match=r"\['oligo'\] are not in the library"):
        read_lentimpra(path, library, sequence="oligo")
    with pytest.raises(InputError, match="one column of the library called"):
        read_lentimpra(path, library.assign(seq="ACGT"))
    with pytest.raises(InputError, match="two sequences for 'peak0'"):
        read_lentimpra(path, pd.concat([library, library[:1].assign(**{OLIGO_COLUMN: "ACGT"})]))
    with pytest.raises(InputError, match=r"none\.fa, which is not a file"):
        read_lentimpra(path, tmp_path / "none.fa")


@pytest.mark.skipif("DEGU_REAL_DATA" not in os.environ, reason="DEGU_REAL_DATA not set")
def test_both_orientations_of_the_joint_library_stay_together():
    path = Path(os.environ["DEGU_REAL_DATA"]) / "lentimpra" / "agarwal_joint.tsv.gz"
    splits = read_lentimpra(path, activity="K562_log2", aleatoric=False, group="group")
    kinds, inserts = {}, {}
    for kind, split in splits.items():
        kinds.update(dict.fromkeys(split.names, kind))
        texts = decode(split.sequences)
        inserts.update({n: t[15:-15] for n, t in zip(split.names, texts, strict=True)})
    reverse = [name for name in kinds if name.endswith("_Reversed:")]
    pairs = [(name, name.removesuffix("_Reversed:")) for name in reverse]
    pairs = [(one, other) for one, other in pairs if other in kinds]
    assert len(pairs) == 77
    for one, other in pairs:
        assert inserts[one] == turned(inserts[other])
        assert kinds[one] == kinds[other]
