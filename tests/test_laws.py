"""The laws against simulation, exact arithmetic and each other; every leading line against both."""

import inspect
import re
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import parse_expr
from sympy.parsing.sympy_parser import implicit_multiplication, standard_transformations

from lct_lab import comparison, laws, signals, training
from lct_lab.init import FREQUENCIES, GROUPS, INITS, UNIT_AMPLITUDES, draw
from lct_lab.laws import averages, grid, scalars, shuffled
from lct_lab.laws import sorted as sorted_law
from lct_lab.laws import tied as tied_law
from lct_lab.probes import gradients, probe

AMPLITUDES = (1.0, 1.2, 0.8, 1.1)
UNIFORM = laws.describe("uniform")


def setting(n, m, init, tied, amplitudes=AMPLITUDES):
    _, jitter = laws.coupling_of(init, tied)
    return laws.Setting(n, m, *amplitudes, signal=UNIFORM, jitter=jitter)


# --- the laws against simulation ------------------------------------------------------------------

KINDS = {"shuffled": ("shuffled", False), "sorted": ("random", False), "tied": ("random", True)}
SIMULATED = {"shuffled": 0.02, "sorted": 0.03, "tied": 0.02}  # a2, a4 and the frequencies


def simulate(n, m, kind, groups, band, most=6000):
    """Scale and error of `groups`, over inits until the error is below a third of the band."""
    init, tied = KINDS[kind]
    parts = []
    for first in range(0, most, 250):
        settings = {"init": init, "tied": tied, "amplitudes": (1.0, 1.1, 0.7, 1.4)}
        parts.append(probe(n, m, inits=250, seed=first, **settings))
        found = comparison.scale(pd.concat(parts)).loc[list(groups)]
        if (found["error"] < band / 3 * found["measured"]).all():
            return found
    raise AssertionError(f"not below a third of {band}:\n{found}")


def predicted(n, m, kind):
    init, tied = KINDS[kind]
    return laws.predict(n, m, init=init, tied=tied, amplitudes=(1.0, 1.1, 0.7, 1.4))["rms"]


def off(found, law):
    """By how much of the law a measurement misses it, beyond two standard errors."""
    law = law[found.index]
    return ((found["measured"] - law).abs() - 2 * found["error"]) / law


@cache
def measured(kind, n, m):
    """a2, a4 and the frequencies of a coupling, simulated once in a process that asks."""
    groups = ("a2", "a4", "w1") if kind == "tied" else ("a2", "a4", "w1", "w2")
    return simulate(n, m, kind, groups, SIMULATED[kind])


@pytest.mark.parametrize("n, m", [(250, 500), (500, 250)])
@pytest.mark.parametrize("kind", list(SIMULATED))
def test_laws_agree_with_simulation(kind, n, m):
    assert off(measured(kind, n, m), predicted(n, m, kind)).max() < SIMULATED[kind]


def test_wrong_laws_are_rejected_by_the_same_comparison():
    found = measured("sorted", 250, 500)
    assert (off(found, predicted(250, 500, "shuffled")) > SIMULATED["sorted"]).all()
    small, large = measured("shuffled", 250, 500), measured("shuffled", 500, 250)
    rule = laws.RULES["w1 mean"]
    scaled = small["measured"] * rule(500, 250) / rule(250, 500)
    assert off(large, scaled)["w1"] > 0.02


@pytest.mark.parametrize("kind", list(KINDS))
def test_a1_and_a3_fluctuate_as_predicted(kind):
    found = simulate(250, 250, kind, ("a1", "a3"), band=0.12)
    law = predicted(250, 250, kind)[found.index]
    assert ((found["measured"] - law).abs() < 4 * found["error"] + 0.02 * law).all()


# --- the leading lines ----------------------------------------------------------------------------

# every coupling in each of its regimes: N/M with another formula is another row
REGIMES = [
    *((*kind, ratio) for kind in KINDS.values() for ratio in (0.5, 2)),
    *(("orthogonal", tied, ratio) for tied in (False, True) for ratio in (0.5, 1, 1.5, 2.5, 4)),
    *(("jittered", tied, ratio) for tied in (False, True) for ratio in (0.5, 1, 2.5)),
]


def groups_of(tied):
    return [group for group in GROUPS if not (tied and group == "w2")]


LINES = [(*regime, group) for regime in REGIMES for group in groups_of(regime[1])]


