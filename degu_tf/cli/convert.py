"""`degu convert`: a file of weights that others trained, as a `.keras` file with a model card."""

import argparse
from pathlib import Path

from degu_tf.cli.options import (
    ARCHITECTURES,
    FORMS,
    flag,
    option,
    several,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out_model, say
from degu_tf.cli.shared.inputs import check_files, check_model
from degu_tf.utils import quiet
from degu_tf.utils.errors import InputError


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    convert = verb(
        verbs,
        "convert",
        "convert weights trained by others to a .keras file with a model card",
        "IN OUT.keras [options]",
        "degu convert 1_DeepSTARR.h5 deepstarr.keras",
        "degu convert 1_lentiMPRA.h5 k562.keras --targets K562 --aleatoric log_variance",
    )
    source = ".h5, .weights.h5 or .keras file of Keras 2 or 3, or a PyTorch .pth file"
    convert.add_argument("source", metavar="IN", help=source)
    what = "model to write; its card is written beside it as .json and .txt"
    convert.add_argument("out", metavar="OUT.keras", help=what)
    flag(convert, "--force", "overwrite the model and its card")
    model = convert.add_argument_group("what the file does not say, or says wrongly")
    option(model, "--model", "NAME", ARCHITECTURES)
    option(model, "--length", "BASES", "input length", whole_number(1))
    several(model, "--targets", "NAME", "target names, in the order of the first columns")
    for name in ("aleatoric", "epistemic"):
        what = f"form of the columns of {name} uncertainty, after those of the targets"
        model.add_argument(f"--{name}", choices=FORMS, help=what)
    return convert


def run(options: argparse.Namespace) -> None:
    """Write a file of weights as `.keras` with its card, and print the card."""
    if not options.targets and (options.aleatoric or options.epistemic):
        raise InputError(
            "expected --targets, which name the columns, with --aleatoric and --epistemic. "
            "Received: no --targets"
        )
    check_out_model(Path(options.out), Path(options.source), force=options.force)
    check_model(options.model)
    if not Path(options.source).is_dir():
        check_files("a file of weights", options.source)
    quiet.tensorflow()
    from degu_tf.heads import HeadLayout
    from degu_tf.models.released import card

    heads = None
    if options.targets:
        heads = HeadLayout(tuple(options.targets), options.aleatoric, options.epistemic)
    written = card.convert(
        options.source,
        options.out,
        architecture=options.model,
        input_length=options.length,
        heads=heads,
        overwrite=options.force,
    )
    say(written.text().rstrip())
