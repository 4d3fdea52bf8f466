"""What the quickstart says of each model: values by the public functions, on a made-up table."""

import numpy as np
import pandas as pd
import pytest

import degu_tf as degu
from degu_tf.paper.correlations import correlations
from degu_tf.paper.quickstart.figure import quickstart_figure
from degu_tf.paper.quickstart.measures import accuracy, distance, inside, spreads

HEADS = degu.HeadLayout(("Dev", "Hk"))
N = 30


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=(N, 2)) for key in ("measured", "0", "1", "student", "ensemble")}


@pytest.fixture(scope="module")
def table(predictions):
    """The rows that the quickstart makes; epistemic uncertainty is a twentieth of the mean."""
    methods = {"0": "single", "1": "single"}
    parts = []
    for member, mean in list(predictions.items())[1:]:
        for index, target in enumerate(HEADS.targets):
            values = {"measured": predictions["measured"][:, index], "mean": mean[:, index]}
            labels = {"method": methods.get(member, member), "member": member, "target": target}
            parts.append(pd.DataFrame({**values, "sequence": range(N), **labels}))
    made = pd.concat(parts, ignore_index=True)
    width = {"lower": made["mean"] - 1.0, "upper": made["mean"] + 1.0}
    wider = {"calibrated_lower": made["mean"] - 2.0, "calibrated_upper": made["mean"] + 2.0}
    return made.assign(epistemic=made["mean"] / 20.0, **width, **wider)


def test_accuracy_and_distance_are_those_of_the_package(predictions, table):
    scores, distances = (f(table).set_index(["member", "target"]) for f in (accuracy, distance))
    assert len(scores) == 8
    assert len(distances) == 6
    ensemble = HEADS.prediction(predictions["ensemble"])
    for member in ("0", "1", "student"):
        made = HEADS.prediction(predictions[member])
        own = degu.metrics.score(made, predictions["measured"], HEADS).set_index(
            ["metric", "target"]
        )
        far = degu.metrics.distance(made, ensemble).set_index("target")
        for target in HEADS.targets:
            r, d = (each["value"][member, target] for each in (scores, distances))
            assert r == pytest.approx(own["value"]["pearson", target])
            assert d == pytest.approx(far["value"][target])


def test_spreads_lie_beside_the_ensembles(predictions, table):
    rows = spreads(table[table["target"] == "Hk"])
    np.testing.assert_allclose(rows["of_ensemble"], predictions["ensemble"][:, 1] / 20.0)
    np.testing.assert_allclose(rows["epistemic"], predictions["student"][:, 1] / 20.0)
    r = np.corrcoef(predictions["student"][:, 1], predictions["ensemble"][:, 1])[0, 1]
    found = correlations(rows, ["target"], "epistemic", "of_ensemble")
    assert found.to_numpy().tolist() == [["Hk", pytest.approx(r)]]


def test_the_share_inside_and_the_figure(predictions, table):
    distances = np.abs(predictions["measured"] - predictions["student"])
    rows = table[table["method"] == "student"]
    assert inside(rows) == pytest.approx((distances <= 1.0).mean())
    assert inside(rows, "calibrated_") == pytest.approx((distances <= 2.0).mean())
    figure = quickstart_figure(table)
    assert len(figure.axes) == 8
    assert figure.axes[0].get_title(loc="left") == "Dev"
