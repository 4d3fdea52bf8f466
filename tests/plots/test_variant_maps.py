"""Heat maps of variants."""

import numpy as np
import pandas as pd

from degu_tf.plots import variant_maps


def test_floored_uncertainties_have_no_colour():
    """The surest looking base would be the one that the model cannot tell."""
    table = pd.DataFrame({"position": [1, 1, 1], "ref": "A", "alt": ["C", "G", "T"]})
    table = table.assign(
        y_effect=[0.1, -0.2, 0.3],
        y_epistemic=[0.5, 1e-6, 0.7],
        y_floored=["no", "epistemic", "aleatoric"],
    )
    layer = variant_maps.layers_of("y")[2]
    axes = variant_maps.heat_maps(table, [layer]).axes[0]
    shown = np.ma.filled(axes.collections[1].get_array().astype(float), np.nan)
    assert np.nan_to_num(shown, nan=-1.0).ravel().tolist() == [0.7, -1.0, 0.5, -1.0]  # T G C A
