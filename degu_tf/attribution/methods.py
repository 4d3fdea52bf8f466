"""Every attribution method by its name, with one result: scores, and what other bases would do."""

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from degu_tf.attribution.background import DINUCLEOTIDE
from degu_tf.attribution.convergence import AttributionResult
from degu_tf.attribution.gradients import gradient_correction, integrated_gradients, saliency
from degu_tf.attribution.scalar_output import check_positive
from degu_tf.attribution.shap_values import deepshap
from degu_tf.attribution.single_bases import mutagenesis
from degu_tf.models.predictor import ModelPredictor, as_array
from degu_tf.sequences.encoding import as_float
from degu_tf.utils.errors import InputError

METHODS = ("deepshap", "saliency", "input_x_gradient", "integrated_gradients", "ism")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps of N sequences by any method.

    Attributes
    ----------
    scores
        `(N, L, 4)`, as the method's function gives them, not corrected.
    hypothetical
        `(N, L, 4)`: what each base would contribute if it stood there, as TF-MoDISco takes it. Of
        DeepSHAP and integrated gradients their own hypothetical scores, of input x gradient the
        gradient; of saliency and mutagenesis the corrected scores.
    delta
        `(N,)`, by how much the scores miss the difference of outputs; None where a method makes no
        such guarantee.
    """

    scores: np.ndarray
    hypothetical: np.ndarray
    delta: np.ndarray | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Method:
    """A method with all that decides its numbers.

    Parameters
    ----------
    name
        One of `METHODS`.
    background
        DeepSHAP's references: tokens `(R, L)`, strings or floats, or ``"dinucleotide"`` for
        shuffles of each sequence.
    n_references, seed
        Shuffles of each sequence, and their seed.
    steps
        Of integrated gradients, from unknown bases.

    Raises
    ------
    InputError
        If there is no such method or a number is not from 1.

    Examples
    --------
    >>> Method(name="saliency").describe()
    {'name': 'saliency'}
    """

    name: str = "deepshap"
    background: Any = DINUCLEOTIDE
    n_references: int = 100
    seed: int = 1234
    steps: int = 50

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise InputError(f"method must be one of {METHODS}. Received: {self.name!r}")
        check_positive("n_references", self.n_references)
        check_positive("steps", self.steps)

    @property
    def shuffles(self) -> bool:
        """Whether the references are shuffles of each sequence."""
        return isinstance(self.background, str) and self.background == DINUCLEOTIDE

    def describe(self) -> dict[str, Any]:
        """What decides the numbers, as plain values."""
        if self.name == "integrated_gradients":
            return {"name": self.name, "steps": self.steps}
        if self.name != "deepshap":
            return {"name": self.name}
        if self.shuffles:
            shuffles = {"n_references": self.n_references, "seed": self.seed}
            return {"name": self.name, "background": DINUCLEOTIDE, **shuffles}
        references = as_array(self.background)
        described = {"background": fingerprint(references), "n_references": len(references)}
        return {"name": self.name, **described}

    def explain(
        self,
        model: keras.Model | ModelPredictor,
        sequences: Any,
        output: int | str = 0,
        progress: bool | None = False,
    ) -> Explanation:
        """Maps of sequences for one column of one model.

        Parameters
        ----------
        model
            A Keras model or a `ModelPredictor`.
        sequences
            Strings, tokens `(N, L)` or floats `(N, L, 4)`.
        output
            The raw column, by index or name.
        progress
            True shows a progress bar, None on a terminal only.

        Raises
        ------
        InputError
            As the method's function does.

        Examples
        --------
        >>> from degu_tf.heads import HeadLayout
        >>> from degu_tf.models import registry
        >>> model = registry.build("deepstarr", (32, 4), HeadLayout(("Dev",)), width=0.05)
        >>> Method(name="saliency").explain(model, ["ACGT" * 8]).hypothetical.shape
        (1, 32, 4)
        """
        if self.name == "deepshap":
            result = deepshap(
                model,
                sequences,
                self.background,
                output,
                hypothetical=True,
                n_references=self.n_references,
                seed=self.seed,
                progress=progress,
            )
            return _explanation(result)
        if self.name == "integrated_gradients":
            result = integrated_gradients(
                model, sequences, output, steps=self.steps, progress=progress
            )
            return _explanation(result)
        if self.name == "input_x_gradient":
            gradients = saliency(model, sequences, output, progress=progress)
            return Explanation(gradients * as_float(as_array(sequences)), gradients)
        function = saliency if self.name == "saliency" else mutagenesis
        scores = function(model, sequences, output, progress=progress)
        return Explanation(scores, gradient_correction(scores))


def _explanation(result: AttributionResult) -> Explanation:
    if result.hypothetical is None:
        raise InputError("expected a result with hypothetical scores. Received: none")
    return Explanation(result.scores, result.hypothetical, result.delta)


def fingerprint(sequences: np.ndarray) -> str:
    """SHA-256 of an array of sequences: equal content, shape and type, equal fingerprint."""
    digest = hashlib.sha256(f"{sequences.dtype} {sequences.shape}".encode())
    digest.update(np.ascontiguousarray(sequences).data)
    return digest.hexdigest()