def line_of(s, init, tied, group):
    coupling, _ = laws.coupling_of(init, tied)
    return coupling.lines(s)[group]


def column_of(group):
    return "rms" if group in FREQUENCIES else "mean"


def test_every_coupling_and_group_has_its_line_and_every_line_its_test():
    for init, tied in product(INITS, (False, True)):
        lines = laws.COUPLINGS[init, tied].lines(setting(64, 64, init, tied))
        assert list(lines) == groups_of(tied)
    tested = {line_of(setting(int(64 * r), 64, i, t), i, t, g) for i, t, r, g in LINES}
    written = {
        function
        for coupling in laws.COUPLINGS.values()
        for name, function in inspect.getmembers(coupling.module, inspect.isfunction)
        if name.startswith("line_") and function.__module__ == coupling.module.__name__
    }
    assert tested == written


LARGE = 400_000  # frequencies where what is not leading has gone


@cache
def predicted_at_large(init, tied, ratio):
    return laws.predict(int(ratio * LARGE), LARGE, init=init, tied=tied, amplitudes=AMPLITUDES)


@pytest.mark.parametrize("init, tied, ratio, group", LINES)
def test_a_line_is_the_leading_order_of_predict(init, tied, ratio, group):
    n, m = int(ratio * LARGE), LARGE
    law = predicted_at_large(init, tied, ratio)
    line = line_of(setting(n, m, init, tied), init, tied, group)
    value = float(line(setting(n, m, init, tied)))
    assert value == pytest.approx(law.loc[group, column_of(group)], rel=6e-3)
    assert law.loc[group, "law"] == laws.formula(line)


@cache
def exact(init, tied, ratio):
    """Mean and mean square of every gradient over drawn starts, exact over the signal."""
    n = int(ratio * 160)
    rows = []
    for index in range(1 if init == "orthogonal" else 30):
        _, w1, w2 = draw(n, 160, init=init, tied=tied, index=index)
        moments = laws.conditional(n, *AMPLITUDES, w1, w2)
        rows.append({g: np.mean(mean) for g, (mean, _) in moments.items()})
        rows[-1] |= {
            f"{g} squared": np.mean(np.square(mean) + variance)
            for g, (mean, variance) in moments.items()
        }
    return pd.DataFrame(rows)


# At these sizes; the pairing of sorted a2 and a4, of order M/N^{3/2}, is a quarter at N = 80.
TOLERANCE, PAIRED = 0.1, 0.35


def tolerance(init, tied, ratio, group):
    paired = (init, tied, ratio) == ("random", False, 0.5) and group in ("a2", "a4")
    return PAIRED if paired else TOLERANCE


def misses(found, value, group, tolerance=TOLERANCE):
    """Whether a leading value is further from the exact average than `tolerance` and 4 errors."""
    column = f"{group} squared" if group in FREQUENCIES else group
    value = value**2 if group in FREQUENCIES else value
    error = found[column].std(ddof=0) / len(found) ** 0.5
    scale = max(abs(value), found[f"{group} squared"].mean() ** 0.5 if group in GROUPS[:4] else 0)
    width = (2 if group in FREQUENCIES else 1) * tolerance * scale
    return abs(found[column].mean() - value) > width + 4 * error


@pytest.mark.parametrize("init, tied, ratio, group", LINES)
def test_a_line_is_near_the_exact_average(init, tied, ratio, group):
    s = setting(int(ratio * 160), 160, init, tied)
    value, width = line_of(s, init, tied, group)(s), tolerance(init, tied, ratio, group)
    assert not misses(exact(init, tied, ratio), value, group, width)


@pytest.mark.parametrize(
    "init, tied, ratio, group, wrong",
    [
        ("orthogonal", True, 0.5, "w1", grid.line_w),
        ("jittered", True, 0.5, "w1", grid.line_w),
        ("orthogonal", False, 1, "a1", shuffled.line_a1),
        ("orthogonal", False, 2.5, "w1", grid.line_w),
        ("orthogonal", True, 2.5, "w1", lambda s: 2 * grid.line_w1_folded(s)),
        ("random", True, 2, "a4", shuffled.line_a4),
        ("random", False, 0.5, "w1", shuffled.line_w1),
    ],
)
def test_a_wrong_line_is_rejected_by_the_exact_average(init, tied, ratio, group, wrong):
    s = setting(int(ratio * 160), 160, init, tied)
    assert misses(exact(init, tied, ratio), wrong(s), group)


