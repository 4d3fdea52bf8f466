"""Store of a figure's attribution maps: computed once, read again by later runs."""

from typing import Literal

import numpy as np

from degu_tf.attribution.explain_run import explain_run
from degu_tf.attribution.gradients import gradient_correction
from degu_tf.attribution.map_files import read_scores
from degu_tf.attribution.methods import Method, fingerprint
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.store import KEY_LENGTH, Store
from degu_tf.utils.files import content_hash

Kind = Literal["scores", "hypothetical"]


def stored_maps(
    store: Store,
    predictor: ModelPredictor | Ensemble,
    sequences: np.ndarray,
    head: str,
    method: Method,
    ranking: np.ndarray,
    top: int,
    kind: Kind = "scores",
) -> np.ndarray:
    """Corrected maps of a model or of each of an ensemble's members, stored beside the models.

    Parameters
    ----------
    store
        Store of the trained models; maps are stored in the same folder.
    predictor
        Model or ensemble to explain.
    sequences
        Tokens `(N, L)` or floats `(N, L, 4)`.
    head
        A column of the model, such as ``"Dev"`` or ``"Dev_epistemic"``.
    method
        Attribution method.
    ranking, top
        Explained are the `top` sequences with the largest values `(N,)`, the largest first.
    kind
        ``"scores"`` or ``"hypothetical"`` (`degu_tf.attribution.methods.Explanation`).

    Returns
    -------
    numpy.ndarray
        float32 `(M, top, L, 4)`, with one model M = 1.
    """
    identity = {
        "predictor": predictor.fingerprint(),
        "sequences": fingerprint(sequences),
        "head": head,
        "method": method.describe(),
        "ranking": ranking.tolist(),
        "top": top,
    }
    folder = store.root / f"maps-{method.name}-{content_hash(identity)[:KEY_LENGTH]}"
    made = explain_run(
        predictor,
        sequences,
        folder,
        heads=[head],
        method=method,
        top=top,
        ranking={head: ranking},
        progress=store.progress,
    )
    return gradient_correction(read_scores(made[head], kind)).astype(np.float32, copy=False)
