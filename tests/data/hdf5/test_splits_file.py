import json
import tracemalloc
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest

from degu_tf.data.hdf5 import rows
from degu_tf.data.hdf5.labels_file import read_ensemble_labels
from degu_tf.data.hdf5.splits_file import read_splits, write_splits
from degu_tf.data.splits import NAMES, Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.utils.errors import InputError

RELEASED = {"train": "Train", "validation": "Val", "test": "Test"}
EVOAUG = {"train": "train", "validation": "valid", "test": "test"}
SIZES = {"train": 7, "validation": 3, "test": 4}


def random_tokens(n, length, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, length)).astype(np.uint8)


def hot(tokens, dtype=np.float64):
    """One-hot by the definition, base by base."""
    array = np.zeros((*tokens.shape, 4), dtype)
    for index, token in np.ndenumerate(tokens):
        if token < 4:
            array[(*index, token)] = 1
    return array


class Data:
    """Random sequences and targets, to be written by each test in a layout of its own."""

    def __init__(self, length=249, n_columns=2, sizes=SIZES):
        rng = np.random.default_rng(1)
        self.tokens = {name: random_tokens(n, length, seed=n) for name, n in sizes.items()}
        self.y = {name: rng.normal(size=(n, n_columns)) for name, n in sizes.items()}

    def write(self, path, name_of, x=hot, y=lambda array: array, **options):
        """Write with `name_of(split, "X" or "y")`, after `x` of tokens and `y` of targets."""
        with h5py.File(path, "w") as file:
            for split in self.tokens:
                file.create_dataset(name_of(split, "X"), data=x(self.tokens[split]), **options)
                file[name_of(split, "y")] = y(self.y[split])
        return path

    def flat(self, path, **options):
        return self.write(path, lambda split, role: f"{role}_{RELEASED[split]}", **options)

    def grouped(self, path, **options):
        return self.write(path, lambda split, role: f"{RELEASED[split]}/{role}", **options)

    def evoaug(self, path, **options):
        options = {"y": np.transpose, **options}
        return self.write(path, lambda split, role: f"{role.lower()}_{EVOAUG[split]}", **options)

    def check(self, splits, n_columns=None):
        for name, split in splits.items():
            assert split.sequences.dtype == np.uint8
            np.testing.assert_array_equal(split.sequences, self.tokens[name])
            expected = self.y[name][:, :n_columns].astype(np.float32)
            np.testing.assert_array_equal(split.targets, expected)


def edit(path, **changes):
    """Replace datasets (None removes one); double underscores stand for slashes."""
    with h5py.File(path, "a") as file:
        for name, value in changes.items():
            name = name.replace("__", "/")
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    return path


def test_flat_layout_with_indices_and_labels(tmp_path):
    data = Data()
    path = data.flat(tmp_path / "a.h5")
    labels = {name: np.abs(y) for name, y in data.y.items()}
    edit(path, ensemble_mean=-labels["train"])
    for split, word in RELEASED.items():
        edit(path, **{f"idx_{word}": np.arange(SIZES[split]) + 100, f"std_{word}": labels[split]})
    splits = read_splits(path)
    data.check(splits)
    assert splits.heads == HeadLayout(("Dev", "Hk"))
    assert splits.validation.names.tolist() == ["100", "101", "102"]
    np.testing.assert_array_equal(splits.train.ensemble_mean, -labels["train"].astype(np.float32))
    assert splits.validation.ensemble_mean is None
    assert splits.test.ensemble_mean is None
    for name, split in splits.items():
        np.testing.assert_array_equal(split.ensemble_std, labels[name].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8, np.int64, bool])
def test_grouped_layout_in_any_type(tmp_path, dtype):
    data = Data()
    path = data.grouped(tmp_path / "a.h5", x=lambda tokens: hot(tokens, dtype))
    names = [f"chr2L_{i}_é" for i in range(SIZES["test"])]
    edit(path, Test__idx=names, Train__ensemble_mean=data.y["train"])
    splits = read_splits(path)
    data.check(splits)
    assert splits.test.names.tolist() == names
    assert splits.train.names is None
    np.testing.assert_array_equal(splits.train.ensemble_mean, splits.train.targets)


