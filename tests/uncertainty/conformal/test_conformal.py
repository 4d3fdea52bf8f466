"""Conformal prediction: its factors, what it refuses, and what it keeps on disk."""

import io
import json
import math
import zipfile
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from crepes import ConformalRegressor

from degu_tf.heads import MIN_STD, HeadLayout, Prediction
from degu_tf.metrics.intervals import coverage
from degu_tf.sequences.encoding import decode, one_hot
from degu_tf.uncertainty.conformal.conformal import Conformal
from degu_tf.uncertainty.conformal.ranks import points_needed, rank
from degu_tf.utils.errors import InputError

HEADS = HeadLayout(("Dev", "Hk"))


def sample(n, seed=0, targets=("Dev", "Hk")):
    """A prediction with both uncertainties, and measurements that scatter by its total."""
    rng = np.random.default_rng(seed)
    shape = (n, len(targets))
    prediction = Prediction(
        targets,
        rng.normal(size=shape),
        aleatoric=rng.uniform(0.1, 1.0, shape),
        epistemic=rng.uniform(0.1, 1.0, shape),
    )
    return prediction, prediction.mean + prediction.total * rng.normal(size=shape)


@pytest.fixture
def calibration():
    return sample(120)


@pytest.fixture
def new():
    return sample(50, seed=1)[0]


# factors and intervals


@pytest.mark.parametrize("component", ["total", "aleatoric", "epistemic"])
@pytest.mark.parametrize("n", [19, 20, 57, 120])
def test_the_factor_is_the_ranked_score(component, n, new):
    prediction, measured = sample(n)
    conformal = Conformal(component).fit(prediction, measured, HEADS)
    for level in (0.3, 0.5, 0.8, 0.95):
        rank_of = math.ceil((n + 1) * Fraction(str(level)))
        lower, upper = conformal.predict(new, level)
        assert lower.shape == upper.shape == new.mean.shape
        for t in range(2):
            scores = sorted(
                abs(y - m) / s
                for y, m, s in zip(
                    measured[:, t],
                    prediction.mean[:, t],
                    prediction.component(component)[:, t],
                    strict=True,
                )
            )
            half = scores[rank_of - 1] * new.component(component)[:, t]
            np.testing.assert_allclose(lower[:, t], new.mean[:, t] - half, rtol=1e-12)
            np.testing.assert_allclose(upper[:, t], new.mean[:, t] + half, rtol=1e-12)


def test_the_plain_quantile_is_the_papers(calibration, new):
    prediction, measured = calibration
    conformal = Conformal(quantile="plain").fit(prediction, measured, HEADS)
    scores = np.abs(measured - prediction.mean) / prediction.total
    for level in (0.5, 0.9, 0.95):
        expected = np.quantile(scores, level, axis=0)
        np.testing.assert_allclose(conformal.factors(level)["factor"], expected, rtol=1e-12)
        _, upper = conformal.predict(new, level)
        np.testing.assert_allclose(upper, new.mean + expected * new.total, rtol=1e-12)


def test_ranks_are_those_of_exact_decimals():
    """In floats some of these products lie above the whole number that they are."""
    for percent in range(1, 100):
        for n in range(4, 400, 5):
            expected = math.ceil(Fraction(percent, 100) * (n + 1))
            assert rank(n, percent / 100) == rank(n, 1 - (100 - percent) / 100) == expected
    assert math.ceil((99 + 1) * 0.55) == 56
    assert rank(99, 0.55) == 55
    assert rank(10**6 - 1, np.float32(0.5)) == 500_000


def test_as_many_points_are_needed_as_have_a_rank():
    for level in (0.05, 0.5, 0.55, 0.8, 0.9, 0.95, 0.99, 0.999):
        needed = points_needed(level)
        assert rank(needed, level) <= needed
        assert needed == 1 or rank(needed - 1, level) > needed - 1


