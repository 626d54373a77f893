"""Medians: the distribution of a product, the small start, and the law against simulation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from coloured import autoregression, stationary_like

from lct_lab import comparison, gradients, laws, probe
from lct_lab.init import draw
from lct_lab.laws import medians, prediction
from lct_lab.laws.twins import products, starts, sums, twin_of, white

ONES = (1, 1, 1, 1)
NORMAL_PRODUCT = 0.3652  # the median of |Z Z'| of independent normal Z
SETTINGS = {
    "sorted": dict(init="random"),
    "shuffled": dict(init="shuffled"),
    "tied": dict(init="random", tied=True),
    "jittered": dict(init="jittered"),
    "jittered, tied": dict(init="jittered", tied=True),
}


def median(raw, group):
    """The median over starts of the median entry, and its standard error."""
    values = raw.query("group == @group")["median_abs"].to_numpy()
    drawn = np.random.default_rng(0).choice(values, (200, len(values)))
    return np.median(values), np.median(drawn, axis=1).std()


@pytest.mark.parametrize("lengths", ((3, 3), (1, 5)))
def test_eigenvalues_are_those_of_the_quadratic_form(lengths):
    rng = np.random.default_rng(0)
    n, m = lengths
    vectors = rng.standard_normal((4, n + m))
    Q = sum(np.outer(u, v) + np.outer(v, u) for u, v in (vectors[:2], vectors[2:])) / 2
    found = np.sort(products.paired_eigenvalues((vectors @ vectors.T)[None])[0])
    exact = np.linalg.eigvalsh(Q)
    np.testing.assert_allclose(found, exact[abs(exact) > 1e-9], rtol=1e-9)
    u, v = vectors[:2]
    one = products.paired_eigenvalues(np.array([[[u @ u, u @ v], [u @ v, v @ v]]]))[0]
    exact = np.linalg.eigvalsh((np.outer(u, v) + np.outer(v, u)) / 2)
    np.testing.assert_allclose(np.sort(one), exact[abs(exact) > 1e-9], rtol=1e-9)


@pytest.mark.parametrize("values", ((0.5, -0.5), (0.9, -0.1), (1.0, 0.1, -0.2, -0.6)))
@pytest.mark.parametrize("batch", (1, 10))
def test_the_median_of_a_product_is_that_of_drawn_signals(values, batch):
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((100_000, batch, len(values))) ** 2
    exact = np.median(abs(drawn.mean(1) @ values))
    found = np.median(abs(products.sums_of_squares(np.tile(values, (6000, 1)), batch)))
    assert found == pytest.approx(exact, rel=0.012)
    if values == (0.5, -0.5) and batch == 1:
        assert found == pytest.approx(NORMAL_PRODUCT, rel=0.01)


@pytest.mark.parametrize("tied", (False, True))
def test_a_white_start_has_the_inner_products_of_its_own_vectors(tied):
    n, m = 40, 30
    w, w2 = np.random.default_rng(0).uniform(0, np.pi, (2, m))
    w2 = w if tied else w2
    start = starts.Waves(*starts.waves(w, n), *starts.waves(w2, n))
    gram = white.products(start)
    x = np.random.default_rng(1).standard_normal((20_000, n)).T
    seen = starts.on_signals(start, x, slice(None))
    measured = seen @ seen.transpose(0, 2, 1) / x.shape[1]
    scale = np.sqrt(np.einsum("ki,kj->kij", *[np.diagonal(gram, axis1=1, axis2=2)] * 2))
    assert abs((measured - gram) / scale).max() < 0.06


def test_the_same_draws_always():
    first = white.of_size.__wrapped__(64, 64, "random", False)
    again = white.of_size.__wrapped__(64, 64, "random", False)
    assert np.array_equal(first.grams.products, again.grams.products)
    assert np.array_equal(first.chance, again.chance)


@pytest.mark.parametrize("kind", SETTINGS)
def test_medians_are_within_four_percent_and_independent_factors_are_not(kind):
    options = SETTINGS[kind] | dict(amplitudes=ONES)
    raw, law = probe(256, 256, inits=800, **options), laws.predict(256, 256, **options)
    for group in law.index.difference(["a1", "a3"]):
        measured, error = median(raw, group)
        predicted = law.loc[group, "median_abs"]
        assert abs(measured - predicted) < 0.04 * predicted + 3 * error, group
    measured, error = median(raw, "w1")
    independent = NORMAL_PRODUCT * law.loc["w1", "rms"]
    if kind == "shuffled":
        assert abs(measured - independent) < 0.04 * independent + 3 * error
    else:
        assert abs(measured - independent) > 0.05 * independent + 3 * error


@pytest.mark.parametrize("kind", ("sorted", "tied"))
def test_medians_over_drawn_amplitudes_and_off_the_diagonal(kind):
    raw = probe(300, 150, inits=2000, **SETTINGS[kind])
    law = laws.predict(300, 150, **SETTINGS[kind])["median_abs"]
    for group in law.index:
        measured, error = median(raw, group)
        assert abs(measured - law[group]) < 0.04 * law[group] + 3 * error, group


@pytest.mark.parametrize("batch", (3, 100))
def test_medians_of_a_batch(batch):
    options = SETTINGS["sorted"] | dict(amplitudes=ONES, batch=batch)
    raw, law = probe(128, 128, inits=200, **options), laws.predict(128, 128, **options)
    for group in ("a2", "a4", "w1", "w2"):
        measured, error = median(raw, group)
        predicted = law.loc[group, "median_abs"]
        assert abs(measured - predicted) < 0.04 * predicted + 3 * error, group
    of_one = laws.predict(128, 128, **options | {"batch": 1}).loc["w1", "median_abs"]
    assert abs(median(raw, "w1")[0] - of_one / batch**0.5) > 0.1 * of_one / batch**0.5


@pytest.mark.parametrize("kind", SETTINGS)
def test_medians_of_large_batches_of_a_table(kind):
    x = autoregression(0.5, 2000, 128)
    options = SETTINGS[kind] | dict(amplitudes=ONES, signal=x, batch=100)
    raw, law = probe(128, 256, inits=200, **options), laws.predict(128, 256, **options)
    for group in law.index.difference(["a1", "a2", "a3", "a4"]):
        measured, error = median(raw, group)
        predicted = law.loc[group, "median_abs"]
        assert abs(measured - predicted) < 0.08 * predicted + 3 * error, group


def test_medians_of_large_batches_are_of_the_windows_there_are_not_of_stationary_ones():
    shared = dict(init="shuffled", batch=400)
    x = comparison.windows("ecg", 200, 100, inits=100, seed=1, **shared)
    options = shared | dict(amplitudes=ONES, signal=x)
    raw, law = probe(200, 100, inits=100, **options), laws.predict(200, 100, **options)
    stationary = laws.predict(200, 100, **options | {"signal": stationary_like(x, 2000)})
    for group in ("w1", "w2"):
        measured, error = median(raw, group)
        predicted = law.loc[group, "median_abs"]
        assert abs(measured - predicted) < 0.08 * predicted + 3 * error, group
        assert measured - 3 * error > 1.15 * stationary.loc[group, "median_abs"], group


@pytest.mark.parametrize("kind", ("sorted", "shuffled"))
def test_large_batches_of_a_long_table_of_white_noise_are_those_of_white_noise(kind, monkeypatch):
    monkeypatch.setattr(prediction, "_KNOWN", {})
    options = SETTINGS[kind] | dict(amplitudes=ONES, batch=300)
    x = np.random.default_rng(0).standard_normal((600, 2048))

    def medians_of(signal):
        prediction._KNOWN.clear()
        return laws.predict(2048, 2048, signal=signal, **options)["median_abs"].loc[["w1", "w2"]]

    white = medians_of("normal")
    np.testing.assert_allclose(medians_of(x), white, rtol=0.08)
    # too many meet if small
    monkeypatch.setattr(products.Grams, "parted", lambda grams, entries: grams)
    assert (medians_of(x) > 1.1 * white).all()


@pytest.mark.parametrize("signs", (True, False))
def test_x0_is_drawn_from_the_tables_own_first_samples(signs):
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (2000, 100)) if signs else rng.laplace(size=(2000, 100))
    options = dict(init="shuffled", amplitudes=ONES, signal=x)
    raw, law = probe(100, 100, inits=2000, **options), laws.predict(100, 100, **options)
    for group in ("a1", "a3"):
        measured, error = median(raw, group)
        predicted = law.loc[group, "median_abs"]
        assert abs(measured - predicted) < 0.06 * predicted + 3 * error
    flat = laws.predict(100, 100, **options | {"signal": "normal"})["median_abs"]
    off = median(raw, "a1")[0] / x.var() / flat["a1"]
    assert off > 1.3 if signs else off < 0.85, "a normal x_0 is rejected"


@pytest.mark.parametrize("n, m", [(300, 38), (1000, 1000), (4000, 500), (3000, 200), (9000, 300)])
def test_a_small_start_keeps_the_ratio_of_the_sizes(n, m):
    samples, frequencies = starts.size_of_twin(n, m, white.SAMPLES)
    assert samples / frequencies == pytest.approx(n / m, rel=0.01)
    assert frequencies >= starts.FEWEST and samples <= n


def test_a_small_start_of_a_very_long_signal_has_frequencies():
    assert starts.size_of_twin(10**6, 32, white.SAMPLES) == (
        starts.WIDEST + starts.WIDEST // 8,
        starts.FEWEST // 4,
    )


def test_a_ratio_that_no_small_start_keeps():
    options = dict(init="shuffled", amplitudes=ONES)
    raw, law = probe(12_000, 32, inits=150, **options), laws.predict(12_000, 32, **options)
    measured, error = median(raw, "w1")
    predicted, band = law.loc["w1", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error
    coupling, _ = laws.coupling_of("shuffled", False)
    s = laws.Setting(12_000, 32, *np.ones((4, 1)), signal=laws.describe("uniform"))
    small = twin_of(s, "shuffled", False, 1)
    assert measured > 1.4 * medians.of_frequencies(s, small, coupling, False, 1)["w1"].value


def test_a_small_start_of_very_many_frequencies_is_of_fewer():
    samples, frequencies = starts.size_of_twin(64, 2**17, white.SAMPLES)
    assert samples * frequencies <= starts.LARGEST and frequencies < 2**17
    options = dict(init="random", tied=True, amplitudes=ONES)
    raw, law = probe(64, 2**17, inits=40, **options), laws.predict(64, 2**17, **options)
    measured, error = median(raw, "w1")
    predicted, band = law.loc["w1", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error


@pytest.mark.parametrize("n, m", [(2**40, 32), (32, 2**40), (2**20, 32)])
@pytest.mark.parametrize("init, tied", [("shuffled", False), ("random", True)])
def test_sizes_too_far_apart_are_one_sentence(n, m, init, tied):
    with pytest.raises(ValueError, match=r"^n/m must be between 1/4096 and 4096, .*, got "):
        laws.predict(n, m, init=init, tied=tied)


def test_one_long_window_needs_no_more_memory_than_a_short_one():
    x = np.random.default_rng(0).standard_normal((1, 8192))
    coupling, _ = laws.coupling_of("shuffled", False)
    s = laws.Setting(8192, 8192, *np.ones((4, 1)), signal=laws.describe(x))
    twin = twin_of(s, "shuffled", False, 1)
    assert twin.n * twin.m <= starts.LARGEST and twin.n == twin.m


def test_few_drawn_starts_widen_the_band_of_a_median():
    x = autoregression(0.5, 3000, 256)
    options = dict(amplitudes=ONES, signal=x, batch=30)
    raw, law = probe(256, 512, inits=100, **options), laws.predict(256, 512, **options)
    for group in ("w1", "w2"):
        measured, error = median(raw, group)
        predicted, band = law.loc[group, ["median_abs", "median_band"]]
        assert abs(measured - predicted) < band * predicted + 3 * error
        assert band > laws.predict(256, 512, **options | {"batch": 1}).loc[group, "median_band"]


def test_the_tied_median_of_w_hangs_on_the_ratio():
    options = dict(tied=True, amplitudes=ONES)
    raw, law = probe(300, 38, inits=1000, **options), laws.predict(300, 38, **options)
    measured, error = median(raw, "w1")
    predicted, band = law.loc["w1", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error
    coupling, _ = laws.coupling_of("random", True)
    s = laws.Setting(300, 38, *ONES, signal=laws.describe("uniform"))
    other = medians.of_given_amplitudes(
        s, ONES, white.of_size(229, 32, "random", True), coupling.meetings, True, 1
    )
    assert measured < (1 - band) * other["w1"].value - 3 * error


# --- a1 and a3 on a grid with N > 2M, whose ζ is a sum of few samples -----------------------------

FEW = (0.5, 1.4, 0.9, 1.4)  # amplitudes that let the few samples show in a1, too


def grid_setting(n, m, amplitudes, init="orthogonal", signal="uniform"):
    coupling, jitter = laws.coupling_of(init, True)
    given = np.array(amplitudes)[:, None]
    return coupling, laws.Setting(n, m, *given, signal=laws.describe(signal), jitter=jitter)


@pytest.mark.parametrize(
    "n, m, few", [(64, 32, 0), (65, 32, 1), (128, 32, 1), (150, 33, 2), (256, 32, 3)]
)
def test_on_the_exact_grid_a1_and_a3_are_products_of_few_samples(n, m, few):
    coupling, s = grid_setting(n, m, FEW)
    matrix, law = coupling.matrix(s), coupling.laws(s)
    assert len(matrix.comb) == few
    x = np.random.default_rng(0).uniform(-1, 1, (50, n))
    few_sums = x[:, 2 * m :: 2 * m] @ matrix.comb
    of_starts = np.ones((3, 50))
    sample = medians.Samples(x[None, :, 0], few_sums[None], np.zeros((2, 1, 50)), *of_starts)
    _, w, _ = draw(n, m, init="orthogonal", tied=True)
    exact = [gradients(torch.as_tensor(one), *FEW, torch.as_tensor(w)) for one in x]
    for group, drawn in (("a1", medians.of_a1), ("a3", medians.of_a3)):
        values = [float(getattr(one, group)) for one in exact]
        found = drawn(s, matrix, law[group], sample, 1)
        np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def on_grids():
    """Raw rows and predictions at N = 4M, of either grid."""
    found = {}
    for init in ("orthogonal", "jittered"):
        for batch in (1, 4):
            options = dict(init=init, tied=True, amplitudes=FEW, batch=batch)
            raw = probe(256, 64, inits=6000 // batch, **options)
            found[init, batch] = raw, laws.predict(256, 64, **options)
    return found


def test_medians_of_a1_and_a3_on_a_grid_with_few_samples(on_grids):
    for kind, (raw, law) in on_grids.items():
        for group in ("a1", "a3"):
            measured, error = median(raw, group)
            predicted, band = law.loc[group, ["median_abs", "median_band"]]
            assert abs(measured - predicted) < band * predicted + 3 * error, (kind, group)


def test_few_samples_are_not_a_normal_number(on_grids):
    raw, law = on_grids["orthogonal", 1]
    coupling, s = grid_setting(256, 64, FEW)
    matrix = replace(coupling.matrix(s), comb=np.zeros(0))
    sample = medians.draw_samples(s, matrix, sums.sums_of(s, "orthogonal", True, 1), 1)
    for group, drawn in (("a1", medians.of_a1), ("a3", medians.of_a3)):
        normal = np.median(abs(drawn(s, matrix, coupling.laws(s)[group], sample, 1)))
        measured, error = median(raw, group)
        assert measured > (1 + law.loc[group, "median_band"]) * normal + 3 * error


# --- what starts, amplitudes and x_0 add ----------------------------------------------------------


def test_the_median_of_a1_is_over_starts_that_differ():
    n, m = 64, 32
    options = dict(tied=True, amplitudes=ONES)
    raw, law = probe(n, m, inits=5000, **options), laws.predict(n, m, **options)
    measured, error = median(raw, "a1")
    predicted, band = law.loc["a1", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error
    coupling, _ = laws.coupling_of("random", True)
    s = laws.Setting(n, m, *np.ones((4, 1)), signal=laws.describe("uniform"))
    matrix = coupling.matrix(s)
    sample = medians.draw_samples(s, matrix, sums.sums_of(s, "random", True, 1), 1)
    alike = replace(sample, **dict.fromkeys(("rest", "row", "column"), 1.0))
    of_alike = np.median(abs(medians.of_a1(s, matrix, coupling.laws(s)["a1"], alike, 1)))
    assert measured < (1 - band) * of_alike - 3 * error


def test_the_mean_over_signals_of_a_starts_sums_are_its_traces():
    rng = np.random.default_rng(0)
    waves = [
        np.stack([starts.waves(w, 24)[0] for w in rng.uniform(0, np.pi, (3, 8))]) for _ in "ab"
    ]
    x = rng.standard_normal((3, 60_000, 24))
    found = sums._sums_of_starts(*waves, x, x.shape[1])
    exact = sums._means_of_starts(*waves)
    scale = np.abs(exact).max(axis=0)
    np.testing.assert_allclose(found / scale, exact / scale, atol=0.02)


def test_a_large_batch_leaves_how_starts_differ():
    options = dict(tied=True, amplitudes=ONES, batch=60)
    raw, law = probe(64, 64, inits=1500, **options), laws.predict(64, 64, **options)
    measured, error = median(raw, "a2")
    predicted, band = law.loc["a2", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error
    of_one = laws.predict(64, 64, **options | {"batch": 1}).loc["a2", "median_abs"]
    assert measured > (1 + band) * of_one / 60**0.5 + 3 * error


@pytest.fixture(scope="module")
def of_drawn_amplitudes():
    return probe(64, 512, inits=2500, tied=True), laws.predict(64, 512, tied=True)


def test_a_median_over_drawn_amplitudes_has_all_four_of_them(of_drawn_amplitudes, monkeypatch):
    raw, law = of_drawn_amplitudes
    measured, error = median(raw, "w1")
    predicted, band = law.loc["w1", ["median_abs", "median_band"]]
    assert abs(measured - predicted) < band * predicted + 3 * error
    monkeypatch.setattr(medians, "_mean_square", lambda law, batch: 1.0)
    s = laws.Setting(64, 512, *np.ones((4, 2)), signal=laws.describe("uniform"))
    coupling, twin = laws.coupling_of("random", True)[0], twin_of(s, "random", True, 1)
    by_two = medians.medians(s, twin, "random", True, coupling, 1)
    assert measured > (1 + band) * by_two["w1"].value + 3 * error


def test_where_x0_alone_makes_the_gradient_the_band_says_so():
    options = dict(init="orthogonal", tied=True, amplitudes=(0.7, 1.3, 1.4, 0.6))
    raw, law = probe(64, 512, inits=1000, **options), laws.predict(64, 512, **options)
    measured, error = median(raw, "w1")
    predicted, band = law.loc["w1", ["median_abs", "median_band"]]
    assert 0.2 * predicted + 3 * error < measured - predicted < band * predicted
    usual = laws.predict(64, 64, init="jittered", amplitudes=ONES)
    assert (usual["median_band"] == 0.04).all()


def test_a_band_says_how_far_unequal_amplitudes_lead_astray():
    options = dict(tied=True, amplitudes=(10, 1, 1, 1))
    raw, law = probe(128, 128, inits=600, **options), laws.predict(128, 128, **options)
    square = raw.query("group == 'a2'")["rms"] ** 2
    ratio = square.mean() ** 0.5 / law.loc["a2", "rms"]
    assert 0.3 < ratio - 1 < law.loc["a2", "band"]
    assert "a2 ±" in law.attrs["warning"]
    usual = laws.predict(128, 128, tied=True, amplitudes=ONES)
    assert usual.attrs["warning"] == "" and set(usual["band"]) == {0.02}


def test_what_is_remembered_is_not_handed_out():
    first = laws.predict(64, 64)
    kept = first.copy()
    first.loc["a1", "rms"] = 7.0
    first.attrs["loss"] = 0
    again = laws.predict(64, 64)
    assert again.equals(kept) and again.attrs["loss"] > 0