@pytest.mark.parametrize("words", [("val", "test"), ("Valid", "TEST"), ("validation", "test")])
def test_spellings_of_the_splits(tmp_path, words):
    data = Data()
    of = dict(zip(SIZES, ("train", *words), strict=True))
    data.check(read_splits(data.write(tmp_path / "a.h5", lambda s, role: f"{role}_{of[s]}")))


def test_tokens_and_fixed_length_names(tmp_path):
    data = Data()
    path = data.flat(tmp_path / "a.h5", x=lambda tokens: tokens.astype(np.int32))
    edit(path, idx_Val=np.array([[b"a"], [b"bb"], [b""]]))
    splits = read_splits(path)
    data.check(splits)
    assert splits.validation.names.tolist() == ["a", "bb", ""]


@pytest.mark.parametrize("channels_first", [True, False])
def test_evoaug_layout(tmp_path, channels_first):
    data = Data(sizes=SIZES | {"test": 2})
    x = (lambda tokens: hot(tokens).transpose(0, 2, 1)) if channels_first else hot
    splits = read_splits(data.evoaug(tmp_path / "a.h5", x=x))
    data.check(splits)
    assert splits.heads.targets == ("Dev", "Hk")


def test_two_sequences_everywhere_leave_the_orientation_open(tmp_path):
    path = Data(sizes=dict.fromkeys(SIZES, 2)).evoaug(tmp_path / "a.h5")
    with pytest.raises(InputError, match="rows and columns cannot be told apart"):
        read_splits(path)


@pytest.mark.parametrize("y", [lambda y: y, lambda y: y[:, 0]], ids=["(N, 1)", "(N,)"])
def test_lentimpra_activity(tmp_path, y):
    data = Data(length=230, n_columns=1)
    path = data.grouped(tmp_path / "a.h5", y=y)
    data.check(read_splits(path))
    assert read_splits(path).heads == HeadLayout(("activity",))
    assert read_splits(path, targets=["K562"]).heads == HeadLayout(("K562",))


def test_lentimpra_activity_and_aleatoric(tmp_path):
    data = Data(length=230)
    for y in data.y.values():
        y[:, 1] = np.abs(y[:, 1])
    path = data.grouped(tmp_path / "a.h5")
    data.check(read_splits(path))
    assert read_splits(path).heads == HeadLayout(("activity",), aleatoric="std")
    assert read_splits(path, targets=["HepG2"]).heads.columns == ("HepG2", "HepG2_aleatoric")
    edit(path, Val__y=-data.y["validation"])
    with pytest.raises(InputError, match=r"not negative.*targets=.*Received: 100.0%.* at row 0"):
        read_splits(path)
    assert read_splits(path, targets=["A", "B"]).heads == HeadLayout(("A", "B"))


def test_lentimpra_with_teachers_labels(tmp_path):
    data = Data(length=230, n_columns=4)
    for y in data.y.values():
        y[:, 1:] = np.abs(y[:, 1:])
    data.y["train"][0, 1] = -0.01  # a linear aleatoric head may predict this
    path = data.grouped(tmp_path / "a.h5")
    with pytest.warns(UserWarning, match="training targets of .* are the teachers' means"):
        splits = read_splits(path)
    data.check(splits, n_columns=2)
    assert splits.heads.columns == ("activity", "activity_aleatoric")
    for name, split in splits.items():
        expected = data.y[name].astype(np.float32)
        np.testing.assert_array_equal(split.ensemble_std, expected[:, 2:3])
    np.testing.assert_array_equal(splits.train.ensemble_mean, splits.train.targets[:, :1])
    assert splits.validation.ensemble_mean is None
    edit(path, Val__y=data.y["validation"][:, :2])
    with pytest.raises(InputError, match=r"Train/y of shape \(7, 4\), Val/y of shape \(3, 2\)"):
        read_splits(path)


def test_columns_are_named_by_the_caller(tmp_path):
    data = Data(length=120, n_columns=4)
    for y in data.y.values():
        y[:, 2:] = np.abs(y[:, 2:])
    path = data.flat(tmp_path / "a.h5")
    splits = read_splits(path, targets=("a", "b", "c", "d"))
    data.check(splits)
    assert splits.heads == HeadLayout(("a", "b", "c", "d"))
    splits = read_splits(path, targets=("a", "b", "a_aleatoric", "b_aleatoric"))
    assert splits.heads == HeadLayout(("a", "b"), aleatoric="std")
    for targets, message in (
        (None, r"name each of them with targets=.*shape \(7, 4\), sequences of 120 bases"),
        (("a", "b"), "a name for each of the 4 target columns"),
        (("a", "a_aleatoric", "b", "b_aleatoric"), "in the order"),
        ("abcd", "sequence of names"),
    ):
        with pytest.raises(InputError, match=message):
            read_splits(path, targets=targets)


