"""`degu calibrate`: conformal prediction intervals for a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from degu_tf.cli.options import (
    SPLITS,
    choice,
    custom_layers_option,
    flag,
    in_memory_option,
    missing_targets_option,
    option,
    probability,
    target_names_option,
    verb,
    whole_number,
)
from degu_tf.cli.output import say
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.utils import quiet

if TYPE_CHECKING:
    from pandas import DataFrame


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    calibrate = verb(
        verbs,
        "calibrate",
        "conformal calibration, which gives a run's prediction intervals their nominal coverage",
        "RUN DATA [options]",
        "degu calibrate runs/y d.h5",
        "degu calibrate runs/y d.h5 --bins 5 --level 0.9",
    )
    what = "run folder of `degu train` or `degu distill`"
    calibrate.add_argument("run", metavar="RUN", help=what)
    custom_layers_option(calibrate)
    calibrate.add_argument("data", metavar="DATA", help="HDF5 file with measured values")
    flag(calibrate, "--force", "overwrite the run's calibration")
    which = "split to calibrate on; coverage is reported on the other one"
    choice(calibrate, "--split", which, SPLITS[1:])
    components = ("total", "aleatoric", "epistemic")
    choice(calibrate, "--component", "uncertainty to scale", components)
    quantile = "finite-sample: coverage guaranteed for any number of sequences; plain: empirical "
    quantile += "quantile, as in the paper"
    choice(calibrate, "--quantile", quantile, ("finite-sample", "plain"))
    bins = "number of bins of the predicted value, each with its own factor (default: one bin)"
    option(calibrate, "--bins", "N", bins, whole_number(2))
    level = "nominal coverage of the intervals to evaluate; `degu predict` can use other levels"
    option(calibrate, "--level", "P", level, probability, 0.95)
    strands = "calibrate predictions averaged over both strands"
    flag(calibrate, "--average-strands", strands)
    target_names_option(calibrate)
    missing_targets_option(calibrate)
    in_memory_option(calibrate)
    return calibrate


def run(options: argparse.Namespace) -> None:
    """Fit conformal prediction to a run, and print the coverage on sequences not used for it."""
    check_run(options.run)
    check_files("an HDF5 file", options.data)
    quiet.tensorflow()
    from degu_tf.data.hdf5.splits_file import read_splits
    from degu_tf.heads import gaussian_factor
    from degu_tf.uncertainty.calibration import JUDGED_ON, calibrate, compare_intervals
    from degu_tf.utils.run_folder import CALIBRATION

    splits = read_splits(
        options.data,
        options.targets,
        missing_targets=options.missing_targets,
        in_memory=options.in_memory,
    )
    calibrated = calibrate(
        options.run,
        splits,
        split=options.split,
        component=options.component,
        quantile=options.quantile.replace("-", "_"),
        n_bins=options.bins,
        level=options.level,
        average_strands=options.average_strands,
        force=options.force,
    )
    others = JUDGED_ON[options.split]
    table = compare_intervals(calibrated, getattr(splits, others), splits.heads, options.level)
    say(f"Wrote {Path(options.run) / CALIBRATION}")
    gaussian = gaussian_factor(options.level)
    say(f"Factor on the {options.component} uncertainty (Gaussian: {gaussian:.3f})")
    factors = calibrated.conformal.factors(options.level)
    say(factors.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    say(f"{100 * options.level:g} % intervals on {others} (n={_numbers(table)})")
    columns = table.assign(column=table["metric"] + " " + table["interval"])
    shown = columns.pivot(index="target", columns="column", values="value")
    shown = shown.loc[list(splits.heads.targets)].rename_axis(index=None, columns=None)
    order = [f"{a} {b}" for a in ("coverage", "size") for b in ("gaussian", "conformal")]
    say(shown[order].to_string(float_format=lambda value: f"{value:.3f}"))


def _numbers(table: "DataFrame") -> str:
    """The number of values compared, by target where they differ."""
    counts = table.groupby("target", sort=False)["n"].first()
    if counts.nunique() == 1:
        return str(counts.iloc[0])
    return ", ".join(f"{target} {n}" for target, n in counts.items())
