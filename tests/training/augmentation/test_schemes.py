import itertools
import json
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from evoaug_tf import augment as theirs
from evoaug_tf.evoaug import RobustModel
from scipy import stats

from degu_tf.data.pipeline import epoch_order, training_batches
from degu_tf.data.splits import Split
from degu_tf.training.augmentation import names, operations, schemes
from degu_tf.training.augmentation.schemes import (
    EvoAug,
    apply,
    augmented,
    describe,
    from_description,
)
from degu_tf.utils.errors import InputError
from degu_tf.utils.random_keys import draw_key

LENGTH = 40


class Digit(operations.Keyed):
    """Writes its digit behind those that are there."""

    def __init__(self, digit):
        self.digit = digit

    def apply(self, x, key):
        return 10.0 * x + self.digit


class Seen(theirs.AugmentBase):
    """Draws from TensorFlow's generator, and counts how often it is computed."""

    def __init__(self):
        self.count = 0

    def __call__(self, x):
        def notice():
            self.count += 1
            return np.float32(self.count)

        with tf.control_dependencies([tf.numpy_function(notice, [], tf.float32)]):
            return x + tf.random.uniform(tf.shape(x))


class Branching(theirs.AugmentBase):
    """Python's `if` on a tensor, as evoaug-tf's decorated calls allow."""

    def __call__(self, x):
        if tf.random.uniform(()) < 0.5:
            return x
        return x + 1.0


class Returns(theirs.AugmentBase):
    def __init__(self, change):
        self.change = change

    def __call__(self, x):
        return self.change(x)


