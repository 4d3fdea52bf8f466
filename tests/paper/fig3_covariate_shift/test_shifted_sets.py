import h5py
import numpy as np
import pytest
import tensorflow as tf

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.heads import HeadLayout
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.fig3_covariate_shift import shifted_sets_file
from degu_tf.paper.fig3_covariate_shift.shifted_sets import (
    activity_levels,
    distance_to_oracle,
    oracle_activity,
    shifted_sets,
)
from degu_tf.paper.fig3_covariate_shift.shifted_sets_file import (
    fingerprint,
    read_shifted_sets,
    write_shifted_sets,
)
from degu_tf.sequences.encoding import as_float, one_hot
from degu_tf.training.augmentation import operations, schemes
from degu_tf.utils.errors import InputError

N, LENGTH = 130, 50
ORDER = ["none", "small", "intermediate", "large"]


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(0, 5, (N, LENGTH), dtype=np.uint8)


@pytest.fixture(scope="module")
def sets(tokens):
    return shifted_sets(tokens, seed=7, batch_size=20)


class Counts:
    """Two targets in closed form: so many times the A and the C of each sequence."""

    def __init__(self, *factors, targets=("Dev", "Hk")):
        self.factors, self.heads, self.calls = factors, HeadLayout(targets), 0

    def predict(self, sequences):
        self.calls += 1
        counts = as_float(sequences).sum(axis=1)[:, : len(self.factors)]
        return self.heads.prediction(counts * np.float32(self.factors))


class Marks(operations.Keyed):
    def __init__(self, mark):
        self.mark = mark

    def apply(self, x, key):
        return x + tf.cast(self.mark, x.dtype)


def same(a, b):
    return list(a) == list(b) and all(
        np.array_equal(a[shift], b[shift]) and a[shift].dtype == b[shift].dtype for shift in a
    )


class TestSets:
    def test_what_each_shift_does(self, tokens, sets):
        assert list(sets) == ORDER
        assert [str(each.dtype) for each in sets.values()] == ["uint8", "uint8", "float32", "uint8"]
        assert np.array_equal(sets["none"], tokens)
        changed = sets["small"] != tokens
        assert changed.mean() == pytest.approx(0.05 * 0.8, rel=0.1)  # a fifth is unknown
        assert changed.sum(axis=1).max() <= round(0.05 / 0.75 * LENGTH)
        assert np.array_equal(sets["small"] == 4, tokens == 4)
        assert np.array_equal(np.sort(sets["large"], axis=1), np.sort(tokens, axis=1))
        assert (sets["large"] == tokens).mean() == pytest.approx(0.2, abs=0.03)
        assert sets["intermediate"].shape == (N, LENGTH, 4)
        unknown = (~sets["intermediate"].any(axis=2)).sum(axis=1)
        assert np.all(unknown <= (tokens == 4).sum(axis=1))

    def test_seeds_repeat_and_differ(self, tokens, sets):
        assert same(shifted_sets(tokens, seed=7, batch_size=20), sets)
        other = shifted_sets(tokens, seed=8, batch_size=20)
        assert not any(np.array_equal(sets[shift], other[shift]) for shift in ORDER[1:])

    def test_strings_and_one_hot_are_sequences_too(self):
        tokens = np.random.default_rng(1).integers(0, 4, (3, 30), dtype=np.uint8)
        expected = shifted_sets(tokens, seed=1)
        assert same(shifted_sets(one_hot(tokens), seed=1), expected)
        letters = ["".join("ACGT"[token] for token in row) for row in tokens]
        assert same(shifted_sets(letters, seed=1), expected)

    def test_exactly_two_augmentations_for_each_batch(self, tokens, monkeypatch):
        marks = [1.0, 10.0, 100.0, 1000.0]
        monkeypatch.setattr(schemes, "paper_augmentations", lambda: [Marks(each) for each in marks])
        added = shifted_sets(tokens[:128], 3, 4)["intermediate"] - one_hot(tokens[:128])
        assert np.all(np.ptp(added.reshape(32, -1), axis=1) < 1e-3)
        written = np.round(added[::4, 0, 0]).astype(int)
        assert all(sorted(str(each).replace("0", "")) == ["1", "1"] for each in written)
        assert len(set(written)) == 6

    def test_who_shares_a_deletion_and_a_translocation(self):
        """Equal sequences of a batch stay nearly equal unless each is moved by itself."""
        tokens = np.tile(np.random.default_rng(2).integers(0, 4, 200, dtype=np.uint8), (400, 1))

        def agreement(released):
            x = shifted_sets(tokens, 5, batch_size=20, released=released)["intermediate"]
            x = x.reshape(20, 20, 200, 4)
            exact = np.all((x == 0) | (x == 1), axis=(1, 2, 3))
            assert 3 < exact.sum() < 17  # half of the pairs hold no noise
            return x[exact].mean(axis=1).max(axis=2).mean(axis=1)

        assert np.all(agreement(released=False) > 0.8)
        assert np.mean(agreement(released=True) < 0.6) > 0.5

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"sequences": ["A" * 20]}, r"21 bases or more. Received: shape=\(1, 20\)"),
            ({"sequences": np.full((2, 30, 4), 0.3)}, "expected one-hot positions"),
            ({"seed": -1}, r"seed must be .*Received: -1"),
            ({"batch_size": 0}, r"batch_size .* from 1. Received: 0"),
        ],
    )
    def test_what_cannot_be_shifted(self, arguments, message):
        with pytest.raises(InputError, match=message):
            shifted_sets(**{"sequences": ["A" * 30], "seed": 0} | arguments)