def test_profiles_need_names_of_their_tracks(tmp_path):
    data = Data()
    path = data.flat(tmp_path / "a.h5", y=lambda y: np.repeat(y[:, None], 10, axis=1))
    with pytest.raises(InputError, match=r"targets=.*shape \(7, 10, 2\)"):
        read_splits(path)
    assert read_splits(path, targets=("a", "b")).train.targets.shape == (7, 10, 2)


def test_noisy_sequences_stay_floats_a_whole_split_at_a_time(tmp_path):
    data = Data()
    path = data.flat(tmp_path / "a.h5")
    noisy = hot(data.tokens["train"])
    noisy[-1, 5, 2] += 0.25
    splits = read_splits(edit(path, X_Train=noisy.transpose(0, 2, 1)))
    assert splits.train.sequences.dtype == np.float32
    np.testing.assert_array_equal(splits.train.sequences, noisy.astype(np.float32))
    np.testing.assert_array_equal(splits.test.sequences, data.tokens["test"])


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (5, 100, 3), "compression": "gzip"}, {"chunks": (300, 249, 4)}],
    ids=["contiguous", "small chunks", "large chunks"],
)
@pytest.mark.parametrize("block_bytes", [1, 30_000, 2**20])
def test_reading_in_blocks_changes_nothing(tmp_path, monkeypatch, options, block_bytes):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", block_bytes)
    data = Data(sizes={"train": 23, "validation": 3, "test": 4})
    eye = np.vstack([np.eye(4), np.zeros(4)])
    options = {**options, "maxshape": (None, 249, 4)} if options else {}
    path = data.flat(tmp_path / "a.h5", x=lambda tokens: eye[tokens], **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.check(read_splits(path))


def test_a_late_deviation_is_warned_of_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 2 * 249 * 4 * 8)
    path = Data().flat(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["X_Train"][5, 7] = [1, 0, 1, 0]
    with pytest.warns(
        UserWarning, match=r"first 4 sequences are one-hot.*at position 7 of record '5'"
    ):
        assert read_splits(path).train.sequences.dtype == np.float32
    counts = []
    with h5py.File(path) as file, pytest.warns(UserWarning, match="first 4"):
        rows.Rows(file["X_Train"], (0, 1, 2)).sequences(update=counts.append)
    assert sum(counts) == 7
    edit(path, X_Train=np.uint8(h5py.File(path)["X_Train"][:]), idx_Train=list("abcdefg"))
    with pytest.raises(InputError, match=r"a\.h5: train: X_Train: .*position 7 of record 'f'"):
        read_splits(path)


@pytest.mark.parametrize("options", [{}, {"chunks": (50, 249, 1), "compression": "lzf"}])
def test_memory_stays_near_the_tokens(tmp_path, options):
    n = 2000
    path = edit(Data().flat(tmp_path / "a.h5"), X_Train=None, y_Train=np.zeros((n, 2)))
    tokens = np.random.default_rng(0).integers(0, 4, (n, 249))
    with h5py.File(path, "a") as file:
        file.create_dataset("X_Train", data=np.eye(4)[tokens], **options)
        whole = file["X_Train"].nbytes
    tracemalloc.start()
    try:
        splits = read_splits(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(splits.train.sequences, tokens)
    assert peak < splits.train.sequences.nbytes + whole / 4


def test_blocks_end_where_chunks_do(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("y", data=np.zeros((2, 100)), chunks=(1, 7))
        for block_bytes, step in ((1, 7), (16 * 20, 14), (16 * 99, 98)):
            monkeypatch.setattr(rows, "_BLOCK_BYTES", block_bytes)
            starts = [block[0].start for block in rows.Rows(dataset, (1, 0)).blocks()]
            assert starts == list(range(0, 100, step))


def test_datasets_without_a_part_are_named(tmp_path):
    path = edit(Data().flat(tmp_path / "a.h5"), GC_content=[1, 2], folds__X_Train=[3])
    with pytest.warns(UserWarning, match="not read: GC_content, folds/X_Train"):
        read_splits(path)


def broken(change):
    """A flat file changed in one place, as a parameter."""
    return lambda path: edit(Data().flat(path), **change)


def keras_file(path):
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file["model_weights/dense/kernel"] = [1.0]
    return path


def made_of(*names):
    return lambda path: edit(path, **{name: np.zeros((2, 249, 4)) for name in names})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "expected a file"),
        (lambda path: path.parent, "expected a file"),
        (lambda path: path.write_text("a,b\n") and path, "expected an HDF5 file"),
        (lambda path: path.write_bytes(b"") or path, "expected an HDF5 file"),
        (made_of("random", "mutagenesis", "evoaug"), "out-of-distribution"),
        (made_of("ref", "alt", "identifier"), "CAGI5"),
        (made_of("train_mean", "train_std", "val_mean"), "read_ensemble_labels"),
        (keras_file, "Keras"),
        (made_of("layers__dense__vars__0", "vars__0"), "Keras"),
        (made_of("sequence", "label"), "one of the layouts.*datasets label, sequence"),
        (made_of(), "no dataset"),
        (
            broken({"X_Val": None, "y_Val": None}),
            r"flat \(X_Train.*sequences of validation, targets of validation are missing.*"
            "Received: datasets X_Test, X_Train, y_Test, y_Train",
        ),
        (broken({"y_Test": None}), "targets of test are missing"),
        (made_of("Train__X", "Train__y", "Val__X"), r"grouped \(Train/X.*Train/X, Train/y, Val/X"),
        (made_of("x_train", "y_train", "x_valid"), r"EvoAug's.*validation.*test"),
        (made_of("train__sequences", "train__targets"), r"degu_tf \(train.*validation"),
        (broken({"x_valid": np.zeros((3, 249, 4))}), "X_Val and x_valid"),
        (broken({"y_Train": np.zeros((6, 2))}), r"7 sequences and .*shape \(6, 2\) in train"),
        (broken({"y_Test": np.zeros((2, 4))}), r"4 sequences and .*shape \(2, 4\) in test"),
        (broken({"y_Test": np.zeros((4, 3))}), r"y_Train .*\(7, 2\), y_Test .*\(4, 3\)"),
        (broken({"X_Test": np.zeros((4, 230, 4))}), r"X_Test of shape \(4, 230, 4\)"),
        (broken({"idx_Test": [1, 2, 3]}), r"test: .*4 sequences.*idx_Test of shape \(3,\)"),
        (broken({"idx_Test": np.zeros(4)}), "names or integers.*float64"),
        (broken({"idx_Test": np.array([b"\xff"] * 4)}), "UTF-8"),
        (broken({"X_Train": np.zeros((7, 249, 5))}), r"X_Train: .*shape \(7, 249, 5\)"),
        (broken({"X_Train": np.zeros((7, 249))}), "tokens are integers"),
        (broken({"X_Train": np.zeros((7, 4, 4))}), "cannot tell bases from positions"),
        (
            broken({"X_Train": np.full((7, 249), 256)}),
            "tokens 0 to 4.*Received: 256 at position 0 of record '0'",
        ),
        (broken({"X_Train": np.zeros((0, 249, 4))}), r"X_Train is empty \(shape \(0, 249, 4\)\)"),
        (broken({"y_Train": h5py.Empty("f4")}), "y_Train is empty"),
        (broken({"y_Train": 3.0}), "y_Train is empty"),
        (broken({"y_Train": np.full((7, 2), b"1.5")}), "expected numbers.*y_Train"),
        (broken({"y_Val": [[0, 1], [1, np.nan], [1, 1]]}), r"validation: .*finite.*row 1 "),
        (broken({"y_Val": [[0, 1], [1e300, 0], [1, 1]]}), "validation: .*finite.*row 1"),
        (broken({"std_Val": -np.ones((3, 2))}), "standard deviations.*row 0 of std_Val"),
        (broken({"ensemble_mean": np.zeros((7, 1))}), r"labels.*ensemble_mean of shape \(7, 1\)"),
    ],
)
def test_refusals(tmp_path, make, message):
    path = make(tmp_path / "a.h5")
    with pytest.raises(InputError, match=message) as caught:
        read_splits(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_truncated_file(tmp_path, kept):
    path = Data().flat(tmp_path / "a.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"cut off, damaged.*truncated file"):
        read_splits(path)


def test_damage_found_while_reading(tmp_path):
    path = Data().flat(tmp_path / "a.h5", compression="gzip", chunks=(1, 249, 4))
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["X_Train"].id.get_chunk_info(3)
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_splits(path)


def some_splits(kind="tokens", heads=None, labels=False, names=True, target_length=None):
    heads = heads or HeadLayout(("Dev", "Hk"), aleatoric="std")
    rng = np.random.default_rng(3)
    parts = {}
    for name, n in SIZES.items():
        sequences = random_tokens(n, 31, seed=n)
        if kind == "floats":
            sequences = rng.normal(size=(n, 31, 4)).astype(np.float32)
        elif kind == "one-hot floats":
            sequences = hot(sequences, np.float32)
        shape = (n, *([target_length] if target_length else []), heads.n_columns)
        label = rng.random((n, heads.n_targets)).astype(np.float32) if labels else None
        parts[name] = Split(
            sequences,
            rng.random(shape),
            np.array([f"{name} é\t{'x' * (n - i)}" for i in range(n)], object) if names else None,
            label if name == "train" else None,
            label,
        )
    return Splits(**parts, heads=heads)


def assert_equal_splits(one, other):
    assert one.heads == other.heads
    assert one.fingerprint == other.fingerprint
    for (_, a), (_, b) in zip(one.items(), other.items(), strict=True):
        for field in ("sequences", "targets", "names", "ensemble_mean", "ensemble_std"):
            first, second = getattr(a, field), getattr(b, field)
            assert (first is None) == (second is None)
            if first is not None:
                assert first.dtype == second.dtype
                np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "floats", "names": False},
        {"kind": "one-hot floats"},
        {"labels": True, "heads": HeadLayout(("a", "b", "c"))},
        {"heads": HeadLayout(("a",), "log_variance"), "target_length": 20},
    ],
)
def test_round_trip(tmp_path, options, one_hot):
    splits = some_splits(**options)
    path = tmp_path / "new" / "a.h5"
    write_splits(path, splits, one_hot=one_hot)
    assert_equal_splits(read_splits(path), splits)
    first = path.read_bytes()
    write_splits(path, splits, one_hot=one_hot)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("sizes", [{"train": 4, "validation": 4, "test": 4}])
