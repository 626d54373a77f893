"""Coloured input and few windows: what is measured of a table, and the laws against simulation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from coloured import autoregression

from lct_lab import comparison, laws, probe, signals
from lct_lab.laws import scalars, shuffled, spectrum
from lct_lab.laws import sorted as sorted_law
from lct_lab.laws.scalars import total

ONES = (1, 1, 1, 1)
KINDS = [
    *((init, tied) for init in ("random", "jittered") for tied in (False, True)),
    ("shuffled", False),
    ("orthogonal", False),
]


def misses(raw, law):
    """By how much of the law rms, mean, median and loss are off, beyond three standard errors."""
    wide = {
        column: raw.pivot(index="init", columns="group", values=column)[law.index]
        for column in ("rms", "mean", "median_abs")
    }
    count, loss = len(wide["rms"]), raw.groupby("init")["loss"].first()
    square = wide["rms"] ** 2
    rms = square.mean() ** 0.5
    found = {
        "rms": (rms / law["rms"] - 1, square.std() / count**0.5 / 2 / rms / law["rms"]),
        "mean": ((wide["mean"].mean() - law["mean"]) / law["rms"], wide["mean"].std() / law["rms"]),
    }
    found["mean"] = found["mean"][0], found["mean"][1] / count**0.5
    middle = wide["median_abs"].median()
    error = 1.5 * (wide["median_abs"] - middle).abs().median() / count**0.5 * 1.25
    found["median"] = middle / law["median_abs"] - 1, error / law["median_abs"]
    beyond = pd.DataFrame({name: off.abs() - 3 * error for name, (off, error) in found.items()})
    predicted = law.attrs["loss"]
    off = abs(loss.mean() / predicted - 1) - 3 * loss.std() / count**0.5 / predicted
    return beyond, off


# --- what is measured of a table ------------------------------------------------------------------


@pytest.mark.parametrize("rho", (-0.5, 0.0, 0.5))
def test_the_colour_of_one_window_is_right_on_average_and_that_of_its_spectrum_is_not(rho):
    exact = (1 + rho**2) / (1 - rho**2)
    single = [spectrum.colour_of(autoregression(rho, 1, 512, seed)).colour for seed in range(60)]
    assert np.mean(single) == pytest.approx(exact, rel=4 * np.std(single) / 60**0.5 / exact + 0.03)
    many = spectrum.colour_of(autoregression(rho, 600, 512)).colour
    assert many == pytest.approx(exact, rel=0.05)
    power = abs(np.fft.fft(autoregression(rho, 1, 512), 1024)) ** 2
    assert np.mean(power**2) / np.mean(power) ** 2 > 1.4 * exact, "twice as large, of noise alone"


def test_a_loud_first_sample_is_counted_apart_from_the_later_ones():
    x = np.random.default_rng(0).standard_normal((400, 128))
    x[:, 0] *= 3
    moments = laws.describe(x)
    assert moments.variance == pytest.approx(np.mean(x[:, 1:] ** 2))
    assert moments.slope_share == pytest.approx(1, rel=0.01)
    options = dict(init="shuffled", amplitudes=ONES, signal=x)
    raw, law = probe(128, 128, inits=3000, **options), laws.predict(128, 128, **options)
    loss = raw.groupby("init")["loss"].first()
    error = loss.std() / len(loss) ** 0.5
    assert loss.mean() == pytest.approx(law.attrs["loss"], abs=3 * error + 0.005 * loss.mean())
    coupling, _ = laws.coupling_of("shuffled", False)
    one_variance = moments._replace(variance=np.mean(x**2))
    s = laws.Setting(128, 128, *map(float, ONES), signal=one_variance)
    assert total(coupling.loss(s)) > 1.04 * loss.mean() + 3 * error, "one variance is rejected"


def test_what_two_windows_share_of_a_product_is_the_mean_of_a_pair():
    x = autoregression(0.8, 7, 40)
    found = spectrum.colour_of(x).shared
    later = np.where(np.arange(40) == 0, 0, x)
    w = 2 * np.pi * np.arange(81) / 160
    C = later @ np.cos(np.outer(np.arange(40), w))
    T = (later * np.arange(40)) @ np.sin(np.outer(np.arange(40), w))
    pairs = [C[i] * T[i] * C[j] * T[j] for i in range(7) for j in range(7) if i != j]
    energy = (C**2 + (later @ np.sin(np.outer(np.arange(40), w))) ** 2).mean() / 2
    slope = T**2 + ((later * np.arange(40)) @ np.cos(np.outer(np.arange(40), w))) ** 2
    assert found == pytest.approx(np.mean(pairs) / energy / (slope.mean() / 2), rel=1e-9)


def test_white_moments_of_a_table_are_those_of_noise_by_name():
    moments = laws.describe(np.random.default_rng(0).uniform(-1, 1, (2000, 200)))
    named = laws.describe("uniform")
    for field in ("variance", "fourth", "energy_spread", "colour", "fourth_power", "slope_share"):
        assert getattr(moments, field) == pytest.approx(getattr(named, field), rel=0.05), field
    assert moments.shared == pytest.approx(1 / 400, rel=0.1)


def test_a_pairing_of_white_windows_is_that_of_white_noise():
    windows = np.random.default_rng(0).standard_normal((4000, 300))
    white, table = (
        laws.Setting(300, 200, *ONES, signal=laws.describe(signal))
        for signal in ("normal", windows)
    )
    pairs = [sorted_law.pairing_of(s, power=1) for s in (white, table)]
    assert pairs[0] == pytest.approx(pairs[1], rel=0.02)
    assert sorted_law.colour_apart(table, 0.0) == pytest.approx(1, rel=0.01)


# --- the laws against simulation ------------------------------------------------------------------


@pytest.mark.parametrize("init, tied", KINDS)
def test_an_autoregression_is_within_its_bands_at_every_start(init, tied):
    options = dict(init=init, tied=tied, amplitudes=ONES, signal=autoregression(0.9, 600, 250))
    law = laws.predict(250, 250, **options)
    beyond, loss = misses(probe(250, 250, inits=600, **options), law)
    assert not (beyond[["rms", "mean"]].max(axis=1) > law["band"]).any(), beyond
    assert loss < law.attrs["loss_band"]
    assert not (beyond["median"] > law["median_band"]).any(), beyond
    white = laws.predict(250, 250, **options | {"signal": "normal"})
    assert misses(probe(250, 250, inits=600, **options), white)[0].max(axis=None) > 0.1


def test_sorted_neighbours_are_of_one_band_of_the_spectrum():
    """At unequal amplitudes a2 and a4 vanish on average, and what is left is their scatter."""
    amplitudes = (0.914, 0.3239, 0.4822, 0.8369)
    options = dict(amplitudes=amplitudes, signal=autoregression(0.9, 800, 256))
    found = comparison.scale(probe(256, 512, inits=800, **options)).loc[["a2", "a4"]]
    law = laws.predict(256, 512, **options).loc[found.index]
    assert (
        abs(found["measured"] - law["rms"]) < law["band"] * law["rms"] + 3 * found["error"]
    ).all()
    s = laws.Setting(256, 512, *amplitudes, signal=laws.describe(options["signal"]))
    matrix = sorted_law.matrix(s)
    shuffled_bands = shuffled.wobble(s, gain=1 + laws.sorting(s.gamma))
    former = scalars.of_a4(s, replace(matrix, wobble=shuffled_bands))
    assert found.loc["a4", "measured"] > 1.2 * total(former.square) ** 0.5


@pytest.mark.parametrize("name, init, tied", [("eeg", "random", False), ("ecg", "random", True)])
def test_recordings_are_within_their_bands(name, init, tied):
    windows = signals.draw(name, 256, np.random.default_rng(0), batch=500)
    options = dict(init=init, tied=tied, amplitudes=ONES, signal=windows)
    law = laws.predict(256, 256, **options)
    beyond, loss = misses(probe(256, 256, inits=500, **options), law)
    assert not (beyond[["rms", "mean"]].max(axis=1) > law["band"]).any(), beyond
    assert loss < law.attrs["loss_band"]
    assert not (beyond["median"] > law["median_band"]).any(), beyond


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n, m", [(90, 88), (300, 200)])
def test_where_coloured_samples_fold_the_mean_is_exact_and_little_may_be_left(n, m, tied):
    """Just above N = M at the DCT's amplitudes samples that meet nearly cancel."""
    options = dict(init="orthogonal", tied=tied, signal=autoregression(-0.7, 200, n))
    law = laws.predict(n, m, **options)
    raw = probe(n, m, inits=200, **options)
    for group in law.index[4:]:
        rows = raw.query("group == @group")
        assert rows["mean"].mean() == pytest.approx(law.loc[group, "mean"], rel=1e-6)
        rms = np.mean(rows["rms"] ** 2) ** 0.5
        assert rms == pytest.approx(law.loc[group, "rms"], rel=0.06)
    amplitudes = np.array([[1], [2**0.5], [1], [2**0.5]])
    s = laws.Setting(n, m, *amplitudes, signal=laws.describe(options["signal"]))
    derived = laws.coupling_of("orthogonal", tied)[0].laws(s)["w1"]
    off = float(np.sqrt(total(derived.square)[0])) / law.loc["w1", "rms"]
    assert (n, tied) != (90, False) or off > 2, "samples taken as unrelated leave far too much"