class TestFiles:
    def test_they_come_back_as_they_were(self, sets, tmp_path):
        path = tmp_path / "sets.h5"
        write_shifted_sets(path, sets, seed=7, batch_size=20, note="a test")
        assert same(read_shifted_sets(path), sets)
        assert same(read_shifted_sets(path, seed=7), sets)
        with h5py.File(path) as file:
            assert {name: each.dtype for name, each in file.items()} == {
                "none": np.uint8,
                "mutagenesis": np.uint8,
                "evoaug": np.float32,
                "random": np.uint8,
            }
            assert all(each.shape == (N, LENGTH, 4) for each in file.values())
            assert all(each.compression == "gzip" for each in file.values())
            assert file.attrs["fingerprint"] == fingerprint(sets)
            assert (file.attrs["seed"], file.attrs["batch_size"]) == (7, 20)
            assert np.array_equal(file["random"], one_hot(sets["large"]))
        write_shifted_sets(tmp_path / "again.h5", sets, seed=7, batch_size=20, note="a test")
        assert path.read_bytes() == (tmp_path / "again.h5").read_bytes()

    def test_sets_in_any_order_or_form(self, sets, tmp_path):
        path = tmp_path / "sets.h5"
        given = {shift: sets[shift] for shift in ("large", "intermediate", "none")}
        write_shifted_sets(path, sets | given)
        assert same(read_shifted_sets(path), sets)
        given["none"] = one_hot(given["none"])
        noise = np.random.default_rng(0).normal(0.0, 0.1, (*sets["small"].shape, 4))
        given["small"] = one_hot(sets["small"]) + noise.astype(np.float32)
        given["large"] = one_hot(given["large"]).astype(np.uint8)
        write_shifted_sets(path, given)
        back = read_shifted_sets(path)
        assert same(back, {shift: given[shift] for shift in ORDER[:3]} | {"large": sets["large"]})

    @pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)])
    def test_a_released_file(self, sets, tmp_path, axes):
        with h5py.File(tmp_path / "ood.h5", "w") as file:
            file["random"] = one_hot(sets["large"]).astype(np.float64).transpose(axes)
            file["mutagenesis"] = one_hot(sets["small"]).transpose(axes)
            file["evoaug"] = sets["intermediate"].transpose(axes)
        assert same(read_shifted_sets(tmp_path / "ood.h5"), {s: sets[s] for s in ORDER[1:]})
        with pytest.raises(InputError, match=r"seed 7. Received: seed not in the file"):
            read_shifted_sets(tmp_path / "ood.h5", seed=7)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda file: file.pop("evoaug"), "expected the datasets mutagenesis, evoaug and rand"),
            (lambda file: file["random"].write_direct(_other(file)), "changed or damaged"),
            (lambda file: file["evoaug"].__setitem__((3, 0), np.nan), "intermediate: .*record 3"),
            (lambda file: file.attrs.__setitem__("version", 2), "version 1 .*Received: version 2"),
            (lambda file: _replace(file, "random", np.zeros((5, 9, 4))), "same sequences.*large"),
            (lambda file: _replace(file, "random", np.zeros((5, 9))), "random: .*float64"),
            (lambda file: _replace(file, "random", np.zeros(0)), "rows of sequences"),
            (
                lambda file: _replace(file, "random", np.full((N, LENGTH, 4), 2)),
                "expected one-hot positions",
            ),
        ],
    )
    def test_a_file_that_is_not_in_order(self, sets, tmp_path, damage, message):
        path = tmp_path / "sets.h5"
        write_shifted_sets(path, sets, seed=7)
        with h5py.File(path, "r+") as file:
            damage(file)
        with pytest.raises(InputError, match=rf"sets.h5: .*{message}"):
            read_shifted_sets(path)

    def test_other_files(self, sets, tmp_path):
        with pytest.raises(InputError, match="nothing or a folder"):
            read_shifted_sets(tmp_path / "none.h5")
        (tmp_path / "text.h5").write_text("text")
        with pytest.raises(InputError, match=r"text.h5: expected an HDF5 file"):
            read_shifted_sets(tmp_path / "text.h5")
        write_shifted_sets(tmp_path / "sets.h5", sets, seed=7)
        with pytest.raises(InputError, match=r"from seed 8. Received: seed 7"):
            read_shifted_sets(tmp_path / "sets.h5", seed=8)
        with h5py.File(tmp_path / "sets.h5", "r+") as file:
            file["more"] = [1]
        with pytest.warns(UserWarning, match="datasets not read: more"):
            assert same(read_shifted_sets(tmp_path / "sets.h5"), sets)

    def test_a_file_is_written_whole_or_not_at_all(self, sets, tmp_path):
        path = tmp_path / "sets.h5"
        write_shifted_sets(path, sets, seed=7)
        before = path.read_bytes()
        with pytest.raises(TypeError):
            write_shifted_sets(path, sets, seed=8, note=object())
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir()] == ["sets.h5"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"large": None}, "only none may be missing. Received: none, small, intermediate"),
            ({"huge": np.zeros((N, LENGTH), np.uint8)}, "Received: .*huge"),
            ({"small": np.zeros((N, 9), np.uint8)}, r"same sequences.*'small': \(130, 9\)"),
            ({"small": np.full((N, LENGTH), 5)}, "small: expected tokens 0 to 4.* record 0"),
        ],
    )
    def test_sets_that_do_not_belong_together(self, sets, tmp_path, change, message):
        given = {shift: each for shift, each in (sets | change).items() if each is not None}
        with pytest.raises(InputError, match=message):
            write_shifted_sets(tmp_path / "sets.h5", given)
        assert not list(tmp_path.iterdir())


