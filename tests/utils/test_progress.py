"""Lines of progress: whole ones, though several processes write them."""

import io
from contextlib import redirect_stderr

from degu_tf.utils.progress import line, told


class Pieces(io.StringIO):
    """A stream that keeps every piece it was given."""

    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)
        return super().write(text)


def test_a_line_is_written_in_one_piece():
    with redirect_stderr(Pieces()) as stream:
        line("member 0: epoch 1 of 1")
    assert stream.pieces == ["member 0: epoch 1 of 1\n"]


def test_steps_are_told_in_lines_where_there_is_no_terminal():
    with redirect_stderr(Pieces()) as stream:
        assert list(told("ab", "members trained")) == ["a", "b"]
    assert stream.pieces == [
        "members trained: 1 of 2, 00:00 left\n",
        "members trained: 2 of 2, 00:00 left\n",
    ]
