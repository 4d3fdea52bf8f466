"""Claims are read with their parts, and written as a table that nothing in them can break."""

import numpy as np
import pandas as pd
import pytest

from degu_tf.paper.results.verdicts import CLAIMS, claims_table, read_claims, verdicts_table


@pytest.fixture
def folder(tmp_path):
    row = {
        "claim": "Students | gain.", "where": "Fig. 9", "over": "each of 2",
        "statistic": "r, a - b", "value": 0.12345, "low": 0.1, "high": 0.2, "p": 0.01, "n": 4,
        "threshold": -0.01, "verdict": "holds",
    }  # fmt: skip
    lone = {**row, "over": "", "low": np.nan, "high": np.nan, "value": np.nan, "threshold": 0.0}
    pd.DataFrame([row, lone]).to_csv(tmp_path / CLAIMS, index=False)
    return tmp_path


def test_a_claim_that_is_not_made_of_parts_has_no_words_for_them(folder):
    assert read_claims(folder)["over"].tolist() == ["each of 2", ""]


def test_the_table_has_a_row_a_claim(folder):
    lines = claims_table(read_claims(folder)).splitlines()
    numbers = "r, a - b; threshold -0.01 | 0.123 | 0.1 to 0.2 | 4 | *holds* |"
    assert lines[2] == f"| Students \\| gain. | Fig. 9 | each of 2 | {numbers}"
    assert lines[3].endswith("| r, a - b | none | none | 4 | *holds* |")
    assert len(lines) == 4


def test_verdicts_on_one_claim_are_in_one_row(folder):
    lines = verdicts_table(read_claims(folder)).splitlines()
    assert lines[2:] == ["| Students \\| gain. | each of 2: *holds*; *holds* |"]
