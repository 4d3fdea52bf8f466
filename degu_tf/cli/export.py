"""`degu export`: a run's model for inference, as a Keras file."""

import argparse
from pathlib import Path
from typing import Any

from degu_tf.cli.options import custom_layers_option, flag, verb
from degu_tf.cli.output import check_out_model, say
from degu_tf.cli.shared.inputs import check_run
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
    what = "run folder of `degu distill`, folder of a single teacher, or a model file"
    export.add_argument("run", metavar="RUN", help=what)
    custom_layers_option(export)
    what = "Keras file to write; its card is written beside it as .json and .txt"
    export.add_argument("out", metavar="OUT.keras", help=what)
    flag(export, "--force", "overwrite the model and its card")
    return export


def run(options: argparse.Namespace) -> None:
    """Write the model of a run, folded, as a Keras file with its card."""
    run, out = Path(options.run), Path(options.out)
    check_out_model(out, run, force=options.force)
    check_run(options.run)
    quiet.tensorflow()
    from degu_tf.distillation.ensemble import Ensemble
    from degu_tf.distillation.runs import open_run
    from degu_tf.models.released.card import export

    predictor = open_run(run)
    if isinstance(predictor, Ensemble):
        raise InputError(
            f"expected a single model, such as {run / 'member_00'}; the members of an ensemble are "
            f"exported one by one. Received: {run}"
        )
    card = export(predictor, out, overwrite=options.force, **_origin(run))
    before = predictor.model.count_params()
    say(f"Wrote {out}: columns {', '.join(card.columns)}; {before} -> {card.parameters} parameters")


def _origin(run: Path) -> dict[str, Any]:
    """What the card says of a model's origin: a run, or a file that may have a card itself."""
    from degu_tf.models.released.card import read_card
    from degu_tf.utils.run_folder import MODEL, RunFolder

    if run.is_file():
        card = read_card(run) or {}
        return {
            "source": run,
            "source_format": "a model file",
            "architecture": card.get("architecture"),
            "options": card.get("options"),
        }
    spec = RunFolder(run).settings()["model"]
    return {
        "source": run / MODEL,
        "source_format": f"run {run.resolve().name}",
        "architecture": spec["name"],
        "options": spec["options"],
    }
