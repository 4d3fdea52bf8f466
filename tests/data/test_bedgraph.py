"""bedGraph files."""

import numpy as np
import pytest

from degu_tf.data.bedgraph import write_bedgraph
from degu_tf.utils.errors import InputError


def test_lines_are_sorted_and_empty_ones_left_out(tmp_path):
    path = tmp_path / "x.bedGraph"
    intervals = [("chr2", 0, 4), ("chr10", 7, 9), ("chr10", 1, 7), ("chr2", 4, 4), ("chr2", 4, 8)]
    write_bedgraph(path, intervals, np.array([0.5, -1e-7, 1234567.0, 3.0, np.nan]))
    assert path.read_text() == ("chr10\t1\t7\t1.23457e+06\nchr10\t7\t9\t-1e-07\nchr2\t0\t4\t0.5\n")


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ([("chr1", 0, 5), ("chr1", 4, 8)], "merge them.*Received: chr1:0-5 and 4-8"),
        ([("chr1", 4, 8), ("chr1", 4, 8)], "Received: chr1:4-8 and 4-8"),
        ([("my oligo", 4, 8), ("b", 4, 8)], "white space.*Received: 'my oligo'"),
    ],
)
def test_what_is_no_bedgraph_is_refused(tmp_path, intervals, message):
    with pytest.raises(InputError, match=message):
        write_bedgraph(tmp_path / "x.bedGraph", intervals, np.zeros(2))
    assert not list(tmp_path.iterdir())
