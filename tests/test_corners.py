"""What the single samples x_0 and y_0 leave, and what differs along and between windows.

Measured are means over drawn starts of what `laws.conditional` has exactly over signals.
"""

import warnings

import numpy as np
import pytest

from lct_lab import laws, probe
from lct_lab.init import JITTER, draw
from lct_lab.laws import medians
from lct_lab.laws.couplings import COUPLINGS, coupling_of
from lct_lab.laws.scalars import total

FAR_APART = [(3, 0.5, 0.5, 3), (0.5, 3, 3, 0.5)]


def setting(n, m, init, tied, amplitudes, signal="normal"):
    coupling, jitter = coupling_of(init, tied)
    given = np.array(amplitudes, dtype=float)[:, None]
    return coupling, laws.Setting(n, m, *given, signal=laws.describe(signal), jitter=jitter)


def squares(n, m, init, tied, amplitudes, starts, batch):
    """{group: (mean square at this batch, its error)} of w and w̃; batch None: the mean, squared."""
    found = {}
    for index in range(starts):
        _, w, w2 = draw(n, m, init=init, tied=tied, seed=3, index=index, amplitudes=amplitudes)
        moments = laws.conditional(n, *amplitudes, w, w2, s2=1.0, x4=3.0)
        for group in ("w1",) if tied else ("w1", "w2"):
            mean, variance = moments[group]
            over_signals = 0.0 if batch is None else variance / batch
            found.setdefault(group, []).append(np.mean(mean**2 + over_signals))
    return {group: (np.mean(v), np.std(v) / starts**0.5) for group, v in found.items()}


@pytest.mark.parametrize("amplitudes", FAR_APART)
@pytest.mark.parametrize("init, tied", [("shuffled", False), ("random", True)])
def test_the_floors_of_x0_and_y0_are_derived(init, tied, amplitudes):
    coupling, s = setting(120, 90, init, tied, amplitudes)
    for group, (square, error) in squares(120, 90, init, tied, amplitudes, 80, None).items():
        floor = coupling.laws(s)[group].floor
        assert abs(square - total(floor)) < 0.05 * square + 3 * error, group
    corner = {"w1": "x_0 and y_0"} if tied else {"w1": "y_0", "w2": "x_0"}
    changed = "w1" if tied or amplitudes[1] > 1 else "w2"
    square, error = squares(120, 90, init, tied, amplitudes, 80, None)[changed]
    floor = coupling.laws(s)[changed].floor
    without = total(floor) - floor[corner[changed]]
    assert square > 1.3 * without + 3 * error, "without it the floor is rejected"


@pytest.mark.parametrize("amplitudes", FAR_APART)
@pytest.mark.parametrize("n, m", [(48, 160), (96, 32)])
@pytest.mark.parametrize("kind", COUPLINGS)
def test_large_batches_of_amplitudes_far_apart_are_within_their_bands(kind, n, m, amplitudes):
    init, tied = kind
    law = laws.predict(
        n, m, init=init, tied=tied, amplitudes=amplitudes, signal="normal", batch=100
    )
    found = squares(n, m, init, tied, amplitudes, 1 if init == "orthogonal" else 40, 100)
    for group, (square, error) in found.items():
        rms, band = law.loc[group, ["rms", "band"]]
        assert abs(square**0.5 - rms) < band * rms + 3 * error / 2 / square**0.5, group


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n, m", [(160, 64), (128, 128)])
def test_jitter_brings_y0_into_w(n, m, tied):
    amplitudes = FAR_APART[1]
    coupling, s = setting(n, m, "jittered", tied, amplitudes)
    square, error = squares(n, m, "jittered", tied, amplitudes, 60, 1)["w1"]
    law = coupling.laws(s)["w1"]
    assert abs(square - total(law.square)) < 0.1 * square + 3 * error
    r = np.sinc(JITTER * np.arange(1, n) / m)
    _, a2, a3, _ = amplitudes
    unit = 4 * a2**2 / (n * m) * np.sum(np.arange(1, n) ** 2) / 2
    about_mean = unit * (a3**2 * a2) ** 2 * m / n * np.sum(1 - r**2) / (2 * m)
    without = total(law.square) - about_mean
    assert square > 1.3 * without + 3 * error, "without it the law is rejected"


def test_every_coupling_says_what_its_laws_leave_out():
    for init, tied in COUPLINGS:
        coupling, s = setting(64, 48, init, tied, (1, 1, 1, 1))
        found = coupling.laws(s)
        frequencies = coupling.module.frequencies(s)
        assert coupling.module.floor_left_out(s, frequencies).keys() == frequencies.keys()
        for group in found:
            assert 0 < coupling.module.small_sizes(s, group) < 0.1


# --- tables ---------------------------------------------------------------------------------------


