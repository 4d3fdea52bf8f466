"""`degu prepare`."""

from degu_tf.data.hdf5.splits_file import read_splits


def test_prepare_says_what_it_wrote(work):
    out = work.shown["prepare"].out
    assert "80 train, 20 validation, 30 test; 32 bp; columns Dev, Hk, Dev_aleatoric" in out
    splits = read_splits(work.data)
    assert splits.heads.columns == ("Dev", "Hk", "Dev_aleatoric", "Hk_aleatoric")
    assert [len(split) for _, split in splits.items()] == [80, 20, 30]