@pytest.mark.parametrize("n", [22, 57, 200])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_equals_crepes(n, level, new):
    """Where (n + 1) level is no whole number; crepes 0.9 truncates 0.1 * 20 in floats to 1."""
    prediction, measured = sample(n, seed=n)
    ours = Conformal().fit(prediction, measured, HEADS).predict(new, level)
    for t in range(2):
        theirs = ConformalRegressor()
        theirs.fit(measured[:, t] - prediction.mean[:, t], sigmas=prediction.total[:, t])
        expected = theirs.predict_int(new.mean[:, t], sigmas=new.total[:, t], confidence=level)
        np.testing.assert_allclose(np.stack([end[:, t] for end in ours], 1), expected, rtol=1e-12)


@pytest.mark.parametrize("by", ["bins", "groups"])
def test_equals_crepes_in_bins_and_groups(by, new):
    prediction, measured = sample(161)
    rng = np.random.default_rng(3)
    groups, new_groups = rng.choice(["a", "b", "c"], 161), rng.choice(["c", "a"], len(new))
    if by == "groups":
        conformal = Conformal().fit(prediction, measured, HEADS, groups=groups)
        ours = conformal.predict(new, 0.9, groups=new_groups)
    else:
        conformal = Conformal(n_bins=3).fit(prediction, measured, HEADS, levels=(0.9,))
        ours = conformal.predict(new, 0.9)
    for t in range(2):
        cells, new_cells = groups, new_groups
        if by == "bins":
            edges = np.quantile(prediction.mean[:, t], [1 / 3, 2 / 3])
            cells = (prediction.mean[:, t, np.newaxis] >= edges).sum(axis=1)
            new_cells = (new.mean[:, t, np.newaxis] >= edges).sum(axis=1)
        theirs = ConformalRegressor()
        residuals = measured[:, t] - prediction.mean[:, t]
        theirs.fit(residuals, sigmas=prediction.total[:, t], bins=cells)
        expected = theirs.predict_int(
            new.mean[:, t], sigmas=new.total[:, t], bins=new_cells, confidence=0.9
        )
        np.testing.assert_allclose(np.stack([end[:, t] for end in ours], 1), expected, rtol=1e-12)


def test_bins_hold_equally_many():
    prediction, measured = sample(1000)
    factors = Conformal(n_bins=4).fit(prediction, measured, HEADS).factors()
    assert factors.columns.tolist() == ["target", "group", "n", "factor"]
    assert factors["n"].tolist() == [250] * 8
    assert factors["target"].tolist() == ["Dev"] * 4 + ["Hk"] * 4
    edges = [f"{edge:.4g}" for edge in np.quantile(prediction.mean[:, 0], [0.25, 0.5, 0.75])]
    assert factors["group"][:4].tolist() == [
        f"below {edges[0]}",
        f"{edges[0]} to {edges[1]}",
        f"{edges[1]} to {edges[2]}",
        f"from {edges[2]}",
    ]


def test_a_value_on_an_edge_is_in_the_bin_above():
    mean = np.arange(41.0)[:, np.newaxis]
    prediction = Prediction(("Dev",), mean, epistemic=np.ones((41, 1)))
    measured = mean + np.where(mean < 20, 1.0, 3.0)
    conformal = Conformal(n_bins=2).fit(prediction, measured, HeadLayout(("Dev",)))
    assert conformal.factors()[["n", "factor"]].values.tolist() == [[20, 1.0], [21, 3.0]]
    _, upper = conformal.predict(prediction)
    np.testing.assert_array_equal(upper, measured)


def test_groups_are_known_by_their_text(calibration, new):
    """Numbers and text, in arrays and lists and columns, in any order."""
    prediction, measured = calibration
    groups = np.arange(120) % 3
    conformal = Conformal().fit(prediction, measured, HEADS, levels=(0.9,), groups=groups)
    assert conformal.factors(0.9)["group"].tolist() == ["0", "1", "2"] * 2
    wanted = np.array([2, 0] * 25)
    expected = conformal.predict(new, 0.9, groups=wanted)
    for form in (wanted.astype(str), wanted.astype(str).tolist(), pd.Series(wanted.astype(str))):
        np.testing.assert_array_equal(conformal.predict(new, 0.9, groups=form), expected)


def test_intervals_are_judged_like_any_others():
    prediction, measured = sample(400)
    conformal = Conformal("aleatoric").fit(prediction, measured, HEADS)
    table = coverage(
        prediction, measured, HEADS, 0.9, components=["aleatoric"], interval=conformal.interval
    )
    covered = table.loc[table["metric"] == "coverage", "value"]
    np.testing.assert_allclose(covered, math.ceil(401 * 0.9) / 400, atol=1 / 400)
    with pytest.raises(InputError, match=r"made from the aleatoric.*component='total'"):
        conformal.interval(prediction, 0.9, "total")