def noise(rows, n):
    return np.random.default_rng(1).standard_normal((rows, n))


LOUD_AND_QUIET = noise(400, 96) * np.where(np.arange(400) % 5 > 1, 1.0, 0.2)[:, None]


@pytest.mark.parametrize("init, tied", [("random", False), ("random", True), ("jittered", False)])
def test_medians_of_a1_and_a3_know_how_loud_a_window_is(init, tied, monkeypatch):
    options = dict(init=init, tied=tied, signal=LOUD_AND_QUIET, amplitudes=(1, 1.3, 0.8, 1.1))
    raw, law = probe(96, 96, inits=1500, **options), laws.predict(96, 96, **options)
    coupling, s = setting(96, 96, init, tied, options["amplitudes"], LOUD_AND_QUIET)
    twin = laws.twins.twin_of(s, init, tied, 1)
    monkeypatch.setattr(medians, "loudness_of", lambda signal: np.ones(len(signal.windows)))
    alike = medians.medians(s, twin, init, tied, coupling, 1)
    for group in ("a1", "a3"):
        values = raw.query("group == @group")["median_abs"]
        middle, error = values.median(), 1.25 * values.std() / len(values) ** 0.5
        assert abs(middle - law.loc[group, "median_abs"]) < 0.1 * middle + 3 * error
        assert middle < 0.8 * alike[group].value, "of windows that are alike it is rejected"


def test_between_loud_and_quiet_windows_a_median_is_anything_and_says_so():
    x = noise(400, 96) * np.where(np.arange(400) % 2, 1.0, 0.1)[:, None]
    law = laws.predict(96, 96, init="shuffled", signal=x)
    assert (law["median_band"] > 10).all()
    assert (laws.predict(96, 96, init="shuffled", signal=x, batch=4)["median_band"] < 1).all()
    assert (laws.predict(96, 96, init="shuffled", signal=noise(400, 96))["median_band"] < 0.2).all()


@pytest.mark.parametrize(
    "profile, where",
    [
        (np.hamming(256), "along its windows"),
        (np.abs(np.linspace(-1, 1, 256)) + 0.3, "along its windows"),
        (np.linspace(1, 1.6, 256), "in its halves"),
        (np.linspace(1.6, 1, 256), "in its halves"),
    ],
)
def test_windows_that_change_along_themselves_are_refused(profile, where):
    with pytest.raises(
        ValueError, match=f"noise without a change, .* got energies from .* {where}"
    ):
        laws.predict(256, 128, signal=noise(400, 256) * profile)


@pytest.mark.parametrize("tied", [False, True])
def test_a_gain_that_drifts_a_little_widens_the_bands_of_a_grid(tied):
    x = noise(600, 128) * np.linspace(1, 1.4, 128)
    options = dict(init="jittered", tied=tied, signal=x)
    raw, law = probe(128, 128, inits=600, **options), laws.predict(128, 128, **options)
    for group, rows in raw.groupby("group"):
        square = rows["rms"] ** 2
        rms, error = square.mean() ** 0.5, square.std() / len(rows) ** 0.5
        predicted, band = law.loc[group, ["rms", "band"]]
        assert abs(rms - predicted) < band * predicted + 3 * error / 2 / rms, group


@pytest.mark.parametrize("kind", COUPLINGS)
def test_windows_that_begin_with_nothing_have_no_gradient_of_a1(kind):
    init, tied = kind
    x = noise(300, 64)
    x[:, 0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        law = laws.predict(64, 48, init=init, tied=tied, signal=x)
    assert (law.loc["a1", ["mean", "rms", "median_abs"]] == 0).all()
    assert np.isfinite(law.drop(columns="law").to_numpy(float)).all()


@pytest.mark.parametrize(
    "n, m, asked",
    [
        (33, 32, dict(init="jittered", batch=33)),  # n = M is its own mirror image
        (65, 64, dict(init="jittered", batch=1000)),
        (32, 128, dict(tied=True, amplitudes=(1, 0.01, 1, 100))),  # x_0 on both sides
        (64, 32, dict(init="jittered", tied=True, amplitudes=(30, 1, 1, 1), signal="normal")),
        (32, 32, dict(tied=True, amplitudes=(10, 1, 10, 1), signal="normal", batch=32)),
        (200, 65, dict(init="shuffled", amplitudes=(1, 5, 5, 1))),
    ],
)
def test_bands_hold_at_borders_and_far_amplitudes(n, m, asked):
    law, found = laws.predict(n, m, **asked), probe(n, m, inits=1500, seed=9, **asked)
    for group, own in found.groupby("group"):
        square = own["rms"] ** 2
        error = square.std() / 1500**0.5 / square.mean() / 2
        ratio = square.mean() ** 0.5 / law.rms[group]
        assert abs(ratio - 1) < law.band[group] + 4 * error, (group, ratio)