def test_what_is_enlarged_from_a_smaller_grid_that_folds_has_a_band_that_says_so():
    options = dict(init="orthogonal", signal=autoregression(-0.7, 64, 2500))
    law = laws.predict(2500, 2496, **options)
    rms = np.mean(probe(2500, 2496, inits=64, **options).query("group == 'w1'")["rms"] ** 2) ** 0.5
    assert 0.5 < abs(rms / law.loc["w1", "rms"] - 1) < law.loc["w1", "band"]
    options["signal"] = autoregression(-0.7, 64, 2600)  # the smaller grid has as many samples as M
    assert laws.predict(2600, 2599, **options).loc["w1", "band"] > 100


def test_the_loss_on_a_grid_that_does_not_resolve_the_spectrum_is_in_a_band_of_its_own():
    amplitudes = (0.638, 1.388, 0.461, -1.443)
    x = autoregression(0.9, 1500, 37)
    options = dict(init="orthogonal", tied=True, amplitudes=amplitudes, signal=x)
    law = laws.predict(37, 32, **options)
    _, off = misses(probe(37, 32, inits=1500, **options), law)
    assert 0.06 < off < law.attrs["loss_band"]
    assert "loss ±" in law.attrs["warning"]


@pytest.mark.parametrize("n, m", [(32, 256), (64, 64), (256, 48)])
@pytest.mark.parametrize("init, tied", KINDS)
def test_the_loss_of_white_input_holds_to_one_percent(n, m, init, tied):
    options = dict(init=init, tied=tied, amplitudes=(-0.7, 1.2, 1.1, 0.8))
    law = laws.predict(n, m, **options)
    _, off = misses(probe(n, m, inits=3000, **options), law)
    assert off < law.attrs["loss_band"] == 0.01


