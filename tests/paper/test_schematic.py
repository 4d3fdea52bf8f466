"""Figure 1 as a drawing: words that can be read, and the file that is shown."""

from itertools import combinations
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from degu_tf.paper.schematic import schematic, write

SHOWN = Path(__file__).parents[2] / "experiments" / "figure1.svg"


def test_words_are_large_enough_and_lie_apart_within_the_page():
    figure = schematic()
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = figure.axes[0].texts
    assert min(text.get_fontsize() for text in texts) >= 6
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def test_the_file_that_is_shown_is_this_drawing(tmp_path):
    write(tmp_path / "a.svg")
    write(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    shapes = [file.read_text().count("<use ") for file in (tmp_path / "a.svg", SHOWN)]
    assert shapes[0] == shapes[1] > 100