# what is refused


def with_value(array, value):
    array = array.copy()
    array[3, 1] = value
    return array


def test_too_few_points_for_a_level(new):
    prediction, measured = sample(19)
    conformal = Conformal().fit(prediction, measured, HEADS)
    conformal.predict(new, 0.95)
    with pytest.raises(InputError, match=r"level 0.99 needs 99 .* Received: 19 \(Dev\)"):
        conformal.predict(new, 0.99)
    few = prediction.select(slice(18))
    for quantile in ("finite_sample", "plain"):
        with pytest.raises(InputError, match=r"level 0.95 needs 19 .* Received: 18 \(Dev\)"):
            Conformal(quantile=quantile).fit(few, measured[:18], HEADS)
    Conformal().fit(few, measured[:18], HEADS, levels=(0.9,))
    with pytest.raises(InputError, match="needs 99"):
        Conformal().fit(prediction, measured, HEADS, levels=(0.5, 0.99))
    for conformal in (Conformal(), Conformal(n_bins=2)):
        with pytest.raises(InputError, match="one sequence or more"):
            conformal.fit(prediction.select(slice(0)), measured[:0], HEADS)
    with pytest.raises(InputError, match="one level or more"):
        Conformal().fit(prediction, measured, HEADS, levels=())


def test_too_few_points_in_a_bin_or_group():
    prediction, measured = sample(60)
    with pytest.raises(InputError, match=r"needs 19 .*fewer bins. Received: 15 \(Dev, group 'belo"):
        Conformal(n_bins=4).fit(prediction, measured, HEADS)
    groups = ["many"] * 50 + ["few"] * 10
    with pytest.raises(InputError, match=r"Received: 10 \(Dev, group 'few'\)"):
        Conformal().fit(prediction, measured, HEADS, groups=groups)
    constant = Prediction(prediction.targets, np.ones((60, 2)), epistemic=np.ones((60, 2)))
    with pytest.raises(InputError, match="Received: 0 "):
        Conformal(n_bins=2).fit(constant, measured, HEADS)