def letters(s, tied):
    """What the letters of a formula stand for."""
    fold = grid.folds(s)
    f_w, f_w2, _ = laws.chain(s.gamma)
    sizes = {"N": s.n, "M": s.m, "γ": s.gamma, "b": s.b, "α": s.alpha, "σ": s.variance**0.5}
    amplitudes = {name: getattr(s, name) for name in ("a1", "a2", "a3", "a4")}
    sorting = {"H": laws.sorting(s.gamma), "F": f_w, "Ftilde": f_w2}
    folded = {"c": fold.c, "f": fold.f, "k": fold.cubes, "K": fold.cubes_twice}
    limit, near = grid.limits(s, tied), grid.local(s, tied)
    local = {"R": limit.row, "T": limit.trace, "Q": limit.total}
    local |= {"J": near.square_w1, "Jtilde": near.square_w2, "r": grid.rows_of_one_sign(s)}
    return sizes | amplitudes | sorting | folded | local


def over_classes(match):
    """⟨…⟩, the mean over the classes of samples, written out."""
    more, fewer = (match[1].replace("C", members) for members in ("(c + 1)", "c"))
    return f"(f ({more}) + (1 - f) ({fewer}))"


def value_of(formula, s, tied):
    """A formula read as a reader would: roots, powers, products without a sign, |…| and ⟨…⟩."""
    text = re.sub("⟨(.*?)⟩", over_classes, formula)
    text = re.sub(r"\|(.*?)\|", r"abs(\1)", text)
    text = text.replace("(γ)", "").replace("F̃", "Ftilde").replace("J̃", "Jtilde")
    text = re.sub(r"√(\w+)", r"√(\1)", text)
    for sign, word in (("√", "sqrt"), ("²", "**2"), ("³", "**3"), ("−", "-")):
        text = text.replace(sign, word)
    reading = (*standard_transformations, implicit_multiplication)
    return float(parse_expr(text, local_dict=letters(s, tied), transformations=reading))


@pytest.mark.parametrize("init, tied, ratio, group", LINES)
def test_a_formula_says_what_its_function_computes(init, tied, ratio, group):
    s = setting(int(ratio * 200), 200, init, tied, amplitudes=(0.9, 1.3, 0.7, 1.2))
    line = line_of(s, init, tied, group)
    assert value_of(laws.formula(line), s, tied) == pytest.approx(float(line(s)), rel=1e-12)


def test_a_formula_that_says_something_else_is_found():
    s = setting(400, 200, "random", True)
    wrong = "a2 a4 σ² √(N³/M) √((2 (α − 1) + α γ)²/12 + 3 b/10)"
    assert value_of(wrong, s, True) == pytest.approx(float(tied_law.line_w1(s)) / 2)


# --- terms ----------------------------------------------------------------------------------------


@given(
    st.integers(32, 3000),
    st.integers(32, 3000),
    st.sampled_from(sorted(laws.COUPLINGS)),
    st.sampled_from((1, 7)),
)
@settings(max_examples=25)
def test_terms_add_up_to_the_law(n, m, kind, batch):
    init, tied = kind
    if init == "random" and not tied and not 1 / 16 <= n / m <= 16 or n > 8 * m:
        return
    law = laws.predict(n, m, init=init, tied=tied, amplitudes=AMPLITUDES, batch=batch, terms=True)
    means, squares = (law.filter(like=f"{kind}: ").sum(axis=1) for kind in ("mean", "square"))
    np.testing.assert_allclose(means, law["mean"], atol=1e-9 * law["rms"].max())
    np.testing.assert_allclose(squares, law["rms"] ** 2, rtol=1e-9, atol=1e-9)
    assert not law.filter(regex="^(mean|square): ").isna().all().any()


@given(st.integers(32, 3000), st.integers(32, 3000), st.sampled_from(list(KINDS)))
@settings(max_examples=20)
def test_predicted_means_obey_the_homogeneity_identity(n, m, kind):
    if kind == "sorted" and not 1 / 16 <= n / m <= 16:
        return
    init, tied = KINDS[kind]
    a1, a2, a3, a4 = a = (0.7, 1.2, 1.4, 0.6)
    mean = laws.predict(n, m, init=init, tied=tied, amplitudes=a)["mean"]
    left, right = a1 * mean["a1"] + a2 * mean["a2"], a3 * mean["a3"] + a4 * mean["a4"]
    assert left == pytest.approx(right, rel=1e-12)


# --- the oracle and the sums ----------------------------------------------------------------------