@pytest.mark.parametrize("init, tied", [*KINDS[:4], ("shuffled", False)])
def test_one_window_that_all_starts_share_is_within_its_bands(init, tied):
    window = np.random.default_rng(3).standard_normal((1, 300))
    options = dict(init=init, tied=tied, amplitudes=ONES, signal=window)
    raw, law = probe(300, 300, inits=300, **options), laws.predict(300, 300, **options)
    beyond, _ = misses(raw, law)
    assert (beyond["rms"] < law["band"]).all() and (beyond["median"] < law["median_band"]).all()
    assert law.drop(columns="law").notna().all(axis=None)
    power = abs(np.fft.fft(window, 600)) ** 2
    inflated = np.mean(power**2) / np.mean(power) ** 2
    wrong = law.assign(rms=law["rms"] * (inflated / spectrum.colour_of(window).colour) ** 0.5)
    if init != "shuffled":
        off = misses(raw, wrong)[0]["rms"]["w1"]
        assert off > 0.1, "the spectrum of one window is rejected"


@pytest.mark.parametrize(
    "init, tied", [("random", False), ("shuffled", False), ("orthogonal", True)]
)
def test_a_large_batch_ends_at_the_coloured_floor(init, tied):
    options = dict(init=init, tied=tied, amplitudes=ONES, batch=100)
    windows = autoregression(0.9, 4000, 128)
    raw = probe(128, 128, inits=40, signal=windows, **options)
    found = comparison.scale(raw).loc["w1"]
    law = laws.predict(128, 128, signal=windows, **options).loc["w1", "rms"]
    assert abs(found["measured"] - law) < 0.1 * law + 3 * found["error"]
    moments = laws.describe(windows)
    white = moments._replace(colour=1.0, shared=None)
    coupling, jitter = laws.coupling_of(init, tied)
    s = laws.Setting(128, 128, *map(float, ONES), signal=moments, jitter=jitter)
    square = {
        name: coupling.laws(replace(s, signal=signal))["w1"]
        for name, signal in (("coloured", moments), ("white", white))
    }
    wrong = total(square["coloured"].square) / 100 + 0.99 * total(square["white"].floor)
    assert found["measured"] - 3 * found["error"] > 1.2 * wrong**0.5, "a white floor is rejected"


def test_a_table_that_is_used_up_averages_no_further():
    windows = autoregression(0.5, 4, 128)
    few, more = (laws.predict(128, 128, signal=windows, batch=batch) for batch in (4, 400))
    assert few.equals(more)


# --- rows that are alike, repeated, or unequally loud ---------------------------------------------