def test_round_trip_of_four_bases_and_square_targets(tmp_path, sizes):
    parts = {name: Split(random_tokens(n, 4, n), np.eye(4)) for name, n in sizes.items()}
    splits = Splits(**parts, heads=HeadLayout(tuple("abcd")))
    write_splits(tmp_path / "a.h5", splits, one_hot=True)
    assert_equal_splits(read_splits(tmp_path / "a.h5"), splits)


def test_written_file_explains_itself(tmp_path):
    path = tmp_path / "a.h5"
    splits = some_splits(labels=True)
    write_splits(path, splits, one_hot=True)
    with h5py.File(path) as file:
        assert file.attrs["format"] == "degu_tf splits"
        assert file.attrs["version"] == 1
        assert HeadLayout.from_dict(json.loads(file.attrs["heads"])) == splits.heads
        assert list(file.attrs["columns"]) == list(splits.heads.columns)
        assert list(file) == ["test", "train", "validation"]
        expected = ["ensemble_mean", "ensemble_std", "names", "sequences", "targets"]
        assert list(file["train"]) == expected
        assert all(file["train"][name].compression == "gzip" for name in expected)
        sequences = file["test/sequences"]
        assert sequences.dtype == np.uint8
        np.testing.assert_array_equal(sequences[:], hot(splits.test.sequences, np.uint8))
        assert file["test/names"].asstr()[2] == "test é\txx"


