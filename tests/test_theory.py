"""The laws against simulation, exact arithmetic and each other."""

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lct_lab import theory
from lct_lab.init import draw
from lct_lab.probes import gradients, probe
from lct_lab.tables import compare

BAND = {"shuffled": 0.02, "random": 0.03, "tied": 0.02}
AMPLITUDES = (1.0, 1.1, 0.7, 1.4)


def simulate(n, m, init, tied, groups, band, most=6000):
    """Rms over inits and its standard error, run until the error is below a third of the band or fail."""
    squares = {group: [] for group in groups}
    for first in range(0, most, 250):
        table = probe(n, m, init=init, tied=tied, amplitudes=AMPLITUDES, inits=250, seed=first)
        for group in groups:
            squares[group].append(table.loc[table["group"] == group, "rms"].to_numpy() ** 2)
        pooled = {group: np.concatenate(v) for group, v in squares.items()}
        rms = {group: np.sqrt(v.mean()) for group, v in pooled.items()}
        error = {group: v.std() / np.sqrt(len(v)) / 2 / rms[group] for group, v in pooled.items()}
        if max(error[g] / rms[g] for g in groups) < band / 3:
            return rms, error
    raise AssertionError(
        f"standard errors {error} of {rms} are not below a third of the band {band}"
    )


@pytest.fixture(scope="module")
def measured():
    """Two sizes off the diagonal per coupling, simulated once: rms of a2, a4, w1, w2."""
    return {
        (coupling, n, m): simulate(
            n,
            m,
            "random" if coupling == "tied" else coupling,
            coupling == "tied",
            ("a2", "a4", "w1") if coupling == "tied" else ("a2", "a4", "w1", "w2"),
            band,
        )
        for coupling, band in BAND.items()
        for n, m in ((250, 500), (500, 250))
    }


@pytest.mark.parametrize("coupling", list(BAND))
def test_laws_agree_with_simulation(measured, coupling):
    for (kind, n, m), (rms, error) in measured.items():
        if kind == coupling:
            init = "random" if coupling == "tied" else coupling
            law = theory.predict(n, m, init=init, tied=coupling == "tied", amplitudes=AMPLITUDES)[
                "rms"
            ]
            result = compare(pd.Series(rms), law[list(rms)], BAND[coupling], pd.Series(error))
            assert (result["verdict"] == "within").all(), f"{coupling} at {n}, {m}:\n{result}"


def test_wrong_laws_are_rejected_by_the_same_comparison(measured):
    rms, error = measured["random", 250, 500]
    shuffled = theory.predict(250, 500, init="shuffled", amplitudes=AMPLITUDES)["rms"]
    assert (
        compare(pd.Series(rms), shuffled, BAND["random"], pd.Series(error))["verdict"] == "outside"
    ).all()
    (small, _), (large, error) = measured["shuffled", 250, 500], measured["shuffled", 500, 250]
    rule = theory.RULES["w1 mean"]
    growth = rule.f(500, 250) / rule.f(250, 500)
    wrong = compare(
        *(pd.Series({"w1": v}) for v in (large["w1"], small["w1"] * growth)),
        0.02,
        pd.Series({"w1": error["w1"]}),
    )
    assert (wrong["verdict"] == "outside").all()


def test_a1_and_a3_fluctuate_as_predicted():
    for init, tied in (("shuffled", False), ("random", False), ("random", True)):
        rms, error = simulate(250, 250, init, tied, ("a1", "a3"), band=0.12)
        law = theory.predict(250, 250, init=init, tied=tied, amplitudes=AMPLITUDES)["rms"]
        for group in rms:
            assert abs(rms[group] - law[group]) < 4 * error[group] + 0.02 * law[group], (
                init,
                tied,
                group,
            )