@pytest.mark.parametrize("tied", (False, True))
def test_conditional_laws_are_exact_traces(tied):
    n, m = 5, 4
    a, w1, w2 = draw(n, m, tied=tied, seed=3)
    law = laws.conditional(n, *a, w1, w2, s2=1.0, x4=1.0)
    signs = np.array(list(product((-1.0, 1.0), repeat=n)))  # every x of independent signs
    w1, w2 = (v if v is None else torch.as_tensor(v) for v in (w1, w2))
    every = [gradients(torch.as_tensor(x), *a, w1, w2, engine="dense") for x in signs]
    for group, (mean, variance) in law.items():
        values = np.array([getattr(g, group).numpy() for g in every])
        np.testing.assert_allclose(values.mean(0), mean, atol=1e-12, rtol=1e-10)
        np.testing.assert_allclose(values.var(0), variance, atol=1e-12, rtol=1e-10)


GRIDS = ((96, 96, (1, 1, 1, 1)), (64, 128, UNIT_AMPLITUDES), (150, 60, UNIT_AMPLITUDES))


@pytest.mark.parametrize("start, tied", list(product(("jittered", "orthogonal"), (False, True))))
def test_grid_laws_are_the_average_of_the_exact_traces(start, tied):
    for n, m, a in GRIDS:
        found = []
        for index in range(40 if start == "jittered" else 1):
            _, w1, w2 = draw(n, m, init=start, tied=tied, index=index)
            moments = laws.conditional(n, *a, w1, w2)
            del moments["loss"]
            found.append({g: np.mean(mean**2 + spread) for g, (mean, spread) in moments.items()})
        square = pd.DataFrame(found)
        law = laws.predict(n, m, init=start, tied=tied, amplitudes=a)["rms"]
        for group in law.index:
            rms = square[group].mean() ** 0.5
            error = square[group].std(ddof=0) / len(square) ** 0.5
            width = 4 * error / (rms + law[group] + 1e-9) + 0.02 * law[group] + 1e-9
            assert abs(rms - law[group]) < width, group


def test_own_outputs_keep_as_much_of_many_signals_for_shuffled_w2_as_for_w():
    """Many signals leave the gradient of the expected loss; a third less without own outputs."""
    n, m, starts, amplitudes = 160, 32, 300, (0.93, 1.39, 0.88, 1.55)
    options = {"init": "shuffled", "amplitudes": amplitudes}
    left = []
    for index in range(starts):
        drawn, *sides = draw(n, m, index=index, **options)
        sides = [torch.tensor(w, requires_grad=True) for w in sides]
        loss = n / 3 * training.expected_loss(n, *drawn, *sides)
        left.append([(g**2).mean().item() for g in torch.autograd.grad(loss, sides)])
    square, error = np.mean(left, axis=0), np.std(left, axis=0) / starts**0.5
    law = laws.predict(n, m, batch=10**9, **options).loc[["w1", "w2"], "rms"].to_numpy()
    assert (abs(square - law**2) < 0.1 * law**2 + 3 * error).all()
    s = setting(n, m, "shuffled", False, amplitudes)
    without = law[1] ** 2 * (1 + s.b) / (1 + s.b + s.b * s.gamma / 2)
    assert square[1] > 1.1 * without + 3 * error[1]


def cosine_mean(*integers):
    """E Π cos(n_i w), w ~ U(0, π): the share of sign choices whose sum is 0, an exact fraction."""
    signs = product((-1, 1), repeat=len(integers))
    zero = sum(sum(s * n for s, n in zip(c, integers, strict=True)) == 0 for c in signs)
    return Fraction(zero, 2 ** len(integers))


def test_tied_loss_by_exact_enumeration():
    """Σ_nm E (Σ_k cos(w_k n) cos(w_k m))² = M² P/4 + M (P(P-1)/4 + P/8), P = N - 1."""
    for n, m in ((2, 3), (5, 4), (8, 2)):
        P, pairs = n - 1, list(product(range(1, n), repeat=2))
        same = sum(m * cosine_mean(i, i, j, j) for i, j in pairs)
        apart = sum(m * (m - 1) * cosine_mean(i, j) ** 2 for i, j in pairs)
        assert same + apart == Fraction(m * m * P, 4) + m * (
            Fraction(P * (P - 1), 4) + Fraction(P, 8)
        )