def test_own_file_and_given_targets(tmp_path):
    path = tmp_path / "a.h5"
    splits = some_splits()
    write_splits(path, splits)
    assert read_splits(path, targets=splits.heads.targets).heads == splits.heads
    assert read_splits(path, targets=splits.heads.columns).heads == splits.heads
    with pytest.raises(InputError, match="leave out targets="):
        read_splits(path, targets=("Hk", "Dev"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("version", 2, "expected version 1.*Received: version 2"),
        ("heads", "{}", "heads is missing or damaged"),
        ("heads", "no JSON", "heads is missing or damaged"),
        ("heads", json.dumps(HeadLayout(("a",)).to_dict()), r"targets of train .*\(N, 1\)"),
    ],
)
def test_own_file_with_other_attributes(tmp_path, name, value, message):
    path = tmp_path / "a.h5"
    write_splits(path, some_splits())
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    with pytest.raises(InputError, match=message):
        read_splits(path)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_failed_write_leaves_the_old_file(tmp_path, name):
    path = tmp_path / "a.h5"
    splits = some_splits()
    write_splits(path, splits)
    test = replace(splits.test, names=np.array(["a", name, "b", "c"], object))
    with pytest.raises(InputError, match="test: row 1 has a name"):
        write_splits(path, replace(splits, test=test))
    assert len(list(tmp_path.iterdir())) == 1
    assert read_splits(path).test.names[1] == "test é\txxx"


