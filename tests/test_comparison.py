"""Scales against loops and committed tables, and verdicts that do not cry wolf."""

from fractions import Fraction

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

import lct_lab  # noqa: E402
from lct_lab import comparison, probe, signals, tables  # noqa: E402
from lct_lab.comparison import by_errors, compare, judge, judged, scale  # noqa: E402

ONES = (1, 1, 1, 1)
KINDS = {
    "sorted": ("random", False),
    "shuffled": ("shuffled", False),
    "tied": ("random", True),
    "jittered": ("jittered", False),
}


@pytest.fixture(scope="module")
def shuffled():
    """A right law, decided: 2000 shuffled starts with amplitudes of one."""
    return compare(128, 64, init="shuffled", amplitudes=ONES, inits=2000)


@pytest.fixture(scope="module")
def few():
    return compare(32, 32, inits=4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_scale_and_its_error_are_those_of_a_loop_for_any_grouping():
    raw = pd.concat([probe(20, m, inits=7, seed=m).assign(m=m) for m in (15, 5)])
    found = scale(raw, by=["m", "group"])
    assert list(found.index[:2]) == [(15, "a1"), (15, "a2")]
    for (m, group), row in found.iterrows():
        squares = raw.loc[(raw["m"] == m) & (raw["group"] == group), "rms"].to_numpy() ** 2
        root = np.sqrt(squares.mean())
        assert row["measured"] == pytest.approx(root, rel=1e-14)
        assert row["error"] == pytest.approx(squares.std(ddof=1) / 7**0.5 / 2 / root, rel=1e-13)
    alone = raw.query("m == 5 and init == 3")
    assert scale(alone)["measured"].to_list() == pytest.approx(alone["rms"].to_list(), rel=1e-15)
    assert scale(alone)["error"].isna().all()
    with pytest.raises(ValueError, match=r"columns size, group, rms, got none called \['size'\]"):
        scale(raw, by=["size", "group"])


def test_scale_writes_the_digits_of_a_committed_table():
    raw = probe(300, 150, init="shuffled", amplitudes=ONES, inits=1000, seed=0)
    committed = pd.read_csv(tables.root() / "data" / "07-laws.csv", dtype=str)
    rows = committed.query("m == '150' and start == 'shuffled'").set_index("of")
    rows = rows.loc[["a4", "w1", "w2"]]
    written = scale(raw).loc[rows.index].map("{:.9g}".format)
    assert written.equals(rows[["measured", "error"]].rename_axis("group"))


def test_one_call_gives_rms_mean_and_median_of_every_group_with_law_and_verdict(shuffled):
    table, raw = shuffled.table, shuffled.raw
    assert list(table.index.get_level_values("statistic").unique()) == ["rms", "mean", "median"]
    assert list(shuffled.rms.index) == ["a1", "a2", "a3", "a4", "w1", "w2"]
    columns = "measured error low high predicted ratio band verdict starts"
    assert list(table) == columns.split()
    law, by_group = shuffled.law, raw.groupby("group")
    assert shuffled.rms["predicted"].equals(law["rms"])
    assert shuffled.mean["measured"].to_dict() == pytest.approx(by_group["mean"].mean().to_dict())
    medians = by_group["median_abs"].median()
    assert shuffled.median["measured"].to_dict() == medians.to_dict()
    assert shuffled.median["predicted"].equals(law["median_abs"])
    assert (shuffled.mean["band"] == law["band"]).all()
    assert (shuffled.median["band"] == law["median_band"]).all()
    losses = raw.groupby("init")["loss"].first()
    assert shuffled.loss["measured"] == pytest.approx(losses.mean())
    assert shuffled.loss["predicted"] == pytest.approx(losses.mean(), rel=0.02)


def test_a_right_law_is_within_and_one_wrong_by_a_tenth_outside(shuffled):
    decided = [("rms", group) for group in ("a2", "a4", "w1", "w2")]
    assert (shuffled.rms.loc[["w1", "w2"], "verdict"] == "within").all()
    assert (shuffled.table["verdict"] != "outside").all()
    for factor in (0.9, 1.1):
        wrong = shuffled.law.assign(rms=factor * shuffled.law["rms"])
        assert (judged(shuffled.raw, wrong).loc[decided, "verdict"] == "outside").all()
    few = judged(shuffled.raw.query("init < 20"), wrong).loc[decided]
    assert (few["verdict"] == "undecided").any(), "twenty starts cannot tell"


def test_as_many_starts_as_it_says_decide_what_was_undecided(shuffled):
    first = judged(shuffled.raw.query("init < 300"), shuffled.law, statistics=("rms",))
    undecided = first.query("verdict == 'undecided' and starts <= 2000")
    assert len(undecided) >= 2
    for (_, group), row in undecided.iterrows():
        enough = shuffled.raw.query("init < @row.starts")
        found = judged(enough, shuffled.law, statistics=("rms",))
        assert found.loc[("rms", group), "verdict"] == "within"
        assert row["starts"] == float(f"{row['starts']:.2g}"), "two digits, no more"


@pytest.mark.parametrize("kind", KINDS)
def test_correct_laws_are_called_outside_in_one_table_of_twenty_at_most(kind):
    """Tables of 20 starts each, of the rms alone and of all three statistics."""
    init, tied = KINDS[kind]
    settings = dict(init=init, tied=tied, amplitudes=None, signal="uniform", batch=1)
    law = comparison.predicted(128, 128, **settings)
    raw = probe(128, 128, init=init, tied=tied, inits=1000, seed=1)
    outside = []
    for _, few in raw.groupby(raw["init"] // 20):
        tables_found = judged(few, law, statistics=("rms",)), judged(few, law)
        outside.append([(found["verdict"] == "outside").any() for found in tables_found])
    assert len(outside) == 50 and (np.mean(outside, axis=0) <= 0.06).all()


def test_one_start_decides_nothing_and_warns_of_nothing(recwarn):
    found = compare(64, 64, inits=1)
    assert (found.table["verdict"] == "undecided").all() and found.table["starts"].isna().all()
    assert np.isinf(found.table["error"]).all()
    found.plot()
    assert not recwarn.list


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32))
def test_a_gradient_that_is_zero_is_zero_to_rounding(dtype):
    found = compare(64, 64, init="orthogonal", tied=True, inits=10, dtype=dtype)
    assert (found.table["verdict"] == "within").all() and found.table["ratio"].isna().all()
    off = compare(64, 32, init="orthogonal", tied=True, inits=10, dtype=dtype)
    nothing = off.law.assign(rms=0.0, mean=0.0)
    assert (judged(off.raw, nothing).loc["rms", "verdict"] == "outside").all()