def test_third_moment_behind_a1_by_exact_enumeration():
    """E (Σ_n cos(wn) cos(w'n))³ = (3/16) Σ_{i+j<N} 1, tends to 3 N²/32: what tying adds to a1."""
    for n in (4, 9, 12):
        total = sum(cosine_mean(i, j, k) ** 2 for i, j, k in product(range(1, n), repeat=3))
        lattice = sum(1 for i, j in product(range(1, n), repeat=2) if i + j < n)
        assert total == Fraction(3, 16) * lattice


def test_shuffled_gram_sums_by_exact_enumeration():
    """E (Σ cos cos)² = P²/4 + P/8 for equal and P/4 for independent frequencies: `pair_sums`."""
    for n in (3, 7):
        own, others = shuffled.pair_sums(setting(n, 2, "shuffled", False))
        pairs = list(product(range(1, n), repeat=2))
        assert sum(cosine_mean(i, i, j, j) for i, j in pairs) == Fraction(own)
        assert sum(cosine_mean(i, j) ** 2 for i, j in pairs) == Fraction(others)


@given(st.floats(-50, 50), st.integers(1, 300))
@settings(max_examples=60)
def test_dirichlet_sums(w, n):
    j = np.arange(1, n)
    for value in (w, 1e-9 * w, 2 * np.pi + 1e-7 * w):
        cosines, sines = np.cos(value * j).sum(), (j * np.sin(value * j)).sum()
        assert laws.cosine_sum(value, n) == pytest.approx(cosines, abs=1e-10 * n)
        assert laws.sine_moment(value, n) == pytest.approx(sines, abs=1e-9 * n**2)


def test_sorting_is_the_double_integral_of_its_kernel():
    from scipy.integrate import dblquad

    def kernel(u, v):
        uv = u * v
        return uv / (uv**2 + (u - v) ** 2) - uv / (uv**2 + (u + v) ** 2)

    width = np.pi * 4
    integral = 2 * dblquad(kernel, 1e-9, width, 1e-9, lambda v: v, epsrel=1e-5)[0]
    assert laws.sorting(4.0) == pytest.approx(integral / width**2, rel=1e-3)


def test_pairing_and_chain_table_are_what_they_approximate():
    assert laws.pairing(10**6, 10**4) == pytest.approx(np.sqrt(np.pi * 1e4) / 2 - 0.5, rel=5e-3)
    for gamma in (0.5, 2**0.25, 4.0):
        np.testing.assert_allclose(laws.chain(gamma), laws.chain_sums(gamma), rtol=5e-3)


def test_amplitude_averages_are_moments():
    a, weight = averages.amplitudes_of("random", None)
    for powers in ((2, 0, 4, 1), (4, 4, 2, 4), (0, 8, 0, 0)):
        exact = np.prod([(1.5 ** (p + 1) - 0.5 ** (p + 1)) / (p + 1) for p in powers])
        average = np.sum(weight * np.prod(a ** np.array(powers)[:, None], axis=0))
        assert average == pytest.approx(exact, rel=1e-12)


# --- the original's rules -------------------------------------------------------------------------


@pytest.mark.parametrize("name", laws.RULES)
def test_a_rule_is_the_line_that_it_quotes(name):
    """The source's line, with a gradient of one, is one over the divisor."""
    rule = laws.RULES[name]
    line = re.sub(r"^(\[\d+\] )+", "", rule.quoted)
    assert line != rule.quoted, "a line has the number of its cell"
    gradient = rf"\b{rule.group}\.grad(\.abs\(\)\.(mean|median)\(\))?|\bdl_d{rule.group}\b"
    value = eval(re.sub(gradient, "1", line), {"np": np, "N": 700, "M": 300})
    assert value == pytest.approx(1 / rule(700, 300))


def test_rules_at_a_size_that_the_source_shows():
    assert laws.RULES["w1 mean"](1000, 1000) == pytest.approx(1000**0.5)
    assert laws.RULES["a4 cosine"](1000, 1000) == pytest.approx(999 * 2 / np.pi)
    assert {rule.group for rule in laws.RULES.values()} == set(GROUPS)