def test_progress_is_shown_only_when_asked_for(tmp_path, capfd):
    path = Data().flat(tmp_path / "a.h5")
    read_splits(path)
    assert capfd.readouterr().err == ""
    read_splits(path, progress=True)
    assert "reading" in capfd.readouterr().err


def label_arrays(aleatoric=False, shape=(5, 2)):
    rng = np.random.default_rng(0)
    roles = ("mean", "std", "aleatoric") if aleatoric else ("mean", "std")
    splits = ("train", "val", "test")
    return {f"{split}_{role}": rng.random(shape) for split in splits for role in roles}


@pytest.mark.parametrize("aleatoric", [True, False])
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_ensemble_labels(tmp_path, aleatoric, suffix):
    arrays = label_arrays(aleatoric)
    path = tmp_path / f"labels{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        edit(path, **arrays)
    labels = read_ensemble_labels(path)
    assert list(labels) == ["train", "validation", "test"]
    assert set(labels["test"]) == {"mean", "std"} | ({"aleatoric"} if aleatoric else set())
    for role, values in labels["validation"].items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, arrays[f"val_{role}"].astype(np.float32))


def test_ensemble_labels_of_one_column(tmp_path):
    np.savez(tmp_path / "labels.npz", **label_arrays(shape=(5,)))
    assert read_ensemble_labels(tmp_path / "labels.npz")["train"]["std"].shape == (5, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_std": None}, "val_std, test_mean and test_std. Received: datasets test_mean"),
        ({"test_std": np.array([[0.1, 0.2], [0.1, -0.2]] + [[0, 0]] * 3)}, "row 1 of test_std"),
        ({"test_mean": np.full((5, 2), np.inf)}, "finite labels.*row 0 of test_mean"),
        ({"test_mean": np.zeros((4, 2))}, "equal numbers of rows.*'test_mean': 4"),
        ({"test_mean": np.array(["a"] * 5)}, "as numbers"),
        ({"test_mean": np.array([None] * 5)}, "without pickles"),
    ],
)
def test_bad_ensemble_labels(tmp_path, changes, message):
    arrays = label_arrays() | changes
    path = tmp_path / "labels.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message):
        read_ensemble_labels(path)


