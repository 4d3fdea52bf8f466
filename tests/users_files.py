"""Users' files for numbered scripts: small ones in every layout that was released."""

import h5py
import numpy as np
import pandas as pd

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout
from degu_tf.sequences.encoding import decode, one_hot

SIZES = {"train": 90, "validation": 40, "test": 70}
LAYOUTS = ("own", "flat", "grouped", "evoaug")


def random_splits(targets, aleatoric=None, length=249, letters=4, seed=0):
    """Splits of random sequences of the first `letters` of A C G T, and random targets."""
    rng = np.random.default_rng(seed)
    heads = HeadLayout(targets, aleatoric)
    parts = {
        name: Split(
            rng.integers(0, letters, (n, length), dtype=np.uint8),
            np.abs(rng.normal(size=(n, heads.n_columns))).astype(np.float32),
        )
        for name, n in SIZES.items()
    }
    return Splits(**parts, heads=heads)


def write(path, layout, splits, extra=None):
    """Write splits in a layout, with more datasets where they are given."""
    if layout == "own":
        write_splits(path, splits)
        return path
    names = {
        "flat": ("{role}_{split}", dict(train="Train", validation="Val", test="Test"), str),
        "grouped": ("{split}/{role}", dict(train="Train", validation="Val", test="Test"), str),
        "evoaug": (
            "{role}_{split}", dict(train="train", validation="valid", test="test"), str.lower,
        ),
    }  # fmt: skip
    pattern, words, case = names[layout]
    with h5py.File(path, "w") as file:
        for name, split in splits.items():
            hot, y = one_hot(split.sequences), split.targets
            if layout == "evoaug":
                hot, y = np.swapaxes(hot, 1, 2), y.T
            file[pattern.format(role=case("X"), split=words[name])] = hot
            file[pattern.format(role=case("y"), split=words[name])] = y
        for key, values in (extra or {}).items():
            file[key] = values
    return path


def element(folder, seed=0):
    """A table of measured effects of PKLR's variants, and its sequence."""
    rng = np.random.default_rng(seed)
    (bases,) = decode(rng.integers(0, 4, (1, 300)).astype(np.uint8))
    rows = [
        ("PKLR-48h", 1, 1001 + place, base, alt, rng.normal())
        for place, base in enumerate(bases)
        for alt in "ACGT"
        if alt != base
    ]
    columns = ["Element", "Chrom", "Pos", "Ref", "Alt", "Coefficient"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "PKLR.tsv", sep="\t", index=False)
    (folder / "PKLR.fa").write_text(f">PKLR chr1:1001-{1000 + len(bases)}\n{bases}\n")
    return [folder / "PKLR.tsv", folder / "PKLR.fa"]