@pytest.mark.parametrize("name", laws.RULES)
def test_a_rules_formula_and_latex_say_what_it_computes(name):
    rule = laws.RULES[name]
    n, m = 700, 300
    written = parse_expr(rule.formula, local_dict={"n": n, "m": m})
    assert float(written) == pytest.approx(rule(n, m))
    latex = re.sub(r"\\sqrt\{(.*?)\}", r"sqrt(\1)", rule.latex).replace(r"\pi", "pi")
    latex = latex.replace("MN", "M N").replace("6M", "(6 M)")
    reading = (*standard_transformations, implicit_multiplication)
    value = parse_expr(latex, local_dict={"N": n, "M": m}, transformations=reading)
    assert float(value) == pytest.approx(rule(n, m))
    assert rule._repr_latex_() == f"${rule.latex}$"


# --- input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, word",
    [
        (dict(n=31), "at least 32"),
        (dict(n=3200), "1/16 and 16"),
        (dict(init="zero"), "random, shuffled"),
        (dict(n=900, init="orthogonal"), "at most 8 m"),
        (dict(signal="eeg"), "uniform, normal"),
        (dict(batch=0), "batch"),
        (dict(amplitudes=(1, 2)), "four"),
        (dict(amplitudes=(1, 2, 0, 1)), "other than 0"),
        (dict(amplitudes=(1, 1e100, 1, 1)), "between 1e-10 and 1e"),
        (dict(amplitudes=(1, 1, 1e-200, 1)), "between 1e-10 and 1e"),
        (dict(n=2**23, m=2**23, init="jittered"), "at most 4194304 for jittered"),
        (dict(signal=np.ones((3, 99))), "windows of n"),
        (dict(signal=[1.0]), r"windows of n = 100 samples, got shape \(1, 1\)"),
        (dict(signal=np.ones((2, 3, 100))), "windows of n"),
        (dict(signal=np.zeros((3, 100))), "not all zero"),
    ],
)
def test_what_is_not_covered_raises_with_the_range_alone(change, word, recwarn):
    with pytest.raises(ValueError, match=word):
        laws.predict(**{"n": 100, "m": 100, **change})
    assert not recwarn


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(n=64.0), "n must be an integer of at least 32, got 64.0"),
        (dict(m=2.5), "m must be an integer"),
        (dict(tied=None), "tied must be True or False, got None"),
        (dict(amplitudes="1234"), "amplitudes must be four"),
        (dict(amplitudes={1, 2, 3, 4}), "amplitudes must be four"),
        (dict(amplitudes=(1, 1, 1, True)), "amplitudes must"),
        (dict(signal=np.ones((3, 64)) * 1j), "signal must be a name or an array of real numbers"),
    ],
)
def test_wrong_types_are_named(change, words):
    with pytest.raises(TypeError, match=words):
        laws.predict(**{"n": 64, "m": 64, **change})


def noise(rows=64, n=128):
    return np.random.default_rng(0).standard_normal((rows, n))


def tones(rows=64, n=128):
    w, phase = np.random.default_rng(0).uniform(0, np.pi, (2, rows, 1))
    return np.cos(w * np.arange(n) + 2 * phase)


def spikes(rows=64, n=128):
    return np.eye(n)[np.random.default_rng(0).integers(n, size=rows)]


@pytest.mark.parametrize(
    "signal, words",
    [
        (noise() + 1, "without a mean, which the laws cover, got 5.% of its energy"),
        (noise() + 0.5, "without a mean, which the laws cover, got 2.% of its energy"),
        (noise() + np.cos(np.arange(128)), "without tones, .* the same phase in all windows"),
        (tones(), "without tones, which the laws cover, got a power that varies"),
        (tones(rows=1, n=256)[:, :256], "without tones, which the laws cover, got a spectrum"),
        (spikes(), "without spikes, which the laws cover, got a kurtosis of 128"),
        (
            noise() * np.linspace(0.1, 2, 128),
            "without a change, which the laws cover, got energies",
        ),
        (np.cumsum(noise(), axis=1), "stationary noise without a"),
    ],
)
def test_a_signal_that_no_law_covers_is_refused_with_what_was_seen(signal, words):
    with pytest.raises(ValueError, match=words):
        laws.predict(signal.shape[1], 64, signal=signal)


@pytest.mark.parametrize("init", ["orthogonal", "jittered"])
def test_a_grid_that_folds_the_samples_needs_windows_to_average_over(init):
    coloured = noise()[:, 1:] + noise()[:, :-1]
    assert laws.predict(127, 64, init=init, signal=coloured).notna().all(axis=None)
    assert laws.predict(127, 127, init=init, signal=coloured[:1]).notna().all(axis=None)
    with pytest.raises(ValueError, match=f"at least 32 windows for {init} .* got 31"):
        laws.predict(127, 64, init=init, signal=coloured[:31])