def test_damaged_or_missing_ensemble_labels(tmp_path):
    path = tmp_path / "labels.npz"
    with pytest.raises(InputError, match="expected a file"):
        read_ensemble_labels(path)
    np.savez(path, **label_arrays())
    whole = path.read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (b"", b"text", whole[: len(whole) // 2], (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"whole \.npz file"):
            read_ensemble_labels(path)


def test_encodings_of_other_tools_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 5, (60, 249)).astype(np.uint8)
    images = np.eye(4, dtype=np.uint8)[tokens - 1] * 255
    for kind, sequences, message in (
        ("counted", tokens, r"x_train: .*subtract 1\. Received: no 0, and 2\d\.\d% of 4, first at"),
        ("images", images, r"x_train: expected one-hot positions.*Received: .*255"),
        ("floats", images.astype(np.float32), "divide them by 255.* Received: 255.0 for every 1"),
    ):
        path = tmp_path / f"{kind}.h5"
        with h5py.File(path, "w") as file:
            for split in ("train", "valid", "test"):
                file[f"x_{split}"], file[f"y_{split}"] = sequences, np.ones((60, 2))
        with pytest.raises(InputError, match=message):
            read_splits(path)


@pytest.mark.parametrize("shape", [(5, 2), (5, 8, 2)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_negative_deviations_of_an_own_file_are_refused(tmp_path, shape, split):
    targets = np.ones(shape, np.float32)
    part = Split(np.zeros((5, 8), np.uint8), targets)
    damaged = targets.copy()
    damaged[(3, *[2] * (len(shape) - 2), 1)] = -0.25
    parts = {name: part for name in NAMES} | {split: Split(part.sequences, damaged)}
    heads = HeadLayout(("a",), aleatoric="std")
    write_splits(tmp_path / "d.h5", Splits.from_parts(parts, heads))
    share = "20.0%" if len(shape) == 2 else "2.5%"
    place = ("position 2 of " if len(shape) == 3 else "") + rf"row 3 \(record 3\) of {split}"
    message = rf"not negative.*Received: {share} of a_aleatoric below zero, first -0.25 at {place}"
    with pytest.raises(InputError, match=message):
        read_splits(tmp_path / "d.h5")
    log_variance = HeadLayout(("a",), aleatoric="log_variance")
    write_splits(tmp_path / "l.h5", Splits.from_parts(parts, log_variance))
    assert read_splits(tmp_path / "l.h5").heads == log_variance


def with_gaps(**given):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(6, 2))
    y[2, 1] = np.nan
    part = Split(rng.integers(0, 4, (6, 8), np.uint8), y, missing_targets="keep", **given)
    return Splits(part, part, part, HeadLayout(("a", "b")))


def test_gaps_and_weights_are_written_and_read(tmp_path):
    splits = with_gaps(weights=np.arange(1, 7))
    write_splits(tmp_path / "d.h5", splits)
    read = read_splits(tmp_path / "d.h5")
    assert read.fingerprint == splits.fingerprint
    assert read.n_values("test") == {"a": 6, "b": 5}
    assert read.train.weights.tolist() == [1, 2, 3, 4, 5, 6]
    with h5py.File(tmp_path / "d.h5", "a") as file:
        del file.attrs["missing_targets"]
    with pytest.raises(InputError, match=r"train: targets must be finite.*row 2"):
        read_splits(tmp_path / "d.h5")
    assert read_splits(tmp_path / "d.h5", missing_targets="keep").fingerprint == read.fingerprint
    with h5py.File(tmp_path / "d.h5", "a") as file:
        file["train/weights"][3] = 0
    with pytest.raises(InputError, match=r"weights must be finite and above 0.*row 3"):
        read_splits(tmp_path / "d.h5", missing_targets="keep")


def test_weights_of_values_are_written_and_read(tmp_path):
    splits = with_gaps(weights=np.arange(1, 13).reshape(6, 2))
    write_splits(tmp_path / "d.h5", splits)
    read = read_splits(tmp_path / "d.h5")
    assert read.fingerprint == splits.fingerprint
    assert read.train.weights[2].tolist() == [5, 6]


def test_complete_data_are_written_as_before_there_were_gaps(tmp_path):
    splits = with_gaps()
    parts = {
        name: replace(split, targets=np.nan_to_num(split.targets)) for name, split in splits.items()
    }
    write_splits(tmp_path / "kept.h5", Splits(**parts, heads=splits.heads))
    parts = {name: replace(split, missing_targets="refuse") for name, split in parts.items()}
    write_splits(tmp_path / "plain.h5", Splits(**parts, heads=splits.heads))
    assert (tmp_path / "kept.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    with h5py.File(tmp_path / "plain.h5") as file:
        assert set(file.attrs) == {"format", "version", "heads", "columns"}
        assert set(file["train"]) == {"sequences", "targets"}


def test_other_layouts_have_gaps_where_that_is_said_and_no_weights(tmp_path):
    splits = with_gaps()
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name in ("Train", "Val", "Test"):
            file[f"{name}/X"] = splits.train.sequences
            file[f"{name}/y"] = splits.train.targets
            file[f"{name}/weights"] = np.zeros(6)
    names = ("a", "b")
    with (
        pytest.warns(UserWarning, match="datasets not read: Test/weights"),
        pytest.raises(InputError, match="missing_targets='keep' keeps rows"),
    ):
        read_splits(tmp_path / "d.h5", names)
    with pytest.warns(UserWarning, match="datasets not read: Test/weights"):
        read = read_splits(tmp_path / "d.h5", names, missing_targets="keep")
    assert read.fingerprint == splits.fingerprint
    assert read.train.weights is None
