"""Ridge regression on k-mer counts, against scikit-learn."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline

import degu_tf as degu
from degu_tf.metrics.kmer_ridge import PENALTIES, KmerRidge, kmer_counts
from degu_tf.sequences.encoding import decode, encode, one_hot
from degu_tf.utils.errors import InputError

DIGITS = str.maketrans("ACGT", "0123")


@pytest.fixture(scope="module")
def simulated():
    """More training sequences than 3-mers, fewer than 5-mers."""
    return degu.simulate((300, 20, 50), length=60, seed=3).splits


def words(k):
    """A vectorizer of k-mers that leaves out those with unknown bases, as `kmer_counts` does."""

    def windows(text):
        each = (text[i : i + k] for i in range(len(text) - k + 1))
        return [word for word in each if "N" not in word]

    return CountVectorizer(analyzer=windows)


def test_counts_are_those_of_a_vectorizer():
    rng = np.random.default_rng(0)
    tokens = rng.choice(5, (30, 41), p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8)
    vectorizer = words(3)
    expected = vectorizer.fit_transform(decode(tokens)).toarray()
    counts = kmer_counts(tokens, 3)
    columns = [int(word.translate(DIGITS), 4) for word in vectorizer.get_feature_names_out()]
    assert counts.shape == (30, 64)
    np.testing.assert_array_equal(counts[:, columns], expected)
    assert counts.sum() == expected.sum()


def test_strings_tokens_and_one_hot_count_alike():
    text = ["ACGTNACGTT", "TTTTTTTTTT"]
    tokens = encode(text)
    np.testing.assert_array_equal(kmer_counts(text, 2), kmer_counts(tokens, 2))
    np.testing.assert_array_equal(kmer_counts(one_hot(tokens), 2), kmer_counts(tokens, 2))
    assert kmer_counts(text, 2)[1, -1] == 9
    assert kmer_counts(text, 2)[0].sum() == 7
    assert kmer_counts(["NNNNN"], 5).sum() == 0


@pytest.mark.parametrize("k", [3, 5])
def test_predictions_are_those_of_a_scikit_learn_pipeline(simulated, k):
    """With more sequences than k-mers, and with fewer: the two ways of finding the axes."""
    train, test = simulated.train, simulated.test
    means = simulated.heads.take(train.targets, "mean")
    ridge = KmerRidge(k).fit(train.sequences, means)
    predicted = ridge.predict(test.sequences)
    for target, penalty in enumerate(ridge.penalty):
        vectorizer = CountVectorizer(analyzer="char", ngram_range=(k, k), lowercase=False)
        pipeline = make_pipeline(vectorizer, Ridge(penalty, tol=1e-12))
        pipeline.fit(decode(train.sequences), means[:, target].astype(float))
        expected = pipeline.predict(decode(test.sequences))
        np.testing.assert_allclose(predicted[:, target], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [3, 5])
def test_the_penalty_is_that_of_leave_one_out_in_scikit_learn(simulated, k):
    means = simulated.heads.take(simulated.train.targets, "mean").astype(float)
    ridge = KmerRidge(k).fit(simulated.train.sequences, means)
    counts = kmer_counts(simulated.train.sequences, k).astype(float)
    reference = RidgeCV(PENALTIES, alpha_per_target=True).fit(counts, means)
    np.testing.assert_allclose(ridge.penalty, reference.alpha_)
    assert PENALTIES[0] < ridge.penalty.min() <= ridge.penalty.max() < PENALTIES[-1]
    test = kmer_counts(simulated.test.sequences, k).astype(float)
    predicted = ridge.predict(simulated.test.sequences)
    np.testing.assert_allclose(predicted, reference.predict(test), rtol=1e-6, atol=1e-6)


def test_blocks_make_no_difference(simulated, monkeypatch):
    means = simulated.heads.take(simulated.train.targets, "mean")
    whole = KmerRidge(3).fit(simulated.train.sequences, means)
    rows = [slice(start, min(start + 7, 300)) for start in range(0, 300, 7)]
    monkeypatch.setattr("degu_tf.metrics.kmer_ridge.blocks", lambda n, _: rows if n == 300 else [])
    parts = KmerRidge(3).fit(simulated.train.sequences, means)
    np.testing.assert_array_equal(parts.penalty, whole.penalty)
    np.testing.assert_allclose(parts.weights, whole.weights, atol=1e-9)


def test_a_block_without_a_base_is_no_other_alphabet(monkeypatch):
    """Tokens are checked as a whole: a block may lack A and hold unknown bases."""
    monkeypatch.setattr("degu_tf.metrics.kmer_ridge.blocks", lambda n, _: map(one_row, range(n)))
    tokens = encode(["ACGT" * 30, "CGTN" * 30, "CCGT" * 30])
    ridge = KmerRidge(2).fit(tokens, np.arange(3.0)[:, np.newaxis])
    assert ridge.predict(tokens).shape == (3, 1)


def one_row(row):
    return slice(row, row + 1)


def test_plain_values_give_the_same_ridge(simulated):
    means = simulated.heads.take(simulated.train.targets, "mean")
    ridge = KmerRidge(3).fit(simulated.train.sequences, means)
    again = KmerRidge.from_dict(ridge.to_dict())
    sequences = simulated.test.sequences
    np.testing.assert_array_equal(again.predict(sequences), ridge.predict(sequences))
    with pytest.raises(InputError, match="call fit first"):
        KmerRidge.from_dict(KmerRidge().to_dict()).predict(sequences)
    with pytest.raises(InputError, match="values of a k-mer ridge"):
        KmerRidge.from_dict({"k": 3})
    with pytest.raises(InputError, match=r"expected weights \(256, 2\)"):
        KmerRidge.from_dict({**ridge.to_dict(), "k": 4})


def test_sequences_without_differences_are_predicted_by_their_mean():
    ridge = KmerRidge(2).fit(["ACGT"] * 3, np.array([[0.0], [1.0], [5.0]]))
    np.testing.assert_allclose(ridge.predict(["ACGT", "TTTT"]), 2.0)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: KmerRidge(k=0), "from 1 to 6. Received: k=0"),
        (lambda: KmerRidge(k=2.0), "Received: k=2.0"),
        (lambda: KmerRidge(penalties=[1.0, 0.0]), "penalties above 0"),
        (lambda: KmerRidge(penalties=[]), "penalties above 0"),
        (lambda: KmerRidge().predict(["ACGTACGT"]), "call fit first"),
        (lambda: KmerRidge().fit(["ACGT"] * 2, np.zeros((2, 1))), "k=5 bases. Received: 4 bases"),
        (lambda: KmerRidge(2).fit(["ACGT"], np.zeros((1, 1))), "two sequences or more"),
        (lambda: KmerRidge(2).fit(["ACGT"] * 2, np.zeros(2)), r"Received: shape \(2,\)"),
        (lambda: KmerRidge(2).fit(["ACGT"] * 2, np.zeros((3, 1))), r"Received: shape \(3, 1\)"),
        (
            lambda: KmerRidge(2).fit(["ACGT"] * 2, np.array([[0.0], [np.inf]])),
            r"finite targets. Received: \[inf\] in row 1",
        ),
        (lambda: kmer_counts(np.full((2, 9, 4), 0.25)), "one-hot"),
    ],
)
def test_bad_input(use, message):
    with pytest.raises(InputError, match=message):
        use()


@pytest.mark.slow
def test_measured_lentimpra(real_data):
    """9300 of 36259 training sequences: r 0.48 and 0.54 on the test set by any 5-mer ridge."""
    path = real_data / "lentimpra" / "agarwal_joint.tsv.gz"
    targets = ["HepG2_log2", "K562_log2"]
    splits = degu.data.read_table(path, "seq", targets=targets, group="group").subset(9300)
    ridge = KmerRidge().fit(splits.train.sequences, splits.train.targets)
    predicted = splits.heads.prediction(ridge.predict(splits.test.sequences))
    table = degu.metrics.wide(
        degu.metrics.score(predicted, splits.test.targets, splits.heads, method="ridge")
    )
    np.testing.assert_allclose(table.loc["ridge"], [0.487, 0.541], atol=0.005)