def test_floored_uncertainty(calibration):
    prediction, measured = sample(200)
    floored = prediction.aleatoric.astype(np.float32)
    floored[:3, 1] = MIN_STD
    known = Prediction(("Dev", "Hk"), prediction.mean, floored, prediction.epistemic)
    with pytest.raises(InputError, match=r"aleatoric .*floor of 1e-06.*Received: 1\.5% .*for Hk"):
        Conformal("aleatoric").fit(known, measured, HEADS)
    Conformal("total").fit(known, measured, HEADS)
    for both in (
        Prediction(("Dev", "Hk"), prediction.mean, floored, floored.astype(np.float64)),
        Prediction(("Dev", "Hk"), prediction.mean, None, floored),
    ):
        with pytest.raises(InputError, match=r"total .*Received: 1\.5%"):
            Conformal("total").fit(both, measured, HEADS)
    floored[2, 1] = 0.5
    known = Prediction(("Dev", "Hk"), prediction.mean, floored, prediction.epistemic)
    Conformal("aleatoric").fit(known, measured, HEADS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(calibration, value):
    prediction, measured = calibration
    where = "in row 3 of Hk"
    spoilt = with_value(measured, np.inf)
    if np.isnan(value):
        spoilt = measured.copy()
        spoilt[:, 1] = np.nan
    with pytest.raises(InputError, match=r"measured values must be finite.*of Hk"):
        Conformal().fit(prediction, spoilt, HEADS)
    fitted = Conformal().fit(prediction, measured, HEADS)
    for part, message in (("mean", "predicted values"), ("epistemic", "standard deviations")):
        parts = {name: getattr(prediction, name) for name in ("mean", "aleatoric", "epistemic")}
        parts[part] = with_value(parts[part], value)
        bad = Prediction(prediction.targets, **parts)
        with pytest.raises(InputError, match=rf"{message} must be finite.*{where} \(1 such"):
            Conformal().fit(bad, measured, HEADS)
        with pytest.raises(InputError, match=f"{message} must be finite.*{where}"):
            fitted.predict(bad)


def test_deviations_that_are_none(calibration):
    prediction, measured = calibration
    for value in (0.0, -1.0):
        std = with_value(prediction.epistemic, value)
        bad = Prediction(prediction.targets, prediction.mean, epistemic=std)
        with pytest.raises(InputError, match="finite and above 0"):
            Conformal("epistemic").fit(bad, measured, HEADS)


def test_targets_rows_and_profiles(calibration, new):
    prediction, measured = calibration
    with pytest.raises(InputError, match=r"expected a prediction of \('Hk', 'Dev'\)"):
        Conformal().fit(prediction, measured, HeadLayout(("Hk", "Dev")))
    with pytest.raises(InputError, match=r"shape \(119, 2\), as measured.*shape \(120, 2\)"):
        Conformal().fit(prediction, measured[1:], HEADS)
    with pytest.raises(InputError, match=r"measured columns must have shape \(N, 2\)"):
        Conformal().fit(prediction, measured[:, :1], HEADS)
    fitted = Conformal().fit(prediction, measured, HEADS)
    other = Prediction(("Hk", "Dev"), new.mean, epistemic=new.epistemic)
    with pytest.raises(InputError, match=r"expected a prediction of \('Dev', 'Hk'\), as fitted"):
        fitted.predict(other)
    profile = Prediction(("Dev", "Hk"), np.zeros((120, 5, 2)), epistemic=np.ones((120, 5, 2)))
    with pytest.raises(InputError, match="one number a sequence and target; pool profiles"):
        Conformal().fit(profile, np.zeros((120, 5, 2)), HEADS)
    with pytest.raises(InputError, match="one number a sequence and target; pool profiles"):
        fitted.predict(profile)


def test_the_measured_columns_may_hold_more_than_the_activity(calibration, new):
    prediction, measured = calibration
    heads = HeadLayout(("Dev", "Hk"), aleatoric="std")
    more = heads.join(measured, np.ones_like(measured))
    np.testing.assert_array_equal(
        Conformal().fit(prediction, more, heads).predict(new),
        Conformal().fit(prediction, measured, HEADS).predict(new),
    )


def test_a_component_the_predictor_lacks(calibration, new):
    prediction, measured = calibration
    bare = Prediction(new.targets, new.mean, epistemic=new.epistemic)
    fitted = Conformal("aleatoric").fit(prediction, measured, HEADS)
    with pytest.raises(InputError, match="gives no aleatoric uncertainty"):
        fitted.predict(bare)
    with pytest.raises(InputError, match="gives no total uncertainty"):
        Conformal().fit(Prediction(("Dev", "Hk"), prediction.mean), measured, HEADS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"component": "sigma"}, r"expected one of \('total'"),
        ({"quantile": "finite-sample"}, r"expected one of \('finite_sample'"),
        ({"n_bins": 1}, "two bins or more"),
        ({"n_bins": 2.0}, "two bins or more"),
        ({"n_bins": True}, "two bins or more"),
    ],
)
def test_options(options, message):
    with pytest.raises(InputError, match=message):
        Conformal(**options)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95, np.nan, np.inf, 1 - 1e-12, 1e-12])
def test_levels(calibration, level):
    prediction, measured = calibration
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        Conformal().fit(prediction, measured, HEADS, levels=(level,))
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        Conformal().fit(prediction, measured, HEADS).predict(prediction, level)