def test_where_no_law_applies_it_says_so_and_scales_are_still_to_be_had(monkeypatch):
    raw = probe(20, 16, inits=12)
    found = judged(raw, None)
    assert (found["verdict"] == "no law").all() and found["predicted"].isna().all()
    pd.testing.assert_frame_equal(found.loc["rms"][["measured", "error"]], scale(raw), rtol=1e-14)
    assert comparison.summary(found) == "No law here."
    monkeypatch.setattr(comparison.probes, "probe", None)  # nothing is measured in vain
    with pytest.raises(ValueError, match="at least 32, got 20"):
        compare(20, 16)


def test_a_recording_is_one_table_of_windows_for_law_and_starts():
    found = compare(64, 32, init="shuffled", signal="ecg", inits=30, batch=2, seed=3)
    options = dict(init="shuffled", inits=30, batch=2, seed=3)
    windows = comparison.windows("ecg", 64, 32, **options)
    assert windows.shape == (64, 64) and found.raw.attrs["signal"] == "ecg"
    assert probe(64, 32, signal=windows, **options).equals(found.raw)
    assert comparison.windows("normal", 64, 32, **options) == "normal"
    assert set(np.round(windows.std(1), 12)) == {1.0} and len(signals.recording("ecg")) == 1


def test_many_starts_share_the_windows_of_a_recording(monkeypatch):
    options = dict(init="shuffled", inits=300, batch=2, seed=3)
    assert len(comparison.windows("ecg", 64, 32, **options)) == 600
    monkeypatch.setattr(comparison, "DRAWN", 64 * 100)
    assert len(comparison.windows("ecg", 64, 32, **options)) == 100
    assert len(comparison.windows("ecg", 64, 32, **options | {"batch": 150})) == 150
    found = compare(64, 32, signal="ecg", **options)
    assert "outside" not in set(found.table["verdict"])


