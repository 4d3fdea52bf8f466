"""The runs behind Fig. 6 and Supplementary Figs. 14 to 16: effects of variants nobody trained on.

Teachers and static students are those of Fig. 5, so whichever script comes first trains them and
the others find them in the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from degu_tf.data.splits import Splits
from degu_tf.models.predictor import Predictor
from degu_tf.paper import data_sets
from degu_tf.paper.absent import absent_row
from degu_tf.paper.data_sets import at_most, read_measured, shown_sizes
from degu_tf.paper.fig6_variants import experiments as variant_data
from degu_tf.paper.fig6_variants.compare import compare
from degu_tf.paper.fig6_variants.experiments import Experiment
from degu_tf.paper.networks.setups import ONE_TARGET, SEVERAL_TARGETS, Setup
from degu_tf.paper.networks.trained_models import DYNAMIC, TrainedModels
from degu_tf.paper.networks.weights import Needs
from degu_tf.paper.recipes import recipe
from degu_tf.paper.script import Context
from degu_tf.utils.errors import InputError

METHODS = ("single", "student", *DYNAMIC, "ensemble")
"""Fig. 6's methods in its order: standard training, static and dynamic students, their teachers."""


@dataclass(frozen=True)
class Settings:
    """Models of the figures, their training, and what is scored.

    Attributes
    ----------
    n_members, n_students
        Teachers, and students of each method.
    n_elements
        Simulated elements.
    resamples
        Of the bootstrap.
    several_targets, one_target
        Setup for data with several targets and with one (as lentiMPRA).
    """

    n_members: int
    n_students: int
    n_elements: int
    resamples: int
    several_targets: Setup
    one_target: Setup


def _settings(
    preset: str, n_members: int, n_students: int, n_elements: int, resamples: int
) -> Settings:
    return Settings(
        n_members,
        n_students,
        n_elements,
        resamples,
        SEVERAL_TARGETS[preset],
        ONE_TARGET[preset],
    )


PRESETS: Mapping[str, Settings] = {
    "smoke": _settings("smoke", 2, 1, 2, 20),
    "quick": _settings("quick", 5, 5, 4, 500),
    "paper": _settings(
        "paper",
        recipe("lentimpra_k562").n_members,
        recipe("lentimpra_k562").n_students,
        0,
        1000,
    ),
}
"""Settings of the figures' presets; models are trained as for Figure 5."""

WEIGHTS = Needs(("single", "student"), (*DYNAMIC, "ensemble"))
"""What the figures open from weights."""

DATA_HELP = (
    "HDF5 files of lentiMPRA in the elements' cell types (named by file or target; without the "
    "sequences that overlap the elements), saturation mutagenesis tables, and a genome or the "
    "elements as FASTA or 2bit, in any order. Simulated data without"
)


@dataclass(frozen=True, eq=False)
class Panel:
    """Data that models are trained on, and experiments that they are to predict.

    Attributes
    ----------
    dataset
        Name of the training data.
    splits, setup
        The data, and how models are trained on them.
    experiments
        Experiments with the target that stands for their cell type.
    """

    dataset: str
    splits: Splits
    setup: Setup
    experiments: list[tuple[Experiment, str]]


def panels(context: Context) -> Iterator[Panel]:
    """Training data with the experiments of their cell types: the user's, or simulated ones.

    Raises
    ------
    InputError
        If a kind of file is missing, or a cell type has no data.
    """
    settings: Settings = context.settings
    if context.data:
        yield from _given(context)
        return
    if context.preset == "paper":
        raise InputError(f"the paper preset needs the data: --data takes {DATA_HELP}")
    *_, (name, splits, setup) = data_sets.data(context)
    target = splits.heads.targets[0]
    experiments = variant_data.simulated(
        splits.test.sequences, target, settings.n_elements, context.seed
    )
    yield Panel(name, splits, setup, [(each, target) for each in experiments])


def _given(context: Context) -> Iterator[Panel]:
    settings: Settings = context.settings
    files = variant_data.sort_files(context.data)
    training = [read_measured(path) for path in files.training]
    lengths = {splits.input_shape[0] for splits in training}
    if len(lengths) > 1:
        raise InputError(f"expected data of one length. Received: {sorted(lengths)} bases")
    experiments = variant_data.read_experiments(files.tables, files.genomes, lengths.pop())
    names = [path.stem for path in files.training]
    found, own = [], {}
    for data in variant_data.match_cells(names, training, experiments):
        several = data.splits.heads.n_targets > 1
        setup = settings.several_targets if several else settings.one_target
        found.append((data.name, at_most(data.splits, shown_sizes(context, setup)), setup))
        own[data.name] = data.experiments
    for name, splits, setup in data_sets.opened(context, found):
        yield Panel(name, splits, setup, own[name])


class Models(TrainedModels):
    """Fig. 6's models of one data set; a model is trained when first needed.

    Parameters
    ----------
    context
        A script's context, whose settings are `Settings`.
    splits
        The data.
    setup
        Architecture and training.
    """

    def of(self, method: str) -> Iterator[Predictor]:
        """Every model of a method, one of `METHODS`.

        Raises
        ------
        InputError
            If there is no such method.
        """
        if method == "single":
            yield from self.teachers.members
        elif method == "ensemble":
            yield self.teachers
        elif method in METHODS:
            yield from self.students_of(method)
        else:
            raise InputError(f"expected one of {METHODS}. Received: {method!r}")


def networks(context: Context, methods: Sequence[str] = METHODS) -> None:
    """Networks of some of `METHODS`, and the students' teachers."""
    for panel in panels(context):
        models = Models(context, panel.splits, panel.setup)
        for method in methods:
            list(models.of(method))


def study(context: Context, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """The table of Fig. 6 and its supplements: `compare` for all data.

    Parameters
    ----------
    context
        A script's.
    methods
        Some of `METHODS`.
    """
    tables = []
    for panel in panels(context):
        models = Models(context, panel.splits, panel.setup)
        tables.append(
            compare(
                {method: models.of(method) for method in methods if models.has(method)},
                panel.experiments,
                panel.splits.input_shape[0],
                resamples=context.settings.resamples,
                seed=context.seed,
                dataset=panel.dataset,
            )
        )
        tables += [
            absent_row(method, dataset=panel.dataset)
            for method in methods
            if not models.has(method)
        ]
    return pd.concat(tables, ignore_index=True)