class TestDistance:
    def test_it_is_the_mean_square_for_each_target_and_shift(self, sets):
        predictor, oracle = Counts(1.0, 2.0), Counts(1.5, 2.0)
        table = distance_to_oracle(predictor, oracle, sets, method="student", seed=3)
        columns = ["method", "seed", "shift", "target", "metric", "value", "n"]
        assert table.columns.tolist() == columns
        assert table["shift"].tolist() == [shift for shift in ORDER for _ in range(2)]
        assert set(table["metric"]) == {"mse"}
        assert set(table["n"]) == {N}
        for shift in ORDER:
            n_a = as_float(sets[shift])[:, :, 0].sum(axis=1, dtype=np.float64)
            value = table.set_index(["shift", "target"])["value"][shift]
            assert value["Dev"] == pytest.approx(np.mean((0.5 * n_a) ** 2), rel=1e-5)
            assert value["Hk"] == 0.0

    def test_the_oracle_predicts_once_for_several_predictors(self, sets):
        oracle, predictor = Counts(1.5, 2.0), Counts(1.0, 2.0)
        truths = oracle_activity(oracle, sets)
        for _ in range(3):
            table = distance_to_oracle(predictor, truths, sets)
        assert oracle.calls == len(sets)
        assert table.equals(distance_to_oracle(predictor, oracle, sets))
        some = {"large": sets["large"]}
        assert (
            distance_to_oracle(predictor, truths, some)["value"].tolist()
            == (table["value"].tolist()[-2:])
        )

    def test_models_and_ensembles(self, spec, sets):
        heads = HeadLayout(("Dev", "Hk"))
        members = [
            ModelPredictor(spec.build((LENGTH, 4), heads, seed=seed), heads) for seed in range(3)
        ]
        table = distance_to_oracle(members[0], Ensemble(members[1:]), sets)
        for shift, sequences in sets.items():
            a, b, c = (
                member.model(as_float(sequences), training=False).numpy() for member in members
            )
            expected = np.mean((a - (b + c) / 2) ** 2, axis=0)
            assert np.allclose(table[table["shift"] == shift]["value"], expected, rtol=1e-3)

    def test_profiles_are_pooled_over_positions(self):
        class IsA:
            def __init__(self, factor):
                self.factor = factor

            def predict(self, sequences):
                is_a = as_float(sequences)[:, :, :1]
                return HeadLayout(("signal",)).prediction(self.factor * is_a)

        table = distance_to_oracle(IsA(1.0), IsA(3.0), {"none": ["ACGA", "CCCC"]})
        assert table["value"].tolist() == [1.0]
        assert table["n"].tolist() == [8]
        with pytest.raises(InputError, match=r"profiles of shape \(2, 4, 1\) on the set 'none'"):
            activity_levels(oracle_activity(IsA(1.0), {"none": ["ACGA", "CCCC"]}))

    def test_other_targets_sets_or_sequences(self, sets):
        predictor, oracle = Counts(1.0, 2.0), Counts(1.0, 2.0)
        with pytest.raises(InputError, match=r"targets \('Dev', 'Hk'\).*Received: \('K562',\)"):
            distance_to_oracle(Counts(1.0, targets=("K562",)), oracle, sets)
        truths = oracle_activity(oracle, {"none": sets["none"], "small": sets["small"][:-1]})
        with pytest.raises(InputError, match=r"predictions of the sets none.*Received: none, sm"):
            distance_to_oracle(predictor, truths, sets)
        with pytest.raises(InputError, match=r"\(129, 2\), on the set 'small'.*\(130, 2\)"):
            distance_to_oracle(predictor, truths, {shift: sets[shift] for shift in ORDER[:2]})


class TestActivityLevels:
    def test_one_row_a_sequence_shift_and_target(self, sets):
        truths = oracle_activity(Counts(1.0, 2.0), sets)
        table = activity_levels(truths)
        assert table.columns.tolist() == ["shift", "target", "row", "value"]
        assert len(table) == 4 * 2 * N
        part = table[(table["shift"] == "large") & (table["target"] == "Hk")]
        assert part["row"].tolist() == list(range(N))
        assert np.array_equal(part["value"], truths["large"].mean[:, 1])


def _other(file):
    return np.roll(file["random"][()], 1, axis=0)


def _replace(file, name, values):
    del file[name]
    file[name] = values


def test_the_shifts_are_those_of_released_files():
    assert list(shifted_sets_file.DATASETS) == ORDER
    assert list(shifted_sets_file.DATASETS.values())[1:] == ["mutagenesis", "evoaug", "random"]