def test_rows_without_a_group_and_laws_with_two_are_a_sentence():
    raw, law = probe(33, 33, inits=3), lct_lab.predict(33, 33)
    for rows, known, words in (
        (raw.iloc[:-1], law, "raw must have every group in every init, got no w2 in init 2"),
        (raw, pd.concat([law, law]), "law must have one row for each group, got several for a1"),
        (raw, law.assign(band=-0.1), "band must be a positive relative width, got -0.1$"),
        (raw.set_index("group", drop=False), law, "raw must have group as a column alone"),
    ):
        with pytest.raises(ValueError, match=words):
            judged(rows, known)


def test_any_real_number_is_a_confidence():
    found = compare(32, 32, inits=3, confidence=Fraction(9, 10))
    assert found.table.equals(compare(32, 32, inits=3, confidence=0.9).table)


def test_confidence_is_that_of_all_rows_together():
    one, error, band = pd.Series([1.0]), 0.02, 0.05
    many = pd.Series([1.0] * 40)
    assert judge(one * 1.095, error, 1.0, band)["verdict"].to_list() == ["outside"]
    assert set(judge(many * 1.095, error, 1.0, band)["verdict"]) == {"undecided"}
    assert set(judge(one, error, 1.0, band)["verdict"]) == {"within"}
    assert set(judge(many, error, 1.0, band)["verdict"]) == {"undecided"}
    assert set(judge(one, error, 1.0, band, confidence=0.999)["verdict"]) == {"undecided"}
    nan = pd.Series([np.nan] * 40)
    both = judge(pd.concat([one * 1.095, many]), error, pd.concat([one, nan]), band)
    assert both["verdict"].to_list() == ["outside"] + ["no law"] * 40


def test_verdicts_by_errors_are_within_outside_and_undecided():
    measured, error = pd.Series([1.01, 1.2, 1.01]), pd.Series([0.001, 0.001, 0.5])
    table = by_errors(measured, pd.Series([1.0, 1.0, 1.0]), 0.02, error)
    assert list(table["verdict"]) == ["within", "outside", "undecided"]
    assert list(table) == ["measured", "error", "predicted", "ratio", "band", "verdict"]
    assert list(by_errors(measured, 1.0, 0.02)["verdict"]) == ["within", "outside", "within"]


@pytest.mark.parametrize("unknown", ["measured", "predicted", "error", "band"])
def test_by_errors_decides_nothing_about_what_is_not_known(unknown):
    known = {"measured": 1.0, "predicted": 1.0, "band": 0.02, "error": 0.001}
    columns = {name: pd.Series([value, value]) for name, value in known.items()}
    columns[unknown][0] = np.nan
    assert list(by_errors(**columns)["verdict"]) == ["undecided", "within"]
    columns["measured"][1] = 2.0
    if unknown != "measured":
        assert list(by_errors(**columns)["verdict"]) == ["undecided", "outside"]


def test_verdicts_by_errors_are_those_of_the_committed_table():
    rows = pd.read_csv(tables.root() / "data" / "05-verdicts.csv")
    again = by_errors(rows["measured"], rows["predicted"], rows["band"], rows["error"])
    assert again["verdict"].equals(rows["verdict"])


