"""Predictions as tables, and what they look like."""

import numpy as np
import pytest

from degu_tf.heads import FlooredUncertaintyWarning, HeadLayout, Prediction
from degu_tf.utils.errors import InputError

LAYOUT = HeadLayout(("Dev", "Hk"), epistemic="std")
COLUMNS = np.array([[1.0, 2.0, 0.5, 0.25], [3.0, 4.0, 0.1, 0.2]])


def test_a_frame_holds_every_number_under_its_own_name():
    prediction = LAYOUT.prediction(COLUMNS)
    frame = prediction.to_frame(["a", "b"], level=0.9)
    ends = ("", "_aleatoric", "_epistemic", "_total", "_lower", "_upper", "_floored")
    assert frame.columns.tolist() == ["name", *(t + end for t in ("Dev", "Hk") for end in ends)]
    assert frame["name"].tolist() == ["a", "b"]
    assert np.array_equal(frame[["Dev", "Hk"]], prediction.mean)
    assert np.array_equal(frame[["Dev_epistemic", "Hk_epistemic"]], prediction.epistemic)
    assert frame["Dev_aleatoric"].isna().all()
    lower, upper = prediction.interval(0.9)
    assert np.array_equal(frame[["Dev_lower", "Hk_lower"]], lower)
    assert np.array_equal(frame[["Dev_upper", "Hk_upper"]], upper)
    assert set(frame["Hk_floored"]) == {"no"}
    assert "name" not in prediction.to_frame()


def test_a_frame_takes_other_intervals():
    prediction = LAYOUT.prediction(COLUMNS)
    frame = prediction.to_frame(interval=(prediction.mean - 1, prediction.mean + 2))
    assert frame["Dev_lower"].tolist() == [0.0, 2.0]
    assert frame["Dev_upper"].tolist() == [3.0, 5.0]


def test_without_uncertainty_a_frame_has_no_interval():
    frame = Prediction(("a",), np.ones((3, 1))).to_frame()
    assert len(frame) == 3
    assert frame["a_lower"].isna().all()


def test_frames_are_of_numbers_and_of_as_many_names():
    with pytest.raises(InputError, match="of profiles take positions") as caught:
        Prediction(("a",), np.ones((3, 8, 1))).to_frame()
    assert "`degu predict --bigwig" in caught.value.command_line
    with pytest.raises(InputError, match="expected 2 names"):
        LAYOUT.prediction(COLUMNS).to_frame(["a"])


def test_what_predictions_look_like():
    prediction = LAYOUT.prediction(COLUMNS)
    assert repr(prediction) == "Prediction(2 sequences; targets Dev, Hk; epistemic)"
    with pytest.warns(FlooredUncertaintyWarning):
        flagged = LAYOUT.prediction(-COLUMNS)
    assert repr(flagged).endswith("epistemic; 4 values flagged)")
    profile = Prediction(("a",), np.ones((3, 8, 1)))
    assert repr(profile) == "Prediction(3 sequences, 8 positions; targets a; no uncertainty)"
    assert profile._repr_html_() == f"<p>{profile!r}</p>"


def test_jupyter_shows_the_first_rows():
    prediction = LAYOUT.prediction(np.repeat(COLUMNS, 100, axis=0))
    html = prediction._repr_html_()
    assert html.startswith(f"<p>{prediction!r}</p>")
    assert html.count("<tr") == 11
    assert "<th>Hk_upper</th>" in html


def test_what_layouts_look_like():
    assert repr(LAYOUT) == "HeadLayout(('Dev', 'Hk'), epistemic='std')"
    assert eval(repr(LAYOUT)) == LAYOUT
    html = LAYOUT._repr_html_()
    assert html.count("<tr") == 5
    assert html.count("<td>std</td>") == 2
    assert "<b>" not in HeadLayout(("<b>",))._repr_html_()
