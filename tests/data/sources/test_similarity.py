import numpy as np
import pytest

from degu_tf.data.sources.similarity import similar_groups
from degu_tf.sequences.encoding import decode, encode, reverse_complement
from degu_tf.utils.errors import InputError


def plain_groups(texts, stretch):
    """Merge by comparing every stretch of every pair, on both strands."""
    pieces = []
    for text in texts:
        both = (text, reverse_complement(text))
        pieces.append({s[i : i + stretch] for s in both for i in range(len(s) - stretch + 1)})
    pieces = [{piece for piece in group if "N" not in piece} for group in pieces]
    label = list(range(len(texts)))
    for a in range(len(texts)):
        for b in range(a):
            if pieces[a] & pieces[b]:
                label = [label[b] if one == label[a] else one for one in label]
    return label


def same_partition(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


def test_groups_are_those_of_a_plain_comparison_of_all_stretches():
    rng = np.random.default_rng(0)
    texts = decode(rng.integers(0, 4, (40, 60)).astype(np.uint8))
    for row in range(1, 40, 3):
        start, shift = rng.integers(0, 20), rng.integers(0, 20)
        piece = texts[row - 1][start : start + 30 - row % 15]
        if row % 2:
            piece = reverse_complement(piece)
        texts[row] = texts[row][:shift] + piece + texts[row][shift + len(piece) :]
    texts[-1] = texts[0][:25] + "N" + texts[0][26:]
    for stretch in (20, 25):
        found = similar_groups(encode(texts), stretch)
        assert same_partition(found.tolist(), plain_groups(texts, stretch))
        assert 1 < len(set(found.tolist())) < 40


def test_unknown_bases_link_nothing():
    tokens = np.full((3, 40), 4, np.uint8)
    assert len(set(similar_groups(tokens, 20).tolist())) == 3


@pytest.mark.parametrize("stretch", [0, 19, 41])
def test_a_stretch_that_means_nothing_is_refused(stretch):
    with pytest.raises(InputError, match=r"20 to 40 bases.*Received"):
        similar_groups(np.zeros((2, 40), np.uint8), stretch)
