"""The paper's pairs of data set and architecture with their settings, as data.

`RECIPES` holds what the paper trained; `real_small` and its companion are the small real-data
setting on which this project's own numbers are measured.
"""

from dataclasses import dataclass, field

from degu_tf.training.model_spec import ModelSpec
from degu_tf.training.settings import PROFILE_SETTINGS, TrainingSettings
from degu_tf.utils.errors import InputError

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the training data in Fig. 2."""

ENSEMBLE_SIZES = (2, 3, 4, 5, 10, 15, 20, 25)
"""Numbers of teachers in Supplementary Fig. 4."""


@dataclass(frozen=True)
class Recipe:
    """A data set, the architecture it is trained with, and how.

    Attributes
    ----------
    dataset
        Name of the data set.
    targets
        Names of the measured quantities.
    spec
        Architecture of teachers and students.
    aleatoric
        Whether the targets include the standard deviation over replicates.
    settings
        Training settings of teachers and students.
    n_members, n_students
        Teachers in the ensemble; students, each from its own seed.
    n_train
        Training sequences; None for all.
    """

    dataset: str
    targets: tuple[str, ...]
    spec: ModelSpec
    aleatoric: bool = False
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    n_members: int = 10
    n_students: int = 10
    n_train: int | None = None


_SMALL = TrainingSettings(epochs=30)

RECIPES: dict[str, Recipe] = {
    "starrseq": Recipe("STARR-seq", ("Dev", "Hk"), ModelSpec("deepstarr")),
    "lentimpra_k562": Recipe(
        "lentiMPRA K562", ("K562",), ModelSpec("residualbind"), aleatoric=True
    ),
    "lentimpra_hepg2": Recipe(
        "lentiMPRA HepG2", ("HepG2",), ModelSpec("residualbind"), aleatoric=True
    ),
    "dream_rnn_starrseq": Recipe("STARR-seq", ("Dev", "Hk"), ModelSpec("dream_rnn")),
    "dream_rnn_k562": Recipe("lentiMPRA K562", ("K562",), ModelSpec("dream_rnn"), aleatoric=True),
    "dream_rnn_hepg2": Recipe(
        "lentiMPRA HepG2", ("HepG2",), ModelSpec("dream_rnn"), aleatoric=True
    ),
    "atac_a549": Recipe(
        "ATAC-seq A549",
        ("ATAC",),
        ModelSpec("cnn_task_base"),
        aleatoric=True,
        settings=PROFILE_SETTINGS,
    ),
    "mprann_k562": Recipe("lentiMPRA K562", ("K562",), ModelSpec("mprann")),
    "mprann_hepg2": Recipe("lentiMPRA HepG2", ("HepG2",), ModelSpec("mprann")),
    "real_small": Recipe(
        "Agarwal joint library",
        ("HepG2_log2", "K562_log2"),
        ModelSpec("deepstarr", {"width": 0.5}),
        settings=_SMALL,
        n_members=5,
        n_students=3,
        n_train=8000,
    ),
    "real_small_residualbind": Recipe(
        "Agarwal joint library",
        ("HepG2_log2", "K562_log2"),
        ModelSpec("residualbind", {"width": 0.25}),
        settings=_SMALL,
        n_members=5,
        n_students=3,
        n_train=8000,
    ),
}


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises
    ------
    InputError
        If there is no such recipe; the message lists the names.

    Examples
    --------
    >>> recipe("starrseq").spec.name
    'deepstarr'
    """
    if name not in RECIPES:
        raise InputError(f"expected one of the recipes {sorted(RECIPES)}. Received: {name!r}")
    return RECIPES[name]