@pytest.mark.parametrize(
    "change, error, words",
    (
        ({"confidence": 1.0}, ValueError, "confidence must be between 0 and 1, got 1.0"),
        ({"confidence": "95"}, TypeError, "confidence must be a real number, got '95'"),
        ({"inits": 0}, ValueError, "inits must be at least 1, got 0"),
        ({"init": "zeros"}, ValueError, "init must be one of"),
        ({"dtype": torch.float16}, TypeError, "dtype must be torch.float32 or torch.float64"),
        ({"signal": "noise"}, ValueError, "signal must be an array or one of"),
        ({"device": 10**30}, ValueError, "device must be cpu or one of the .* CUDA devices here"),
        (
            {"amplitudes": torch.ones(4, device="meta")},
            ValueError,
            "amplitudes must be four finite numbers",
        ),
    ),
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        compare(**{"n": 64, "m": 64, **change})


def test_bands_and_rows_that_cannot_be_judged_are_named():
    for policy in (lambda m: judge(m, 0.1, 1.0, 0), lambda m: by_errors(m, 1.0, 0)):
        with pytest.raises(ValueError, match="band must be a positive relative width, got 0"):
            policy(pd.Series([1.0]))
    one = pd.Series([1.0])
    for given, words in (
        ((None, 0.1, one, 0.1), "measured must be a real number or a column of such, got None"),
        ((one, "0.1", one, 0.1), "error must be a real number or a column of such, got '0.1'"),
        ((one, -0.1, one, 0.1), "error must be a standard error of at least 0, got -0.1"),
        ((one, 0.1, one * 1j, 0.1), "predicted must be a real number or a column of such"),
        ((one, 0.1, one, "a"), "band must be a real number or a column of such, got 'a'"),
    ):
        for policy in (judge, lambda m, e, p, b: by_errors(m, p, b, e)):
            with pytest.raises((TypeError, ValueError), match=words):
                policy(*given)
    assert by_errors(1.0, 1.0, 0.1)["verdict"].item() == "within"
    with pytest.raises(ValueError, match=r"raw must have the columns .* none called \['init'\]"):
        judged(pd.DataFrame({"group": ["a1"]}), None)


def test_columns_of_unlike_length_are_a_sentence():
    two, three = np.ones(2), np.ones(3)
    words = "measured, predicted must be of one length, got 2, 3"
    for measured, predicted in ((two, three), (pd.Series(two), three), (two, pd.Series(three))):
        for policy in (lambda m, p: judge(m, 0.1, p, 0.1), lambda m, p: by_errors(m, p, 0.1)):
            with pytest.raises(ValueError, match=words):
                policy(measured, predicted)
    for options, words in (
        ({"interval": 5}, r"interval must be two, \(low, high\), got 5"),
        ({"interval": (two,)}, r"interval must be two, \(low, high\), got \(array"),
        ({"interval": (two, "a")}, "interval must be a real number or a column of such, got 'a'"),
        ({"interval": (two, three)}, "interval must be of one length with measured, 2, got 3"),
        ({"unit": "a"}, "unit must be a real number or a column of such, got 'a'"),
        ({"unit": three}, "unit must be of one length with measured, 2, got 3"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            judge(two, 0.1, 1.0, 0.1, **options)


def test_the_ends_of_an_interval_are_numbers_or_columns_in_any_order():
    measured = pd.Series([1.0, 3.0], ["a", "b"])
    for interval in (
        (np.array([0.95, 2.9]), np.array([1.05, 3.1])),
        (pd.Series([2.9, 0.95], ["b", "a"]), pd.Series([3.1, 1.05], ["b", "a"])),
    ):
        found = judge(measured, 0.1, 1.0, 0.1, interval=interval)
        assert found["verdict"].to_dict() == {"a": "within", "b": "outside"}
    assert judge(1.0, 0.1, 1.0, 0.1, interval=(0.95, 1.05))["verdict"].item() == "within"


def test_rows_and_laws_that_do_not_fit_are_a_sentence():
    raw = probe(64, 64, inits=3)
    law = lct_lab.predict(64, 64)
    for arguments, words in (
        ((pd.concat([raw, raw]), law), "raw must have one row for each of init, group, got sev"),
        ((raw, law.drop(columns="band")), r"law must have the columns .* called \['band'\]"),
        ((raw, 3), "law must be a DataFrame, got int"),
        ((raw.assign(rms="1"), law), "raw must have real numbers in rms"),
        (([], None), "raw must have the columns init, group"),
        (([raw], law), "raw must be a DataFrame or a list of dicts, one a row, got a DataFrame"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            judged(*arguments)
    assert judged(raw.to_dict("records"), law).equals(judged(raw, law))
    with pytest.raises(ValueError, match="statistics must be one of rms, mean, median, got 'mode'"):
        judged(raw, law, statistics=["mode"])
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, got 2"):
        judge(1.0, 0.1, 1.0, 0.1, confidence=2)


def test_one_statistic_may_be_asked_for_and_none_twice():
    raw, law = probe(64, 64, inits=5), lct_lab.predict(64, 64)
    alone = judged(raw, law, statistics=["rms"])
    assert set(alone.index.get_level_values("statistic")) == {"rms"}
    for given in ("rms", iter(["rms"]), np.array(["rms"])):
        assert judged(raw, law, statistics=given).equals(alone)
    with pytest.raises(ValueError, match="statistics must be named once each, got rms several"):
        judged(raw, law, statistics=["rms", "mean", "rms"])


def test_it_displays_and_draws_what_the_table_says(shuffled):
    html = shuffled._repr_html_()
    assert "2000 untied shuffled starts, N = 128, M = 64" in html and "95% confidence" in html
    assert "Of 18 rows" in repr(shuffled) and "w2" in repr(shuffled)
    left, right = shuffled.plot()
    figure, axes = plt.subplots(1, 2)
    assert shuffled.plot(axes) is axes
    assert left.get_yscale() == "log" and len(right.patches) == 12
    heights = sorted(patch.get_height() / 2 for patch in right.patches)
    bands = sorted(shuffled.table.loc[["rms", "median"], "band"])
    assert heights == pytest.approx(bands)
    wrong = judged(shuffled.raw, shuffled.law.assign(rms=1.2 * shuffled.law["rms"]))
    marked = comparison.Comparison(wrong, shuffled.loss, shuffled.raw, shuffled.law).plot()[1]
    outside = (wrong.loc[["rms", "median"], "verdict"] == "outside").sum()
    assert [text.get_text() for text in marked.texts] == ["outside"] * outside


@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_it_draws_on_two_axes_of_any_shape(few, shape):
    axes = plt.subplots(*shape, squeeze=False)[1]
    assert few.plot(axes) is axes
    assert axes.ravel()[0].get_yscale() == "log" and axes.ravel()[1].get_yscale() == "linear"


@pytest.mark.parametrize("given", [3, "ab", [3, 4], (), [[1], [2, 3]], {"left": 1, "right": 2}])
def test_what_is_not_two_axes_is_a_sentence(few, given):
    with pytest.raises(TypeError, match="axes must be two matplotlib Axes, got "):
        few.plot(given)
    with pytest.raises(TypeError, match="axes must be two matplotlib Axes, got "):
        few.plot(plt.subplots(2, 2)[1])


def test_the_law_is_asked_about_the_windows_that_the_starts_draw():
    windows = np.random.default_rng(0).standard_normal((2000, 64))
    louder = np.concatenate([windows[:200], 2 * windows[200:]])
    options = dict(init="shuffled", inits=100, batch=2)
    found, alone = (compare(64, 64, signal=x, **options) for x in (louder, windows[:200]))
    assert found.table.equals(alone.table)
    once, twice = windows[:100], 2 * windows[100:300]  # the first hundred are drawn twice
    found = compare(64, 64, signal=np.concatenate([once, twice]), init="shuffled", inits=400)
    drawn = np.concatenate([once, twice, once])
    assert found.loss["predicted"] == pytest.approx(
        lct_lab.predict(64, 64, init="shuffled", signal=drawn).attrs["loss"]
    )
    assert abs(found.loss["measured"] / found.loss["predicted"] - 1) < 0.2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", (2.0**-120, 2.0**120))
def test_a_signal_in_any_unit_gets_the_same_verdicts(size):
    windows = np.random.default_rng(0).standard_normal((40, 64))
    options = dict(init="shuffled", inits=40)
    plain = compare(64, 64, signal=windows, **options).table
    found = compare(64, 64, signal=windows * size, **options).table
    assert found["verdict"].equals(plain["verdict"])
    columns = ["measured", "error", "low", "high", "predicted"]
    assert (found[columns] / size**2).to_numpy() == pytest.approx(plain[columns].to_numpy())


@pytest.mark.parametrize("size", (1e-45, 1e45, 1e200))
def test_a_signal_that_a_law_could_not_say_is_a_sentence(size):
    words = "signal must be between 1e-40 and 1e.40 at its largest, got"
    with pytest.raises(ValueError, match=words):
        compare(64, 64, signal=np.random.default_rng(0).standard_normal((40, 64)) * size)


@pytest.mark.parametrize("amplitudes", [(1e70,) * 4, (1e-200,) * 4, (1, 1, 0, 1), (1e11, 1, 1, 1)])
def test_amplitudes_that_a_law_could_not_say_are_a_sentence_alone(amplitudes, recwarn):
    words = "amplitudes must be None or four numbers other than 0, between 1e-10 and 1e.10 in size"
    with pytest.raises(ValueError, match=words):
        compare(64, 64, amplitudes=amplitudes)
    assert not recwarn


def test_what_no_number_of_starts_would_decide_is_left_open():
    law = lct_lab.predict(64, 64).assign(band=1e-12)
    found = judged(probe(64, 64, inits=10), law)
    assert found.loc["rms", "starts"].isna().all() and found["starts"].notna().any()
