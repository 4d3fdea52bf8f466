"""Time encoding strings to tokens and tokens to one-hot against a plain Python loop.

The alternative looks each letter up in a dict, one sequence after the other, and sets one-hot rows
the same way. It is slow, so it runs on a subset and its time is scaled to the full number of
sequences; its cost grows in proportion to that number.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from degu_tf.sequences.alphabet import ALPHABET, UNKNOWN
from degu_tf.sequences.encoding import decode, encode, one_hot

TOKEN_OF = {base: token for token, base in enumerate(ALPHABET)}


def loop_encode(sequences: list[str]) -> np.ndarray:
    """Look every letter up in a dict: tokens `(N, L)`."""
    tokens = np.empty((len(sequences), len(sequences[0])), np.uint8)
    for row, sequence in enumerate(sequences):
        tokens[row] = [TOKEN_OF.get(base, UNKNOWN) for base in sequence]
    return tokens


def loop_one_hot(tokens: np.ndarray) -> np.ndarray:
    """Look every token's row up in a dict: float32 `(N, L, 4)`."""
    row_of = {token: [float(token == base) for base in range(4)] for token in range(UNKNOWN + 1)}
    encoded = np.empty((*tokens.shape, 4), np.float32)
    for row, sequence in enumerate(tokens.tolist()):
        encoded[row] = [row_of[token] for token in sequence]
    return encoded


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of `repeats` calls, after one that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def main() -> None:
    """Print the median time of each function, of its alternative, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=400_000)
    parser.add_argument("--length", type=int, default=249, help="base pairs")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--subset", type=int, default=10_000, help="sequences the loop is run on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.sequences, options.length, options.repeats, options.subset) < 1:
        parser.error("--sequences, --length, --repeats and --subset are at least 1")

    shape = (options.sequences, options.length)
    tokens = np.random.default_rng(options.seed).integers(0, 5, shape, dtype=np.uint8)
    texts = decode(tokens)
    n_subset = min(options.subset, options.sequences)
    scale = options.sequences / n_subset
    np.testing.assert_array_equal(loop_encode(texts[:n_subset]), encode(texts)[:n_subset])
    np.testing.assert_array_equal(loop_one_hot(tokens[:n_subset]), one_hot(tokens[:n_subset]))

    print(f"{options.sequences} sequences of {options.length} bp, median of {options.repeats}")
    print(f"dict loop: timed on {n_subset} sequences, multiplied by {scale:g}; equal results")
    for name, ours, loop in (
        ("encode", lambda: encode(texts), lambda: loop_encode(texts[:n_subset])),
        ("one_hot", lambda: one_hot(tokens), lambda: loop_one_hot(tokens[:n_subset])),
    ):
        ours_seconds = median_seconds(ours, options.repeats)
        loop_seconds = median_seconds(loop, options.repeats) * scale
        ratio = loop_seconds / ours_seconds
        print(f"{name:8} {ours_seconds:7.3f} s   loop {loop_seconds:7.2f} s   ratio {ratio:6.1f}")


if __name__ == "__main__":
    main()
