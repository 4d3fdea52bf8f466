"""`degu export`: a run's model for inference, as a Keras file."""

import argparse
from pathlib import Path

from degu_tf.cli.options import FORCE, flag, verb
from degu_tf.cli.output import check_out, say
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    export = verb(
        verbs,
        "export",
        "write a run's model for inference: batch normalisation folded, no dropout",
        "RUN OUT.keras [options]",
        "degu export runs/y y.keras",
    )
    what = "run folder of `degu distill`, or folder of a single teacher"
    export.add_argument("run", metavar="RUN", help=what)
    export.add_argument("out", metavar="OUT.keras", help="Keras file to write")
    flag(export, "--force", FORCE)
    return export


def run(options: argparse.Namespace) -> None:
    """Write the model of a run, folded, as a Keras file."""
    if not options.out.endswith(".keras"):
        raise InputError(f"expected a file name that ends in .keras. Received: {options.out}")
    check_out(options.out, force=options.force, inputs=[options.run])
    quiet.tensorflow()
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.distillation.runs import open_run
    from degu_tf.models.inference.folding import fold
    from degu_tf.utils.files import atomic_write

    predictor = open_run(options.run)
    if isinstance(predictor, Ensemble):
        raise InputError(
            f"expected a single model, such as {Path(options.run) / 'member_00'}; the members of "
            f"an ensemble are exported one by one. Received: {options.run}"
        )
    model = fold(predictor.model)
    with atomic_write(options.out) as temporary:
        model.save(temporary)
    before, after = predictor.model.count_params(), model.count_params()
    say(
        f"Wrote {options.out}: columns {', '.join(predictor.heads.columns)}; {before} -> {after} "
        "parameters"
    )