@pytest.mark.parametrize("name", ["eeg", "ecg", "sunspots"])
@pytest.mark.parametrize("rows", [1, 64])
def test_recordings_are_covered(name, rows):
    windows = signals.draw(name, 256, np.random.default_rng(0), batch=rows)
    assert laws.predict(256, 128, signal=windows).notna().all(axis=None)


def test_numpys_numbers_are_numbers():
    found = laws.predict(np.int64(64), np.uint8(64), tied=np.bool_(True), batch=np.int8(1))
    assert found.equals(laws.predict(64, 64, tied=True))


def test_one_signal_is_a_table_of_one():
    x = np.random.default_rng(0).standard_normal(64)
    assert laws.predict(64, 64, signal=x).equals(laws.predict(64, 64, signal=x[None]))


def test_coloured_input_makes_tied_scalars_fluctuate_as_its_power_squared():
    x = np.random.default_rng(0).standard_normal((400, 612))
    for n in range(1, 612):  # an autoregression of unit variance once it has forgotten its start
        x[:, n] = 0.8 * x[:, n - 1] + 0.6 * x[:, n]
    windows, options = x[:, 100:], dict(tied=True, amplitudes=(1, 1, 1, 1))
    found = comparison.scale(probe(512, 512, signal=windows, inits=400, **options))
    law, white = (
        laws.predict(512, 512, signal=signal, **options)["rms"] for signal in (windows, "normal")
    )
    for group in ("a2", "a4"):
        square = found.loc[group, "measured"] ** 2
        error = 2 * found.loc[group, "measured"] * found.loc[group, "error"]
        assert abs(square - law[group] ** 2) < 0.2 * law[group] ** 2 + 3 * error
        assert square - 3 * error > 2 * white[group] ** 2, "the white law is rejected"


# --- unequal amplitudes, exact over signals -------------------------------------------------------

UNEQUAL = [(0.914, 0.3239, 0.4822, 0.8369), (-1.417, -0.472, 0.947, -0.527)]


def exact_squares(n, m, tied, amplitudes, group, starts):
    """E g² over signals at each of many starts, averaged over the entries of a group."""
    found = []
    for index in range(starts):
        _, w1, w2 = draw(n, m, tied=tied, index=index)
        mean, variance = laws.conditional(n, *amplitudes, w1, w2)[group]
        found.append(np.mean(mean**2 + variance))
    return np.array(found)


def beyond(squares, rms):
    """By how much an rms is off those of exact squares, relative, beyond three errors."""
    measured = squares.mean() ** 0.5
    error = squares.std(ddof=1) / len(squares) ** 0.5 / 2 / measured
    return (abs(measured - rms) - 3 * error) / rms


@pytest.mark.parametrize("amplitudes", UNEQUAL)
@pytest.mark.parametrize("n, m", [(64, 64), (48, 96), (32, 128)])
def test_sorted_a4_scatters_with_the_pairing(n, m, amplitudes):
    squares = exact_squares(n, m, False, amplitudes, "a4", 1200)
    law = laws.predict(n, m, amplitudes=amplitudes).loc["a4"]
    assert beyond(squares, law["rms"]) < law["band"]
    s = setting(n, m, "random", False, amplitudes)
    match = s.variance * s.alpha * laws.pairing(n, m)
    former = shuffled.independent_matrix(s, gain=1 + laws.sorting(s.gamma), match=match)
    former = sum(scalars.of_a4(s, former).square.values()) ** 0.5
    assert beyond(squares, former) > 0.03, "without the scatter of the pairing"


def sums_of_sorted(n, m, starts):
    """Of A at α = 1, over drawn starts: tr A, tr A², Σ A_nn², tr AᵀAA, Σ (AᵀA)_nn A_nn."""
    rows = []
    for index in range(starts):
        _, w, w2 = draw(n, m, index=index)
        later = np.arange(1, n)
        A = 2 / m * np.cos(np.outer(later, w2)) @ np.cos(np.outer(w, later))
        S, own = A.T @ A, np.diag(A)
        rows.append((own.sum(), np.sum(A * A.T), own @ own, np.sum(S * A), np.diag(S) @ own))
    return np.array(rows)


