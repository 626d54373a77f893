"""What large batches of a table leave: measured floors against loops and against simulation."""

import numpy as np
import pytest
import torch
from coloured import autoregression
from scipy import signal

from lct_lab import comparison, gradients, laws, probe, signals
from lct_lab.init import draw
from lct_lab.laws import floors, medians, twins
from lct_lab.laws.scalars import total
from lct_lab.laws.twins import batches, products, starts, sums

ONES = (1, 1, 1, 1)
UNEQUAL = (0.8, 1.3, 1.1, 0.7)


def recorded(name, n, rows):
    return signals.draw(name, n, np.random.default_rng(0), batch=rows)


def setting(n, m, init, tied, x, amplitudes=UNEQUAL):
    coupling, jitter = laws.coupling_of(init, tied)
    given = np.array(amplitudes)[:, None]
    return coupling, laws.Setting(n, m, *given, signal=laws.describe(x), jitter=jitter)


def mean_gradients(x, w, w2):
    """{group: gradient of the mean loss over all windows}, by the transform's own engine."""
    back = None if w2 is None else torch.as_tensor(w2)
    found = gradients(torch.as_tensor(x), *UNEQUAL, torch.as_tensor(w), back)
    groups = ("a1", "a2", "a3", "a4", "w1", *([] if w2 is None else ["w2"]))
    return {group: np.atleast_1d(getattr(found, group)) for group in groups}


@pytest.mark.parametrize("tied", (True, False))
@pytest.mark.parametrize("n, m", [(48, 32), (40, 50)])
def test_mean_gradients_of_a_start_are_those_of_its_windows(tied, n, m):
    x, rng = recorded("ecg", n, 60), np.random.default_rng(1)
    w = rng.uniform(0, np.pi, m)
    w2 = None if tied else rng.uniform(0, np.pi, m)
    exact = mean_gradients(x, w, w2)
    waves = starts.Waves(*starts.waves(w, n), *starts.waves(w if tied else w2, n))
    moments = batches.of_same_moments(x)
    seen = starts.on_signals(waves, moments, np.arange(m))
    grams = products.Grams(seen @ seen.transpose(0, 2, 1))
    one = sums.Sums(
        n, *sums.means_of_start(waves.front, waves.back, moments).T, np.zeros((1, 3, 3))
    )
    _, s = setting(n, m, "shuffled", tied, x)
    twin = batches.Batches(n, m, 1, grams, np.ones(m), one, x)
    for group, value in floors.mean_squares(s, twin, tied).items():
        assert value == pytest.approx(np.mean(exact[group] ** 2), rel=1e-9), group


@pytest.mark.parametrize("tied", (True, False))
def test_on_the_exact_grid_a_batch_that_is_the_table_has_its_mean_gradients(tied):
    x = recorded("ecg", 46, 70)
    _, w, w2 = draw(46, 32, init="orthogonal", tied=tied)
    exact = mean_gradients(x, w, w2)
    options = dict(init="orthogonal", tied=tied, amplitudes=UNEQUAL, signal=x)
    law = laws.predict(46, 32, batch=70, **options)["rms"]
    for group, value in exact.items():
        assert law[group] == pytest.approx(np.sqrt(np.mean(value**2)), rel=1e-9), group


SETTINGS = [  # where the derived floor is off, and for which group
    ("ecg", 46, 32, "orthogonal", True, 300, "w1"),
    ("eeg", 150, 35, "orthogonal", False, 176, "w1"),
    ("ecg", 69, 69, "jittered", True, 134, "a3"),
    ("ecg", 95, 73, "jittered", False, 160, "w2"),
    ("ecg", 42, 117, "shuffled", False, 100, "w2"),
    ("ecg", 33, 132, "random", True, 250, "w1"),
]


@pytest.mark.parametrize("name, n, m, init, tied, batch, group", SETTINGS)
def test_large_batches_of_recordings_are_within_their_bands(name, n, m, init, tied, batch, group):
    x = recorded(name, n, 3000)
    options = dict(init=init, tied=tied, amplitudes=ONES, signal=x, batch=batch)
    raw, law = probe(n, m, inits=250, **options), laws.predict(n, m, **options)
    found = comparison.judged(raw, law)
    assert not (found["verdict"] == "outside").any(), found
    coupling, s = setting(n, m, init, tied, x, ONES)
    derived = float(np.sqrt(total(coupling.laws(s)[group].mean_square(batch))[0]))
    measured = np.sqrt(np.mean(raw.query("group == @group")["rms"] ** 2))
    assert measured > 1.25 * derived, "the derived floor is rejected"


def test_medians_of_large_batches_are_within_their_bands():
    n, m, batch = 44, 44, 130
    x = recorded("ecg", n, 3000)
    options = dict(init="jittered", tied=True, amplitudes=ONES, signal=x, batch=batch)
    raw, law = probe(n, m, inits=300, **options), laws.predict(n, m, **options)
    values = raw.query("group == 'a3'")["median_abs"]
    error = 1.25 * values.std() / len(values) ** 0.5
    predicted, band = law.loc["a3", ["median_abs", "median_band"]]
    assert abs(values.median() - predicted) < band * predicted + 3 * error
    coupling, s = setting(n, m, "jittered", True, x, ONES)
    twin = twins.twin_of(s, "jittered", True, batch)
    derived = medians.medians(s, twin, "jittered", True, coupling, batch)["a3"].value
    assert values.median() > (1 + band) * derived + 3 * error


