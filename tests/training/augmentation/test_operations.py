import itertools
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from evoaug_tf import augment as theirs
from evoaug_tf.evoaug import RobustModel
from scipy import stats

from degu_tf.sequences.encoding import one_hot, reverse_complement
from degu_tf.training.augmentation import operations
from degu_tf.utils.errors import InputError

LENGTH = 60
ALL = [
    operations.RandomDeletion(),
    operations.RandomDeletionBatch(),
    operations.RandomTranslocation(),
    operations.RandomTranslocationBatch(),
    operations.RandomMutation(),
    operations.RandomNoise(),
    operations.RandomShuffle(),
    operations.RandomRC(),
    operations.RandomRCBatch(),
]
SHARES = [1 if shift else 2 for shift in range(-20, 21)]
each = pytest.mark.parametrize("augmentation", ALL, ids=lambda each: type(each).__name__)


def key(number):
    return tf.constant([number, 17], tf.int64)


def coded(n, length=LENGTH):
    """Sequences whose rows tell where they stood; random DNA is told by its ones."""
    place = 10.0 + np.arange(length, dtype=np.float32)
    return tf.constant(np.broadcast_to(place[:, np.newaxis], (n, length, 4)))


def dna(n, length=LENGTH, letters=4, seed=0):
    return one_hot(np.random.default_rng(seed).integers(0, letters, (n, length)))


def places(x):
    """Where each row of coded sequences stood, -1 for random DNA."""
    first = np.asarray(x)[:, :, 0]
    return np.where(first >= 10.0, first - 10.0, -1.0).astype(int)


def fits(counts, expected=None):
    counts = np.asarray(counts)
    share = np.ones(len(counts)) if expected is None else np.asarray(expected)
    return stats.chisquare(counts, share / share.sum() * counts.sum()).pvalue > 1e-3


def alike(a, b):
    """Whether two samples of whole numbers may come from one distribution."""
    values = np.union1d(a, b)
    table = [[np.sum(sample == value) for value in values] for sample in (a, b)]
    return stats.chi2_contingency(table).pvalue > 1e-3


def independent(a, b):
    table = np.histogram2d(a, b, bins=[len(np.unique(a)), len(np.unique(b))])[0]
    return stats.chi2_contingency(table).pvalue > 1e-3


