from .hdf5.splits_file import read_splits, write_splits
from .pipeline import steps_per_epoch, training_batches
from .sources.lentimpra import read_lentimpra
from .sources.sequences import read_sequences
from .sources.starrseq import read_starrseq
from .sources.table import read_table
from .splits import Split

__all__ = [
    "Split",
    "read_lentimpra",
    "read_sequences",
    "read_splits",
    "read_starrseq",
    "read_table",
    "steps_per_epoch",
    "training_batches",
    "write_splits",
]