@pytest.fixture(scope="module")
def batches():
    """Endless batches of 8 of 21 sequences, shuffled by seed 3: 3 steps an epoch."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 5, (21, LENGTH), dtype=np.uint8)
    return training_batches(Split(tokens, np.arange(21.0)[:, np.newaxis]), 8, seed=3)


def blank(count=None):
    return tf.data.Dataset.from_tensors(tf.zeros((1, 1, 4))).repeat(count)


def taken(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def choices(scheme, count, seed=0):
    """Which digits were written in each of so many batches."""
    batches = taken(augmented(blank(), scheme, seed, 10), count)
    return [tuple(int(digit) for digit in str(int(x[0, 0, 0])) if digit != "0") for x in batches]


def fits(counts):
    return stats.chisquare(list(counts)).pvalue > 1e-3


def same(a, b):
    pairs = zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


class TestEvoAug:
    def test_numbers_and_members_are_drawn_uniformly(self):
        drawn = choices(EvoAug([Digit(each) for each in (1, 2, 3, 4)]), 3000)
        numbers = Counter(map(len, drawn))
        assert set(numbers) == {0, 1, 2}
        assert fits(numbers.values())
        assert fits(Counter(each for each in drawn if len(each) == 1).values())
        pairs = Counter(each for each in drawn if len(each) == 2)
        assert set(pairs) == set(itertools.combinations((1, 2, 3, 4), 2))
        assert fits(pairs.values())

    def test_it_chooses_as_evoaug_tf_does(self):
        digits = [Digit(each) for each in (1, 2, 3)]
        here = Counter(choices(EvoAug(digits, fewest=1, most=2), 600))
        keras.utils.set_random_seed(0)
        loop = RobustModel(lambda shape: None, augment_list=digits, max_augs_per_seq=2)
        there = Counter(int(loop._apply_augment(tf.zeros((1, 1, 4)))[0, 0, 0]) for _ in range(600))
        there = Counter({tuple(map(int, str(key))): value for key, value in there.items()})
        assert set(here) == set(there)
        table = [[drawn[key] for key in here] for drawn in (here, there)]
        assert stats.chi2_contingency(table).pvalue > 1e-3

    @pytest.mark.parametrize(("fewest", "most"), [(1, 1), (2, 2), (0, 0), (3, 3), (1, 3)])
    def test_the_number_stays_in_its_range(self, fewest, most):
        scheme = EvoAug([Digit(each) for each in (1, 2, 3)], fewest=fewest, most=most)
        assert {len(each) for each in choices(scheme, 60)} == set(range(fewest, most + 1))

    def test_only_the_chosen_are_computed(self):
        seen = Seen()
        scheme = EvoAug([seen, Digit(1), Digit(2)], fewest=1, most=1)
        x = taken(augmented(blank(60), scheme, 0, 10), 60)
        noisy = sum(float(each[0, 0, 0]) not in (1.0, 2.0) for each in x)
        assert 8 < noisy < 35
        assert seen.count == noisy

    def test_members_draw_apart(self):
        noise = operations.RandomNoise(0.0, 1.0)
        x = tf.one_hot(tf.zeros((1, 3000), tf.int32), 4)
        once = EvoAug([noise], 1, 1).apply(x, draw_key("test", 1)) - x
        twice = EvoAug([noise, noise], 2, 2).apply(x, draw_key("test", 1)) - x
        assert np.std(once) == pytest.approx(1.0, rel=0.05)
        assert np.std(twice) == pytest.approx(np.sqrt(2.0), rel=0.05)

    def test_any_augmentation_may_be_a_member(self):
        members = [theirs.RandomNoise(), theirs.RandomMutation(), Branching(), Seen(), Digit(1)]
        x = tf.one_hot(np.zeros((3, LENGTH), int), 4)
        scheme = EvoAug(members, fewest=5, most=5)
        for result in (scheme(x), tf.function(scheme.apply)(x, draw_key("test", 0))):
            assert result.shape == x.shape
            assert not np.array_equal(result, x)
        assert EvoAug([scheme, Digit(2)], 2, 2)(x).shape == x.shape

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([],), r"expected a list of augmentations. Received: \[\]"),
            ((operations.RandomNoise(),), "expected a list of augmentations"),
            (([operations.RandomNoise],), "make an object of the class. Received: <class"),
            (([lambda x: x],), "derived from evoaug_tf.augment.AugmentBase"),
            (([theirs.RandomInsertion()],), "leave out .* insert.*evoaug_tf.augment.RandomInse"),
            (([theirs.RandomInsertionBatch()],), "RandomInsertionBatch"),
            (([operations.RandomNoise()],), "most=2, 1 augmentations"),
            ((None, 3), "fewest=3, most=2"),
            ((None, -1), "fewest=-1"),
            ((None, 0, 1.5), r"whole numbers.*most=1.5"),
        ],
    )
    def test_what_cannot_be_chosen_from(self, arguments, message):
        with pytest.raises(InputError, match=message):
            EvoAug(*arguments)


class TestNames:
    def test_the_papers_schemes(self):
        drawn = {name: names.scheme(name) for name in names.SCHEMES}
        numbers = {name: (each.fewest, each.most) for name, each in drawn.items() if "ev" in name}
        assert numbers == {"evoaug": (0, 2), "evoaug_one": (1, 1), "evoaug_released": (1, 2)}
        listed = [
            {"name": "RandomDeletionBatch", "delete_max": 20, "delete_min": 0},
            {"name": "RandomTranslocationBatch", "shift_max": 20, "shift_min": 0},
            {"name": "RandomNoise", "noise_mean": 0.0, "noise_std": 0.2},
            {"name": "RandomMutation", "mutate_frac": 0.05},
        ]
        for name in ("evoaug", "evoaug_one"):
            assert describe(drawn[name])["augmentations"] == listed
        listed[0]["name"] = "RandomDeletion"
        assert describe(drawn["evoaug_released"])["augmentations"] == listed
        assert describe(drawn["mutagenesis"]) == listed[3]
        assert describe(drawn["shuffle"]) == {"name": "RandomShuffle"}

    def test_an_unknown_name(self):
        with pytest.raises(InputError, match=r"evoaug, evoaug_one.*recombine.* Received: 'evo'"):
            names.scheme("evo")

    @pytest.mark.parametrize("name", names.SCHEMES)
    def test_each_runs_and_keeps_what_it_must(self, name, batches):
        dataset = augmented(batches, names.scheme(name), 1, 3)
        assert dataset.element_spec == batches.element_spec
        changed = False
        for (x, y), (x_new, y_new) in zip(taken(batches, 6), taken(dataset, 6), strict=True):
            assert np.array_equal(y, y_new)
            assert x_new.shape == x.shape
            assert x_new.dtype == np.float32
            changed |= not np.array_equal(x, x_new)
        assert changed


class TestPipeline:
    def test_a_batch_follows_from_seed_epoch_and_place(self, batches):
        scheme = EvoAug()
        expected = []
        for position, (x, y) in enumerate(taken(batches, 9)):
            key = draw_key("augmentation", 5, position // 3, position % 3)
            expected.append((apply(scheme, x, key).numpy(), y))
        assert same(taken(augmented(batches, scheme, 5, 3), 9), expected)
        assert same(taken(augmented(batches, scheme, 5, 3), 9), expected)
        later = training_batches_from(batches, 2)
        assert same(taken(augmented(later, scheme, 5, 3, first_epoch=2), 3), expected[6:])

    def test_seeds_epochs_and_places_draw_differently(self):
        x = tf.data.Dataset.from_tensors(tf.one_hot(np.zeros((2, LENGTH), int), 4)).repeat()
        drawn = [
            each.tobytes()
            for seed in (1, 2)
            for each in taken(augmented(x, operations.RandomNoise(), seed, 4), 12)
        ]
        assert len(set(drawn)) == 24

    def test_draws_have_nothing_to_do_with_the_order_of_the_same_seed(self):
        table = np.zeros((4, 4))
        for seed in range(400):
            first = epoch_order(4, seed, 0)[0]
            key = draw_key("augmentation", seed, 0, 0)
            table[first, tf.random.experimental.stateless_shuffle(tf.range(4), key)[0]] += 1
        assert stats.chi2_contingency(table).pvalue > 1e-3
        assert fits(table.ravel())

    def test_keys_differ_in_all_that_they_are_made_of(self):
        parts = [("a", 1), ("a", 2), ("b", 1), ("a", 1, 0), ("a", 1, 1), ("a", 1, 0, 1)]
        parts += [("a", 1, 1, 0), ("a", 2**40), ("a", 1, 2**40)]
        assert len({tuple(draw_key(*each).numpy()) for each in parts}) == len(parts)
        assert draw_key("a", 1, 5).dtype == tf.int64
        assert np.array_equal(draw_key("a", 1, 5), draw_key("a", 1, tf.constant(5)))

    @pytest.mark.parametrize("form", ["x", "(x,)", "(x, y)", "(x, y, w)", "(x, {y})"])
    def test_elements_keep_their_form(self, form):
        x = np.arange(24, dtype=np.float32).reshape(1, 6, 4)
        others = {
            "x": None,
            "(x,)": (),
            "(x, y)": (np.float32([[1]]),),
            "(x, y, w)": (np.float32([[1]]), np.float64([2])),
            "(x, {y})": ({"a": np.float32([[1]]), "b": np.int32([[[3]]])},),
        }[form]
        element = x if others is None else (x, *others)
        dataset = tf.data.Dataset.from_tensors(element).repeat()
        (replaced,) = taken(augmented(dataset, Digit(7), 0, 1), 1)
        (appended,) = taken(augmented(dataset, Digit(7), 0, 1, append=True), 1)
        tf.nest.assert_same_structure(replaced, element)
        tf.nest.assert_same_structure(appended, element)
        parts = zip(*map(tf.nest.flatten, (element, replaced, appended)), strict=True)
        for index, (before, after, both) in enumerate(parts):
            assert after.dtype == both.dtype == before.dtype
            assert np.array_equal(after, before * 10 + 7 if index == 0 else before)
            assert np.array_equal(both, np.concatenate([before, after]))

    def test_absent_weights_stay_absent(self):
        dataset = tf.data.Dataset.range(3).map(lambda _: (tf.zeros((2, 3, 4)), tf.ones(2), None))
        (element,) = augmented(dataset, Digit(1), 0, 3, append=True).take(1)
        assert element[2] is None
        assert element[1].shape == (4,)

    def test_half_precision_stays(self):
        x = tf.data.Dataset.from_tensors(tf.zeros((2, LENGTH, 4), tf.bfloat16))
        for name in names.SCHEMES:
            result = augmented(x, names.scheme(name), 0, 1)
            assert result.element_spec == x.element_spec
            assert next(iter(result)).shape == (2, LENGTH, 4)

    def test_ones_own_augmentation_repeats_by_tensorflows_seed(self, batches):
        def draws(global_seed, make):
            keras.utils.set_random_seed(global_seed)
            return taken(augmented(batches, make(), 1, 3), 6)

        for make in (Seen, lambda: EvoAug([Seen(), Branching()], 1, 2), theirs.RandomMutation):
            assert not schemes.is_stateless(make())
            first = draws(4, make)
            assert same(draws(4, make), first)
            assert not same(draws(5, make), first)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x: x[:, 1:], r"shape \(8, 40, 4\).*returned shape \(8, 39, 4\)"),
            (lambda x: tf.cast(x, tf.float64), "dtype float32, returned .* float64"),
            (lambda x: x[0], "returned shape"),
        ],
    )
    def test_other_shapes_and_dtypes_are_refused_by_name(self, change, message, batches):
        who = rf"{Returns.__module__}.Returns must keep the shape and dtype"
        x = tf.zeros((8, LENGTH, 4))
        with pytest.raises(InputError, match=f"{who}.*{message}"):
            apply(Returns(change), x, draw_key("test", 0))
        with pytest.raises(InputError, match=f"{who}"):
            augmented(batches, Returns(change), 0, 3)
        with pytest.raises(InputError, match=f"{who}"):
            augmented(batches, EvoAug([Returns(change)], 1, 1), 0, 3)

    def test_a_length_known_only_later_is_refused_when_it_is(self, batches):
        class Longer(theirs.RandomInsertion):
            pass

        who = r"Longer must keep the shape and dtype"
        for scheme in (Longer(1, 1), EvoAug([Longer(1, 1)], 1, 1)):
            with pytest.raises(tf.errors.InvalidArgumentError, match=who):
                taken(augmented(batches, scheme, 0, 3), 1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"seed": -1}, r"seed must be a whole number from 0 .*Received: -1"),
            ({"seed": 0.5}, "Received: 0.5"),
            ({"steps_per_epoch": 0}, r"steps_per_epoch .* from 1. Received: 0"),
            ({"first_epoch": -1}, r"first_epoch .* from 0. Received: -1"),
            ({"scheme": "evoaug"}, "expected an augmentation.*Received: 'evoaug'"),
            ({"scheme": theirs.RandomInsertion()}, "leave out those that insert"),
        ],
    )
    def test_arguments_out_of_range(self, arguments, message, batches):
        arguments = {"scheme": EvoAug(), "seed": 0, "steps_per_epoch": 3} | arguments
        with pytest.raises(InputError, match=message):
            augmented(batches, **arguments)

    @pytest.mark.parametrize(
        "x", [np.zeros((2, 40), np.uint8), np.zeros((2, 40, 4), np.uint8), {"x": np.zeros(2)}]
    )
    def test_elements_that_are_no_sequences(self, x):
        dataset = tf.data.Dataset.from_tensors(x)
        with pytest.raises(InputError, match=r"sequences \(B, L, 4\).*one_hot_batch. Received"):
            augmented(dataset, EvoAug(), 0, 1)


class TestStateless:
    def test_what_is_drawn_by_key_alone(self):
        assert schemes.is_stateless(Digit(1))
        assert schemes.is_stateless(EvoAug([Digit(1), EvoAug()], 1, 1))
        assert not schemes.is_stateless(theirs.RandomNoise())
        assert not schemes.is_stateless(EvoAug([Digit(1), EvoAug([Seen()], 1, 1)], 1, 1))

    def test_a_call_that_overrides_ours_is_called(self):
        class Mine(operations.RandomMutation):
            def __call__(self, x):
                return x + 1.0

        assert not schemes.is_stateless(Mine())
        assert np.all(apply(Mine(), tf.zeros((1, 4, 4)), draw_key("test", 0)) == 1.0)


class TestDescriptions:
    @pytest.mark.parametrize("name", names.SCHEMES)
    def test_ours_are_made_again_from_theirs(self, name):
        content = json.loads(json.dumps(describe(names.scheme(name))))
        again = from_description(content)
        assert type(again) is type(names.scheme(name))
        assert describe(again) == content == describe(names.scheme(name))

    def test_equal_schemes_and_only_those_have_equal_descriptions(self):
        assert describe(EvoAug()) == describe(EvoAug(tuple(schemes.paper_augmentations())))
        noise = describe(operations.RandomNoise(0, np.float64(0.2)))
        assert noise == describe(operations.RandomNoise())
        different = [
            EvoAug(),
            EvoAug(most=1),
            EvoAug(fewest=1),
            EvoAug([operations.RandomRC()], 0, 1),
        ]
        different += [operations.RandomRC(), operations.RandomRC(0.4), operations.RandomRCBatch()]
        different += [theirs.RandomRC(), theirs.RandomNoise(), Digit(1), Digit(2)]
        assert len({json.dumps(describe(each)) for each in different}) == len(different)

    def test_ones_own_class_is_told_by_name_and_attributes(self):
        content = describe(Digit(np.int64(3)))
        assert content == {"class": f"{__name__}.Digit", "attributes": {"digit": 3}}
        assert describe(theirs.RandomRC(0.5)) == {
            "class": "evoaug_tf.augment.RandomRC",
            "attributes": {"rc_prob": 0.5},
        }

        def attributes(value):
            return json.loads(json.dumps(describe(Returns(value))))["attributes"]["change"]

        assert attributes([1, (2.5, None), {"a": True}]) == [1, [2.5, None], {"a": True}]
        assert attributes(operations.RandomRC(0.5)) == {"name": "RandomRC", "rc_prob": 0.5}
        assert attributes(np.mean) == "numpy.mean"
        assert attributes(Counter()) == {}
        assert attributes(object()) == "builtins.object"
        arrays = [np.zeros(3), np.ones(3), np.zeros((3, 1)), tf.zeros(2)]
        assert len({json.dumps(attributes(each)) for each in arrays}) == 4
        assert attributes(np.ones(3)) == attributes(np.ones(3))

    def test_a_class_derived_from_ours_is_ones_own(self):
        class RandomMutation(operations.RandomMutation):
            pass

        assert describe(RandomMutation())["class"].endswith("RandomMutation")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (describe(Digit(1)), "make another in your own code and pass it.*Digit"),
            (describe(EvoAug([Digit(1)], 1, 1)), "pass it.*Digit"),
            ({"name": "os.system"}, "Received: {'name': 'os.system'}"),
            ("RandomNoise", "Received: 'RandomNoise'"),
            ({"name": "RandomNoise", "sd": 1}, "parameters of RandomNoise do not fit .*'sd'"),
            ({"name": "RandomNoise", "noise_std": -1}, "noise_std"),
        ],
    )
    def test_others_are_not_made_from_a_description(self, content, message):
        with pytest.raises(InputError, match=message):
            from_description(content)


def training_batches_from(batches, epoch):
    return batches.skip(3 * epoch)
