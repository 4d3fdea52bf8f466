"""In silico mutagenesis: predicted changes of the output for every base at every position."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from degu_tf.attribution.scalar_output import Scalar, check_positive, floats
from degu_tf.heads import Prediction
from degu_tf.models.predictor import ModelPredictor, Predictor, as_array
from degu_tf.sequences.encoding import as_float
from degu_tf.utils.errors import InputError
from degu_tf.utils.progress import bar
from degu_tf.utils.whole_numbers import is_whole

MUTANTS = 512
"""Batch size of mutated sequences."""


def mutagenesis(
    model: keras.Model | Predictor,
    sequences: Any,
    output: int | str = 0,
    *,
    batch_size: int = MUTANTS,
    progress: bool | None = False,
) -> np.ndarray:
    """In silico mutagenesis: what each base in each place would change, by predicting it.

    Exact, and about 3 L predictions for each sequence.

    Parameters
    ----------
    model
        A Keras model, or any predictor: anything with `predict`.
    sequences
        Strings, tokens `(N, L)` or floats `(N, L, 4)` that need not be one-hot. A mutation puts
        a one-hot base in place of what is there, an unknown base or a mixture included.
    output
        Of a model or a `ModelPredictor` the raw column, by index or name. Of any other predictor
        what its `Prediction` holds: a target, such as ``"Dev"``, or one of its standard
        deviations, such as ``"Dev_aleatoric"``, ``"Dev_epistemic"`` or ``"Dev_total"``, by name,
        or by its number in the order of targets, aleatoric, epistemic. Profiles are averaged over
        their length.
    batch_size
        Batch size of mutated sequences.
    progress
        True shows a progress bar, None on a terminal only.

    Returns
    -------
    numpy.ndarray
        `(N, L, 4)`: the output with that base minus the output of the sequence as it is; 0 at a
        sequence's own bases.

    Raises
    ------
    InputError
        If the output does not exist or lengths differ.

    Examples
    --------
    >>> from degu_tf.heads import HeadLayout
    >>> from degu_tf.models import registry
    >>> heads = HeadLayout(("Dev",))
    >>> model = registry.build("deepstarr", (32, 4), heads, width=0.05)
    >>> mutagenesis(ModelPredictor(model, heads), ["ACGT" * 8], "Dev")[0, 1, 1]
    np.float32(0.0)
    """
    array = as_array(sequences)
    check_positive("batch_size", batch_size)
    values: Callable[[np.ndarray], np.ndarray]
    if isinstance(model, keras.Model | ModelPredictor):
        scalar = Scalar(model, output)
        x = floats(scalar.check(array), scalar)
        values = scalar.values
    else:
        x = as_float(array)

        def values(batch: np.ndarray) -> np.ndarray:
            return _component(model.predict(batch), output)

    natural = np.concatenate(
        [values(x[start : start + batch_size]) for start in range(0, len(x), batch_size)]
    )
    scores = np.zeros((*x.shape[:2], 4), natural.dtype)
    bases = np.eye(4, dtype=x.dtype)
    places = np.argwhere((x[:, :, np.newaxis] != bases).any(axis=3))
    for start in bar(range(0, len(places), batch_size), "mutants", progress):
        row, position, base = places[start : start + batch_size].T
        mutants = x[row]
        mutants[np.arange(len(row)), position] = bases[base]
        scores[row, position, base] = values(mutants) - natural[row]
    return scores


def _component(prediction: Prediction, output: int | str) -> np.ndarray:
    """One target or standard deviation `(N,)` of a prediction, averaged over a profile's length."""
    held = {}
    for role in ("mean", "aleatoric", "epistemic", "total"):
        values = getattr(prediction, role)
        if values is not None:
            for index, target in enumerate(prediction.targets):
                name = target if role == "mean" else f"{target}_{role}"
                held[name] = values[..., index]
    names = [name for name in held if not name.endswith("_total") or name in prediction.targets]
    if is_whole(output, 0, len(names) - 1):
        output = names[output]
    if not isinstance(output, str) or output not in held:
        raise InputError(
            f"expected one of {tuple(held)}, or a number from 0 to {len(names) - 1}. "
            f"Received: output={output!r}"
        )
    values = held[output]
    return values if values.ndim == 1 else values.mean(axis=1)