def test_a_table_that_begins_again_is_that_of_its_first_rows():
    rows = np.random.default_rng(0).standard_normal((2, 64))
    options = dict(init="shuffled", amplitudes=ONES)
    once = laws.predict(64, 64, signal=rows, batch=2, **options)
    again = laws.predict(64, 64, signal=np.tile(rows, (4, 1)), batch=8, **options)
    assert once.equals(again)
    one = laws.predict(64, 64, signal=rows[:1], **options)
    assert one.equals(laws.predict(64, 64, signal=np.tile(rows[:1], (5, 1)), batch=5, **options))


@pytest.mark.parametrize("hop", (1, 8))
def test_batches_of_windows_that_overlap_are_refused(hop):
    signal = autoregression(0.5, 1, 4000)[0]
    rows = np.lib.stride_tricks.sliding_window_view(signal, 128)[::hop]
    with pytest.raises(
        ValueError, match="^signal must be of rows that are unlike those nearby.*0.[89]"
    ):
        laws.predict(128, 128, signal=rows, batch=8)
    laws.predict(128, 128, signal=rows)
    laws.predict(128, 128, signal=np.random.default_rng(0).permutation(rows), batch=8)


def test_windows_that_overlap_are_refused_also_where_channels_take_turns():
    channels = autoregression(0.5, 3, 2000)
    of_channels = [np.lib.stride_tricks.sliding_window_view(c, 128)[::8] for c in channels]
    rows = np.stack(of_channels, axis=1).reshape(-1, 128)
    with pytest.raises(ValueError, match="^signal must be of rows that are unlike those nearby"):
        laws.predict(128, 128, signal=rows, batch=8)


def test_rows_that_come_twice_in_a_row_are_refused():
    rows = np.repeat(np.random.default_rng(0).standard_normal((200, 64)), 2, axis=0)
    with pytest.raises(ValueError, match="^signal must be of rows that are unlike those nearby"):
        laws.predict(64, 64, signal=rows, batch=2)


def test_a_band_says_how_far_windows_of_unequal_loudness_lead_astray():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 128)) * np.exp(rng.normal(0, 0.3, (1000, 1)))
    options = dict(init="shuffled", amplitudes=(1, 2**0.5, 1, 2**0.5), signal=x)
    raw, law = probe(128, 128, inits=2000, **options), laws.predict(128, 128, **options)
    found = comparison.judged(raw, law)
    assert not (found["verdict"] == "outside").any(), found
    assert np.sqrt(np.mean(raw.query("group == 'w2'")["rms"] ** 2)) > 1.08 * law.loc["w2", "rms"]


WHITE = np.random.default_rng(5).standard_normal((400, 256))
TEMPLATE = np.random.default_rng(6).standard_normal(256)
SIGNS = np.random.default_rng(7).choice([-1.0, 1.0], (400, 1))
PHASES = np.random.default_rng(8).uniform(0, 2 * np.pi, (400, 1))


@pytest.mark.parametrize(
    "windows, batch",
    [
        (TEMPLATE * SIGNS + 0.3 * WHITE, 32),  # one shape of either sign
        (TEMPLATE + 0.05 * WHITE[:4], 4),  # few windows, nearly equal
        (WHITE[np.random.default_rng(9).integers(20, size=1000)], 32),  # drawn from twenty
    ],
)
def test_windows_more_alike_than_noise_are_refused_in_batches(windows, batch):
    with pytest.raises(ValueError, match="no more alike than noise of their spectrum"):
        laws.predict(256, 256, init="shuffled", signal=windows, batch=batch)
    assert np.isfinite(
        laws.predict(256, 256, init="shuffled", signal=WHITE, batch=batch)["rms"]
    ).all()


@pytest.mark.parametrize("bin_", [30, 30.5, 32, 128])
@pytest.mark.parametrize("init", ["random", "jittered", "orthogonal"])
def test_a_tone_is_refused_where_frequencies_keep_apart(bin_, init):
    tone = 0.8 * np.cos(2 * np.pi * bin_ / 256 * np.arange(256) + PHASES)
    with pytest.raises(ValueError, match="noise without a tone"):
        laws.predict(256, 64, init=init, signal=WHITE + tone)
    laws.predict(256, 64, init="shuffled", signal=WHITE + tone)
    laws.predict(256, 64, init=init, signal=autoregression(0.9, 400, 256))


@pytest.mark.parametrize("place", [0, 1, 31])
def test_a_spike_in_a_short_window_is_refused(place):
    with pytest.raises(ValueError, match="without spikes"):
        laws.predict(32, 32, signal=np.eye(32)[[place]])


def test_means_on_a_folded_grid_are_rougher_of_few_windows():
    few, many = (laws.predict(256, 64, init="orthogonal", signal=WHITE[:w]) for w in (32, 400))
    assert few.band["a1"] > 1.5 * many.band["a1"]
