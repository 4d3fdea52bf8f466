"""What the authors' record holds as far as it is known without a network.

From the paper, the authors' documents and scripts, and the files' own formats; the record itself
has the last word (`degu_tf.data.zenodo.record`). Sizes that none of these tell are None.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from degu_tf.utils.readable import aligned, readable_size

ARCHIVE = "data.tar.gz"


@dataclass(frozen=True)
class KnownFile:
    """A file of the record, or a family of them.

    Attributes
    ----------
    pattern
        Its name, with `*` for the number of a model and other parts that vary.
    what
        What it holds.
    figures
        Figures of the paper that it serves; S for supplementary ones.
    size
        Bytes, about; None where not known.
    archive
        The archive it comes in, where known.
    """

    pattern: str
    what: str
    figures: str
    size: int | None = None
    archive: str | None = None


KNOWN_FILES = (
    KnownFile(ARCHIVE, "archive of the data", "2 to 6", 1_800_000_000),
    KnownFile(
        "DeepSTARR*_distillation_data.h5",
        "STARR-seq and the ensemble's labels",
        "2 to 5, S2 to S8, S10, S11",
        archive=ARCHIVE,
    ),
    KnownFile(
        "lentiMPRA_K562_activity*_data.h5",
        "lentiMPRA in K562, without or with replicate deviations",
        "2, 4 to 6, S2, S7, S8, S10 to S16",
        archive=ARCHIVE,
    ),
    KnownFile(
        "lentiMPRA_HepG2_activity*_data.h5",
        "lentiMPRA in HepG2, without or with replicate deviations",
        "2, S2, S7 to S16",
        archive=ARCHIVE,
    ),
    KnownFile("*_heteroscedastic.h5", "heteroscedastic models", "5, S9, S12, S13"),
    KnownFile("*_DeepSTARR_aug_weights.h5", "EvoAug models, before fine-tuning", "3, S3, S5"),
    KnownFile("*_DeepSTARR_finetune.h5", "EvoAug models, fine-tuned", "3, S3, S5"),
    KnownFile("*_DeepSTARR_*_aug.h5", "students with dynamic augmentation", "3, S6"),
    KnownFile("*_DeepSTARR_*_finetune.h5", "the same, fine-tuned", "3, S6"),
    KnownFile("*_lentiMPRA_*_aug.h5", "students with dynamic augmentation", "6, S14 to S16"),
    KnownFile("*_lentiMPRA_*_finetune.h5", "the same, fine-tuned", "6, S14 to S16"),
    KnownFile("*_DeepSTARR.h5", "DeepSTARR models", "2 to 5, S4, S7, S8, S10"),
    KnownFile("*_lentiMPRA.h5", "ResidualBind models", "2, 4 to 6, S7 to S16"),
    KnownFile("*_ResidualBind*.h5", "ResidualBind students", "2, 4 to 6, S7 to S16"),
    KnownFile("*_MPRAnn.h5", "MPRAnn models", "2"),
    KnownFile("*_model.pth", "DREAM-RNN models (PyTorch)", "S2"),
    KnownFile("*_degu_model_final.pth", "DREAM-RNN students (PyTorch)", "S2"),
)
"""Known files; of several patterns that a name fits, the first says what it is."""


def figures_of(name: str) -> str | None:
    """The figures that a file of the record serves, None where nothing is known of it.

    Examples
    --------
    >>> figures_of("3_MPRAnn.h5"), figures_of("README.md")
    ('2', None)
    """
    last = name.rpartition("/")[2]
    found = (file.figures for file in KNOWN_FILES if fnmatchcase(last, file.pattern))
    return next(found, None)


def known_listing() -> str:
    """The known files as text, a line each: size, name, content, figures; last what is unknown."""
    rows = [["size", "file", "holds", "figures"]]
    for file in KNOWN_FILES:
        size = "unknown" if file.size is None else f"about {readable_size(file.size)}"
        size = f"in {file.archive}" if file.archive else size
        rows.append([size, file.pattern, file.what, file.figures])
    unknown = "Sizes that the authors' documents do not tell are unknown; online, the list has all."
    return f"{aligned(rows)}\n{unknown}"