@pytest.mark.parametrize("n, m", [(64, 64), (128, 64), (96, 192)])
def test_sums_of_pairs_are_those_of_drawn_starts(n, m):
    rows = sums_of_sorted(n, m, 1500)
    s = setting(n, m, "random", False, (1, 2 * (n / m) ** 0.5, 1, 1))
    assert s.alpha == pytest.approx(1)
    pairs, gamma = sorted_law.returned(s), s.gamma
    own = gamma + 0.5 - sorted_law.ends(gamma)
    by_chance = gamma * s.later / n  # of the n² entries' mean squares, α²γ/n each, n stand here
    derived = np.array([1, own, 0.75, (1 + gamma) ** 2, 1 + gamma]) * pairs
    derived[1:3] += by_chance
    error = rows.std(0, ddof=1) / len(rows) ** 0.5
    assert (abs(rows.mean(0) - derived) < 4 * error + 0.07 * derived).all()
    spread = rows[:, 0].var(ddof=1) / n
    width = 0.1 + 4 * (2 / len(rows)) ** 0.5
    assert sorted_law.of_local_time(s) == pytest.approx(spread, rel=width)


def test_the_local_time_alone_is_not_the_scatter_of_the_pairing():
    rows = sums_of_sorted(128, 64, 1500)
    continuous = (1 - np.pi / 4) * 64  # as if the bridge had no steps
    assert rows[:, 0].var(ddof=1) > 1.5 * continuous


@pytest.mark.parametrize("amplitudes", [*UNEQUAL, (1.2, -0.9, 0.7, 0.8)])
def test_what_x0_and_y0_add_to_tied_frequencies_is_the_exact_difference(amplitudes):
    n, m = 96, 192
    _, a2, _, a4 = amplitudes
    squares = exact_squares(n, m, True, amplitudes, "w1", 60)
    added = squares - exact_squares(n, m, True, (0, a2, 0, a4), "w1", 60)
    s = setting(n, m, "random", True, amplitudes)
    law = tied_law.of_first_input(s) + tied_law.of_first_output(s)
    error = added.std(ddof=1) / len(added) ** 0.5
    assert abs(added.mean() - law) < 0.05 * abs(law) + 4 * error
    total = laws.predict(n, m, tied=True, amplitudes=amplitudes).loc["w1", "rms"]
    assert beyond(squares, total) < 0.01


def test_the_first_samples_of_untied_starts_are_not_those_of_tied_ones():
    amplitudes = UNEQUAL[1]
    squares = exact_squares(96, 192, True, amplitudes, "w1", 60)
    s = setting(96, 192, "random", True, amplitudes)
    inner = tied_law.coherent(s) + tied_law.background(s) + tied_law.neighbours(s)
    former = inner + shuffled.small_of_w(s) + shuffled.small_of_w2(s)
    assert beyond(squares, former**0.5) > 0.05


def test_the_integral_of_a_cosine_and_two_slopes():
    x = np.linspace(-300, 300, 600_001)
    s = np.sinc(x / np.pi)
    integral = np.trapezoid(s * np.gradient(s, x) ** 2, x)
    assert tied_law.TOGETHER == pytest.approx(3 / (2 * np.pi) * integral, rel=1e-4)


def test_the_band_of_sorted_frequencies_covers_few_samples_in_batches():
    """What one signal misses and what all signals share are apart: neither band alone is enough."""
    options = dict(amplitudes=(1, 1, 1, 1), signal="normal", batch=8)
    rms = probe(32, 256, inits=4000, **options).query("group == 'w2'")["rms"] ** 2
    law = laws.predict(32, 256, **options).loc["w2"]
    ratio, error = (rms.mean() ** 0.5 / law["rms"], rms.std() / 4000**0.5 / 2 / rms.mean())
    assert 1 - law["band"] < ratio - 3 * error
    assert ratio + 3 * error < 1 - 4 * sorted_law.FREQUENCY_BAND


@pytest.mark.parametrize("n, m", [(32, 128), (64, 256)])
def test_the_band_of_sorted_frequencies_covers_few_samples(n, m):
    """More is missing in w̃ than the 3 % that hold elsewhere, and less than the band."""
    squares = exact_squares(n, m, False, (1, 1, 1, 1), "w2", 800)
    law = laws.predict(n, m, amplitudes=(1, 1, 1, 1)).loc["w2"]
    assert sorted_law.FREQUENCY_BAND < beyond(squares, law["rms"]) < law["band"] < 0.1


def test_a_law_without_its_docstring_is_a_sentence():
    with pytest.raises(RuntimeError, match="laws need their docstrings, which python -OO"):
        laws.formula(lambda setting: setting)