def test_groups_that_cannot_be_used(calibration, new):
    prediction, measured = calibration
    groups = np.array(["a", "b"] * 60)
    with pytest.raises(InputError, match="groups or bins, not both"):
        Conformal(n_bins=2).fit(prediction, measured, HEADS, groups=groups)
    fitted = Conformal().fit(prediction, measured, HEADS, groups=groups)
    with pytest.raises(InputError, match="Received: none, though groups were fitted"):
        fitted.predict(new)
    with pytest.raises(InputError, match="Received: groups, none fitted"):
        Conformal().fit(prediction, measured, HEADS).predict(new, groups=groups[:50])
    with pytest.raises(InputError, match=r"were fitted: \['a', 'b'\].*1 others, such as 'z'"):
        fitted.predict(new, groups=["a"] * 49 + ["z"])
    with pytest.raises(InputError, match="label for each of the 50 sequences"):
        fitted.predict(new, groups=groups)
    for bad in (np.ones(120), [["a"]] * 120):
        with pytest.raises(InputError, match="text or whole numbers"):
            Conformal().fit(prediction, measured, HEADS, groups=bad)
    with pytest.raises(InputError, match="Received: 1 missing"):
        Conformal().fit(prediction, measured, HEADS, groups=[None, *groups[1:]])
    mixed = np.array([1, "1"] * 60, dtype=object)
    with pytest.raises(InputError, match="all text or all whole numbers"):
        Conformal().fit(prediction, measured, HEADS, groups=mixed)


def test_nothing_fitted(new, tmp_path):
    for use in (
        lambda conformal: conformal.predict(new),
        lambda conformal: conformal.factors(),
        lambda conformal: conformal.check_unseen(["ACGT"]),
        lambda conformal: conformal.save(tmp_path / "c.npz"),
    ):
        with pytest.raises(InputError, match="nothing was fitted yet"):
            use(Conformal())
    assert not any(tmp_path.iterdir())


# sequences that were calibrated on


def test_calibration_sequences_are_recognised(calibration):
    prediction, measured = calibration
    tokens = np.random.default_rng(0).integers(0, 5, (120, 30), dtype=np.uint8)
    fitted = Conformal().fit(prediction, measured, HEADS, decode(tokens))
    others = np.random.default_rng(1).integers(0, 5, (40, 30), dtype=np.uint8)
    fitted.check_unseen(others)
    fitted.check_unseen(decode(others))
    some = np.concatenate([others, tokens[7:10]])
    for form in (some, one_hot(some), decode(some)):
        with pytest.raises(InputError, match="Received: 3 of 43 sequences used for calibration"):
            fitted.check_unseen(form)
    with pytest.raises(InputError, match=r"expected the 120 sequences.* Received: 119"):
        Conformal().fit(prediction, measured, HEADS, tokens[1:])
    with pytest.raises(InputError, match="stores no sequences"):
        Conformal().fit(prediction, measured, HEADS).check_unseen(others)


# on disk


@pytest.mark.parametrize("divided", ["", "bins", "groups"])
@pytest.mark.parametrize("quantile", ["finite_sample", "plain"])
def test_what_is_saved_comes_back(calibration, new, tmp_path, divided, quantile):
    prediction, measured = calibration
    tokens = np.random.default_rng(0).integers(0, 5, (120, 30), dtype=np.uint8)
    groups = ["ä", "b"] * 60 if divided == "groups" else None
    conformal = Conformal("epistemic", quantile, 3 if divided == "bins" else None)
    conformal.fit(prediction, measured, HEADS, tokens, (0.9,), groups)
    conformal.notes = {"fingerprint": "f", "strands": False}
    conformal.save(tmp_path / "c.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["c.npz"]
    loaded = Conformal.load(tmp_path / "c.npz")
    assert (loaded.component, loaded.quantile, loaded.n_bins, loaded.notes) == (
        conformal.component,
        conformal.quantile,
        conformal.n_bins,
        conformal.notes,
    )
    new_groups = ["b"] * 50 if groups else None
    for level in (0.5, 0.9):
        np.testing.assert_array_equal(
            loaded.predict(new, level, new_groups), conformal.predict(new, level, new_groups)
        )
        pd.testing.assert_frame_equal(loaded.factors(level), conformal.factors(level))
    with pytest.raises(InputError, match="120 of 120"):
        loaded.check_unseen(tokens)


def test_without_sequences_none_are_saved(calibration, tmp_path):
    prediction, measured = calibration
    Conformal().fit(prediction, measured, HEADS).save(tmp_path / "c.npz")
    with pytest.raises(InputError, match="stores no sequences"):
        Conformal.load(tmp_path / "c.npz").check_unseen(["ACGT"])


def rewritten(path, settings=(), **arrays):
    """The file with other settings or arrays."""
    with np.load(path) as file:
        content = dict(file)
    kept = {**json.loads(str(content["settings"])), **dict(settings)}
    content["settings"] = np.array(json.dumps(kept))
    np.savez(path, **{**content, **arrays})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"format": 2}}, "format 2, this version of degu_tf reads 1; calibrate again"),
        ({"settings": {"what": "weights"}}, "of another kind"),
        ({"settings": {"component": "sigma"}}, "expected one of"),
        ({"settings": {"notes": 3}}, "not a calibration"),
        ({"settings": {"targets": ["Dev"]}}, "do not fit together"),
        ({"settings": {"targets": 2}}, "not a calibration"),
        ({"settings": {"n_bins": 2}}, "bins do not match"),
        ({"scores": np.ones(3)}, "do not fit together"),
        ({"scores": np.arange(240.0)[::-1]}, "not in order"),
        ({"scores": np.full(240, np.nan)}, "do not fit together"),
        ({"scores": np.arange(240.0) - 5}, "not in order"),
        ({"counts": np.array([[240], [0]])}, "do not fit together"),
        ({"counts": np.array([240])}, "do not fit together"),
        ({"edges": np.zeros(2)}, "not a calibration"),
        ({"hashes": np.zeros(3)}, "do not fit together"),
    ],
)
def test_files_that_say_something_else(calibration, tmp_path, change, message):
    path = tmp_path / "c.npz"
    prediction, measured = calibration
    Conformal().fit(prediction, measured, HEADS).save(path)
    rewritten(path, **change)
    with pytest.raises(InputError, match=rf"(?s){message}.*Received: .*c\.npz"):
        Conformal.load(path)