@pytest.mark.parametrize("batch, inits", ((8, 100), (200, 40)))
@pytest.mark.parametrize("seed", range(3))
def test_medians_over_the_few_batches_of_a_table_are_of_these(seed, batch, inits):
    """a1 and a3 hang on the x_0 of five batches, or one: of rows at random they are 1.2 off."""
    x = np.random.default_rng(seed).standard_normal((40, 475))
    x[:, 1:] += 0.9 * x[:, :-1]
    options = dict(init="jittered", tied=True, amplitudes=(1.4, -0.8, 1.1, -1.5), signal=x)
    raw = probe(475, 1500, inits=inits, batch=batch, **options)
    law = laws.predict(475, 1500, batch=batch, **options)
    for group in ("a1", "a3"):
        measured = raw.query("group == @group")["median_abs"].median()
        assert measured == pytest.approx(law.loc[group, "median_abs"], rel=0.01)


def test_windows_cut_short_leak_into_a_stop_band_and_the_band_of_a_median_says_so():
    noise = np.random.default_rng(1).standard_normal((60, 1300))
    low_high = signal.butter(3, [0.3, 0.4], "bandpass", output="sos")
    x = signal.sosfilt(low_high, noise, axis=1)[:, 300:]
    options = dict(init="shuffled", amplitudes=(1, 1, 1, 1))
    law = laws.predict(1000, 1000, signal=x, **options)
    raw = probe(1000, 1000, inits=60, signal=x, **options)
    for group in ("w1", "w2"):
        measured = raw.query("group == @group")["median_abs"].median()
        off = abs(measured / law.loc[group, "median_abs"] - 1)
        assert 0.3 < off < law.loc[group, "median_band"]
    white = laws.predict(1000, 1000, signal=noise[:, 300:], **options)
    assert (white["median_band"] < 0.12).all()


def test_two_sizes_are_apart_by_their_ratio():
    assert medians.apart(2.0, 3.0) == medians.apart(3.0, 2.0) == 0.5 and medians.apart(0, 0) == 0
    for one, other in ((1, 0), (0, 1), (np.nan, 1), (1e9, 1)):
        assert medians.apart(one, other) == medians.UNKNOWN


def test_a_median_between_the_values_of_two_batches_has_a_band_that_reaches_both():
    values = np.repeat([1.0, 1.0, 2.0, 2.0], 100)
    assert 3 * medians.torn(values) == pytest.approx(1.0)
    assert medians.torn(np.zeros(9)) == 0.0
    smooth = np.abs(np.random.default_rng(0).standard_normal(10**5))
    assert 3 * medians.torn(smooth) < 0.08


@pytest.mark.parametrize("batch", (16, 40))
def test_medians_in_batches_of_a_white_table_are_those_of_noise_by_name(batch):
    """A mean of so few products with x_0 is not normal: taken as such, a1's is a tenth larger."""
    x = np.random.default_rng(0).standard_normal((4000, 128))
    options = dict(init="shuffled", amplitudes=ONES, batch=batch)
    table, named = (
        laws.predict(128, 128, signal=signal, **options)["median_abs"] for signal in (x, "normal")
    )
    assert (table / named - 1).abs().max() < 0.04


@pytest.mark.parametrize("tied, batch", [(False, 33), (True, 33), (True, 32)])
def test_exact_reconstruction_leaves_nothing_and_no_band_is_absurd(tied, batch):
    x = autoregression(0.5, 500, 64)
    options = dict(init="orthogonal", tied=tied, signal=x, batch=batch)
    found = comparison.compare(64, 64, inits=10, **options)
    assert not (found.table["verdict"] == "outside").any(), found.table
    assert (found.law.loc[["w1"], ["rms", "median_abs"]] < 1e-9).all(axis=None)
    assert (found.law[["band", "median_band"]] < 1).all(axis=None)


def test_amplitudes_that_are_drawn_are_averaged_over():
    x = recorded("ecg", 48, 2000)
    options = dict(init="shuffled", signal=x, batch=200)
    raw, law = probe(48, 48, inits=400, **options), laws.predict(48, 48, **options)
    for group in ("w1", "w2"):
        square = raw.query("group == @group")["rms"] ** 2
        rms = np.sqrt(square.mean())
        error = square.std() / len(square) ** 0.5 / 2 / rms
        predicted, band = law.loc[group, ["rms", "band"]]
        assert abs(rms - predicted) < band * predicted + 3 * error, group


def test_floors_of_a_smaller_start_are_enlarged_as_the_derived_ones():
    x = autoregression(0.7, 500, 700)
    options = dict(init="jittered", amplitudes=ONES, signal=x, batch=50)
    raw, law = probe(700, 700, inits=30, **options), laws.predict(700, 700, **options)
    found = comparison.judged(raw, law)
    assert not (found["verdict"] == "outside").any(), found
    twin = batches.on_batches(700, 700, "jittered", False, x)
    assert twin.n < 700
    _, s = setting(700, 700, "jittered", False, x, ONES)
    small = floors.mean_squares(s, twin, False)["w1"][0]
    square = np.mean(raw.query("group == 'w1'")["rms"] ** 2)
    assert square > 1.5 * small, "as it stands it is rejected"


def test_few_entries_draw_all_of_chi_squared():
    drawn = products.chi_squares(50, 35, 2)
    assert drawn.mean() == pytest.approx(1, rel=1e-3)
    assert drawn.var() == pytest.approx(2 / 50, rel=0.01)


def test_the_error_of_a_median_is_that_of_repeated_draws():
    rng = np.random.default_rng(0)
    drawn = rng.normal(5, 1, (2000, 101))
    exact = np.median(drawn, axis=1).std() / 5
    found = np.mean([products.error_of_median(values) for values in drawn])
    assert found == pytest.approx(exact, rel=0.1)
