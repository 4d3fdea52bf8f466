"""Figure 2, drawn from the table of its script."""

from string import ascii_lowercase

import pandas as pd
from matplotlib.figure import Figure

from degu_tf.plots.predictions import performance_against
from degu_tf.plots.style import name_panel


def figure_two(table: pd.DataFrame) -> Figure:
    """A lettered panel for each data set and target."""
    figure = performance_against(table, x="fraction")
    for letter, axes in zip(ascii_lowercase, figure.axes, strict=False):
        name_panel(axes, letter)
    return figure