@given(
    st.integers(32, 3000), st.integers(32, 3000), st.sampled_from(("shuffled", "tied", "random"))
)
@settings(max_examples=20, deadline=None)
def test_predicted_means_obey_the_homogeneity_identity(n, m, coupling):
    if coupling == "random" and not 1 / 16 <= n / m <= 16:
        return
    a = np.array([0.7, 1.2, 1.4, 0.6])
    init = "random" if coupling == "tied" else coupling
    mean = theory.predict(n, m, init=init, tied=coupling == "tied", amplitudes=a)["mean"]
    left, right = a[0] * mean["a1"] + a[1] * mean["a2"], a[2] * mean["a3"] + a[3] * mean["a4"]
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("tied", (False, True))
def test_conditional_laws_are_exact_traces(tied):
    import torch

    n, m = 5, 4
    a, w1, w2 = draw(n, m, tied=tied, seed=3)
    law = theory.conditional(n, *a, w1, w2, s2=1.0, x4=1.0)
    signs = np.array(
        list(product((-1.0, 1.0), repeat=n))
    )  # every x of independent signs: white, E x⁴ = 1
    w1, w2 = (v if v is None else torch.as_tensor(v) for v in (w1, w2))
    every = [gradients(torch.as_tensor(x), *a, w1, w2, engine="dense") for x in signs]
    for group, (mean, variance) in law.items():
        values = np.array([getattr(g, group).numpy() for g in every])
        np.testing.assert_allclose(values.mean(0), mean, atol=1e-12, rtol=1e-10)
        np.testing.assert_allclose(values.var(0), variance, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("start, tied", list(product(("jittered", "orthogonal"), (False, True))))
def test_grid_laws_are_the_average_of_the_exact_traces(start, tied):
    for n, m, a in (
        (96, 96, (1, 1, 1, 1)),
        (64, 128, theory.UNIT_AMPLITUDES),
        (150, 60, theory.UNIT_AMPLITUDES),
    ):
        found = []
        for index in range(40 if start == "jittered" else 1):
            _, w1, w2 = draw(n, m, init=start, tied=tied, index=index)
            found.append(
                {
                    k: np.mean(np.square(mean) + variance)
                    for k, (mean, variance) in theory.conditional(n, *a, w1, w2).items()
                    if k != "loss"
                }
            )
        square, law = (
            pd.DataFrame(found),
            theory.predict(n, m, init=start, tied=tied, amplitudes=a)["rms"],
        )
        for group in law.index:
            rms, error = (
                np.sqrt(square[group].mean()),
                square[group].std(ddof=0) / len(square) ** 0.5,
            )
            assert (
                abs(rms - law[group])
                < 4 * error / (rms + law[group] + 1e-9) + 0.02 * law[group] + 1e-9
            ), group


def cosine_mean(*integers):
    """E Π cos(n_i w), w ~ U(0, π): the share of sign choices whose sum is 0, an exact fraction."""
    signs = product((-1, 1), repeat=len(integers))
    return Fraction(
        sum(sum(s * n for s, n in zip(c, integers, strict=True)) == 0 for c in signs),
        2 ** len(integers),
    )


def test_tied_loss_by_exact_enumeration():
    """Σ_nm E (Σ_k cos(w_k n) cos(w_k m))² = M² P/4 + M (P(P-1)/4 + P/8), P = N - 1, in rational arithmetic."""
    for n, m in ((2, 3), (5, 4), (8, 2)):
        P, pairs = n - 1, list(product(range(1, n), repeat=2))
        total = sum(
            m * cosine_mean(i, i, j, j) + m * (m - 1) * cosine_mean(i, j) ** 2 for i, j in pairs
        )
        assert total == Fraction(m * m * P, 4) + m * (Fraction(P * (P - 1), 4) + Fraction(P, 8))


def test_third_moment_behind_a1_by_exact_enumeration():
    """E (Σ_n cos(wn) cos(w'n))³ = (3/16) Σ_{i+j<N} 1, which tends to 3 N²/32: the part of a1's rms that tying adds."""
    for n in (4, 9, 12):
        total = sum(cosine_mean(i, j, k) ** 2 for i, j, k in product(range(1, n), repeat=3))
        assert total == Fraction(3, 16) * sum(
            1 for i, j in product(range(1, n), repeat=2) if i + j < n
        )


def test_shuffled_gram_sums_by_exact_enumeration():
    """E (Σ cos cos)² = P²/4 + P/8 for equal and P/4 for independent frequencies, the two sums behind w's rms."""
    for n in (3, 7):
        P, pairs = n - 1, list(product(range(1, n), repeat=2))
        assert sum(cosine_mean(i, i, j, j) for i, j in pairs) == Fraction(P * P, 4) + Fraction(P, 8)
        assert sum(cosine_mean(i, j) ** 2 for i, j in pairs) == Fraction(P, 4)


@given(st.floats(-50, 50), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_dirichlet_sums(w, n):
    j = np.arange(1, n)
    for value in (w, 1e-9 * w, 2 * np.pi + 1e-7 * w):
        assert theory.cosine_sum(value, n) == pytest.approx(np.cos(value * j).sum(), abs=1e-10 * n)
        assert theory.sine_moment(value, n) == pytest.approx(
            (j * np.sin(value * j)).sum(), abs=1e-9 * n**2
        )


def test_sorting_is_the_double_integral_of_its_kernel():
    from scipy.integrate import dblquad

    def kernel(u, v):
        return u * v / (u**2 * v**2 + (u - v) ** 2) - u * v / (u**2 * v**2 + (u + v) ** 2)

    U = np.pi * 4
    integral = 2 * dblquad(kernel, 1e-9, U, 1e-9, lambda v: v, epsrel=1e-5)[0]
    assert theory.sorting(4.0) == pytest.approx(integral / U**2, rel=1e-3)


def test_pairing_and_chain_table_are_what_they_approximate():
    assert theory.pairing(10**6, 10**4) == pytest.approx(np.sqrt(np.pi * 1e4) / 2 - 0.5, rel=5e-3)
    for gamma in (0.5, 2**0.25, 4.0):
        np.testing.assert_allclose(theory.chain(gamma), theory.chain_sums(gamma), rtol=5e-3)


def test_amplitude_averages_are_moments():
    a, weight = theory._amplitudes("random", None)
    for powers in ((2, 0, 4, 1), (4, 4, 2, 4), (0, 8, 0, 0)):
        exact = np.prod([(1.5 ** (p + 1) - 0.5 ** (p + 1)) / (p + 1) for p in powers])
        assert np.sum(weight * np.prod(a ** np.array(powers)[:, None], axis=0)) == pytest.approx(
            exact, rel=1e-12
        )


def test_take_away_lines_are_the_leading_order_of_predict():
    n, m, values = 2_000_000, 1_000_000, dict(a1=1.0, a2=1.2, a3=0.8, a4=1.1, s2=1 / 3)
    for name, law in theory.LAWS.items():
        group, coupling = name.split()
        if coupling in ("sorted", "shuffled", "tied"):
            init, column = (
                "random" if coupling != "shuffled" else coupling,
                "rms" if group[0] == "w" else "mean",
            )
            full = theory.predict(
                n, m, init=init, tied=coupling == "tied", amplitudes=tuple(values.values())[:4]
            )
            assert law(n, m, **values) == pytest.approx(full.loc[group, column], rel=5e-3), name
        assert law._repr_latex_().startswith("$")


def test_rules_at_the_size_they_were_read_off():
    assert theory.RULES["w1 mean"].f(1000, 1000) == pytest.approx(1000**0.5)
    assert theory.RULES["a4 cosine"].f(1000, 1000) == pytest.approx(999 * 2 / np.pi)
    assert {rule.group for rule in theory.RULES.values()} == set(theory.GROUPS)


@pytest.mark.parametrize(
    "arguments, word",
    (
        (dict(n=31, m=100), "at least 32"),
        (dict(n=3200, m=100), "1/16 and 16"),
        (dict(n=100, m=100, init="zero"), "random, shuffled"),
        (dict(n=900, m=100, init="orthogonal"), "at most 8 m"),
        (dict(n=100, m=100, signal="eeg"), "uniform, normal"),
        (dict(n=100, m=100, batch=0), "batch"),
        (dict(n=100, m=100, amplitudes=(1, 2)), "four"),
        (dict(n=100, m=100, signal=np.ones((3, 99))), "windows of n"),
    ),
)
def test_what_is_not_covered_raises_with_the_range(arguments, word):
    n, m = arguments.pop("n"), arguments.pop("m")
    with pytest.raises(ValueError, match=word):
        theory.predict(n, m, **arguments)


@pytest.mark.parametrize(
    "change, words",
    (
        (dict(n=64.0), "n must be an integer of at least 32, got 64.0"),
        (dict(m=2.5), "m must be an integer"),
        (dict(tied=None), "tied must be True or False, got None"),
        (dict(amplitudes="1234"), "amplitudes must be four"),
        (dict(amplitudes={1, 2, 3, 4}), "amplitudes must be four"),
        (dict(amplitudes=(1, 1, 1, True)), "amplitudes must"),
        (dict(signal=np.ones((3, 64)) * 1j), "signal must be a name or an array of real numbers"),
    ),
)
def test_wrong_types_are_named(change, words):
    with pytest.raises(TypeError, match=words):
        theory.predict(**{"n": 64, "m": 64, **change})
    found = theory.predict(np.int64(64), np.uint8(64), tied=np.bool_(True), batch=np.int8(1))
    assert found.equals(theory.predict(64, 64, tied=True))


def test_coloured_input_makes_tied_scalars_fluctuate_as_its_power_squared():
    x = np.random.default_rng(0).standard_normal((400, 612))
    for n in range(
        1, 612
    ):  # a first-order autoregression, of unit variance once it has forgotten its start
        x[:, n] = 0.8 * x[:, n - 1] + 0.6 * x[:, n]
    windows, options = x[:, 100:], dict(tied=True, amplitudes=(1, 1, 1, 1))
    raw = probe(512, 512, signal=windows, inits=400, **options)
    squares = raw.assign(square=raw["rms"] ** 2).groupby("group")["square"]
    law, white = (
        theory.predict(512, 512, signal=signal, **options)["rms"] for signal in (windows, "normal")
    )
    for group in ("a2", "a4"):
        measured, error = squares.mean()[group], squares.std()[group] / 20
        assert abs(measured - law[group] ** 2) < 0.2 * law[group] ** 2 + 3 * error
        assert measured - 3 * error > 2 * white[group] ** 2, "the white law is rejected"