def cut_out(x):
    """Length and place of each sequence's deletion, checked piece by piece."""
    sizes, starts = [], []
    for row in places(x):
        kept = row[row >= 0]
        size = LENGTH - len(kept)
        gap = np.flatnonzero(np.diff(kept) > 1)
        start = 0 if kept[0] > 0 else (gap[0] + 1 if len(gap) else len(kept))
        whole = np.arange(LENGTH)
        assert np.array_equal(kept, np.delete(whole, whole[start : start + size]))
        assert np.array_equal(row[size // 2 : LENGTH - (size - size // 2)], kept)
        sizes.append(size)
        starts.append(start)
    return np.array(sizes), np.array(starts)


def rolled_by(x):
    """How far each coded sequence was rolled, as -L/2 to L/2."""
    x = places(x)
    first = np.argmax(x == 0, axis=1)
    for row, shift in zip(x, first, strict=True):
        assert np.array_equal(row, np.roll(np.arange(x.shape[1]), shift))
    return np.where(first > x.shape[1] // 2, first - x.shape[1], first)


def over_keys(augmentation, x, count):
    """The first sequence of the augmented batch, for many keys."""
    first = tf.function(lambda number: augmentation.apply(x, tf.stack([number, 5]))[0])
    return np.stack([first(tf.constant(number, tf.int64)) for number in range(count)])


class TestDeletion:
    def test_lengths_places_and_padding_are_drawn_uniformly_and_apart(self):
        x = operations.RandomDeletion(0, 20).apply(coded(4000), key(1)).numpy()
        sizes, starts = cut_out(x)
        assert fits(np.bincount(sizes, minlength=21))
        some = sizes > 0
        assert fits(np.bincount(starts[some], minlength=LENGTH - 20 + 1))
        assert independent(sizes[some], starts[some])
        bases = x[places(x) < 0]
        assert np.array_equal(bases.sum(axis=1), np.ones(len(bases)))
        assert fits(bases.sum(axis=0))

    def test_it_draws_as_evoaug_tf_does(self):
        x = coded(2000)
        here = cut_out(operations.RandomDeletion(3, 12).apply(x, key(2)))
        there = cut_out(_theirs("Deletion", 3, 12)(x))
        assert set(here[0]) == set(there[0]) == set(range(3, 13))
        assert alike(here[0], there[0])
        assert alike(here[1], there[1])

    def test_a_batch_shares_length_and_place_but_not_the_padding(self):
        augmentation = operations.RandomDeletionBatch(0, 20)
        sizes, starts = cut_out(over_keys(augmentation, coded(1), 1500))
        assert fits(np.bincount(sizes, minlength=21))
        assert fits(np.bincount(starts[sizes > 0], minlength=LENGTH - 20 + 1))
        x = operations.RandomDeletionBatch(20, 20).apply(coded(50), key(3)).numpy()
        assert len(np.unique(places(x), axis=0)) == 1
        assert len(np.unique(x, axis=0)) == 50

    def test_evoaug_tf_fails_on_batches(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="ConcatOp"):
            _theirs("DeletionBatch", 0, 20)(coded(3))

    def test_nothing_to_delete(self):
        with pytest.raises(ValueError, match="Shape"):
            _theirs("Deletion", 0, 0)(coded(3))
        assert np.array_equal(operations.RandomDeletion(0, 0).apply(coded(3), key(1)), coded(3))

    def test_evoaug_tf_loses_the_length_in_a_graph(self):
        lost = tf.data.Dataset.from_tensors(coded(3)).map(_theirs("Deletion", 0, 20))
        assert lost.element_spec.shape.as_list() == [None, None, 4]


class TestTranslocation:
    def test_every_distance_to_either_side(self):
        shifts = rolled_by(operations.RandomTranslocation(0, 20).apply(coded(6000), key(1)))
        assert shifts.min() == -20
        assert shifts.max() == 20
        assert fits(np.bincount(shifts + 20, minlength=41), SHARES)
        moved = shifts[shifts != 0]
        assert independent(np.abs(moved), np.sign(moved))

    def test_a_batch_moves_as_one(self):
        augmentation = operations.RandomTranslocationBatch(0, 20)
        shifts = rolled_by(over_keys(augmentation, coded(1), 1500))
        assert {-20, 20} <= set(shifts)
        assert fits(np.bincount(shifts + 20, minlength=41), SHARES)
        assert len(set(rolled_by(augmentation.apply(coded(50), key(2))))) == 1

    @pytest.mark.parametrize("name", ["Translocation", "TranslocationBatch"])
    def test_evoaug_tf_never_reaches_the_right_end_and_ignores_the_minimum(self, name):
        def shifts_of(library):
            augmentation = getattr(library, f"Random{name}")(3, 4)
            return {int(rolled_by(augmentation(coded(1)))[0]) for _ in range(100)}

        assert shifts_of(theirs) == {-4, -3, -2, -1, 0, 1, 2, 3}
        assert shifts_of(operations) == {-4, -3, 3, 4}

    def test_evoaug_tf_fails_where_nothing_moves(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="minval < maxval"):
            _theirs("Translocation", 0, 0)(coded(2))
        assert np.array_equal(
            operations.RandomTranslocation(0, 0).apply(coded(2), key(0)), coded(2)
        )


class TestMutation:
    def test_exactly_so_many_places_get_a_uniform_base(self):
        x = operations.RandomMutation(0.05).apply(coded(3000, 249), key(1)).numpy()
        drawn = places(x) < 0
        assert np.array_equal(drawn.sum(axis=1), np.full(3000, 17))
        assert fits(drawn.sum(axis=0))
        assert fits(x[drawn].sum(axis=0))
        assert independent(np.nonzero(drawn)[1] // 50, np.argmax(x[drawn], axis=1))
        assert np.array_equal(places(x)[~drawn], np.tile(np.arange(249), (3000, 1))[~drawn])

    def test_the_share_of_changed_bases(self):
        x = dna(2000, 249)

        def changed(augmented):
            return np.any(augmented.numpy() != x, axis=2).sum(axis=1)

        here = changed(operations.RandomMutation(0.05).apply(x, key(2)))
        assert here.mean() / 249 == pytest.approx(0.05, rel=0.05)
        assert alike(here, stats.binom.rvs(17, 0.75, size=4000, random_state=1))
        assert alike(here, changed(_theirs("Mutation", 0.05)(x)))

    @pytest.mark.parametrize("length", [30, 31, 37, 38, 100, 249])
    @pytest.mark.parametrize("fraction", [0.0, 0.01, 0.3, 0.75])
    def test_the_number_of_places(self, length, fraction):
        x = operations.RandomMutation(fraction).apply(coded(2, length), key(1))
        assert (places(x) < 0).sum(axis=1).tolist() == [round(fraction / 0.75 * length)] * 2

    def test_more_than_all_bases_cannot_be_drawn(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected size"):
            _theirs("Mutation", 0.8)(coded(2))
        with pytest.raises(InputError, match=r"from 0 to 0.75. Received: 0.8"):
            operations.RandomMutation(0.8)


class TestNoise:
    def test_it_is_gaussian_and_its_own_everywhere(self):
        x = dna(200)
        noise = operations.RandomNoise(0.1, 0.2).apply(x, key(1)).numpy() - x
        assert stats.kstest(noise.ravel(), stats.norm(0.1, 0.2).cdf).pvalue > 1e-3
        for axis in range(3):
            a, b = noise.take(0, axis).ravel(), noise.take(1, axis).ravel()
            assert stats.pearsonr(a, b).pvalue > 1e-3
        there = (_theirs("Noise", 0.1, 0.2)(x) - x).numpy()
        assert stats.ks_2samp(noise.ravel(), there.ravel()).pvalue > 1e-3


class TestShuffle:
    def test_every_order_is_as_likely(self):
        x = operations.RandomShuffle().apply(coded(4800, 4), key(1))
        orders = list(map(tuple, places(x)))
        assert fits([orders.count(order) for order in itertools.permutations(range(4))])

    def test_whole_rows_move(self):
        x = np.random.default_rng(0).normal(size=(50, LENGTH, 4)).astype(np.float32)
        shuffled = operations.RandomShuffle().apply(x, key(2)).numpy()
        for before, after in zip(x, shuffled, strict=True):
            assert sorted(map(tuple, before)) == sorted(map(tuple, after))
        assert (
            len(np.unique(places(operations.RandomShuffle().apply(coded(50), key(2))), axis=0))
            == 50
        )


class TestReverseComplement:
    @pytest.mark.parametrize("library", [operations, theirs])
    def test_for_each_sequence(self, library):
        x = dna(2000, 20, letters=5)
        turned = np.any(library.RandomRC(0.3)(x).numpy() != x, axis=(1, 2))
        assert stats.binomtest(int(turned.sum()), 2000, 0.3).pvalue > 1e-4
        assert np.array_equal(library.RandomRC(1.0)(x).numpy(), reverse_complement(x))
        assert np.array_equal(library.RandomRC(0.0)(x).numpy(), x)

    def test_for_a_batch(self):
        x = dna(3, 20)
        firsts = over_keys(operations.RandomRCBatch(0.3), tf.constant(x), 1000)
        turned = np.all(firsts == reverse_complement(x)[0], axis=(1, 2))
        assert np.array_equal(~turned, np.all(firsts == x[0], axis=(1, 2)))
        assert stats.binomtest(int(turned.sum()), 1000, 0.3).pvalue > 1e-4
        assert np.array_equal(operations.RandomRCBatch(1.0)(x).numpy(), reverse_complement(x))


@each
def test_equal_keys_give_equal_draws_in_eager_and_graph_mode(augmentation):
    x = tf.constant(dna(40))
    first = augmentation.apply(x, key(1)).numpy()
    assert np.array_equal(tf.function(augmentation.apply)(x, key(1)), first)
    other = [augmentation.apply(x, key(number)).numpy() for number in range(2, 8)]
    assert not all(np.array_equal(first, again) for again in other)
    assert augmentation.apply(x, tf.constant([1, 17], tf.int32)).shape == x.shape


@each
def test_no_key_serves_two_draws(augmentation, monkeypatch):
    """Draws from one key would follow each other."""
    keys = []
    for name in ("stateless_uniform", "stateless_normal"):
        draw = getattr(tf.random, name)

        def recorded(shape, seed, *arguments, draw=draw, **options):
            keys.append(tuple(seed.numpy()))
            return draw(shape, seed, *arguments, **options)

        monkeypatch.setattr(tf.random, name, recorded)
    augmentation.apply(dna(5), key(1))
    assert len(set(keys)) == len(keys) > 0


@each
def test_calls_without_a_key_follow_tensorflows_seed(augmentation):
    x = tf.constant(dna(40))

    def draws(seed):
        keras.utils.set_random_seed(seed)
        return np.stack([augmentation(x) for _ in range(6)])

    first = draws(1)
    assert np.array_equal(draws(1), first)
    assert not np.array_equal(draws(2), first)
    assert not all(np.array_equal(first[0], again) for again in first)


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_get_the_same_draws(augmentation, dtype):
    x = dna(6, letters=5)
    expected = augmentation.apply(x, key(4)).numpy()
    result = augmentation.apply(tf.cast(x, dtype), key(4))
    assert result.dtype == dtype
    assert np.allclose(tf.cast(result, tf.float32), expected, atol=0.01)


@pytest.mark.parametrize("name", ["Deletion", "Mutation", "Noise"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_evoaug_tf_takes_float32_only(name, dtype):
    with pytest.raises((TypeError, tf.errors.InvalidArgumentError)):
        _theirs(name)(tf.cast(dna(6), dtype))


@each
@pytest.mark.parametrize("shape", [(5, LENGTH, 4), (None, LENGTH, 4), (None, None, 4), None])
def test_shapes_stay_as_known_as_they_are(augmentation, shape):
    x, spec = dna(5, letters=5), tf.TensorSpec(shape, tf.float32)
    graph = tf.function(augmentation.apply, input_signature=[spec, tf.TensorSpec(2, tf.int64)])
    assert np.array_equal(graph(x, key(3)), augmentation.apply(x, key(3)))
    known = graph.get_concrete_function().output_shapes
    assert known.as_list() == list(shape or (None, None, 4))


@each
def test_unknown_bases_are_neither_gained_nor_filled_in(augmentation):
    x = dna(300, letters=5, seed=1)
    before = np.sum(~x.any(axis=2), axis=1)
    after = np.sum(~augmentation.apply(x, key(5)).numpy().any(axis=2), axis=1)
    if "Deletion" in type(augmentation).__name__:
        assert np.all(after <= before)
        assert np.all(after >= before - 20)
    else:
        assert np.array_equal(after, before)
    nothing = tf.zeros((9, LENGTH, 4))
    padded = np.asarray(augmentation.apply(nothing, key(5))).any(axis=2).sum(axis=1)
    assert np.all(padded <= (20 if "Deletion" in type(augmentation).__name__ else 0))


@pytest.mark.parametrize("name", ["Mutation", "Noise"])
def test_evoaug_tf_fills_in_unknown_bases(name):
    nothing = tf.zeros((9, LENGTH, 4))
    assert np.any(_theirs(name)(nothing))
    assert not np.any(getattr(operations, f"Random{name}")()(nothing))


@each
def test_they_work_in_evoaug_tfs_own_loop(augmentation):
    base = theirs.AugmentBase
    assert isinstance(augmentation, getattr(theirs, type(augmentation).__name__, base))
    model = RobustModel(lambda shape: None, augment_list=[augmentation], max_augs_per_seq=1)
    result = [model._apply_augment(tf.constant(dna(4))) for _ in range(4)]
    assert result[0].shape == (4, LENGTH, 4)
    assert not all(np.array_equal(result[0], again) for again in result)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(operations.RandomDeletion, 5, 4), r"delete_min <= delete_max.*delete_min=5, .*=4"),
        (partial(operations.RandomDeletionBatch, -1, 4), r"Received: delete_min=-1"),
        (partial(operations.RandomDeletion, 0, 2.5), r"whole numbers.*delete_max=2.5"),
        (partial(operations.RandomTranslocation, 21), r"shift_min <= shift_max.*shift_min=21"),
        (partial(operations.RandomTranslocationBatch, 0, "9"), r"shift_max='9'"),
        (
            partial(operations.RandomMutation, -0.1),
            r"mutate_frac .* from 0 to 0.75. Received: -0.1",
        ),
        (partial(operations.RandomMutation, float("nan")), "Received: nan"),
        (partial(operations.RandomNoise, 0.0, -1.0), r"noise_std .* number from 0. Received: -1.0"),
        (partial(operations.RandomNoise, float("inf")), "noise_mean must be a finite number. Rec"),
        (partial(operations.RandomRC, 1.5), r"rc_prob .* from 0 to 1. Received: 1.5"),
        (partial(operations.RandomRCBatch, None), "Received: None"),
    ],
)
def test_parameters_that_make_no_sense(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (
            operations.RandomDeletion(0, 20),
            "deletions of up to 20 bases need sequences of 20 bases",
        ),
        (
            operations.RandomTranslocationBatch(0, 20),
            "shifts of up to 20 bases need .* 21 bases or more",
        ),
    ],
)
def test_sequences_too_short_for_the_parameters(augmentation, message):
    x = dna(3, 19)
    with pytest.raises(InputError, match=rf"{message}.*Received: 19 bases"):
        augmentation.apply(x, key(1))
    spec = tf.TensorSpec((None, None, 4), tf.float32)
    graph = tf.function(lambda x: augmentation.apply(x, key(1)), input_signature=[spec])
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        graph(x)


@each
@pytest.mark.parametrize(
    "x", [np.zeros((2, 60), np.uint8), np.zeros((2, 60, 4), int), np.zeros((2, 60, 5))]
)
def test_what_is_no_batch_of_sequences(augmentation, x):
    with pytest.raises(InputError, match=r"floating-point sequences \(N, L, 4\).*Received: shape"):
        augmentation.apply(x, key(1))


def _theirs(name, *parameters):
    keras.utils.set_random_seed(0)
    return getattr(theirs, f"Random{name}")(*parameters)
