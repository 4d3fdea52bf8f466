"""Inputs of small commands of every kind, and the commands, to be killed and finished."""

import numpy as np
import pandas as pd
from faults.kills import Job
from variant_files import write_variants

from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.data.simulation.atac import simulate_profiles
from degu_tf.data.splits import Split, Splits
from degu_tf.heads import HeadLayout

NETWORKS = """
import keras

def tiny(input_shape, heads):
    sequence = keras.Input(input_shape)
    x = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(sequence))
    return keras.Model(sequence, keras.layers.Dense(heads.n_columns)(x))

def profile(input_shape, heads):
    sequence = keras.Input(input_shape)
    x = keras.layers.Conv1D(heads.n_columns, 5, padding="same", activation="softplus")(sequence)
    return keras.Model(sequence, x)
"""
PREPARE = "prepare simulate --sizes 120 40 40 --length 32 --seed 0 --out d.h5"
TRAIN = "train d.h5 --model net.py:tiny --members 2 --batch-size 5 --augment none --seed 0"
DISTILL = "distill t d.h5 --model net.py:tiny --epochs 1 --augment mutagenesis --pool 2 --seed 1"
TABLE = "prepare table t.tsv --sequence seq --targets A B --out o.h5 --seed 0 --force"
CALIBRATE = "calibrate t d.h5 --force"
BIGWIG = "predict p --bigwig --fasta genome.fa --out o"
VARIANTS = "variants t --vcf v.vcf --fasta g.fa --chunk 1 --out o.tsv --force"
MADE = {
    TABLE: ("o.h5",),
    CALIBRATE: ("t/conformal.npz",),
    BIGWIG: ("o",),
    VARIANTS: ("o.tsv", "o.tsv.parts", "o.tsv.skipped.tsv"),
}
"""What each makes. A file that is there already, whole, is made anew (`--force`)."""

EVERY_EPOCH = {"degu_tf.training.epochs.checkpoint.INTERVAL": 0}
SMALL = {
    TABLE: {},
    CALIBRATE: {},
    BIGWIG: {"degu_tf.models.genome_tracks.WINDOWS": 4},
    VARIANTS: {"degu_tf.variants.scorer.BLOCK": 32},
}
"""Patches that make many pieces of little."""


def write_inputs(folder):
    """Write data, networks, teachers `t`, a table, a genome, and an ensemble `p` of profiles."""
    (folder / "net.py").write_text(NETWORKS)
    Job(folder, PREPARE).finish()
    Job(folder, f"{TRAIN} --epochs 1 --out t").finish()
    write_variants(folder)


def write_measurements(folder, n=3000):
    """Write the table `t.tsv`."""
    rng = np.random.default_rng(0)
    sequences = ["".join(row) for row in rng.choice(list("ACGT"), (n, 50))]
    values = rng.normal(size=(n, 2))
    table = pd.DataFrame({"seq": sequences, "A": values[:, 0], "B": values[:, 1]})
    table.to_csv(folder / "t.tsv", sep="\t", index=False)


def write_profiles(folder, length=4000, width=250):
    """Write `p.h5` and `genome.fa`, and train the ensemble `p` on them."""
    contigs = {"train": "chr1", "validation": "chr9", "test": "chr8"}
    simulated = simulate_profiles(dict.fromkeys(contigs.values(), length), seed=0)
    parts = {}
    for split, contig in contigs.items():
        tracks = simulated.replicates[contig]
        columns = np.stack([tracks.mean(axis=0), tracks.std(axis=0)], axis=1)
        tokens = simulated.tokens[contig].reshape(-1, width)
        parts[split] = Split(tokens, columns.reshape(-1, width, 2))
    write_splits(folder / "p.h5", Splits(**parts, heads=HeadLayout(("ATAC",), aleatoric="std")))
    simulated.write(folder)
    Job(
        folder,
        "train p.h5 --model net.py:profile --members 2 --epochs 1 --augment none --out p",
    ).finish()