def test_files_that_are_damaged_or_foreign(calibration, tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(InputError, match="expected the file of a calibration"):
        Conformal.load(path)
    prediction, measured = calibration
    Conformal().fit(prediction, measured, HEADS).save(path)
    whole = path.read_bytes()
    broken = bytearray(whole)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("scores.npy").header_offset
    broken[start + 400 : start + 500] = bytes(100)
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", settings=np.array({"a": 1}, dtype=object))
    contents = [b"", b"text", whole[:100], whole[:-200], bytes(broken)]
    contents += [file.read_bytes() for file in tmp_path.iterdir() if file != path]
    assert len(contents) == 8
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a calibration, or a damaged one"):
            Conformal.load(path)


def test_sizes_are_checked_before_anything_is_allocated(calibration, tmp_path):
    """An array of 8 TB that the file does not hold, and zeros that compress a thousandfold."""
    path = tmp_path / "c.npz"
    prediction, measured = calibration
    Conformal().fit(prediction, measured, HEADS).save(path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, fields)
    for content, message in (
        (
            header.getvalue() + bytes(800),
            "scores in the file, 8,000,000,000,000 bytes",
        ),
        (header.getvalue() + bytes(40 << 20), "would unpack to"),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, own in held.items():
                archive.writestr(name, content if name == "scores.npy" else own)
        with pytest.raises(InputError, match=rf"c\.npz: .*{message}"):
            Conformal.load(path)


def test_a_calibration_is_saved_whole_or_not_at_all(calibration, tmp_path, monkeypatch):
    prediction, measured = calibration
    conformal = Conformal().fit(prediction, measured, HEADS)
    with pytest.raises(InputError, match=r"ending \.npz"):
        conformal.save(tmp_path / "c.json")
    conformal.save(tmp_path / "c.npz")
    before = (tmp_path / "c.npz").read_bytes()

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space"):
        conformal.save(tmp_path / "c.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["c.npz"]
    assert (tmp_path / "c.npz").read_bytes() == before


def test_a_refused_fit_changes_nothing(calibration, new):
    prediction, measured = calibration
    conformal = Conformal().fit(prediction, measured, HEADS)
    before = conformal.predict(new)
    with pytest.raises(InputError):
        conformal.fit(prediction, measured, HEADS, levels=(0.999,))
    np.testing.assert_array_equal(conformal.predict(new), before)


def test_binary_targets_are_refused():
    heads = HeadLayout(("open",), task="binary")
    prediction = heads.student().prediction(np.full((200, 2), 0.4))
    with pytest.raises(InputError, match=r"made for measured numbers.*Received: binary targets"):
        Conformal().fit(prediction, np.zeros((200, 1)), heads)
